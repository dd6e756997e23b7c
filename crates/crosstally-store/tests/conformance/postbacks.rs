//! The one transaction that books a postback.

use std::sync::{Arc, Mutex};

use crosstally_core::ids::{ConversionId, DeliveryId};
use crosstally_core::ledger::Balance;
use crosstally_core::postback::{Booking, ConversionChange, Facts, FactsWanted};
use crosstally_core::verdict::Verdict;
use crosstally_store::{Decide, OutboxCount, ReceiptCount, Store, StoreError};

use crate::build::{self, ACME, META};
use crate::stage::Stage;

pub(crate) async fn everything_of_a_booking_is_stored(stage: &Stage) {
    let store = stage.open().await;
    let mut booking = build::sale(0, build::key(ACME, "T1"), &[META, "partner-url"]);
    let id = conversion_of(&booking);
    booking.goal_events.push(build::goal_event(1, id));
    booking.deliveries.push(build::delivery(2, &booking.goal_events[1], META));
    build::meet_goals(&mut booking);
    build::book(&store, &booking).await;

    let conversion = booking.conversion.as_ref().unwrap().conversion();
    assert_eq!(store.receipt(booking.receipt.id).await.unwrap().as_ref(), Some(&booking.receipt));
    assert_eq!(store.conversion(id).await.unwrap().as_ref(), Some(conversion));
    assert_eq!(store.entries(id).await.unwrap(), Vec::from_iter(booking.entry.clone()));
    assert_eq!(store.goal_events_of_conversion(id).await.unwrap(), booking.goal_events);
    let deliveries = store.deliveries_of_conversion(id).await.unwrap();
    for (stored, booked) in deliveries.iter().zip(sorted(&booking)) {
        assert_eq!(stored.id, booked.id);
        assert_eq!((stored.conversion, stored.goal_event), (id, booked.goal_event));
        assert_eq!(stored.destination, booked.destination);
        assert_eq!((stored.due_at, stored.deadline_at), (booked.due_at, booked.deadline_at));
        assert_eq!(stored.created_at, booking.receipt.received_at);
        assert_eq!((stored.attempts, stored.failures, stored.lease.as_ref()), (0, 0, None));
    }
    assert_eq!(deliveries.len(), 3);
}

fn sorted(booking: &Booking) -> Vec<crosstally_core::route::NewDelivery> {
    let mut deliveries = booking.deliveries.clone();
    deliveries.sort_by_key(|delivery| delivery.id);
    deliveries
}

fn conversion_of(booking: &Booking) -> ConversionId {
    booking.conversion.as_ref().unwrap().conversion().id
}

/// Moves a conversion on by one movement that makes it worth this much.
fn movement(ms: i64, facts: &Facts, value: i64) -> Booking {
    let before = facts.conversion.clone().unwrap();
    let mut conversion = before.clone();
    conversion.movements += 1;
    conversion.amounts.value = Some(value);
    conversion.balance = Balance::under(conversion.status, Some(value));
    conversion.updated_at = build::at(ms);
    let mut receipt = build::receipt(ms);
    receipt.verdict = Verdict::Updated;
    receipt.conversion = Some(conversion.id);
    receipt.sequence = Some(conversion.movements);
    let entry = build::entry(&conversion, receipt.id, before.balance);
    let mut booking = Booking::receipt_only(receipt);
    booking.entry = Some(entry);
    booking.conversion = Some(ConversionChange::Update(conversion));
    booking
}

/// Asks for facts without booking anything but a receipt.
async fn facts(store: &Store, wanted: FactsWanted) -> Facts {
    let seen = Arc::new(Mutex::new(None));
    let into = Arc::clone(&seen);
    let decide: Decide = Box::new(move |facts| {
        *into.lock().unwrap() = Some(facts.clone());
        Booking::receipt_only(build::receipt(0))
    });
    store.record_postback(wanted, decide).await.unwrap();
    let facts = seen.lock().unwrap().take();
    facts.unwrap()
}

pub(crate) async fn the_decision_sees_what_is_stored(stage: &Stage) {
    let store = stage.open().await;
    let key = build::key(ACME, "T1");
    let click = build::click(0);
    let wanted = FactsWanted { click: Some(click.id), key: key.clone(), nonce: None, sightings: Vec::new() };
    assert_eq!(facts(&store, wanted.clone()).await, Facts::default());

    store.append_click(Arc::new(click.clone())).await.unwrap();
    let booking = build::sale(0, key.clone(), &[]);
    build::book(&store, &booking).await;
    for ms in 1..12 {
        let decide: Decide = Box::new(move |facts| movement(ms, facts, ms * 100));
        store.record_postback(wanted.clone(), decide).await.unwrap();
    }
    let seen = facts(&store, wanted).await;
    assert_eq!(seen.click, Some(click));
    assert_eq!(seen.conversion, store.conversion(conversion_of(&booking)).await.unwrap());
    assert_eq!(seen.entries.iter().map(|entry| entry.sequence).collect::<Vec<_>>(), Vec::from_iter(1..=12));
    assert_eq!(seen.entries, store.entries(conversion_of(&booking)).await.unwrap());
    // Neither what was not asked for, nor anything under another key.
    let unasked = facts(
        &store,
        FactsWanted { click: None, key: build::key(ACME, "T11"), nonce: None, sightings: Vec::new() },
    )
    .await;
    assert_eq!(unasked, Facts::default());
}

