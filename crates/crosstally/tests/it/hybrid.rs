//! Which events of pixel and server met, and where visitors are lost: over the API and by the program, with the same answer.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use bytes::Bytes;
use crosstally_testkit::client;
use crosstally_testkit::database::Kind;
use crosstally_testkit::on_both;
use crosstally_testkit::server::TestServer;
use http::Request;
use http_body_util::Full;
use serde_json::{Value, json};

use crate::browser::{config, tell};
use crate::commands::program;
use crate::guarded::word;
use crate::tools::{parsed, run};

on_both! {
    /// Each way to meet and to miss each other is told by its name, counted, paged and filtered.
    pairs_are_told_with_why_they_did_not_meet => pairs;
    /// Redirect, page view, step, action, conversion: each loss at its hop, and what cannot be seen is not made up.
    visitors_are_counted_hop_by_hop => losses;
}

const HOUR_MS: i64 = 3_600_000;

async fn told(server: &TestServer, click: &str, name: &str, id: &str, consent: Value) -> Result<()> {
    let event = json!({"name": name, "event_id": id, "page": "https://shop.example/"});
    let call = json!({"campaign": "summer", "click_id": click, "page": "https://shop.example/", "consent": consent,
        "events": [event]});
    tell(server, &call).await.map(drop)
}

/// A click whose browser told one event.
async fn clicked(server: &TestServer, name: &str, id: &str) -> Result<String> {
    let click = server.click("fbclid=AbC").await?;
    told(server, &click, name, id, json!({})).await?;
    Ok(click)
}

fn rows(page: &Value) -> Vec<Value> {
    page["data"].as_array().cloned().unwrap_or_default()
}

/// The verdicts with how many there are of each.
async fn verdicts(server: &TestServer) -> Result<BTreeMap<String, usize>> {
    let mut all = BTreeMap::new();
    for row in rows(&server.api("/api/v1/hybrid?limit=500").await?) {
        *all.entry(word(&row, "verdict").to_owned()).or_default() += 1;
    }
    Ok(all)
}

async fn sold(server: &TestServer, click: &str, tid: &str, more: &str) -> Result<()> {
    let reply = server.postback(&format!("click_id={click}&tid={tid}&payout=1{more}")).await?;
    assert_eq!(word(&reply.json()?, "result"), "recorded", "{}", reply.text());
    Ok(())
}

async fn pairs(kind: Kind) -> Result<()> {
    let server = TestServer::start(kind).await?;
    server.apply(&config()).await?;
    let met = clicked(&server, "Purchase", "e-met").await?;
    sold(&server, &met, "T1", "").await?;
    let silent = server.click("fbclid=AbC").await?;
    sold(&server, &silent, "T2", "").await?;
    let other = clicked(&server, "Purchase", "e-page").await?;
    sold(&server, &other, "T3", "&event_id=e-partner").await?;
    let named = clicked(&server, "Lead", "e-lead").await?;
    sold(&server, &named, "T4", "").await?;
    server.postback("tid=T5&payout=1").await?;
    clicked(&server, "Purchase", "e-alone").await?;
    let denied = server.click("fbclid=AbC").await?;
    told(&server, &denied, "Purchase", "e-denied", json!({"ad_user_data": "denied"})).await?;
    sold(&server, &denied, "T7", "").await?;
    // The second order's own id, handed back by the partner, and the first order's left for the first.
    let twice = clicked(&server, "Purchase", "e-one").await?;
    told(&server, &twice, "Purchase", "e-two", json!({})).await?;
    sold(&server, &twice, "T9", "&event_id=e-two").await?;
    sold(&server, &twice, "T8", "").await?;
    server.deliver().await?;
    let open = clicked(&server, "Purchase", "e-open").await?;
    sold(&server, &open, "T10", "").await?;
    let expected = |open: &str, more: usize| {
        let mut all: BTreeMap<String, usize> = BTreeMap::new();
        for (verdict, count) in [
            ("met", 3),
            ("no_browser_event", 1),
            ("other_id", 1),
            ("other_name", 1),
            ("server_only", 1),
            ("browser_only", 1),
            ("consent", 1),
            (open, more),
        ] {
            all.insert(verdict.to_owned(), count);
        }
        all
    };
    assert_eq!(verdicts(&server).await?, expected("open", 1));
    let list = rows(&server.api("/api/v1/hybrid?verdict=other_id").await?);
    let [row] = &list[..] else { panic!("{list:?}") };
    let ids =
        [&row["server"]["event_id"], &row["browser"]["event_id"]].map(|id| id.as_str().unwrap_or_default());
    assert_eq!(ids, ["e-partner", "e-page"], "{row}");
    assert_eq!(word(row, "click"), other);
    same_everywhere(&server).await?;
    // Two days later the platform does not know the pixel's any more.
    server.advance(49 * HOUR_MS);
    server.deliver().await?;
    assert_eq!(verdicts(&server).await?, expected("outside_window", 1));
    server.stop().await;
    Ok(())
}

