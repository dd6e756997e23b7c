//! Who goes where of those that may go to several places: weights, caps, sticky visitors.

use std::sync::Arc;

use anyhow::{Context, Result};
use crosstally_engine::Engine;
use crosstally_engine::click::{ClickIn, ClickOut};
use crosstally_engine::open::Parts;
use crosstally_engine::random::Random;
use crosstally_engine::secrets::FixedSecrets;
use crosstally_store::{OpenOptions, Store};
use crosstally_testkit::client::Reply;
use crosstally_testkit::database::Kind;
use crosstally_testkit::on_both;
use crosstally_testkit::server::TestServer;

use super::{STRANGER, Visitor, click, cookies, id_in, location, location_of, server, visit};

on_both! {
    /// The cap holds after a restart, and with a second node from when each has heard of the other.
    a_full_offer_gives_way_to_its_overflow => caps;
    /// A returning visitor is sent as before, and is known as one.
    a_visitor_is_drawn_once => sticky;
}

const CAPPED: &str = r#"
[[offer]]
slug = "few"
target = "https://few.example/?c={click_id}"
cap = { daily = 3, total = 5, overflow = "full" }

[[offer]]
slug = "full"
target = "https://full.example/?c={click_id}&o={offer}"

[[path]]
slug = "rest"
offers = { few = 1 }

[[campaign]]
slug = "links"
paths = ["rest"]
"#;

/// A further node on a server's database.
async fn node(server: &TestServer, name: &str) -> Result<Engine> {
    let spool = server.database.directory().join(name);
    Ok(Engine::build(Parts {
        store: Store::open(OpenOptions::at(server.database.location())).await?,
        clock: Arc::new(server.clock.clone()),
        random: Random::seeded(u64::try_from(name.len())?),
        secret_source: Arc::new(FixedSecrets(std::collections::BTreeMap::new())),
        master_key: Some([9; 32]),
        spool: &spool,
    })
    .await?)
}

/// Clicks so often; how many came to the offer that takes few.
async fn few(engine: &Engine, times: usize) -> usize {
    let mut came = 0;
    for _ in 0..times {
        let out = engine.capture_click(ClickIn { campaign: "links", ..ClickIn::default() }).await;
        came += usize::from(matches!(out, ClickOut::Redirect(to) if to.starts_with("https://few.example/")));
    }
    came
}

async fn caps(kind: Kind) -> Result<()> {
    let server = server(kind, CAPPED).await?;
    assert_eq!(few(&server.engine, 2).await, 2);
    server.engine.sync_caps().await?;
    // A node that starts knows what was taken before.
    let second = node(&server, "second").await?;
    assert_eq!(few(&second, 9).await, 1, "three a day");
    // Until it has heard of that, the first one takes one more: what is promised is a second's worth.
    second.sync_caps().await?;
    server.engine.sync_caps().await?;
    assert_eq!(few(&server.engine, 3).await, 0);
    // What is written twice counts once.
    second.sync_caps().await?;
    let taken = server.engine.store.visitors(20_261_121).await?;
    assert_eq!(taken.get("few").map(|taken| (taken.today, taken.total)), Some((3, 3)));
    // The next day two are left of the total, whoever restarts.
    server.advance(86_400_000);
    let third = node(&server, "third-node").await?;
    assert_eq!(few(&third, 5).await, 2);
    third.sync_caps().await?;
    server.advance(86_400_000);
    server.engine.sync_caps().await?;
    assert_eq!(few(&server.engine, 5).await, 0);
    // Who is turned away is kept as such.
    let reply = visit(server.tracking, "/c/links", STRANGER).await?;
    let target = location(&reply)?;
    assert!(target.ends_with("&o=full"), "{target}");
    let shown = click(&server, &id_in(&target)?).await?;
    assert_eq!(
        (shown["way"]["offer"].as_str(), shown["way"]["instead_of"].as_str()),
        (Some("full"), Some("few"))
    );
    for engine in [second, third] {
        engine.store.close().await;
    }
    server.stop().await;
    Ok(())
}

