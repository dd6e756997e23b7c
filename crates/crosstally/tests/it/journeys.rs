//! The review of a month's real journeys: which are told, which never, and that it is put together once a month by itself.

use std::sync::Arc;

use anyhow::{Context, Result};
use crosstally_core::time::Timestamp;
use crosstally_engine::Engine;
use crosstally_engine::clock::Clock as _;
use crosstally_engine::open::Parts;
use crosstally_engine::random::Random;
use crosstally_engine::secrets::FixedSecrets;
use crosstally_store::{OpenOptions, Store};
use crosstally_testkit::client;
use crosstally_testkit::database::Kind;
use crosstally_testkit::on_both;
use crosstally_testkit::server::{CONFIG, TestServer};
use serde_json::{Value, json};

use crate::erasures::{ask, erase};
use crate::guarded::word;
use crate::preflight::shop::Shop;
use crate::tools::{parsed, run};

on_both! {
    /// One approved, one rejected, one late approval of one partner, from the click to the answer, the same by command and API.
    journeys_of_a_month_are_told_step_by_step => told;
    /// Neither a pre-flight's calls, nor an erased person's sale, nor another partner's; and a kept review goes with its person.
    journeys_are_of_real_people_who_are_still_there => real;
    /// A month begins and ends at midnight of the workspace's zone, by when the deciding call came.
    journeys_of_a_month_are_decided_in_it => edges;
    /// Of more calls than are looked at some of each part of the month are, and the review says so.
    journeys_of_a_busy_month_are_of_a_sample => busy;
    /// Once a month and partner, by whichever node comes first, and again where it broke off.
    journeys_are_put_together_once_a_month_by_themselves => monthly;
    /// What cannot be asked is refused; a quiet month says so.
    journeys_that_cannot_be_told_say_why => none;
}

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

const OTHER: &str = r#"
[[partner]]
slug = "other"
preset = "generic"
currency = "EUR"
statuses = { trash = "rejected" }
"#;

async fn start(kind: Kind) -> Result<TestServer> {
    let server = TestServer::start(kind).await?;
    let config = CONFIG.replace("timezone = \"UTC\"", "timezone = \"Europe/Berlin\"");
    server.apply(&format!("{config}{OTHER}")).await?;
    Ok(server)
}

/// Moves the clock to a time that is still to come.
fn set(server: &TestServer, at: &str) -> Result<()> {
    let at = Timestamp::parse(at).context("a time")?;
    let ahead = at.millis_since(server.clock.now());
    assert!(ahead >= 0, "{at} is over");
    server.advance(ahead);
    Ok(())
}

async fn call(server: &TestServer, partner: &str, query: &str) -> Result<Value> {
    let reply = client::get(server.tracking, &format!("/postback/{partner}?{query}")).await?.json()?;
    assert!(matches!(word(&reply, "result"), "recorded" | "updated"), "{reply}");
    Ok(reply)
}

/// A click, a minute later a lead, so much later the decision; its click id.
async fn sale(server: &TestServer, partner: &str, tid: &str, status: &str, after_ms: i64) -> Result<String> {
    let click = server.click("fbclid=AbC&sub1=x").await?;
    server.advance(60_000);
    call(server, partner, &format!("click_id={click}&tid={tid}&status=lead&payout=12.34")).await?;
    server.advance(after_ms);
    call(server, partner, &format!("click_id={click}&tid={tid}&status={status}&payout=12.34")).await?;
    Ok(click)
}

async fn review(server: &TestServer, request: &Value) -> Result<Value> {
    ask(server, "/api/v1/tools/journeys/review", request).await
}

fn only(review: &Value) -> &Value {
    assert_eq!(review["reviews"].as_array().map(Vec::len), Some(1), "{review:#}");
    &review["reviews"][0]
}

fn journey<'v>(review: &'v Value, kind: &str) -> Option<&'v Value> {
    let journeys = only(review)["journeys"].as_array()?;
    journeys.iter().find(|journey| word(journey, "kind") == kind)
}

fn missing(review: &Value, kind: &str) -> String {
    let missing = only(review)["missing"].as_array().cloned().unwrap_or_default();
    missing
        .iter()
        .find(|one| word(one, "kind") == kind)
        .map(|one| word(one, "why").to_owned())
        .unwrap_or_default()
}

fn click_of(journey: Option<&Value>) -> String {
    journey
        .and_then(|journey| journey.pointer("/click/id"))
        .and_then(Value::as_str)
        .unwrap_or("none")
        .to_owned()
}

