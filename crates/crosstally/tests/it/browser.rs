//! What browsers tell, over the real doors: who may, what is kept, and what a conversion takes of it.

use anyhow::{Context, Result};
use bytes::Bytes;
use crosstally_testkit::client::{self, Reply};
use crosstally_testkit::database::Kind;
use crosstally_testkit::on_both;
use crosstally_testkit::server::{CONFIG, START, TestServer};
use http::Request;
use http_body_util::Full;
use serde_json::{Value, json};

on_both! {
    /// The event of a browser and the postback that follows are one Purchase with one id, page and cookies of the browser.
    a_conversion_carries_what_its_browser_said => one_id;
    /// An order that the page names goes with its own postback, whichever comes first.
    orders_of_one_click_keep_their_ids_apart => orders;
    /// A page without a click gets one, and the same one when it asks again.
    a_page_without_a_click_gets_one_once => direct;
    /// Whatever is refused leaves a receipt with its code, and the balance holds.
    every_refusal_leaves_a_receipt => refusals;
    /// G4, G7: a browser's signal and word go with the conversion, strings byte for byte.
    g4_g7_consent_of_the_browser_holds_for_the_conversion => consent;
    /// A visitor who denies is not known by anything but the word.
    of_a_visitor_who_denies_nothing_else_is_kept => denied;
    /// What a browser says later of anything else takes no denial back; the same choice made anew does.
    a_denial_stands_whatever_else_is_said_later => denied_then;
    /// Contact values and secrets that a page gives away are neither kept nor sent, of whoever denies nothing at all.
    what_a_page_gives_away_is_not_kept => given_away;
    /// A later call is not the first, whatever it says of its time, and nothing happened before the click.
    a_later_call_takes_no_earlier_ones_place => later;
    /// An image tells an event where no script runs.
    an_image_tells_an_event => image;
    /// E1, E3, E4: nothing that a page says becomes a redirect, a header or markup.
    e1_e3_e4_what_a_page_says_stays_text => hostile;
    /// A later approval that names no click is still about the browser's page.
    an_approval_without_a_click_keeps_the_browsers_words => approval;
    /// A click that waits for its store is booked again with what the browser said.
    a_replayed_call_takes_the_browsers_event => replayed;
}

/// The configuration with pages of the campaign's own.
pub(crate) fn config() -> String {
    CONFIG.replace(
        "[[partner]]",
        "sites = [\"shop.example\", \"*.shop.example\", \"shop.co.uk\"]\n\n[[partner]]",
    )
}

async fn start(kind: Kind) -> Result<TestServer> {
    let server = TestServer::start(kind).await?;
    server.apply(&config()).await?;
    Ok(server)
}

