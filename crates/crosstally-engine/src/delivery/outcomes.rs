//! From what a call came to, to what becomes of each of its deliveries. Pure.

use std::ops::AddAssign;

use crosstally_core::delivery::Outcome;
use crosstally_core::delivery::retry::{self, AttemptFacts, Next};
use crosstally_core::reason::Reason;
use crosstally_core::time::Timestamp;
use crosstally_destinations::dialect::{BatchOutcome, Response};
use crosstally_store::{After, Held, Settlement};

use crate::http_out::SendError;

/// What became of deliveries, counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Delivered {
    /// Calls made.
    pub calls: u64,
    /// Deliveries confirmed.
    pub delivered: u64,
    /// Attempts that are repeated later.
    pub retried: u64,
    /// Deliveries that wait for their paused destination.
    pub waiting: u64,
    /// Deliveries refused for good.
    pub dead: u64,
    /// Deliveries that came too late.
    pub expired: u64,
    /// Deliveries that a visitor's consent does not allow.
    pub withheld: u64,
    /// Results among all these that were not taken, as somebody else had taken the delivery over.
    pub stale: u64,
}

impl AddAssign for Delivered {
    fn add_assign(&mut self, other: Self) {
        self.calls += other.calls;
        self.delivered += other.delivered;
        self.retried += other.retried;
        self.waiting += other.waiting;
        self.dead += other.dead;
        self.expired += other.expired;
        self.withheld += other.withheld;
        self.stale += other.stale;
    }
}

impl Delivered {
    pub(super) const fn count(&mut self, after: After) {
        match after {
            After::Delivered => self.delivered += 1,
            After::RetryAt(_) => self.retried += 1,
            After::Wait => self.waiting += 1,
            After::Dead => self.dead += 1,
            After::Expired => self.expired += 1,
            After::KeepLease => {}
        }
    }
}

/// A leased delivery without its event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lease {
    pub(super) held: Held,
    pub(super) failures: u32,
    pub(super) deadline_at: Timestamp,
    /// Why its last attempt did not suffice.
    pub(super) last: Option<Reason>,
}

impl Lease {
    /// Whether its last call found the door shut.
    fn waited(&self) -> bool {
        self.last.is_some_and(Reason::is_shut_door)
    }
}

/// For whom a destination's door is shut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shut {
    /// For all, as far as is known.
    ForAll,
    /// Perhaps for these events alone: it took others while they were refused. They are tried once more, behind all others.
    ForThese,
}

/// A shut door that is one event's own: the destination has taken others since it was shut for all, and among these events
/// are some that found it shut before. They are told apart by halving, and the one tries again by itself: who holds up
/// everybody for ever must not be able to come back and do it again.
pub(super) fn of_its_own(outcome: BatchOutcome, leases: &[Lease], taken: Taken) -> (BatchOutcome, Shut) {
    match outcome {
        BatchOutcome::Whole(Outcome::Pause { reason }) if taken.others && reason.is_shut_door() => {
            if leases.iter().any(Lease::waited) {
                let own = match leases {
                    [_] => Outcome::Retry { reason, after_ms: None },
                    _ => Outcome::Split { reason },
                };
                return (BatchOutcome::Whole(own), Shut::ForThese);
            }
            let shut = if taken.meanwhile { Shut::ForThese } else { Shut::ForAll };
            (BatchOutcome::Whole(Outcome::Pause { reason }), shut)
        }
        outcome => (outcome, Shut::ForAll),
    }
}

/// What a destination has taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Taken {
    /// Anything since it was paused last.
    pub(super) others: bool,
    /// Anything since the call began of which the answer is read.
    pub(super) meanwhile: bool,
}

/// What a call without an answer came to.
pub(crate) const fn without_answer(error: &SendError) -> Outcome {
    match error.reason {
        Reason::AddressForbidden | Reason::OwnAddress | Reason::DestMisconfigured => {
            Outcome::Pause { reason: error.reason }
        }
        // Some event's content cannot be sent: found by halving.
        Reason::DestRejected => Outcome::Split { reason: error.reason },
        _ => Outcome::Retry { reason: error.reason, after_ms: None },
    }
}

