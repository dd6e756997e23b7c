//! Further attributes: whatever the sender gives, with money and counts as exact numbers even where they came as texts.

use serde_json::{Map, Value};

use super::fields::{Fields, as_text};

/// Numbers that may come as texts.
const NUMBERS: &[&str] = &["num_items", "predicted_ltv", "net_revenue"];
const ITEM_NUMBERS: &[&str] = &["quantity", "item_price"];

/// Keys that stand beside the event's name and would contradict it here.
const ELSEWHERE: &[&str] = &["value", "currency"];

pub(super) fn read(fields: &mut Fields<'_, '_>, transaction_id: Option<String>) -> Map<String, Value> {
    let mut custom = fields.object("custom").cloned().unwrap_or_default();
    for key in ELSEWHERE.iter().filter(|key| custom.contains_key(**key)) {
        fields.problem(&format!("custom/{key}"), format!("belongs beside `event`, as `{key}`"));
    }
    for key in NUMBERS {
        fields.number(&format!("custom/{key}"), custom.get_mut(*key));
    }
    if let Some(Value::Array(items)) = custom.get_mut("contents") {
        for (index, item) in items.iter_mut().enumerate() {
            for key in ITEM_NUMBERS {
                fields.number(&format!("custom/contents/{index}/{key}"), item.get_mut(*key));
            }
        }
    }
    match custom.get_mut("content_ids") {
        Some(Value::Array(ids)) => ids.iter_mut().for_each(number_as_text),
        Some(id) if as_text(id).is_some() => {
            number_as_text(id);
            *id = Value::Array(vec![id.take()]);
        }
        _ => {}
    }
    if let Some(order) = custom.get_mut("order_id") {
        number_as_text(order);
    } else if let Some(order) = transaction_id {
        custom.insert("order_id".to_owned(), Value::String(order));
    }
    custom
}

fn number_as_text(value: &mut Value) {
    if let Value::Number(number) = value {
        *value = Value::String(number.to_string());
    }
}
