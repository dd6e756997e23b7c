//! Whose door a pre-flight's calls and visitors come to: this installation's own, as tests, or nobody's.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result};
use crosstally_testkit::client;
use crosstally_testkit::database::Kind;
use crosstally_testkit::on_both;
use crosstally_testkit::server::TestServer;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::checklist::{ask, outcomes};
use super::shop::Shop;
use super::{asked, codes, fly, hop, start};
use crate::guarded::word;

on_both! {
    /// A postback URL of another partner's, or one that is a link: nothing is called, whatever the path looks like.
    preflight_calls_nobody_elses_door => elsewhere;
    /// What would take the mark off a link is refused before anybody visits it.
    preflight_visitors_keep_their_mark => marked;
    /// An address that leads to another installation gets one visitor, and the checklist does not take it for this one's.
    preflight_leaves_another_installation_alone => strangers;
    /// A page at a host of this server's own is not visited and not told to be dead; a link there is visited as a test.
    preflight_and_redirect_check_know_their_own_hosts => own_hosts;
}

async fn metrics(server: &TestServer) -> Result<String> {
    Ok(client::get(server.admin, "/metrics").await?.text())
}

/// Nothing was booked, and no visitor counts.
async fn nothing_moved(server: &TestServer, what: &str) -> Result<()> {
    for list in ["conversions", "deliveries", "ledger"] {
        let listed = server.api(&format!("/api/v1/{list}")).await?;
        assert_eq!(listed["data"].as_array().map(Vec::len), Some(0), "{what} {list}: {listed}");
    }
    for line in metrics(server).await?.lines() {
        let counts = ["crosstally_clicks_total{mode=\"stored\"}", "crosstally_steps_total{mode=\"stored\"}"];
        assert!(!counts.iter().any(|name| line.starts_with(name)) || line.ends_with(" 0"), "{what}: {line}");
    }
    Ok(())
}

async fn elsewhere(kind: Kind) -> Result<()> {
    let shop = Shop::open().await?;
    let beta = "\n[[partner]]\nslug = \"beta\"\npreset = \"generic\"\ncurrency = \"USD\"\n\
        drop_in = { dialect = \"voluum\", key = \"b\" }\n";
    let server = start(kind, &shop, |config| {
        config.replace("slug = \"acme\"", "slug = \"acme\"\ndrop_in = { dialect = \"voluum\", key = \"a\" }")
            + beta
    })
    .await?;
    // Beta asks for no token and reads no click id under this name: such a call is a sale of nobody's click.
    const REST: &str = "txid={transaction_id}&payout={payout}&status={status}&x={click_id}";
    for (path, words) in [
        (format!("/postback?key=b&{REST}"), "that of `beta` and not of `acme`"),
        (format!("/a/../postback/beta?{REST}"), "that of `beta`"),
        (format!("/postback/%2e%2e/postback/beta?{REST}"), "that of `beta`"),
        (format!("/postback/{{event}}?{REST}"), "that of `beta`"),
        (format!("/meta/postback/conversion?sheet_id=beta&{REST}"), "that of `beta`"),
        ("/c/summer?sub1={click_id}".to_owned(), "no partner's call is taken"),
        ("/c/postback?sub1={click_id}".to_owned(), "no partner's call is taken"),
        ("/o/shop?cid={click_id}".to_owned(), "no partner's call is taken"),
        ("/e.gif?x={click_id}".to_owned(), "no partner's call is taken"),
    ] {
        let mut request = asked();
        request["postback"] = format!("https://track.example{path}").into();
        request["partner"] = "acme".into();
        request["event"] = "beta".into();
        let told = fly(&server, &request).await?;
        assert_eq!(codes(&told), ["postback_elsewhere"], "{path}: {told:#}");
        let problem = word(&told["defects"][0], "problem");
        assert!(problem.contains(words), "{path}: {problem}");
        nothing_moved(&server, &path).await?;
    }
    // The partner's own endpoint in another tracker's manner is its own door.
    let mut own = asked();
    own["partner"] = "acme".into();
    own["postback"] =
        "https://track.example/postback?key=a&token=acme-secret&click_id={click_id}&tid={transaction_id}\
        &status={status}&payout={payout}&currency={currency}"
            .into();
    let told = fly(&server, &own).await?;
    assert_eq!((told["ok"].clone(), codes(&told)), (json!(true), vec![]), "{told:#}");
    nothing_moved(&server, "its own").await?;
    server.stop().await;
    Ok(())
}

