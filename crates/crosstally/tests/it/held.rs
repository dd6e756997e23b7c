//! What waits: found by the list however much else there is, and told as held where its destination does not go on.

use anyhow::{Context, Result};
use crosstally_core::reason::Reason;
use crosstally_store::DestinationState;
use crosstally_testkit::client::{self, Reply, post_as};
use crosstally_testkit::database::{Database, Kind};
use crosstally_testkit::on_both;
use crosstally_testkit::server::{CONFIG, TestServer};
use serde_json::{Value, json};

use crate::commands::{configure, program};

on_both! {
    /// Whoever asks for what is held, or for what goes on by itself, gets full pages of it.
    what_is_held_is_listed_in_full_pages => listed;
    /// What a paused destination holds is sent to another one as well, and waits on where it is.
    what_is_held_is_sent_elsewhere => elsewhere;
    /// What a job books for a destination that is paused for a day is sent when that goes on.
    what_is_booked_elsewhere_outlasts_a_pause_of_its_destination => outlasts;
    /// A destination that somebody paused is sent nothing, whatever happens to its settings, until somebody resumes it.
    a_pause_by_hand_lasts_until_a_hand_ends_it => by_hand;
    /// A destination that is gone from the configuration is listed with what waits for it, and measured.
    what_waits_for_one_that_is_gone_is_seen => gone;
    /// A job shows which deliveries it is about; of one job the command prints what the route answers.
    a_job_shows_its_filter => filtered;
    /// A wish for a job under a key is heard once, however often it is sent.
    a_job_under_a_key_begins_once => once;
    /// A name that nobody knows is not found, by routes and commands alike; one that is gone and has deliveries is known.
    names_that_nobody_knows_are_not_found => unknown_names;
    /// What waits for a destination that is gone is called off, in steps, and can be sent after all.
    what_waits_is_called_off => called_off;
}

/// Two destinations for each event.
pub(crate) fn two() -> String {
    let second = "[[destination]]\nslug = \"meta-two\"\nkind = \"meta\"\ndataset_id = \"777\"\n\
        access_token = { env = \"META_TOKEN\" }\nendpoint = \"http://SANDBOX\"\nallow_private = true\n\n[[goal]]";
    CONFIG
        .replace("send_to = [\"meta-main\"]", "send_to = [\"meta-main\", \"meta-two\"]")
        .replace("[[goal]]", second)
}

/// Two destinations, of which events are for the first alone.
fn beside() -> String {
    two().replace("send_to = [\"meta-main\", \"meta-two\"]", "send_to = [\"meta-main\"]")
}

async fn arrived(server: &TestServer, dataset: &str) -> Result<usize> {
    server.deliver().await?;
    Ok(server.accepted().await?.iter().filter(|event| event["dataset"] == dataset).count())
}

async fn replay(server: &TestServer, body: &Value) -> Result<Value> {
    let reply = post(server, "/api/v1/deliveries/replay", body).await?;
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()
}

async fn resume(server: &TestServer, slug: &str) -> Result<()> {
    let reply = post(server, &format!("/api/v1/destinations/{slug}/resume"), &json!({})).await?;
    assert_eq!(reply.status, 200, "{}", reply.text());
    Ok(())
}

pub(crate) async fn post(server: &TestServer, path: &str, body: &Value) -> Result<Reply> {
    post_as(server.admin, path, &server.token, &body.to_string()).await
}

pub(crate) async fn conversions(server: &TestServer, prefix: &str, count: usize) -> Result<()> {
    let click = server.click("fbclid=AbC").await?;
    for number in 0..count {
        let reply = server.postback(&format!("click_id={click}&tid={prefix}{number}&payout=1.50")).await?;
        assert_eq!(reply.status, 200, "{}", reply.text());
    }
    Ok(())
}

