//! `postback parse`, `postback send` and `import aliases`, by the real program.

use anyhow::{Context, Result};
use crosstally_engine::clock::{Clock as _, SystemClock};
use crosstally_testkit::database::Kind;
use crosstally_testkit::on_both;
use crosstally_testkit::server::{CONFIG, TestServer};
use serde_json::Value;

use crate::commands::program;

on_both! {
    /// As a new user: paste a sample, get a section and a URL, apply it, send one, break it.
    a_pasted_sample_becomes_a_partner_that_takes_calls => parsed;
    /// The exit code says what became of a call; a signature is made as the partner makes it.
    the_exit_code_of_send_says_what_became_of_it => sent;
    /// Aliases come in from a file, over the API: twice is once, bad rows are kept apart.
    aliases_are_imported_from_a_file => imported;
    /// Offline conversions come in from a file: a look first, bad rows kept apart and mended, twice is once.
    conversions_are_imported_from_a_file => offline;
}

/// Runs a command while the server goes on serving.
async fn run(server: &TestServer, arguments: &[&str]) -> Result<std::process::Output> {
    let arguments: Vec<String> = arguments.iter().map(|&argument| argument.to_owned()).collect();
    let directory = server.database.directory().to_owned();
    let ended = tokio::task::spawn_blocking(move || {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        program().run(&arguments, &[], &directory)
    });
    ended.await?
}

