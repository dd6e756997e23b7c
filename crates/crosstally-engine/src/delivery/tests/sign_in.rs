//! A platform that wants a short-lived access token: asked for when needed, kept as long as it is good, never stored; and
//! what stands in the way is an attempt that everybody can see.

use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, Ordering};

use crosstally_core::postback::Inbound;
use crosstally_core::reason::Reason;
use crosstally_core::time::{MINUTE_MS, Timestamp};
use crosstally_destinations::dialect::{ACCESS_TOKEN, Request, Response};

use super::desk::{Desk, NOW, Platform, Reply, TOKEN};
use crate::delivery::Delivered;
use crate::delivery::sign_in::SignIn;

pub(super) fn token(text: &str) -> String {
    format!(r#"{{"access_token":"{text}","expires_in":3600,"token_type":"Bearer"}}"#)
}

pub(super) fn say(status: u16, body: &str) -> Reply {
    Reply::Say(status, "", body.to_owned())
}

/// A platform whose token endpoint answers by `signs_in`, and whose events edge knows the tokens that begin with `good`.
async fn desk(mut signs_in: impl FnMut() -> Reply + Send + 'static) -> Desk {
    let platform = Platform::start(move |call| {
        if call.text.starts_with("POST /token ") {
            return signs_in();
        }
        if call.text.to_ascii_lowercase().contains("authorization: bearer good") {
            return say(200, r#"{"requestId":"r-1"}"#);
        }
        say(401, r#"{"error":{"code":401,"status":"UNAUTHENTICATED","message":"no"}}"#)
    });
    let desk = Desk::at(platform.await).await;
    desk.apply_google().await;
    desk
}

pub(super) async fn book(desk: &Desk, count: usize) {
    for number in 0..count {
        let query =
            format!("transaction_id=g{number}&status=approved&payout=10.00&email=a{number}@b.example");
        let inbound = Inbound {
            method: "GET".into(),
            partner: "acme".into(),
            query: query.into_bytes(),
            ..Inbound::default()
        };
        let out = desk.engine.receive_postback(inbound).await;
        assert!(out.rows.iter().all(|row| row.conversion.is_some()), "{out:?}");
    }
}

/// The first line of each call.
fn lines(desk: &Desk) -> Vec<String> {
    let line = |text: &str| text.lines().next().unwrap_or_default().to_owned();
    desk.platform.calls().iter().map(|call| line(&call.text)).collect()
}

const SIGN_IN: &str = "POST /token HTTP/1.1";
const SEND: &str = "POST /v1/events:ingest HTTP/1.1";

#[tokio::test]
async fn events_go_with_the_token_of_a_sign_in_and_the_token_is_stored_nowhere() {
    let desk = desk(|| say(200, &token("good-1"))).await;
    book(&desk, 3).await;
    assert_eq!(desk.deliver().await, Delivered { calls: 1, delivered: 3, ..Delivered::default() });
    assert_eq!(lines(&desk), [SIGN_IN, SEND]);
    let asked = &desk.platform.calls()[0].text;
    assert!(asked.contains("grant_type=refresh_token&client_id=app.example&client_secret="), "{asked}");
    let one = desk.one().await;
    assert_eq!(one.reason, Some(Reason::AcceptedUnverified));
    let attempts = desk.attempts(&one).await;
    assert_eq!((attempts.len(), attempts[0].outcome.as_deref()), (1, Some("delivered")));
    assert_eq!(attempts[0].reason, Some(Reason::AcceptedUnverified));
    let stored = format!("{attempts:?} {one:?}");
    assert!(!stored.contains("good-1") && !stored.contains(TOKEN), "{stored}");
}

#[tokio::test]
async fn a_sign_in_that_is_refused_pauses_and_is_seen_as_an_attempt() {
    let known = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let knows = std::sync::Arc::clone(&known);
    let desk = desk(move || {
        if knows.load(Ordering::SeqCst) {
            return say(200, &token("good-2"));
        }
        say(400, r#"{"error":"invalid_grant","error_description":"Token has been expired or revoked."}"#)
    })
    .await;
    book(&desk, 2).await;
    assert_eq!(desk.deliver().await, Delivered { calls: 1, waiting: 2, ..Delivered::default() });
    assert_eq!(lines(&desk), [SIGN_IN]);
    let state = desk.state().await.unwrap();
    assert_eq!(state.paused, Some(Reason::DestAuth));
    assert!(
        state.detail.contains("signing in: 400 invalid_grant: Token has been expired"),
        "{}",
        state.detail
    );
    let attempts = desk.attempts(&desk.one().await).await;
    assert_eq!((attempts[0].status, attempts[0].reason), (Some(400), Some(Reason::DestAuth)));
    assert!(attempts[0].url.ends_with("/token"), "{}", attempts[0].url);
    assert!(!format!("{attempts:?}").contains(TOKEN));
    // Nothing counts against the events, and the probe signs in anew.
    assert_eq!(desk.one().await.failures, 0);
    known.store(true, Ordering::SeqCst);
    desk.clock.advance(MINUTE_MS);
    assert_eq!(desk.deliver().await, Delivered { calls: 2, delivered: 2, ..Delivered::default() });
    assert_eq!(desk.state().await.unwrap().paused, None);
}

/// A sign-in is nobody's own: one that is refused pauses, also beside events that found the door shut before while others were
/// let in.
#[tokio::test]
async fn a_refused_sign_in_is_no_matter_of_the_events_that_wait() {
    // Good for no second call.
    let short = |text: &str| token(text).replace("3600", "60");
    let refused = r#"{"error":"invalid_grant","error_description":"Token has been revoked."}"#;
    let replies = Mutex::new(vec![say(400, refused), say(200, &short("good-6")), say(200, &short("stale"))]);
    let desk = desk(move || replies.lock().unwrap().pop().unwrap()).await;
    book(&desk, 3).await;
    assert_eq!(desk.deliver().await, Delivered { calls: 1, waiting: 3, ..Delivered::default() });
    desk.clock.advance(MINUTE_MS);
    assert_eq!(
        desk.deliver().await,
        Delivered { calls: 2, delivered: 1, waiting: 2, ..Delivered::default() }
    );
    assert_eq!(lines(&desk), [SIGN_IN, SEND, SIGN_IN, SEND, SIGN_IN]);
    let state = desk.state().await.unwrap();
    assert_eq!(state.paused, Some(Reason::DestAuth));
    assert!(state.detail.contains("signing in: 400 invalid_grant"), "{}", state.detail);
}

#[tokio::test]
async fn a_sign_in_without_an_answer_is_tried_again_and_an_odd_one_leaves_no_body() {
    let replies = Mutex::new(vec![say(200, r#"{"odd_token":"good-3"}"#), say(503, "down")]);
    let desk =
        desk(move || replies.lock().unwrap().pop().unwrap_or_else(|| say(200, &token("good-4")))).await;
    book(&desk, 1).await;
    for _ in 0..2 {
        assert_eq!(desk.deliver().await, Delivered { calls: 1, retried: 1, ..Delivered::default() });
        desk.clock.advance(MINUTE_MS);
    }
    assert_eq!(desk.deliver().await.delivered, 1);
    let attempts = desk.attempts(&desk.one().await).await;
    let reasons: Vec<_> = attempts.iter().filter_map(|attempt| attempt.reason).collect();
    assert_eq!(reasons, [Reason::DestServerError, Reason::DestUnreadable, Reason::AcceptedUnverified]);
    assert!(!format!("{attempts:?}").contains("good-3"));
}

#[tokio::test]
async fn a_token_that_the_platform_refuses_pauses_and_is_not_kept() {
    let replies = Mutex::new(vec![say(200, &token("good-5")), say(200, &token("stale"))]);
    let desk = desk(move || replies.lock().unwrap().pop().unwrap()).await;
    book(&desk, 1).await;
    assert_eq!(desk.deliver().await, Delivered { calls: 1, waiting: 1, ..Delivered::default() });
    assert_eq!(desk.state().await.unwrap().paused, Some(Reason::DestAuth));
    desk.clock.advance(MINUTE_MS);
    assert_eq!(desk.deliver().await.delivered, 1);
    assert_eq!(lines(&desk), [SIGN_IN, SEND, SIGN_IN, SEND]);
}

#[tokio::test]
async fn a_token_is_kept_until_shortly_before_its_end_and_only_for_its_own_settings() {
    let desk = desk(|| say(500, "")).await;
    let now = AtomicI64::new(NOW.as_millis());
    let asked = Mutex::new(0);
    let sign_in = SignIn::default();
    let turn = async |expected: &str| {
        let ready = std::sync::Arc::clone(desk.engine.snapshot.load().destination("meta-main").unwrap());
        let clock = || Timestamp::from_millis(now.load(Ordering::SeqCst));
        let answer = async |_: Request| {
            *asked.lock().unwrap() += 1;
            let body = token(&format!("token-{}", asked.lock().unwrap())).into_bytes();
            Ok(Response { status: 200, body, ..Response::default() })
        };
        let Ok(settings) = sign_in.settings(&ready, clock, answer).await else { panic!("signed in") };
        assert_eq!(settings.unwrap().secret(ACCESS_TOKEN).unwrap().expose(), expected);
    };
    turn("token-1").await;
    now.fetch_add(59 * MINUTE_MS - 1, Ordering::SeqCst);
    turn("token-1").await;
    now.fetch_add(1, Ordering::SeqCst);
    turn("token-2").await;
    turn("token-2").await;
    sign_in.forget().await;
    turn("token-3").await;
    // Other settings, another account: never its token.
    desk.apply_google_as("another.example").await;
    turn("token-4").await;
    turn("token-4").await;
}

#[tokio::test]
async fn who_comes_while_a_token_is_asked_for_waits_for_it() {
    let desk = desk(|| say(500, "")).await;
    let ready = std::sync::Arc::clone(desk.engine.snapshot.load().destination("meta-main").unwrap());
    let asked = AtomicI64::new(0);
    let sign_in = SignIn::default();
    let one = async || {
        let answer = async |_: Request| {
            asked.fetch_add(1, Ordering::SeqCst);
            tokio::task::yield_now().await;
            Ok(Response { status: 200, body: token("only").into_bytes(), ..Response::default() })
        };
        sign_in.settings(&ready, || NOW, answer).await.is_ok()
    };
    let (first, second, third) = tokio::join!(one(), one(), one());
    assert!(first && second && third);
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}
