//! Our requests before the model of Pinterest's own client: it takes every key and type, and writes them as we did.

use anyhow::{Result, bail, ensure};
use crosstally_engine::capi::Build;
use crosstally_testkit::database::Kind;
use crosstally_testkit::server::{CONFIG, TestServer};
use serde_json::{Value, json};

use super::asked::ask;
use super::{EVENTS, event, pick};

const DESTINATION: &str = r#"
[[destination]]
slug = "pins"
kind = "pinterest"
ad_account_id = "549755885175"
access_token = { env = "META_TOKEN" }

[[goal]]"#;

/// What the platform's specification knows and its client, which is older, does not.
const NEWER: &str = "/data/0/custom_data/predicted_ltv";

fn sent(number: usize) -> Value {
    let mut event = event(number);
    event["event"] =
        json!(pick(&["Purchase", "Lead", "CompleteRegistration", "ViewContent", "watch_video"], number));
    event["user"]["epik"] = json!(format!("dj0yJnU9-{number}"));
    if number.is_multiple_of(3) {
        event["user"]["client_ip_address"] = json!("2001:db8::7");
    }
    event
}

#[test]
fn our_requests_are_pinterests_model() {
    crosstally_testkit::run(equal());
}

async fn equal() -> Result<()> {
    let server = TestServer::ready(Kind::Sqlite).await?;
    server.apply(&CONFIG.replacen("\n[[goal]]", DESTINATION, 1)).await?;
    let mut bodies: Vec<Value> = Vec::new();
    for number in 0..EVENTS {
        let event = sent(number);
        match server.engine.build_request("pins", event.to_string().as_bytes()) {
            Build::Request(request, _) => bodies.push(serde_json::from_slice(&request.body)?),
            other => bail!("{event}: {other:?}"),
        }
    }
    let newer = bodies.iter().filter(|body| body.pointer(NEWER).is_some()).cloned().collect::<Vec<_>>();
    ensure!(!newer.is_empty(), "the documented difference no longer occurs");
    for said in ask("pinterest_model.py", &newer)? {
        ensure!(
            said["error"] == "ValueError: the model knows no ['.data[0].custom_data.predicted_ltv']",
            "{said}"
        );
    }
    for body in &mut bodies {
        if let Some(custom) = body.pointer_mut("/data/0/custom_data").and_then(Value::as_object_mut) {
            custom.remove("predicted_ltv");
        }
    }
    for (ours, theirs) in bodies.iter().zip(ask("pinterest_model.py", &bodies)?) {
        ensure!(*ours == theirs, "ours:   {ours}\ntheirs: {theirs}");
    }
    // The judge judges: a number where a text belongs, and a key that nobody knows, are refused.
    let mut wrong = [bodies[0].clone(), bodies[0].clone()];
    wrong[0]["data"][0]["custom_data"]["value"] = json!(1);
    wrong[1]["data"][0]["user_data"]["click"] = json!("x");
    for said in ask("pinterest_model.py", &wrong)? {
        ensure!(said.get("error").is_some(), "taken: {said}");
    }
    server.stop().await;
    Ok(())
}
