//! Who an erasure reaches, and who it does not: strangers who happen to have the same short id, calls that nobody could read,
//! repairs, and what is read again afterwards.

use anyhow::{Context, Result};
use crosstally_core::ids::{ClickId, ReceiptId};
use crosstally_core::visit::Step;
use crosstally_engine::clock::Clock as _;
use crosstally_testkit::client::{self, post_as};
use crosstally_testkit::database::Kind;
use crosstally_testkit::on_both;
use crosstally_testkit::server::{CONFIG, TestServer};
use http::Request;
use serde_json::{Value, json};

use crate::erasures::{EMAIL, ask, erase, rows, start, text};

on_both! {
    /// Line G1: a short id of another tracker is an order, an amount and a publisher somewhere else. The preview shows the
    /// same as is erased.
    g1_a_short_id_erases_no_stranger => strangers;
    /// Line G1: what was repaired goes with the person, and so does a call whose original alone speaks of them.
    g1_repairs_and_sealed_originals_go_with_the_person => repaired;
    /// Line G1: a call that came before the erasure is not booked after it, whatever it is read as then.
    g1_an_old_call_that_is_read_again_brings_nobody_back => reread;
    /// Line G1: of a call that is stopped before it is read nothing is kept either, in whatever form it names the person.
    g1_a_call_that_is_stopped_keeps_nothing_of_the_person => stopped;
}

async fn add_alias(server: &TestServer, alias: &str, click: &str) -> Result<()> {
    let wanted = json!({"aliases": [{"alias": alias, "click_id": click}]});
    assert_eq!(ask(server, "/api/v1/aliases", &wanted).await?["added"], json!(1));
    Ok(())
}

async fn strangers(kind: Kind) -> Result<()> {
    let server = start(kind).await?;
    let ann = server.click("fbclid=annFbclid").await?;
    server.postback(&format!("click_id={ann}&tid=annOrder&payout=5.00&email={EMAIL}")).await?;
    // Ann's too, though it says so by the other tracker's id only.
    let early = server.postback("click_id=1001&payout=3.00").await?.json()?;
    assert_eq!(text(&early, "/result"), "quarantined", "{early}");
    add_alias(&server, "1001", &ann).await?;
    let bob = server.click("sub1=1001&cid=1001").await?;
    let sale = format!("click_id={bob}&tid=1001&payout=7.00&sub1=1001");
    assert_eq!(text(&server.postback(&sale).await?.json()?, "/result"), "recorded");
    server.postback("tid=bobOther&payout=1001").await?;
    for who in [json!({"emails": [EMAIL]}), json!({"click_ids": ["1001"]})] {
        let preview = ask(&server, "/api/v1/erasures", &who).await?;
        assert_eq!(preview["complete"], json!(true));
        let is_first = who["emails"].is_array();
        if is_first {
            for (what, count) in [("clicks", 1), ("conversions", 1), ("receipts", 2), ("aliases", 1)] {
                assert_eq!(preview["counts"][what], json!(count), "{what}: {preview}");
            }
        }
        let done = erase(&server, &who).await?;
        for what in ["clicks", "conversions", "receipts", "aliases"] {
            assert_eq!(done["counts"][what], preview["counts"][what], "{what}: {done} {preview}");
        }
    }
    let early = server.api(&format!("/api/v1/receipts/{}", text(&early, "/receipt"))).await?;
    assert!(!early.to_string().contains("1001"), "{early}");
    let bob = ClickId::parse_unchecked(&bob)?;
    assert!(server.engine.store.click(bob).await?.context("Bob's click is gone")?.query.contains("1001"));
    let sales = server.engine.store.list_conversions(None, 10).await?;
    let orders: Vec<_> = sales.iter().filter_map(|sale| sale.transaction_id.as_deref()).collect();
    assert_eq!(orders, ["bobOther", "1001"], "Bob's sales stand");
    server.stop().await;
    Ok(())
}

async fn replay(server: &TestServer, receipt: &str, set: &Value) -> Result<Value> {
    let wanted = json!({"receipts": [receipt], "set": set, "apply": true});
    ask(server, "/api/v1/receipts/replay", &wanted).await
}

