//! Line G5: limited data use, as it leaves for Meta, to the byte.

use serde_json::{Value, json};

use super::{build, event};

/// The event that Meta gets, with these keys among its own.
fn golden(marks: &str) -> String {
    format!(
        concat!(
            r#"{{"event_name":"Purchase","event_time":1764205300,"event_id":"e-1","#,
            r#""event_source_url":"https://shop.example/thanks","action_source":"website",{}"#,
            r#""user_data":{{"em":["ebb18a030bf15174f5714e24d63af1a81355c951ea7389bd2a9bd18e3d0c2477"],"#,
            r#""client_ip_address":"2001:db8::1","client_user_agent":"UA/1.0"}},"#,
            r#""custom_data":{{"value":10.00,"currency":"USD"}}}}"#,
        ),
        marks
    )
}

#[test]
fn g5_limited_data_use_leaves_as_it_was_said() {
    let options = |country: i64, state: i64| {
        format!(
            r#""data_processing_options":["LDU"],"data_processing_options_country":{country},"data_processing_options_state":{state},"#
        )
    };
    let said = |options: Value, place: Option<(i64, i64)>| {
        let mut said = vec![("/data_processing_options", options)];
        if let Some((country, state)) = place {
            said.push(("/data_processing_options_country", json!(country)));
            said.push(("/data_processing_options_state", json!(state)));
        }
        said
    };
    for (said, marks) in [
        // California; and where Meta finds the place out.
        (said(json!(["LDU"]), Some((1, 1000))), options(1, 1000)),
        (said(json!(["LDU"]), Some((0, 0))), options(0, 0)),
        // An empty list says that there is no limit; nothing says nothing.
        (said(json!([]), None), r#""data_processing_options":[],"#.to_owned()),
        (Vec::new(), String::new()),
    ] {
        let built = build(&[event(&said)]);
        assert_eq!(built.payloads, [golden(&marks)], "{said:?}");
        let sent = String::from_utf8(built.request.unwrap().body).unwrap();
        assert!(sent.starts_with(&format!(r#"{{"data":[{}]"#, golden(&marks))), "{sent}");
    }
}

#[test]
fn a_limit_without_a_place_lets_nothing_leave() {
    for (options, place, address, leaves) in [
        (json!(["LDU"]), (0, 0), None, false),
        (json!(["LDU"]), (1, 0), None, false),
        (json!(["LDU"]), (0, 0), Some("2001:db8::1"), true),
        (json!(["LDU"]), (1, 1000), None, true),
        (json!([]), (0, 0), None, true),
    ] {
        let mut event = event(&[
            ("/data_processing_options", options),
            ("/data_processing_options_country", json!(place.0)),
            ("/data_processing_options_state", json!(place.1)),
        ]);
        event.visitor.client_ip_address = address.map(str::to_owned);
        let built = build(&[event]);
        assert_eq!(built.included.len(), usize::from(leaves), "{place:?} {address:?}");
        if !leaves {
            assert_eq!(built.left_out[0].reason, crosstally_core::reason::Reason::ConsentDenied);
            assert!(built.left_out[0].detail.contains("client_ip_address"));
        }
    }
}