/// As a platform that refuses the token leaves it.
pub(crate) async fn pause(server: &TestServer, slug: &str) -> Result<()> {
    let now = server.engine.clock.now();
    let state = DestinationState {
        destination: slug.to_owned(),
        paused: Some(Reason::DestAuth),
        detail: "expired".into(),
        since: now,
        settings_digest: server
            .engine
            .snapshot
            .load()
            .destination(slug)
            .context(slug.to_owned())?
            .digest
            .clone(),
        not_before: now.plus_millis(60_000),
    };
    Ok(server.engine.store.set_destination_state(state).await?)
}

/// Runs a command of the program against the server: its exit code, what it printed, and what it said.
pub(crate) async fn command(server: &TestServer, words: &[&str]) -> Result<(Option<i32>, String, String)> {
    let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
    let url = format!("http://{}", server.admin);
    let flags = ["--url", &url, "--token", &server.token].map(str::to_owned);
    let directory = server.database.directory().to_owned();
    let run = move || {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        program().run(&words, &flags, &directory)
    };
    let output = tokio::task::spawn_blocking(run).await??;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok((output.status.code(), text(&output.stdout), text(&output.stderr)))
}

/// All pages of a list, each full but the last.
async fn pages(server: &TestServer, query: &str, limit: usize) -> Result<Vec<(String, String)>> {
    let (mut rows, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = server.api(&format!("/api/v1/deliveries?limit={limit}&{query}{cursor}")).await?;
        let data = page["data"].as_array().context("rows")?;
        let text = |row: &Value, name: &str| row[name].as_str().unwrap_or_default().to_owned();
        rows.extend(data.iter().map(|row| (text(row, "destination"), text(row, "state"))));
        let Some(next) = page["next_cursor"].as_str() else { return Ok(rows) };
        assert_eq!(data.len(), limit, "{query}: a page that is not the last is full");
        cursor = format!("&cursor={next}");
    }
}

async fn listed(kind: Kind) -> Result<()> {
    let server = TestServer::start(kind).await?;
    server.apply(&two()).await?;
    conversions(&server, "T", 7).await?;
    pause(&server, "meta-main").await?;
    let all_of = |slug: &str, state: &str, count| vec![(slug.to_owned(), state.to_owned()); count];
    assert_eq!(pages(&server, "state=held", 3).await?, all_of("meta-main", "held", 7));
    assert_eq!(pages(&server, "state=pending", 3).await?, all_of("meta-two", "pending", 7));
    assert_eq!(pages(&server, "state=pending&destination=meta-main", 3).await?, []);
    assert_eq!(pages(&server, "state=held&destination=meta-main", 3).await?.len(), 7);
    assert_eq!(pages(&server, "", 3).await?.len(), 14);

    let list = ["deliveries", "list", "--state", "held"];
    let (code, printed, said) = command(&server, &[&list[..], &["--limit", "5"]].concat()).await?;
    assert_eq!((code, printed.matches("dest_auth").count()), (Some(0), 5), "{printed}{said}");
    let cursor = said.trim().strip_prefix("there is more: --cursor ").context(said.clone())?;
    let (code, printed, said) = command(&server, &[&list[..], &["--cursor", cursor]].concat()).await?;
    assert_eq!((code, printed.matches("dest_auth").count(), said.as_str()), (Some(0), 2, ""), "{printed}");

    // Gone from the configuration: held as well.
    server.apply(CONFIG).await?;
    assert_eq!(pages(&server, "state=held", 5).await?.len(), 14);
    assert_eq!(pages(&server, "state=pending", 5).await?, []);
    let path = "/api/v1/deliveries?state=paused";
    let reply = client::get_as(server.admin, path, &server.token).await?;
    assert_eq!(reply.status, 400, "{}", reply.text());
    server.stop().await;
    Ok(())
}

