//! Failures inside a dialect, and leases lost before the call: what was leased is handed in directly.

use std::collections::BTreeMap;
use std::sync::Arc;

use crosstally_core::config::Setting;
use crosstally_core::delivery::DeliveryState;
use crosstally_core::event::OutboundEvent;
use crosstally_core::reason::Reason;
use crosstally_core::time::Timestamp;
use crosstally_destinations::catalog;
use crosstally_destinations::dialect::{
    Built, Dialect, Reading, Response, SettingField, SettingProblem, Settings, Told,
};
use crosstally_store::{EventText, LeaseWanted, LeasedDelivery};
use tokio::sync::watch;

use super::desk::{Desk, NOW, Platform, Reply};
use crate::Engine;
use crate::delivery::batch::Batch;
use crate::delivery::bisect;
use crate::delivery::leases::{LEASE_MS, Leases};
use crate::delivery::outcomes::Delivered;
use crate::delivery::pace::CALLS_MAX;
use crate::delivery::pace::InHand;
use crate::delivery::shared::Shared;
use crate::delivery::stopping::{Phase, Stopping};
use crate::delivery::wave;
use crate::snapshot::ReadyDestination;

/// The real dialect with a defect.
pub(super) enum Defective {
    /// It fails on some events and some answers.
    OverEvents,
    /// It fails when it is asked what it can tell of consent.
    OverConsent,
}

fn real() -> &'static dyn Dialect {
    catalog::by_kind("meta").unwrap()
}

impl Dialect for Defective {
    fn kind(&self) -> &'static str {
        "defective"
    }

    fn help(&self) -> &'static str {
        "Fails."
    }

    fn fields(&self) -> &'static [SettingField] {
        real().fields()
    }

    fn check(&self, settings: &BTreeMap<String, Setting>) -> Vec<SettingProblem> {
        real().check(settings)
    }

    fn batch_max(&self) -> usize {
        real().batch_max()
    }

    fn max_age_ms(&self, settings: &BTreeMap<String, Setting>, action_source: &str) -> i64 {
        real().max_age_ms(settings, action_source)
    }

    fn told(&self) -> Told {
        assert!(!matches!(self, Self::OverConsent), "a defect");
        real().told()
    }

    fn build(&self, settings: &Settings, events: &[OutboundEvent], now: Timestamp) -> Built {
        assert!(events.iter().all(|event| event.value.as_deref() != Some("66.66")), "a defect");
        real().build(settings, events, now)
    }

    fn read(&self, settings: &Settings, response: &Response, sent: usize, now: Timestamp) -> Reading {
        assert!(response.status != 299, "a defect");
        real().read(settings, response, sent, now)
    }
}

pub(super) async fn lease(desk: &Desk, now: Timestamp, limit: u32) -> Vec<LeasedDelivery> {
    let wanted = LeaseWanted {
        destination: "meta-main".into(),
        owner: now.to_string(),
        now,
        until: now.plus_millis(LEASE_MS),
        limit,
        unknown_for_ms: None,
        first: crosstally_core::delivery::lane::Lane::Fresh,
    };
    desk.engine.store.lease_deliveries(wanted).await.unwrap()
}

/// A batch of what was leased, and who could stop it.
pub(super) fn batch(
    engine: &Engine,
    change: impl FnOnce(&mut ReadyDestination),
    leased: Vec<LeasedDelivery>,
) -> (Batch, Vec<LeasedDelivery>, InHand, watch::Sender<Phase>) {
    let ready = Arc::clone(engine.snapshot.load().destination("meta-main").unwrap());
    let mut changed = ReadyDestination {
        config: ready.config.clone(),
        dialect: ready.dialect,
        settings: ready.settings.clone(),
        missing_secrets: Vec::new(),
        digest: ready.digest.clone(),
    };
    change(&mut changed);
    let (phase, stopping) = Stopping::new();
    let shared = Shared {
        engine: engine.clone(),
        ready: Arc::new(changed),
        state: None,
        probe: false,
        stopping,
        stops: 0,
        pace: Arc::default(),
        course: Arc::default(),
        told: Arc::default(),
        sign_in: Arc::default(),
    };
    let batch = Batch { shared: Arc::new(shared), leases: Leases::of(&leased) };
    let in_hand = batch.pace.take_in_hand(leased.len());
    (batch, leased, in_hand, phase)
}

/// Who delivers what was leased.
#[derive(Debug, Clone, Copy)]
pub(super) enum Way {
    /// Many events in one call.
    Batch,
    /// A call for each.
    Wave,
}

pub(super) async fn deliver(
    way: Way,
    desk: &Desk,
    change: impl FnOnce(&mut ReadyDestination),
    leased: Vec<LeasedDelivery>,
) -> Delivered {
    let (batch, leased, in_hand, _phase) = batch(&desk.engine, change, leased);
    let pace = Arc::clone(&batch.pace);
    let counts = match way {
        Way::Batch => bisect::deliver(batch, leased, in_hand).await,
        Way::Wave => wave::deliver(batch, leased, in_hand).await,
    };
    assert_eq!(
        (pace.is_idle(), pace.free_calls()),
        (true, CALLS_MAX),
        "{way:?}: something is never given back"
    );
    counts
}

