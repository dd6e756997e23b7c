//! The calls of a wave, each by itself, and how they end: those that end together are written down together.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crosstally_store::{CallEnd, Held, Settled};
use futures_util::future::{self, FutureExt as _};
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tokio::sync::mpsc;

use super::batch::Batch;
use super::outcomes::Delivered;
use super::pace::{InHand, Unwritten};
use super::persist;
use super::shared::{Follows, Shared};
use super::wave::{Opened, failed_inside};

/// Groups of ends that are being written at once. While one waits for the disk, the next one gathers.
const WRITING_MAX: usize = 2;

/// What a call came to, on its way to the store.
struct Ended {
    end: CallEnd,
    unwritten: Option<Unwritten>,
}

/// Makes the calls as they are opened, until nobody opens any more, and writes down what came of them.
pub(super) async fn call_all(
    batch: &Batch,
    mut opened: mpsc::Receiver<Vec<Opened>>,
    in_hand: &InHand,
) -> Delivered {
    let mut counts = Delivered::default();
    let (mut calls, mut writing) = (FuturesUnordered::new(), FuturesUnordered::new());
    let (mut ended, mut is_open) = (Vec::new(), true);
    loop {
        tokio::select! {
            biased;
            more = opened.recv(), if is_open => match more {
                Some(more) => calls.extend(more.into_iter().map(|one| call(&batch.shared, one))),
                None => is_open = false,
            },
            Some((held, end)) = calls.next() => {
                if let Some(end) = end {
                    ended.push(end);
                } else {
                    failed_inside(batch, held);
                    in_hand.ended(1);
                }
            }
            Some((calls, written)) = writing.next() => {
                let written: &Vec<(CallEnd, Settled)> = &written;
                batch.account(written.iter().map(|(end, settled)| (end, *settled)), &mut counts);
                in_hand.ended(calls);
            }
            // Only when no further one has ended at this moment.
            () = future::ready(()), if !ended.is_empty() && writing.len() < WRITING_MAX => {
                writing.push(settle(batch, std::mem::take(&mut ended)));
            }
            else => return counts,
        }
    }
}

/// Makes a call; nothing if it failed inside.
async fn call(shared: &Shared, Opened { id, request, part, permit }: Opened) -> (Vec<Held>, Option<Ended>) {
    let calling = async {
        let answered = shared.exchange(&shared.ready.settings, &request, part.len(), permit).await;
        let Follows { end, unwritten, .. } = shared.follows(id, &request, &part, answered, false);
        Ended { end, unwritten }
    };
    let ended = AssertUnwindSafe(calling).catch_unwind().await;
    (part.held().collect(), ended.ok())
}

/// How many there were, and those that are written down. What fails inside takes no other call along.
async fn settle(batch: &Batch, ended: Vec<Ended>) -> (usize, Vec<(CallEnd, Settled)>) {
    let calls = ended.len();
    // The lane goes on when all of this is written down.
    let (ends, _unwritten): (Vec<_>, Vec<_>) = ended.into_iter().map(|one| (one.end, one.unwritten)).unzip();
    let all: Vec<_> = ends.iter().flat_map(held).collect();
    let written = AssertUnwindSafe(write_down(batch, ends)).catch_unwind().await;
    let written = written.unwrap_or_else(|_| {
        failed_inside(batch, Vec::new());
        Vec::new()
    });
    batch.leases.forget(all);
    (calls, written)
}

fn held(end: &CallEnd) -> Vec<Held> {
    end.settlements.iter().map(|one| one.held).collect()
}

async fn write_down(batch: &Batch, ends: Vec<CallEnd>) -> Vec<(CallEnd, Settled)> {
    let (left, written) = (Mutex::new(ends), Mutex::new(Vec::new()));
    let write = || async {
        let mut ends = std::mem::take(&mut *lock(&left));
        for end in &mut ends {
            end.state = batch.still(end.state.as_ref()).cloned();
        }
        let ends = Arc::new(ends);
        let answers = batch.engine.store.settle_calls(Arc::clone(&ends)).await;
        let mut error = None;
        for (end, answer) in Arc::unwrap_or_clone(ends).into_iter().zip(answers) {
            match answer {
                Ok(settled) => lock(&written).push((end, settled)),
                Err(problem) if persist::may_pass(&problem) => {
                    lock(&left).push(end);
                    error = Some(problem);
                }
                Err(problem) => batch.store_failed(held(&end), &problem),
            }
        }
        error.map_or(Ok(()), Err)
    };
    if let Err(error) = batch.write_down(write).await {
        batch.store_failed(Vec::new(), &error);
    }
    written.into_inner().unwrap_or_else(PoisonError::into_inner)
}

fn lock<T>(one: &Mutex<T>) -> MutexGuard<'_, T> {
    one.lock().unwrap_or_else(PoisonError::into_inner)
}
