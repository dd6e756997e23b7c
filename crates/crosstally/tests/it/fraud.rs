//! Fraud marks: each is set by real calls, none in the ordinary case, and whatever is marked is booked all the same.

use anyhow::{Context, Result};
use crosstally_core::ids::ClickId;
use crosstally_http::DoorOptions;
use crosstally_testkit::client::{self, post_as};
use crosstally_testkit::database::Kind;
use crosstally_testkit::on_both;
use crosstally_testkit::server::{CONFIG, TestServer};
use serde_json::{Value, json};

on_both! {
    /// Everything is switched on, and an honest visitor's conversion has no label.
    an_honest_conversion_has_no_label => honest;
    /// Nothing is switched on, and nothing is noted or labelled.
    without_the_section_nothing_is_marked => off;
    /// One person under many orders, in two spellings and by telephone; repeats of a call count once.
    a_contact_on_too_many_conversions => contact;
    /// Many orders of clicks from one address.
    an_address_behind_too_many_conversions => address;
    /// Clicks by the dozen from one address, stored at once or by way of the spool.
    a_click_among_too_many => flood;
    /// A click from a listed range.
    a_click_from_a_data_centre => data_centre;
    /// A goal leaves marked conversions out, says why, and later calls of theirs too.
    a_goal_leaves_marked_conversions_out => goal;
    /// A marked receipt that is read again keeps its labels, once each, and counts once.
    labels_outlive_a_replay => replayed;
    /// What was seen is forgotten by its age, and all of it when nobody asks any more.
    what_was_seen_is_forgotten => forgotten;
}

const ALL: &str = r#"
[fraud]
repeated_contact = { more_than = 1, within = "7d" }
repeated_address = { more_than = 1, within = "24h" }
click_flood = { more_than = 5, within = "1m" }
data_centres = ["198.51.100.0/24", "2001:db8:cafe::/48"]
"#;

async fn server(kind: Kind, fraud: &str) -> Result<TestServer> {
    let doors = DoorOptions { trusted_proxies: vec!["127.0.0.0/8".parse()?], ..DoorOptions::default() };
    let server = TestServer::behind(kind, doors).await?;
    server.apply(&format!("{CONFIG}{fraud}")).await?;
    Ok(server)
}

async fn click(server: &TestServer, address: &str) -> Result<String> {
    let request = http::Request::get("/c/summer?fbclid=A")
        .header("user-agent", "Mozilla/5.0 test")
        .header("x-forwarded-for", address);
    let reply = client::send(server.tracking, request.body(http_body_util::Full::default())?).await?;
    let location = reply.header("location").context("no location")?;
    let (_, rest) = location.split_once("cid=").context("no click id")?;
    Ok(rest.split('&').next().unwrap_or(rest).to_owned())
}

fn texts(value: &Value) -> Vec<String> {
    let items = value.as_array().cloned().unwrap_or_default();
    items.iter().filter_map(|item| item.as_str().map(str::to_owned)).collect()
}

/// Sends a call that must be booked; the labels of its receipt.
async fn sale(server: &TestServer, query: &str) -> Result<Vec<String>> {
    Ok(texts(&receipt(server, query).await?["labels"]))
}

/// Sends a call that must be booked; its receipt.
async fn receipt(server: &TestServer, query: &str) -> Result<Value> {
    let answer = server.postback(query).await?.json()?;
    assert!(matches!(answer["result"].as_str(), Some("recorded" | "updated")), "{query}: {answer}");
    server.api(&format!("/api/v1/receipts/{}", answer["receipt"].as_str().unwrap_or(""))).await
}

/// The labels of the conversion under this transaction id.
async fn labels_of(server: &TestServer, transaction: &str) -> Result<Vec<String>> {
    let found = server.api("/api/v1/conversions?limit=100").await?;
    let rows = found["data"].as_array().cloned().unwrap_or_default();
    let row = rows.iter().find(|row| row["transaction_id"] == transaction).context("no such conversion")?;
    let id = row["id"].as_str().unwrap_or("");
    let shown = server.api(&format!("/api/v1/conversions/{id}")).await?;
    assert_eq!(shown["labels"], row["labels"], "one conversion, one answer");
    Ok(texts(&shown["labels"]))
}

async fn honest(kind: Kind) -> Result<()> {
    let server = server(kind, ALL).await?;
    for number in 0..4 {
        let click = click(&server, &format!("203.0.113.{number}")).await?;
        server.advance(60_000);
        let query = format!("click_id={click}&tid=T{number}&payout=1&email=p{number}%40example.com");
        assert_eq!(sale(&server, &query).await?, Vec::<String>::new());
        assert_eq!(labels_of(&server, &format!("T{number}")).await?, Vec::<String>::new());
    }
    server.stop().await;
    Ok(())
}