async fn elsewhere(kind: Kind) -> Result<()> {
    let server = TestServer::start(kind).await?;
    server.apply(&beside()).await?;
    conversions(&server, "T", 3).await?;
    pause(&server, "meta-main").await?;
    let mut wanted = json!({"destination": "meta-main", "to": "meta-two"});
    assert_eq!(
        replay(&server, &wanted).await?["deliveries"],
        0,
        "unless it is asked for, what waits is no part of it"
    );
    wanted["states"] = json!(["held"]);
    let shown = replay(&server, &wanted).await?;
    assert_eq!((&shown["deliveries"], &shown["groups"][0]["state"]), (&json!(3), &json!("held")), "{shown}");
    wanted["apply"] = json!(true);
    replay(&server, &wanted).await?;
    assert_eq!(server.engine.work_on_jobs().await?, 3);
    assert_eq!((arrived(&server, "777").await?, arrived(&server, "1234567890").await?), (3, 0));
    assert_eq!(pages(&server, "state=held", 5).await?.len(), 3, "they wait on");
    let words =
        ["deliveries", "replay", "--destination", "meta-main", "--to", "meta-two", "--state", "pending,held"];
    let (code, _, said) = command(&server, &words).await?;
    assert!(code == Some(0) && said.contains("3 of them wait where they are for"), "{said}");
    resume(&server, "meta-main").await?;
    assert_eq!((arrived(&server, "777").await?, arrived(&server, "1234567890").await?), (3, 3));
    server.stop().await;
    Ok(())
}

async fn outlasts(kind: Kind) -> Result<()> {
    let server = TestServer::start(kind).await?;
    server.apply(&beside()).await?;
    conversions(&server, "T", 2).await?;
    assert_eq!(arrived(&server, "1234567890").await?, 2);
    pause(&server, "meta-two").await?;
    replay(&server, &json!({"destination": "meta-main", "to": "meta-two", "apply": true})).await?;
    assert_eq!(server.engine.work_on_jobs().await?, 2);
    server.advance(30 * 3_600_000);
    assert_eq!(server.engine.store.expire_overdue(server.engine.clock.now(), 100).await?, 0);
    resume(&server, "meta-two").await?;
    assert_eq!(arrived(&server, "777").await?, 2);
    server.stop().await;
    Ok(())
}

async fn called_off(kind: Kind) -> Result<()> {
    let server = TestServer::start(kind).await?;
    server.apply(&two()).await?;
    conversions(&server, "T", 4).await?;
    server.apply(CONFIG).await?;
    assert_eq!(pages(&server, "state=held&destination=meta-two", 9).await?.len(), 4);
    let path = "/api/v1/deliveries/cancel";
    let mut wanted = json!({"destination": "meta-two", "event_name": "Purchase"});
    let shown = post(&server, path, &wanted).await?.json()?;
    assert_eq!((&shown["deliveries"], &shown["job"]), (&json!(4), &Value::Null), "{shown}");
    let group = json!({"state": "held", "code": null, "event_name": "Purchase", "count": 4});
    assert_eq!(
        (&shown["groups"], &shown["held"]),
        (&json!([group]), &json!("destination_removed")),
        "{shown}"
    );
    assert_eq!(server.engine.work_on_jobs().await?, 0, "a preview changes nothing");
    wanted["apply"] = json!(true);
    let begun = post(&server, path, &wanted).await?.json()?;
    assert_eq!(
        (&begun["job"]["action"], &begun["job"]["author"]),
        (&json!("cancel"), &json!("test")),
        "{begun}"
    );
    assert_eq!(server.engine.work_on_jobs().await?, 4);
    let list = server.api("/api/v1/deliveries?destination=meta-two").await?;
    let rows = list["data"].as_array().context("rows")?;
    assert!(
        rows.iter().all(|row| row["state"] == "cancelled" && row["code"] == "cancelled_by_hand"),
        "{list}"
    );
    assert_eq!((rows.len(), pages(&server, "state=pending", 9).await?.len()), (4, 4), "the others wait on");

    for (body, says) in [
        (json!({"destination": "meta-main", "states": ["dead"]}), "only what is pending or held"),
        (
            json!({"destination": "meta-main", "code": "paused_by_hand"}),
            "leave the code out and ask for the state held",
        ),
        (json!({"destination": "meta-main", "to": "meta-two"}), "unknown field"),
        (json!({}), "name the destination"),
    ] {
        let reply = post(&server, path, &body).await?;
        assert!(reply.status == 400 && reply.text().contains(says), "{body}: {}", reply.text());
    }
    // By the command, while it is under way to a destination that works: nothing of it leaves.
    let words = ["deliveries", "cancel", "--destination", "meta-main", "--state", "pending"];
    let (code, printed, said) = command(&server, &words).await?;
    assert!(code == Some(0) && said.contains("4 deliveries would be called off"), "{printed}{said}");
    let (code, printed, said) = command(&server, &[&words[..], &["--apply"]].concat()).await?;
    assert!(code == Some(0) && said.contains("has begun with 4 deliveries"), "{printed}{said}");
    assert_eq!(server.engine.work_on_jobs().await?, 4);
    assert_eq!(arrived(&server, "1234567890").await?, 0);
    let after_all = json!({"destination": "meta-main", "code": "cancelled_by_hand", "apply": true});
    replay(&server, &after_all).await?;
    assert_eq!(server.engine.work_on_jobs().await?, 4);
    assert_eq!(arrived(&server, "1234567890").await?, 4);
    server.stop().await;
    Ok(())
}

