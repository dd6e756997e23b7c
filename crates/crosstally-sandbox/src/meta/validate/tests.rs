#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use serde_json::{Map, Value, json};

use super::event;
use crate::meta::rule::Rule;

const NOW_SECONDS: i64 = 1_764_201_600;
const HASH: &str = "62a14e44f765419d10fea99367361a727c12365e2520f32218d505ed9aa0f62f";
const MD5: &str = "0123456789abcdef0123456789abcdef";
const FBC: &str = "fb.1.1764198000000.IwAR2F4-dbP0l7Mn";

/// A website Purchase that Meta takes.
fn purchase() -> Value {
    json!({
        "event_name": "Purchase",
        "event_time": NOW_SECONDS,
        "event_id": "order-1",
        "action_source": "website",
        "event_source_url": "https://shop.example/thanks",
        "user_data": { "em": [HASH], "client_user_agent": "UA/1.0", "client_ip_address": "203.0.113.7" },
        "custom_data": { "value": 12.34, "currency": "USD" },
    })
}

/// A lead of a CRM: no rules of the website.
fn lead() -> Value {
    json!({
        "event_name": "Lead",
        "event_time": NOW_SECONDS,
        "action_source": "system_generated",
        "user_data": { "em": HASH },
    })
}

/// `base` with the value at a pointer replaced; `null` removes it.
fn with(mut base: Value, pointer: &str, value: Value) -> Value {
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    if !parent.is_empty() && base.pointer(parent).is_none() {
        base = with(base, parent, json!({}));
    }
    let parent = base.pointer_mut(parent).unwrap().as_object_mut().unwrap();
    if value.is_null() {
        parent.shift_remove(key);
    } else {
        parent.insert(key.to_owned(), value);
    }
    base
}

fn check(sent: &Value) -> Result<Vec<String>, Rule> {
    check_at(sent, NOW_SECONDS * 1000)
}

fn check_at(sent: &Value, now_ms: i64) -> Result<Vec<String>, Rule> {
    // Through text, as numbers arrive.
    let sent = serde_json::from_str::<Map<String, Value>>(&sent.to_string()).unwrap();
    event(&sent, now_ms).map_err(|broken| broken.rule)
}

/// Each row: a value at a pointer that is taken, one that is refused, and by which rule.
#[track_caller]
fn rows(base: &Value, rows: &[(&str, Value, Value, Rule)]) {
    assert_eq!(check(base), Ok(vec![]), "the base itself");
    for (pointer, good, bad, rule) in rows {
        assert_eq!(check(&with(base.clone(), pointer, good.clone())), Ok(vec![]), "{pointer} = {good}");
        assert_eq!(check(&with(base.clone(), pointer, bad.clone())), Err(*rule), "{pointer} = {bad}");
    }
}

#[test]
fn required_keys() {
    rows(
        &lead(),
        &[
            ("/event_name", json!("Any Name"), Value::Null, Rule::Missing),
            ("/event_name", json!("x"), json!(" "), Rule::Missing),
            ("/event_name", json!("x"), json!(7), Rule::Malformed),
            ("/event_time", json!(NOW_SECONDS), Value::Null, Rule::Missing),
            ("/event_time", json!(NOW_SECONDS), json!(NOW_SECONDS.to_string()), Rule::Malformed),
            ("/event_time", json!(NOW_SECONDS), json!(1_764_201_600.5), Rule::Malformed),
            ("/action_source", json!("email"), Value::Null, Rule::Missing),
            ("/action_source", json!("phone_call"), json!("web"), Rule::Malformed),
            ("/user_data", json!({ "em": HASH }), Value::Null, Rule::Missing),
            ("/user_data", json!({ "em": HASH }), json!("x"), Rule::Malformed),
            ("/event_id", json!("any string"), json!(12), Rule::Malformed),
            ("/opt_out", json!(true), json!("true"), Rule::Malformed),
            ("/referrer_url", json!("http://a.example/"), json!("a.example"), Rule::Malformed),
            ("/custom_data", json!({}), json!([]), Rule::Malformed),
            ("/store_data", json!({}), json!(1), Rule::Malformed),
            ("/customer_segmentation", json!("new_customer_to_business"), json!("new"), Rule::Malformed),
        ],
    );
}