async fn repaired(kind: Kind) -> Result<()> {
    let server = start(kind).await?;
    let click = server.click("fbclid=annFbclid").await?;
    let told = server.postback("tid=r1&status=whatever&payout=5").await?.json()?;
    assert_eq!(text(&told, "/code"), "status_unmapped", "{told}");
    let receipt = text(&told, "/receipt").to_owned();
    let set = json!({"status": "approved", "click_id": click, "external_id": "markerRepaired"});
    let out = replay(&server, &receipt, &set).await?;
    assert_eq!(text(&out, "/data/0/is/0"), "recorded", "{out}");
    // Nobody could read this one, so that only its original says who it is about.
    let broken = format!("{{\"event\": \"Purchase\", \"user\": {{\"email\": [\"{EMAIL}\"]}}");
    post_as(server.tracking, "/v1/events", &server.token, &broken).await?;
    let sealed = server.engine.store.list_receipts(None, None, 1).await?.remove(0);
    assert!(sealed.sealed.is_some(), "{sealed:?}");
    erase(&server, &json!({"emails": [EMAIL], "click_ids": [click]})).await?;
    let shown = server.api(&format!("/api/v1/receipts/{receipt}")).await?.to_string();
    assert!(!shown.contains("markerRepaired") && !shown.contains(&click), "{shown}");
    for revision in server.engine.store.revisions(receipt.parse()?).await? {
        assert_eq!((revision.repair.as_str(), revision.detail.as_str()), ("", ""));
    }
    let left = server.engine.store.receipt(sealed.id).await?.context("gone")?;
    assert!(left.sealed.is_none() && left.labels.contains(&"erased".to_owned()), "{left:?}");
    server.stop().await;
    Ok(())
}

async fn reread(kind: Kind) -> Result<()> {
    let server = start(kind).await?;
    let with =
        |terms: &str| CONFIG.replace("preset = \"generic\"", &format!("preset = \"generic\"\n{terms}"));
    let names = "params = { external_id = \"aff_sub5\" }";
    // One comes under a contract that knows what it says, one under a contract that does not yet.
    server.apply(&with(names)).await?;
    let known = server.postback("tid=k1&status=weird&payout=5&aff_sub5=4711").await?.json()?;
    let unknown = server.postback("tid=u1&status=weird&payout=6&member=4711").await?.json()?;
    for told in [&known, &unknown] {
        assert_eq!(text(told, "/code"), "status_unmapped", "{told}");
    }
    server.advance(1_000);
    let who = json!({"external_ids": ["4711"]});
    let preview = ask(&server, "/api/v1/erasures", &who).await?;
    assert_eq!(preview["counts"], json!({"receipts": 1}), "found by the contract's own name");
    erase(&server, &who).await?;
    let receipt: ReceiptId = text(&known, "/receipt").parse()?;
    assert!(server.engine.store.receipt(receipt).await?.context("gone")?.query.is_empty());
    server.apply(&with("params = { external_id = \"member\" }\nstatuses = { weird = \"approved\" }")).await?;
    let out = replay(&server, text(&unknown, "/receipt"), &json!({})).await?;
    assert_eq!(text(&out, "/data/0/is/1"), "erased", "{out}");
    assert!(server.engine.store.list_conversions(None, 10).await?.is_empty());
    // Who comes back is a new customer.
    let back = server.postback("tid=new&payout=6&member=4711").await?.json()?;
    assert_eq!(text(&back, "/result"), "recorded", "{back}");
    server.stop().await;
    Ok(())
}

