//! Erasing: what is left, what is counted, what cannot come back.

use crosstally_core::conversion::Conversion;
use crosstally_core::delivery::job::Word;
use crosstally_core::delivery::{DeliveryState, Outcome};
use crosstally_core::erasure;
use crosstally_core::fx::{Fx, Origin, Source};
use crosstally_core::ids::{ClickId, DeliveryId, ErasureId};
use crosstally_core::postback::{Booking, ConversionChange, Receipt};
use crosstally_core::pricing;
use crosstally_core::reason::Reason;
use crosstally_core::reversal::Follows;
use crosstally_core::route::{GoalEvent, NewDelivery};
use crosstally_core::visit::Step;
use crosstally_store::{
    After, ErasedClick, ErasedConversion, Erasure, JobAnswer, Replay, ReplayAnswer, Settled, Settlement,
    Store,
};
use std::sync::Arc;

use crate::build::{self, META, NASTY, at};
use crate::jobs;
use crate::stage::Stage;

fn request(ms: i64) -> Erasure {
    Erasure {
        id: ErasureId::new(at(ms), [3; 10]),
        at: at(ms),
        author: "ci".into(),
        subject: "click, contact".into(),
        wanted: vec![0, 255, 1],
        done_to: "named:".into(),
        finished_at: None,
        counts: Vec::new(),
    }
}

pub(crate) async fn begun(store: &Store, ms: i64) -> ErasureId {
    let request = request(ms);
    store.begin_erasure(request.clone(), vec![[1; 16]]).await.unwrap();
    request.id
}

pub(crate) async fn counts(store: &Store, id: ErasureId) -> Vec<(String, u64)> {
    store.erasure(id).await.unwrap().unwrap().counts
}

fn count(what: &str, count: u64) -> (String, u64) {
    (what.to_owned(), count)
}

pub(crate) async fn a_request_is_in_one_hand_until_it_is_done(stage: &Stage) {
    let store = stage.open().await;
    for (ms, text) in (0_i64..).zip(NASTY) {
        let nasty = Erasure { author: (*text).into(), subject: (*text).into(), ..request(ms) };
        store.begin_erasure(nasty.clone(), Vec::new()).await.unwrap();
        assert_eq!(store.erasure(nasty.id).await.unwrap(), Some(nasty.clone()));
        store.finish_erasure(nasty.id, at(ms + 1)).await.unwrap();
    }
    let (old, young) = (begun(&store, 100).await, begun(&store, 101).await);
    let take = async |owner: &str, now: i64| {
        let taken = store.take_erasure(owner.to_owned(), at(now), at(now + 60)).await.unwrap();
        taken.map(|erasure| erasure.id)
    };
    assert_eq!(take("a", 200).await, Some(old));
    assert_eq!(take("a", 201).await, Some(old), "who has it goes on");
    assert_eq!(take("b", 202).await, Some(young), "another one takes the next");
    assert_eq!(take("c", 203).await, None);
    assert!(store.advance_erasure(old, "a".into(), "clicks:x".into(), Some(vec![5]), at(300)).await.unwrap());
    assert!(!store.advance_erasure(old, "b".into(), "runs:".into(), None, at(300)).await.unwrap());
    assert!(store.advance_erasure(old, "a".into(), "clicks:x".into(), None, at(300)).await.unwrap());
    let kept = store.erasure(old).await.unwrap().unwrap();
    assert_eq!((kept.done_to.as_str(), kept.wanted), ("clicks:x", vec![5]));
    assert_eq!(take("c", 301).await, Some(old), "what was left behind is taken up");
    store.finish_erasure(old, at(400)).await.unwrap();
    let done = store.erasure(old).await.unwrap().unwrap();
    assert_eq!(
        (done.finished_at, done.wanted),
        (Some(at(400)), Vec::new()),
        "whom it was about is forgotten"
    );
    let listed: Vec<_> = store.list_erasures(None, 2).await.unwrap().iter().map(|row| row.id).collect();
    assert_eq!(listed, [young, old]);
    assert_eq!(store.list_erasures(Some(old), 1).await.unwrap()[0].id, request(4).id);
}