async fn tell_from(
    server: &TestServer,
    origin: &str,
    headers: &[(&str, &str)],
    body: String,
) -> Result<Reply> {
    let mut request =
        Request::post("/e").header("user-agent", "Mozilla/5.0 browser").header("content-type", "text/plain");
    if !origin.is_empty() {
        request = request.header("origin", origin);
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    client::send(server.tracking, request.body(Full::new(Bytes::from(body)))?).await
}

pub(crate) async fn tell(server: &TestServer, call: &Value) -> Result<Value> {
    let reply = tell_from(server, "https://shop.example", &[], call.to_string()).await?;
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()
}

fn event(name: &str, id: &str) -> Value {
    json!({"name": name, "event_id": id, "page": "https://shop.example/thanks?order=1&fbclid=x#top", "age_ms": 0})
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or("")
}

async fn sent(server: &TestServer) -> Result<Vec<Value>> {
    server.deliver().await?;
    Ok(server.accepted().await?.iter().filter_map(|row| row.get("event").cloned()).collect())
}

async fn one_id(kind: Kind) -> Result<()> {
    let server = start(kind).await?;
    let click = server.click("fbclid=IwAR_AbC").await?;
    let call = json!({"campaign": "summer", "click_id": click, "page": "https://shop.example/?fbclid=IwAR_AbC",
        "fbp": "fb.1.1700000000000.5", "events": [event("PageView", "view"), event("Purchase", "e-1")]});
    let told = tell(&server, &call).await?;
    assert_eq!((text(&told, "/result"), text(&told, "/click_id")), ("recorded", click.as_str()));
    let fbc = format!("fb.1.{}.IwAR_AbC", START.as_millis());
    assert_eq!((text(&told, "/fbc"), text(&told, "/domain")), (fbc.as_str(), "shop.example"));
    let again = tell(&server, &call).await?;
    assert_eq!((text(&again, "/result"), again.get("repeated")), ("duplicate", Some(&json!(2))));
    server.advance(1_000);
    for _ in 0..2 {
        server.postback(&format!("click_id={click}&tid=T1&payout=12.34")).await?;
    }
    let events = sent(&server).await?;
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!(text(&events[0], "/event_id"), "e-1");
    assert_eq!(text(&events[0], "/event_source_url"), "https://shop.example/thanks?order=1");
    assert_eq!(text(&events[0], "/user_data/fbc"), fbc);
    assert_eq!(text(&events[0], "/user_data/fbp"), "fb.1.1700000000000.5");
    assert_eq!(text(&events[0], "/user_data/client_user_agent"), "Mozilla/5.0 browser");
    let trace = server.api(&format!("/api/v1/trace/{click}")).await?;
    let told = trace.get("browser_events").and_then(Value::as_array).context("in the trace")?;
    let names: Vec<&str> = told.iter().map(|event| text(event, "/name")).collect();
    assert_eq!(names, ["PageView", "Purchase"]);
    assert_eq!(text(&told[1], "/conversion/key"), "t:T1");
    server.stop().await;
    Ok(())
}

async fn orders(kind: Kind) -> Result<()> {
    let server = start(kind).await?;
    let click = server.click("fbclid=AbC").await?;
    let order = |id: &str, order: &str| {
        let mut event = event("Purchase", id);
        event["transaction_id"] = order.into();
        event
    };
    let call = json!({"campaign": "summer", "click_id": click, "page": "https://shop.example/",
        "events": [order("e-1", "T1"), order("e-2", "T2"), event("Purchase", "e-0")]});
    tell(&server, &call).await?;
    for (tid, expected) in [("T2", "e-2"), ("T1", "e-1"), ("T3", "e-0")] {
        server.postback(&format!("click_id={click}&tid={tid}&payout=1")).await?;
        let events = sent(&server).await?;
        assert_eq!(text(events.last().context("sent")?, "/event_id"), expected, "{tid}");
    }
    // Nothing is left for a fourth; what a partner hands back goes before all.
    server.postback(&format!("click_id={click}&tid=T4&payout=1")).await?;
    server.postback(&format!("click_id={click}&tid=T5&payout=1&event_id=own")).await?;
    let events = sent(&server).await?;
    let mut ids: Vec<&str> = events[3..].iter().map(|event| text(event, "/event_id")).collect();
    ids.sort_by_key(|id| id.len());
    assert_eq!((ids.len(), ids[0], ids[1].len()), (2, "own", 32));
    server.stop().await;
    Ok(())
}

async fn direct(kind: Kind) -> Result<()> {
    let server = start(kind).await?;
    let call = json!({"campaign": "summer", "visit": {"at": START.as_millis() - 500, "id": "00112233445566"},
        "page": "https://www.shop.co.uk/p?fbclid=AbC&sub1=ad7&utm_source=x", "referrer": "https://m.facebook.example/",
        "events": [event("Lead", "e-1")]});
    let refused = tell_from(&server, "https://www.shop.co.uk", &[], call.to_string()).await?;
    assert_eq!(refused.json()?.get("code"), Some(&json!("origin_not_allowed")));
    let reply =
        tell_from(&server, "https://shop.co.uk", &[("host", "t.shop.co.uk")], call.to_string()).await?;
    let told = reply.json()?;
    assert_eq!((text(&told, "/domain"), text(&told, "/fbc").get(..5)), ("shop.co.uk", Some("fb.2.")));
    let cookies: Vec<_> =
        reply.headers.get_all("set-cookie").iter().filter_map(|line| line.to_str().ok()).collect();
    assert!(
        cookies.iter().any(|line| line.starts_with("_xt=")
            && line.contains("Domain=shop.co.uk; Path=/; Max-Age=7776000; SameSite=Lax; Secure")),
        "{cookies:?}"
    );
    let again =
        tell_from(&server, "https://shop.co.uk", &[("host", "tracker.example")], call.to_string()).await?;
    assert!(again.header("set-cookie").is_none(), "another site sets no cookie of this one");
    let click = text(&told, "/click_id");
    assert_eq!(text(&again.json()?, "/click_id"), click);
    let stored = server.api(&format!("/api/v1/clicks/{click}")).await?;
    assert_eq!(text(&stored, "/campaign"), "summer");
    assert!(stored.to_string().contains("sub1=ad7"), "{stored}");
    server.postback(&format!("click_id={click}&payout=3")).await?;
    let events = sent(&server).await?;
    assert_eq!(text(&events[0], "/event_id"), "e-1", "the first action's id, whatever its name");
    assert_eq!(text(&events[0], "/user_data/fbc"), text(&told, "/fbc"));
    server.stop().await;
    Ok(())
}

async fn refusals(kind: Kind) -> Result<()> {
    let server = start(kind).await?;
    let click = server.click("x=1").await?;
    let forged =
        format!("{}{}", click.get(..25).unwrap_or_default(), if click.ends_with('0') { '1' } else { '0' });
    let call = |more: Value| {
        let mut call =
            json!({"campaign": "summer", "click_id": click, "page": "https://shop.example/", "events": []});
        call.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        call.to_string()
    };
    let many: Vec<Value> = (0..51).map(|number| event("E", &number.to_string())).collect();
    let cases = [
        ("https://evil.example", call(json!({})), 403, "origin_not_allowed"),
        ("https://shop.example.evil.example", call(json!({})), 403, "origin_not_allowed"),
        ("https://evilshop.example", call(json!({})), 403, "origin_not_allowed"),
        ("null", call(json!({})), 403, "origin_not_allowed"),
        ("", call(json!({})), 403, "origin_not_allowed"),
        ("https://shop.example", call(json!({"campaign": "none"})), 404, "unknown_campaign"),
        ("https://shop.example", call(json!({"click_id": "short"})), 400, "click_id_malformed"),
        ("https://shop.example", call(json!({"click_id": forged})), 400, "click_id_forged"),
        ("https://shop.example", call(json!({"events": many})), 400, "too_many_events"),
        ("https://shop.example", call(json!({"events": [event("", "e")]})), 400, "event_invalid"),
        ("https://shop.example", call(json!({"events": [event("a\u{0}b", "e")]})), 400, "event_invalid"),
        (
            "https://shop.example",
            call(json!({"events": [event("Lead", &"x".repeat(200))]})),
            400,
            "event_invalid",
        ),
        ("https://shop.example", "{\"campaign\"".to_owned(), 400, "body_unreadable"),
        ("https://shop.example", "x".repeat(70_000), 413, "body_too_large"),
    ];
    for (origin, body, status, code) in &cases {
        let reply = tell_from(&server, origin, &[], body.clone()).await?;
        let answer = reply.json()?;
        assert_eq!((reply.status, text(&answer, "/code")), (*status, *code), "{origin}: {answer}");
        let receipt = server.api(&format!("/api/v1/receipts/{}", text(&answer, "/receipt"))).await?;
        assert_eq!((text(&receipt, "/result"), text(&receipt, "/code")), ("refused", *code), "{receipt}");
        let readable = *origin == "https://shop.example";
        assert_eq!(reply.header("access-control-allow-origin"), readable.then_some(*origin), "{code}");
    }
    // A click that has all it may have.
    for call_number in 0..5 {
        let events: Vec<Value> =
            (0..50).map(|number| event("E", &format!("{call_number}-{number}"))).collect();
        let reply = tell_from(&server, "https://shop.example", &[], call(json!({"events": events}))).await?;
        assert_eq!(reply.status, if call_number < 4 { 200 } else { 400 }, "{}", reply.text());
    }
    let balance = server.api("/api/v1/receipts/balance").await?;
    let all = balance.to_string();
    assert!(all.contains("(browser)") && all.contains(&format!("{}", cases.len() + 1)), "{all}");
    let preflight =
        Request::options("/e").header("origin", "https://www.shop.example").body(Full::default())?;
    let reply = client::send(server.tracking, preflight).await?;
    assert_eq!(
        (reply.status, reply.header("access-control-allow-origin")),
        (204, Some("https://www.shop.example"))
    );
    assert_eq!(client::get(server.tracking, "/e").await?.status, 405);
    server.stop().await;
    Ok(())
}

async fn consent(kind: Kind) -> Result<()> {
    let server = start(kind).await?;
    let click = server.click("fbclid=AbC").await?;
    let call = json!({"campaign": "summer", "click_id": click, "page": "https://shop.example/", "events": [event("Purchase", "e")],
        "consent": {"ad_user_data": "granted", "gpp": "DBACNYA~CPXxRfAPXxRfAAfKABENB-CgAAAAAAAAAAYgAAAAAAAA~1YNN", "gpp_sid": "2_6"}});
    let reply = tell_from(&server, "https://shop.example", &[("sec-gpc", "1")], call.to_string()).await?;
    let told = reply.json()?;
    assert_eq!(
        (told.get("fbc"), told.get("fbp")),
        (Some(&Value::Null), Some(&Value::Null)),
        "under GPC no new mark"
    );
    let trace = server.api(&format!("/api/v1/trace/{click}")).await?;
    assert_eq!(trace.pointer("/browser_events/0/consent/gpc"), Some(&json!(true)), "{trace}");
    assert_eq!(text(&trace, "/browser_events/0/consent/gpp"), text(&call, "/consent/gpp"));
    // Any other value is no signal.
    let other = server.click("fbclid=DeF").await?;
    let call = json!({"campaign": "summer", "click_id": other, "page": "https://shop.example/", "events": [event("Lead", "e")]});
    let reply = tell_from(&server, "https://shop.example", &[("sec-gpc", "true")], call.to_string()).await?;
    assert!(text(&reply.json()?, "/fbp").starts_with("fb.1."));
    server.stop().await;
    Ok(())
}

async fn denied(kind: Kind) -> Result<()> {
    let server = start(kind).await?;
    let click = server.click("fbclid=AbC").await?;
    let call = json!({"campaign": "summer", "click_id": click, "page": "https://shop.example/?fbclid=AbC", "fbp": "fb.1.1.5",
        "consent": {"ad_user_data": "denied"}, "events": [event("Consent", "denied")]});
    let reply =
        tell_from(&server, "https://shop.example", &[("host", "t.shop.example")], call.to_string()).await?;
    assert_eq!((reply.status, reply.header("set-cookie")), (200, None), "nor is the browser marked");
    let told = reply.json()?;
    assert_eq!((told.get("fbc"), told.get("fbp")), (Some(&Value::Null), Some(&Value::Null)));
    let trace = server.api(&format!("/api/v1/trace/{click}")).await?;
    let kept = &trace["browser_events"][0];
    assert_eq!(
        (text(kept, "/name"), text(kept, "/page"), kept.get("ip")),
        ("Consent", "", Some(&Value::Null))
    );
    server.postback(&format!("click_id={click}&payout=3")).await?;
    assert_eq!(sent(&server).await?.len(), 0, "denied to the browser is denied to the server");
    server.stop().await;
    Ok(())
}

async fn denied_then(kind: Kind) -> Result<()> {
    let server = start(kind).await?;
    let post = async |click: &str, id: &str, consent: Value, headers: &[(&str, &str)]| {
        let call = json!({"campaign": "summer", "click_id": click, "page": "https://shop.example/",
            "consent": consent, "events": [event("Lead", id)]});
        let reply = tell_from(&server, "https://shop.example", headers, call.to_string()).await?;
        assert_eq!(reply.status, 200, "{}", reply.text());
        anyhow::Ok(())
    };
    let later: [(Value, &[(&str, &str)]); 4] = [
        (json!({}), &[("sec-gpc", "1")]),
        (json!({"ad_personalization": "granted"}), &[]),
        (json!({"gdpr": "0"}), &[]),
        (json!({"ad_user_data": "granted"}), &[]),
    ];
    for (at, (consent, headers)) in later.iter().enumerate() {
        let click = server.click(&format!("fbclid=AbC{at}")).await?;
        post(&click, "a", json!({"ad_user_data": "denied"}), &[]).await?;
        server.advance(1_000);
        post(&click, "b", consent.clone(), headers).await?;
        server.postback(&format!("click_id={click}&tid=D{at}&payout=3")).await?;
        let last = consent.get("ad_user_data").is_some();
        assert_eq!(sent(&server).await?.len(), usize::from(last), "{consent} {headers:?}");
    }
    server.stop().await;
    Ok(())
}

async fn given_away(kind: Kind) -> Result<()> {
    let server = start(kind).await?;
    let page = "https://shop.example/thanks?order=%41%2b1&email=jane@doe.example&phone=5550199&token=s3cret&who=jane%40doe.example";
    let mut lead = event("Purchase", "e-1");
    lead["page"] = page.into();
    lead["fields"] = json!({"user_data": {"email": "jane"}, "list": ["jane@doe.example"], "phone_number": "5550199",
        "firstName": "jane", "iban": "s3cret", "value": "12.34"});
    let call = |id: &str, consent: Value| {
        json!({"campaign": "summer", "click_id": "", "page": page, "referrer": page, "consent": consent,
            "visit": {"at": START.as_millis() - 500, "id": id}, "events": [lead]})
    };
    let told = tell(&server, &call("00112233445566", json!({}))).await?;
    let click = text(&told, "/click_id").to_owned();
    server.postback(&format!("click_id={click}&tid=T1&payout=3")).await?;
    let events = sent(&server).await?;
    assert_eq!(text(&events[0], "/event_source_url"), "https://shop.example/thanks?order=%41%2b1");
    let trace = server.api(&format!("/api/v1/trace/{click}")).await?;
    assert_eq!(trace.pointer("/browser_events/0/fields"), Some(&json!({"value": "12.34"})), "{trace}");
    let denied = tell(&server, &call("00112233445577", json!({"ad_user_data": "denied"}))).await?;
    let of_denied = server.api(&format!("/api/v1/trace/{}", text(&denied, "/click_id"))).await?;
    assert_eq!(of_denied.pointer("/browser_events/0/fields"), Some(&json!({})), "{of_denied}");
    for told in [json!(events).to_string(), trace.to_string(), of_denied.to_string()] {
        for given in ["jane", "doe.example", "5550199", "s3cret"] {
            assert!(!told.contains(given), "{given}: {told}");
        }
    }
    server.stop().await;
    Ok(())
}

async fn later(kind: Kind) -> Result<()> {
    let server = start(kind).await?;
    let click = server.click("fbclid=AbC").await?;
    server.advance(5_000);
    let call = |id: &str, age: i64| {
        let mut event = event("Purchase", id);
        event["age_ms"] = age.into();
        json!({"campaign": "summer", "click_id": click, "page": "https://shop.example/", "events": [event]})
    };
    tell(&server, &call("own", 0)).await?;
    server.advance(1_000);
    tell(&server, &call("late", 3 * 86_400_000)).await?;
    server.postback(&format!("click_id={click}&tid=T1&payout=3")).await?;
    assert_eq!(text(&sent(&server).await?[0], "/event_id"), "own");
    let trace = server.api(&format!("/api/v1/trace/{click}")).await?;
    assert_eq!(text(&trace, "/browser_events/0/event_id"), "late");
    assert_eq!(text(&trace, "/browser_events/0/at"), START.to_string(), "not before the click");
    server.stop().await;
    Ok(())
}

async fn image(kind: Kind) -> Result<()> {
    let server = start(kind).await?;
    let click = server.click("fbclid=AbC").await?;
    let path = format!("/e.gif?campaign=summer&click_id={click}&name=Lead&event_id=e-9&value=5");
    let reply = client::get(server.tracking, &path).await?;
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("image/gif")));
    assert!(reply.body.starts_with(b"GIF89a"));
    let strange = client::get(server.tracking, "/e.gif?campaign=summer&name=Lead").await?;
    assert_eq!((strange.status, text(&strange.json()?, "/code")), (403, "origin_not_allowed"));
    server.postback(&format!("click_id={click}&status=approved&payout=2")).await?;
    assert_eq!(text(&sent(&server).await?[0], "/event_id"), "e-9");
    server.stop().await;
    Ok(())
}

