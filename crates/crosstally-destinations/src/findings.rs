//! All that a destination holds against one event, not only what it meets first.
//!
//! A dialect names the first rule that an event breaks. Here each part of such an event is put by itself into an event that
//! the dialect takes, so that every part is judged alone. What makes no event is never invented: a part that is not there
//! stays away.

use crosstally_core::config::Setting;
use crosstally_core::event::{OutboundEvent, Visitor};
use crosstally_core::identity::{ContactIn, hash_contact};
use crosstally_core::reason::Reason;
use crosstally_core::time::Timestamp;
use serde_json::{Map, Value, json};

use crate::dialect::{Dialect, LeftOut, Settings};

/// Findings that are told of one event.
const FINDINGS_MAX: usize = 20;

/// One broken rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The part of the event, as a JSON pointer; empty where no part alone is at fault.
    pub at: String,
    /// Why the event would not be sent.
    pub reason: Reason,
    /// The field and the rule.
    pub detail: String,
}

/// What would keep this event from being sent; nothing if it would be.
#[must_use]
pub fn findings(
    dialect: &dyn Dialect,
    settings: &Settings,
    event: &OutboundEvent,
    now: Timestamp,
) -> Vec<Finding> {
    let refusal = |event: &OutboundEvent| -> Option<LeftOut> {
        dialect.build(settings, std::slice::from_ref(event), now).left_out.into_iter().next()
    };
    let Some(whole) = refusal(event) else { return Vec::new() };
    let mut found = Vec::new();
    let mut add = |at: &str, left: LeftOut| {
        let known = found.iter().any(|finding: &Finding| finding.detail == left.detail);
        if !known && found.len() < FINDINGS_MAX {
            found.push(Finding { at: at.to_owned(), reason: left.reason, detail: left.detail });
        }
    };
    let mut frame = taken(event, &event.event_name, now);
    if let Some(left) = refusal(&frame) {
        let at = if left.detail.starts_with("event_name") { "/event" } else { "" };
        add(at, left);
        let Some(name) = names(settings).find(|name| refusal(&taken(event, name, now)).is_none()) else {
            add("", whole);
            return found;
        };
        frame = taken(event, &name, now);
    }
    for (at, trial) in parts(&frame, event) {
        if let Some(left) = refusal(&trial) {
            add(&at, left);
        }
    }
    add("", whole);
    found
}

/// Names that the destination may know: a standard one, and those that its settings map to something.
fn names(settings: &Settings) -> impl Iterator<Item = String> {
    let mapped = settings.values.values().filter_map(|setting| match setting {
        Setting::Map(map) => Some(map.keys().cloned()),
        _ => None,
    });
    std::iter::once("Purchase".to_owned()).chain(mapped.flatten())
}

/// An event of the same kind that lacks nothing.
fn taken(event: &OutboundEvent, name: &str, now: Timestamp) -> OutboundEvent {
    let given = ContactIn {
        email: vec!["a@b.example".to_owned()],
        phone: vec!["+16505551212".to_owned()],
        external_id: vec!["1".to_owned()],
        ..ContactIn::default()
    };
    let ids = ["gclid", "twclid", "li_fat_id", "msclkid", "ttclid", "epik", "rdt_cid", "oppref"];
    let mut extra = Map::new();
    if event.action_source == "app" {
        let mut info = vec![json!(""); 16];
        info[0] = json!("a2");
        info[4] = json!("1");
        let app =
            json!({"advertiser_tracking_enabled": 1, "application_tracking_enabled": 1, "extinfo": info});
        extra.insert("app_data".to_owned(), app);
    }
    OutboundEvent {
        event_name: name.to_owned(),
        event_time: now,
        event_id: "1".to_owned(),
        action_source: event.action_source.clone(),
        event_source_url: Some("https://shop.example/".to_owned()),
        value: Some("1.00".to_owned()),
        currency: Some("USD".to_owned()),
        contact: hash_contact(&given, None, i16::MAX).0,
        visitor: Visitor {
            client_ip_address: Some("2001:db8::1".to_owned()),
            client_user_agent: Some("Mozilla/5.0".to_owned()),
            ad_click_ids: ids.iter().map(|id| ((*id).to_owned(), json!("1"))).collect(),
            other: [("ga_client_id".to_owned(), json!("1.1"))].into_iter().collect(),
            ..Visitor::default()
        },
        custom: [("order_id".to_owned(), json!("1"))].into_iter().collect(),
        extra,
        ..OutboundEvent::default()
    }
}

