//! Leased events on their way into one request.

use crosstally_core::delivery::DeliveryState;
use crosstally_core::event::OutboundEvent;
use crosstally_core::reason::Reason;
use crosstally_core::time::Timestamp;
use crosstally_destinations::consent::Leaving;
use crosstally_destinations::dialect::{Built, Request};
use crosstally_store::{Held, LeasedDelivery, Unsent};

use super::outcomes::Lease;

/// Some leased deliveries with their events, position by position.
#[derive(Debug, Default)]
pub(super) struct Part {
    pub(super) leases: Vec<Lease>,
    pub(super) events: Vec<OutboundEvent>,
}

/// A request with the part that is in it.
pub(super) struct Ready {
    pub(super) request: Request,
    pub(super) part: Part,
    /// What each event looks like in the request.
    pub(super) payloads: Vec<String>,
}

/// A part, sorted by what a dialect made of it.
pub(super) struct Sorted {
    pub(super) ready: Option<Ready>,
    /// What will never be sent.
    pub(super) unsent: Vec<Unsent>,
    /// What did not fit.
    pub(super) rest: Part,
}

impl Part {
    /// What was leased. What cannot be read ends unsent, where people see it.
    pub(super) fn of(leased: Vec<LeasedDelivery>) -> (Self, Vec<Unsent>) {
        let (mut part, mut unreadable) = (Self::default(), Vec::new());
        for one in leased {
            let held = Held { id: one.id, fence: one.fence };
            match one.event.read() {
                Some(event) => {
                    let (failures, deadline_at, last) = (one.failures, one.deadline_at, one.last);
                    part.push(Lease { held, failures, deadline_at, last }, event);
                }
                None => unreadable.push(failed(held, "the stored event cannot be read")),
            }
        }
        (part, unreadable)
    }

    pub(super) fn len(&self) -> usize {
        self.leases.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.leases.is_empty()
    }

    pub(super) fn held(&self) -> impl Iterator<Item = Held> {
        self.leases.iter().map(|lease| lease.held)
    }

    fn push(&mut self, lease: Lease, event: OutboundEvent) {
        self.leases.push(lease);
        self.events.push(event);
    }

    fn into_pairs(self) -> impl Iterator<Item = (Lease, OutboundEvent)> {
        self.leases.into_iter().zip(self.events)
    }

    /// Both halves, the first one the smaller.
    pub(super) fn halves(mut self) -> (Self, Self) {
        let middle = self.len() / 2;
        let second = Self { leases: self.leases.split_off(middle), events: self.events.split_off(middle) };
        (self, second)
    }

    /// Keeps those that the test holds for, and returns the others.
    pub(super) fn take_unless(&mut self, keep: impl Fn(&Lease) -> bool) -> Self {
        // Mostly all of them: then none has to be moved.
        if self.leases.iter().all(&keep) {
            return Self::default();
        }
        let (mut kept, mut taken) = (Self::default(), Self::default());
        for (lease, event) in std::mem::take(self).into_pairs() {
            if keep(&lease) { kept.push(lease, event) } else { taken.push(lease, event) }
        }
        *self = kept;
        taken
    }

    /// All of it ends unsent.
    pub(super) fn unsent(&self, reason: Reason, detail: &str) -> Vec<Unsent> {
        self.held().map(|held| unsent(held, reason, detail.to_owned())).collect()
    }

    /// All of it ends unsent, as the dialect failed over it.
    pub(super) fn unbuilt(&self) -> Vec<Unsent> {
        self.unsent(Reason::EventIncomplete, "building the request failed inside this program")
    }

    /// All of it that came too late ends unsent.
    pub(super) fn take_expired(&mut self, now: Timestamp) -> Vec<Unsent> {
        self.take_unless(|lease| lease.deadline_at > now).unsent(Reason::EventTooOld, "")
    }

    /// All of it whose person was erased ends unsent.
    pub(super) fn take_erased(&mut self) -> Vec<Unsent> {
        if !self.events.iter().any(|event| event.origin.erased) {
            return Vec::new();
        }
        let (mut kept, mut erased) = (Self::default(), Self::default());
        for (lease, event) in std::mem::take(self).into_pairs() {
            if event.origin.erased { erased.push(lease, event) } else { kept.push(lease, event) }
        }
        *self = kept;
        erased.unsent(Reason::Erased, "")
    }

    /// Each event in the form in which it may leave; what may not leave at all ends unsent.
    /// Nothing leaves where that could not be found out.
    pub(super) fn take_withheld(
        &mut self,
        leaving: impl Fn(&OutboundEvent) -> Option<Leaving>,
    ) -> Vec<Unsent> {
        let leaving: Vec<Option<Leaving>> = self.events.iter().map(leaving).collect();
        if leaving.iter().all(|one| matches!(one, Some(Leaving::InFull))) {
            return Vec::new();
        }
        let (mut kept, mut withheld) = (Self::default(), Vec::new());
        for ((lease, event), leaving) in std::mem::take(self).into_pairs().zip(leaving) {
            match leaving {
                Some(Leaving::InFull) => kept.push(lease, event),
                Some(Leaving::Limited { event, .. }) => kept.push(lease, *event),
                Some(Leaving::Withheld { why }) => {
                    withheld.push(unsent(lease.held, Reason::ConsentDenied, why));
                }
                None => withheld.push(failed(lease.held, "asking for consent failed inside this program")),
            }
        }
        *self = kept;
        withheld
    }

