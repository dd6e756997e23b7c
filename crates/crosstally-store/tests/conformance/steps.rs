//! Steps of clicks from landers to offers.

use crosstally_core::visit::{Step, Way};
use std::sync::Arc;

use crate::build;
use crate::stage::Stage;

pub(crate) async fn steps_of_a_click_come_back_in_their_order(stage: &Stage) {
    let store = stage.open().await;
    let mut click = build::click(0);
    click.way = Some(Box::new(Way { path: "rest".into(), lander: "quiz".into(), ..Way::default() }));
    let mut labelled = build::click(1);
    labelled.labels = vec!["prefetch".into()];
    labelled.way = click.way.clone();
    store.append_click(Arc::new(click.clone())).await.unwrap();
    assert_eq!(store.append_clicks(vec![click.clone(), labelled.clone()]).await.unwrap(), 1);
    for click in [&click, &labelled] {
        assert_eq!(store.click(click.id).await.unwrap().as_ref(), Some(click));
    }
    let step = |ms, offer: &str, instead_of: &str| Step {
        click: click.id,
        at: build::at(ms),
        offer: offer.into(),
        instead_of: instead_of.into(),
    };
    let steps = [step(10, "b", ""), step(10, "c", "b"), step(30, "a", "")];
    for step in steps.iter().rev() {
        store.append_step(step.clone(), [1; 16]).await.unwrap();
    }
    store.append_step(step(30, "a", "again"), [1; 16]).await.unwrap();
    assert_eq!(store.steps(click.id, 10).await.unwrap(), steps);
    assert_eq!(store.steps(click.id, 2).await.unwrap(), steps[..2]);
    assert_eq!(store.steps(labelled.id, 10).await.unwrap(), []);
}