pub(crate) async fn tombstones_are_learned_of_in_their_order_and_stop_spooled_clicks(stage: &Stage) {
    let store = stage.open().await;
    assert_eq!(store.tombstone_version().await.unwrap(), 0);
    store.begin_erasure(request(0), vec![[1; 16], [2; 16]]).await.unwrap();
    let first = store.tombstone_version().await.unwrap();
    store.begin_erasure(request(1), vec![[3; 16], [1; 16], [3; 16]]).await.unwrap();
    let second = store.tombstone_version().await.unwrap();
    assert!(first > 0 && second > first);
    let all = store.tombstones_after(0, 10).await.unwrap();
    let keys: Vec<_> = all.iter().map(|one| (one.key[0], one.version, one.erased_at)).collect();
    assert_eq!(keys, [(2, first, at(0)), (1, second, at(1)), (3, second, at(1))]);
    assert_eq!(store.tombstones_after(first, 10).await.unwrap().len(), 2);
    assert_eq!(store.tombstones_after(0, 1).await.unwrap().len(), 1);
    let (gone, there) = (build::click(5), build::click(6));
    let spooled = vec![(gone.clone(), [3; 16]), (there.clone(), [4; 16])];
    assert_eq!(store.append_spooled_clicks(spooled.clone()).await.unwrap(), 1);
    assert_eq!(store.append_spooled_clicks(spooled).await.unwrap(), 0);
    assert_eq!(store.click(gone.id).await.unwrap(), None);
    assert_eq!(store.click(there.id).await.unwrap(), Some(there));
}

pub(crate) async fn of_a_click_a_rest_stays_under_another_id(stage: &Stage) {
    let store = stage.open().await;
    let erasure = begun(&store, 0).await;
    let (own, other) = (build::click(1), build::click(2));
    for click in [&own, &other] {
        store.append_click(Arc::new(click.clone())).await.unwrap();
        store.add_aliases(vec![(format!("alias-{}", click.id), click.id)], at(3)).await.unwrap();
    }
    let pages: Vec<ClickId> = store.list_clicks(None, 10).await.unwrap().iter().map(|one| one.id).collect();
    assert_eq!(pages, [other.id, own.id]);
    assert_eq!(store.list_clicks(Some(other.id), 10).await.unwrap(), std::slice::from_ref(&own));
    assert_eq!(store.aliases_of_click(own.id).await.unwrap(), [format!("alias-{}", own.id)]);
    let left = erasure::click(&own, build::click_id(1));
    let erased = ErasedClick { id: own.id, left: Some(left.clone()), tombstones: vec![[9; 16]], now: at(9) };
    store.erase_click(erasure, erased.clone()).await.unwrap();
    assert_eq!(store.click(own.id).await.unwrap(), None);
    assert_eq!(store.click(left.id).await.unwrap(), Some(left));
    assert_eq!(store.aliases_of_click(own.id).await.unwrap(), Vec::<String>::new());
    assert_eq!(store.aliases_of_click(other.id).await.unwrap().len(), 1);
    assert_eq!(store.tombstones_after(0, 10).await.unwrap().last().map(|one| one.key), Some([9; 16]));
    let step = |click| Step { click, at: at(5), offer: "shop".into(), instead_of: String::new() };
    store.append_step(step(own.id), [9; 16]).await.unwrap();
    store.append_step(step(other.id), [7; 16]).await.unwrap();
    assert_eq!(store.steps(own.id, 10).await.unwrap(), [], "a step that comes late is not stored");
    assert_eq!(store.steps(other.id, 10).await.unwrap().len(), 1);
    // Done once more after a crash it finds nothing.
    store.erase_click(erasure, ErasedClick { left: None, ..erased }).await.unwrap();
    assert_eq!(counts(&store, erasure).await, [count("aliases", 1), count("clicks", 1)]);
}

