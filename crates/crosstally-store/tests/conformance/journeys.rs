//! The calls of a partner that decided about a conversion.

use crosstally_core::ids::{ConversionId, ReceiptId};
use crosstally_core::ledger::{Balance, EntryKind, Status};
use crosstally_core::postback::{Booking, ConversionChange};
use crosstally_core::time::HOUR_MS;
use crosstally_core::verdict::Verdict;
use crosstally_store::{DecidingCall, Store};

use crate::build::{self, ACME, at};
use crate::stage::Stage;

/// A sale of this status; its conversion.
async fn sold(
    store: &Store,
    ms: i64,
    partner: &str,
    status: Status,
    labels: &[&str],
) -> (ConversionId, ReceiptId) {
    let mut booking = build::sale(ms, build::key(partner, &build::unique_name()), &[]);
    booking.goal_events.clear();
    let receipt = booking.receipt.id;
    booking.relabelled = !labels.is_empty();
    let Some(ConversionChange::Insert(conversion)) = &mut booking.conversion else { unreachable!() };
    conversion.status = status;
    conversion.labels = labels.iter().map(|&label| label.to_owned()).collect();
    let id = conversion.id;
    booking.entry = Some(build::entry(conversion, receipt, Balance::default()));
    build::book(store, &booking).await;
    (id, receipt)
}

/// The same conversion moves on.
async fn moved(store: &Store, ms: i64, id: ConversionId, status: Status, kind: EntryKind) -> ReceiptId {
    let mut conversion = store.conversion(id).await.unwrap().unwrap();
    conversion.status = status;
    conversion.movements += 1;
    conversion.updated_at = at(ms);
    let mut receipt = build::receipt(ms);
    receipt.partner.clone_from(&conversion.key.partner);
    receipt.verdict = Verdict::Updated;
    receipt.conversion = Some(id);
    receipt.sequence = Some(conversion.movements);
    let mut entry = build::entry(&conversion, receipt.id, conversion.balance);
    entry.kind = kind;
    let booking = Booking {
        entry: Some(entry),
        conversion: Some(ConversionChange::Update(conversion)),
        goal_events: Vec::new(),
        deliveries: Vec::new(),
        nonce: None,
        sightings: Vec::new(),
        relabelled: false,
        reverses: false,
        receipt,
    };
    build::book(store, &booking).await;
    booking.receipt.id
}

pub(crate) async fn deciding_calls_come_with_what_was_before(stage: &Stage) {
    use Status::{Approved, Hold, Lead, Rejected, Reversed};
    let store = stage.open().await;
    let (at_once, own) = sold(&store, 0, ACME, Approved, &["erased"]).await;
    let (lead, first) = sold(&store, 1, ACME, Lead, &[]).await;
    let (others, _) = sold(&store, 2, "other", Lead, &[]).await;
    moved(&store, 3, others, Rejected, EntryKind::Call).await;
    moved(&store, 4, lead, Hold, EntryKind::Call).await;
    let approved = moved(&store, 5, lead, Approved, EntryKind::Call).await;
    let reversed = moved(&store, 6, lead, Reversed, EntryKind::Replay).await;
    // A rate, and a call that is a repeat: nobody decided anything.
    moved(&store, 7, lead, Reversed, EntryKind::Rate).await;
    let mut repeat = build::receipt(8);
    (repeat.verdict, repeat.conversion, repeat.sequence) = (Verdict::Duplicate, Some(at_once), Some(1));
    store.record_receipt(repeat).await.unwrap();
    let call = |receipt, conversion, first, status, before, labels: &[&str]| DecidingCall {
        receipt,
        conversion,
        first,
        status,
        before,
        labels: labels.iter().map(|&label| label.to_owned()).collect(),
    };
    let expected = [
        call(own, at_once, own, Approved, None, &["erased"]),
        call(approved, lead, first, Approved, Some(Hold), &[]),
        call(reversed, lead, first, Reversed, Some(Approved), &[]),
    ];
    let all = store.deciding_calls(ACME.into(), (at(0), at(9)), None, 100).await.unwrap();
    assert_eq!((&all.rows[..], all.looked_at, all.next), (&expected[..], 7, None));
    let others = store.deciding_calls("other".into(), (at(0), at(9)), None, 100).await.unwrap();
    assert_eq!((others.rows.len(), others.looked_at), (1, 2));
    let edges = store.deciding_calls(ACME.into(), (at(5), at(6)), None, 100).await.unwrap();
    assert_eq!((&edges.rows[..], edges.looked_at), (&expected[1..2], 1), "the end is not in it");
}

pub(crate) async fn calls_are_looked_at_page_by_page_and_counted(stage: &Stage) {
    let store = stage.open().await;
    let mut receipts = Vec::new();
    for ms in 0..7 {
        receipts.push(sold(&store, ms, ACME, Status::Approved, &[]).await.1);
        sold(&store, ms, "other", Status::Approved, &[]).await;
    }
    let (mut found, mut looked_at, mut from) = (Vec::new(), 0, None);
    loop {
        let page = store.deciding_calls(ACME.into(), (at(0), at(6)), from, 2).await.unwrap();
        assert!(page.looked_at <= 2);
        looked_at += page.looked_at;
        found.extend(page.rows.iter().map(|call| call.receipt));
        from = page.next;
        if from.is_none() {
            break;
        }
    }
    assert_eq!((&found[..], looked_at), (&receipts[..6], 6));
    sold(&store, HOUR_MS, ACME, Status::Approved, &[]).await;
    for (span, expected) in [((0, 1), 7), ((0, 2), 8), ((1, 2), 1), ((2, 9), 0)] {
        let hours = (at(span.0 * HOUR_MS), at(span.1 * HOUR_MS));
        assert_eq!(store.count_calls_of(ACME.into(), hours).await.unwrap(), expected, "{span:?}");
    }
    assert_eq!(store.count_calls_of("nobody".into(), (at(0), at(HOUR_MS))).await.unwrap(), 0);
}
