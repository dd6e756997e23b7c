//! The tools over the API and by the real program: the same answer from both, each run kept, listed and made again.

use std::net::SocketAddr;
use std::process::Output;

use anyhow::{Context, Result};
use crosstally_testkit::client;
use crosstally_testkit::database::Kind;
use crosstally_testkit::on_both;
use crosstally_testkit::server::{CONFIG, TestServer};
use crosstally_testkit::spellings::forbidden_hosts;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::commands::program;
use crate::guarded::{with_keys, word};
use links::{links, whole_links};

mod links;

on_both! {
    /// One answer from command and API; every run is kept, listed, shown and made again, its secrets masked.
    every_run_is_kept_and_can_be_made_again => runs;
    /// Each tool and page says the same as a command and as a route, good and bad.
    every_tool_says_the_same_as_command_and_as_route => same;
    /// Every hop of a link with what it did to each parameter: kept, renamed, cut, lower-cased, lost; loops, caps, statuses.
    a_link_is_followed_hop_by_hop => redirects;
    /// A1 to A4, A8, A13: no spelling of a private address is asked, at no hop, and only an admin may allow it.
    a13_redirect_check_asks_no_private_address => guarded;
    /// Links are built one by one and from a file; cells stay harmless (line E2).
    e2_links_are_built_from_a_file => links;
    /// A built link is handed out whole, whatever its parameters are called; what is kept and shown to others is masked.
    a_link_is_built_byte_for_byte_and_kept_masked => whole_links;
    /// The postback tester: a template is linted and fired as a delivery would, a wrong token is refused beside the good one.
    a_postback_is_fired_with_its_negative_case => postbacks;
    /// Validations and tests of a destination stand in the same list, contact values in none of it.
    e5_runs_of_the_capi_tester_are_kept_without_contacts => capi;
}

/// Pages that lead on, on a port of their own.
#[expect(clippy::disallowed_methods, reason = "a test's server runs on a task of its own")]
async fn pages(script: fn(&str, SocketAddr) -> String) -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::task::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = vec![0; 16_384];
            let Ok(read) = stream.read(&mut head).await else { continue };
            let text = String::from_utf8_lossy(&head[..read]).into_owned();
            let path = text.split(' ').nth(1).unwrap_or_default().to_owned();
            drop(stream.write_all(script(&path, address).as_bytes()).await);
            drop(stream.shutdown().await);
        }
    });
    Ok(address)
}

fn answer(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n{headers}\r\n{body}", body.len())
}

const ID: &str = "IwAR2F4-dbP0l7Mn1IawQQGCINEz7PYXQvwjNwB_qa2ofrHyiLjcbCRxTDMgk";

fn script(path: &str, own: SocketAddr) -> String {
    let (page, query) = path.split_once('?').unwrap_or((path, ""));
    let to = |place: String| answer("302 Found", &format!("location: {place}\r\n"), "");
    match page {
        "/start" => answer(
            "302 Found",
            &format!(
                "location: /meta?{query}&cid=our-click-1\r\nset-cookie: sid=s3cret-cookie; Path=/; Secure\r\n"
            ),
            "",
        ),
        "/meta" => {
            let page = format!(
                "<meta http-equiv=refresh content=\"0; url=/lower?{}\">",
                query.replace('&', "&amp;")
            );
            answer("200 OK", "content-type: text/html\r\n", &page)
        }
        "/lower" => to(format!("http://{own}/end?{}", query.to_lowercase().replace("utm_source=x&", ""))),
        "/end" => answer("200 OK", "", "<script>location.replace('https://next.example/')</script>"),
        "/loop" => to("/loop".to_owned()),
        "/long" => to(format!("/long?n={}1", query)),
        "/broken" => answer("500 No", "", ""),
        "/nowhere" => answer("302 Found", "", ""),
        "/private" => to("http://169.254.169.254/latest/".to_owned()),
        "/data" => to("data:text/html,hello".to_owned()),
        _ => answer("404 Not Found", "", ""),
    }
}

