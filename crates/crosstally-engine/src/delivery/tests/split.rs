//! One bad event in a batch is found, and the others arrive.

use crosstally_core::delivery::DeliveryState;
use crosstally_core::time::DAY_MS;

use super::desk::{Desk, Platform, Reply, graph_error};
use crate::delivery::lane::Lane;
use crate::delivery::stopping::Stopping;

/// A platform that refuses every batch with a sale of 66.66 in it.
async fn desk() -> Desk {
    let platform =
        Platform::start(|call| if call.carries("66.66") { graph_error(400, 100) } else { Reply::Accept });
    Desk::at(platform.await).await
}

#[tokio::test]
async fn one_bad_event_in_five_hundred() {
    let desk = desk().await;
    desk.book(0, 333).await;
    desk.book_sale(333, "66.66").await;
    desk.book(334, 500).await;
    let counts = desk.deliver().await;
    assert_eq!((counts.delivered, counts.dead, counts.retried, counts.stale), (499, 1, 0, 0));
    // Twice the depth of halving five hundred, and the first.
    assert!(counts.calls <= 19, "{} calls", counts.calls);
    let deliveries = desk.deliveries().await;
    let dead: Vec<_> = deliveries.iter().filter(|one| one.state == DeliveryState::Dead).collect();
    assert_eq!((dead.len(), dead[0].failures), (1, 0));
    let outcomes: Vec<_> = desk.attempts(dead[0]).await.into_iter().map(|one| one.outcome.unwrap()).collect();
    assert!(outcomes.iter().all(|outcome| outcome == "split") && outcomes.len() >= 9, "{outcomes:?}");
    // Nobody was accepted twice.
    let accepted: usize = desk
        .platform
        .calls()
        .iter()
        .filter(|call| !call.carries("66.66"))
        .map(|call| call.events.len())
        .sum();
    assert_eq!(accepted, 499);
}

#[tokio::test]
async fn several_bad_events_side_by_side() {
    let desk = desk().await;
    for number in 0..40 {
        desk.book_sale(number, if matches!(number, 0 | 20 | 21 | 39) { "66.66" } else { "1.00" }).await;
    }
    let counts = desk.deliver().await;
    assert_eq!((counts.delivered, counts.dead, counts.retried), (36, 4, 0));
}

#[tokio::test]
async fn halving_ends_even_if_everything_is_bad() {
    let desk = desk().await;
    for number in 0..300 {
        desk.book_sale(number, "66.66").await;
    }
    let mut dead = 0;
    for _ in 0..5 {
        // All of them at once would take 599 calls; what is unsure at the limit is tried again later.
        let counts = desk.deliver().await;
        assert!(counts.calls <= 256 + 9, "{} calls", counts.calls);
        dead += counts.dead;
        assert_eq!((dead + counts.retried, counts.delivered), (300, 0));
        desk.clock.advance(DAY_MS);
        if dead == 300 {
            return;
        }
    }
    panic!("{dead} of 300 found");
}

#[tokio::test]
async fn a_quota_that_is_nearly_used_up_slows_halving_down_but_does_not_stop_it() {
    const BUSY: &str = "X-App-Usage: {\"call_count\":85}\r\n";
    let platform = Platform::start(|call| {
        if call.carries("66.66") {
            Reply::Say(400, BUSY, r#"{"error":{"message":"No","code":100}}"#.into())
        } else {
            Reply::Say(200, BUSY, format!(r#"{{"events_received":{}}}"#, call.events.len()))
        }
    });
    let desk = Desk::at(platform.await).await;
    desk.book(0, 5).await;
    desk.book_sale(5, "66.66").await;
    desk.book(6, 16).await;
    let (_phase, stopping) = Stopping::new();
    let mut lane = Lane::new(desk.engine.clone(), "meta-main".into(), stopping);
    let (mut delivered, mut dead) = (0, 0);
    for _ in 0..12 {
        let counts = lane.until_idle().await.unwrap();
        assert!(counts.calls <= 2, "two calls may be under way: {}", counts.calls);
        delivered += counts.delivered;
        dead += counts.dead;
        desk.clock.advance(10_000);
    }
    assert_eq!((delivered, dead), (15, 1), "{:?}", desk.platform.sizes());
}
