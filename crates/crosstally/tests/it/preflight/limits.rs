//! What a pre-flight may take: its time as a whole, and of whoever finds its mark no more than of other strangers.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, Result};
use bytes::Bytes;
use crosstally_core::postback::{Receipt, STRANGER};
use crosstally_core::verdict::Verdict;
use crosstally_testkit::client;
use crosstally_testkit::database::Kind;
use crosstally_testkit::on_both;
use crosstally_testkit::server::TestServer;
use http::Request;
use http_body_util::Full;
use serde_json::json;

use super::checklist::{ask, outcomes};
use super::doors::answering;
use super::shop::{Fault, Shop};
use super::{asked, codes, fly, start};
use crate::guarded::word;

on_both! {
    /// A page or a door that never answers costs a run its time and no more; no hop and no line passes by what was cut off.
    preflight_keeps_its_time => late;
    /// Who has a mark and not the token is a stranger: kept short, and not more of than of others.
    preflight_marks_let_no_flood_in => flood;
}

async fn late(kind: Kind) -> Result<()> {
    let shop = Shop::open().await?;
    let server = start(kind, &shop, |config| config).await?;
    server.engine.door.flies_within(Duration::from_secs(3));
    shop.plant(Fault::Hangs);
    let told = fly(&server, &asked()).await?;
    let codes = codes(&told);
    assert!(!codes.is_empty() && codes.iter().all(|code| *code == "too_slow"), "{told:#}");
    assert_eq!(told["ok"], json!(false));
    assert!(told["time_ms"].as_u64().is_some_and(|ms| ms < 15_000), "{told:#}");
    for hop in told["hops"].as_array().into_iter().flatten().filter(|hop| word(hop, "hop") != "link") {
        assert_ne!(word(hop, "compared"), "same", "{hop}");
    }
    // A door that answers the first visitor and no other one.
    shop.plant(Fault::None);
    let (to, visitors) = (server.tracking, Arc::new(AtomicUsize::new(0)));
    let (address, _) = answering(move |path| {
        let visitors = Arc::clone(&visitors);
        async move {
            if path.starts_with("/c/") && visitors.fetch_add(1, Ordering::Relaxed) > 0 {
                std::future::pending::<()>().await;
            }
            let reply = client::get(to, &path).await.ok();
            let to = reply.and_then(|reply| reply.header("location").map(str::to_owned)).unwrap_or_default();
            format!("HTTP/1.1 302 Found\r\nconnection: close\r\ncontent-length: 0\r\nlocation: {to}\r\n\r\n")
        }
    })
    .await?;
    let mut request = asked();
    request["base"] = format!("http://{address}").into();
    let lines = ask(&server, &request).await?;
    assert_eq!(outcomes(&lines)["click_id"], "unknown", "{lines:#}");
    server.stop().await;
    Ok(())
}

/// What is kept of a marked call is what is kept of any other of its kind.
async fn short_and_without_the_erased(server: &TestServer, mark: &str) -> Result<()> {
    let newest = async || -> Result<Receipt> {
        server.advance(10);
        Ok(server.engine.store.list_receipts(Some("acme".to_owned()), None, 1).await?.remove(0))
    };
    let broken = format!("{{\"note\": \"{}", "x".repeat(20_000));
    let door = format!("/postback/acme?token=guess&ct_test={mark}");
    client::send(server.tracking, json_call(&door, broken)?).await?;
    let stranger = newest().await?;
    assert!(stranger.sealed.is_none() && stranger.labels.contains(&STRANGER.to_owned()), "{stranger:?}");
    let wanted = json!({"click_ids": ["markerForeign"], "apply": true}).to_string();
    let reply = client::post_as(server.admin, "/api/v1/erasures", &server.token, &wanted).await?;
    assert!(reply.status < 300, "{}", reply.text());
    server.advance(10);
    let call = format!("/postback/acme?token=acme-secret&click_id=markerForeign&payout=1&ct_test={mark}");
    client::get(server.tracking, &call).await?;
    let kept = newest().await?;
    assert_eq!(kept.verdict, Verdict::Test);
    assert!(kept.query.is_empty() && kept.labels.contains(&"erased".to_owned()), "{kept:?}");
    Ok(())
}

fn json_call(path: &str, body: String) -> Result<Request<Full<Bytes>>> {
    Ok(Request::post(path).header("content-type", "application/json").body(body.into())?)
}

async fn flood(kind: Kind) -> Result<()> {
    let shop = Shop::open().await?;
    let server = start(kind, &shop, |config| config).await?;
    let (to, paths) = (server.tracking, Arc::new(Mutex::new(Vec::new())));
    let seen = Arc::clone(&paths);
    let (address, _) = answering(move |path| {
        seen.lock().unwrap().push(path.clone());
        async move {
            let Ok(reply) = client::get(to, &path).await else { return String::new() };
            let body = reply.text();
            let location =
                reply.header("location").map(|to| format!("location: {to}\r\n")).unwrap_or_default();
            let (status, length) = (reply.status, body.len());
            format!(
                "HTTP/1.1 {status} x\r\nconnection: close\r\ncontent-length: {length}\r\n{location}\r\n{body}"
            )
        }
    })
    .await?;
    let mut request = asked();
    request["base"] = format!("http://{address}").into();
    fly(&server, &request).await?;
    let call = paths.lock().unwrap().iter().find(|path| path.starts_with("/postback/acme")).cloned();
    let mark = call.as_deref().and_then(|path| path.split("ct_test=").nth(1)).context("a mark")?.to_owned();
    short_and_without_the_erased(&server, &mark).await?;
    let before = server.engine.store.list_receipts(Some("acme".to_owned()), None, 1_000).await?.len();
    let long = "x".repeat(6_000);
    for number in 0..600 {
        let path = format!("/postback/acme?token=guess&tid=T{number}&sub5={long}&ct_test={mark}");
        client::get(server.tracking, &path).await?;
    }
    let receipts = server.engine.store.list_receipts(Some("acme".to_owned()), None, 1_000).await?;
    assert!(receipts.len() - before < 550, "{}", receipts.len() - before);
    assert!(receipts.iter().all(|receipt| receipt.query.len() <= 4_096));
    server.stop().await;
    Ok(())
}
