//! The pre-flight: green where all is well, and each of fifteen planted defects named, and no other. Below: `shop` (a real
//! page with faults to plant), `safe` (what it must never do).

use anyhow::{Context, Result};
use crosstally_testkit::client;
use crosstally_testkit::database::Kind;
use crosstally_testkit::on_both;
use crosstally_testkit::server::TestServer;
use serde_json::{Value, json};

use crate::guarded::word;
use shop::{Fault, Shop};

mod after;
mod checklist;
mod chromium;
mod doors;
mod limits;
mod nightly;
mod safe;
pub(crate) mod shop;

on_both! {
    /// Seven hops tick; count, value, currency and time are the same from the link to the sandbox; the run is kept.
    preflight_is_green_where_all_is_well => green;
    /// Fifteen defects, each planted in a real configuration, page, call or sandbox, each named alone.
    preflight_names_each_of_fifteen_planted_defects => planted;
    /// The command prints the hops, ends with 6 where one differs, and gives machines what the API gives.
    preflight_is_a_command => command;
}

/// The configuration of a funnel in which all is well. `SHOP` stands for the page's address.
pub(super) const CONFIG: &str = r#"
[workspace]
base_currency = "USD"
timezone = "UTC"

[[source]]
slug = "facebook"
preset = "meta"

[[offer]]
slug = "shop"
target = "http://SHOP/p?cid={click_id}&fbclid={fbclid}&s={sub1}"
cap = { daily = 1000, overflow = "other" }

[[offer]]
slug = "other"
target = "http://SHOP/p?cid={click_id}&fbclid={fbclid}&s={sub1}"

[[path]]
slug = "all"
offers = { shop = 1 }

[[campaign]]
slug = "summer"
source = "facebook"
paths = ["all"]
sites = ["127.0.0.1"]

[[partner]]
slug = "acme"
preset = "generic"
currency = "USD"
auth = { token = { env = "ACME_TOKEN" } }

[[destination]]
slug = "meta-main"
kind = "meta"
dataset_id = "1234567890"
access_token = { env = "META_TOKEN" }
endpoint = "http://SANDBOX"
allow_private = true

[[goal]]
slug = "purchase"
role = "learning_signal"
when = "status == 'approved' && value > 0 && !('too_fast' in labels)"
event_name = "Purchase"
send_to = ["meta-main"]
"#;

/// The postback URL as it stands at the partner.
pub(super) const POSTBACK: &str = "https://track.example/postback/acme?token=acme-secret&click_id={click_id}\
    &tid={transaction_id}&status={status}&payout={payout}&currency={currency}&event_time={event_time}";

/// Moves the test's clock to the machine's: others say on their answers what time it is.
#[expect(clippy::disallowed_methods, reason = "what others say of the time is the machine's")]
pub(super) fn set_clock(server: &TestServer, ahead_ms: i64) -> Result<()> {
    use crosstally_engine::clock::Clock as _;
    let real = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    let real = i64::try_from(real.as_millis())?;
    server.advance(real - server.clock.now().as_millis() + ahead_ms);
    Ok(())
}

pub(super) async fn start(kind: Kind, shop: &Shop, change: impl Fn(String) -> String) -> Result<TestServer> {
    let server = TestServer::start(kind).await?;
    set_clock(&server, 0)?;
    server.apply(&change(CONFIG.replace("SHOP", &shop.address.to_string()))).await?;
    Ok(server)
}

pub(super) fn asked() -> Value {
    json!({ "campaign": "summer", "actions": 6, "allow_private": true, "postback": POSTBACK })
}

pub(super) async fn fly(server: &TestServer, request: &Value) -> Result<Value> {
    let path = "/api/v1/tools/preflight/run";
    let reply = client::post_as(server.admin, path, &server.token, &request.to_string()).await?;
    anyhow::ensure!(reply.status == 200, "{}: {}", reply.status, reply.text());
    reply.json()
}

pub(super) fn codes(answer: &Value) -> Vec<&str> {
    answer["defects"].as_array().into_iter().flatten().map(|defect| word(defect, "code")).collect()
}

pub(super) fn hop<'a>(answer: &'a Value, name: &str) -> Result<&'a Value> {
    let mut hops = answer["hops"].as_array().into_iter().flatten();
    hops.find(|hop| word(hop, "hop") == name).with_context(|| format!("no hop {name}: {answer}"))
}

