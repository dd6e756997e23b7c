//! Settling: what becomes of deliveries after a call.

use std::sync::Arc;

use crosstally_core::delivery::{DeliveryState, Outcome};
use crosstally_core::ids::DeliveryId;
use crosstally_core::reason::Reason;
use crosstally_store::{
    After, CallEnd, DeliveryFilter, DeliveryRecord, DestinationState, Held, LeaseWanted, NewCall, Places,
    Settled, Settlement, Store, StoreError, Unsent,
};

use crate::build::{self, META};
use crate::stage::Stage;

const ONE: Settled = Settled { applied: 1, stale: 0 };

async fn one(store: &Store) -> DeliveryRecord {
    let mut all = store.list_deliveries(Default::default(), Places::All, None, 10).await.unwrap();
    assert_eq!(all.len(), 1);
    all.remove(0)
}

const fn retry() -> Outcome {
    Outcome::Retry { reason: Reason::DestUnreachable, after_ms: Some(5) }
}

fn settlement(held: Held, outcome: Outcome, after: After) -> Settlement {
    Settlement { held, reason: outcome.reason(), outcome, after, last_at: None }
}

pub(crate) async fn delivered_is_final(stage: &Stage) {
    let store = stage.open().await;
    build::book_deliveries(&store, META, 1).await;
    assert_eq!(build::work(&store, 10, Outcome::Delivered, After::Delivered).await, ONE);
    let record = one(&store).await;
    assert_eq!(record.state, DeliveryState::Delivered);
    assert_eq!((record.reason, record.detail.as_str()), (Some(Reason::Delivered), "fine"));
    assert_eq!((record.attempts, record.failures), (1, 0));
    assert_eq!((record.finished_at, record.lease), (Some(build::at(20)), None));
    let attempts = store.attempts(record.id).await.unwrap();
    assert_eq!(attempts[0].outcome.as_deref(), Some("delivered"));
    assert_eq!(attempts[0].reason, Some(Reason::Delivered));
    assert_eq!(store.lease_deliveries(build::wanted(META, 100_000)).await.unwrap(), []);
}

pub(crate) async fn a_retry_waits_for_its_time_and_counts(stage: &Stage) {
    let store = stage.open().await;
    build::book_deliveries(&store, META, 1).await;
    for (attempt, from) in [(1, 10), (2, 100), (3, 200)] {
        let due = build::at(from + 50);
        assert_eq!(build::work(&store, from, retry(), After::RetryAt(due)).await, ONE);
        let record = one(&store).await;
        assert_eq!((record.state, record.reason), (DeliveryState::Pending, Some(Reason::DestUnreachable)));
        assert_eq!((record.attempts, record.failures), (attempt, attempt));
        assert_eq!((record.due_at, record.lease, record.finished_at), (due, None, None));
        assert_eq!(store.lease_deliveries(build::wanted(META, from + 49)).await.unwrap(), []);
    }
    let leased = store.lease_deliveries(build::wanted(META, 250)).await.unwrap();
    assert_eq!((leased[0].fence, leased[0].attempts, leased[0].failures), (4, 3, 3));
}

pub(crate) async fn a_wait_does_not_count(stage: &Stage) {
    let store = stage.open().await;
    build::book_deliveries(&store, META, 1).await;
    let pause = Outcome::Pause { reason: Reason::DestRejected };
    assert_eq!(build::work(&store, 10, pause, After::Wait).await, ONE);
    let record = one(&store).await;
    assert_eq!((record.state, record.reason), (DeliveryState::Pending, Some(Reason::DestRejected)));
    assert_eq!((record.attempts, record.failures), (1, 0));
    assert_eq!((record.due_at, record.lease), (build::at(0), None));
    assert_eq!(store.attempts(record.id).await.unwrap()[0].outcome.as_deref(), Some("paused"));
}