async fn off(kind: Kind) -> Result<()> {
    let server = server(kind, "").await?;
    for number in 0..8 {
        let click = click(&server, "198.51.100.7").await?;
        server.advance(4_000);
        let query = format!("click_id={click}&tid=T{number}&payout=1&email=same%40example.com");
        assert_eq!(sale(&server, &query).await?, Vec::<String>::new());
    }
    assert_eq!(server.engine.forget_sightings().await?, 0, "nothing was noted");
    server.stop().await;
    Ok(())
}

async fn contact(kind: Kind) -> Result<()> {
    let server = server(kind, ALL).await?;
    assert_eq!(sale(&server, "tid=T1&payout=1&email=jane.doe%40gmail.com").await?, Vec::<String>::new());
    // The same call again, another amount, another status: one conversion, seen once.
    assert_eq!(
        server.postback("tid=T1&payout=1&email=jane.doe%40gmail.com").await?.json()?["result"],
        "duplicate"
    );
    for query in ["tid=T1&payout=2&email=jane.doe%40gmail.com", "tid=T1&payout=3&email=jane.doe%40gmail.com"]
    {
        assert_eq!(sale(&server, query).await?, Vec::<String>::new());
    }
    assert_eq!(sale(&server, "tid=T2&payout=1&email=janedoe%40gmail.com").await?, Vec::<String>::new());
    let third = sale(&server, "tid=T3&payout=1&email=JaneDoe%40gmail.com&phone=%2B12025550123").await?;
    assert_eq!(third, ["repeated_contact"]);
    assert_eq!(labels_of(&server, "T3").await?, ["repeated_contact"]);
    // Another person, and the telephone number of the third order under other mail addresses.
    for (number, expected) in [(4, 0), (5, 1)] {
        let query = format!("tid=T{number}&payout=1&email=x{number}%40example.com&phone=%2B12025550123");
        assert_eq!(sale(&server, &query).await?.len(), expected, "T{number}");
    }
    // What is known by now tells of the first one too, when it moves on.
    assert_eq!(sale(&server, "tid=T1&payout=4&email=jane.doe%40gmail.com").await?, ["repeated_contact"]);
    server.advance(8 * 86_400_000);
    assert_eq!(sale(&server, "tid=T6&payout=1&email=janedoe%40gmail.com").await?, Vec::<String>::new());
    server.stop().await;
    Ok(())
}

async fn address(kind: Kind) -> Result<()> {
    let server = server(kind, ALL).await?;
    let mut labels = Vec::new();
    for number in 0..4 {
        // Another address of the same network each time.
        let click = click(&server, &format!("2001:db8:1:2::{number}")).await?;
        server.advance(60_000);
        labels.push(sale(&server, &format!("click_id={click}&tid=T{number}&payout=1")).await?);
    }
    let none = Vec::<String>::new();
    assert_eq!(
        labels,
        [none.clone(), none.clone(), vec!["repeated_address".into()], vec!["repeated_address".into()]]
    );
    let other = click(&server, "2001:db8:1:3::1").await?;
    server.advance(60_000);
    assert_eq!(sale(&server, &format!("click_id={other}&tid=T9&payout=1")).await?, none);
    server.stop().await;
    Ok(())
}

async fn flood(kind: Kind) -> Result<()> {
    let server = server(kind, ALL).await?;
    let mut clicks = Vec::new();
    for _ in 0..8 {
        clicks.push(click(&server, "203.0.113.9").await?);
    }
    let other = click(&server, "203.0.113.10").await?;
    server.advance(60_000);
    // More than five came before the seventh.
    for (number, expected) in [(0, 0), (5, 0), (6, 1), (7, 1)] {
        let query = format!("click_id={}&tid=T{number}&payout=1", clicks[number]);
        let labels = sale(&server, &query).await?;
        assert_eq!(labels.iter().filter(|label| *label == "click_flood").count(), expected, "{number}");
    }
    assert_eq!(sale(&server, &format!("click_id={other}&tid=T9&payout=1")).await?, Vec::<String>::new());
    // By way of the spool's batches as well.
    let id = ClickId::parse_unchecked(&clicks[7]).unwrap();
    let mut spooled = server.engine.store.click(id).await?.context("no click")?;
    let mut bytes = *spooled.id.as_bytes();
    bytes[15] ^= 1;
    spooled.id = ClickId::from_bytes(bytes);
    assert_eq!(server.engine.store.append_clicks(vec![spooled.clone()]).await?, 1);
    assert_eq!(server.engine.store.click(spooled.id).await?.context("no click")?.labels, ["click_flood"]);
    server.stop().await;
    Ok(())
}

