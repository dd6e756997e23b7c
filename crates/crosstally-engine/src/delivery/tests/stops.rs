//! The running lanes: they start, they are woken, they stop, and nothing stays behind.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crosstally_core::delivery::DeliveryState;
use crosstally_core::reason::Reason;
use crosstally_core::time::Timestamp;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::desk::{Desk, NOW, Platform, Reply, TOKEN, graph_error, soon};
use crate::clock::{Clock, FakeClock, Sleep, SystemClock};
use crate::delivery::{self, DRAIN_MS, LOOK_EVERY_MS};

fn run(desk: &Desk) -> (watch::Sender<bool>, JoinHandle<()>) {
    let (stop, stopped) = watch::channel(false);
    #[expect(clippy::disallowed_methods, reason = "the test waits for its end")]
    let running = tokio::spawn(delivery::run(desk.engine.clone(), stopped));
    (stop, running)
}

/// On the one thread of a test, everybody who can go on does so, and the supervisor waits for the clock.
async fn turns() {
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_stop_lets_the_call_in_hand_end() {
    let desk = Desk::at(Platform::start(|_| Reply::Held).await).await;
    desk.book(0, 3).await;
    let (stop, running) = run(&desk);
    desk.platform.has_seen(1).await;
    stop.send_replace(true);
    desk.platform.go.send_replace(Some(Reply::Accept));
    soon("the stop", running).await.unwrap();
    assert!(desk.deliveries().await.iter().all(|one| one.state == DeliveryState::Delivered));
}

#[tokio::test]
async fn a_stop_in_the_middle_of_halving_gives_the_rest_back() {
    let desk = Desk::at(Platform::start(|_| Reply::Held).await).await;
    desk.book(0, 8).await;
    let (stop, running) = run(&desk);
    desk.platform.has_seen(1).await;
    stop.send_replace(true);
    desk.platform.go.send_replace(Some(graph_error(400, 100)));
    soon("the stop", running).await.unwrap();
    assert_eq!(desk.platform.sizes(), [8]);
    for delivery in desk.deliveries().await {
        assert_eq!((delivery.state, delivery.lease, delivery.failures), (DeliveryState::Pending, None, 0));
        assert!(delivery.due_at <= NOW);
    }
}

#[tokio::test]
async fn a_call_that_does_not_end_in_time_is_cut_off_and_tried_again() {
    let desk = Desk::at(Platform::start(|_| Reply::Hang).await).await;
    desk.book(0, 1).await;
    let (stop, running) = run(&desk);
    desk.platform.has_seen(1).await;
    stop.send_replace(true);
    turns().await;
    desk.clock.advance(i64::try_from(DRAIN_MS).unwrap());
    soon("the stop", running).await.unwrap();
    let delivery = desk.one().await;
    assert_eq!((delivery.state, &delivery.lease), (DeliveryState::Pending, &None));
    assert_eq!(delivery.reason, Some(Reason::OutcomeUnknown));
    assert_eq!(desk.attempts(&delivery).await[0].outcome.as_deref(), Some("retry"));
}

#[tokio::test]
async fn lanes_follow_the_configuration_and_wake_for_new_work() {
    let desk = Desk::at(Platform::start(|_| Reply::Accept).await).await;
    let live = desk.node(Arc::new(SystemClock), &[("META_TOKEN", TOKEN)]).await;
    let (stop, stopped) = watch::channel(false);
    let booking = Desk { engine: live.clone(), ..desk };
    #[expect(clippy::disallowed_methods, reason = "the test waits for its end")]
    let running = tokio::spawn(delivery::run(live.clone(), stopped));
    booking.book(0, 4).await;
    booking.platform.has_seen_events(4).await;
    // Without the destination its lane ends; with it back, another begins.
    let with = live.export_config().await.unwrap().1;
    let without = "[workspace]\nbase_currency = \"USD\"\ntimezone = \"UTC\"\n";
    live.apply_config(without, "test.toml", None, "test").await.unwrap();
    live.refresh_config().await.unwrap();
    let ending = async {
        while live.wakeups.knows("meta-main") {
            live.wakeups.wake("meta-main");
            tokio::task::yield_now().await;
        }
    };
    soon("the lane's end", ending).await;
    live.apply_config(&with, "test.toml", None, "test").await.unwrap();
    live.refresh_config().await.unwrap();
    booking.book(4, 6).await;
    booking.platform.has_seen_events(6).await;
    stop.send_replace(true);
    soon("the stop", running).await.unwrap();
    assert!(booking.deliveries().await.iter().all(|one| one.state == DeliveryState::Delivered));
}

/// Nobody rings for it: what stood there before a start, and what another node books.
#[tokio::test]
async fn what_another_has_booked_is_sent_without_a_ring() {
    let desk = Desk::at(Platform::start(|_| Reply::Accept).await).await;
    let another = desk.node(Arc::new(desk.clock.clone()), &[("META_TOKEN", TOKEN)]).await;
    let (stop, stopped) = watch::channel(false);
    desk.book(0, 2).await;
    #[expect(clippy::disallowed_methods, reason = "the test waits for its end")]
    let running = tokio::spawn(delivery::run(another, stopped));
    desk.platform.has_seen_events(2).await;
    desk.book(2, 3).await;
    let looks = async {
        while desk.platform.sizes().len() < 2 {
            desk.clock.advance(i64::try_from(LOOK_EVERY_MS).unwrap());
            // The call's own deadline is not to run out meanwhile.
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        while desk.deliveries().await.iter().any(|one| one.state != DeliveryState::Delivered) {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    soon("the other's event", looks).await;
    stop.send_replace(true);
    soon("the stop", running).await.unwrap();
    assert_eq!(desk.platform.sizes(), [2, 1]);
}

/// A clock with a defect: when armed, the next question for the time ends in a panic.
#[derive(Debug)]
pub(super) struct Fragile {
    clock: FakeClock,
    armed: AtomicBool,
}

impl Fragile {
    pub(super) fn over(clock: &FakeClock) -> Arc<Self> {
        Arc::new(Self { clock: clock.clone(), armed: AtomicBool::new(false) })
    }

    pub(super) fn arm(&self) {
        self.armed.store(true, Ordering::SeqCst);
    }

    /// Whether it has failed since it was armed.
    pub(super) fn has_failed(&self) -> bool {
        !self.armed.load(Ordering::SeqCst)
    }
}

impl Clock for Fragile {
    fn now(&self) -> Timestamp {
        assert!(!self.armed.swap(false, Ordering::SeqCst), "a defect");
        self.clock.now()
    }

    fn sleep(&self, ms: u64) -> Sleep<'_> {
        self.clock.sleep(ms)
    }
}

#[tokio::test]
async fn a_lane_that_fails_inside_is_started_anew() {
    let desk = Desk::at(Platform::start(|_| Reply::Accept).await).await;
    let fragile = Fragile::over(&desk.clock);
    let live = desk.node(Arc::clone(&fragile) as Arc<dyn Clock>, &[("META_TOKEN", TOKEN)]).await;
    desk.book(0, 2).await;
    fragile.arm();
    let (stop, stopped) = watch::channel(false);
    #[expect(clippy::disallowed_methods, reason = "the test waits for its end")]
    let running = tokio::spawn(delivery::run(live, stopped));
    let failing = async {
        while !fragile.has_failed() {
            tokio::task::yield_now().await;
        }
    };
    soon("the lane's failure", failing).await;
    turns().await;
    assert!(desk.platform.sizes().is_empty());
    desk.clock.advance(i64::try_from(LOOK_EVERY_MS).unwrap());
    desk.platform.has_seen(1).await;
    stop.send_replace(true);
    soon("the stop", running).await.unwrap();
    assert!(desk.deliveries().await.iter().all(|one| one.state == DeliveryState::Delivered));
}
