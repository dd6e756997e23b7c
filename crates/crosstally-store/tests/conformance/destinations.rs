//! The destinations' state of health.

use crosstally_core::delivery::Outcome;
use crosstally_core::reason::Reason;
use crosstally_store::{After, CallResult, DestinationState, LeaseWanted, Outage, Settlement};

use crate::build::{self, META, NASTY};
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

/// Whatever calls find out: a pause that somebody wanted is ended by somebody.
pub(crate) async fn only_a_hand_ends_what_a_hand_began(stage: &Stage) {
    let store = stage.open().await;
    build::book_deliveries(&store, META, 2).await;
    let state = |paused, ms| DestinationState {
        destination: META.into(),
        paused,
        detail: String::new(),
        since: build::at(ms),
        settings_digest: "digest".into(),
        not_before: build::at(ms),
    };
    let stored = async || store.destination_states().await.unwrap().remove(0);
    store.set_destination_state(state(Some(Reason::DestAuth), 1)).await.unwrap();
    let by_hand = state(Some(Reason::PausedByHand), 2);
    store.set_destination_by_hand(by_hand.clone()).await.unwrap();
    assert_eq!(stored().await, by_hand);
    for told in [state(None, 3), state(Some(Reason::DestGone), 4)] {
        store.set_destination_state(told.clone()).await.unwrap();
        assert_eq!(stored().await, by_hand);
        // Also a call that was under way, whose own outcome is written down.
        let wanted = LeaseWanted { limit: 1, ..build::wanted(META, 10) };
        let held = build::held(&store.lease_deliveries(wanted).await.unwrap());
        let call = build::new_call(20, &held);
        let id = call.id;
        store.open_call(call).await.unwrap();
        let settlement = Settlement {
            held: held[0],
            outcome: Outcome::Delivered,
            after: After::Delivered,
            reason: Reason::Delivered,
            last_at: None,
        };
        let settled = store.settle_call(build::result(id, 30), vec![settlement], Some(told)).await.unwrap();
        assert_eq!(settled.applied, 1);
        assert_eq!(stored().await, by_hand);
    }
    store.set_destination_by_hand(state(None, 5)).await.unwrap();
    assert_eq!(stored().await, state(None, 5));
    store.set_destination_state(state(Some(Reason::DestAuth), 6)).await.unwrap();
    assert_eq!(stored().await.paused, Some(Reason::DestAuth));
}

/// Two nodes: one finds out that nobody is let in; the other hears of a throttle, or of a probe that had begun before.
pub(crate) async fn a_call_lifts_no_pause_that_has_begun_since(stage: &Stage) {
    let store = stage.open().await;
    build::book_deliveries(&store, META, 8).await;
    let state = |paused, since, digest: &str| DestinationState {
        destination: META.into(),
        paused,
        detail: String::new(),
        since: build::at(since),
        settings_digest: digest.into(),
        not_before: build::at(since),
    };
    let stored = async || store.destination_states().await.unwrap().remove(0);
    let shut = state(Some(Reason::DestAuth), 25, "digest");
    let (open, others) = (state(None, 40, "digest"), state(None, 40, "other settings"));
    let worse = state(Some(Reason::DestGone), 40, "digest");
    for (began, probe, told, expected) in [
        (20, true, &open, &shut),
        (25, true, &open, &shut),
        (26, true, &open, &open),
        (20, true, &worse, &worse),
        (26, false, &open, &shut),
        (20, false, &others, &others),
        (20, false, &worse, &worse),
    ] {
        store.set_destination_by_hand(shut.clone()).await.unwrap();
        let wanted = LeaseWanted { limit: 1, ..build::wanted(META, 10) };
        let held = build::held(&store.lease_deliveries(wanted).await.unwrap());
        let call = build::new_call(began, &held);
        let id = call.id;
        store.open_call(call).await.unwrap();
        let again = Settlement {
            held: held[0],
            outcome: Outcome::Retry { reason: Reason::DestTimeout, after_ms: None },
            after: After::RetryAt(build::at(10)),
            reason: Reason::DestTimeout,
            last_at: None,
        };
        let result = CallResult { probe, ..build::result(id, 40) };
        let settled = store.settle_call(result, vec![again], Some(told.clone())).await.unwrap();
        assert_eq!(settled.applied, 1);
        assert_eq!(&stored().await, expected, "began at {began}, a probe: {probe}");
    }
}

