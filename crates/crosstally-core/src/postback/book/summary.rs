//! What is kept of what was read, and told to people.

use serde_json::{Map, Value};

use crate::postback::{ClickRef, Postback};

/// What a receipt says was read out of the call, without personal data.
#[must_use]
pub fn read_summary(postback: &Postback) -> Map<String, Value> {
    let mut read = Map::new();
    let mut put = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            read.insert(name.into(), Value::String(value));
        }
    };
    let amount = |minor: Option<i64>| minor.map(|minor| postback.currency.format_minor(minor));
    put(
        "click_id",
        match &postback.click {
            ClickRef::None => None,
            ClickRef::Ours(id) => Some(id.to_string()),
            ClickRef::Foreign { value, .. } => Some(value.clone()),
        },
    );
    put("transaction_id", postback.transaction_id.clone());
    put("status", Some(postback.status.as_str().into()));
    put("status_word", Some(postback.status_word.clone()).filter(|word| !word.is_empty()));
    put("payout", amount(postback.amounts.payout));
    put("revenue", amount(postback.amounts.revenue));
    put("value", amount(postback.amounts.value));
    put("currency", Some(postback.currency.code().into()));
    put("event", postback.event.clone());
    put("event_time", postback.event_time.map(|at| at.to_string()));
    put("event_id", postback.event_id.clone());
    put("external_id", postback.external_id.clone());
    read
}
