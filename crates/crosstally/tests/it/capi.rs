//! `capi validate`, `capi build` and `capi send-test` by the program's own commands, here and on a running server.

use std::process::Output;

use anyhow::Result;
use crosstally_engine::capi::{Build, shown};
use crosstally_testkit::client;
use crosstally_testkit::database::{Database, Kind};
use crosstally_testkit::on_both;
use crosstally_testkit::server::{CONFIG, TestServer};
use serde_json::{Value, json};

use crate::commands::{configure, program};

on_both! {
    /// Everything that is wrong is told at once, of one event and of many, and nothing is sent.
    capi_validate_tells_all_that_is_wrong => validate;
    /// The same of a running server.
    capi_validate_asks_a_running_server => validate_there;
    /// A running server builds what the command builds on its data, and sends nothing.
    capi_build_asks_a_running_server => build_there;
    /// Whoever says --url means the server, whatever variables name as the data; and the other way round.
    a_flag_wins_over_a_variable => flags;
    /// A test is sent with the code, shown without the token, and leaves no delivery; without a code one line says where it is.
    capi_send_test_shows_request_and_answer => send_test;
}

fn good() -> Value {
    json!({
        "event": "Purchase", "event_id": "e1", "value": "12.34", "currency": "USD",
        "event_source_url": "https://shop.example/done",
        "user": {"email": "a@b.example", "client_ip_address": "192.0.2.7", "client_user_agent": "UA"},
    })
}

fn said(output: &Output) -> String {
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    format!("{}{}", text(&output.stdout), text(&output.stderr))
}

/// One good event, one with four faults, one that is no event, one with a value that is of no use.
fn many() -> String {
    let mut left_out = good();
    left_out["user"]["email"] = json!(["a@b.example", "nobody"]);
    let faulty = r#"{"event":"Purchase","event_id":"e2","action_source":"website","user":{"lead_id":"7"},"custom":{"num_items":"many"}}"#;
    format!("{}\n{faulty}\n\n{{\"event\":\"\"}}\n{left_out}\n", good())
}

async fn validate(kind: Kind) -> Result<()> {
    let database = Database::fresh(kind).await?;
    // Nobody listens there: whoever sends, fails.
    configure(&database, "127.0.0.1:9".parse()?)?;
    let ask = |input: &str, more: &[&str]| {
        let words = [&["capi", "validate", "--destination", "meta-main"], more].concat();
        program().run_with(input, &words, &database.flags(), database.directory())
    };
    let output = ask(&good().to_string(), &[])?;
    assert!(output.status.success(), "{}", said(&output));
    assert!(said(&output).contains("1 of 1 would be sent to meta-main"), "{}", said(&output));
    let output = ask(&many(), &["--json"])?;
    assert_eq!(output.status.code(), Some(6), "{}", said(&output));
    let told: Value = serde_json::from_slice(&output.stdout)?;
    assert_eq!(told["summary"], json!({"events": 4, "valid": 2, "refused": 2}));
    let of = |at: usize| -> Vec<(&str, bool)> {
        let findings = told["data"][at]["findings"].as_array().into_iter().flatten();
        findings.map(|one| (one["at"].as_str().unwrap(), one["refuses"].as_bool().unwrap())).collect()
    };
    assert_eq!(of(0), []);
    for place in
        ["/event_source_url", "/user/client_user_agent", "/user/lead_id", "/value", "/custom/num_items"]
    {
        assert!(of(1).contains(&(place, true)), "{place}: {told}");
    }
    assert_eq!(of(2), [("/event", true)]);
    assert_eq!(of(3), [("/user/email", false)]);
    let lines: Vec<&Value> = told["data"].as_array().into_iter().flatten().map(|one| &one["line"]).collect();
    assert_eq!(lines, [1, 2, 4, 5]);
    for finding in told["data"][1]["findings"].as_array().into_iter().flatten() {
        assert!(
            !finding["problem"].as_str().unwrap().is_empty() && !finding["fix"].as_str().unwrap().is_empty()
        );
    }
    let output = ask(&good().to_string(), &["--destination", "meta-other"])?;
    assert!(!output.status.success());
    let words = ["capi", "validate", "--destination", "meta-other"];
    let output = program().run_with(&many(), &words, &database.flags(), database.directory())?;
    assert!(
        output.status.code() == Some(3) && said(&output).contains("known: meta-main"),
        "{}",
        said(&output)
    );
    let output = ask(" \n", &[])?;
    assert!(output.status.code() == Some(2) && said(&output).contains("no event"), "{}", said(&output));
    Ok(())
}

