//! Receipts.

use crosstally_core::goal::GoalDecision;
use crosstally_core::postback::Receipt;
use crosstally_core::reason::Reason;
use crosstally_core::verdict::Verdict;
use crosstally_store::{ReceiptCount, Store, StoreError};

use crate::build::{self, ACME, NASTY};
use crate::stage::Stage;

async fn assert_round_trip(store: &Store, receipt: Receipt) {
    store.record_receipt(receipt.clone()).await.unwrap();
    assert_eq!(store.receipt(receipt.id).await.unwrap(), Some(receipt));
}

pub(crate) async fn a_receipt_comes_back_as_it_was(stage: &Stage) {
    let store = stage.open().await;
    assert_eq!(store.receipt(build::receipt_id(0)).await.unwrap(), None);
    for text in NASTY {
        let mut receipt = build::receipt(0);
        for field in [
            &mut receipt.partner,
            &mut receipt.method,
            &mut receipt.content_type,
            &mut receipt.peer,
            &mut receipt.user_agent,
            &mut receipt.detail,
        ] {
            (*text).clone_into(field);
        }
        assert_round_trip(&store, receipt).await;
    }
    let mut receipt = build::receipt(1);
    receipt.query = (0..=u8::MAX).collect();
    receipt.body = vec![0; 256 * 1024];
    receipt.conversion = Some(build::conversion_id(0));
    receipt.sequence = Some(u32::MAX);
    receipt.click = Some(build::click_id(0));
    // The order of the names and the digits of the numbers stay as they came.
    let read: serde_json::Map<String, serde_json::Value> = serde_json::from_str(
        "{\"z\":12.340,\"a\":\"nul \\u0000 in it\",\"m\":123456789012345678901234567890.10,\"k\":[null,true]}",
    )
    .unwrap();
    receipt.read = std::sync::Arc::new(read);
    receipt.goals = vec![
        GoalDecision {
            goal: "purchase".into(),
            reason: Reason::GoalMet,
            detail: "value > 0.0".into(),
            event: Some(build::goal_event_id(0)),
        },
        GoalDecision {
            goal: "lead".into(),
            reason: Reason::GoalNotMet,
            detail: "\u{0}\u{1f9a6}".into(),
            event: None,
        },
    ];
    let text = serde_json::to_string(&*receipt.read).unwrap();
    let id = receipt.id;
    assert_round_trip(&store, receipt).await;
    let stored = store.receipt(id).await.unwrap().unwrap();
    assert_eq!(serde_json::to_string(&*stored.read).unwrap(), text);
}

pub(crate) async fn every_verdict_and_reason_comes_back(stage: &Stage) {
    let store = stage.open().await;
    for (number, reason) in Reason::ALL.iter().enumerate() {
        let mut receipt = build::receipt(0);
        receipt.verdict = Verdict::ALL[number % Verdict::ALL.len()];
        receipt.reason = Some(*reason);
        assert_round_trip(&store, receipt).await;
    }
}

pub(crate) async fn an_id_that_is_there_is_refused_and_spoils_nothing_else(stage: &Stage) {
    let store = stage.open().await;
    let first = build::receipt(0);
    store.record_receipt(first.clone()).await.unwrap();
    let mut tasks = Vec::new();
    for number in 0..64 {
        let mut receipt = build::receipt(1);
        if number % 8 == 0 {
            receipt.id = first.id;
            receipt.partner = "somebody-else".into();
        }
        let store = store.clone();
        tasks.push(tokio::spawn(async move {
            let answer = store.record_receipt(receipt.clone()).await;
            (receipt, answer)
        }));
    }
    for task in tasks {
        let (receipt, answer) = task.await.unwrap();
        if receipt.id == first.id {
            assert!(matches!(answer, Err(StoreError::Corrupt(_))), "{answer:?}");
        } else {
            answer.unwrap();
            assert_eq!(store.receipt(receipt.id).await.unwrap(), Some(receipt));
        }
    }
    assert_eq!(store.receipt(first.id).await.unwrap(), Some(first));
    let counts = store.count_receipts().await.unwrap();
    assert_eq!(counts, [ReceiptCount { partner: ACME.into(), verdict: Verdict::Recorded, count: 57 }]);
}

