//! Whether a destination may be sent to now, and what its state becomes after a call. Pure: the state itself lies in the
//! store and is shared by all nodes.

use crosstally_core::delivery::Outcome;
use crosstally_core::reason::Reason;
use crosstally_core::time::{DAY_MS, MINUTE_MS, Timestamp};
use crosstally_destinations::dialect::{BatchOutcome, Reading};
use crosstally_store::DestinationState;

use super::outcomes::Shut;
use crate::snapshot::ReadyDestination;

const PROBE_WAIT_MS_MIN: i64 = MINUTE_MS;
const PROBE_WAIT_MS_MAX: i64 = 15 * MINUTE_MS;
/// How long a node without a secret leaves a destination alone that another node, which has it, has resumed.
const PAUSE_AGAIN_MS: i64 = MINUTE_MS;
/// The longest throttle that is believed.
const THROTTLE_MS_MAX: i64 = DAY_MS;

/// What a lane may do now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Standing {
    /// Send.
    Open,
    /// Send one event, to see whether the cause of the pause has gone.
    Probe,
    /// Send one event: others are let in, and the last one from here was not.
    One,
    /// Nothing before this time.
    Until(Timestamp),
    /// Other settings than those that did not work: lift the pause and send.
    Resume,
    /// A secret is missing here: pause.
    Pause,
}

/// The destination as this node sees it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Here<'a> {
    pub(super) slug: &'a str,
    pub(super) digest: &'a str,
    pub(super) missing_secrets: &'a [String],
    pub(super) now: Timestamp,
}

impl<'a> Here<'a> {
    pub(super) fn of(ready: &'a ReadyDestination, now: Timestamp) -> Self {
        Self { slug: &ready.config.slug, digest: &ready.digest, missing_secrets: &ready.missing_secrets, now }
    }
}

/// What a lane may do. `again_at`: when the door, which these settings have found shut, is worth a try again; `None` if they
/// have not.
pub(super) fn standing(
    state: Option<&DestinationState>,
    here: Here<'_>,
    again_at: Option<Timestamp>,
) -> Standing {
    // Somebody wants it so: neither other settings nor a probe know better.
    if state.is_some_and(|state| state.paused == Some(Reason::PausedByHand)) {
        return Standing::Until(here.now.plus_millis(PAUSE_AGAIN_MS));
    }
    if !here.missing_secrets.is_empty() {
        return match state {
            None => Standing::Pause,
            Some(state) if state.paused.is_some() => Standing::Until(here.now.plus_millis(PAUSE_AGAIN_MS)),
            Some(state) => {
                let again = state.since.plus_millis(PAUSE_AGAIN_MS);
                if here.now < again { Standing::Until(again) } else { Standing::Pause }
            }
        };
    }
    let Some(state) = state else { return Standing::Open };
    let same_settings = state.settings_digest == here.digest;
    match state.paused {
        // Another node's settings were refused; if these here were, too, both would resume it in turns.
        Some(_) if !same_settings => match again_at {
            Some(at) if here.now < at => Standing::Until(at),
            Some(_) => Standing::Probe,
            None => Standing::Resume,
        },
        Some(_) if here.now < state.not_before => Standing::Until(state.not_before),
        Some(_) => Standing::Probe,
        // Other settings may well have another quota.
        None if same_settings && here.now < state.not_before => Standing::Until(state.not_before),
        // Another node's settings are let in: these here would pause it, and it would resume, in turns.
        None if !same_settings && !state.settings_digest.is_empty() => match again_at {
            Some(at) if here.now < at => Standing::Until(at),
            Some(_) => Standing::One,
            None => Standing::Open,
        },
        None => Standing::Open,
    }
}

/// What else is known of a call when it has ended.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known {
    /// Whether it was the one that shows whether a pause is over.
    pub(super) probe: bool,
    /// For whom the door is shut, if it is.
    pub(super) shut: Shut,
}

/// The state after a call; `None` if it stays.
pub(super) fn after_call(
    reading: &Reading,
    before: Option<&DestinationState>,
    known: Known,
    here: Here<'_>,
) -> Option<DestinationState> {
    // A door shut to these events alone pauses nobody else; that it is knocked at too often holds for all.
    if let Some(reason) = pause_reason(&reading.outcome).filter(|_| known.shut == Shut::ForAll) {
        return Some(paused(reason, &reading.detail, before, here));
    }
    let wait = reading.slow_down_ms.unwrap_or(0).clamp(0, THROTTLE_MS_MAX);
    if known.probe {
        // An answer that judges the event shows that the door is open; anything else shows nothing, and the next
        // probe's time is set already.
        return came_to_nothing(&reading.outcome).is_none().then(|| open(wait, here));
    }
    (wait > 0).then(|| DestinationState { detail: reading.detail.clone(), ..open(wait, here) })
}

