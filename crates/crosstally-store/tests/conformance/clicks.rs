//! Clicks.

use std::sync::Arc;

use crosstally_core::click::AdClickIds;
use crosstally_core::money::Money;
use crosstally_core::params::Params;

use crate::build::{self, NASTY};
use crate::stage::Stage;

pub(crate) async fn a_click_comes_back_as_it_was(stage: &Stage) {
    let store = stage.open().await;
    let mut clicks = vec![build::click(0)];
    for (number, text) in NASTY.iter().enumerate() {
        let mut click = build::click(i64::try_from(number).unwrap());
        for field in [
            &mut click.campaign,
            &mut click.source,
            &mut click.query,
            &mut click.target,
            &mut click.user_agent,
            &mut click.referrer,
            &mut click.language,
            &mut click.fbc_cookie,
            &mut click.fbp_cookie,
        ] {
            (*text).clone_into(field);
        }
        click.ip = None;
        click.in_europe = [Some(true), Some(false), None][number % 3];
        click.cost = None;
        click.ad_click_ids = AdClickIds::default();
        click.gpc = false;
        click.test = true;
        clicks.push(click);
    }
    let mut long = build::click(100);
    long.query = format!("gclid={}&ttclid=A-b_c", "x".repeat(8_000));
    long.ad_click_ids = AdClickIds::from_params(&Params::parse(long.query.as_bytes()).unwrap());
    long.target = "y".repeat(16_000);
    long.ip = Some("2001:db8::7".parse().unwrap());
    long.cost = Some(Money::new(i64::MAX, "KWD".parse().unwrap()));
    clicks.push(long);
    for click in &clicks {
        store.append_click(Arc::new(click.clone())).await.unwrap();
    }
    for click in clicks {
        assert_eq!(store.click(click.id).await.unwrap(), Some(click));
    }
    assert_eq!(store.click(build::click_id(0)).await.unwrap(), None);
}

pub(crate) async fn a_click_is_appended_once(stage: &Stage) {
    let store = stage.open().await;
    let click = build::click(0);
    let mut again = click.clone();
    again.campaign = "another".into();
    assert!(!store.has_clicks().await.unwrap());
    store.append_click(Arc::new(click.clone())).await.unwrap();
    assert!(store.has_clicks().await.unwrap());
    store.append_click(Arc::new(again)).await.unwrap();
    assert_eq!(store.click(click.id).await.unwrap(), Some(click));
}

pub(crate) async fn many_clicks_are_appended_together(stage: &Stage) {
    let store = stage.open().await;
    let clicks: Vec<_> = (0..2_500).map(build::click).collect();
    store.append_click(Arc::new(clicks[7].clone())).await.unwrap();
    assert_eq!(store.append_clicks(clicks.clone()).await.unwrap(), 2_499);
    assert_eq!(store.append_clicks(clicks.clone()).await.unwrap(), 0);
    assert_eq!(store.append_clicks(Vec::new()).await.unwrap(), 0);
    for at in [0, 7, 2_499] {
        assert_eq!(store.click(clicks[at].id).await.unwrap().as_ref(), Some(&clicks[at]));
    }
    // The same click twice in one call is one click.
    let twice = build::click(9_000);
    assert_eq!(store.append_clicks(vec![twice.clone(), twice.clone()]).await.unwrap(), 1);
}

pub(crate) async fn clicks_of_many_tasks_all_arrive(stage: &Stage) {
    let store = stage.open().await;
    let mut tasks = Vec::new();
    for task in 0..64 {
        let store = store.clone();
        tasks.push(tokio::spawn(async move {
            let clicks: Vec<_> = (0..20).map(|ms| Arc::new(build::click(task * 100 + ms))).collect();
            for click in &clicks {
                store.append_click(Arc::clone(click)).await.unwrap();
            }
            clicks
        }));
    }
    for task in tasks {
        for click in task.await.unwrap() {
            assert_eq!(store.click(click.id).await.unwrap().as_ref(), Some(&*click));
        }
    }
}