const STICKY: &str = r#"
[[offer]]
slug = "a"
target = "https://a.example/?c={click_id}"

[[offer]]
slug = "b"
target = "https://b.example/?c={click_id}"

[[path]]
slug = "again"
when = { returning = true, sub1 = "seen" }
offers = { b = 1 }

[[path]]
slug = "rest"
offers = { a = 50, b = 50 }

[[campaign]]
slug = "cookie"
paths = ["again", "rest"]
sticky = "cookie"

[[campaign]]
slug = "visitor"
paths = ["rest"]
sticky = "visitor"
"#;

async fn sticky(kind: Kind) -> Result<()> {
    let server = server(kind, STICKY).await?;
    let host = |reply: &Reply| location_of(reply).get(8..9).unwrap_or_default().to_owned();
    let mut hosts = std::collections::BTreeSet::new();
    for n in 0..12 {
        let first = visit(server.tracking, "/c/cookie", STRANGER).await?;
        let cookie = cookies(&first).pop().context("a cookie")?;
        assert!(cookie.contains("Path=/c/cookie;"), "{cookie}");
        let pair = cookie.split(';').next().unwrap_or_default().to_owned();
        let back = Visitor { cookies: &pair, ..STRANGER };
        for _ in 0..3 {
            let again = visit(server.tracking, "/c/cookie", back).await?;
            assert_eq!(host(&again), host(&first));
            assert!(cookies(&again).is_empty(), "it keeps the one it has");
        }
        hosts.insert(host(&first));
        let seen = visit(server.tracking, "/c/cookie?sub1=seen", back).await?;
        let shown = click(&server, &id_in(&location(&seen)?)?).await?;
        assert_eq!(
            (shown["way"]["path"].as_str(), shown["way"]["returning"].as_bool()),
            (Some("again"), Some(true))
        );
        let new = visit(server.tracking, "/c/cookie?sub1=seen", STRANGER).await?;
        let shown = click(&server, &id_in(&location(&new)?)?).await?;
        assert_eq!(
            (shown["way"]["path"].as_str(), shown["way"]["returning"].as_bool()),
            (Some("rest"), Some(false))
        );
        // A cookie that somebody made up is none.
        let forged = Visitor { cookies: "ct_v=00000000000000000000000000", ..STRANGER };
        assert_eq!(cookies(&visit(server.tracking, "/c/cookie", forged).await?).len(), 1);
        // Address and browser alone, whichever node answers.
        let from = format!("192.0.2.{n}");
        let visitor = Visitor { from: &from, ..STRANGER };
        let first = visit(server.tracking, "/c/visitor", visitor).await?;
        assert!(cookies(&first).is_empty());
        for _ in 0..3 {
            assert_eq!(host(&visit(server.tracking, "/c/visitor", visitor).await?), host(&first));
        }
    }
    assert_eq!(hosts.len(), 2, "both are drawn");
    server.stop().await;
    Ok(())
}

/// Weights, as visitors really come: of a thousand each share is within what chance allows.
#[test]
fn weights_hold_for_real_clicks() {
    crosstally_testkit::run(async {
        let more = STICKY.replace("a = 50, b = 50", "a = 70, b = 30").replace("sticky = \"visitor\"\n", "");
        let server = server(Kind::Sqlite, &more).await?;
        let mut a = 0;
        for _ in 0..1_000 {
            let out =
                server.engine.capture_click(ClickIn { campaign: "visitor", ..ClickIn::default() }).await;
            a += u32::from(matches!(out, ClickOut::Redirect(to) if to.starts_with("https://a.example/")));
        }
        assert!(a.abs_diff(700) < 70, "{a} of 1,000, where 700 are due");
        server.stop().await;
        Ok(())
    });
}