pub(crate) async fn one_key_a_hundred_times_at_once_is_one_conversion(stage: &Stage) {
    let store = stage.open().await;
    let key = build::key(ACME, "T1");
    let mut tasks = Vec::new();
    for ms in 0..100 {
        let (store, key) = (store.clone(), key.clone());
        tasks.push(tokio::spawn(async move {
            let wanted = FactsWanted { click: None, key: key.clone(), nonce: None, sightings: Vec::new() };
            let fresh = build::sale(ms, key, &[META]);
            let decide: Decide = Box::new(move |facts| match &facts.conversion {
                None => fresh.clone(),
                Some(known) => {
                    assert_eq!(facts.entries.len(), 1);
                    let mut receipt = build::receipt(ms);
                    receipt.verdict = Verdict::Duplicate;
                    receipt.conversion = Some(known.id);
                    receipt.sequence = Some(1);
                    Booking::receipt_only(receipt)
                }
            });
            store.record_postback(wanted, decide).await.unwrap()
        }));
    }
    let mut bookings = Vec::new();
    for task in tasks {
        bookings.push(task.await.unwrap());
    }
    let recorded: Vec<_> = bookings.iter().filter(|booking| booking.conversion.is_some()).collect();
    assert_eq!(recorded.len(), 1);
    let id = conversion_of(recorded[0]);
    assert!(bookings.iter().all(|booking| booking.receipt.conversion == Some(id)));
    for booking in &bookings {
        assert_eq!(store.receipt(booking.receipt.id).await.unwrap().as_ref(), Some(&booking.receipt));
    }
    assert_eq!(store.list_conversions(None, 10).await.unwrap().len(), 1);
    assert_eq!(store.deliveries_of_conversion(id).await.unwrap().len(), 1);
    assert_eq!(store.receipts_of_conversion(id, 1_000).await.unwrap().len(), 100);
    let count = |verdict, count| ReceiptCount { partner: ACME.into(), verdict, count };
    assert_eq!(
        store.count_receipts().await.unwrap(),
        [count(Verdict::Duplicate, 99), count(Verdict::Recorded, 1)]
    );
}