/// Why a call brought neither an acceptance nor a refusal, if it did not.
pub(super) const fn came_to_nothing(outcome: &BatchOutcome) -> Option<Reason> {
    match outcome {
        BatchOutcome::Whole(Outcome::Retry { reason, .. }) => Some(*reason),
        _ => None,
    }
}

/// Whether a call brought an acceptance of any event.
pub(super) fn is_accepted(outcome: &BatchOutcome) -> bool {
    let is = |outcome: &Outcome| matches!(outcome, Outcome::Delivered | Outcome::Unverified);
    match outcome {
        BatchOutcome::Whole(outcome) => is(outcome),
        BatchOutcome::Each(outcomes) => outcomes.iter().any(is),
    }
}

fn pause_reason(outcome: &BatchOutcome) -> Option<Reason> {
    let of = |outcome: &Outcome| match outcome {
        Outcome::Pause { reason } => Some(*reason),
        Outcome::Delivered
        | Outcome::Unverified
        | Outcome::Retry { .. }
        | Outcome::Refused { .. }
        | Outcome::Doubted { .. }
        | Outcome::Split { .. } => None,
    };
    match outcome {
        BatchOutcome::Whole(outcome) => of(outcome),
        BatchOutcome::Each(outcomes) => outcomes.iter().find_map(of),
    }
}

/// In order, but left alone for so long.
pub(super) fn open(wait_ms: i64, here: Here<'_>) -> DestinationState {
    DestinationState {
        destination: here.slug.to_owned(),
        paused: None,
        detail: String::new(),
        since: here.now,
        settings_digest: here.digest.to_owned(),
        not_before: here.now.plus_millis(wait_ms),
    }
}

/// Paused. A pause that goes on keeps its beginning, from which the wait until the next probe follows.
pub(super) fn paused(
    reason: Reason,
    detail: &str,
    before: Option<&DestinationState>,
    here: Here<'_>,
) -> DestinationState {
    let goes_on = before.filter(|state| state.paused.is_some() && state.settings_digest == here.digest);
    let since = goes_on.map_or(here.now, |state| state.since);
    DestinationState {
        destination: here.slug.to_owned(),
        paused: Some(reason),
        detail: detail.to_owned(),
        since,
        settings_digest: here.digest.to_owned(),
        not_before: next_probe(since, here.now),
    }
}

