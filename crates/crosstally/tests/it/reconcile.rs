//! Reconciliation: what a receiver computes from the calls that it has got is what the server says that it delivered.

use std::collections::BTreeMap;
use std::process::Command;

use anyhow::{Context, Result};
use crosstally_core::time::Timestamp;
use crosstally_testkit::client::get_as;
use crosstally_testkit::database::Kind;
use crosstally_testkit::on_both;
use crosstally_testkit::server::{CONFIG, TestServer};
use serde_json::{Value, json};

use crate::commands::program;

on_both! {
    /// Hour by hour, by the recipes of the docs and by the program's own command; what is missing on one side is seen.
    a_receiver_finds_the_gap_by_the_recipe => gap;
    /// Questions that cannot be answered say what is wrong with them.
    a_reconciliation_says_what_it_cannot_tell => refused;
}

const DOCS: &str = include_str!("../../../../docs/deliveries.md");

/// The code of the docs that begins with this line, up to the end of its block.
fn recipe(first: &str) -> Result<&'static str> {
    let (_, rest) = DOCS.split_once(first).with_context(|| format!("docs/deliveries.md has no {first}"))?;
    Ok(rest.split_once("```").context("the block has an end")?.0)
}

/// What the recipes make of ids, which both must agree about.
fn digest(server: &TestServer, ids: &[String]) -> Result<String> {
    let directory = server.database.directory();
    std::fs::write(directory.join("ids.txt"), ids.iter().map(|id| format!("{id}\n")).collect::<String>())?;
    let run = |program: &str, code: &str| -> Result<String> {
        let output = Command::new(program).args(["-c", code]).current_dir(directory).output()?;
        assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8(output.stdout)?)
    };
    let by_shell = run("sh", recipe("```sh\n# ids.txt: one event id a line\n")?)?;
    let by_shell = by_shell.split_whitespace().next().context("a digest")?.to_owned();
    let python = recipe("```python\nimport hashlib\n")?;
    let by_python = run(
        "python3",
        &format!("import hashlib\n{python}\nprint(digest(open('ids.txt').read().split('\\n')[:-1]))"),
    )?;
    assert_eq!(by_shell, by_python.trim());
    Ok(by_shell)
}

async fn server(kind: Kind) -> Result<TestServer> {
    let server = TestServer::start(kind).await?;
    let (before, _) = CONFIG.split_once("[[destination]]").context("a destination")?;
    server
        .apply(&format!(
            "{before}[[destination]]\nslug = \"crm\"\nkind = \"postback\"\nallow_private = true\n\
             url = \"http://SANDBOX/partner/crm/hook?id={{event_id}}&at={{event_time}}\"\nsuccess_body_contains = \"OK\"\n\n\
             [[goal]]\nslug = \"sale\"\nrole = \"funnel_fact\"\nwhen = \"status == 'approved'\"\n\
             event_name = \"sale\"\nsend_to = [\"crm\"]\n"
        ))
        .await?;
    Ok(server)
}

fn now_s(server: &TestServer) -> i64 {
    server.engine.clock.now().as_seconds()
}

/// What the receiver has got: ids by the hour in which their events happened.
async fn received(server: &TestServer) -> Result<BTreeMap<String, Vec<String>>> {
    let mut hours: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for row in server.accepted().await? {
        let query = &row["event"]["query"];
        let at: i64 = query["at"].as_str().context("a time")?.parse()?;
        let hour = Timestamp::from_millis(at / 3_600 * 3_600_000).to_string();
        hours.entry(hour).or_default().push(query["id"].as_str().context("an id")?.to_owned());
    }
    Ok(hours)
}

async fn gap(kind: Kind) -> Result<()> {
    let server = server(kind).await?;
    // Three hours before 10:00, sent hours later; one after the other and not in the order of their ids.
    for number in 0..12_i64 {
        let at = now_s(&server) - 3 * 3_600 + number * 900;
        let id = if number % 2 == 0 { format!("&event_id=e-{}", 50 - number) } else { String::new() };
        let reply = server.postback(&format!("tid=T{number}&payout=1&event_time={at}{id}")).await?;
        assert_eq!(reply.status, 200, "{}", reply.text());
    }
    server.advance(2 * 3_600_000 + 5);
    server.deliver().await?;
    // One more that the receiver does not take, in an hour with others.
    server.fault(&json!({"kind": "status", "status": 400, "times": 1})).await?;
    let at = now_s(&server) - 4 * 3_600;
    server.postback(&format!("tid=T99&payout=1&event_time={at}&event_id=e-99")).await?;
    server.deliver().await?;

    let told = server.api("/api/v1/deliveries/reconcile?destination=crm").await?;
    let got = received(&server).await?;
    assert_eq!(got.values().map(Vec::len).collect::<Vec<_>>(), [4, 4, 4]);
    let mut expected = Vec::new();
    for (hour, ids) in &got {
        let sha256 = digest(&server, ids)?;
        expected.push(json!({"destination": "crm", "hour": hour, "events": ids.len(), "sha256": sha256}));
    }
    assert_eq!(told["data"], Value::from(expected.clone()), "{told}");
    // A receiver that has lost one, or has one twice.
    let (hour, ids) = got.iter().next().context("an hour")?;
    let told_there = told["data"][0]["sha256"].as_str().context("a digest")?;
    assert_ne!(digest(&server, &ids[1..])?, told_there, "{hour}");
    assert_eq!(digest(&server, &[ids.as_slice(), &ids[..1]].concat())?, told_there, "{hour}");
    // One hour alone, all destinations, and the command.
    let to = Timestamp::parse(hour).context("an hour")?.plus_millis(3_600_000);
    let one = server.api(&format!("/api/v1/deliveries/reconcile?from={hour}&to={to}")).await?;
    assert_eq!(one["data"], json!([expected[0]]));
    let url = format!("http://{}", server.admin);
    let token = server.token.clone();
    let ask = move || {
        let words =
            ["deliveries", "reconcile", "--destination", "crm", "--json", "--url", &url, "--token", &token];
        program().run(&words, &[], std::env::temp_dir().as_path())
    };
    let output = tokio::task::spawn_blocking(ask).await??;
    let said: Value = serde_json::from_slice(&output.stdout)?;
    assert_eq!(said["data"], told["data"]);
    server.stop().await;
    Ok(())
}

async fn refused(kind: Kind) -> Result<()> {
    let server = server(kind).await?;
    for (query, status, says) in [
        ("destination=nobody", 404, "there is no destination `nobody`"),
        ("destination=crm&from=2026-11-21T09:30:00Z", 400, "whole hour"),
        ("destination=crm&from=2026-10-01T00:00:00Z", 400, "31 days"),
        ("from=2026-11-19T00:00:00Z", 400, "one day of all destinations"),
        ("destination=crm&hour=1", 400, "hour"),
    ] {
        let path = format!("/api/v1/deliveries/reconcile?{query}");
        let reply = get_as(server.admin, &path, &server.token).await?;
        assert!(reply.status == status && reply.text().contains(says), "{query}: {}", reply.text());
    }
    let nothing = server.api("/api/v1/deliveries/reconcile?destination=crm").await?;
    assert_eq!(nothing["data"], json!([]));
    let stranger = get_as(server.admin, "/api/v1/deliveries/reconcile", "nobody's").await?;
    assert_eq!(stranger.status, 401);
    server.stop().await;
    Ok(())
}
