//! Deliveries to a destination that takes one event at a time. Each call stands by itself; but the intents of many are
//! written down together, and so are the ends of those that end together: one by one, writing would take longer than the
//! calls.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crosstally_core::ids::CallId;
use crosstally_core::time::Timestamp;
use crosstally_destinations::dialect::Request;
use crosstally_store::{CallEnd, Held, NewCall, Settled, StoreError};
use futures_util::future::{FutureExt as _, join_all};
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::task::{self, JoinSet};

use super::batch::Batch;
use super::outcomes::Delivered;
use super::pace::{InHand, Unwritten};
use super::part::{Part, Ready};
use super::persist;
use super::shared::{Follows, Shared};

/// Calls that are written down together at most; a lane leases as many in one go for each of its tasks.
pub(super) const TOGETHER_MAX: usize = 128;
/// Groups of ends that are being written at once. While one waits for the disk, the next one gathers.
const WRITING_MAX: usize = 2;

/// A call that is written down and has to be made.
struct Opened {
    id: CallId,
    request: Request,
    part: Part,
}

/// What a call came to, on its way to the store.
struct Ended {
    end: CallEnd,
    unwritten: Option<Unwritten>,
}

/// Calls under way, and whose they are.
#[derive(Default)]
struct Calls {
    running: JoinSet<()>,
    of: HashMap<task::Id, Vec<Held>>,
}

/// Delivers a wave, its leases kept alive meanwhile; gives back what it could not send.
pub(super) async fn deliver(batch: Batch, part: Part, in_hand: InHand) -> Delivered {
    let counts = tokio::select! {
        counts = carry(&batch, part, &in_hand) => counts,
        // Never ends by itself.
        () = batch.leases.keep_alive(&batch.engine) => Delivered::default(),
    };
    batch.give_back().await;
    drop(in_hand);
    counts
}

async fn carry(batch: &Batch, waiting: Part, in_hand: &InHand) -> Delivered {
    let (end, ends) = mpsc::channel(TOGETHER_MAX);
    let calling = call_all(batch, waiting, end, in_hand);
    let (mut counts, settled) = tokio::join!(calling, settle_all(batch, ends, in_hand));
    counts += settled;
    counts
}

/// Opens calls as many at a time as may be made, until all are made or no further one makes sense.
async fn call_all(batch: &Batch, mut waiting: Part, end: mpsc::Sender<Ended>, in_hand: &InHand) -> Delivered {
    let (mut counts, mut calls) = (Delivered::default(), Calls::default());
    while !waiting.is_empty() {
        let opening = open_some(batch, &mut waiting, &end, in_hand, &mut calls, &mut counts);
        match AssertUnwindSafe(opening).catch_unwind().await {
            Ok(true) => {}
            Ok(false) => break,
            Err(_) => {
                // Over which of them is not known: all that are not under way are left to the end of their leases.
                let called: Vec<_> = calls.of.values().flatten().copied().collect();
                batch.leases.forget(batch.leases.held().into_iter().filter(|held| !called.contains(held)));
                tracing::error!(destination = batch.ready.config.slug, "{FAILED_INSIDE}");
                waiting = Part::default();
            }
        }
    }
    // They would have to wait for the calls that are under way.
    batch.give_back_these(waiting.held().collect()).await;
    in_hand.ended(waiting.len());
    drop(end);
    while let Some(ended) = calls.running.join_next_with_id().await {
        let Err(error) = ended else { continue };
        if error.is_panic() {
            // It is not given back, so that it is not tried again at once.
            batch.leases.forget(calls.of.remove(&error.id()).unwrap_or_default());
            tracing::error!(destination = batch.ready.config.slug, "{FAILED_INSIDE}");
        }
    }
    counts
}

/// Opens as many calls as may be made now, and begins them; whether further ones make sense.
async fn open_some(
    batch: &Batch,
    waiting: &mut Part,
    end: &mpsc::Sender<Ended>,
    in_hand: &InHand,
    calls: &mut Calls,
    counts: &mut Delivered,
) -> bool {
    // One wave at a time, so that what others free meanwhile is taken together.
    let turn = batch.pace.turn().await;
    let Some(mut permits) = batch.pace.calls(waiting.len().min(TOGETHER_MAX)).await else { return false };
    if batch.is_stopped() {
        return false;
    }
    let now = batch.engine.clock.now();
    let mut part = waiting.take_first(permits.num_permits());
    let taken = part.len();
    part.take_unless(|lease| batch.leases.holds(lease.held));
    let ready = prepare(batch, part, now, counts).await;
    if batch.is_stopped() {
        // Meanwhile: what is ready goes back with all that waits.
        batch.give_back_these(ready.iter().flat_map(|one| one.part.held()).collect()).await;
        in_hand.ended(taken);
        return false;
    }
    let opened = open(batch, ready, now).await;
    drop(turn);
    // What is called ends by itself, all else has ended.
    in_hand.ended(taken - opened.len());
    for opened in opened {
        counts.calls += 1;
        let held = opened.part.held().collect();
        // In a box, as the runtime would copy it several times.
        let call = Box::pin(call(Arc::clone(&batch.shared), opened, permits.split(1), end.clone()));
        calls.of.insert(calls.running.spawn(call).id(), held);
    }
    true
}

