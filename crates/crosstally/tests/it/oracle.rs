//! Other people's libraries as oracles: the same events through Meta's own SDK and through our connector, compared as they
//! arrive; our webhooks before the published receiver of Standard Webhooks.

use anyhow::{Context, Result, bail};
use crosstally_core::identity::sha256_hex;
use crosstally_engine::capi::Build;
use crosstally_engine::http_out::SendOptions;
use crosstally_testkit::client;
use crosstally_testkit::database::Kind;
use crosstally_testkit::server::{CONFIG, START, TestServer};
use serde_json::{Map, Value, json};

pub(crate) mod asked;
pub(crate) mod cookies;
mod inputs;
mod pinterest;
mod values;

/// The script that sends through Meta's SDK for Node.
const NODE_SDK: &str = "meta_send.js";
/// How many events are compared.
const EVENTS: usize = 240;

/// What arrives from us is what arrives from the SDK, but for the documented choices: contact lists are sets, an external
/// id is hashed, names may come in a second form, currencies are upper case.
#[test]
fn our_requests_equal_the_sdks() {
    crosstally_testkit::run(equal("send.py"));
}

/// The same with Meta's SDK for Node.
#[test]
fn our_requests_equal_the_node_sdks() {
    crosstally_testkit::run(equal(NODE_SDK));
}

async fn equal(judge: &str) -> Result<()> {
    let server = TestServer::ready(Kind::Sqlite).await?;
    server.apply(&CONFIG.replace("dataset_id = \"1234567890\"", "dataset_id = \"222\"")).await?;
    let events: Vec<Value> = (0..EVENTS).map(event).collect();
    let file = server.database.directory().join("events.json");
    std::fs::write(&file, serde_json::to_vec(&events)?)?;
    let output = asked::script(judge)?
        .args([&format!("http://{}", server.sandbox), "111", &file.display().to_string()])
        .output()
        .context("the Python of the oracle cannot be started")?;
    if !output.status.success() {
        bail!("the SDK failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    for event in &events {
        let request = match server.engine.build_request("meta-main", event.to_string().as_bytes()) {
            Build::Request(request, _) => request,
            other => bail!("{event}: {other:?}"),
        };
        let options = SendOptions { allow_private: true, ..SendOptions::default() };
        let answer = server.engine.http_out.send(&request, options).await?;
        assert_eq!(answer.status, 200, "{event}: {}", String::from_utf8_lossy(&answer.body));
    }
    let list = client::get(server.sandbox, "/_sandbox/events").await?.json()?;
    let of = |dataset: &str| -> Vec<Value> {
        let rows = list.get("data").and_then(Value::as_array).into_iter().flatten();
        rows.filter(|row| row.get("dataset").and_then(Value::as_str) == Some(dataset))
            .map(|row| row.get("event").cloned().unwrap_or_default())
            .collect()
    };
    let (theirs, ours) = (of("111"), of("222"));
    assert_eq!((theirs.len(), ours.len()), (EVENTS, EVENTS));
    for ((theirs, ours), event) in theirs.iter().zip(&ours).zip(&events) {
        let theirs = &meant(judge, theirs.clone(), ours);
        compare(theirs, ours).with_context(|| format!("{event}\nSDK:  {theirs}\nours: {ours}"))?;
    }
    server.stop().await;
    Ok(())
}

/// What an SDK means: Node's writes `null` for what is not there, and has no place for the page before.
fn meant(judge: &str, mut theirs: Value, ours: &Value) -> Value {
    if judge != NODE_SDK {
        return theirs;
    }
    without_nulls(&mut theirs);
    assert_eq!(theirs.get("referrer_url"), None, "documented as missing");
    if let (Some(url), Some(fields)) = (ours.get("referrer_url"), theirs.as_object_mut()) {
        fields.insert("referrer_url".to_owned(), url.clone());
    }
    theirs
}

fn without_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, value| !value.is_null());
            fields.values_mut().for_each(without_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(without_nulls),
        _ => {}
    }
}

/// Every webhook of ours verifies with the published package: with the secret in force, and with the one before, as both sign
/// while a secret is changed over; a changed one does not.
#[test]
fn the_published_receiver_verifies_our_webhooks() {
    crosstally_testkit::run(verified());
}

const HOOK: &str = r#"
[[destination]]
slug = "hook"
kind = "webhook"
url = "https://receiver.example/hook"
secret = "whsec_bmV3LXNlY3JldC1vZi1hLXdlYmhvb2stMDI="
old_secret = "whsec_b2xkLXNlY3JldC1vZi1hLXdlYmhvb2stMDE="

