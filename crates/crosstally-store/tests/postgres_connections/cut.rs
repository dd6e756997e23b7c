//! A connection that breaks at the commit: what happened is found out, and what did not happen is done again.

use std::sync::Arc;

use crosstally_core::delivery::Outcome;
use crosstally_core::postback::FactsWanted;
use crosstally_store::{After, Location, OpenOptions, Settlement, Store};

use crate::build::{self, ACME, META};
use crate::proxy::{Cut, Proxy};
use crate::stage::Stage;

/// A store behind a wire that can be cut, and one beside it that sees what is stored.
struct Bench {
    stage: Stage,
    proxy: Proxy,
    store: Store,
    witness: Store,
}

impl Bench {
    async fn new() -> Self {
        let stage = Stage::postgres().await;
        let Location::Postgres(url) = stage.location() else { unreachable!("the stage is on PostgreSQL") };
        let proxy = Proxy::before(&url).await;
        let options = OpenOptions { connections_max: 4, ..OpenOptions::at(Location::Postgres(proxy.url())) };
        let witness = stage.open().await;
        Self { store: Store::open(options).await.unwrap(), stage, proxy, witness }
    }

    async fn end(self) {
        assert_eq!(self.proxy.left(), 0, "a wire that should have been cut was not");
        self.store.close().await;
        self.witness.close().await;
        self.stage.end().await;
    }
}

async fn a_postback_is_booked_once(cut: Cut, times: u32) {
    let bench = Bench::new().await;
    let booking = build::sale(1, build::key(ACME, "1"), &[META]);
    let (decided, wanted) = (
        booking.clone(),
        FactsWanted { click: None, key: build::key(ACME, "1"), nonce: None, sightings: Vec::new() },
    );
    bench.proxy.cut(cut, times);
    // Decided over facts: had the first commit happened unnoticed, the next try would find the conversion and fail.
    let decide = move |facts: &crosstally_core::postback::Facts| {
        assert!(facts.conversion.is_none(), "it is decided again although it happened");
        decided.clone()
    };
    assert_eq!(bench.store.record_postback(wanted, Box::new(decide)).await.unwrap(), booking);
    assert_eq!(bench.witness.list_receipts(None, None, 10).await.unwrap(), [booking.receipt]);
    assert_eq!(bench.witness.list_conversions(None, 10).await.unwrap().len(), 1);
    assert_eq!(bench.witness.count_deliveries().await.unwrap()[0].count, 1);
    bench.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_postback_whose_commit_was_not_heard_is_booked_once() {
    a_postback_is_booked_once(Cut::AfterCommit, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_postback_whose_commit_did_not_arrive_is_booked_once() {
    a_postback_is_booked_once(Cut::BeforeCommit, 3).await;
}

async fn everything_else_happens_once(cut: Cut) {
    let bench = Bench::new().await;
    let (store, proxy) = (&bench.store, &bench.proxy);
    let ids = build::book_deliveries(&bench.witness, META, 3).await;

    proxy.cut(cut, 1);
    let receipt = build::receipt(1);
    store.record_receipt(receipt.clone()).await.unwrap();
    assert_eq!(bench.witness.receipt(receipt.id).await.unwrap(), Some(receipt));

    proxy.cut(cut, 1);
    let clicks = vec![build::click(1), build::click(2)];
    assert_eq!(store.append_clicks(clicks).await.unwrap(), 2, "new ones are new, however often it was tried");

    proxy.cut(cut, 1);
    let leased = store.lease_deliveries(build::wanted(META, 10)).await.unwrap();
    assert_eq!(
        leased.iter().map(|one| (one.id, one.fence)).collect::<Vec<_>>(),
        [(ids[0], 1), (ids[1], 1), (ids[2], 1)]
    );

    proxy.cut(cut, 1);
    let held = build::held(&leased);
    let call = build::new_call(11, &held);
    let id = call.id;
    assert_eq!(store.open_call(call).await.unwrap(), held);
    assert_eq!(bench.witness.attempts(ids[0]).await.unwrap().len(), 1);

    proxy.cut(cut, 1);
    let settlements = held.into_iter().map(|held| Settlement {
        held,
        outcome: Outcome::Delivered,
        after: After::Delivered,
        reason: Outcome::Delivered.reason(),
        last_at: None,
    });
    let settled = store.settle_call(build::result(id, 12), settlements.collect(), None).await.unwrap();
    assert_eq!((settled.applied, settled.stale), (3, 0));
    let counts = bench.witness.count_deliveries().await.unwrap();
    assert_eq!(counts.iter().map(|count| count.count).collect::<Vec<_>>(), [3]);
    bench.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_was_committed_unheard_is_not_done_again() {
    everything_else_happens_once(Cut::AfterCommit).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_was_not_committed_is_done_again() {
    everything_else_happens_once(Cut::BeforeCommit).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wire_that_breaks_every_time_is_given_up_and_nothing_happened() {
    let bench = Bench::new().await;
    bench.proxy.cut(Cut::BeforeCommit, 1_000);
    let error = bench.store.record_receipt(build::receipt(1)).await.unwrap_err();
    assert!(matches!(error, crosstally_store::StoreError::Unavailable(_)), "{error:?}");
    assert_eq!(bench.witness.list_receipts(None, None, 10).await.unwrap(), []);
    bench.proxy.cut(Cut::BeforeCommit, 0);
    bench.store.append_click(Arc::new(build::click(1))).await.unwrap();
    bench.end().await;
}
