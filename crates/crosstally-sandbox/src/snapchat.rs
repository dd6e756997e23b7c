//! Snapchat's Conversions API, played: `POST /v3/{asset}/events`.
//!
//! The specification gives one list of errors for the whole call, so one bad event refuses all of them here.

use http::Uri;
use serde_json::{Map, Value, json};

use crate::edge::{Edge, Said, Token, Trouble, Verdicts, main_text, segment};
use crate::json::{Bounds, Checked, Part, Shape};
use crate::platform::Platform;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;
const BOUNDS: Bounds = Bounds { age_ms: 37 * DAY_MS, ahead_ms: 60_000 };

const NAMES: &[&str] = &[
    "PURCHASE",
    "ADD_CART",
    "SIGN_UP",
    "PAGE_VIEW",
    "VIEW_CONTENT",
    "START_CHECKOUT",
    "ADD_BILLING",
    "SEARCH",
    "SUBSCRIBE",
    "LIST_VIEW",
    "ADD_TO_WISHLIST",
    "START_TRIAL",
    "COMPLETE_TUTORIAL",
    "SPENT_CREDITS",
    "AD_CLICK",
    "AD_VIEW",
    "RATE",
    "LEVEL_COMPLETE",
    "ACHIEVEMENT_UNLOCKED",
    "SAVE",
    "SHARE",
    "INVITE",
    "LOGIN",
    "RESERVE",
    "CUSTOM_EVENT_1",
    "CUSTOM_EVENT_2",
    "CUSTOM_EVENT_3",
    "CUSTOM_EVENT_4",
    "CUSTOM_EVENT_5",
];

/// The events edge.
pub(crate) struct Snapchat;

impl Edge for Snapchat {
    fn platform(&self) -> Platform {
        Platform::Snapchat
    }

    fn token(&self) -> Token {
        Token::Query("access_token")
    }

    fn list(&self) -> &'static [&'static str] {
        &["data"]
    }

    fn events_max(&self) -> usize {
        2000
    }

    fn dataset(&self, uri: &Uri, _main: Option<&Map<String, Value>>) -> Option<String> {
        segment(uri, 1)
    }

    fn test_code(&self, _uri: &Uri, main: &Map<String, Value>) -> Option<String> {
        main_text(main, "test_event_code")
    }

    fn check_main(&self, main: &Map<String, Value>) -> Checked {
        Part::of(main).text("test_event_code").map(drop)
    }

    fn names<'e>(&self, event: &'e Map<String, Value>) -> (Option<&'e str>, Option<&'e str>) {
        let text = |key: &str| event.get(key).and_then(Value::as_str);
        (text("event_name"), text("event_id"))
    }

    fn check(&self, event: &Map<String, Value>, _main: &Map<String, Value>, now_ms: i64) -> Checked {
        let event = Part::of(event);
        let name = event.required("event_name", event.word("event_name", NAMES)?)?;
        event.time("event_time", 1000, now_ms, BOUNDS)?;
        let sources = ["WEB", "MOBILE_APP", "OFFLINE", "website", "app"];
        let source = event.required("action_source", event.word("action_source", &sources)?)?;
        let page = event.web_address("event_source_url")?;
        match source {
            "WEB" | "website" => drop(event.required("event_source_url", page)?),
            "MOBILE_APP" | "app" => drop(event.required("app_data", event.object("app_data")?)?),
            _ => {}
        }
        event.flag("opt_out")?;
        person(event.required("user_data", event.object("user_data")?)?)?;
        money_and_goods(&event, name)
    }

    fn all_or_nothing(&self, _main: &Map<String, Value>) -> bool {
        true
    }

    fn taken(&self, verdicts: &Verdicts, _main: &Map<String, Value>, _trace: &str) -> Said {
        let wrong = verdicts.iter().filter_map(|verdict| verdict.as_ref().err());
        let wrong: Vec<&str> = wrong.map(String::as_str).collect();
        if wrong.is_empty() {
            let reason = format!("Events have been processed successfully: {}", verdicts.len());
            return Said(200, json!({"status": "VALID", "reason": reason}));
        }
        invalid(400, "Invalid events", &wrong)
    }

    fn trouble(&self, trouble: &Trouble, _trace: &str) -> Said {
        match trouble {
            Trouble::Token => invalid(401, "Unauthorized", &["the token is not valid"]),
            Trouble::Permission => invalid(403, "Forbidden", &["the token may not use this asset"]),
            Trouble::Throttled => invalid(429, "Too many requests", &[]),
            Trouble::Server(status) => invalid(*status, "Internal error", &[]),
            Trouble::Bad(detail) => invalid(400, "Invalid request", &[detail.as_str()]),
            Trouble::Nowhere => invalid(404, "No such asset", &[]),
            Trouble::Asked(status, _) => invalid(*status, "Asked for by a fault", &[]),
        }
    }
}

fn invalid(status: u16, reason: &str, errors: &[&str]) -> Said {
    let codes: Vec<&str> = errors.iter().map(|_| "INVALID_DATA").collect();
    Said(
        status,
        json!({"status": "INVALID", "reason": reason, "errors": {"codes": codes, "error_msgs": errors}}),
    )
}

fn person(user: Part<'_>) -> Checked {
    let mut known = false;
    for key in ["em", "ph"] {
        known |= user.hashes(key, Shape::Either)?;
    }
    for key in ["fn", "ln", "ge", "db", "ct", "st", "zp", "country", "external_id"] {
        user.hashes(key, Shape::Either)?;
    }
    for key in ["sc_click_id", "sc_cookie1", "idfv"] {
        user.plain(key)?;
    }
    known |= user.plain("madid")?.is_some();
    let browser = user.address("client_ip_address")?.is_some() && user.plain("client_user_agent")?.is_some();
    if known || browser { Ok(()) } else { Err("user_data holds nothing to match by".to_owned()) }
}

fn money_and_goods(event: &Part<'_>, name: &str) -> Checked {
    let Some(custom) = event.object("custom_data")? else {
        return if name == "PURCHASE" {
            Err("custom_data is required for PURCHASE".to_owned())
        } else {
            Ok(())
        };
    };
    let value = custom.amount("value")?;
    let currency = custom.currency("currency")?;
    if name == "PURCHASE" {
        custom.required("value", value)?;
        custom.required("currency", currency)?;
    }
    custom.integer("num_items")?;
    for key in ["order_id", "search_string", "sign_up_method", "content_category", "content_type", "status"] {
        custom.text(key)?;
    }
    for item in custom.objects("contents")? {
        item.required("id", item.text("id")?)?;
        item.amount_text("quantity")?;
        item.amount_text("item_price")?;
    }
    Ok(())
}
