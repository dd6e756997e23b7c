//! OpenAI's Conversions API, played: `POST /v1/events?pid={pixel}`.
//!
//! One bad event refuses all; with `validate_only` nothing is recorded. Keys that are not documented are refused.

use http::Uri;
use serde_json::{Map, Value, json};

use crate::edge::{Edge, Said, Token, Trouble, Verdicts, query};
use crate::json::{Bounds, Checked, Part, Shape};
use crate::platform::Platform;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;
const BOUNDS: Bounds = Bounds { age_ms: 7 * DAY_MS, ahead_ms: 10 * 60_000 };

/// The documented names and the shape of the data that goes with each.
const TYPES: &[(&str, &str)] = &[
    ("page_viewed", "contents"),
    ("contents_viewed", "contents"),
    ("items_added", "contents"),
    ("checkout_started", "contents"),
    ("order_created", "contents"),
    ("lead_created", "customer_action"),
    ("registration_completed", "customer_action"),
    ("appointment_scheduled", "customer_action"),
    ("subscription_created", "plan_enrollment"),
    ("trial_started", "plan_enrollment"),
    ("custom", "custom"),
];

/// The events edge.
pub(crate) struct Openai;

impl Edge for Openai {
    fn platform(&self) -> Platform {
        Platform::Openai
    }

    fn token(&self) -> Token {
        Token::Bearer
    }

    fn list(&self) -> &'static [&'static str] {
        &["events"]
    }

    fn events_max(&self) -> usize {
        1000
    }

    fn dataset(&self, uri: &Uri, _main: Option<&Map<String, Value>>) -> Option<String> {
        query(uri, "pid").map(|pid| pid.into_owned())
    }

    fn validation_flag(&self) -> Option<&'static str> {
        Some("validate_only")
    }

    fn check_main(&self, main: &Map<String, Value>) -> Checked {
        let main = Part::of(main);
        main.only(&["validate_only", "integration_source"])?;
        main.flag("validate_only").map(drop)
    }

    fn names<'e>(&self, event: &'e Map<String, Value>) -> (Option<&'e str>, Option<&'e str>) {
        let text = |key: &str| event.get(key).and_then(Value::as_str);
        (text("custom_event_name").or_else(|| text("type")), text("id"))
    }

    fn check(&self, event: &Map<String, Value>, _main: &Map<String, Value>, now_ms: i64) -> Checked {
        let event = Part::of(event);
        event.only(&[
            "id",
            "type",
            "custom_event_name",
            "timestamp_ms",
            "oppref",
            "source_url",
            "action_source",
            "opt_out",
            "user",
            "data",
        ])?;
        event.required("id", event.text("id")?)?;
        event.time("timestamp_ms", 1, now_ms, BOUNDS)?;
        let kind = event.required("type", event.text("type")?)?;
        let Some((_, shape)) = TYPES.iter().find(|(name, _)| *name == kind) else {
            return event.must("type", "a documented name or custom");
        };
        let own = event.text("custom_event_name")?;
        if own.is_some() != (kind == "custom") {
            return event.must("custom_event_name", "there with custom and nowhere else");
        }
        let sources = ["web", "mobile_app", "offline", "physical_store", "phone_call", "email", "other"];
        let source = event.required("action_source", event.word("action_source", &sources)?)?;
        let page = event.web_address("source_url")?;
        if source == "web" {
            event.required("source_url", page)?;
        }
        event.plain("oppref")?;
        event.flag("opt_out")?;
        event.object("user")?.map_or(Ok(()), person)?;
        let data = event.required("data", event.object("data")?)?;
        data.required("type", data.word("type", &[shape])?)?;
        money_and_goods(data, shape)
    }

    fn all_or_nothing(&self, _main: &Map<String, Value>) -> bool {
        true
    }

    fn taken(&self, verdicts: &Verdicts, _main: &Map<String, Value>, trace: &str) -> Said {
        match verdicts.iter().enumerate().find_map(|(index, verdict)| Some((index, verdict.as_ref().err()?)))
        {
            None => Said(200, json!({"accepted": verdicts.len(), "request_id": trace})),
            Some((index, wrong)) => error(400, &format!("events[{index}]: {wrong}"), trace),
        }
    }

    fn trouble(&self, trouble: &Trouble, trace: &str) -> Said {
        match trouble {
            Trouble::Token => error(401, "Unauthorized: the key is not valid", trace),
            Trouble::Permission => error(403, "The key may not use this pixel", trace),
            Trouble::Throttled => error(429, "Too many requests", trace),
            Trouble::Server(status) => error(*status, "Internal error", trace),
            Trouble::Bad(detail) => error(400, detail, trace),
            Trouble::Nowhere => error(404, "No such pixel", trace),
            Trouble::Asked(status, _) => error(*status, "Asked for by a fault", trace),
        }
    }
}

fn error(status: u16, message: &str, trace: &str) -> Said {
    Said(status, json!({"error": {"message": message, "type": "invalid_request_error"}, "request_id": trace}))
}

fn person(user: Part<'_>) -> Checked {
    user.only(&[
        "email_sha256",
        "external_id_sha256",
        "country",
        "city",
        "zip_code",
        "ip_address",
        "user_agent",
    ])?;
    for key in ["email_sha256", "external_id_sha256"] {
        user.hashes(key, Shape::One)?;
    }
    user.address("ip_address")?;
    user.plain("user_agent").map(drop)
}

fn money_and_goods(data: Part<'_>, shape: &str) -> Checked {
    match shape {
        "contents" => data.only(&["type", "amount", "currency", "contents"])?,
        "plan_enrollment" => data.only(&["type", "amount", "currency", "plan_id"])?,
        _ => return data.only(&["type"]),
    }
    money(data)?;
    for item in data.objects("contents")? {
        item.only(&["id", "name", "content_type", "quantity", "amount", "currency"])?;
        item.text("id")?;
        item.integer("quantity")?;
        money(item)?;
    }
    Ok(())
}

fn money(part: Part<'_>) -> Checked {
    let currency = part.currency("currency")?;
    match part.integer("amount")? {
        Some(amount) if amount < 0 => part.must("amount", "0 or more"),
        Some(_) => part.required("currency", currency).map(drop),
        None => Ok(()),
    }
}
