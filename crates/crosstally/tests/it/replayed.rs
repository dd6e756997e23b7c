//! What goes out once more: a sale that was paid back since is adjusted behind it, and a replay that is refused takes
//! nothing back.

use anyhow::{Context, Result};
use crosstally_testkit::client;
use crosstally_testkit::database::Kind;
use crosstally_testkit::on_both;
use crosstally_testkit::server::{CONFIG, TestServer};
use serde_json::{Value, json};

use crate::ledger::printed;
use crate::reversals::GOOGLE;

on_both! {
    /// A sale that a partner refused was paid back in part: sent once more, it is told, and then what is left of it.
    a_sale_sent_once_more_is_followed_by_its_refund => followed;
    /// The same for a destination that comes later; where no refund can be told, it stands as over-stated.
    a_new_destination_hears_of_the_refund_too => elsewhere;
    /// An adjustment follows its sale wherever that goes; a job that finds it does not send it there a second time.
    a_job_takes_no_refund_along => not_along;
    /// The replay of an event that had arrived is refused: it counts as delivered, and its refund is told.
    a_refused_replay_takes_nothing_back => refused;
    /// Sent once more after its refund was told, a sale is followed by the refund again, and counts as arrived meanwhile.
    a_sale_told_again_is_no_longer_whole => told_again;
    /// A refund that the partner refuses is listed as over-stated until it gets through.
    a_refund_that_is_refused_is_over_stated => untold;
    /// Told of one refund, a destination that takes no more of them is over-stated by the next one alone.
    what_was_told_once_counts_as_told => told_once;
    /// A sale that was paid back in part while it waited, and refused then, is told once more with its refund.
    what_was_refunded_before_it_was_refused_is_followed => refunded_meanwhile;
    /// Lead and sale in one call are told in that order.
    what_came_in_one_call_keeps_its_order => one_call;
    /// A partner that wants them in order hears of the lead before the sale, although the lead's call failed first.
    events_of_a_conversion_keep_their_order => in_order;
    /// A refund happened when the partner says, not when it was reported.
    a_refund_has_its_own_time => own_time;
}

fn word<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn network(slug: &str) -> String {
    format!(
        r#"
[[destination]]
slug = "{slug}"
kind = "postback"
url = "http://SANDBOX/partner/{slug}?tid={{transaction_id}}&st={{status}}&v={{value}}&at={{event_time}}"
success_body_contains = "OK"
allow_private = true
"#
    )
}

/// The usual configuration under a contract whose refunds state a part.
fn config(send_to: &str, more: &str) -> String {
    CONFIG
        .replace(
            "currency = \"USD\"\n\n[[destination]]",
            "currency = \"USD\"\nreversal = \"amount\"\n\n[[destination]]",
        )
        .replace("send_to = [\"meta-main\"]", &format!("send_to = [{send_to}]"))
        + more
}

async fn call(server: &TestServer, query: &str) -> Result<()> {
    let reply = server.postback(query).await?;
    assert_eq!(reply.status, 200, "{query}: {}", reply.text());
    Ok(())
}

/// A sale, and the whole or a part of it paid back after the destinations were called once.
async fn sold(server: &TestServer, then: &str) -> Result<()> {
    let click = server.click("fbclid=A").await?;
    call(server, &format!("click_id={click}&tid=S1&payout=12.34")).await?;
    server.deliver().await?;
    server.advance(60_000);
    call(server, &format!("tid=S1&{then}")).await
}

/// The partner's answer to one call lacks the words of a success.
async fn refuse_once(server: &TestServer) -> Result<()> {
    server.fault(&json!({"kind": "status", "platform": "partner", "status": 200, "times": 1})).await
}

/// Sends what a destination refused once more, by hand.
pub(super) async fn retry(server: &TestServer, destination: &str) -> Result<()> {
    let request = http::Request::post("/api/v1/deliveries/retry")
        .header("authorization", format!("Bearer {}", server.token))
        .header("content-type", "application/json");
    let wanted = json!({"destination": destination, "state": "dead"}).to_string();
    let reply = client::send(server.admin, request.body(http_body_util::Full::from(wanted))?).await?;
    assert_eq!(reply.json()?, json!({"requeued": 1}));
    Ok(())
}

async fn settle(server: &TestServer) -> Result<()> {
    for _ in 0..3 {
        server.engine.work_on_jobs().await?;
        server.engine.follow_reversals().await?;
        server.deliver().await?;
        server.advance(61_000);
    }
    Ok(())
}

