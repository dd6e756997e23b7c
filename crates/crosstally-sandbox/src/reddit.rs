//! Reddit's Conversions API, played: `POST /api/v3/pixels/{id}/conversion_events`.
//!
//! It refuses keys that it does not know, and the whole batch for one bad event.

use http::Uri;
use serde_json::{Map, Value, json};

use crate::edge::{Edge, Said, Token, Trouble, Verdicts, main_text, segment};
use crate::json::{Bounds, Checked, Part, Shape};
use crate::platform::Platform;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;
const BOUNDS: Bounds = Bounds { age_ms: 7 * DAY_MS, ahead_ms: 5 * 60_000 };

const TYPES: &[&str] = &[
    "PAGE_VISIT",
    "VIEW_CONTENT",
    "SEARCH",
    "ADD_TO_CART",
    "ADD_TO_WISHLIST",
    "PURCHASE",
    "LEAD",
    "SIGN_UP",
    "CUSTOM",
];

/// The events edge.
pub(crate) struct Reddit;

impl Edge for Reddit {
    fn platform(&self) -> Platform {
        Platform::Reddit
    }

    fn token(&self) -> Token {
        Token::Bearer
    }

    fn list(&self) -> &'static [&'static str] {
        &["data", "events"]
    }

    fn events_max(&self) -> usize {
        1000
    }

    fn dataset(&self, uri: &Uri, _main: Option<&Map<String, Value>>) -> Option<String> {
        segment(uri, 3)
    }

    fn test_code(&self, _uri: &Uri, main: &Map<String, Value>) -> Option<String> {
        main_text(main, "test_id")
    }

    fn check_main(&self, main: &Map<String, Value>) -> Checked {
        Part::of(main).only(&["test_id", "partner", "partner_version"])
    }

    fn names<'e>(&self, event: &'e Map<String, Value>) -> (Option<&'e str>, Option<&'e str>) {
        let text = |part: &str, key: &str| event.get(part)?.get(key)?.as_str();
        let name = text("type", "custom_event_name").or_else(|| text("type", "tracking_type"));
        (name, text("metadata", "conversion_id"))
    }

    fn check(&self, event: &Map<String, Value>, _main: &Map<String, Value>, now_ms: i64) -> Checked {
        let event = Part::of(event);
        event.only(&[
            "event_at",
            "action_source",
            "event_source_url",
            "click_id",
            "type",
            "user",
            "metadata",
        ])?;
        event.time("event_at", 1, now_ms, BOUNDS)?;
        let sources = ["WEBSITE", "APP", "PHYSICAL_STORE", "OTHER"];
        event.required("action_source", event.word("action_source", &sources)?)?;
        event.web_address("event_source_url")?;
        let kind = event.required("type", event.object("type")?)?;
        kind.only(&["tracking_type", "custom_event_name"])?;
        let own = kind.text("custom_event_name")?;
        match kind.required("tracking_type", kind.word("tracking_type", TYPES)?)? {
            "CUSTOM" => drop(kind.required("custom_event_name", own)?),
            _ if own.is_some() => return kind.must("custom_event_name", "absent but with CUSTOM"),
            _ => {}
        }
        let clicked = event.plain("click_id")?.is_some();
        let known = event.object("user")?.map_or(Ok(false), person)?;
        if !(clicked || known) {
            return Err("an event needs a match key".to_owned());
        }
        event.object("metadata")?.map_or(Ok(()), metadata)
    }

    fn all_or_nothing(&self, _main: &Map<String, Value>) -> bool {
        true
    }

    fn taken(&self, verdicts: &Verdicts, _main: &Map<String, Value>, _trace: &str) -> Said {
        let wrong = |(index, verdict): (usize, &Checked)| {
            Some(json!({"index": index, "error_message": verdict.as_ref().err()?}))
        };
        let invalid: Vec<Value> = verdicts.iter().enumerate().filter_map(wrong).collect();
        if invalid.is_empty() {
            let message = format!("Successfully processed {} conversion events.", verdicts.len());
            return Said(200, json!({"data": {"message": message}}));
        }
        Said(400, json!({"error": {"code": 400, "message": "Invalid events", "invalid_events": invalid}}))
    }

    fn trouble(&self, trouble: &Trouble, _trace: &str) -> Said {
        let (status, message) = match trouble {
            Trouble::Token => (401, "Unauthorized"),
            Trouble::Permission => (403, "Forbidden"),
            Trouble::Throttled => (429, "Too Many Requests"),
            Trouble::Server(status) => (*status, "Internal Server Error"),
            Trouble::Bad(detail) => (400, detail.as_str()),
            Trouble::Nowhere => (404, "Not Found"),
            Trouble::Asked(status, _) => (*status, "Asked for by a fault"),
        };
        Said(status, json!({"error": {"code": status, "message": message}}))
    }
}

fn person(user: Part<'_>) -> Checked<bool> {
    let keys = [
        "email",
        "phone_number",
        "external_id",
        "ip_address",
        "idfa",
        "aaid",
        "user_agent",
        "uuid",
        "screen_dimensions",
        "data_processing_options",
    ];
    user.only(&keys)?;
    let mut known = false;
    // The platform takes them plain as well; the sandbox wants senders to hash.
    for key in ["email", "phone_number", "external_id", "ip_address", "idfa", "aaid"] {
        known |= user.hashes(key, Shape::One)?;
    }
    known |= user.plain("uuid")?.is_some();
    user.plain("user_agent")?;
    if let Some(options) = user.object("data_processing_options")? {
        options.only(&["modes", "country", "region"])?;
        options.text("country")?;
        options.text("region")?;
    }
    Ok(known)
}

fn metadata(metadata: Part<'_>) -> Checked {
    metadata.only(&["conversion_id", "value", "currency", "item_count", "products"])?;
    metadata.text("conversion_id")?;
    metadata.amount("value")?;
    metadata.currency("currency")?;
    metadata.integer("item_count")?;
    for product in metadata.objects("products")? {
        product.only(&["id", "name", "category"])?;
        product.required("id", product.text("id")?)?;
    }
    Ok(())
}
