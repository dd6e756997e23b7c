//! The lines E2 to E5 of the security checklist: what comes out again, on a terminal, in a browser, in a log.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use crosstally_testkit::database::{Database, Kind};
use crosstally_testkit::process::free_address;
use crosstally_testkit::server::TestServer;
use crosstally_testkit::{client, on_both};

use crate::commands::program;
use crate::guarded::{Call, with_keys, word};

on_both! {
    /// Line E2: there is no CSV of what senders wrote, and JSON gives it back as it came.
    e2_values_that_a_spreadsheet_would_run_come_back_as_json_only => formulas;
    /// Line E3: nothing that a sender wrote moves a terminal's cursor or breaks a line of the log.
    e3_terminals_and_logs_get_no_control_characters => control;
    /// Line E4: a script in every field is text wherever it is shown.
    e4_a_script_in_every_field_is_inert => scripts;
    /// Line E5: planted secrets and contacts are in no log, no metric, no answer and no receipt.
    e5_planted_markers_are_nowhere => markers;
}

const FORMULAS: [&str; 6] = ["=cmd|' /C calc'!A0", "+1+1", "-2+3", "@SUM(A1)", "\tx", "\rx"];

fn escaped(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

async fn formulas(kind: Kind) -> Result<()> {
    let server = TestServer::ready(kind).await?;
    for formula in FORMULAS {
        let click = server.click(&format!("sub1={}", escaped(formula))).await?;
        let path = format!("/api/v1/clicks/{click}");
        let request = http::Request::get(path)
            .header("accept", "text/csv")
            .header("authorization", format!("Bearer {}", server.token));
        let reply = client::send(server.admin, request.body(http_body_util::Full::default())?).await?;
        assert_eq!(reply.header("content-type"), Some("application/json"), "{formula}");
        assert!(reply.text().contains(&escaped(formula)), "as it came: {}", reply.text());
    }
    for path in ["/api/v1/receipts", "/api/v1/conversions", "/api/v1/deliveries"] {
        for asked in [".csv", "?format=csv", "/export"] {
            let reply = client::get_as(server.admin, &format!("{path}{asked}"), &server.token).await?;
            let kind = reply.header("content-type").unwrap_or_default().to_owned();
            assert!(!kind.contains("csv") && !kind.contains("sheet"), "{path}{asked}: {kind}");
        }
    }
    server.stop().await;
    Ok(())
}

/// Signs that act on a terminal, break a line, or turn writing around.
const ACTING: [&str; 7] =
    ["\u{1b}[2J", "\r\nfake: line", "\u{7}", "\u{9b}31m", "\u{2028}", "\u{202e}gpj", "\u{2066}"];

/// The real program with its whole log in a file; killed when it is dropped.
pub(crate) struct Logged {
    child: Child,
    pub(crate) address: std::net::SocketAddr,
    pub(crate) admin: std::net::SocketAddr,
    log: std::path::PathBuf,
}

impl Logged {
    pub(crate) async fn start(database: &Database) -> Result<Self> {
        let log = database.directory().join("log");
        let (address, admin) = (free_address()?, free_address()?);
        let child = Command::new(program().path())
            .arg("serve")
            .args(["--listen", &address.to_string(), "--admin-listen", &admin.to_string()])
            .args(["--trusted-proxies", "127.0.0.1"])
            .args(database.flags())
            .current_dir(database.directory())
            .env("META_TOKEN", "marker-meta-token")
            .env("ACME_TOKEN", "marker-acme-token")
            .env("CROSSTALLY_LOG", "trace")
            .stdin(Stdio::null())
            .stderr(std::fs::File::create(&log)?)
            .spawn()?;
        let logged = Self { child, address, admin, log };
        for _ in 0..3_000 {
            if client::get(address, "/readyz").await.is_ok_and(|reply| reply.status == 200) {
                return Ok(logged);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        bail!("the server was not ready: {}", logged.said()?)
    }

    pub(crate) fn said(&self) -> Result<String> {
        Ok(String::from_utf8_lossy(&std::fs::read(&self.log)?).into_owned())
    }
}

impl Drop for Logged {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn configure(database: &Database, keys: &str) -> Result<()> {
    let file = database.directory().join("config.toml");
    std::fs::write(&file, with_keys(keys).replace("SANDBOX", "127.0.0.1:9"))?;
    let name = file.display().to_string();
    let output = program().run(&["config", "apply", &name], &database.flags(), database.directory())?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

fn assert_harmless(what: &str, text: &str) {
    let acting = text.chars().find(|c| {
        (c.is_control() && *c != '\n')
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    });
    assert_eq!(acting, None, "{what}: {text:?}");
    assert!(!text.lines().any(|line| line.starts_with("fake: line")), "{what}: {text:?}");
}

async fn control(kind: Kind) -> Result<()> {
    let database = Database::fresh(kind).await?;
    configure(&database, "")?;
    let server = Logged::start(&database).await?;
    let mut ids = Vec::new();
    for (number, acting) in ACTING.iter().enumerate() {
        let odd = escaped(acting);
        client::get(server.address, &format!("/c/summer?sub1={odd}&utm_source={odd}")).await?;
        client::get(server.address, &format!("/c/{odd}")).await?;
        client::get(server.address, &format!("/postback/{odd}?tid=1")).await?;
        let call =
            Call::get(&format!("tid=E3{number}&payout=1&sub1={odd}&status={odd}&event_source_url={odd}"));
        let reply = call.send_to(server.address, "acme").await?;
        assert_harmless("answer", &reply.text());
        ids.push(word(&reply.json()?, "receipt").to_owned());
    }
    let mut commands = vec![vec!["receipts", "list"], vec!["deliveries", "list"]];
    commands.extend(ids.iter().map(|id| vec!["trace", id.as_str()]));
    for command in commands {
        let output = program().run(&command, &database.flags(), database.directory())?;
        assert_harmless(&command.join(" "), &String::from_utf8_lossy(&output.stdout));
        assert_harmless(&command.join(" "), &String::from_utf8_lossy(&output.stderr));
    }
    assert_harmless("log", &server.said()?);
    Ok(())
}

async fn scripts(kind: Kind) -> Result<()> {
    let server = TestServer::ready(kind).await?;
    let script = escaped("<script>alert(1)</script><img src=x onerror=alert(1)>");
    let click = server.click(&format!("sub1={script}&fbclid=1")).await?;
    let query = format!(
        "click_id={click}&tid={script}&payout=1&event={script}&event_id={script}&external_id={script}"
    );
    let answer = server.postback(&query).await?;
    let conversion = word(&answer.json()?, "conversion").to_owned();
    assert!(conversion.starts_with("cnv_"), "{}", answer.text());
    for path in [
        "/".to_owned(),
        "/api/v1/receipts".to_owned(),
        "/api/v1/conversions".to_owned(),
        format!("/api/v1/conversions/{conversion}"),
        format!("/api/v1/trace/{click}"),
        format!("/api/v1/trace/{script}"),
        format!("/{script}"),
    ] {
        let reply = client::get_as(server.admin, &path, &server.token).await?;
        let kind = reply.header("content-type").context("a type")?.to_owned();
        assert!(!kind.contains("html") || !reply.text().contains("<script>alert"), "{path}: {kind}");
        assert_eq!(reply.header("x-content-type-options"), Some("nosniff"), "{path}");
        let policy = reply.header("content-security-policy").unwrap_or_default();
        assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{path}: {policy}");
    }
    server.stop().await;
    Ok(())
}

async fn markers(kind: Kind) -> Result<()> {
    let database = Database::fresh(kind).await?;
    configure(&database, "auth = { token = { env = \"ACME_TOKEN\" } }")?;
    let made = program().run(
        &["token", "create", "--name", "test", "--json"],
        &database.flags(),
        database.directory(),
    )?;
    let made: serde_json::Value = serde_json::from_slice(&made.stdout)?;
    let token = word(&made, "token").to_owned();
    assert!(!token.is_empty(), "{made}");
    let server = Logged::start(&database).await?;
    let contacts = "email=marker%40mail.example&phone=%2B16505550199&first_name=Markername";
    let calls = [
        Call::get(&format!("tid=E51&payout=1&token=marker-acme-token&{contacts}")),
        Call::get(&format!("tid=E52&payout=x&token=marker-acme-token&{contacts}")),
        Call::get(&format!("tid=E53&payout=1&token=marker-guess&{contacts}")),
        Call::post(
            "application/json",
            r#"{"tid":"E54","payout":1,"token":"marker-acme-token","email":"marker@mail.example"}"#,
        ),
        Call::post(
            "application/json",
            r#"{"tid":"E55","payout":1,"token":"marker-acme-token","email":"marker@mail.example""#,
        ),
        Call::get("tid=E56&payout=1&sig=marker-signature&password=marker-password"),
    ];
    let mut shown = Vec::new();
    for call in calls {
        let call = call.header("authorization", "Basic marker-authorization");
        let call = call.header("x-forwarded-for", "203.0.113.77").header("cookie", "session=marker-cookie");
        shown.push(("answer", call.send_to(server.address, "acme").await?.text()));
    }
    let list = client::get_as(server.admin, "/api/v1/receipts", &token).await?.text();
    for receipt in list.split("\"rcp_").skip(1).filter_map(|rest| rest.split('"').next()) {
        let path = format!("/api/v1/receipts/rcp_{receipt}");
        shown.push(("receipt", client::get_as(server.admin, &path, &token).await?.text()));
    }
    assert!(shown.len() >= 12, "{list}");
    shown.push(("receipts", list));
    shown.push(("metrics", client::get(server.admin, "/metrics").await?.text()));
    shown.push(("config", client::get_as(server.admin, "/api/v1/config", &token).await?.text()));
    shown.push(("log", server.said()?));
    for (what, text) in &shown {
        for marker in ["marker-", "marker@", "marker%40", "Markername", "6505550199", &token] {
            assert!(!text.contains(marker), "{marker} in the {what}: {text}");
        }
        // Whoever may read receipts sees where a call came from; a log and a metric have no need to.
        if matches!(*what, "log" | "metrics" | "answer") {
            assert!(!text.contains("203.0.113.77"), "an address in the {what}: {text}");
        }
    }
    Ok(())
}
