//! Consent, from the click or the server event to what each destination gets, or does not get and why.

use anyhow::Result;
use crosstally_testkit::client::{self, post_as};
use crosstally_testkit::database::Kind;
use crosstally_testkit::on_both;
use crosstally_testkit::server::{CONFIG, TestServer};
use http::Request;
use http_body_util::Full;
use serde_json::{Value, json};

use crate::ledger::printed;

on_both! {
    /// Global Privacy Control at the click: limited where the platform can be told, kept back where it cannot.
    a_browsers_wish_is_told_or_kept => gpc;
    /// A denial keeps an event back, visibly and countably, until the policy allows it in a limited form.
    a_denial_keeps_an_event_back => denial;
    /// Strings of consent reach the lander and a partner's call byte for byte.
    strings_are_passed_on_byte_for_byte => strings;
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or("")
}

fn rows(list: &Value) -> Vec<Value> {
    list["data"].as_array().cloned().unwrap_or_default()
}

/// The usual configuration with this besides; events go to these destinations.
async fn configure(server: &TestServer, more: &str, send_to: &str) -> Result<()> {
    let config = CONFIG.replace("send_to = [\"meta-main\"]", &format!("send_to = [{send_to}]"));
    server.apply(&format!("{config}\n{more}")).await
}

async fn click_with_gpc(server: &TestServer, query: &str, gpc: &str) -> Result<String> {
    let request = Request::get(format!("/c/summer?{query}"))
        .header("user-agent", "UA/1.0")
        .header("sec-gpc", gpc)
        .body(Full::default())?;
    let reply = client::send(server.tracking, request).await?;
    let location = reply.header("location").unwrap_or_default().to_owned();
    Ok(location.split("cid=").nth(1).unwrap_or_default().split('&').next().unwrap_or_default().to_owned())
}

/// Every delivery as destination, state and code.
async fn deliveries(server: &TestServer) -> Result<Vec<(String, String, String)>> {
    let mut found: Vec<_> = rows(&server.api("/api/v1/deliveries").await?)
        .iter()
        .map(|row| ["/destination", "/state", "/code"].map(|place| text(row, place).to_owned()).into())
        .collect();
    found.sort();
    Ok(found)
}

fn row(destination: &str, state: &str, code: &str) -> (String, String, String) {
    (destination.to_owned(), state.to_owned(), code.to_owned())
}

const NETWORK: &str = r#"
[[destination]]
slug = "network"
kind = "postback"
url = "https://network.example/p?c={click_id}"
"#;

async fn gpc(kind: Kind) -> Result<()> {
    let server = TestServer::start(kind).await?;
    configure(&server, NETWORK, "\"meta-main\", \"network\"").await?;
    let click = click_with_gpc(&server, "fbclid=A", "1").await?;
    server.postback(&format!("click_id={click}&tid=1&payout=12.34")).await?;
    server.deliver().await?;
    let withheld = row("network", "cancelled", "consent_denied");
    assert_eq!(deliveries(&server).await?, [row("meta-main", "delivered", "delivered"), withheld]);
    let sent = &server.accepted().await?[0]["event"];
    assert_eq!(sent["data_processing_options"], json!(["LDU"]), "{sent}");
    assert_eq!(
        (&sent["data_processing_options_country"], &sent["data_processing_options_state"]),
        (&json!(0), &json!(0))
    );
    let told = printed(&server, &["trace", &click])?;
    for words in ["gpc 1", "sent for limited use", "cannot be told", "consent_denied"] {
        assert!(told.contains(words), "{words}: {told}");
    }
    // Any other value is no signal.
    let click = click_with_gpc(&server, "fbclid=B", "0").await?;
    server.postback(&format!("click_id={click}&tid=2&payout=1")).await?;
    let document = CONFIG.to_owned();
    server.apply(&document).await?;
    server.deliver().await?;
    let sent = server.accepted().await?;
    assert_eq!(sent.len(), 2);
    assert!(sent[1]["event"].get("data_processing_options").is_none(), "{}", sent[1]);
    server.stop().await;
    Ok(())
}

