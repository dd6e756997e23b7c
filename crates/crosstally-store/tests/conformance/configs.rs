//! The configuration's versions and the installation's values.

use std::collections::BTreeSet;

use crosstally_store::{Applied, ConfigRecord};

use crate::build::{self, NASTY};
use crate::stage::Stage;

pub(crate) async fn a_configuration_is_applied_on_its_base_only(stage: &Stage) {
    let store = stage.open().await;
    assert_eq!(store.config_version().await.unwrap(), 0);
    assert_eq!(store.current_config().await.unwrap(), None);
    for (base, text) in (0_i64..).zip(NASTY) {
        let apply = |base| store.apply_config(base, (*text).into(), build::at(base), (*text).into());
        assert_eq!(apply(base).await.unwrap(), Applied::Applied(base + 1));
        for wrong in [base, base + 2, -1] {
            assert_eq!(apply(wrong).await.unwrap(), Applied::Stale { current: base + 1 });
        }
        let expected = ConfigRecord {
            version: base + 1,
            document: (*text).into(),
            applied_at: build::at(base),
            author: (*text).into(),
        };
        assert_eq!(store.current_config().await.unwrap(), Some(expected));
        assert_eq!(store.config_version().await.unwrap(), base + 1);
    }
    let large = "x".repeat(4 * 1024 * 1024);
    let base = store.config_version().await.unwrap();
    store.apply_config(base, large.clone(), build::at(0), "me".into()).await.unwrap();
    assert_eq!(store.current_config().await.unwrap().unwrap().document, large);
}

pub(crate) async fn of_many_at_once_one_is_applied(stage: &Stage) {
    let store = stage.open().await;
    let mut tasks = Vec::new();
    for number in 0..16 {
        let store = store.clone();
        tasks.push(tokio::spawn(async move {
            store.apply_config(0, format!("document {number}"), build::at(0), "me".into()).await.unwrap()
        }));
    }
    let mut applied = 0;
    for task in tasks {
        match task.await.unwrap() {
            Applied::Applied(version) => {
                assert_eq!(version, 1);
                applied += 1;
            }
            Applied::Stale { current } => assert_eq!(current, 1),
        }
    }
    assert_eq!(applied, 1);
}

pub(crate) async fn an_installation_value_is_made_once(stage: &Stage) {
    let store = stage.open().await;
    let mut tasks = Vec::new();
    for number in 0..16_u8 {
        let store = store.clone();
        tasks.push(tokio::spawn(async move {
            store.installation_value("key".into(), vec![number, 0, 255]).await.unwrap()
        }));
    }
    let mut values = BTreeSet::new();
    for task in tasks {
        values.insert(task.await.unwrap());
    }
    assert_eq!(values.len(), 1);
    let kept = store.installation_value("key".into(), b"late".to_vec()).await.unwrap();
    assert!(values.contains(&kept));
    assert_eq!(store.installation_value("other".into(), Vec::new()).await.unwrap(), b"");
}