pub(crate) async fn no_movement_is_lost_when_many_come_at_once(stage: &Stage) {
    let (first, second) = (stage.open().await, stage.open().await);
    let booking = build::sale(0, build::key(ACME, "T1"), &[]);
    build::book(&first, &booking).await;
    let mut tasks = Vec::new();
    for ms in 1..100 {
        // Through two stores, as two processes would.
        let store = if ms % 2 == 0 { first.clone() } else { second.clone() };
        tasks.push(tokio::spawn(async move {
            let wanted =
                FactsWanted { click: None, key: build::key(ACME, "T1"), nonce: None, sightings: Vec::new() };
            let decide: Decide = Box::new(move |facts| {
                let value = facts.conversion.as_ref().and_then(|known| known.amounts.value).unwrap();
                movement(ms, facts, value + ms)
            });
            store.record_postback(wanted, decide).await.unwrap()
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    let id = conversion_of(&booking);
    let conversion = second.conversion(id).await.unwrap().unwrap();
    let total = 1_234 + (1..100).sum::<i64>();
    assert_eq!((conversion.movements, conversion.balance.confirmed), (100, total));
    let entries = first.entries(id).await.unwrap();
    assert_eq!(entries.iter().map(|entry| entry.sequence).collect::<Vec<_>>(), Vec::from_iter(1..=100));
    assert_eq!(Balance::of(&entries), conversion.balance);
}

pub(crate) async fn a_booking_that_fails_leaves_nothing(stage: &Stage) {
    let store = stage.open().await;
    let good = build::sale(0, build::key(ACME, "T1"), &[META]);
    build::book(&store, &good).await;
    // The last thing to be written is there already.
    let mut bad = build::sale(1, build::key(ACME, "T2"), &[META, META]);
    bad.deliveries[1].id = good.deliveries[0].id;
    let wanted = FactsWanted { click: None, key: build::key(ACME, "T2"), nonce: None, sightings: Vec::new() };
    let decided = bad.clone();
    let answer = store.record_postback(wanted.clone(), Box::new(move |_| decided.clone())).await;
    assert!(matches!(answer, Err(StoreError::Corrupt(_))), "{answer:?}");

    let id = conversion_of(&bad);
    assert_eq!(store.receipt(bad.receipt.id).await.unwrap(), None);
    assert_eq!(store.conversion(id).await.unwrap(), None);
    assert_eq!(store.entries(id).await.unwrap(), []);
    assert_eq!(store.goal_event(bad.goal_events[0].id).await.unwrap(), None);
    assert_eq!(store.deliveries_of_conversion(id).await.unwrap(), []);
    assert_eq!(store.count_receipts().await.unwrap()[0].count, 1);
    assert!(matches!(&store.count_deliveries().await.unwrap()[..], [OutboxCount { count: 1, .. }]));
    // What was wrong being mended, it goes through.
    bad.deliveries[1].id = DeliveryId::of(bad.goal_events[0].id, build::next_number());
    build::book(&store, &bad).await;
    assert_eq!(store.deliveries_of_conversion(id).await.unwrap().len(), 2);
}

pub(crate) async fn a_movement_that_does_not_follow_is_refused(stage: &Stage) {
    let store = stage.open().await;
    let booking = build::sale(0, build::key(ACME, "T1"), &[]);
    build::book(&store, &booking).await;
    let wanted = FactsWanted { click: None, key: build::key(ACME, "T1"), nonce: None, sightings: Vec::new() };
    let decide: Decide = Box::new(move |facts| {
        let mut facts = facts.clone();
        // As if it had moved on twice already.
        if let Some(conversion) = &mut facts.conversion {
            conversion.movements += 2;
        }
        movement(1, &facts, 5)
    });
    assert!(store.record_postback(wanted, decide).await.is_err());
    let conversion = store.conversion(conversion_of(&booking)).await.unwrap();
    assert_eq!(conversion.as_ref(), booking.conversion.as_ref().map(ConversionChange::conversion));
    assert_eq!(store.entries(conversion_of(&booking)).await.unwrap().len(), 1);
    assert_eq!(store.count_receipts().await.unwrap()[0].count, 1);
}

pub(crate) async fn a_bad_booking_leaves_its_neighbours_alone(stage: &Stage) {
    let store = stage.open().await;
    let there = build::sale(0, build::key(ACME, "T0"), &[META]);
    build::book(&store, &there).await;
    let mut tasks = Vec::new();
    for ms in 1..=64 {
        let mut booking = build::sale(ms, build::key(ACME, &format!("T{ms}")), &[META]);
        let bad = ms % 9 == 0;
        if bad {
            booking.goal_events[0].id = there.goal_events[0].id;
        }
        let store = store.clone();
        tasks.push(tokio::spawn(async move {
            let wanted =
                FactsWanted { click: None, key: build::key_of(&booking), nonce: None, sightings: Vec::new() };
            let decided = booking.clone();
            let answer = store.record_postback(wanted, Box::new(move |_| decided.clone())).await;
            (bad, booking, answer)
        }));
    }
    for task in tasks {
        let (bad, booking, answer) = task.await.unwrap();
        assert_eq!(answer.is_err(), bad, "{answer:?}");
        let id = conversion_of(&booking);
        assert_eq!(store.conversion(id).await.unwrap().is_none(), bad);
        assert_eq!(store.receipt(booking.receipt.id).await.unwrap().is_none(), bad);
        assert_eq!(store.deliveries_of_conversion(id).await.unwrap().is_empty(), bad);
    }
    let counts = store.count_deliveries().await.unwrap();
    assert!(matches!(&counts[..], [OutboxCount { count: 58, .. }]), "{counts:?}");
}

pub(crate) async fn one_key_of_two_partners_is_two_conversions(stage: &Stage) {
    let store = stage.open().await;
    for partner in [ACME, "other"] {
        let wanted =
            FactsWanted { click: None, key: build::key(partner, "T1"), nonce: None, sightings: Vec::new() };
        assert_eq!(facts(&store, wanted.clone()).await.conversion, None);
        build::book(&store, &build::sale(0, build::key(partner, "T1"), &[])).await;
        assert_eq!(facts(&store, wanted).await.conversion.unwrap().key.partner, partner);
    }
    assert_eq!(store.list_conversions(None, 10).await.unwrap().len(), 2);
    // The same key once more is refused by the database itself, whatever was decided.
    let again = build::sale(9, build::key(ACME, "T1"), &[]);
    let wanted = FactsWanted { click: None, key: build::key(ACME, "T1"), nonce: None, sightings: Vec::new() };
    assert!(store.record_postback(wanted, Box::new(move |_| again.clone())).await.is_err());
    assert_eq!(store.list_conversions(None, 10).await.unwrap().len(), 2);
}
