//! Conversions told to traffic sources by their presets, and what is said of a template before it is in force.

use anyhow::Result;
use crosstally_testkit::client;
use crosstally_testkit::database::Kind;
use crosstally_testkit::on_both;
use crosstally_testkit::server::{CONFIG, TestServer};
use serde_json::{Value, json};

on_both! {
    /// Three sources of different shape: values in the query, the click id in the path, a word for each status.
    sources_are_told_as_their_presets_say => told;
    /// A click without the source's click id, or with the source's unfilled macro in its place, is told to nobody.
    without_its_click_id_no_source_is_called => refuses;
    /// The API that saves says which macro there is not, and shows what would be called.
    saving_a_template_says_what_it_comes_to => saves;
}

/// A destination of a preset, its calls sent to the sandbox.
fn destination(server: &TestServer, preset: &str, call: &str, constants: &str) -> String {
    format!(
        "\n[[destination]]\nslug = \"{preset}\"\nkind = \"postback\"\npreset = \"{preset}\"\nallow_private = true\n\
         url = \"http://{}/partner/{preset}{call}\"\nconstants = {{ {constants} }}\nsuccess_body_contains = \"OK\"\n",
        server.sandbox
    )
}

fn goal(slug: &str, when: &str, send_to: &str) -> String {
    format!(
        "\n[[goal]]\nslug = \"{slug}\"\nrole = \"funnel_fact\"\nwhen = \"{when}\"\nevent_name = \"{slug}\"\n\
         send_to = [{send_to}]\n"
    )
}

async fn ready(kind: Kind) -> Result<TestServer> {
    let server = TestServer::start(kind).await?;
    let (before, _) = CONFIG.split_once("[[destination]]").unwrap_or((CONFIG, ""));
    let mut document = before.replace("preset = \"meta\"", "preset = \"propellerads\"");
    for (preset, call, constants) in [
        (
            "propellerads",
            "/conversion.php?aid={const.aid}&pid=&tid={const.tid}&visitor_id={source_click_id|required}&payout={value|default:0}",
            "aid = \"12\", tid = \"34\"",
        ),
        (
            "rollerads",
            "/conversion/{source_click_id|required}/aid/{const.aid}/{const.key}",
            "aid = \"5\", key = \"ab\"",
        ),
        (
            "kadam",
            "/?data={source_click_id|required}&status={status|map:lead=hold,hold=hold,approved=approved,rejected=rejected,reversed=rejected}",
            "",
        ),
    ] {
        document.push_str(&destination(&server, preset, call, constants));
    }
    document.push_str(&goal("sale", "status == 'approved'", "\"propellerads\", \"rollerads\", \"kadam\""));
    document.push_str(&goal("open", "status == 'hold'", "\"kadam\""));
    server.apply(&document).await?;
    Ok(server)
}

/// What the sandbox's partners took, by path and query.
async fn calls(server: &TestServer) -> Result<Vec<String>> {
    let mut calls: Vec<String> = server
        .accepted()
        .await?
        .iter()
        .map(|row| {
            let event = row.get("event").unwrap_or(row);
            let path = event["path"].as_str().unwrap_or_default();
            format!("{path} {}", event["query"])
        })
        .collect();
    calls.sort();
    Ok(calls)
}

async fn states(server: &TestServer) -> Result<Vec<(String, String, String)>> {
    let list = server.api("/api/v1/deliveries").await?;
    let word = |row: &Value, name: &str| row[name].as_str().unwrap_or_default().to_owned();
    let rows = list["data"].as_array().cloned().unwrap_or_default();
    let mut rows: Vec<_> =
        rows.iter().map(|row| (word(row, "destination"), word(row, "state"), word(row, "code"))).collect();
    rows.sort();
    Ok(rows)
}

