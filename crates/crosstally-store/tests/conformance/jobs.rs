//! Jobs over many deliveries, and the lanes that keep them from holding others up.

use std::collections::BTreeMap;

use crosstally_core::delivery::job::{Action, Job, JobFilter, JobState, Word};
use crosstally_core::delivery::{DeliveryState, Outcome};
use crosstally_core::ids::{DeliveryId, JobId};
use crosstally_core::reason::Reason;
use crosstally_core::route::NewDelivery;
use crosstally_core::time::Timestamp;
use crosstally_store::{After, DeliveryFilter, JobAnswer, JobStep, LeaseWanted, Store, Unsent};

use crate::build::{self, ACME, META};
use crate::stage::Stage;

const OTHER: &str = "elsewhere";
pub(crate) const START: DeliveryId = DeliveryId::from_bytes([0; 16]);

/// Books one conversion each, with one delivery to Meta in the given state.
async fn book_in(store: &Store, states: &[DeliveryState]) -> Vec<DeliveryId> {
    let mut ids = Vec::new();
    for (ms, state) in (0..).zip(states) {
        let mut booking = build::sale(ms, build::key(ACME, &build::unique_name()), &[]);
        let event = booking.goal_events[0].clone();
        booking.deliveries = vec![NewDelivery { state: *state, ..build::delivery(ms, &event, META) }];
        ids.push(booking.deliveries[0].id);
        build::book(store, &booking).await;
    }
    ids
}

pub(crate) fn filter(states: &[Word]) -> JobFilter {
    JobFilter {
        destination: META.into(),
        states: states.to_vec(),
        code: None,
        goal: None,
        event_name: None,
        from: None,
        to: build::at(1_000_000),
        ids: Vec::new(),
        taken_back: false,
    }
}

pub(crate) fn job(filter: JobFilter, to_destination: Option<&str>) -> Job {
    let number = build::next_number().to_be_bytes();
    let mut random = [0; 10];
    random[..4].copy_from_slice(&number);
    Job {
        id: JobId::new(build::at(5), random),
        action: Action::Send,
        filter,
        to_destination: to_destination.map(str::to_owned),
        per_minute: Some(600),
        state: JobState::Running,
        done_to: START,
        wanted: 7,
        requeued: 0,
        skipped: 0,
        author: "tester".into(),
        created_at: build::at(5),
        updated_at: build::at(5),
    }
}

pub(crate) fn step(job: &Job, from: DeliveryId, deliveries: &[DeliveryId], last: bool) -> JobStep {
    JobStep {
        job: job.id,
        from,
        deliveries: deliveries.to_vec(),
        last,
        now: build::at(500),
        deadline_at: build::at(9_000_000),
        deadlines: BTreeMap::new(),
    }
}

async fn state(store: &Store, id: DeliveryId) -> DeliveryState {
    store.delivery(id).await.unwrap().unwrap().state
}

async fn count(store: &Store, destination: &str, state: DeliveryState) -> u64 {
    let counts = store.count_deliveries().await.unwrap();
    counts.iter().filter(|c| c.destination == destination && c.state == state).map(|c| c.count).sum()
}

pub(crate) async fn lanes_share_a_lease(stage: &Stage) {
    let store = stage.open().await;
    // Ten that failed once and are due, ten that a job sends again, ten that are new: older ones first by time alone.
    build::book_deliveries(&store, META, 10).await;
    let retry = Outcome::Retry { reason: Reason::DestUnreachable, after_ms: None };
    build::work(&store, 10, retry, After::RetryAt(build::at(50))).await;
    let dead = book_in(&store, &[DeliveryState::Dead; 10]).await;
    let again = job(filter(&Word::FAILED), None);
    store.begin_job(again.clone(), None).await.unwrap();
    let done = store.advance_job(step(&again, START, &dead, true)).await.unwrap();
    assert_eq!(done, JobAnswer::Done { requeued: 10, skipped: 0 });
    let fresh = build::book_deliveries(&store, META, 10).await;
    assert_eq!(store.waiting_replays(META.into(), build::at(500), 100).await.unwrap(), 10);
    assert_eq!(store.waiting_replays(META.into(), build::at(500), 4).await.unwrap(), 4);
    assert_eq!(store.waiting_replays(META.into(), build::at(499), 4).await.unwrap(), 0, "not due yet");
    assert_eq!(store.next_due(META.into()).await.unwrap(), Some(build::at(0)));

    let lease = async |limit| {
        let wanted = LeaseWanted { limit, ..build::wanted(META, 600) };
        let leased = store.lease_deliveries(wanted).await.unwrap();
        let of = |ids: &[DeliveryId]| leased.iter().filter(|one| ids.contains(&one.id)).count();
        (of(&fresh), leased.len() - of(&fresh) - of(&dead), of(&dead))
    };
    assert_eq!(lease(10).await, (5, 3, 2));
    assert_eq!(lease(10).await, (5, 3, 2));
    // Nothing is new any more: the others have the places.
    assert_eq!(lease(10).await, (0, 4, 6));
    assert_eq!(lease(10).await, (0, 0, 0));
}