pub(crate) async fn what_waits_goes_behind_what_is_due(stage: &Stage) {
    let store = stage.open().await;
    let mut waiting = build::book_deliveries(&store, META, 3).await;
    let lease = async |ms| {
        let wanted = LeaseWanted { limit: 1, ..build::wanted(META, ms) };
        store.lease_deliveries(wanted).await.unwrap().remove(0)
    };
    let mut tried = Vec::new();
    for ms in [100, 200, 300] {
        let one = lease(ms).await;
        assert_eq!(one.last, None, "none has been tried before");
        tried.push(one.id);
        let call = build::new_call(ms, &build::held(std::slice::from_ref(&one)));
        let id = call.id;
        store.open_call(call).await.unwrap();
        let shut = Outcome::Pause { reason: Reason::DestPermission };
        let mut end = settlement(build::held(&[one])[0], shut, After::Wait);
        end.reason = Reason::DestPermission;
        store.settle_call(build::result(id, ms + 1), vec![end], None).await.unwrap();
    }
    tried.sort_unstable();
    waiting.sort_unstable();
    assert_eq!(tried, waiting, "each in its turn");
    let again = lease(400).await;
    assert_eq!(again.last, Some(Reason::DestPermission));
    assert_eq!((again.attempts, again.failures), (1, 0));
}

pub(crate) async fn dead_and_expired_are_final(stage: &Stage) {
    let store = stage.open().await;
    let booked = build::book_deliveries(&store, META, 2).await;
    let held = build::held(&store.lease_deliveries(build::wanted(META, 10)).await.unwrap());
    let call = build::new_call(20, &held);
    let id = call.id;
    store.open_call(call).await.unwrap();
    let mut dead = settlement(held[0], retry(), After::Dead);
    // The delivery's reason and its attempt's need not be the same.
    dead.reason = Reason::RetriesExhausted;
    let refused = Outcome::Refused { reason: Reason::EventTooOld };
    let settlements = vec![dead, settlement(held[1], refused, After::Expired)];
    let settled = store.settle_call(build::result(id, 30), settlements, None).await.unwrap();
    assert_eq!(settled, Settled { applied: 2, stale: 0 });
    for (number, state, reason, outcome, why) in [
        (0, DeliveryState::Dead, Reason::RetriesExhausted, "retry", Reason::DestUnreachable),
        (1, DeliveryState::Expired, Reason::EventTooOld, "refused", Reason::EventTooOld),
    ] {
        let record = store.delivery(booked[number]).await.unwrap().unwrap();
        assert_eq!((record.state, record.reason), (state, Some(reason)));
        assert_eq!((record.finished_at, record.lease), (Some(build::at(30)), None));
        let attempts = store.attempts(booked[number]).await.unwrap();
        assert_eq!(attempts[0].outcome.as_deref(), Some(outcome));
        assert_eq!(attempts[0].reason, Some(why));
    }
    assert_eq!(store.lease_deliveries(build::wanted(META, 100_000)).await.unwrap(), []);
}

pub(crate) async fn what_may_have_arrived_has_less_time(stage: &Stage) {
    let store = stage.open().await;
    build::book_deliveries(&store, META, 1).await;
    let booked = one(&store).await.deadline_at;
    let lease = |ms| LeaseWanted { unknown_for_ms: Some(500_000), ..build::wanted(META, ms) };
    let work = async |ms: i64, last_at| {
        let leased = store.lease_deliveries(lease(ms)).await.unwrap();
        let held = build::held(&leased);
        let call = build::new_call(ms, &held);
        let id = call.id;
        store.open_call(call).await.unwrap();
        let again = After::RetryAt(build::at(ms + 100));
        let settlement = Settlement { last_at, ..settlement(held[0], retry(), again) };
        store.settle_call(build::result(id, ms + 10), vec![settlement], None).await.unwrap();
        (leased[0].deadline_at, one(&store).await.deadline_at)
    };
    assert_eq!(work(10, None).await, (booked, booked));
    // Only ever earlier.
    let (early, late) = (build::at(900_000), build::at(950_000));
    assert!(late < booked);
    assert_eq!(work(200, Some(early)).await, (booked, early));
    assert_eq!(work(400, Some(late)).await, (early, early));
    // A call that nobody settled counts from its start: the next one who takes the delivery knows.
    let held = build::held(&store.lease_deliveries(lease(600)).await.unwrap());
    store.open_call(build::new_call(650, &held)).await.unwrap();
    let leased = store.lease_deliveries(lease(2_000)).await.unwrap();
    assert_eq!(leased[0].deadline_at, build::at(500_650));
    assert_eq!(one(&store).await.deadline_at, build::at(500_650));
    // Made due anew it has the time that it is given then; the calls of before take none of it.
    assert_eq!(store.expire_overdue(build::at(600_000), 10).await.unwrap(), 1);
    let all = DeliveryFilter { destination: None, state: None, id: None };
    let (now, deadline) = (build::at(2_000_000), build::at(9_000_000));
    assert_eq!(store.requeue_deliveries(all, now, deadline).await.unwrap(), 1);
    let held = build::held(&store.lease_deliveries(lease(2_000_100)).await.unwrap());
    store.open_call(build::new_call(2_000_200, &held)).await.unwrap();
    let leased = store.lease_deliveries(lease(2_002_000)).await.unwrap();
    assert_eq!(leased[0].deadline_at, build::at(2_500_200));
}

