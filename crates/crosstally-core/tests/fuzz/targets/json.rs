//! JSON and lines of JSON: what is a row here is JSON to an independent reader too, every leaf has its path and its digits,
//! limits hold, and a row that is read again is the same row.

use std::collections::HashSet;

use crosstally_core::contract::Encoding;
use crosstally_core::limits;
use crosstally_core::params::Params;
use crosstally_core::postback::{Inbound, body, json};
use crosstally_core::reason::Reason;
use serde_json::Value;

use crate::input::Input;
use crate::samples;

pub(super) const WORDS: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "\"",
    "\\u0000",
    "\\ud83d\\ude00",
    "\\ud800",
    "null",
    "true",
    "1e999",
    "-0.0",
    "1.10",
    "{\"a\":1}",
    "\"name\":\"x\"",
    "\"value\":1",
    "\"key\":",
    "[[[[[[[[",
    "{\"a\":{\"a\":",
    "\n",
    "\"\":",
    "\"a.b\":",
    "\"token\":\"s\"",
    "123456789012345678901234567890.123456789",
    "$serde_json::private::Number",
    "\u{feff}",
];

const TYPES: &[&str] = &["application/json", "application/x-ndjson", "", "application/vnd.x+json"];

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let bodies =
        samples::ALL.iter().map(|sample| sample.body.trim()).filter(|body| body.starts_with(['{', '[']));
    let mut seeds: Vec<Vec<u8>> = bodies.map(|body| [b"0", body.as_bytes()].concat()).collect();
    for raw in [
        "1{\"a\":1}\n{\"b\":[1,{\"name\":\"x\",\"value\":2}]}\n\n{\"c\":null}",
        "0[{\"a\":1},{\"a\":1.10},7,\"x\",[]]",
        "0{\"a\":{\"a\":{\"a\":[[[[1]]]]}},\"b\":1e400,\"a\":2}",
        "2 {\"note_attributes\":[{\"name\":\"click_id\",\"value\":\"c\"}]}",
    ] {
        seeds.push(raw.as_bytes().to_vec());
    }
    let long = "k".repeat(limits::JSON_PATH_BYTES_MAX);
    seeds.push(format!("0{{\"{long}\":[[],[],{{\"a\":1}}]}}").into_bytes());
    seeds
}

pub(super) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let content_type = (*input.pick(TYPES)).to_owned();
    let raw = input.rest();
    check_document(raw);
    let inbound = Inbound { body: raw.to_vec(), content_type, query: b"q=1".to_vec(), ..Inbound::default() };
    let Ok(rows) = body::rows(&inbound, Encoding::Once) else { return };
    assert!((1..=limits::ROWS_MAX).contains(&rows.len()));
    for row in rows {
        let Ok(params) = row.params else { continue };
        assert_eq!(
            params.iter().next().map(|param| param.value.as_str()),
            Some("1"),
            "the query comes first"
        );
        let Some(raw) = row.raw else { continue };
        let mut again = Params::parse(b"q=1").expect("a query");
        json::flatten(&raw, &mut again).expect("a row reads by itself");
        assert_eq!(again, params);
    }
}

fn check_document(raw: &[u8]) {
    let mut params = Params::default();
    let read = json::flatten(raw, &mut params);
    let document: Result<Value, _> = serde_json::from_slice(raw);
    for param in params.iter() {
        assert!(param.name.len() <= limits::JSON_PATH_BYTES_MAX && !param.lossy);
    }
    assert!(params.len() <= limits::JSON_LEAVES_MAX);
    // The parser's own way of handing over numbers may stand in a document as a key.
    if raw.windows(12).any(|window| window == b"$serde_json:" || window.starts_with(b"\\u")) {
        return;
    }
    match read {
        Ok(()) => {
            let document = document.expect("what is read is JSON");
            let read: HashSet<(&str, &str)> =
                params.iter().map(|param| (param.name.as_str(), param.value.as_str())).collect();
            let mut leaves = Vec::new();
            for (key, value) in document.as_object().expect("a call is an object") {
                gather(key, value, &mut leaves);
            }
            for (path, text) in &leaves {
                assert!(
                    read.contains(&(path.as_str(), text.as_str())),
                    "{path} = {text} is missing in {read:?}"
                );
            }
            assert!(leaves.len() <= params.len());
        }
        Err(stop) => match stop.reason {
            Reason::BodyUnreadable | Reason::BadEncoding => {
                assert!(!matches!(document, Ok(Value::Object(_))))
            }
            Reason::TooManyParams => assert!(
                raw.len()
                    > limits::JSON_LEAVES_MAX.min(limits::JSON_PATHS_BYTES_MAX / limits::JSON_PATH_BYTES_MAX)
            ),
            Reason::ParamTooLong => assert!(raw.len() > limits::JSON_PATH_BYTES_MAX),
            other => panic!("JSON is never refused for {other:?}"),
        },
    }
}

/// Every leaf under its path; of a repeated key the last.
fn gather(path: &str, value: &Value, into: &mut Vec<(String, String)>) {
    match value {
        Value::Null => {}
        Value::Bool(is) => into.push((path.to_owned(), is.to_string())),
        Value::Number(number) => into.push((path.to_owned(), number.to_string())),
        Value::String(text) => into.push((path.to_owned(), text.clone())),
        Value::Array(list) => {
            list.iter().enumerate().for_each(|(at, item)| gather(&format!("{path}.{at}"), item, into));
        }
        Value::Object(map) => {
            map.iter().for_each(|(key, inner)| gather(&format!("{path}.{key}"), inner, into))
        }
    }
}