pub(crate) async fn a_job_goes_through_its_deliveries_once(stage: &Stage) {
    use DeliveryState::{Cancelled, Dead, Delivered, Expired, Pending};
    let store = stage.open().await;
    let booked = book_in(&store, &[Dead, Delivered, Expired, Pending, Cancelled, Dead]).await;
    let failed = filter(&Word::FAILED);
    let again = job(failed.clone(), None);
    store.begin_job(again.clone(), None).await.unwrap();
    assert_eq!(store.job(again.id).await.unwrap().unwrap(), again);

    let first = store.job_deliveries(failed.clone(), START, 3).await.unwrap();
    assert_eq!(first, [booked[0], booked[2], booked[4]]);
    let done = store.advance_job(step(&again, START, &first, false)).await.unwrap();
    assert_eq!(done, JobAnswer::Done { requeued: 3, skipped: 0 });
    // The same step again, by a node that did not hear of it: nothing happens.
    assert_eq!(store.advance_job(step(&again, START, &first, false)).await.unwrap(), JobAnswer::Moved);
    let rest = store.job_deliveries(failed.clone(), booked[4], 3).await.unwrap();
    assert_eq!(rest, [booked[5]]);
    // What changed meanwhile is left alone.
    let by_hand = DeliveryFilter { id: Some(booked[5]), ..DeliveryFilter::default() };
    assert_eq!(store.requeue_deliveries(by_hand, build::at(400), build::at(9_000)).await.unwrap(), 1);
    let done = store.advance_job(step(&again, booked[4], &rest, true)).await.unwrap();
    assert_eq!(done, JobAnswer::Done { requeued: 0, skipped: 1 });

    let ended = store.job(again.id).await.unwrap().unwrap();
    assert_eq!((ended.state, ended.done_to), (JobState::Done, booked[5]));
    assert_eq!((ended.requeued, ended.skipped, ended.updated_at), (3, 1, build::at(500)));
    assert_eq!(state(&store, booked[1]).await, Delivered);
    let record = store.delivery(booked[0]).await.unwrap().unwrap();
    assert_eq!((record.state, record.due_at, record.failures), (Pending, build::at(500), 0));
    assert_eq!(record.deadline_at, build::at(1_000_000), "in time, it keeps its own deadline");
    assert_eq!(count(&store, META, Pending).await, 5);
    assert_eq!(count(&store, META, Dead).await + count(&store, META, Expired).await, 0);
    assert!(store.running_jobs(10).await.unwrap().is_empty());
    assert!(!store.move_job(again.id, JobState::Running, JobState::Paused, build::at(1)).await.unwrap());
}

