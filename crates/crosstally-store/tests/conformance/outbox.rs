//! Leases: who may work on a delivery, and until when.

use std::collections::BTreeSet;

use crosstally_core::delivery::lane::Lane;
use crosstally_core::delivery::{DeliveryState, Outcome};
use crosstally_core::ids::DeliveryId;
use crosstally_core::reason::Reason;
use crosstally_store::{After, Held, LeaseWanted, LeasedDelivery, Settled, Settlement, Store, Unsent};

use crate::build::{self, ACME, META};
use crate::stage::Stage;

fn ids(leased: &[LeasedDelivery]) -> Vec<DeliveryId> {
    leased.iter().map(|one| one.id).collect()
}

async fn lease(store: &Store, ms: i64) -> Vec<LeasedDelivery> {
    store.lease_deliveries(build::wanted(META, ms)).await.unwrap()
}

pub(crate) async fn due_deliveries_are_leased_oldest_first(stage: &Stage) {
    let store = stage.open().await;
    // Booked in another order than they fall due.
    let mut booked = Vec::new();
    for due in [40, 10, 30, 20, 50] {
        let mut booking = build::sale(0, build::key(ACME, &format!("T{due}")), &[META, "elsewhere"]);
        booking.deliveries[0].due_at = build::at(due);
        build::book(&store, &booking).await;
        booked.push((due, booking));
    }
    booked.sort_by_key(|(due, _)| *due);
    assert_eq!(lease(&store, 9).await, []);
    let leased = lease(&store, 40).await;
    assert_eq!(leased.len(), 4);
    for (one, (_, booking)) in leased.iter().zip(&booked) {
        let delivery = &booking.deliveries[0];
        let expected = LeasedDelivery {
            id: delivery.id,
            fence: 1,
            event: one.event.clone(),
            attempts: 0,
            failures: 0,
            deadline_at: delivery.deadline_at,
            created_at: booking.receipt.received_at,
            last: None,
        };
        assert_eq!(one, &expected);
        assert_eq!(one.event.read(), Some(booking.goal_events[0].event.clone()));
        let record = store.delivery(one.id).await.unwrap().unwrap();
        assert_eq!(record.lease, Some(("node-1".into(), build::at(1_040))));
        assert_eq!(record.state, DeliveryState::Pending);
    }
    // The limit takes the oldest.
    let wanted = LeaseWanted { limit: 2, ..build::wanted("elsewhere", 40) };
    assert_eq!(store.lease_deliveries(wanted).await.unwrap().len(), 2);
    let wanted = LeaseWanted { limit: 0, ..build::wanted("elsewhere", 40) };
    assert_eq!(store.lease_deliveries(wanted).await.unwrap(), []);
    assert_eq!(store.lease_deliveries(build::wanted("nowhere", 40)).await.unwrap(), []);
}

pub(crate) async fn what_is_leased_is_not_leased_again(stage: &Stage) {
    let store = stage.open().await;
    let booked = build::book_deliveries(&store, META, 3).await;
    let wanted = LeaseWanted { limit: 2, ..build::wanted(META, 10) };
    assert_eq!(ids(&store.lease_deliveries(wanted).await.unwrap()), booked[..2]);
    assert_eq!(ids(&lease(&store, 11).await), booked[2..]);
    assert_eq!(lease(&store, 500).await, []);
}

