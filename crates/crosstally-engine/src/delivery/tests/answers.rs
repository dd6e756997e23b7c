//! What each kind of answer does to the deliveries.

use crosstally_core::delivery::DeliveryState;
use crosstally_core::reason::Reason;
use crosstally_core::time::{DAY_MS, SECOND_MS};

use super::desk::{Desk, NOW, Platform, Reply, TOKEN, graph_error};
use crate::delivery::Delivered;

#[tokio::test]
async fn accepted_events_are_delivered_once_in_one_call() {
    let desk = Desk::at(Platform::start(|_| Reply::Accept).await).await;
    desk.book(0, 3).await;
    assert_eq!(desk.deliver().await, Delivered { calls: 1, delivered: 3, ..Delivered::default() });
    assert_eq!(desk.deliver().await, Delivered::default());
    for delivery in desk.deliveries().await {
        assert_eq!((delivery.state, delivery.attempts, delivery.failures), (DeliveryState::Delivered, 1, 0));
        assert_eq!((&delivery.lease, delivery.finished_at), (&None, Some(NOW)));
        let attempts = desk.attempts(&delivery).await;
        assert_eq!((attempts[0].batch, attempts[0].status, attempts.len()), (3, Some(200), 1));
        assert_eq!(attempts[0].outcome.as_deref(), Some("delivered"));
        assert!(attempts[0].payload.contains(&delivery.event_id), "{}", attempts[0].payload);
        assert!(attempts[0].response.contains("\"events_received\":3"), "{}", attempts[0].response);
    }
    let metrics = desk.engine.metrics.render();
    let line = r#"crosstally_delivery_attempts_total{destination="meta-main",outcome="delivered"} 3"#;
    assert!(metrics.contains(line), "{metrics}");
    // How long each call took, however many events it had.
    for (line, ends) in [
        (r#"crosstally_delivery_duration_seconds_bucket{destination="meta-main",le="+Inf"} 1"#, true),
        (r#"crosstally_delivery_duration_seconds_count{destination="meta-main"} 1"#, true),
        (r#"crosstally_delivery_duration_seconds_sum{destination="meta-main"} "#, false),
        (r#"crosstally_build_info{version=""#, false),
    ] {
        let is_there = |one: &str| if ends { one == line } else { one.starts_with(line) };
        assert!(metrics.lines().any(is_there), "{line} in {metrics}");
    }
}

#[tokio::test]
async fn a_throttle_holds_everything_back_until_its_time() {
    let mut calls = 0;
    let platform = Platform::start(move |_| {
        calls += 1;
        if calls == 1 { Reply::Say(429, "Retry-After: 90\r\n", String::new()) } else { Reply::Accept }
    })
    .await;
    let desk = Desk::at(platform).await;
    desk.book(0, 2).await;
    assert_eq!(desk.deliver().await, Delivered { calls: 1, retried: 2, ..Delivered::default() });
    let delivery = desk.one().await;
    assert_eq!((delivery.reason, delivery.failures), (Some(Reason::DestRateLimited), 1));
    assert_eq!(delivery.due_at.millis_since(NOW), 90 * SECOND_MS);
    let state = desk.state().await.unwrap();
    assert_eq!((state.paused, state.not_before.millis_since(NOW)), (None, 90 * SECOND_MS));
    // A new event waits as well, although it is due.
    desk.book(2, 3).await;
    desk.clock.advance(89 * SECOND_MS);
    assert_eq!(desk.deliver().await, Delivered::default());
    desk.clock.advance(SECOND_MS);
    assert_eq!(desk.deliver().await, Delivered { calls: 1, delivered: 3, ..Delivered::default() });
    assert_eq!(desk.platform.sizes(), [2, 3]);
}

#[tokio::test]
async fn a_failing_platform_is_tried_again_on_schedule_under_the_same_event_id() {
    let mut calls = 0;
    let platform = Platform::start(move |_| {
        calls += 1;
        if calls <= 2 { Reply::Say(500, "", "<h1>Sorry</h1>".into()) } else { Reply::Accept }
    })
    .await;
    let desk = Desk::at(platform).await;
    desk.book(0, 1).await;
    let mut waits = Vec::new();
    for _ in 0..2 {
        assert_eq!(desk.deliver().await, Delivered { calls: 1, retried: 1, ..Delivered::default() });
        let delivery = desk.one().await;
        assert_eq!(
            (delivery.state, delivery.reason),
            (DeliveryState::Pending, Some(Reason::DestServerError))
        );
        let wait = delivery.due_at.millis_since(crate::clock::Clock::now(&desk.clock));
        waits.push(wait);
        desk.clock.advance(wait - 1);
        assert_eq!(desk.deliver().await, Delivered::default());
        desk.clock.advance(1);
    }
    assert!((4_000..=6_000).contains(&waits[0]) && (24_000..=36_000).contains(&waits[1]), "{waits:?}");
    assert_eq!(desk.deliver().await.delivered, 1);
    let ids: Vec<_> = desk.platform.calls().iter().map(|call| call.events[0]["event_id"].clone()).collect();
    assert!(ids.iter().all(|id| *id == ids[0]) && ids.len() == 3, "{ids:?}");
    let outcomes: Vec<_> =
        desk.attempts(&desk.one().await).await.into_iter().map(|one| (one.number, one.outcome)).collect();
    let outcome = |number, word: &str| (number, Some(word.to_owned()));
    assert_eq!(outcomes, [outcome(1, "retry"), outcome(2, "retry"), outcome(3, "delivered")]);
}

#[tokio::test]
async fn a_platform_that_hangs_costs_an_attempt_and_no_more() {
    let desk = Desk::at(Platform::start(|_| Reply::Hang).await).await;
    desk.book(0, 1).await;
    assert_eq!(desk.deliver().await, Delivered { calls: 1, retried: 1, ..Delivered::default() });
    let delivery = desk.one().await;
    assert_eq!((delivery.reason, delivery.failures, &delivery.lease), (Some(Reason::DestTimeout), 1, &None));
    let attempt = desk.attempts(&delivery).await.remove(0);
    assert_eq!((attempt.status, attempt.finished_at), (None, Some(NOW)));
}

#[tokio::test]
async fn what_is_refused_alone_is_dead() {
    let desk = Desk::at(Platform::start(|_| graph_error(400, 100)).await).await;
    desk.book(0, 1).await;
    assert_eq!(desk.deliver().await, Delivered { calls: 1, dead: 1, ..Delivered::default() });
    let delivery = desk.one().await;
    assert_eq!((delivery.state, delivery.reason), (DeliveryState::Dead, Some(Reason::DestRejected)));
    assert!(delivery.detail.contains("100"), "{}", delivery.detail);
}

#[tokio::test]
async fn what_is_too_late_at_the_time_of_sending_is_not_sent() {
    let desk = Desk::at(Platform::start(|_| Reply::Accept).await).await;
    desk.book(0, 2).await;
    desk.clock.advance(8 * DAY_MS);
    assert_eq!(desk.deliver().await, Delivered { expired: 2, ..Delivered::default() });
    let delivery = desk.one().await;
    assert_eq!((delivery.state, delivery.reason), (DeliveryState::Expired, Some(Reason::EventTooOld)));
    assert_eq!((delivery.attempts, desk.platform.sizes()), (0, Vec::new()));
}

#[tokio::test]
async fn the_token_is_never_stored_with_an_attempt() {
    let echo = format!("you sent {TOKEN} or tok%2Fen%20s3cret or tok\\/en s3cret {}", "x".repeat(9_000));
    let desk = Desk::at(Platform::start(move |_| Reply::Say(500, "", echo.clone())).await).await;
    desk.book(0, 1).await;
    desk.deliver().await;
    assert!(desk.platform.calls()[0].text.contains("s3cret"), "the token is sent");
    let delivery = desk.one().await;
    let attempt = desk.attempts(&delivery).await.remove(0);
    assert_eq!(attempt.response.len(), crosstally_core::limits::RESPONSE_KEPT_BYTES);
    assert!(attempt.response.starts_with("you sent *** or *** or ***"), "{}", attempt.response);
    for text in [format!("{delivery:?}"), format!("{attempt:?}"), desk.engine.metrics.render()] {
        assert!(!text.contains("s3cret"), "{text}");
    }
}
