//! The store is sick: visitors are sent on all the same, partners are told the truth, and nothing is lost.

use anyhow::Result;
use crosstally_core::ids::ClickId;
use crosstally_engine::clock::Clock as _;
use crosstally_testkit::client;
use crosstally_testkit::database::Kind;
use crosstally_testkit::on_both;
use crosstally_testkit::server::{CONFIG, TestServer};
use serde_json::Value;

on_both! {
    /// While nothing can be written a click redirects with its id, and is found under it afterwards.
    a_click_on_a_sick_store_redirects_and_comes_back => clicks;
    /// While nothing can be written a step from a lander leads on, and is found with its click afterwards.
    a_step_on_a_sick_store_leads_on_and_comes_back => steps;
    /// While nothing can be written a postback is not acknowledged; the partner's repeat is recorded once.
    a_postback_on_a_sick_store_is_never_acknowledged => postbacks;
}

async fn clicks(kind: Kind) -> Result<()> {
    let server = TestServer::ready(kind).await?;
    let lock = server.database.lock().await?;
    let mut clicks = Vec::new();
    for number in 0..3 {
        clicks.push(server.click(&format!("fbclid=sick{number}&sub1=kept")).await?);
    }
    // The redirects were answered while the lock was held: it is dropped only now.
    drop(lock);
    let mut found = 0;
    for click in &clicks {
        // The store may still be ending what it waited for.
        for _ in 0..200 {
            server.engine.drain_spool().await.ok();
            let reply =
                client::get_as(server.admin, &format!("/api/v1/clicks/{click}"), &server.token).await?;
            if reply.status == 200 {
                let row = reply.json()?;
                assert_eq!(row.get("id").and_then(Value::as_str), Some(click.as_str()));
                assert!(row.to_string().contains("sub1=kept"), "its parameters are kept: {row}");
                found += 1;
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }
    assert_eq!(found, clicks.len(), "every redirected click is found");
    // What came back is a click like any other: its conversion is attributed and sent.
    let reply = server.postback(&format!("click_id={}&tid=S1&payout=3.00", clicks[0])).await?.json()?;
    assert_eq!(reply.get("result").and_then(Value::as_str), Some("recorded"), "{reply}");
    server.deliver().await?;
    let events = server.accepted().await?;
    assert_eq!(events.len(), 1);
    assert!(events[0].to_string().contains("sick0"), "with the click's fbc: {}", events[0]);
    server.stop().await;
    Ok(())
}

async fn steps(kind: Kind) -> Result<()> {
    let server = TestServer::ready(kind).await?;
    let offer = "[[offer]]\nslug = \"shop\"\ntarget = \"https://shop.example/?c={click_id}\"\n";
    server.apply(&format!("{CONFIG}\n{offer}")).await?;
    let click = server.click("fbclid=AbC").await?;
    let lock = server.database.lock().await?;
    let reply = client::get(server.tracking, &format!("/o/shop?cid={click}")).await?;
    assert_eq!(reply.header("location"), Some(format!("https://shop.example/?c={click}").as_str()));
    let metrics = client::get(server.admin, "/metrics").await?.text();
    assert!(metrics.contains("crosstally_steps_total{mode=\"spooled\"} 1"), "{metrics}");
    // A test visitor's counts nowhere, whatever way it goes.
    let test = ClickId::new_test(&server.engine.click_id_key, server.clock.now(), [7; 3]);
    client::get(server.tracking, &format!("/o/shop?cid={test}")).await?;
    let metrics = client::get(server.admin, "/metrics").await?.text();
    for mode in ["spooled", "test"] {
        assert!(metrics.contains(&format!("crosstally_steps_total{{mode=\"{mode}\"}} 1")), "{metrics}");
    }
    drop(lock);
    let mut steps = Value::Null;
    for _ in 0..200 {
        server.engine.drain_spool().await.ok();
        steps = server.api(&format!("/api/v1/clicks/{click}")).await?["steps"].clone();
        // The spool is empty only when the store has what was in it.
        if steps.as_array().is_some_and(|steps| !steps.is_empty()) && server.engine.spool.is_empty() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(steps.as_array().map(Vec::len), Some(1), "once, whoever brought it: {steps}");
    server.stop().await;
    Ok(())
}

async fn postbacks(kind: Kind) -> Result<()> {
    let server = TestServer::ready(kind).await?;
    let click = server.click("fbclid=AbC").await?;
    let lock = server.database.lock().await?;
    let path = format!("/postback/acme?click_id={click}&tid=P1&payout=3.00");
    let waiting = client::get(server.tracking, &path);
    let early = tokio::time::timeout(std::time::Duration::from_secs(8), waiting).await;
    // Either it was told that the store does not take it, or it heard nothing at all; never that it is recorded.
    if let Ok(reply) = early {
        let reply = reply?;
        assert_eq!(reply.status, 503, "{}", reply.text());
        assert_eq!(reply.json()?["code"], "store_unavailable");
        assert!(reply.header("retry-after").is_some(), "it is told when to come again");
    }
    drop(lock);
    let mut last = String::new();
    for _ in 0..100 {
        let reply = client::get(server.tracking, &path).await?;
        last = reply.text();
        if reply.status == 200 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert!(last.contains("recorded") || last.contains("duplicate"), "{last}");
    let list = server.api("/api/v1/conversions").await?;
    let rows = list.get("data").and_then(Value::as_array).cloned().unwrap_or_default();
    assert_eq!(rows.len(), 1, "{rows:?}");
    assert_eq!(rows[0].get("movements").map(ToString::to_string).as_deref(), Some("1"), "booked once");
    server.stop().await;
    Ok(())
}