#[test]
fn age_is_measured_to_the_second() {
    let day = 86_400;
    let mut store = lead();
    store = with(store, "/action_source", json!("physical_store"));
    for (base, days) in [(lead(), 7), (store, 62)] {
        let at = |seconds: i64| check(&with(base.clone(), "/event_time", json!(seconds)));
        assert_eq!(at(NOW_SECONDS - days * day), Ok(vec![]), "{days} days");
        assert_eq!(at(NOW_SECONDS - days * day - 1), Err(Rule::TooOld), "{days} days and a second");
        assert_eq!(at(NOW_SECONDS + 60), Ok(vec![]));
        assert_eq!(at(NOW_SECONDS + 61), Err(Rule::InFuture));
        assert_eq!(at(NOW_SECONDS * 1000), Err(Rule::InFuture), "milliseconds");
        assert_eq!(at(-1), Err(Rule::TooOld));
    }
    assert_eq!(
        check_at(&lead(), NOW_SECONDS * 1000 + 7 * day * 1000 + 999),
        Ok(vec![]),
        "whole seconds count"
    );
}

#[test]
fn website_needs_page_and_agent() {
    rows(
        &purchase(),
        &[
            ("/event_source_url", json!("http://a.example"), Value::Null, Rule::Website),
            ("/event_source_url", json!("https://a.example/x?y=1"), json!(""), Rule::Website),
            ("/event_source_url", json!("https://a.example"), json!("ftp://a.example/"), Rule::Malformed),
            ("/event_source_url", json!("https://a.example"), json!("/thanks"), Rule::Malformed),
            ("/user_data/client_user_agent", json!("UA"), Value::Null, Rule::Website),
            ("/user_data/client_user_agent", json!("UA"), json!("  "), Rule::Website),
            ("/user_data/client_user_agent", json!("UA"), json!(HASH), Rule::MustBePlain),
        ],
    );
}

#[test]
fn purchase_needs_money() {
    rows(
        &purchase(),
        &[
            ("/custom_data", json!({"value": 0, "currency": "JPY"}), Value::Null, Rule::PurchaseMoney),
            ("/custom_data/value", json!(0), Value::Null, Rule::PurchaseMoney),
            ("/custom_data/value", json!(1e2), json!("12.34"), Rule::PurchaseMoney),
            ("/custom_data/value", json!(-0.0), json!(-0.01), Rule::PurchaseMoney),
            ("/custom_data/currency", json!("usd"), Value::Null, Rule::PurchaseMoney),
            ("/custom_data/currency", json!("EUR"), json!("EURO"), Rule::PurchaseCurrency),
            ("/custom_data/currency", json!("KWD"), json!("XYZ"), Rule::PurchaseCurrency),
            ("/custom_data/currency", json!("USD"), json!(840), Rule::Malformed),
        ],
    );
    rows(
        &lead(),
        &[
            ("/custom_data/value", json!(1), json!("1"), Rule::Malformed),
            ("/custom_data/value", json!(1), json!(-1), Rule::Malformed),
            ("/custom_data/currency", json!("usd"), json!("dollar"), Rule::Malformed),
        ],
    );
}

#[test]
fn numbers_beyond_the_finite_are_refused() {
    let huge = purchase().to_string().replace("12.34", "1e999");
    let huge = serde_json::from_str(&huge).unwrap();
    assert_eq!(event(&huge, NOW_SECONDS * 1000).unwrap_err().rule, Rule::PurchaseMoney);
}

#[test]
fn contact_keys_are_hashed() {
    let marked = format!("{HASH}.AQICAQMC");
    for key in ["em", "ph", "ge", "db", "ln", "fn", "ct", "st", "zp", "country", "f5first", "dobd"] {
        let pointer = format!("/user_data/{key}");
        rows(
            &purchase(),
            &[
                (&pointer, json!(HASH), json!("john@example.com"), Rule::NotHashed),
                (&pointer, json!(MD5), json!(HASH.to_uppercase()), Rule::NotHashed),
                (&pointer, json!([HASH, MD5]), json!([HASH, "16505551212"]), Rule::NotHashed),
                (&pointer, json!(marked), json!(format!("{HASH}.com")), Rule::NotHashed),
                (&pointer, json!([]), json!([null]), Rule::Malformed),
                (&pointer, json!(HASH), json!(""), Rule::NotHashed),
                (&pointer, json!(HASH), json!(5), Rule::Malformed),
            ],
        );
    }
}

