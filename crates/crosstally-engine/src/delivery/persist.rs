//! Writing down what is known although the store fails for a while. The fence makes it safe to try for long: a result
//! that comes too late changes nothing.

use crosstally_store::StoreError;

use super::pace::Pace;
use super::stopping::{Phase, Stopping};
use crate::Engine;

const FIRST_WAIT_MS: u64 = 50;
const WAIT_MS_MAX: u64 = 1_000;
/// After this long the result is given up. The deliveries are sent again when their leases have run out, under the same
/// event ids.
const GIVE_UP_MS: i64 = 60_000;

/// Writes until it works or waiting longer makes no sense.
pub(super) async fn until_it_works<T, F>(
    engine: &Engine,
    stopping: &Stopping,
    pace: &Pace,
    write: impl Fn() -> F,
) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, StoreError>>,
{
    let give_up_at = engine.clock.now().plus_millis(GIVE_UP_MS);
    let mut wait_ms = FIRST_WAIT_MS;
    let mut unwritten = None;
    loop {
        let error = match write().await {
            Ok(done) => return Ok(done),
            Err(error) => error,
        };
        let may_pass =
            matches!(error, StoreError::Busy | StoreError::Unavailable(_) | StoreError::Unknown(_));
        if !may_pass || engine.clock.now() >= give_up_at {
            return Err(error);
        }
        unwritten.get_or_insert_with(|| pace.unwritten());
        tokio::select! {
            () = engine.clock.sleep(wait_ms) => {}
            () = stopping.reached(Phase::Cutting) => return Err(error),
        }
        wait_ms = (wait_ms * 2).min(WAIT_MS_MAX);
    }
}
