//! What waits: due when it came, listed in its order, first when what it waits for has come.

use crosstally_core::postback::{Awaited, Receipt};
use crosstally_core::reason::Reason;
use crosstally_core::time::Timestamp;
use crosstally_core::verdict::Verdict;
use crosstally_store::{PutOff, Store};

use crate::build::{self, ACME};
use crate::stage::Stage;

async fn waiting(store: &Store, ms: i64, awaited: Awaited) -> Receipt {
    let mut receipt = build::receipt(ms);
    receipt.verdict = Verdict::Quarantined;
    receipt.reason = Some(Reason::ClickUnknown);
    receipt.awaits = Some(awaited);
    store.record_receipt(receipt.clone()).await.unwrap();
    receipt
}

fn put_off(receipt: &Receipt, awaited: &Awaited, next: Option<Timestamp>) -> PutOff {
    PutOff { receipt: receipt.id, awaited: awaited.to_string(), next }
}

fn of(receipt: &Receipt, next: Option<Timestamp>) -> PutOff {
    put_off(receipt, receipt.awaits.as_ref().unwrap(), next)
}

async fn due(store: &Store, ms: i64) -> Vec<crosstally_core::ids::ReceiptId> {
    let waits = store.due_waits(build::at(ms), 10).await.unwrap();
    waits.into_iter().map(|wait| wait.receipt).collect()
}

pub(crate) async fn what_waits_for_one_thing_is_listed_in_its_order(stage: &Stage) {
    let store = stage.open().await;
    let mine = Awaited::Alias("mine".into());
    let second = waiting(&store, 20, mine.clone()).await;
    let other = waiting(&store, 15, Awaited::Alias("other".into())).await;
    let first = waiting(&store, 10, mine.clone()).await;
    let found = store.waits_for(mine.to_string(), 10).await.unwrap();
    assert_eq!(found.iter().map(|wait| wait.receipt).collect::<Vec<_>>(), [first.id, second.id]);
    assert_eq!((found[0].since, found[0].looks), (build::at(10), 0));
    assert_eq!(store.waits_for(mine.to_string(), 1).await.unwrap().len(), 1);
    assert_eq!(store.waits_for("alias:nobody's".into(), 10).await.unwrap(), []);
    assert_eq!(due(&store, 14).await, [first.id]);
    store.put_off_waits(vec![of(&first, Some(build::at(100))), of(&other, None)]).await.unwrap();
    assert_eq!(due(&store, 99).await, [second.id]);
    assert_eq!(store.waits_for(mine.to_string(), 10).await.unwrap()[0].looks, 1);
}

pub(crate) async fn what_has_come_wakes_what_waits_for_it(stage: &Stage) {
    let store = stage.open().await;
    let (click, key) = (build::click(0), build::key(ACME, "sale"));
    let by_click = waiting(&store, 50, Awaited::Click(click.id)).await;
    let by_alias = waiting(&store, 51, Awaited::Alias("old-1".into())).await;
    let by_sale = waiting(&store, 52, Awaited::Sale(key.clone())).await;
    let in_vain = waiting(&store, 1, Awaited::Alias("nobody's".into())).await;
    let all = [&by_click, &by_alias, &by_sale].map(|receipt| of(receipt, Some(build::at(1_000))));
    store.put_off_waits(all.to_vec()).await.unwrap();
    assert_eq!(due(&store, 60).await, [in_vain.id]);
    // Each is due before what waits in vain, whatever its own time was.
    store.append_clicks(vec![click]).await.unwrap();
    assert_eq!(due(&store, 60).await, [by_click.id, in_vain.id]);
    store.put_off_waits(vec![of(&by_click, None)]).await.unwrap();
    store.add_aliases(vec![("old-1".into(), build::click_id(0))], build::at(60)).await.unwrap();
    assert_eq!(due(&store, 60).await, [by_alias.id, in_vain.id]);
    store.put_off_waits(vec![of(&by_alias, None)]).await.unwrap();
    build::book(&store, &build::sale(55, build::key(ACME, "another"), &[])).await;
    assert_eq!(due(&store, 60).await, [in_vain.id]);
    build::book(&store, &build::sale(56, key, &[])).await;
    assert_eq!(due(&store, 60).await, [by_sale.id, in_vain.id]);
}

/// Whoever looked while the receipt came to wait for something else must not end that wait, nor put it off.
pub(crate) async fn a_wait_for_something_else_is_left_alone(stage: &Stage) {
    let store = stage.open().await;
    let sale = waiting(&store, 10, Awaited::Sale(build::key(ACME, "sale"))).await;
    let alias = Awaited::Alias("old-1".into());
    store.put_off_waits(vec![put_off(&sale, &alias, None)]).await.unwrap();
    store.put_off_waits(vec![put_off(&sale, &alias, Some(build::at(100)))]).await.unwrap();
    assert_eq!(due(&store, 20).await, [sale.id]);
    assert_eq!(store.awaited_by(sale.id).await.unwrap(), sale.awaits.as_ref().map(ToString::to_string));
    store.put_off_waits(vec![of(&sale, None)]).await.unwrap();
    assert_eq!(due(&store, 20).await, []);
    assert_eq!(store.awaited_by(sale.id).await.unwrap(), None);
}