pub(crate) async fn a_kept_lease_goes_on_with_another_call(stage: &Stage) {
    let store = stage.open().await;
    build::book_deliveries(&store, META, 1).await;
    let split = Outcome::Split { reason: Reason::DestRejected };
    assert_eq!(build::work(&store, 10, split, After::KeepLease).await, ONE);
    let record = one(&store).await;
    assert_eq!((record.state, record.reason), (DeliveryState::Pending, Some(Reason::DestRejected)));
    assert_eq!(record.lease, Some(("node-1".into(), build::at(1_010))));
    assert_eq!(store.lease_deliveries(build::wanted(META, 500)).await.unwrap(), []);

    let held = Held { id: record.id, fence: 1 };
    let call = build::new_call(600, &[held]);
    let id = call.id;
    assert_eq!(store.open_call(call).await.unwrap(), [held]);
    let settlement = settlement(held, Outcome::Delivered, After::Delivered);
    assert_eq!(store.settle_call(build::result(id, 610), vec![settlement], None).await.unwrap(), ONE);
    let attempts = store.attempts(record.id).await.unwrap();
    let outcomes: Vec<_> = attempts.iter().map(|one| (one.number, one.outcome.as_deref())).collect();
    assert_eq!(outcomes, [(1, Some("split")), (2, Some("delivered"))]);
    assert_eq!(one(&store).await.attempts, 2);
}

pub(crate) async fn a_second_settlement_is_stale(stage: &Stage) {
    let store = stage.open().await;
    build::book_deliveries(&store, META, 1).await;
    let held = build::held(&store.lease_deliveries(build::wanted(META, 10)).await.unwrap());
    let call = build::new_call(20, &held);
    let result = build::result(call.id, 30);
    store.open_call(call).await.unwrap();
    let due = build::at(90);
    let first = settlement(held[0], retry(), After::RetryAt(due));
    assert_eq!(store.settle_call(result.clone(), vec![first.clone()], None).await.unwrap(), ONE);
    let before = (one(&store).await, store.attempts(held[0].id).await.unwrap());
    // The answer to the first was lost; asking again is safe.
    let delivered = settlement(held[0], Outcome::Delivered, After::Delivered);
    for again in [first, delivered] {
        let settled = store.settle_call(result.clone(), vec![again], None).await.unwrap();
        assert_eq!(settled, Settled { applied: 0, stale: 1 });
    }
    assert_eq!((one(&store).await, store.attempts(held[0].id).await.unwrap()), before);
}

pub(crate) async fn neighbours_of_a_stale_one_are_settled(stage: &Stage) {
    let store = stage.open().await;
    let booked = build::book_deliveries(&store, META, 3).await;
    let mut held = build::held(&store.lease_deliveries(build::wanted(META, 10)).await.unwrap());
    let call = build::new_call(20, &held);
    let id = call.id;
    store.open_call(call).await.unwrap();
    held[1].fence = 0;
    let settlements =
        held.iter().map(|held| settlement(*held, Outcome::Delivered, After::Delivered)).collect();
    let settled = store.settle_call(build::result(id, 30), settlements, None).await.unwrap();
    assert_eq!(settled, Settled { applied: 2, stale: 1 });
    for (number, state) in
        [DeliveryState::Delivered, DeliveryState::Pending, DeliveryState::Delivered].into_iter().enumerate()
    {
        assert_eq!(store.delivery(booked[number]).await.unwrap().unwrap().state, state);
    }
    assert_eq!(store.attempts(booked[1]).await.unwrap()[0].outcome, None);
}