[[goal]]"#;
/// The one in force, the one before, somebody else's.
const SECRETS: [&str; 3] = [
    "whsec_bmV3LXNlY3JldC1vZi1hLXdlYmhvb2stMDI=",
    "whsec_b2xkLXNlY3JldC1vZi1hLXdlYmhvb2stMDE=",
    "whsec_c29tZWJvZHktZWxzZXMtc2VjcmV0LTAwMDM=",
];

#[expect(clippy::disallowed_methods, reason = "the package goes by the real clock")]
fn until_now_ms() -> Result<i64> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    Ok(i64::try_from(now.as_millis())? - START.as_millis())
}

async fn verified() -> Result<()> {
    let server = TestServer::ready(Kind::Sqlite).await?;
    server.apply(&CONFIG.replacen("\n[[goal]]", HOOK, 1)).await?;
    server.advance(until_now_ms()?);
    let mut calls = Vec::new();
    for number in 0..EVENTS {
        let mut event = event(number);
        event["event_time"] = json!(server.engine.clock.now().as_seconds() - 60);
        let request = match server.engine.build_request("hook", event.to_string().as_bytes()) {
            Build::Request(request, _) => request,
            other => bail!("{event}: {other:?}"),
        };
        let headers: Map<String, Value> =
            request.headers.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
        calls.push(json!({ "headers": headers, "body": String::from_utf8(request.body.clone())? }));
    }
    let ask = |secret: &str, calls: &[Value]| -> Result<Vec<String>> {
        let file = server.database.directory().join("calls.ndjson");
        let lines: Vec<String> = calls.iter().map(Value::to_string).collect();
        std::fs::write(&file, lines.join("\n"))?;
        let output = asked::script("verify.py")?.args([secret, &file.display().to_string()]).output()?;
        if !output.status.success() {
            bail!("the receiver failed: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(String::from_utf8(output.stdout)?.lines().map(str::to_owned).collect())
    };
    let [new, old, strangers] = SECRETS;
    assert_eq!(ask(new, &calls)?, vec!["ok"; EVENTS]);
    assert_eq!(ask(old, &calls)?, vec!["ok"; EVENTS]);
    assert_eq!(ask(strangers, &calls)?, vec!["WebhookVerificationError"; EVENTS]);
    for call in &mut calls {
        let body = call["body"].as_str().unwrap_or_default().replacen("Purchase", "Purchasf", 1) + " ";
        call["body"] = json!(body);
    }
    assert_eq!(ask(new, &calls)?, vec!["WebhookVerificationError"; EVENTS]);
    server.stop().await;
    Ok(())
}

fn pick<'a>(list: &[&'a str], number: usize) -> &'a str {
    list[number % list.len()]
}

fn event(number: usize) -> Value {
    let names = ["Purchase", "Lead", "CompleteRegistration", "Qualified Lead"];
    let mut event = json!({
        "event": pick(&names, number),
        "event_time": START.as_seconds() - i64::try_from(number % 150).unwrap() * 3_600,
        "event_id": format!("oracle-{number}"),
        "action_source": pick(&["website", "website", "system_generated", "email", "chat"], number),
        "user": user(number),
    });
    let fields = event.as_object_mut().unwrap();
    if pick(&["website", "website", "system_generated", "email", "chat"], number) == "website" {
        fields.insert(
            "event_source_url".into(),
            json!(format!("https://shop.example.com/thanks?order={number}")),
        );
    }
    if number.is_multiple_of(4) || number % 5 == 1 {
        fields.insert("value".into(), json!(format!("{}.{:02}", number * 7, (number * 13) % 100)));
        fields.insert("currency".into(), json!(pick(&["USD", "EUR", "GBP"], number)));
    }
    if number % 3 == 1 {
        fields.insert("custom".into(), custom(number));
    }
    if number % 7 == 2 {
        fields.insert("data_processing_options".into(), json!(["LDU"]));
        fields.insert("data_processing_options_country".into(), json!(1));
        fields.insert("data_processing_options_state".into(), json!(1000));
    }
    if number % 6 == 5 {
        fields.insert("opt_out".into(), json!(true));
        fields.insert("referrer_url".into(), json!("https://shop.example.com/cart"));
    }
    event
}