/// Pages, counts and filters say the same, over the API and by the program.
async fn same_everywhere(server: &TestServer) -> Result<()> {
    let whole = rows(&server.api("/api/v1/hybrid?day=2026-11-21&limit=500").await?);
    let (mut paged, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = server.api(&format!("/api/v1/hybrid?day=2026-11-21&limit=3{cursor}")).await?;
        assert!(rows(&page).len() <= 3);
        paged.extend(rows(&page));
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(paged, whole);
    let mut counted: BTreeMap<String, u64> = BTreeMap::new();
    for row in rows(&server.api("/api/v1/hybrid/counts").await?) {
        assert_eq!((word(&row, "day"), row["event_name"].is_string()), ("2026-11-21", true));
        *counted.entry(word(&row, "verdict").to_owned()).or_default() += row["count"].as_u64().unwrap_or(0);
    }
    let listed: BTreeMap<String, u64> =
        verdicts(server).await?.into_iter().map(|(verdict, count)| (verdict, count as u64)).collect();
    assert_eq!(counted, listed);
    assert!(rows(&server.api("/api/v1/hybrid?campaign=winter").await?).is_empty());
    assert!(rows(&server.api("/api/v1/hybrid?day=2026-11-20").await?).is_empty());
    for bad in
        ["verdict=lost", "day=today", "days=0", "days=1&day=2026-11-21", "limit=0", "cursor=x", "colour=1"]
    {
        let path = format!("/api/v1/hybrid?{bad}");
        assert_eq!(client::get_as(server.admin, &path, &server.token).await?.status, 400, "{bad}");
    }
    for (words, path) in [
        (&["hybrid", "list", "--limit", "4"][..], "/api/v1/hybrid?day=2026-11-21&limit=4"),
        (&["hybrid", "counts"], "/api/v1/hybrid/counts?day=2026-11-21"),
        (&["redirect", "loss"], "/api/v1/redirects/loss?day=2026-11-21"),
    ] {
        equal(server, &[words, &["--day", "2026-11-21"]].concat(), path).await?;
    }
    Ok(())
}

/// The program says what the API answers: on the server, and on its data.
async fn equal(server: &TestServer, words: &[&str], path: &str) -> Result<()> {
    equal_there(server, words, path).await?;
    let words: Vec<String> = ["--json"].iter().chain(words).map(|&word| word.to_owned()).collect();
    let directory = server.database.directory().to_owned();
    // The testkit's own key of the installation.
    let key = directory.join("master.hex");
    std::fs::write(&key, "09".repeat(32))?;
    let mut flags = server.database.flags();
    flags.extend(["--master-key-file".to_owned(), key.display().to_string()]);
    let ended = tokio::task::spawn_blocking(move || {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        program().run(&words, &flags, &directory)
    });
    assert_eq!(parsed(&ended.await??)?, server.api(path).await?, "on the data: {path}");
    Ok(())
}

/// The same on the server only, for what depends on its clock.
async fn equal_there(server: &TestServer, words: &[&str], path: &str) -> Result<()> {
    let words: Vec<&str> = ["--json"].iter().chain(words).copied().collect();
    assert_eq!(parsed(&run(server, &words).await?)?, server.api(path).await?, "{words:?}");
    Ok(())
}

const MORE: &str = r#"
[[offer]]
slug = "shop"
target = "https://shop.example/?c={click_id}"

[[offer]]
slug = "small"
target = "https://small.example/?c={click_id}"
cap = { daily = 1, overflow = "shop" }

[[lander]]
slug = "quiz"
target = "https://shop.example/quiz?c={click_id}"

[[path]]
slug = "rest"
landers = { quiz = 1 }

[[campaign]]
slug = "quizzed"
paths = ["rest"]
sites = ["shop.example"]

[[campaign]]
slug = "blind"
target = "https://lander.example/?c={click_id}"
"#;

/// On a busy machine a click or a step may have gone through the spool.
async fn brought_back(server: &TestServer) -> Result<()> {
    server.engine.drain_spool().await.map(drop).map_err(anyhow::Error::msg)
}

async fn redirected(server: &TestServer, path: &str) -> Result<String> {
    let reply = client::get(server.tracking, path).await?;
    let target = reply.header("location").context("a redirect")?;
    Ok(target.rsplit("c=").next().unwrap_or_default().to_owned())
}

/// Hop by hop: how many came, how many were lost, and whether there is a note.
fn hops(rows: &[Value], campaign: &str) -> Vec<String> {
    let row = rows.iter().find(|row| word(row, "campaign") == campaign);
    let hops = row.and_then(|row| row["hops"].as_array()).into_iter().flatten();
    hops.map(|hop| {
        let note = if hop["note"].is_string() { " noted" } else { "" };
        format!("{} {} -{}{note}", word(hop, "hop"), hop["count"], hop["lost"])
    })
    .collect()
}

async fn losses(kind: Kind) -> Result<()> {
    let server = TestServer::start(kind).await?;
    server.apply(&format!("{}\n{MORE}", config())).await?;
    // Four redirects of a campaign with a lander: one goes all the way, one steps, one looks, one is lost.
    let mut clicks = Vec::new();
    for _ in 0..4 {
        clicks.push(redirected(&server, "/c/quizzed?sub1=a").await?);
    }
    let tell_quiz = async |click: &str, name: &str| {
        let event =
            json!({"name": name, "event_id": format!("{name}-{click}"), "page": "https://shop.example/quiz"});
        let call = json!({"campaign": "quizzed", "click_id": click, "page": "https://shop.example/quiz", "events": [event]});
        tell(&server, &call).await.map(drop)
    };
    for click in &clicks[..3] {
        tell_quiz(click, "PageView").await?;
    }
    for click in &clicks[..2] {
        redirected(&server, &format!("/o/shop?cid={click}")).await?;
    }
    tell_quiz(&clicks[0], "Purchase").await?;
    sold(&server, &clicks[0], "T1", "").await?;
    // A page without a redirect, and a program that asks for the head only, are no visitors that were sent on.
    tell_quiz("", "PageView").await?;
    let head = Request::head("/c/quizzed").body(Full::new(Bytes::new()))?;
    client::send(server.tracking, head).await?;
    redirected(&server, "/c/blind").await?;
    let blind = redirected(&server, "/c/blind").await?;
    sold(&server, &blind, "T2", "").await?;
    brought_back(&server).await?;
    let page = server.api("/api/v1/redirects/loss").await?;
    let found = rows(&page);
    assert!(page["next_cursor"].is_null());
    let quizzed: Vec<&Value> = found.iter().filter(|row| word(row, "campaign") == "quizzed").collect();
    let sums = |name: &str| quizzed.iter().filter_map(|row| row[name].as_u64()).sum::<u64>();
    assert_eq!((sums("direct"), sums("labelled")), (1, 1), "{found:?}");
    let by_offer = |offer: &str| {
        let row = quizzed.iter().find(|row| word(row, "offer") == offer && word(row, "lander") == "quiz");
        hops(&row.map(|row| vec![(*row).clone()]).unwrap_or_default(), "quizzed")
    };
    assert_eq!(
        by_offer("shop"),
        ["redirect 2 -null", "page_view 2 -0", "step 2 -0", "action 1 -1", "conversion 1 -0"],
        "{found:?}"
    );
    assert_eq!(
        by_offer(""),
        ["redirect 2 -null", "page_view 1 -1", "step 0 -1", "action 0 -0", "conversion 0 -0"],
        "{found:?}"
    );
    // Nobody tells a page of this campaign: its hops are not seen, and nobody is said to be lost there.
    assert_eq!(
        hops(&found, "blind"),
        ["redirect 2 -null", "page_view null -null noted", "action null -null noted", "conversion 1 -1"]
    );
    let only = rows(&server.api("/api/v1/redirects/loss?campaign=quizzed&offer=shop").await?);
    assert_eq!(only.len(), 1, "{only:?}");
    listed(&server, &clicks[3]).await?;
    server.stop().await;
    Ok(())
}

/// Offers and landers with what leads there and how many visitors they had; the trace has the way and its steps.
async fn listed(server: &TestServer, click: &str) -> Result<()> {
    for _ in 0..2 {
        redirected(server, &format!("/o/small?cid={click}")).await?;
        server.advance(1);
    }
    server.engine.sync_caps().await?;
    let offers = server.api("/api/v1/offers").await?;
    let small = rows(&offers).into_iter().find(|row| word(row, "slug") == "small").context("listed")?;
    assert_eq!(small["cap"]["today"], json!(1), "{small}");
    assert_eq!((small["cap"]["is_full"].clone(), word(&small["cap"], "overflow")), (json!(true), "shop"));
    let landers = rows(&server.api("/api/v1/landers").await?);
    assert_eq!(landers[0]["paths"], json!([{"path": "rest", "weight": 1, "campaigns": ["quizzed"]}]));
    let first = server.api("/api/v1/offers?limit=1").await?;
    assert_eq!((rows(&first).len(), word(&first, "next_cursor")), (1, "shop"));
    let rest = server.api("/api/v1/offers?limit=1&cursor=shop").await?;
    assert_eq!((word(&rows(&rest)[0], "slug"), rest["next_cursor"].clone()), ("small", Value::Null));
    assert_eq!(client::get_as(server.admin, "/api/v1/offers?cursor=none", &server.token).await?.status, 400);
    equal_there(server, &["offers", "list"], "/api/v1/offers").await?;
    equal(server, &["landers", "list", "--limit", "1"], "/api/v1/landers?limit=1").await?;
    brought_back(server).await?;
    let trace = server.api(&format!("/api/v1/trace/{click}")).await?;
    assert_eq!(
        (word(&trace["click"]["way"], "path"), word(&trace["click"]["way"], "lander")),
        ("rest", "quiz")
    );
    let steps = trace["click"]["steps"].as_array().cloned().unwrap_or_default();
    let steps: Vec<String> =
        steps.iter().map(|step| format!("{} {}", word(step, "offer"), word(step, "instead_of"))).collect();
    assert_eq!(steps, ["small ", "shop small"], "{trace}");
    let shown = run(server, &["trace", click]).await?;
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains("path rest") && shown.contains("lander quiz"), "{shown}");
    assert!(shown.contains("to offer shop, as small was full"), "{shown}");
    Ok(())
}
