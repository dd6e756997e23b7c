//! Look-backs: taken once at a time, settled for what still stands as it was taken.

use crosstally_core::delivery::job::{Action, Job, Word};
use crosstally_core::delivery::retry::ATTEMPTS_MAX;
use crosstally_core::delivery::{DeliveryState, Outcome};
use crosstally_core::ids::{CallId, DeliveryId};
use crosstally_core::ledger::Status;
use crosstally_core::postback::ConversionChange;
use crosstally_core::reason::Reason;
use crosstally_core::retention::{self, Class};
use crosstally_core::time::DAY_MS;
use crosstally_store::{
    After, DeliveryFilter, Found, JobAnswer, JobStep, NewLookback, PurgePlace, PurgeStep, Settlement, Store,
    Unsent,
};

use crate::build::{self, ACME, META, at};
use crate::jobs;
use crate::stage::Stage;

/// Takes all that is due in one call, noted to be asked about from the given time on.
async fn taken(store: &Store, ms: i64, ask_at: i64) -> (CallId, Vec<DeliveryId>) {
    let held = build::held(&store.lease_deliveries(build::wanted(META, ms)).await.unwrap());
    let call = build::new_call(ms, &held);
    let id = call.id;
    assert_eq!(store.open_call(call).await.unwrap(), held);
    let ids = held.iter().map(|held| held.id).collect();
    let (outcome, after, reason) = (Outcome::Unverified, After::Delivered, Reason::AcceptedUnverified);
    let settle = |held| Settlement { held, outcome: outcome.clone(), after, reason, last_at: None };
    let settlements = held.into_iter().map(settle).collect();
    store.settle_call(build::result(id, ms + 10), settlements, None).await.unwrap();
    let lookback =
        NewLookback { call: id, destination: META.into(), receipt: format!("r-{ms}"), due_at: at(ask_at) };
    store.note_lookback(lookback.clone()).await.unwrap();
    store.note_lookback(lookback).await.unwrap();
    (id, ids)
}

fn found(delivery: DeliveryId, state: DeliveryState, reason: Reason) -> Found {
    Found { delivery, state, reason, detail: "1 CLICK_NOT_FOUND".into(), again_at: None }
}

/// The same of one that is sent once more, if it may be.
fn later(one: Found, ms: i64) -> Found {
    Found { again_at: Some(at(ms)), ..one }
}

/// How many deliveries stand where.
async fn counted(store: &Store) -> Vec<(DeliveryState, u64)> {
    let rows = store.count_deliveries().await.unwrap();
    let mut counted: Vec<_> =
        rows.iter().filter(|row| row.count > 0).map(|row| (row.state, row.count)).collect();
    counted.sort_unstable_by_key(|(state, _)| state.as_str());
    counted
}

async fn stands(store: &Store, id: DeliveryId) -> (DeliveryState, Option<Reason>, String) {
    let record = store.delivery(id).await.unwrap().unwrap();
    (record.state, record.reason, record.detail)
}

pub(crate) async fn a_call_is_taken_by_one_and_comes_again(stage: &Stage) {
    let store = stage.open().await;
    build::book_deliveries(&store, META, 2).await;
    let (call, mut ids) = taken(&store, 10, 100).await;
    ids.sort_unstable();
    let take = async |ms| store.take_lookbacks(META.into(), at(ms), at(ms + 50), 10).await.unwrap();
    assert_eq!(take(99).await, []);
    assert_eq!(store.take_lookbacks("other".into(), at(100), at(150), 10).await.unwrap(), []);
    let first = take(100).await;
    assert_eq!((first.len(), first[0].call, first[0].receipt.as_str(), first[0].looks), (1, call, "r-10", 0));
    let sent: Vec<_> = ids.iter().map(|id| (*id, format!("{{\"event\":\"{id}\"}}"))).collect();
    assert_eq!(first[0].sent, sent);
    assert_eq!(take(149).await, [], "somebody has it");
    assert_eq!(take(150).await[0].looks, 0, "nobody came back: it is asked about again");
    store.put_off_lookback(call, at(300)).await.unwrap();
    assert_eq!(take(299).await, []);
    assert_eq!(take(300).await[0].looks, 1);
    assert_eq!(store.settle_lookback(call, Vec::new(), at(301)).await.unwrap(), 0);
    assert_eq!(take(10_000).await, []);
    let unverified = (DeliveryState::Delivered, Some(Reason::AcceptedUnverified), "fine".to_owned());
    assert_eq!(stands(&store, ids[0]).await, unverified);
}