/// Several nodes find the same probe due, and somebody may resume or pause the destination in that moment.
pub(crate) async fn a_probe_is_one_nodes_and_only_of_the_pause_it_was_due_for(stage: &Stage) {
    let store = stage.open().await;
    let state = |destination: &str, paused, since: i64, not_before: i64| DestinationState {
        destination: destination.into(),
        paused,
        detail: "words".into(),
        since: build::at(since),
        settings_digest: destination.into(),
        not_before: build::at(not_before),
    };
    for text in NASTY {
        let slug = format!("slug {text}");
        let auth = Some(Reason::DestAuth);
        let read = state(&slug, auth, 1, 5);
        assert!(!store.take_probe(read.clone(), build::at(9)).await.unwrap(), "nothing is known of it");
        let stored = async || {
            let states = store.destination_states().await.unwrap();
            states.into_iter().find(|state| state.destination == slug).unwrap()
        };
        for meanwhile in [
            state(&slug, None, 6, 6),
            state(&slug, auth, 6, 6),
            state(&slug, auth, 1, 6),
            state(&slug, Some(Reason::DestGone), 1, 5),
            state(&slug, Some(Reason::PausedByHand), 1, 5),
            DestinationState { settings_digest: "others".into(), ..read.clone() },
        ] {
            store.set_destination_by_hand(meanwhile.clone()).await.unwrap();
            assert!(!store.take_probe(read.clone(), build::at(9)).await.unwrap(), "{meanwhile:?}");
            assert_eq!(stored().await, meanwhile);
        }
        store.set_destination_by_hand(read.clone()).await.unwrap();
        let both = tokio::join!(
            store.take_probe(read.clone(), build::at(9)),
            store.take_probe(read.clone(), build::at(9))
        );
        assert_eq!(u8::from(both.0.unwrap()) + u8::from(both.1.unwrap()), 1, "one node probes");
        assert_eq!(stored().await, DestinationState { not_before: build::at(9), ..read.clone() });
        assert!(!store.take_probe(read, build::at(12)).await.unwrap());
    }
}

pub(crate) async fn an_outage_is_noted_and_ends(stage: &Stage) {
    let store = stage.open().await;
    assert_eq!(store.outages().await.unwrap(), []);
    let outage = |destination: &str, reason, text: &str, ms| Outage {
        destination: destination.into(),
        reason,
        detail: text.into(),
        since: build::at(ms),
        settings_digest: text.into(),
    };
    let set = async |one: &Outage| {
        store.set_outage(one.destination.clone(), Some(one.clone())).await.unwrap();
    };
    for text in NASTY {
        let mut noted = [
            outage(&format!("slug {text}"), Reason::DestTimeout, text, 1),
            outage(META, Reason::DestServerError, "other", 2),
        ];
        set(&outage(META, Reason::DestUnreachable, "before", 1)).await;
        set(&noted[1]).await;
        set(&noted[0]).await;
        noted.sort_by(|one, other| one.destination.cmp(&other.destination));
        assert_eq!(store.outages().await.unwrap(), noted);
        for one in &noted {
            store.set_outage(one.destination.clone(), None).await.unwrap();
            store.set_outage(one.destination.clone(), None).await.unwrap();
        }
        assert_eq!(store.outages().await.unwrap(), []);
    }
    // A pause and an outage say nothing of each other.
    set(&outage(META, Reason::DestTimeout, "x", 1)).await;
    assert_eq!(store.destination_states().await.unwrap(), []);
}