pub(crate) async fn what_arrived_is_sent_again_only_if_asked_for(stage: &Stage) {
    let store = stage.open().await;
    let booked = book_in(&store, &[DeliveryState::Delivered, DeliveryState::Dead]).await;
    let delivered = filter(&[Word::Delivered]);
    assert_eq!(store.job_deliveries(delivered.clone(), START, 9).await.unwrap(), [booked[0]]);
    let again = job(delivered, None);
    store.begin_job(again.clone(), None).await.unwrap();
    // A delivery that the job is not about, handed in all the same.
    let done = store.advance_job(step(&again, START, &booked, true)).await.unwrap();
    assert_eq!(done, JobAnswer::Done { requeued: 1, skipped: 1 });
    assert_eq!(state(&store, booked[0]).await, DeliveryState::Pending);
    assert_eq!(state(&store, booked[1]).await, DeliveryState::Dead);
    assert_eq!(count(&store, META, DeliveryState::Delivered).await, 0);
    // It has arrived once more: a second job sends it a third time.
    stage.run("UPDATE deliveries SET state = 'delivered' WHERE state = 'pending'").await;
    let third = job(filter(&[Word::Delivered]), None);
    store.begin_job(third.clone(), None).await.unwrap();
    let done = store.advance_job(step(&third, START, &booked[..1], true)).await.unwrap();
    assert_eq!(done, JobAnswer::Done { requeued: 1, skipped: 0 });
    assert_eq!(state(&store, booked[0]).await, DeliveryState::Pending);
}

/// What waits where it was for waits on there, leased or not, beside what is booked elsewhere.
pub(crate) async fn a_job_books_what_waits_for_another_destination(stage: &Stage) {
    use DeliveryState::{Dead, Pending};
    let store = stage.open().await;
    let booked = book_in(&store, &[Pending, Dead, Pending, Pending]).await;
    let wanted = LeaseWanted { limit: 1, ..build::wanted(META, 100) };
    assert_eq!(store.lease_deliveries(wanted).await.unwrap()[0].id, booked[0]);
    let waiting = filter(&[Word::Pending]);
    let groups = store.preview_job(waiting.clone(), Some(OTHER.into())).await.unwrap();
    assert_eq!(groups.iter().map(|group| (group.state, group.count)).collect::<Vec<_>>(), [(Pending, 3)]);
    let first = store.job_deliveries(waiting.clone(), START, 2).await.unwrap();
    let rest = store.job_deliveries(waiting.clone(), booked[2], 2).await.unwrap();
    assert_eq!([first.clone(), rest.clone()].concat(), [booked[0], booked[2], booked[3]]);
    let mut before = Vec::new();
    for id in &booked {
        before.push(store.delivery(*id).await.unwrap());
    }
    let moving = job(waiting, Some(OTHER));
    store.begin_job(moving.clone(), None).await.unwrap();
    assert_eq!(store.job(moving.id).await.unwrap().unwrap(), moving);
    let done = store.advance_job(step(&moving, START, &first, false)).await.unwrap();
    assert_eq!(done, JobAnswer::Done { requeued: 2, skipped: 0 });
    // One that is dead by now is no part of it any more.
    let last = [rest[0], booked[1]];
    let done = store.advance_job(step(&moving, booked[2], &last, true)).await.unwrap();
    assert_eq!(done, JobAnswer::Done { requeued: 1, skipped: 1 });
    for (id, before) in booked.iter().zip(before) {
        assert_eq!(store.delivery(*id).await.unwrap(), before, "what it comes from stays as it was");
    }
    assert_eq!((count(&store, META, Pending).await, count(&store, OTHER, Pending).await), (3, 3));
}