pub(crate) async fn what_was_found_is_written_where_it_still_stands(stage: &Stage) {
    let store = stage.open().await;
    build::book_deliveries(&store, META, 3).await;
    let (call, ids) = taken(&store, 10, 100).await;
    let all = vec![
        found(ids[0], DeliveryState::Delivered, Reason::Delivered),
        found(ids[1], DeliveryState::Dead, Reason::RefusedLater),
        found(ids[2], DeliveryState::Delivered, Reason::RefusedInPart),
    ];
    assert_eq!(store.settle_lookback(call, all.clone(), at(200)).await.unwrap(), 3);
    assert_eq!(store.settle_lookback(call, all, at(210)).await.unwrap(), 0, "nothing is changed twice");
    let words = "1 CLICK_NOT_FOUND".to_owned();
    assert_eq!(
        stands(&store, ids[0]).await,
        (DeliveryState::Delivered, Some(Reason::Delivered), words.clone())
    );
    assert_eq!(
        stands(&store, ids[1]).await,
        (DeliveryState::Dead, Some(Reason::RefusedLater), words.clone())
    );
    assert_eq!(stands(&store, ids[2]).await, (DeliveryState::Delivered, Some(Reason::RefusedInPart), words));
    let record = store.delivery(ids[1]).await.unwrap().unwrap();
    assert_eq!(record.finished_at, Some(at(200)));
    let counts = store.count_deliveries().await.unwrap();
    let count = |state| counts.iter().find(|row| row.state == state).map(|row| row.count);
    assert_eq!((count(DeliveryState::Delivered), count(DeliveryState::Dead)), (Some(2), Some(1)));
}

pub(crate) async fn what_was_sent_again_is_left_alone(stage: &Stage) {
    let store = stage.open().await;
    build::book_deliveries(&store, META, 1).await;
    let (first, ids) = taken(&store, 10, 100).await;
    let dead = |id| vec![found(id, DeliveryState::Dead, Reason::RefusedLater)];
    assert_eq!(store.settle_lookback(first, dead(ids[0]), at(200)).await.unwrap(), 1);
    let filter = DeliveryFilter { destination: None, state: None, id: None };
    assert_eq!(store.requeue_deliveries(filter, at(300), at(100_000)).await.unwrap(), 1);
    let (second, _) = taken(&store, 310, 400).await;
    // The verdict on the first call says nothing of the second.
    assert_eq!(store.settle_lookback(first, dead(ids[0]), at(410)).await.unwrap(), 0);
    assert_eq!(stands(&store, ids[0]).await.0, DeliveryState::Delivered);
    assert_eq!(store.settle_lookback(second, dead(ids[0]), at(420)).await.unwrap(), 1);
}

pub(crate) async fn what_had_arrived_before_stands(stage: &Stage) {
    let store = stage.open().await;
    build::book_deliveries(&store, META, 2).await;
    let (first, mut ids) = taken(&store, 10, 100).await;
    ids.sort_unstable();
    let counted = ids.iter().map(|id| found(*id, DeliveryState::Delivered, Reason::Delivered)).collect();
    assert_eq!(store.settle_lookback(first, counted, at(200)).await.unwrap(), 2);
    let again = jobs::job(jobs::filter(&[Word::Delivered]), None);
    store.begin_job(again.clone(), None).await.unwrap();
    let step = jobs::step(&again, jobs::START, &ids, true);
    let done = store.advance_job(step).await.unwrap();
    assert_eq!(done, JobAnswer::Done { requeued: 2, skipped: 0 });
    let (second, _) = taken(&store, 510, 600).await;
    let told = vec![
        later(found(ids[0], DeliveryState::Dead, Reason::RefusedLater), 5_000),
        found(ids[1], DeliveryState::Delivered, Reason::RefusedInPart),
    ];
    assert_eq!(store.settle_lookback(second, told, at(620)).await.unwrap(), 2);
    let words = "1 CLICK_NOT_FOUND".to_owned();
    let stood = (DeliveryState::Delivered, Some(Reason::FirstDeliveryStands), words.clone());
    assert_eq!(stands(&store, ids[0]).await, stood);
    assert_eq!(stands(&store, ids[1]).await, (DeliveryState::Delivered, Some(Reason::RefusedInPart), words));
    let record = store.delivery(ids[0]).await.unwrap().unwrap();
    assert_eq!((record.arrived_at, record.finished_at), (Some(at(20)), Some(at(20))), "since the first time");
    let counts = store.count_deliveries().await.unwrap();
    let count = |state| counts.iter().filter(|row| row.state == state).map(|row| row.count).sum::<u64>();
    assert_eq!((count(DeliveryState::Delivered), count(DeliveryState::Dead)), (2, 0));
}