pub(crate) async fn two_owners_never_hold_the_same_delivery(stage: &Stage) {
    let (first, second) = (stage.open().await, stage.open().await);
    let booked = build::book_deliveries(&first, META, 150).await;
    let mut tasks = Vec::new();
    for owner in 0..8 {
        let store = if owner % 2 == 0 { first.clone() } else { second.clone() };
        tasks.push(tokio::spawn(async move {
            let mut taken = Vec::new();
            loop {
                let wanted =
                    LeaseWanted { owner: format!("node-{owner}"), limit: 7, ..build::wanted(META, 500) };
                let leased = store.lease_deliveries(wanted).await.unwrap();
                if leased.is_empty() {
                    break taken;
                }
                assert!(leased.iter().all(|one| one.fence == 1));
                taken.extend(ids(&leased));
            }
        }));
    }
    let mut all = Vec::new();
    for task in tasks {
        all.extend(task.await.unwrap());
    }
    // One owner that finds nothing, as others hold locks, may give up early; what is left is still there.
    let wanted = LeaseWanted { limit: 1_000, ..build::wanted(META, 500) };
    all.extend(ids(&first.lease_deliveries(wanted).await.unwrap()));
    assert_eq!(all.len(), booked.len());
    assert_eq!(all.into_iter().collect::<BTreeSet<_>>(), booked.into_iter().collect());
}

pub(crate) async fn a_lease_that_ran_out_is_leased_anew_under_a_higher_fence(stage: &Stage) {
    let store = stage.open().await;
    let booked = build::book_deliveries(&store, META, 2).await;
    let first = lease(&store, 10).await;
    // One of the two was being sent when its owner died.
    let call = build::new_call(20, &build::held(&first)[..1]);
    store.open_call(call.clone()).await.unwrap();
    assert_eq!(lease(&store, 1_009).await, []);

    let wanted = LeaseWanted { owner: "node-2".into(), ..build::wanted(META, 1_010) };
    let second = store.lease_deliveries(wanted).await.unwrap();
    assert_eq!(ids(&second).into_iter().collect::<BTreeSet<_>>(), booked.iter().copied().collect());
    for one in &second {
        let opened = one.id == booked[0];
        assert_eq!((one.fence, one.attempts, one.failures), (2, u32::from(opened), 0));
        let record = store.delivery(one.id).await.unwrap().unwrap();
        assert_eq!(record.reason, opened.then_some(Reason::OutcomeUnknown));
        assert_eq!(record.lease, Some(("node-2".into(), build::at(2_010))));
    }
    let attempts = store.attempts(booked[0]).await.unwrap();
    assert_eq!(attempts.len(), 1);
    assert_eq!((attempts[0].number, attempts[0].call), (1, call.id));
    assert_eq!(attempts[0].outcome.as_deref(), Some("retry"));
    assert_eq!(attempts[0].reason, Some(Reason::OutcomeUnknown));
    assert_eq!((attempts[0].finished_at, attempts[0].status), (None, None));
    assert_eq!(store.attempts(booked[1]).await.unwrap(), []);
    // The next attempt is the second one.
    let call = build::new_call(1_020, &[Held { id: booked[0], fence: 2 }]);
    assert_eq!(store.open_call(call).await.unwrap().len(), 1);
    let attempts = store.attempts(booked[0]).await.unwrap();
    assert_eq!(attempts.iter().map(|one| one.number).collect::<Vec<_>>(), [1, 2]);
    assert_eq!((attempts[1].outcome.as_ref(), attempts[1].reason), (None, None));
}

pub(crate) async fn an_old_fence_changes_nothing(stage: &Stage) {
    let store = stage.open().await;
    let booked = build::book_deliveries(&store, META, 1).await;
    let old = build::held(&lease(&store, 10).await);
    let call = build::new_call(20, &old);
    let call_id = call.id;
    store.open_call(call).await.unwrap();
    let new = build::held(&lease(&store, 1_010).await);
    assert_eq!(new, [Held { id: booked[0], fence: 2 }]);
    let before = store.delivery(booked[0]).await.unwrap();

    assert_eq!(store.open_call(build::new_call(1_020, &old)).await.unwrap(), []);
    assert_eq!(store.renew_leases(old.clone(), build::at(9_000)).await.unwrap(), []);
    store.release_leases(old.clone()).await.unwrap();
    let unsent = Unsent {
        held: old[0],
        state: DeliveryState::Dead,
        reason: Reason::EventIncomplete,
        detail: "no email".into(),
    };
    let stale = Settled { applied: 0, stale: 1 };
    assert_eq!(store.settle_unsent(vec![unsent], build::at(1_020)).await.unwrap(), stale);
    let settlement = Settlement {
        held: old[0],
        outcome: Outcome::Delivered,
        after: After::Delivered,
        reason: Reason::Delivered,
        last_at: None,
    };
    let settled = store.settle_call(build::result(call_id, 1_020), vec![settlement], None).await.unwrap();
    assert_eq!(settled, stale);

    assert_eq!(store.delivery(booked[0]).await.unwrap(), before);
    // What the late answer said is still shown with its attempt, which stays what it was taken for.
    let attempts = store.attempts(booked[0]).await.unwrap();
    assert_eq!(attempts.len(), 1);
    assert_eq!(attempts[0].reason, Some(Reason::OutcomeUnknown));
    assert_eq!(attempts[0].status, Some(200));
}