/// What waits is called off where nobody works on it; what had arrived before counts as that, and the counts follow.
pub(crate) async fn a_job_calls_off_what_waits(stage: &Stage) {
    use DeliveryState::{Cancelled, Dead, Delivered, Pending};
    let store = stage.open().await;
    let booked = book_in(&store, &[Pending, Pending, Dead, Delivered, Pending]).await;
    let other = build::book_deliveries(&store, OTHER, 1).await;
    let again = job(filter(&[Word::Delivered]), None);
    store.begin_job(again.clone(), None).await.unwrap();
    store.advance_job(step(&again, START, &booked[3..4], true)).await.unwrap();
    // One is under a lease that holds, another was called by somebody whose lease has run out.
    let lease = async |until: i64| {
        let wanted = LeaseWanted { limit: 1, until: build::at(until), ..build::wanted(META, 300) };
        build::held(&store.lease_deliveries(wanted).await.unwrap())
    };
    let held = lease(10_000).await;
    let late = lease(400).await;
    assert_eq!((held[0].id, late[0].id), (booked[0], booked[1]));
    store.open_call(build::new_call(310, &late)).await.unwrap();

    let waiting = filter(&[Word::Pending]);
    let off = Job { action: Action::Cancel, ..job(waiting.clone(), None) };
    store.begin_job(off.clone(), None).await.unwrap();
    assert_eq!(store.job(off.id).await.unwrap().unwrap(), off);
    let found = store.job_deliveries(waiting, START, 9).await.unwrap();
    assert_eq!(found, [booked[0], booked[1], booked[3], booked[4]]);
    let all = [&found[..], &[booked[2], other[0]]].concat();
    let done = store.advance_job(step(&off, START, &all, true)).await.unwrap();
    assert_eq!(done, JobAnswer::Done { requeued: 3, skipped: 3 });

    let by_hand = (Cancelled, Some(Reason::CancelledByHand));
    for (id, state, reason) in [
        (booked[0], Pending, None),
        (booked[1], by_hand.0, by_hand.1),
        (booked[2], Dead, None),
        (booked[3], Delivered, Some(Reason::FirstDeliveryStands)),
        (booked[4], by_hand.0, by_hand.1),
        (other[0], Pending, None),
    ] {
        let now = store.delivery(id).await.unwrap().unwrap();
        assert_eq!((now.state, now.reason), (state, reason), "{id}");
        assert_eq!(now.finished_at.is_some(), now.state != Pending, "{id}");
    }
    let counted = async |state| count(&store, META, state).await;
    assert_eq!([counted(Pending).await, counted(Cancelled).await, counted(Delivered).await], [1, 2, 1]);
    assert_eq!(count(&store, OTHER, Pending).await, 1);
    // Whoever comes back with an answer comes too late, and its attempt is closed.
    let attempts = store.attempts(booked[1]).await.unwrap();
    assert_eq!(attempts[0].reason, Some(Reason::OutcomeUnknown));
    assert!(store.renew_leases(late, build::at(20_000)).await.unwrap().is_empty());
    assert_eq!(store.renew_leases(held, build::at(20_000)).await.unwrap().len(), 1);
    // What was called off can be sent after all.
    let after_all = job(filter(&[Word::Cancelled]), None);
    store.begin_job(after_all.clone(), None).await.unwrap();
    let done = store.advance_job(step(&after_all, START, &booked[4..], true)).await.unwrap();
    assert_eq!(done, JobAnswer::Done { requeued: 1, skipped: 0 });
}

/// The deadlines of what was booked elsewhere beside these deliveries.
async fn deadlines(store: &Store, ids: &[DeliveryId]) -> Vec<Timestamp> {
    let mut found = Vec::new();
    for id in ids {
        let conversion = store.delivery(*id).await.unwrap().unwrap().conversion;
        let siblings = store.deliveries_of_conversion(conversion).await.unwrap();
        found.extend(siblings.iter().filter(|one| one.destination == OTHER).map(|one| one.deadline_at));
    }
    found
}

