//! `custom_data`: the standard keys. Keys of the sender's own are free.

use serde_json::{Map, Value};

use super::SEGMENTS;
use crate::field::{Kind, check_fields};
use crate::refused::Refused;

const DELIVERY: &[&str] = &["in_store", "curbside", "home_delivery"];

const STANDARD: &[(&str, Kind)] = &[
    ("content_ids", Kind::Texts),
    ("content_name", Kind::Text),
    ("content_category", Kind::Text),
    ("content_type", Kind::Word(&["product", "product_group"])),
    ("search_string", Kind::Text),
    ("status", Kind::Text),
    ("order_id", Kind::Text),
    ("item_number", Kind::Text),
    ("num_items", Kind::Count),
    ("predicted_ltv", Kind::Number),
    ("net_revenue", Kind::Number),
    ("delivery_category", Kind::Word(DELIVERY)),
    ("lead_event_source", Kind::Text),
    ("event_source", Kind::Text),
    ("customer_segmentation", Kind::Word(SEGMENTS)),
];

const ITEM: &[(&str, Kind)] = &[
    ("id", Kind::Id),
    ("quantity", Kind::Quantity),
    ("item_price", Kind::Amount),
    ("delivery_category", Kind::Word(DELIVERY)),
    ("title", Kind::Text),
    ("brand", Kind::Text),
    ("category", Kind::Text),
    ("description", Kind::Text),
];

/// All other keys.
pub(super) fn check(custom: &Map<String, Value>) -> Result<(), Refused> {
    for key in ["value", "currency"] {
        if custom.contains_key(key) {
            return Err(Refused::incomplete(format!(
                "custom.{key} stands in the way of the event's own {key}; give it once, beside the event's name"
            )));
        }
    }
    check_fields(custom, STANDARD).map_err(|wrong| Refused::incomplete(format!("custom_data.{wrong}")))?;
    match custom.get("contents") {
        None | Some(Value::Null) => Ok(()),
        Some(Value::Array(items)) => {
            items.iter().enumerate().try_for_each(|(index, item)| content_item(index, item))
        }
        Some(_) => Err(Refused::incomplete("custom_data.contents must be a list of objects")),
    }
}

fn content_item(index: usize, item: &Value) -> Result<(), Refused> {
    let refuse = |wrong: &str| Refused::incomplete(format!("custom_data.contents[{index}]{wrong}"));
    let Value::Object(item) = item else { return Err(refuse(" must be an object")) };
    for key in ["id", "quantity"] {
        if item.get(key).is_none_or(Value::is_null) {
            return Err(refuse(&format!(".{key} is required")));
        }
    }
    check_fields(item, ITEM).map_err(|wrong| refuse(&format!(".{wrong}")))
}
