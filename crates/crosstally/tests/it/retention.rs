//! Line G3 of the security checklist: what is kept for a time only is emptied then, field by field, whatever happens to the
//! server meanwhile.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use crosstally_core::click::{AdClickIds, Click};
use crosstally_core::ids::{ClickId, ClickIdKey};
use crosstally_core::time::{DAY_MS, Timestamp};
use crosstally_engine::clock::{Clock, SystemClock};
use crosstally_store::{OpenOptions, Store};
use crosstally_testkit::client::{self, get, post_as};
use crosstally_testkit::database::{Database, Kind};
use crosstally_testkit::on_both;
use crosstally_testkit::server::{CONFIG, TestServer};
use http::Request;
use http_body_util::Full;
use serde_json::{Value, json};

use crate::commands::program;

on_both! {
    /// Line G3: each class goes when its time is over, what is younger stays, and the money with it.
    g3_each_class_of_fields_goes_when_its_time_is_over => classes;
    /// Line G3: what is sent or stored late goes in its time too, also after a clock that was ahead.
    g3_what_comes_late_goes_in_its_time => late;
    /// Line G3: a call that waits is booked when what it waits for has come, and goes then.
    g3_a_call_that_waits_is_read_once_more => waiting;
    /// Line G3: killed again and again, the purge goes on where it stood and ends; what is young is never touched.
    g3_a_purge_that_is_killed_goes_on_and_ends => killed;
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or("")
}

const KEPT: &str = "[retention]\nip = \"7d\"\nuser_agent = \"30d\"\nraw = \"90d\"\n";

/// A click with its browser's word and its sale, delivered. Click and receipt.
async fn sale(server: &TestServer, order: &str) -> Result<(String, String)> {
    let click = server.click(&format!("fbclid={order}")).await?;
    let told = json!({"campaign": "summer", "click_id": click, "page": "https://shop.example/",
        "events": [{"name": "Lead", "event_id": order}]});
    let request =
        Request::post("/e").header("origin", "https://shop.example").header("user-agent", "Browser/1.0");
    let reply = client::send(server.tracking, request.body(told.to_string().into())?).await?;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let request = Request::get(format!("/postback/acme?click_id={click}&tid={order}&payout=12.34"))
        .header("user-agent", "Network/1.0");
    let reply = client::send(server.tracking, request.body(Full::default())?).await?.json()?;
    server.deliver().await?;
    Ok((click, text(&reply, "/receipt").to_owned()))
}

/// What is left of a sale: address and agent of click, receipt, browser's event and sent event; the raw call; the payload.
async fn left(server: &TestServer, (click, receipt): &(String, String)) -> Result<[bool; 4]> {
    let click = ClickId::parse_unchecked(click)?;
    let stored = server.engine.store.click(click).await?.context("no click")?;
    let receipt = server.engine.store.receipt(receipt.parse()?).await?.context("no receipt")?;
    let told = server.engine.store.browser_events(click).await?.remove(0);
    let conversion = receipt.conversion.context("not booked")?;
    let event = server.engine.store.goal_events_of_conversion(conversion).await?.remove(0).event;
    let delivery = server.engine.store.deliveries_of_conversion(conversion).await?.remove(0);
    let attempt = server.engine.store.attempts(delivery.id).await?.remove(0);
    let all = |fields: [bool; 4]| {
        assert!(fields.iter().all(|kept| *kept == fields[0]), "all of a class or nothing: {fields:?}");
        fields[0]
    };
    Ok([
        all([
            stored.ip.is_some(),
            !receipt.peer.is_empty(),
            told.ip.is_some(),
            event.visitor.client_ip_address.is_some(),
        ]),
        all([
            !stored.user_agent.is_empty(),
            !receipt.user_agent.is_empty(),
            !told.user_agent.is_empty(),
            event.visitor.client_user_agent.is_some(),
        ]),
        all([!receipt.query.is_empty(); 4]),
        all([
            !attempt.payload.is_empty(),
            !attempt.payload.is_empty(),
            !attempt.response.is_empty(),
            !attempt.response.is_empty(),
        ]),
    ])
}

