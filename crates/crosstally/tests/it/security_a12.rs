//! Line A12 of the security checklist: no call goes to this server itself, and what goes round between two servers ends.

use anyhow::{Context, Result};
use crosstally_core::reason::Reason;
use crosstally_engine::http_out::SendOptions;
use crosstally_testkit::client::{self, Reply, post_as};
use crosstally_testkit::database::{Database, Kind};
use crosstally_testkit::on_both;
use crosstally_testkit::server::{CONFIG, TestServer};
use serde_json::{Value, json};

use crate::commands::program;
use crate::security_a::{Trap, request};

on_both! {
    /// A destination under one of this server's own names is refused when it is saved, in every spelling.
    a12_own_names_are_refused_at_save => names_at_save;
    /// Such a name is refused at send as well, without a look-up.
    a12_own_names_are_refused_at_send => names_at_send;
    /// This server's own ports, also for a destination that may be private: on send, on a test, on a replay.
    a12_own_doors_open_no_socket => own_doors;
    /// The real program knows the ports that it was given.
    a12_the_program_knows_its_own_doors => the_program;
    /// Two servers, each a destination of the other, under ever new names: it ends, and both say why.
    a12_two_trackers_that_feed_each_other_end => goes_round;
    /// Every door counts, and none books what has come too far; a number that is none counts as none.
    a12_every_door_refuses_what_has_come_too_far => doors;
    /// A reversal goes on from where its own call was.
    a12_an_adjustment_has_come_as_far_as_its_reversal => adjustments;
}

const WORKSPACE: &str =
    "[workspace]\npublic_hosts = [\"Track.Example\", \"b\u{fc}cher.example\", \"8.8.8.8\"]\n";

/// What leads to one of those names.
const SPELLINGS: &[&str] = &[
    "track.example",
    "TRACK.example",
    "track.example.",
    "track.example:8443",
    "%74rack.example",
    "\u{ff54}rack.example",
    "b\u{fc}cher.example",
    "xn--bcher-kva.example",
    "8.8.8.8",
    "134744072",
    "0x8.0x8.2056",
    "[::ffff:8.8.8.8]",
];

async fn names_at_save(kind: Kind) -> Result<()> {
    let server = TestServer::start(kind).await?;
    for host in SPELLINGS {
        for (kind, setting) in [("postback", "url"), ("webhook", "url"), ("meta", "endpoint")] {
            let document = format!(
                "{WORKSPACE}[[destination]]\nslug = \"d\"\nkind = \"{kind}\"\nallow_private = true\n{setting} = {}\n",
                json!(format!("https://{host}/p"))
            );
            for route in ["check", "plan", "apply"] {
                let path = format!("/api/v1/config/{route}");
                let said = post_as(server.admin, &path, &server.token, &document).await?.text();
                assert!(
                    said.contains(&format!("destination[d].{setting}")) && said.contains("public_hosts"),
                    "{route} {kind} {host}: {said}"
                );
            }
        }
    }
    let (_, exported) = server.engine.export_config().await?;
    assert!(!exported.contains("destination"), "{exported}");
    // Others are not meant, and the names read back.
    let other = "[[destination]]\nslug = \"d\"\nkind = \"postback\"\nurl = \"https://a.track.example/p\"\n";
    server.apply(&format!("{WORKSPACE}{other}")).await?;
    let (_, exported) = server.engine.export_config().await?;
    let names = r#"public_hosts = ["track.example", "xn--bcher-kva.example", "8.8.8.8"]"#;
    assert!(exported.contains(names), "{exported}");
    server.stop().await;
    Ok(())
}

