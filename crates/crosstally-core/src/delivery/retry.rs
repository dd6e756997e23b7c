//! The retry policy: from an attempt's outcome to the delivery's next state and due time.

use crate::delivery::Outcome;
use crate::reason::Reason;
use crate::time::{DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS, Timestamp};

/// The waits after the first, second, … failed attempt. The last repeats until the deadline.
const WAITS_MS: [i64; 12] = [
    5 * SECOND_MS,
    30 * SECOND_MS,
    2 * MINUTE_MS,
    10 * MINUTE_MS,
    30 * MINUTE_MS,
    HOUR_MS,
    2 * HOUR_MS,
    4 * HOUR_MS,
    8 * HOUR_MS,
    12 * HOUR_MS,
    DAY_MS,
    DAY_MS,
];

/// Attempts after which a delivery is dead whatever its deadline.
pub const ATTEMPTS_MAX: u32 = 40;
/// Attempts after which a refusal counts that may have been a passing one: the waits between them are some ten minutes.
pub const DOUBTED_MAX: u32 = 5;

/// What is known about a delivery when an attempt has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttemptFacts {
    /// The number of the attempt that has just ended, from 1.
    pub number: u32,
    /// When it ended.
    pub now: Timestamp,
    /// After this moment the destination does not take the event any more.
    pub deadline: Timestamp,
    /// A random number for the jitter, 0..=1000.
    pub jitter_permille: u32,
    /// Why the attempt before it did not suffice.
    pub last: Option<Reason>,
}

/// What becomes of the delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// It is delivered, proven or not.
    Delivered(Reason),
    /// It is tried again at this time.
    RetryAt(Timestamp, Reason),
    /// It waits for its destination, which is paused; the attempt does not count.
    Wait(Reason),
    /// It is dead.
    Dead(Reason),
    /// It is too old.
    Expired,
}

/// Decides what becomes of a delivery. A [`Outcome::Split`] of more than one event is halved by the caller and never
/// comes here; of one event it is a refusal.
#[must_use]
pub fn next(outcome: &Outcome, facts: AttemptFacts) -> Next {
    match outcome {
        Outcome::Delivered | Outcome::Unverified => Next::Delivered(outcome.reason()),
        Outcome::Refused { reason } | Outcome::Split { reason } => Next::Dead(*reason),
        Outcome::Pause { reason } => Next::Wait(*reason),
        // Not the first one behind other failures: what was down may still be on its way up.
        Outcome::Doubted { reason } if facts.number >= DOUBTED_MAX && facts.last == Some(*reason) => {
            Next::Dead(*reason)
        }
        Outcome::Retry { .. } | Outcome::Doubted { .. } if facts.number >= ATTEMPTS_MAX => {
            Next::Dead(Reason::RetriesExhausted)
        }
        // It was refused, not late.
        Outcome::Doubted { reason } => match later(*reason, None, facts) {
            Next::Expired => Next::Dead(*reason),
            next => next,
        },
        Outcome::Retry { reason, after_ms } => later(*reason, *after_ms, facts),
    }
}

fn later(reason: Reason, after_ms: Option<i64>, facts: AttemptFacts) -> Next {
    // What the destination asks for is a lower bound: it never shortens our own wait.
    let wait = wait_ms(facts.number, facts.jitter_permille).max(after_ms.unwrap_or(0));
    let due = facts.now.plus_millis(wait);
    if due > facts.deadline {
        // One last try just before the deadline beats giving up with time left, also where the destination asks
        // for a longer wait: it may slow us down, never make us throw away.
        let last = facts.deadline.plus_millis(-MINUTE_MS);
        let soonest = facts.now.plus_millis(MINUTE_MS);
        return if last >= soonest { Next::RetryAt(last, reason) } else { Next::Expired };
    }
    Next::RetryAt(due, reason)
}