pub(crate) async fn what_is_too_old_is_forgotten(stage: &Stage) {
    const DAYS_50_MS: i64 = 50 * DAY_MS;
    let store = stage.open().await;
    build::book_deliveries(&store, META, 1).await;
    taken(&store, 10, 100).await;
    let take = async |to: &str, ms| store.take_lookbacks(to.into(), at(ms), at(100), 10).await.unwrap();
    assert_eq!(take(META, DAYS_50_MS + 10).await.len(), 1);
    // Whoever asks next, for whatever destination.
    assert_eq!(take("other", DAYS_50_MS + 11).await, []);
    assert_eq!(take(META, DAYS_50_MS).await, [], "it is gone");
}

pub(crate) async fn a_call_of_one_event_is_asked_about(stage: &Stage) {
    let store = stage.open().await;
    build::book_deliveries(&store, META, 1).await;
    let (call, ids) = taken(&store, 10, 100).await;
    let sent = async |ms| {
        let mut taken = store.take_lookbacks(META.into(), at(ms), at(ms + 50), 10).await.unwrap();
        assert_eq!((taken.len(), taken[0].call), (1, call));
        taken.remove(0).sent
    };
    assert_eq!(sent(100).await, [(ids[0], format!("{{\"event\":\"{}\"}}", ids[0]))]);
    let step = PurgeStep {
        class: Class::Raw,
        place: PurgePlace::Attempts,
        from: [0; 16],
        before: at(400),
        limit: 10,
        without: retention::without,
        now: at(9_000),
    };
    assert_eq!(store.purge(step).await.unwrap().rows, 1);
    assert_eq!(sent(200).await, [], "what it was is gone");
    let later = vec![found(ids[0], DeliveryState::Dead, Reason::RefusedLater)];
    assert_eq!(store.settle_lookback(call, later, at(210)).await.unwrap(), 1);
    assert_eq!(stands(&store, ids[0]).await.0, DeliveryState::Dead);
}

pub(crate) async fn what_passes_waits_to_be_sent_once_more(stage: &Stage) {
    let store = stage.open().await;
    let ids = build::book_deliveries(&store, META, 2).await;
    let (first, _) = taken(&store, 10, 100).await;
    let refused = found(ids[0], DeliveryState::Dead, Reason::RefusedLater);
    let in_part = found(ids[1], DeliveryState::Delivered, Reason::RefusedInPart);
    let all = vec![later(refused.clone(), 5_000), later(in_part, 5_000)];
    assert_eq!(store.settle_lookback(first, all.clone(), at(200)).await.unwrap(), 2);
    assert_eq!(store.settle_lookback(first, all, at(210)).await.unwrap(), 0, "nothing is changed twice");
    for (id, reason, arrived_at) in
        [(ids[0], Reason::RefusedLater, None), (ids[1], Reason::RefusedInPart, Some(at(20)))]
    {
        let one = store.delivery(id).await.unwrap().unwrap();
        let stands = (one.state, one.reason, one.detail.as_str());
        assert_eq!(stands, (DeliveryState::Pending, Some(reason), "1 CLICK_NOT_FOUND"));
        let times = (one.failures, one.due_at, one.finished_at, one.arrived_at);
        assert_eq!(times, (1, at(5_000), None, arrived_at), "what counted in part has arrived");
    }
    assert_eq!(counted(&store).await, [(DeliveryState::Pending, 2)]);
    assert_eq!(store.next_due(META.into()).await.unwrap(), Some(at(5_000)));
    assert_eq!(store.lease_deliveries(build::wanted(META, 4_999)).await.unwrap(), []);
    // The next call has a look-back of its own, and the verdict on the first says nothing of it.
    let (second, mut sent) = taken(&store, 5_000, 5_100).await;
    sent.sort_unstable();
    assert_eq!(sent, ids);
    assert_eq!(store.settle_lookback(first, vec![refused], at(5_090)).await.unwrap(), 0);
    let asked = store.take_lookbacks(META.into(), at(5_100), at(5_200), 10).await.unwrap();
    assert_eq!((asked.len(), asked[0].call, asked[0].sent.len()), (1, second, 2));
    let counted_now = ids.iter().map(|id| found(*id, DeliveryState::Delivered, Reason::Delivered)).collect();
    assert_eq!(store.settle_lookback(second, counted_now, at(5_150)).await.unwrap(), 2);
    assert_eq!(counted(&store).await, [(DeliveryState::Delivered, 2)]);
}

