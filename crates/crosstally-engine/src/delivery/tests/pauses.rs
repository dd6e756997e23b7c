//! What somebody has to mend holds everything back and loses nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crosstally_core::delivery::DeliveryState;
use crosstally_core::reason::Reason;
use crosstally_core::time::MINUTE_MS;

use super::desk::{Desk, Platform, Reply, TOKEN, graph_error, soon};
use crate::delivery::{Delivered, deliver_until_idle};

/// A platform that knows the token from some moment on.
async fn desk() -> (Desk, Arc<AtomicBool>) {
    let known = Arc::new(AtomicBool::new(false));
    let knows = Arc::clone(&known);
    let platform = Platform::start(move |call| {
        let mended = call.text.contains("another") || knows.load(Ordering::SeqCst);
        if mended { Reply::Accept } else { graph_error(401, 190) }
    });
    (Desk::at(platform.await).await, known)
}

#[tokio::test]
async fn an_expired_token_pauses_and_one_event_probes_until_it_works() {
    let (desk, known) = desk().await;
    desk.book(0, 5).await;
    assert_eq!(desk.deliver().await, Delivered { calls: 1, waiting: 5, ..Delivered::default() });
    for delivery in desk.deliveries().await {
        assert_eq!((delivery.failures, delivery.reason), (0, Some(Reason::DestAuth)));
        assert_eq!(delivery.lease, None);
    }
    assert_eq!(desk.state().await.unwrap().paused, Some(Reason::DestAuth));
    let nothing = Delivered::default();
    let failed_probe = Delivered { calls: 1, waiting: 1, ..nothing };
    for wait in [1, 1, 2, 4, 8, 15, 15] {
        desk.clock.advance(wait * MINUTE_MS - 1);
        assert_eq!(desk.deliver().await, nothing);
        desk.clock.advance(1);
        assert_eq!(desk.deliver().await, failed_probe, "after {wait} minutes");
    }
    // However often they were tried meanwhile, they have waited since it began.
    desk.engine.measure_outbox().await.unwrap();
    let metrics = desk.engine.metrics.render();
    let age = format!("crosstally_delivery_oldest_age_seconds{{destination=\"meta-main\"}} {}", 46 * 60);
    assert!(metrics.contains(&age), "{metrics}");
    known.store(true, Ordering::SeqCst);
    desk.clock.advance(15 * MINUTE_MS);
    assert_eq!(desk.deliver().await, Delivered { calls: 2, delivered: 5, ..nothing });
    assert_eq!(desk.platform.sizes(), [5, 1, 1, 1, 1, 1, 1, 1, 1, 4]);
    assert_eq!(desk.state().await.unwrap().paused, None);
}

/// What somebody has to mend is told as what it is, and costs nothing of the schedule however long it lasts.
#[tokio::test]
async fn whoever_is_gone_or_refuses_entry_keeps_its_events() {
    for (status, reason) in [
        (401, Reason::DestAuth),
        (403, Reason::DestAuth),
        (407, Reason::DestMisconfigured),
        (410, Reason::DestGone),
    ] {
        let desk = Desk::at(Platform::start(move |_| Reply::Say(status, "", "no".into())).await).await;
        desk.apply_postback().await;
        desk.book(0, 3).await;
        for _ in 0..50 {
            desk.deliver().await;
            let state = desk.state().await.unwrap();
            assert_eq!(state.paused, Some(reason), "{status}");
            assert!(state.detail.contains(&status.to_string()), "{}", state.detail);
            desk.clock.advance(15 * MINUTE_MS);
        }
        assert!(desk.platform.sizes().len() > 50, "one event probes each time");
        for delivery in desk.deliveries().await {
            assert_eq!((delivery.state, delivery.failures), (DeliveryState::Pending, 0), "{status}");
            assert_eq!(delivery.reason, Some(reason), "{status}");
        }
    }
}

