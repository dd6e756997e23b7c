//! Deliveries that are written down together and called each by itself: what happens to one of them is no other's business.

use std::sync::{Arc, Mutex};

use crosstally_core::delivery::DeliveryState;
use crosstally_core::reason::Reason;
use crosstally_core::time::Timestamp;
use crosstally_store::DeliveryRecord;
use tokio::sync::watch;

use super::desk::{Desk, NOW, Platform, Reply, TOKEN, soon};
use super::poison::{Defective, Way, batch, deliver, lease};
use super::stops::Fragile;
use crate::clock::{Clock, FakeClock, Sleep};
use crate::delivery::leases::LEASE_MS;
use crate::delivery::outcomes::Delivered;
use crate::delivery::pace::CALLS_MAX;
use crate::delivery::stopping::Phase;
use crate::delivery::wave;

/// Waits until so many deliveries are as asked.
async fn until(desk: &Desk, count: usize, is: impl Fn(&DeliveryRecord) -> bool) {
    let waiting = async {
        while desk.deliveries().await.iter().filter(|one| is(one)).count() < count {
            tokio::task::yield_now().await;
        }
    };
    soon("the deliveries", waiting).await;
}

#[tokio::test]
async fn each_is_a_call_of_its_own_with_its_own_end() {
    let desk = Desk::at(Platform::start(|_| Reply::Accept).await).await;
    desk.book(0, 5).await;
    desk.book_sale(5, "66.66").await;
    desk.book(6, 9).await;
    let leased = lease(&desk, NOW, 100).await;
    let counts = deliver(Way::Wave, &desk, |ready| ready.dialect = &Defective::OverEvents, leased).await;
    assert_eq!((counts.calls, counts.delivered, counts.dead), (8, 8, 1));
    assert_eq!(desk.platform.sizes(), [1; 8]);
    for one in desk.deliveries().await {
        let is_dead = one.state == DeliveryState::Dead;
        assert_eq!((one.attempts, one.lease.is_some()), (u32::from(!is_dead), false));
        assert!(!is_dead || one.reason == Some(Reason::EventIncomplete));
    }
}

#[tokio::test]
async fn who_is_taken_over_or_late_is_not_called_and_the_others_are() {
    let desk = Desk::at(Platform::start(|_| Reply::Accept).await).await;
    desk.book(0, 4).await;
    let mut leased = lease(&desk, NOW, 100).await;
    let taken = lease(&desk, NOW.plus_millis(LEASE_MS), 1).await;
    let late = leased.iter_mut().find(|one| one.id != taken[0].id).unwrap();
    late.deadline_at = NOW;
    let counts = deliver(Way::Wave, &desk, |_| {}, leased).await;
    assert_eq!(counts, Delivered { calls: 2, delivered: 2, expired: 1, ..Delivered::default() });
    let calls = desk.platform.calls();
    assert!(
        calls
            .iter()
            .all(|call| call.events[0]["event_id"] != taken[0].event.read().unwrap().event_id.as_str())
    );
    let deliveries = desk.deliveries().await;
    let left = deliveries.iter().find(|one| one.id == taken[0].id).unwrap();
    assert_eq!((left.state, left.attempts, left.lease.is_some()), (DeliveryState::Pending, 0, true));
}

#[tokio::test]
async fn a_slow_call_keeps_nobody_elses_end_waiting() {
    let mut first = true;
    let reply = move |_: &_| if std::mem::take(&mut first) { Reply::Held } else { Reply::Accept };
    let desk = Desk::at(Platform::start(reply).await).await;
    desk.book(0, 20).await;
    let leased = lease(&desk, NOW, 100).await;
    let (counts, ()) = tokio::join!(deliver(Way::Wave, &desk, |_| {}, leased), async {
        until(&desk, 19, |one| one.state == DeliveryState::Delivered).await;
        desk.platform.go.send_replace(Some(Reply::Accept));
    });
    assert_eq!((counts.calls, counts.delivered), (20, 20));
}

