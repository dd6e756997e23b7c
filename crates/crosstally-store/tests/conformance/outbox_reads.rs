//! Looking into the outbox.

use crosstally_core::delivery::digest::IdsDigest;
use crosstally_core::delivery::{DeliveryState, Outcome};
use crosstally_core::ids::DeliveryId;
use crosstally_core::reason::Reason;
use crosstally_core::route::NewDelivery;
use crosstally_core::time::Timestamp;
use crosstally_store::{
    After, AttemptRecord, CallResult, DeliveredHour, DeliveryFilter, DeliveryRecord, OutboxCount, Places,
    Settlement, Store,
};

use crate::build::{self, ACME, META, NASTY};
use crate::stage::Stage;

async fn pages(store: &Store, filter: &DeliveryFilter, limit: u32) -> Vec<DeliveryId> {
    pages_at(store, filter, &Places::All, limit).await
}

async fn pages_at(store: &Store, filter: &DeliveryFilter, places: &Places, limit: u32) -> Vec<DeliveryId> {
    let mut listed: Vec<DeliveryRecord> = Vec::new();
    loop {
        let before = listed.last().map(|record| record.id);
        let page = store.list_deliveries(filter.clone(), places.clone(), before, limit).await.unwrap();
        let rows = u32::try_from(page.len()).unwrap();
        assert!(rows <= limit);
        listed.extend(page);
        if rows < limit {
            break listed.iter().map(|record| record.id).collect();
        }
    }
}

pub(crate) async fn deliveries_are_listed_newest_first_page_by_page(stage: &Stage) {
    let store = stage.open().await;
    let mut booked = build::book_deliveries(&store, META, 7).await;
    booked.reverse();
    assert_eq!(pages(&store, &DeliveryFilter::default(), 3).await, booked);
    assert_eq!(pages(&store, &DeliveryFilter::default(), 100).await, booked);
    let first = store.list_deliveries(DeliveryFilter::default(), Places::All, None, 1).await.unwrap();
    assert_eq!(store.delivery(booked[0]).await.unwrap().as_ref(), first.first());
    assert_eq!(store.delivery(build::delivery_id(0)).await.unwrap(), None);
}

pub(crate) async fn filters_narrow_the_list(stage: &Stage) {
    let store = stage.open().await;
    let mut booking = build::sale(0, build::key(ACME, "T1"), &[]);
    let event = booking.goal_events[0].clone();
    let mut expected = Vec::new();
    for (ms, state) in (0..).zip(DeliveryState::ALL.into_iter().cycle().take(20)) {
        let destination = if ms % 2 == 0 { META } else { "elsewhere" };
        let mut delivery = build::delivery(ms, &event, destination);
        delivery.state = state;
        expected.insert(0, delivery.clone());
        booking.deliveries.push(delivery);
    }
    build::book(&store, &booking).await;
    let mut filters = vec![DeliveryFilter::default()];
    for destination in [None, Some(META), Some("elsewhere"), Some("nowhere")] {
        for state in DeliveryState::ALL.into_iter().map(Some).chain([None]) {
            for id in [None, Some(booking.deliveries[3].id), Some(build::delivery_id(0))] {
                filters.push(DeliveryFilter { destination: destination.map(str::to_owned), state, id });
            }
        }
    }
    for filter in filters {
        let expected: Vec<_> = expected
            .iter()
            .filter(|delivery| {
                filter.destination.as_ref().is_none_or(|wanted| *wanted == delivery.destination)
                    && filter.state.is_none_or(|wanted| wanted == delivery.state)
                    && filter.id.is_none_or(|wanted| wanted == delivery.id)
            })
            .map(|delivery| delivery.id)
            .collect();
        assert_eq!(pages(&store, &filter, 3).await, expected, "{filter:?}");
    }
}

