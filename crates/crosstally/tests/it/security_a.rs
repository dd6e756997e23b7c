//! No call goes where it must not: the lines A1 to A13 of the security checklist (A12 apart, in `security_a12`), on save, on send and on replay.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result};
use crosstally_core::reason::Reason;
use crosstally_destinations::dialect::Request;
use crosstally_engine::http_out::SendOptions;
use crosstally_testkit::client;
use crosstally_testkit::database::Kind;
use crosstally_testkit::on_both;
use crosstally_testkit::server::{CONFIG, TestServer};
use crosstally_testkit::spellings::forbidden_hosts;
use serde_json::{Value, json};
use tokio::net::TcpListener;

on_both! {
    /// A1, A2, A3, A10: this machine and private networks, however they are written, are refused when they are saved.
    a1_private_hosts_are_refused_at_save => refused_at_save;
    /// A13: five hundred spellings and more: none opens a socket when something is sent there.
    a13_no_spelling_opens_a_socket => refused_at_send;
    /// A6: a redirect is not followed, wherever it leads; the attempt failed and says where it would have gone.
    a6_redirects_are_not_followed => redirects;
    /// A7: what parsers read in two ways is read in one, or refused.
    a7_one_reading_of_every_url => one_reading;
    /// A8: ports and schemes that do not speak HTTP to strangers.
    a8_ports_and_schemes => ports_and_schemes;
    /// A9: a proxy in the environment is not asked.
    a9_no_proxy_of_the_environment => no_proxy;
    /// A11: a macro cannot choose the host, and what it puts into the path cannot leave it.
    a11_macros_stay_behind_the_host => macros;
    /// A13 for replays: a destination that may no longer call a private address does not do it for an old delivery either.
    a13_replays_ask_again => replayed;
}

/// A listener that counts who connects.
pub(crate) struct Trap {
    pub(crate) address: SocketAddr,
    connections: Arc<AtomicU64>,
}

#[expect(clippy::disallowed_methods, reason = "a trap listens on a task of its own")]
impl Trap {
    pub(crate) async fn set() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let (address, connections) = (listener.local_addr()?, Arc::new(AtomicU64::new(0)));
        let counted = Arc::clone(&connections);
        tokio::task::spawn(async move {
            while listener.accept().await.is_ok() {
                counted.fetch_add(1, Ordering::SeqCst);
            }
        });
        Ok(Self { address, connections })
    }

    pub(crate) fn caught(&self) -> u64 {
        self.connections.load(Ordering::SeqCst)
    }
}

fn destination(slug: &str, url: &str) -> String {
    format!("\n[[destination]]\nslug = \"{slug}\"\nkind = \"postback\"\nurl = {}\n", json!(url))
}

async fn check(server: &TestServer, document: &str) -> Result<Value> {
    let request = http::Request::post("/api/v1/config/check")
        .header("authorization", format!("Bearer {}", server.token))
        .header("content-type", "application/toml");
    let body = http_body_util::Full::from(document.to_owned());
    client::send(server.admin, request.body(body)?).await?.json()
}

const WORKSPACE: &str = "[workspace]\nbase_currency = \"USD\"\ntimezone = \"UTC\"\n";

async fn refused_at_save(kind: Kind) -> Result<()> {
    let server = TestServer::start(kind).await?;
    let hosts = forbidden_hosts();
    assert!(hosts.len() >= 500, "{}", hosts.len());
    for some in hosts.chunks(50) {
        let mut document = WORKSPACE.to_owned();
        for (number, host) in some.iter().enumerate() {
            document
                .push_str(&destination(&format!("d{number}"), &format!("http://{host}/p?c={{click_id}}")));
        }
        let found = check(&server, &document).await?;
        let said = found.to_string();
        for (number, host) in some.iter().enumerate() {
            let slug = format!("d{number}");
            assert!(refused(&said, &slug), "{host}: {said}");
        }
    }
    server.stop().await;
    Ok(())
}

/// Whether the answer refuses the URL of this destination.
fn refused(said: &str, slug: &str) -> bool {
    said.contains("invalid_config") && said.contains(&format!("destination[{slug}].url"))
}

pub(crate) fn request(url: &str) -> Request {
    Request {
        method: "POST",
        url: url.into(),
        headers: Vec::new(),
        body: b"{}".to_vec(),
        body_shown: Vec::new(),
        secrets: Vec::new(),
    }
}

async fn reason(server: &TestServer, url: &str) -> Option<Reason> {
    let options = SendOptions { deadline_ms: 2_000, ..SendOptions::default() };
    server.engine.http_out.send(&request(url), options).await.err().map(|error| error.reason)
}

/// Whether nothing was sent, and not because nobody was there.
const fn stopped_before_the_socket(reason: Option<Reason>) -> bool {
    matches!(reason, Some(Reason::AddressForbidden | Reason::DestMisconfigured))
}

