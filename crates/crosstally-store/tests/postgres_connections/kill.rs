//! The server kills connections in the middle of everything: what was acknowledged is there, what was refused is not.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crosstally_core::delivery::{DeliveryState, Outcome};
use crosstally_core::ids::{ClickId, ReceiptId};
use crosstally_core::postback::{Booking, ConversionChange, Facts, FactsWanted};
use crosstally_store::{After, Location, OpenOptions, Settlement, Store, StoreError};
use tokio::task::JoinSet;
use tokio_postgres::NoTls;

use crate::build::{self, ACME, META};
use crate::stage::Stage;

/// How often all connections are killed, and how many answers are waited for in between.
const KILLS: u32 = 60;
const ANSWERS_BETWEEN: u64 = 40;

/// What the workers were told.
#[derive(Default)]
struct Told {
    clicks: Vec<ClickId>,
    booked: Vec<Booking>,
    receipts: Vec<ReceiptId>,
    /// Of these nothing may be there.
    refused: Vec<ReceiptId>,
    delivered: u64,
    /// Deliveries whose settlement has an unknown outcome.
    unknown: u64,
}

impl Told {
    fn add(&mut self, other: Self) {
        self.clicks.extend(other.clicks);
        self.booked.extend(other.booked);
        self.receipts.extend(other.receipts);
        self.refused.extend(other.refused);
        self.delivered += other.delivered;
        self.unknown += other.unknown;
    }
}

/// What the workers and the killer share.
struct Field {
    store: Store,
    over: AtomicBool,
    answers: AtomicU64,
}

impl Field {
    fn goes_on(&self) -> bool {
        self.answers.fetch_add(1, Ordering::Relaxed);
        !self.over.load(Ordering::Relaxed)
    }
}

async fn clicks(field: Arc<Field>) -> Told {
    let mut told = Told::default();
    while field.goes_on() {
        let click = Arc::new(build::click(1));
        if field.store.append_click(Arc::clone(&click)).await.is_ok() {
            told.clicks.push(click.id);
        }
    }
    told
}

async fn receipts(field: Arc<Field>) -> Told {
    let mut told = Told::default();
    while field.goes_on() {
        let receipt = build::receipt(1);
        let id = receipt.id;
        match field.store.record_receipt(receipt).await {
            Ok(()) => told.receipts.push(id),
            Err(StoreError::Unavailable(_)) => told.refused.push(id),
            Err(StoreError::Unknown(_)) => {}
            Err(other) => panic!("{other}"),
        }
    }
    told
}

/// Each transaction id comes twice: what is new the first time is a repeat the second time, whoever is faster.
async fn postbacks(field: Arc<Field>, worker: usize) -> Told {
    let mut told = Told::default();
    for number in 0.. {
        if !field.goes_on() {
            break;
        }
        let key = build::key(ACME, &format!("{}-{}", worker / 2, number));
        let sale = build::sale(1, key.clone(), &[META]);
        let id = sale.receipt.id;
        let decide = move |facts: &Facts| match &facts.conversion {
            None => sale.clone(),
            Some(known) => {
                let mut receipt = sale.receipt.clone();
                receipt.conversion = Some(known.id);
                Booking::receipt_only(receipt)
            }
        };
        match field
            .store
            .record_postback(
                FactsWanted { click: None, key, nonce: None, sightings: Vec::new() },
                Box::new(decide),
            )
            .await
        {
            Ok(booking) => told.booked.push(booking),
            Err(StoreError::Unavailable(_)) => told.refused.push(id),
            Err(StoreError::Unknown(_)) => {}
            Err(other) => panic!("{other}"),
        }
    }
    told
}

async fn deliveries(field: Arc<Field>) -> Told {
    let mut told = Told::default();
    while field.goes_on() {
        let Ok(leased) = field.store.lease_deliveries(build::wanted(META, 10)).await else { continue };
        let call = build::new_call(11, &build::held(&leased));
        let id = call.id;
        let Ok(held) = field.store.open_call(call).await else { continue };
        if held.is_empty() {
            continue;
        }
        let count = u64::try_from(held.len()).unwrap();
        let settlements = held.into_iter().map(|held| Settlement {
            held,
            outcome: Outcome::Delivered,
            after: After::Delivered,
            reason: Outcome::Delivered.reason(),
            last_at: None,
        });
        match field.store.settle_call(build::result(id, 12), settlements.collect(), None).await {
            Ok(settled) => {
                assert_eq!(u64::from(settled.applied), count, "a lease that holds was lost");
                told.delivered += count;
            }
            Err(StoreError::Unknown(_)) => told.unknown += count,
            Err(StoreError::Unavailable(_)) => {}
            Err(other) => panic!("{other}"),
        }
    }
    told
}