    /// Sorts the part by what was built from it.
    pub(super) fn sort(self, built: Built) -> Sorted {
        let Built { request, included, payloads, left_out } = built;
        let (mut inside, mut rest, mut refused) = (Self::default(), Self::default(), Vec::new());
        let mut included = included.into_iter().peekable();
        for (at, (lease, event)) in self.into_pairs().enumerate() {
            if included.next_if_eq(&at).is_some() {
                inside.push(lease, event);
            } else if let Some(left) = left_out.iter().find(|left| left.index == at) {
                refused.push(unsent(lease.held, left.reason, left.detail.clone()));
            } else {
                rest.push(lease, event);
            }
        }
        match request {
            Some(request) if !inside.is_empty() && payloads.len() == inside.len() => {
                Sorted { ready: Some(Ready { request, part: inside, payloads }), unsent: refused, rest }
            }
            _ => {
                // What fits into no request at all would come back for ever.
                for stuck in [&inside, &rest] {
                    refused.extend(
                        stuck.unsent(Reason::EventIncomplete, "no request could be built for this event"),
                    );
                }
                Sorted { ready: None, unsent: refused, rest: Self::default() }
            }
        }
    }
}

fn failed(held: Held, detail: &str) -> Unsent {
    unsent(held, Reason::EventIncomplete, detail.to_owned())
}

fn unsent(held: Held, reason: Reason, detail: String) -> Unsent {
    let state = match reason {
        Reason::EventTooOld => DeliveryState::Expired,
        // Nothing failed: it was never to be sent.
        Reason::ConsentDenied | Reason::NothingToAdjust | Reason::StandsAgain | Reason::Erased => {
            DeliveryState::Cancelled
        }
        _ => DeliveryState::Dead,
    };
    Unsent { held, state, reason, detail }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use crosstally_core::ids::DeliveryId;
    use crosstally_destinations::dialect::LeftOut;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_764_201_600_000);

    fn part(of: u8) -> Part {
        let mut part = Part::default();
        for number in 0..of {
            let held = Held { id: DeliveryId::new(NOW, [number; 10]), fence: i64::from(number) };
            let deadline_at = NOW.plus_millis(i64::from(number));
            part.push(
                Lease { held, failures: 0, deadline_at, last: None },
                OutboundEvent { event_id: number.to_string(), ..OutboundEvent::default() },
            );
        }
        part
    }

    fn ids(part: &Part) -> String {
        assert_eq!(part.leases.len(), part.events.len());
        for (lease, event) in part.leases.iter().zip(&part.events) {
            assert_eq!(lease.held.fence.to_string(), event.event_id);
        }
        part.events.iter().map(|event| event.event_id.as_str()).collect()
    }

    fn request() -> Request {
        Request {
            method: "POST",
            url: String::new().into(),
            headers: Vec::new(),
            body: Vec::new(),
            body_shown: Vec::new(),
            secrets: Vec::new(),
        }
    }

    #[test]
    fn nobody_is_lost_when_a_part_is_halved_or_thinned() {
        for (of, first, second) in [(1, "", "0"), (2, "0", "1"), (5, "01", "234")] {
            let (a, b) = part(of).halves();
            assert_eq!((ids(&a).as_str(), ids(&b).as_str()), (first, second));
        }
        let mut some = part(4);
        let late = some.take_expired(NOW.plus_millis(1));
        assert_eq!(ids(&some), "23");
        assert_eq!(late.len(), 2);
        assert!(
            late.iter().all(|one| one.state == DeliveryState::Expired && one.reason == Reason::EventTooOld)
        );
    }

    #[test]
    fn every_event_is_in_the_request_or_refused_or_next() {
        let built = Built {
            request: Some(request()),
            included: vec![0, 3],
            payloads: vec![String::new(); 2],
            left_out: vec![
                LeftOut { index: 1, reason: Reason::EventIncomplete, detail: "value".into() },
                LeftOut { index: 2, reason: Reason::EventTooOld, detail: String::new() },
            ],
        };
        let sorted = part(6).sort(built);
        assert_eq!(ids(&sorted.ready.unwrap().part), "03");
        assert_eq!(ids(&sorted.rest), "45");
        let states: Vec<_> = sorted.unsent.iter().map(|one| (one.held.fence, one.state)).collect();
        assert_eq!(states, [(1, DeliveryState::Dead), (2, DeliveryState::Expired)]);
    }

    #[test]
    fn what_fits_nowhere_does_not_come_back_for_ever() {
        let nothing = Built { request: None, included: vec![], payloads: vec![], left_out: vec![] };
        let sorted = part(2).sort(nothing);
        assert!(sorted.ready.is_none() && sorted.rest.is_empty());
        assert_eq!(sorted.unsent.len(), 2);
    }
}
