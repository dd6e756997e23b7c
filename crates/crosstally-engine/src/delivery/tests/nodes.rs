//! Lanes that live on, and what one of them does to what another has found out.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crosstally_core::delivery::DeliveryState;
use crosstally_core::reason::Reason;
use crosstally_core::time::MINUTE_MS;
use crosstally_store::Outage;

use super::desk::{Desk, Platform, Reply, graph_error};
use crate::Engine;
use crate::delivery::Delivered;
use crate::delivery::lane::Lane;
use crate::delivery::stopping::Stopping;

fn lane(engine: &Engine) -> Lane {
    let (_phase, stopping) = Stopping::new();
    Lane::new(engine.clone(), "meta-main".into(), stopping)
}

/// A minute later.
async fn tell(desk: &Desk, lane: &mut Lane) {
    desk.clock.advance(MINUTE_MS);
    let ready = Arc::clone(desk.engine.snapshot.load().destination("meta-main").unwrap());
    lane.tell_outage(&ready).await.unwrap();
}

async fn outages(desk: &Desk) -> Vec<Outage> {
    desk.engine.store.outages().await.unwrap()
}

/// A platform that is down until it is told to work.
async fn desk() -> (Desk, Arc<AtomicBool>) {
    let works = Arc::new(AtomicBool::new(false));
    let is_up = Arc::clone(&works);
    let platform = Platform::start(move |_| {
        if is_up.load(Ordering::SeqCst) { Reply::Accept } else { Reply::Say(500, "", "down".into()) }
    });
    (Desk::at(platform.await).await, works)
}

#[tokio::test]
async fn an_outage_of_old_settings_says_nothing_of_new_ones() {
    let (desk, works) = desk().await;
    let mut lane = lane(&desk.engine);
    desk.book(0, 1).await;
    for calls in 1..=3 {
        assert_eq!(outages(&desk).await, [], "after {calls} calls");
        while lane.until_idle().await.unwrap().calls == 0 {
            desk.clock.advance(MINUTE_MS);
        }
        tell(&desk, &mut lane).await;
    }
    let noted = outages(&desk).await;
    assert_eq!(noted.len(), 1);
    assert_eq!(noted[0].reason, Reason::DestServerError);
    desk.apply("NEW_TOKEN").await;
    tell(&desk, &mut lane).await;
    assert_eq!(outages(&desk).await, noted, "nothing has been called with the new ones");
    works.store(true, Ordering::SeqCst);
    desk.book(1, 2).await;
    assert!(lane.until_idle().await.unwrap().delivered > 0);
    tell(&desk, &mut lane).await;
    assert_eq!(outages(&desk).await, []);
}

#[tokio::test]
async fn who_calls_nothing_ends_nobodys_outage() {
    let (desk, works) = desk().await;
    works.store(true, Ordering::SeqCst);
    let mut lane = lane(&desk.engine);
    desk.book(0, 1).await;
    lane.until_idle().await.unwrap();
    tell(&desk, &mut lane).await;
    let another = Outage {
        destination: "meta-main".into(),
        reason: Reason::DestTimeout,
        detail: "of another node".into(),
        since: desk.engine.clock.now(),
        settings_digest: "of another node".into(),
    };
    desk.engine.store.set_outage("meta-main".into(), Some(another.clone())).await.unwrap();
    for _ in 0..3 {
        tell(&desk, &mut lane).await;
        assert_eq!(outages(&desk).await, std::slice::from_ref(&another));
    }
    desk.book(1, 2).await;
    lane.until_idle().await.unwrap();
    tell(&desk, &mut lane).await;
    assert_eq!(outages(&desk).await, []);
}

/// One node has read the new token, the other has not yet: what the one delivers, the other does not hold up.
#[tokio::test]
async fn a_node_with_an_old_token_leaves_the_others_alone() {
    let platform =
        Platform::start(
            move |call| {
                if call.text.contains("another") { Reply::Accept } else { graph_error(401, 190) }
            },
        );
    let desk = Desk::at(platform.await).await;
    let renewed = desk.node(Arc::new(desk.clock.clone()), &[("META_TOKEN", "another")]).await;
    let (mut old, mut new) = (lane(&desk.engine), lane(&renewed));
    let nothing = Delivered::default();
    desk.book(0, 2).await;
    assert_eq!(old.until_idle().await.unwrap(), Delivered { calls: 1, waiting: 2, ..nothing });
    assert_eq!(desk.state().await.unwrap().paused, Some(Reason::DestAuth));
    assert_eq!(new.until_idle().await.unwrap(), Delivered { calls: 1, delivered: 2, ..nothing });
    for (round, minutes) in [1, 1, 2, 4, 8, 15, 15].into_iter().enumerate() {
        desk.book(2 + 4 * round, 4 + 4 * round).await;
        for wait in [0, 1_000, minutes * MINUTE_MS - 1_001] {
            desk.clock.advance(wait);
            assert_eq!(old.until_idle().await.unwrap(), nothing, "{wait} ms of {minutes} minutes");
            assert_eq!(desk.state().await.unwrap().paused, None);
        }
        desk.clock.advance(1);
        assert_eq!(old.until_idle().await.unwrap(), Delivered { calls: 1, waiting: 1, ..nothing });
        assert_eq!(new.until_idle().await.unwrap(), Delivered { calls: 1, delivered: 2, ..nothing });
    }
    // Whoever gets the token too goes on at once.
    desk.apply("NEW_TOKEN").await;
    desk.book(100, 103).await;
    assert_eq!(old.until_idle().await.unwrap(), Delivered { calls: 1, delivered: 3, ..nothing });
    assert!(desk.deliveries().await.iter().all(|one| one.state == DeliveryState::Delivered));
}