async fn hostile(kind: Kind) -> Result<()> {
    let server = start(kind).await?;
    let click = server.click("x=1").await?;
    let nasty = "<script>alert(1)</script>\u{2028}\u{202e}=cmd|'";
    let mut bad = event(nasty, nasty);
    bad["page"] = "javascript:alert(1)".into();
    bad["fields"] = json!({ nasty: nasty, "url": "https://evil.example" });
    let call = json!({"campaign": "summer", "click_id": click, "page": "//evil.example", "events": [bad],
        "keep": "a\r\nset-cookie: x=1", "fbp": "fb.1.1.5\r\nx: y"});
    let reply =
        tell_from(&server, "https://shop.example", &[("host", "t.shop.example")], call.to_string()).await?;
    assert_eq!(
        (reply.status, reply.header("location"), reply.header("x")),
        (200, None, None),
        "{}",
        reply.text()
    );
    assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
    assert!(!reply.headers.get_all("set-cookie").iter().any(|line| line.as_bytes().starts_with(b"x=")));
    let trace = server.api(&format!("/api/v1/trace/{click}")).await?;
    assert_eq!(text(&trace, "/browser_events/0/page"), "");
    assert_eq!(text(&trace, "/browser_events/0/name"), nasty);
    server.stop().await;
    Ok(())
}

