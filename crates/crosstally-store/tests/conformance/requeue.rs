//! Trying deliveries again by hand.

use crosstally_core::delivery::{DeliveryState, Outcome};
use crosstally_core::ids::DeliveryId;
use crosstally_core::reason::Reason;
use crosstally_core::route::NewDelivery;
use crosstally_store::{After, DeliveryFilter, LeaseWanted, Store};

use crate::build::{self, ACME, META};
use crate::stage::Stage;

/// A deadline that is given to those whose own has passed.
const FRESH: i64 = 9_000_000;

async fn requeue(store: &Store, filter: DeliveryFilter, ms: i64) -> u64 {
    store.requeue_deliveries(filter, build::at(ms), build::at(FRESH)).await.unwrap()
}

/// Books deliveries to one destination in the given states.
async fn book_in(store: &Store, destination: &str, states: &[DeliveryState]) -> Vec<DeliveryId> {
    let mut booking = build::sale(0, build::key(ACME, &build::unique_name()), &[]);
    let event = booking.goal_events[0].clone();
    booking.deliveries = (0..)
        .zip(states)
        .map(|(ms, state)| NewDelivery { state: *state, ..build::delivery(ms, &event, destination) })
        .collect();
    build::book(store, &booking).await;
    booking.deliveries.iter().map(|delivery| delivery.id).collect()
}

pub(crate) async fn dead_and_expired_ones_start_anew(stage: &Stage) {
    let store = stage.open().await;
    build::book_deliveries(&store, META, 1).await;
    let retry = Outcome::Retry { reason: Reason::DestUnreachable, after_ms: None };
    build::work(&store, 10, retry.clone(), After::RetryAt(build::at(50))).await;
    build::work(&store, 50, retry, After::Dead).await;
    let all = DeliveryFilter::default();
    assert_eq!(requeue(&store, all.clone(), 100).await, 1);
    let leased = store.lease_deliveries(build::wanted(META, 100)).await.unwrap();
    assert_eq!((leased[0].attempts, leased[0].failures, leased[0].fence), (2, 0, 3));
    // In time, it keeps its own deadline.
    assert_eq!(leased[0].deadline_at, build::at(1_000_000));
    let record = store.delivery(leased[0].id).await.unwrap().unwrap();
    assert_eq!((record.state, record.due_at), (DeliveryState::Pending, build::at(100)));
    assert_eq!((record.reason, record.finished_at), (Some(Reason::DestUnreachable), None));
    assert_eq!(store.attempts(leased[0].id).await.unwrap().len(), 2);

    // Its lease ran out and its deadline passed: it expires, and is made due again with the given deadline.
    assert_eq!(store.expire_overdue(build::at(2_000_000), 10).await.unwrap(), 1);
    assert_eq!(requeue(&store, all, 3_000_000).await, 1);
    let record = store.delivery(leased[0].id).await.unwrap().unwrap();
    assert_eq!((record.state, record.due_at), (DeliveryState::Pending, build::at(3_000_000)));
    assert_eq!(record.deadline_at, build::at(FRESH));
    assert_eq!(store.lease_deliveries(build::wanted(META, 3_000_000)).await.unwrap().len(), 1);
}

pub(crate) async fn waiting_ones_lose_their_wait(stage: &Stage) {
    let store = stage.open().await;
    let booked = build::book_deliveries(&store, META, 1).await;
    let retry = Outcome::Retry { reason: Reason::DestUnreachable, after_ms: None };
    build::work(&store, 10, retry, After::RetryAt(build::at(50_000))).await;
    assert_eq!(requeue(&store, DeliveryFilter::default(), 100).await, 1);
    let record = store.delivery(booked[0]).await.unwrap().unwrap();
    // Its schedule goes on where it was.
    assert_eq!((record.due_at, record.failures), (build::at(100), 1));
    assert_eq!(record.deadline_at, build::at(1_000_000));
    assert_eq!(store.next_due(META.into()).await.unwrap(), Some(build::at(100)));
    assert_eq!(requeue(&store, DeliveryFilter::default(), 100).await, 0);
}

pub(crate) async fn what_needs_no_help_is_left_alone(stage: &Stage) {
    let store = stage.open().await;
    let states = [DeliveryState::Delivered, DeliveryState::Cancelled, DeliveryState::Pending];
    let booked = book_in(&store, META, &states).await;
    let leased = build::book_deliveries(&store, META, 1).await;
    // One is being worked on, the other is due anyway.
    let wanted = LeaseWanted { limit: 1, ..build::wanted(META, 1) };
    assert_eq!(store.lease_deliveries(wanted).await.unwrap()[0].id, leased[0]);
    let mut before = Vec::new();
    for id in booked.iter().chain(&leased) {
        before.push(store.delivery(*id).await.unwrap());
    }
    assert_eq!(requeue(&store, DeliveryFilter::default(), 100).await, 0);
    for (id, before) in booked.iter().chain(&leased).zip(before) {
        assert_eq!(store.delivery(*id).await.unwrap(), before);
    }
}

pub(crate) async fn filters_choose(stage: &Stage) {
    let store = stage.open().await;
    use DeliveryState::{Dead, Expired, Pending};
    let here = book_in(&store, META, &[Dead, Expired, Dead]).await;
    let there = book_in(&store, "elsewhere", &[Dead, Expired]).await;
    let state = |state| DeliveryFilter { state: Some(state), ..DeliveryFilter::default() };
    let id = |id| DeliveryFilter { id: Some(id), ..DeliveryFilter::default() };
    let at_meta = |state| DeliveryFilter { destination: Some(META.into()), state, id: None };

    assert_eq!(requeue(&store, state(Pending), 100).await, 0);
    assert_eq!(requeue(&store, state(DeliveryState::Delivered), 100).await, 0);
    assert_eq!(requeue(&store, id(build::delivery_id(0)), 100).await, 0);
    assert_eq!(requeue(&store, DeliveryFilter { state: Some(Expired), ..id(here[0]) }, 100).await, 0);
    assert_eq!(requeue(&store, id(here[0]), 100).await, 1);
    assert_eq!(requeue(&store, at_meta(Some(Dead)), 100).await, 1);
    assert_eq!(store.delivery(here[1]).await.unwrap().unwrap().state, Expired);
    assert_eq!(store.delivery(there[0]).await.unwrap().unwrap().state, Dead);
    assert_eq!(requeue(&store, at_meta(None), 100).await, 1);
    assert_eq!(requeue(&store, state(Expired), 100).await, 1);
    assert_eq!(requeue(&store, DeliveryFilter::default(), 100).await, 1);
    for id in here.iter().chain(&there) {
        assert_eq!(store.delivery(*id).await.unwrap().unwrap().state, Pending);
    }
}

pub(crate) async fn thousands_are_requeued(stage: &Stage) {
    let store = stage.open().await;
    let booked = book_in(&store, META, &[DeliveryState::Dead; 2_300]).await;
    assert_eq!(requeue(&store, DeliveryFilter::default(), 5_000).await, 2_300);
    let counts = store.count_deliveries().await.unwrap();
    assert_eq!(counts.len(), 1);
    assert_eq!((counts[0].state, counts[0].count), (DeliveryState::Pending, 2_300));
    assert_eq!(counts[0].oldest_due_at, build::at(5_000));
    let wanted = LeaseWanted { limit: 5_000, ..build::wanted(META, 5_000) };
    assert_eq!(store.lease_deliveries(wanted).await.unwrap().len(), booked.len());
}
