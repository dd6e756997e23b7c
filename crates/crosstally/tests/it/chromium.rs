//! The script in a real Chromium: a shop and a lander on hosts of their own, the pixel's stub beside the script, and the
//! sandbox as the judge of what counts as one.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use crosstally_testkit::client;
use crosstally_testkit::database::Kind;
use crosstally_testkit::on_both;
use crosstally_testkit::server::TestServer;
use serde_json::{Value, json};

use crate::browser::config;

mod cookies;
mod evidence;
mod visits;

on_both! {
    /// Over the redirect: lander, link to the shop on another domain, purchase. Pixel and postback are one event.
    chromium_redirect_pixel_and_server_are_one => redirect;
    /// Without the redirect: the page asks for its click itself.
    chromium_direct_pixel_and_server_are_one => direct;
    /// With cookies and storage blocked the click travels in the links and forms, from the redirect to the purchase.
    chromium_redirect_with_storage_blocked_is_still_one => blocked;
    /// The same without a redirect: the click that the page had made for itself goes on in its forms.
    chromium_direct_with_storage_blocked_is_still_one => blocked_direct;
}

/// The environment that `cargo xtask test` and `cargo xtask chromium` set.
#[expect(
    clippy::disallowed_methods,
    reason = "the test command hands over its surroundings in the environment"
)]
fn surroundings(name: &str) -> Result<String> {
    std::env::var(name).with_context(|| {
        format!("{name} is not set: run `cargo xtask test`, or `cargo xtask chromium -- CMD`")
    })
}

/// What a run of the browser showed.
struct Run {
    answers: Vec<Value>,
    calls: Vec<Value>,
    requests: Vec<String>,
}

/// A page of the shop's or lander's own: the script with its settings, a stub of the pixel that asks the sandbox like the
/// real one, and what the page does.
fn page(attributes: &str, body: &str) -> String {
    format!(
        r#"<!doctype html><title>page</title>
<script nonce="page">
function fbq(what, name, fields, options) {{
  var query = new URLSearchParams({{ id: "1234567890", ev: name, dl: location.href, eid: options && options.eventID || "" }});
  new Image().src = "http://pixel.example/tr?" + query;
}}
</script>
<script src="http://t.shop.example/t.js" data-campaign="summer" {attributes}></script>
<script src="http://t.shop.example/t.js" data-campaign="summer" {attributes}></script>
{body}"#
    )
}

/// The documented line: the pixel gets the id that the script tells.
const BUY: &str = "fbq('track', 'Purchase', {value: 12.34, currency: 'USD'}, {eventID: crosstally.track('Purchase', \
                   {value: '12.34', currency: 'USD'})})";
/// Until everything that was told has arrived.
const TOLD: &str = "(() => { try { const kept = JSON.parse(localStorage._xt); return kept.c && !(kept.q || []).length } \
                    catch (_) { return !!crosstally.click() } })()";

async fn server(kind: Kind) -> Result<TestServer> {
    let server = TestServer::start(kind).await?;
    server
        .apply(
            &config()
                .replace("https://lander.example/p", "http://lander.example/p")
                .replace("\"shop.co.uk\"]", "\"lander.example\"]"),
        )
        .await?;
    Ok(server)
}

async fn drive(server: &TestServer, plan: Value) -> Result<Run> {
    let mut plan = plan;
    plan["chromium"] = surroundings("CROSSTALLY_TEST_CHROMIUM")?.into();
    plan["hosts"] = json!({"t.shop.example": server.tracking.to_string(), "t.example.co.uk": server.tracking.to_string(),
        "pixel.example": server.sandbox.to_string()});
    let modules = PathBuf::from(surroundings("CROSSTALLY_TEST_WEB")?).join("node_modules");
    let seen = tokio::task::spawn_blocking(move || run(&modules, &plan)).await??;
    let list = |name: &str| seen.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
    let errors = list("errors");
    if !errors.is_empty() {
        bail!("the page has errors: {errors:?}");
    }
    let requests = list("requests").iter().map(|url| text_of(Some(url))).collect();
    Ok(Run { answers: list("answers"), calls: list("calls"), requests })
}