/// What a partner was told, as status and value.
async fn told(server: &TestServer, slug: &str) -> Result<Vec<String>> {
    let accepted = server.accepted().await?;
    let here = accepted.iter().filter(|row| row["dataset"] == json!(slug));
    Ok(here.map(|row| format!("{} {}", word(row, "/event/query/st"), word(row, "/event/query/v"))).collect())
}

async fn over(server: &TestServer) -> Result<Vec<String>> {
    let list = server.api("/api/v1/overstated").await?;
    let rows = list["data"].as_array().context("a list")?;
    Ok(rows.iter().map(|row| format!("{} {}", word(row, "/destination"), row["minor"])).collect())
}

async fn states(server: &TestServer) -> Result<Vec<String>> {
    let list = server.api("/api/v1/deliveries?limit=500").await?;
    let rows = list["data"].as_array().context("a list")?;
    let mut found: Vec<String> = rows
        .iter()
        .map(|row| format!("{} {} {}", word(row, "/destination"), word(row, "/state"), word(row, "/code")))
        .collect();
    found.sort();
    Ok(found)
}

async fn followed(kind: Kind) -> Result<()> {
    let server = TestServer::start(kind).await?;
    server.apply(&config("\"net\"", &network("net"))).await?;
    refuse_once(&server).await?;
    sold(&server, "status=reversed&payout=2.34").await?;
    server.deliver().await?;
    assert_eq!(states(&server).await?, ["net dead dest_rejected"]);
    retry(&server, "net").await?;
    settle(&server).await?;
    assert_eq!(told(&server, "net").await?, ["approved 12.34", "approved 10.00"]);
    assert!(over(&server).await?.is_empty());
    server.stop().await;
    Ok(())
}

async fn refunded_meanwhile(kind: Kind) -> Result<()> {
    let server = TestServer::start(kind).await?;
    server.apply(&config("\"net\"", &network("net"))).await?;
    server.fault(&json!({"kind": "server_error", "platform": "partner", "times": 1})).await?;
    sold(&server, "status=reversed&payout=2.34").await?;
    refuse_once(&server).await?;
    settle(&server).await?;
    settle(&server).await?;
    assert_eq!(states(&server).await?, ["net cancelled nothing_to_adjust", "net dead dest_rejected"]);
    retry(&server, "net").await?;
    settle(&server).await?;
    assert_eq!(told(&server, "net").await?, ["approved 12.34", "approved 10.00"]);
    assert!(over(&server).await?.is_empty());
    server.stop().await;
    Ok(())
}

async fn elsewhere(kind: Kind) -> Result<()> {
    let server = TestServer::start(kind).await?;
    let all = format!("{}{}", network("net"), network("later"));
    server.apply(&config("\"net\"", &all)).await?;
    sold(&server, "status=reversed&payout=2.34").await?;
    settle(&server).await?;
    assert_eq!(told(&server, "net").await?, ["approved 12.34", "approved 10.00"]);
    for to in ["later", "meta-main"] {
        let job = [
            "deliveries",
            "replay",
            "--destination",
            "net",
            "--state",
            "delivered",
            "--event",
            "Purchase",
            "--to",
            to,
            "--apply",
        ];
        printed(&server, &job)?;
        settle(&server).await?;
    }
    assert_eq!(told(&server, "later").await?, ["approved 12.34", "approved 10.00"]);
    assert_eq!(over(&server).await?, ["meta-main 234"]);
    server.stop().await;
    Ok(())
}

async fn not_along(kind: Kind) -> Result<()> {
    let server = TestServer::start(kind).await?;
    let all = format!("{}{}", network("net"), network("later"));
    server.apply(&config("\"net\"", &all)).await?;
    let click = server.click("fbclid=A").await?;
    call(&server, &format!("click_id={click}&tid=S1&payout=12.34")).await?;
    settle(&server).await?;
    let job =
        ["deliveries", "replay", "--destination", "net", "--state", "delivered", "--to", "later", "--apply"];
    printed(&server, &job)?;
    settle(&server).await?;
    call(&server, "tid=S1&status=reversed&payout=2.34").await?;
    settle(&server).await?;
    let twice = ["approved 12.34", "approved 10.00"];
    assert_eq!(told(&server, "later").await?, twice);
    let shown = printed(&server, &job)?;
    settle(&server).await?;
    assert_eq!(told(&server, "later").await?, twice, "{shown}");
    assert_eq!(told(&server, "net").await?, twice);
    server.stop().await;
    Ok(())
}

