//! Opening, closing, and several stores at one place.

use std::sync::Arc;

use crosstally_core::delivery::Outcome;
use crosstally_store::{After, Applied, OpenError, StoreError};

use crate::build::{self, ACME, META};
use crate::stage::Stage;

pub(crate) async fn everything_is_there_after_opening_again(stage: &Stage) {
    let store = stage.open().await;
    let click = build::click(0);
    store.append_click(Arc::new(click.clone())).await.unwrap();
    let booking = build::sale(5, build::key(ACME, "T1"), &[META]);
    build::book(&store, &booking).await;
    build::work(&store, 10, Outcome::Delivered, After::Delivered).await;
    let applied = store.apply_config(0, "document".into(), build::at(0), "me".into()).await.unwrap();
    assert_eq!(applied, Applied::Applied(1));
    let delivery = booking.deliveries[0].id;
    let before = (store.delivery(delivery).await.unwrap(), store.attempts(delivery).await.unwrap());
    assert_eq!(before.1.len(), 1);
    store.close().await;

    let store = stage.open().await;
    assert_eq!(store.click(click.id).await.unwrap(), Some(click));
    assert_eq!(store.receipt(booking.receipt.id).await.unwrap(), Some(booking.receipt));
    let after = (store.delivery(delivery).await.unwrap(), store.attempts(delivery).await.unwrap());
    assert_eq!(after, before);
    assert_eq!(store.config_version().await.unwrap(), 1);
    store.close().await;
}

pub(crate) async fn a_closed_store_says_so(stage: &Stage) {
    let store = stage.open().await;
    let other = store.clone();
    store.close().await;
    assert!(matches!(other.append_click(Arc::new(build::click(0))).await, Err(StoreError::Closed)));
    assert!(matches!(other.record_receipt(build::receipt(0)).await, Err(StoreError::Closed)));
    assert!(matches!(other.config_version().await, Err(StoreError::Closed)));
    assert!(matches!(other.check_writable().await, Err(StoreError::Closed)));
    // Once more does no harm.
    other.close().await;
}

pub(crate) async fn two_stores_at_one_place_see_each_others_writes(stage: &Stage) {
    let (first, second) = (stage.open().await, stage.open().await);
    for (number, (writer, reader)) in
        [(&first, &second), (&second, &first), (&first, &second)].into_iter().enumerate()
    {
        let click = build::click(i64::try_from(number).unwrap());
        writer.append_click(Arc::new(click.clone())).await.unwrap();
        assert_eq!(reader.click(click.id).await.unwrap(), Some(click));
        let base = reader.config_version().await.unwrap();
        writer.apply_config(base, "document".into(), build::at(0), "me".into()).await.unwrap();
        assert_eq!(reader.config_version().await.unwrap(), base + 1);
    }
    // One gone, the other goes on.
    first.close().await;
    second.record_receipt(build::receipt(0)).await.unwrap();
    second.close().await;
}

pub(crate) async fn a_newer_schema_is_refused_and_left_alone(stage: &Stage) {
    let store = stage.open().await;
    let receipt = build::receipt(0);
    store.record_receipt(receipt.clone()).await.unwrap();
    store.close().await;
    stage.run("INSERT INTO schema_migrations (version) VALUES (9999)").await;
    let refusal = stage.try_open().await.unwrap_err();
    assert!(matches!(refusal, OpenError::TooNew { found: 9999, known: 1.. }), "{refusal}");
    stage.run("DELETE FROM schema_migrations WHERE version = 9999").await;
    let store = stage.open().await;
    assert_eq!(store.receipt(receipt.id).await.unwrap(), Some(receipt));
}

pub(crate) async fn a_store_can_tell_whether_writes_get_through(stage: &Stage) {
    let store = stage.open().await;
    store.check_writable().await.unwrap();
    store.check_writable().await.unwrap();
    let expected = match stage {
        Stage::Sqlite(_) => "sqlite",
        Stage::Postgres { .. } => "postgres",
    };
    assert_eq!(store.kind(), expected);
}