#[tokio::test]
async fn few_free_calls_carry_the_rest_while_others_hang() {
    let mut held = 100;
    let reply = move |_: &_| {
        held -= usize::from(held > 0);
        if held > 0 { Reply::Held } else { Reply::Say(200, "", String::new()) }
    };
    let desk = Desk::at(Platform::start(reply).await).await;
    desk.apply_postback().await;
    desk.book(0, 200).await;
    let leased = lease(&desk, NOW, 1_000).await;
    let (counts, ()) = tokio::join!(deliver(Way::Wave, &desk, |_| {}, leased), async {
        until(&desk, 101, |one| one.state == DeliveryState::Delivered).await;
        desk.platform.go.send_replace(Some(Reply::Say(200, "", String::new())));
    });
    assert_eq!((counts.calls, counts.delivered), (200, 200));
}

#[tokio::test]
async fn what_fails_before_any_call_is_left_to_the_end_of_its_lease() {
    let desk = Desk::at(Platform::start(|_| Reply::Accept).await).await;
    desk.book(0, 3).await;
    let fragile = Fragile::over(&desk.clock);
    let node = desk.node(Arc::clone(&fragile) as Arc<dyn Clock>, &[("META_TOKEN", TOKEN)]).await;
    let leased = lease(&desk, NOW, 100).await;
    let (batch, leased, in_hand, _phase) = batch(&node, |_| {}, leased);
    let pace = Arc::clone(&batch.pace);
    fragile.arm();
    assert_eq!(wave::deliver(batch, leased, in_hand).await, Delivered::default());
    assert_eq!((pace.is_idle(), pace.free_calls()), (true, CALLS_MAX));
    assert!(desk.deliveries().await.iter().all(|one| one.lease.is_some() && one.attempts == 0));
    assert!(desk.platform.calls().is_empty());
}

/// A clock that stops the server when it is next asked for the time.
#[derive(Debug)]
struct Stopper {
    clock: FakeClock,
    phase: Mutex<Option<watch::Sender<Phase>>>,
}

impl Clock for Stopper {
    fn now(&self) -> Timestamp {
        if let Some(phase) = &*self.phase.lock().unwrap() {
            phase.send_replace(Phase::Draining);
        }
        self.clock.now()
    }

    fn sleep(&self, ms: u64) -> Sleep<'_> {
        self.clock.sleep(ms)
    }
}

#[tokio::test]
async fn a_stop_while_requests_are_built_gives_them_back_unopened() {
    let desk = Desk::at(Platform::start(|_| Reply::Accept).await).await;
    desk.book(0, 3).await;
    let stopper = Arc::new(Stopper { clock: desk.clock.clone(), phase: Mutex::default() });
    let node = desk.node(Arc::clone(&stopper) as Arc<dyn Clock>, &[("META_TOKEN", TOKEN)]).await;
    let leased = lease(&desk, NOW, 100).await;
    let (batch, leased, in_hand, phase) = batch(&node, |_| {}, leased);
    *stopper.phase.lock().unwrap() = Some(phase);
    assert_eq!(wave::deliver(batch, leased, in_hand).await, Delivered::default());
    assert!(desk.deliveries().await.iter().all(|one| one.lease.is_none() && one.attempts == 0));
    assert!(desk.platform.calls().is_empty());
}

#[tokio::test]
async fn what_a_throttle_holds_up_is_given_back_at_once() {
    let reply = |_: &_| Reply::Say(429, "retry-after: 60\r\n", String::new());
    let desk = Desk::at(Platform::start(reply).await).await;
    desk.apply_postback().await;
    desk.book(0, CALLS_MAX + 5).await;
    let leased = lease(&desk, NOW, 1_000).await;
    assert_eq!(leased.len(), CALLS_MAX + 5);
    let counts = deliver(Way::Wave, &desk, |_| {}, leased).await;
    assert_eq!(counts.calls, u64::try_from(CALLS_MAX).unwrap());
    let deliveries = desk.deliveries().await;
    let untouched: Vec<_> = deliveries.iter().filter(|one| one.attempts == 0).collect();
    assert_eq!(untouched.len(), 5);
    assert!(deliveries.iter().all(|one| one.lease.is_none() && one.state == DeliveryState::Pending));
    assert!(untouched.iter().all(|one| one.due_at <= NOW));
    assert!(desk.state().await.unwrap().not_before > NOW);
}

