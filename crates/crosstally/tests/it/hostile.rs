//! More than twenty hostile partners at once beside a healthy one, against the real program: the healthy one gets all of
//! its events at their first attempt while the others still hang, nothing is taken for delivered that was not, and what
//! the others cost in memory and sockets is bounded and given back.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use crosstally_testkit::database::{Database, Kind};
use crosstally_testkit::process::{Running, free_address};
use crosstally_testkit::server::CONFIG;
use crosstally_testkit::{client, on_both};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::commands::program;

on_both! {
    /// See above.
    hostile_partners_cost_a_healthy_one_nothing => beside;
}

/// Events that each destination gets.
const EVENTS: usize = 16;
/// So many of them reach the healthy partner while the first calls to others are under way, which take ten seconds.
const WHILE_THEY_HANG: usize = 5;
/// How much the program may grow by all of it.
const GROWTH_KB_MAX: u64 = 96 * 1024;
/// How long a wait may take that ends by itself.
const PATIENCE: Duration = Duration::from_secs(60);

/// What becomes of an event at a peer of the sandbox: `/hostile/{kind}`.
const PLAYED: &[(&str, &str, &str)] = &[
    ("silent", "pending", "dest_timeout"),
    ("closes", "pending", "dest_unreachable"),
    ("reset_before", "pending", "dest_unreachable"),
    ("reset_after_ok", "pending", "dest_unreachable"),
    ("drip_head", "pending", "dest_timeout"),
    ("drip_body", "pending", "dest_timeout"),
    ("endless_body", "dead", "dest_rejected"),
    ("endless_interim", "pending", "dest_unreadable"),
    ("many_headers", "pending", "dest_unreadable"),
    ("long_header", "pending", "dest_unreadable"),
    ("short_body", "pending", "dest_unreachable"),
    ("two_lengths", "pending", "dest_unreadable"),
    ("bad_chunk", "pending", "dest_unreadable"),
    ("gzip_bomb", "dead", "dest_rejected"),
    ("not_http", "pending", "dest_unreadable"),
    ("redirect_private", "pending", "dest_redirected"),
    ("redirect_loop", "pending", "dest_redirected"),
    ("error_text", "dead", "dest_rejected"),
    ("no_content_body", "dead", "dest_rejected"),
    ("throttled", "pending", "dest_rate_limited"),
    ("gone", "held", "dest_gone"),
    ("unavailable", "pending", "dest_server_error"),
];

/// A destination, what becomes of its events, and where it is.
struct Peer {
    slug: String,
    state: &'static str,
    code: &'static str,
    url: String,
}

/// Listens and never says a word; for TLS, that is a handshake that never ends.
#[expect(clippy::disallowed_methods, reason = "a peer lives as long as its test's runtime")]
async fn mute() -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::task::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::task::spawn(async move {
                let mut waste = [0; 1024];
                while stream.read(&mut waste).await.is_ok_and(|read| read > 0) {}
            });
        }
    });
    Ok(address)
}

/// Answers as soon as somebody connects, reads nothing, and hangs up.
#[expect(clippy::disallowed_methods, reason = "a peer lives as long as its test's runtime")]
async fn hasty() -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::task::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            drop(stream.write_all(b"HTTP/1.1 503 Later\r\ncontent-length: 0\r\n\r\n").await);
        }
    });
    Ok(address)
}

async fn peers(sandbox: SocketAddr) -> Result<Vec<Peer>> {
    let mut peers: Vec<Peer> = PLAYED
        .iter()
        .map(|&(kind, state, code)| Peer {
            slug: kind.replace('_', "-"),
            state,
            code,
            url: format!("http://{sandbox}/hostile/{kind}"),
        })
        .collect();
    for (slug, code, url) in [
        ("no-name", "dest_unreachable", "http://nobody.invalid/p".to_owned()),
        ("no-port", "dest_unreachable", format!("http://{}/p", free_address()?)),
        ("no-tls", "dest_unreachable", format!("https://{sandbox}/hostile/ok")),
        ("mute-tls", "dest_timeout", format!("https://{}/p", mute().await?)),
        // Whether its answer is seen or the end of the connection comes first is a race, and both are failures.
        ("hasty", "", format!("http://{}/p", hasty().await?)),
    ] {
        peers.push(Peer { slug: slug.to_owned(), state: "pending", code, url });
    }
    Ok(peers)
}