pub(crate) async fn of_a_sale_the_money_stays_and_what_was_to_be_sent_is_cancelled(stage: &Stage) {
    let store = stage.open().await;
    let erasure = begun(&store, 0).await;
    let sale = build::sale(1, build::key("acme", "t:1"), &[META, "other"]);
    let neighbour = build::sale(2, build::key("acme", "t:2"), &[META]);
    build::book(&store, &sale).await;
    build::book(&store, &neighbour).await;
    let before = store.conversion(sale.receipt.conversion.unwrap()).await.unwrap().unwrap();
    let entries = store.entries(before.id).await.unwrap();
    let balance = store.count_receipts().await.unwrap();
    let events = store.goal_events_of_conversion(before.id).await.unwrap();
    let events = events.iter().map(|event| (event.id, erasure::event(event.id, &event.event))).collect();
    let left = erasure::conversion(before.clone());
    let erased = ErasedConversion { left: left.clone(), events, tombstones: vec![[8; 16]], now: at(50) };
    assert!(store.erase_conversion(erasure, erased).await.unwrap());
    let receipt = store.receipt(sale.receipt.id).await.unwrap().unwrap();
    let gone = erasure::receipt(receipt);
    store.erase_receipts(erasure, vec![gone.clone()]).await.unwrap();
    assert_eq!(store.receipt(gone.id).await.unwrap(), Some(gone));
    assert_eq!(store.conversion(before.id).await.unwrap(), Some(left));
    assert_eq!(store.conversion_of_key(before.key).await.unwrap(), None);
    for (was, is) in entries.iter().zip(store.entries(before.id).await.unwrap()) {
        assert_eq!((is.confirmed_delta, is.amounts), (was.confirmed_delta, was.amounts), "the money stays");
        assert_eq!(is.click, None);
    }
    for event in store.goal_events_of_conversion(before.id).await.unwrap() {
        assert!(event.event.origin.erased);
    }
    for delivery in store.deliveries_of_conversion(before.id).await.unwrap() {
        assert_eq!((delivery.state, delivery.reason), (DeliveryState::Cancelled, Some(Reason::Erased)));
    }
    assert_eq!(store.count_receipts().await.unwrap(), balance);
    let mut standing: Vec<_> = store
        .count_deliveries()
        .await
        .unwrap()
        .into_iter()
        .filter(|count| count.count > 0)
        .map(|count| (count.destination, count.state, count.count))
        .collect();
    standing.sort_by_key(|(destination, state, _)| (destination.clone(), state.as_str()));
    assert_eq!(
        standing,
        [
            (META.to_owned(), DeliveryState::Cancelled, 1),
            (META.to_owned(), DeliveryState::Pending, 1),
            ("other".to_owned(), DeliveryState::Cancelled, 1),
        ]
    );
    let counted = counts(&store, erasure).await;
    for wanted in [count("conversions", 1), count("deliveries_cancelled", 2), count("receipts", 1)] {
        assert!(counted.contains(&wanted), "{wanted:?}: {counted:?}");
    }
    let other = store.conversion(neighbour.receipt.conversion.unwrap()).await.unwrap().unwrap();
    assert!(!other.labels.contains(&"erased".to_owned()));
}

/// What a request knows of a sale that it is about to erase.
pub(crate) async fn known(store: &Store, sale: &Booking) -> (ErasedConversion, Receipt) {
    let conversion = store.conversion(sale.receipt.conversion.unwrap()).await.unwrap().unwrap();
    let events = store.goal_events_of_conversion(conversion.id).await.unwrap();
    let events = events.iter().map(|event| (event.id, erasure::event(event.id, &event.event))).collect();
    let left = erasure::conversion(conversion);
    let receipt = store.receipt(sale.receipt.id).await.unwrap().unwrap();
    (ErasedConversion { left, events, tombstones: vec![[8; 16]], now: at(50) }, erasure::receipt(receipt))
}

pub(crate) async fn two_requests_at_once_leave_one_rest_and_count_once(stage: &Stage) {
    let store = stage.open().await;
    let (first, second) = (begun(&store, 0).await, begun(&store, 1).await);
    let click = build::click(1);
    store.append_click(Arc::new(click.clone())).await.unwrap();
    let sale = build::sale(2, build::key("acme", "t:1"), &[META]);
    build::book(&store, &sale).await;
    // Both have looked before either erases.
    let (conversion, receipt) = known(&store, &sale).await;
    for (request, ms) in [(first, 10), (second, 11)] {
        let left = Some(erasure::click(&click, build::click_id(ms)));
        let erased = ErasedClick { id: click.id, left, tombstones: vec![[9; 16]], now: at(ms) };
        store.erase_click(request, erased).await.unwrap();
        store.erase_receipts(request, vec![receipt.clone()]).await.unwrap();
        assert!(store.erase_conversion(request, conversion.clone()).await.unwrap());
    }
    assert_eq!(
        store.list_clicks(None, 10).await.unwrap().len(),
        1,
        "a click is counted once, and costs once"
    );
    let counted = counts(&store, first).await;
    for wanted in ["clicks", "conversions", "receipts", "events", "deliveries"] {
        assert!(counted.contains(&count(wanted, 1)), "{wanted}: {counted:?}");
    }
    assert_eq!(counts(&store, second).await, [], "it has erased nothing");
}

