//! What browsers tell.

use crosstally_core::browser::{BrowserEvent, BrowserRecorded};
use crosstally_core::consent::{Choice, Consent};
use crosstally_core::ids::ClickId;
use serde_json::json;

use crate::build::{self, ACME, NASTY};
use crate::stage::Stage;

fn event(click: ClickId, at: i64, name: &str, id: &str) -> BrowserEvent {
    BrowserEvent {
        click,
        name: name.into(),
        event_id: id.into(),
        at: build::at(at),
        received_at: build::at(at + 5),
        campaign: "summer".into(),
        transaction_id: None,
        page: "https://shop.example/".into(),
        fbc: String::new(),
        fbp: "fb.1.1.5".into(),
        ip: None,
        in_europe: None,
        user_agent: "agent".into(),
        consent: Consent::default(),
        fields: serde_json::Map::new(),
        taken_by: None,
    }
}

pub(crate) async fn an_event_comes_back_as_it_was(stage: &Stage) {
    let store = stage.open().await;
    let click = build::click_id(0);
    let mut events = Vec::new();
    for (at, text) in (0..).zip(NASTY) {
        let mut event = event(click, at, &format!("name {text}"), &format!("id {text}"));
        for field in
            [&mut event.campaign, &mut event.page, &mut event.fbc, &mut event.fbp, &mut event.user_agent]
        {
            (*text).clone_into(field);
        }
        event.transaction_id = Some((*text).into());
        event.ip = Some(if at % 2 == 0 { "2001:db8::7" } else { "203.0.113.9" }.parse().unwrap());
        event.in_europe = [Some(true), Some(false), None][events.len() % 3];
        event.consent = Consent { gpc: true, ad_user_data: Some(Choice::Denied), ..Consent::default() };
        event.fields.insert((*text).into(), json!({"nul": "\u{0}", "text": text, "exact": "0.10"}));
        events.push(event);
    }
    let told = store.record_browser_events(click, events.clone(), 50).await.unwrap();
    assert_eq!(told, vec![BrowserRecorded::Recorded; events.len()]);
    assert_eq!(store.browser_events(click).await.unwrap(), events);
    assert_eq!(store.browser_events(build::click_id(9)).await.unwrap(), []);
}

pub(crate) async fn an_event_is_recorded_once_and_a_click_has_so_many(stage: &Stage) {
    let store = stage.open().await;
    let (click, other) = (build::click_id(0), build::click_id(1));
    let call = |ids: &[&str]| ids.iter().map(|id| event(click, 0, "Purchase", id)).collect::<Vec<_>>();
    use BrowserRecorded::{Recorded, Repeated, TooMany};
    let record = |ids: &'static [&'static str]| store.record_browser_events(click, call(ids), 3);
    assert_eq!(record(&["a", "b", "a"]).await.unwrap(), [Recorded, Recorded, Repeated]);
    assert_eq!(record(&["b", "c", "d", "a"]).await.unwrap(), [Repeated, Recorded, TooMany, Repeated]);
    assert_eq!(record(&["d", "c"]).await.unwrap(), [TooMany, Repeated]);
    assert_eq!(store.browser_events(click).await.unwrap().len(), 3);
    let lead = vec![event(other, 0, "Lead", "a"), event(other, 0, "Purchase", "a")];
    assert_eq!(store.record_browser_events(other, lead, 3).await.unwrap(), [Recorded, Recorded]);
}

pub(crate) async fn no_event_crowds_a_denial_out(stage: &Stage) {
    use BrowserRecorded::{Recorded, Repeated, TooMany};
    let store = stage.open().await;
    let click = build::click_id(0);
    let denied = Consent { ad_user_data: Some(Choice::Denied), ..Consent::default() };
    let sold = |id: &str| event(click, 0, "Purchase", id);
    let objected = |id: &str, consent: &Consent| BrowserEvent { consent: consent.clone(), ..sold(id) };
    let record = |events: Vec<BrowserEvent>| store.record_browser_events(click, events, 2);
    assert_eq!(record(vec![sold("a"), sold("b")]).await.unwrap(), [Recorded, Recorded]);
    let mixed = vec![sold("c"), objected("no", &denied), sold("d"), objected("no", &denied)];
    assert_eq!(record(mixed).await.unwrap(), [TooMany, Recorded, TooMany, Repeated]);
    // Who objects has no room without end either, but more for a graver objection.
    let ids: Vec<String> = (0..60).map(|number| format!("n{number}")).collect();
    let flood = |consent: &Consent| ids.iter().map(|id| objected(id, consent)).collect::<Vec<_>>();
    let told = record(flood(&denied)).await.unwrap();
    assert_eq!(told.iter().filter(|one| **one == Recorded).count(), 49);
    let graver = Consent { gpc: true, ..denied };
    assert_eq!(record(vec![objected("more", &graver)]).await.unwrap(), [Recorded]);
}

pub(crate) async fn of_many_conversions_at_once_one_has_the_event(stage: &Stage) {
    let store = stage.open().await;
    let click = build::click_id(0);
    let sold = event(click, 0, "Purchase", "a");
    store.record_browser_events(click, vec![sold.clone()], 50).await.unwrap();
    let mut tasks = Vec::new();
    for number in 0..20 {
        let (store, sold) = (store.clone(), sold.clone());
        tasks.push(tokio::spawn(async move {
            store.take_browser_event(&sold, build::key(ACME, &format!("T{number}"))).await.unwrap()
        }));
    }
    let mut taken = Vec::new();
    for (number, task) in (0..).zip(tasks) {
        if task.await.unwrap() {
            taken.push(number);
        }
    }
    let [winner] = taken[..] else { panic!("{taken:?} have it") };
    let key = build::key(ACME, &format!("T{winner}"));
    assert!(store.take_browser_event(&sold, key.clone()).await.unwrap(), "it may ask again");
    let [found] = &store.browser_events(click).await.unwrap()[..] else { panic!("one event") };
    assert_eq!(found.taken_by.as_ref(), Some(&key));
    // Whoever has it finds its click again without naming it, and no other click leads it away.
    for named in [None, Some(click), Some(build::click_id(5))] {
        let events = store.browser_events_for(key.clone(), named).await.unwrap();
        assert_eq!(events.len(), 1, "{named:?}");
    }
    let another = build::key(ACME, "another");
    assert_eq!(store.browser_events_for(another.clone(), None).await.unwrap(), []);
    assert_eq!(store.browser_events_for(another, Some(click)).await.unwrap().len(), 1);
}