async fn by_hand(kind: Kind) -> Result<()> {
    let server = TestServer::start(kind).await?;
    server.apply(&two()).await?;
    let path = "/api/v1/destinations/meta-main/pause";
    let reply = post(&server, path, &json!({})).await?;
    assert_eq!((reply.status, &reply.json()?["state"]), (200, &json!("paused")));
    conversions(&server, "T", 3).await?;
    assert_eq!((arrived(&server, "777").await?, arrived(&server, "1234567890").await?), (3, 0));
    let list = server.api("/api/v1/deliveries?state=held").await?;
    assert_eq!(
        (list["data"].as_array().map(Vec::len), &list["data"][0]["code"]),
        (Some(3), &json!("paused_by_hand"))
    );
    let shown = server.api("/api/v1/destinations").await?;
    let row = shown["data"].as_array().and_then(|all| all.iter().find(|row| row["slug"] == "meta-main"));
    let row = row.context("a row")?;
    assert_eq!((&row["state"], &row["detail"]), (&json!("paused"), &json!("by test")), "{row}");
    // Neither time nor other settings end it.
    server.apply(&two().replace("1234567890", "1234567891")).await?;
    for _ in 0..5 {
        server.advance(20 * 60_000);
        assert_eq!(arrived(&server, "1234567891").await?, 0);
    }
    let (code, _, said) = command(&server, &["destinations", "resume", "meta-main"]).await?;
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(arrived(&server, "1234567891").await?, 3);
    let (code, printed, said) = command(&server, &["destinations", "pause", "meta-two"]).await?;
    assert!(code == Some(0) && printed.contains("destinations resume"), "{printed}{said}");
    let (code, printed, _) = command(&server, &["destinations", "list"]).await?;
    assert!(code == Some(6) && printed.contains("paused_by_hand"), "{printed}");
    assert_eq!(command(&server, &["destinations", "pause", "typo"]).await?.0, Some(3));
    server.stop().await;
    Ok(())
}

