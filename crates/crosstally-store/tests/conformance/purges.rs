//! Purges: what is over goes in its order, what is young stays, and how far it is comes back.

use std::sync::Arc;

use crosstally_core::delivery::Outcome;
use crosstally_core::postback::{Awaited, Booking, Receipt};
use crosstally_core::retention::{self, Class};
use crosstally_store::{After, PurgePlace, PurgeStep, Purged, PutOff, Replay, ReplayAnswer, Store};

use crate::build::{self, at};
use crate::stage::Stage;

fn step(class: Class, place: PurgePlace, from: [u8; 16], before: i64, limit: u32) -> PurgeStep {
    PurgeStep { class, place, from, before: at(before), limit, without: retention::without, now: at(9_000) }
}

async fn addresses(store: &Store) -> Vec<bool> {
    store.list_clicks(None, 10).await.unwrap().iter().rev().map(|click| click.ip.is_some()).collect()
}

pub(crate) async fn clicks_lose_their_addresses_oldest_first(stage: &Stage) {
    let store = stage.open().await;
    for ms in 0..5 {
        store.append_click(Arc::new(build::click(ms))).await.unwrap();
    }
    let purge = async |from, before, limit| -> Purged {
        store.purge(step(Class::Ip, PurgePlace::Clicks, from, before, limit)).await.unwrap()
    };
    let first = purge([0; 16], 3, 2).await;
    assert_eq!((first.rows, first.last), (2, false));
    assert_eq!(addresses(&store).await, [false, false, true, true, true]);
    // Killed before it was told, it does the same again and nothing else.
    let again = purge([0; 16], 3, 2).await;
    assert_eq!((again.rows, again.done_to), (0, first.done_to));
    let second = purge(first.done_to, 3, 2).await;
    assert_eq!((second.rows, second.last), (1, true));
    assert_eq!(addresses(&store).await, [false, false, false, true, true], "the young stay");
    let marks = store.purge_marks().await.unwrap();
    assert_eq!(marks.len(), 1);
    assert_eq!((marks[0].class.as_str(), marks[0].place.as_str()), ("ip", "clicks"));
    assert_eq!((marks[0].done_to, marks[0].purged), (second.done_to, 3));
    let agents = purge(second.done_to, 5, 10).await;
    assert_eq!((agents.rows, agents.last), (2, true));
    assert!(store.list_clicks(None, 10).await.unwrap().iter().all(|click| !click.user_agent.is_empty()));
}

pub(crate) async fn receipts_events_and_calls_lose_what_is_over(stage: &Stage) {
    let store = stage.open().await;
    let (mut old, mut young) = (
        build::sale(1, build::key("acme", "t:1"), &[build::META]),
        build::sale(500, build::key("acme", "t:2"), &[build::META]),
    );
    for sale in [&mut old, &mut young] {
        sale.goal_events[0].event.visitor.client_ip_address = Some("192.0.2.7".into());
    }
    build::book(&store, &old).await;
    build::book(&store, &young).await;
    assert_eq!(build::work(&store, 300, Outcome::Delivered, After::Delivered).await.applied, 1);
    // Booked long ago, and held back until now.
    let held_back = build::sale(2, build::key("acme", "t:3"), &[build::META]);
    build::book(&store, &held_back).await;
    assert_eq!(build::work(&store, 600, Outcome::Delivered, After::Delivered).await.applied, 2);
    let before = store.count_receipts().await.unwrap();
    for (class, place) in [
        (Class::Raw, PurgePlace::Receipts),
        (Class::Ip, PurgePlace::Receipts),
        (Class::UserAgent, PurgePlace::Receipts),
        (Class::Ip, PurgePlace::Events),
        (Class::Raw, PurgePlace::Attempts),
        (Class::Raw, PurgePlace::Calls),
        (Class::Ip, PurgePlace::Attempts),
    ] {
        let done = store.purge(step(class, place, [0; 16], 400, 10)).await.unwrap();
        assert!(done.last, "{class:?} {place:?}");
        let again = store.purge(step(class, place, [0; 16], 400, 10)).await.unwrap();
        assert_eq!(again.rows, 0, "{class:?} {place:?}");
    }
    let (gone, there) = (old.receipt.clone(), young.receipt.clone());
    let left = store.receipt(gone.id).await.unwrap().unwrap();
    assert!(left.query.is_empty() && left.body.is_empty() && left.sealed.is_none());
    assert!(left.peer.is_empty() && left.user_agent.is_empty());
    let labels: Vec<String> = gone.labels.iter().cloned().chain(["purged".to_owned()]).collect();
    assert_eq!((left.labels, left.verdict, left.contact), (labels, gone.verdict, gone.contact));
    assert_eq!(store.receipt(there.id).await.unwrap(), Some(there));
    assert_eq!(store.count_receipts().await.unwrap(), before);
    for (sale, kept) in [(&old, false), (&young, true)] {
        let conversion = sale.receipt.conversion.unwrap();
        let event = &store.goal_events_of_conversion(conversion).await.unwrap()[0].event;
        assert_eq!(event.visitor.client_ip_address.is_some(), kept);
        assert_eq!(has_payload(&store, sale).await, kept, "{kept}");
    }
    assert!(has_payload(&store, &held_back).await, "an attempt is as old as its call");
    let marks = store.purge_marks().await.unwrap();
    let from = marks.iter().find(|mark| mark.place == "attempts" && mark.class == "raw").unwrap().done_to;
    let later = store.purge(step(Class::Raw, PurgePlace::Attempts, from, 700, 10)).await.unwrap();
    assert_eq!((later.rows, later.last), (2, true));
    assert!(!has_payload(&store, &held_back).await && !has_payload(&store, &young).await);
}