/// An order names the person also where it is only a part of its conversion's name.
async fn by_order(server: &TestServer) -> Result<()> {
    let apart = "preset = \"generic\"\nduplicates = \"event_id\"";
    server.apply(&CONFIG.replace("preset = \"generic\"", apart)).await?;
    let click = server.click("fbclid=annFbclid").await?;
    let sale = format!("click_id={click}&tid=markerApart&event_id=77&payout=5.00");
    assert_eq!(text(&server.postback(&sale).await?.json()?, "/result"), "recorded");
    erase(server, &json!({"click_ids": [click]})).await?;
    for call in ["tid=markerApart&event_id=77&payout=many", "tid=markerApart&event=other&payout=many"] {
        server.postback(&format!("{call}&note=markerNote")).await?;
        let kept = server.engine.store.list_receipts(None, None, 1).await?.remove(0);
        assert!(kept.query.is_empty() && kept.labels.contains(&"erased".to_owned()), "{call}: {kept:?}");
        server.advance(10);
    }
    Ok(())
}

async fn stopped(kind: Kind) -> Result<()> {
    let server = start(kind).await?;
    let click = server.click("fbclid=annFbclid").await?;
    let id = ClickId::parse_unchecked(&click)?;
    server.postback(&format!("click_id={click}&tid=markerOrder&payout=5.00&external_id=markerUser")).await?;
    add_alias(&server, "markerAlias", &click).await?;
    erase(&server, &json!({"click_ids": [click]})).await?;
    let json_call = |body: Value| {
        Request::post("/postback/acme")
            .header("content-type", "application/json")
            .body(body.to_string().into())
    };
    let form =
        |query: &str| Request::get(format!("/postback/acme?{query}")).body(http_body_util::Full::default());
    let told = json!({"campaign": "summer", "click_id": click, "page": "https://shop.example/markerPage",
        "events": []});
    let page = Request::post("/e").header("origin", "https://elsewhere.example");
    for request in [
        json_call(json!({"click_id": click, "payout": "many", "external_id": "markerUser"}))?,
        json_call(json!({"click_id": click, "payout": "1", "status": "weird", "note": "markerNote"}))?,
        form("click_id=markerAlias&payout=many&note=markerNote")?,
        form("tid=markerOrder&payout=many&note=markerNote")?,
        form("tid=markerOrder&status=weird")?,
        page.body(told.to_string().into())?,
    ] {
        let what = format!("{request:?}");
        let reply = client::send(server.tracking, request).await?;
        assert!(reply.status < 500, "{what}: {}", reply.text());
        let kept = server.engine.store.list_receipts(None, None, 1).await?.remove(0);
        assert!(kept.query.is_empty() && kept.body.is_empty() && kept.peer.is_empty(), "{what}: {kept:?}");
        assert!(kept.labels.contains(&"erased".to_owned()) && kept.detail.is_empty(), "{what}: {kept:?}");
        assert!(server.engine.store.receipts_of_click(id, 10).await?.is_empty());
        server.advance(10);
    }
    by_order(&server).await?;
    // A person may come back: what happens now is not about the one that was erased.
    erase(&server, &json!({"external_ids": ["markerUser"]})).await?;
    server.advance(1_000);
    let reply = server.postback("tid=new&payout=many&external_id=markerUser").await?.json()?;
    let kept = server.api(&format!("/api/v1/receipts/{}", text(&reply, "/receipt"))).await?;
    assert!(kept.to_string().contains("markerUser"), "{kept}");
    // A row of a file that does not say when is old, also if it cannot be booked.
    let row = json!([["payout", "many"], ["transaction_id", "f1"], ["external_id", "markerUser"]]);
    let wanted = json!({"partner": "acme", "rows": [row], "dry_run": false});
    let out = rows(&ask(&server, "/api/v1/imports/conversions", &wanted).await?);
    let kept = server.api(&format!("/api/v1/receipts/{}", text(&out[0], "/receipt"))).await?;
    assert!(!kept.to_string().contains("markerUser"), "{kept}");
    // A step of the click that was in a spool is not stored.
    let step = Step { click: id, at: server.clock.now(), offer: "shop".into(), instead_of: String::new() };
    assert!(server.engine.spool.append_step(&step).await);
    server.engine.drain_spool().await.map_err(anyhow::Error::msg)?;
    assert_eq!(server.engine.store.steps(id, 10).await?, []);
    server.stop().await;
    Ok(())
}
