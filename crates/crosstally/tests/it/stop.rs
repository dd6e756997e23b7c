//! The server is told to stop in the middle of its work: nothing that was acknowledged is lost, nothing is done twice.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use crosstally_testkit::database::{Database, Kind};
use crosstally_testkit::{client, on_both};
use serde_json::Value;

use crate::commands::{configure, program, wait_for_events};

/// How often the server is stopped and started again, at least and at most.
const STOPS: u32 = 6;
const STOPS_MAX: u32 = 60;
/// So much has to be acknowledged, however slow the machine is.
const RECORDED_MIN: usize = 100;
/// Clients at once.
const CLIENTS: u32 = 6;

on_both! {
    a_stop_loses_nothing_that_was_acknowledged => stops;
}

/// Converts until the server is gone; the transactions that were answered `recorded`, and how often the server broke a
/// request off without an answer.
async fn client(address: SocketAddr, name: String) -> (Vec<String>, usize) {
    let mut recorded = Vec::new();
    for number in 0..10_000 {
        let path = format!("/c/summer?fbclid={name}-{number}");
        let request = http::Request::get(&path).header("user-agent", "Mozilla/5.0 test");
        let Ok(request) = request.body(http_body_util::Full::default()) else { break };
        let Ok(reply) = client::send(address, request).await else { break };
        let Some(click) = reply.header("location").and_then(|to| to.split("cid=").nth(1)) else { break };
        let click = click.split('&').next().unwrap_or(click).to_owned();
        let transaction = format!("{name}-{number}");
        let path = format!("/postback/acme?click_id={click}&tid={transaction}&payout=1.25");
        let Ok(reply) = client::get(address, &path).await else {
            // No connection any more is well; a request that was taken and never answered is not.
            return (recorded, usize::from(client::connect(address).await.is_ok()));
        };
        if reply.text().contains("\"recorded\"") {
            recorded.push(transaction);
        }
    }
    (recorded, 0)
}

async fn stops(kind: Kind) -> Result<()> {
    let database = Database::fresh(kind).await?;
    let directory = database.directory().to_owned();
    let sandbox = program().sandbox(&directory).await?;
    configure(&database, sandbox.address)?;
    let mut recorded = Vec::new();
    for round in 0..STOPS_MAX {
        if round >= STOPS && recorded.len() > RECORDED_MIN {
            break;
        }
        let server = program().serve(&database.flags(), &directory).await?;
        let mut clients = tokio::task::JoinSet::new();
        for number in 0..CLIENTS {
            clients.spawn(client(server.address, format!("s{round}c{number}")));
        }
        tokio::time::sleep(Duration::from_millis(150 + u64::from(round % STOPS) * 70)).await;
        // It ends by itself and says that all is well.
        tokio::task::spawn_blocking(move || server.stop()).await??;
        while let Some(done) = clients.join_next().await {
            let (done, broken) = done?;
            recorded.extend(done);
            assert_eq!(broken, 0, "a request was broken off by a server that still listened");
        }
    }
    assert!(recorded.len() > RECORDED_MIN, "too little happened: {}", recorded.len());
    let server = program().serve(&database.flags(), &directory).await?;
    let token =
        program().run(&["token", "create", "--name", "t", "--json"], &database.flags(), &directory)?;
    let token: Value = serde_json::from_slice(&token.stdout)?;
    let token = token.get("token").and_then(Value::as_str).context("no token")?;
    let mut booked: BTreeSet<String> = BTreeSet::new();
    let mut cursor = String::new();
    loop {
        let path = format!("/api/v1/conversions?limit=500{cursor}");
        let page = client::get_as(server.admin, &path, token).await?.json()?;
        for row in page.get("data").and_then(Value::as_array).into_iter().flatten() {
            let transaction = row.get("transaction_id").and_then(Value::as_str).unwrap_or("").to_owned();
            assert!(booked.insert(transaction), "a conversion is there twice: {row}");
        }
        match page.get("next_cursor").and_then(Value::as_str) {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    for transaction in &recorded {
        assert!(booked.contains(transaction), "the acknowledged postback {transaction} is gone");
    }
    let events = wait_for_events(sandbox.address, booked.len()).await?;
    let ids: BTreeSet<&str> =
        events.iter().filter_map(|row| row.pointer("/event/event_id")?.as_str()).collect();
    assert_eq!((events.len(), ids.len()), (booked.len(), booked.len()), "one event for each conversion");
    server.stop()
}
