//! What a pre-flight must never do: move a live number, send a real event to a destination, call private addresses for
//! somebody who may not, or let others mark their calls.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Result;
use crosstally_testkit::client;
use crosstally_testkit::database::Kind;
use crosstally_testkit::on_both;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::shop::Shop;
use super::{asked, codes, fly, hop, start};
use crate::guarded::word;

on_both! {
    /// After a run nothing is booked, delivered, counted or used up; its calls stand in the balance as tests.
    preflight_moves_no_live_number => live;
    /// A destination without a test mode is not called; one with a code gets nothing without it, and then a single event.
    preflight_sends_nothing_real => real;
    /// Only this installation can mark a call, for some minutes; what is marked otherwise is an ordinary call.
    preflight_marks_cannot_be_made_by_others => marks;
    /// Private addresses are not asked unless an admin says so, whatever is named as base, page or postback URL.
    preflight_is_guarded => guarded;
}

async fn live(kind: Kind) -> Result<()> {
    let shop = Shop::open().await?;
    let server = start(kind, &shop, |config| config.replace("daily = 1000", "daily = 1")).await?;
    let told = fly(&server, &asked()).await?;
    assert_eq!(told["ok"], json!(true), "six tests do not use up a cap of one: {told:#}");
    for list in ["conversions", "deliveries", "ledger", "overstated", "receipts/statuses"] {
        let listed = server.api(&format!("/api/v1/{list}")).await?;
        assert_eq!(listed["data"].as_array().map(Vec::len), Some(0), "{list}: {listed}");
    }
    let balance = server.api("/api/v1/receipts/balance").await?;
    let all = balance.to_string();
    for verdict in ["recorded", "updated", "duplicate", "quarantined", "refused"] {
        assert!(
            !all.contains(&format!("\"{verdict}\":1")) && all.contains(&format!("\"{verdict}\":0")),
            "{verdict}: {all}"
        );
    }
    // What was told of the test visitors' browsers is no event that the pixel alone counts.
    let hybrid = server.api("/api/v1/hybrid/counts").await?;
    assert_eq!(hybrid["data"].as_array().map(Vec::len), Some(0), "{hybrid}");
    let metrics = client::get(server.admin, "/metrics").await?.text();
    assert!(metrics.contains("crosstally_browser_events_total{outcome=\"test\"} 6"), "{metrics}");
    assert!(!metrics.contains("crosstally_browser_events_total{outcome=\"recorded\"} 6"), "{metrics}");
    assert!(metrics.contains("crosstally_clicks_total{mode=\"test\"} 6"), "{metrics}");
    assert!(!metrics.contains("crosstally_clicks_total{mode=\"stored\"} 6"), "{metrics}");
    // The one visitor for whom there is room is a real one.
    let reply = client::get(server.tracking, "/c/summer?sub1=real").await?;
    let target = reply.header("location").unwrap_or_default().to_owned();
    let click = target.split("cid=").nth(1).and_then(|rest| rest.split('&').next()).unwrap_or_default();
    let shown = server.api(&format!("/api/v1/clicks/{click}")).await?;
    assert_eq!((&shown["test"], word(&shown["way"], "offer")), (&json!(false), "shop"), "{shown}");
    server.stop().await;
    Ok(())
}

/// Counts what is sent to it: calls that are not the question whether it is a sandbox.
#[expect(clippy::disallowed_methods, reason = "a test's server runs on a task of its own")]
async fn receiver() -> Result<(String, Arc<AtomicUsize>)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let (address, count) = (listener.local_addr()?, Arc::new(AtomicUsize::new(0)));
    let counted = Arc::clone(&count);
    tokio::task::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = vec![0; 65_536];
            let Ok(read) = stream.read(&mut head).await else { continue };
            let is_question = head[..read].starts_with(b"GET /_sandbox");
            counted.fetch_add(usize::from(!is_question), Ordering::Relaxed);
            let body = if is_question { "no" } else { r#"{"events_received":1,"code":0,"message":"OK"}"# };
            let status = if is_question { "404 Not Found" } else { "200 OK" };
            let answer = format!(
                "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            );
            drop(stream.write_all(answer.as_bytes()).await);
            drop(stream.shutdown().await);
        }
    });
    Ok((address.to_string(), count))
}