async fn approval(kind: Kind) -> Result<()> {
    let server = start(kind).await?;
    let click = server.click("x=1").await?;
    let call = json!({"campaign": "summer", "click_id": click, "page": "https://shop.example/", "fbp": "fb.1.1700000000000.7",
        "events": [event("Lead", "e-1")]});
    tell(&server, &call).await?;
    server.postback(&format!("click_id={click}&tid=T1&status=lead")).await?;
    server.postback("tid=T1&status=approved&payout=9").await?;
    let events = sent(&server).await?;
    assert_eq!(text(&events[0], "/event_id"), "e-1");
    assert_eq!(text(&events[0], "/user_data/fbp"), "fb.1.1700000000000.7");
    assert_eq!(text(&events[0], "/event_source_url"), "https://shop.example/thanks?order=1");
    server.stop().await;
    Ok(())
}

async fn replayed(kind: Kind) -> Result<()> {
    let server = start(kind).await?;
    let click = server.click("x=1").await?;
    tell(&server, &json!({"campaign": "summer", "click_id": click, "page": "https://shop.example/", "events": [event("Purchase", "e-1")]})).await?;
    let refused = server.postback(&format!("click_id={click}&tid=T1&status=odd&payout=9")).await?.json()?;
    assert_eq!(text(&refused, "/code"), "status_unmapped");
    let mapped = config().replace(
        "currency = \"USD\"\n\n[[destination]]",
        "currency = \"USD\"\nstatuses = { odd = \"approved\" }\n\n[[destination]]",
    );
    server.apply(&mapped).await?;
    let replay = json!({"receipts": [text(&refused, "/receipt")], "apply": true}).to_string();
    let reply = client::post_as(server.admin, "/api/v1/receipts/replay", &server.token, &replay).await?;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let events = sent(&server).await?;
    assert_eq!(text(&events[0], "/event_id"), "e-1");
    let trace = server.api(&format!("/api/v1/trace/{click}")).await?;
    assert_eq!(text(&trace, "/browser_events/0/conversion/key"), "t:T1");
    server.stop().await;
    Ok(())
}

/// The script as every page loads it: cached by what it is, as small as the browser reads it.
#[test]
fn the_script_is_served_small_and_cached() {
    crosstally_testkit::run(async {
        let server = TestServer::start(Kind::Sqlite).await?;
        let ask = async |headers: &[(&str, &str)]| {
            let mut request = Request::get("/t.js");
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            client::send(server.tracking, request.body(Full::default())?).await
        };
        let plain = ask(&[]).await?;
        assert_eq!(plain.header("content-type"), Some("text/javascript; charset=utf-8"));
        assert_eq!(plain.header("x-content-type-options"), Some("nosniff"));
        assert!(plain.header("cache-control").is_some_and(|cache| cache.contains("max-age=3600")));
        for coding in ["br", "gzip"] {
            let small = ask(&[("accept-encoding", coding)]).await?;
            assert_eq!(small.header("content-encoding"), Some(coding));
            assert!(small.body.len() <= 4 * 1024, "{coding}: {} bytes", small.body.len());
        }
        let etag = plain.header("etag").context("a tag")?.to_owned();
        let again = ask(&[("if-none-match", &etag)]).await?;
        assert_eq!((again.status, again.body.len()), (304, 0));
        server.stop().await;
        Ok(())
    });
}