async fn refused_at_send(kind: Kind) -> Result<()> {
    let server = TestServer::start(kind).await?;
    let trap = Trap::set().await?;
    let port = trap.address.port();
    for host in forbidden_hosts() {
        for url in [format!("http://{host}:{port}/"), format!("https://{host}/latest/meta-data")] {
            let reason = reason(&server, &url).await;
            assert!(stopped_before_the_socket(reason), "{url}: {reason:?}");
        }
    }
    assert_eq!(trap.caught(), 0);
    server.stop().await;
    Ok(())
}

async fn redirects(kind: Kind) -> Result<()> {
    let server = TestServer::ready(kind).await?;
    let trap = Trap::set().await?;
    let own = server.sandbox;
    for location in [
        format!("http://{}/", trap.address),
        "http://169.254.169.254/latest/meta-data".to_owned(),
        format!("http://{own}/v26.0/1234567890/events"),
    ] {
        server.fault(&json!({"kind": "redirect", "location": location, "times": 1})).await?;
        let click = server.click("fbclid=AbC").await?;
        server.postback(&format!("click_id={click}&tid={}&payout=1", location.len())).await?;
        server.deliver().await?;
        let list = server.api("/api/v1/deliveries?limit=1").await?;
        let row = list.pointer("/data/0").context("a delivery")?;
        assert_eq!(row["code"], "dest_redirected", "{row}");
        assert!(row["detail"].as_str().is_some_and(|detail| detail.contains("redirect to")), "{row}");
    }
    assert_eq!((trap.caught(), server.accepted().await?.len()), (0, 0));
    server.stop().await;
    Ok(())
}

async fn one_reading(kind: Kind) -> Result<()> {
    let server = TestServer::start(kind).await?;
    let trap = Trap::set().await?;
    let address = trap.address;
    for url in [
        format!("http://public.example@{address}/"),
        format!("http://user:pw@{address}/"),
        format!("http://{address}\\@public.example/"),
        format!("http://{address}#@public.example/"),
        format!("http://{address}%2f@public.example/"),
        format!("http://127.0.0.1\t:{}/", address.port()),
        format!("http://127.0.0.1\r\n:{}/", address.port()),
        format!("http:/\\{address}/"),
        format!("http:{address}/"),
        format!("http:///{address}/"),
        format!("http://127.0.0.1%00.public.example:{}/", address.port()),
        format!("http://[fe80::1%25lo]:{}/", address.port()),
        format!("http://[::1]\u{3002}:{}/", address.port()),
        format!("http://{}:{}/", "127\u{3002}0\u{ff0e}0\u{ff61}1", address.port()),
    ] {
        let reason = reason(&server, &url).await;
        assert!(stopped_before_the_socket(reason), "{url:?}: {reason:?}");
        let found = check(&server, &format!("{WORKSPACE}{}", destination("odd", &url))).await?;
        assert!(refused(&found.to_string(), "odd"), "{url:?}: {found}");
    }
    assert_eq!(trap.caught(), 0);
    server.stop().await;
    Ok(())
}

async fn ports_and_schemes(kind: Kind) -> Result<()> {
    let server = TestServer::start(kind).await?;
    for url in [
        "http://public.example:22/",
        "http://public.example:25/",
        "http://public.example:6379/",
        "http://public.example:0/",
        "http://public.example:65536/",
        "file:///etc/passwd",
        "gopher://public.example/",
        "ftp://public.example/",
        "data:text/plain,x",
        "javascript:alert(1)",
    ] {
        let reason = reason(&server, url).await;
        assert!(stopped_before_the_socket(reason), "{url}: {reason:?}");
    }
    for url in [
        "http://public.example:65536/",
        "file:///etc/passwd",
        "gopher://public.example/",
        "ftp://public.example/",
    ] {
        let found = check(&server, &format!("{WORKSPACE}{}", destination("odd", url))).await?;
        assert!(refused(&found.to_string(), "odd"), "{url}: {found}");
    }
    server.stop().await;
    Ok(())
}

/// The environment belongs to the whole process, so the real program is asked, with a proxy set that is a trap.
async fn no_proxy(kind: Kind) -> Result<()> {
    let trap = Trap::set().await?;
    let server = TestServer::ready(kind).await?;
    let proxy = format!("http://{}", trap.address);
    let url = format!("http://{}", server.tracking);
    let ask = move || {
        std::process::Command::new(env!("CARGO_BIN_EXE_crosstally"))
            .args(["postback", "send", "--url", &url, "--partner", "acme", "--json", "tid=1", "payout=1"])
            .envs(["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"].map(|name| (name, &proxy)))
            .output()
    };
    let asked = tokio::task::spawn_blocking(ask).await??;
    let said = String::from_utf8_lossy(&asked.stdout).into_owned() + &String::from_utf8_lossy(&asked.stderr);
    assert!(said.contains("rcp_"), "the call went where it was sent: {said}");
    assert_eq!(trap.caught(), 0, "{said}");
    server.stop().await;
    Ok(())
}