pub(crate) async fn the_destinations_state_changes_in_the_same_transaction(stage: &Stage) {
    let store = stage.open().await;
    build::book_deliveries(&store, META, 1).await;
    let state = DestinationState {
        destination: META.into(),
        paused: Some(Reason::SecretMissing),
        detail: "code 190".into(),
        since: build::at(30),
        settings_digest: "digest".into(),
        not_before: build::at(1_000),
    };
    let held = build::held(&store.lease_deliveries(build::wanted(META, 10)).await.unwrap());
    let call = build::new_call(20, &held);
    let pause = || vec![settlement(held[0], Outcome::Pause { reason: Reason::SecretMissing }, After::Wait)];
    // A call that was never opened: nothing of it happens.
    let answer = store.settle_call(build::result(call.id, 30), pause(), Some(state.clone())).await;
    assert!(matches!(answer, Err(StoreError::Corrupt(_))), "{answer:?}");
    assert_eq!(store.destination_states().await.unwrap(), []);
    assert!(one(&store).await.lease.is_some());

    let id = call.id;
    store.open_call(call).await.unwrap();
    assert_eq!(store.settle_call(build::result(id, 30), pause(), Some(state.clone())).await.unwrap(), ONE);
    assert_eq!(store.destination_states().await.unwrap(), [state]);
}

pub(crate) async fn what_was_never_sent_ends_without_an_attempt(stage: &Stage) {
    let store = stage.open().await;
    let booked = build::book_deliveries(&store, META, 3).await;
    let held = build::held(&store.lease_deliveries(build::wanted(META, 10)).await.unwrap());
    let unsent = |number: usize, state, reason| Unsent {
        held: held[number],
        state,
        reason,
        detail: format!("field {number}"),
    };
    let both = vec![
        unsent(0, DeliveryState::Dead, Reason::EventIncomplete),
        unsent(1, DeliveryState::Expired, Reason::EventTooOld),
    ];
    assert_eq!(
        store.settle_unsent(both.clone(), build::at(40)).await.unwrap(),
        Settled { applied: 2, stale: 0 }
    );
    for one in both.iter() {
        let record = store.delivery(one.held.id).await.unwrap().unwrap();
        assert_eq!((record.state, record.reason), (one.state, Some(one.reason)));
        assert_eq!((&record.detail, record.attempts), (&one.detail, 0));
        assert_eq!((record.finished_at, record.lease), (Some(build::at(40)), None));
        assert_eq!(store.attempts(one.held.id).await.unwrap(), []);
    }
    assert_eq!(store.settle_unsent(both, build::at(50)).await.unwrap(), Settled { applied: 0, stale: 2 });
    assert!(store.delivery(booked[2]).await.unwrap().unwrap().lease.is_some());
}