pub(crate) async fn a_call_is_opened_only_while_the_lease_lasts(stage: &Stage) {
    let store = stage.open().await;
    let booked = build::book_deliveries(&store, META, 2).await;
    let held = build::held(&lease(&store, 10).await);
    let missing = Held { id: build::delivery_id(0), fence: 1 };
    // Nobody else has it yet, but from now on somebody may.
    assert_eq!(store.open_call(build::new_call(1_010, &held)).await.unwrap(), []);
    let mut elsewhere = build::new_call(1_009, &held);
    elsewhere.destination = "elsewhere".into();
    assert_eq!(store.open_call(elsewhere).await.unwrap(), []);
    let wrong = Held { fence: 7, ..held[1] };
    let call = build::new_call(1_009, &[missing, held[0], wrong]);
    let id = call.id;
    assert_eq!(store.open_call(call).await.unwrap(), held[..1]);
    let attempts = store.attempts(booked[0]).await.unwrap();
    assert_eq!((attempts[0].call, attempts[0].batch), (id, 1));
    assert_eq!(store.attempts(booked[1]).await.unwrap(), []);
    assert_eq!(store.delivery(booked[1]).await.unwrap().unwrap().attempts, 0);
}

pub(crate) async fn leases_are_renewed_and_released(stage: &Stage) {
    let store = stage.open().await;
    let booked = build::book_deliveries(&store, META, 3).await;
    let held = build::held(&lease(&store, 10).await);
    let mut asked = held.clone();
    asked[2].fence += 1;
    assert_eq!(store.renew_leases(asked, build::at(5_000)).await.unwrap(), held[..2]);
    assert_eq!(ids(&lease(&store, 4_000).await), booked[2..]);
    let record = store.delivery(booked[0]).await.unwrap().unwrap();
    assert_eq!(record.lease, Some(("node-1".into(), build::at(5_000))));

    store.release_leases(held[..1].to_vec()).await.unwrap();
    let record = store.delivery(booked[0]).await.unwrap().unwrap();
    assert_eq!((record.lease, record.due_at, record.attempts), (None, build::at(0), 0));
    // Given back, it no longer belongs to whoever held it.
    assert_eq!(store.renew_leases(held[..1].to_vec(), build::at(9_000)).await.unwrap(), []);
    let again = lease(&store, 4_001).await;
    assert_eq!((ids(&again), again[0].fence), (booked[..1].to_vec(), 2));

    // Put off, it is nobody's, and not due before.
    store.put_off(build::held(&again), build::at(4_500)).await.unwrap();
    let record = store.delivery(booked[0]).await.unwrap().unwrap();
    assert_eq!((record.lease, record.due_at, record.attempts), (None, build::at(0), 0));
    assert_eq!(ids(&lease(&store, 4_499).await), []);
    assert_eq!(ids(&lease(&store, 4_500).await), booked[..1]);
}

