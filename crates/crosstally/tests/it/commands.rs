//! The README's walk, with the real program.

use std::path::PathBuf;

use anyhow::{Context, Result};
use crosstally_testkit::database::{Database, Kind};
use crosstally_testkit::process::Program;
use crosstally_testkit::server::CONFIG;
use crosstally_testkit::{client, on_both};
use serde_json::Value;

on_both! {
    /// Sandbox, configuration, server, click, postback, delivery, trace: all by the program's own commands.
    the_readmes_walk => walk;
    /// A slip in `--data` makes nothing and says so; a password in `--url` is not repeated.
    a_slip_of_the_pen_makes_no_installation => slips;
    /// Leads without clicks to attribute them to are a mistake in the command line, and nothing is made.
    seeded_leads_need_clicks => seed;
    /// Demo data is not put among real clicks or receipts unless somebody says that it is meant.
    demo_data_stays_away_from_real_data => seed_among_real;
    /// `capi build` prints the request on stdout, what it left out of the event on stderr, and sends nothing.
    capi_build_says_what_it_left_out => capi_build;
}

pub(crate) fn program() -> Program {
    Program::at(PathBuf::from(env!("CARGO_BIN_EXE_crosstally")))
}

/// Writes the configuration for a sandbox and applies it.
pub(crate) fn configure(database: &Database, sandbox: std::net::SocketAddr) -> Result<()> {
    let file = database.directory().join("quickstart.toml");
    std::fs::write(&file, CONFIG.replace("SANDBOX", &sandbox.to_string()))?;
    let name = file.display().to_string();
    let output = program().run(&["config", "apply", &name], &database.flags(), database.directory())?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// Waits, by the real clock, until the sandbox has accepted this many events.
pub(crate) async fn wait_for_events(sandbox: std::net::SocketAddr, count: usize) -> Result<Vec<Value>> {
    for _ in 0..600 {
        let list = client::get(sandbox, "/_sandbox/events").await?.json()?;
        let events = list.get("data").and_then(Value::as_array).cloned().unwrap_or_default();
        if events.len() >= count {
            return Ok(events);
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    anyhow::bail!("the sandbox did not get {count} events in 30 s")
}

async fn walk(kind: Kind) -> Result<()> {
    let database = Database::fresh(kind).await?;
    let directory = database.directory();
    let sandbox = program().sandbox(directory).await?;
    let server = program().serve(&database.flags(), directory).await?;
    // Applied beside the running server: taken up within two seconds.
    configure(&database, sandbox.address)?;
    let mut reply = client::get(server.address, "/c/summer?fbclid=AbC&sub1=x").await?;
    for _ in 0..40 {
        if reply.status == 302 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        reply = client::get(server.address, "/c/summer?fbclid=AbC&sub1=x").await?;
    }
    let location =
        reply.header("location").context("the configuration was not taken up in two seconds")?.to_owned();
    let click =
        location.split("cid=").nth(1).and_then(|rest| rest.split('&').next()).context("no click id")?;
    let path = format!("/postback/acme?click_id={click}&status=approved&payout=12.34&currency=USD");
    let request = http::Request::get(&path).header("user-agent", "partner/1.0");
    let answer =
        client::send(server.address, request.body(http_body_util::Full::default())?).await?.json()?;
    assert_eq!(answer.get("result").and_then(Value::as_str), Some("recorded"), "{answer}");
    let conversion = answer.get("conversion").and_then(Value::as_str).context("no conversion")?;
    // The click had no user agent, which Meta demands of website events: the delivery says so instead of being refused.
    let trace = program().run(&["trace", conversion], &database.flags(), directory)?;
    let told = String::from_utf8_lossy(&trace.stdout);
    assert!(trace.status.success(), "{}", String::from_utf8_lossy(&trace.stderr));
    for word in ["click", "receipt", "ledger", "goals", "event", "delivery", "12.34", "purchase", "AbC"] {
        assert!(told.contains(word), "`{word}` is missing:\n{told}");
    }
    let token = program().run(&["token", "create", "--name", "t", "--json"], &database.flags(), directory)?;
    let token: Value = serde_json::from_slice(&token.stdout)?;
    let token = token.get("token").and_then(Value::as_str).context("no token")?;
    let url = format!("http://{}", server.admin);
    let remote =
        program().run(&["trace", conversion, "--url", &url, "--token", token, "--json"], &[], directory)?;
    let remote: Value = serde_json::from_slice(&remote.stdout)?;
    assert_eq!(remote.pointer("/click/id").and_then(Value::as_str), Some(click));
    let unknown =
        program().run(&["trace", "cnv_00000000000000000000000000"], &database.flags(), directory)?;
    assert_eq!(unknown.status.code(), Some(3));
    server.stop()?;
    Ok(())
}

async fn capi_build(kind: Kind) -> Result<()> {
    let database = Database::fresh(kind).await?;
    let directory = database.directory();
    // Nobody listens there: whoever sends, fails.
    configure(&database, "127.0.0.1:9".parse()?)?;
    let event = serde_json::json!({
        "event": "Purchase", "event_id": "e1", "action_source": "website",
        "event_source_url": "https://shop.example/done",
        "user": {"email": "nobody-at-all", "client_ip_address": "192.0.2.7", "client_user_agent": "UA"},
        "value": "12.34", "currency": "USD"
    });
    let output = program().run_with(
        &event.to_string(),
        &["capi", "build", "--destination", "meta-main"],
        &database.flags(),
        directory,
    )?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stdout));
    assert!(said.contains("/user/email") && !said.contains("nobody"), "{said}");
    let request: Value = serde_json::from_slice(&output.stdout)?;
    assert_eq!(request.pointer("/body/data/0/event_id").and_then(Value::as_str), Some("e1"), "{request}");
    assert_eq!(request.pointer("/body/data/0/user_data/em"), None, "{request}");
    Ok(())
}

async fn seed(kind: Kind) -> Result<()> {
    let database = Database::fresh(kind).await?;
    let words = ["seed", "--campaign", "summer", "--partner", "acme", "--leads", "3", "--clicks", "0"];
    let output = program().run(&words, &database.flags(), database.directory())?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(2) && said.contains("--clicks"), "{said}");
    Ok(())
}