async fn denial(kind: Kind) -> Result<()> {
    let server = TestServer::start(kind).await?;
    configure(&server, "", "\"meta-main\"").await?;
    let event = json!({
        "event": "Purchase", "event_id": "e-1", "transaction_id": "D1", "value": "12.34", "currency": "USD",
        "event_source_url": "https://shop.example/thanks",
        "user": {"client_user_agent": "UA/1.0", "client_ip_address": "192.0.2.7"},
        "consent": {"ad_user_data": "denied"},
    });
    let reply = post_as(server.tracking, "/v1/events", &server.token, &event.to_string()).await?;
    assert_eq!(reply.status, 200, "{}", reply.text());
    server.deliver().await?;
    assert_eq!(deliveries(&server).await?, [row("meta-main", "cancelled", "consent_denied")]);
    assert!(server.accepted().await?.is_empty());
    let delivery = rows(&server.api("/api/v1/deliveries").await?).remove(0);
    assert_eq!(text(&delivery, "/detail"), "ad_user_data is denied; by its policy, nothing is sent");
    // Visible and countable, and no failure.
    let errors = server.api("/api/v1/deliveries/errors").await?;
    assert!(errors.to_string().contains("consent_denied"), "{errors}");
    let days = server.api("/api/v1/deliveries/days?days=1").await?;
    assert_eq!(rows(&days)[0]["failed"], json!(0), "{days}");
    // Asked again under the same policy, it stays back; under another one it goes in the form that the platform takes.
    let again = json!({"destination": "meta-main", "code": "consent_denied", "apply": true}).to_string();
    for (policy, accepted) in [("gpc = \"ignore\"", 0), ("when_denied = \"limited\"", 1)] {
        let policy = format!("allow_private = true\nconsent_policy = {{ {policy} }}");
        server.apply(&CONFIG.replace("allow_private = true", &policy)).await?;
        let reply = post_as(server.admin, "/api/v1/deliveries/replay", &server.token, &again).await?;
        assert!(reply.status < 300, "{}", reply.text());
        server.engine.work_on_jobs().await?;
        server.deliver().await?;
        assert_eq!(server.accepted().await?.len(), accepted, "{policy}");
    }
    let sent = &server.accepted().await?[0]["event"];
    assert_eq!((&sent["opt_out"], &sent["data_processing_options"]), (&json!(true), &json!(["LDU"])));
    server.stop().await;
    Ok(())
}

async fn strings(kind: Kind) -> Result<()> {
    let server = TestServer::start(kind).await?;
    let network = NETWORK.replace(
        "https://network.example/p?c={click_id}",
        &format!("http://{}/postback/x?gdpr={{gdpr}}&gdpr_consent={{gdpr_consent}}&gpp={{gpp}}&gpp_sid={{gpp_sid}}", server.sandbox),
    );
    let network = format!("{network}allow_private = true\n");
    let config = CONFIG.replace("&s={sub1}", "&s={sub1}&gdpr_consent={gdpr_consent}&gpp={gpp}");
    server.apply(&format!("{}\n{network}", config.replace("[\"meta-main\"]", "[\"network\"]"))).await?;
    // Purposes 1 to 10 are allowed.
    let tcf = "CPXxRfAPXxRfAAfKABENB-CgAP_gAAAAAAYgAAAAAAAA.YAAAAAAAAAA";
    let query = format!("gdpr=1&gdpr_consent={tcf}&gpp=DBABMA~CPXx-_RfAP&gpp_sid=2");
    let request = Request::get(format!("/c/summer?{query}")).body(Full::default())?;
    let reply = client::send(server.tracking, request).await?;
    let location = reply.header("location").unwrap_or_default().to_owned();
    assert!(location.ends_with(&format!("&gdpr_consent={tcf}&gpp=DBABMA~CPXx-_RfAP")), "{location}");
    let click = location.split("cid=").nth(1).unwrap_or_default().split('&').next().unwrap_or_default();
    server.postback(&format!("click_id={click}&tid=S1&payout=12.34")).await?;
    server.deliver().await?;
    let delivery = rows(&server.api("/api/v1/deliveries").await?).remove(0);
    let attempts = server.api(&format!("/api/v1/deliveries/{}/attempts", text(&delivery, "/id"))).await?;
    let url = text(&rows(&attempts)[0], "/url").to_owned();
    assert!(url.contains(&query), "{url}");
    server.stop().await;
    Ok(())
}