/// What the call came to for each event; `Err` if the batch has to be halved. A batch that may not be halved any
/// further is tried again later as it is.
pub(super) fn each(outcome: BatchOutcome, sent: usize, may_split: bool) -> Result<Vec<Outcome>, Outcome> {
    match outcome {
        BatchOutcome::Whole(Outcome::Split { reason }) if sent > 1 => {
            if may_split {
                return Err(Outcome::Split { reason });
            }
            Ok(vec![Outcome::Retry { reason, after_ms: None }; sent])
        }
        BatchOutcome::Whole(outcome) => Ok(vec![outcome; sent]),
        BatchOutcome::Each(outcomes) if outcomes.len() == sent => Ok(outcomes),
        BatchOutcome::Each(_) => {
            Ok(vec![Outcome::Retry { reason: Reason::DestUnreadable, after_ms: None }; sent])
        }
    }
}

/// Whether the events of a call may have arrived although they have to be sent again: there is no answer, or one that says
/// nothing of that. A refusal says that they have not.
pub(super) fn may_have_arrived(answer: &Result<Response, SendError>) -> bool {
    match answer {
        Ok(response) => !matches!(response.status, 400..=499 | 503),
        Err(error) => error.may_have_arrived,
    }
}

/// What becomes of one delivery. What may have arrived must not be tried any more after `last_at`.
pub(super) fn settle(
    lease: &Lease,
    outcome: Outcome,
    now: Timestamp,
    (last_at, jitter_permille): (Option<Timestamp>, u32),
) -> Settlement {
    // Whoever was let in nowhere did not arrive, whatever the status of the answer.
    let last_at =
        last_at.filter(|_| matches!(outcome, Outcome::Retry { reason, .. } if !reason.is_shut_door()));
    let facts = AttemptFacts {
        number: lease.failures.saturating_add(1),
        now,
        deadline: last_at.map_or(lease.deadline_at, |last_at| last_at.min(lease.deadline_at)),
        jitter_permille,
        last: lease.last,
    };
    let (after, reason) = match retry::next(&outcome, facts) {
        Next::Delivered(reason) => (After::Delivered, reason),
        Next::RetryAt(at, reason) => (After::RetryAt(at), reason),
        Next::Wait(reason) => (After::Wait, reason),
        Next::Dead(reason) => (After::Dead, reason),
        Next::Expired => (After::Expired, Reason::EventTooOld),
    };
    Settlement { held: lease.held, outcome, after, reason, last_at }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use crosstally_core::ids::DeliveryId;
    use crosstally_core::time::{DAY_MS, SECOND_MS};

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_764_201_600_000);
    const REJECTED: Reason = Reason::DestRejected;

    fn lease(failures: u32) -> Lease {
        let held = Held { id: DeliveryId::new(NOW, [1; 10]), fence: 1 };
        Lease { held, failures, deadline_at: NOW.plus_millis(DAY_MS), last: None }
    }

    #[test]
    fn a_call_without_an_answer() {
        for (reason, word) in [
            (Reason::DestTimeout, "retry"),
            (Reason::DestUnreachable, "retry"),
            (Reason::DestUnreadable, "retry"),
            (Reason::OutcomeUnknown, "retry"),
            (Reason::AddressForbidden, "paused"),
            (Reason::OwnAddress, "paused"),
            (Reason::DestMisconfigured, "paused"),
            (Reason::DestRejected, "split"),
        ] {
            let outcome =
                without_answer(&SendError { reason, detail: String::new(), may_have_arrived: false });
            assert_eq!((outcome.as_str(), outcome.reason()), (word, reason));
        }
    }

    #[test]
    fn who_found_the_door_shut_before_shuts_it_for_nobody_else() {
        let pause = |reason| BatchOutcome::Whole(Outcome::Pause { reason });
        let (new, old) = (lease(0), Lease { last: Some(Reason::DestAuth), ..lease(0) });
        let some = |others, meanwhile| Taken { others, meanwhile };
        let word = |leases: &[Lease], reason, taken| {
            let (BatchOutcome::Whole(outcome), shut) = of_its_own(pause(reason), leases, taken) else {
                panic!("of all")
            };
            assert_eq!(outcome.reason(), reason);
            (outcome.as_str(), shut)
        };
        for (leases, reason, taken, expected) in [
            (&[old][..], Reason::DestPermission, some(true, false), ("retry", Shut::ForThese)),
            (&[new, old, new], Reason::DestAuth, some(true, true), ("split", Shut::ForThese)),
            (&[old], Reason::DestAuth, some(false, false), ("paused", Shut::ForAll)),
            (&[new, new], Reason::DestAuth, some(true, false), ("paused", Shut::ForAll)),
            (&[new], Reason::DestAuth, some(true, true), ("paused", Shut::ForThese)),
            (&[new], Reason::DestAuth, some(false, true), ("paused", Shut::ForAll)),
            (&[old], Reason::SecretMissing, some(true, true), ("paused", Shut::ForAll)),
        ] {
            assert_eq!(word(leases, reason, taken), expected, "{leases:?} {reason}");
        }
        let refused = BatchOutcome::Whole(Outcome::Refused { reason: REJECTED });
        assert_eq!(of_its_own(refused.clone(), &[old], some(true, true)).0, refused);
    }

    #[test]
    fn what_may_have_arrived_is_not_tried_when_it_would_count_twice() {
        let last_at = NOW.plus_millis(20 * SECOND_MS);
        let tried = |outcome| settle(&lease(0), outcome, NOW, (Some(last_at), 500));
        let retry = |reason| Outcome::Retry { reason, after_ms: None };
        let settled = tried(retry(Reason::DestTimeout));
        assert_eq!(
            (settled.after, settled.last_at),
            (After::RetryAt(NOW.plus_millis(5 * SECOND_MS)), Some(last_at))
        );
        // The second wait would end too late.
        assert_eq!(
            settle(&lease(1), retry(Reason::DestTimeout), NOW, (Some(last_at), 500)).after,
            After::Expired
        );
        assert_eq!(tried(Outcome::Pause { reason: Reason::DestAuth }).last_at, None);
        assert_eq!(tried(retry(Reason::DestAuth)).last_at, None, "its own door, in an answer of 200");
        let answered = |status| may_have_arrived(&Ok(Response { status, ..Response::default() }));
        assert_eq!([200, 302, 500, 502, 504].map(answered), [true; 5]);
        assert_eq!([400, 401, 408, 429, 503].map(answered), [false; 5]);
    }

    #[test]
    fn only_a_batch_of_several_is_halved() {
        let split = || BatchOutcome::Whole(Outcome::Split { reason: REJECTED });
        assert_eq!(each(split(), 2, true).unwrap_err().as_str(), "split");
        assert_eq!(each(split(), 2, false).unwrap()[1].as_str(), "retry");
        let single = each(split(), 1, true).unwrap().remove(0);
        assert_eq!(settle(&lease(0), single, NOW, (None, 0)).after, After::Dead);
        assert_eq!(
            each(BatchOutcome::Whole(Outcome::Delivered), 3, true).unwrap(),
            vec![Outcome::Delivered; 3]
        );
        let odd = BatchOutcome::Each(vec![Outcome::Delivered]);
        assert_eq!(each(odd, 2, true).unwrap()[0].reason(), Reason::DestUnreadable);
    }

    /// A batch that was taken in part: who arrived is not sent again, whoever stood beside them.
    #[test]
    fn each_event_has_its_own_outcome() {
        let retry = Outcome::Retry { reason: Reason::DestPartial, after_ms: None };
        let refused = Outcome::Refused { reason: REJECTED };
        let own = vec![Outcome::Delivered, retry, refused, Outcome::Delivered];
        let after: Vec<_> = each(BatchOutcome::Each(own), 4, true)
            .unwrap()
            .into_iter()
            .map(|outcome| settle(&lease(0), outcome, NOW, (None, 500)).after)
            .collect();
        let again = After::RetryAt(NOW.plus_millis(5 * SECOND_MS));
        assert_eq!(after, [After::Delivered, again, After::Dead, After::Delivered]);
    }

    #[test]
    fn only_failures_count_against_the_schedule() {
        let retry = Outcome::Retry { reason: Reason::DestServerError, after_ms: None };
        let due = |failures| match settle(&lease(failures), retry.clone(), NOW, (None, 500)).after {
            After::RetryAt(at) => at.millis_since(NOW),
            other => panic!("{other:?}"),
        };
        assert_eq!((due(0), due(1)), (5 * SECOND_MS, 30 * SECOND_MS));
        let settled = |outcome| {
            let settlement = settle(&lease(39), outcome, NOW, (None, 0));
            (settlement.after, settlement.reason)
        };
        assert_eq!(settled(retry.clone()), (After::Dead, Reason::RetriesExhausted));
        assert_eq!(settled(Outcome::Pause { reason: Reason::DestAuth }), (After::Wait, Reason::DestAuth));
        assert_eq!(settled(Outcome::Delivered), (After::Delivered, Reason::Delivered));
        let unverified = (After::Delivered, Reason::AcceptedUnverified);
        assert_eq!(settled(Outcome::Unverified), unverified);
        let last = Lease { deadline_at: NOW.plus_millis(SECOND_MS), ..lease(0) };
        assert_eq!(settle(&last, retry, NOW, (None, 0)).after, After::Expired);
    }
}
