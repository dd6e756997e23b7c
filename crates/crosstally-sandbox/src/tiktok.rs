//! TikTok's Events API, played: `POST /open_api/v1.3/event/track/`.
//!
//! The status is 200 for nearly everything; the verdict is `code`. A batch with bad events among good ones is taken in
//! part, and answered 20001. TikTok does not publish how it names the bad ones; here `data.failed` does.

use http::Uri;
use serde_json::{Map, Value, json};

use crate::edge::{Edge, Said, Token, Trouble, Verdicts, main_text};
use crate::json::{Bounds, Checked, Part, Shape};
use crate::platform::Platform;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;
const WEB: Bounds = Bounds { age_ms: 7 * DAY_MS, ahead_ms: 60_000 };
const OFFLINE: Bounds = Bounds { age_ms: 28 * DAY_MS, ahead_ms: 60_000 };

/// The events edge.
pub(crate) struct Tiktok;

impl Edge for Tiktok {
    fn platform(&self) -> Platform {
        Platform::Tiktok
    }

    fn token(&self) -> Token {
        Token::Header("access-token")
    }

    fn list(&self) -> &'static [&'static str] {
        &["data"]
    }

    fn events_max(&self) -> usize {
        1000
    }

    fn dataset(&self, _uri: &Uri, main: Option<&Map<String, Value>>) -> Option<String> {
        main_text(main?, "event_source_id")
    }

    fn test_code(&self, _uri: &Uri, main: &Map<String, Value>) -> Option<String> {
        main_text(main, "test_event_code")
    }

    fn check_main(&self, main: &Map<String, Value>) -> Checked {
        let main = Part::of(main);
        main.required("event_source", main.word("event_source", &["web", "app", "offline", "crm"])?)?;
        main.required("event_source_id", main.text("event_source_id")?).map(drop)
    }

    fn names<'e>(&self, event: &'e Map<String, Value>) -> (Option<&'e str>, Option<&'e str>) {
        let text = |key: &str| event.get(key).and_then(Value::as_str);
        (text("event"), text("event_id"))
    }

    fn check(&self, event: &Map<String, Value>, main: &Map<String, Value>, now_ms: i64) -> Checked {
        let source = main_text(main, "event_source").unwrap_or_default();
        let event = Part::of(event);
        event.required("event", event.text("event")?)?;
        let bounds = if source == "web" { WEB } else { OFFLINE };
        event.time("event_time", 1000, now_ms, bounds)?;
        event.flag("limited_data_use")?;
        let user = event.required("user", event.object("user")?)?;
        person(user)?;
        if source == "web" {
            let page = event.required("page", event.object("page")?)?;
            page.required("url", page.web_address("url")?)?;
        }
        match event.object("properties")? {
            Some(properties) => money_and_goods(properties),
            None => Ok(()),
        }
    }

    fn all_or_nothing(&self, _main: &Map<String, Value>) -> bool {
        false
    }

    fn taken(&self, verdicts: &Verdicts, _main: &Map<String, Value>, trace: &str) -> Said {
        let failed: Vec<Value> = verdicts
            .iter()
            .enumerate()
            .filter_map(|(index, verdict)| Some(json!({"index": index, "message": verdict.as_ref().err()?})))
            .collect();
        let (code, message) = match failed.len() {
            0 => (0, "OK"),
            bad if bad < verdicts.len() => (20_001, "Part of the batch failed"),
            _ => (40_002, "Invalid parameters"),
        };
        answer(200, code, message, json!({"failed": failed}), trace)
    }

    fn trouble(&self, trouble: &Trouble, trace: &str) -> Said {
        let (status, code, message) = match trouble {
            Trouble::Token => (200, 40_105, "Access token is incorrect or has been revoked"),
            Trouble::Permission => (200, 40_001, "No permission to operate this pixel"),
            Trouble::Throttled => (200, 40_100, "Too many requests. Please retry in some time."),
            Trouble::Server(status) => (*status, 50_000, "System error"),
            Trouble::Bad(detail) => (200, 40_002, detail.as_str()),
            Trouble::Nowhere => (200, 40_002, "event_source_id does not exist"),
            Trouble::Asked(status, code) => {
                let own = match status {
                    401 => 40_105,
                    403 => 40_001,
                    429 => 40_100,
                    500.. => 50_000,
                    _ => 40_002,
                };
                (*status, code.unwrap_or(own), "Asked for by a fault")
            }
        };
        answer(status, code, message, json!({}), trace)
    }
}

fn answer(status: u16, code: i64, message: &str, data: Value, trace: &str) -> Said {
    Said(status, json!({"code": code, "message": message, "request_id": trace, "data": data}))
}

fn person(user: Part<'_>) -> Checked {
    let mut known = false;
    for key in ["email", "phone", "external_id"] {
        known |= user.hashes(key, Shape::Either)?;
    }
    for key in ["first_name", "last_name", "zip_code"] {
        user.hashes(key, Shape::One)?;
    }
    for key in ["ttclid", "ttp"] {
        known |= user.plain(key)?.is_some();
    }
    let address = user.address("ip")?.is_some();
    let agent = user.plain("user_agent")?.is_some();
    if known || (address && agent) { Ok(()) } else { Err("user holds nothing to match by".to_owned()) }
}

fn money_and_goods(properties: Part<'_>) -> Checked {
    let value = properties.amount("value")?;
    let currency = properties.currency("currency")?;
    if value.is_some() != currency.is_some() {
        return Err("properties.value and properties.currency belong together".to_owned());
    }
    properties.word("content_type", &["product", "product_group"])?;
    properties.integer("num_items")?;
    for item in properties.objects("contents")? {
        item.required("content_id", item.text("content_id")?)?;
        item.amount("price")?;
        item.integer("quantity")?;
        for key in ["content_name", "content_category", "brand"] {
            item.text(key)?;
        }
    }
    for key in ["order_id", "query", "search_string", "description", "status"] {
        properties.text(key)?;
    }
    Ok(())
}
