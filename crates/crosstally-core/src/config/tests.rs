//! Tests of the configuration as a whole: what is refused and how, what prints and reads back, what a plan shows.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use super::*;

mod broken;
mod documents;
mod fraud;
mod guards;
mod paths;
mod plans;
mod preflights;
mod prints;
mod reads;
mod retention;
mod unknown_keys;
mod values;

/// A catalogue with a setting of every type.
struct Shelf;

const META: &[CatalogField] = &[
    field("dataset_id", FieldType::Text, true),
    field("access_token", FieldType::Secret, true),
    field("test_event_code", FieldType::Text, false),
    field("endpoint", FieldType::Url, false),
];

const POSTBACK: &[CatalogField] = &[
    field("url", FieldType::UrlTemplate, true),
    field("headers", FieldType::Map, false),
    field("events", FieldType::List, false),
    field("timeout_s", FieldType::Integer, false),
    field("strict", FieldType::Flag, false),
    field("secret", FieldType::Secret, false),
];

const fn field(name: &'static str, field_type: FieldType, required: bool) -> CatalogField {
    CatalogField { name, field_type, required, help: "what it is for" }
}

impl Catalog for Shelf {
    fn kinds(&self) -> Vec<&str> {
        vec!["meta", "postback"]
    }

    fn fields(&self, kind: &str) -> Option<Vec<CatalogField>> {
        match kind {
            "meta" => Some(META.to_vec()),
            "postback" => Some(POSTBACK.to_vec()),
            _ => None,
        }
    }

    fn check(&self, _kind: &str, settings: &BTreeMap<String, Setting>) -> Vec<(String, String)> {
        let mut found = Vec::new();
        match settings.get("dataset_id") {
            Some(Setting::Text(id)) if !id.bytes().all(|b| b.is_ascii_digit()) => {
                found.push(("dataset_id".into(), "is not a number; copy it from the platform".into()));
            }
            None if settings.contains_key("access_token") => {
                found.push(("dataset_id".into(), "is needed by the check too".into()));
            }
            _ => {}
        }
        match settings.get("timeout_s") {
            Some(Setting::Integer(1..)) | None => {}
            Some(_) => found.push(("timeout_s".into(), "is not above zero".into())),
        }
        found
    }
}

/// Reads a document that must be in order.
fn good(document: &str) -> Config {
    match read(document, "test.toml", &Shelf) {
        Ok((config, _)) => config,
        Err(problems) => panic!("{}", shown(&problems)),
    }
}

/// The problems of a document that must not be in order.
fn bad(document: &str) -> Vec<Problem> {
    read(document, "test.toml", &Shelf).expect_err(document)
}

/// The warnings of a document that must be in order.
fn warned(document: &str) -> Vec<String> {
    let warnings = read(document, "test.toml", &Shelf).unwrap().1;
    warnings.iter().map(ToString::to_string).collect()
}

fn shown(problems: &[Problem]) -> String {
    let lines: Vec<String> = problems
        .iter()
        .map(|found| {
            if found.path.is_empty() { found.to_string() } else { format!("{found}\n  path: {}", found.path) }
        })
        .collect();
    lines.join("\n")
}

/// A document that uses every key.
const FULL: &str = r#"
[workspace]
base_currency = "EUR"
timezone = "Europe/Berlin"
default_region = "DE"
consent_policy = { when_denied = "withhold" }

[[source]]
slug = "facebook"
preset = "meta"

[[source]]
slug = "mail"

[[campaign]]
slug = "summer"
source = "facebook"
target = "https://lander.example/p?cid={click_id}&s={sub1}"
cost_model = { kind = "cpc", amount = "0.25", currency = "USD" }
test = false

[[campaign]]
slug = "winter_2"
target = "https://lander.example/w?cid={click_id}"
cost_model = { kind = "cpc", amount = "1" }
test = true

[[partner]]
slug = "acme"
preset = "generic"
currency = "USD"
value = "revenue"
params = { click_id = "aff_sub", transaction_id = "order", payout = "sum" }
statuses = { "1" = "approved", "2" = "hold", Declined = "rejected" }
missing_status = "hold"
duplicates = "ignore"
auth = { token = { env = "ACME_TOKEN" }, hmac = { file = "/run/secrets/acme" }, allow = ["203.0.113.0/24", "2001:db8::1"] }

[[partner]]
slug = "plain"

[[destination]]
slug = "meta-main"
kind = "meta"
dataset_id = "1234567890"
access_token = { sealed = "v1.abc" }
test_event_code = "TEST123"
endpoint = "http://127.0.0.1:9100"
allow_private = true
consent_policy = { gpc = "ignore", when_denied = "limited" }

[[destination]]
slug = "net"
kind = "postback"
url = "https://net.example/pb?cid={click_id}&sum={value}"
headers = { "X-A" = "1", "X B" = "two \"quoted\"" }
events = ["a", "b"]
timeout_s = 10
strict = true
secret = { env = "NET_SECRET" }

[[goal]]
slug = "purchase"
role = "learning_signal"
when = "status == 'approved' && value > 0"
event_name = "Purchase"
send_to = ["meta-main", "net"]
delay = "48h"
event_id = "own"
send_value = "payout"
value_at = "approval"
expected = { within = "90d", at_least = 100, per = "campaign" }
action_source = "website"

[[goal]]
slug = "seen"
role = "funnel_fact"
when = "true"
"#;
