//! Whatever is stored and whatever comes back: no panic, valid JSON, no secret in sight.

use crosstally_core::event::{DataProcessing, OutboundEvent, Visitor};
use crosstally_core::time::Timestamp;
use proptest::prelude::*;
use serde_json::{Map, Value};

use super::{Meta, NOW, TOKEN, event, settings};
use crate::dialect::{Dialect, Response};

pub(crate) fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        "[0-9a-f]{64}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inside| {
        prop_oneof![
            prop::collection::vec(inside.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((".{0,6}", inside), 0..4)
                .prop_map(|members| Value::from(members.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

/// A map with some of the known keys, and keys that nobody knows.
fn any_map(known: &'static [&'static str]) -> impl Strategy<Value = Map<String, Value>> {
    let key = prop_oneof![3 => prop::sample::select(known).prop_map(str::to_owned), 1 => ".{0,6}"];
    prop::collection::vec((key, any_json()), 0..5).prop_map(|members| members.into_iter().collect())
}

fn any_text() -> impl Strategy<Value = Option<String>> {
    prop::option::of(prop_oneof![
        ".{0,20}",
        Just("https://a.example/".to_owned()),
        "-?[0-9]{0,4}\\.?[0-9]{0,3}",
        "fb\\.1\\.[0-9]{13}\\.[0-9]{1,4}"
    ])
}

/// Any event that could stand in a store, sound or not.
pub(crate) fn any_event() -> impl Strategy<Value = OutboundEvent> {
    let visitor =
        (any_text(), any_text(), any_text(), any_text(), any_map(&["lead_id", "page_id", "ctwa_clid"]))
            .prop_map(|(client_ip_address, client_user_agent, fbc, fbp, other)| Visitor {
                client_ip_address,
                client_user_agent,
                fbc,
                fbp,
                other: other.clone(),
                ad_click_ids: other,
            });
    let limits =
        prop::option::of((prop::collection::vec(".{0,4}", 0..2), any::<Option<i64>>(), any::<Option<i64>>()))
            .prop_map(|limits| {
                limits.map(|(options, country, state)| DataProcessing { options, country, state })
            });
    let source =
        prop_oneof![Just("website".to_owned()), Just("app".to_owned()), Just("other".to_owned()), ".{0,8}"];
    let custom = any_map(&["value", "contents", "content_ids", "num_items", "order_id"]);
    let extra = any_map(&["app_data", "original_event_data", "attribution_data", "messaging_channel"]);
    let texts = (".{0,12}", source, any_text(), any_text(), any_text(), any_text());
    let sound = event(&[]);
    (any::<bool>(), any::<i64>(), texts, limits, visitor, custom, extra).prop_map(
        move |(near, at, (name, source, url, referrer, value, currency), limits, visitor, custom, extra)| {
            OutboundEvent {
                event_time: if near { NOW } else { Timestamp::from_millis(at) },
                event_name: name,
                action_source: source,
                event_source_url: url,
                referrer_url: referrer,
                value,
                currency,
                data_processing: limits,
                visitor,
                custom,
                extra,
                ..sound.clone()
            }
        },
    )
}

proptest! {
    #[test]
    fn building_never_panics_and_accounts_for_every_event(events in prop::collection::vec(any_event(), 0..6)) {
        let built = Meta.build(&settings(&[]), &events, NOW);
        prop_assert_eq!(built.included.len() + built.left_out.len(), events.len());
        prop_assert_eq!(built.included.len(), built.payloads.len());
        for payload in &built.payloads {
            prop_assert!(serde_json::from_str::<Value>(payload).is_ok(), "{}", payload);
            prop_assert!(!payload.contains(TOKEN));
        }
        for left in &built.left_out {
            prop_assert!(!left.detail.is_empty() && !left.detail.contains(TOKEN));
        }
        prop_assert_eq!(built.request.is_some(), !built.included.is_empty());
        if let Some(request) = built.request {
            let body: Value = serde_json::from_slice(&request.body).unwrap();
            prop_assert_eq!(body.get("data").unwrap().as_array().unwrap().len(), built.included.len());
            let shown = String::from_utf8(request.body_shown.clone()).unwrap();
            let debug = format!("{request:?}");
            for text in [shown, request.url, debug] {
                prop_assert!(!text.contains(TOKEN), "{}", text);
            }
        }
    }

    #[test]
    fn reading_never_panics_and_never_takes_noise_for_success(
        status in any::<u16>(),
        body in prop_oneof![any_json().prop_map(|json| json.to_string().into_bytes()), prop::collection::vec(any::<u8>(), 0..64)],
        header in ".{0,20}",
        sent in 1_usize..1000,
    ) {
        let headers = ["retry-after", "x-app-usage", "x-business-use-case-usage", "location"]
            .map(|name| (name.to_owned(), header.clone()))
            .to_vec();
        let response = Response { status, headers, body, body_cut: false };
        let reading = Meta.read(&settings(&[]), &response, sent, NOW);
        prop_assert!(!matches!(reading.outcome, crate::dialect::BatchOutcome::Whole(crosstally_core::delivery::Outcome::Delivered)));
        prop_assert!(reading.slow_down_ms.is_none_or(|wait| wait >= 0));
    }
}