#[tokio::test]
async fn an_event_that_cannot_be_built_dies_alone() {
    let desk = Desk::at(Platform::start(|_| Reply::Accept).await).await;
    desk.book(0, 5).await;
    desk.book_sale(5, "66.66").await;
    desk.book(6, 9).await;
    let leased = lease(&desk, NOW, 100).await;
    let counts = deliver(Way::Batch, &desk, |ready| ready.dialect = &Defective::OverEvents, leased).await;
    assert_eq!((counts.delivered, counts.dead), (8, 1));
    let deliveries = desk.deliveries().await;
    let dead = deliveries.iter().find(|one| one.state == DeliveryState::Dead).unwrap();
    assert_eq!((dead.reason, dead.attempts), (Some(Reason::EventIncomplete), 0));
}

#[tokio::test]
async fn an_answer_that_cannot_be_read_confirms_nothing() {
    for way in [Way::Batch, Way::Wave] {
        let desk = Desk::at(Platform::start(|_| Reply::Say(299, "", String::new())).await).await;
        desk.book(0, 2).await;
        let leased = lease(&desk, NOW, 100).await;
        let counts = deliver(way, &desk, |ready| ready.dialect = &Defective::OverEvents, leased).await;
        assert_eq!((counts.retried, counts.delivered), (2, 0), "{way:?}");
        let reasons: Vec<_> = desk.deliveries().await.iter().map(|one| one.reason).collect();
        assert_eq!(reasons, [Some(Reason::DestUnreadable); 2], "{way:?}");
    }
}

#[tokio::test]
async fn an_event_that_cannot_be_read_dies_alone() {
    for way in [Way::Batch, Way::Wave] {
        let desk = Desk::at(Platform::start(|_| Reply::Accept).await).await;
        desk.book(0, 3).await;
        let mut leased = lease(&desk, NOW, 100).await;
        leased[1].event = EventText::new("{".into());
        let broken = leased[1].id;
        let counts = deliver(way, &desk, |_| {}, leased).await;
        assert_eq!((counts.delivered, counts.dead), (2, 1), "{way:?}");
        let deliveries = desk.deliveries().await;
        let dead = deliveries.iter().find(|one| one.id == broken).unwrap();
        assert_eq!((dead.state, dead.attempts), (DeliveryState::Dead, 0), "{way:?}");
        assert_eq!(dead.detail, "the stored event cannot be read", "{way:?}");
    }
}

#[tokio::test]
async fn an_event_whose_consent_cannot_be_asked_for_is_not_sent() {
    for way in [Way::Batch, Way::Wave] {
        let desk = Desk::at(Platform::start(|_| Reply::Accept).await).await;
        desk.book(0, 2).await;
        let leased = lease(&desk, NOW, 100).await;
        let counts = deliver(way, &desk, |ready| ready.dialect = &Defective::OverConsent, leased).await;
        assert_eq!(counts, Delivered { dead: 2, ..Delivered::default() }, "{way:?}");
        for one in desk.deliveries().await {
            assert_eq!((one.reason, one.lease), (Some(Reason::EventIncomplete), None), "{way:?}");
            assert_eq!(one.detail, "asking for consent failed inside this program", "{way:?}");
        }
    }
}

#[tokio::test]
async fn what_another_node_has_taken_over_is_left_out_of_the_call() {
    let desk = Desk::at(Platform::start(|_| Reply::Accept).await).await;
    desk.book(0, 3).await;
    let leased = lease(&desk, NOW, 100).await;
    let taken = lease(&desk, NOW.plus_millis(LEASE_MS), 1).await;
    assert_eq!(
        deliver(Way::Batch, &desk, |_| {}, leased).await,
        Delivered { calls: 1, delivered: 2, ..Delivered::default() }
    );
    let sent = desk.platform.calls().remove(0).events;
    assert_eq!(sent.len(), 2);
    assert!(sent.iter().all(|event| event["event_id"] != taken[0].event.read().unwrap().event_id.as_str()));
    let deliveries = desk.deliveries().await;
    let left = deliveries.iter().find(|one| one.id == taken[0].id).unwrap();
    assert_eq!((left.state, left.attempts, left.lease.is_some()), (DeliveryState::Pending, 0, true));
}

#[tokio::test]
async fn the_deadline_counts_whatever_the_dialect_would_take() {
    let desk = Desk::at(Platform::start(|_| Reply::Accept).await).await;
    desk.book(0, 2).await;
    let mut leased = lease(&desk, NOW, 100).await;
    leased[0].deadline_at = NOW;
    let counts = deliver(Way::Batch, &desk, |_| {}, leased).await;
    assert_eq!((counts.expired, counts.delivered), (1, 1));
}

#[tokio::test]
async fn a_private_address_pauses_and_nothing_is_sent() {
    let desk = Desk::at(Platform::start(|_| Reply::Accept).await).await;
    desk.book(0, 2).await;
    let leased = lease(&desk, NOW, 100).await;
    let counts = deliver(Way::Batch, &desk, |ready| ready.config.allow_private = false, leased).await;
    assert_eq!((counts.waiting, desk.platform.sizes().len()), (2, 0));
    assert_eq!(desk.state().await.unwrap().paused, Some(Reason::AddressForbidden));
}
