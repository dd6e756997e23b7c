//! Jobs over many deliveries, through the API: shown first, begun, stopped, carried on, and nothing twice.

use anyhow::{Context, Result};
use crosstally_testkit::client::{self, Reply};
use crosstally_testkit::database::Kind;
use crosstally_testkit::on_both;
use crosstally_testkit::server::{CONFIG, TestServer};
use serde_json::{Value, json};

use crate::held::command;

on_both! {
    /// What a platform refused in a bad hour is shown in groups, sent once more, and accepted once.
    what_was_refused_is_sent_once_more => refused;
    /// A destination that is added later gets the events of before, each once however often it is asked for.
    a_new_destination_gets_the_events_of_before => new_destination;
    /// A job keeps its pace, waits when it is told to, and ends when it is called off.
    a_job_keeps_its_pace_and_can_be_stopped => paced;
    /// A sale that was reversed since is left out, and said to be; what is booked after a job began is never part of it.
    what_was_taken_back_is_left_out => taken_back;
    /// What was taken back goes out if it is asked for all the same, unless its sale moves once more before that.
    what_is_asked_for_all_the_same_goes_out => asked_for;
    /// A retry of one that it leaves alone says why, and what to do instead; the command says it beside the count.
    a_retry_says_why_it_leaves_one_alone => left_alone;
    /// However many slow jobs there are, another one goes on.
    slow_jobs_hold_nobody_up => many;
    /// What cannot be meant is refused with a sentence; nothing begins.
    a_job_that_cannot_be_meant_is_refused => nonsense;
}

async fn post(server: &TestServer, path: &str, body: &Value) -> Result<Reply> {
    let request = http::Request::post(path)
        .header("authorization", format!("Bearer {}", server.token))
        .header("content-type", "application/json");
    client::send(server.admin, request.body(http_body_util::Full::from(body.to_string()))?).await
}

async fn replay(server: &TestServer, body: &Value) -> Result<Value> {
    let reply = post(server, "/api/v1/deliveries/replay", body).await?;
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()
}

fn number(value: &Value, pointer: &str) -> u64 {
    value.pointer(pointer).and_then(Value::as_u64).unwrap_or(u64::MAX)
}

fn word<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

async fn conversions(server: &TestServer, prefix: &str, count: usize) -> Result<()> {
    let click = server.click("fbclid=AbC").await?;
    for number in 0..count {
        let reply = server.postback(&format!("click_id={click}&tid={prefix}{number}&payout=1.50")).await?;
        assert_eq!(reply.status, 200, "{}", reply.text());
    }
    Ok(())
}

/// Books conversions whose events the platform refuses for good.
async fn dead(server: &TestServer, count: usize) -> Result<()> {
    server.fault(&json!({"kind": "reject_event_name", "event_name": "Purchase"})).await?;
    conversions(server, "D", count).await?;
    server.deliver().await?;
    server.no_faults().await?;
    assert_eq!(states(server, "dead").await?, count);
    Ok(())
}

async fn states(server: &TestServer, state: &str) -> Result<usize> {
    let list = server.api(&format!("/api/v1/deliveries?limit=500&state={state}")).await?;
    Ok(list.get("data").and_then(Value::as_array).map_or(0, Vec::len))
}

async fn job(server: &TestServer, id: &str) -> Result<Value> {
    server.api(&format!("/api/v1/deliveries/jobs/{id}")).await
}