/// The wait after this many attempts, with up to 20 % taken off or put on.
#[must_use]
pub fn wait_ms(attempt: u32, jitter_permille: u32) -> i64 {
    let at = usize::try_from(attempt.saturating_sub(1)).unwrap_or(usize::MAX).min(WAITS_MS.len() - 1);
    let base = WAITS_MS[at];
    let spread = base / 5;
    let jitter = i64::from(jitter_permille.min(1000));
    (base - spread + spread * 2 * jitter / 1000).max(SECOND_MS)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_764_201_600_000);

    fn facts(number: u32, deadline_in_ms: i64) -> AttemptFacts {
        AttemptFacts {
            number,
            now: NOW,
            deadline: NOW.plus_millis(deadline_in_ms),
            jitter_permille: 500,
            last: None,
        }
    }

    fn retry(after_ms: Option<i64>) -> Outcome {
        Outcome::Retry { reason: Reason::DestServerError, after_ms }
    }

    #[test]
    fn a_refusal_that_may_pass_has_a_short_schedule() {
        let refused = Outcome::Doubted { reason: Reason::DestRejected };
        let behind = |last, number| AttemptFacts { last, ..facts(number, 7 * DAY_MS) };
        let waits: Vec<_> = (1..=5)
            .map(|number| match next(&refused, behind(Some(Reason::DestRejected), number)) {
                Next::RetryAt(due, Reason::DestRejected) => due.millis_since(NOW) / SECOND_MS,
                Next::Dead(Reason::DestRejected) => -1,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(waits, [5, 30, 120, 600, -1]);
        assert_eq!(next(&refused, facts(1, 0)), Next::Dead(Reason::DestRejected));
        // Behind an outage, and in the end.
        for last in [None, Some(Reason::DestServerError)] {
            let due = NOW.plus_millis(30 * MINUTE_MS);
            assert_eq!(next(&refused, behind(last, 5)), Next::RetryAt(due, Reason::DestRejected));
            assert_eq!(next(&refused, behind(last, ATTEMPTS_MAX)), Next::Dead(Reason::RetriesExhausted));
        }
    }

    #[test]
    fn the_schedule_grows_and_retry_after_only_lengthens() {
        let at = |number, after| match next(&retry(after), facts(number, 7 * DAY_MS)) {
            Next::RetryAt(due, _) => due.millis_since(NOW),
            other => panic!("{other:?}"),
        };
        assert_eq!(at(1, None), 5 * SECOND_MS);
        assert_eq!(at(2, None), 30 * SECOND_MS);
        assert_eq!(at(1, Some(1)), 5 * SECOND_MS);
        assert_eq!(at(1, Some(90_000)), 90_000);
        assert_eq!(at(30, None), DAY_MS);
    }

    #[test]
    fn the_deadline_gets_one_last_try_and_then_expires() {
        assert_eq!(
            next(&retry(None), facts(11, 3 * HOUR_MS)),
            Next::RetryAt(NOW.plus_millis(3 * HOUR_MS - MINUTE_MS), Reason::DestServerError)
        );
        assert_eq!(next(&retry(None), facts(11, MINUTE_MS)), Next::Expired);
        for absurd in [4 * HOUR_MS, 7 * DAY_MS, i64::MAX / 4] {
            assert_eq!(
                next(&retry(Some(absurd)), facts(1, 3 * HOUR_MS)),
                Next::RetryAt(NOW.plus_millis(3 * HOUR_MS - MINUTE_MS), Reason::DestServerError)
            );
        }
        assert_eq!(next(&retry(Some(HOUR_MS)), facts(1, MINUTE_MS)), Next::Expired);
    }

    #[test]
    fn what_is_taken_without_proof_is_delivered_and_says_so() {
        for (outcome, code) in
            [(Outcome::Delivered, "delivered"), (Outcome::Unverified, "accepted_unverified")]
        {
            let reason = Reason::from_code(code).expect("a code of the catalogue");
            assert_eq!(next(&outcome, facts(1, 0)), Next::Delivered(reason));
            assert_eq!((outcome.as_str(), outcome.reason()), ("delivered", reason));
        }
    }

    #[test]
    fn pauses_cost_no_attempt_and_refusals_are_final() {
        assert_eq!(
            next(&Outcome::Pause { reason: Reason::DestAuth }, facts(1, 0)),
            Next::Wait(Reason::DestAuth)
        );
        assert_eq!(
            next(&Outcome::Refused { reason: Reason::DestRejected }, facts(1, DAY_MS)),
            Next::Dead(Reason::DestRejected)
        );
        assert_eq!(next(&retry(None), facts(ATTEMPTS_MAX, DAY_MS)), Next::Dead(Reason::RetriesExhausted));
    }

    proptest! {
        #[test]
        fn a_failed_attempt_is_never_repeated_within_a_second(attempt in 1_u32..60, jitter in 0_u32..2000) {
            let wait = wait_ms(attempt, jitter);
            prop_assert!((SECOND_MS..=DAY_MS + DAY_MS / 5).contains(&wait));
        }
    }
}