async fn data_centre(kind: Kind) -> Result<()> {
    let server = server(kind, ALL).await?;
    for (number, address, expected) in [
        (1, "198.51.100.255", vec!["data_centre"]),
        (2, "198.51.101.0", vec![]),
        (3, "2001:db8:cafe:1::5", vec!["data_centre"]),
        (4, "::ffff:198.51.100.1", vec!["data_centre"]),
    ] {
        let click = click(&server, address).await?;
        server.advance(60_000);
        assert_eq!(
            sale(&server, &format!("click_id={click}&tid=T{number}&payout=1")).await?,
            expected,
            "{address}"
        );
    }
    // The ranges may be many; they are in force at once and can be taken away again.
    let many: Vec<String> = (0..20_000).map(|n| format!("\"10.{}.{}.0/24\"", n / 256, n % 256)).collect();
    server.apply(&format!("{CONFIG}\n[fraud]\ndata_centres = [{}]\n", many.join(", "))).await?;
    for (number, address, expected) in [(5, "10.7.9.1", 1), (6, "198.51.100.255", 0)] {
        let click = click(&server, address).await?;
        server.advance(60_000);
        let labels = sale(&server, &format!("click_id={click}&tid=T{number}&payout=1")).await?;
        assert_eq!(labels.len(), expected, "{address}");
    }
    server.stop().await;
    Ok(())
}

async fn goal(kind: Kind) -> Result<()> {
    let server = server(kind, "").await?;
    let config = CONFIG.replace(
        "status == 'approved' && value > 0",
        "status == 'approved' && value > 0 && !('too_fast' in labels) && !('data_centre' in labels)",
    );
    server.apply(&format!("{config}{ALL}")).await?;
    let fast = click(&server, "203.0.113.9").await?;
    let honest = click(&server, "203.0.113.10").await?;
    server.advance(500);
    let lead = receipt(&server, &format!("click_id={fast}&tid=T1&status=lead")).await?;
    assert_eq!(texts(&lead["labels"]), ["too_fast"]);
    server.advance(86_400_000);
    // The approval has no label of its own: the conversion has it from its lead.
    let approved = receipt(&server, "tid=T1&status=approved&payout=5").await?;
    assert_eq!(texts(&approved["labels"]), Vec::<String>::new());
    assert_eq!(approved["goals"][0]["code"], "goal_not_met");
    let detail = approved["goals"][0]["detail"].as_str().unwrap_or("");
    assert!(detail.ends_with("its labels: too_fast"), "{detail}");
    let good = receipt(&server, &format!("click_id={honest}&tid=T2&status=approved&payout=5")).await?;
    assert_eq!(good["goals"][0]["code"], "goal_met");
    server.deliver().await?;
    assert_eq!(server.accepted().await?.len(), 1);
    // A label that is never set would let everybody through.
    let slip = config.replace("'too_fast'", "'to_fast'");
    let refused = server.apply(&slip).await.map_err(|error| error.to_string());
    assert!(refused.as_ref().is_err_and(|text| text.contains("to_fast")), "{refused:?}");
    server.stop().await;
    Ok(())
}

async fn replayed(kind: Kind) -> Result<()> {
    let server = server(kind, ALL).await?;
    for number in 0..3 {
        sale(&server, &format!("tid=O{number}&payout=1&email=same%40example.com")).await?;
    }
    let click = click(&server, "198.51.100.7").await?;
    server.advance(500);
    let query = format!("click_id={click}&tid=T1&payout=1&email=same%40example.com");
    let first = receipt(&server, &query).await?;
    let expected = ["too_fast", "data_centre", "repeated_contact"];
    assert_eq!(texts(&first["labels"]), expected);
    let id = first["id"].as_str().unwrap_or("");
    for amount in ["2", "3"] {
        let body = json!({ "receipts": [id], "set": { "payout": amount }, "apply": true });
        let reply =
            post_as(server.admin, "/api/v1/receipts/replay", &server.token, &body.to_string()).await?;
        assert_eq!(reply.status, 200, "{}", reply.text());
        let after = server.api(&format!("/api/v1/receipts/{id}")).await?;
        assert_eq!(texts(&after["labels"]), expected, "{after}");
        assert_eq!(after["read"]["payout"], format!("{amount}.00"));
        assert_eq!(labels_of(&server, "T1").await?, expected);
    }
    // Each conversion was noted once, whatever was read again: four with a contact, one of them with an address.
    server.apply(CONFIG).await?;
    server.advance(1_000);
    assert_eq!(server.engine.forget_sightings().await?, 5);
    server.stop().await;
    Ok(())
}

async fn forgotten(kind: Kind) -> Result<()> {
    let server = server(kind, "\n[fraud]\nrepeated_contact = { more_than = 0, within = \"1d\" }\n").await?;
    sale(&server, "tid=T1&payout=1&email=a%40example.com").await?;
    server.advance(86_400_000 * 3 / 2);
    sale(&server, "tid=T2&payout=1&email=a%40example.com").await?;
    assert_eq!(
        server.engine.forget_sightings().await?,
        0,
        "a conversion of a day ago looks back another day"
    );
    server.advance(86_400_000);
    assert_eq!(server.engine.forget_sightings().await?, 1);
    assert_eq!(server.engine.forget_sightings().await?, 0);
    server.apply(CONFIG).await?;
    assert_eq!(server.engine.forget_sightings().await?, 1, "nobody asks any more");
    server.stop().await;
    Ok(())
}
