//! The lines G4 to G7 of the security checklist: what a visitor says of their privacy, from the click to the platform.

use std::path::PathBuf;

use anyhow::{Context, Result};
use crosstally_core::consent::Europe;
use crosstally_core::event::OutboundEvent;
use crosstally_core::ids::ClickId;
use crosstally_core::retention::Class;
use crosstally_core::time::HOUR_MS;
use crosstally_http::DoorOptions;
use crosstally_store::{PurgePlace, PurgeStep};
use crosstally_testkit::client::{self, get, post_as};
use crosstally_testkit::database::Kind;
use crosstally_testkit::server::{CONFIG, TestServer};
use crosstally_testkit::{mmdb, on_both};
use http::Request;
use http_body_util::Full;
use serde_json::{Value, json};

on_both! {
    /// Line G4: `Sec-GPC: 1`, once, is kept with the click and obeyed; that it is, the server says.
    g4_global_privacy_control_is_kept_obeyed_and_told => gpc;
    /// Line G5: limited data use of a click or of a server event reaches Meta as it was said.
    g5_limited_data_use_reaches_meta => ldu;
    /// Line G6: a visitor of Europe whom nobody asked is not sent to Google, and the delivery says why.
    g6_google_gets_nobody_of_europe_without_a_word => europe;
    /// Line G6: where nobody knows the country nothing is noted, and a note goes before a file that does not know.
    g6_what_nobody_knows_is_not_elsewhere => noted;
    /// Line G6: that an address is gone by its time makes nobody of Europe somebody from elsewhere.
    g6_who_was_of_europe_stays_so_without_an_address => purged;
    /// Line G7: strings of consent leave byte for byte; what is malformed is absent and counted; no denial is lost.
    g7_strings_are_untouched_and_no_denial_is_lost => strings;
}

fn rows(list: &Value) -> Vec<Value> {
    list["data"].as_array().cloned().unwrap_or_default()
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or("")
}

/// A click with these headers; its id and where it was sent.
async fn click(server: &TestServer, query: &str, headers: &[(&str, &str)]) -> Result<(String, String)> {
    let mut request = Request::get(format!("/c/summer?{query}")).header("user-agent", "UA/1.0");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let reply = client::send(server.tracking, request.body(Full::default())?).await?;
    let location = reply.header("location").unwrap_or_default().to_owned();
    let id = location.split("cid=").nth(1).unwrap_or_default().split('&').next().unwrap_or_default();
    Ok((id.to_owned(), location))
}

async fn gpc(kind: Kind) -> Result<()> {
    let server = TestServer::ready(kind).await?;
    for (number, (headers, asks)) in [
        (&[("sec-gpc", "1")][..], true),
        (&[], false),
        (&[("sec-gpc", "0")], false),
        (&[("sec-gpc", "1"), ("sec-gpc", "1")], false),
        (&[("sec-gpc", "0"), ("sec-gpc", "1")], false),
        (&[("sec-gpc", "1"), ("sec-gpc", "0")], false),
    ]
    .into_iter()
    .enumerate()
    {
        let (id, _) = click(&server, &format!("fbclid=A{number}"), headers).await?;
        let kept = server.api(&format!("/api/v1/clicks/{id}")).await?;
        assert_eq!(kept.get("gpc"), Some(&json!(asks)), "{headers:?}: {kept}");
        server.postback(&format!("click_id={id}&tid=T{number}&payout=12.34")).await?;
        server.deliver().await?;
        let sent = server.accepted().await?.pop().unwrap_or_default();
        let limited = sent.pointer("/event/data_processing_options") == Some(&json!(["LDU"]));
        assert_eq!(limited, asks, "{headers:?}: {sent}");
    }
    let reply = get(server.tracking, "/.well-known/gpc.json").await?;
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("application/json")));
    assert_eq!(reply.json()?, json!({"gpc": true, "lastUpdate": "2026-11-21"}));
    // Where somebody is told in full all the same, the server does not claim otherwise.
    let ignored = "allow_private = true\nconsent_policy = { gpc = \"ignore\" }";
    server.apply(&CONFIG.replace("allow_private = true", ignored)).await?;
    assert_eq!(get(server.tracking, "/.well-known/gpc.json").await?.json()?["gpc"], json!(false));
    server.stop().await;
    Ok(())
}