/// What waits at some destinations and not at others: every page is full but the last, however much is passed over.
pub(crate) async fn places_narrow_the_list_before_it_is_cut_into_pages(stage: &Stage) {
    let store = stage.open().await;
    let mut booking = build::sale(0, build::key(ACME, "T1"), &[]);
    let event = booking.goal_events[0].clone();
    for ms in 0..30 {
        let destination = ["elsewhere", META, NASTY[4]][usize::try_from(ms % 10).unwrap().min(2)];
        let state = if ms % 7 == 0 { DeliveryState::Dead } else { DeliveryState::Pending };
        booking.deliveries.push(NewDelivery { state, ..build::delivery(ms, &event, destination) });
    }
    build::book(&store, &booking).await;
    let slugs = |slugs: &[&str]| slugs.iter().map(|slug| (*slug).to_owned()).collect::<Vec<_>>();
    for names in
        [&[][..], &[META], &[META, "nowhere"], &["elsewhere", NASTY[4]], &[META, "elsewhere", NASTY[4]]]
    {
        for (places, inside) in [(Places::Only(slugs(names)), true), (Places::AllBut(slugs(names)), false)] {
            for destination in [None, Some(META.to_owned())] {
                for state in [None, Some(DeliveryState::Pending), Some(DeliveryState::Dead)] {
                    let filter = DeliveryFilter { destination: destination.clone(), state, id: None };
                    let taken = booking.deliveries.iter().rev().filter(|delivery| {
                        names.contains(&delivery.destination.as_str()) == inside
                            && destination.as_ref().is_none_or(|wanted| *wanted == delivery.destination)
                            && state.is_none_or(|wanted| wanted == delivery.state)
                    });
                    let expected: Vec<_> = taken.map(|delivery| delivery.id).collect();
                    let listed = pages_at(&store, &filter, &places, 2).await;
                    assert_eq!(listed, expected, "{places:?} {filter:?}");
                }
            }
        }
    }
}

pub(crate) async fn deliveries_of_a_conversion_are_found(stage: &Stage) {
    let store = stage.open().await;
    for transaction in ["T1", "T2"] {
        let booking = build::sale(0, build::key(ACME, transaction), &[META, "elsewhere", META]);
        build::book(&store, &booking).await;
        let conversion = booking.goal_events[0].conversion;
        let found = store.deliveries_of_conversion(conversion).await.unwrap();
        let mut expected: Vec<_> = booking.deliveries.iter().map(|delivery| delivery.id).collect();
        expected.sort_unstable();
        assert_eq!(found.iter().map(|record| record.id).collect::<Vec<_>>(), expected);
        let event = &booking.goal_events[0].event;
        for record in found {
            assert_eq!((&record.event_name, &record.event_id), (&event.event_name, &event.event_id));
        }
    }
    assert_eq!(store.deliveries_of_conversion(build::conversion_id(0)).await.unwrap(), []);
}

pub(crate) async fn the_next_due_time_minds_leases(stage: &Stage) {
    let store = stage.open().await;
    let next = || store.next_due(META.into());
    assert_eq!(next().await.unwrap(), None);
    build::book_deliveries(&store, META, 2).await;
    build::book_deliveries(&store, "elsewhere", 1).await;
    assert_eq!(next().await.unwrap(), Some(build::at(0)));
    let held = build::held(&store.lease_deliveries(build::wanted(META, 0)).await.unwrap());
    assert_eq!((held.len(), next().await.unwrap()), (1, Some(build::at(1))));
    store.lease_deliveries(build::wanted(META, 1)).await.unwrap();
    assert_eq!(next().await.unwrap(), Some(build::at(1_000)));
    store.renew_leases(held.clone(), build::at(7_000)).await.unwrap();
    assert_eq!(next().await.unwrap(), Some(build::at(1_001)));
    store.release_leases(held).await.unwrap();
    assert_eq!(next().await.unwrap(), Some(build::at(0)));
    build::work(&store, 2_000, Outcome::Delivered, After::Delivered).await;
    assert_eq!(next().await.unwrap(), None);
}