pub(crate) async fn many_calls_are_written_down_together(stage: &Stage) {
    let store = stage.open().await;
    let booked = build::book_deliveries(&store, META, 4).await;
    let held = build::held(&store.lease_deliveries(build::wanted(META, 10)).await.unwrap());
    let lost = Held { fence: held[1].fence + 1, ..held[1] };
    let calls: Vec<_> =
        [held[0], lost, held[2], held[3]].iter().map(|one| build::new_call(20, &[*one])).collect();
    let opened = store.open_calls(Arc::new(calls.clone())).await;
    let opened: Vec<_> = opened.into_iter().map(Result::unwrap).collect();
    // What is not held is not called, and holds nobody else up.
    assert_eq!(opened, [vec![held[0]], vec![], vec![held[2]], vec![held[3]]]);
    let end = |number: usize, outcome: Outcome, after| CallEnd {
        result: build::result(calls[number].id, 30),
        settlements: vec![settlement(held[number], outcome, after)],
        state: None,
    };
    let refused = Outcome::Refused { reason: Reason::DestRejected };
    let again = After::RetryAt(build::at(500));
    // One of them was never opened: that is its own failure, none of the others'.
    let ends = vec![
        end(0, Outcome::Delivered, After::Delivered),
        end(1, Outcome::Delivered, After::Delivered),
        end(2, refused, After::Dead),
        end(3, retry(), again),
    ];
    let settled = store.settle_calls(Arc::new(ends)).await;
    assert!(matches!(settled[1], Err(StoreError::Corrupt(_))), "{settled:?}");
    for number in [0, 2, 3] {
        assert_eq!(settled[number].clone().unwrap(), ONE);
    }
    let mut states = Vec::new();
    for id in booked {
        let record = store.delivery(id).await.unwrap().unwrap();
        states.push((record.state, record.attempts, record.failures, record.lease.is_some()));
    }
    assert_eq!(
        states,
        [
            (DeliveryState::Delivered, 1, 0, false),
            (DeliveryState::Pending, 0, 0, true),
            (DeliveryState::Dead, 1, 0, false),
            (DeliveryState::Pending, 1, 1, false),
        ]
    );
    let mut counts = store.count_deliveries().await.unwrap();
    counts.sort_by_key(|count| count.state.as_str());
    let counts: Vec<_> = counts.iter().map(|count| (count.state.as_str(), count.count)).collect();
    assert_eq!(counts, [("dead", 1), ("delivered", 1), ("pending", 2)]);
    // A second time changes nothing.
    let twice = store.settle_calls(Arc::new(vec![end(0, Outcome::Delivered, After::Delivered)])).await;
    assert_eq!(twice[0].clone().unwrap(), Settled { applied: 0, stale: 1 });
}

/// Every way a call of one delivery can end.
fn ways() -> [(Outcome, After); 7] {
    [
        (Outcome::Delivered, After::Delivered),
        (Outcome::Unverified, After::Delivered),
        (Outcome::Refused { reason: Reason::DestRejected }, After::Dead),
        (retry(), After::Expired),
        (retry(), After::RetryAt(build::at(5_000))),
        (Outcome::Pause { reason: Reason::DestAuth }, After::Wait),
        (Outcome::Split { reason: Reason::DestRejected }, After::KeepLease),
    ]
}

/// Each call ends in another way.
fn ends(calls: &[NewCall]) -> Vec<CallEnd> {
    let end = |(call, (outcome, after)): (&NewCall, (Outcome, After))| {
        let last_at = matches!(after, After::RetryAt(_) | After::Wait).then_some(build::at(9_000));
        CallEnd {
            result: build::result(call.id, 30),
            settlements: vec![Settlement { last_at, ..settlement(call.deliveries[0].0, outcome, after) }],
            state: None,
        }
    };
    calls.iter().zip(ways()).map(end).collect()
}

/// Its state, and all else that the end of its call has left, but for times that follow from when it was booked.
async fn left_by_its_end(store: &Store, id: DeliveryId) -> (&'static str, String) {
    let row = store.delivery(id).await.unwrap().unwrap();
    let attempts: Vec<_> = store.attempts(id).await.unwrap();
    let attempts: Vec<_> = attempts
        .into_iter()
        .map(|one| (one.number, one.outcome, one.reason, one.status, one.response, one.finished_at))
        .collect();
    let due_at = Some(row.due_at).filter(|at| *at >= build::at(30));
    let deadline_at = Some(row.deadline_at).filter(|at| *at == build::at(9_000));
    let times = (due_at, deadline_at, row.finished_at, row.lease);
    let left = (row.reason, row.detail, row.attempts, row.failures, times, attempts);
    (row.state.as_str(), format!("{left:?}"))
}

