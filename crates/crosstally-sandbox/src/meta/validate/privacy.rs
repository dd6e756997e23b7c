//! Limited Data Use: the option, the country and the state stand together or not at all.

use serde_json::Value;

use super::part::Part;
use crate::meta::rule::{Broken, Rule};

/// 0 lets Meta look the state up; the others are US states with a law of their own.
const FIRST_STATE: i64 = 1000;
const LAST_STATE: i64 = 1013;

/// Checks the three keys. Without country and state Meta looks them up by the address, so there must be one.
pub(crate) fn check(root: &Part<'_>, has_address: bool) -> Result<(), Broken> {
    let refuse = |detail: &str| Err(Broken::new(Rule::Privacy, detail));
    let limited = match root.get("data_processing_options") {
        None => None,
        Some(Value::Array(options)) => match options.as_slice() {
            [] => Some(false),
            [Value::String(option)] if option == "LDU" => Some(true),
            _ => return refuse("data_processing_options must be [] or [\"LDU\"]"),
        },
        Some(_) => return refuse("data_processing_options must be [] or [\"LDU\"]"),
    };
    let country = root.integer("data_processing_options_country")?;
    let state = root.integer("data_processing_options_state")?;
    match (country, state) {
        (None, None) => {
            if limited == Some(true) && !has_address {
                return refuse(
                    "LDU needs data_processing_options_country and _state, or a client_ip_address",
                );
            }
            Ok(())
        }
        (Some(_), Some(_)) if limited.is_none() => {
            refuse("data_processing_options_country and _state need data_processing_options")
        }
        (Some(country), _) if !matches!(country, 0 | 1) => {
            refuse("data_processing_options_country must be 0 or 1")
        }
        (_, Some(state)) if state != 0 && !(FIRST_STATE..=LAST_STATE).contains(&state) => {
            refuse("data_processing_options_state must be 0 or 1000 to 1013")
        }
        (Some(_), Some(_)) => Ok(()),
        _ => refuse("data_processing_options_country and _state must be given together"),
    }
}