pub(crate) async fn what_had_arrived_is_not_told_as_cancelled(stage: &Stage) {
    let store = stage.open().await;
    let request = begun(&store, 0).await;
    let sale = build::sale(1, build::key("acme", "t:1"), &[META]);
    build::book(&store, &sale).await;
    build::work(&store, 300, Outcome::Delivered, After::Delivered).await;
    let delivery = sale.deliveries[0].id;
    let again = jobs::job(jobs::filter(&[Word::Delivered]), None);
    store.begin_job(again.clone(), None).await.unwrap();
    let done = store.advance_job(jobs::step(&again, jobs::START, &[delivery], true)).await.unwrap();
    assert_eq!(done, JobAnswer::Done { requeued: 1, skipped: 0 });
    let (conversion, _) = known(&store, &sale).await;
    assert!(store.erase_conversion(request, conversion).await.unwrap());
    let left = store.delivery(delivery).await.unwrap().unwrap();
    assert_eq!((left.state, left.reason), (DeliveryState::Delivered, Some(Reason::FirstDeliveryStands)));
    let counted = counts(&store, request).await;
    assert!(counted.contains(&count("conversions", 1)), "{counted:?}");
    let ended = |what: &str| counted.iter().any(|(counted, _)| counted == what);
    assert!(!ended("deliveries_cancelled") && !ended("dead_letters"), "{counted:?}");
}

/// A receipt that is read again, as it is decided from how it stood.
fn replay(before: &Receipt, booking: Booking, repair: &str) -> Replay {
    Replay {
        before: before.clone(),
        booking,
        taken_out: None,
        bereft: Vec::new(),
        at: at(60),
        cause: "repair".into(),
        author: "ann".into(),
        repair: repair.into(),
    }
}

pub(crate) async fn what_was_repaired_goes_with_its_call(stage: &Stage) {
    let store = stage.open().await;
    let request = begun(&store, 0).await;
    // Nothing could be read of it when it came.
    let stopped = Receipt { read: Arc::default(), detail: "status".into(), ..build::receipt(1) };
    store.record_receipt(stopped.clone()).await.unwrap();
    let booking = Booking::receipt_only(Receipt { revision: 1, ..stopped.clone() });
    let repair = r#"{"set":{"external_id":"4711"}}"#;
    let answer = store.record_replay(replay(&stopped, booking, repair)).await.unwrap();
    assert_eq!(answer, ReplayAnswer::Done);
    assert_eq!(store.revisions(stopped.id).await.unwrap()[0].repair, repair);
    store.erase_receipts(request, vec![erasure::receipt(stopped.clone())]).await.unwrap();
    let left = store.revisions(stopped.id).await.unwrap().remove(0);
    assert_eq!((left.repair.as_str(), left.detail.as_str(), left.author.as_str()), ("", "", "ann"));
    assert!(counts(&store, request).await.contains(&count("revisions", 1)));
}