#[test]
fn plain_keys_are_plain() {
    rows(
        &purchase(),
        &[
            ("/user_data/external_id", json!("user-42"), json!(""), Rule::Malformed),
            ("/user_data/external_id", json!([HASH, "user-42"]), json!([42]), Rule::Malformed),
            ("/user_data/client_ip_address", json!("2001:db8::1"), json!("203.0.113"), Rule::Malformed),
            ("/user_data/client_ip_address", json!("203.0.113.9"), json!("[127.0.0.1]"), Rule::Malformed),
            ("/user_data/client_ip_address", json!("203.0.113.9"), json!(HASH), Rule::MustBePlain),
            ("/user_data/fbc", json!(FBC), json!(HASH), Rule::MustBePlain),
            ("/user_data/fbc", json!(format!("{FBC}.AQICAQMC")), json!("fb.1.IwAR2F4"), Rule::Malformed),
            (
                "/user_data/fbc",
                json!("fb.2.1764198000000.a.b"),
                json!("fb.1.1764198000.abc"),
                Rule::Malformed,
            ),
            ("/user_data/fbc", json!(FBC), json!("fb.1.1764198000000."), Rule::Malformed),
            ("/user_data/fbc", json!(FBC), json!("fb.1.1764198000000.a b"), Rule::Malformed),
            ("/user_data/fbp", json!("fb.1.1764190000000.1116446470"), json!(FBC), Rule::Malformed),
            (
                "/user_data/fbp",
                json!("fb.0.1764190000000.7.AQ"),
                json!("fb.1.1764190000000.7.x"),
                Rule::Malformed,
            ),
            ("/user_data/fbp", json!("fb.0.1764190000000.7"), json!("fb.x.1764190000000.7"), Rule::Malformed),
            ("/user_data/lead_id", json!("123456789012345"), json!("1234567890"), Rule::Malformed),
            (
                "/user_data/lead_id",
                json!(12_345_678_901_234_567_i64),
                json!("l234567890123456"),
                Rule::Malformed,
            ),
            ("/user_data/lead_id", json!("1234567890123456"), json!(HASH), Rule::MustBePlain),
            ("/user_data/fb_login_id", json!(1_234_567), json!("me"), Rule::Malformed),
            (
                "/user_data/madid",
                json!("38400000-8cf0-11bd-b23e-10b96e40000d"),
                json!(HASH),
                Rule::MustBePlain,
            ),
            ("/user_data/subscription_id", json!("sub-9"), json!(true), Rule::Malformed),
        ],
    );
}

#[test]
fn somebody_must_be_recognisable() {
    let alone = |user: Value| check(&with(lead(), "/user_data", user));
    for too_little in [
        json!({}),
        json!({ "em": [] }),
        json!({ "client_user_agent": "UA" }),
        json!({ "ct": HASH, "country": HASH, "st": HASH, "zp": HASH, "ge": HASH, "client_user_agent": "UA" }),
        json!({ "db": HASH, "client_user_agent": "UA" }),
        json!({ "fn": HASH, "ge": HASH }),
        json!({ "ln": HASH, "ge": HASH }),
        json!({ "ln": HASH, "f5first": HASH }),
    ] {
        assert_eq!(alone(too_little.clone()), Err(Rule::TooLittleUser), "{too_little}");
    }
    for enough in [
        json!({ "em": HASH }),
        json!({ "external_id": "user-42" }),
        json!({ "fbp": "fb.1.1764190000000.7" }),
        json!({ "client_ip_address": "203.0.113.7", "client_user_agent": "UA" }),
        json!({ "fn": HASH, "ln": HASH }),
        json!({ "db": HASH, "zp": HASH }),
        json!({ "fn": HASH, "zp": HASH }),
    ] {
        assert_eq!(alone(enough.clone()), Ok(vec![]), "{enough}");
    }
}

