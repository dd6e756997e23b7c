//! Microsoft's UET Conversions API, played: `POST /v1/{tag}/events`.
//!
//! Without `continueOnValidationError` one bad event refuses all; with it the answer says which were wrong.

use http::Uri;
use serde_json::{Map, Value, json};

use crate::edge::{Edge, Said, Token, Trouble, Verdicts, segment};
use crate::json::{Bounds, Checked, Part, Shape};
use crate::platform::Platform;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;
const BOUNDS: Bounds = Bounds { age_ms: 7 * DAY_MS, ahead_ms: 60_000 };

/// The events edge.
pub(crate) struct Microsoft;

impl Edge for Microsoft {
    fn platform(&self) -> Platform {
        Platform::Microsoft
    }

    fn token(&self) -> Token {
        Token::Bearer
    }

    fn list(&self) -> &'static [&'static str] {
        &["data"]
    }

    fn events_max(&self) -> usize {
        1000
    }

    fn dataset(&self, uri: &Uri, _main: Option<&Map<String, Value>>) -> Option<String> {
        segment(uri, 1)
    }

    fn check_main(&self, main: &Map<String, Value>) -> Checked {
        let main = Part::of(main);
        main.text("dataProvider")?;
        main.flag("continueOnValidationError").map(drop)
    }

    fn names<'e>(&self, event: &'e Map<String, Value>) -> (Option<&'e str>, Option<&'e str>) {
        let text = |key: &str| event.get(key).and_then(Value::as_str);
        (text("eventName").or_else(|| text("eventType")), text("eventId"))
    }

    fn check(&self, event: &Map<String, Value>, _main: &Map<String, Value>, now_ms: i64) -> Checked {
        let event = Part::of(event);
        let kind = event.word("eventType", &["pageLoad", "custom"])?;
        let page = event.web_address("eventSourceUrl")?;
        let name = event.text("eventName")?;
        match event.required("eventType", kind)? {
            "pageLoad" => drop(event.required("eventSourceUrl", page)?),
            _ => drop(event.required("eventName", name)?),
        }
        event.text("eventId")?;
        event.time("eventTime", 1000, now_ms, BOUNDS)?;
        event.word("adStorageConsent", &["G", "D"])?;
        person(event.required("userData", event.object("userData")?)?)?;
        event.object("customData")?.map_or(Ok(()), money_and_goods)
    }

    fn all_or_nothing(&self, main: &Map<String, Value>) -> bool {
        main.get("continueOnValidationError") != Some(&Value::Bool(true))
    }

    fn taken(&self, verdicts: &Verdicts, main: &Map<String, Value>, trace: &str) -> Said {
        let detail = |(index, verdict): (usize, &Checked)| {
            let wrong = verdict.as_ref().err()?;
            Some(
                json!({"index": index, "errorMessage": wrong, "errorCode": "InvalidValue", "isWarning": false}),
            )
        };
        let details: Vec<Value> = verdicts.iter().enumerate().filter_map(detail).collect();
        if details.is_empty() {
            return Said(200, json!({"eventsReceived": verdicts.len(), "traceId": trace}));
        }
        let bad = details.len();
        let error =
            json!({"code": "ValidationError", "message": "Some events are not valid.", "details": details});
        if self.all_or_nothing(main) {
            return Said(400, json!({"eventsReceived": 0, "error": error, "traceId": trace}));
        }
        Said(200, json!({"eventsReceived": verdicts.len() - bad, "error": error, "traceId": trace}))
    }

    fn trouble(&self, trouble: &Trouble, trace: &str) -> Said {
        let (status, code, message) = match trouble {
            Trouble::Token => (401, "Unauthorized", "The token is not valid."),
            Trouble::Permission => (403, "Forbidden", "The token may not use this tag."),
            Trouble::Throttled => (429, "TooManyRequests", "Too many requests."),
            Trouble::Server(status) => (*status, "InternalError", "Something went wrong."),
            Trouble::Bad(detail) => (400, "BadRequest", detail.as_str()),
            Trouble::Nowhere => (404, "NotFound", "There is no such tag."),
            Trouble::Asked(status, _) => (*status, "AskedFor", "Asked for by a fault."),
        };
        Said(status, json!({"error": {"code": code, "message": message}, "traceId": trace}))
    }
}

fn person(user: Part<'_>) -> Checked {
    let mut known = false;
    for key in ["em", "ph"] {
        known |= user.hashes(key, Shape::One)?;
    }
    if let Some(id) = user.text("msclkid")? {
        let digits = id.bytes().filter(u8::is_ascii_hexdigit).count();
        if digits != 32 || !id.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-') {
            return user.must("msclkid", "32 hexadecimal digits");
        }
        known = true;
    }
    for key in ["anonymousId", "externalId", "gaid", "idfa"] {
        known |= user.text(key)?.is_some();
    }
    known |= user.address("clientIpAddress")?.is_some();
    user.plain("clientUserAgent")?;
    if known { Ok(()) } else { Err("userData holds nothing to match by".to_owned()) }
}

fn money_and_goods(custom: Part<'_>) -> Checked {
    custom.amount("value")?;
    custom.currency("currency")?;
    for key in ["transactionId", "searchTerm", "pageType", "eventCategory", "eventLabel"] {
        custom.text(key)?;
    }
    for item in custom.objects("items")? {
        item.text("id")?;
        item.text("name")?;
        item.amount("price")?;
        item.integer("quantity")?;
    }
    Ok(())
}