pub(crate) async fn what_is_under_way_brings_nothing_back(stage: &Stage) {
    let store = stage.open().await;
    let request = begun(&store, 0).await;
    let before = build::receipt(1);
    store.record_receipt(before.clone()).await.unwrap();
    let gone = erasure::receipt(before.clone());
    // A replay has decided before the erasure came to its receipt, and is stored after.
    store.erase_receipts(request, vec![gone.clone()]).await.unwrap();
    let mut booking = build::sale(2, build::key("acme", "t:2"), &[META]);
    booking.receipt = Receipt { conversion: booking.receipt.conversion, ..before.clone() };
    let answer = store.record_replay(replay(&before, booking, "")).await.unwrap();
    assert_eq!(answer, ReplayAnswer::Moved);
    assert_eq!(store.receipt(gone.id).await.unwrap(), Some(gone));
    assert_eq!(store.conversion_of_key(build::key("acme", "t:2")).await.unwrap(), None);
    // The same of a rate: the movement would name the click again.
    let mut sale = build::sale(3, build::key("acme", "t:3"), &[]);
    let Some(ConversionChange::Insert(conversion)) = &mut sale.conversion else { panic!("a sale is new") };
    conversion.click = Some(build::click_id(3));
    build::book(&store, &sale).await;
    let (erased, _) = known(&store, &sale).await;
    let found = store.conversion(erased.left.id).await.unwrap().unwrap();
    let fx = Fx {
        base: build::usd(),
        rate: "2".parse().unwrap(),
        date: "2026-11-20".parse().unwrap(),
        source: Origin::One(Source::Set),
    };
    let rated = pricing::rate(&found, fx, sale.receipt.id, at(70)).unwrap();
    assert!(store.erase_conversion(request, erased).await.unwrap());
    assert_eq!(store.book_rates(vec![rated]).await.unwrap(), []);
    assert!(store.entries(found.id).await.unwrap().iter().all(|entry| entry.click.is_none()));
    let left = store.conversion(found.id).await.unwrap().unwrap();
    let rated = pricing::rate(&left, fx, sale.receipt.id, at(71)).unwrap();
    assert_eq!(store.book_rates(vec![rated]).await.unwrap(), [found.id], "what is left is rated");
}

/// A further movement of a sale, as a call or a replay decides it over how it stands: with all that it knows of the person.
fn moved_on(before: &Conversion) -> Booking {
    let mut moved = build::sale(4, before.key.clone(), &[META]);
    let mut after = Conversion {
        movements: before.movements + 1,
        external_id: Some("markerUser".into()),
        ..before.clone()
    };
    after.goals_met.extend(moved.conversion.iter().flat_map(|new| new.conversion().goals_met.clone()));
    if let Some(entry) = &mut moved.entry {
        (entry.conversion, entry.sequence) = (after.id, after.movements);
    }
    for event in &mut moved.goal_events {
        (event.conversion, event.sequence) = (after.id, after.movements);
    }
    for delivery in &mut moved.deliveries {
        delivery.conversion = after.id;
    }
    moved.receipt.conversion = Some(after.id);
    moved.conversion = Some(ConversionChange::Update(after));
    moved
}

pub(crate) async fn a_replay_finds_an_erased_sale_moved(stage: &Stage) {
    let store = stage.open().await;
    let request = begun(&store, 0).await;
    let sale = build::sale(1, build::key("acme", "t:1"), &[META]);
    build::book(&store, &sale).await;
    // It names nobody, so that the erasure leaves it as it is.
    let receipt = build::receipt(4);
    store.record_receipt(receipt.clone()).await.unwrap();
    let (erased, _) = known(&store, &sale).await;
    let before = store.conversion(erased.left.id).await.unwrap().unwrap();
    let mut booking = moved_on(&before);
    booking.receipt = Receipt { conversion: booking.receipt.conversion, revision: 1, ..receipt.clone() };
    assert!(store.erase_conversion(request, erased.clone()).await.unwrap());
    let answer = store.record_replay(replay(&receipt, booking, "")).await.unwrap();
    assert_eq!(answer, ReplayAnswer::Moved);
    assert_eq!(store.conversion(before.id).await.unwrap(), Some(erased.left));
    assert_eq!(store.receipt(receipt.id).await.unwrap(), Some(receipt));
}

