//! The ad platforms beside Meta, each over the same journeys: what differs is a row of [`Platform`].

use anyhow::{Context, Result};
use crosstally_testkit::client;
use crosstally_testkit::database::Kind;
use crosstally_testkit::on_both;
use crosstally_testkit::server::{CONFIG, START, TestServer};
use serde_json::{Value, json};

on_both! {
    /// TikTok: a click becomes one event, through a throttle and a repeat; a bad event alone is dead; a token pauses.
    tiktok_gets_each_event_once => tiktok;
    /// The same with Snapchat, whose token stands in the URL.
    snapchat_gets_each_event_once => snapchat;
    /// The same with Pinterest, which answers with a row for each event.
    pinterest_gets_each_event_once => pinterest;
    /// The same with Reddit, which refuses a whole batch for one bad event.
    reddit_gets_each_event_once => reddit;
    /// The same with Microsoft, which names the bad events by their places.
    microsoft_gets_each_event_once => microsoft;
    /// The same with OpenAI, which counts in cents.
    openai_gets_each_event_once => openai;
}

/// What differs from platform to platform.
struct Platform {
    /// The destination's kind; also the sandbox's name of the platform.
    kind: &'static str,
    /// The settings, as TOML.
    settings: &'static str,
    /// The parameter of the platform's click id, and one that could be.
    click_id: (&'static str, &'static str),
    /// Where the click id stands in the event.
    click_id_at: &'static str,
    /// Where the event's name stands, and what a Purchase is called.
    name: (&'static str, &'static str),
    /// Where the event's id stands.
    id_at: &'static str,
    /// Where the value stands, and how 12.34 is written.
    value: (&'static str, &'static str),
    /// Where the time stands, and its unit in milliseconds.
    time: (&'static str, i64),
}

const TIKTOK: Platform = Platform {
    kind: "tiktok",
    settings: "pixel_code = \"C0DE\"\naccess_token = { env = \"META_TOKEN\" }",
    click_id: ("ttclid", "aB-c_D.1"),
    click_id_at: "/user/ttclid",
    name: ("/event", "Purchase"),
    id_at: "/event_id",
    value: ("/properties/value", "12.34"),
    time: ("/event_time", 1000),
};

const SNAPCHAT: Platform = Platform {
    kind: "snapchat",
    settings: "pixel_id = \"P1\"\naccess_token = { env = \"META_TOKEN\" }",
    click_id: ("ScCid", "aB-c_D.1"),
    click_id_at: "/user_data/sc_click_id",
    name: ("/event_name", "PURCHASE"),
    id_at: "/event_id",
    value: ("/custom_data/value", "12.34"),
    time: ("/event_time", 1000),
};

const PINTEREST: Platform = Platform {
    kind: "pinterest",
    settings: "ad_account_id = \"A1\"\naccess_token = { env = \"META_TOKEN\" }",
    click_id: ("epik", "aB-c_D.1"),
    click_id_at: "/user_data/click_id",
    name: ("/event_name", "checkout"),
    id_at: "/event_id",
    value: ("/custom_data/value", "\"12.34\""),
    time: ("/event_time", 1000),
};

const REDDIT: Platform = Platform {
    kind: "reddit",
    settings: "pixel_id = \"P1\"\naccess_token = { env = \"META_TOKEN\" }",
    click_id: ("rdt_cid", "aB-c_D.1"),
    click_id_at: "/click_id",
    name: ("/type/tracking_type", "PURCHASE"),
    id_at: "/metadata/conversion_id",
    value: ("/metadata/value", "12.34"),
    time: ("/event_at", 1),
};

const MICROSOFT: Platform = Platform {
    kind: "microsoft",
    settings: "tag_id = \"T1\"\naccess_token = { env = \"META_TOKEN\" }\nevent_names = { Purchase = \"sale\" }",
    click_id: ("msclkid", "0123456789abcdef0123456789ABCDEF"),
    click_id_at: "/userData/msclkid",
    name: ("/eventName", "sale"),
    id_at: "/eventId",
    value: ("/customData/value", "12.34"),
    time: ("/eventTime", 1000),
};

const OPENAI: Platform = Platform {
    kind: "openai",
    settings: "pixel_id = \"P1\"\naccess_token = { env = \"META_TOKEN\" }",
    click_id: ("oppref", "aB-c_D.1"),
    click_id_at: "/oppref",
    name: ("/type", "order_created"),
    id_at: "/id",
    value: ("/data/amount", "1234"),
    time: ("/timestamp_ms", 1),
};

async fn tiktok(kind: Kind) -> Result<()> {
    journeys(kind, &TIKTOK).await
}

async fn snapchat(kind: Kind) -> Result<()> {
    journeys(kind, &SNAPCHAT).await
}

async fn pinterest(kind: Kind) -> Result<()> {
    journeys(kind, &PINTEREST).await
}

async fn reddit(kind: Kind) -> Result<()> {
    journeys(kind, &REDDIT).await
}

async fn microsoft(kind: Kind) -> Result<()> {
    journeys(kind, &MICROSOFT).await
}

async fn openai(kind: Kind) -> Result<()> {
    journeys(kind, &OPENAI).await
}

async fn journeys(kind: Kind, platform: &Platform) -> Result<()> {
    let server = TestServer::start(kind).await?;
    server.apply(&configuration(platform, server.sandbox)?).await?;
    once(&server, platform).await?;
    one_bad(&server).await?;
    expired_token(&server).await?;
    for row in deliveries(&server).await? {
        let id = word(&row, "id");
        let attempts = server.api(&format!("/api/v1/deliveries/{id}/attempts")).await?.to_string();
        assert!(!format!("{row}{attempts}").contains("tok-good"), "the token is shown");
        let in_url = platform.kind == "snapchat";
        assert_eq!(attempts.contains("/events?access_token=***"), in_url, "{attempts}");
    }
    server.stop().await;
    Ok(())
}

/// The usual configuration with another destination.
fn configuration(platform: &Platform, sandbox: std::net::SocketAddr) -> Result<String> {
    let (before, rest) = CONFIG.split_once("[[destination]]").context("a destination")?;
    let (_, goals) = rest.split_once("[[goal]]").context("a goal")?;
    let Platform { kind, settings, .. } = platform;
    Ok(format!(
        "{before}[[destination]]\nslug = \"ads\"\nkind = \"{kind}\"\n{settings}\nendpoint = \"http://{sandbox}\"\nallow_private = true\n\n[[goal]]{}",
        goals.replace("meta-main", "ads")
    ))
}

async fn deliveries(server: &TestServer) -> Result<Vec<Value>> {
    let list = server.api("/api/v1/deliveries?limit=500").await?;
    Ok(list.get("data").and_then(Value::as_array).cloned().unwrap_or_default())
}

fn word<'a>(row: &'a Value, name: &str) -> &'a str {
    row.get(name).and_then(Value::as_str).unwrap_or("")
}