pub(crate) async fn a_job_books_for_another_destination(stage: &Stage) {
    let store = stage.open().await;
    let mut booking = build::sale(0, build::key(ACME, &build::unique_name()), &[META, OTHER]);
    let event = booking.goal_events[0].clone();
    booking.deliveries[0].state = DeliveryState::Delivered;
    build::book(&store, &booking).await;
    let booked = book_in(&store, &[DeliveryState::Delivered, DeliveryState::Dead]).await;
    let all = filter(&Word::ENDED);
    let groups = store.preview_job(all.clone(), Some(OTHER.into())).await.unwrap();
    let counted: Vec<_> = groups.iter().map(|group| (group.state, group.count, group.already)).collect();
    assert_eq!(counted, [(DeliveryState::Delivered, 2, 1), (DeliveryState::Dead, 1, 0)]);

    let moving = job(all.clone(), Some(OTHER));
    store.begin_job(moving.clone(), None).await.unwrap();
    let found = store.job_deliveries(all, START, 10).await.unwrap();
    assert_eq!(found.len(), 3);
    let deadlines_of_some = BTreeMap::from([(booked[0], build::at(7_000_000))]);
    let moved = JobStep { deadlines: deadlines_of_some, ..step(&moving, START, &found, true) };
    let done = store.advance_job(moved).await.unwrap();
    assert_eq!(done, JobAnswer::Done { requeued: 2, skipped: 1 });
    // What it came from stays as it was; the event has one more delivery beside it.
    assert_eq!(state(&store, booked[0]).await, DeliveryState::Delivered);
    assert_eq!(count(&store, OTHER, DeliveryState::Pending).await, 3);
    let of_first = store.deliveries_of_conversion(event.conversion).await.unwrap();
    assert_eq!(of_first.len(), 2, "it had one there already");
    let leased = store.lease_deliveries(build::wanted(OTHER, 600)).await.unwrap();
    assert_eq!(leased.len(), 3);
    for one in leased {
        let record = store.delivery(one.id).await.unwrap().unwrap();
        let siblings = store.deliveries_of_conversion(record.conversion).await.unwrap();
        assert_eq!(siblings.iter().filter(|sibling| sibling.destination == OTHER).count(), 1);
        assert_eq!(one.event.read().unwrap().event_name, "Purchase");
    }
    // Its events are those of the deliveries, and it keeps each as long as it was told to.
    let events = store.events_of_deliveries(found.clone()).await.unwrap();
    assert_eq!(events.iter().map(|(id, _)| *id).collect::<Vec<_>>(), found);
    assert!(events.iter().all(|(_, event)| event.read().unwrap().event_name == "Purchase"));
    assert_eq!(deadlines(&store, &booked).await, [build::at(7_000_000), build::at(9_000_000)]);
    // The same once more finds them all there.
    let twice = job(filter(&Word::ENDED), Some(OTHER));
    store.begin_job(twice.clone(), None).await.unwrap();
    let done = store.advance_job(step(&twice, START, &found, true)).await.unwrap();
    assert_eq!(done, JobAnswer::Done { requeued: 0, skipped: 3 });
}

pub(crate) async fn filters_choose(stage: &Stage) {
    let store = stage.open().await;
    let called = build::book_deliveries(&store, META, 2).await;
    let refused = Outcome::Refused { reason: Reason::DestRejected };
    build::work(&store, 10, refused, After::Dead).await;
    let plain = book_in(&store, &[DeliveryState::Dead, DeliveryState::Expired, DeliveryState::Dead]).await;
    let failed = filter(&Word::FAILED);
    let found = async |filter: &JobFilter| store.job_deliveries(filter.clone(), START, 100).await.unwrap();
    assert_eq!(found(&failed).await.len(), 5);
    let code = Some(Reason::DestRejected.code().to_owned());
    assert_eq!(found(&JobFilter { code: code.clone(), ..failed.clone() }).await.len(), 2);
    assert_eq!(found(&JobFilter { goal: Some("purchase".into()), ..failed.clone() }).await.len(), 5);
    assert_eq!(found(&JobFilter { goal: Some("lead".into()), ..failed.clone() }).await.len(), 0);
    assert_eq!(found(&JobFilter { event_name: Some("Purchase".into()), ..failed.clone() }).await.len(), 5);
    assert_eq!(found(&JobFilter { event_name: Some("Lead".into()), ..failed.clone() }).await.len(), 0);
    assert_eq!(found(&JobFilter { destination: OTHER.into(), ..failed.clone() }).await.len(), 0);
    assert_eq!(found(&JobFilter { from: Some(build::at(2)), ..failed.clone() }).await, [plain[2]]);
    assert_eq!(found(&JobFilter { to: build::at(1), ..failed.clone() }).await.len(), 2);
    let ids = vec![plain[1], plain[2]];
    assert_eq!(found(&JobFilter { ids: ids.clone(), ..failed.clone() }).await, ids);

    let groups = store.preview_job(failed, None).await.unwrap();
    let shown: Vec<_> = groups
        .iter()
        .map(|group| (group.state, group.reason, group.event_name.as_str(), group.count, group.already))
        .collect();
    assert_eq!(
        shown,
        [
            (DeliveryState::Dead, None, "Purchase", 2, 0),
            (DeliveryState::Dead, Some(Reason::DestRejected), "Purchase", 2, 0),
            (DeliveryState::Expired, None, "Purchase", 1, 0),
        ]
    );
    let newest: Vec<_> = groups.iter().map(|group| group.newest).collect();
    let later = |one: usize, other: usize, ids: &[DeliveryId]| ids[one].max(ids[other]);
    assert_eq!(newest, [later(0, 2, &plain), later(0, 1, &called), plain[1]]);
}

