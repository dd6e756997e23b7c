//! Where contacts and addresses were seen: noted with the booking, each conversion once, forgotten by age; and labels of
//! clicks and conversions.

use crosstally_core::fraud::{Often, Seen, Sighting};
use crosstally_core::postback::{Booking, ConversionChange, Facts, FactsWanted};
use crosstally_core::reason::Reason;
use crosstally_store::{Decide, Store};

use crate::build::{self, ACME};
use crate::stage::Stage;

const OFTEN: Often = Often { more_than: 2, within_ms: 1_000 };

fn sighting(key: u8, ms: i64) -> Sighting {
    Sighting { key: [key; 16], label: Reason::RepeatedContact, often: OFTEN, at: build::at(ms) }
}

/// Books a sale that was seen with these; on how many others each was seen before.
async fn sell(store: &Store, ms: i64, key: &str, with: &[u8]) -> (Booking, Vec<u32>) {
    let sightings: Vec<Sighting> = with.iter().map(|key| sighting(*key, ms)).collect();
    let key = build::key(ACME, key);
    let sale = build::sale(ms, key.clone(), &[]);
    let found = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let told = std::sync::Arc::clone(&found);
    let decide: Decide = Box::new(move |facts: &Facts| {
        *told.lock().unwrap() = facts.seen.clone();
        let mut booking = sale.clone();
        booking.sightings = facts.seen.iter().map(|seen| seen.sighting.key).collect();
        if let (Some(known), Some(ConversionChange::Insert(_))) = (&facts.conversion, &booking.conversion) {
            let mut moved = known.clone();
            moved.movements += 1;
            let mut entry = build::entry(&moved, booking.receipt.id, known.balance);
            entry.sequence = moved.movements;
            booking.receipt.conversion = Some(moved.id);
            booking.conversion = Some(ConversionChange::Update(moved));
            booking.entry = Some(entry);
            booking.goal_events.clear();
        }
        booking
    });
    let wanted = FactsWanted { click: None, key, nonce: None, sightings };
    let booking = store.record_postback(wanted, decide).await.unwrap();
    let seen: Vec<Seen> = std::mem::take(&mut *found.lock().unwrap());
    (booking, seen.iter().map(|seen| seen.others).collect())
}

pub(crate) async fn each_conversion_counts_once_within_the_span(stage: &Stage) {
    let store = stage.open().await;
    assert_eq!(sell(&store, 0, "T1", &[1, 2]).await.1, [0, 0]);
    // The same conversion moves on: it is no other.
    let (moved, seen) = sell(&store, 100, "T1", &[1]).await;
    assert_eq!(seen, [0]);
    assert_eq!(sell(&store, 200, "T2", &[1]).await.1, [1]);
    assert_eq!(sell(&store, 300, "T3", &[3, 1]).await.1, [0, 2]);
    assert_eq!(sell(&store, 1_201, "T4", &[1]).await.1, [1], "only one is not longer ago than a second");
    // Two are too many, and no more than that are counted.
    for ms in 0..5 {
        sell(&store, 400 + ms, &format!("M{ms}"), &[1]).await;
    }
    assert_eq!(sell(&store, 500, "T5", &[1]).await.1, [4], "enough to know, and no row more");
    // A conversion looks around the time of its own first booking, whenever it is asked about.
    let first = moved.conversion.unwrap().conversion().clone();
    let found = store.seen(vec![sighting(1, 900_000), sighting(2, 900_000)], Some(&first)).await.unwrap();
    assert!(found[0].others >= 3 && found[1].others == 0, "{found:?}");
    assert_eq!(store.seen(vec![sighting(1, 900_000)], None).await.unwrap()[0].others, 0);
    assert_eq!(store.seen(Vec::new(), None).await.unwrap(), []);
}

pub(crate) async fn calls_at_once_note_all_of_theirs(stage: &Stage) {
    let store = stage.open().await;
    let tasks: Vec<_> = (0..60)
        .map(|ms| {
            let store = store.clone();
            // Some under one key: those are one conversion.
            tokio::spawn(async move { sell(&store, ms, &format!("T{}", ms / 2), &[9, 8]).await })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(
        store.purge_sightings(build::at(10_000), 1_000).await.unwrap(),
        60,
        "30 conversions, two keys"
    );
}

pub(crate) async fn what_was_seen_is_forgotten_by_age(stage: &Stage) {
    let store = stage.open().await;
    for ms in 0..10 {
        sell(&store, ms, &format!("T{ms}"), &[1]).await;
    }
    assert_eq!(store.purge_sightings(build::at(6), 4).await.unwrap(), 4, "some at once");
    assert_eq!(store.purge_sightings(build::at(6), 100).await.unwrap(), 2);
    assert_eq!(store.purge_sightings(build::at(6), 100).await.unwrap(), 0);
    let wide = Sighting { often: Often { more_than: 100, within_ms: 1_000 }, ..sighting(1, 10) };
    assert_eq!(store.seen(vec![wide], None).await.unwrap()[0].others, 4);
}

pub(crate) async fn labels_come_back_as_they_were_written(stage: &Stage) {
    let store = stage.open().await;
    let labels = ["click_flood".to_owned(), build::NASTY[2].to_owned()];
    let plain = build::click(1);
    for with_label in [false, true] {
        let mut click = build::click(2);
        click.labels = if with_label { labels.to_vec() } else { Vec::new() };
        store.append_click(std::sync::Arc::new(click.clone())).await.unwrap();
        assert_eq!(store.click(click.id).await.unwrap().unwrap(), click);
        let mut spooled = build::click(3);
        spooled.labels = click.labels.clone();
        assert_eq!(
            store.append_clicks(vec![spooled.clone(), plain.clone()]).await.unwrap(),
            2 - u64::from(with_label)
        );
        assert_eq!(store.click(spooled.id).await.unwrap().unwrap(), spooled);
    }
    assert_eq!(store.click(plain.id).await.unwrap().unwrap().labels, Vec::<String>::new());
    let mut booking = build::sale(1, build::key(ACME, "T1"), &[]);
    build::book(&store, &booking).await;
    let Some(ConversionChange::Insert(mut conversion)) = booking.conversion.take() else { return };
    assert_eq!(store.conversion(conversion.id).await.unwrap().unwrap().labels, Vec::<String>::new());
    for (written, relabelled, expected) in
        [(&labels[..], true, &labels[..]), (&labels[..], false, &labels[..]), (&[], true, &[])]
    {
        let before = conversion.balance;
        conversion.movements += 1;
        conversion.labels = written.to_vec();
        let mut moved = Booking::receipt_only(build::receipt(2));
        moved.entry = Some(build::entry(&conversion, moved.receipt.id, before));
        moved.conversion = Some(ConversionChange::Update(conversion.clone()));
        moved.relabelled = relabelled;
        build::book(&store, &moved).await;
        assert_eq!(store.conversion(conversion.id).await.unwrap().unwrap().labels, expected);
    }
}