async fn macros(kind: Kind) -> Result<()> {
    let server = TestServer::start(kind).await?;
    for url in [
        "https://{sub1}.public.example/",
        "https://{sub1}/",
        "{sub1}://public.example/",
        "https://public.example:{sub1}/",
    ] {
        let found = check(&server, &format!("{WORKSPACE}{}", destination("odd", url))).await?;
        assert!(refused(&found.to_string(), "odd"), "{url}: {found}");
    }
    // A value that would like to be a host, a path or a further parameter stays one value.
    let partner = destination("partner", &format!("http://{}/pb/{{sub1}}?x={{sub1}}", server.sandbox));
    let document = CONFIG.replace("[[goal]]", &format!("{partner}allow_private = true\n\n[[goal]]"));
    server.apply(&document.replace("[\"meta-main\"]", "[\"partner\"]")).await?;
    let click =
        server.click("sub1=..%2f..%2f%40evil.example%2f%3fa%3d1%26b%3d2%23%0d%0aHost%3a%20evil").await?;
    server.postback(&format!("click_id={click}&tid=1&payout=1")).await?;
    server.deliver().await?;
    let list = server.api("/api/v1/deliveries?limit=1").await?;
    let id = list.pointer("/data/0/id").and_then(Value::as_str).context("a delivery")?;
    let attempts = server.api(&format!("/api/v1/deliveries/{id}/attempts")).await?;
    let url = attempts.pointer("/data/0/url").and_then(Value::as_str).context("a call")?;
    let rest = url.strip_prefix(&format!("http://{}/pb/", server.sandbox)).context(url.to_owned())?;
    let value = "..%2F..%2F%40evil.example%2F%3Fa%3D1%26b%3D2%23";
    assert!(rest.starts_with(value) && rest.matches('?').count() == 1, "{url}");
    assert!(!rest.contains(['\r', '\n', '#', '@', ' ']), "{url}");
    server.stop().await;
    Ok(())
}

async fn replayed(kind: Kind) -> Result<()> {
    let server = TestServer::start(kind).await?;
    // The name is public by its spelling and this machine's own by its address, as a name server could make it.
    let name = local_name().context("a name of this machine that is not localhost")?;
    let trap = Trap::set().await?;
    let partner = destination("partner", &format!("http://{name}:{}/pb?x={{click_id}}", trap.address.port()));
    let document = CONFIG.replace("[[goal]]", &format!("{partner}\n[[goal]]"));
    server.apply(&document.replace("[\"meta-main\"]", "[\"partner\"]")).await?;
    let click = server.click("sub1=a").await?;
    server.postback(&format!("click_id={click}&tid=1&payout=1")).await?;
    server.deliver().await?;
    let row = server.api("/api/v1/deliveries?limit=1").await?;
    let before = row.pointer("/data/0").context("a delivery")?.clone();
    assert_eq!(before["code"], "address_forbidden", "{before}");
    // By hand and by a job: the same answer, and nobody was called.
    for path in
        ["/api/v1/destinations/partner/resume", "/api/v1/deliveries/retry", "/api/v1/deliveries/replay"]
    {
        let body = match path {
            "/api/v1/deliveries/retry" => json!({"destination": "partner"}),
            "/api/v1/deliveries/replay" => {
                json!({"destination": "partner", "states": ["dead", "expired", "delivered"], "apply": true})
            }
            _ => json!({}),
        };
        let request = http::Request::post(path)
            .header("authorization", format!("Bearer {}", server.token))
            .header("content-type", "application/json");
        let reply =
            client::send(server.admin, request.body(http_body_util::Full::from(body.to_string()))?).await?;
        assert_eq!(reply.status, 200, "{path}: {}", reply.text());
        server.engine.work_on_jobs().await?;
        server.advance(60_000);
        server.deliver().await?;
        let row = server.api("/api/v1/deliveries?limit=1").await?;
        assert_eq!(row.pointer("/data/0/code"), Some(&json!("address_forbidden")), "{path}: {row}");
    }
    assert_eq!(trap.caught(), 0);
    server.stop().await;
    Ok(())
}

/// A name of this machine's own that the resolver knows and that is not `localhost`: by its spelling a public one, by all
/// its addresses none.
pub(crate) fn local_name() -> Option<String> {
    use std::net::ToSocketAddrs as _;
    let hosts = std::fs::read_to_string("/etc/hosts").unwrap_or_default();
    let names = hosts
        .lines()
        .filter_map(|line| line.split('#').next())
        .flat_map(|line| line.split_whitespace().skip(1).map(str::to_owned).collect::<Vec<_>>());
    let is_private = |address: SocketAddr| crosstally_core::address::forbidden(address.ip()).is_some();
    names
        .filter(|name| !crosstally_core::address::is_this_machine(name))
        .find(|name| (name.as_str(), 80).to_socket_addrs().is_ok_and(|mut found| found.all(is_private)))
}