async fn names_at_send(kind: Kind) -> Result<()> {
    let server = TestServer::start(kind).await?;
    server.apply(WORKSPACE).await?;
    for allow_private in [false, true] {
        for host in SPELLINGS {
            let options = SendOptions { allow_private, deadline_ms: 2_000, ..SendOptions::default() };
            let sent = server.engine.http_out.send(&request(&format!("http://{host}/")), options).await;
            let error = sent.err().context("nothing is sent")?;
            assert_eq!(
                (error.reason, error.may_have_arrived),
                (Reason::OwnAddress, false),
                "{host}: {error}"
            );
        }
    }
    // Without the setting they are names like any other.
    server.apply("[workspace]\n").await?;
    let options = SendOptions { deadline_ms: 2_000, ..SendOptions::default() };
    let sent = server.engine.http_out.send(&request("http://track.example/"), options).await;
    assert_ne!(sent.err().map(|error| error.reason), Some(Reason::OwnAddress));
    server.stop().await;
    Ok(())
}

/// Loopback under its many names: of the door's own address, of all addresses, and of a name.
const LOOPBACK: &[&str] = &[
    "127.0.0.1",
    "127.1",
    "2130706433",
    "0x7f000001",
    "0177.0.0.1",
    "127.0.0.1.",
    "localhost",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "0.0.0.0",
    "0",
    "[::]",
];

async fn own_doors(kind: Kind) -> Result<()> {
    let server = TestServer::start(kind).await?;
    let trap = Trap::set().await?;
    // The trap stands for the admin listener, so that a connection to it is seen.
    server.engine.http_out.listens_at([server.tracking, trap.address]);
    let options = SendOptions { allow_private: true, deadline_ms: 2_000, ..SendOptions::default() };
    for host in LOOPBACK {
        for scheme in ["http", "https"] {
            let url = format!("{scheme}://{host}:{}/", trap.address.port());
            let error = server
                .engine
                .http_out
                .send(&request(&url), options)
                .await
                .err()
                .context("nothing is sent")?;
            assert_eq!((error.reason, error.may_have_arrived), (Reason::OwnAddress, false), "{url}: {error}");
        }
    }
    // Another port of this machine is somebody else's.
    let other = format!("http://{}/", server.sandbox);
    assert!(server.engine.http_out.send(&request(&other), options).await.is_ok());

    let url = format!("http://{}/postback/acme?tid={{conversion_id}}", trap.address);
    let own = format!(
        "[[destination]]\nslug = \"own\"\nkind = \"postback\"\nallow_private = true\nurl = \"{url}\"\n\n"
    );
    let document = CONFIG.replace("[[goal]]", &format!("{own}[[goal]]"));
    server.apply(&document.replace("[\"meta-main\"]", "[\"own\"]")).await?;
    server.postback("tid=1&payout=1").await?;
    server.deliver().await?;
    let row = async || -> Result<Value> {
        Ok(server.api("/api/v1/deliveries?limit=1").await?.pointer("/data/0").context("a delivery")?.clone())
    };
    let before = row().await?;
    assert_eq!((&before["code"], &before["state"]), (&json!("own_address"), &json!("held")), "{before}");

    let path = "/api/v1/capi/send-test?destination=own&really=true";
    let event = json!({"event": "Purchase", "transaction_id": "T1", "value": "1.00", "currency": "USD"});
    let tested = post_as(server.admin, path, &server.token, &event.to_string()).await?.text();
    assert!(tested.contains("own_address"), "{tested}");

    for (path, body) in [
        ("/api/v1/destinations/own/resume", json!({})),
        ("/api/v1/deliveries/retry", json!({"destination": "own"})),
        ("/api/v1/deliveries/replay", json!({"destination": "own", "states": ["dead"], "apply": true})),
    ] {
        let reply = post_as(server.admin, path, &server.token, &body.to_string()).await?;
        assert_eq!(reply.status, 200, "{path}: {}", reply.text());
        server.engine.work_on_jobs().await?;
        server.advance(60_000);
        server.deliver().await?;
        assert_eq!(row().await?["code"], "own_address", "{path}");
    }
    assert_eq!(trap.caught(), 0);
    server.stop().await;
    Ok(())
}