/// Else the next wave would be called all over again before the pause is found out anew.
#[tokio::test]
async fn a_throttle_does_not_undo_the_pause_that_a_neighbour_found_out() {
    let mut first = true;
    let reply = move |_: &_| {
        let gone = Reply::Say(410, "", String::new());
        if std::mem::take(&mut first) { gone } else { Reply::Held }
    };
    let desk = Desk::at(Platform::start(reply).await).await;
    desk.apply_postback().await;
    desk.book(0, 3).await;
    let leased = lease(&desk, NOW, 100).await;
    let paused = async || desk.state().await.and_then(|state| state.paused);
    tokio::join!(deliver(Way::Wave, &desk, |_| {}, leased), async {
        soon("the pause", async {
            while paused().await.is_none() {
                tokio::task::yield_now().await;
            }
        })
        .await;
        desk.platform.go.send_replace(Some(Reply::Say(429, "retry-after: 60\r\n", String::new())));
    });
    assert!(paused().await.is_some());
    assert!(desk.deliveries().await.iter().all(|one| one.state == DeliveryState::Pending));
}

#[tokio::test]
async fn a_stop_lets_calls_end_and_gives_the_others_back() {
    let desk = Desk::at(Platform::start(|_| Reply::Held).await).await;
    desk.apply_postback().await;
    desk.book(0, CALLS_MAX + 5).await;
    let leased = lease(&desk, NOW, 1_000).await;
    let (batch, leased, in_hand, phase) = batch(&desk.engine, |_| {}, leased);
    let (counts, ()) = tokio::join!(wave::deliver(batch, leased, in_hand), async {
        desk.platform.has_seen(CALLS_MAX).await;
        phase.send_replace(Phase::Draining);
        // At once, although all calls hang.
        until(&desk, 5, |one| one.attempts == 0 && one.lease.is_none()).await;
        desk.platform.go.send_replace(Some(Reply::Say(200, "", String::new())));
    });
    assert_eq!(counts.delivered, u64::try_from(CALLS_MAX).unwrap());
    let deliveries = desk.deliveries().await;
    let left: Vec<_> = deliveries.iter().filter(|one| one.state == DeliveryState::Pending).collect();
    assert_eq!(left.len(), 5);
    assert!(left.iter().all(|one| one.lease.is_none() && one.attempts == 0));
}

#[tokio::test]
async fn a_call_that_fails_inside_is_not_tried_again_at_once() {
    let mut first = true;
    let reply = move |_: &_| if std::mem::take(&mut first) { Reply::Held } else { Reply::Accept };
    let desk = Desk::at(Platform::start(reply).await).await;
    desk.book(0, 3).await;
    let fragile = Fragile::over(&desk.clock);
    let node = desk.node(Arc::clone(&fragile) as Arc<dyn Clock>, &[("META_TOKEN", TOKEN)]).await;
    let leased = lease(&desk, NOW, 100).await;
    let (batch, leased, in_hand, _phase) = batch(&node, |_| {}, leased);
    let (counts, ()) = tokio::join!(wave::deliver(batch, leased, in_hand), async {
        until(&desk, 2, |one| one.state == DeliveryState::Delivered).await;
        fragile.arm();
        desk.platform.go.send_replace(Some(Reply::Accept));
    });
    assert_eq!((counts.calls, counts.delivered), (3, 2));
    let deliveries = desk.deliveries().await;
    let left = deliveries.iter().find(|one| one.state == DeliveryState::Pending).unwrap();
    // Its call is open, and the end of its lease will say that nobody knows what came of it.
    assert!(left.lease.is_some());
    assert_eq!(desk.attempts(left).await[0].outcome, None);
}
