//! One batch to its end. A destination that refuses a batch because of one bad event in it, without saying which, gets
//! it in halves until the bad one stands alone; the others arrive.

use crosstally_store::LeasedDelivery;

use super::batch::Batch;
use super::outcomes::Delivered;
use super::pace::InHand;
use super::part::Part;

/// Calls after which a batch is not halved any further: what is still unsure then is tried again later.
const CALLS_MAX: usize = 256;

/// Delivers a batch, its leases kept alive meanwhile; gives back what it could not send.
pub(super) async fn deliver(batch: Batch, leased: Vec<LeasedDelivery>, in_hand: InHand) -> Delivered {
    let counts = tokio::select! {
        counts = halve(&batch, leased) => counts,
        // Never ends by itself.
        () = batch.leases.keep_alive(&batch.engine) => Delivered::default(),
    };
    batch.give_back().await;
    drop(in_hand);
    counts
}

async fn halve(batch: &Batch, leased: Vec<LeasedDelivery>) -> Delivered {
    let mut counts = Delivered::default();
    let (whole, unreadable) = Part::of(leased);
    if let Err(error) = batch.settle_unsent(unreadable, &mut counts).await {
        batch.store_failed(batch.leases.held(), &error);
        return counts;
    }
    let (mut calls, mut was_split) = (0, false);
    // The next part to send stands on top.
    let mut stack = vec![whole];
    while let Some(mut part) = stack.pop() {
        if batch.stopping.asked() {
            break;
        }
        part.take_unless(|lease| batch.leases.holds(lease.held));
        if part.is_empty() {
            continue;
        }
        calls += 1;
        let size = part.len();
        let ended = match batch.call(part, calls < CALLS_MAX).await {
            Ok(ended) => ended,
            Err(error) => {
                batch.store_failed(batch.leases.held(), &error);
                return counts;
            }
        };
        counts += ended.counts;
        stack.push(ended.rest);
        let split = !ended.split.is_empty();
        let (first, second) = ended.split.halves();
        stack.extend([second, first]);
        was_split |= split;
        if !split {
            batch.pace.widen(size);
        }
        if !ended.go_on {
            if was_split {
                batch.pace.narrow(if split { size / 2 } else { size });
            }
            break;
        }
    }
    counts
}
