//! Writing down what is known although the store fails for a while. The fence makes it safe to try for long: a result
//! that comes too late changes nothing.

use std::sync::Arc;

use crosstally_store::StoreError;

use super::pace::Pace;
use super::stopping::{Phase, Stopping};
use crate::clock::Clock;

const FIRST_WAIT_MS: u64 = 50;
const WAIT_MS_MAX: u64 = 1_000;
/// After this long the result is given up. The deliveries are sent again when their leases have run out, under the same
/// event ids.
const GIVE_UP_MS: i64 = 60_000;

/// Writes until it works or waiting longer makes no sense.
pub(super) async fn until_it_works<T, F>(
    clock: &dyn Clock,
    stopping: &Stopping,
    pace: &Arc<Pace>,
    write: impl Fn() -> F,
) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, StoreError>>,
{
    let give_up_at = clock.now().plus_millis(GIVE_UP_MS);
    let mut wait_ms = FIRST_WAIT_MS;
    let mut unwritten = None;
    loop {
        let error = match write().await {
            Ok(done) => return Ok(done),
            Err(error) => error,
        };
        if !may_pass(&error) || clock.now() >= give_up_at {
            return Err(error);
        }
        unwritten.get_or_insert_with(|| pace.unwritten());
        tokio::select! {
            () = clock.sleep(wait_ms) => {}
            () = stopping.reached(Phase::Cutting) => return Err(error),
        }
        wait_ms = (wait_ms * 2).min(WAIT_MS_MAX);
    }
}

/// Whether the same write may work later.
pub(super) const fn may_pass(error: &StoreError) -> bool {
    matches!(error, StoreError::Busy | StoreError::Unavailable(_) | StoreError::Unknown(_))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use std::sync::atomic::{AtomicU32, Ordering};

    use crosstally_core::time::Timestamp;

    use super::*;
    use crate::clock::FakeClock;

    /// Fails this many times, then works; moves the clock on at each call.
    async fn write(failures: u32, error: StoreError) -> (Result<u32, StoreError>, bool) {
        let clock = FakeClock::at(Timestamp::from_millis(0));
        let (_phase, stopping) = Stopping::new();
        let (pace, calls, behind) = (Arc::<Pace>::default(), AtomicU32::new(0), AtomicU32::new(0));
        let writing = until_it_works(&clock, &stopping, &pace, || {
            let call = calls.fetch_add(1, Ordering::Relaxed);
            behind.fetch_add(u32::from(pace.is_behind()), Ordering::Relaxed);
            let answer = if call < failures { Err(error.clone()) } else { Ok(call) };
            async { answer }
        });
        let ticking = async {
            loop {
                tokio::task::yield_now().await;
                clock.advance(1_000);
            }
        };
        let written = tokio::select! {
            biased;
            written = writing => written,
            () = ticking => unreachable!("the clock ticks for ever"),
        };
        assert!(!pace.is_behind());
        (written, behind.load(Ordering::Relaxed) == calls.load(Ordering::Relaxed) - 1)
    }

    #[tokio::test]
    async fn a_result_outlives_a_sick_store_and_the_lane_waits_for_it() {
        for error in
            [StoreError::Busy, StoreError::Unavailable("disk".into()), StoreError::Unknown("away".into())]
        {
            assert_eq!((write(7, error.clone()).await.0.unwrap(), write(7, error).await.1), (7, true));
        }
    }

    #[tokio::test]
    async fn what_will_not_pass_is_given_up() {
        assert!(matches!(write(1, StoreError::Closed).await, (Err(StoreError::Closed), true)));
        assert!(write(1, StoreError::Corrupt(String::new())).await.0.is_err());
        assert!(matches!(write(10_000, StoreError::Busy).await, (Err(StoreError::Busy), true)));
    }

    #[tokio::test]
    async fn a_stop_does_not_wait_for_a_sick_store() {
        let clock = FakeClock::at(Timestamp::from_millis(0));
        let (phase, stopping) = Stopping::new();
        phase.send_replace(Phase::Cutting);
        let pace = Arc::<Pace>::default();
        let out: Result<(), _> =
            until_it_works(&clock, &stopping, &pace, || async { Err(StoreError::Busy) }).await;
        assert!(out.is_err());
    }
}