async fn unknown_names(kind: Kind) -> Result<()> {
    let server = TestServer::start(kind).await?;
    server.apply(&two()).await?;
    conversions(&server, "T", 1).await?;
    server.apply(CONFIG).await?;
    let database = Database::fresh(kind).await?;
    configure(&database, server.sandbox)?;
    for verb in ["list", "errors", "retry", "replay", "cancel", "reconcile"] {
        let words = ["deliveries", verb, "--destination"];
        let (code, _, said) = command(&server, &[&words[..], &["typo"]].concat()).await?;
        assert!(code == Some(3) && said.contains("there is no destination `typo`"), "{verb}: {said}");
        let here =
            program().run(&[&words[..], &["typo"]].concat(), &database.flags(), database.directory())?;
        let said = String::from_utf8_lossy(&here.stderr);
        assert!(here.status.code() == Some(3) && said.contains("there is no destination"), "{verb}: {said}");
        let (code, _, said) = command(&server, &[&words[..], &["meta-two"]].concat()).await?;
        assert_eq!(code, Some(0), "{verb} of one that is gone: {said}");
    }
    let nothing = "dlv_00000000000000000000000000";
    for words in [
        &["deliveries", "retry", "--id", nothing][..],
        &["deliveries", "replay", "--destination", "meta-main", "--to", "typo"],
        &["deliveries", "replay", "--destination", "meta-main", "--goal", "typo"],
        &["destinations", "resume", "typo"],
    ] {
        let (code, _, said) = command(&server, words).await?;
        assert_eq!(code, Some(3), "{words:?}: {said}");
    }
    assert!(server.engine.store.destination_states().await?.iter().all(|state| state.destination != "typo"));
    server.stop().await;
    Ok(())
}

async fn gone(kind: Kind) -> Result<()> {
    let server = TestServer::start(kind).await?;
    server.apply(&two()).await?;
    conversions(&server, "T", 2).await?;
    assert_eq!(arrived(&server, "777").await?, 2);
    conversions(&server, "U", 3).await?;
    server.apply(CONFIG).await?;
    pause(&server, "meta-main").await?;
    let shown = server.api("/api/v1/destinations").await?;
    let [main, two] = shown["data"].as_array().context("rows")?.as_slice() else {
        anyhow::bail!("two rows: {shown}")
    };
    assert_eq!(
        (&main["state"], &main["deliveries"]),
        (&json!("paused"), &json!({"delivered": 2, "held": 3}))
    );
    assert_eq!((&two["slug"], &two["state"]), (&json!("meta-two"), &json!("removed")), "{two}");
    assert_eq!((&two["code"], &two["kind"]), (&json!("destination_removed"), &Value::Null), "{two}");
    assert_eq!(two["deliveries"], json!({"delivered": 2, "held": 3}));
    let (code, printed, said) = command(&server, &["destinations", "list"]).await?;
    assert!(code == Some(6) && said.contains("paused: meta-main; removed: meta-two"), "{printed}{said}");
    server.engine.measure_outbox().await?;
    let metrics = server.engine.metrics.render();
    let waits = "crosstally_deliveries{destination=\"meta-two\",state=\"pending\"} 3";
    assert!(metrics.contains(waits), "{metrics}");
    // With nothing that waits it is no trouble any more.
    let all = json!({"destination": "meta-two", "apply": true});
    assert_eq!(post(&server, "/api/v1/deliveries/cancel", &all).await?.status, 200);
    assert_eq!(server.engine.work_on_jobs().await?, 3);
    resume(&server, "meta-main").await?;
    let (code, printed, said) = command(&server, &["destinations", "list"]).await?;
    assert!(code == Some(0) && printed.contains("removed"), "{printed}{said}");
    server.engine.measure_outbox().await?;
    assert!(server.engine.metrics.render().contains(&waits.replace("} 3", "} 0")));
    server.stop().await;
    Ok(())
}