pub(crate) async fn a_job_waits_and_goes_on_when_told(stage: &Stage) {
    let store = stage.open().await;
    let booked = book_in(&store, &[DeliveryState::Dead; 2]).await;
    let again = job(filter(&Word::FAILED), None);
    let later = job(filter(&Word::FAILED), None);
    store.begin_job(again.clone(), None).await.unwrap();
    store.begin_job(later.clone(), None).await.unwrap();
    let ids = |jobs: Vec<Job>| jobs.iter().map(|job| job.id).collect::<Vec<_>>();
    assert_eq!(ids(store.running_jobs(10).await.unwrap()), [again.id, later.id]);
    assert_eq!(ids(store.list_jobs(None, 10).await.unwrap()), [later.id, again.id]);
    assert_eq!(ids(store.list_jobs(Some(later.id), 10).await.unwrap()), [again.id]);

    use JobState::{Cancelled, Paused, Running};
    assert!(store.move_job(again.id, Running, Paused, build::at(50)).await.unwrap());
    assert!(!store.move_job(again.id, Running, Paused, build::at(51)).await.unwrap());
    assert_eq!(ids(store.running_jobs(10).await.unwrap()), [later.id]);
    let next = step(&again, START, &booked[..1], false);
    assert_eq!(store.advance_job(next.clone()).await.unwrap(), JobAnswer::Moved);
    assert_eq!(state(&store, booked[0]).await, DeliveryState::Dead);
    assert!(store.move_job(again.id, Paused, Running, build::at(60)).await.unwrap());
    assert_eq!(store.advance_job(next).await.unwrap(), JobAnswer::Done { requeued: 1, skipped: 0 });
    assert!(store.move_job(again.id, Running, Cancelled, build::at(70)).await.unwrap());
    let rest = step(&again, booked[0], &booked[1..], true);
    assert_eq!(store.advance_job(rest).await.unwrap(), JobAnswer::Moved);
    assert_eq!(state(&store, booked[1]).await, DeliveryState::Dead);
    assert_eq!(store.job(again.id).await.unwrap().unwrap().state, Cancelled);
}

pub(crate) async fn what_was_taken_back_is_left_out(stage: &Stage) {
    use crosstally_core::ledger::Status;
    use crosstally_core::postback::ConversionChange;
    let store = stage.open().await;
    let mut ids = Vec::new();
    // A sale that stands; one that was reversed after its event was made; a reversal whose event says so.
    for (ms, now, then) in [
        (0, Status::Approved, Status::Approved),
        (1, Status::Reversed, Status::Approved),
        (2, Status::Reversed, Status::Reversed),
    ] {
        let mut booking = build::sale(ms, build::key(ACME, &build::unique_name()), &[]);
        let event = booking.goal_events[0].clone();
        booking.deliveries =
            vec![NewDelivery { state: DeliveryState::Dead, ..build::delivery(ms, &event, META) }];
        if let Some(ConversionChange::Insert(conversion)) = &mut booking.conversion {
            conversion.status = now;
        }
        if let Some(entry) = &mut booking.entry {
            entry.status = then;
        }
        ids.push(booking.deliveries[0].id);
        build::book(&store, &booking).await;
    }
    let failed = filter(&Word::FAILED);
    let found = store.job_deliveries(failed.clone(), START, 9).await.unwrap();
    assert_eq!(found, [ids[0], ids[2]]);
    let all = JobFilter { taken_back: true, ..failed.clone() };
    assert_eq!(store.job_deliveries(all.clone(), START, 9).await.unwrap(), ids);
    assert_eq!(store.preview_job(failed, None).await.unwrap()[0].count, 2);
    assert_eq!(store.preview_job(all, None).await.unwrap()[0].count, 3);
}

