//! Reversals: noted with the movement, followed once, withdrawn only what was never tried.

use crosstally_core::conversion::Conversion;
use crosstally_core::delivery::{DeliveryState, Outcome};
use crosstally_core::ids::{CallId, ConversionId, DeliveryId};
use crosstally_core::postback::{Booking, ConversionChange};
use crosstally_core::reason::Reason;
use crosstally_core::reversal::{Follows, Overstated};
use crosstally_core::route::NewDelivery;
use crosstally_store::{After, DeliveryFilter, Held, LeaseWanted, NewCall, OpenReversal, Store, Unsent};

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
    let mut booking = build::sale(0, build::key(ACME, &build::unique_name()), &[META, META]);
    booking.reverses = true;
    build::book(&store, &booking).await;
    let open = store.open_reversals(10).await.unwrap()[0];
    let ids: Vec<DeliveryId> = booking.deliveries.iter().map(|delivery| delivery.id).collect();
    let wanted = LeaseWanted {
        destination: META.into(),
        owner: "node".into(),
        now: at(10),
        until: at(10_000),
        limit: 1,
        unknown_for_ms: None,
        first: crosstally_core::delivery::lane::Lane::Fresh,
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
    assert_eq!(store.withdraw_deliveries(open, ids.clone(), Reason::TakenBack, at(12)).await.unwrap(), 1);
    assert_eq!(store.withdraw_deliveries(open, ids, Reason::TakenBack, at(12)).await.unwrap(), 0);
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

/// Books a further movement of a sale, one that is to be followed.
async fn move_on(store: &Store, sale: &Booking, movements: u32) {
    let mut next = Booking { entry: None, goal_events: Vec::new(), deliveries: Vec::new(), ..sale.clone() };
    next.receipt = build::receipt(20);
    next.receipt.partner = ACME.into();
    if let Some(ConversionChange::Insert(conversion)) = next.conversion {
        next.conversion = Some(ConversionChange::Update(Conversion { movements, ..conversion }));
    }
    build::book(store, &next).await;
}

pub(crate) async fn who_comes_late_withdraws_and_restores_nothing(stage: &Stage) {
    let store = stage.open().await;
    let mut booking = build::sale(0, build::key(ACME, &build::unique_name()), &[META]);
    booking.reverses = true;
    build::book(&store, &booking).await;
    let ids = vec![booking.deliveries[0].id];
    let withdraw = async |open| store.withdraw_deliveries(open, ids.clone(), Reason::TakenBack, at(12)).await;
    let restore = async |open| store.restore_deliveries(open, ids.clone(), at(12)).await;
    let first = store.open_reversals(10).await.unwrap()[0];
    // What was read of the sale before it moved says nothing any more, followed or not.
    move_on(&store, &booking, 2).await;
    assert_eq!(withdraw(first).await.unwrap(), 0);
    let second = store.open_reversals(10).await.unwrap()[0];
    assert_eq!(withdraw(second).await.unwrap(), 1);
    move_on(&store, &booking, 3).await;
    assert_eq!(restore(second).await.unwrap(), 0);
    let third = store.open_reversals(10).await.unwrap()[0];
    assert_eq!(restore(third).await.unwrap(), 1);
    assert!(store.follow_reversal(third, Follows::default(), at(13)).await.unwrap());
    assert_eq!(withdraw(third).await.unwrap(), 0);
    let delivery = store.delivery(ids[0]).await.unwrap().unwrap();
    assert_eq!((delivery.state, delivery.reason), (DeliveryState::Pending, None));
}

/// Books a sale with a dead delivery to Meta, after so many movements.
async fn dead(store: &Store, movements: u32) -> ConversionId {
    dead_after(store, movements, false).await
}

/// The same; whether the last movement took something back.
async fn dead_after(store: &Store, movements: u32, reverses: bool) -> ConversionId {
    let mut booking = build::sale(0, build::key(ACME, &build::unique_name()), &[]);
    booking.reverses = reverses;
    let event = booking.goal_events[0].clone();
    let delivery = NewDelivery { state: DeliveryState::Dead, ..build::delivery(0, &event, META) };
    booking.deliveries = vec![delivery];
    if let Some(ConversionChange::Insert(conversion)) = &mut booking.conversion {
        conversion.movements = movements;
    }
    build::book(store, &booking).await;
    event.conversion
}

pub(crate) async fn what_goes_out_again_is_noted_if_its_sale_has_moved(stage: &Stage) {
    let store = stage.open().await;
    let moved = dead(&store, 3).await;
    dead(&store, 1).await;
    let again = DeliveryFilter { destination: None, state: None, id: None };
    assert_eq!(store.requeue_deliveries(again.clone(), at(10), at(1_000)).await.unwrap(), 2);
    let open = store.open_reversals(10).await.unwrap();
    let noted: Vec<_> = open.iter().map(|one| (one.conversion, one.sequence, one.is_of_movement())).collect();
    assert_eq!(noted, [(moved, 3, false)]);
    // Somebody who had read it before it was noted once more does not take the new note away, although the same delivery
    // has noted it.
    let of_movement = OpenReversal { mark: [0; 16], ..open[0] };
    assert!(!store.follow_reversal(of_movement, Follows::default(), at(11)).await.unwrap());
    let refused = Outcome::Refused { reason: Reason::DestRejected };
    build::work(&store, 20, refused, After::Dead).await;
    assert_eq!(store.requeue_deliveries(again, at(40), at(1_000)).await.unwrap(), 2);
    assert!(!store.follow_reversal(open[0], Follows::default(), at(41)).await.unwrap());
    let open = store.open_reversals(10).await.unwrap();
    assert!(store.follow_reversal(open[0], Follows::default(), at(41)).await.unwrap());
}

pub(crate) async fn a_movements_note_stays_one_whoever_notes_it_too(stage: &Stage) {
    let store = stage.open().await;
    dead_after(&store, 3, true).await;
    let first = store.open_reversals(10).await.unwrap()[0];
    let again = DeliveryFilter { destination: None, state: None, id: None };
    let refused = Outcome::Refused { reason: Reason::DestRejected };
    // Noted once more before anybody has followed it, it is still a movement that is to be followed.
    let mut notes = vec![first.mark];
    for round in 0..2 {
        let ms = 10 + 100 * round;
        assert_eq!(store.requeue_deliveries(again.clone(), at(ms), at(10_000)).await.unwrap(), 1);
        build::work(&store, ms + 10, refused.clone(), After::Dead).await;
        let open = store.open_reversals(10).await.unwrap()[0];
        assert!(open.is_of_movement() && !notes.contains(&open.mark), "{open:?}");
        notes.push(open.mark);
    }
    assert!(!store.follow_reversal(first, Follows::default(), at(300)).await.unwrap());
    let last = store.open_reversals(10).await.unwrap()[0];
    assert!(store.follow_reversal(last, Follows::default(), at(300)).await.unwrap());
    // Then it is followed.
    assert_eq!(store.requeue_deliveries(again, at(310), at(10_000)).await.unwrap(), 1);
    assert!(!store.open_reversals(10).await.unwrap()[0].is_of_movement());
}

/// Books an adjustment of a sale's event as what follows from its reversal.
async fn adjust(store: &Store, booking: &Booking) -> NewDelivery {
    let open = store.open_reversals(10).await.unwrap();
    let mut event = booking.goal_events[0].clone();
    event.id = build::goal_event_id(7);
    let delivery = NewDelivery {
        id: DeliveryId::of(event.id, 0),
        goal_event: event.id,
        ..build::delivery(7, &event, META)
    };
    let follows = Follows { events: vec![event], deliveries: vec![delivery.clone()], overstated: Vec::new() };
    assert!(store.follow_reversal(open[0], follows, at(8)).await.unwrap());
    delivery
}

pub(crate) async fn an_adjustment_that_fails_is_noted(stage: &Stage) {
    let store = stage.open().await;
    let mut booking = build::sale(0, build::key(ACME, &build::unique_name()), &[]);
    booking.reverses = true;
    build::book(&store, &booking).await;
    let delivery = adjust(&store, &booking).await;
    let refused = Outcome::Refused { reason: Reason::DestRejected };
    build::work(&store, 10, refused, After::Dead).await;
    let noted: Vec<_> = store.open_reversals(10).await.unwrap();
    assert_eq!(noted.iter().map(|open| open.conversion).collect::<Vec<_>>(), [delivery.conversion]);
    assert!(!noted[0].is_of_movement());
    // The same of one that ends without a call, and of one whose time is up.
    for unsent in [true, false] {
        adjust(&store, &booking).await;
        assert!(store.open_reversals(10).await.unwrap().is_empty());
        if unsent {
            let held = build::held(&store.lease_deliveries(build::wanted(META, 10)).await.unwrap());
            let (state, reason) = (DeliveryState::Cancelled, Reason::NothingToAdjust);
            let one = Unsent { held: held[0], state, reason, detail: String::new() };
            store.settle_unsent(vec![one], at(11)).await.unwrap();
        } else {
            assert_eq!(store.expire_overdue(at(100_000_000_000), 10).await.unwrap(), 1);
        }
        assert!(!store.open_reversals(10).await.unwrap()[0].is_of_movement());
    }
}

pub(crate) async fn what_is_over_stated_is_as_it_was_told_last(stage: &Stage) {
    let store = stage.open().await;
    let mut booking = build::sale(0, build::key(ACME, &build::unique_name()), &[META]);
    booking.reverses = true;
    build::book(&store, &booking).await;
    build::work(&store, 10, Outcome::Delivered, After::Delivered).await;
    let mut sums = Vec::new();
    for (movement, stated, remaining) in [(2, 1234, 0), (3, 1000, 400), (4, 1000, 1000)] {
        move_on(&store, &booking, movement).await;
        let open = store.open_reversals(10).await.unwrap()[0];
        let over = Overstated {
            delivery: booking.deliveries[0].id,
            destination: META.into(),
            campaign: "summer".into(),
            currency: "USD".parse().unwrap(),
            stated,
            remaining,
        };
        let follows = Follows { overstated: vec![over], ..Follows::default() };
        assert!(store.follow_reversal(open, follows, at(8)).await.unwrap());
        let listed = store.overstated().await.unwrap();
        sums.push(listed.iter().map(|sum| sum.minor).collect::<Vec<_>>());
    }
    assert_eq!(sums, [vec![1234], vec![600], vec![]]);
}
