//! Three nodes on one database, all under the same keys at the same time.

use std::sync::Arc;

use crosstally_core::postback::{Booking, ConversionChange, Facts, FactsWanted};
use crosstally_core::verdict::Verdict;
use crosstally_store::Store;
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::build::{self, ACME, META};
use crate::stage::Stage;

const NODES: usize = 3;
const KEYS: u32 = 40;

/// New the first time; each later time one movement more.
fn decide(sale: &Booking, facts: &Facts) -> Booking {
    let Some(known) = &facts.conversion else { return sale.clone() };
    assert_eq!(facts.entries.len(), usize::try_from(known.movements).unwrap(), "facts of different moments");
    let mut moved = known.clone();
    moved.movements += 1;
    moved.balance.confirmed += 1;
    let mut receipt = sale.receipt.clone();
    receipt.verdict = Verdict::Updated;
    let entry = build::entry(&moved, receipt.id, known.balance);
    Booking {
        entry: Some(entry),
        conversion: Some(ConversionChange::Update(moved)),
        ..Booking::receipt_only(receipt)
    }
}

/// Comes with the keys in its own order, so that the nodes' batches cross.
async fn node(store: Store, number: usize, start: Arc<Barrier>) {
    start.wait().await;
    let mut calls = JoinSet::new();
    for at in 0..KEYS {
        let at = if number == 1 { KEYS - 1 - at } else { at };
        let (store, key) = (store.clone(), build::key(ACME, &at.to_string()));
        let sale = build::sale(i64::from(at), key.clone(), &[META]);
        calls.spawn(async move {
            let decide = Box::new(move |facts: &Facts| decide(&sale, facts));
            store
                .record_postback(FactsWanted { click: None, key, nonce: None, sightings: Vec::new() }, decide)
                .await
                .unwrap()
        });
    }
    while let Some(call) = calls.join_next().await {
        call.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_comes_to_all_nodes_at_once_is_one_conversion() {
    let stage = Stage::postgres().await;
    let start = Arc::new(Barrier::new(NODES));
    let (mut nodes, mut stores) = (JoinSet::new(), Vec::new());
    for number in 0..NODES {
        let store = stage.open().await;
        nodes.spawn(node(store.clone(), number, Arc::clone(&start)));
        stores.push(store);
    }
    while let Some(node) = nodes.join_next().await {
        node.unwrap();
    }
    let conversions = stores[0].list_conversions(None, 1_000).await.unwrap();
    assert_eq!(conversions.len(), usize::try_from(KEYS).unwrap());
    for conversion in conversions {
        assert_eq!(conversion.movements, 3);
        let entries = stores[0].entries(conversion.id).await.unwrap();
        assert_eq!(entries.iter().map(|entry| entry.sequence).collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!(entries.iter().map(|entry| entry.confirmed_delta).collect::<Vec<_>>(), [1_234, 1, 1]);
    }
    let counts = stores[0].count_receipts().await.unwrap();
    let counts: Vec<_> = counts.iter().map(|count| (count.verdict, count.count)).collect();
    assert_eq!(counts, [(Verdict::Recorded, u64::from(KEYS)), (Verdict::Updated, u64::from(KEYS) * 2)]);
    for store in stores {
        store.close().await;
    }
    stage.end().await;
}
