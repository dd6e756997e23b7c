//! A random history of a partner's calls over a server that is killed again and again, also in the middle of a replay. The
//! sender tries each call until it has an answer, as senders do. In the end the ledger equals the model.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result};
use crosstally_testkit::database::{Database, Kind};
use crosstally_testkit::server::CONFIG;
use crosstally_testkit::{client, on_both};
use serde_json::{Value, json};

use crate::commands::{configure, program};
use crate::histories::{Call, Dice, WORDS, model};

on_both! {
    a_history_over_kills_equals_the_model => killed;
}

/// How often the server is killed while calls come in, and how often while it reads them again.
const KILLS: u64 = 12;
const REPLAYS_KILLED: u64 = 4;
const TRANSACTIONS: u64 = 9;

fn calls(seed: u64, count: usize) -> Vec<Call> {
    let mut dice = Dice(seed);
    let word = |dice: &mut Dice| WORDS[usize::try_from(dice.roll(8)).unwrap()];
    (0..count)
        .map(|_| {
            let (word, means) = word(&mut dice);
            let cents = (dice.roll(3) > 0).then(|| i64::try_from(dice.roll(5)).unwrap() * 250 + 100);
            Call { transaction: dice.roll(TRANSACTIONS), word, means, cents, over: None }
        })
        .collect()
}

async fn killed(kind: Kind) -> Result<()> {
    let database = Database::fresh(kind).await?;
    let directory = database.directory().to_owned();
    // Nothing is delivered here: the sandbox's address is nobody's.
    configure(&database, SocketAddr::from(([127, 0, 0, 1], 9)))?;
    let history = calls(7, 400);
    let mut answered = 0;
    for round in 0..KILLS {
        let server = program().serve(&database.flags(), &directory).await?;
        let rest = history[answered..].to_vec();
        let mut sender = tokio::task::JoinSet::new();
        sender.spawn(send(server.address, rest));
        tokio::time::sleep(Duration::from_millis(20 + round * 53 % 170)).await;
        server.kill()?;
        answered += sender.join_next().await.context("nobody sent")??;
    }
    let server = program().serve(&database.flags(), &directory).await?;
    answered += send(server.address, history[answered..].to_vec()).await;
    assert_eq!(answered, history.len(), "a call had no answer from a server that nobody killed");
    server.stop()?;

    let map = "currency = \"USD\"\nstatuses = { confirmed = \"approved\", refused = \"rejected\" }\n\n[[destination]]";
    let file = directory.join("mapped.toml");
    let document =
        CONFIG.replace("currency = \"USD\"\n\n[[destination]]", map).replace("SANDBOX", "127.0.0.1:9");
    std::fs::write(&file, document)?;
    let name = file.display().to_string();
    let applied = program().run(&["config", "apply", &name], &database.flags(), &directory)?;
    assert!(applied.status.success(), "{}", String::from_utf8_lossy(&applied.stderr));
    let made = program().run(&["token", "create", "--name", "t", "--json"], &database.flags(), &directory)?;
    let token = serde_json::from_slice::<Value>(&made.stdout)?;
    let token = token["token"].as_str().context("no token")?.to_owned();
    for round in 0..REPLAYS_KILLED {
        let server = program().serve(&database.flags(), &directory).await?;
        let (admin, own) = (server.admin, token.clone());
        let mut reading = tokio::task::JoinSet::new();
        reading.spawn(async move { read_all(admin, &own).await });
        tokio::time::sleep(Duration::from_millis(15 + round * 37)).await;
        server.kill()?;
        // It may have come to its end before.
        drop(reading.join_next().await);
    }
    let server = program().serve(&database.flags(), &directory).await?;
    read_all(server.admin, &token).await?;
    let more = read_all(server.admin, &token).await?;
    assert!(more.is_empty(), "reading everything once more changes nothing: {more:#?}");
    compare(server.admin, &token, &history).await?;
    server.stop()
}

/// Sends calls in their order, each once, until one has no answer; how many had one.
async fn send(address: SocketAddr, calls: Vec<Call>) -> usize {
    let mut answered = 0;
    for call in calls {
        let query = call.query("").replace("click_id=&", "");
        let Ok(reply) = client::get(address, &format!("/postback/acme?{query}")).await else { break };
        assert_eq!(reply.status, 200, "{}", reply.text());
        answered += 1;
        // The order of calls is that of their milliseconds.
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    answered
}

/// Reads everything again; what changed.
async fn read_all(admin: SocketAddr, token: &str) -> Result<Vec<String>> {
    let (mut changed, mut cursor) = (Vec::new(), Value::Null);
    loop {
        let wanted = json!({ "partner": "acme", "apply": true, "limit": 50, "cursor": cursor });
        let page = client::post_as(admin, "/api/v1/receipts/replay", token, &wanted.to_string()).await?;
        anyhow::ensure!(page.status == 200, "{}", page.text());
        let page = page.json()?;
        let rows = page["data"].as_array().context("no rows")?;
        changed.extend(rows.iter().filter(|row| row["changed"] == true).map(ToString::to_string));
        cursor = page["next_cursor"].clone();
        if cursor.is_null() {
            return Ok(changed);
        }
    }
}

async fn compare(admin: SocketAddr, token: &str, history: &[Call]) -> Result<()> {
    let mut expected: BTreeMap<String, (String, String)> = BTreeMap::new();
    for transaction in 0..TRANSACTIONS {
        let calls: Vec<&Call> = history.iter().filter(|call| call.transaction == transaction).collect();
        let (status, cents) = model(&calls).context("a transaction with refunds only")?;
        let confirmed = if status == "approved" { cents } else { 0 };
        let confirmed = format!("{}.{:02}", confirmed / 100, confirmed % 100);
        expected.insert(format!("T{transaction}"), (status.to_owned(), confirmed));
    }
    let page = client::get_as(admin, "/api/v1/conversions?limit=500", token).await?.json()?;
    let mut found = BTreeMap::new();
    for row in page["data"].as_array().context("no conversions")? {
        let word = |name: &str| row[name].as_str().unwrap_or("").to_owned();
        let before = found.insert(word("transaction_id"), (word("status"), word("confirmed")));
        assert_eq!(before, None, "a conversion is there twice: {row}");
    }
    assert_eq!(found, expected);
    let balance = client::get_as(admin, "/api/v1/receipts/balance", token).await?.json()?;
    let line = &balance["data"][0];
    let count = |name: &str| line[name].as_u64().unwrap_or(0);
    let parts = ["recorded", "updated", "duplicate", "quarantined", "refused", "test"].map(count);
    assert_eq!(count("received"), parts.iter().sum::<u64>(), "{balance}");
    assert!(count("received") >= history.len() as u64, "{balance}");
    Ok(())
}