async fn refused(kind: Kind) -> Result<()> {
    let server = TestServer::ready(kind).await?;
    dead(&server, 30).await?;
    conversions(&server, "N", 2).await?;
    let mut wanted = json!({"destination": "meta-main", "code": "dest_rejected", "event_name": "Purchase"});
    let shown = replay(&server, &wanted).await?;
    assert_eq!((number(&shown, "/deliveries"), shown.pointer("/job")), (30, Some(&Value::Null)));
    assert_eq!(number(&shown, "/groups/0/count"), 30);
    assert_eq!((word(&shown, "/groups/0/state"), word(&shown, "/groups/0/code")), ("dead", "dest_rejected"));
    server.engine.work_on_jobs().await?;
    assert_eq!(states(&server, "dead").await?, 30, "a preview changes nothing");

    let errors = server.api("/api/v1/deliveries/errors").await?;
    assert_eq!((word(&errors, "/data/0/code"), number(&errors, "/data/0/count")), ("dest_rejected", 30));
    assert!(!word(&errors, "/data/0/fix").is_empty(), "{errors}");
    let newest = server.api("/api/v1/deliveries?state=dead&limit=1").await?;
    assert_eq!(word(&errors, "/data/0/newest"), word(&newest, "/data/0/id"), "its trace shows why");
    server.deliver().await?;
    let days = server.api("/api/v1/deliveries/days?days=2").await?;
    assert_eq!((number(&days, "/data/0/delivered"), number(&days, "/data/0/failed")), (2, 30), "{days}");
    assert_eq!((word(&days, "/data/0/day"), word(&days, "/data/0/failed_percent")), ("2026-11-21", "93.8"));

    wanted["apply"] = json!(true);
    let begun = replay(&server, &wanted).await?;
    let id = word(&begun, "/job/id").to_owned();
    assert_eq!(server.engine.work_on_jobs().await?, 30);
    assert_eq!(server.engine.work_on_jobs().await?, 0, "it goes through them once");
    server.deliver().await?;
    assert_eq!(server.accepted().await?.len(), 32);
    let done = job(&server, &id).await?;
    assert_eq!((word(&done, "/state"), number(&done, "/requeued")), ("done", 30), "{done}");
    assert_eq!(word(&done, "/author"), "test");
    // The attempt that was refused stands beside the one that arrived.
    let list = server.api("/api/v1/deliveries?limit=500").await?;
    let rows = list.get("data").and_then(Value::as_array).context("rows")?;
    let again = rows.iter().find(|row| number(row, "/attempts") > 1).context("one that was sent again")?;
    let path = format!("/api/v1/deliveries/{}/attempts", word(again, "/id"));
    let attempts = server.api(&path).await?;
    assert_eq!(word(&attempts, "/data/0/code"), "dest_rejected", "{attempts}");
    let last = attempts.get("data").and_then(Value::as_array).and_then(|all| all.last()).context("one")?;
    assert_eq!(word(last, "/outcome"), "delivered");
    server.stop().await;
    Ok(())
}

async fn new_destination(kind: Kind) -> Result<()> {
    let server = TestServer::ready(kind).await?;
    conversions(&server, "T", 5).await?;
    server.deliver().await?;
    let second = CONFIG
        .replace("send_to = [\"meta-main\"]", "send_to = [\"meta-main\", \"meta-new\"]")
        .replace(
            "[[goal]]",
            "[[destination]]\nslug = \"meta-new\"\nkind = \"meta\"\ndataset_id = \"777\"\n\
            access_token = { env = \"META_TOKEN\" }\nendpoint = \"http://SANDBOX\"\nallow_private = true\n\n[[goal]]",
        );
    server.apply(&second).await?;
    conversions(&server, "U", 1).await?;
    server.deliver().await?;
    let at_new = |events: &[Value]| events.iter().filter(|event| event["dataset"] == "777").count();
    assert_eq!(at_new(&server.accepted().await?), 1, "only what came after it was added");

    let wanted = json!({"destination": "meta-main", "to": "meta-new", "apply": true});
    let begun = replay(&server, &wanted).await?;
    assert_eq!((number(&begun, "/deliveries"), number(&begun, "/already")), (6, 1));
    assert_eq!(server.engine.work_on_jobs().await?, 5);
    server.deliver().await?;
    let accepted = server.accepted().await?;
    assert_eq!((at_new(&accepted), accepted.len()), (6, 12));
    // The same events under the same ids, as the first destination got them.
    for event in accepted.iter().filter(|event| event["dataset"] == "777") {
        let id = word(event, "/event/event_id");
        assert!(
            accepted.iter().any(|other| other["dataset"] != "777" && word(other, "/event/event_id") == id)
        );
    }
    replay(&server, &wanted).await?;
    assert_eq!(server.engine.work_on_jobs().await?, 0, "all of them are there");
    server.deliver().await?;
    assert_eq!(server.accepted().await?.len(), 12);
    server.stop().await;
    Ok(())
}

async fn paced(kind: Kind) -> Result<()> {
    let server = TestServer::ready(kind).await?;
    dead(&server, 40).await?;
    let wanted = json!({"destination": "meta-main", "per_minute": 600, "apply": true});
    let id = word(&replay(&server, &wanted).await?, "/job/id").to_owned();
    assert_eq!(server.engine.work_on_jobs().await?, 1, "the first at once");
    server.advance(1_000);
    assert_eq!(server.engine.work_on_jobs().await?, 10, "ten a second");
    let change =
        async |word: &str| post(&server, &format!("/api/v1/deliveries/jobs/{id}/{word}"), &json!({})).await;
    assert_eq!(word(&change("pause").await?.json()?, "/state"), "paused");
    server.advance(60_000);
    assert_eq!(server.engine.work_on_jobs().await?, 0);
    assert_eq!(change("pause").await?.status, 409, "it waits already");
    assert_eq!(word(&change("resume").await?.json()?, "/state"), "running");
    assert_eq!(server.engine.work_on_jobs().await?, 0, "it does not make up for the time it waited");
    server.advance(2_000);
    assert_eq!(server.engine.work_on_jobs().await?, 20);
    assert_eq!(word(&change("cancel").await?.json()?, "/state"), "cancelled");
    let ended = job(&server, &id).await?;
    server.advance(60_000);
    assert_eq!(server.engine.work_on_jobs().await?, 0);
    assert_eq!(change("resume").await?.status, 409, "what is called off stays so");
    server.deliver().await?;
    assert_eq!((number(&ended, "/requeued"), number(&ended, "/skipped")), (31, 0), "{ended}");
    assert_eq!((server.accepted().await?.len(), states(&server, "dead").await?), (31, 9));
    let jobs = server.api("/api/v1/deliveries/jobs").await?;
    assert_eq!(word(&jobs, "/data/0/id"), id);
    server.stop().await;
    Ok(())
}