fn at<'a>(event: &'a Value, pointer: &str) -> &'a Value {
    event.pointer(pointer).unwrap_or_else(|| panic!("no {pointer} in {event}"))
}

/// Click, postback, a throttle, the event; then an answer that got lost: recognised by its id.
async fn once(server: &TestServer, platform: &Platform) -> Result<()> {
    let click = server.click(&format!("{}={}&sub1=x", platform.click_id.0, platform.click_id.1)).await?;
    server.fault(&json!({"kind": "throttle", "retry_after": 120, "times": 1})).await?;
    server.fault(&json!({"kind": "reset_after_accept", "times": 1})).await?;
    let reply = server.postback(&format!("click_id={click}&tid=T1&payout=12.34&currency=USD")).await?;
    assert_eq!(reply.status, 200, "{}", reply.text());
    server.deliver().await?;
    let row = deliveries(server).await?.remove(0);
    assert_eq!((word(&row, "state"), word(&row, "code")), ("pending", "dest_rate_limited"), "{row}");
    server.advance(119_000);
    server.deliver().await?;
    assert_eq!(server.accepted().await?.len(), 0, "sooner than the platform asked");
    for _ in 0..3 {
        server.advance(200_000);
        server.deliver().await?;
    }
    let row = deliveries(server).await?.remove(0);
    assert_eq!(word(&row, "state"), "delivered", "{row}");
    assert_eq!(at(&row, "/attempts").to_string(), "3");
    let accepted = server.accepted().await?;
    assert_eq!(accepted.len(), 1, "the same id is accepted once");
    let duplicates = client::get(server.sandbox, "/_sandbox/duplicates").await?.json()?;
    assert_eq!(duplicates.get("data").and_then(Value::as_array).map(Vec::len), Some(1));
    assert_eq!(word(&accepted[0], "platform"), platform.kind);
    let event = at(&accepted[0], "/event");
    assert_eq!(at(event, platform.click_id_at), platform.click_id.1);
    assert_eq!(at(event, platform.name.0), platform.name.1);
    assert_eq!(at(event, platform.id_at), at(&row, "/event_id"));
    assert_eq!(at(event, platform.value.0).to_string(), platform.value.1);
    let unit = platform.time.1;
    assert_eq!(at(event, platform.time.0).to_string(), (START.as_millis() / unit).to_string());
    Ok(())
}

/// Five conversions, one of which the platform refuses: it alone is dead.
async fn one_bad(server: &TestServer) -> Result<()> {
    let click = server.click("sub1=y").await?;
    for number in 2..7 {
        server.postback(&format!("click_id={click}&tid=T{number}&payout=1.50")).await?;
    }
    let rows = deliveries(server).await?;
    let bad = rows.iter().find(|row| word(row, "state") == "pending").context("a pending delivery")?;
    server.fault(&json!({"kind": "reject_event_id", "event_id": word(bad, "event_id")})).await?;
    server.deliver().await?;
    server.no_faults().await?;
    assert_eq!(server.accepted().await?.len(), 5);
    let rows = deliveries(server).await?;
    let dead: Vec<&Value> = rows.iter().filter(|row| word(row, "state") == "dead").collect();
    assert_eq!(dead.len(), 1, "{rows:?}");
    assert_eq!((word(dead[0], "id"), word(dead[0], "code")), (word(bad, "id"), "dest_rejected"));
    assert_eq!(rows.iter().filter(|row| word(row, "state") == "delivered").count(), 5);
    Ok(())
}

/// A token that is no longer good holds everything; a new one lets it go.
async fn expired_token(server: &TestServer) -> Result<()> {
    server.fault(&json!({"kind": "expired_token"})).await?;
    let click = server.click("sub1=z").await?;
    server.postback(&format!("click_id={click}&tid=T9&payout=2.00")).await?;
    server.deliver().await?;
    let held = deliveries(server).await?.into_iter().find(|row| word(row, "state") == "held");
    assert_eq!(word(&held.context("a held delivery")?, "code"), "dest_auth");
    server.no_faults().await?;
    let request = http::Request::post("/api/v1/destinations/ads/resume")
        .header("authorization", format!("Bearer {}", server.token));
    let reply = client::send(server.admin, request.body(http_body_util::Full::default())?).await?;
    assert_eq!(reply.status, 200, "{}", reply.text());
    server.deliver().await?;
    assert_eq!(server.accepted().await?.len(), 6);
    Ok(())
}