async fn seed_among_real(kind: Kind) -> Result<()> {
    let seeded = |database: &Database, words: &[&str]| -> Result<(Option<i32>, String)> {
        let words = [&["seed", "--campaign", "summer", "--clicks", "3"], words].concat();
        let output = program().run(&words, &database.flags(), database.directory())?;
        let said = [output.stdout, output.stderr].concat();
        Ok((output.status.code(), String::from_utf8_lossy(&said).into_owned()))
    };
    for path in ["/c/summer?fbclid=1", "/postback/acme?tid=1&payout=1"] {
        let database = Database::fresh(kind).await?;
        configure(&database, "127.0.0.1:9".parse()?)?;
        let server = program().serve(&database.flags(), database.directory()).await?;
        client::get(server.address, path).await?;
        server.stop()?;
        for _ in 0..2 {
            let (code, said) = seeded(&database, &[])?;
            assert!(code == Some(6) && said.contains("--force"), "{path}: {said}");
        }
        let (code, said) = seeded(&database, &["--force"])?;
        assert!(code == Some(0) && said.contains("3 clicks stored"), "{path}: {said}");
        assert_eq!(seeded(&database, &[])?.0, Some(6), "once real, always real");
    }
    let database = Database::fresh(kind).await?;
    configure(&database, "127.0.0.1:9".parse()?)?;
    for _ in 0..2 {
        let (code, said) = seeded(&database, &["--partner", "acme", "--leads", "2"])?;
        assert_eq!(code, Some(0), "a directory for demos may be filled again: {said}");
    }
    Ok(())
}

async fn slips(kind: Kind) -> Result<()> {
    let database = Database::fresh(kind).await?;
    let directory = database.directory();
    let flags = ["--data".to_owned(), directory.join("slip").display().to_string()];
    for words in [&["config", "export"][..], &["receipts", "list"], &["token", "list"], &["trace", "order-1"]]
    {
        let output = program().run(words, &flags, directory)?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(3), "{words:?}: {said}");
        assert!(said.contains("slip") && said.contains("--data"), "{said}");
    }
    assert!(!directory.join("slip").try_exists()?, "nothing was made");
    let url = ["--url", "http://u:hidden@127.0.0.1:9", "--token", "ct_x"].map(str::to_owned);
    let output = program().run(&["trace", "order-1"], &url, directory)?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(2) && !said.contains("hidden"), "{said}");
    Ok(())
}
