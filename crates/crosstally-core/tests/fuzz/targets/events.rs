//! Server events: read or refused with a place, money that can be booked, and contact values nowhere but in hashes.

use crosstally_core::config::preset;
use crosstally_core::event::server_event::{self, PROBLEMS_MAX, ServerDefaults};
use crosstally_core::money::MINOR_MAX;
use crosstally_core::postback::server_event as step;
use crosstally_core::reason::Reason;
use serde_json::Value;

use crate::input::Input;
use crate::{partners, samples};

pub(super) const WORDS: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    "null",
    "true",
    "1e3",
    "12.34",
    "\"12.34\"",
    "-1",
    "\"event\":\"Purchase\"",
    "\"value\":",
    "\"payout\":",
    "\"currency\":\"USD\"",
    "\"user\":{",
    "\"email\":",
    "\"phone\":\"+16505551212\"",
    "\"custom\":{",
    "\"contents\":[{",
    "\"event_time\":",
    "\"2026-11-21T09:00:00Z\"",
    "1795255100",
    "\"status\":\"approved\"",
    "\"click_id\":",
    "\"transaction_id\":\"t\"",
    "\"data_processing_options\":[\"LDU\"]",
    "\"birthdate\":\"1990-01-02\"",
    "\"event_source_url\":\"https://shop.example/x?email=a\"",
    "\\u0000",
    "\"\":",
    "\"__proto__\":",
];

/// A contact value that is planted in each event.
const PLANTED: &str = "Kanarie7f3a91";

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let mut seeds: Vec<Vec<u8>> = [
        r#"0{"event":"Purchase","transaction_id":"t1","value":"12.34","currency":"USD","user":{"email":"a@b.example"}}"#,
        r#"1{"event":"Purchase","event_time":"2026-11-21T09:00:00Z","event_id":"e-1","click_id":"c-1","transaction_id":"T-1","status":"approved","value":12.34,"currency":"usd","external_id":"U 1","action_source":"website","event_source_url":"https://shop.example/thanks?id=7#top","referrer_url":"https://shop.example/","opt_out":false,"data_processing_options":["LDU"],"data_processing_options_country":1,"data_processing_options_state":1000,"user":{"email":["A@b.example","c@d.example"],"phone":["+1 650 555 1212"],"first_name":"Ann","last_name":"B","gender":"f","birthdate":"1990-01-02","city":"Rome","state":"CA","zip":94035,"country":"US","client_ip_address":"2001:db8::1","client_user_agent":"UA/1.0 (x)","fbc":"fb.1.1764198000000.AbC","fbp":"fb.1.1764190000000.12","lead_id":1234567890123456,"subscription_id":"s"},"custom":{"content_ids":["sku-1",7],"contents":[{"id":"sku-1","quantity":"1","item_price":"12.340"}],"num_items":"1","net_revenue":4.5,"own":null},"original_event_data":{"event_name":"Lead","event_time":"2026-11-20T00:00:00Z","order_id":null},"attribution_data":{"ad_id":"1","touchpoint_ts":1795255100000},"messaging_channel":"whatsapp"}"#,
        r#"2{"event":"Lead","payout":"5","revenue":"10.5","currency":"JPY","status":"rejected"}"#,
    ]
    .map(|seed| seed.as_bytes().to_vec())
    .to_vec();
    let bodies = samples::ALL.iter().map(|sample| sample.body.trim()).filter(|body| body.starts_with('{'));
    seeds.extend(bodies.step_by(4).map(|body| [b"0", body.as_bytes()].concat()));
    seeds
}

pub(super) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let key =
        *input.pick(&["email", "phone", "first_name", "last_name", "city", "zip", "birthdate", "state"]);
    let json = input.rest();
    check_read(json);
    check_postback(json);
    let planted = plant(json, key);
    if let Ok(postback) = step::postback(&planted, partners::setting(partners::of(preset::generic()))) {
        assert!(!has_planted(&format!("{postback:?}")), "{postback:?}");
    }
    if let Err(problems) = server_event::read(&planted, defaults()) {
        assert!(!has_planted(&format!("{problems:?}")), "{problems:?}");
    }
}

const fn defaults() -> ServerDefaults<'static> {
    ServerDefaults { default_region: Some("US"), now: partners::NOW }
}

fn has_planted(text: &str) -> bool {
    text.to_ascii_lowercase().contains(&PLANTED.to_ascii_lowercase())
}

/// Puts a contact value into the event's `user`.
fn plant(json: &[u8], key: &str) -> Vec<u8> {
    let Ok(Value::Object(mut event)) = serde_json::from_slice(json) else { return json.to_vec() };
    let mut user = match event.remove("user") {
        Some(Value::Object(user)) => user,
        _ => serde_json::Map::new(),
    };
    user.insert(key.to_owned(), PLANTED.into());
    event.insert("user".into(), Value::Object(user));
    Value::Object(event).to_string().into_bytes()
}

fn check_read(json: &[u8]) {
    match server_event::read(json, defaults()) {
        Ok(read) => {
            let read_as_json: Result<Value, _> =
                serde_json::from_slice(json.strip_prefix(b"\xef\xbb\xbf").unwrap_or(json));
            assert!(matches!(read_as_json, Ok(Value::Object(_))), "an event is a JSON object");
            let event = read.event;
            assert!(!event.event_name.trim().is_empty());
            let is_named = read.stated_event_id.is_some() || !event.origin.transaction_id.is_empty();
            assert_eq!(is_named, !event.event_id.is_empty(), "an id is stated or derived, or there is none");
            assert!(event.event_time.millis_since(partners::NOW) <= 5 * 60_000);
        }
        Err(problems) => {
            assert!((1..=PROBLEMS_MAX + 1).contains(&problems.len()));
            for problem in problems {
                assert!(problem.pointer.is_empty() || problem.pointer.starts_with('/'), "{problem:?}");
                assert!(
                    !problem.problem.is_empty() && !problem.problem.chars().any(char::is_control),
                    "{problem:?}"
                );
            }
        }
    }
}

fn check_postback(json: &[u8]) {
    match step::postback(json, partners::setting(partners::of(preset::generic()))) {
        Ok(postback) => {
            let amounts = postback.amounts;
            let all = [amounts.payout, amounts.revenue, amounts.value];
            assert!(all.into_iter().flatten().all(|minor| (0..=MINOR_MAX).contains(&minor)), "{amounts:?}");
            assert!(postback.given.is_some() && postback.event.is_some());
        }
        Err(stop) => {
            assert!(matches!(stop.reason, Reason::EventInvalid | Reason::CurrencyUnknown), "{stop:?}");
            assert!(!stop.detail.chars().any(char::is_control) && stop.detail.len() < 8_192, "{stop:?}");
        }
    }
}
