//! `custom_data`: the money and the standard keys. Keys of the sender's own are free.

use crosstally_core::event::OutboundEvent;
use crosstally_core::money::Currency;
use serde_json::{Map, Value};

use super::field::{Kind, check_fields};
use super::{Refused, SEGMENTS};

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

/// The value as JSON digits, and the currency's code.
pub(super) fn money(event: &OutboundEvent) -> Result<(Option<&str>, Option<&'static str>), Refused> {
    let value = event.value.as_deref();
    if value.is_some_and(|text| text.starts_with('-')) {
        return Err(Refused::incomplete("value must be 0 or more; Meta has no refunds"));
    }
    if value.is_some_and(|text| !is_json_decimal(text)) {
        return Err(Refused::incomplete("value must be a plain decimal such as 12.34"));
    }
    let currency = match event.currency.as_deref().map(str::parse::<Currency>) {
        None => None,
        Some(Ok(currency)) => Some(currency.code()),
        Some(Err(_)) => return Err(Refused::incomplete("currency must be an ISO 4217 code")),
    };
    let purchase = event.event_name == "Purchase";
    for (missing, name) in [(value.is_none(), "value"), (currency.is_none(), "currency")] {
        if purchase && missing {
            return Err(Refused::incomplete(format!("{name} is required for a Purchase")));
        }
    }
    Ok((value, currency))
}

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

/// Whether a text is a decimal that JSON takes as a number: `0.50`, not `.5`, `00.5` or `5.`.
fn is_json_decimal(text: &str) -> bool {
    let (whole, fraction) = text.split_once('.').map_or((text, None), |(w, f)| (w, Some(f)));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    digits(whole) && (whole == "0" || !whole.starts_with('0')) && fraction.is_none_or(digits)
}