#[tokio::test]
async fn new_settings_are_tried_at_once() {
    let (desk, _) = desk().await;
    desk.book(0, 3).await;
    desk.deliver().await;
    desk.apply("NEW_TOKEN").await;
    assert_eq!(desk.deliver().await, Delivered { calls: 1, delivered: 3, ..Delivered::default() });
    assert_eq!(desk.state().await.unwrap().paused, None);
}

/// One event that is refused entry, whatever its cause, holds the others up for a moment and not until its own end.
#[tokio::test]
async fn one_event_that_is_refused_entry_does_not_hold_the_others_for_ever() {
    let mut first = None;
    let platform = Platform::start(move |call| {
        let line = call.text.lines().next().map(str::to_owned);
        let is_first = *first.get_or_insert_with(|| line.clone()) == line;
        Reply::Say(if is_first { 403 } else { 200 }, "", String::new())
    });
    let desk = Desk::at(platform.await).await;
    desk.apply_postback().await;
    desk.book(0, 1).await;
    let nothing = Delivered::default();
    assert_eq!(desk.deliver().await, Delivered { calls: 1, waiting: 1, ..nothing });
    desk.clock.advance(5_000);
    desk.book(1, 4).await;
    desk.clock.advance(MINUTE_MS);
    assert_eq!(
        desk.deliver().await,
        Delivered { calls: 1, waiting: 1, ..nothing },
        "the eldest is the probe"
    );
    desk.clock.advance(2 * MINUTE_MS);
    // Then somebody else is, and the door stands open: whom it is shut to tries again alone.
    assert_eq!(desk.deliver().await, Delivered { calls: 4, delivered: 3, retried: 1, ..nothing });
    assert_eq!(desk.state().await.unwrap().paused, None);
    desk.book(4, 6).await;
    assert_eq!(desk.deliver().await, Delivered { calls: 2, delivered: 2, ..nothing });
}