fn user(number: usize) -> Value {
    let mut user = json!({
        "email": [format!(" User{number}@Example.COM "), format!("u+{number}@shop.co.uk")],
        "phone": [pick(&["+1 (650) 555-1212", "+44 20 7946 0958", "+49-30-901820", "0033142685300"], number)],
        "client_user_agent": "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36",
    });
    let fields = user.as_object_mut().unwrap();
    let optional = [
        ("first_name", json!([pick(&["Mary", "Valéry", "ИВАН", "张伟", "Jean-Luc"], number)])),
        ("last_name", json!([pick(&["Smith", "O'Neil", "Nguyễn", "de la Cruz"], number)])),
        ("gender", json!([pick(&["f", "m"], number)])),
        ("birthdate", json!([pick(&["19970216", "19800101"], number)])),
        ("city", json!([pick(&["San Francisco", "Winston-Salem", "Washington D.C."], number)])),
        ("state", json!([pick(&["CA", "N.Y.", "ON"], number)])),
        ("zip", json!([pick(&["94035-1234", "75018", "10001"], number)])),
        ("country", json!([pick(&["US", "FR", "de"], number)])),
        ("external_id", json!([format!("User-{number}")])),
        ("client_ip_address", json!(pick(&["2001:db8:85a3::8a2e:370:7334", "198.51.100.7"], number))),
        ("fbc", json!(format!("fb.1.1764198000000.IwAR0abcDEF_-{number}"))),
        ("fbp", json!("fb.1.1764190000000.1116446470")),
        ("subscription_id", json!(format!("sub-{number}"))),
        ("lead_id", json!("1234567890123456")),
    ];
    for (at, (name, value)) in optional.into_iter().enumerate() {
        // Each event has another mix.
        if (number >> (at % 5)) % 2 == 1 || (number + at).is_multiple_of(3) {
            fields.insert(name.into(), value);
        }
    }
    user
}

fn custom(number: usize) -> Value {
    json!({
        "order_id": format!("o-{number}"),
        "content_name": "Checkout",
        "content_ids": ["sku-1", "sku-2"],
        "content_type": "product",
        "num_items": 3,
        "status": "completed",
        "predicted_ltv": 512.75,
        "contents": [{"id": "sku-1", "quantity": 2, "item_price": "21.26"}],
        "coupon": "BF25",
    })
}

fn set(value: &Value) -> Vec<String> {
    let mut texts: Vec<String> = match value {
        Value::Array(list) => list.iter().map(|item| item.as_str().unwrap_or_default().to_owned()).collect(),
        other => vec![other.as_str().unwrap_or_default().to_owned()],
    };
    texts.sort();
    texts
}

fn compare(theirs: &Value, ours: &Value) -> Result<()> {
    let keys = |value: &Value| -> Vec<String> {
        let mut keys: Vec<String> = value.as_object().into_iter().flat_map(Map::keys).cloned().collect();
        keys.sort();
        keys
    };
    if keys(theirs) != keys(ours) {
        bail!("other keys: {:?} and {:?}", keys(theirs), keys(ours));
    }
    for (name, value) in theirs.as_object().context("an event is an object")? {
        let own = &ours[name];
        let same = match name.as_str() {
            "user_data" | "custom_data" => {
                compare(value, own).with_context(|| name.clone())?;
                true
            }
            "em" | "ph" | "ge" | "db" | "ct" | "st" | "zp" | "country" => set(value) == set(own),
            // Our list holds the SDK's form; a second form without punctuation may stand before it.
            "fn" | "ln" => set(value).iter().all(|hash| set(own).contains(hash)),
            "external_id" => {
                let hashed: Vec<String> =
                    set(value).iter().map(|raw| sha256_hex(&raw.to_lowercase())).collect();
                hashed == set(own)
            }
            "currency" => value.as_str().map(str::to_uppercase) == own.as_str().map(str::to_owned),
            "contents" => number_text(value) == number_text(own),
            _ => value == own || number_text(value) == number_text(own),
        };
        if !same {
            bail!("{name} differs: {value} and {own}");
        }
    }
    Ok(())
}

/// A value with its numbers in one spelling: `10.0` and `10.00` are the same amount.
fn number_text(value: &Value) -> String {
    match value {
        Value::Number(number) => {
            let text = number.to_string();
            if text.contains('.') {
                text.trim_end_matches('0').trim_end_matches('.').to_owned()
            } else {
                text
            }
        }
        Value::Array(list) => list.iter().map(number_text).collect::<Vec<_>>().join(","),
        Value::Object(object) => {
            let mut parts: Vec<String> =
                object.iter().map(|(name, value)| format!("{name}={}", number_text(value))).collect();
            parts.sort();
            parts.join(";")
        }
        other => other.to_string(),
    }
}
