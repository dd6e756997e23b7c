//! The destinations' state of health.

use crosstally_core::reason::Reason;
use crosstally_store::DestinationState;

use crate::build::{self, NASTY};
use crate::stage::Stage;

pub(crate) async fn a_state_is_set_and_set_again(stage: &Stage) {
    let store = stage.open().await;
    assert_eq!(store.destination_states().await.unwrap(), []);
    let mut states: Vec<_> = NASTY
        .iter()
        .map(|text| DestinationState {
            destination: format!("slug {text}"),
            paused: Some(Reason::DestGone),
            detail: (*text).into(),
            since: build::at(1),
            settings_digest: (*text).into(),
            not_before: build::at(2),
        })
        .collect();
    for round in 0..2 {
        for state in &mut states {
            if round == 1 {
                state.paused = None;
                state.detail.clear();
                state.not_before = build::at(9);
            }
            store.set_destination_state(state.clone()).await.unwrap();
        }
        let mut stored = store.destination_states().await.unwrap();
        stored.sort_by(|one, other| one.destination.cmp(&other.destination));
        states.sort_by(|one, other| one.destination.cmp(&other.destination));
        assert_eq!(stored, states);
    }
}