/// Who is refused entry while others are let in shuts the door for nobody: it is tried once more, and then as its own case.
#[tokio::test]
async fn who_is_refused_while_others_are_let_in_pauses_nothing() {
    let mut first = None;
    let platform = Platform::start(move |call| {
        let line = call.text.lines().next().map(str::to_owned);
        let is_first = *first.get_or_insert_with(|| line.clone()) == line;
        if is_first { Reply::Held } else { Reply::Say(200, "", String::new()) }
    });
    let desk = Desk::at(platform.await).await;
    desk.apply_postback().await;
    desk.book(0, 3).await;
    let two_arrive = async {
        let arrived = async || {
            let all = desk.deliveries().await;
            all.iter().filter(|one| one.state == DeliveryState::Delivered).count()
        };
        while arrived().await < 2 {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        desk.platform.go.send_replace(Some(Reply::Say(403, "", String::new())));
    };
    let (after, ()) = tokio::join!(desk.deliver(), soon("two arrive", two_arrive));
    assert_eq!(
        after,
        Delivered { calls: 4, delivered: 2, waiting: 1, retried: 1, ..Delivered::default() },
        "{after:?}"
    );
    assert_eq!(desk.state().await.and_then(|state| state.paused), None);
}

#[tokio::test]
async fn a_batch_with_one_that_is_refused_entry_is_halved() {
    let platform =
        Platform::start(
            |call| {
                if call.text.contains("66.66") { graph_error(403, 200) } else { Reply::Accept }
            },
        );
    let desk = Desk::at(platform.await).await;
    desk.book_sale(0, "66.66").await;
    desk.deliver().await;
    desk.clock.advance(5_000);
    desk.book(1, 6).await;
    desk.clock.advance(MINUTE_MS);
    desk.deliver().await;
    desk.clock.advance(2 * MINUTE_MS);
    let after = desk.deliver().await;
    assert_eq!((after.delivered, after.retried, after.waiting), (5, 1, 0), "{after:?}");
    assert_eq!(desk.state().await.unwrap().paused, None);
}

#[tokio::test]
async fn a_probe_that_finds_another_trouble_leaves_the_pause() {
    let mut calls = 0;
    let platform = Platform::start(move |_| {
        calls += 1;
        match calls {
            1 => graph_error(403, 200),
            2 => Reply::Say(503, "", String::new()),
            _ => graph_error(400, 100),
        }
    });
    let desk = Desk::at(platform.await).await;
    desk.book(0, 3).await;
    desk.deliver().await;
    desk.clock.advance(MINUTE_MS);
    assert_eq!(desk.deliver().await, Delivered { calls: 1, retried: 1, ..Delivered::default() });
    assert_eq!(desk.state().await.unwrap().paused, Some(Reason::DestPermission));
    // A refusal of the event itself shows that the token may write.
    desk.clock.advance(MINUTE_MS);
    let after = desk.deliver().await;
    assert_eq!((after.dead, after.waiting), (3, 0));
    assert_eq!(desk.state().await.unwrap().paused, None);
}

#[tokio::test]
async fn a_node_without_the_secret_pauses_and_a_node_with_it_goes_on() {
    let desk = Desk::at(Platform::start(|_| Reply::Accept).await).await;
    desk.book(0, 2).await;
    let poor = desk.node(Arc::new(desk.clock.clone()), &[]).await;
    for _ in 0..2 {
        assert_eq!(deliver_until_idle(&poor).await.unwrap(), Delivered::default());
        let state = desk.state().await.unwrap();
        assert_eq!(state.paused, Some(Reason::SecretMissing));
        assert_eq!(state.detail, "not set on this node: access_token (variable META_TOKEN)");
    }
    let rich = desk.node(Arc::new(desk.clock.clone()), &[("META_TOKEN", TOKEN)]).await;
    assert_eq!(deliver_until_idle(&rich).await.unwrap().delivered, 2);
    // It does not pause what another node has just resumed.
    deliver_until_idle(&poor).await.unwrap();
    assert_eq!(desk.state().await.unwrap().paused, None);
}

/// A server that is started without its secret says so, and started with it that it goes on, before any event comes.
#[tokio::test]
async fn what_new_settings_do_to_a_pause_is_told_though_nothing_waits() {
    let desk = Desk::at(Platform::start(|_| Reply::Accept).await).await;
    let poor = desk.node(Arc::new(desk.clock.clone()), &[]).await;
    deliver_until_idle(&poor).await.unwrap();
    assert_eq!(desk.state().await.unwrap().paused, Some(Reason::SecretMissing));
    let rich = desk.node(Arc::new(desk.clock.clone()), &[("META_TOKEN", TOKEN)]).await;
    deliver_until_idle(&rich).await.unwrap();
    assert_eq!(desk.state().await.unwrap().paused, None);

    // Neither do new settings end a pause by hand.
    desk.engine.pause_destination("meta-main", "test").await.unwrap();
    let renewed = desk.node(Arc::new(desk.clock.clone()), &[("META_TOKEN", "another")]).await;
    deliver_until_idle(&renewed).await.unwrap();
    assert_eq!(desk.state().await.unwrap().paused, Some(Reason::PausedByHand));
    assert_eq!(desk.platform.sizes(), [0; 0], "nobody was called");
}

#[tokio::test]
async fn while_one_node_probes_no_other_does() {
    let mut calls = 0;
    let platform = Platform::start(move |_| {
        calls += 1;
        if calls == 1 { graph_error(401, 190) } else { Reply::Held }
    });
    let desk = Desk::at(platform.await).await;
    desk.book(0, 3).await;
    desk.deliver().await;
    desk.clock.advance(MINUTE_MS);
    let other = desk.node(Arc::new(desk.clock.clone()), &[("META_TOKEN", TOKEN)]).await;
    let (counts, ()) = tokio::join!(desk.deliver(), async {
        desk.platform.has_seen(2).await;
        assert_eq!(deliver_until_idle(&other).await.unwrap(), Delivered::default());
        desk.platform.go.send_replace(Some(Reply::Accept));
    });
    assert_eq!((counts.delivered, desk.platform.sizes()), (3, vec![3, 1, 2]));
}
