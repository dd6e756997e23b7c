//! Other trackers' endpoints on our host: their paths, their parameters, their replies, their old click ids.

use anyhow::{Context, Result};
use crosstally_testkit::client::{self, Reply};
use crosstally_testkit::database::Kind;
use crosstally_testkit::on_both;
use crosstally_testkit::server::{CONFIG, TestServer};
use serde_json::{Value, json};

on_both! {
    /// Every dialect: a good call, its repeat, a call of before the move, a broken one, each with the peer's reply.
    every_peers_endpoint_answers_as_its_senders_expect => dialects;
    /// An old click id counts for the click that it stands for, also when the alias comes twice.
    old_click_ids_match_through_aliases => aliases;
    /// A path that no partner has is nobody's, and a key that is not known opens nothing.
    a_path_without_a_partner_is_nobodys => strangers;
    /// Two partners cannot have one endpoint, and an endpoint has what it needs.
    the_configuration_says_what_cannot_be => mistakes;
}

const DIALECTS: &[&str] =
    &["keitaro", "voluum", "redtrack", "binom", "funnelflux", "tune", "affise", "scaleo", "prosper202"];

fn config(sections: &str) -> Result<String> {
    let (base, _) = CONFIG.split_once("[[partner]]").context("a partner")?;
    Ok(format!("{base}{sections}"))
}

async fn server(kind: Kind) -> Result<TestServer> {
    let server = TestServer::start(kind).await?;
    let sections: String = DIALECTS
        .iter()
        .map(|dialect| {
            let key = if *dialect == "keitaro" { ", key = \"abc123\"" } else { "" };
            format!("[[partner]]\nslug = \"{dialect}\"\ndrop_in = {{ dialect = \"{dialect}\"{key} }}\n\n")
        })
        .collect();
    let second = "[[partner]]\nslug = \"keitaro-2\"\ndrop_in = { dialect = \"keitaro\", key = \"k-2\" }\n\n\
                  [[partner]]\nslug = \"voluum-2\"\ndrop_in = { dialect = \"voluum\", key = \"two\" }\n";
    server.apply(&config(&format!("{sections}{second}"))?).await?;
    Ok(server)
}

/// A path, and what its sender reads.
struct Row {
    partner: &'static str,
    path: &'static str,
    result: &'static str,
    code: Option<&'static str>,
    status: u16,
    reply: &'static str,
}

const fn row(
    partner: &'static str,
    path: &'static str,
    result: &'static str,
    code: Option<&'static str>,
    status: u16,
    reply: &'static str,
) -> Row {
    Row { partner, path, result, code, status, reply }
}

const SAME: Option<&str> = Some("same_content");
const FOREIGN: Option<&str> = Some("click_id_malformed");
const NO_NUMBER: Option<&str> = Some("amount_not_a_number");

