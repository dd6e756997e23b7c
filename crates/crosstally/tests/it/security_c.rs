//! The lines C1 to C7 of the security checklist: whose address a call comes from, and how much of it is taken.

use std::time::Duration;

use anyhow::{Context, Result};
use crosstally_engine::tasks;
use crosstally_http::{DoorOptions, ProxyHeader};
use crosstally_testkit::client;
use crosstally_testkit::database::{Database, Kind};
use crosstally_testkit::on_both;
use crosstally_testkit::server::{CONFIG, TestServer};
use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::commands::program;
use crate::guarded::{Call, fine, metric, refused, told, with_keys, word};

on_both! {
    /// Line C1: nobody but a trusted proxy speaks for others.
    c1_an_untrusted_peer_speaks_for_itself_only => untrusted;
    /// Line C2: from the right, whatever stands on the left.
    c2_the_rightmost_hop_that_is_no_proxy_counts => rightmost;
    /// Line C3: only the configured header.
    c3_only_the_configured_header_is_read => configured;
    /// Line C4: a list that believes everybody, or is none, keeps the server from starting.
    c4_bad_proxy_lists_refuse_to_start => lists;
    /// Line C5: an IPv4 address inside IPv6 is the IPv4 address.
    c5_mapped_addresses_are_normalised => mapped;
    /// Line C6: a /64 is one sender.
    c6_a_network_of_ipv6_is_one_sender => networks;
    /// Line C7: a partner waits for its turn, and is told to come again only when the wait is long.
    c7_a_partner_over_its_rate_waits_and_then_is_told_when_to_come => waits;
    /// Line C7: a receipt a second stands for all calls that were turned away, and says how many there were.
    c7_calls_that_are_turned_away_share_a_receipt => shared;
    /// Line C7: receipts and what they say add up to the calls that were turned away, also when the flood ends or the server.
    c7_the_end_of_a_flood_is_told_of_as_well => ends;
    /// Line C7: what is not booked is never answered 200, whatever the contract or the dialect says.
    c7_a_call_that_is_turned_away_is_told_to_come_again_in_every_mode => modes;
}

const ALLOWED: &str = r#"auth = { allow = ["203.0.113.9"] }"#;

async fn behind(kind: Kind, proxy_header: ProxyHeader, keys: &str) -> Result<TestServer> {
    let trusted_proxies = vec!["127.0.0.0/8".parse()?, "10.0.0.0/8".parse()?];
    let doors = DoorOptions { trusted_proxies, proxy_header, ..DoorOptions::default() };
    let server = TestServer::behind(kind, doors).await?;
    server.apply(&with_keys(keys)).await?;
    Ok(server)
}

async fn untrusted(kind: Kind) -> Result<()> {
    let server = TestServer::start(kind).await?;
    server.apply(&with_keys(ALLOWED)).await?;
    for (name, value) in [
        ("x-forwarded-for", "203.0.113.9"),
        ("forwarded", "for=203.0.113.9"),
        ("x-real-ip", "203.0.113.9"),
        ("client-ip", "203.0.113.9"),
    ] {
        let call = Call::get("tid=C1&payout=1").header(name, value);
        assert_eq!(call.told(&server).await?, refused(403, "address_not_allowed"), "{name}");
    }
    let receipts = server.api("/api/v1/receipts").await?.to_string();
    assert!(receipts.contains("127.0.0.1") && !receipts.contains("203.0.113.9"), "{receipts}");
    server.stop().await;
    Ok(())
}

async fn rightmost(kind: Kind) -> Result<()> {
    let server = behind(kind, ProxyHeader::XForwardedFor, ALLOWED).await?;
    let many = format!("{}203.0.113.9", "203.0.113.8,".repeat(8_000));
    for (lines, fits) in [
        (&["203.0.113.9"][..], true),
        (&["198.51.100.1, 203.0.113.9"], true),
        (&["198.51.100.1", "203.0.113.9, 10.0.0.3"], true),
        (&["203.0.113.9:4711"], true),
        (&[many.as_str()], true),
        (&["203.0.113.9, 198.51.100.1"], false),
        (&["203.0.113.9", "198.51.100.1"], false),
        (&["203.0.113.9, unknown"], false),
        (&["203.0.113.9, _hidden"], false),
        (&["203.0.113.9, "], false),
        (&["203.0.113.9", "garbage"], false),
        (&[], false),
    ] {
        let mut call = Call::get("tid=C2&payout=1");
        for line in lines {
            call = call.header("x-forwarded-for", *line);
        }
        let status = call.send(&server).await?.status;
        assert_eq!(
            status,
            if fits { 200 } else { 403 },
            "{:?}",
            lines.iter().map(|line| line.len()).collect::<Vec<_>>()
        );
    }
    server.stop().await;
    Ok(())
}

