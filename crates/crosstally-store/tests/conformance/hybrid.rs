//! What browsers told beside what was sent, and how far clicks came.

use std::sync::Arc;

use crosstally_core::browser::BrowserEvent;
use crosstally_core::consent::Consent;
use crosstally_core::ids::ClickId;
use crosstally_core::postback::ConversionChange;
use crosstally_core::visit::{Step, Way};
use crosstally_store::{HopCount, Store};

use crate::build::{self, ACME, META};
use crate::stage::Stage;

fn event(click: ClickId, name: &str, id: &str) -> BrowserEvent {
    BrowserEvent {
        click,
        name: name.into(),
        event_id: id.into(),
        at: build::at(10),
        received_at: build::at(15),
        campaign: "summer".into(),
        transaction_id: None,
        page: String::new(),
        fbc: String::new(),
        fbp: String::new(),
        ip: None,
        in_europe: None,
        user_agent: String::new(),
        consent: Consent::default(),
        fields: serde_json::Map::new(),
        taken_by: None,
    }
}

async fn tell(store: &Store, click: ClickId, name: &str, id: &str) {
    store.record_browser_events(click, vec![event(click, name, id)], 50).await.unwrap();
}

pub(crate) async fn clicks_are_counted_once_however_often_it_is_asked(stage: &Stage) {
    let store = stage.open().await;
    let mut ids = Vec::new();
    for ms in 0..7 {
        let mut click = build::click(ms);
        click.way = (ms == 5).then(|| Box::new(Way { direct: true, ..Way::default() }));
        click.labels = if ms == 6 { vec!["head_request".into()] } else { Vec::new() };
        ids.push(click.id);
        store.append_click(Arc::new(click)).await.unwrap();
    }
    let mut test = build::click(8);
    test.test = true;
    store.append_click(Arc::new(test)).await.unwrap();
    tell(&store, ids[0], "PageView", "v").await;
    tell(&store, ids[1], "pageview", "v").await;
    tell(&store, ids[1], "Lead", "l").await;
    tell(&store, ids[5], "PageView", "v").await;
    let step = Step { click: ids[2], at: build::at(5), offer: "shop".into(), instead_of: String::new() };
    store.append_step(step, [1; 16]).await.unwrap();
    // A sale keeps its click, whichever its later calls name.
    let mut sold = build::sale(20, build::key(ACME, "T0"), &[]);
    let Some(ConversionChange::Insert(conversion)) = &mut sold.conversion else { panic!("a sale is new") };
    (conversion.click, sold.receipt.click) = (Some(ids[3]), Some(ids[3]));
    build::book(&store, &sold).await;
    let mut later = build::receipt(21);
    (later.click, later.conversion) = (Some(ids[4]), sold.receipt.conversion);
    store.record_receipt(later).await.unwrap();
    let span = (build::at(0), build::at(60_000));
    let whole = store.hop_counts(span, None, 100).await.unwrap();
    assert_eq!(whole.next, None);
    let (mut parts, mut after) = (Vec::new(), None);
    loop {
        let part = store.hop_counts(span, after, 2).await.unwrap();
        parts.extend(part.rows);
        after = part.next;
        if after.is_none() {
            break;
        }
    }
    let sum = |rows: &[HopCount], offer: &str| {
        let of: Vec<&HopCount> = rows.iter().filter(|row| row.offer == offer).collect();
        let sum = |count: fn(&HopCount) -> u64| of.iter().map(|row| count(row)).sum::<u64>();
        [
            sum(|row| row.served),
            sum(|row| row.viewed),
            sum(|row| row.stepped),
            sum(|row| row.acted),
            sum(|row| row.direct),
            sum(|row| row.labelled),
            sum(|row| row.converted),
        ]
    };
    for rows in [&whole.rows, &parts] {
        assert_eq!(sum(rows, ""), [4, 2, 0, 1, 1, 1, 1], "{rows:?}");
        assert_eq!(sum(rows, "shop"), [1, 0, 1, 0, 0, 0, 0], "{rows:?}");
    }
    let behind = store.hop_counts((build::at(60_000), build::at(120_000)), None, 10).await.unwrap();
    assert_eq!(behind.rows, []);
}

pub(crate) async fn what_was_sent_comes_with_what_was_told(stage: &Stage) {
    let store = stage.open().await;
    let span = (build::at(-60_000), build::at(3_600_000));
    let to = || vec![META.to_owned()];
    let mut booking = build::sale(0, build::key(ACME, "T1"), &[META, "elsewhere"]);
    let click = build::click_id(0);
    booking.receipt.click = Some(click);
    if let Some(ConversionChange::Insert(conversion)) = &mut booking.conversion {
        conversion.click = Some(click);
    }
    build::book(&store, &booking).await;
    let goal = &booking.goal_events[0];
    tell(&store, click, &goal.event.event_name, &goal.event.event_id).await;
    let told = store.browser_events(click).await.unwrap();
    assert!(store.take_browser_event(&told[0], build::key(ACME, "T1")).await.unwrap());
    tell(&store, click, "Lead", "l").await;
    let page = store.sent_events(to(), span, None, 10).await.unwrap();
    let [sent] = &page.rows[..] else { panic!("{page:?}") };
    assert_eq!((sent.destination.as_str(), &sent.key, page.next), (META, &build::key(ACME, "T1"), None));
    assert_eq!((&sent.event_name, &sent.event_id), (&goal.event.event_name, &goal.event.event_id));
    let names: Vec<(&str, bool)> =
        sent.told.iter().map(|told| (told.name.as_str(), told.is_anothers)).collect();
    assert_eq!(names.len(), 2, "{sent:?}");
    assert!(names.iter().all(|(_, is_anothers)| !is_anothers), "it is its own: {names:?}");
    // A page that ends at a delivery to elsewhere says where to go on.
    let mut found = 0;
    let mut before = None;
    for _ in 0..3 {
        let page = store.sent_events(to(), span, before, 1).await.unwrap();
        found += page.rows.len();
        before = page.next;
        if before.is_none() {
            break;
        }
    }
    assert_eq!((found, before), (1, None));
    let clicks = store.told_clicks(to(), (click.time(), build::at(3_600_000)), None, 10).await.unwrap();
    let [of_click] = &clicks[..] else { panic!("{clicks:?}") };
    assert_eq!((of_click.click, of_click.told.len(), of_click.campaign.as_str()), (click, 2, "summer"));
    assert_eq!(of_click.sent, [(goal.event.event_name.clone(), goal.event.event_id.clone())]);
    let elsewhere =
        store.told_clicks(vec!["nowhere".to_owned()], (click.time(), build::at(3_600_000)), Some(click), 10);
    let [of_click] = &elsewhere.await.unwrap()[..] else { panic!("from the click itself on") };
    assert_eq!(of_click.sent, []);
}