pub(crate) async fn what_had_arrived_stays_so_whatever_comes_of_a_replay(stage: &Stage) {
    let store = stage.open().await;
    let ids = build::book_deliveries(&store, META, 1).await;
    build::work(&store, 10, Outcome::Delivered, After::Delivered).await;
    let first = store.delivery(ids[0]).await.unwrap().unwrap();
    let replay = async |ms: i64| {
        let again = job(filter(&[Word::Delivered]), None);
        store.begin_job(again.clone(), None).await.unwrap();
        let next = JobStep { now: build::at(ms), ..step(&again, START, &ids, true) };
        let done = JobAnswer::Done { requeued: 1, skipped: 0 };
        assert_eq!(store.advance_job(next).await.unwrap(), done);
        assert_eq!(state(&store, ids[0]).await, DeliveryState::Pending);
    };
    let refused = Outcome::Refused { reason: Reason::DestRejected };
    for (end, after) in [After::Dead, After::Expired].into_iter().enumerate() {
        let ms = 100 + 100 * i64::try_from(end).unwrap();
        replay(ms).await;
        build::work(&store, ms, refused.clone(), after).await;
        let now = store.delivery(ids[0]).await.unwrap().unwrap();
        let ended = (now.state, now.reason, now.finished_at);
        assert_eq!(
            ended,
            (DeliveryState::Delivered, Some(Reason::FirstDeliveryStands), first.finished_at),
            "{after:?}"
        );
    }
    replay(400).await;
    let held = build::held(&store.lease_deliveries(build::wanted(META, 400)).await.unwrap());
    let unsent = held.iter().map(|held| Unsent {
        held: *held,
        state: DeliveryState::Cancelled,
        reason: Reason::ConsentDenied,
        detail: String::new(),
    });
    store.settle_unsent(unsent.collect(), build::at(401)).await.unwrap();
    assert_eq!(state(&store, ids[0]).await, DeliveryState::Delivered);
    replay(500).await;
    assert_eq!(store.expire_overdue(build::at(100_000_000_000), 10).await.unwrap(), 1);
    assert_eq!(state(&store, ids[0]).await, DeliveryState::Delivered);
    let counts = store.count_deliveries().await.unwrap();
    let counts: Vec<_> =
        counts.iter().filter(|row| row.count > 0).map(|row| (row.state, row.count)).collect();
    assert_eq!(counts, [(DeliveryState::Delivered, 1)]);
    // Taken once more, it arrived then.
    replay(600).await;
    build::work(&store, 600, Outcome::Delivered, After::Delivered).await;
    let now = store.delivery(ids[0]).await.unwrap().unwrap();
    assert_eq!((now.state, now.reason), (DeliveryState::Delivered, Some(Reason::Delivered)));
}

pub(crate) async fn days_tell_what_arrived(stage: &Stage) {
    use DeliveryState::{Cancelled, Dead, Delivered, Expired, Pending};
    let store = stage.open().await;
    book_in(&store, &[Dead, Delivered, Expired, Pending, Cancelled, Delivered]).await;
    let day = 86_400_000;
    let mut booking = build::sale(day, build::key(ACME, &build::unique_name()), &[OTHER]);
    booking.goal_events[0].event.event_name = "Lead".into();
    build::book(&store, &booking).await;
    let days = store.delivery_days(build::at(0), build::at(3 * day)).await.unwrap();
    let shown: Vec<_> = days
        .iter()
        .map(|one| (one.destination.as_str(), one.event_name.as_str(), one.delivered, one.failed, one.open))
        .collect();
    assert_eq!(shown, [(OTHER, "Lead", 0, 0, 1), (META, "Purchase", 2, 3, 1)]);
    assert_eq!(days[0].day.millis_since(days[1].day), day);
    assert_eq!(days[0].day.as_millis() % day, 0);
    assert!(store.delivery_days(build::at(2 * day), build::at(3 * day)).await.unwrap().is_empty());
    let retry = Outcome::Retry { reason: Reason::DestUnreachable, after_ms: None };
    build::work(&store, 10, retry, After::RetryAt(build::at(50))).await;
    assert_eq!(store.delivery_days(build::at(0), build::at(day)).await.unwrap()[0].attempts, 1);
}