pub(crate) async fn a_single_place_goes_to_each_lane_in_its_turn(stage: &Stage) {
    let store = stage.open().await;
    let failed = build::book_deliveries(&store, META, 2).await;
    let retry = Outcome::Retry { reason: Reason::DestUnreachable, after_ms: None };
    build::work(&store, 10, retry, After::RetryAt(build::at(50))).await;
    let fresh = build::book_deliveries(&store, META, 2).await;
    for (first, among) in
        [(Lane::Retry, &failed), (Lane::Replay, &fresh), (Lane::Retry, &failed), (Lane::Retry, &fresh)]
    {
        let wanted = LeaseWanted { limit: 1, first, ..build::wanted(META, 100) };
        let leased = ids(&store.lease_deliveries(wanted).await.unwrap());
        assert!(leased.len() == 1 && among.contains(&leased[0]), "{first:?}: {leased:?}");
    }
}

pub(crate) async fn overdue_deliveries_expire(stage: &Stage) {
    let store = stage.open().await;
    let booked = build::book_deliveries(&store, META, 5).await;
    let other = build::book_deliveries(&store, "elsewhere", 2).await;
    // Their deadlines are a million milliseconds after their booking, one millisecond apart.
    assert_eq!(store.expire_overdue(build::at(1_000_000), 100).await.unwrap(), 0);
    let wanted = LeaseWanted { limit: 1, until: build::at(3_000_000), ..build::wanted(META, 10) };
    let leased = store.lease_deliveries(wanted).await.unwrap();
    assert_eq!(ids(&leased), booked[..1]);
    assert_eq!(store.expire_overdue(build::at(1_000_002), 100).await.unwrap(), 3);
    let record = store.delivery(booked[1]).await.unwrap().unwrap();
    assert_eq!(record.state, DeliveryState::Expired);
    assert_eq!(record.reason, Some(Reason::EventTooOld));
    assert_eq!(record.finished_at, Some(build::at(1_000_002)));
    assert_eq!(store.delivery(booked[2]).await.unwrap().unwrap().state, DeliveryState::Pending);
    // In parts, and never what somebody works on.
    assert_eq!(store.expire_overdue(build::at(2_000_000), 2).await.unwrap(), 2);
    assert_eq!(store.expire_overdue(build::at(2_000_000), 2).await.unwrap(), 1);
    assert_eq!(store.expire_overdue(build::at(2_000_000), 2).await.unwrap(), 0);
    assert_eq!(store.delivery(booked[0]).await.unwrap().unwrap().state, DeliveryState::Pending);
    assert_eq!(store.delivery(other[1]).await.unwrap().unwrap().state, DeliveryState::Expired);
    // Nobody works on it any more once its lease has run out, and its attempt will never be closed by anybody.
    store.open_call(build::new_call(2_000_000, &build::held(&leased))).await.unwrap();
    assert_eq!(store.expire_overdue(build::at(3_000_000), 2).await.unwrap(), 1);
    let record = store.delivery(booked[0]).await.unwrap().unwrap();
    assert_eq!((record.state, record.lease), (DeliveryState::Expired, None));
    assert_eq!(store.attempts(booked[0]).await.unwrap()[0].reason, Some(Reason::OutcomeUnknown));
    assert_eq!(lease(&store, 4_000_000).await, []);
}

pub(crate) async fn a_delivery_booked_in_a_final_state_is_never_leased(stage: &Stage) {
    let store = stage.open().await;
    let mut booking = build::sale(0, build::key(ACME, "T1"), &[META, META]);
    booking.deliveries[0].state = DeliveryState::Expired;
    booking.deliveries[1].state = DeliveryState::Cancelled;
    build::book(&store, &booking).await;
    assert_eq!(lease(&store, 10_000).await, []);
    assert_eq!(store.next_due(META.into()).await.unwrap(), None);
    for delivery in &booking.deliveries {
        let record = store.delivery(delivery.id).await.unwrap().unwrap();
        assert_eq!((record.state, record.finished_at), (delivery.state, Some(build::at(0))));
    }
}