async fn told(kind: Kind) -> Result<()> {
    let server = start(kind).await?;
    let mut approved = Vec::new();
    for (tid, hours) in [("A1", 1), ("A2", 2), ("A3", 3)] {
        approved.push(sale(&server, "acme", tid, "approved", hours * HOUR_MS).await?);
    }
    let rejected = sale(&server, "acme", "R1", "rejected", 5 * HOUR_MS).await?;
    let late = sale(&server, "acme", "L1", "approved", 30 * HOUR_MS).await?;
    let others = sale(&server, "other", "O1", "trash", HOUR_MS).await?;
    server.deliver().await?;
    set(&server, "2026-12-03T12:00:00Z")?;
    let acme = review(&server, &json!({ "partner": "acme", "month": "2026-11" })).await?;
    assert_eq!((&acme["ok"], word(&acme, "begins")), (&json!(true), "2026-10-31T23:00:00.000Z"));
    assert_eq!((&acme["is_over"], word(&acme, "ends")), (&json!(true), "2026-11-30T23:00:00.000Z"));
    let [middle, refused, latest] =
        ["approved", "rejected", "late_approval"].map(|kind| journey(&acme, kind));
    assert_eq!(click_of(middle), approved[1], "the lower one in the middle of four: {acme:#}");
    assert_eq!((click_of(refused), click_of(latest)), (rejected, late));
    assert!(!acme.to_string().contains(&others), "another partner's");
    assert_eq!(only(&acme)["decisions"], json!({"approved": 4, "rejected": 1, "reversed": 0, "erased": 0}));
    assert_eq!((&only(&acme)["calls"], &only(&acme)["usual_wait_ms"]), (&json!(10), &json!(2 * HOUR_MS)));
    step_by_step(middle.context("told")?);
    let latest = latest.context("told")?;
    assert!(word(latest, "why_this_one").contains("the longest of 4 approvals: 1 d 6 h"), "{latest:#}");
    let id = word(latest, "conversion");
    assert_eq!(latest["open"]["evidence"], json!(format!("crosstally evidence {id}")));
    let trace = server.api(&format!("/api/v1/trace/{id}")).await?;
    assert_eq!(trace["conversions"][0]["conversion"]["id"], json!(id), "the evidence is found");
    same_by_command(&server, &acme).await?;
    let all = review(&server, &json!({})).await?;
    let slugs: Vec<&str> =
        all["reviews"].as_array().context("all")?.iter().map(|one| word(one, "partner")).collect();
    assert_eq!((word(&all, "month"), &slugs[..]), ("2026-11", &["acme", "other"][..]));
    assert_eq!(all["reviews"][0], acme["reviews"][0], "the same ones each time");
    server.stop().await;
    Ok(())
}

/// The middle one: clicked, a minute later a lead, two hours later approved, and sent.
fn step_by_step(journey: &Value) {
    assert_eq!((word(journey, "became"), word(journey, "status_now")), ("approved", "approved"));
    assert_eq!((word(journey, "transaction_id"), word(journey, "campaign")), ("A2", "summer"));
    let times = &journey["times"];
    assert_eq!(
        (&times["click_to_first_call_ms"], &times["first_call_to_decision_ms"], &times["at_once"]),
        (&json!(60_000), &json!(2 * HOUR_MS), &json!(false))
    );
    assert_eq!(
        (&journey["click"]["cost_minor"], &journey["click"]["source"]),
        (&json!(25), &json!("facebook"))
    );
    let calls = journey["calls"].as_array().cloned().unwrap_or_default();
    let said: Vec<(&str, &str, &str, bool)> = calls
        .iter()
        .map(|call| {
            let is_deciding = call["is_the_deciding_one"] == json!(true);
            (word(call, "status_word"), word(call, "status"), word(call, "payout"), is_deciding)
        })
        .collect();
    assert_eq!(said, [("lead", "lead", "12.34", false), ("approved", "approved", "12.34", true)]);
    let movements = journey["movements"].as_array().cloned().unwrap_or_default();
    let moved: Vec<Value> = movements
        .iter()
        .map(|movement| {
            json!([
                movement["status"],
                movement["payout_minor"],
                movement["currency"],
                movement["confirmed_change_minor"],
                movement["pending_change_minor"],
            ])
        })
        .collect();
    assert_eq!(json!(moved), json!([["lead", 1234, "USD", 0, 1234], ["approved", 1234, "USD", 1234, -1234]]));
    assert_eq!(movements[1]["receipt"], calls[1]["receipt"]);
    let sent = journey["sent"].as_array().cloned().unwrap_or_default();
    assert_eq!(sent.len(), 1, "{journey:#}");
    assert_eq!((word(&sent[0], "destination"), word(&sent[0], "event_name")), ("meta-main", "Purchase"));
    assert_eq!((word(&sent[0], "stands"), &sent[0]["status"]), ("delivered", &json!(200)));
    assert_eq!((&sent[0]["outcome"], sent[0].get("answer")), (&json!("delivered"), None), "{journey:#}");
    assert!(!journey.to_string().contains("events_received"), "what it says may name people: {journey:#}");
}