/// Two nodes, each with a token of its own that is refused: neither lets the other go on, and the good one is found.
#[tokio::test]
async fn two_nodes_that_are_refused_do_not_resume_in_turns() {
    let known = Arc::new(AtomicBool::new(false));
    let knows = Arc::clone(&known);
    let platform = Platform::start(move |call| {
        let good = call.text.contains("another") && knows.load(Ordering::SeqCst);
        if good { Reply::Accept } else { graph_error(401, 190) }
    });
    let desk = Desk::at(platform.await).await;
    let renewed = desk.node(Arc::new(desk.clock.clone()), &[("META_TOKEN", "another")]).await;
    let (mut one, mut other) = (lane(&desk.engine), lane(&renewed));
    desk.book(0, 3).await;
    let mut calls = Vec::new();
    for _ in 0..60 {
        let mut in_this_minute = 0;
        for _ in 0..6 {
            in_this_minute += one.until_idle().await.unwrap().calls;
            in_this_minute += other.until_idle().await.unwrap().calls;
            desk.clock.advance(MINUTE_MS / 6);
        }
        calls.push(in_this_minute);
    }
    assert_eq!(calls[0], 2, "each finds out once: {calls:?}");
    assert!(calls.iter().all(|&calls| calls <= 2), "{calls:?}");
    assert!(calls.iter().sum::<u64>() <= 60, "{calls:?}");
    assert_eq!(desk.state().await.unwrap().paused, Some(Reason::DestAuth));
    known.store(true, Ordering::SeqCst);
    for _ in 0..16 {
        desk.clock.advance(MINUTE_MS);
        one.until_idle().await.unwrap();
        other.until_idle().await.unwrap();
    }
    assert!(desk.deliveries().await.iter().all(|one| one.state == DeliveryState::Delivered));
    assert_eq!(desk.state().await.unwrap().paused, None);
}

/// The platform knows the old token again, too.
#[tokio::test]
async fn a_node_whose_token_is_good_again_takes_its_share() {
    let known = Arc::new(AtomicBool::new(false));
    let knows = Arc::clone(&known);
    let platform = Platform::start(move |call| {
        let good = call.text.contains("another") || knows.load(Ordering::SeqCst);
        if good { Reply::Accept } else { graph_error(401, 190) }
    });
    let desk = Desk::at(platform.await).await;
    let renewed = desk.node(Arc::new(desk.clock.clone()), &[("META_TOKEN", "another")]).await;
    let (mut old, mut new) = (lane(&desk.engine), lane(&renewed));
    desk.book(0, 1).await;
    old.until_idle().await.unwrap();
    assert_eq!(new.until_idle().await.unwrap().delivered, 1);
    known.store(true, Ordering::SeqCst);
    desk.book(1, 6).await;
    assert_eq!(old.until_idle().await.unwrap().calls, 0, "nobody knows yet");
    desk.clock.advance(MINUTE_MS);
    let all = Delivered { calls: 2, delivered: 5, ..Delivered::default() };
    assert_eq!(old.until_idle().await.unwrap(), all, "one, and all the others when it was let in");
    assert_eq!(desk.platform.sizes(), [1, 1, 1, 4]);

    assert_eq!(desk.state().await.unwrap().paused, None);
}

/// While the probe signs in, somebody resumes the destination: the probe's turn is over, and the pause does not come back.
#[tokio::test]
async fn a_probe_whose_pause_is_over_gives_its_event_back() {
    let refused = r#"{"error":"invalid_grant","error_description":"Token has been revoked."}"#;
    let mut asked = 0;
    let platform = Platform::start(move |call| {
        if !call.text.starts_with("POST /token ") {
            return Reply::Say(200, "", r#"{"requestId":"r-1"}"#.into());
        }
        asked += 1;
        if asked == 1 { Reply::Say(400, "", refused.into()) } else { Reply::Held }
    });
    let desk = Desk::at(platform.await).await;
    desk.apply_google().await;
    super::sign_in::book(&desk, 3).await;
    assert_eq!(desk.deliver().await, Delivered { calls: 1, waiting: 3, ..Delivered::default() });
    desk.clock.advance(MINUTE_MS);
    let by_hand = async {
        desk.platform.has_seen(2).await;
        desk.engine.resume_destination("meta-main").await.unwrap();
        desk.platform.go.send_replace(Some(super::sign_in::say(200, &super::sign_in::token("good"))));
        desk.state().await.unwrap()
    };
    let (delivered, resumed) = tokio::join!(desk.deliver(), by_hand);
    assert_eq!(delivered, Delivered { calls: 1, delivered: 3, ..Delivered::default() }, "all at once");
    assert_eq!(desk.state().await.unwrap(), resumed, "nobody has paused it meanwhile");
}
