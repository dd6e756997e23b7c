//! What the batches of a lane tell it and one another: how much is in hand, when no further call makes sense, and how many
//! events a batch may have. In this process only.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};

use tokio::sync::{Mutex, MutexGuard, Notify, OwnedSemaphorePermit, Semaphore};

/// Calls under way to one destination: as many connections as it gets from us at most.
pub(super) const CALLS_MAX: usize = 128;
/// Of what may be in hand, one part of this many must be free before more is leased.
const FREE_SHARE: usize = 4;

/// What the batches of a lane tell it.
#[derive(Debug)]
pub(super) struct Pace {
    /// Results that are known but could not be written down yet.
    unwritten: AtomicU32,
    /// How many events a batch may have.
    batch_max: AtomicUsize,
    /// Calls after which it made no sense to make more just then.
    stops: AtomicU32,
    /// Which of these was the last that paused the destination.
    paused_at: AtomicU32,
    /// Whether the destination has taken anything since.
    accepted: AtomicBool,
    /// Calls of which it took something.
    taken: AtomicU32,
    /// One permit for each call that may be under way.
    calls: Arc<Semaphore>,
    /// Whose turn it is to take permits.
    turn: Mutex<()>,
    /// What was leased and has not ended yet, in calls.
    in_hand: AtomicUsize,
    /// Rings when some of it has ended.
    room: Notify,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            unwritten: AtomicU32::new(0),
            batch_max: AtomicUsize::new(usize::MAX),
            stops: AtomicU32::new(0),
            paused_at: AtomicU32::new(0),
            accepted: AtomicBool::new(false),
            taken: AtomicU32::new(0),
            calls: Arc::new(Semaphore::new(CALLS_MAX)),
            turn: Mutex::new(()),
            in_hand: AtomicUsize::new(0),
            room: Notify::new(),
        }
    }
}

/// A result that waits to be written down.
pub(super) struct Unwritten(Arc<Pace>);

impl Drop for Unwritten {
    fn drop(&mut self) {
        self.0.unwritten.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Calls for which something was leased and that have not ended yet. What is left of them ends when this is dropped.
pub(super) struct InHand {
    pace: Arc<Pace>,
    calls: AtomicUsize,
}

impl InHand {
    /// So many have ended.
    pub(super) fn ended(&self, calls: usize) {
        let before = self
            .calls
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |left| Some(left.saturating_sub(calls)));
        let calls = calls.min(before.unwrap_or(0));
        if calls > 0 {
            self.pace.in_hand.fetch_sub(calls, Ordering::AcqRel);
            self.pace.room.notify_one();
        }
    }
}

impl Drop for InHand {
    fn drop(&mut self) {
        self.ended(usize::MAX);
    }
}

impl Pace {
    /// So many calls are taken in hand.
    pub(super) fn take_in_hand(self: &Arc<Self>, calls: usize) -> InHand {
        self.in_hand.fetch_add(calls, Ordering::AcqRel);
        InHand { pace: Arc::clone(self), calls: AtomicUsize::new(calls) }
    }

    /// How many more calls may be taken in hand, of so many at most; none as long as it is not worth a lease.
    pub(super) fn room(&self, most: usize) -> usize {
        let free = most.saturating_sub(self.in_hand.load(Ordering::Acquire));
        // One at a time would cost a lease's transaction each.
        if free * FREE_SHARE < most { 0 } else { free }
    }

    /// Whether nothing is in hand.
    pub(super) fn is_idle(&self) -> bool {
        self.in_hand.load(Ordering::Acquire) == 0
    }

    /// Waits until something that was in hand has ended.
    pub(super) async fn something_ended(&self) {
        self.room.notified().await;
    }

    /// A result is known that the store does not take, or that everybody has to know before anything more is leased.
    pub(super) fn unwritten(self: &Arc<Self>) -> Unwritten {
        self.unwritten.fetch_add(1, Ordering::AcqRel);
        Unwritten(Arc::clone(self))
    }

    /// Whether results wait to be written down. As long as they do, nothing is leased: it could be the same deliveries,
    /// whose leases have run out.
    pub(super) fn is_behind(&self) -> bool {
        self.unwritten.load(Ordering::Acquire) > 0
    }

    /// How often calls have been stopped so far: what was leased before a stop is not sent after it.
    pub(super) fn stops(&self) -> u32 {
        self.stops.load(Ordering::Acquire)
    }

    /// No further call makes sense just now.
    pub(super) fn stop(&self) {
        self.stops.fetch_add(1, Ordering::Release);
    }

    /// The same until somebody mends what the destination refuses, or a probe shows that it is mended.
    pub(super) fn pause(&self) {
        self.accepted.store(false, Ordering::Release);
        self.paused_at.fetch_max(self.stops.fetch_add(1, Ordering::AcqRel) + 1, Ordering::Release);
    }

    /// Something was taken.
    pub(super) fn accepted(&self) {
        self.taken.fetch_add(1, Ordering::AcqRel);
        self.accepted.store(true, Ordering::Release);
    }

    /// Of how many calls something was taken; the number may begin anew.
    pub(super) fn taken(&self) -> u32 {
        self.taken.load(Ordering::Acquire)
    }

    /// The destination is known to be paused, whoever found that out.
    pub(super) fn shut(&self) {
        self.accepted.store(false, Ordering::Release);
    }

    /// Whether the destination has taken anything since it was paused last.
    pub(super) fn takes_others(&self) -> bool {
        self.accepted.load(Ordering::Acquire)
    }

    /// Whether the destination was paused after so many stops.
    pub(super) fn is_paused_since(&self, stops: u32) -> bool {
        self.paused_at.load(Ordering::Acquire) > stops
    }

    /// Waits until nobody else is opening calls.
    pub(super) async fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().await
    }

    /// Waits until a call may be made, and takes as many as may be made then, at most so many.
    pub(super) async fn calls(&self, most: usize) -> Option<OwnedSemaphorePermit> {
        // It is never closed; if it were, nothing would be lost by not waiting.
        let mut permit = Arc::clone(&self.calls).acquire_owned().await.ok()?;
        let further = most.saturating_sub(1).min(self.calls.available_permits());
        let further = u32::try_from(further).unwrap_or(0);
        if let Ok(further) = Arc::clone(&self.calls).try_acquire_many_owned(further) {
            permit.merge(further);
        }
        Some(permit)
    }

    /// How many more calls may be made now.
    #[cfg(test)]
    pub(super) fn free_calls(&self) -> usize {
        self.calls.available_permits()
    }

    /// Halving was broken off by a throttle or a failure. Smaller batches from the start keep what it has found out;
    /// from the full size it would be broken off at the same point again and again.
    pub(super) fn narrow(&self, batch: usize) {
        self.batch_max.store(batch.max(1), Ordering::Relaxed);
    }

    /// A batch of this size was not refused as a whole.
    pub(super) fn widen(&self, batch: usize) {
        self.batch_max.fetch_max(batch.saturating_mul(2), Ordering::Relaxed);
    }

    /// How many events a batch may have.
    pub(super) fn batch_max(&self, most: usize) -> usize {
        self.batch_max.load(Ordering::Relaxed).min(most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_off_halving_goes_on_with_smaller_batches() {
        let pace = Pace::default();
        pace.widen(1_000);
        assert_eq!(pace.batch_max(1_000), 1_000);
        pace.narrow(0);
        assert_eq!(pace.batch_max(1_000), 1);
        pace.widen(1);
        pace.widen(2);
        assert_eq!(pace.batch_max(1_000), 4);
    }
}
