//! The lines G1 and G2 of the security checklist: a person is erased, from everything that is stored and for good; the money
//! stays and tallies.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use crosstally_core::click::Click;
use crosstally_core::ids::ClickId;
use crosstally_core::postback::Inbound;
use crosstally_engine::Engine;
use crosstally_engine::open::Parts;
use crosstally_engine::random::Random;
use crosstally_engine::secrets::FixedSecrets;
use crosstally_store::LeaseWanted;
use crosstally_testkit::client::{self, get_as, post_as};
use crosstally_testkit::database::{Database, Kind};
use crosstally_testkit::on_both;
use crosstally_testkit::server::{CONFIG, TestServer};
use http::Request;
use http_body_util::Full;
use serde_json::{Value, json};

on_both! {
    /// Line G1: gone from every table and file, with a receipt that counts; others and the money stay.
    g1_an_erased_person_is_nowhere_and_the_money_stays => nowhere;
    /// Line G1: nothing brings the person back: no call, file, replay, spool or new start.
    g1_what_is_erased_does_not_come_back => back;
    /// Line G2: what is pending is cancelled and says why; what was refused is not sent again; the counts tally.
    g2_pending_deliveries_of_an_erased_person_are_cancelled => pending;
}

pub(crate) const EMAIL: &str = "ann.marker@mail.example";

pub(crate) fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or("")
}

pub(crate) fn rows(list: &Value) -> Vec<Value> {
    list["data"].as_array().cloned().unwrap_or_default()
}

pub(crate) async fn ask(server: &TestServer, path: &str, body: &Value) -> Result<Value> {
    let reply = post_as(server.admin, path, &server.token, &body.to_string()).await?;
    if reply.status >= 300 {
        bail!("{path}: {}", reply.text());
    }
    reply.json()
}

pub(crate) async fn start(kind: Kind) -> Result<TestServer> {
    let server = TestServer::start(kind).await?;
    let sites = "sites = [\"shop.example\"]\ncost_model";
    server.apply(&CONFIG.replace("cost_model", sites)).await?;
    Ok(server)
}

/// Everything that Ann did: a click, its browser's word, a sale by a postback, one by her backend, a call that waits, a run of
/// a tool. The click's id.
async fn ann(server: &TestServer) -> Result<String> {
    let request = Request::get("/c/summer?fbclid=markerFbclid&external_id=marker-user&sub1=x")
        .header("user-agent", "markerAgent/1.0")
        .header("referer", "https://blog.example/markerPage");
    let reply = client::send(server.tracking, request.body(Full::default())?).await?;
    let location = reply.header("location").context("no location")?.to_owned();
    let click = location.split("cid=").nth(1).and_then(|rest| rest.split('&').next()).context("no id")?;
    let told = json!({"campaign": "summer", "click_id": click, "page": "https://shop.example/markerCart",
        "fbp": "fb.1.1764190000000.1116446470", "events": [{"name": "Lead", "event_id": "markerEvent"}]});
    let request = Request::post("/e").header("origin", "https://shop.example");
    let reply = client::send(server.tracking, request.body(told.to_string().into())?).await?;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let sale = format!("click_id={click}&tid=markerOrder&payout=12.34&email={EMAIL}&external_id=marker-user");
    let reply = server.postback(&sale).await?.json()?;
    assert_eq!(text(&reply, "/result"), "recorded", "{reply}");
    let event = json!({"event": "Purchase", "transaction_id": "markerSecond", "value": "5.00", "currency": "USD",
        "user": {"email": [EMAIL], "client_ip_address": "192.0.2.77", "client_user_agent": "markerAgent/2.0"}});
    let reply = post_as(server.tracking, "/v1/events", &server.token, &event.to_string()).await?;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let waits = format!("click_id=markerForeign&payout=1&email={EMAIL}");
    let reply = server.postback(&waits).await?.json()?;
    assert_eq!(text(&reply, "/result"), "quarantined", "{reply}");
    ask(server, "/api/v1/tools/click/extract", &json!({"text": format!("https://a.example/?cid={click}")}))
        .await?;
    Ok(click.to_owned())
}

/// Somebody else.
async fn bob(server: &TestServer) -> Result<String> {
    let click = server.click("fbclid=bobFbclid&external_id=marker-user-2").await?;
    server.postback(&format!("click_id={click}&tid=bobOrder&payout=7.00&email=bob@mail.example")).await?;
    Ok(click)
}

pub(crate) async fn erase(server: &TestServer, who: &Value) -> Result<Value> {
    let mut wanted = who.clone();
    wanted["apply"] = json!(true);
    let begun = ask(server, "/api/v1/erasures", &wanted).await?;
    assert_eq!(text(&begun, "/erasure/state"), "running", "{begun}");
    // Not before every node has learned of it.
    assert_eq!(server.engine.work_on_erasures().await?, 0);
    // What was found on the way is looked for once more, when every node knows of that too.
    for pass in 1..4 {
        server.advance(3_000);
        if server.engine.work_on_erasures().await? == 1 {
            break;
        }
        assert!(pass < 3, "two passes are enough");
    }
    server.api(&format!("/api/v1/erasures/{}", text(&begun, "/erasure/id"))).await
}

