//! What Meta would refuse is left out here, with the field named; what it takes is not.

use crosstally_core::event::{DataProcessing, OutboundEvent};
use crosstally_core::reason::Reason;
use crosstally_core::time::{DAY_MS, SECOND_MS};
use serde_json::{Value, json};

use super::{NOW, body, build, changed, event};

/// Changes to a good website Purchase by JSON pointer, and words of the detail; none if the event is still good.
const EVENTS: &[(&str, &str)] = &[
    ("{}", ""),
    // What each action source asks for.
    (r#"{"/event_source_url": null}"#, "event_source_url is required"),
    (r#"{"/user/client_user_agent": null}"#, "client_user_agent is required"),
    (r#"{"/user/client_user_agent": " "}"#, "client_user_agent is required"),
    (r#"{"/event_source_url": null, "/action_source": "system_generated"}"#, ""),
    (r#"{"/action_source": "app"}"#, "app_data is required"),
    (r#"{"/action_source": "business_messaging"}"#, "messaging_channel is required"),
    (r#"{"/messaging_channel": "telegram"}"#, "messaging_channel must be one of whatsapp"),
    // Money.
    (r#"{"/value": null}"#, "value is required for a Purchase"),
    (r#"{"/value": null, "/currency": null}"#, "value is required for a Purchase"),
    (r#"{"/value": null, "/currency": null, "/event": "Lead"}"#, ""),
    (r#"{"/value": "0"}"#, ""),
    // Objects beside the common keys.
    (r#"{"/original_event_data": {"event_name": "Lead", "event_time": "2025-11-26T00:00:00Z"}}"#, ""),
    (r#"{"/original_event_data": {"event_name": 7}}"#, "original_event_data.event_name must be a text"),
    (r#"{"/attribution_data": {"ad_id": 1, "attribution_share": 0.3}}"#, ""),
    (
        r#"{"/attribution_data": {"attribution_share": 1.1}}"#,
        "attribution_share must be a number from 0 to 1",
    ),
    (
        r#"{"/attribution_data": {"attribution_share": -0.1}}"#,
        "attribution_share must be a number from 0 to 1",
    ),
    (
        r#"{"/attribution_data": {"attribution_value": "x"}}"#,
        "attribution_data.attribution_value must be a number",
    ),
    (r#"{"/event": "AppendAttribution"}"#, "attribution_data.ad_id is required"),
    (r#"{"/customer_segmentation": "new_customer_to_business"}"#, ""),
    (r#"{"/customer_segmentation": "new"}"#, "customer_segmentation must be one of"),
];

/// `attribution_data` of an `AppendAttribution` event.
const APPENDED: &[(&str, &str)] = &[
    (r#"{"ad_id": "1", "touchpoint_ts": 1764100000, "attribution_share": 1, "attribution_value": 3}"#, ""),
    (
        r#"{"ad_id": "1", "touchpoint_ts": 1764100000, "attribution_share": 1}"#,
        "attribution_value is required",
    ),
    (r#"{"ad_id": "1", "attribution_share": 1, "attribution_value": 3}"#, "touchpoint_ts is required"),
];

/// `user` of an event that needs nothing else.
const USERS: &[(&str, &str)] = &[
    // Enough to recognise somebody.
    ("{}", "not enough to recognise anybody"),
    (r#"{"client_user_agent": "UA"}"#, "not enough"),
    (r#"{"city": "Rome", "country": "it", "state": "rm", "zip": "00100", "gender": "f"}"#, "not enough"),
    (r#"{"city": "Rome", "client_user_agent": "UA"}"#, "not enough"),
    (r#"{"birthdate": "1990-01-02", "client_user_agent": "UA"}"#, "not enough"),
    (r#"{"first_name": "A", "gender": "f"}"#, "not enough"),
    (r#"{"last_name": "A", "gender": "f"}"#, "not enough"),
    (r#"{"first_name": "A"}"#, "not enough"),
    (r#"{"birthdate": "1990-01-02", "gender": "f"}"#, ""),
    (r#"{"first_name": "A", "last_name": "B"}"#, ""),
    (r#"{"last_name": "B", "zip": "00100"}"#, ""),
    (r#"{"external_id": "u1"}"#, ""),
    (r#"{"phone": "+16505551212"}"#, ""),
    (r#"{"fbp": "fb.1.1764190000000.1116446470"}"#, ""),
    (r#"{"fbc": "fb.1.1764190000000.AbC"}"#, ""),
    (r#"{"client_ip_address": "192.0.2.1"}"#, ""),
    (r#"{"madid": "38400000-8cf0-11bd-b23e-10b96e40000d"}"#, ""),
    // A mangled cookie is nothing to recognise anybody by.
    (r#"{"fbp": "fb.1.1764190000000.12a4"}"#, "not enough"),
    (r#"{"fbc": "fb.1.1764190000.AbC"}"#, "not enough"),
    (r#"{"fbc": "fb.1.01764190000000.AbC"}"#, "not enough"),
    (r#"{"fbc": "fb.01.1764190000000.AbC"}"#, "not enough"),
    // Plain ids.
    (r#"{"madid": " ", "client_user_agent": "UA"}"#, "not enough"),
    (r#"{"lead_id": "1234567890123456"}"#, ""),
    (r#"{"lead_id": 123456789012345}"#, ""),
    (r#"{"lead_id": "12345678901234"}"#, "lead_id must be 15 to 17 digits"),
    (r#"{"lead_id": "123456789012345678"}"#, "lead_id must be 15 to 17 digits"),
    (r#"{"lead_id": "l:1234567890123456"}"#, "lead_id must be 15 to 17 digits"),
    (r#"{"fb_login_id": "x1"}"#, "fb_login_id must be"),
    (
        r#"{"subscription_id": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}"#,
        "subscription_id must be plain",
    ),
    (
        r#"{"client_user_agent": "E3B0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}"#,
        "client_user_agent must be plain",
    ),
];

/// The three keys of limited use: options, country, state.
const LIMITS: &[(&str, &str)] = &[
    ("[[], null, null]", ""),
    (r#"[["LDU"], 1, 1000]"#, ""),
    (r#"[["LDU"], 1, 1013]"#, ""),
    (r#"[["LDU"], 0, 0]"#, ""),
    ("[[], 0, 0]", ""),
    (r#"[["LDU"], null, null]"#, "both needed with LDU"),
    (r#"[["LDU"], 1, null]"#, "both needed with LDU"),
    (r#"[["LDU"], null, 1000]"#, "both needed with LDU"),
    (r#"[["ldu"], 1, 1000]"#, "must be [] or [\"LDU\"]"),
    (r#"[["LDU", "LDU"], 1, 1000]"#, "must be [] or [\"LDU\"]"),
    (r#"[["LDU"], 2, 0]"#, "country must be 0 or 1"),
    (r#"[["LDU"], 1, 999]"#, "state must be 0 or 1000"),
    (r#"[["LDU"], 1, 1014]"#, "state must be 0 or 1000"),
];

/// Channel and `user` of a business message.
const MESSAGES: &[(&str, &str, &str)] = &[
    ("whatsapp", r#"{"ctwa_clid": "c", "page_id": 1}"#, ""),
    ("whatsapp", r#"{"ctwa_clid": "c", "whatsapp_business_account_id": "1"}"#, ""),
    ("whatsapp", r#"{"page_id": "1"}"#, "by whatsapp needs ctwa_clid"),
    ("whatsapp", r#"{"ctwa_clid": "c"}"#, "by whatsapp needs ctwa_clid"),
    ("messenger", r#"{"page_id": "1", "page_scoped_user_id": "2"}"#, ""),
    ("messenger", r#"{"page_id": "1"}"#, "by messenger needs page_id and"),
    ("instagram", r#"{"ig_account_id": "1", "ig_sid": "2"}"#, ""),
    ("instagram", r#"{"ig_sid": "2"}"#, "by instagram needs ig_account_id"),
];

/// Changes to a good `app_data`.
const APPS: &[(&str, &str)] = &[
    ("{}", ""),
    (r#"{"/extinfo": ["a2"]}"#, "extinfo must be a list of 16 texts"),
    (r#"{"/extinfo": null}"#, "extinfo must be a list of 16 texts"),
    (r#"{"/extinfo": "a2"}"#, "extinfo must be a list of 16 texts"),
    (r#"{"/application_tracking_enabled": null}"#, "application_tracking_enabled is required"),
    (r#"{"/advertiser_tracking_enabled": 2}"#, "advertiser_tracking_enabled must be true, false"),
];

/// `custom`.
const CUSTOM: &[(&str, &str)] = &[
    (r#"{"content_ids": ["a"], "content_type": "product", "num_items": 2, "own": {"any": [1, null]}}"#, ""),
    (r#"{"content_type": "thing"}"#, "content_type must be one of product"),
    (r#"{"content_ids": [true]}"#, "content_ids must be a list of texts"),
    (r#"{"content_name": 7}"#, "content_name must be a text"),
    (r#"{"num_items": "1.5"}"#, "num_items must be a whole number"),
    (r#"{"num_items": -1}"#, "num_items must be a whole number"),
    (r#"{"predicted_ltv": true}"#, "predicted_ltv must be a number"),
    (r#"{"delivery_category": "drone"}"#, "delivery_category must be one of in_store"),
    (r#"{"customer_segmentation": "new"}"#, "custom.customer_segmentation must be one of"),
    (r#"{"contents": {"id": "a"}}"#, "contents must be a list of objects"),
    (r#"{"contents": ["a"]}"#, "contents[0] must be an object"),
    (r#"{"contents": [{"id": "a", "quantity": 1, "item_price": "12.34"}]}"#, ""),
    (r#"{"contents": [{"id": "a", "quantity": 1}, {"quantity": 1}]}"#, "contents[1].id is required"),
    (r#"{"contents": [{"id": "a"}]}"#, "contents[0].quantity is required"),
    (r#"{"contents": [{"id": "", "quantity": 1}]}"#, "contents[0].id must be"),
    (r#"{"contents": [{"id": "a", "quantity": 0}]}"#, "contents[0].quantity must be"),
    (r#"{"contents": [{"id": "a", "quantity": 1, "item_price": -1}]}"#, "contents[0].item_price must be"),
    (
        r#"{"contents": [{"id": "a", "quantity": 1, "delivery_category": "x"}]}"#,
        "contents[0].delivery_category must be",
    ),
];

fn json_of(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// The changes of a table's row.
fn changes(text: &str) -> Vec<(String, Value)> {
    json_of(text).as_object().unwrap().clone().into_iter().collect()
}

fn expect(changes: &[(&str, Value)], words: &str) {
    let built = build(&[event(changes)]);
    let got = built.left_out.first().map_or("", |left| left.detail.as_str());
    if words.is_empty() {
        assert_eq!(got, "", "{changes:?}");
        assert!(built.request.is_some());
    } else {
        assert!(got.contains(words), "{changes:?}: {got:?}");
        assert_eq!(built.left_out[0].reason, Reason::EventIncomplete);
        assert!(built.request.is_none() && built.included.is_empty());
    }
}

#[test]
fn each_rule_names_its_field() {
    for (row, words) in EVENTS {
        let changes = changes(row);
        let changes: Vec<_> =
            changes.iter().map(|(pointer, value)| (pointer.as_str(), value.clone())).collect();
        expect(&changes, words);
    }
    for (row, words) in APPENDED {
        expect(&[("/event", json!("AppendAttribution")), ("/attribution_data", json_of(row))], words);
    }
    for (row, words) in CUSTOM {
        expect(&[("/custom", json_of(row))], words);
    }
}

#[test]
fn user_data_must_be_enough_and_in_form() {
    for (row, words) in USERS {
        expect(&[("/user", json_of(row)), ("/action_source", json!("system_generated"))], words);
    }
}

#[test]
fn limits_of_use_stand_together_or_not_at_all() {
    for (row, words) in LIMITS {
        let row = json_of(row);
        let keys = ["", "_country", "_state"].map(|end| format!("/data_processing_options{end}"));
        let changes: Vec<_> = keys
            .iter()
            .zip(row.as_array().unwrap())
            .map(|(key, value)| (key.as_str(), value.clone()))
            .collect();
        expect(&changes, words);
    }
}

#[test]
fn messages_and_apps_need_keys_of_their_own() {
    for (channel, user, words) in MESSAGES {
        let source = json!("business_messaging");
        expect(
            &[("/action_source", source), ("/messaging_channel", json!(channel)), ("/user", json_of(user))],
            words,
        );
    }
    let good = json!({
        "advertiser_tracking_enabled": 1, "application_tracking_enabled": true,
        "extinfo": ["a2", "com.some.app", "771", "7.7.1", "14", "Pixel", "en_US", "GMT-1", "", "0", "0", "0", "0", "0", "0", ""],
    });
    for (row, words) in APPS {
        let changes = changes(row);
        let changes: Vec<_> =
            changes.iter().map(|(pointer, value)| (pointer.as_str(), value.clone())).collect();
        expect(&[("/action_source", json!("app")), ("/app_data", changed(good.clone(), &changes))], words);
    }
    for (index, text, words) in [(0, "x2", "extinfo[0] must be a2"), (4, "", "extinfo[4]")] {
        let mut app = good.clone();
        app["extinfo"][index] = json!(text);
        expect(&[("/action_source", json!("app")), ("/app_data", app)], words);
    }
}

/// How to break a stored event.
type Break = fn(&mut OutboundEvent);

/// Rules for events that no reader lets through, but that a stored event could break all the same.
#[test]
fn stored_events_are_checked_as_well() {
    let cases: [(Break, &str); 17] = [
        (|event| event.event_name = " ".to_owned(), "event_name is required"),
        (|event| event.action_source = "web".to_owned(), "action_source must be one of"),
        (|event| event.event_source_url = Some("ftp://a.example".to_owned()), "event_source_url must be"),
        (|event| event.event_source_url = Some("nowhere".to_owned()), "event_source_url must be"),
        (|event| event.value = Some("-1.00".to_owned()), "value must be 0 or more"),
        (|event| event.value = Some("1e3".to_owned()), "value must be a plain decimal"),
        (|event| event.value = Some(".5".to_owned()), "value must be a plain decimal"),
        (|event| event.value = Some("1,50".to_owned()), "value must be a plain decimal"),
        (|event| event.currency = Some("EURO".to_owned()), "currency must be an ISO 4217 code"),
        (|event| event.currency = None, "currency is required for a Purchase"),
        (|event| event.contact.email = vec!["a@b.example".to_owned()], "em must be hashed"),
        (|event| event.contact.phone = vec!["A".repeat(64)], "ph must be hashed"),
        (
            |event| event.visitor.client_ip_address = Some("192.0.2.1:80".to_owned()),
            "client_ip_address must be one",
        ),
        (
            |event| drop(event.visitor.other.insert("page_id".to_owned(), json!([1]))),
            "page_id must be a text",
        ),
        (|event| drop(event.custom.insert("value".to_owned(), json!(1))), "custom.value stands in the way"),
        (
            |event| drop(event.custom.insert("currency".to_owned(), json!("EUR"))),
            "custom.currency stands in the way",
        ),
        (
            |event| drop(event.custom.insert("own".to_owned(), "x".repeat(300_000).into())),
            "at most 262144 are sent",
        ),
    ];
    for (change, words) in cases {
        let mut event = event(&[]);
        change(&mut event);
        let built = build(&[event]);
        assert_eq!(built.included.len(), 0, "{words}");
        assert!(built.left_out[0].detail.contains(words), "{}", built.left_out[0].detail);
    }
}

#[test]
fn an_event_is_too_old_by_its_action_source_at_the_time_of_sending() {
    for (source, days) in [("website", 7), ("system_generated", 7), ("physical_store", 62)] {
        let mut event = event(&[("/action_source", json!(source))]);
        event.event_time = NOW.plus_millis(-days * DAY_MS);
        assert_eq!(build(&[event.clone()]).left_out, [], "{source}");
        event.event_time = event.event_time.plus_millis(-1);
        let built = build(&[event]);
        assert_eq!(built.left_out[0].reason, Reason::EventTooOld);
        assert!(
            built.left_out[0].detail.contains(&format!("up to {days} days")),
            "{}",
            built.left_out[0].detail
        );
    }
}

#[test]
fn a_clock_that_is_a_little_ahead_is_put_right_and_one_that_is_far_ahead_is_not() {
    let mut event = event(&[]);
    for (ahead_ms, sent) in [(0, true), (60 * SECOND_MS, true), (60 * SECOND_MS + 1, false)] {
        event.event_time = NOW.plus_millis(ahead_ms);
        let built = build(&[event.clone()]);
        assert_eq!(built.request.is_some(), sent, "{ahead_ms}");
        if sent {
            let time = body(&built).pointer("/data/0/event_time").unwrap().to_string();
            assert_eq!(time, NOW.as_seconds().to_string());
        } else {
            assert_eq!(built.left_out[0].reason, Reason::EventIncomplete);
            assert!(built.left_out[0].detail.contains("60 s ahead"), "{}", built.left_out[0].detail);
        }
    }
}

#[test]
fn what_only_other_platforms_know_and_what_is_of_no_use_stays_out() {
    let mut event =
        event(&[("/user/fbc", json!("fb.1.1764190000.AbC")), ("/user/fbp", json!("fb.1.1764190000000.x"))]);
    event.referrer_url = Some("android-app://com.example.app/".to_owned());
    event.visitor.ad_click_ids.insert("gclid".to_owned(), json!("g"));
    event.visitor.other.insert("ttp".to_owned(), json!("t"));
    event.extra.insert("tiktok".to_owned(), json!({"a": 1}));
    event.event_id = String::new();
    event.data_processing = Some(DataProcessing { options: vec![], country: None, state: None });
    let body = body(&build(&[event]));
    let sent = body.pointer("/data/0").unwrap();
    let keys: Vec<_> = sent.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(
        keys,
        [
            "event_name",
            "event_time",
            "event_source_url",
            "action_source",
            "data_processing_options",
            "user_data",
            "custom_data"
        ]
    );
    let user: Vec<_> =
        sent.get("user_data").unwrap().as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(user, ["em", "client_ip_address", "client_user_agent"]);
}
