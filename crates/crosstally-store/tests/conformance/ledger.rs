//! The ledger's balance, over random histories.

use crosstally_core::ledger::{Balance, Status};
use crosstally_core::postback::{Booking, ConversionChange, Facts, FactsWanted};
use crosstally_core::verdict::Verdict;
use crosstally_store::Store;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::build::{self, ACME};
use crate::stage::Stage;

/// One thing that a partner says: about which of its transactions, which status, which value.
type Said = (u8, Status, Option<i64>);

fn said() -> impl Strategy<Value = Vec<Said>> {
    let value = prop_oneof![Just(None), (-1_000_i64..1_000_000).prop_map(Some), Just(Some(1 << 60))];
    prop::collection::vec((0_u8..3, prop::sample::select(&Status::ALL[..]), value), 1..24)
}

fn decide(ms: i64, transaction: u8, status: Status, value: Option<i64>, facts: &Facts) -> Booking {
    let mut booking = build::sale(ms, build::key(ACME, &transaction.to_string()), &[]);
    let known = facts.conversion.clone();
    let before = known.as_ref().map_or_else(Balance::default, |known| known.balance);
    let fresh = known.is_none();
    let mut conversion = known.unwrap_or_else(|| booking.conversion.take().unwrap().conversion().clone());
    if !fresh {
        conversion.movements += 1;
        booking.receipt.verdict = Verdict::Updated;
        booking.goal_events.clear();
    }
    conversion.status = status;
    conversion.amounts.value = value.or(conversion.amounts.value);
    conversion.balance = Balance::under(status, conversion.amounts.value);
    booking.receipt.conversion = Some(conversion.id);
    booking.receipt.sequence = Some(conversion.movements);
    booking.entry = Some(build::entry(&conversion, booking.receipt.id, before));
    booking.conversion =
        Some(if fresh { ConversionChange::Insert(conversion) } else { ConversionChange::Update(conversion) });
    booking
}

async fn check(store: &Store, partner_says: Vec<Said>) {
    // A history of its own: transactions are told apart by their run.
    let run = build::unique_name();
    let mut ids = std::collections::BTreeMap::new();
    for (ms, (transaction, status, value)) in (0_i64..).zip(partner_says) {
        let key = build::key(ACME, &format!("{run}-{transaction}"));
        let wanted = FactsWanted { click: None, key: key.clone(), nonce: None, sightings: Vec::new() };
        let booking = store
            .record_postback(
                wanted,
                Box::new(move |facts| {
                    let mut booking = decide(ms, transaction, status, value, facts);
                    if let Some(ConversionChange::Insert(conversion)) = &mut booking.conversion {
                        conversion.key = key.clone();
                    }
                    booking
                }),
            )
            .await
            .unwrap();
        let conversion = booking.conversion.unwrap().conversion().clone();
        ids.insert(conversion.id, conversion);
    }
    for (id, last) in ids {
        let stored = store.conversion(id).await.unwrap().unwrap();
        assert_eq!(stored, last);
        let entries = store.entries(id).await.unwrap();
        assert_eq!(u32::try_from(entries.len()).unwrap(), stored.movements);
        assert_eq!(Balance::of(&entries), stored.balance);
        assert_eq!(stored.balance, Balance::under(stored.status, stored.amounts.value));
    }
}

pub(crate) async fn sums_of_movements_are_the_balance(stage: &Stage) {
    let store = stage.open().await;
    let handle = tokio::runtime::Handle::current();
    tokio::task::block_in_place(|| {
        let config = Config { cases: 24, failure_persistence: None, ..Config::default() };
        TestRunner::new(config)
            .run(&said(), |partner_says| {
                handle.block_on(check(&store, partner_says));
                Ok(())
            })
            .unwrap();
    });
}
