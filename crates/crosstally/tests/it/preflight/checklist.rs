//! The pre-launch checklist: what is seen passes or fails, what is not seen is unknown.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use crosstally_testkit::client;
use crosstally_testkit::database::Kind;
use crosstally_testkit::on_both;
use crosstally_testkit::server::TestServer;
use serde_json::{Value, json};

use super::shop::{Fault, Shop};
use super::{CONFIG, asked, start};
use crate::guarded::word;

on_both! {
    /// Before any real call: what a test flight shows passes, what only real calls can show is unknown.
    checklist_says_what_it_does_not_know => fresh;
    /// Each line goes red for its own reason, from configuration, test flight or real calls.
    checklist_lines_fail_for_their_own_reasons => red;
    /// What nothing shows passes no line: offers behind a page, a map that knows every word, real calls behind many tests.
    checklist_passes_nothing_by_default => unseen;
}

pub(super) async fn ask(server: &TestServer, request: &Value) -> Result<Value> {
    let path = "/api/v1/tools/preflight/checklist";
    let reply = client::post_as(server.admin, path, &server.token, &request.to_string()).await?;
    anyhow::ensure!(reply.status == 200, "{}: {}", reply.status, reply.text());
    reply.json()
}

pub(super) fn outcomes(answer: &Value) -> BTreeMap<&str, &str> {
    let lines = answer["lines"].as_array().into_iter().flatten();
    lines.map(|line| (word(line, "check"), word(line, "outcome"))).collect()
}

fn of<'a>(answer: &'a Value, outcome: &str) -> Vec<&'a str> {
    let found = outcomes(answer).into_iter().filter(|(_, found)| *found == outcome);
    found.map(|(check, _)| check).collect()
}

const MONITOR: &str = "\n[[preflight]]\nslug = \"nightly\"\ncampaign = \"summer\"\nat = \"03:00\"\n";

async fn fresh(kind: Kind) -> Result<()> {
    let shop = Shop::open().await?;
    let server = start(kind, &shop, |config| {
        config.replace("slug = \"acme\"", "slug = \"acme\"\nmax_delay = \"30d\"") + MONITOR
    })
    .await?;
    let told = ask(&server, &asked()).await?;
    assert_eq!((told["ok"].clone(), of(&told, "fail")), (json!(true), vec![]), "{told:#}");
    // The page has no script of ours, and only this machine told the time.
    let unknown =
        ["backup", "clock", "deliveries", "domain", "event_id", "late_calls", "macros", "status_map"];
    assert_eq!(of(&told, "unknown"), unknown, "{told:#}");
    assert_eq!(of(&told, "pass").len(), 19, "{told:#}");
    for line in told["lines"].as_array().context("lines")? {
        assert!(word(line, "question").ends_with('?') && !word(line, "why").is_empty(), "{line}");
        assert!(word(line, "outcome") != "fail" || !word(line, "fix").is_empty(), "{line}");
    }
    // Once a real call has come and its event has arrived, three lines more are known.
    let reply = client::get(server.tracking, "/c/summer?fbclid=IwAR_x").await?;
    let target = reply.header("location").context("a target")?.to_owned();
    let click = target.split("cid=").nth(1).and_then(|rest| rest.split('&').next()).context("an id")?;
    let call = format!("/postback/acme?token=acme-secret&click_id={click}&tid=T1&payout=5");
    assert_eq!(word(&client::get(server.tracking, &call).await?.json()?, "result"), "recorded");
    server.advance(60_000);
    server.deliver().await?;
    let told = ask(&server, &asked()).await?;
    assert_eq!(of(&told, "unknown"), ["backup", "clock", "deliveries", "domain", "event_id"], "{told:#}");
    shop.reports_to(server.tracking);
    shop.plant(Fault::Tells);
    let told = ask(&server, &asked()).await?;
    assert_eq!(of(&told, "unknown"), ["backup", "clock", "deliveries", "domain"], "{told:#}");
    // A page without a pixel shows none, and a destination that cannot be tried shows nothing of its token.
    shop.plant(Fault::Bare);
    let told = ask(&server, &asked()).await?;
    let bare = ["backup", "clock", "deliveries", "domain", "event_id", "pixel_id"];
    assert_eq!(of(&told, "unknown"), bare, "{told:#}");
    shop.plant(Fault::Tells);
    let hook = "\n[[destination]]\nslug = \"hook\"\nkind = \"webhook\"\nurl = \"https://hook.example/in\"\n\
        secret = \"whsec_Y3Jvc3N0YWxseSBzYW5kYm94IHdlYmhvb2sga2V5\"\n";
    let config = CONFIG.replace("SHOP", &shop.address.to_string()) + hook;
    server.apply(&config.replace("[\"meta-main\"]", "[\"meta-main\", \"hook\"]")).await?;
    let told = ask(&server, &asked()).await?;
    assert_eq!(outcomes(&told)["token"], "unknown", "{told:#}");
    assert!(told.to_string().contains("no test event was sent to hook"), "{told:#}");
    server.stop().await;
    Ok(())
}

