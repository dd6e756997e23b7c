//! The server is killed at random moments under load, a hundred times per database: what was acknowledged is there
//! afterwards, no conversion twice, every due delivery made, none accepted twice.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use crosstally_testkit::database::{Database, Kind};
use crosstally_testkit::{client, on_both};
use serde_json::Value;

use crate::commands::{configure, program, wait_for_events};

/// How often the server is killed.
const KILLS: u32 = 100;
/// Clients that click and convert at once.
const CLIENTS: u64 = 4;

on_both! {
    a_hundred_kills_lose_and_double_nothing => kills;
}

/// What the server has acknowledged.
#[derive(Debug, Default)]
struct Acknowledged {
    clicks: Vec<String>,
    /// The receipts of all answered postbacks.
    receipts: Vec<String>,
    /// The transactions whose answer was `recorded`. One whose click went through the spool is answered `quarantined`.
    transactions: Vec<String>,
}

async fn kills(kind: Kind) -> Result<()> {
    let database = Database::fresh(kind).await?;
    let directory = database.directory().to_owned();
    let sandbox = program().sandbox(&directory).await?;
    configure(&database, sandbox.address)?;
    let mut all = Acknowledged::default();
    for round in 0..KILLS {
        let server = program().serve(&database.flags(), &directory).await?;
        let mut clients = tokio::task::JoinSet::new();
        for number in 0..CLIENTS {
            clients.spawn(client(server.address, format!("r{round}c{number}")));
        }
        // A moment that is different every time, from the first requests to a full pipeline.
        tokio::time::sleep(Duration::from_millis(u64::from(round * 37 % 190))).await;
        server.kill()?;
        while let Some(done) = clients.join_next().await {
            let done = done?;
            all.clicks.extend(done.clicks);
            all.receipts.extend(done.receipts);
            all.transactions.extend(done.transactions);
        }
    }
    let server = program().serve(&database.flags(), &directory).await?;
    check(&database, &all, sandbox.address, server.admin).await?;
    server.stop()
}

/// Clicks and converts until the server is gone; notes what was acknowledged.
async fn client(address: SocketAddr, name: String) -> Acknowledged {
    let mut done = Acknowledged::default();
    for number in 0..10_000 {
        let path = format!("/c/summer?fbclid={name}-{number}");
        let request = http::Request::get(&path).header("user-agent", "Mozilla/5.0 test");
        let Ok(request) = request.body(http_body_util::Full::default()) else { return done };
        let Ok(reply) = client::send(address, request).await else { return done };
        let Some(click) = reply.header("location").and_then(|to| to.split("cid=").nth(1)) else {
            return done;
        };
        let click = click.split('&').next().unwrap_or(click).to_owned();
        done.clicks.push(click.clone());
        let transaction = format!("{name}-{number}");
        let path = format!("/postback/acme?click_id={click}&tid={transaction}&payout=1.25");
        let Ok(answer) = client::get(address, &path).await.and_then(|reply| reply.json()) else {
            return done;
        };
        let word = |name: &str| answer.get(name).and_then(Value::as_str).unwrap_or("").to_owned();
        done.receipts.push(word("receipt"));
        if word("result") == "recorded" {
            done.transactions.push(transaction);
        }
    }
    done
}

async fn check(
    database: &Database,
    all: &Acknowledged,
    sandbox: SocketAddr,
    admin: SocketAddr,
) -> Result<()> {
    let token = program().run(
        &["token", "create", "--name", "t", "--json"],
        &database.flags(),
        database.directory(),
    )?;
    let token: Value = serde_json::from_slice(&token.stdout)?;
    let token = token.get("token").and_then(Value::as_str).context("no token")?;
    assert!(all.transactions.len() > 200, "too little happened: {}", all.transactions.len());
    for click in &all.clicks {
        let path = format!("/api/v1/clicks/{click}");
        let mut reply = client::get_as(admin, &path, token).await?;
        // A click that went through the spool comes back by a task that runs once a second.
        for _ in 0..200 {
            if reply.status == 200 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
            reply = client::get_as(admin, &path, token).await?;
        }
        assert_eq!(reply.status, 200, "the acknowledged click {click} is gone");
    }
    for receipt in &all.receipts {
        let reply = client::get_as(admin, &format!("/api/v1/receipts/{receipt}"), token).await?;
        assert_eq!(reply.status, 200, "the acknowledged receipt `{receipt}` is gone");
    }
    let mut conversions: BTreeSet<String> = BTreeSet::new();
    let mut cursor = String::new();
    loop {
        let page =
            client::get_as(admin, &format!("/api/v1/conversions?limit=500{cursor}"), token).await?.json()?;
        for row in page.get("data").and_then(Value::as_array).into_iter().flatten() {
            let transaction = row.get("transaction_id").and_then(Value::as_str).unwrap_or("").to_owned();
            assert_eq!(row.get("movements").map(ToString::to_string).as_deref(), Some("1"), "{row}");
            assert!(conversions.insert(transaction), "a conversion is there twice: {row}");
        }
        match page.get("next_cursor").and_then(Value::as_str) {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    for transaction in &all.transactions {
        assert!(conversions.contains(transaction), "the acknowledged postback {transaction} is gone");
    }
    // Everything that was booked is delivered, exactly once.
    let events = wait_for_events(sandbox, conversions.len()).await?;
    let ids: BTreeSet<&str> =
        events.iter().filter_map(|row| row.pointer("/event/event_id")?.as_str()).collect();
    assert_eq!(events.len(), conversions.len(), "as many events as conversions");
    assert_eq!(ids.len(), events.len(), "an event was accepted twice");
    Ok(())
}
