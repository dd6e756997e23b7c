//! Numbers that a signature may use once: claimed with the booking, seen by everybody after it, forgotten by their age.

use crosstally_core::postback::{Booking, Facts, FactsWanted};
use crosstally_core::verdict::Verdict;
use crosstally_store::{Decide, Store};

use crate::build::{self, ACME};
use crate::stage::Stage;

/// Books a sale under this key, or only a receipt if the number is used up.
async fn send(store: &Store, ms: i64, partner: &str, key: &str, nonce: &str) -> Booking {
    let key = build::key(partner, key);
    let wanted =
        FactsWanted { click: None, key: key.clone(), nonce: Some(nonce.to_owned()), sightings: Vec::new() };
    let sale = Booking { nonce: Some(nonce.to_owned()), ..build::sale(ms, key, &[]) };
    let decide: Decide = Box::new(move |facts: &Facts| match facts.nonce_used_by {
        None => sale.clone(),
        Some(_) => {
            let mut receipt = sale.receipt.clone();
            receipt.verdict = Verdict::Duplicate;
            receipt.conversion = None;
            Booking::receipt_only(receipt)
        }
    });
    store.record_postback(wanted, decide).await.unwrap()
}

pub(crate) async fn a_number_is_used_once_by_a_partner(stage: &Stage) {
    let store = stage.open().await;
    let first = send(&store, 1, ACME, "T1", "msg_1").await;
    assert_eq!(first.receipt.verdict, Verdict::Recorded);
    // Under another key as well, or signed calls could be sent again with what is not signed changed.
    assert_eq!(send(&store, 2, ACME, "T1", "msg_1").await.receipt.verdict, Verdict::Duplicate);
    assert_eq!(send(&store, 3, ACME, "T2", "msg_1").await.receipt.verdict, Verdict::Duplicate);
    assert_eq!(send(&store, 4, ACME, "T2", "msg_2").await.receipt.verdict, Verdict::Recorded);
    assert_eq!(send(&store, 5, "other", "T1", "msg_1").await.receipt.verdict, Verdict::Recorded);
    let user = first.receipt.id;
    let wanted = FactsWanted {
        click: None,
        key: build::key(ACME, "T9"),
        nonce: Some("msg_1".into()),
        sightings: Vec::new(),
    };
    let decide: Decide = Box::new(move |facts| {
        assert_eq!(facts.nonce_used_by, Some(user));
        Booking::receipt_only(build::receipt(6))
    });
    store.record_postback(wanted, decide).await.unwrap();
}

pub(crate) async fn of_a_hundred_at_once_one_is_booked(stage: &Stage) {
    // Through two stores and under keys of their own, so that nothing but the number keeps them apart.
    let (first, second) = (stage.open().await, stage.open().await);
    let mut tasks = Vec::new();
    for ms in 0..100 {
        let store = if ms % 2 == 0 { first.clone() } else { second.clone() };
        tasks.push(tokio::spawn(async move { send(&store, ms, ACME, &format!("T{ms}"), "msg_1").await }));
    }
    let mut booked = 0;
    for task in tasks {
        booked += usize::from(task.await.unwrap().conversion.is_some());
    }
    assert_eq!(booked, 1);
    assert_eq!(first.list_conversions(None, 10).await.unwrap().len(), 1);
}

pub(crate) async fn a_booking_that_fails_leaves_its_number_free(stage: &Stage) {
    let store = stage.open().await;
    let wanted = FactsWanted {
        click: None,
        key: build::key(ACME, "T1"),
        nonce: Some("msg_1".into()),
        sightings: Vec::new(),
    };
    let mut broken = Booking { nonce: Some("msg_1".into()), ..build::sale(1, build::key(ACME, "T1"), &[]) };
    // The movement of a conversion that is not there.
    if let Some(change) = broken.conversion.take() {
        let mut conversion = change.conversion().clone();
        conversion.movements = 2;
        broken.conversion = Some(crosstally_core::postback::ConversionChange::Update(conversion));
    }
    let decide: Decide = Box::new(move |_| broken.clone());
    assert!(store.record_postback(wanted, decide).await.is_err());
    assert_eq!(send(&store, 2, ACME, "T1", "msg_1").await.receipt.verdict, Verdict::Recorded);
}

pub(crate) async fn old_numbers_are_forgotten_and_young_ones_stay(stage: &Stage) {
    let store = stage.open().await;
    for ms in 0..10 {
        send(&store, ms, ACME, &format!("T{ms}"), &format!("msg_{ms}")).await;
    }
    assert_eq!(store.purge_nonces(build::at(6), 4).await.unwrap(), 4, "some at once");
    assert_eq!(store.purge_nonces(build::at(6), 100).await.unwrap(), 2);
    assert_eq!(store.purge_nonces(build::at(6), 100).await.unwrap(), 0);
    assert_eq!(send(&store, 20, ACME, "T20", "msg_6").await.receipt.verdict, Verdict::Duplicate);
    assert_eq!(send(&store, 21, ACME, "T21", "msg_5").await.receipt.verdict, Verdict::Recorded);
    // What a file's row has used up is used up for good.
    let row = send(&store, 10, ACME, "T10", "\nimport_row:5a1f:1").await.receipt.id;
    assert!(store.purge_nonces(build::at(1_000_000), 100).await.unwrap() > 0);
    let used = async |nonce: &str| store.nonce_used_by(ACME.into(), nonce.into()).await.unwrap();
    assert_eq!((used("\nimport_row:5a1f:1").await, used("msg_9").await), (Some(row), None));
}
