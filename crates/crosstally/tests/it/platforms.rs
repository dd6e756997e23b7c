//! The ad platforms beside Meta, each over the same journeys: what differs is a row of [`Platform`].

use anyhow::{Context, Result};
use crosstally_testkit::client;
use crosstally_testkit::database::Kind;
use crosstally_testkit::on_both;
use crosstally_testkit::server::{CONFIG, START, TestServer};
use serde_json::{Value, json};

mod trial;

use trial::each as each_gets_a_test;

on_both! {
    /// Google's Data Manager: signs in first, and what is taken is not yet proven.
    google_gets_each_event_once => google;
    /// Google Analytics: what is taken is not proven, whatever it is.
    google_analytics_gets_each_event_once => ga4;
    /// A refresh token that is no longer good holds everything.
    a_refused_sign_in_holds_everything => sign_in;
    /// LinkedIn: one bad event is named, and its neighbours go again without it.
    linkedin_gets_each_event_once => linkedin;
    /// X: a refused batch is halved.
    x_gets_each_event_once => x;
    /// A receiver of signed webhooks: by a shared secret, through a rotation, and by a private key.
    a_signed_webhook_arrives_once => webhook;
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
    /// `capi send-test` marks one event as each platform wants it; where there is no test mode it says so.
    each_platform_gets_a_test => each_gets_a_test;
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

const GOOGLE: Platform = Platform {
    kind: "google_data_manager",
    settings: r#"
account_id = "123-456-7890"
conversion_actions = { Purchase = "4242" }
client_id = "app.example"
client_secret = "client-secret-1"
refresh_token = "refresh-token-1"
token_endpoint = "http://SANDBOX/token""#,
    click_id: ("gclid", "aB-c_D.1"),
    click_id_at: "/adIdentifiers/gclid",
    name: ("/destinationReferences/0", "4242"),
    id_at: "/transactionId",
    value: ("/conversionValue", "12.34"),
    time: ("/eventTimestamp", 0),
};

const GA4: Platform = Platform {
    kind: "ga4",
    settings: "measurement_id = \"G-ABC123\"\napi_secret = { env = \"META_TOKEN\" }\nwithout_client_id = \"derive\"",
    click_id: ("ga_session_id", "1764200000"),
    click_id_at: "/params/session_id",
    name: ("/name", "purchase"),
    id_at: "/params/transaction_id",
    value: ("/params/value", "12.34"),
    time: ("/params/engagement_time_msec", 0),
};

const LINKEDIN: Platform = Platform {
    kind: "linkedin",
    settings: "conversion_rules = { Purchase = \"104012\" }\napi_version = \"202610\"\naccess_token = { env = \"META_TOKEN\" }",
    click_id: ("li_fat_id", "aB-c_D.1"),
    click_id_at: "/user/userIds/0/idValue",
    name: ("/conversion", "urn:lla:llaPartnerConversion:104012"),
    id_at: "/eventId",
    value: ("/conversionValue/amount", "\"12.34\""),
    time: ("/conversionHappenedAt", 1),
};

const X: Platform = Platform {
    kind: "x",
    settings: r#"
pixel_id = "o8z6j"
event_ids = { Purchase = "tw-o8z6j-o8z21" }
consumer_key = "ck"
consumer_secret = "cs"
access_token = { env = "META_TOKEN" }
access_token_secret = "ats""#,
    click_id: ("twclid", "aB-c_D.1"),
    click_id_at: "/identifiers/0/twclid",
    name: ("/event_id", "tw-o8z6j-o8z21"),
    id_at: "/conversion_id",
    value: ("/value", "\"12.34\""),
    time: ("/conversion_time", 0),
};

const WEBHOOK_SECRET: &str = "whsec_Y3Jvc3N0YWxseSBzYW5kYm94IHdlYmhvb2sga2V5";

impl Platform {
    /// Whether the platform knows an event by its order and not by its id.
    fn knows_orders(&self) -> bool {
        matches!(self.kind, "google_data_manager" | "ga4")
    }
}

async fn google(kind: Kind) -> Result<()> {
    journeys(kind, &GOOGLE).await
}

async fn linkedin(kind: Kind) -> Result<()> {
    journeys(kind, &LINKEDIN).await
}

async fn x(kind: Kind) -> Result<()> {
    journeys(kind, &X).await
}

/// Nothing that Google Analytics answers tells a good event from a bad one, or a good secret from a bad one.
async fn ga4(kind: Kind) -> Result<()> {
    let server = TestServer::start(kind).await?;
    server.apply(&configuration(&GA4, server.sandbox)?).await?;
    once(&server, &GA4).await?;
    server.fault(&json!({"kind": "expired_token", "times": 1})).await?;
    let click = server.click("ga_client_id=1.2&ga_session_id=5").await?;
    server.postback(&format!("click_id={click}&tid=T2&payout=1.50")).await?;
    server.deliver().await?;
    let rows = deliveries(&server).await?;
    let delivered = rows.iter().filter(|row| word(row, "code") == "accepted_unverified").count();
    assert_eq!((rows.len(), delivered), (2, 2), "{rows:?}");
    assert_eq!(server.accepted().await?.len(), 1);
    let attempts =
        server.api(&format!("/api/v1/deliveries/{}/attempts", word(&rows[0], "id"))).await?.to_string();
    assert!(attempts.contains("api_secret=***") && !attempts.contains("tok-good"), "{attempts}");
    server.stop().await;
    Ok(())
}

async fn sign_in(kind: Kind) -> Result<()> {
    let server = TestServer::start(kind).await?;
    let good = configuration(&GOOGLE, server.sandbox)?;
    server.apply(&good.replace("refresh-token-1", "expired-refresh-token")).await?;
    let click = server.click("gclid=a").await?;
    server.postback(&format!("click_id={click}&tid=T1&payout=2.00")).await?;
    server.deliver().await?;
    let row = deliveries(&server).await?.remove(0);
    assert_eq!((word(&row, "state"), word(&row, "code")), ("held", "dest_auth"), "{row}");
    let shown = server.api(&format!("/api/v1/trace/{click}")).await?.to_string();
    assert!(shown.contains("invalid_grant") && shown.contains("/token"), "{shown}");
    assert!(!shown.contains("expired-refresh-token") && !shown.contains("client-secret-1"), "{shown}");
    // Another token is other settings: tried at once.
    server.apply(&good).await?;
    server.deliver().await?;
    let row = deliveries(&server).await?.remove(0);
    assert_eq!((word(&row, "state"), word(&row, "code")), ("delivered", "accepted_unverified"), "{row}");
    assert_eq!(server.accepted().await?.len(), 1);
    server.stop().await;
    Ok(())
}

async fn webhook(kind: Kind) -> Result<()> {
    let server = TestServer::start(kind).await?;
    let with = |secrets: &str| -> Result<String> {
        let settings = format!("url = \"http://SANDBOX/webhook/crm\"\n{secrets}");
        let document =
            configuration(&Platform { kind: "webhook", settings: "SETTINGS", ..TIKTOK }, server.sandbox)?;
        let (before, after) = document.split_once("endpoint = ").context("an endpoint")?;
        let after = after.split_once('\n').context("more lines")?.1;
        Ok(format!("{before}{after}").replace("SETTINGS", &settings))
    };
    let other = "whsec_bmV3LXNlY3JldC1vZi1hY21lLW51bWJlci0y";
    // The private half of the sandbox's Ed25519 key.
    let private = "whsk_BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";
    for (number, secrets) in [
        format!("secret = \"{WEBHOOK_SECRET}\""),
        format!("secret = \"{other}\"\nold_secret = \"{WEBHOOK_SECRET}\""),
        format!("secret = \"{private}\""),
    ]
    .iter()
    .enumerate()
    {
        server.apply(&with(secrets)?).await?;
        let click = server.click("sub1=x").await?;
        server.postback(&format!("click_id={click}&tid=W{number}&payout=12.34&currency=USD")).await?;
        // The answer gets lost: sent again under the same id, with a signature of its own time.
        server.fault(&json!({"kind": "reset_after_accept", "times": 1})).await?;
        server.deliver().await?;
        server.advance(3_600_000);
        server.deliver().await?;
        let accepted = server.accepted().await?;
        assert_eq!(accepted.len(), number + 1, "{secrets}");
        let event = at(&accepted[number], "/event");
        assert_eq!((word(event, "type"), at(event, "/data/value")), ("Purchase", &json!("12.34")));
        assert_eq!(at(event, "/data/transaction_id"), &json!(format!("W{number}")));
    }
    let duplicates = client::get(server.sandbox, "/_sandbox/duplicates").await?.json()?;
    assert_eq!(duplicates.get("data").and_then(Value::as_array).map(Vec::len), Some(3));
    // A secret that cannot sign is as good as none; one that the receiver does not know pauses as well.
    for (secret, code) in [("whsec_too-short", "secret_missing"), (other, "dest_auth")] {
        server.apply(&with(&format!("secret = \"{secret}\""))?).await?;
        let click = server.click("sub1=y").await?;
        server.postback(&format!("click_id={click}&tid={code}&payout=1")).await?;
        server.deliver().await?;
        let held = deliveries(&server).await?.into_iter().find(|row| word(row, "state") == "held");
        assert_eq!(word(&held.context("a held delivery")?, "code"), code);
    }
    let everything = server.api("/api/v1/deliveries?limit=500").await?.to_string();
    assert!(!everything.contains("whsec_") && !everything.contains("whsk_"), "a secret is shown");
    server.stop().await;
    Ok(())
}

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
    one_bad(&server, platform).await?;
    expired_token(&server, platform).await?;
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
    let own = if platform.knows_orders() { &json!("T1") } else { at(&row, "/event_id") };
    assert_eq!(at(event, platform.id_at), own);
    assert_eq!(at(event, platform.value.0).to_string(), platform.value.1);
    let time = match platform.time.1 {
        // Google Analytics has the time beside the event.
        0 if platform.kind == "ga4" => json!(1),
        0 => json!(START.to_string()),
        unit => json!(START.as_millis() / unit),
    };
    assert_eq!(at(event, platform.time.0), &time);
    Ok(())
}