fn marks(click: &str) -> Vec<String> {
    let hash = crosstally_core::identity::sha256_hex(EMAIL);
    let mut marks = vec![click.to_owned(), hash, EMAIL.to_owned(), "192.0.2.77".to_owned()];
    let words = ["Fbclid", "Agent", "Page", "Cart", "Event", "Order", "Second", "Foreign"];
    marks.extend(words.map(|word| format!("marker{word}")));
    marks
}

/// Looks for texts, and for a click's id as bytes, in all that is stored. The store must be closed.
async fn find(database: &Database, kind: Kind, marks: &[String], click: ClickId) -> Result<Vec<String>> {
    if kind == Kind::Sqlite {
        let mut found = Vec::new();
        look(database.directory(), marks, click, &mut found)?;
        return Ok(found);
    }
    let mut found = Vec::new();
    let uuid = crosstally_engine::keys::hex_of(*click.as_bytes());
    for mark in marks.iter().chain([&uuid]) {
        let hex = crosstally_engine::keys::hex_of(mark.bytes());
        // UUIDs are written with hyphens, bytes in hexadecimal.
        let ask = format!(
            "DO $$ DECLARE t record; n bigint; BEGIN
                FOR t IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' LOOP
                    EXECUTE format('SELECT count(*) FROM %I AS x WHERE x::text ILIKE %L OR x::text ILIKE %L
                        OR replace(x::text, ''-'', '''') ILIKE %L', t.tablename, '%{mark}%', '%{hex}%', '%{uuid}%') INTO n;
                    IF n > 0 THEN RAISE EXCEPTION 'left'; END IF;
                END LOOP; END $$"
        );
        if database.run(&ask).await.is_err() {
            found.push(mark.clone());
        }
    }
    Ok(found)
}

fn look(directory: &Path, marks: &[String], click: ClickId, found: &mut Vec<String>) -> Result<()> {
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            look(&path, marks, click, found)?;
            continue;
        }
        let bytes = std::fs::read(&path)?;
        let has = |mark: &[u8]| bytes.windows(mark.len()).any(|some| some == mark);
        let texts = marks.iter().filter(|mark| has(mark.as_bytes()));
        found.extend(texts.map(|mark| format!("{mark} in {}", path.display())));
        if has(click.as_bytes()) {
            found.push(format!("the click's bytes in {}", path.display()));
        }
    }
    Ok(())
}

async fn money(server: &TestServer) -> Result<(Value, Value)> {
    Ok((server.api("/api/v1/ledger").await?, server.api("/api/v1/receipts/balance").await?))
}

async fn nowhere(kind: Kind) -> Result<()> {
    let server = start(kind).await?;
    let click = ann(&server).await?;
    let other = bob(&server).await?;
    server.deliver().await?;
    let before = money(&server).await?;
    let who = json!({"emails": [EMAIL]});
    let preview = ask(&server, "/api/v1/erasures", &who).await?;
    assert_eq!(preview["erasure"], Value::Null, "nothing is begun");
    for (what, count) in [("clicks", 1), ("conversions", 2), ("receipts", 3), ("browser_events", 1)] {
        assert_eq!(preview["counts"][what], json!(count), "{what}: {preview}");
    }
    assert_eq!(server.api(&format!("/api/v1/clicks/{click}")).await?["id"], json!(click), "nothing changed");
    let receipt = erase(&server, &who).await?;
    for (what, count) in [
        ("clicks", 1),
        ("conversions", 2),
        ("receipts", 3),
        ("browser_events", 1),
        ("events", 2),
        ("attempts", 1),
        ("tool_runs", 1),
    ] {
        assert_eq!(receipt["counts"][what], json!(count), "{what}: {receipt}");
    }
    assert_eq!((text(&receipt, "/state"), text(&receipt, "/subject")), ("done", "contact"));
    let again = erase(&server, &json!({"click_ids": [click], "external_ids": ["marker-user"]})).await?;
    assert_eq!(again["counts"], json!({}), "nothing is left: {again}");
    assert_eq!(money(&server).await?, before, "the money and the balance stay");
    assert_eq!(get_as(server.admin, &format!("/api/v1/clicks/{click}"), &server.token).await?.status, 404);
    let kept = server.api(&format!("/api/v1/clicks/{other}")).await?;
    assert!(kept.to_string().contains("bobFbclid"), "{kept}");
    let id = ClickId::parse_unchecked(&click)?;
    server.engine.store.close().await;
    assert_eq!(find(&server.database, kind, &marks(&click), id).await?, Vec::<String>::new());
    // The search finds what is there.
    let others =
        find(&server.database, kind, &["bobFbclid".to_owned()], ClickId::parse_unchecked(&other)?).await?;
    assert!(!others.is_empty());
    Ok(())
}

async fn engine_anew(server: &TestServer) -> Result<Engine> {
    let spool = server.database.directory().join("spool-2");
    let engine = Engine::build(Parts {
        store: server.engine.store.clone(),
        clock: Arc::new(server.clock.clone()),
        random: Random::seeded(8),
        secret_source: Arc::new(FixedSecrets([("META_TOKEN".to_owned(), "tok-good".to_owned())].into())),
        master_key: Some([9; 32]),
        spool: &spool,
    });
    Ok(engine.await?)
}

/// By a call: under its click, another tracker's name of it, or its order's name.
async fn by_calls(server: &TestServer, click: &str) -> Result<()> {
    for call in [
        format!("click_id={click}&tid=another&payout=1"),
        "click_id=markerAlias&tid=another&payout=1".to_owned(),
        "tid=markerOrder&payout=12.34".to_owned(),
    ] {
        let reply = server.postback(&call).await?;
        assert_eq!(
            (reply.status, text(&reply.json()?, "/code")),
            (403, "erased"),
            "{call}: {}",
            reply.text()
        );
        let receipt = server.api(&format!("/api/v1/receipts/{}", text(&reply.json()?, "/receipt"))).await?;
        assert!(!receipt.to_string().contains(click) && !receipt.to_string().contains("marker"), "{receipt}");
    }
    // A call that is not even read, by its sender's fault.
    let reply = server.postback(&format!("click_id={click}&tid=x&payout=many")).await?;
    let receipt = server.api(&format!("/api/v1/receipts/{}", text(&reply.json()?, "/receipt"))).await?;
    assert!(!receipt.to_string().contains(click), "{receipt}");
    Ok(())
}

/// By a file: what happened before is refused, and what does not say when; what happens after is new.
async fn by_files(server: &TestServer) -> Result<()> {
    let row = |more: &[(&str, &str)]| {
        let mut row = vec![json!(["payout", "3"]), json!(["email", EMAIL])];
        row.extend(more.iter().map(|(name, value)| json!([name, value])));
        row
    };
    for dry_run in [true, false] {
        let rows_in = [
            row(&[("transaction_id", "f1")]),
            row(&[("transaction_id", "f2"), ("event_time", "2026-11-20T00:00:00Z")]),
            row(&[("transaction_id", "f3"), ("event_time", "2026-11-21T10:00:10Z")]),
        ];
        server.advance(20_000);
        let wanted = json!({"partner": "acme", "rows": rows_in, "dry_run": dry_run});
        let out = rows(&ask(server, "/api/v1/imports/conversions", &wanted).await?);
        let results: Vec<_> = out.iter().map(|row| (text(row, "/result"), text(row, "/code"))).collect();
        assert_eq!(results[..2], [("refused", "erased"); 2], "dry run {dry_run}: {out:?}");
        assert_eq!(results[2].0, "recorded", "dry run {dry_run}: {out:?}");
    }
    Ok(())
}

async fn back(kind: Kind) -> Result<()> {
    let server = start(kind).await?;
    let click = ann(&server).await?;
    let id = ClickId::parse_unchecked(&click)?;
    let stored: Click = server.engine.store.click(id).await?.context("no click")?;
    let receipts = server.engine.store.receipts_of_click(id, 10).await?;
    let alias = json!({"aliases": [{"alias": "markerAlias", "click_id": click}]});
    assert_eq!(ask(&server, "/api/v1/aliases", &alias).await?["added"], json!(1));
    erase(&server, &json!({"emails": [EMAIL], "external_ids": ["marker-user"]})).await?;
    let before = server.api("/api/v1/ledger").await?;
    by_calls(&server, &click).await?;
    by_files(&server).await?;
    // By a replay or a repair.
    for set in [json!({}), json!({"click_id": click})] {
        let wanted = json!({"receipts": [receipts[0].id.to_string()], "set": set, "apply": true});
        let out = ask(&server, "/api/v1/receipts/replay", &wanted).await?;
        assert!(text(&out, "/data/0/problem").contains("erased"), "{out}");
    }
    // By the spool, by another tracker's list, by a browser.
    assert!(server.engine.spool.append(&Arc::new(stored)).await);
    server.engine.drain_spool().await.map_err(anyhow::Error::msg)?;
    assert_eq!(server.engine.store.click(id).await?, None);
    let out = ask(&server, "/api/v1/aliases", &alias).await?;
    assert_eq!(out["rejected"].as_array().map(Vec::len), Some(1), "{out}");
    let told =
        json!({"campaign": "summer", "click_id": click, "page": "https://shop.example/", "events": []});
    let request = Request::post("/e").header("origin", "https://shop.example");
    let reply = client::send(server.tracking, request.body(told.to_string().into())?).await?;
    assert_eq!(text(&reply.json()?, "/code"), "erased", "{}", reply.text());
    // After a new start too, and on another node.
    let anew = engine_anew(&server).await?;
    let inbound = Inbound {
        method: "GET".into(),
        partner: "acme".into(),
        query: format!("click_id={click}&tid=late&payout=1").into_bytes(),
        ..Inbound::default()
    };
    let out = anew.receive_postback(inbound).await.rows.remove(0);
    assert_eq!(out.reason.map(|reason| reason.code()), Some("erased"));
    let after = server.api("/api/v1/ledger").await?;
    assert_ne!(after, before, "what came after the erasure is booked");
    assert!(!after.to_string().contains("marker"));
    server.stop().await;
    Ok(())
}

async fn states(server: &TestServer) -> Result<Vec<(String, String)>> {
    let list = rows(&server.api("/api/v1/deliveries").await?);
    let mut states: Vec<_> =
        list.iter().map(|row| (text(row, "/state").to_owned(), text(row, "/code").to_owned())).collect();
    states.sort();
    Ok(states)
}

async fn pending(kind: Kind) -> Result<()> {
    let server = start(kind).await?;
    let click = ann(&server).await?;
    bob(&server).await?;
    // A worker has them in hand and has not called yet.
    let now = crosstally_engine::clock::Clock::now(&server.clock);
    let wanted = LeaseWanted {
        destination: "meta-main".into(),
        owner: "worker".into(),
        now,
        until: now.plus_millis(60_000),
        limit: 10,
        unknown_for_ms: None,
        first: crosstally_core::delivery::lane::Lane::Fresh,
    };
    let leased = server.engine.store.lease_deliveries(wanted).await?;
    assert_eq!(leased.len(), 3);
    let before = money(&server).await?;
    let receipt = erase(&server, &json!({"emails": [EMAIL]})).await?;
    assert_eq!(receipt["counts"]["deliveries_cancelled"], json!(2), "{receipt}");
    assert_eq!(money(&server).await?, before);
    let call = crosstally_store::NewCall {
        id: crosstally_core::ids::CallId::new(now, [1; 10]),
        destination: "meta-main".into(),
        started_at: now.plus_millis(1),
        method: "POST".into(),
        url: "http://x.example".into(),
        deliveries: leased
            .iter()
            .map(|one| (crosstally_store::Held { id: one.id, fence: one.fence }, "payload".to_owned()))
            .collect(),
    };
    assert_eq!(server.engine.store.open_call(call).await?.len(), 1, "only Bob's may be sent by now");
    server.advance(120_000);
    server.deliver().await?;
    let erased = || ("cancelled".to_owned(), "erased".to_owned());
    let delivered = ("delivered".to_owned(), "delivered".to_owned());
    assert_eq!(states(&server).await?, [erased(), erased(), delivered.clone()]);
    assert_eq!(server.accepted().await?.len(), 1);
    // Asked for once more, it stays back, and nothing is said of anybody.
    let again = json!({"destination": "meta-main", "states": ["cancelled"], "apply": true});
    ask(&server, "/api/v1/deliveries/replay", &again).await?;
    server.engine.work_on_jobs().await?;
    server.deliver().await?;
    assert_eq!(states(&server).await?, [erased(), erased(), delivered]);
    assert_eq!(server.accepted().await?.len(), 1);
    let counted = server.engine.store.count_deliveries().await?;
    let total: u64 = counted.iter().map(|count| count.count).sum();
    assert_eq!(total, 3, "the counts tally: {counted:?}");
    let errors = server.api("/api/v1/deliveries/days?days=1").await?;
    assert_eq!(rows(&errors)[0]["failed"], json!(0), "nothing failed: {errors}");
    assert!(!errors.to_string().contains(&click));
    // What has arrived and is on its way once more stays arrived, and is told so before and after.
    let again = json!({"destination": "meta-main", "states": ["delivered"], "apply": true});
    ask(&server, "/api/v1/deliveries/replay", &again).await?;
    server.engine.work_on_jobs().await?;
    assert!(states(&server).await?.iter().any(|(state, _)| state == "pending"));
    let bob = json!({"emails": ["bob@mail.example"]});
    let preview = ask(&server, "/api/v1/erasures", &bob).await?;
    let done = erase(&server, &bob).await?;
    for told in [&preview, &done] {
        assert_eq!(told["counts"]["deliveries"], json!(1), "{told}");
        assert_eq!(told["counts"].get("deliveries_cancelled"), None, "{told}");
    }
    server.stop().await;
    Ok(())
}