/// The frame with one part of the event in it, for every part.
fn parts(frame: &OutboundEvent, event: &OutboundEvent) -> Vec<(String, OutboundEvent)> {
    let mut parts = Vec::new();
    let mut part = |at: &str, put: &dyn Fn(&mut OutboundEvent)| {
        let mut trial = frame.clone();
        put(&mut trial);
        parts.push((at.to_owned(), trial));
    };
    part("/event_time", &|trial| trial.event_time = event.event_time);
    part("/event_id", &|trial| trial.event_id.clone_from(&event.event_id));
    part("/event_source_url", &|trial| trial.event_source_url.clone_from(&event.event_source_url));
    part("/referrer_url", &|trial| trial.referrer_url.clone_from(&event.referrer_url));
    part("/value", &|trial| {
        trial.value.clone_from(&event.value);
        trial.currency.clone_from(&event.currency);
    });
    part("/opt_out", &|trial| trial.opt_out = event.opt_out);
    part("/data_processing_options", &|trial| trial.data_processing.clone_from(&event.data_processing));
    let visitor = &event.visitor;
    part("/user/client_ip_address", &|trial| {
        trial.visitor.client_ip_address.clone_from(&visitor.client_ip_address);
    });
    part("/user/client_user_agent", &|trial| {
        trial.visitor.client_user_agent.clone_from(&visitor.client_user_agent);
    });
    for (name, value) in &visitor.other {
        part(&format!("/user/{name}"), &|trial| put(&mut trial.visitor.other, name, value));
    }
    part("/user", &|trial| {
        trial.contact = event.contact.clone();
        let agent = visitor.client_user_agent.clone().or_else(|| trial.visitor.client_user_agent.take());
        trial.visitor = Visitor { client_user_agent: agent, ..visitor.clone() };
    });
    for (name, value) in &event.custom {
        part(&format!("/custom/{name}"), &|trial| put(&mut trial.custom, name, value));
    }
    part("/custom", &|trial| trial.custom = event.custom.clone());
    for (name, value) in &event.extra {
        part(&format!("/{name}"), &|trial| put(&mut trial.extra, name, value));
    }
    part("", &|trial| trial.extra = event.extra.clone());
    parts
}

fn put(map: &mut Map<String, Value>, name: &str, value: &Value) {
    map.insert(name.to_owned(), value.clone());
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::catalog::{self, KINDS};
    use crate::dialect::{NoTest, TestMode};
    use crate::sample::{NOW, event, of_kind};

    fn found(kind: &str, changes: &[(&str, Value)]) -> Vec<(String, String)> {
        let all = findings(catalog::by_kind(kind).unwrap(), &of_kind(kind, &[]), &event(changes), NOW);
        all.into_iter().map(|finding| (finding.at, finding.detail)).collect()
    }

    #[test]
    fn an_event_that_is_sent_has_no_findings_anywhere() {
        for dialect in KINDS.iter().filter(|dialect| !matches!(dialect.kind(), "postback" | "webhook" | "x"))
        {
            assert_eq!(found(dialect.kind(), &[]), [], "{}", dialect.kind());
        }
    }

    #[test]
    fn all_that_is_wrong_is_told_at_once_with_its_place() {
        let wrong = [
            ("/event_source_url", Value::Null),
            ("/event_time", json!(NOW.as_seconds() - 30 * 86_400)),
            ("/value", Value::Null),
            ("/currency", Value::Null),
            ("/user", json!({"gender": "f", "lead_id": "12"})),
            ("/custom", json!({"content_type": "thing", "delivery_category": "moon"})),
        ];
        let told = found("meta", &wrong);
        let places: Vec<&str> = told.iter().map(|(at, _)| at.as_str()).collect();
        for place in [
            "/event_time",
            "/event_source_url",
            "/value",
            "/user/client_user_agent",
            "/user/lead_id",
            "/custom/content_type",
            "/custom/delivery_category",
        ] {
            assert!(places.contains(&place), "{place}: {told:?}");
        }
        let details: std::collections::BTreeSet<&String> = told.iter().map(|(_, detail)| detail).collect();
        assert_eq!(details.len(), told.len(), "none is told twice");
    }

    #[test]
    fn a_name_that_nobody_knows_does_not_hide_the_rest() {
        let told = found("pinterest", &[("/event", json!("Approved")), ("/event_id", Value::Null)]);
        assert_eq!(told[0].0, "/event");
        assert_eq!(told[1], ("/event_id".to_owned(), "event_id is required".to_owned()));
        let told =
            found("linkedin", &[("/event", json!("Approved")), ("/user", json!({"phone": "+16505551212"}))]);
        assert_eq!(told.len(), 2, "{told:?}");
        assert_eq!((told[0].0.as_str(), told[1].0.as_str()), ("/event", "/user"));
    }

    #[test]
    fn a_test_is_marked_or_refused() {
        for dialect in KINDS.iter().filter(|dialect| dialect.kind() != "webhook") {
            let settings = of_kind(dialect.kind(), &[]);
            let built = |settings: &Settings| {
                let request = dialect.build(settings, &[event(&[])], NOW).request.unwrap();
                (request.url, String::from_utf8(request.body).unwrap())
            };
            match dialect.test_mode() {
                TestMode::Missing(instead) => {
                    assert_eq!(
                        dialect.for_test(&settings, Some("T1")).unwrap_err(),
                        NoTest::Missing(instead)
                    );
                }
                TestMode::Flag(name) => {
                    assert!(dialect.fields().iter().any(|field| field.name == name), "{name}");
                    assert_ne!(
                        built(&dialect.for_test(&settings, None).unwrap()),
                        built(&settings),
                        "{name}"
                    );
                }
                TestMode::Code { setting, from, .. } => {
                    assert!(dialect.fields().iter().any(|field| field.name == setting), "{setting}");
                    assert_eq!(dialect.for_test(&settings, None).unwrap_err(), NoTest::NeedsCode(from));
                    let wrong = dialect.for_test(&settings, Some("no code")).unwrap_err();
                    assert!(matches!(wrong, NoTest::WrongCode(_)), "{wrong:?}");
                    let marked = dialect.for_test(&settings, Some("TEST42")).unwrap();
                    assert!(built(&marked).1.contains("TEST42") && !built(&settings).1.contains("TEST42"));
                }
            }
        }
    }
}