pub(crate) async fn counts_follow_every_change(stage: &Stage) {
    use DeliveryState::{Cancelled, Dead, Delivered, Expired, Pending};

    let store = stage.open().await;
    assert_eq!(store.count_deliveries().await.unwrap(), []);
    let booked = build::book_deliveries(&store, META, 6).await;
    build::book_deliveries(&store, "elsewhere", 1).await;
    let mut cancelled = build::sale(3, build::key(ACME, "cancelled"), &[META]);
    cancelled.deliveries[0].state = Cancelled;
    build::book(&store, &cancelled).await;
    let refused = Outcome::Refused { reason: Reason::DestRejected };
    let held = build::held(&store.lease_deliveries(build::wanted(META, 10)).await.unwrap());
    assert_counts(&store, &[(Cancelled, 1), (Pending, 6)], 1_010).await;

    let call = build::new_call(20, &held[..3]);
    let id = call.id;
    store.open_call(call).await.unwrap();
    let settlement = |number: usize, after| Settlement {
        held: held[number],
        outcome: refused.clone(),
        after,
        reason: refused.reason(),
        last_at: None,
    };
    let settlements = vec![
        settlement(0, After::Delivered),
        settlement(1, After::Dead),
        settlement(2, After::RetryAt(build::at(300))),
    ];
    store.settle_call(build::result(id, 30), settlements, None).await.unwrap();
    assert_counts(&store, &[(Cancelled, 1), (Dead, 1), (Delivered, 1), (Pending, 4)], 300).await;

    store.release_leases(held[3..].to_vec()).await.unwrap();
    store.expire_overdue(build::at(1_000_004), 2).await.unwrap();
    let expired = store.delivery(booked[5]).await.unwrap().unwrap();
    assert_eq!(expired.state, Pending);
    let counts = store.count_deliveries().await.unwrap();
    let here = |state| {
        counts.iter().find(|row| row.destination == META && row.state == state).map_or(0, |row| row.count)
    };
    assert_eq!(here(Expired) + here(Pending), 4);
    store.expire_overdue(build::at(9_000_000), 100).await.unwrap();
    assert_counts(&store, &[(Cancelled, 1), (Dead, 1), (Delivered, 1), (Expired, 4)], 0).await;

    let filter = DeliveryFilter { destination: Some(META.into()), ..DeliveryFilter::default() };
    let requeued =
        store.requeue_deliveries(filter, build::at(9_000_000), build::at(9_900_000)).await.unwrap();
    assert_eq!(requeued, 5);
    assert_counts(&store, &[(Cancelled, 1), (Delivered, 1), (Pending, 5)], 9_000_000).await;
}

/// The counts of the one destination, and when its first pending one can be leased; they agree with the list.
async fn assert_counts(store: &Store, expected: &[(DeliveryState, u64)], oldest_ms: i64) {
    let counts = store.count_deliveries().await.unwrap();
    let here: Vec<_> = counts.iter().filter(|row| row.destination == META).cloned().collect();
    let expected: Vec<_> = expected
        .iter()
        .map(|(state, count)| OutboxCount {
            destination: META.into(),
            state: *state,
            count: *count,
            oldest_due_at: if *state == DeliveryState::Pending {
                build::at(oldest_ms)
            } else {
                Timestamp::default()
            },
        })
        .collect();
    assert_eq!(here, expected);
    for row in counts {
        let filter = DeliveryFilter { destination: Some(row.destination), state: Some(row.state), id: None };
        assert_eq!(u64::try_from(pages(store, &filter, 100).await.len()).unwrap(), row.count);
    }
}

pub(crate) async fn attempts_come_back_with_their_calls(stage: &Stage) {
    let store = stage.open().await;
    let booked = build::book_deliveries(&store, META, 2).await;
    let mut expected = Vec::new();
    for (number, text) in (1_u32..).zip(NASTY) {
        let ms = i64::from(number) * 100;
        let held = build::held(&store.lease_deliveries(build::wanted(META, ms)).await.unwrap());
        let mut call = build::new_call(ms + 1, &held);
        call.method = (*text).into();
        call.url = (*text).into();
        for (_, payload) in &mut call.deliveries {
            *payload = format!("{text}{}", "p".repeat(8_000));
        }
        let result = CallResult {
            id: call.id,
            destination: build::META.into(),
            finished_at: build::at(ms + 2),
            status: (number % 2 == 0).then_some(u16::MAX),
            response: (*text).into(),
            detail: (*text).into(),
            probe: false,
        };
        store.open_call(call.clone()).await.unwrap();
        let open = store.attempts(booked[1]).await.unwrap().pop().unwrap();
        let mut attempt = AttemptRecord {
            number,
            call: call.id,
            batch: 2,
            method: call.method,
            url: call.url,
            payload: call.deliveries[1].1.clone(),
            started_at: call.started_at,
            finished_at: None,
            status: None,
            response: String::new(),
            outcome: None,
            reason: None,
            detail: String::new(),
        };
        assert_eq!(open, attempt);
        let outcome = Outcome::Retry { reason: Reason::DestUnreadable, after_ms: None };
        let after = After::RetryAt(build::at(ms + 3));
        let settle = |held| Settlement {
            held,
            outcome: outcome.clone(),
            after,
            reason: outcome.reason(),
            last_at: None,
        };
        store.settle_call(result.clone(), held.into_iter().map(settle).collect(), None).await.unwrap();
        attempt.finished_at = Some(result.finished_at);
        attempt.status = result.status;
        attempt.response = result.response;
        attempt.detail = result.detail;
        attempt.outcome = Some("retry".into());
        attempt.reason = Some(Reason::DestUnreadable);
        expected.push(attempt);
    }
    assert_eq!(store.attempts(booked[1]).await.unwrap(), expected);
    assert_eq!(store.attempts(build::delivery_id(0)).await.unwrap(), []);
    let record = store.delivery(booked[1]).await.unwrap().unwrap();
    assert_eq!(record.detail, expected.last().unwrap().detail);
}