/// One goal that goes to the healthy partner and to all of these.
fn document(healthy: SocketAddr, peers: &[Peer]) -> String {
    let mut document = CONFIG.split_once("[[destination]]").unwrap().0.to_owned();
    let healthy = Peer {
        slug: "healthy".to_owned(),
        state: "delivered",
        code: "",
        url: format!("http://{healthy}/hostile/ok"),
    };
    let mut slugs = Vec::new();
    for peer in std::iter::once(&healthy).chain(peers) {
        let _written = write!(
            document,
            "[[destination]]\nslug = \"{}\"\nkind = \"postback\"\nurl = \"{}?id={{event_id}}\"\n\
             success_body_contains = \"OK\"\nallow_private = true\n\n",
            peer.slug, peer.url
        );
        slugs.push(format!("\"{}\"", peer.slug));
    }
    let _written = write!(
        document,
        "[[goal]]\nslug = \"sale\"\nrole = \"learning_signal\"\nwhen = \"status == 'approved'\"\n\
         event_name = \"sale\"\nsend_to = [{}]\n",
        slugs.join(", ")
    );
    document
}

/// The running program as this test sees it.
struct Server {
    running: Running,
    database: Database,
    token: String,
    /// Two, as connections are kept and shared by host: a partner who hangs where another one answers harms himself.
    healthy: Running,
    hostile: Running,
}

impl Server {
    async fn start(kind: Kind) -> Result<Self> {
        let database = Database::fresh(kind).await?;
        let healthy = program().sandbox(database.directory()).await?;
        let hostile = program().sandbox(database.directory()).await?;
        let running = program().serve(&database.flags(), database.directory()).await?;
        let made = program().run(
            &["token", "create", "--name", "t", "--json"],
            &database.flags(),
            database.directory(),
        )?;
        let made: Value = serde_json::from_slice(&made.stdout)?;
        let token = made["token"].as_str().context("no token")?.to_owned();
        Ok(Self { running, database, token, healthy, hostile })
    }

    async fn apply(&self, peers: &[Peer]) -> Result<()> {
        let document = document(self.healthy.address, peers);
        let reply =
            client::post_as(self.running.admin, "/api/v1/config/apply", &self.token, &document).await?;
        assert_eq!(reply.status, 200, "{}", reply.text());
        Ok(())
    }

    async fn api(&self, path: &str) -> Result<Value> {
        client::get_as(self.running.admin, path, &self.token).await?.json()
    }

    /// All deliveries to one destination, the last booked first.
    async fn rows(&self, destination: &str) -> Result<Vec<Value>> {
        let list = self.api(&format!("/api/v1/deliveries?limit=500&destination={destination}")).await?;
        Ok(list["data"].as_array().context("no list")?.clone())
    }

    /// Books events one after the other, each when the healthy partner has the one before.
    async fn book(&self, from: usize, to: usize) -> Result<()> {
        for number in from..to {
            let path = format!("/postback/acme?tid=T{number}&status=approved&payout=1.50");
            let reply = client::get(self.running.address, &path).await?;
            assert_eq!(reply.status, 200, "{}", reply.text());
            until("the healthy partner has the event", async || {
                let rows = self.rows("healthy").await?;
                Ok(rows.len() == number + 1 && rows[0]["state"] == "delivered")
            })
            .await?;
        }
        Ok(())
    }

    /// The first attempt of the first delivery to one destination.
    async fn first_attempt(&self, destination: &str) -> Result<Option<Value>> {
        let row = self.rows(destination).await?.pop().context("a delivery")?;
        let id = row["id"].as_str().context("no id")?;
        let attempts = self.api(&format!("/api/v1/deliveries/{id}/attempts")).await?;
        Ok(attempts["data"].get(0).cloned())
    }

    fn memory_kb(&self, field: &str) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.running.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix(field)).context("no such field")?;
        Ok(line.trim_matches([':', '\t', ' ']).trim_end_matches(" kB").parse()?)
    }

    /// Sockets that the program has open.
    fn sockets(&self) -> Result<usize> {
        let open = fs::read_dir(format!("/proc/{}/fd", self.running.id()))?;
        let socket = |entry: fs::DirEntry| fs::read_link(entry.path()).ok();
        let named = open.filter_map(|entry| socket(entry.ok()?));
        Ok(named.filter(|to| to.to_string_lossy().starts_with("socket:")).count())
    }
}

