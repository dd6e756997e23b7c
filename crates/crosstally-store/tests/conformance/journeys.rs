//! The calls of a partner that decided about a conversion.

use crosstally_core::ids::{ConversionId, ReceiptId};
use crosstally_core::ledger::{Balance, EntryKind, Status};
use crosstally_core::postback::{Booking, ConversionChange, Receipt};
use crosstally_core::time::HOUR_MS;
use crosstally_core::verdict::Verdict;
use crosstally_store::{DecidingCall, Replay, ReplayAnswer, Store};

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
    let conversion = Some(ConversionChange::Update(conversion));
    let booking = Booking { entry: Some(entry), conversion, ..Booking::receipt_only(receipt) };
    build::book(store, &booking).await;
    booking.receipt.id
}

/// A receipt is read again, which leads its conversion here.
async fn read_again(store: &Store, ms: i64, receipt: ReceiptId, status: Status) {
    let before = store.receipt(receipt).await.unwrap().unwrap();
    let mut conversion = store.conversion(before.conversion.unwrap()).await.unwrap().unwrap();
    conversion.status = status;
    conversion.movements += 1;
    conversion.updated_at = at(ms);
    let (revision, sequence) = (before.revision + 1, Some(conversion.movements));
    let mut entry = build::entry(&conversion, receipt, conversion.balance);
    entry.kind = EntryKind::Replay;
    let conversion = Some(ConversionChange::Update(conversion));
    let after = Receipt { revision, sequence, ..before.clone() };
    let replay = Replay {
        before,
        booking: Booking { entry: Some(entry), conversion, ..Booking::receipt_only(after) },
        taken_out: None,
        bereft: Vec::new(),
        at: at(ms),
        cause: "replay".into(),
        author: "ann".into(),
        repair: String::new(),
    };
    assert_eq!(store.record_replay(replay).await.unwrap(), ReplayAnswer::Done);
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
    // A rate, and a call that is a repeat, which booked nothing: nobody decided anything.
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
    assert_eq!((&all.rows[..], all.looked_at, all.next), (&expected[..], 6, None));
    let others = store.deciding_calls("other".into(), (at(0), at(9)), None, 100).await.unwrap();
    assert_eq!((others.rows.len(), others.looked_at), (1, 2));
    let edges = store.deciding_calls(ACME.into(), (at(5), at(6)), None, 100).await.unwrap();
    assert_eq!((&edges.rows[..], edges.looked_at), (&expected[1..2], 1), "the end is not in it");
}

pub(crate) async fn a_call_that_was_read_again_decided_what_it_came_to(stage: &Stage) {
    use Status::{Approved, Lead, Rejected};
    let store = stage.open().await;
    // Another amount, twice, of the first call as well: what was decided stands.
    let (priced, first) = sold(&store, 0, ACME, Lead, &[]).await;
    let approved = moved(&store, 1, priced, Approved, EntryKind::Call).await;
    for (ms, receipt) in [(10, approved), (11, first), (12, approved)] {
        read_again(&store, ms, receipt, Approved).await;
    }
    // A word that was mapped wrongly: the partner rejected, and nobody approved.
    let (misread, opened) = sold(&store, 2, ACME, Lead, &[]).await;
    let refused = moved(&store, 3, misread, Approved, EntryKind::Call).await;
    read_again(&store, 13, refused, Rejected).await;
    // The same, and it decided nothing at all.
    let (open, _) = sold(&store, 4, ACME, Lead, &[]).await;
    let undone = moved(&store, 5, open, Approved, EntryKind::Call).await;
    read_again(&store, 14, undone, Lead).await;
    let expected = [
        (approved, priced, first, Approved, Some(Lead)),
        (refused, misread, opened, Rejected, Some(Approved)),
    ];
    let told = |call: &DecidingCall| (call.receipt, call.conversion, call.first, call.status, call.before);
    let all = store.deciding_calls(ACME.into(), (at(0), at(9)), None, 100).await.unwrap();
    let found: Vec<_> = all.rows.iter().map(told).collect();
    assert_eq!((&found[..], all.looked_at, all.next), (&expected[..], 6, None));
    // However many movements a call has, it is one call of a page.
    let (mut found, mut looked_at, mut from) = (Vec::new(), 0, None);
    for _ in 0..3 {
        let page = store.deciding_calls(ACME.into(), (at(0), at(9)), from, 2).await.unwrap();
        assert_eq!(page.looked_at, 2);
        looked_at += page.looked_at;
        found.extend(page.rows.iter().map(told));
        from = page.next;
    }
    assert_eq!((&found[..], looked_at), (&expected[..], 6));
}

pub(crate) async fn calls_that_booked_nothing_are_not_looked_at(stage: &Stage) {
    let store = stage.open().await;
    // Anybody can make calls with a wrong token: they must take nobody's place.
    for verdict in [Verdict::Refused, Verdict::Quarantined, Verdict::Duplicate, Verdict::Test] {
        for ms in 0..5 {
            let mut stranger = build::receipt(ms);
            (stranger.partner, stranger.verdict) = (ACME.into(), verdict);
            store.record_receipt(stranger).await.unwrap();
        }
    }
    let (_, own) = sold(&store, 6, ACME, Status::Approved, &[]).await;
    let page = store.deciding_calls(ACME.into(), (at(0), at(9)), None, 1).await.unwrap();
    assert_eq!(page.rows.iter().map(|call| call.receipt).collect::<Vec<_>>(), [own]);
    assert_eq!(page.looked_at, 1);
    assert_eq!(store.count_calls_of(ACME.into(), (at(0), at(HOUR_MS))).await.unwrap(), 1);
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