async fn ask(server: &TestServer, tool: &str, request: &Value) -> Result<Value> {
    let path = format!("/api/v1/tools/{tool}");
    client::post_as(server.admin, &path, &server.token, &request.to_string()).await?.json()
}

pub(crate) fn there(server: &TestServer) -> Vec<String> {
    ["--url".to_owned(), format!("http://{}", server.admin), "--token".to_owned(), server.token.clone()]
        .into()
}

pub(crate) async fn run(server: &TestServer, words: &[&str]) -> Result<Output> {
    let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
    let (flags, directory) = (there(server), server.database.directory().to_owned());
    let ended = tokio::task::spawn_blocking(move || {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        program().run(&words, &flags, &directory)
    });
    ended.await?
}

pub(crate) fn parsed(output: &Output) -> Result<Value> {
    serde_json::from_slice(&output.stdout)
        .with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())
}

/// An answer without what differs from run to run.
fn steady(mut answer: Value) -> Value {
    if let Some(map) = answer.as_object_mut() {
        map.remove("run");
        map.remove("time_ms");
    }
    answer
}

async fn runs(kind: Kind) -> Result<()> {
    let server = TestServer::ready(kind).await?;
    let click = server.click("fbclid=1").await?;
    let url = format!("https://lander.example/p?cid={click}&fbclid={}&token=s3cret-token", ID.to_lowercase());
    let of_api = ask(&server, "click/extract", &json!({ "text": url })).await?;
    // Of two runs within one millisecond nobody can say which was first.
    server.advance(1_000);
    let output = run(&server, &["--json", "click", "extract", &url]).await?;
    assert_eq!(output.status.code(), Some(6), "a harmed id is told by the exit code");
    assert_eq!(steady(parsed(&output)?), steady(of_api.clone()));
    let conditions: Vec<&str> =
        of_api["found"].as_array().into_iter().flatten().map(|found| word(found, "condition")).collect();
    assert_eq!(conditions, ["valid", "lower_cased"], "{of_api}");
    let id = word(&of_api, "run").to_owned();
    let list = server.api("/api/v1/tools/runs?tool=click_extract&limit=1").await?;
    assert_eq!(list["data"].as_array().map(Vec::len), Some(1));
    let next = list["next_cursor"].as_str().context("a cursor")?;
    let list = server.api(&format!("/api/v1/tools/runs?limit=5&cursor={next}")).await?;
    assert_eq!(word(&list["data"][0], "id"), id, "{list}");
    let shown = server.api(&format!("/api/v1/tools/runs/{id}")).await?;
    assert_eq!((word(&shown, "tool"), &shown["ok"]), ("click_extract", &json!(false)));
    assert!(!shown.to_string().contains("s3cret-token"), "{shown}");
    assert!(shown["request"]["text"].as_str().is_some_and(|text| text.contains(&click)), "{shown}");
    // Made again with what was really asked, and kept anew.
    let path = format!("/api/v1/tools/runs/{id}/repeat");
    let again = client::post_as(server.admin, &path, &server.token, "{}").await?.json()?;
    assert_eq!(steady(again.clone()), steady(of_api));
    assert_ne!(word(&again, "run"), id);
    let again = run(&server, &["runs", "repeat", &id]).await?;
    assert!(again.status.success() && word(&parsed(&again)?, "run").starts_with("run_"));
    let listed = run(&server, &["runs", "list"]).await?;
    assert!(String::from_utf8_lossy(&listed.stdout).contains("click_extract"));
    for (path, status) in [("run_00000000000000000000000000", 404), ("nonsense", 404)] {
        let reply =
            client::get_as(server.admin, &format!("/api/v1/tools/runs/{path}"), &server.token).await?;
        assert_eq!(reply.status, status);
    }
    for (tool, body, status) in
        [("click/guess", "{}", 404), ("click/extract", "{}", 400), ("utm/build", "{\"rows\":[]}", 400)]
    {
        let path = format!("/api/v1/tools/{tool}");
        assert_eq!(client::post_as(server.admin, &path, &server.token, body).await?.status, status, "{tool}");
    }
    server.stop().await;
    Ok(())
}