async fn until(what: &str, holds: impl AsyncFn() -> Result<bool>) -> Result<()> {
    let waiting = async {
        while !holds().await? {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    };
    match tokio::time::timeout(PATIENCE, waiting).await {
        Ok(done) => done,
        Err(_) => bail!("in vain: {what}"),
    }
}

async fn beside(kind: Kind) -> Result<()> {
    let server = Server::start(kind).await?;
    let peers = peers(server.hostile.address).await?;
    assert!(peers.len() >= 20);
    server.apply(&[]).await?;
    server.book(0, EVENTS).await?;
    // Connections that nobody uses are closed after four seconds.
    let mut level = server.sockets()?;
    for _ in 0..60 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        level = level.min(server.sockets()?);
    }
    let before_kb = server.memory_kb("VmRSS")?;

    server.apply(&peers).await?;
    server.book(EVENTS, EVENTS + 1).await?;
    let hanging = ["silent", "drip-head", "drip-body", "mute-tls"];
    for slug in hanging {
        until("the first call", async || Ok(server.first_attempt(slug).await?.is_some())).await?;
    }
    server.book(EVENTS + 1, EVENTS + WHILE_THEY_HANG).await?;
    // All of that happened while the first calls to these were still under way.
    for slug in hanging {
        let attempt = server.first_attempt(slug).await?.context("an attempt")?;
        assert_eq!(attempt["finished_at"], Value::Null, "{slug}: {attempt}");
    }
    server.book(EVENTS + WHILE_THEY_HANG, 2 * EVENTS).await?;
    let healthy = server.rows("healthy").await?;
    assert_eq!(healthy.len(), 2 * EVENTS);
    assert!(healthy.iter().all(|row| row["state"] == "delivered" && row["attempts"] == 1), "{healthy:#?}");
    let order =
        |name: &str| healthy.iter().map(|row| row[name].as_str().unwrap().to_owned()).collect::<Vec<_>>();
    assert!(order("finished_at").is_sorted_by(|later, earlier| later >= earlier), "{healthy:#?}");

    every_outcome(&server, &peers).await?;
    let grown_kb = server.memory_kb("VmHWM")?.saturating_sub(before_kb);
    assert!(grown_kb < GROWTH_KB_MAX, "{grown_kb} kB more than before");
    // Without them in the configuration nothing of them stays.
    server.apply(&[]).await?;
    until("the sockets are closed", async || Ok(server.sockets()? <= level)).await?;
    // What waited for them is kept.
    let row = server.rows("silent").await?.pop().context("a delivery")?;
    assert_eq!((&row["state"], &row["code"]), (&"held".into(), &"destination_removed".into()), "{row}");
    let Server { running, database, healthy, hostile, .. } = server;
    tokio::task::spawn_blocking(move || running.stop()).await??;
    drop((database, healthy, hostile));
    Ok(())
}

/// Each delivery has been tried or waits for its peer, with the reason that the peer gave.
async fn every_outcome(server: &Server, peers: &[Peer]) -> Result<()> {
    for peer in peers {
        let seen = std::cell::RefCell::new(BTreeMap::new());
        let settled = until(&peer.slug, async || {
            let rows = server.rows(&peer.slug).await?;
            let mut found = BTreeMap::new();
            for row in &rows {
                let word = |name: &str| row[name].as_str().unwrap_or("").to_owned();
                *found.entry((word("state"), word("code"))).or_insert(0) += 1;
            }
            let is_there = found.keys().any(|(state, code)| {
                state == peer.state && (code == peer.code || peer.code.is_empty() && !code.is_empty())
            });
            // After a failure a peer is tried more slowly: what has not had its turn has no code yet. And who sends without
            // end on a busy machine may meet the deadline before the cap.
            let is_all = rows.len() == EVENTS
                && found.keys().all(|(state, code)| {
                    let is_late = state == "pending" && code == "dest_timeout";
                    let is_said = state == peer.state && (code == peer.code || peer.code.is_empty());
                    is_said || is_late || (state == "pending" || state == peer.state) && code.is_empty()
                });
            seen.replace(found);
            Ok(is_there && is_all)
        });
        settled.await.with_context(|| format!("{:?}", seen.borrow()))?;
    }
    Ok(())
}
