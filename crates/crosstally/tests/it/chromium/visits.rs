//! Visits that are not the usual ones: Global Privacy Control, pages that change their address by themselves, a network that
//! fails, a visitor who is asked first.

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use crosstally_testkit::database::Kind;
use crosstally_testkit::on_both;
use crosstally_testkit::server::TestServer;
use serde_json::{Value, json};

use super::{BUY, Run, TOLD, drive, is_one, page, server, text, text_of, told_of};

on_both! {
    /// No mark of Meta's is made, the signal is told, and pixel and server are one all the same.
    chromium_gpc_makes_no_new_mark_and_is_told => gpc;
    /// Each address of a single-page app is told once, and its purchase is one with the server's.
    chromium_single_page_views_are_told_once_each => single_page;
    /// What could not be told is told on the next page, once.
    chromium_what_could_not_be_told_is_told_on_the_next_page => offline;
    /// Nothing is kept or told before the visitor allows it, and nothing after they deny it.
    chromium_nothing_is_kept_or_told_before_consent => asked;
}

/// Long enough for what is not waited for.
const A_WHILE: &str = "new Promise((done) => setTimeout(done, 300))";

/// One host of the shop with the script, and what is done there.
async fn shop(server: &TestServer, attributes: &str, gpc: bool, steps: Value) -> Result<Run> {
    drive(server, json!({"gpc": gpc, "pages": {"www.shop.example": page(attributes, "")}, "steps": steps}))
        .await
}

async fn gpc(kind: Kind) -> Result<()> {
    let server = server(kind).await?;
    let steps = json!([
        {"goto": "http://www.shop.example/?fbclid=IwAR_AbC"},
        {"wait": TOLD},
        {"eval": "crosstally.click()"},
        {"eval": format!("{BUY}; crosstally.id('Purchase')")},
        {"wait": TOLD},
        {"cookies": "http://www.shop.example/"},
    ]);
    let run = shop(&server, "", true, steps).await?;
    let [click, id, cookies] = &run.answers[..] else { bail!("{:?}", run.answers) };
    assert_eq!((cookies.get("_fbc"), cookies.get("_fbp")), (None, None), "{cookies}");
    let click = text_of(Some(click));
    let trace = server.api(&format!("/api/v1/trace/{click}")).await?;
    assert_eq!(trace.pointer("/browser_events/0/consent/gpc"), Some(&json!(true)));
    assert_eq!(trace.pointer("/click/gpc"), Some(&json!(true)));
    is_one(&server, &click, &text_of(Some(id))).await?;
    let trace = server.api(&format!("/api/v1/trace/{click}")).await?;
    let sent =
        trace.pointer("/conversions/0/deliveries/0/attempts/0").map(Value::to_string).unwrap_or_default();
    assert!(sent.contains("LDU") && !sent.contains("fbp"), "its use is limited, and no mark is sent: {sent}");
    server.stop().await;
    Ok(())
}

async fn single_page(kind: Kind) -> Result<()> {
    let server = server(kind).await?;
    let steps = json!([
        {"goto": "http://www.shop.example/a"},
        {"wait": TOLD},
        {"eval": "history.pushState({}, '', '/b?x=1'); history.pushState({}, '', '/b?x=1#part'); history.replaceState({}, '', '/b?x=1')"},
        {"wait": TOLD},
        {"eval": format!("history.back(); {A_WHILE}")},
        {"eval": format!("history.back(); {A_WHILE}")},
        {"wait": TOLD},
        {"eval": "crosstally.click()"},
        {"eval": format!("history.pushState({{}}, '', '/thanks'); {BUY}; crosstally.id('Purchase')")},
        {"wait": TOLD},
    ]);
    let run = shop(&server, "", false, steps).await?;
    let [.., click, id] = &run.answers[..] else { bail!("{:?}", run.answers) };
    let click = text_of(Some(click));
    let mut all: BTreeMap<String, usize> = BTreeMap::new();
    for event in told_of(&server, &click).await? {
        *all.entry(format!("{} {}", text(&event, "/name"), text(&event, "/page"))).or_default() += 1;
    }
    let expected = [
        ("PageView http://www.shop.example/a", 2),
        ("PageView http://www.shop.example/b?x=1", 1),
        ("PageView http://www.shop.example/thanks", 1),
        ("Purchase http://www.shop.example/thanks", 1),
    ];
    assert_eq!(all, BTreeMap::from(expected.map(|(name, count)| (name.to_owned(), count))));
    is_one(&server, &click, &text_of(Some(id))).await?;
    server.stop().await;
    Ok(())
}

async fn offline(kind: Kind) -> Result<()> {
    let server = server(kind).await?;
    let steps = json!([
        {"goto": "http://www.shop.example/a"},
        {"wait": TOLD},
        {"offline": true},
        {"eval": format!("crosstally.track('Lead', {{plan: 'pro'}}) && {A_WHILE}")},
        {"offline": false},
        {"goto": "http://www.shop.example/b"},
        {"wait": TOLD},
        {"eval": "crosstally.click()"},
    ]);
    let run = shop(&server, "", false, steps).await?;
    let told = told_of(&server, &text_of(run.answers.last())).await?;
    let leads: Vec<&Value> = told.iter().filter(|event| text(event, "/name") == "Lead").collect();
    let [lead] = leads[..] else { bail!("{told:?}") };
    assert_eq!((text(lead, "/page"), text(lead, "/fields/plan")), ("http://www.shop.example/a", "pro"));
    server.stop().await;
    Ok(())
}

async fn asked(kind: Kind) -> Result<()> {
    let server = server(kind).await?;
    let bare = "({keys: Object.keys(localStorage).length, cookie: document.cookie})";
    let steps = json!([
        {"goto": "http://www.shop.example/?fbclid=IwAR_AbC"},
        {"eval": format!("crosstally.track('Lead'); {A_WHILE}")},
        {"eval": bare},
        {"eval": "crosstally.consent({ad_user_data: 'granted', ad_personalization: 'denied'})"},
        {"wait": TOLD},
        {"eval": "crosstally.click()"},
        {"eval": format!("crosstally.consent({{ad_user_data: 'denied'}}); crosstally.track('After'); {A_WHILE}")},
        {"eval": "Object.keys(localStorage).length"},
        {"eval": "crosstally.consent({ad_user_data: 'granted'})"},
        {"wait": TOLD},
        {"eval": format!("crosstally.consent({{ad_user_data: 'denied'}}); {A_WHILE}")},
    ]);
    let run = shop(&server, "data-consent=\"ask\"", false, steps).await?;
    let [before, click, after] = &run.answers[..] else { bail!("{:?}", run.answers) };
    assert_eq!(before, &json!({"keys": 0, "cookie": ""}));
    assert_eq!(after, &json!(0));
    let names = |call: &Value| -> Vec<String> {
        let events = call["events"].as_array().into_iter().flatten();
        events.map(|told| text(told, "/name").to_owned()).collect()
    };
    assert_eq!(
        run.calls.iter().map(names).collect::<Vec<_>>(),
        [vec!["PageView", "Lead"], vec!["Consent"], vec!["Consent"], vec!["Consent"]]
    );
    let last = &run.calls[1];
    assert!(["page", "fbc", "fbp", "referrer"].iter().all(|name| last.get(name).is_none()), "{last}");
    let click = text_of(Some(click));
    server.postback(&format!("click_id={click}&payout=1")).await?;
    server.deliver().await?;
    assert_eq!(server.accepted().await?.len(), 0, "what the browser denies the server does not send");
    server.stop().await;
    Ok(())
}
