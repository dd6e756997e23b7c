//! What is left of a pre-flight: its calls, which nobody books later, and its mark, which is good for what it was made for.

use anyhow::{Context, Result};
use crosstally_testkit::client;
use crosstally_testkit::database::Kind;
use crosstally_testkit::on_both;
use crosstally_testkit::server::TestServer;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::shop::Shop;
use super::{POSTBACK, asked, fly, start};
use crate::guarded::word;

on_both! {
    /// A run whose calls were misread is read again with all others: it stays a test.
    preflight_calls_are_never_read_again => read_again;
    /// A mark that was made for one link is good for no other one and for no partner's door.
    preflight_marks_are_good_for_one_thing => one_thing;
    /// A test visitor's step to an offer uses up no cap and is counted apart; a real one takes the room that there is.
    preflight_steps_count_nothing => steps;
    /// Whoever names the address of the door is shown its token: that takes an admin.
    preflight_shows_its_token_to_admins_only => admins;
}

async fn read_again(kind: Kind) -> Result<()> {
    let shop = Shop::open().await?;
    let server = start(kind, &shop, |config| config).await?;
    let mut wrong = asked();
    wrong["postback"] = POSTBACK.replace("click_id=", "clickref=").into();
    fly(&server, &wrong).await?;
    fly(&server, &asked()).await?;
    let everything = json!({ "partner": "acme", "apply": true }).to_string();
    let path = "/api/v1/receipts/replay";
    let reply = client::post_as(server.admin, path, &server.token, &everything).await?;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let rows = reply.json()?;
    let rows = rows["data"].as_array().context("rows")?;
    assert!(rows.len() >= 12, "{rows:?}");
    for row in rows {
        assert!(word(row, "problem").contains("a test that a pre-flight made"), "{row}");
    }
    for list in ["conversions", "deliveries", "ledger"] {
        let listed = server.api(&format!("/api/v1/{list}")).await?;
        assert_eq!(listed["data"].as_array().map(Vec::len), Some(0), "{list}: {listed}");
    }
    server.stop().await;
    Ok(())
}

/// The mark on the first call of a run, as the one who stands at the named address sees it.
async fn caught(server: &TestServer) -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let base = format!("http://{}", listener.local_addr()?);
    let mut request = asked();
    request["base"] = base.into();
    let listening = async {
        let (mut stream, _) = listener.accept().await?;
        let mut head = vec![0; 8_192];
        let read = stream.read(&mut head).await?;
        stream.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await?;
        anyhow::Ok(String::from_utf8_lossy(&head[..read]).into_owned())
    };
    let (_, head) = tokio::try_join!(fly(server, &request), listening)?;
    let mark = head.split("ct_test=").nth(1).and_then(|rest| rest.split(' ').next()).context("a mark")?;
    Ok(mark.to_owned())
}

async fn click_of(server: &TestServer, path: &str) -> Result<Value> {
    let reply = client::get(server.tracking, path).await?;
    let target = reply.header("location").context("a redirect")?.to_owned();
    let click = target.split("cid=").nth(1).and_then(|rest| rest.split('&').next()).unwrap_or_default();
    server.api(&format!("/api/v1/clicks/{click}")).await
}

async fn one_thing(kind: Kind) -> Result<()> {
    let shop = Shop::open().await?;
    let more = "\n[[campaign]]\nslug = \"winter\"\nsource = \"facebook\"\npaths = [\"all\"]\n";
    let server = start(kind, &shop, |config| config + more).await?;
    let mark = caught(&server).await?;
    let here = click_of(&server, &format!("/c/summer?sub1=a&ct_test={mark}")).await?;
    assert_eq!(here["test"], json!(true), "{here}");
    let there = click_of(&server, &format!("/c/winter?sub1=a&ct_test={mark}")).await?;
    assert_eq!(there["test"], json!(false), "{there}");
    let query =
        format!("token=acme-secret&click_id={}&tid=T1&payout=1.00&ct_test={mark}", word(&there, "id"));
    let reply = server.postback(&query).await?;
    assert_eq!(word(&reply.json()?, "result"), "recorded", "{}", reply.text());
    // Whoever finds a mark in a log has it too late.
    server.advance(9 * 60_000);
    let soon = click_of(&server, &format!("/c/summer?sub1=a&ct_test={mark}")).await?;
    assert_eq!(soon["test"], json!(true), "{soon}");
    server.advance(2 * 60_000);
    let late = click_of(&server, &format!("/c/summer?sub1=a&ct_test={mark}")).await?;
    assert_eq!(late["test"], json!(false), "{late}");
    server.stop().await;
    Ok(())
}

async fn steps(kind: Kind) -> Result<()> {
    let shop = Shop::open().await?;
    let server = start(kind, &shop, |config| config.replace("daily = 1000", "daily = 1")).await?;
    let mark = caught(&server).await?;
    let test = click_of(&server, &format!("/c/summer?sub1=a&ct_test={mark}")).await?;
    let test = word(&test, "id");
    let offer_of = async |query: &str| -> Result<Value> {
        let reply = client::get(server.tracking, &format!("/o/shop?{query}")).await?;
        let target = reply.header("location").context("a redirect")?;
        let click = target.split("cid=").nth(1).and_then(|rest| rest.split('&').next()).unwrap_or_default();
        server.api(&format!("/api/v1/trace/{click}")).await
    };
    for _ in 0..3 {
        let traced = offer_of(&format!("cid={test}")).await?.to_string();
        assert!(traced.contains("\"offer\":\"shop\"") && !traced.contains("\"offer\":\"other\""), "{traced}");
        server.advance(10);
    }
    let metrics = client::get(server.admin, "/metrics").await?.text();
    assert!(metrics.contains("crosstally_steps_total{mode=\"test\"} 3"), "{metrics}");
    let first = click_of(&server, "/c/summer?sub1=b").await?;
    assert_eq!(word(&first["way"], "offer"), "shop", "{first}");
    let second = click_of(&server, "/c/summer?sub1=b").await?;
    assert_eq!(word(&second["way"], "offer"), "other", "{second}");
    // The cap is used up for real visitors' steps as well.
    let id = word(&second, "id");
    let step = client::get(server.tracking, &format!("/o/shop?cid={id}")).await?;
    assert_eq!(step.status, 302);
    let traced = server.api(&format!("/api/v1/trace/{id}")).await?.to_string();
    assert!(traced.contains("\"instead_of\":\"shop\""), "{traced}");
    let metrics = client::get(server.admin, "/metrics").await?.text();
    assert!(metrics.contains("crosstally_steps_total{mode=\"stored\"} 1"), "{metrics}");
    server.stop().await;
    Ok(())
}

async fn admins(kind: Kind) -> Result<()> {
    let shop = Shop::open().await?;
    let server = start(kind, &shop, |config| config).await?;
    let weak = server.engine.create_token("weak", &["deliveries:write".to_owned()]).await?.token;
    let request = json!({ "campaign": "summer", "actions": 1, "base": "http://203.0.113.9" }).to_string();
    for tool in ["run", "checklist"] {
        let path = format!("/api/v1/tools/preflight/{tool}");
        let reply = client::post_as(server.admin, &path, &weak, &request).await?;
        assert_eq!(reply.status, 403, "{tool}: {}", reply.text());
    }
    server.stop().await;
    Ok(())
}
