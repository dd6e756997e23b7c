//! Batches: what fits into one request, in which order, and what each event looks like.

use crosstally_core::event::OutboundEvent;
use serde_json::{Value, json};

use super::{body, build, event};

fn numbered(count: usize) -> Vec<OutboundEvent> {
    let event = event(&[]);
    (0..count).map(|number| OutboundEvent { event_id: format!("e-{number}"), ..event.clone() }).collect()
}

#[test]
fn one_bad_event_is_left_out_and_its_neighbours_go() {
    let mut events = numbered(5);
    events[1].value = None;
    events[4].contact = Default::default();
    events[4].visitor = Default::default();
    let built = build(&events);
    assert_eq!(built.included, [0, 2, 3]);
    assert_eq!(built.left_out.iter().map(|left| left.index).collect::<Vec<_>>(), [1, 4]);
    let body = body(&built);
    let ids: Vec<_> = body
        .get("data")
        .unwrap()
        .as_array()
        .unwrap()
        .iter()
        .map(|e| e.get("event_id").unwrap().clone())
        .collect();
    assert_eq!(ids, [json!("e-0"), json!("e-2"), json!("e-3")]);
    for (payload, sent) in built.payloads.iter().zip(body.get("data").unwrap().as_array().unwrap()) {
        assert_eq!(&serde_json::from_str::<Value>(payload).unwrap(), sent);
    }
}

#[test]
fn a_request_carries_a_thousand_events_and_the_rest_waits() {
    let built = build(&numbered(1001));
    assert_eq!(built.included.len(), 1000);
    assert_eq!(built.left_out, []);
    assert_eq!(body(&built).get("data").unwrap().as_array().unwrap().len(), 1000);
}

#[test]
fn a_request_ends_before_it_is_too_large() {
    let mut events = numbered(30);
    for event in &mut events {
        event.custom.insert("note".to_owned(), Value::String("x".repeat(200_000)));
    }
    let built = build(&events);
    assert_eq!(built.included, (0..20).collect::<Vec<_>>());
    assert_eq!(built.left_out, []);
    assert!(built.request.unwrap().body.len() < 4 * 1024 * 1024 + 1024);
}

#[test]
fn nothing_to_send_is_no_request() {
    assert!(build(&[]).request.is_none());
}

#[test]
fn digits_go_out_as_they_are() {
    for (value, currency, sent) in [
        ("142.52", "usd", "142.52"),
        ("10.00", "EUR", "10.00"),
        ("0.1", "USD", "0.10"),
        ("1200", "JPY", "1200"),
        ("1.234", "KWD", "1.234"),
        ("9007199254740.99", "USD", "9007199254740.99"),
    ] {
        let built = build(&[event(&[("/value", json!(value)), ("/currency", json!(currency))])]);
        let text = &built.payloads[0];
        assert!(text.contains(&format!("\"value\":{sent},")), "{text}");
        assert!(text.contains(&format!("\"currency\":\"{}\"", currency.to_uppercase())), "{text}");
    }
}

#[test]
fn every_field_has_its_place() {
    let event = event(&[
        ("/referrer_url", json!("https://search.example/?q=a")),
        ("/opt_out", json!(true)),
        ("/data_processing_options", json!(["LDU"])),
        ("/data_processing_options_country", json!(1)),
        ("/data_processing_options_state", json!(1000)),
        ("/transaction_id", json!("T-1")),
        ("/external_id", json!(["u-1", "u-2"])),
        (
            "/custom",
            json!({"contents": [{"id": "s", "quantity": "2", "item_price": "5.00"}], "coupon": "B\"F"}),
        ),
        ("/original_event_data", json!({"event_name": "Lead", "event_id": "l-1", "order_id": null})),
        ("/attribution_data", json!({"ad_id": "1"})),
        ("/store_data", json!({"store_code": "7"})),
        ("/customer_segmentation", json!("customer_in_loyalty_program")),
        ("/advanced_measurement_table", json!("t")),
        ("/user/fbc", json!("fb.1.1764198000000.IwAR.x_-Y")),
        ("/user/fbp", json!("fb.1.1764190000000.1116446470.AQYBAQIA")),
        ("/user/subscription_id", json!("sub-9")),
        ("/user/lead_id", json!(123_456_789_012_345_678_u64 / 100)),
    ]);
    let built = build(&[event]);
    let sent: Value = serde_json::from_str(&built.payloads[0]).unwrap();
    let hash = |text: &str| crosstally_core::identity::sha256_hex(text);
    assert_eq!(
        sent,
        json!({
            "event_name": "Purchase",
            "event_time": 1_764_205_300,
            "event_id": "e-1",
            "event_source_url": "https://shop.example/thanks",
            "referrer_url": "https://search.example/?q=a",
            "action_source": "website",
            "opt_out": true,
            "data_processing_options": ["LDU"],
            "data_processing_options_country": 1,
            "data_processing_options_state": 1000,
            "user_data": {
                "em": [hash("a@b.example")],
                "external_id": [hash("u-1"), hash("u-2")],
                "client_ip_address": "2001:db8::1",
                "client_user_agent": "UA/1.0",
                "fbc": "fb.1.1764198000000.IwAR.x_-Y",
                "fbp": "fb.1.1764190000000.1116446470.AQYBAQIA",
                "subscription_id": "sub-9",
                "lead_id": 1_234_567_890_123_456_u64,
            },
            "custom_data": {
                "value": serde_json::from_str::<Value>("10.00").unwrap(),
                "currency": "USD",
                "contents": [{"id": "s", "quantity": 2, "item_price": serde_json::from_str::<Value>("5.00").unwrap()}],
                "coupon": "B\"F",
                "order_id": "T-1",
            },
            "store_data": {"store_code": "7"},
            "original_event_data": {"event_name": "Lead", "event_id": "l-1"},
            "attribution_data": {"ad_id": "1"},
            "customer_segmentation": "customer_in_loyalty_program",
            "advanced_measurement_table": "t",
        })
    );
}