async fn classes(kind: Kind) -> Result<()> {
    let server = TestServer::start(kind).await?;
    let config = CONFIG.replace("cost_model", "sites = [\"shop.example\"]\ncost_model");
    server.apply(&config).await?;
    let old = sale(&server, "old").await?;
    server.advance(6 * DAY_MS);
    let young = sale(&server, "young").await?;
    assert_eq!(server.engine.purge_what_is_over().await?, 0, "all is kept as long as nothing is said");
    server.apply(&format!("{config}\n{KEPT}")).await?;
    let ledger = server.api("/api/v1/ledger").await?;
    let balance = server.engine.store.count_receipts().await?;
    for (days, of_old, of_young) in [
        (0, [true; 4], [true; 4]),
        (2, [false, true, true, true], [true; 4]),
        (23, [false, false, true, true], [false, true, true, true]),
        (60, [false; 4], [false, false, true, true]),
        (6, [false; 4], [false; 4]),
    ] {
        server.advance(days * DAY_MS);
        server.engine.purge_what_is_over().await?;
        assert_eq!(left(&server, &old).await?, of_old, "{days} days later");
        assert_eq!(left(&server, &young).await?, of_young, "{days} days later");
    }
    assert_eq!(server.engine.purge_what_is_over().await?, 0, "it is done");
    assert_eq!(server.api("/api/v1/ledger").await?, ledger, "the money stays");
    assert_eq!(server.engine.store.count_receipts().await?, balance);
    let metrics = get(server.admin, "/metrics").await?.text();
    for line in [
        "crosstally_purge_lag_seconds{class=\"ip\",place=\"clicks\"} 0",
        "crosstally_purged_total{class=\"ip\",place=\"clicks\"} 2",
        "crosstally_purged_total{class=\"raw\",place=\"receipts\"} 2",
    ] {
        assert!(metrics.contains(line), "{line}: {metrics}");
    }
    // What is gone cannot be read again, and says so.
    let replay = json!({"receipts": [old.1], "apply": true}).to_string();
    let reply = post_as(server.admin, "/api/v1/receipts/replay", &server.token, &replay).await?;
    assert!(reply.text().contains("purged"), "{}", reply.text());
    let receipt = server.api(&format!("/api/v1/receipts/{}", old.1)).await?;
    assert!(receipt.to_string().contains("purged"), "{receipt}");
    server.stop().await;
    Ok(())
}

async fn payloads(server: &TestServer) -> Result<Vec<bool>> {
    let mut kept = Vec::new();
    for conversion in server.engine.store.list_conversions(None, 10).await? {
        for delivery in server.engine.store.deliveries_of_conversion(conversion.id).await? {
            let attempts = server.engine.store.attempts(delivery.id).await?;
            kept.extend(attempts.iter().map(|attempt| !attempt.payload.is_empty()));
        }
    }
    Ok(kept)
}

async fn late(kind: Kind) -> Result<()> {
    let server = TestServer::start(kind).await?;
    let config = CONFIG.replace("role = ", "delay = \"3d\"\nrole = ");
    server.apply(&format!("{config}\n[retention]\nip = \"2d\"\nraw = \"2d\"\n")).await?;
    let day = async || -> Result<()> {
        server.advance(DAY_MS);
        server.engine.purge_what_is_over().await?;
        server.deliver().await
    };
    let first = server.click("fbclid=A").await?;
    server.postback(&format!("click_id={first}&tid=T1&payout=12.34")).await?;
    server.advance(1_000);
    for _ in 0..3 {
        day().await?;
    }
    assert_eq!(payloads(&server).await?, [true], "sent a moment ago");
    for _ in 0..3 {
        day().await?;
    }
    assert_eq!(payloads(&server).await?, [false]);
    // A click that was in the spool of a node that was away.
    let old = server.engine.store.click(ClickId::parse_unchecked(&first)?).await?.context("no click")?;
    let at = old.at.plus_millis(DAY_MS);
    let key = ClickIdKey::new(&[5; 32]);
    let spooled = Click { ip: Some([192, 0, 2, 7].into()), ..click(&key, at, 1) };
    assert!(server.engine.spool.append(&Arc::new(spooled.clone())).await);
    server.engine.drain_spool().await.map_err(anyhow::Error::msg)?;
    let stored = server.engine.store.click(spooled.id).await?.context("not stored")?;
    assert_eq!((stored.ip, stored.user_agent.as_str()), (None, "UA/1.0"), "its place was purged already");
    // A clock that was ahead for a while.
    server.advance(30 * DAY_MS);
    server.engine.purge_what_is_over().await?;
    server.advance(-30 * DAY_MS);
    server.engine.purge_what_is_over().await?;
    let second = ClickId::parse_unchecked(&server.click("fbclid=B").await?)?;
    let has_address = async || -> Result<bool> {
        Ok(server.engine.store.click(second).await?.context("no click")?.ip.is_some())
    };
    day().await?;
    assert!(has_address().await?);
    for _ in 0..2 {
        day().await?;
    }
    assert!(!has_address().await?, "what was made meanwhile goes in its time");
    server.stop().await;
    Ok(())
}