pub(crate) async fn receipts_are_listed_newest_first_page_by_page(stage: &Stage) {
    let store = stage.open().await;
    let mut receipts: Vec<_> = (0..7).map(build::receipt).collect();
    for receipt in receipts.iter_mut().step_by(2) {
        receipt.partner = "other".into();
    }
    for receipt in &receipts {
        store.record_receipt(receipt.clone()).await.unwrap();
    }
    receipts.reverse();
    for partner in [None, Some(ACME), Some("other"), Some("nobody")] {
        let expected: Vec<_> = receipts
            .iter()
            .filter(|receipt| partner.is_none_or(|partner| partner == receipt.partner))
            .cloned()
            .collect();
        let mut listed: Vec<Receipt> = Vec::new();
        loop {
            let before = listed.last().map(|receipt| receipt.id);
            let page = store.list_receipts(partner.map(str::to_owned), before, 2).await.unwrap();
            assert!(page.len() <= 2);
            if page.is_empty() {
                break;
            }
            listed.extend(page);
        }
        assert_eq!(listed, expected);
    }
    assert_eq!(store.list_receipts(None, None, 0).await.unwrap(), []);
}

pub(crate) async fn receipts_are_found_by_conversion_and_by_click(stage: &Stage) {
    let store = stage.open().await;
    let (click, conversion) = (build::click_id(0), build::conversion_id(0));
    let mut of_click = Vec::new();
    let mut of_conversion = Vec::new();
    for ms in (0..6).rev() {
        let mut receipt = build::receipt(ms);
        receipt.click = (ms % 2 == 0).then_some(click);
        // Those that booked something are found by the ledger, the others by themselves.
        receipt.conversion = (ms % 3 == 0).then_some(conversion);
        receipt.verdict = Verdict::Duplicate;
        if receipt.click.is_some() {
            of_click.insert(0, receipt.clone());
        }
        if receipt.conversion.is_some() {
            of_conversion.insert(0, receipt.clone());
        }
        store.record_receipt(receipt).await.unwrap();
    }
    assert_eq!(store.receipts_of_click(click, 10).await.unwrap(), of_click);
    assert_eq!(store.receipts_of_click(click, 2).await.unwrap(), of_click[..2]);
    assert_eq!(store.receipts_of_conversion(conversion, 10).await.unwrap(), of_conversion);
    assert_eq!(store.receipts_of_conversion(conversion, 1).await.unwrap(), of_conversion[..1]);
    assert_eq!(store.receipts_of_click(build::click_id(0), 10).await.unwrap(), []);
    assert_eq!(store.receipts_of_conversion(build::conversion_id(0), 10).await.unwrap(), []);
}

pub(crate) async fn the_balance_counts_every_receipt(stage: &Stage) {
    let store = stage.open().await;
    assert_eq!(store.count_receipts().await.unwrap(), []);
    let mut expected = Vec::new();
    for partner in [ACME, "other"] {
        for (number, verdict) in Verdict::ALL.into_iter().enumerate() {
            for _ in 0..=number {
                let mut receipt = build::receipt(0);
                receipt.partner = partner.into();
                receipt.verdict = verdict;
                store.record_receipt(receipt).await.unwrap();
            }
            let count = u64::try_from(number).unwrap() + 1;
            expected.push(ReceiptCount { partner: partner.into(), verdict, count });
        }
    }
    // A booked one counts as well.
    build::book(&store, &build::sale(0, build::key(ACME, "T1"), &[])).await;
    expected[0].count += 1;
    let mut counts = store.count_receipts().await.unwrap();
    let place = |count: &ReceiptCount| (count.partner.clone(), count.verdict.as_str());
    counts.sort_by_key(place);
    expected.sort_by_key(place);
    assert_eq!(counts, expected);
}