/// An answer without ids and times of runs, and without the platform's id of a call, at any depth.
fn timeless(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let kept = map.iter().filter(|(name, _)| !["run", "time_ms"].contains(&name.as_str()));
            Value::Object(kept.map(|(name, value)| (name.clone(), timeless(value))).collect())
        }
        Value::Array(list) => Value::Array(list.iter().map(timeless).collect()),
        Value::String(text) => Value::from(text.split("fbtrace_id").next()),
        other => other.clone(),
    }
}

async fn same(kind: Kind) -> Result<()> {
    let server = TestServer::ready(kind).await?;
    let click = server.click("fbclid=1").await?;
    let pages = pages(script).await?;
    let (start, looped) = (format!("http://{pages}/start?fbclid={ID}"), format!("http://{pages}/loop"));
    let template = format!("http://{}/partner/any/?c={{click_id}}", server.sandbox);
    let wrong = "https://{sub1}.example/?c={click_id}";
    let page = "https://shop.example/p?a=1?b=2";
    for (words, tool, request) in [
        (vec!["click", "extract", &click], "click/extract", json!({ "text": click })),
        (vec!["click", "extract", "nothing here"], "click/extract", json!({ "text": "nothing here" })),
        (
            vec!["utm", "build", page, "--preset", "taboola", "--param", "x=a b"],
            "utm/build",
            json!({ "rows": [{ "url": page, "preset": "taboola", "params": [["x", "a b"]] }] }),
        ),
        (vec!["utm", "build", "ftp://x/"], "utm/build", json!({ "rows": [{ "url": "ftp://x/" }] })),
        (
            vec!["redirect", "check", &start, "--hops", "3", "--allow-private"],
            "redirect/check",
            json!({ "url": start, "hops_max": 3, "allow_private": true }),
        ),
        (vec!["redirect", "check", &looped], "redirect/check", json!({ "url": looped })),
        (
            vec!["postback", "send", "--template", &template, "--allow-private", "click_id=k1"],
            "postback/send",
            json!({ "template": template, "params": [["click_id", "k1"]], "allow_private": true }),
        ),
        (vec!["postback", "send", "--template", wrong], "postback/send", json!({ "template": wrong })),
    ] {
        let of_api = ask(&server, tool, &request).await?;
        assert!(of_api["ok"].is_boolean(), "{tool}: {of_api}");
        let words: Vec<&str> = ["--json"].into_iter().chain(words).collect();
        let output = if tool == "postback/send" {
            let (words, directory) = (
                words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>(),
                server.database.directory().to_owned(),
            );
            tokio::task::spawn_blocking(move || {
                let words: Vec<&str> = words.iter().map(String::as_str).collect();
                program().run(&words, &[], &directory)
            })
            .await??
        } else {
            run(&server, &words).await?
        };
        assert_eq!(timeless(&parsed(&output)?), timeless(&of_api), "{words:?}");
        let expected = if of_api["ok"] == json!(true) { Some(0) } else { Some(6) };
        assert_eq!(output.status.code(), expected, "{words:?}: {of_api}");
    }
    for (words, path) in [
        (vec!["fields"], "/api/v1/fields"),
        (vec!["trace", &click], format!("/api/v1/trace/{click}").as_str()),
        (vec!["hybrid", "counts"], "/api/v1/hybrid/counts"),
    ] {
        let words: Vec<&str> = ["--json"].into_iter().chain(words).collect();
        assert_eq!(parsed(&run(&server, &words).await?)?, server.api(path).await?, "{words:?}");
    }
    let runs = run(&server, &["--json", "runs", "list"]).await?;
    assert_eq!(parsed(&runs)?, server.api("/api/v1/tools/runs").await?["data"]);
    let pack = run(&server, &["evidence", &click, "--out", "-"]).await?;
    let of_api =
        client::get_as(server.admin, &format!("/api/v1/evidence/{click}"), &server.token).await?.text();
    assert_eq!(String::from_utf8_lossy(&pack.stdout), of_api);
    same_for_capi(&server).await?;
    server.stop().await;
    Ok(())
}