/// The requests that may leave now; what must not leave at all ends. One that fails takes no other along.
async fn prepare(batch: &Batch, part: Part, now: Timestamp, counts: &mut Delivered) -> Vec<Ready> {
    let checked = part.singles().map(|mut one| async move {
        let held: Vec<_> = one.held().collect();
        let checking = AssertUnwindSafe(batch.take_unsendable(&mut one, now)).catch_unwind();
        let unsent = checking.await.unwrap_or_else(|_| Err(StoreError::Corrupt(FAILED_INSIDE.to_owned())));
        (one, held, unsent)
    });
    let (mut ready, mut ended) = (Vec::new(), Vec::new());
    for (one, held, unsent) in join_all(checked).await {
        match unsent {
            Ok(unsent) => ended.extend(unsent),
            Err(error) => {
                failed(batch, held, &error);
                continue;
            }
        }
        match batch.build(&batch.ready.settings, &one, now) {
            Some(built) => {
                let sorted = one.sort(built);
                ended.extend(sorted.unsent);
                ready.extend(sorted.ready);
            }
            None => ended.extend(one.unbuilt()),
        }
    }
    if let Err(error) = batch.settle_unsent(ended.clone(), counts).await {
        failed(batch, ended.iter().map(|one| one.held).collect(), &error);
    }
    ready
}

/// Writes the intents down; the calls to make. What is not held any more is not called.
async fn open(batch: &Batch, ready: Vec<Ready>, now: Timestamp) -> Vec<Opened> {
    if ready.is_empty() {
        return Vec::new();
    }
    let mut wanted = Vec::with_capacity(ready.len());
    let mut intents: Vec<NewCall> = Vec::with_capacity(ready.len());
    for Ready { request, part, payloads } in ready {
        let id = CallId::new(now, batch.engine.random.bytes());
        intents.push(batch.intent(id, &request, now, part.held().zip(payloads).collect()));
        wanted.push(Opened { id, request, part });
    }
    let held = batch.engine.store.open_calls(Arc::new(intents)).await;
    let mut opened = Vec::with_capacity(wanted.len());
    for (one, held) in wanted.into_iter().zip(held) {
        match held {
            Ok(held) if held.len() == one.part.len() => opened.push(one),
            Ok(_) => batch.leases.forget(one.part.held()),
            Err(error) => failed(batch, one.part.held().collect(), &error),
        }
    }
    opened
}

async fn call(
    shared: Arc<Shared>,
    Opened { id, request, part }: Opened,
    permit: Option<OwnedSemaphorePermit>,
    to_settle: mpsc::Sender<Ended>,
) {
    let answered = shared.exchange(&shared.ready.settings, &request, part.len(), permit).await;
    let Follows { end, unwritten, .. } = shared.follows(id, &request, &part, answered, false);
    // Who settles goes only after the last call.
    to_settle.send(Ended { end, unwritten }).await.ok();
}

/// Writes down what came of the calls, those together that ended together.
async fn settle_all(batch: &Batch, mut ends: mpsc::Receiver<Ended>, in_hand: &InHand) -> Delivered {
    let mut counts = Delivered::default();
    let (mut ended, mut all_ended) = (Vec::with_capacity(TOGETHER_MAX), false);
    let mut writing = FuturesUnordered::new();
    loop {
        tokio::select! {
            calls = ends.recv_many(&mut ended, TOGETHER_MAX), if !all_ended && writing.len() < WRITING_MAX => {
                all_ended = calls == 0;
                if calls > 0 {
                    writing.push(settle(batch, std::mem::take(&mut ended)));
                }
            }
            Some((calls, written)) = writing.next() => {
                batch.account(written.iter().map(|(end, settled)| (end, *settled)), &mut counts);
                in_hand.ended(calls);
            }
            else => return counts,
        }
    }
}

/// How many there were, and those that are written down.
async fn settle(batch: &Batch, ended: Vec<Ended>) -> (usize, Vec<(CallEnd, Settled)>) {
    let calls = ended.len();
    // The lane goes on when all of this is written down.
    let (ends, _unwritten): (Vec<_>, Vec<_>) = ended.into_iter().map(|one| (one.end, one.unwritten)).unzip();
    let held = |end: &CallEnd| end.settlements.iter().map(|one| one.held).collect::<Vec<_>>();
    let all: Vec<_> = ends.iter().flat_map(held).collect();
    let (left, written) = (Mutex::new(ends), Mutex::new(Vec::with_capacity(calls)));
    let write = || async {
        let ends = Arc::new(std::mem::take(&mut *lock(&left)));
        let answers = batch.engine.store.settle_calls(Arc::clone(&ends)).await;
        let mut error = None;
        for (end, answer) in Arc::unwrap_or_clone(ends).into_iter().zip(answers) {
            match answer {
                Ok(settled) => lock(&written).push((end, settled)),
                Err(problem) if persist::may_pass(&problem) => {
                    lock(&left).push(end);
                    error = Some(problem);
                }
                Err(problem) => failed(batch, held(&end), &problem),
            }
        }
        error.map_or(Ok(()), Err)
    };
    if let Err(error) = batch.write_down(write).await {
        failed(batch, Vec::new(), &error);
    }
    batch.leases.forget(all);
    (calls, written.into_inner().unwrap_or_else(PoisonError::into_inner))
}

fn lock<T>(one: &Mutex<T>) -> MutexGuard<'_, T> {
    one.lock().unwrap_or_else(PoisonError::into_inner)
}

const FAILED_INSIDE: &str =
    "a call failed inside this program; its delivery is tried again when its lease has run out";

/// Nothing is given back: an attempt may be open, and the end of its lease closes it.
fn failed(batch: &Batch, held: Vec<Held>, error: &StoreError) {
    batch.leases.forget(held);
    tracing::error!(
        destination = batch.ready.config.slug,
        error = %error,
        "the store failed in the middle of a delivery; it is tried again when its lease has run out"
    );
}
