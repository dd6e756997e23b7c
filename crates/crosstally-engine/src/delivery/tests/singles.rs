//! A destination that takes one event at a time.

use super::desk::{Desk, Platform, Reply, soon};
use crate::delivery::course::BAD_LUCK;
use crate::delivery::pace::CALLS_MAX;
use crate::delivery::{self, Delivered};
use tokio::sync::watch;

#[tokio::test]
async fn many_calls_are_under_way_at_once() {
    let desk = Desk::at(Platform::start(|_| Reply::Held).await).await;
    desk.apply_postback().await;
    desk.book(0, CALLS_MAX + 10).await;
    let (counts, ()) = tokio::join!(desk.deliver(), async {
        desk.platform.has_seen(CALLS_MAX).await;
        assert_eq!(desk.platform.sizes().len(), CALLS_MAX);
        desk.platform.go.send_replace(Some(Reply::Say(200, "", "ok".into())));
    });
    let all = u64::try_from(CALLS_MAX + 10).unwrap();
    assert_eq!(counts, Delivered { calls: all, delivered: all, ..Delivered::default() });
    let mut targets: Vec<String> =
        desk.platform.calls().iter().map(|call| call.text.lines().next().unwrap().to_owned()).collect();
    targets.sort_unstable();
    targets.dedup();
    assert_eq!(targets.len(), CALLS_MAX + 10);
}

#[tokio::test]
async fn a_dead_destination_is_not_stormed() {
    let desk = Desk::at(Platform::start(|_| Reply::Say(502, "", String::new())).await).await;
    desk.apply_postback().await;
    desk.book(0, CALLS_MAX * 3).await;
    let (stop, stopped) = watch::channel(false);
    #[expect(clippy::disallowed_methods, reason = "the test waits for its end")]
    let running = tokio::spawn(delivery::run(desk.engine.clone(), stopped));
    desk.platform.has_seen(CALLS_MAX).await;
    // The clock stands still. Who does not wait would have tried all of them by the time the first are settled. For each
    // failure that is taken for bad luck one more is tried.
    let tried = || desk.platform.sizes().len();
    let most = CALLS_MAX + usize::try_from(BAD_LUCK).unwrap();
    let settling = async {
        while desk.deliveries().await.iter().filter(|one| one.failures > 0).count() < CALLS_MAX {
            tokio::task::yield_now().await;
        }
    };
    soon("the first to be settled", settling).await;
    // Time enough for a further call, if one were coming.
    for _ in 0..20 {
        desk.deliveries().await;
    }
    let before = tried();
    assert!((CALLS_MAX..=most).contains(&before), "{before}");
    let ticking = async {
        while tried() == before {
            desk.clock.advance(4_000);
            desk.deliveries().await;
        }
    };
    soon("the next call", ticking).await;
    stop.send_replace(true);
    soon("the stop", running).await.unwrap();
}

#[tokio::test]
async fn a_throttle_is_known_before_anything_more_is_leased() {
    let reply = |_: &_| Reply::Say(429, "retry-after: 60\r\n", String::new());
    let desk = Desk::at(Platform::start(reply).await).await;
    desk.apply_postback().await;
    desk.book(0, CALLS_MAX * 4).await;
    let counts = desk.deliver().await;
    // Those that were under way, and none after them.
    assert_eq!(counts.calls, u64::try_from(CALLS_MAX).unwrap());
    let deliveries = desk.deliveries().await;
    assert_eq!(deliveries.iter().filter(|one| one.attempts == 0).count(), CALLS_MAX * 3);
    assert!(deliveries.iter().all(|one| one.lease.is_none()));
}

#[tokio::test]
async fn a_booking_wakes_the_lane() {
    let desk = Desk::at(Platform::start(|_| Reply::Say(200, "", String::new())).await).await;
    desk.apply_postback().await;
    let (stop, stopped) = watch::channel(false);
    #[expect(clippy::disallowed_methods, reason = "the test waits for its end")]
    let running = tokio::spawn(delivery::run(desk.engine.clone(), stopped));
    // The clock stands still, so that no lane looks by itself.
    for round in 0..20 {
        desk.book(round, round + 1).await;
        desk.platform.has_seen(round + 1).await;
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
    }
    stop.send_replace(true);
    soon("the stop", running).await.unwrap();
}

#[tokio::test]
async fn a_destination_with_a_rate_gets_no_more() {
    let desk = Desk::at(Platform::start(|_| Reply::Say(200, "", String::new())).await).await;
    desk.apply_postback_with("rate = { per_second = 2, burst = 3 }").await;
    desk.book(0, 10).await;
    let (stop, stopped) = watch::channel(false);
    #[expect(clippy::disallowed_methods, reason = "the test waits for its end")]
    let running = tokio::spawn(delivery::run(desk.engine.clone(), stopped));
    for (calls, wait_ms) in [(3, 500), (4, 500), (5, 1_000), (7, 60_000), (10, 0)] {
        desk.platform.has_seen(calls).await;
        // Time enough for a further call, if one were coming.
        for _ in 0..20 {
            desk.deliveries().await;
        }
        assert_eq!(desk.platform.sizes().len(), calls);
        desk.clock.advance(wait_ms);
    }
    let waiting = desk.deliveries().await;
    assert!(waiting.iter().all(|one| one.failures == 0 && one.attempts <= 1), "{waiting:?}");
    stop.send_replace(true);
    soon("the stop", running).await.unwrap();
}