async fn green(kind: Kind) -> Result<()> {
    let shop = Shop::open().await?;
    let server = start(kind, &shop, |config| config).await?;
    // By the URL as it stands at the partner, and by the contract alone.
    let by_contract = json!({ "campaign": "summer", "actions": 6, "allow_private": true });
    for request in [asked(), by_contract] {
        let told = fly(&server, &request).await?;
        assert_eq!((told["ok"].clone(), codes(&told)), (json!(true), vec![]), "{told:#}");
        let states: Vec<(&str, &str)> = told["hops"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|hop| (word(hop, "hop"), word(hop, "compared")))
            .collect();
        let names = ["link", "lander", "browser", "postback", "ledger", "signal", "destination"];
        assert_eq!(states, names.map(|name| (name, "same")), "{told:#}");
        // 12.34 to 12.39.
        let sum = json!([{ "amount": "74.19", "currency": "USD" }]);
        for name in ["postback", "ledger", "signal", "destination"] {
            assert_eq!(hop(&told, name)?["found"]["values"], sum, "{name}: {told:#}");
            assert_eq!(hop(&told, name)?["found"], hop(&told, name)?["expected"], "{name}: {told:#}");
        }
        let cases: Vec<(&str, &Value)> = told["negatives"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|case| (word(case, "case"), &case["passed"]))
            .collect();
        let yes = &json!(true);
        assert_eq!(cases, [("wrong_token", yes), ("unmapped_status", yes), ("duplicate", yes)], "{told:#}");
    }
    // The host is not called, and where nothing says whose it is, that is told.
    let notes = hop(&fly(&server, &asked()).await?, "postback")?["notes"].to_string();
    assert!(notes.contains("whether `track.example` is this server"), "{notes}");
    // What arrived is marked as a test, and the six actions are six events.
    let accepted = server.accepted().await?;
    assert_eq!(accepted.len(), 18);
    assert!(accepted.iter().all(|row| word(row, "test_event_code") == "TEST00001"), "{accepted:?}");
    let runs = server.api("/api/v1/tools/runs?tool=preflight_run").await?;
    assert_eq!(runs["data"].as_array().map(Vec::len), Some(3));
    let id = word(&runs["data"][0], "id").to_owned();
    let shown = server.api(&format!("/api/v1/tools/runs/{id}")).await?;
    assert!(!shown.to_string().contains("acme-secret"), "{shown:#}");
    let path = format!("/api/v1/tools/runs/{id}/repeat");
    let again = client::post_as(server.admin, &path, &server.token, "{}").await?.json()?;
    assert_eq!(again["ok"], json!(true), "{again:#}");
    server.stop().await;
    Ok(())
}

/// One planted defect.
struct Plant {
    code: &'static str,
    hop: &'static str,
    /// Words that its sentence must have.
    words: &'static str,
    config: fn(String) -> String,
    fault: Fault,
    request: fn(&mut Value),
    ahead_ms: i64,
}

const PLAIN: Plant = Plant {
    code: "",
    hop: "",
    words: "",
    config: |config| config,
    fault: Fault::None,
    request: |_| {},
    ahead_ms: 0,
};