async fn refused(kind: Kind) -> Result<()> {
    let server = TestServer::start(kind).await?;
    server.apply(&config("\"net\", \"meta-main\"", &network("net"))).await?;
    sold(&server, "status=approved&payout=12.34").await?;
    server.fault(&json!({"kind": "reject_event_name", "event_name": "Purchase"})).await?;
    server.fault(&json!({"kind": "status", "platform": "partner", "status": 200, "times": 1})).await?;
    for destination in ["net", "meta-main"] {
        let job = ["deliveries", "replay", "--destination", destination, "--state", "delivered", "--apply"];
        printed(&server, &job)?;
    }
    settle(&server).await?;
    let stands = ["meta-main delivered first_delivery_stands", "net delivered first_delivery_stands"];
    assert_eq!(states(&server).await?, stands);
    server.no_faults().await?;
    call(&server, "tid=S1&status=reversed").await?;
    settle(&server).await?;
    assert_eq!(told(&server, "net").await?, ["approved 12.34", "reversed 0.00"]);
    assert_eq!(over(&server).await?, ["meta-main 1234"]);
    server.stop().await;
    Ok(())
}

async fn untold(kind: Kind) -> Result<()> {
    let server = TestServer::start(kind).await?;
    server.apply(&config("\"net\"", &network("net"))).await?;
    let click = server.click("fbclid=A").await?;
    call(&server, &format!("click_id={click}&tid=S1&payout=12.34")).await?;
    server.deliver().await?;
    refuse_once(&server).await?;
    call(&server, "tid=S1&status=reversed&payout=2.34").await?;
    settle(&server).await?;
    assert_eq!(states(&server).await?, ["net dead dest_rejected", "net delivered delivered"]);
    assert_eq!(over(&server).await?, ["net 234"]);
    retry(&server, "net").await?;
    settle(&server).await?;
    assert_eq!(told(&server, "net").await?, ["approved 12.34", "approved 10.00"]);
    assert!(over(&server).await?.is_empty());
    server.stop().await;
    Ok(())
}

async fn told_once(kind: Kind) -> Result<()> {
    let server = TestServer::start(kind).await?;
    server.apply(&config("\"google\"", &GOOGLE.replace("ADJUSTMENTS", "true"))).await?;
    let click = server.click("gclid=Abc-1").await?;
    call(&server, &format!("click_id={click}&tid=S1&payout=12.34")).await?;
    server.deliver().await?;
    call(&server, "tid=S1&status=reversed&payout=2.34").await?;
    settle(&server).await?;
    assert!(over(&server).await?.is_empty());
    server.apply(&config("\"google\"", &GOOGLE.replace("ADJUSTMENTS", "false"))).await?;
    call(&server, "tid=S1&status=reversed&payout=3.00").await?;
    settle(&server).await?;
    assert_eq!(over(&server).await?, ["google 300"]);
    // It takes them again: the next one tells all that is left.
    server.apply(&config("\"google\"", &GOOGLE.replace("ADJUSTMENTS", "true"))).await?;
    call(&server, "tid=S1&status=reversed&payout=1.00").await?;
    settle(&server).await?;
    assert!(over(&server).await?.is_empty());
    server.stop().await;
    Ok(())
}

async fn own_time(kind: Kind) -> Result<()> {
    let server = TestServer::start(kind).await?;
    server.apply(&config("\"net\"", &network("net"))).await?;
    let click = server.click("fbclid=A").await?;
    call(&server, &format!("click_id={click}&tid=S1&payout=12.34")).await?;
    server.deliver().await?;
    server.advance(10 * 86_400_000);
    let refunded_at = server.engine.clock.now().plus_millis(-3 * 86_400_000).as_millis() / 1_000;
    call(&server, &format!("tid=S1&status=reversed&event_time={refunded_at}")).await?;
    settle(&server).await?;
    let accepted = server.accepted().await?;
    let at: Vec<&str> = accepted.iter().map(|row| word(row, "/event/query/at")).collect();
    assert_eq!(at.get(1), Some(&refunded_at.to_string().as_str()), "{at:?}");
    server.stop().await;
    Ok(())
}