async fn marked(kind: Kind) -> Result<()> {
    let shop = Shop::open().await?;
    let server = start(kind, &shop, |config| config).await?;
    let path = "/api/v1/tools/preflight/run";
    for (name, value) in [
        ("params", "sub2=x#top"),
        ("params", "sub2=x y"),
        ("params", "sub2=x\ty"),
        ("base", "http://127.0.0.1:1/c/summer#"),
        ("base", "http://127.0.0.1:1/?x="),
    ] {
        let mut request = asked();
        request[name] = value.into();
        let reply = client::post_as(server.admin, path, &server.token, &request.to_string()).await?;
        assert_eq!(reply.status, 400, "{value}: {}", reply.text());
    }
    let mut fine = asked();
    fine["params"] = "sub2=x%23top&sub3=%20".into();
    let told = fly(&server, &fine).await?;
    assert_eq!(told["ok"], json!(true), "{told:#}");
    nothing_moved(&server, "marked").await?;
    server.stop().await;
    Ok(())
}

/// A server on a port of its own that answers every call by `answer`, and counts them.
#[expect(clippy::disallowed_methods, reason = "a test's server runs on a task of its own")]
pub(super) async fn answering<F, A>(answer: F) -> Result<(SocketAddr, Arc<AtomicUsize>)>
where
    F: Fn(String) -> A + Send + Sync + 'static,
    A: Future<Output = String> + Send,
{
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let (address, count) = (listener.local_addr()?, Arc::new(AtomicUsize::new(0)));
    let counted = Arc::clone(&count);
    tokio::task::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = vec![0; 16_384];
            let Ok(read) = stream.read(&mut head).await else { continue };
            counted.fetch_add(1, Ordering::Relaxed);
            let path =
                String::from_utf8_lossy(&head[..read]).split(' ').nth(1).unwrap_or_default().to_owned();
            drop(stream.write_all(answer(path).await.as_bytes()).await);
            drop(stream.shutdown().await);
        }
    });
    Ok((address, count))
}

fn redirect(to: &str) -> String {
    format!("HTTP/1.1 302 Found\r\nconnection: close\r\ncontent-length: 0\r\nlocation: {to}\r\n\r\n")
}

async fn strangers(kind: Kind) -> Result<()> {
    let shop = Shop::open().await?;
    let server = start(kind, &shop, |config| config).await?;
    // An id of the right shape that another key has made.
    let foreign = crosstally_core::ids::ClickId::new(
        &crosstally_core::ids::ClickIdKey::new(&[1; 32]),
        crosstally_testkit::server::START,
        [3; 7],
    );
    for (query, code) in [(format!("cid={foreign}"), "mark_ignored"), ("a=1".to_owned(), "click_id_dropped")]
    {
        let target = format!("http://{}/p?{query}", shop.address);
        let (address, visitors) = answering(move |_| {
            let answer = redirect(&target);
            async move { answer }
        })
        .await?;
        let mut request = asked();
        request["base"] = format!("http://{address}").into();
        let told = fly(&server, &request).await?;
        assert_eq!(codes(&told), [code], "{told:#}");
        assert_eq!(visitors.load(Ordering::Relaxed), 1, "{told:#}");
        let lines = ask(&server, &request).await?;
        assert_ne!(outcomes(&lines)["domain"], "pass", "{lines:#}");
    }
    // The right installation, under an address that nobody outside can come to.
    let mut request = asked();
    request["base"] = format!("http://{}", server.tracking).into();
    let lines = ask(&server, &request).await?;
    assert_eq!(outcomes(&lines)["domain"], "fail", "{lines:#}");
    server.stop().await;
    Ok(())
}