/// Every way a call can end, among many that end together and alone: rows, attempts and counts are the same.
pub(crate) async fn many_ends_do_what_each_of_them_does(stage: &Stage) {
    let (refused, ways) = (Outcome::Refused { reason: Reason::DestRejected }, ways());
    let store = stage.open().await;
    let booked = build::book_deliveries(&store, META, 16).await;
    let held = build::held(&store.lease_deliveries(build::wanted(META, 15)).await.unwrap());
    let calls: Vec<_> = held.iter().map(|one| build::new_call(20, &[*one])).collect();
    let (alone, rest) = calls.split_at(ways.len());
    for call in alone {
        assert_eq!(store.open_call(call.clone()).await.unwrap(), [call.deliveries[0].0]);
    }
    let opened = store.open_calls(Arc::new(rest.to_vec())).await;
    assert_eq!(opened.len(), ways.len() + 2);
    for (opened, call) in opened.into_iter().zip(rest) {
        assert_eq!(opened.unwrap(), [call.deliveries[0].0]);
    }
    for CallEnd { result, settlements, state } in ends(alone) {
        assert_eq!(store.settle_call(result, settlements, state).await.unwrap(), ONE);
    }
    let mut together = ends(rest);
    // One whose lease is another's by now, and one that pauses its destination.
    let (stale, pausing) = (&rest[ways.len()], &rest[ways.len() + 1]);
    let lost = Held { fence: stale.deliveries[0].0.fence + 1, ..stale.deliveries[0].0 };
    let state = DestinationState {
        destination: META.into(),
        paused: Some(Reason::DestAuth),
        detail: "expired".into(),
        since: build::at(30),
        settings_digest: "digest".into(),
        not_before: build::at(90),
    };
    for (call, held, state) in [(stale, lost, None), (pausing, pausing.deliveries[0].0, Some(state))] {
        together.push(CallEnd {
            result: build::result(call.id, 30),
            settlements: vec![settlement(held, refused.clone(), After::Dead)],
            state,
        });
    }
    let settled = store.settle_calls(Arc::new(together)).await;
    let applied: Vec<_> = settled.into_iter().map(|one| one.unwrap().applied).collect();
    assert_eq!(applied, [1, 1, 1, 1, 1, 1, 1, 0, 1]);
    assert_eq!(store.destination_states().await.unwrap()[0].paused, Some(Reason::DestAuth));
    let mut rows = Vec::new();
    for id in booked {
        rows.push(left_by_its_end(&store, id).await);
    }
    for (number, way) in ways.iter().enumerate() {
        assert_eq!(rows[number], rows[number + ways.len()], "{way:?}");
    }
    let count = |state: &str| rows.iter().filter(|row| row.0 == state).count();
    for counted in store.count_deliveries().await.unwrap() {
        let rows = u64::try_from(count(counted.state.as_str())).unwrap();
        assert_eq!(counted.count, rows, "{}", counted.state.as_str());
    }
}

pub(crate) async fn a_call_that_cannot_be_opened_holds_up_no_other(stage: &Stage) {
    let store = stage.open().await;
    let booked = build::book_deliveries(&store, META, 4).await;
    let held = build::held(&store.lease_deliveries(build::wanted(META, 10)).await.unwrap());
    let calls: Vec<_> = held.iter().map(|one| build::new_call(20, &[*one])).collect();
    store.open_call(calls[0].clone()).await.unwrap();
    // One of them comes under the id of a call that is open already.
    let twice = NewCall { id: calls[0].id, ..calls[2].clone() };
    let together = vec![calls[1].clone(), twice, calls[3].clone()];
    let opened = store.open_calls(Arc::new(together)).await;
    assert!(opened[1].is_err(), "{opened:?}");
    for (number, call) in [(0, 1), (2, 3)] {
        assert_eq!(opened[number].clone().unwrap(), [held[call]]);
    }
    let mut attempts = Vec::new();
    for id in booked {
        let record = store.delivery(id).await.unwrap().unwrap();
        // None of it is written down for the one that failed; it is still leased to whoever asked.
        assert_eq!(store.attempts(id).await.unwrap().len(), usize::try_from(record.attempts).unwrap());
        attempts.push((record.attempts, record.lease.is_some()));
    }
    assert_eq!(attempts, [(1, true), (1, true), (0, true), (1, true)]);
    let end = CallEnd {
        result: build::result(calls[3].id, 30),
        settlements: vec![settlement(held[3], Outcome::Delivered, After::Delivered)],
        state: None,
    };
    assert_eq!(store.settle_calls(Arc::new(vec![end])).await[0].clone().unwrap(), ONE);
}
