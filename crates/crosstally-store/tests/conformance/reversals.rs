//! Reversals: noted with the movement, followed once, withdrawn only what was never tried.

use crosstally_core::delivery::DeliveryState;
use crosstally_core::ids::{CallId, DeliveryId};
use crosstally_core::reason::Reason;
use crosstally_core::reversal::{Follows, Overstated};
use crosstally_core::route::NewDelivery;
use crosstally_store::{Held, LeaseWanted, NewCall};

use crate::build::{self, ACME, META, at};
use crate::stage::Stage;

pub(crate) async fn a_reversal_is_followed_once_and_only_as_it_stands(stage: &Stage) {
    let store = stage.open().await;
    let mut booking = build::sale(0, build::key(ACME, &build::unique_name()), &[META]);
    booking.reverses = true;
    build::book(&store, &booking).await;
    let conversion = booking.entry.as_ref().unwrap().conversion;
    let open = store.open_reversals(10).await.unwrap();
    assert_eq!(open.iter().map(|one| (one.conversion, one.sequence)).collect::<Vec<_>>(), [(conversion, 1)]);
    // Its event, told once more under an id of its own, and what cannot be told.
    let mut event = booking.goal_events[0].clone();
    event.id = build::goal_event_id(7);
    let delivery = NewDelivery {
        id: DeliveryId::of(event.id, 0),
        goal_event: event.id,
        ..build::delivery(7, &event, META)
    };
    let told = |remaining| Overstated {
        delivery: booking.deliveries[0].id,
        destination: META.into(),
        campaign: "summer".into(),
        currency: "USD".parse().unwrap(),
        stated: 1234,
        remaining,
    };
    let follows = Follows {
        events: vec![event.clone()],
        deliveries: vec![delivery.clone()],
        overstated: vec![told(0)],
    };
    let mut moved_on = open[0];
    moved_on.sequence = 2;
    assert!(!store.follow_reversal(moved_on, follows.clone(), at(8)).await.unwrap());
    assert!(store.follow_reversal(open[0], follows.clone(), at(8)).await.unwrap());
    assert!(!store.follow_reversal(open[0], follows, at(8)).await.unwrap(), "nothing is done twice");
    assert!(store.open_reversals(10).await.unwrap().is_empty());
    let events = store.goal_events_of_conversion(conversion).await.unwrap();
    assert!(events.contains(&event), "{events:?}");
    let deliveries = store.deliveries_of_conversion(conversion).await.unwrap();
    assert!(deliveries.iter().any(|one| one.id == delivery.id));
    let pending = store.count_deliveries().await.unwrap();
    let pending = pending.iter().find(|row| row.destination == META && row.state == DeliveryState::Pending);
    assert_eq!(pending.map(|row| row.count), Some(2), "counted as they are");
    // What has not arrived stated nothing.
    assert!(store.overstated().await.unwrap().is_empty());
}

pub(crate) async fn only_what_was_never_tried_is_withdrawn(stage: &Stage) {
    let store = stage.open().await;
    let ids = build::book_deliveries(&store, META, 2).await;
    let wanted = LeaseWanted {
        destination: META.into(),
        owner: "node".into(),
        now: at(10),
        until: at(10_000),
        limit: 1,
        unknown_for_ms: None,
    };
    let held = store.lease_deliveries(wanted.clone()).await.unwrap();
    let call = |number: CallId, held| NewCall {
        id: number,
        destination: META.into(),
        started_at: at(11),
        method: "POST".into(),
        url: "https://a.example/".into(),
        deliveries: vec![(held, "{}".into())],
    };
    let first = Held { id: held[0].id, fence: held[0].fence };
    assert_eq!(store.open_call(call(CallId::new(at(11), [1; 10]), first)).await.unwrap(), [first]);
    // The second one is leased and not tried: whoever has it in hand finds it gone.
    let second = store.lease_deliveries(wanted).await.unwrap();
    let second = Held { id: second[0].id, fence: second[0].fence };
    assert_eq!(store.withdraw_deliveries(ids.clone(), Reason::TakenBack, at(12)).await.unwrap(), 1);
    assert_eq!(store.withdraw_deliveries(ids, Reason::TakenBack, at(12)).await.unwrap(), 0);
    assert!(
        store.open_call(call(CallId::new(at(11), [2; 10]), second)).await.unwrap().is_empty(),
        "it must not leave"
    );
    let mut found = Vec::new();
    for id in [first.id, second.id] {
        found.push(store.delivery(id).await.unwrap().unwrap().state);
    }
    assert_eq!(found, [DeliveryState::Pending, DeliveryState::Cancelled]);
}