async fn real(kind: Kind) -> Result<()> {
    let shop = Shop::open().await?;
    let (address, count) = receiver().await?;
    let hook = format!(
        "kind = \"webhook\"\nurl = \"http://{address}/hook\"\nsecret = \"whsec_Y3Jvc3N0YWxseSBzYW5kYm94IHdlYmhvb2sga2V5\"\nallow_private = true\n"
    );
    let server = start(kind, &shop, |config| {
        let (before, rest) = config.split_once("kind = \"meta\"").unwrap_or_default();
        let goal = rest.find("[[goal]]").unwrap_or_default();
        format!("{before}{hook}\n{}", rest.get(goal..).unwrap_or_default())
    })
    .await?;
    let told = fly(&server, &asked()).await?;
    assert_eq!(codes(&told), Vec::<&str>::new(), "{told:#}");
    let last = hop(&told, "destination")?;
    assert_eq!(word(last, "compared"), "not_checked", "{told:#}");
    assert!(last["notes"].to_string().contains("not checked: has no test mode"), "{last}");
    assert_eq!(count.load(Ordering::Relaxed), 0);
    // Meta marks tests by a code: without one nothing is sent, with one a single event.
    let config = super::CONFIG.replace("SHOP", &shop.address.to_string()).replace("SANDBOX", &address);
    server.apply(&config).await?;
    let told = fly(&server, &asked()).await?;
    assert!(hop(&told, "destination")?["notes"].to_string().contains("need a code"), "{told:#}");
    assert_eq!(count.load(Ordering::Relaxed), 0);
    let mut request = asked();
    request["code"] = "TEST77".into();
    let told = fly(&server, &request).await?;
    assert_eq!(hop(&told, "destination")?["found"]["count"], json!(1), "{told:#}");
    assert!(hop(&told, "destination")?["notes"].to_string().contains("counts all the same"), "{told:#}");
    assert_eq!(count.load(Ordering::Relaxed), 1);
    server.stop().await;
    Ok(())
}

async fn marks(kind: Kind) -> Result<()> {
    let shop = Shop::open().await?;
    let server = start(kind, &shop, |config| config).await?;
    let seconds = {
        use crosstally_engine::clock::Clock as _;
        server.clock.now().as_seconds()
    };
    let forged = format!("ct_test={seconds:08x}{}", "0".repeat(32));
    let reply = client::get(server.tracking, &format!("/c/summer?sub1=x&{forged}")).await?;
    let target = reply.header("location").unwrap_or_default().to_owned();
    let click =
        target.split("cid=").nth(1).and_then(|rest| rest.split('&').next()).unwrap_or_default().to_owned();
    let shown = server.api(&format!("/api/v1/clicks/{click}")).await?;
    assert_eq!(shown["test"], json!(false), "{shown}");
    let call = format!("/postback/acme?token=acme-secret&click_id={click}&tid=T1&payout=1&{forged}");
    let said = client::get(server.tracking, &call).await?.json()?;
    assert_eq!(word(&said, "result"), "recorded", "{said}");
    let wrong = format!("/postback/acme?token=wrong&click_id={click}&tid=T2&payout=1&{forged}");
    assert_eq!(client::get(server.tracking, &wrong).await?.status, 401);
    // A mark of ours is good for minutes only.
    let told = fly(&server, &asked()).await?;
    assert_eq!(told["ok"], json!(true), "{told:#}");
    server.stop().await;
    Ok(())
}

async fn guarded(kind: Kind) -> Result<()> {
    let shop = Shop::open().await?;
    let server = start(kind, &shop, |config| config).await?;
    let strict = json!({ "campaign": "summer", "actions": 2, "postback": super::POSTBACK });
    let told = fly(&server, &strict).await?;
    assert_eq!(codes(&told), Vec::<&str>::new(), "{told:#}");
    let lander = hop(&told, "lander")?;
    assert_eq!(word(lander, "compared"), "not_checked", "{told:#}");
    assert!(lander["notes"].to_string().contains("not on the public internet"), "{lander}");
    for host in ["169.254.169.254", "127.0.0.1:1", "[::1]:9", "10.0.0.1"] {
        let mut request = strict.clone();
        request["base"] = format!("http://{host}").into();
        let told = fly(&server, &request).await?;
        assert_eq!(codes(&told), ["link_broken"], "{host}: {told:#}");
        let mut request = strict.clone();
        request["lander"] = format!("http://{host}/").into();
        let told = fly(&server, &request).await?;
        assert_eq!(word(hop(&told, "lander")?, "compared"), "not_checked", "{host}: {told:#}");
    }
    // Whatever host the postback URL names, this server's own door is called.
    let mut request = strict.clone();
    request["postback"] = super::POSTBACK.replace("track.example", "169.254.169.254").into();
    let told = fly(&server, &request).await?;
    assert_eq!(word(hop(&told, "postback")?, "compared"), "same", "{told:#}");
    let weak =
        server.engine.create_token("weak", &["read".to_owned(), "deliveries:write".to_owned()]).await?.token;
    let path = "/api/v1/tools/preflight/run";
    let open = client::post_as(server.admin, path, &weak, &asked().to_string()).await?;
    assert_eq!(open.status, 403, "{}", open.text());
    assert_eq!(client::post_as(server.admin, path, &weak, &strict.to_string()).await?.status, 200);
    let reader = server.engine.create_token("reader", &["read".to_owned()]).await?.token;
    assert_eq!(client::post_as(server.admin, path, &reader, &strict.to_string()).await?.status, 403);
    for request in [
        json!({ "campaign": "summer", "actions": 101 }),
        json!({ "campaign": "summer", "actions": 0 }),
        json!({ "campaign": "summer", "postback": "https://t.example/postback/acme?c={aff_sub}" }),
        json!({ "campaign": "summer", "base": "file:///etc/passwd" }),
        json!({ "campaign": "summer", "really": true }),
    ] {
        let reply = client::post_as(server.admin, path, &server.token, &request.to_string()).await?;
        assert_eq!(reply.status, 400, "{request}");
    }
    server.stop().await;
    Ok(())
}
