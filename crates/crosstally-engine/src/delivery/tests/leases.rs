//! Two nodes, one delivery: the fence decides.

use std::sync::Arc;
use std::time::Duration;

use crosstally_core::delivery::DeliveryState;
use crosstally_core::reason::Reason;
use crosstally_store::{LeaseWanted, LeasedDelivery};

use super::desk::{Desk, NOW, Platform, Reply, TOKEN};
use crate::Engine;
use crate::delivery::lane::Lane;
use crate::delivery::leases::LEASE_MS;
use crate::delivery::stopping::Stopping;
use crate::delivery::{Delivered, deliver_until_idle};

/// What another node, whose clock is past the end of our leases, takes over.
async fn take_over(engine: &Engine, limit: u32) -> Vec<LeasedDelivery> {
    let now = NOW.plus_millis(LEASE_MS);
    let wanted = LeaseWanted {
        destination: "meta-main".into(),
        owner: "another".into(),
        now,
        until: now.plus_millis(LEASE_MS),
        limit,
        unknown_for_ms: None,
        first: crosstally_core::delivery::lane::Lane::Fresh,
    };
    engine.store.lease_deliveries(wanted).await.unwrap()
}

#[tokio::test]
async fn a_result_under_an_old_fence_changes_nothing() {
    let desk = Desk::at(Platform::start(|_| Reply::Held).await).await;
    desk.book(0, 2).await;
    let (counts, ()) = tokio::join!(desk.deliver(), async {
        desk.platform.has_seen(1).await;
        assert_eq!(take_over(&desk.engine, 1).await[0].fence, 2);
        desk.platform.go.send_replace(Some(Reply::Accept));
    });
    assert_eq!((counts.stale, counts.calls), (1, 1));
    let deliveries = desk.deliveries().await;
    let pending: Vec<_> = deliveries.iter().filter(|one| one.state == DeliveryState::Pending).collect();
    assert_eq!((pending.len(), deliveries.len()), (1, 2));
    assert_eq!(pending[0].lease.as_ref().unwrap().0, "another");
    // The attempt that nobody could close says that its outcome is unknown.
    assert_eq!(desk.attempts(pending[0]).await[0].reason, Some(Reason::OutcomeUnknown));
}

#[tokio::test]
async fn a_long_call_keeps_its_lease() {
    let desk = Desk::at(Platform::start(|_| Reply::Held).await).await;
    desk.book(0, 1).await;
    let (counts, ()) = tokio::join!(desk.deliver(), async {
        desk.platform.has_seen(1).await;
        let first = desk.one().await.lease.unwrap().1;
        assert_eq!(first, NOW.plus_millis(LEASE_MS));
        // By and by the lease moves on, in steps shorter than itself.
        for _ in 0..4 {
            let before = desk.one().await.lease.unwrap().1;
            let renewed = async {
                while desk.one().await.lease.unwrap().1 == before {
                    tokio::task::yield_now().await;
                }
            };
            tokio::pin!(renewed);
            // Whoever was not waiting yet when the clock moved is waiting by its next move.
            desk.clock.advance(2_500);
            while tokio::time::timeout(Duration::from_millis(500), &mut renewed).await.is_err() {
                desk.clock.advance(2_500);
            }
        }
        let other = desk.node(Arc::new(desk.clock.clone()), &[("META_TOKEN", TOKEN)]).await;
        assert_eq!(deliver_until_idle(&other).await.unwrap(), Delivered::default());
        desk.platform.go.send_replace(Some(Reply::Accept));
    });
    assert_eq!((counts.delivered, counts.stale), (1, 0));
    assert_eq!(desk.platform.sizes(), [1]);
}

#[tokio::test]
async fn what_a_dead_node_had_leased_is_sent_by_another() {
    let desk = Desk::at(Platform::start(|_| Reply::Accept).await).await;
    desk.book(0, 3).await;
    let wanted = LeaseWanted {
        destination: "meta-main".into(),
        owner: "dead".into(),
        now: NOW,
        until: NOW.plus_millis(LEASE_MS),
        limit: 10,
        unknown_for_ms: None,
        first: crosstally_core::delivery::lane::Lane::Fresh,
    };
    assert_eq!(desk.engine.store.lease_deliveries(wanted).await.unwrap().len(), 3);
    desk.clock.advance(LEASE_MS - 1);
    assert_eq!(desk.deliver().await, Delivered::default());
    desk.clock.advance(1);
    assert_eq!(desk.deliver().await.delivered, 3);
}

#[tokio::test]
async fn nothing_is_leased_while_a_result_waits_to_be_written_down() {
    let desk = Desk::at(Platform::start(|_| Reply::Accept).await).await;
    desk.book(0, 1).await;
    let (_phase, stopping) = Stopping::new();
    let mut lane = Lane::new(desk.engine.clone(), "meta-main".into(), stopping);
    let pace = Arc::clone(&lane.pace);
    let behind = pace.unwritten();
    assert_eq!(lane.until_idle().await.unwrap(), Delivered::default());
    drop(behind);
    assert_eq!(lane.until_idle().await.unwrap().delivered, 1);
}