/// Five conversions, one of which the platform refuses: it alone is dead.
async fn one_bad(server: &TestServer, platform: &Platform) -> Result<()> {
    let click = server.click(&format!("{}=y", platform.click_id.0)).await?;
    for number in 2..7 {
        server.postback(&format!("click_id={click}&tid=T{number}&payout=1.50")).await?;
    }
    let rows = deliveries(server).await?;
    let bad = rows.iter().find(|row| word(row, "state") == "pending").context("a pending delivery")?;
    let known_by = if platform.knows_orders() { "T4" } else { word(bad, "event_id") };
    server.fault(&json!({"kind": "reject_event_id", "event_id": known_by})).await?;
    server.deliver().await?;
    // Where the bad one is named, its neighbours go again a little later.
    server.advance(60_000);
    server.deliver().await?;
    server.no_faults().await?;
    assert_eq!(server.accepted().await?.len(), 5);
    let rows = deliveries(server).await?;
    let dead: Vec<&Value> = rows.iter().filter(|row| word(row, "state") == "dead").collect();
    assert_eq!(dead.len(), 1, "{rows:?}");
    assert_eq!(word(dead[0], "code"), "dest_rejected");
    assert!(platform.knows_orders() || word(dead[0], "id") == word(bad, "id"));
    assert_eq!(rows.iter().filter(|row| word(row, "state") == "delivered").count(), 5);
    Ok(())
}

/// A token that is no longer good holds everything; a new one lets it go.
async fn expired_token(server: &TestServer, platform: &Platform) -> Result<()> {
    server.fault(&json!({"kind": "expired_token"})).await?;
    let click = server.click(&format!("{}=z", platform.click_id.0)).await?;
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