async fn taken_back(kind: Kind) -> Result<()> {
    let server = TestServer::ready(kind).await?;
    dead(&server, 3).await?;
    let reply = server.postback("tid=D1&status=reversed").await?;
    assert_eq!(reply.json()?["result"], "updated");
    let mut wanted = json!({"destination": "meta-main", "until": "2030-01-01T00:00:00Z", "apply": true});
    let begun = replay(&server, &wanted).await?;
    assert_eq!((number(&begun, "/deliveries"), number(&begun, "/taken_back")), (2, 1));
    // Refused after the job began: a matter for the next job, whatever end this one was given.
    server.advance(1_000);
    server.fault(&json!({"kind": "reject_event_name", "event_name": "Purchase"})).await?;
    conversions(&server, "L", 2).await?;
    server.deliver().await?;
    server.no_faults().await?;
    assert_eq!(server.engine.work_on_jobs().await?, 2);
    server.deliver().await?;
    assert_eq!(server.accepted().await?.len(), 2);
    assert_eq!(states(&server, "dead").await?, 3);
    wanted["taken_back"] = json!(true);
    let all = replay(&server, &wanted).await?;
    assert_eq!((number(&all, "/deliveries"), number(&all, "/taken_back")), (3, 0));
    server.stop().await;
    Ok(())
}

async fn left_alone(kind: Kind) -> Result<()> {
    let server = TestServer::ready(kind).await?;
    dead(&server, 1).await?;
    server.postback("tid=D0&status=reversed").await?;
    for then in ["delivered", "dead"] {
        server.advance(1_000);
        if then == "dead" {
            server.fault(&json!({"kind": "reject_event_name", "event_name": "Purchase"})).await?;
        }
        conversions(&server, then, 1).await?;
        server.deliver().await?;
    }
    server.no_faults().await?;
    let list = server.api("/api/v1/deliveries").await?;
    let ids: Vec<&str> = (0..3).map(|row| word(&list, &format!("/data/{row}/id"))).collect();
    let [refused, delivered, reversed] = ids[..] else { anyhow::bail!("three rows: {list}") };
    let retry = async |wanted: Value| post(&server, "/api/v1/deliveries/retry", &wanted).await;
    for (wanted, why) in [
        (json!({"id": delivered}), "is delivered, which a retry leaves alone"),
        (json!({"id": reversed}), "was rejected or reversed since"),
        (json!({"id": refused, "state": "expired"}), "is dead and for meta-main, which is not what"),
    ] {
        let told = retry(wanted.clone()).await?.json()?;
        assert_eq!(number(&told, "/requeued"), 0, "{told}");
        assert!(word(&told, "/left_alone").contains(why), "{wanted}: {told}");
    }
    for state in ["delivered", "cancelled"] {
        assert_eq!(retry(json!({"state": state})).await?.status, 400, "{state}");
    }
    let (code, printed, said) = command(&server, &["deliveries", "retry", "--id", delivered]).await?;
    assert_eq!((code, printed.as_str()), (Some(0), "0 deliveries are due now\n"));
    let advice =
        format!("deliveries replay --destination meta-main --id {delivered} --state delivered --apply");
    assert!(said.contains(&advice), "{said}");
    // What it advises is what is needed.
    for words in [
        &["--id", delivered, "--state", "delivered", "--apply"][..],
        &["--id", reversed, "--taken-back", "--apply"],
    ] {
        let all = [&["deliveries", "replay", "--destination", "meta-main"][..], words].concat();
        let (code, printed, said) = command(&server, &all).await?;
        assert!(code == Some(0) && said.contains("1 deliver"), "{words:?}: {printed}{said}");
    }
    assert_eq!(retry(json!({"id": refused})).await?.json()?, json!({"requeued": 1}));
    // What is due already, and what its destination holds.
    let told = retry(json!({"id": refused})).await?.json()?;
    assert!(word(&told, "/left_alone").contains("is due already"), "{told}");
    post(&server, "/api/v1/destinations/meta-main/pause", &json!({})).await?;
    let told = retry(json!({"id": refused})).await?.json()?;
    assert!(word(&told, "/left_alone").contains("holds it (paused_by_hand)"), "{told}");
    server.stop().await;
    Ok(())
}

