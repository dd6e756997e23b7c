//! Calls of one event: a store may keep such a call and its attempt in one row. Nobody can tell, whatever else the delivery
//! went through before and after.

use crosstally_core::delivery::{DeliveryState, Outcome};
use crosstally_core::ids::{CallId, DeliveryId};
use crosstally_core::reason::Reason;
use crosstally_core::retention::{self, Class};
use crosstally_store::{
    After, AttemptRecord, Held, LeaseWanted, PurgePlace, PurgeStep, Purged, Settled, Settlement, Store,
};

use crate::build::{self, META, at};
use crate::erasures;
use crate::stage::Stage;

const fn retry() -> Outcome {
    Outcome::Retry { reason: Reason::DestUnreachable, after_ms: None }
}

fn settlement(held: Held, outcome: Outcome, after: After) -> Settlement {
    Settlement { held, reason: outcome.reason(), outcome, after, last_at: None }
}

/// Leases what is due for 1,000 ms, in the order in which it was booked.
async fn lease(store: &Store, booked: &[DeliveryId], ms: i64) -> Vec<Held> {
    let mut held = build::held(&store.lease_deliveries(build::wanted(META, ms)).await.unwrap());
    held.sort_by_key(|one| booked.iter().position(|id| *id == one.id));
    held
}

async fn open(store: &Store, ms: i64, held: &[Held]) -> CallId {
    let call = build::new_call(ms, held);
    let id = call.id;
    assert_eq!(store.open_call(call).await.unwrap(), held);
    id
}

async fn attempts(store: &Store, delivery: DeliveryId) -> Vec<AttemptRecord> {
    store.attempts(delivery).await.unwrap()
}

/// Tries each so many of the deliveries again in one call, after a while.
async fn tried(store: &Store, booked: &[DeliveryId], tries: &[(i64, usize)]) -> Vec<CallId> {
    let mut calls = Vec::new();
    for (ms, count) in tries {
        let held = lease(store, booked, *ms).await;
        let (called, others) = held.split_at(*count);
        let call = open(store, ms + 1, called).await;
        let again = After::RetryAt(at(ms + 100));
        let settlements = called.iter().map(|one| settlement(*one, retry(), again)).collect();
        let settled = store.settle_call(build::result(call, ms + 2), settlements, None).await.unwrap();
        assert_eq!(settled, Settled { applied: u32::try_from(*count).unwrap(), stale: 0 });
        store.release_leases(others.to_vec()).await.unwrap();
        calls.push(call);
    }
    calls
}

async fn purge(store: &Store, place: PurgePlace, from: [u8; 16], limit: u32) -> Purged {
    let (class, without) = (Class::Raw, retention::without);
    let step = PurgeStep { class, place, from, before: at(400), limit, without, now: at(9_000) };
    store.purge(step).await.unwrap()
}

pub(crate) async fn attempts_alone_and_with_others_come_in_their_order(stage: &Stage) {
    let store = stage.open().await;
    let booked = build::book_deliveries(&store, META, 2).await;
    let calls = tried(&store, &booked, &[(100, 2), (300, 1), (500, 2), (700, 1)]).await;
    let shown = |attempts: &[AttemptRecord]| -> Vec<(u32, CallId, u32)> {
        attempts.iter().map(|one| (one.number, one.call, one.batch)).collect()
    };
    let first = attempts(&store, booked[0]).await;
    assert_eq!(shown(&first), [(1, calls[0], 2), (2, calls[1], 1), (3, calls[2], 2), (4, calls[3], 1)]);
    for (attempt, ms) in first.iter().zip([100, 300, 500, 700]) {
        let expected = AttemptRecord {
            number: attempt.number,
            call: attempt.call,
            batch: attempt.batch,
            method: "POST".into(),
            url: "https://graph.example/v1/events?access_token=***".into(),
            payload: format!("{{\"event\":\"{}\"}}", booked[0]),
            started_at: at(ms + 1),
            finished_at: Some(at(ms + 2)),
            status: Some(200),
            response: "{\"events_received\":1}".into(),
            outcome: Some("retry".into()),
            reason: Some(Reason::DestUnreachable),
            detail: "fine".into(),
        };
        assert_eq!(attempt, &expected);
    }
    assert_eq!(shown(&attempts(&store, booked[1]).await), [(1, calls[0], 2), (2, calls[2], 2)]);
}