fn there(server: &TestServer) -> [String; 4] {
    ["--url".to_owned(), format!("http://{}", server.admin), "--token".to_owned(), server.token.clone()]
}

async fn validate_there(kind: Kind) -> Result<()> {
    let server = TestServer::ready(kind).await?;
    let directory = server.database.directory().to_owned();
    let flags = there(&server);
    let words = ["capi", "validate", "--destination", "meta-main"];
    let output = tokio::task::spawn_blocking(move || program().run_with(&many(), &words, &flags, &directory))
        .await??;
    let text = said(&output);
    assert_eq!(output.status.code(), Some(6), "{text}");
    assert!(text.contains("line 2: Purchase e2 would not be sent"), "{text}");
    assert!(
        text.contains(
            "/user/client_user_agent: client_user_agent is required for a website event\n    fix: add it"
        ),
        "{text}"
    );
    assert!(text.contains("2 of 4 would be sent to meta-main, 2 would not"), "{text}");
    server.stop().await;
    Ok(())
}

async fn build_there(kind: Kind) -> Result<()> {
    let server = TestServer::ready(kind).await?;
    let directory = server.database.directory().to_owned();
    let ask = async |words: &[&str], event: &Value| -> Result<Output> {
        let words: Vec<String> =
            ["capi", "build"].iter().chain(words).map(|word| (*word).to_owned()).collect();
        let (flags, directory, event) = (there(&server), directory.clone(), event.to_string());
        let run = move || {
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            program().run_with(&event, &words, &flags, &directory)
        };
        tokio::task::spawn_blocking(run).await?
    };
    let mut event = good();
    event["user"]["email"] = json!(["a@b.example", "nobody"]);
    let output = ask(&["--destination", "meta-main"], &event).await?;
    assert!(output.status.success(), "{}", said(&output));
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(stderr.contains("left out: /user/email") && !stderr.contains("nobody"), "{stderr}");
    let request: Value = serde_json::from_slice(&output.stdout)?;
    assert_eq!((&request["method"], &request["body"]["data"][0]["event_id"]), (&json!("POST"), &json!("e1")));
    let em = &request["body"]["data"][0]["user_data"]["em"];
    assert_eq!(em, &json!([crosstally_core::identity::sha256_hex("a@b.example")]), "{request}");
    // Built on the data by the program itself, it is the same.
    let Build::Request(here, _) = server.engine.build_request("meta-main", event.to_string().as_bytes())
    else {
        anyhow::bail!("no request")
    };
    assert_eq!(without_time(shown(&here)), without_time(request));
    let output = ask(&["--destination", "meta-main"], &json!({"event": ""})).await?;
    assert!(output.status.code() == Some(6) && said(&output).contains("/event"), "{}", said(&output));
    assert_eq!(ask(&["--destination", "meta-other"], &event).await?.status.code(), Some(3));
    let output = ask(&["--destination", "meta-main", "--config", "some.toml"], &event).await?;
    assert!(
        output.status.code() == Some(2) && said(&output).contains("--config is read here"),
        "{}",
        said(&output)
    );
    assert_eq!(server.accepted().await?.len(), 0);
    server.stop().await;
    Ok(())
}

/// An event that says no time of its own has the present one.
fn without_time(mut request: Value) -> Value {
    request["body"]["data"][0]["event_time"].take();
    request
}

