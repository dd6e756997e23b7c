//! `custom_data`: money and the standard keys. Keys of the sender's own are free.

use iso_currency::Currency;
use serde_json::Value;

use super::part::{Part, is_negative};
use crate::meta::rule::{Broken, Rule};

const DELIVERY: &[&str] = &["in_store", "curbside", "home_delivery"];
const CONTENT_TYPES: &[&str] = &["product", "product_group"];

const TEXTS: &[&str] = &[
    "content_name",
    "content_category",
    "search_string",
    "status",
    "order_id",
    "item_number",
    "lead_event_source",
    "event_source",
];

/// The rule of a Purchase, and that money is well formed wherever it stands.
pub(crate) fn money(event_name: &str, custom: Option<&Part<'_>>) -> Result<(), Broken> {
    let purchase = event_name == "Purchase";
    let rule = if purchase { Rule::PurchaseMoney } else { Rule::Malformed };
    let missing = |key: &str| Err(Broken::new(rule, format!("a Purchase needs custom_data.{key}")));
    let value = match custom.map(|custom| custom.number("value")) {
        None => None,
        Some(value) => value.map_err(|broken| Broken::new(rule, broken.detail))?,
    };
    match value {
        Some(value) if is_negative(value) => {
            return Err(Broken::new(rule, "custom_data.value must be 0 or more"));
        }
        None if purchase => return missing("value"),
        _ => {}
    }
    match custom.map(|custom| custom.text("currency")).transpose()?.flatten() {
        None | Some("") if purchase => missing("currency"),
        None => Ok(()),
        Some(code) if Currency::from_code(&code.to_ascii_uppercase()).is_some() => Ok(()),
        Some(_) => {
            let rule = if purchase { Rule::PurchaseCurrency } else { Rule::Malformed };
            Err(Broken::new(rule, "custom_data.currency must be an ISO 4217 code"))
        }
    }
}

/// All other standard keys.
pub(crate) fn check(custom: &Part<'_>) -> Result<(), Broken> {
    for key in TEXTS {
        custom.text(key)?;
    }
    custom.word("content_type", CONTENT_TYPES)?;
    custom.word("delivery_category", DELIVERY)?;
    custom.number("predicted_ltv")?;
    custom.number("net_revenue")?;
    if custom.integer("num_items")?.is_some_and(|count| count < 0) {
        return Err(Broken::new(Rule::Malformed, "custom_data.num_items must be 0 or more"));
    }
    match custom.get("content_ids") {
        None => {}
        Some(Value::Array(ids)) if ids.iter().all(Value::is_string) => {}
        Some(_) => {
            return Err(Broken::new(Rule::Malformed, "custom_data.content_ids must be a list of strings"));
        }
    }
    match custom.get("contents") {
        None => Ok(()),
        Some(Value::Array(items)) => items.iter().try_for_each(content_item),
        Some(_) => Err(Broken::new(Rule::Malformed, "custom_data.contents must be a list of objects")),
    }
}

fn content_item(item: &Value) -> Result<(), Broken> {
    let Value::Object(item) = item else {
        return Err(Broken::new(Rule::Malformed, "custom_data.contents must be a list of objects"));
    };
    let item = Part::new("custom_data.contents[]", item);
    let incomplete = |detail: &str| Err(Broken::new(Rule::ContentItem, detail));
    if item.text_or_integer("id")?.is_none_or(str::is_empty) {
        return incomplete("each item of custom_data.contents needs an id");
    }
    match item.integer("quantity")? {
        Some(quantity) if quantity > 0 => {}
        _ => return incomplete("each item of custom_data.contents needs a quantity of 1 or more"),
    }
    if item.number("item_price")?.is_some_and(is_negative) {
        return Err(Broken::new(Rule::Malformed, "custom_data.contents[].item_price must be 0 or more"));
    }
    item.word("delivery_category", DELIVERY)?;
    for key in ["title", "brand", "category", "description"] {
        item.text(key)?;
    }
    Ok(())
}