async fn ldu(kind: Kind) -> Result<()> {
    let server = TestServer::ready(kind).await?;
    let marks = |event: &Value| {
        ["", "_country", "_state"].map(|end| event["event"][format!("data_processing_options{end}")].clone())
    };
    let california =
        "data_processing_options=LDU&data_processing_options_country=1&data_processing_options_state=1000";
    for (query, expected) in [
        (california, [json!(["LDU"]), json!(1), json!(1000)]),
        ("data_processing_options=LDU", [json!(["LDU"]), json!(0), json!(0)]),
        ("data_processing_options=", [json!([]), Value::Null, Value::Null]),
        ("sub1=x", [Value::Null, Value::Null, Value::Null]),
    ] {
        let (id, _) = click(&server, query, &[]).await?;
        server.postback(&format!("click_id={id}&payout=12.34")).await?;
        server.deliver().await?;
        let sent = server.accepted().await?.pop().unwrap_or_default();
        assert_eq!(marks(&sent), expected, "{query}: {sent}");
    }
    server.stop().await;
    Ok(())
}

const GA4: &str = r#"
[[destination]]
slug = "ga"
kind = "ga4"
measurement_id = "G-ABC123"
api_secret = { env = "META_TOKEN" }
without_client_id = "derive"
endpoint = "http://SANDBOX"
allow_private = true
"#;

/// A file of addresses of two countries.
fn places(server: &TestServer) -> Result<PathBuf> {
    let file = server.database.directory().join("places.mmdb");
    let ranges = [("203.0.113.0", "DE"), ("198.51.100.0", "US")];
    let ranges = ranges.map(|(range, country)| (range.parse().unwrap(), 24, mmdb::place(country, "", "", 1)));
    std::fs::write(&file, mmdb::file(&ranges))?;
    Ok(file)
}

async fn europe(kind: Kind) -> Result<()> {
    let server = TestServer::start(kind).await?;
    server.engine.geo.open(&[places(&server)?])?;
    server.apply(&format!("{}\n{GA4}", CONFIG.replace("[\"meta-main\"]", "[\"ga\"]"))).await?;
    for (number, (ip, consent, code)) in [
        ("203.0.113.7", json!({}), "consent_denied"),
        ("198.51.100.7", json!({}), "accepted_unverified"),
        ("203.0.113.7", json!({"ad_user_data": "granted"}), "accepted_unverified"),
        ("203.0.113.7", json!({"ad_user_data": "denied"}), "accepted_unverified"),
        ("198.51.100.7", json!({"gdpr": "1"}), "consent_denied"),
    ]
    .into_iter()
    .enumerate()
    {
        server.advance(1_000);
        let event = json!({
            "event": "Purchase", "transaction_id": format!("G{number}"), "value": "12.34", "currency": "USD",
            "user": {"client_ip_address": ip, "client_user_agent": "UA/1.0"}, "consent": consent,
        });
        let reply = post_as(server.tracking, "/v1/events", &server.token, &event.to_string()).await?;
        assert_eq!(reply.status, 200, "{}", reply.text());
        server.deliver().await?;
        let delivery = rows(&server.api("/api/v1/deliveries").await?).remove(0);
        assert_eq!(text(&delivery, "/code"), code, "{ip} {consent}: {delivery}");
        if code == "consent_denied" {
            assert!(text(&delivery, "/detail").contains("nothing says whether ad_user_data"), "{delivery}");
        }
    }
    assert_eq!(server.accepted().await?.len(), 3);
    server.stop().await;
    Ok(())
}

