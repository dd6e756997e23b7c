//! How many visitors offers had.

use crosstally_core::offer::Taken;
use crosstally_store::Visitors;

use crate::stage::Stage;

fn counts(of: &[(&str, i64, u64)]) -> Vec<Visitors> {
    of.iter()
        .map(|(offer, day, visitors)| Visitors { offer: (*offer).into(), day: *day, visitors: *visitors })
        .collect()
}

pub(crate) async fn a_count_that_is_written_twice_counts_once(stage: &Stage) {
    let store = stage.open().await;
    for visitors in [3, 3, 5] {
        let counts = counts(&[("shop", 0, visitors + 10), ("shop", 20_261_122, visitors)]);
        store.set_visitors("node".into(), counts, 20_261_115).await.unwrap();
    }
    let taken = store.visitors(20_261_122).await.unwrap();
    assert_eq!(taken.get("shop"), Some(&Taken { today: 5, total: 15 }));
    assert_eq!(taken.len(), 1);
    store.set_visitors("node".into(), Vec::new(), 20_261_115).await.unwrap();
    assert_eq!(store.visitors(20_261_122).await.unwrap(), taken);
}

pub(crate) async fn counts_of_all_nodes_add_up_and_old_days_are_forgotten(stage: &Stage) {
    let store = stage.open().await;
    let first = counts(&[("shop", 0, 4), ("shop", 20_261_101, 3), ("shop", 20_261_122, 1), ("other", 0, 9)]);
    store.set_visitors("one".into(), first, 20_261_001).await.unwrap();
    let second = counts(&[("shop", 0, 6), ("shop", 20_261_122, 6)]);
    store.set_visitors("two".into(), second, 20_261_115).await.unwrap();
    let taken = store.visitors(20_261_122).await.unwrap();
    assert_eq!(taken.get("shop"), Some(&Taken { today: 7, total: 10 }));
    assert_eq!(taken.get("other"), Some(&Taken { today: 0, total: 9 }));
    assert_eq!(store.visitors(20_261_101).await.unwrap().get("shop").map(|taken| taken.today), Some(0));
}