fn out(output: &std::process::Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

async fn parsed(kind: Kind) -> Result<()> {
    let server = TestServer::ready(kind).await?;
    let base = format!("http://{}", server.tracking);
    let sample = "https://old.example/postback?cid={sub1}&payout={sum}&status={status}&txid={transactionid}";
    let shown = run(&server, &["postback", "parse", sample]).await?;
    assert!(out(&shown).contains("affise") && out(&shown).contains("[[partner]]"), "{}", out(&shown));
    let proposed =
        run(&server, &["--json", "postback", "parse", sample, "--slug", "net", "--base", &base]).await?;
    let proposal: Value = serde_json::from_slice(&proposed.stdout)?;
    let section = proposal["section"].as_str().context("a section")?;
    server.apply(&format!("{CONFIG}\n{section}")).await?;
    let click = server.click("fbclid=1").await?;
    let url = proposal["url"].as_str().context("a URL")?;
    let (path, _) = url.strip_prefix(&base).and_then(|path| path.split_once('?')).context("our own host")?;
    assert_eq!(path, "/postback/net");
    let call = ["sub1", "sum", "currency", "status", "transactionid", "goal", "timestamp"];
    let values = [&click, "12.50", "EUR", "1", "a1", "sale", "1795255000"];
    let filled = call
        .iter()
        .zip(values)
        .fold(url.to_owned(), |url, (name, value)| url.replace(&format!("{{{name}}}"), value));
    let reply =
        crosstally_testkit::client::get(server.tracking, filled.strip_prefix(&base).context("ours")?).await?;
    assert!(reply.text().contains("recorded"), "{}", reply.text());
    let nothing = run(&server, &["postback", "parse", "hello"]).await?;
    assert_eq!(nothing.status.code(), Some(2));
    server.stop().await;
    Ok(())
}

async fn sent(kind: Kind) -> Result<()> {
    let server = TestServer::ready(kind).await?;
    let signed = "[[partner]]\nslug = \"signed\"\nauth = { hmac = { env = \"ACME_TOKEN\" } }\n";
    server.apply(&format!("{CONFIG}\n{signed}")).await?;
    let click = server.click("fbclid=1").await?;
    let base = format!("http://{}", server.tracking);
    let body = server.database.directory().join("body.json");
    std::fs::write(&body, r#"{"transaction_id":"j1","payout":7}"#)?;
    let body = body.display().to_string();
    for (partner, more, code, said) in [
        ("acme", &["--click", &click, "transaction_id=s 1&x", "payout=12.50"][..], 0, "recorded"),
        (
            "acme",
            &["--click", &click, "transaction_id=s 1&x", "payout=12.50", "--method", "post"],
            0,
            "duplicate",
        ),
        ("acme", &["--click", &click, "--json-body", &body], 0, "recorded"),
        ("acme", &["--click", &click, "payout={payout}"], 5, "macro_unresolved"),
        ("acme", &["--click", &click, "payout=ten"], 6, "amount_not_a_number"),
        ("nobody", &["payout=1"], 3, "unknown_partner"),
        ("signed", &["--click", &click, "payout=1"], 4, "signature_missing"),
        ("acme", &["payout"], 2, ""),
    ] {
        let command = [&["postback", "send", "--url", &base, "--partner", partner][..], more].concat();
        let output = run(&server, &command).await?;
        let text = format!("{}{}", out(&output), String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(code), "{command:?}: {text}");
        assert!(out(&output).contains(said), "{command:?}: {text}");
    }
    // The command signs by the real clock, so that the server's must be near it.
    server.advance(SystemClock.now().millis_since(server.clock.now()));
    let secret = server.database.directory().join("secret");
    std::fs::write(&secret, "acme-secret\n")?;
    let secret = secret.display().to_string();
    for (file, code, said) in [(secret.as_str(), 0, "recorded"), (&body, 4, "signature_wrong")] {
        let command =
            ["postback", "send", "--url", &base, "--partner", "signed", "--sign", "--secret-file", file];
        let output =
            run(&server, &[&command[..], &["--", &format!("click_id={click}"), "payout=1"]].concat()).await?;
        let text = format!("{}{}", out(&output), String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(code), "{text}");
        assert!(text.contains(said), "{text}");
    }
    let trace = server.api("/api/v1/trace/s%201%26x").await?;
    assert!(trace.to_string().contains(&click), "{trace}");
    server.stop().await;
    Ok(())
}

async fn imported(kind: Kind) -> Result<()> {
    let server = TestServer::ready(kind).await?;
    let click = server.click("fbclid=1").await?;
    let file = server.database.directory().join("old.csv");
    let many: String = (0..1_500).map(|at| format!("old-{at},{click}\r\n")).collect();
    std::fs::write(
        &file,
        format!(
            "alias,click_id\n{many}\n\"with,comma\",{click}\nx,not-ours\nthree,of,them\n=1+1,@not-ours\n"
        ),
    )?;
    let (name, admin) = (file.display().to_string(), format!("http://{}", server.admin));
    let command = ["--json", "import", "aliases", &name, "--url", &admin, "--token", &server.token];
    for (more, added, known) in [(&["--dry-run"][..], 1_501, 0), (&[], 1_501, 0), (&[], 0, 1_501)] {
        let output = run(&server, &[&command[..], more].concat()).await?;
        let text = format!("{}{}", out(&output), String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(5), "{text}");
        let sums: Value = serde_json::from_slice(&output.stdout).context(text)?;
        let expected = serde_json::json!({ "rows": 1_504, "added": added, "known": known, "rejected": 3 });
        assert_eq!(sums, expected, "{more:?}");
    }
    let rejected = std::fs::read_to_string(format!("{name}.rejected.csv"))?;
    assert!(
        rejected.contains("x,not-ours,\"line 1504: ") && rejected.contains("three,of,them,"),
        "{rejected}"
    );
    assert!(
        rejected.contains("\n'=1+1,'@not-ours,\"line 1506: "),
        "what a spreadsheet would run is text: {rejected}"
    );
    let reply = server.postback("click_id=old-1499&payout=3").await?;
    assert!(reply.text().contains("recorded"), "{}", reply.text());
    server.stop().await;
    Ok(())
}

async fn offline(kind: Kind) -> Result<()> {
    let server = TestServer::ready(kind).await?;
    let click = server.click("fbclid=1").await?;
    let file = server.database.directory().join("crm.csv");
    let good: String =
        (0..450).map(|at| format!("{click},D-{at},approved,1.00,2026-11-20 10:00:00\r\n")).collect();
    let bad = format!("{click},-2+3,paid,1.00,\n{click},D-y,approved,\"1,50\",\n,,,,\n,,approved,1.00,\n");
    std::fs::write(&file, format!("\u{feff}Voucher,deal,status,payout,event_time\n{good}{bad}"))?;
    let (name, admin) = (file.display().to_string(), format!("http://{}", server.admin));
    let command = [
        "--json",
        "import",
        "csv",
        &name,
        "--partner",
        "acme",
        "--map",
        "click_id=voucher",
        "--map",
        "transaction_id=deal",
        "--url",
        &admin,
        "--token",
        &server.token,
    ];
    for (more, results) in [
        (&["--dry-run"][..], serde_json::json!({ "recorded": 450, "refused": 2, "quarantined": 1 })),
        (&[], serde_json::json!({ "recorded": 450, "refused": 2, "quarantined": 1 })),
        (&[], serde_json::json!({ "duplicate": 450, "refused": 2, "quarantined": 1 })),
        (&["--from-row", "449"], serde_json::json!({ "duplicate": 2, "refused": 2, "quarantined": 1 })),
    ] {
        let output = run(&server, &[&command[..], more].concat()).await?;
        let text = format!("{}{}", out(&output), String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(5), "{text}");
        let told: Value = serde_json::from_slice(&output.stdout).context(text)?;
        assert_eq!(told["results"], results, "{more:?}");
    }
    let rejected = std::fs::read_to_string(format!("{name}.rejected.csv"))?;
    for part in
        ["status_unmapped", "amount_not_a_number", "identity_missing", "Voucher,deal,status", ",'-2+3,paid"]
    {
        assert!(rejected.contains(part), "{part} in {rejected}");
    }
    assert_eq!(server.engine.store.list_conversions(None, 500).await?.len(), 450);
    // The rejected file, mended, is a file like any other.
    std::fs::write(&file, rejected.replace("paid", "approved").replace("\"1,50\"", "1.50"))?;
    let mended = run(&server, &command).await?;
    let told: Value = serde_json::from_slice(&mended.stdout)?;
    assert_eq!(told["results"], serde_json::json!({ "recorded": 2, "refused": 1 }), "{}", out(&mended));
    let twice = [&command[..], &["--map", "event=Deal"]].concat();
    let twice = run(&server, &twice).await?;
    let said = String::from_utf8_lossy(&twice.stderr).into_owned();
    assert!(said.contains("the column `Deal` is used twice"), "{said}");
    let odd = run(
        &server,
        &["import", "csv", &name, "--partner", "nobody", "--url", &admin, "--token", &server.token],
    )
    .await?;
    assert_eq!(odd.status.code(), Some(3), "{}", String::from_utf8_lossy(&odd.stderr));
    server.stop().await;
    Ok(())
}