async fn asked_for(kind: Kind) -> Result<()> {
    let server = TestServer::start(kind).await?;
    let send_to = "send_to = [\"meta-main\"]";
    server.apply(&CONFIG.replace(send_to, &format!("{send_to}\ndelay = \"2d\""))).await?;
    conversions(&server, "A", 3).await?;
    for sale in 0..3 {
        assert_eq!(server.postback(&format!("tid=A{sale}&status=reversed")).await?.status, 200);
    }
    server.engine.follow_reversals().await?;
    assert_eq!(states(&server, "cancelled").await?, 3, "nothing had left");
    server.advance(1_000);
    let wanted =
        json!({"destination": "meta-main", "states": ["cancelled"], "taken_back": true, "apply": true});
    replay(&server, &wanted).await?;
    assert_eq!(server.engine.work_on_jobs().await?, 3);
    server.engine.follow_reversals().await?;
    assert_eq!(states(&server, "pending").await?, 3);
    for status in ["status=approved&payout=1.50&n=again", "status=reversed&n=again"] {
        assert_eq!(server.postback(&format!("tid=A0&{status}")).await?.status, 200);
    }
    server.deliver().await?;
    assert_eq!(server.accepted().await?.len(), 2);
    assert_eq!((states(&server, "delivered").await?, states(&server, "cancelled").await?), (2, 1));
    server.stop().await;
    Ok(())
}

async fn many(kind: Kind) -> Result<()> {
    let server = TestServer::ready(kind).await?;
    dead(&server, 40).await?;
    for _ in 0..20 {
        replay(&server, &json!({"destination": "meta-main", "per_minute": 1, "apply": true})).await?;
    }
    server.engine.work_on_jobs().await?;
    let quick = json!({"destination": "meta-main", "apply": true});
    let id = word(&replay(&server, &quick).await?, "/job/id").to_owned();
    server.engine.work_on_jobs().await?;
    assert_eq!(word(&job(&server, &id).await?, "/state"), "done");
    server.deliver().await?;
    assert_eq!(server.accepted().await?.len(), 40, "each of them once");
    server.stop().await;
    Ok(())
}

async fn nonsense(kind: Kind) -> Result<()> {
    let server = TestServer::ready(kind).await?;
    for (body, says) in [
        (json!({}), "name the destination"),
        (
            json!({"destination": "meta-main", "states": ["pending"]}),
            "what is pending or held needs no replay",
        ),
        (json!({"destination": "meta-main", "states": ["held"]}), "what is pending or held needs no replay"),
        (json!({"destination": "meta-main", "states": ["paused"]}), "`paused` is none of"),
        (json!({"destination": "meta-main", "code": "no_such"}), "`no_such` is no reason code"),
        (json!({"destination": "meta-main", "to": "nowhere"}), "no destination `nowhere`"),
        (json!({"destination": "meta-main", "to": "meta-main"}), "leave it out"),
        (json!({"destination": "meta-main", "per_minute": 0}), "between 1 and"),
        (json!({"destination": "meta-main", "from": "yesterday"}), "`yesterday` is no time"),
        (
            json!({"destination": "meta-main", "from": "2026-11-21T12:00:00Z", "until": "2026-11-21T12:00:00Z"}),
            "before",
        ),
        (json!({"destination": "meta-main", "ids": ["rcp_1"]}), "no delivery's id"),
        (json!({"destination": "nowhere"}), "there is no destination `nowhere`"),
        (json!({"destination": "meta-main", "goal": "nothing"}), "there is no goal `nothing`"),
    ] {
        let mut body = body;
        body["apply"] = json!(true);
        let reply = post(&server, "/api/v1/deliveries/replay", &body).await?;
        // A name that nobody knows, and not something that nobody can read.
        let status = if says.contains("no destination") || says.contains("no goal") { 404 } else { 400 };
        assert!(
            reply.status == status && reply.text().contains(says),
            "{body}: {} {}",
            reply.status,
            reply.text()
        );
    }
    let list = server.api("/api/v1/deliveries/jobs").await?;
    assert_eq!(list.get("data").and_then(Value::as_array).map(Vec::len), Some(0));
    let path = "/api/v1/deliveries/errors?destination=nowhere";
    let reply = client::get_as(server.admin, path, &server.token).await?;
    assert_eq!(reply.status, 404, "{}", reply.text());
    let unknown = "/api/v1/deliveries/jobs/job_00000000000000000000000000/pause";
    assert_eq!(post(&server, unknown, &json!({})).await?.status, 404);
    server.stop().await;
    Ok(())
}