#[rustfmt::skip]
fn plants() -> Vec<Plant> {
    vec![
        Plant { code: "click_id_dropped", hop: "link", words: "without the click id",
            config: |config| config.replace("cid={click_id}&", ""), ..PLAIN },
        Plant { code: "click_id_dropped", hop: "lander", words: "`cid` was lost", fault: Fault::DropsClick, ..PLAIN },
        Plant { code: "ad_click_id_lower_cased", hop: "lander", words: "`fbclid` was made lower-case", fault: Fault::LowerCases, ..PLAIN },
        Plant { code: "redirect_twice", hop: "lander", words: "1 time(s) more", fault: Fault::Redirects, ..PLAIN },
        Plant { code: "parameter_wrong", hop: "postback", words: "click id under a name",
            request: |request| request["postback"] = POSTBACK.replace("click_id=", "clickref=").into(), ..PLAIN },
        Plant { code: "parameter_wrong", hop: "postback", words: "without an amount",
            request: |request| request["postback"] = POSTBACK.replace("payout=", "money=").into(), ..PLAIN },
        Plant { code: "parameter_wrong", hop: "postback", words: "{transaction_id} under a name",
            request: |request| request["postback"] = POSTBACK.replace("tid=", "zzz=").into(), ..PLAIN },
        Plant { code: "parameter_wrong", hop: "postback", words: "transaction_id `preflight-",
            request: |request| request["postback"] = POSTBACK.replace("tid=", "tid={click_id}&zzz=").into(), ..PLAIN },
        Plant { code: "parameter_wrong", hop: "postback", words: "{status} under a name",
            request: |request| request["postback"] = POSTBACK.replace("status=", "zustand=").into(), ..PLAIN },
        Plant { code: "parameter_wrong", hop: "postback", words: "{event_time} under a name",
            request: |request| request["postback"] = POSTBACK.replace("event_time=", "zeit=").into(), ..PLAIN },
        Plant { code: "parameter_wrong", hop: "postback", words: "{event} under a name",
            request: |request| {
                request["postback"] = format!("{POSTBACK}&ereignis={{event}}").into();
                request["event"] = "Sale".into();
            }, ..PLAIN },
        Plant { code: "parameter_wrong", hop: "postback", words: "{currency} under a name that the contract does not read, and USD is assumed",
            config: |config| config.replace("currency = \"USD\"\nauth", "auth"),
            request: |request| request["postback"] = POSTBACK.replace("currency=", "waehrung=").into(), ..PLAIN },
        Plant { code: "postback_elsewhere", hop: "postback", words: "leads to `track.example`",
            config: |config| config.replace("timezone = \"UTC\"", "timezone = \"UTC\"\npublic_hosts = [\"t.shop.example\"]"), ..PLAIN },
        Plant { code: "postback_elsewhere", hop: "postback", words: "that of `beta` and not of `acme`",
            request: |request| request["postback"] = POSTBACK.replace("/postback/acme", "/postback/beta").into(), ..PLAIN },
        Plant { code: "cents_for_units", hop: "postback", words: "amount_too_precise",
            config: |config| config.replace("slug = \"acme\"", "slug = \"acme\"\namounts = \"cents\""), ..PLAIN },
        Plant { code: "cents_for_units", hop: "postback", words: "a sale of 12.34 USD was read as 1234.00 USD",
            request: |request| request["postback"] = POSTBACK.replace("{payout}", "{payout_cents}").into(), ..PLAIN },
        Plant { code: "currency_missing", hop: "postback", words: "USD is assumed",
            config: |config| config.replace("currency = \"USD\"\nauth", "auth"),
            request: |request| {
                request["postback"] = POSTBACK.replace("&currency={currency}", "").into();
                request["currency"] = "EUR".into();
            }, ..PLAIN },
        Plant { code: "pixel_id_wrong", hop: "lander", words: "pixel 999 of meta", fault: Fault::OtherPixel, ..PLAIN },
        Plant { code: "token_expired", hop: "destination", words: "does not accept the token",
            config: |config| config.replace("{ env = \"META_TOKEN\" }", "\"expired-long-ago\""), ..PLAIN },
        Plant { code: "status_unmapped", hop: "postback", words: "`won`",
            request: |request| request["status"] = "won".into(), ..PLAIN },
        Plant { code: "postback_fires_twice", hop: "postback", words: "reported 2 times", fault: Fault::FiresTwice, ..PLAIN },
        Plant { code: "event_id_differs", hop: "signal", words: "an id of its own",
            config: |config| config.replace("role = \"learning_signal\"", "role = \"learning_signal\"\nevent_id = \"own\""), ..PLAIN },
        Plant { code: "consent_denied", hop: "signal", words: "`meta-main` would get nothing",
            config: |config| config.replace("kind = \"meta\"\n", "kind = \"meta\"\nconsent_policy = { when_denied = \"withhold\" }\n"),
            request: |request| request["params"] = "ad_user_data=denied".into(), ..PLAIN },
        // The same where the goal is not the first that sends.
        Plant { code: "event_id_differs", hop: "signal", words: "an id of its own",
            config: |config| behind_another(config.replace("role = \"learning_signal\"", "role = \"learning_signal\"\nevent_id = \"own\"")), ..PLAIN },
        Plant { code: "consent_denied", hop: "signal", words: "`meta-main` would get nothing",
            config: |config| behind_another(config.replace("kind = \"meta\"\n", "kind = \"meta\"\nconsent_policy = { when_denied = \"withhold\" }\n")),
            request: |request| request["params"] = "ad_user_data=denied".into(), ..PLAIN },
        Plant { code: "unmapped_taken", hop: "postback", words: "that nobody knows takes a sale back",
            config: |config| config.replace("slug = \"acme\"", "slug = \"acme\"\nstatuses = { approved = \"approved\", \"*\" = \"reversed\" }"), ..PLAIN },
        Plant { code: "cap_reached", hop: "link", words: "visitors go to `other`",
            config: |config| config.replace("daily = 1000", "daily = 1"), ..PLAIN },
        Plant { code: "lander_dead", hop: "lander", words: "answered 404", fault: Fault::Gone, ..PLAIN },
        Plant { code: "goal_not_met", hop: "signal", words: "purchase",
            config: |config| config.replace("value > 0", "value > 100"), ..PLAIN },
        // The last one: a clock that goes back has stopped for everybody who counts by it. Half a minute more than is told: the
        // others go on while this one stands.
        Plant { code: "clock_off", hop: "destination", words: "2 h 0 min ahead of", ahead_ms: 7_230_000, ..PLAIN },
    ]
}