pub(crate) async fn what_was_left_open_alone_and_with_others_is_closed(stage: &Stage) {
    let store = stage.open().await;
    let booked = build::book_deliveries(&store, META, 2).await;
    let lease = async |ms| {
        let wanted = LeaseWanted { unknown_for_ms: Some(500_000), ..build::wanted(META, ms) };
        store.lease_deliveries(wanted).await.unwrap()
    };
    let held = build::held(&lease(10).await);
    open(&store, 20, &held).await;
    open(&store, 30, &held[..1]).await;
    open(&store, 40, &held[1..]).await;
    let unknown = async |id: DeliveryId| {
        let of = |one: &AttemptRecord| {
            (one.number, one.outcome.as_deref() == Some("retry"), one.reason == Some(Reason::OutcomeUnknown))
        };
        attempts(&store, id).await.iter().map(of).collect::<Vec<_>>()
    };
    assert_eq!(unknown(booked[0]).await, [(1, false, false), (2, false, false)]);
    for one in lease(2_000).await {
        // The first of the calls that nobody settled began at 20.
        assert_eq!((one.attempts, one.deadline_at), (2, at(500_020)));
        assert_eq!(one.last, Some(Reason::OutcomeUnknown));
        assert_eq!(unknown(one.id).await, [(1, true, true), (2, true, true)]);
        assert_eq!(store.delivery(one.id).await.unwrap().unwrap().reason, Some(Reason::OutcomeUnknown));
    }
}

pub(crate) async fn an_answer_after_the_end_is_kept_and_decides_nothing(stage: &Stage) {
    let store = stage.open().await;
    let booked = build::book_deliveries(&store, META, 1).await;
    let held = lease(&store, &booked, 10).await;
    let call = open(&store, 20, &held).await;
    assert_eq!(store.expire_overdue(at(2_000_000), 10).await.unwrap(), 1);
    let left = async || attempts(&store, booked[0]).await.remove(0);
    let open = left().await;
    assert_eq!((open.outcome.as_deref(), open.reason), (Some("retry"), Some(Reason::OutcomeUnknown)));
    assert_eq!((open.finished_at, open.status), (None, None));
    let late = vec![settlement(held[0], Outcome::Delivered, After::Delivered)];
    let settled = store.settle_call(build::result(call, 2_000_001), late, None).await.unwrap();
    assert_eq!(settled, Settled { applied: 0, stale: 1 });
    let result = build::result(call, 2_000_001);
    let expected = AttemptRecord {
        finished_at: Some(result.finished_at),
        status: result.status,
        response: result.response,
        detail: result.detail,
        ..open
    };
    assert_eq!(left().await, expected);
    assert_eq!(store.delivery(booked[0]).await.unwrap().unwrap().state, DeliveryState::Expired);
}

pub(crate) async fn an_attempt_is_closed_once_and_by_whoever_holds_it(stage: &Stage) {
    let store = stage.open().await;
    let booked = build::book_deliveries(&store, META, 1).await;
    let held = lease(&store, &booked, 10).await;
    let call = open(&store, 20, &held).await;
    let settle = async |call, outcome| {
        let settlements = vec![settlement(held[0], outcome, After::KeepLease)];
        store.settle_call(build::result(call, 30), settlements, None).await.unwrap()
    };
    let split = || Outcome::Split { reason: Reason::DestRejected };
    for outcome in [split(), Outcome::Delivered] {
        assert_eq!(settle(call, outcome).await, Settled { applied: 1, stale: 0 });
    }
    // The lease is given back while the second call is under way.
    let call = open(&store, 40, &held).await;
    store.release_leases(held.clone()).await.unwrap();
    assert_eq!(settle(call, split()).await, Settled { applied: 0, stale: 1 });
    let tries = attempts(&store, booked[0]).await;
    let outcomes: Vec<_> = tries.iter().map(|one| (one.status, one.outcome.as_deref(), one.reason)).collect();
    assert_eq!(outcomes, [(Some(200), Some("split"), Some(Reason::DestRejected)), (Some(200), None, None)]);
}

pub(crate) async fn the_one_that_was_held_is_settled_among_those_that_were_not(stage: &Stage) {
    let store = stage.open().await;
    let booked = build::book_deliveries(&store, META, 2).await;
    let held = lease(&store, &booked, 10).await;
    let lost = Held { fence: held[1].fence + 1, ..held[1] };
    for asked in [&[held[0], lost][..], &held[..1]] {
        let call = build::new_call(20, asked);
        let result = build::result(call.id, 30);
        assert_eq!(store.open_call(call).await.unwrap(), held[..1]);
        let split = Outcome::Split { reason: Reason::DestRejected };
        let settlements = [lost, held[0]].map(|one| settlement(one, split.clone(), After::KeepLease));
        let done = store.settle_call(result, settlements.to_vec(), None).await.unwrap();
        assert_eq!(done, Settled { applied: 1, stale: 1 });
    }
    let tries = attempts(&store, booked[0]).await;
    assert_eq!(tries.len(), 2);
    for (attempt, number) in tries.iter().zip([1, 2]) {
        assert_eq!((attempt.number, attempt.batch, attempt.status), (number, 1, Some(200)));
        assert_eq!((attempt.outcome.as_deref(), attempt.reason), (Some("split"), Some(Reason::DestRejected)));
    }
    assert_eq!(attempts(&store, booked[1]).await, []);
}