async fn the_program(kind: Kind) -> Result<()> {
    let database = Database::fresh(kind).await?;
    let directory = database.directory();
    let server = program().serve(&database.flags(), directory).await?;
    let made = program().run(&["token", "create", "--name", "t", "--json"], &database.flags(), directory)?;
    let made: Value = serde_json::from_slice(&made.stdout)?;
    let token = made["token"].as_str().context("no token")?;
    let mut document = CONFIG.split_once("[[destination]]").context("a destination")?.0.to_owned();
    for (slug, address) in [("tracking", server.address), ("admin", server.admin)] {
        document.push_str(&format!(
            "[[destination]]\nslug = \"{slug}\"\nkind = \"postback\"\nallow_private = true\n\
             url = \"http://{address}/postback/acme?tid={{conversion_id}}&payout=1\"\n\n"
        ));
    }
    document.push_str(
        "[[goal]]\nslug = \"sale\"\nrole = \"funnel_fact\"\nwhen = \"status == 'approved'\"\n\
         event_name = \"sale\"\nsend_to = [\"tracking\", \"admin\"]\n",
    );
    let applied = post_as(server.admin, "/api/v1/config/apply", token, &document).await?;
    assert_eq!(applied.status, 200, "{}", applied.text());
    let booked = client::get(server.address, "/postback/acme?tid=1&payout=1").await?;
    assert_eq!(booked.status, 200, "{}", booked.text());
    let mut codes = Vec::new();
    for _ in 0..600 {
        let list = client::get_as(server.admin, "/api/v1/deliveries", token).await?.json()?;
        let rows = list["data"].as_array().context("no list")?;
        codes = rows.iter().map(|row| row["code"].clone()).collect();
        if codes.len() != 2 || codes.iter().all(|code| !code.is_null()) {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(codes, ["own_address", "own_address"]);
    server.stop()?;
    Ok(())
}

/// A server that tells the other one everything that it approves, under a name of its own each time.
fn feeding(other: &TestServer) -> Result<String> {
    let (before, _) = CONFIG.split_once("[[destination]]").context("a destination")?;
    Ok(format!(
        r#"{before}
[[destination]]
slug = "other"
kind = "postback"
url = "http://{}/postback/acme?tid={{conversion_id}}&status={{status}}&payout={{payout}}"
allow_private = true

[[goal]]
slug = "sale"
role = "funnel_fact"
when = "status == 'approved'"
event_name = "sale"
send_to = ["other"]
"#,
        other.tracking
    ))
}

fn codes(list: &Value) -> Vec<String> {
    let rows = list["data"].as_array().into_iter().flatten();
    rows.map(|row| row["code"].as_str().unwrap_or_default().to_owned()).collect()
}

async fn count(server: &TestServer, path: &str) -> Result<usize> {
    Ok(server.api(path).await?["data"].as_array().map_or(0, Vec::len))
}

async fn goes_round(kind: Kind) -> Result<()> {
    let (ours, theirs) = (TestServer::start(kind).await?, TestServer::start(kind).await?);
    ours.apply(&feeding(&theirs)?).await?;
    theirs.apply(&feeding(&ours)?).await?;
    ours.postback("tid=1&payout=1.00").await?;
    for _ in 0..8 {
        ours.deliver().await?;
        theirs.deliver().await?;
    }
    // 0 from the partner; then 1, 3, 5 there and 2, 4 here; the sixth is not booked any more.
    assert_eq!(count(&ours, "/api/v1/conversions").await?, 3);
    assert_eq!(count(&theirs, "/api/v1/conversions").await?, 3);
    let refused = async || {
        let receipts = ours.api("/api/v1/receipts").await?;
        anyhow::Ok(codes(&receipts).iter().filter(|code| *code == "too_many_hops").count())
    };
    assert_eq!(refused().await?, 1);
    // Whoever refuses by a status is asked four times more.
    for _ in 0..4 {
        theirs.advance(3_600_000);
        theirs.deliver().await?;
    }
    assert_eq!(refused().await?, 5);
    let told = theirs.api("/api/v1/deliveries?limit=1").await?;
    assert_eq!(
        (&told["data"][0]["state"], &told["data"][0]["code"]),
        (&json!("dead"), &json!("dest_rejected"))
    );
    // Sent once more by hand, it is refused once more.
    let body = json!({"destination": "other", "states": ["dead"], "apply": true}).to_string();
    let replayed = post_as(theirs.admin, "/api/v1/deliveries/replay", &theirs.token, &body).await?;
    assert_eq!(replayed.status, 200, "{}", replayed.text());
    theirs.engine.work_on_jobs().await?;
    theirs.deliver().await?;
    ours.deliver().await?;
    assert_eq!(refused().await?, 6);
    assert_eq!(count(&ours, "/api/v1/conversions").await?, 3);
    ours.stop().await;
    theirs.stop().await;
    Ok(())
}

async fn call(server: &TestServer, method: &str, path: &str, body: &Value, hops: &str) -> Result<Reply> {
    let body = if method == "GET" { String::new() } else { body.to_string() };
    let request = http::Request::builder()
        .method(method)
        .uri(path)
        .header("content-type", "application/json")
        .header("authorization", format!("Bearer {}", server.token))
        .header("Crosstally-Hops", hops);
    client::send(server.tracking, request.body(http_body_util::Full::from(body))?).await
}

async fn doors(kind: Kind) -> Result<()> {
    let server = TestServer::start(kind).await?;
    let peer = "[[partner]]\nslug = \"old\"\ndrop_in = { dialect = \"voluum\" }\n\n[[destination]]";
    server.apply(&CONFIG.replacen("[[destination]]", peer, 1)).await?;
    let event = |number: usize| json!({"event": "Purchase", "transaction_id": format!("E{number}"), "value": "1.00", "currency": "USD"});
    let mut number = 0;
    for (method, path) in [
        ("GET", "/postback/acme?payout=1&tid="),
        ("POST", "/postback/acme?payout=1&tid="),
        ("GET", "/meta/postback/conversion?sheet_id=acme&payout=1&tid="),
        ("GET", "/postback?payout=1&txid="),
        ("POST", "/v1/events?n="),
    ] {
        for (hops, is_booked) in [
            ("5", true),
            ("6", false),
            ("7", false),
            ("255", false),
            ("99999999999999999999", false),
            ("", true),
            ("-6", true),
            ("six", true),
        ] {
            number += 1;
            let body = if path.starts_with("/v1") { event(number) } else { json!({}) };
            let reply = call(&server, method, &format!("{path}{number}"), &body, hops).await?;
            let list = server.api("/api/v1/receipts?limit=1").await?;
            let (result, code) = (&list["data"][0]["result"], &list["data"][0]["code"]);
            if is_booked {
                assert_eq!(result, "recorded", "{method} {path} {hops}: {} {list}", reply.text());
            } else {
                assert_eq!(
                    (result, code),
                    (&json!("refused"), &json!("too_many_hops")),
                    "{method} {path} {hops}: {list}"
                );
                let detail = list["data"][0]["detail"].as_str().unwrap_or_default();
                assert!(detail.contains("at most 5"), "{list}");
            }
        }
    }
    let before = count(&server, "/api/v1/conversions?limit=200").await?;
    // What was refused stays refused when it is read again.
    let body = json!({"partner": "acme", "apply": true}).to_string();
    let again = post_as(server.admin, "/api/v1/receipts/replay", &server.token, &body).await?;
    assert_eq!(again.status, 200, "{}", again.text());
    assert_eq!(count(&server, "/api/v1/conversions?limit=200").await?, before);
    server.stop().await;
    Ok(())
}

async fn adjustments(kind: Kind) -> Result<()> {
    let (ours, theirs) = (TestServer::start(kind).await?, TestServer::start(kind).await?);
    ours.apply(&feeding(&theirs)?).await?;
    theirs.apply(CONFIG).await?;
    ours.postback("tid=1&payout=1.00&status=approved").await?;
    ours.deliver().await?;
    ours.advance(1_000);
    let reversed =
        call(&ours, "GET", "/postback/acme?tid=1&payout=1.00&status=reversed", &json!({}), "5").await?;
    assert!(reversed.text().contains("updated"), "{}", reversed.text());
    ours.deliver().await?;
    let got = theirs.api("/api/v1/receipts").await?;
    assert_eq!(codes(&got).first().map(String::as_str), Some("too_many_hops"), "{got}");
    ours.stop().await;
    theirs.stop().await;
    Ok(())
}