/// `CLICK` stands for a click.
const ROWS: &[Row] = &[
    row("keitaro", "/abc123/postback?subid=CLICK&status=sale&payout=10&tid=1", "recorded", None, 200, "OK"),
    row("keitaro", "/abc123/postback?subid=CLICK&status=sale&payout=10&tid=1", "duplicate", SAME, 200, "OK"),
    row(
        "keitaro",
        "/abc123/postback?subid=CLICK&status=rejected&tid=1&return=thanks",
        "updated",
        None,
        200,
        "thanks",
    ),
    row("keitaro", "/abc123/postback?subid=51ts6sgr1cbk&payout=10", "quarantined", FOREIGN, 200, "OK"),
    row("keitaro", "/abc123/postback?subid=CLICK&payout=ten", "refused", NO_NUMBER, 200, "OK"),
    row("keitaro-2", "/k-2/postback?subid=CLICK&status=lead", "recorded", None, 200, "OK"),
    row(
        "voluum",
        "/postback?cid=CLICK&payout=3&txid=SIGNUP",
        "recorded",
        None,
        200,
        "\"result\":\"recorded\"",
    ),
    row(
        "voluum",
        "/postback?cid=CLICK&payout=3&txid=SIGNUP",
        "duplicate",
        SAME,
        200,
        "\"result\":\"duplicate\"",
    ),
    row("voluum", "/postback?cid=c384EFV6JH&payout=3", "quarantined", FOREIGN, 200, "quarantined"),
    row("voluum", "/postback?cid=CLICK&payout=x", "refused", NO_NUMBER, 400, "amount_not_a_number"),
    row("voluum-2", "/postback?cid=CLICK&payout=3&txid=A&key=two", "recorded", None, 200, "recorded"),
    row(
        "redtrack",
        "/postback?clickid=CLICK&sum=20&type=ftd&status=approved",
        "recorded",
        None,
        200,
        "recorded",
    ),
    row("binom", "/click.php?cnv_id=CLICK&payout=5", "recorded", None, 200, "recorded"),
    row("binom", "/click?cnv_id=CLICK&payout=5", "duplicate", SAME, 200, "duplicate"),
    row("funnelflux", "/pb/?hit=CLICK&tx=inv-1&rev=39.00", "recorded", None, 200, "recorded"),
    row("tune", "/aff_lsr?offer_id=26&transaction_id=CLICK&amount=7", "recorded", None, 200, "success=true;"),
    row(
        "tune",
        "/aff_lsr?offer_id=26&transaction_id=CLICK&amount=7",
        "duplicate",
        SAME,
        200,
        "success=false; err_msg=",
    ),
    row(
        "tune",
        "/aff_lsr?offer_id=26&transaction_id=102dc1a2",
        "quarantined",
        FOREIGN,
        200,
        "success=false; err_msg=",
    ),
    row(
        "affise",
        "/postback?clickid=CLICK&action_id=o1&goal=1&sum=9&status=1",
        "recorded",
        None,
        200,
        "{\"status\":1}",
    ),
    row(
        "affise",
        "/postback?clickid=CLICK&action_id=o1&goal=1&sum=x",
        "refused",
        NO_NUMBER,
        200,
        "\"status\":2",
    ),
    row(
        "scaleo",
        "/track/conv?click_id=CLICK&transaction_id=s1&amount=30",
        "recorded",
        None,
        200,
        "recorded",
    ),
    row(
        "scaleo",
        "/track/conv-change?click_id=CLICK&transaction_id=s1&status=rejected",
        "updated",
        None,
        200,
        "updated",
    ),
    row(
        "scaleo",
        "/track/conv-addchange?click_id=CLICK&transaction_id=s2&amount=3",
        "recorded",
        None,
        200,
        "recorded",
    ),
    row("prosper202", "/tracking202/static/gpb.php?subid=CLICK&amount=25&txid=A1", "recorded", None, 200, ""),
    row(
        "prosper202",
        "/tracking202/static/gpb.php?subid=1048576&amount=25",
        "quarantined",
        FOREIGN,
        404,
        "\"error\":true",
    ),
];

async fn newest(server: &TestServer, partner: &str) -> Result<Value> {
    let list = server.api(&format!("/api/v1/receipts?partner={partner}&limit=1")).await?;
    list.pointer("/data/0").cloned().with_context(|| format!("no receipt of {partner}"))
}

async fn call(server: &TestServer, path: &str) -> Result<Reply> {
    server.advance(1);
    client::get(server.tracking, path).await
}

async fn dialects(kind: Kind) -> Result<()> {
    let server = server(kind).await?;
    let click = server.click("fbclid=1").await?;
    for row in ROWS {
        let path = row.path.replace("CLICK", &click);
        let reply = call(&server, &path).await?;
        assert_eq!(reply.status, row.status, "{path}: {}", reply.text());
        let (is, wanted) = (reply.text(), row.reply);
        assert!(if wanted.is_empty() { is.is_empty() } else { is.contains(wanted) }, "{path}: {is}");
        let receipt = newest(&server, row.partner).await?;
        let word = |name: &str| receipt.get(name).and_then(Value::as_str);
        assert_eq!((word("result"), word("code")), (Some(row.result), row.code), "{path}");
        let query = path.split_once('?').map(|(_, query)| query);
        assert_eq!(receipt.pointer("/request/query").and_then(Value::as_str), query);
    }
    // A form without a query: whoever has the path.
    server.advance(1);
    let body = format!("cid={click}&payout=4&txid=FORM");
    let reply = client::post(server.tracking, "/postback", "application/x-www-form-urlencoded", body).await?;
    assert!(reply.text().contains("recorded"), "{}", reply.text());
    server.stop().await;
    Ok(())
}

async fn add(server: &TestServer, body: &Value) -> Result<Reply> {
    let request = http::Request::post("/api/v1/aliases")
        .header("authorization", format!("Bearer {}", server.token))
        .header("content-type", "application/json")
        .body(http_body_util::Full::new(bytes::Bytes::from(body.to_string())))?;
    client::send(server.admin, request).await
}