pub(crate) async fn what_fails_too_often_is_sent_no_more(stage: &Stage) {
    let store = stage.open().await;
    let ids = build::book_deliveries(&store, META, 1).await;
    for round in 1.. {
        let ms = 1_000 * i64::from(round);
        let (call, _) = taken(&store, ms, ms + 100).await;
        let refused = later(found(ids[0], DeliveryState::Dead, Reason::RefusedLater), ms + 1_000);
        assert_eq!(store.settle_lookback(call, vec![refused], at(ms + 200)).await.unwrap(), 1);
        if stands(&store, ids[0]).await.0 == DeliveryState::Dead {
            assert_eq!(round, ATTEMPTS_MAX);
            return;
        }
    }
}

pub(crate) async fn what_comes_too_late_or_was_taken_back_is_not_sent_once_more(stage: &Stage) {
    let store = stage.open().await;
    let mut ids = Vec::new();
    // A sale that is too old by then, as the second one; one that was taken back since; one whose event tells of that.
    for (ms, now, then) in [
        (0, Status::Approved, Status::Approved),
        (1, Status::Approved, Status::Approved),
        (2, Status::Reversed, Status::Approved),
        (3, Status::Reversed, Status::Reversed),
    ] {
        let mut booking = build::sale(ms, build::key(ACME, &build::unique_name()), &[META]);
        if let Some(ConversionChange::Insert(conversion)) = &mut booking.conversion {
            (conversion.status, conversion.movements) = (now, if then == now { 1 } else { 2 });
        }
        if let Some(entry) = &mut booking.entry {
            entry.status = then;
        }
        ids.push(booking.deliveries[0].id);
        build::book(&store, &booking).await;
    }
    let (call, _) = taken(&store, 10, 100).await;
    let told = ids.iter().map(|id| found(*id, DeliveryState::Dead, Reason::RefusedLater));
    // The deadline of the first one.
    let told = told.map(|one| later(one, 1_000_000)).collect();
    assert_eq!(store.settle_lookback(call, told, at(200)).await.unwrap(), 4);
    let states = async |id: DeliveryId| stands(&store, id).await.0;
    assert_eq!(states(ids[0]).await, DeliveryState::Dead, "at its deadline it is too late");
    assert_eq!(states(ids[1]).await, DeliveryState::Pending, "a millisecond before it is not");
    assert_eq!(states(ids[2]).await, DeliveryState::Dead, "nothing is left to tell");
    assert_eq!(states(ids[3]).await, DeliveryState::Pending, "an event that tells of it is sent");
    let dead = store.delivery(ids[0]).await.unwrap().unwrap();
    assert_eq!(
        (dead.reason, dead.failures, dead.finished_at),
        (Some(Reason::RefusedLater), 0, Some(at(200)))
    );
    assert_eq!(counted(&store).await, [(DeliveryState::Dead, 2), (DeliveryState::Pending, 2)]);
    assert_eq!(store.open_reversals(10).await.unwrap(), [], "no sale has moved that is told once more");
}

pub(crate) async fn what_goes_again_is_noted_if_its_sale_has_moved(stage: &Stage) {
    let store = stage.open().await;
    let mut booking = build::sale(0, build::key(ACME, &build::unique_name()), &[META, META]);
    if let Some(ConversionChange::Insert(conversion)) = &mut booking.conversion {
        conversion.movements = 3;
    }
    build::book(&store, &booking).await;
    let (call, ids) = taken(&store, 10, 100).await;
    let told = ids.iter().map(|id| later(found(*id, DeliveryState::Dead, Reason::RefusedLater), 5_000));
    assert_eq!(store.settle_lookback(call, told.collect(), at(200)).await.unwrap(), 2);
    let open = store.open_reversals(10).await.unwrap();
    let noted: Vec<_> = open.iter().map(|one| (one.conversion, one.sequence, one.is_of_movement())).collect();
    assert_eq!(noted, [(booking.goal_events[0].conversion, 3, false)]);
}