async fn configured(kind: Kind) -> Result<()> {
    for (by, good, other) in [
        (ProxyHeader::XForwardedFor, ("x-forwarded-for", "203.0.113.9"), ("forwarded", "for=198.51.100.1")),
        (ProxyHeader::Forwarded, ("forwarded", "for=203.0.113.9"), ("x-forwarded-for", "198.51.100.1")),
    ] {
        let server = behind(kind, by, ALLOWED).await?;
        let both = Call::get("tid=C3&payout=1").header(good.0, good.1).header(other.0, other.1);
        assert_eq!(both.told(&server).await?, fine("recorded", "no_click_id"), "{by:?}");
        let swapped = match by {
            ProxyHeader::XForwardedFor => ("forwarded", "for=203.0.113.9"),
            ProxyHeader::Forwarded => ("x-forwarded-for", "203.0.113.9"),
        };
        let alone = Call::get("tid=C3&payout=1").header(swapped.0, swapped.1);
        assert_eq!(alone.told(&server).await?, refused(403, "address_not_allowed"), "{by:?}");
        server.stop().await;
    }
    Ok(())
}

async fn lists(kind: Kind) -> Result<()> {
    let database = Database::fresh(kind).await?;
    for (list, says) in [
        ("0.0.0.0/0", "would believe nearly anybody"),
        ("10.0.0.1,::/0", "would believe nearly anybody"),
        ("0.0.0.0/1,128.0.0.0/1", "would believe nearly anybody"),
        ("2000::/3", "would believe nearly anybody"),
        ("10.0.0.1/8", "an address within a range"),
        ("10.0.0.0/33", "is not an address or range"),
        ("proxy.example", "is not an address or range"),
        ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
    ] {
        let arguments =
            ["serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--trusted-proxies", list];
        let ended = program().run(&arguments, &database.flags(), database.directory())?;
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert!(!ended.status.success() && said.contains(says), "{list}: {said}");
    }
    let mut flags = database.flags();
    flags.extend(
        ["--trusted-proxies=0.0.0.0/0", "--trust-any-proxy=true", "--proxy-header=forwarded"]
            .map(str::to_owned),
    );
    let server = program().serve(&flags, database.directory()).await?;
    server.kill()?;
    Ok(())
}