/// By the program, against the server and on the data, and as the kept run.
async fn same_by_command(server: &TestServer, of_api: &Value) -> Result<()> {
    let words = ["journeys", "review", "--partner", "acme", "--month", "2026-11"];
    let output = run(server, &[&words[..], &["--json"]].concat()).await?;
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let of_command = parsed(&output)?;
    assert_eq!(of_command["reviews"], of_api["reviews"]);
    let kept = server.api(&format!("/api/v1/tools/runs/{}", word(of_api, "run"))).await?;
    assert_eq!((word(&kept, "tool"), &kept["repeatable"]), ("journeys_review", &json!(true)));
    assert_eq!(kept["answer"]["reviews"], of_api["reviews"]);
    let again =
        ask(server, &format!("/api/v1/tools/runs/{}/repeat", word(of_api, "run")), &json!({})).await?;
    assert_eq!(again["reviews"], of_api["reviews"]);
    let page = run(server, &words).await?;
    let page = String::from_utf8_lossy(&page.stdout).into_owned();
    for told in [
        "one approved: cnv_",
        "one rejected: cnv_",
        "one late approval: cnv_",
        "crosstally evidence cnv_",
        "recorded: `lead` is lead  12.34 USD",
        "Purchase to meta-main: delivered, answered 200",
    ] {
        assert!(page.contains(told), "{told}: {page}");
    }
    assert!(!page.contains("***"), "nothing is masked that need not be: {page}");
    Ok(())
}

async fn real(kind: Kind) -> Result<()> {
    let shop = Shop::open().await?;
    let server = TestServer::start(kind).await?;
    let target = format!("http://{}/p?cid={{click_id}}&fbclid={{fbclid}}&s={{sub1}}", shop.address);
    server.apply(&CONFIG.replace("https://lander.example/p?cid={click_id}&s={sub1}", &target)).await?;
    let flight = json!({ "campaign": "summer", "partner": "acme", "actions": 3, "allow_private": true });
    let flown = ask(&server, "/api/v1/tools/preflight/run", &flight).await?;
    assert_eq!(flown["hops"].as_array().map(Vec::len), Some(7), "{flown:#}");
    let this_month = json!({ "partner": "acme", "month": "2026-11" });
    let empty = review(&server, &this_month).await?;
    let nothing = "no call of this partner booked anything in this month";
    assert_eq!((&only(&empty)["calls"], &only(&empty)["looked_at"]), (&json!(0), &json!(0)), "{flown:#}");
    assert_eq!((journey(&empty, "approved"), missing(&empty, "approved").as_str()), (None, nothing));
    let first = sale(&server, "acme", "E1", "approved", HOUR_MS).await?;
    let refused = sale(&server, "acme", "E2", "rejected", HOUR_MS).await?;
    let stays = sale(&server, "acme", "E3", "approved", HOUR_MS).await?;
    let before = review(&server, &this_month).await?;
    let ids = [journey(&before, "approved"), journey(&before, "rejected")].map(click_of);
    assert_eq!(ids, [first.clone(), refused.clone()]);
    erase(&server, &json!({ "click_ids": [first, refused] })).await?;
    let after = review(&server, &this_month).await?;
    assert_eq!(click_of(journey(&after, "approved")), stays);
    assert_eq!(only(&after)["decisions"], json!({"approved": 1, "rejected": 0, "reversed": 0, "erased": 2}));
    assert!(missing(&after, "rejected").contains("erased persons"), "{after:#}");
    assert!(missing(&after, "late_approval").contains("one approval only"), "{after:#}");
    // What was kept of the review before speaks of who is erased.
    let path = format!("/api/v1/tools/runs/{}", word(&before, "run"));
    assert_eq!(client::get_as(server.admin, &path, &server.token).await?.status, 404);
    server.stop().await;
    Ok(())
}