async fn waiting(kind: Kind) -> Result<()> {
    let server = TestServer::ready(kind).await?;
    server.apply(&format!("{CONFIG}\n[retention]\nraw = \"7d\"\n")).await?;
    let click = server.click("fbclid=A").await?;
    let reply = server.postback("click_id=foreign&tid=T1&payout=5.00").await?.json()?;
    assert_eq!(text(&reply, "/result"), "quarantined", "{reply}");
    let receipt = text(&reply, "/receipt").parse()?;
    let is_kept = async || -> Result<bool> {
        Ok(!server.engine.store.receipt(receipt).await?.context("no receipt")?.query.is_empty())
    };
    server.advance(10 * DAY_MS);
    server.engine.purge_what_is_over().await?;
    assert!(is_kept().await?);
    let alias = json!({"aliases": [{"alias": "foreign", "click_id": click}]}).to_string();
    let reply = post_as(server.admin, "/api/v1/aliases", &server.token, &alias).await?;
    assert_eq!(reply.status, 200, "{}", reply.text());
    server.engine.match_waiting().await?;
    assert_eq!(server.engine.store.list_conversions(None, 10).await?.len(), 1, "it is booked");
    server.advance(25 * DAY_MS);
    server.engine.purge_what_is_over().await?;
    assert!(!is_kept().await?, "it waits no more");
    server.stop().await;
    Ok(())
}

/// Clicks of two ages.
const OLD: u32 = 12_000;
const YOUNG: u32 = 500;
const KILLS: u64 = 12;

fn click(key: &ClickIdKey, at: Timestamp, number: u32) -> Click {
    let [a, b, c, d] = number.to_be_bytes();
    Click {
        id: ClickId::new(key, at, [a, b, c, d, 0, 0, 0]),
        at,
        campaign: "summer".into(),
        source: "facebook".into(),
        query: "sub1=x".into(),
        target: "https://lander.example/".into(),
        ip: Some([192, 0, 2, 7].into()),
        in_europe: None,
        user_agent: "UA/1.0".into(),
        referrer: String::new(),
        language: String::new(),
        fbc_cookie: String::new(),
        fbp_cookie: String::new(),
        ad_click_ids: AdClickIds::default(),
        cost: None,
        gpc: false,
        test: false,
        labels: Vec::new(),
        way: None,
    }
}

/// How many clicks before and after a time have an address.
async fn with_address(store: &Store, border: Timestamp) -> Result<(u32, u32)> {
    let (mut old, mut young, mut before) = (0, 0, None);
    loop {
        let page = store.list_clicks(before, 1_000).await?;
        let Some(last) = page.last() else { return Ok((old, young)) };
        before = Some(last.id);
        for click in page.iter().filter(|click| click.ip.is_some()) {
            if click.at < border { old += 1 } else { young += 1 }
        }
    }
}

async fn killed(kind: Kind) -> Result<()> {
    let database = Database::fresh(kind).await?;
    let directory = database.directory().to_owned();
    let key = ClickIdKey::new(&[7; 32]);
    let now = SystemClock.now();
    let border = now.plus_millis(-2 * DAY_MS);
    let store = Store::open(OpenOptions::at(database.location())).await?;
    let old = (0..OLD).map(|number| click(&key, now.plus_millis(-10 * DAY_MS + i64::from(number)), number));
    let young = (0..YOUNG).map(|number| click(&key, now.plus_millis(-i64::from(number)), number));
    for some in old.chain(young).collect::<Vec<_>>().chunks(1_000) {
        store.append_clicks(some.to_vec()).await?;
    }
    store.close().await;
    let file = directory.join("kept.toml");
    let source = "[[source]]\nslug = \"facebook\"\npreset = \"meta\"\n";
    std::fs::write(
        &file,
        format!(
            "[workspace]\nbase_currency = \"USD\"\ntimezone = \"UTC\"\n{source}[retention]\nip = \"2d\"\n"
        ),
    )?;
    let file = file.display().to_string();
    let applied = program().run(&["config", "apply", &file], &database.flags(), &directory)?;
    assert!(applied.status.success(), "{}", String::from_utf8_lossy(&applied.stderr));
    let mut standing = Vec::new();
    for round in 0..KILLS {
        let server = program().serve(&database.flags(), &directory).await?;
        tokio::time::sleep(Duration::from_millis(round * 23 % 140)).await;
        server.kill()?;
        let store = Store::open(OpenOptions::at(database.location())).await?;
        standing.push(with_address(&store, border).await?);
        store.close().await;
    }
    assert!(standing.is_sorted_by(|one, next| one.0 >= next.0), "it never goes back: {standing:?}");
    assert!(standing.iter().all(|(_, young)| *young == YOUNG), "the young stay: {standing:?}");
    let server = program().serve(&database.flags(), &directory).await?;
    for _ in 0..600 {
        let metrics = get(server.admin, "/metrics").await?.text();
        if metrics.contains("crosstally_purge_lag_seconds{class=\"ip\",place=\"clicks\"} 0") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    server.stop()?;
    let store = Store::open(OpenOptions::at(database.location())).await?;
    assert_eq!(with_address(&store, border).await?, (0, YOUNG));
    let marks = store.purge_marks().await?;
    let purged = marks.iter().find(|mark| mark.place == "clicks").context("no mark")?.purged;
    assert_eq!(purged, u64::from(OLD), "each was counted once, in the transaction that emptied it");
    store.close().await;
    Ok(())
}