const LEAD: &str = "
[[goal]]
slug = \"lead\"
role = \"funnel_fact\"
when = \"status == 'lead'\"
event_name = \"Lead\"
send_to = [\"net\"]
";

async fn in_order(kind: Kind) -> Result<()> {
    let mut told_as = Vec::new();
    for ordered in [true, false] {
        let server = TestServer::start(kind).await?;
        let net = network("net").replace("allow_private", &format!("in_order = {ordered}\nallow_private"));
        server.apply(&config("\"net\"", &format!("{net}{LEAD}"))).await?;
        let click = server.click("fbclid=A").await?;
        server.fault(&json!({"kind": "server_error", "platform": "partner", "times": 1})).await?;
        call(&server, &format!("click_id={click}&tid=S1&status=lead")).await?;
        server.deliver().await?;
        server.advance(1_000);
        call(&server, "tid=S1&status=approved&payout=12.34").await?;
        for _ in 0..60 {
            server.deliver().await?;
            server.advance(2_000);
        }
        told_as.push(told(&server, "net").await?);
        server.stop().await;
    }
    assert_eq!(told_as[0], ["lead ", "approved 12.34"]);
    assert_eq!(told_as[1], ["approved 12.34", "lead "], "without it, nobody waits");
    Ok(())
}

async fn one_call(kind: Kind) -> Result<()> {
    let server = TestServer::start(kind).await?;
    let net = network("net").replace("allow_private", "in_order = true\nallow_private");
    server.apply(&config("\"net\"", &format!("{net}{LEAD}"))).await?;
    let click = server.click("fbclid=A").await?;
    let mut rows = Vec::new();
    for sale in 0..20 {
        let row = |status: &str, payout: &str| json!({"click_id": click, "tid": format!("S{sale}"), "status": status, "payout": payout});
        rows.extend([row("lead", ""), row("approved", "12.34")]);
    }
    let request = http::Request::post("/postback/acme").header("content-type", "application/json");
    let body = http_body_util::Full::from(Value::from(rows).to_string());
    let reply = client::send(server.tracking, request.body(body)?).await?;
    assert_eq!(reply.status, 200, "{}", reply.text());
    for _ in 0..5 {
        server.deliver().await?;
        server.advance(2_000);
    }
    let accepted = server.accepted().await?;
    for sale in 0..20 {
        let tid = format!("S{sale}");
        let of_it = accepted.iter().filter(|row| word(row, "/event/query/tid") == tid);
        let told: Vec<&str> = of_it.map(|row| word(row, "/event/query/st")).collect();
        assert_eq!(told, ["lead", "approved"], "{tid}");
    }
    server.stop().await;
    Ok(())
}

async fn told_again(kind: Kind) -> Result<()> {
    let server = TestServer::start(kind).await?;
    server.apply(&config("\"net\"", &network("net"))).await?;
    sold(&server, "status=reversed&payout=2.34").await?;
    settle(&server).await?;
    let list = server.api("/api/v1/deliveries?limit=500").await?;
    let sale = list["data"].as_array().and_then(|rows| rows.last()).context("the sale")?.clone();
    let (before, days) =
        (server.api("/api/v1/deliveries/reconcile").await?, "/api/v1/deliveries/days?days=2");
    let arrived = server.api(days).await?["data"][0]["delivered"].clone();
    server.fault(&json!({"kind": "server_error", "platform": "partner", "times": 1})).await?;
    let id = word(&sale, "/id");
    printed(
        &server,
        &["deliveries", "replay", "--destination", "net", "--state", "delivered", "--id", id, "--apply"],
    )?;
    server.engine.work_on_jobs().await?;
    server.deliver().await?;
    let waits = server.api(&format!("/api/v1/deliveries/{id}")).await?;
    assert_eq!(word(&waits, "/state"), "pending", "{waits}");
    assert_eq!(server.api("/api/v1/deliveries/reconcile").await?, before, "both have arrived");
    let now = server.api(days).await?;
    assert_eq!((&now["data"][0]["delivered"], &now["data"][0]["open"]), (&arrived, &json!(0)), "{now}");
    settle(&server).await?;
    settle(&server).await?;
    let heard = told(&server, "net").await?;
    assert_eq!(heard, ["approved 12.34", "approved 10.00", "approved 12.34", "approved 10.00"]);
    server.stop().await;
    Ok(())
}
