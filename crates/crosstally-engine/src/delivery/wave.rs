//! Deliveries to a destination that takes one event at a time. Each call stands by itself; but the intents of many are
//! written down together, and so are the ends of those that end together: one by one, writing would take longer than the
//! calls.

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use crosstally_core::ids::CallId;
use crosstally_core::time::Timestamp;
use crosstally_destinations::dialect::Request;
use crosstally_store::{Held, LeasedDelivery, NewCall, StoreError, Unsent};
use futures_util::future::{FutureExt as _, join_all};
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use super::batch::Batch;
use super::ends;
use super::outcomes::Delivered;
use super::pace::InHand;
use super::part::{Part, Ready};

/// Calls that are written down together at most; a lane leases as many in one go for each of its tasks.
pub(super) const TOGETHER_MAX: usize = 128;
/// What is told when a call failed inside.
const FAILED_INSIDE: &str =
    "a call failed inside this program; its delivery is tried again when its lease has run out";

/// A call that is written down and has to be made.
pub(super) struct Opened {
    pub(super) id: CallId,
    pub(super) request: Request,
    /// Without the event, which nobody needs any more.
    pub(super) part: Part,
    pub(super) permit: Option<OwnedSemaphorePermit>,
}

/// What becomes of one event before its call.
struct Checked {
    ready: Option<Ready>,
    unsent: Vec<Unsent>,
}

/// Delivers a wave, its leases kept alive meanwhile; gives back what it could not send.
pub(super) async fn deliver(batch: Batch, leased: Vec<LeasedDelivery>, in_hand: InHand) -> Delivered {
    let counts = tokio::select! {
        counts = carry(&batch, leased.into(), &in_hand) => counts,
        // Never ends by itself.
        () = batch.leases.keep_alive(&batch.engine) => Delivered::default(),
    };
    batch.give_back().await;
    drop(in_hand);
    counts
}

async fn carry(batch: &Batch, waiting: VecDeque<LeasedDelivery>, in_hand: &InHand) -> Delivered {
    let (open, opened) = mpsc::channel(1);
    let opening = open_all(batch, waiting, open, in_hand);
    let (mut counts, called) = tokio::join!(opening, ends::call_all(batch, opened, in_hand));
    counts += called;
    counts
}

/// Opens calls as many at a time as may be made, until all are opened or no further one makes sense.
async fn open_all(
    batch: &Batch,
    mut waiting: VecDeque<LeasedDelivery>,
    open: mpsc::Sender<Vec<Opened>>,
    in_hand: &InHand,
) -> Delivered {
    let mut counts = Delivered::default();
    while !waiting.is_empty() {
        let before: Vec<_> = waiting.iter().map(held).collect();
        let opening = open_some(batch, &mut waiting, in_hand);
        match AssertUnwindSafe(opening).catch_unwind().await {
            Ok(Some((opened, unsent))) => {
                counts.calls += u64::try_from(opened.len()).unwrap_or(u64::MAX);
                // Who calls goes only after the last of them.
                open.send(opened).await.ok();
                // Only now: if the store fails here, no call that is due waits for it.
                end_unsent(batch, unsent, &mut counts).await;
            }
            Ok(None) => break,
            Err(_) => {
                // Over which of them is not known: all that are not under way are left to the end of their leases.
                in_hand.ended(before.len());
                failed_inside(batch, before);
                waiting.clear();
            }
        }
    }
    // They would have to wait for the calls that are under way.
    batch.give_back_these(waiting.iter().map(held).collect()).await;
    in_hand.ended(waiting.len());
    counts
}

/// Opens as many calls as may be made now, and tells what is not to be sent at all; `None` if no further one makes sense.
async fn open_some(
    batch: &Batch,
    waiting: &mut VecDeque<LeasedDelivery>,
    in_hand: &InHand,
) -> Option<(Vec<Opened>, Vec<Unsent>)> {
    // One wave at a time, so that what others free meanwhile is taken together.
    let turn = batch.unless_stopped(batch.pace.turn()).await?;
    let mut permits = batch.unless_stopped(batch.pace.calls(waiting.len().min(TOGETHER_MAX))).await??;
    if batch.is_stopped() {
        return None;
    }
    let now = batch.engine.clock.now();
    let taken: Vec<_> = waiting.drain(..permits.num_permits().min(waiting.len())).collect();
    let count = taken.len();
    let (ready, unsent) = check_all(batch, taken, now).await;
    if batch.is_stopped() {
        // Meanwhile: all of it goes back with what waits.
        let unsent = unsent.iter().map(|one| one.held);
        batch.give_back_these(ready.iter().flat_map(|one| one.part.held()).chain(unsent).collect()).await;
        in_hand.ended(count);
        return None;
    }
    // Others may get ready while these are written down.
    drop(turn);
    let mut opened = write_intents(batch, ready).await;
    for one in &mut opened {
        one.permit = permits.split(1);
    }
    // What is called ends by itself, all else has ended.
    in_hand.ended(count - opened.len());
    Some((opened, unsent))
}