async fn red(kind: Kind) -> Result<()> {
    let shop = Shop::open().await?;
    let server = start(kind, &shop, |config| config).await?;
    // A real call with a word that nobody knows, and one with a macro's name.
    for (tid, rest) in [("T1", "status=won"), ("T2", "status=approved&currency={currency}")] {
        let call = format!("/postback/acme?token=acme-secret&tid={tid}&payout=5&{rest}")
            .replace('{', "%7B")
            .replace('}', "%7D");
        client::get(server.tracking, &call).await?;
    }
    server.advance(60_000);
    let base = CONFIG.replace("SHOP", &shop.address.to_string());
    let always = ["macros", "monitor", "status_map"];
    for (name, config, fault) in [
        ("live", base.replace("sites =", "test = true\nsites ="), Fault::None),
        ("test_mode", base.replace("dataset_id", "test_event_code = \"TEST1\"\ndataset_id"), Fault::None),
        ("token", base.replace("{ env = \"META_TOKEN\" }", "\"expired\""), Fault::None),
        ("lander", base.clone(), Fault::Gone),
        ("pixel_id", base.clone(), Fault::OtherPixel),
        (
            "value_currency",
            base.replace("slug = \"acme\"", "slug = \"acme\"\namounts = \"cents\""),
            Fault::None,
        ),
        ("goal", base.replace("value > 0", "value > 900"), Fault::None),
        ("event_id", base.replace("send_to", "event_id = \"own\"\nsend_to"), Fault::None),
        ("dedupe", base.clone(), Fault::FiresTwice),
    ] {
        server.apply(&config).await?;
        shop.reports_to(server.tracking);
        shop.plant(fault);
        let told = ask(&server, &asked()).await?;
        let mut expected: Vec<&str> = always.into_iter().chain([name]).collect();
        expected.sort_unstable();
        let found: Vec<&str> = of(&told, "fail");
        assert_eq!(found, expected, "{name}: {told:#}");
        assert_eq!(told["ok"], json!(false));
    }
    server.stop().await;
    Ok(())
}

async fn unseen(kind: Kind) -> Result<()> {
    let shop = Shop::open().await?;
    let server = start(kind, &shop, |config| config).await?;
    let base = CONFIG.replace("SHOP", &shop.address.to_string());
    let target =
        "http://SHOP/p?cid={click_id}&fbclid={fbclid}&s={sub1}".replace("SHOP", &shop.address.to_string());
    let lander = format!("\n[[lander]]\nslug = \"page\"\ntarget = \"{target}\"\n");
    for (config, outcome) in [
        (base.clone(), "pass"),
        (base.replace("offers = { shop = 1 }", "landers = { page = 1 }") + &lander, "unknown"),
        (base.replace("paths = [\"all\"]", &format!("target = \"{target}\"")), "unknown"),
        (
            base.replace("paths = [\"all\"]", &format!("target = \"{target}\""))
                .replace("cap = { daily = 1000, overflow = \"other\" }", ""),
            "pass",
        ),
    ] {
        server.apply(&config).await?;
        let told = ask(&server, &asked()).await?;
        let found = outcomes(&told);
        assert_eq!((found["caps"], found["cap_counts"]), (outcome, outcome), "{config}: {told:#}");
        assert_eq!(found["click_id"], "pass", "{told:#}");
    }
    for taken in ["approved", "reversed", "hold"] {
        let statuses =
            format!("slug = \"acme\"\nstatuses = {{ approved = \"approved\", \"*\" = \"{taken}\" }}");
        server.apply(&base.replace("slug = \"acme\"", &statuses)).await?;
        let told = ask(&server, &asked()).await?;
        assert_eq!(outcomes(&told)["status_map"], "fail", "{taken}: {told:#}");
        let flown = super::fly(&server, &asked()).await?;
        assert_eq!(flown["negatives"][1]["passed"], json!(false), "{taken}: {flown:#}");
        assert_eq!(super::codes(&flown), ["unmapped_taken"], "{taken}: {flown:#}");
    }
    // A thousand calls of pre-flights, and behind them one of the partner's own.
    server.apply(&base).await?;
    let receipts = server.engine.store.list_receipts(Some("acme".to_owned()), None, 1).await?;
    let test = receipts.into_iter().next().context("a receipt")?;
    for number in 0..1_001_u32 {
        let mut random = [0; 10];
        random[..4].copy_from_slice(&number.to_be_bytes());
        let id = crosstally_core::ids::ReceiptId::new(test.received_at, random);
        server.engine.store.record_receipt(crosstally_core::postback::Receipt { id, ..test.clone() }).await?;
    }
    server.advance(60_000);
    client::get(server.tracking, "/postback/acme?token=acme-secret&tid=T1&payout=5&status=approved").await?;
    server.advance(60_000);
    let told = ask(&server, &asked()).await?;
    assert_eq!(outcomes(&told)["macros"], "pass", "{told:#}");
    server.stop().await;
    Ok(())
}
