//! An evidence pack with hostile values in a real browser: no script of theirs runs, nothing leaves, nothing is turned around.

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use crosstally_testkit::client;
use crosstally_testkit::database::Kind;
use crosstally_testkit::on_both;
use crosstally_testkit::server::{CONFIG, TestServer};
use http::Request;
use http_body_util::Full;
use serde_json::{Value, json};

use super::{drive, text_of};

on_both! {
    /// With its own policy, and without it, so that the escaping alone has to hold.
    e4_chromium_runs_nothing_of_a_pack => hostile;
}

/// What strangers write into every field that they reach.
const HOSTILE: [&str; 9] = [
    "<script>window.hit=1</script>",
    "</td><img src=\"http://leak.example/a\" onerror=\"window.hit=1\">",
    "\" onload=\"window.hit=1\" x=\"",
    "' onmouseover='window.hit=1",
    "--><script>window.hit=1</script><!--",
    "]]><svg onload=window.hit=1>",
    "</style><link rel=stylesheet href=http://leak.example/b>",
    "<a href=javascript:window.hit=1>click</a>&lt;b&gt;",
    "gnp.\u{202e}exe\u{2066}\u{61c}\u{200f}\u{ad}.pdf",
];

/// What stands in the page as the browser sees it.
const SEEN: &str = "({
    hit: window.hit === undefined,
    names: [...new Set([...document.querySelectorAll('*')].map((one) => one.localName))].sort(),
    attributes: [...new Set([...document.querySelectorAll('*')].flatMap((one) => one.getAttributeNames()))].sort(),
    text: document.body.innerText,
})";

fn escaped(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

async fn hostile(kind: Kind) -> Result<()> {
    let server = TestServer::ready(kind).await?;
    server.apply(CONFIG).await?;
    let query: Vec<String> = HOSTILE
        .iter()
        .enumerate()
        .map(|(number, text)| format!("sub{}={}", number + 1, escaped(text)))
        .collect();
    let agent = HOSTILE[..8].join(" ");
    let request = Request::get(format!("/c/summer?fbclid=AbC&{}", query.join("&")))
        .header("user-agent", agent)
        .header("referer", format!("https://a.example/{}", HOSTILE[0]));
    let reply = client::send(server.tracking, request.body(Full::new(Bytes::new()))?).await?;
    let target = reply.header("location").context("a redirect")?;
    let click =
        target.split("cid=").nth(1).and_then(|rest| rest.split('&').next()).context("a click")?.to_owned();
    let more: Vec<String> = HOSTILE
        .iter()
        .enumerate()
        .map(|(number, text)| format!("{}{number}={}", escaped(text), escaped(text)))
        .collect();
    let query = format!(
        "click_id={click}&tid={}&event={}&external_id={}&payout=1&{}",
        escaped(HOSTILE[4]),
        escaped(HOSTILE[0]),
        escaped(HOSTILE[1]),
        more.join("&")
    );
    let told = server.postback(&query).await?;
    assert!(told.text().contains("recorded"), "{}", told.text());
    server.deliver().await?;
    let pack =
        client::get_as(server.admin, &format!("/api/v1/evidence/{click}"), &server.token).await?.text();
    let policy = "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">";
    assert!(pack.contains(policy), "the pack has its policy");
    for page in [pack.clone(), pack.replace(policy, "")] {
        opened(&server, page).await?;
    }
    server.stop().await;
    Ok(())
}

async fn opened(server: &TestServer, page: String) -> Result<()> {
    let plan = json!({
        "bare": true,
        "pages": {"pack.example": page},
        "steps": [
            {"goto": "http://pack.example/"},
            {"eval": "new Promise((done) => setTimeout(done, 300))"},
            {"eval": SEEN},
        ],
    });
    let run = drive(server, plan).await?;
    let [seen] = &run.answers[..] else { bail!("{:?}", run.answers) };
    assert_eq!(seen["hit"], json!(true), "a script ran");
    let list = |name: &str| -> Vec<String> {
        seen[name].as_array().into_iter().flatten().map(|text| text_of(Some(text))).collect()
    };
    let plain = [
        "body", "code", "h1", "h2", "head", "html", "li", "meta", "ol", "p", "style", "table", "tbody", "td",
        "th", "title", "tr", "ul",
    ];
    let odd: Vec<String> = list("names").into_iter().filter(|name| !plain.contains(&name.as_str())).collect();
    assert!(odd.is_empty(), "elements that nobody of ours wrote: {odd:?}");
    assert!(
        list("attributes")
            .iter()
            .all(|name| ["charset", "content", "http-equiv", "lang"].contains(&name.as_str())),
        "{seen}"
    );
    let text = text_of(seen.get("text").filter(|text: &&Value| text.is_string()));
    for value in &HOSTILE[..2] {
        assert!(text.contains(value), "it stands there to be read: {value}");
    }
    let turns = |c: char| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' | '\u{61c}' | '\u{ad}');
    assert!(!text.contains(turns), "nothing turns the writing around, or hides in it");
    let strange: Vec<&String> = run
        .requests
        .iter()
        .filter(|url| *url != "http://pack.example/" && !url.ends_with("/favicon.ico"))
        .collect();
    assert!(strange.is_empty(), "a request left: {strange:?}");
    Ok(())
}
