//! The balance by the hour, and whether it holds.

use crosstally_core::postback::STRANGER;
use crosstally_core::reason::Reason;
use crosstally_core::time::{DAY_MS, HOUR_MS, Timestamp};
use crosstally_core::verdict::Verdict;
use crosstally_store::{BalanceFilter, HourDifference, Period, PeriodCount, Store};

use crate::build::{self, ACME, at};
use crate::stage::Stage;

/// Records so many receipts, a millisecond apart.
async fn record(store: &Store, partner: &str, verdict: Verdict, ms: i64, count: i64) {
    for number in 0..count {
        let mut receipt = build::receipt(ms + number);
        receipt.partner = partner.into();
        receipt.verdict = verdict;
        store.record_receipt(receipt).await.unwrap();
    }
}

fn row(ms: i64, partner: &str, verdict: Verdict, count: u64) -> PeriodCount {
    PeriodCount { period: Period { start: at(ms), partner: partner.into() }, verdict, count }
}

pub(crate) async fn receipts_are_counted_by_hour_and_by_day(stage: &Stage) {
    use Verdict::{Duplicate, Recorded, Refused};
    let store = stage.open().await;
    // The fixed moment is a midnight.
    assert_eq!(at(0).as_millis() % DAY_MS, 0);
    record(&store, ACME, Recorded, 0, 3).await;
    record(&store, ACME, Refused, HOUR_MS - 2, 4).await;
    record(&store, "other", Duplicate, HOUR_MS, 1).await;
    record(&store, ACME, Recorded, DAY_MS + 5, 2).await;
    let all = BalanceFilter::default();
    let hours = store.receipt_periods(all.clone(), HOUR_MS, None, 100).await.unwrap();
    let expected = [
        row(0, ACME, Recorded, 3),
        row(0, ACME, Refused, 2),
        row(HOUR_MS, ACME, Refused, 2),
        row(HOUR_MS, "other", Duplicate, 1),
        row(DAY_MS, ACME, Recorded, 2),
    ];
    assert_eq!(hours, expected);
    let days = store.receipt_periods(all.clone(), DAY_MS, None, 100).await.unwrap();
    let expected_days = [
        row(0, ACME, Recorded, 3),
        row(0, ACME, Refused, 4),
        row(0, "other", Duplicate, 1),
        row(DAY_MS, ACME, Recorded, 2),
    ];
    assert_eq!(days, expected_days);
    // Page by page: whole periods, all of them, none twice.
    for limit in 1..4 {
        let mut paged: Vec<PeriodCount> = Vec::new();
        loop {
            let after = paged.last().map(|last| last.period.clone());
            let page = store.receipt_periods(all.clone(), HOUR_MS, after, limit).await.unwrap();
            if page.is_empty() {
                break;
            }
            paged.extend(page);
        }
        assert_eq!(paged, expected, "pages of {limit}");
    }
    let second = BalanceFilter { from: Some(at(HOUR_MS)), to: Some(at(DAY_MS)), partner: None };
    assert_eq!(store.receipt_periods(second.clone(), HOUR_MS, None, 9).await.unwrap(), expected[2..4]);
    let sums = |counts: Vec<crosstally_store::ReceiptCount>| counts.iter().map(|one| one.count).sum::<u64>();
    assert_eq!(sums(store.count_receipts_within(second.clone()).await.unwrap()), 3);
    let own = BalanceFilter { partner: Some("other".into()), ..second };
    assert_eq!(sums(store.count_receipts_within(own.clone()).await.unwrap()), 1);
    assert_eq!(store.receipt_periods(own, DAY_MS, None, 9).await.unwrap(), expected_days[2..3]);
    let everything = store.count_receipts_within(all).await.unwrap();
    assert_eq!(everything, store.count_receipts().await.unwrap());
}

pub(crate) async fn an_hour_whose_counts_are_off_is_found(stage: &Stage) {
    let store = stage.open().await;
    let hour = at(HOUR_MS);
    record(&store, ACME, Verdict::Recorded, HOUR_MS - 1, 2).await;
    record(&store, ACME, Verdict::Refused, HOUR_MS + 7, 2).await;
    record(&store, "other", Verdict::Recorded, 2 * HOUR_MS - 1, 2).await;
    build::book(&store, &build::sale(HOUR_MS + 90, build::key(ACME, "T1"), &[])).await;
    let end = hour.plus_millis(HOUR_MS);
    let both = async |start: Timestamp, end: Timestamp| {
        (store.counted_in_hour(start).await.unwrap(), store.stored_between(start, end).await.unwrap())
    };
    assert_eq!(both(hour, end).await, (5, 5));
    assert_eq!(both(at(0), hour).await, (1, 1));
    assert_eq!(both(at(-HOUR_MS), at(0)).await, (0, 0));
    assert_eq!(store.hour_differences(hour).await.unwrap(), []);
    // Behind the store's back: a count that is too high, and one that is gone.
    let millis = hour.as_millis();
    stage
        .run(&format!(
            "UPDATE receipt_hours SET count = count + 3 WHERE hour = {millis} AND verdict = 'refused';
            DELETE FROM receipt_hours WHERE hour = {millis} AND partner = 'other'"
        ))
        .await;
    let found = store.hour_differences(hour).await.unwrap();
    let difference = |partner: &str, verdict, stored, counted| HourDifference {
        partner: partner.into(),
        verdict,
        stored,
        counted,
    };
    let (refused, lost) = (
        found.iter().find(|one| one.partner == ACME).unwrap(),
        found.iter().find(|one| one.partner == "other").unwrap(),
    );
    assert_eq!(found.len(), 2);
    assert!(refused.counted > refused.stored && refused.verdict == Verdict::Refused, "{refused:?}");
    assert_eq!(lost, &difference("other", Verdict::Recorded, 1, 0));
    assert_eq!(store.hour_differences(at(0)).await.unwrap(), []);
}

pub(crate) async fn invented_partners_are_counted_under_one_name(stage: &Stage) {
    let store = stage.open().await;
    for number in 0..4 {
        let mut receipt = build::receipt(HOUR_MS + number);
        receipt.partner = format!("invented-{number}");
        receipt.verdict = Verdict::Refused;
        receipt.reason = Some(Reason::UnknownPartner);
        receipt.labels = vec![STRANGER.to_owned()];
        store.record_receipt(receipt.clone()).await.unwrap();
        let kept = store.receipt(receipt.id).await.unwrap().unwrap();
        assert_eq!(kept.partner, receipt.partner, "what came is kept");
    }
    // Of a partner that there is, and of one that there was: both keep their names.
    for (partner, reason, labels) in [
        (ACME, Reason::TokenWrong, vec![STRANGER.to_owned()]),
        ("former", Reason::UnknownPartner, Vec::new()),
    ] {
        let mut receipt = build::receipt(HOUR_MS + 9);
        receipt.partner = partner.into();
        receipt.verdict = Verdict::Refused;
        receipt.reason = Some(reason);
        receipt.labels = labels;
        store.record_receipt(receipt).await.unwrap();
    }
    let counts = store.count_receipts().await.unwrap();
    let counts: Vec<(&str, u64)> = counts.iter().map(|one| (one.partner.as_str(), one.count)).collect();
    assert_eq!(counts, [("(unknown)", 4), (ACME, 1), ("former", 1)]);
    assert_eq!(store.hour_differences(at(HOUR_MS)).await.unwrap(), []);
    assert_eq!(store.counted_in_hour(at(HOUR_MS)).await.unwrap(), 6);
}