async fn purged(kind: Kind) -> Result<()> {
    const GERMAN: [(&str, &str); 1] = [("x-forwarded-for", "203.0.113.7")];
    const AMERICAN: [(&str, &str); 1] = [("x-forwarded-for", "198.51.100.7")];
    let doors = DoorOptions { trusted_proxies: vec!["127.0.0.0/8".parse()?], ..DoorOptions::default() };
    let server = TestServer::behind(kind, doors).await?;
    let config = CONFIG
        .replace("[\"meta-main\"]", "[\"ga\"]\ndelay = \"50h\"")
        .replace("cost_model", "sites = [\"shop.example\"]\ncost_model");
    server.apply(&format!("{config}\n{GA4}\n[retention]\nip = \"2d\"\n")).await?;
    // Of the first nobody could say where it came from; the last has gone to Germany before it reached the page.
    let early = click(&server, "", &AMERICAN).await?.0;
    server.engine.geo.open(&[places(&server)?])?;
    let (german, american) = (click(&server, "", &GERMAN).await?.0, click(&server, "", &AMERICAN).await?.0);
    let moved = click(&server, "", &AMERICAN).await?.0;
    let told = json!({"campaign": "summer", "click_id": moved, "page": "https://shop.example/",
        "events": [{"name": "Lead", "event_id": "e-1"}]});
    let request = Request::post("/e").header("origin", "https://shop.example").header("user-agent", "UA/1.0");
    let request = request.header(GERMAN[0].0, GERMAN[0].1).body(told.to_string().into())?;
    assert_eq!(client::send(server.tracking, request).await?.status, 200);
    // A sale that waits while the address goes, and one that comes when it is gone.
    for round in 0..2 {
        for (name, id) in [("E", &early), ("G", &german), ("A", &american), ("M", &moved)] {
            let call = format!("click_id={id}&tid={name}{round}&payout=12.34");
            assert_eq!(server.postback(&call).await?.status, 200);
        }
        server.advance(51 * HOUR_MS);
        server.engine.purge_what_is_over().await?;
        for id in [&early, &german, &american, &moved] {
            let kept = server.api(&format!("/api/v1/clicks/{id}")).await?;
            assert_eq!(kept.get("ip"), Some(&Value::Null), "{kept}");
        }
        server.deliver().await?;
    }
    let mut codes = Vec::new();
    for name in ["E", "G", "A", "M"] {
        for round in 0..2 {
            let trace = server.api(&format!("/api/v1/trace/{name}{round}")).await?;
            let delivery = trace.pointer("/conversions/0/deliveries/0/delivery").cloned().unwrap_or(trace);
            codes.push((name, text(&delivery, "/code").to_owned(), text(&delivery, "/detail").to_owned()));
        }
    }
    for (name, code, detail) in &codes {
        let (expected, says) = match *name {
            "E" => ("consent_denied", "the visitor's address is gone"),
            "A" => ("accepted_unverified", ""),
            _ => ("consent_denied", "the visitor is in the EEA"),
        };
        assert!(code == expected && detail.contains(says), "{codes:?}");
    }
    assert_eq!(server.accepted().await?.len(), 2);
    server.stop().await;
    Ok(())
}

/// As a version before this left an event of which it took the address.
fn without_a_note(event: &OutboundEvent, _: Class) -> Option<OutboundEvent> {
    let mut left = event.clone();
    left.visitor.client_ip_address = None;
    left.origin.europe = Europe::Unsaid;
    Some(left)
}

