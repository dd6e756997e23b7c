//! Three servers on one PostgreSQL.

use std::time::Duration;

use anyhow::Result;
use crosstally_testkit::client;
use crosstally_testkit::database::{Database, Kind};
use serde_json::{Value, json};

use crate::commands::{configure, program, wait_for_events};

/// One of three is killed in mid-delivery: nothing is lost, nothing accepted twice, the others carry on within ten
/// seconds.
#[test]
fn the_others_carry_on_when_one_is_killed() {
    crosstally_testkit::run(carry_on());
}

#[expect(clippy::disallowed_methods, reason = "the promise is about real seconds")]
async fn carry_on() -> Result<()> {
    let database = Database::fresh(Kind::Postgres).await?;
    let directory = database.directory().to_owned();
    let sandbox = program().sandbox(&directory).await?;
    configure(&database, sandbox.address)?;
    let mut servers = Vec::new();
    for _ in 0..3 {
        servers.push(program().serve(&database.flags(), &directory).await?);
    }
    // Every call hangs until its client leaves: all that is due is in mid-delivery at whoever leased it.
    let hang = json!({"kind": "hang"}).to_string();
    client::post(sandbox.address, "/_sandbox/faults", "application/json", hang).await?;
    let request = http::Request::get("/c/summer?fbclid=AbC").header("user-agent", "Mozilla/5.0 test");
    let reply = client::send(servers[0].address, request.body(http_body_util::Full::default())?).await?;
    let click = reply
        .header("location")
        .and_then(|to| to.split("cid=").nth(1))
        .unwrap()
        .split('&')
        .next()
        .unwrap()
        .to_owned();
    for number in 0..300 {
        let server = &servers[number % 3];
        let reply =
            client::get(server.address, &format!("/postback/acme?click_id={click}&tid=T{number}&payout=1"))
                .await?;
        assert_eq!(reply.status, 200, "{}", reply.text());
    }
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    servers.remove(0).kill()?;
    let faults = http::Request::delete("/_sandbox/faults").body(http_body_util::Full::default())?;
    client::send(sandbox.address, faults).await?;
    let killed_at = std::time::Instant::now();
    let events = wait_for_events(sandbox.address, 300).await?;
    let took = killed_at.elapsed();
    assert_eq!(events.len(), 300);
    let ids: std::collections::BTreeSet<&str> =
        events.iter().filter_map(|row| row.pointer("/event/event_id").and_then(Value::as_str)).collect();
    assert_eq!(ids.len(), 300, "an event was accepted twice");
    // Calls that hang run into their own deadline (10 s) and are tried again after 5 s; the killed one's leases end by
    // themselves before that.
    assert!(took < Duration::from_secs(25), "the others took {took:?}");
    for server in servers {
        server.stop()?;
    }
    Ok(())
}