/// The requests that may leave now, and what must not leave at all. One that fails takes no other along.
async fn check_all(batch: &Batch, taken: Vec<LeasedDelivery>, now: Timestamp) -> (Vec<Ready>, Vec<Unsent>) {
    let (mut ready, mut ended, mut asking) = (Vec::with_capacity(taken.len()), Vec::new(), Vec::new());
    let mut sort = |held: Held, checked: Result<Result<Checked, StoreError>, _>| match checked {
        Ok(Ok(checked)) => {
            ready.extend(checked.ready);
            ended.extend(checked.unsent);
        }
        Ok(Err(error)) => batch.store_failed(vec![held], &error),
        Err::<_, Box<dyn std::any::Any + Send>>(_) => failed_inside(batch, vec![held]),
    };
    for one in taken {
        let held = held(&one);
        if !batch.leases.holds(held) {
            continue;
        }
        // Each is read, built and forgotten before the next: what is made of it fits into the place of the one before.
        let (part, unreadable) = Part::of(vec![one]);
        if part.is_empty() {
            sort(held, Ok(Ok(Checked { ready: None, unsent: unreadable })));
        } else if batch.asks_for_turns(&part) {
            asking.push((held, part));
        } else {
            sort(held, AssertUnwindSafe(check(batch, part, now)).catch_unwind().await);
        }
    }
    let asking = asking.into_iter().map(|(held, part)| async move {
        (held, AssertUnwindSafe(check(batch, part, now)).catch_unwind().await)
    });
    for (held, checked) in join_all(asking).await {
        sort(held, checked);
    }
    (ready, ended)
}

async fn end_unsent(batch: &Batch, unsent: Vec<Unsent>, counts: &mut Delivered) {
    let held: Vec<_> = unsent.iter().map(|one| one.held).collect();
    if let Err(error) = batch.settle_unsent(unsent, counts).await {
        batch.store_failed(held, &error);
    }
}

async fn check(batch: &Batch, mut one: Part, now: Timestamp) -> Result<Checked, StoreError> {
    let unsent = batch.take_unsendable(&mut one, now).await?;
    if one.is_empty() {
        return Ok(Checked { ready: None, unsent });
    }
    let Some(built) = batch.build(&batch.ready.settings, &one, now) else {
        return Ok(Checked { ready: None, unsent: one.unbuilt() });
    };
    let mut sorted = one.sort(built);
    if let Some(ready) = &mut sorted.ready {
        ready.part.events = Vec::new();
    }
    Ok(Checked { ready: sorted.ready, unsent: sorted.unsent })
}

/// Writes the intents down; the calls to make. What is not held any more is not called.
async fn write_intents(batch: &Batch, ready: Vec<Ready>) -> Vec<Opened> {
    if ready.is_empty() {
        return Vec::new();
    }
    // Anew: whose turn it is may have had to be asked, and the leases must hold now.
    let now = batch.engine.clock.now();
    let mut wanted = Vec::with_capacity(ready.len());
    let mut intents: Vec<NewCall> = Vec::with_capacity(ready.len());
    for Ready { request, part, payloads } in ready {
        let id = CallId::new(now, batch.engine.random.bytes());
        intents.push(batch.intent(id, &request, now, part.held().zip(payloads).collect()));
        wanted.push(Opened { id, request, part, permit: None });
    }
    let held = batch.engine.store.open_calls(Arc::new(intents)).await;
    let mut opened = Vec::with_capacity(wanted.len());
    for (one, held) in wanted.into_iter().zip(held) {
        match held {
            Ok(held) if held.len() == one.part.len() => opened.push(one),
            Ok(_) => batch.leases.forget(one.part.held()),
            Err(error) => batch.store_failed(one.part.held(), &error),
        }
    }
    opened
}

const fn held(leased: &LeasedDelivery) -> Held {
    Held { id: leased.id, fence: leased.fence }
}

/// Nothing is given back, so that it is not tried again at once.
pub(super) fn failed_inside(batch: &Batch, held: Vec<Held>) {
    batch.leases.forget(held);
    tracing::error!(destination = batch.ready.config.slug, "{FAILED_INSIDE}");
}