async fn mapped(kind: Kind) -> Result<()> {
    let server = behind(kind, ProxyHeader::XForwardedFor, r#"auth = { allow = ["203.0.113.0/24"] }"#).await?;
    for (written, fits) in
        [("::ffff:203.0.113.9", true), ("::ffff:cb00:7109", true), ("::ffff:198.51.100.1", false)]
    {
        let call = Call::get("tid=C5&payout=1").header("x-forwarded-for", written);
        assert_eq!(call.send(&server).await?.status, if fits { 200 } else { 403 }, "{written}");
    }
    let refused = server.apply(&with_keys(r#"auth = { allow = ["::ffff:203.0.113.0/120"] }"#)).await;
    assert!(
        refused.is_err_and(|problem| problem.to_string().contains("203.0.113.0/24")),
        "told how to write it"
    );
    server.stop().await;
    Ok(())
}

async fn networks(kind: Kind) -> Result<()> {
    let server =
        behind(kind, ProxyHeader::XForwardedFor, r#"auth = { token = { env = "ACME_TOKEN" } }"#).await?;
    let from = |address: String| Call::get("tid=C6&payout=1&token=guess").header("x-forwarded-for", address);
    let mut turned_away = 0;
    for number in 0..520 {
        turned_away +=
            u32::from(from(format!("2001:db8:7:1::{number:x}")).send(&server).await?.status == 429);
    }
    assert_eq!(turned_away, 20, "all of a /64 share what one sender may");
    let receipts = server.api("/api/v1/receipts/balance").await?;
    assert_eq!(receipts["data"][0]["received"], 501, "one of the 20 stands for all of them: {receipts}");
    assert_eq!(from("2001:db8:7:2::1".into()).send(&server).await?.status, 401, "the next one has its own");
    server.stop().await;
    Ok(())
}

async fn waits(kind: Kind) -> Result<()> {
    let server = TestServer::start(kind).await?;
    server.apply(&with_keys("rate = { per_second = 10, burst = 2 }")).await?;
    let mut sending = JoinSet::new();
    for number in 0..30 {
        let (call, address) = (Call::get(&format!("tid=C7{number}&payout=1")), server.tracking);
        sending.spawn(async move { call.send_to(address, "acme").await });
    }
    // Two at once, twenty within the two seconds that are waited, eight told to come again.
    let limited = |outcome: &str| {
        metric(
            &server,
            &format!("crosstally_postbacks_limited_total{{partner=\"acme\",outcome=\"{outcome}\"}}"),
        )
    };
    for _ in 0..1_000 {
        if (limited("queued")?, limited("turned_away")?) == (20, 8) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!((limited("queued")?, limited("turned_away")?), (20, 8));
    let mut answers = Vec::new();
    while !sending.is_empty() {
        server.advance(100);
        while let Ok(Some(reply)) = tokio::time::timeout(Duration::from_millis(50), sending.join_next()).await
        {
            answers.push(reply??);
        }
    }
    for reply in &answers {
        match reply.status {
            200 => assert_eq!(told(reply)?, fine("recorded", "no_click_id")),
            429 => {
                assert!(reply.header("retry-after").is_some(), "{}", reply.text());
                assert_eq!(reply.json()?["code"], "too_many_requests");
            }
            other => anyhow::bail!("{other}: {}", reply.text()),
        }
    }
    let taken = answers.iter().filter(|reply| reply.status == 200).count();
    assert_eq!((taken, answers.len()), (22, 30));
    server.stop().await;
    Ok(())
}

async fn shared(kind: Kind) -> Result<()> {
    let server = TestServer::start(kind).await?;
    server.apply(&with_keys("rate = { per_second = 1, burst = 2 }")).await?;
    let list: String = (0..100).map(|row| format!("{{\"tid\":\"L{row}\",\"payout\":1}}\n")).collect();
    assert_eq!(Call::post("application/x-ndjson", list).send(&server).await?.status, 200);
    // Whoever comes after a hundred rows is turned away for longer than this test takes.
    let large = Call::post("application/x-www-form-urlencoded", format!("tid=C7&x={}", "x".repeat(5_000)));
    let mut receipts = Vec::new();
    for (call, advance) in [
        (Call::get("tid=C7a&payout=1"), 0),
        (Call::get("tid=C7b&payout=1"), 0),
        (Call::get("tid=C7c&payout=1"), 1_000),
        (large, 1_000),
    ] {
        let reply = call.send(&server).await?;
        assert_eq!((reply.status, reply.header("retry-after").is_some()), (429, true), "{}", reply.text());
        receipts.push(word(&reply.json()?, "receipt").to_owned());
        server.advance(advance);
    }
    let [first, second, third, fourth] = receipts.as_slice() else { anyhow::bail!("{receipts:?}") };
    assert!(
        first.starts_with("rcp_") && second.is_empty() && third.is_empty() && fourth.starts_with("rcp_"),
        "{receipts:?}"
    );
    let kept = server.api(&format!("/api/v1/receipts/{first}")).await?;
    assert_eq!(
        (word(&kept, "code"), &kept["request"]["query"]),
        ("too_many_requests", &json!("tid=C7a&payout=1"))
    );
    let kept = server.api(&format!("/api/v1/receipts/{fourth}")).await?;
    assert!(
        word(&kept, "detail").ends_with("; 2 more were turned away since the last receipt of this kind"),
        "{kept}"
    );
    assert_eq!(kept["request"]["body"], "", "what is large is no sample: {kept}");
    let balance = server.api("/api/v1/receipts/balance").await?;
    assert_eq!(
        (&balance["data"][0]["refused"], &balance["data"][0]["received"]),
        (&json!(2), &json!(102)),
        "{balance}"
    );
    let limited =
        metric(&server, "crosstally_postbacks_limited_total{partner=\"acme\",outcome=\"turned_away\"}")?;
    assert_eq!(limited, 4, "each call is counted");
    server.stop().await;
    Ok(())
}

async fn modes(kind: Kind) -> Result<()> {
    let server = TestServer::start(kind).await?;
    let rate = "rate = { per_second = 1, burst = 1 }";
    let modes = ["json", "plain", "always-200", "plain-always-200"];
    let dialects = [
        ("keitaro", "/k-1/postback?subid="),
        ("tune", "/aff_lsr?transaction_id="),
        ("affise", "/postback?action_id=1&clickid="),
    ];
    let sections = modes.iter().map(|mode| {
        format!("[[partner]]\nslug = \"{mode}\"\nanswer = \"{}\"\n{rate}\n\n", mode.replace('-', "_"))
    });
    let drop_ins = dialects.iter().map(|(dialect, _)| {
        let key = if *dialect == "keitaro" { ", key = \"k-1\"" } else { "" };
        format!("[[partner]]\nslug = \"{dialect}\"\ndrop_in = {{ dialect = \"{dialect}\"{key} }}\n{rate}\n\n")
    });
    let (base, _) = CONFIG.split_once("[[partner]]").context("a partner")?;
    server.apply(&format!("{base}{}", sections.chain(drop_ins).collect::<String>())).await?;
    let list: String = (0..10).map(|row| format!("{{\"tid\":\"M{row}\",\"payout\":1}}\n")).collect();
    let paths = modes.iter().map(|mode| (*mode, format!("/postback/{mode}?tid=M&payout=1&click_id=")));
    let paths = paths.chain(dialects.iter().map(|(dialect, path)| (*dialect, (*path).to_owned())));
    for (partner, path) in paths {
        // The list has its turn, and takes that of whoever comes next.
        let long = Call::post("application/x-ndjson", list.clone()).send_to(server.tracking, partner).await?;
        assert_eq!(long.status, 200, "{partner}: {}", long.text());
        for sample in [true, false] {
            let reply =
                client::get(server.tracking, &format!("{path}{}", server.click("sub1=C7").await?)).await?;
            assert_eq!(
                (reply.status, reply.header("retry-after").is_some()),
                (429, true),
                "{partner}: {}",
                reply.text()
            );
            let told = reply.json()?;
            assert_eq!(word(&told, "code"), "too_many_requests", "{partner}: {told}");
            assert_eq!(told.get("receipt").is_some(), sample, "{partner}: {told}");
        }
    }
    server.stop().await;
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "the test runs the tasks beside it, and waits for them")]
async fn ends(kind: Kind) -> Result<()> {
    let server = TestServer::start(kind).await?;
    server.apply(&with_keys("rate = { per_second = 1, burst = 1 }")).await?;
    let list: String = (0..100).map(|row| format!("{{\"tid\":\"E{row}\",\"payout\":1}}\n")).collect();
    assert_eq!(Call::post("application/x-ndjson", list).send(&server).await?.status, 200);
    let (stop, stopped) = watch::channel(false);
    let working = tokio::spawn(tasks::run(server.engine.clone(), stopped));
    let flood = async |calls: u32| -> Result<()> {
        for _ in 0..calls {
            assert_eq!(Call::get("tid=E&payout=1").send(&server).await?.status, 429);
        }
        Ok(())
    };
    let details = async || -> Result<Vec<String>> {
        let list = server.api("/api/v1/receipts?limit=500").await?;
        let rows = list["data"].as_array().context("a list")?.clone();
        let away = rows.iter().filter(|row| word(row, "code") == "too_many_requests");
        Ok(away.map(|row| word(row, "detail").to_owned()).collect())
    };
    flood(5).await?;
    assert_eq!(details().await?.len(), 1, "the first one is told of at once");
    for _ in 0..200 {
        server.advance(500);
        tokio::time::sleep(Duration::from_millis(5)).await;
        if details().await?.len() == 2 {
            break;
        }
    }
    let told = details().await?;
    assert!(
        told.len() == 2 && told.iter().any(|detail| detail.contains("; 3 more were turned away")),
        "{told:?}"
    );
    flood(1).await?;
    flood(2).await?;
    stop.send_replace(true);
    working.await?;
    let told = details().await?;
    assert_eq!(told.len(), 4, "{told:?}");
    assert_eq!(told.iter().filter(|detail| detail.contains("; 1 more were")).count(), 1, "{told:?}");
    server.stop().await;
    Ok(())
}