pub(crate) async fn what_the_url_of_a_get_says_is_its_payload(stage: &Stage) {
    let store = stage.open().await;
    let booked = build::book_deliveries(&store, META, 1).await;
    for (ms, method, payload, said) in
        [(100, "GET", "", "https://x.example/?a=1"), (200, "GET", "more", "more"), (300, "POST", "", "")]
    {
        let held = build::held(&store.lease_deliveries(build::wanted(META, ms)).await.unwrap());
        let mut call = build::new_call(ms + 1, &held);
        (call.method, call.url) = (method.into(), "https://x.example/?a=1".into());
        call.deliveries[0].1 = payload.into();
        assert_eq!(store.open_call(call).await.unwrap(), held, "{method}");
        assert_eq!(store.attempts(booked[0]).await.unwrap().pop().unwrap().payload, said, "{method}");
        store.release_leases(held).await.unwrap();
    }
}

pub(crate) async fn hours_tell_what_arrived_by_its_ids(stage: &Stage) {
    let store = stage.open().await;
    // The hour of the event counts, not that of its booking. One id twice in an hour is one event; bytes decide the order.
    let mut expected: Vec<(&str, i64, Vec<&str>)> = vec![
        ("elsewhere", 0, vec!["b"]),
        (META, 0, vec!["B", "a", "a-1", "\u{e9}", "\u{ffee}", "\u{1f9a6}"]),
        (META, 2, vec!["a"]),
    ];
    let hour = 3_600_000;
    for (destination, hours, id, state) in [
        (META, 0, "a", DeliveryState::Delivered),
        (META, 0, "\u{1f9a6}", DeliveryState::Delivered),
        (META, 0, "\u{ffee}", DeliveryState::Delivered),
        (META, 0, "a-1", DeliveryState::Delivered),
        (META, 0, "\u{e9}", DeliveryState::Delivered),
        (META, 0, "B", DeliveryState::Delivered),
        (META, 0, "a", DeliveryState::Delivered),
        (META, 2, "a", DeliveryState::Delivered),
        ("elsewhere", 0, "b", DeliveryState::Delivered),
        (META, 0, "waits", DeliveryState::Pending),
        (META, 1, "dead", DeliveryState::Dead),
        (META, 4, "later", DeliveryState::Delivered),
        (META, -1, "before", DeliveryState::Delivered),
    ] {
        let mut booking = build::sale(9 * hour, build::key(ACME, &build::unique_name()), &[destination]);
        booking.goal_events[0].event.event_id = id.into();
        booking.goal_events[0].event.event_time = build::at(hours * hour + hour - 1);
        // Neither what it is called nor what else it says tells its time.
        booking.goal_events[0].event.event_name = "\"event_time\":\"1999-01-01T00:00:00Z\"".into();
        booking.goal_events[0].event.custom.insert("event_time".into(), "1999-01-01T00:00:00Z".into());
        booking.deliveries[0].state = state;
        build::book(&store, &booking).await;
    }
    let shown = |(destination, hours, ids): &(&str, i64, Vec<&str>)| {
        let mut digest = IdsDigest::default();
        ids.iter().for_each(|id| digest.push(id));
        let (events, sha256) = digest.finish();
        DeliveredHour {
            destination: (*destination).to_owned(),
            hour: build::at(hours * hour),
            events,
            sha256,
        }
    };
    assert_eq!(build::at(0).as_millis() % hour, 0);
    let (from, to) = (build::at(0), build::at(4 * hour));
    let all: Vec<_> = expected.iter().map(shown).collect();
    assert_eq!(store.delivered_hours(None, from, to).await.unwrap(), all);
    expected.retain(|(destination, ..)| *destination == META);
    let of_meta: Vec<_> = expected.iter().map(shown).collect();
    assert_eq!(store.delivered_hours(Some(META.into()), from, to).await.unwrap(), of_meta);
    assert_eq!(store.delivered_hours(Some("nowhere".into()), from, to).await.unwrap(), []);
}