async fn noted(kind: Kind) -> Result<()> {
    let doors = DoorOptions { trusted_proxies: vec!["127.0.0.0/8".parse()?], ..DoorOptions::default() };
    let server = TestServer::behind(kind, doors).await?;
    server.apply(&format!("{}\n{GA4}", CONFIG.replace("[\"meta-main\"]", "[\"ga\"]"))).await?;
    let networks = server.database.directory().join("networks.mmdb");
    let network = mmdb::Value::Map(vec![("autonomous_system_number", mmdb::Value::Number(64_500))]);
    let german = [("x-forwarded-for", "203.0.113.7")];
    std::fs::write(&networks, mmdb::file(&[("203.0.113.0".parse()?, 24, network)]))?;
    let (places, engine) = (places(&server)?, &server.engine);
    let in_europe = async |headers: &[(&str, &str)]| -> Result<Option<bool>> {
        let id = ClickId::parse_unchecked(&click(&server, "", headers).await?.0)?;
        Ok(engine.store.click(id).await?.context("the click")?.in_europe)
    };
    // Who knows no country says of nobody that they are elsewhere, and neither does who does not know the address.
    engine.geo.open(std::slice::from_ref(&networks))?;
    assert_eq!(in_europe(&german).await?, None);
    engine.geo.open(&[networks.clone(), places])?;
    assert_eq!(in_europe(&german).await?, Some(true));
    assert_eq!(in_europe(&[("x-forwarded-for", "198.51.100.7")]).await?, Some(false));
    assert_eq!(in_europe(&[("x-forwarded-for", "192.0.2.7")]).await?, None);
    let id = click(&server, "", &german).await?.0;
    server.postback(&format!("click_id={id}&tid=N1&payout=12.34")).await?;
    let sale = engine.store.list_conversions(None, 1).await?.remove(0).id;
    let europe = async || -> Result<Europe> {
        let event = engine.store.goal_events_of_conversion(sale).await?.remove(0);
        Ok(engine.geo.europe(&event.event))
    };
    assert_eq!(europe().await?, Europe::Inside);
    engine.geo.open(&[networks])?;
    assert_eq!(europe().await?, Europe::Inside, "a node without that file goes by the note");
    let step = PurgeStep {
        class: Class::Ip,
        place: PurgePlace::Events,
        from: [0; 16],
        before: engine.clock.now().plus_millis(1_000),
        limit: 10,
        without: without_a_note,
        now: engine.clock.now(),
    };
    assert_eq!(engine.store.purge(step).await?.rows, 1);
    assert_eq!(europe().await?, Europe::Unknown, "a click had an address, whoever took it");
    engine.geo.open(&[])?;
    assert_eq!(europe().await?, Europe::Unsaid, "without a file nobody is looked for");
    server.stop().await;
    Ok(())
}

async fn strings(kind: Kind) -> Result<()> {
    let server = TestServer::start(kind).await?;
    let config = CONFIG.replace("&s={sub1}", "&s={sub1}&gdpr={gdpr}&gdpr_consent={gdpr_consent}&gpp={gpp}");
    server.apply(&config).await?;
    let string = "CPXxRfAPXxRfAAfKABENB-CgAP_gAAAAAAYgAAAAAAAA.YAAAAAAAAAA";
    let (id, location) =
        click(&server, &format!("gdpr=1&gdpr_consent={string}&gpp=DBABMA~CPXx-_RfAP"), &[]).await?;
    assert!(
        location.ends_with(&format!("&gdpr=1&gdpr_consent={string}&gpp=DBABMA~CPXx-_RfAP")),
        "{location}"
    );
    server.postback(&format!("click_id={id}&tid=S0&payout=12.34")).await?;
    server.deliver().await?;
    assert_eq!(server.accepted().await?.len(), 1, "what the string allows is sent");
    // What no string can be is absent, and counted; the rest of the click counts as it is.
    let (id, _) = click(&server, "gdpr_consent=CP%20x&gpp=DB%20x&gdpr=yes&fbclid=A", &[]).await?;
    server.postback(&format!("click_id={id}&tid=S1&payout=12.34")).await?;
    let metrics = get(server.admin, "/metrics").await?.text();
    for name in ["gdpr", "gdpr_consent", "gpp"] {
        let counted = format!("crosstally_consent_malformed_total{{name=\"{name}\"}} 1");
        assert!(metrics.contains(&counted), "{name}: {metrics}");
    }
    server.deliver().await?;
    assert_eq!(server.accepted().await?.len(), 2);
    // However a denial is written, it stays one.
    for (number, query) in [
        "ad_user_data=%20denied%20",
        "ad_user_data[]=denied",
        "ad_user_data%5B0%5D=granted&ad_user_data%5B1%5D=denied",
        "ad_user_data=granted&AD_USER_DATA=Denied",
        "ad_user_data=nope",
        "ad_personalization=denied%00",
    ]
    .into_iter()
    .enumerate()
    {
        server.advance(1_000);
        let (id, _) = click(&server, query, &[]).await?;
        server.postback(&format!("click_id={id}&tid=D{number}&payout=12.34")).await?;
        server.deliver().await?;
        let delivery = rows(&server.api("/api/v1/deliveries").await?).remove(0);
        assert_eq!(text(&delivery, "/code"), "consent_denied", "{query}: {delivery}");
    }
    assert_eq!(server.accepted().await?.len(), 2);
    server.stop().await;
    Ok(())
}