pub(crate) async fn a_call_that_was_never_settled_is_asked_about_in_vain(stage: &Stage) {
    let store = stage.open().await;
    build::book_deliveries(&store, META, 1).await;
    let held = build::held(&store.lease_deliveries(build::wanted(META, 10)).await.unwrap());
    let call = build::new_call(10, &held);
    let lookback =
        NewLookback { call: call.id, destination: META.into(), receipt: "r".into(), due_at: at(100) };
    assert_eq!(store.open_call(call).await.unwrap(), held);
    // Noted first: whoever dies before it is settled leaves a note that says nothing.
    store.note_lookback(lookback.clone()).await.unwrap();
    let sent = async |ms| {
        let taken = store.take_lookbacks(META.into(), at(ms), at(ms + 50), 10).await.unwrap();
        assert_eq!((taken.len(), taken[0].call), (1, lookback.call));
        taken[0].sent.len()
    };
    assert_eq!(sent(100).await, 0);
    let (outcome, after, reason) = (Outcome::Unverified, After::Delivered, Reason::AcceptedUnverified);
    let settlements = vec![Settlement { held: held[0], outcome, after, reason, last_at: None }];
    store.settle_call(build::result(lookback.call, 160), settlements, None).await.unwrap();
    assert_eq!(sent(200).await, 1);
}

/// It is listed among what did not arrive whole, however the second try ends.
pub(crate) async fn what_counted_in_part_is_told_so_whatever_comes_of_it(stage: &Stage) {
    let store = stage.open().await;
    let in_part = (DeliveryState::Delivered, Some(Reason::RefusedInPart));
    let now = async |id| {
        let stands = stands(&store, id).await;
        (stands.0, stands.1)
    };
    let mut last = None;
    for (way, ms) in ["refused", "unsent", "overdue", "called off", "refused later"].into_iter().zip(1..) {
        let (ms, id) = (ms * 1_000, build::book_deliveries(&store, META, 1).await[0]);
        let (call, _) = taken(&store, ms, ms + 20).await;
        let some = later(found(id, DeliveryState::Delivered, Reason::RefusedInPart), ms + 50);
        assert_eq!(store.settle_lookback(call, vec![some], at(ms + 30)).await.unwrap(), 1);
        match way {
            "refused" => {
                let refused = Outcome::Refused { reason: Reason::DestRejected };
                build::work(&store, ms + 50, refused, After::Dead).await;
            }
            "unsent" => {
                let held = store.lease_deliveries(build::wanted(META, ms + 50)).await.unwrap();
                let (state, reason) = (DeliveryState::Cancelled, Reason::ConsentDenied);
                let unsent = build::held(&held).into_iter().map(|held| Unsent {
                    held,
                    state,
                    reason,
                    detail: String::new(),
                });
                store.settle_unsent(unsent.collect(), at(ms + 51)).await.unwrap();
            }
            "overdue" => assert_eq!(store.expire_overdue(at(100_000_000_000), 10).await.unwrap(), 1),
            "called off" => {
                let off = jobs::job(jobs::filter(&[Word::Pending]), None);
                let off = Job { action: Action::Cancel, ..off };
                store.begin_job(off.clone(), None).await.unwrap();
                let done = store.advance_job(jobs::step(&off, jobs::START, &[id], true)).await.unwrap();
                assert_eq!(done, JobAnswer::Done { requeued: 1, skipped: 0 });
            }
            _ => {
                let (again, _) = taken(&store, ms + 50, ms + 70).await;
                let refused = found(id, DeliveryState::Dead, Reason::RefusedLater);
                assert_eq!(store.settle_lookback(again, vec![refused], at(ms + 80)).await.unwrap(), 1);
            }
        }
        assert_eq!(now(id).await, in_part, "{way}");
        last = Some(id);
    }
    // By hand once more: what stands is the latest that arrived.
    let id = last.unwrap();
    let replay = async |ms: i64| {
        let again = jobs::job(jobs::filter(&[Word::Delivered]), None);
        store.begin_job(again.clone(), None).await.unwrap();
        let step = JobStep { now: at(ms), ..jobs::step(&again, jobs::START, &[id], true) };
        assert_eq!(store.advance_job(step).await.unwrap(), JobAnswer::Done { requeued: 1, skipped: 0 });
    };
    let refused = Outcome::Refused { reason: Reason::DestRejected };
    replay(10_000).await;
    build::work(&store, 10_000, refused.clone(), After::Dead).await;
    assert_eq!(now(id).await, in_part);
    replay(11_000).await;
    build::work(&store, 11_000, Outcome::Delivered, After::Delivered).await;
    assert_eq!(now(id).await, (DeliveryState::Delivered, Some(Reason::Delivered)));
    replay(12_000).await;
    build::work(&store, 12_000, refused, After::Dead).await;
    assert_eq!(now(id).await, (DeliveryState::Delivered, Some(Reason::FirstDeliveryStands)));
}