/// The CAPI tester reads the event where a command reads.
async fn same_for_capi(server: &TestServer) -> Result<()> {
    let event = json!({ "event": "Purchase", "event_id": "e1", "value": "1.00", "currency": "USD",
        "event_source_url": "https://shop.example/", "user": { "fbp": "fb.1.1795254000000.1098115397", "client_user_agent": "UA" } });
    for (verb, flags, path, input) in [
        ("validate", vec![], "/api/v1/capi/validate?destination=meta-main", event.to_string()),
        (
            "validate",
            vec![],
            "/api/v1/capi/validate?destination=meta-main",
            "{\"event\":\"Purchase\"}".to_owned(),
        ),
        (
            "send-test",
            vec!["--code", "TEST42"],
            "/api/v1/capi/send-test?destination=meta-main&code=TEST42",
            event.to_string(),
        ),
    ] {
        let of_api = client::post_as(server.admin, path, &server.token, &input).await?.json()?;
        let words = ["--json", "capi", verb, "--destination", "meta-main"];
        let words: Vec<String> = words.iter().chain(&flags).map(|&word| word.to_owned()).collect();
        let (flags, directory) = (there(server), server.database.directory().to_owned());
        let ended = tokio::task::spawn_blocking(move || {
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            program().run_with(&input, &words, &flags, &directory)
        });
        assert_eq!(timeless(&parsed(&ended.await??)?), timeless(&of_api), "{verb}");
    }
    Ok(())
}

async fn redirects(kind: Kind) -> Result<()> {
    let server = TestServer::start(kind).await?;
    let pages = pages(script).await?;
    let check = async |path: &str| {
        let url = format!("http://{pages}{path}");
        ask(&server, "redirect/check", &json!({ "url": url, "allow_private": true })).await
    };
    let told = check(&format!("/start?fbclid={ID}&utm_source=x&utm_medium=cpc")).await?;
    let hops = told["hops"].as_array().context("hops")?;
    let by: Vec<&str> = hops.iter().map(|hop| word(hop, "leads_on_by")).collect();
    assert_eq!(by, ["http", "meta_refresh", "http", ""], "{told}");
    let fate = |hop: usize, name: &str| {
        let params = hops[hop]["params"].as_array().into_iter().flatten();
        params.filter(|param| word(param, "name") == name).map(|param| word(param, "fate")).next_back()
    };
    for (name, fates) in [
        ("fbclid", [Some("start"), Some("kept"), Some("kept"), Some("lower_cased")]),
        ("utm_source", [Some("start"), Some("kept"), Some("kept"), Some("lost")]),
        ("utm_medium", [Some("start"), Some("kept"), Some("kept"), Some("kept")]),
        ("cid", [None, Some("added"), Some("kept"), Some("kept")]),
    ] {
        assert_eq!([0, 1, 2, 3].map(|hop| fate(hop, name)), fates, "{name}: {told}");
    }
    assert_eq!(hops[0]["cookies"], json!([{ "name": "sid", "attributes": "Path=/; Secure" }]), "{told}");
    assert!(!told.to_string().contains("s3cret-cookie"), "of a cookie the value is never told");
    let said = told.to_string();
    assert!(said.contains("a script would lead on to https://next.example/"), "{said}");
    assert!(
        said.contains("`fbclid` was made lower-case") && said.contains("`utm_source` was lost"),
        "{said}"
    );
    for (path, code) in [
        ("/loop", "redirect_loop"),
        ("/long", "too_many_hops"),
        ("/broken", "error_status"),
        ("/missing", "error_status"),
        ("/nowhere", "no_location"),
        ("/data", "bad_scheme"),
    ] {
        let told = check(path).await?;
        assert_eq!(word(&told["problems"][0], "code"), code, "{path}: {told}");
        assert_eq!(told["ok"], json!(false));
    }
    let sound = check("/end?utm_source=x").await?;
    assert_eq!((sound["ok"].clone(), sound["problems"].clone()), (json!(true), json!([])), "{sound}");
    server.stop().await;
    Ok(())
}