async fn edges(kind: Kind) -> Result<()> {
    let server = start(kind).await?;
    let click = server.click("fbclid=AbC").await?;
    call(&server, "acme", &format!("click_id={click}&tid=X1&status=lead&payout=1")).await?;
    call(&server, "acme", &format!("click_id={click}&tid=X2&status=lead&payout=1")).await?;
    let none = review(&server, &json!({ "partner": "acme", "month": "2026-11" })).await?;
    assert!(only(&none)["notes"].to_string().contains("2026-11 is not over"), "{none:#}");
    assert_eq!(only(&none)["decisions"]["approved"], json!(0), "leads are no decision");
    set(&server, "2026-11-30T22:59:59.999Z")?;
    call(&server, "acme", &format!("click_id={click}&tid=X1&status=approved&payout=1")).await?;
    server.advance(1);
    call(&server, "acme", &format!("click_id={click}&tid=X2&status=approved&payout=1")).await?;
    // A sale that is taken back stands for a rejection where there is none.
    server.advance(HOUR_MS);
    call(&server, "acme", &format!("click_id={click}&tid=X1&status=reversed&payout=1")).await?;
    let month = async |month: &str| review(&server, &json!({ "partner": "acme", "month": month })).await;
    let (november, december) = (month("2026-11").await?, month("2026-12").await?);
    let order = |review: &Value, kind: &str| {
        journey(review, kind)
            .map_or_else(|| "none".to_owned(), |journey| word(journey, "transaction_id").to_owned())
    };
    assert_eq!((order(&november, "approved"), order(&november, "rejected")), ("X1".into(), "none".into()));
    assert_eq!((order(&december, "approved"), order(&december, "rejected")), ("X2".into(), "X1".into()));
    let reversal = journey(&december, "rejected").context("told")?;
    assert_eq!(word(reversal, "became"), "reversed");
    assert!(word(reversal, "why_this_one").contains("no rejection was found"), "{reversal:#}");
    assert!(
        missing(&november, "rejected").contains("does this partner send rejections at all?"),
        "{november:#}"
    );
    assert_eq!((&november["is_over"], &december["is_over"]), (&json!(true), &json!(false)));
    server.stop().await;
    Ok(())
}

async fn busy(kind: Kind) -> Result<()> {
    let server = start(kind).await?;
    for number in 0..25 {
        call(&server, "acme", &format!("tid=B{number}&status=approved&payout=1")).await?;
        server.advance(1_000);
    }
    let request = json!({ "partner": "acme", "month": "2026-11" });
    let whole = review(&server, &request).await?;
    assert_eq!((&only(&whole)["looked_at"], &only(&whole)["calls"]), (&json!(25), &json!(25)));
    server.database.run("UPDATE receipt_hours SET count = 123456 WHERE partner = 'acme'").await?;
    let sample = review(&server, &request).await?;
    // They are of one part of the month. Counts stand in several rows where many calls come at once.
    let calls = only(&sample)["calls"].as_u64().context("a count")?;
    assert!(only(&sample)["looked_at"] == json!(20) && calls >= 123_456, "{sample:#}");
    assert_eq!(only(&sample)["decisions"]["approved"], json!(20));
    let note = format!("20 of about {calls} calls were looked at");
    assert!(only(&sample)["notes"].to_string().contains(&note), "{sample:#}");
    assert!(missing(&sample, "rejected").contains("among the 20 calls that were looked at"), "{sample:#}");
    server.stop().await;
    Ok(())
}

/// A further node on a server's database.
async fn node(server: &TestServer) -> Result<Engine> {
    let secrets = [("META_TOKEN".to_owned(), "tok-good".to_owned())];
    Ok(Engine::build(Parts {
        store: Store::open(OpenOptions::at(server.database.location())).await?,
        clock: Arc::new(server.clock.clone()),
        random: Random::seeded(8),
        secret_source: Arc::new(FixedSecrets(secrets.into_iter().collect())),
        master_key: Some([9; 32]),
        spool: &server.database.directory().join("other"),
    })
    .await?)
}