/// Kills every connection to the database, over and over, each time after some more answers.
async fn kill(field: &Field, url: &str) -> u64 {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    let mut driver = JoinSet::new();
    driver.spawn(connection);
    let mut killed = 0;
    for _ in 0..KILLS {
        let enough = field.answers.load(Ordering::Relaxed) + ANSWERS_BETWEEN;
        while field.answers.load(Ordering::Relaxed) < enough {
            tokio::task::yield_now().await;
        }
        let kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name = 'crosstally'";
        killed += client.execute(kill, &[]).await.unwrap();
    }
    killed
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_and_nothing_refused_is_there() {
    let stage = Stage::postgres().await;
    let Location::Postgres(url) = stage.location() else { unreachable!("the stage is on PostgreSQL") };
    let store = Store::open(OpenOptions::at(stage.location())).await.unwrap();
    let field = Arc::new(Field { store, over: AtomicBool::new(false), answers: AtomicU64::new(0) });
    let mut workers = JoinSet::new();
    for worker in 0..8 {
        workers.spawn(clicks(Arc::clone(&field)));
        workers.spawn(postbacks(Arc::clone(&field), worker));
        if worker < 4 {
            workers.spawn(receipts(Arc::clone(&field)));
        }
    }
    workers.spawn(deliveries(Arc::clone(&field)));
    let killed = kill(&field, &url).await;
    field.over.store(true, Ordering::Relaxed);
    let mut told = Told::default();
    while let Some(worker) = workers.join_next().await {
        told.add(worker.unwrap());
    }
    assert!(killed >= u64::from(KILLS), "only {killed} connections were there to kill");
    // A store that recovers answers nearly everything all the same.
    let good = told.clicks.len() + told.booked.len() + told.receipts.len();
    assert!(good > 500 && told.delivered > 0, "{good} answers, {} delivered", told.delivered);
    field.store.close().await;
    check(&stage, &told).await;
    stage.end().await;
}

async fn check(stage: &Stage, told: &Told) {
    let store = stage.open().await;
    for id in &told.clicks {
        assert!(store.click(*id).await.unwrap().is_some(), "a click that was acknowledged is gone");
    }
    for id in &told.receipts {
        assert!(store.receipt(*id).await.unwrap().is_some(), "a receipt that was acknowledged is gone");
    }
    for id in &told.refused {
        assert_eq!(store.receipt(*id).await.unwrap(), None, "a receipt is there although it was refused");
    }
    for booking in &told.booked {
        assert_eq!(store.receipt(booking.receipt.id).await.unwrap().as_ref(), Some(&booking.receipt));
        if let Some(ConversionChange::Insert(conversion)) = &booking.conversion {
            assert_eq!(store.conversion(conversion.id).await.unwrap().as_ref(), Some(conversion));
            assert_eq!(store.entries(conversion.id).await.unwrap().first(), booking.entry.as_ref());
            assert_eq!(store.deliveries_of_conversion(conversion.id).await.unwrap().len(), 1);
        }
    }
    let receipts = store.list_receipts(None, None, 1_000_000).await.unwrap().len();
    let counted: u64 = store.count_receipts().await.unwrap().iter().map(|count| count.count).sum();
    assert_eq!(counted, u64::try_from(receipts).unwrap(), "the balance is off");
    let counts = store.count_deliveries().await.unwrap();
    let counted =
        |state| counts.iter().filter(|count| count.state == state).map(|count| count.count).sum::<u64>();
    let delivered = counted(DeliveryState::Delivered);
    assert!((told.delivered..=told.delivered + told.unknown).contains(&delivered), "{delivered} delivered");
    let conversions = u64::try_from(store.list_conversions(None, 1_000_000).await.unwrap().len()).unwrap();
    assert_eq!(conversions, delivered + counted(DeliveryState::Pending), "one delivery per conversion");
    store.close().await;
}
