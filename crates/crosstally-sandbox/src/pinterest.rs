//! Pinterest's API for Conversions, played: `POST /v5/ad_accounts/{id}/events`.
//!
//! Each event has a row of its own in the answer; with `?test=true` nothing is recorded.

use http::Uri;
use serde_json::{Map, Value, json};

use crate::edge::{Edge, Said, Token, Trouble, Verdicts, query, segment};
use crate::json::{Bounds, Checked, Part, Shape};
use crate::platform::Platform;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;
const BOUNDS: Bounds = Bounds { age_ms: 7 * DAY_MS, ahead_ms: 60_000 };

const NAMES: &[&str] = &[
    "add_payment_info",
    "add_to_cart",
    "add_to_wishlist",
    "app_install",
    "checkout",
    "custom",
    "initiate_checkout",
    "lead",
    "page_visit",
    "search",
    "signup",
    "subscribe",
    "view_category",
    "view_content",
    "watch_video",
];

/// The events edge.
pub(crate) struct Pinterest;

impl Edge for Pinterest {
    fn platform(&self) -> Platform {
        Platform::Pinterest
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
        segment(uri, 2)
    }

    fn test_code(&self, uri: &Uri, _main: &Map<String, Value>) -> Option<String> {
        query(uri, "test").filter(|test| test == "true").map(|test| test.into_owned())
    }

    fn tests_are_forgotten(&self) -> bool {
        true
    }

    fn check_main(&self, _main: &Map<String, Value>) -> Checked {
        Ok(())
    }

    fn names<'e>(&self, event: &'e Map<String, Value>) -> (Option<&'e str>, Option<&'e str>) {
        let text = |key: &str| event.get(key).and_then(Value::as_str);
        (text("event_name"), text("event_id"))
    }

    fn check(&self, event: &Map<String, Value>, _main: &Map<String, Value>, now_ms: i64) -> Checked {
        let event = Part::of(event);
        event.required("event_name", event.word("event_name", NAMES)?)?;
        event.time("event_time", 1000, now_ms, BOUNDS)?;
        event.required("event_id", event.text("event_id")?)?;
        let sources = ["app_android", "app_ios", "web", "offline"];
        event.required("action_source", event.word("action_source", &sources)?)?;
        event.web_address("event_source_url")?;
        event.flag("opt_out")?;
        let user = event.required("user_data", event.object("user_data")?)?;
        let mut known = false;
        for key in ["em", "hashed_maids"] {
            known |= user.hashes(key, Shape::List)?;
        }
        for key in ["ph", "ge", "db", "ln", "fn", "ct", "st", "zp", "country", "external_id"] {
            user.hashes(key, Shape::List)?;
        }
        user.plain("click_id")?;
        let browser =
            user.address("client_ip_address")?.is_some() && user.plain("client_user_agent")?.is_some();
        if !(known || browser) {
            return Err("user_data must have em, hashed_maids, or address and user agent".to_owned());
        }
        event.object("custom_data")?.map_or(Ok(()), money_and_goods)
    }

    fn all_or_nothing(&self, _main: &Map<String, Value>) -> bool {
        false
    }

    fn taken(&self, verdicts: &Verdicts, _main: &Map<String, Value>, _trace: &str) -> Said {
        let row = |verdict: &Checked| match verdict {
            Ok(()) => json!({"status": "processed", "error_message": "", "warning_message": ""}),
            Err(wrong) => json!({"status": "failed", "error_message": wrong, "warning_message": ""}),
        };
        let processed = verdicts.iter().filter(|verdict| verdict.is_ok()).count();
        let answer = json!({
            "num_events_received": verdicts.len(),
            "num_events_processed": processed,
            "events": verdicts.iter().map(row).collect::<Vec<_>>(),
        });
        if processed == verdicts.len() {
            return Said(200, answer);
        }
        Said(
            422,
            json!({"code": 4196, "message": "Not all events were processed successfully.", "details": answer}),
        )
    }

    fn trouble(&self, trouble: &Trouble, _trace: &str) -> Said {
        let (status, code, message) = match trouble {
            Trouble::Token => (401, 2, "Authentication failed."),
            Trouble::Permission => (403, 29, "You are not permitted to access that resource."),
            Trouble::Throttled => (429, 8, "This request exceeded a rate limit."),
            Trouble::Server(503) => (503, 4197, "The conversion events could not be processed."),
            Trouble::Server(status) => (*status, 0, "Something went wrong on our end."),
            Trouble::Bad(detail) => (400, 4196, detail.as_str()),
            Trouble::Nowhere => (404, 50, "Sorry! We could not find that ad account."),
            Trouble::Asked(status, _) => (*status, 1, "Asked for by a fault"),
        };
        let code = match trouble {
            Trouble::Asked(_, Some(code)) => *code,
            _ => code,
        };
        Said(status, json!({"code": code, "message": message}))
    }
}

fn money_and_goods(custom: Part<'_>) -> Checked {
    for key in ["value", "predicted_ltv"] {
        custom.amount_text(key)?;
    }
    custom.currency("currency")?;
    custom.integer("num_items")?;
    custom.word("opt_out_type", &["LDP"])?;
    for key in ["order_id", "search_string", "content_name", "content_category", "content_brand"] {
        custom.text(key)?;
    }
    for item in custom.objects("contents")? {
        item.required("id", item.text("id")?)?;
        item.amount_text("item_price")?;
        item.integer("quantity")?;
    }
    Ok(())
}