#[test]
fn custom_data_is_typed() {
    rows(
        &lead(),
        &[
            ("/custom_data/num_items", json!(3), json!("3"), Rule::Malformed),
            ("/custom_data/num_items", json!(0), json!(1.5), Rule::Malformed),
            ("/custom_data/num_items", json!(0), json!(-1), Rule::Malformed),
            ("/custom_data/predicted_ltv", json!(512.75), json!("512.75"), Rule::Malformed),
            ("/custom_data/net_revenue", json!(-3), json!("3"), Rule::Malformed),
            ("/custom_data/content_ids", json!(["a"]), json!("a"), Rule::Malformed),
            ("/custom_data/content_ids", json!([]), json!([1]), Rule::Malformed),
            ("/custom_data/content_type", json!("product_group"), json!("shoe"), Rule::Malformed),
            ("/custom_data/delivery_category", json!("curbside"), json!("post"), Rule::Malformed),
            ("/custom_data/order_id", json!("10001"), json!(10001), Rule::Malformed),
            ("/custom_data/status", json!("completed"), json!(true), Rule::Malformed),
            (
                "/custom_data/contents",
                json!([{ "id": "a", "quantity": 1, "item_price": 0 }]),
                json!({ "id": "a", "quantity": 1 }),
                Rule::Malformed,
            ),
            (
                "/custom_data/contents",
                json!([{ "id": "a", "quantity": 1 }]),
                json!([{ "id": "a" }]),
                Rule::ContentItem,
            ),
            (
                "/custom_data/contents",
                json!([{ "id": "a", "quantity": 2 }]),
                json!([{ "quantity": 2 }]),
                Rule::ContentItem,
            ),
            (
                "/custom_data/contents",
                json!([]),
                json!([{ "id": "a", "quantity": 1, "item_price": "1.00" }]),
                Rule::Malformed,
            ),
        ],
    );
    let own = with(lead(), "/custom_data/a_key_of_my_own", json!({"deep": [1]}));
    assert_eq!(check(&own), Ok(vec![]), "keys of the sender's own are free");
}

#[test]
fn data_processing_options_stand_together() {
    let given = |options: Value, country: Value, state: Value, address: bool| {
        let mut sent = with(lead(), "/data_processing_options", options);
        sent = with(sent, "/data_processing_options_country", country);
        sent = with(sent, "/data_processing_options_state", state);
        if address {
            sent = with(sent, "/user_data/client_ip_address", json!("203.0.113.7"));
        }
        check(&sent)
    };
    let none = || Value::Null;
    let refused = Err(Rule::Privacy);
    assert_eq!(given(json!([]), none(), none(), false), Ok(vec![]));
    assert_eq!(given(json!(["LDU"]), json!(1), json!(1000), false), Ok(vec![]));
    assert_eq!(given(json!(["LDU"]), json!(1), json!(1013), false), Ok(vec![]));
    assert_eq!(given(json!(["LDU"]), json!(0), json!(0), false), Ok(vec![]));
    assert_eq!(given(json!(["LDU"]), none(), none(), true), Ok(vec![]));
    assert_eq!(given(json!(["LDU"]), none(), none(), false), refused);
    assert_eq!(given(json!(["LDU"]), json!(1), none(), true), refused);
    assert_eq!(given(json!(["LDU"]), none(), json!(1000), true), refused);
    assert_eq!(given(json!(["LDU"]), json!(1), json!(999), false), refused);
    assert_eq!(given(json!(["LDU"]), json!(1), json!(1014), false), refused);
    assert_eq!(given(json!(["LDU"]), json!(2), json!(0), false), refused);
    assert_eq!(given(json!(["ldu"]), json!(1), json!(1000), false), refused);
    assert_eq!(given(json!("LDU"), json!(1), json!(1000), false), refused);
    assert_eq!(given(none(), json!(1), json!(1000), false), refused);
    assert_eq!(given(json!(["LDU"]), json!("1"), json!(1000), false), Err(Rule::Malformed));
}