async fn told(kind: Kind) -> Result<()> {
    let server = ready(kind).await?;
    let click = server.click("source_click_id=pA-7_x.9&zone=z1").await?;
    for status in ["hold", "approved"] {
        server.postback(&format!("click_id={click}&tid=T1&status={status}&payout=12.30")).await?;
        server.deliver().await?;
    }
    server.postback(&format!("click_id={click}&tid=T1&status=rejected")).await?;
    server.deliver().await?;
    let kadam = |status: &str| format!("/partner/kadam/ {}", json!({"data": "pA-7_x.9", "status": status}));
    assert_eq!(
        calls(&server).await?,
        [
            kadam("approved"),
            kadam("hold"),
            // One for each of the two events that the rejection takes back.
            kadam("rejected"),
            kadam("rejected"),
            format!(
                "/partner/propellerads/conversion.php {}",
                json!({"aid": "12", "pid": "", "tid": "34", "visitor_id": "pA-7_x.9", "payout": "12.30"})
            ),
            "/partner/rollerads/conversion/pA-7_x.9/aid/5/ab {}".to_owned(),
        ]
    );
    assert!(states(&server).await?.iter().all(|(_, state, _)| state == "delivered"));
    server.stop().await;
    Ok(())
}

async fn refuses(kind: Kind) -> Result<()> {
    let server = ready(kind).await?;
    for (order, query) in [("T1", "zone=z1"), ("T2", "source_click_id=%24%7BSUBID%7D")] {
        let click = server.click(query).await?;
        server.postback(&format!("click_id={click}&tid={order}&status=approved&payout=1")).await?;
    }
    server.deliver().await?;
    assert_eq!(calls(&server).await?, [""; 0]);
    let states = states(&server).await?;
    assert_eq!(states.len(), 6, "{states:?}");
    for (destination, state, code) in &states {
        assert_eq!((state.as_str(), code.as_str()), ("dead", "template_unresolved"), "{destination}");
    }
    let list = server.api("/api/v1/deliveries").await?.to_string();
    assert!(list.contains("source_click_id"), "the macro is named: {list}");
    server.stop().await;
    Ok(())
}

async fn saves(kind: Kind) -> Result<()> {
    let server = TestServer::start(kind).await?;
    let (before, rest) = CONFIG.split_once("[[destination]]").unwrap_or((CONFIG, ""));
    let with = |url: &str| {
        let goal = goal("told", "status == 'approved'", "\"network\"");
        format!(
            "{before}\n[[destination]]\nslug = \"network\"\nkind = \"postback\"\nurl = \"{url}\"\n\
             secret = {{ env = \"ACME_TOKEN\" }}\n{goal}\n[[destination]]{rest}"
        )
        .replace("SANDBOX", "127.0.0.1:1")
    };
    let post = async |path: &str, document: String| -> Result<client::Reply> {
        let bearer = format!("Bearer {}", server.token);
        let body = http_body_util::Full::new(bytes::Bytes::from(document));
        let request = http::Request::post(path).header("authorization", bearer).body(body)?;
        client::send(server.admin, request).await
    };
    for path in ["/api/v1/config/check", "/api/v1/config/plan", "/api/v1/config/apply"] {
        let reply = post(path, with("https://network.example/pb?p={payuot}")).await?;
        assert_eq!(reply.status, 400, "{path}");
        assert!(reply.text().contains("payuot") && reply.text().contains("`payout`"), "{}", reply.text());
    }
    let good = with("https://network.example/pb?c={click_id}&p={payout|round:0}&x={sub7}&t={secret}");
    for path in ["/api/v1/config/check", "/api/v1/config/plan", "/api/v1/config/apply"] {
        let answer = post(path, good.clone()).await?.json()?;
        let url = answer["examples"][0]["url"].as_str().unwrap_or_default().to_owned();
        assert_eq!(url, "https://network.example/pb?c=click-1&p=12&x=sub7-1&t=***", "{path}");
        assert!(answer["warnings"].to_string().contains("{sub7}"), "{path}: {answer}");
    }
    server.stop().await;
    Ok(())
}