/// What stands before this server at its public host: passes links on, and has a page of its own.
async fn proxy(to: SocketAddr) -> Result<SocketAddr> {
    let (address, _) = answering(move |path| async move {
        match path.starts_with("/c/") || path.starts_with("/o/") {
            true => {
                let reply = client::get(to, &path).await.ok();
                let to = reply.and_then(|reply| reply.header("location").map(str::to_owned));
                to.map_or_else(String::new, |to| redirect(&to))
            }
            false => "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 4\r\n\r\npage".to_owned(),
        }
    })
    .await?;
    Ok(address)
}

async fn check(server: &TestServer, url: &str) -> Result<Value> {
    let request = json!({ "url": url, "allow_private": true }).to_string();
    let path = "/api/v1/tools/redirect/check";
    client::post_as(server.admin, path, &server.token, &request).await?.json()
}

async fn own_hosts(kind: Kind) -> Result<()> {
    let shop = Shop::open().await?;
    let server = start(kind, &shop, |config| config).await?;
    let front = proxy(server.tracking).await?;
    let own = |path: &str| format!("http://localhost:{}{path}", front.port());
    // The shop stands behind the same name as the links.
    let config = super::CONFIG
        .replace("timezone = \"UTC\"", "timezone = \"UTC\"\npublic_hosts = [\"localhost\"]")
        .replace("http://SHOP/p?", &own("/p?"))
        .replacen("daily = 1000", "daily = 1", 1);
    server.apply(&config).await?;
    let mut request = asked();
    request["postback"] = super::POSTBACK.replace("track.example", "localhost").into();
    let told = fly(&server, &request).await?;
    assert_eq!(codes(&told), Vec::<&str>::new(), "{told:#}");
    let lander = hop(&told, "lander")?;
    assert_eq!(word(lander, "compared"), "not_checked", "{told:#}");
    assert!(lander["notes"].to_string().contains("a host of this server itself"), "{lander}");
    let told = check(&server, &own("/p?a=1")).await?;
    assert_eq!(word(&told["problems"][0], "code"), "own_address", "{told}");
    for path in ["/api/v1/tokens", "/postback/acme?payout=1", "/c/summer/x", "/healthz"] {
        let told = check(&server, &own(path)).await?;
        assert_eq!(word(&told["problems"][0], "code"), "own_address", "{path}: {told}");
        assert_eq!(told["hops"][0].get("status"), None, "{path}: nothing was asked");
    }
    // Links are followed there, as tests: they use up no cap, and the clicks and steps count nowhere.
    for _ in 0..3 {
        let told = check(&server, &own("/c/summer?fbclid=IwAR_x#top")).await?;
        assert_eq!(told["hops"][0]["status"], json!(302), "{told}");
        assert!(told["hops"][0]["notes"].to_string().contains("visited as a test"), "{told}");
        let to = word(&told["hops"][1], "url");
        let click = to.split("cid=").nth(1).and_then(|rest| rest.split('&').next()).context("a click")?;
        let shown = server.api(&format!("/api/v1/clicks/{click}")).await?;
        assert_eq!((&shown["test"], word(&shown["way"], "offer")), (&json!(true), "shop"), "{shown}");
        for step in [format!("/o/shop?cid={click}"), "/o/shop".to_owned()] {
            let told = check(&server, &own(&step)).await?;
            assert_eq!(told["hops"][0]["status"], json!(302), "{told}");
        }
    }
    nothing_moved(&server, "links").await?;
    assert!(metrics(&server).await?.contains("crosstally_steps_total{mode=\"test\"} 3"));
    // Its own doors stay closed to it.
    let told = check(&server, &format!("http://localhost:{}/c/summer", server.tracking.port())).await?;
    assert_eq!(word(&told["problems"][0], "code"), "own_address", "{told}");
    server.stop().await;
    Ok(())
}