async fn flags(kind: Kind) -> Result<()> {
    let server = TestServer::ready(kind).await?;
    let [url, address, token, secret] = there(&server);
    let database = Database::fresh(kind).await?;
    configure(&database, "127.0.0.1:9".parse()?)?;
    let (here, directory) = (database.flags(), database.directory().to_owned());
    let nowhere = directory.join("nowhere").display().to_string();
    let ask = async |variables: &[(&str, &str)], flags: &[String]| -> Result<Output> {
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let asking = program().with_environment(variables.collect());
        let (flags, directory) = (flags.to_vec(), directory.clone());
        let run = move || asking.run_with("", &["destinations", "list"], &flags, &directory);
        tokio::task::spawn_blocking(run).await?
    };
    let to_server = [url, address.clone(), token, secret.clone()];
    let output = ask(&[("CROSSTALLY_DATA", &nowhere)], &to_server).await?;
    assert!(output.status.success() && said(&output).contains("meta-main"), "{}", said(&output));
    let output = ask(&[("CROSSTALLY_URL", "http://127.0.0.1:9"), ("CROSSTALLY_TOKEN", "x")], &here).await?;
    assert!(output.status.success() && said(&output).contains("meta-main"), "{}", said(&output));
    let both =
        [("CROSSTALLY_URL", address.as_str()), ("CROSSTALLY_DATA", &nowhere), ("CROSSTALLY_TOKEN", &secret)];
    let output = ask(&both, &[]).await?;
    assert!(
        output.status.code() == Some(2) && said(&output).contains("CROSSTALLY_DATA"),
        "{}",
        said(&output)
    );
    let output = ask(&[], &[&to_server[..], &here].concat()).await?;
    assert!(output.status.code() == Some(2) && said(&output).contains("leave one"), "{}", said(&output));
    // A document is read here, whatever a variable says of a server.
    let document = directory.join("tried.toml");
    std::fs::write(&document, CONFIG)?;
    let document = document.display().to_string();
    let variables = both.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let built = tokio::task::spawn_blocking(move || {
        let asking = program()
            .with_environment(variables.into_iter().filter(|(name, _)| name != "CROSSTALLY_DATA").collect());
        let words = ["capi", "build", "--destination", "meta-main", "--config", &document];
        asking.run_with(&good().to_string(), &words, &here, &directory)
    });
    let output = built.await??;
    assert!(output.status.success() && said(&output).contains("\"method\""), "{}", said(&output));
    server.stop().await;
    Ok(())
}

async fn send_test(kind: Kind) -> Result<()> {
    let database = Database::fresh(kind).await?;
    let directory = database.directory();
    let sandbox = program().sandbox(directory).await?;
    configure(&database, sandbox.address)?;
    let ask = |more: &[&str]| {
        let words = [&["capi", "send-test", "--destination", "meta-main"], more].concat();
        program().run_with(&good().to_string(), &words, &database.flags(), directory)
    };
    let output = ask(&[])?;
    let text = said(&output);
    assert_eq!(output.status.code(), Some(6), "{text}");
    assert!(
        text.contains("nothing was sent") && text.contains("Test Events and give it with --code"),
        "{text}"
    );
    let output = ask(&["--code", "TEST 1"])?;
    assert!(
        output.status.code() == Some(6) && said(&output).contains("is not a test code"),
        "{}",
        said(&output)
    );
    let output = ask(&["--code", "TEST42"])?;
    let text = said(&output);
    assert!(output.status.success(), "{text}");
    for part in
        ["\"test_event_code\": \"TEST42\"", "counts all the same", "answer 200", "events_received", "taken: "]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains("tok-good"), "{text}");
    let list = client::get(sandbox.address, "/_sandbox/events").await?.json()?;
    assert_eq!(list.pointer("/data/0/test_event_code").and_then(Value::as_str), Some("TEST42"), "{list}");
    let output = program().run(&["deliveries", "list", "--json"], &database.flags(), directory)?;
    assert_eq!(serde_json::from_slice::<Value>(&output.stdout)?, json!([]));
    Ok(())
}