pub(crate) async fn a_call_that_was_never_settled_loses_its_url_too(stage: &Stage) {
    let store = stage.open().await;
    let sale = build::sale(1, build::key("acme", "t:1"), &[build::META]);
    build::book(&store, &sale).await;
    let held = build::held(&store.lease_deliveries(build::wanted(build::META, 300)).await.unwrap());
    assert_eq!(store.open_call(build::new_call(300, &held)).await.unwrap(), held);
    let url = async || store.attempts(held[0].id).await.unwrap().remove(0).url;
    assert!(!url().await.is_empty());
    let done = store.purge(step(Class::Raw, PurgePlace::Calls, [0; 16], 400, 10)).await.unwrap();
    assert_eq!((done.rows, done.last, url().await.as_str()), (1, true, ""));
}

async fn has_payload(store: &Store, sale: &Booking) -> bool {
    let conversion = sale.receipt.conversion.unwrap();
    let delivery = store.deliveries_of_conversion(conversion).await.unwrap().remove(0);
    !store.attempts(delivery.id).await.unwrap().remove(0).payload.is_empty()
}

pub(crate) async fn what_waits_no_more_is_emptied_if_its_time_is_over(stage: &Stage) {
    let store = stage.open().await;
    let receipts: Vec<Receipt> = (1..=4)
        .map(|ms| Receipt { awaits: Some(Awaited::Alias("foreign".into())), ..build::receipt(ms) })
        .collect();
    for receipt in &receipts {
        store.record_receipt(receipt.clone()).await.unwrap();
    }
    let [given_up, booked, waits, young] = &receipts[..] else { panic!("four") };
    let border = young.received_at.millis_since(at(0));
    store.purge(step(Class::Raw, PurgePlace::Receipts, [0; 16], border, 10)).await.unwrap();
    let is_kept = async |id| !store.receipt(id).await.unwrap().unwrap().query.is_empty();
    for receipt in &receipts {
        assert!(is_kept(receipt.id).await);
    }
    let awaited = Awaited::Alias("foreign".into()).to_string();
    let put_off = |receipt: &Receipt, next| PutOff { receipt: receipt.id, awaited: awaited.clone(), next };
    let later = Some(at(900));
    let waits_on = vec![put_off(given_up, None), put_off(waits, later), put_off(young, None)];
    store.put_off_waits(waits_on).await.unwrap();
    let after = Receipt { revision: 1, awaits: None, ..booked.clone() };
    let replay = Replay {
        before: booked.clone(),
        booking: Booking::receipt_only(after),
        taken_out: None,
        bereft: Vec::new(),
        at: at(60),
        cause: "alias".into(),
        author: String::new(),
        repair: String::new(),
    };
    assert_eq!(store.record_replay(replay).await.unwrap(), ReplayAnswer::Done);
    for (receipt, keeps) in [(given_up, false), (booked, false), (waits, true), (young, true)] {
        assert_eq!(is_kept(receipt.id).await, keeps, "{:?}", receipt.id);
        let found = store.receipt(receipt.id).await.unwrap().unwrap();
        assert_eq!(found.labels.contains(&"purged".to_owned()), !keeps);
        assert!(keeps || found.body.is_empty() && found.sealed.is_none());
    }
}

pub(crate) async fn what_waits_keeps_its_call_until_it_has_waited(stage: &Stage) {
    let store = stage.open().await;
    let (mut waits, other) = (build::receipt(1), build::receipt(2));
    waits.awaits = Some(Awaited::Alias("foreign".into()));
    for receipt in [&waits, &other] {
        store.record_receipt(receipt.clone()).await.unwrap();
    }
    let is_kept = async |id| !store.receipt(id).await.unwrap().unwrap().query.is_empty();
    assert!(is_kept(waits.id).await);
    let done = store.purge(step(Class::Raw, PurgePlace::Receipts, [0; 16], 400, 10)).await.unwrap();
    assert_eq!((done.rows, done.last), (1, true));
    assert!(is_kept(waits.id).await && !is_kept(other.id).await);
    let done = store.purge(step(Class::Raw, PurgePlace::Waited, [0; 16], 400, 10)).await.unwrap();
    assert_eq!((done.rows, done.last), (1, true));
    assert!(!is_kept(waits.id).await);
}