async fn filtered(kind: Kind) -> Result<()> {
    let server = TestServer::ready(kind).await?;
    conversions(&server, "T", 2).await?;
    assert_eq!(arrived(&server, "1234567890").await?, 2);
    let row = server.api("/api/v1/deliveries?limit=1").await?["data"][0].clone();
    let body = json!({
        "destination": "meta-main", "states": ["delivered", "dead"], "event_name": "Purchase", "goal": "purchase",
        "from": "2026-11-01T00:00:00Z", "until": "2026-11-21T00:00:00Z", "ids": [row["id"]], "taken_back": true,
        "code": "delivered", "apply": true,
    });
    let job = replay(&server, &body).await?["job"].clone();
    let filter = json!({
        "states": ["delivered", "dead"], "code": "delivered", "goal": "purchase", "event_name": "Purchase",
        "from": "2026-11-01T00:00:00.000Z", "until": "2026-11-21T00:00:00.000Z", "ids": [row["id"]], "taken_back": true,
    });
    assert_eq!(job["filter"], filter, "{job}");
    let id = job["id"].as_str().context("an id")?;
    let shown = server.api(&format!("/api/v1/deliveries/jobs/{id}")).await?;
    let (code, printed, said) = command(&server, &["deliveries", "jobs", id, "--json"]).await?;
    assert_eq!((code, serde_json::from_str::<Value>(&printed)?), (Some(0), shown), "{said}");
    let (_, printed, _) = command(&server, &["deliveries", "jobs"]).await?;
    assert!(printed.contains("delivered,dead code=delivered goal=purchase event=Purchase"), "{printed}");
    server.stop().await;
    Ok(())
}

async fn once(kind: Kind) -> Result<()> {
    let server = TestServer::ready(kind).await?;
    conversions(&server, "T", 2).await?;
    assert_eq!(arrived(&server, "1234567890").await?, 2);
    let send = async |route: &str, key: &str, body: &Value| {
        let request = http::Request::post(format!("/api/v1/deliveries/{route}"))
            .header("authorization", format!("Bearer {}", server.token))
            .header("content-type", "application/json")
            .header("idempotency-key", key);
        client::send(server.admin, request.body(http_body_util::Full::from(body.to_string()))?).await
    };
    let mut wanted = json!({"destination": "meta-main", "states": ["delivered"]});
    assert_eq!(
        send("replay", "k", &wanted).await?.json()?["job"],
        Value::Null,
        "what is only shown takes no key"
    );
    wanted["apply"] = json!(true);
    let first = send("replay", "k", &wanted).await?.json()?;
    assert!(first["job"]["id"].is_string(), "{first}");
    server.engine.work_on_jobs().await?;
    server.deliver().await?;
    for _ in 0..3 {
        let again = send("replay", "k", &wanted).await?;
        assert_eq!((again.status, again.header("idempotency-replayed")), (200, Some("true")));
        assert_eq!(again.json()?, first);
    }
    // As if the server had died before it could keep its answer; what came since is no part of it.
    conversions(&server, "U", 3).await?;
    assert_eq!(arrived(&server, "1234567890").await?, 5);
    let forgotten = server.engine.store.purge_keys(server.engine.clock.now().plus_millis(1), 100).await?;
    assert_eq!(forgotten, 1);
    let again = send("replay", "k", &wanted).await?;
    assert_eq!((again.status, again.header("idempotency-replayed")), (200, None));
    let again = again.json()?;
    assert_eq!(again["job"]["id"], first["job"]["id"], "the job that was begun then");
    assert_eq!((&again["deliveries"], &again["job"]["state"]), (&json!(2), &json!("done")), "{again}");
    let jobs = server.api("/api/v1/deliveries/jobs").await?;
    assert_eq!(jobs["data"].as_array().map(Vec::len), Some(1), "{jobs}");
    let other = json!({"destination": "meta-main", "states": ["dead"], "apply": true});
    assert_eq!(send("replay", "k", &other).await?.status, 422);
    let cancel = json!({"destination": "meta-main", "apply": true});
    assert_eq!(send("cancel", "k", &cancel).await?.status, 422);
    assert_eq!(send("replay", "", &wanted).await?.status, 400);
    // What was refused keeps no key.
    let slip = json!({"destination": "typo", "apply": true});
    for _ in 0..2 {
        assert_eq!(send("replay", "j", &slip).await?.status, 404);
    }
    assert_eq!(send("replay", "j", &other).await?.status, 200);
    assert_eq!(
        send("replay", "l", &wanted).await?.json()?["job"]["state"],
        "running",
        "another key, another job"
    );
    server.stop().await;
    Ok(())
}