#[test]
fn app_events_need_all_of_app_data() {
    let mut info = vec![json!("x"); 16];
    info[0] = json!("i2");
    let app = json!({
        "advertiser_tracking_enabled": 1,
        "application_tracking_enabled": true,
        "extinfo": info,
    });
    let base = with(with(lead(), "/action_source", json!("app")), "/app_data", app);
    let mut other_system = info.clone();
    other_system[0] = json!("w1");
    let mut no_version = info.clone();
    no_version[4] = json!("");
    let mut android = info.clone();
    android[0] = json!("a2");
    rows(
        &base,
        &[
            ("/app_data/extinfo", json!(android), Value::Null, Rule::AppData),
            ("/app_data/extinfo", json!(info), json!(info[..15]), Rule::AppData),
            ("/app_data/extinfo", json!(info), json!(other_system), Rule::AppData),
            ("/app_data/extinfo", json!(info), json!(no_version), Rule::AppData),
            ("/app_data/advertiser_tracking_enabled", json!(false), json!("1"), Rule::AppData),
            ("/app_data/application_tracking_enabled", json!(0), Value::Null, Rule::AppData),
        ],
    );
    assert_eq!(check(&with(base, "/app_data", Value::Null)), Err(Rule::AppData));
}

#[test]
fn messages_need_their_channel_and_ids() {
    let message = |channel: &str, user: Value| {
        let sent = with(lead(), "/action_source", json!("business_messaging"));
        check(&with(with(sent, "/messaging_channel", json!(channel)), "/user_data", user))
    };
    assert_eq!(check(&with(lead(), "/action_source", json!("business_messaging"))), Err(Rule::Missing));
    assert_eq!(message("telegram", json!({ "em": HASH })), Err(Rule::Malformed));
    assert_eq!(message("whatsapp", json!({ "page_id": "1", "ctwa_clid": "c" })), Ok(vec![]));
    assert_eq!(
        message("whatsapp", json!({ "whatsapp_business_account_id": "1", "ctwa_clid": "c" })),
        Ok(vec![])
    );
    assert_eq!(message("whatsapp", json!({ "page_id": "1" })), Err(Rule::PageMessage));
    assert_eq!(message("messenger", json!({ "page_id": "1", "page_scoped_user_id": "2" })), Ok(vec![]));
    assert_eq!(message("messenger", json!({ "page_id": "1" })), Err(Rule::PageMessage));
    assert_eq!(message("instagram", json!({ "ig_account_id": "1", "ig_sid": "2" })), Ok(vec![]));
    assert_eq!(message("instagram", json!({ "ig_sid": "2" })), Err(Rule::InstagramMessage));
}

#[test]
fn original_event_and_attribution() {
    let share = "/attribution_data/attribution_share";
    rows(
        &lead(),
        &[
            (
                "/original_event_data",
                json!({ "event_name": "Lead", "event_time": 1 }),
                json!([]),
                Rule::Malformed,
            ),
            ("/original_event_data/event_time", json!(1), json!("1"), Rule::Malformed),
            (share, json!(0.3), json!("0.3"), Rule::Malformed),
            (share, json!(1.0), json!(1.1), Rule::Malformed),
            (share, json!(0), json!(-0.1), Rule::Malformed),
            ("/attribution_data/touchpoint_ts", json!(1_764_100_000), json!("x"), Rule::Malformed),
        ],
    );
    let append = with(lead(), "/event_name", json!("AppendAttribution"));
    let data = json!({ "ad_id": "1", "touchpoint_ts": 1, "attribution_share": 1, "attribution_value": 2 });
    let append = with(append, "/attribution_data", data);
    rows(&append, &[("/attribution_data/ad_id", json!("7"), Value::Null, Rule::Missing)]);
}

#[test]
fn unknown_keys_are_named_not_refused() {
    let mut sent = with(lead(), "/eventid", json!("x"));
    sent = with(sent, "/user_data/email", json!("a@b.example"));
    let warnings = check(&sent).unwrap();
    assert_eq!(warnings.len(), 2);
    assert!(warnings[0].starts_with("eventid "), "{warnings:?}");
    assert!(warnings[1].starts_with("user_data.email "), "{warnings:?}");
    assert!(!warnings.concat().contains("a@b.example"), "a warning repeats no value");
}

#[test]
fn null_counts_as_absent() {
    let mut sent = purchase();
    for key in ["referrer_url", "opt_out", "app_data", "custom_data_", "data_processing_options"] {
        sent.as_object_mut().unwrap().insert(key.trim_end_matches('_').to_owned(), Value::Null);
    }
    assert_eq!(check(&sent), Err(Rule::PurchaseMoney), "custom_data null is no custom_data");
    sent["custom_data"] = json!({ "value": 1, "currency": "usd", "content_name": null });
    assert_eq!(check(&sent), Ok(vec![]));
}