async fn guarded(kind: Kind) -> Result<()> {
    let server = TestServer::start(kind).await?;
    let pages = pages(script).await?;
    let here = format!("http://{pages}/end");
    let told = ask(&server, "redirect/check", &json!({ "url": here })).await?;
    assert_eq!(word(&told["problems"][0], "code"), "address_forbidden", "{told}");
    // The first hop is allowed here; what it leads to is asked by the same rule, so a second guard is shown apart.
    for host in forbidden_hosts().iter().step_by(7) {
        let told = ask(&server, "redirect/check", &json!({ "url": format!("http://{host}/") })).await?;
        let code = word(&told["problems"][0], "code").to_owned();
        assert!(matches!(code.as_str(), "address_forbidden" | "bad_url" | "unreachable"), "{host}: {told}");
        assert_eq!(told["hops"][0].get("status"), None, "{host}: nothing answered, as nothing was asked");
    }
    for (url, code) in [
        ("http://a.example:22/", "address_forbidden"),
        ("file:///etc/passwd", "bad_url"),
        ("https://name:pass@a.example/", "bad_url"),
    ] {
        let told = ask(&server, "redirect/check", &json!({ "url": url })).await?;
        assert_eq!(word(&told["problems"][0], "code"), code, "{url}: {told}");
        assert!(!told.to_string().contains("pass@"), "{told}");
    }
    // Who may not administrate may not allow it either, nor make such a run again.
    let scopes = ["read".to_owned(), "deliveries:write".to_owned()];
    let weak = server.engine.create_token("weak", &scopes).await?.token;
    let open = json!({ "url": here, "allow_private": true }).to_string();
    let reply = client::post_as(server.admin, "/api/v1/tools/redirect/check", &weak, &open).await?;
    assert_eq!(reply.status, 403, "{}", reply.text());
    let mine =
        client::post_as(server.admin, "/api/v1/tools/redirect/check", &server.token, &open).await?.json()?;
    assert_eq!(mine["ok"], json!(true), "{mine}");
    let path = format!("/api/v1/tools/runs/{}/repeat", word(&mine, "run"));
    assert_eq!(client::post_as(server.admin, &path, &weak, "{}").await?.status, 403);
    let strict = json!({ "url": here }).to_string();
    let reader = server.engine.create_token("reader", &["read".to_owned()]).await?.token;
    let reply = client::post_as(server.admin, "/api/v1/tools/redirect/check", &reader, &strict).await?;
    assert_eq!(reply.status, 403, "a call that leaves the house needs its scope");
    server.stop().await;
    Ok(())
}