/// When to try again what has been shut since then. Waits double: the pause has lasted as long as all waits before together.
pub(super) fn next_probe(since: Timestamp, now: Timestamp) -> Timestamp {
    now.plus_millis(now.millis_since(since).clamp(PROBE_WAIT_MS_MIN, PROBE_WAIT_MS_MAX))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_764_201_600_000);

    fn here(missing_secrets: &[String]) -> Here<'_> {
        Here { slug: "meta", digest: "new", missing_secrets, now: NOW }
    }

    fn state(paused: Option<Reason>, digest: &str, not_before_in_ms: i64) -> DestinationState {
        DestinationState {
            destination: "meta".into(),
            paused,
            detail: String::new(),
            since: NOW.plus_millis(-30_000),
            settings_digest: digest.into(),
            not_before: NOW.plus_millis(not_before_in_ms),
        }
    }

    #[test]
    fn when_a_destination_may_be_sent_to() {
        let auth = Some(Reason::DestAuth);
        for (before, expected) in [
            (None, Standing::Open),
            (Some(state(auth, "new", 5)), Standing::Until(NOW.plus_millis(5))),
            (Some(state(auth, "new", 0)), Standing::Probe),
            (Some(state(auth, "old", 5)), Standing::Resume),
            (Some(state(None, "new", 5)), Standing::Until(NOW.plus_millis(5))),
            (Some(state(None, "new", 0)), Standing::Open),
            (Some(state(None, "old", 5)), Standing::Open),
            (Some(state(None, "", 0)), Standing::Open),
        ] {
            assert_eq!(standing(before.as_ref(), here(&[]), None), expected, "{before:?}");
        }
    }

    #[test]
    fn settings_that_were_refused_wait_while_another_nodes_are_let_in() {
        let (soon, over) = (NOW.plus_millis(5), NOW.plus_millis(-5));
        for (before, again_at, expected) in [
            (state(None, "old", 0), Some(soon), Standing::Until(soon)),
            (state(None, "old", 0), Some(over), Standing::One),
            (state(None, "old", 0), None, Standing::Open),
            // Let in with these very settings, or resumed by hand.
            (state(None, "new", 0), Some(soon), Standing::Open),
            (state(None, "", 0), Some(soon), Standing::Open),
            // Both were refused.
            (state(Some(Reason::DestAuth), "old", 9), Some(soon), Standing::Until(soon)),
            (state(Some(Reason::DestAuth), "old", 9), Some(over), Standing::Probe),
            (state(Some(Reason::DestAuth), "old", 9), None, Standing::Resume),
            (state(Some(Reason::DestAuth), "new", 9), Some(soon), Standing::Until(NOW.plus_millis(9))),
        ] {
            assert_eq!(standing(Some(&before), here(&[]), again_at), expected, "{before:?} {again_at:?}");
        }
    }

    #[test]
    fn a_pause_by_hand_is_nobodys_to_end() {
        let missing = ["access_token".to_owned()];
        for digest in ["", "old", "new"] {
            for not_before in [-5, 0, 5] {
                let paused = state(Some(Reason::PausedByHand), digest, not_before);
                for missing in [&[][..], &missing] {
                    let expected = Standing::Until(NOW.plus_millis(MINUTE_MS));
                    assert_eq!(
                        standing(Some(&paused), here(missing), None),
                        expected,
                        "{digest} {not_before}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_missing_secret_pauses_once_and_yields_to_a_node_that_has_it() {
        let missing = ["access_token".to_owned()];
        let mut resumed = state(None, "other node's", 0);
        for (before, expected) in [
            (None, Standing::Pause),
            (
                Some(state(Some(Reason::SecretMissing), "new", -5)),
                Standing::Until(NOW.plus_millis(MINUTE_MS)),
            ),
            (Some(resumed.clone()), Standing::Until(NOW.plus_millis(30_000))),
        ] {
            assert_eq!(standing(before.as_ref(), here(&missing), None), expected, "{before:?}");
        }
        resumed.since = NOW.plus_millis(-MINUTE_MS);
        assert_eq!(standing(Some(&resumed), here(&missing), None), Standing::Pause);
    }

    #[test]
    fn probes_come_at_doubling_waits_up_to_a_quarter_of_an_hour() {
        let mut now = NOW;
        let mut state: Option<DestinationState> = None;
        let mut waits = Vec::new();
        for _ in 0..7 {
            let paused = paused(Reason::DestAuth, "", state.as_ref(), Here { now, ..here(&[]) });
            waits.push(paused.not_before.millis_since(now) / MINUTE_MS);
            assert_eq!(paused.since, NOW);
            assert_eq!(next_probe(NOW, now), paused.not_before);
            now = paused.not_before;
            state = Some(paused);
        }
        assert_eq!(waits, [1, 1, 2, 4, 8, 15, 15]);
    }

    #[test]
    fn what_a_call_does_to_the_state() {
        let retry = Outcome::Retry { reason: Reason::DestServerError, after_ms: None };
        let pause = Outcome::Pause { reason: Reason::DestAuth };
        let refused = Outcome::Refused { reason: Reason::DestRejected };
        let split = Outcome::Split { reason: Reason::DestRejected };
        let before = state(Some(Reason::DestAuth), "new", 0);
        let known = |probe| Known { probe, shut: Shut::ForAll };
        let after = |outcome: &Outcome, slow_down, probe: bool| {
            let reading = Reading::whole(outcome.clone(), "words").slow_down(slow_down);
            after_call(&reading, probe.then_some(&before), known(probe), here(&[]))
        };
        for outcome in [&Outcome::Delivered, &retry, &refused, &split] {
            assert_eq!(after(outcome, None, false), None);
            let throttled = after(outcome, Some(7_000), false).unwrap();
            assert_eq!((throttled.paused, throttled.not_before), (None, NOW.plus_millis(7_000)));
        }
        assert_eq!(after(&retry, None, true), None);
        for outcome in [&Outcome::Delivered, &Outcome::Unverified, &refused, &split] {
            let open = after(outcome, None, true).unwrap();
            assert_eq!((open.paused, open.not_before), (None, NOW));
        }
        for probe in [false, true] {
            let paused = after(&pause, Some(5), probe).unwrap();
            assert_eq!((paused.paused, paused.detail.as_str()), (Some(Reason::DestAuth), "words"));
            assert_eq!(paused.since, if probe { before.since } else { NOW });
        }
        let each = Reading {
            outcome: BatchOutcome::Each(vec![Outcome::Delivered, pause]),
            detail: String::new(),
            slow_down_ms: None,
        };
        assert!(after_call(&each, None, known(false), here(&[])).unwrap().paused.is_some());
        assert_eq!(
            after(&Outcome::Delivered, Some(i64::MAX), false).unwrap().not_before,
            NOW.plus_millis(DAY_MS)
        );
    }

    #[test]
    fn a_door_shut_to_one_pauses_nobody_and_its_throttle_holds_for_all() {
        let known = Known { probe: false, shut: Shut::ForThese };
        let after = |slow_down| {
            let pause = Outcome::Pause { reason: Reason::DestPermission };
            after_call(&Reading::whole(pause, "").slow_down(slow_down), None, known, here(&[]))
        };
        assert_eq!(after(None), None);
        let throttled = after(Some(7_000)).unwrap();
        assert_eq!((throttled.paused, throttled.not_before), (None, NOW.plus_millis(7_000)));
    }
}