pub(crate) async fn a_sale_that_moves_while_it_is_erased_is_read_again(stage: &Stage) {
    let store = stage.open().await;
    let request = begun(&store, 0).await;
    let sale = build::sale(1, build::key("acme", "t:1"), &[META]);
    build::book(&store, &sale).await;
    let (early, _) = known(&store, &sale).await;
    let before = store.conversion(early.left.id).await.unwrap().unwrap();
    build::book(&store, &moved_on(&before)).await;
    let stands = store.conversion(before.id).await.unwrap().unwrap();
    assert_eq!(stands.movements, 2);
    assert!(!store.erase_conversion(request, early).await.unwrap());
    assert_eq!(store.conversion(before.id).await.unwrap(), Some(stands), "nothing of it is erased alone");
    assert_eq!(counts(&store, request).await, []);
    let (late, _) = known(&store, &sale).await;
    assert!(store.erase_conversion(request, late.clone()).await.unwrap());
    assert_eq!(store.conversion(before.id).await.unwrap(), Some(late.left.clone()));
    let events = store.goal_events_of_conversion(before.id).await.unwrap();
    assert!(events.len() == 2 && events.iter().all(|event| event.event.origin.erased), "{events:?}");
    for delivery in store.deliveries_of_conversion(before.id).await.unwrap() {
        assert_eq!(delivery.state, DeliveryState::Cancelled);
    }
    assert!(store.erase_conversion(request, late).await.unwrap(), "done once more it finds it done");
    assert!(counts(&store, request).await.contains(&count("conversions", 1)));
}

pub(crate) async fn a_sale_that_is_adjusted_while_it_is_erased_is_read_again(stage: &Stage) {
    let store = stage.open().await;
    let request = begun(&store, 0).await;
    let mut sale = build::sale(1, build::key("acme", "t:1"), &[META]);
    sale.reverses = true;
    build::book(&store, &sale).await;
    let (early, _) = known(&store, &sale).await;
    // Its event once more, with all that it knows of the person, and no movement.
    let open = store.open_reversals(10).await.unwrap()[0];
    let event = GoalEvent { id: build::goal_event_id(7), ..sale.goal_events[0].clone() };
    let delivery = NewDelivery {
        id: DeliveryId::of(event.id, 0),
        goal_event: event.id,
        ..build::delivery(7, &event, META)
    };
    let follows = Follows { events: vec![event], deliveries: vec![delivery], overstated: Vec::new() };
    assert!(store.follow_reversal(open, follows, at(8)).await.unwrap());
    let stands = store.conversion(early.left.id).await.unwrap();
    assert!(!store.erase_conversion(request, early.clone()).await.unwrap());
    assert_eq!(store.conversion(early.left.id).await.unwrap(), stands, "nothing of it is erased alone");
    assert_eq!(counts(&store, request).await, []);
    let (late, _) = known(&store, &sale).await;
    assert!(store.erase_conversion(request, late).await.unwrap());
    let events = store.goal_events_of_conversion(early.left.id).await.unwrap();
    assert!(events.len() == 2 && events.iter().all(|event| event.event.origin.erased), "{events:?}");
    for delivery in store.deliveries_of_conversion(early.left.id).await.unwrap() {
        assert_eq!(delivery.state, DeliveryState::Cancelled);
    }
    assert!(store.erase_conversion(request, early).await.unwrap(), "done once more it finds it done");
}

pub(crate) async fn an_answer_that_comes_after_is_not_kept(stage: &Stage) {
    let store = stage.open().await;
    let request = begun(&store, 0).await;
    let sale = build::sale(2, build::key("acme", "t:1"), &[META]);
    build::book(&store, &sale).await;
    let held = build::held(&store.lease_deliveries(build::wanted(META, 10)).await.unwrap());
    let call = build::new_call(11, &held);
    let id = call.id;
    assert_eq!(store.open_call(call).await.unwrap(), held);
    let (erased, _) = known(&store, &sale).await;
    assert!(store.erase_conversion(request, erased).await.unwrap());
    let settlement = Settlement {
        held: held[0],
        outcome: Outcome::Delivered,
        after: After::Delivered,
        reason: Reason::Delivered,
        last_at: None,
    };
    let settled = store.settle_call(build::result(id, 60), vec![settlement], None).await.unwrap();
    assert_eq!(settled, Settled { applied: 0, stale: 1 });
    let attempt = store.attempts(held[0].id).await.unwrap().remove(0);
    assert_eq!((attempt.status, attempt.response.as_str(), attempt.detail.as_str()), (Some(200), "", ""));
    assert_eq!((attempt.payload.as_str(), attempt.url.as_str()), ("", ""));
}