async fn aliases(kind: Kind) -> Result<()> {
    let server = server(kind).await?;
    let (click, other) = (server.click("fbclid=1").await?, server.click("fbclid=2").await?);
    let rows = json!({ "aliases": [
        { "alias": "51ts6sgr1cbk", "click_id": click },
        { "alias": "", "click_id": click },
        { "alias": "x", "click_id": "not-a-click" },
        { "alias": click, "click_id": other },
        { "alias": "51ts6sgr1cbk", "click_id": other },
        { "alias": "c384EFV6JH", "click_id": other },
    ] });
    let mut dry = rows.clone();
    dry["dry_run"] = json!(true);
    for (body, added, known) in [(&dry, 2, 0), (&rows, 2, 0), (&rows, 0, 2)] {
        let answer = add(&server, body).await?.json()?;
        assert_eq!((&answer["added"], &answer["known"]), (&json!(added), &json!(known)), "{answer}");
        let rejected: Vec<u64> = answer["rejected"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|row| row["row"].as_u64())
            .collect();
        assert_eq!(rejected, [1, 2, 3, 4], "{answer}");
    }
    let reply = call(&server, "/abc123/postback?subid=51ts6sgr1cbk&payout=21&status=sale").await?;
    assert_eq!(reply.text(), "OK");
    let receipt = newest(&server, "keitaro").await?;
    assert_eq!(
        (receipt["result"].as_str(), receipt["click"].as_str()),
        (Some("recorded"), Some(click.as_str()))
    );
    // The same conversion, by its new name.
    call(&server, &format!("/abc123/postback?subid={click}&status=rejected")).await?;
    let after = newest(&server, "keitaro").await?;
    assert_eq!((&after["result"], &after["conversion"]), (&json!("updated"), &receipt["conversion"]));
    let reply = call(&server, "/postback?cid=c384EFV6JH&payout=3").await?;
    assert!(reply.text().contains("recorded"), "{}", reply.text());
    server.stop().await;
    Ok(())
}

async fn strangers(kind: Kind) -> Result<()> {
    let server = TestServer::ready(kind).await?;
    for path in ["/abc/postback?subid=1", "/postback?cid=1", "/aff_lsr?transaction_id=1", "/click?cnv_id=1"] {
        let reply = call(&server, path).await?;
        assert_eq!((reply.status, reply.json()?["code"].as_str()), (404, Some("no_route")), "{path}");
    }
    let with_key =
        config("[[partner]]\nslug = \"k\"\ndrop_in = { dialect = \"keitaro\", key = \"right\" }\n")?;
    server.apply(&with_key).await?;
    assert_eq!(call(&server, "/wrong/postback?subid=1").await?.status, 404);
    assert_eq!(call(&server, "/right/postback?tid=1").await?.text(), "OK");
    server.stop().await;
    Ok(())
}

async fn mistakes(kind: Kind) -> Result<()> {
    let server = TestServer::start(kind).await?;
    let partner =
        |slug: &str, drop_in: &str| format!("[[partner]]\nslug = \"{slug}\"\ndrop_in = {drop_in}\n\n");
    for (sections, problem) in [
        (partner("a", "{ dialect = \"keitaro\" }"), "has a key in its path"),
        (partner("a", "{ dialect = \"keitaro\", key = \"a/b\" }"), "cannot stand in a URL"),
        (partner("a", "{ dialect = \"nobody\" }"), "is not a value of `dialect`"),
        (partner("a", "{ key = \"x\" }"), "dialect"),
        (
            partner("a", "{ dialect = \"voluum\" }") + &partner("b", "{ dialect = \"bemob\" }"),
            "calls to this endpoint go to partner `a` already",
        ),
        (
            partner("a", "{ dialect = \"tune\", key = \"x\" }")
                + &partner("b", "{ dialect = \"tune\", key = \"x\" }"),
            "calls to this endpoint go to partner `a` already",
        ),
    ] {
        let error = server.apply(&config(&sections)?).await.expect_err(&sections).to_string();
        assert!(error.contains(problem), "{sections}: {error}");
    }
    let good = partner("a", "{ dialect = \"tune\" }") + &partner("b", "{ dialect = \"tune\", key = \"x\" }");
    server.apply(&config(&good)?).await?;
    let (_, exported) = server.engine.export_config().await?;
    assert!(exported.contains("drop_in = { dialect = \"tune\", key = \"x\" }"), "{exported}");
    assert!(exported.contains("preset = \"tune-advertiser\""), "{exported}");
    server.stop().await;
    Ok(())
}