async fn monthly(kind: Kind) -> Result<()> {
    let server = start(kind).await?;
    assert_eq!(server.engine.review_the_month_before().await?, 0, "nobody had a call in October");
    let click = sale(&server, "acme", "M1", "approved", HOUR_MS).await?;
    let runs = async || -> Result<Vec<Value>> {
        let list = server.api("/api/v1/tools/runs?tool=journeys_review").await?;
        list["data"].as_array().cloned().context("a list")
    };
    // Midnight there is 23:00 UTC; six hours later the month before is reviewed.
    set(&server, "2026-12-01T04:59:59Z")?;
    assert_eq!(
        server.engine.review_the_month_before().await?,
        0,
        "what came last may still wait for its click"
    );
    server.advance(1_000);
    server.database.run("ALTER TABLE tool_runs RENAME TO tool_runs_away").await?;
    assert_eq!(server.engine.review_the_month_before().await?, 0, "it could not be kept");
    server.database.run("ALTER TABLE tool_runs_away RENAME TO tool_runs").await?;
    let other = node(&server).await?;
    server.advance(9 * 60_000);
    assert_eq!(other.review_the_month_before().await?, 0, "another node may be at it");
    server.advance(2 * 60_000);
    assert_eq!(other.review_the_month_before().await?, 1, "again; the other partner had no call");
    let kept = runs().await?;
    assert_eq!((kept.len(), word(&kept[0], "author")), (1, "monthly review"));
    let shown = server.api(&format!("/api/v1/tools/runs/{}", word(&kept[0], "id"))).await?;
    assert_eq!(shown["request"], json!({"partner": "acme", "month": "2026-11"}));
    assert_eq!(click_of(journey(&shown["answer"], "approved")), click);
    for days in [0, 1, 28] {
        server.advance(days * DAY_MS);
        server.engine.forget_keys().await?;
        assert_eq!(server.engine.review_the_month_before().await?, 0, "once, {days} days on");
    }
    // Its node died after the review was kept, and before it was noted as done.
    server.database.run("UPDATE idempotency_keys SET status = NULL, created_at = 0").await?;
    assert_eq!(server.engine.review_the_month_before().await?, 0, "there is one");
    assert_eq!(runs().await?.len(), 1);
    call(&server, "other", "tid=M2&status=approved&payout=1").await?;
    set(&server, "2027-01-09T00:00:00Z")?;
    assert_eq!(server.engine.review_the_month_before().await?, 1, "December, late as no server ran before");
    let kept = runs().await?;
    let shown = server.api(&format!("/api/v1/tools/runs/{}", word(&kept[0], "id"))).await?;
    assert_eq!(shown["request"], json!({"partner": "other", "month": "2026-12"}));
    server.stop().await;
    Ok(())
}

async fn none(kind: Kind) -> Result<()> {
    let server = start(kind).await?;
    let path = "/api/v1/tools/journeys/review";
    for (request, status, told) in [
        (json!({"month": "2026-13"}), 400, "a month is written as 2026-11"),
        (json!({"month": "2027-01"}), 400, "2027-01 has not begun"),
        (json!({"partner": "nobody"}), 404, ""),
        (json!({"months": "2026-11"}), 400, "unknown field"),
    ] {
        let reply = client::post_as(server.admin, path, &server.token, &request.to_string()).await?;
        assert_eq!(
            (reply.status, reply.text().contains(told)),
            (status, true),
            "{request}: {}",
            reply.text()
        );
    }
    let quiet = review(&server, &json!({})).await?;
    assert_eq!((word(&quiet, "month"), &quiet["reviews"]), ("2026-10", &json!([])));
    let asked = review(&server, &json!({"partner": "other"})).await?;
    for kind in ["approved", "rejected", "late_approval"] {
        assert_eq!(missing(&asked, kind), "no call of this partner booked anything in this month");
    }
    call(&server, "other", "tid=Q1&status=approved&payout=1").await?;
    let asked = review(&server, &json!({"partner": "other", "month": "2026-11"})).await?;
    assert!(missing(&asked, "rejected").contains("`trash`"), "{asked:#}");
    // Without a click its ids are the partner's own, and are not kept here.
    let told = journey(&asked, "approved").context("told")?;
    assert_eq!((&told["click"], &told["transaction_id"]), (&Value::Null, &Value::Null));
    let reader = server.engine.create_token("reader", &["read".to_owned()]).await?.token;
    let reply = client::post_as(server.admin, path, &reader, "{}").await?;
    assert_eq!(reply.status, 200, "reading is enough");
    let output = run(&server, &["journeys", "review", "--month", "2026-13"]).await?;
    assert_eq!(output.status.code(), Some(2), "{}", String::from_utf8_lossy(&output.stderr));
    server.stop().await;
    Ok(())
}