pub(crate) async fn a_purge_empties_what_was_sent_and_what_was_answered(stage: &Stage) {
    let store = stage.open().await;
    let booked = build::book_deliveries(&store, META, 2).await;
    let held = lease(&store, &booked, 10).await;
    let finished = open(&store, 20, &held[..1]).await;
    let under_way = open(&store, 30, &held[1..]).await;
    let done = vec![settlement(held[0], Outcome::Delivered, After::Delivered)];
    assert_eq!(store.settle_call(build::result(finished, 40), done, None).await.unwrap().applied, 1);
    let kept = async |delivery| {
        let one = attempts(&store, delivery).await.remove(0);
        [!one.payload.is_empty(), !one.url.is_empty(), !one.response.is_empty()]
    };
    assert_eq!((kept(booked[0]).await, kept(booked[1]).await), ([true; 3], [true, true, false]));
    for (place, finished_keeps, under_way_keeps) in [
        (PurgePlace::Attempts, [false, true, true], [false, true, false]),
        (PurgePlace::Calls, [false; 3], [false; 3]),
    ] {
        let rows = purge(&store, place, [0; 16], 10).await.rows;
        // Each is counted once for what was sent, and once for the rest.
        assert_eq!(rows, 2, "{place:?}");
        assert_eq!(kept(booked[0]).await, finished_keeps, "{place:?}");
        assert_eq!(kept(booked[1]).await, under_way_keeps, "{place:?}");
        assert_eq!(purge(&store, place, [0; 16], 10).await.rows, 0, "{place:?}");
    }
    let done = vec![settlement(held[1], Outcome::Delivered, After::Delivered)];
    assert_eq!(store.settle_call(build::result(under_way, 50), done, None).await.unwrap().applied, 1);
    assert_eq!(kept(booked[1]).await, [false; 3], "what is answered now is over as well");
    for delivery in booked {
        let one = attempts(&store, delivery).await.remove(0);
        assert_eq!((one.status, one.outcome.as_deref()), (Some(200), Some("delivered")));
    }
}

pub(crate) async fn what_was_sent_is_purged_in_the_order_of_the_calls(stage: &Stage) {
    let store = stage.open().await;
    let booked = build::book_deliveries(&store, META, 2).await;
    let calls = tried(&store, &booked, &[(10, 1), (120, 2), (230, 1), (700, 1)]).await;
    let left = async || {
        let mut left = Vec::new();
        for delivery in &booked {
            let attempts = attempts(&store, *delivery).await;
            left.extend(attempts.iter().filter(|one| !one.payload.is_empty()).map(|one| one.call));
        }
        left.sort_unstable();
        left
    };
    assert_eq!(left().await, [calls[0], calls[1], calls[1], calls[2], calls[3]]);
    let mut from = [0; 16];
    for (number, rows) in [(0, 1), (1, 2), (2, 1)] {
        let done = purge(&store, PurgePlace::Attempts, from, 1).await;
        assert_eq!((done.rows, done.last, done.done_to), (rows, false, *calls[number].as_bytes()));
        assert!(left().await.iter().all(|call| !calls[..=number].contains(call)));
        from = done.done_to;
    }
    let done = purge(&store, PurgePlace::Attempts, from, 1).await;
    assert_eq!((done.rows, done.last), (0, true));
    assert_eq!(left().await, [calls[3]], "the young stays");
}

pub(crate) async fn an_erasure_empties_every_try(stage: &Stage) {
    let store = stage.open().await;
    let request = erasures::begun(&store, 0).await;
    let (sale, other) = (
        build::sale(1, build::key("acme", "t:1"), &[META]),
        build::sale(2, build::key("acme", "t:2"), &[META]),
    );
    build::book(&store, &sale).await;
    build::book(&store, &other).await;
    let booked = [sale.deliveries[0].id, other.deliveries[0].id];
    tried(&store, &booked, &[(100, 2), (300, 1)]).await;
    // The third one is under way.
    let held = lease(&store, &booked, 500).await;
    open(&store, 510, &held[..1]).await;
    let (erased, _) = erasures::known(&store, &sale).await;
    assert!(store.erase_conversion(request, erased).await.unwrap());
    assert!(erasures::counts(&store, request).await.contains(&("attempts".to_owned(), 3)));
    let tries = attempts(&store, booked[0]).await;
    let urls: Vec<_> = tries.iter().map(|one| one.url.is_empty()).collect();
    // The URL of a call that had others is not about this one.
    assert_eq!(urls, [false, true, true]);
    for one in &tries {
        assert_eq!((one.payload.as_str(), one.response.as_str(), one.detail.as_str()), ("", "", ""));
        assert_eq!(one.outcome.as_deref(), Some("retry"));
    }
    let reasons: Vec<_> = tries.iter().map(|one| one.reason).collect();
    assert_eq!(
        reasons,
        [Some(Reason::DestUnreachable), Some(Reason::DestUnreachable), Some(Reason::OutcomeUnknown)]
    );
    let beside = attempts(&store, booked[1]).await.remove(0);
    assert!(!beside.payload.is_empty() && beside.response.is_empty());
}