fn run(modules: &std::path::Path, plan: &Value) -> Result<Value> {
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/it/chromium/drive.js");
    let mut node = Command::new("node")
        .arg(script)
        .env("NODE_PATH", modules)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("node cannot be started")?;
    node.stdin.take().context("a pipe")?.write_all(plan.to_string().as_bytes())?;
    let output = node.wait_with_output()?;
    if !output.status.success() {
        bail!("the browser's run failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or("")
}

/// What the sandbox counts of an event: how many it keeps, and how many were the same.
async fn counted(server: &TestServer, name: &str) -> Result<(Vec<Value>, usize)> {
    let of = |rows: Value| -> Vec<Value> {
        let rows = rows.get("data").and_then(Value::as_array).cloned().unwrap_or_default();
        rows.into_iter().filter(|row| row.to_string().contains(&format!("\"{name}\""))).collect()
    };
    let accepted = of(client::get(server.sandbox, "/_sandbox/events").await?.json()?);
    let doubles = of(client::get(server.sandbox, "/_sandbox/duplicates").await?.json()?);
    Ok((accepted, doubles.len()))
}

/// A postback comes for the click; the sandbox has the pixel's event and the server's, and counts one.
async fn is_one(server: &TestServer, click: &str, id: &str) -> Result<()> {
    let reply = server.postback(&format!("click_id={click}&tid=T1&payout=12.34")).await?;
    assert_eq!(text(&reply.json()?, "/result"), "recorded");
    server.deliver().await?;
    let (accepted, doubles) = counted(server, "Purchase").await?;
    assert_eq!((accepted.len(), doubles), (1, 1), "{accepted:?}");
    assert_eq!(text(&accepted[0], "/event/event_id"), id);
    let trace = server.api(&format!("/api/v1/trace/{click}")).await?;
    let sent = trace.pointer("/conversions/0/events/0/event").context("sent")?;
    assert_eq!(text(sent, "/event_id"), id);
    Ok(())
}

fn text_of(answer: Option<&Value>) -> String {
    answer.and_then(Value::as_str).unwrap_or_default().to_owned()
}

async fn redirect(kind: Kind) -> Result<()> {
    let server = server(kind).await?;
    let domains = "data-domains=\"shop.example, lander.example\"";
    let link = r#"<a id="go" href="http://www.shop.example/buy?x=1">go</a>"#;
    let plan = json!({
        "pages": {
            "lander.example": page(domains, link),
            "www.shop.example": page(domains, ""),
        },
        "steps": [
            {"goto": "http://t.shop.example/c/summer?fbclid=IwAR_AbC&sub1=a"},
            {"wait": TOLD},
            {"eval": "crosstally.click()"},
            {"eval": "crosstally.id()"},
            {"follow": "#go"},
            {"wait": TOLD},
            {"eval": "crosstally.click()"},
            {"eval": format!("{BUY}; crosstally.id('Purchase')")},
            {"wait": TOLD},
            {"cookies": "http://www.shop.example/"},
        ],
    });
    let run = drive(&server, plan).await?;
    let [click, _, went, there, id, cookies] = &run.answers[..] else { bail!("{:?}", run.answers) };
    assert_eq!(click, there, "the click crosses the domains");
    assert!(text_of(Some(went)).contains(&format!("x=1&click_id={}", text_of(Some(click)))), "{went}");
    assert!(
        text(cookies, "/_xt").starts_with(&format!(".shop.example {}", text_of(Some(click)))),
        "{cookies}"
    );
    assert!(text(cookies, "/_fbp").starts_with(".shop.example fb.1."), "{cookies}");
    is_one(&server, &text_of(Some(click)), &text_of(Some(id))).await?;
    let trace = server.api(&format!("/api/v1/trace/{}", text_of(Some(click)))).await?;
    let mut names: Vec<&str> =
        trace["browser_events"].as_array().into_iter().flatten().map(|told| text(told, "/name")).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        ["PageView", "PageView", "Purchase"],
        "each page once, though the script is there twice"
    );
    assert!(
        text(&trace, "/conversions/0/events/0/event/page").starts_with("http://www.shop.example/buy?x=1"),
        "{trace}"
    );
    assert!(text(&trace, "/conversions/0/events/0/event/visitor/fbc").ends_with(".IwAR_AbC"));
    server.stop().await;
    Ok(())
}

async fn direct(kind: Kind) -> Result<()> {
    let server = server(kind).await?;
    let plan = json!({
        "pages": {"www.shop.example": page("", "")},
        "steps": [
            {"goto": "http://www.shop.example/?gclid=Abc-1&fbclid=IwAR_AbC&sub1=a"},
            {"wait": TOLD},
            {"eval": "crosstally.click()"},
            {"eval": format!("{BUY}; crosstally.id('Purchase')")},
            {"wait": TOLD},
            {"goto": "http://www.shop.example/thanks"},
            {"wait": TOLD},
            {"eval": "crosstally.click()"},
            {"cookies": "http://www.shop.example/"},
            {"goto": "http://www.shop.example/?gclid=Another"},
            {"wait": TOLD},
            {"eval": "crosstally.click()"},
        ],
    });
    let run = drive(&server, plan).await?;
    let [click, id, still, cookies, other] = &run.answers[..] else { bail!("{:?}", run.answers) };
    assert_eq!(click, still);
    assert_ne!(click, other, "another ad click is another click");
    assert!(
        text(cookies, "/_fbc").starts_with(".shop.example fb.1.")
            && text(cookies, "/_fbc").ends_with(".IwAR_AbC"),
        "{cookies}"
    );
    let click = text_of(Some(click));
    let stored = server.api(&format!("/api/v1/clicks/{click}")).await?;
    assert!(stored.to_string().contains("Abc-1"), "{stored}");
    is_one(&server, &click, &text_of(Some(id))).await?;
    server.stop().await;
    Ok(())
}

/// Whether storage can be written, and until every event was told where nothing is kept of it.
const STORAGE: &str =
    "(() => { try { localStorage.x = 1; return 'kept' } catch (_) { return 'blocked' } })()";
const ALL_TOLD: &str = "performance.getEntriesByType('resource').filter((e) => e.name.endsWith('/e') && e.responseEnd).length > 1";

async fn blocked(kind: Kind) -> Result<()> {
    let server = server(kind).await?;
    let domains = "data-domains=\"www.shop.example\"";
    let link = r#"<a id="go" href="http://www.shop.example/cart">go</a>"#;
    let form = r#"<form id="f" method="post" action="/buy"><button id="b">buy</button></form>"#;
    let plan = json!({
        "block_storage": true,
        "pages": {
            "lander.example": page(domains, link),
            "www.shop.example/cart": page(domains, form),
            "www.shop.example/buy": page(domains, ""),
        },
        "steps": [
            {"goto": "http://t.shop.example/c/summer?fbclid=IwAR_AbC"},
            {"wait": "!!crosstally.click()"},
            {"eval": STORAGE},
            {"eval": "crosstally.click()"},
            {"follow": "#go"},
            {"wait": "!!crosstally.click()"},
            {"follow": "#b"},
            {"wait": "!!crosstally.click()"},
            {"eval": STORAGE},
            {"eval": "crosstally.click()"},
            {"eval": format!("{BUY}; crosstally.id('Purchase')")},
            {"wait": ALL_TOLD},
            {"cookies": "http://www.shop.example/"},
        ],
    });
    let run = drive(&server, plan).await?;
    let [first, click, _, _, last, there, id, cookies] = &run.answers[..] else { bail!("{:?}", run.answers) };
    assert_eq!((first, last, click), (&json!("blocked"), &json!("blocked"), there));
    assert_eq!(cookies, &json!({}), "nothing was kept anywhere");
    let click = text_of(Some(click));
    let stored = server.api(&format!("/api/v1/clicks/{click}")).await?;
    assert_eq!(
        stored["way"],
        Value::Null,
        "it is the click of the redirect and not one of the page's own: {stored}"
    );
    is_one(&server, &click, &text_of(Some(id))).await?;
    server.stop().await;
    Ok(())
}

async fn blocked_direct(kind: Kind) -> Result<()> {
    let server = server(kind).await?;
    let domains = "data-domains=\"www.shop.example\"";
    let plan = json!({
        "block_storage": true,
        "pages": {
            "www.shop.example": page(domains, r#"<form id="f" action="/buy"><button id="b">buy</button></form>"#),
            "www.shop.example/buy": page(domains, ""),
        },
        "steps": [
            {"goto": "http://www.shop.example/?fbclid=IwAR_AbC"},
            {"wait": "!!crosstally.click()"},
            {"eval": STORAGE},
            {"eval": "crosstally.click()"},
            {"follow": "#b"},
            {"wait": "!!crosstally.click()"},
            {"eval": "crosstally.click()"},
            {"eval": format!("{BUY}; crosstally.id('Purchase')")},
            {"wait": ALL_TOLD},
        ],
    });
    let run = drive(&server, plan).await?;
    let [storage, click, _, there, id] = &run.answers[..] else { bail!("{:?}", run.answers) };
    assert_eq!((storage, click), (&json!("blocked"), there));
    let click = text_of(Some(click));
    let stored = server.api(&format!("/api/v1/clicks/{click}")).await?;
    assert_eq!(stored["way"]["direct"], json!(true), "{stored}");
    is_one(&server, &click, &text_of(Some(id))).await?;
    server.stop().await;
    Ok(())
}

/// What a click's browser told, as the trace has it.
async fn told_of(server: &TestServer, click: &str) -> Result<Vec<Value>> {
    let trace = server.api(&format!("/api/v1/trace/{click}")).await?;
    Ok(trace["browser_events"].as_array().cloned().unwrap_or_default())
}