/// The same goal behind another one that sends elsewhere.
fn behind_another(config: String) -> String {
    const OTHER: &str = r#"
[[destination]]
slug = "other-main"
kind = "meta"
consent_policy = { when_denied = "limited" }
dataset_id = "1234567890"
access_token = { env = "META_TOKEN" }
endpoint = "http://SANDBOX"
allow_private = true

[[goal]]
slug = "first"
role = "learning_signal"
when = "status == 'approved' && value > 0 && !('too_fast' in labels)"
event_name = "Purchase"
send_to = ["other-main"]

[[goal]]
slug = "purchase""#;
    config.replace("\n[[goal]]\nslug = \"purchase\"", OTHER)
}

async fn planted(kind: Kind) -> Result<()> {
    let shop = Shop::open().await?;
    let server = start(kind, &shop, |config| config).await?;
    shop.reports_to(server.tracking);
    let named: std::collections::BTreeSet<&str> = plants().iter().map(|plant| plant.code).collect();
    assert_eq!(named.len(), 18, "the fifteen and three more");
    for plant in plants() {
        set_clock(&server, plant.ahead_ms)?;
        let config = (plant.config)(CONFIG.replace("SHOP", &shop.address.to_string()));
        server.apply(&config).await?;
        shop.plant(plant.fault);
        if plant.code == "cap_reached" {
            client::get(server.tracking, "/c/summer?sub1=somebody").await?;
        }
        let mut request = asked();
        (plant.request)(&mut request);
        let told = fly(&server, &request).await?;
        let found = told["defects"].as_array().context("defects")?;
        assert_eq!(codes(&told), [plant.code], "{told:#}");
        assert_eq!(word(&found[0], "hop"), plant.hop, "{told:#}");
        let problem = word(&found[0], "problem");
        assert!(problem.contains(plant.words), "{problem}");
        assert!(!word(&found[0], "why").is_empty() && !word(&found[0], "fix").is_empty());
        assert_eq!(told["ok"], json!(false));
        assert_eq!(word(hop(&told, plant.hop)?, "compared"), "differs", "{told:#}");
        if plant.words.starts_with("{status}") {
            let case =
                json!({ "case": "unmapped_status", "passed": false, "found": "the status was not read" });
            assert_eq!(told["negatives"][1], case, "{told:#}");
        }
    }
    server.stop().await;
    Ok(())
}

async fn command(kind: Kind) -> Result<()> {
    let shop = Shop::open().await?;
    let server = start(kind, &shop, |config| config).await?;
    let run = async |words: &[&str]| {
        let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
        let at = [
            "--url".to_owned(),
            format!("http://{}", server.admin),
            "--token".to_owned(),
            server.token.clone(),
        ];
        let directory = server.database.directory().to_owned();
        let ended = tokio::task::spawn_blocking(move || {
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            crate::commands::program().run(&words, &at, &directory)
        });
        ended.await?
    };
    let fine = ["preflight", "run", "summer", "--actions", "3", "--allow-private", "--postback", POSTBACK];
    let output = run(&fine).await?;
    let page = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{page}{}", String::from_utf8_lossy(&output.stderr));
    for line in ["1  link", "7  destination", "3/3", "37.05 USD", "case wrong_token: as it must be"] {
        assert!(page.contains(line), "{line}: {page}");
    }
    shop.plant(Fault::Gone);
    let output = run(&[&["--json"], &fine[..]].concat()).await?;
    assert_eq!(output.status.code(), Some(6));
    let told: Value = serde_json::from_slice(&output.stdout)?;
    assert_eq!(codes(&told), ["lander_dead"]);
    let output = run(&fine).await?;
    let page = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(page.contains("lander_dead at lander:") && page.contains("  fix: Mend the page"), "{page}");
    for (words, code) in
        [(&["preflight", "run", "winter"][..], 3), (&["preflight", "run", "summer", "--actions", "1000"], 2)]
    {
        assert_eq!(run(words).await?.status.code(), Some(code), "{words:?}");
    }
    server.stop().await;
    Ok(())
}