async fn postbacks(kind: Kind) -> Result<()> {
    let server = TestServer::ready(kind).await?;
    let keys = "auth = { token = { env = \"ACME_TOKEN\" } }";
    let open = "[[partner]]\nslug = \"open\"\npreset = \"generic\"\ncurrency = \"USD\"\n";
    server.apply(&format!("{}\n{open}", with_keys(keys))).await?;
    assert!(CONFIG.contains("acme"));
    let click = server.click("fbclid=1").await?;
    // A server calls no door of its own (line A12), so that a command knocks, as a partner would.
    let base = format!("http://{}", server.tracking);
    let own = json!({ "url": base, "partner": "acme", "allow_private": true });
    let refused = ask(&server, "postback/send", &own).await?;
    assert!(refused.to_string().contains("leads back to this server"), "{refused}");
    let send = async |partner: &str, token: &str| {
        let words = [
            "--json",
            "postback",
            "send",
            "--url",
            &base,
            "--partner",
            partner,
            "--click",
            &click,
            "--negative",
        ];
        let params =
            [format!("transaction_id={partner}"), "payout=1.50".to_owned(), format!("token={token}")];
        let words: Vec<String> = words.map(str::to_owned).into_iter().chain(params).collect();
        let directory = server.database.directory().to_owned();
        let ended = tokio::task::spawn_blocking(move || {
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            program().run(&words, &[], &directory)
        });
        parsed(&ended.await??)
    };
    let told = send("acme", "acme-secret").await?;
    assert_eq!((word(&told["answer"], "result"), told["ok"].clone()), ("recorded", json!(true)), "{told}");
    assert_eq!(told["negative"]["refused"], json!(true), "{told}");
    assert_eq!(told["negative"]["call"]["status"], json!(401), "{told}");
    assert!(!told.to_string().contains("acme-secret"), "{told}");
    let unguarded = send("open", "anything").await?;
    assert_eq!(unguarded["ok"], json!(false), "{unguarded}");
    assert!(unguarded["problems"].to_string().contains("taken all the same"), "{unguarded}");
    assert_eq!(crate::guarded::conversions(&server).await?, 2, "the wrong call is a repeat of the good one");
    let bad = send("acme", "guess").await?;
    assert!(bad["problems"].to_string().contains("refused"), "{bad}");
    // As a delivery would: the template's macros filled in, its mistakes told before anything is sent.
    let template = format!("http://{}/partner/any/?c={{click_id}}&sum={{payout}}", server.sandbox);
    let request = json!({ "template": template, "params": [["click_id", "k1"], ["payout", "1.5"]], "allow_private": true });
    let told = ask(&server, "postback/send", &request).await?;
    assert!(word(&told, "url").contains("c=k1&sum=1.5"), "{told}");
    let wrong = json!({ "template": "https://{sub1}.example/?c={click_id}" });
    let told = ask(&server, "postback/send", &wrong).await?;
    assert!(told["lints"][0]["is_error"] == json!(true) && told.get("status").is_none(), "{told}");
    server.stop().await;
    Ok(())
}

async fn capi(kind: Kind) -> Result<()> {
    let server = TestServer::ready(kind).await?;
    let with = |user: Value| {
        json!({ "event": "Purchase", "event_id": "e1", "value": "1.00", "currency": "USD",
            "event_source_url": "https://shop.example/", "user": user })
    };
    let contact = with(json!({ "email": "marker@mail.example", "client_user_agent": "UA" }));
    let path = "/api/v1/capi/validate?destination=meta-main";
    let told = client::post_as(server.admin, path, &server.token, &contact.to_string()).await?.json()?;
    let run = server.api(&format!("/api/v1/tools/runs/{}", word(&told, "run"))).await?;
    assert_eq!((word(&run, "tool"), run["repeatable"].clone()), ("capi_validate", json!(false)), "{run}");
    assert!(!run.to_string().contains("marker"), "{run}");
    let again = format!("/api/v1/tools/runs/{}/repeat", word(&told, "run"));
    let reply = client::post_as(server.admin, &again, &server.token, "{}").await?;
    assert!(reply.status == 400 && reply.text().contains("keep_contact"), "{}", reply.text());
    let plain = with(json!({ "fbp": "fb.1.1795254000000.1098115397", "client_user_agent": "UA" }));
    let path = "/api/v1/capi/send-test?destination=meta-main&code=TEST42";
    let told = client::post_as(server.admin, path, &server.token, &plain.to_string()).await?.json()?;
    assert_eq!(told["sent"], json!(true), "{told}");
    let run = server.api(&format!("/api/v1/tools/runs/{}", word(&told, "run"))).await?;
    assert!(!run.to_string().contains("tok-good"), "{run}");
    assert_eq!(run["answer"]["outcome"], told["outcome"]);
    let again = format!("/api/v1/tools/runs/{}/repeat", word(&told, "run"));
    let reply = client::post_as(server.admin, &again, &server.token, "{}").await?.json()?;
    assert_eq!(
        (reply["sent"].clone(), reply["outcome"].clone()),
        (json!(true), told["outcome"].clone()),
        "{reply}"
    );
    server.stop().await;
    Ok(())
}
