//! Delivery: leases due events, builds the requests, sends them, reads the answers, settles.
//!
//! Nobody calls it with work: each destination has a lane that finds its work in the store, woken by hints and by the
//! clock. Whatever is known lies in the store before the next step is taken, so that a node may die at any moment and
//! another carries on. What to send and what an answer means is the dialect's business, when to try again is core's.

mod allowance;
mod batch;
mod bisect;
mod course;
mod ends;
mod lane;
mod leases;
mod lookback;
pub(crate) mod outcomes;
mod pace;
mod part;
mod persist;
mod send;
mod shared;
pub(crate) mod sign_in;
mod standing;
mod stopping;
#[cfg(test)]
mod tests;
mod told;
mod turn;
mod wakeups;
mod wave;

use std::collections::HashMap;

use crosstally_store::StoreError;
use tokio::sync::watch;
use tokio::task::{self, JoinError, JoinSet};

use crate::Engine;
use lane::Lane;
pub use outcomes::Delivered;
use stopping::{Phase, Stopping};
pub use wakeups::Wakeups;

/// New destinations get their lanes within this time.
const LOOK_EVERY_MS: u64 = 500;
/// How long calls that are under way may take when the server stops.
const DRAIN_MS: u64 = 8_000;
/// How long writing down may take after that.
const LAST_WORDS_MS: u64 = 2_000;

/// Delivers until the server stops: then no further call is made, those under way may end for eight seconds, and
/// everything else is given back.
pub async fn run(engine: Engine, mut stop: watch::Receiver<bool>) {
    let (phase, stopping) = Stopping::new();
    let mut lanes = Lanes { running: JoinSet::new(), slugs: HashMap::new() };
    lanes.start(&engine, &stopping);
    let mut stopped = std::pin::pin!(async {
        // Nobody left who could say stop: that is a stop as well.
        drop(stop.wait_for(|stop| *stop).await);
    });
    loop {
        tokio::select! {
            () = &mut stopped => break,
            () = engine.clock.sleep(LOOK_EVERY_MS) => lanes.start(&engine, &stopping),
            Some(ended) = lanes.running.join_next_with_id() => lanes.ended(ended),
        }
    }
    for (next, wait_ms) in [(Phase::Draining, DRAIN_MS), (Phase::Cutting, LAST_WORDS_MS)] {
        phase.send_replace(next);
        tokio::select! {
            () = lanes.all_ended() => return,
            () = engine.clock.sleep(wait_ms) => {}
        }
    }
    tracing::warn!("deliveries did not end in time; their leases run out by themselves");
}

/// Delivers everything that is due by the engine's clock, and returns what became of it. For tests, and for whoever
/// wants an empty outbox before going on.
///
/// # Errors
/// See [`StoreError`].
pub async fn deliver_until_idle(engine: &Engine) -> Result<Delivered, StoreError> {
    let (_phase, stopping) = Stopping::new();
    let mut slugs: Vec<String> =
        engine.snapshot.load().destinations().map(|ready| ready.config.slug.clone()).collect();
    slugs.sort_unstable();
    let mut counts = Delivered::default();
    for slug in slugs {
        counts += Lane::new(engine.clone(), slug, stopping.clone()).until_idle().await?;
    }
    Ok(counts)
}

/// The lanes that run, and whose they are.
struct Lanes {
    running: JoinSet<()>,
    slugs: HashMap<task::Id, String>,
}

impl Lanes {
    /// Starts a lane for every destination that has none.
    fn start(&mut self, engine: &Engine, stopping: &Stopping) {
        for ready in engine.snapshot.load().destinations() {
            let slug = &ready.config.slug;
            if !self.slugs.values().any(|known| known == slug) {
                let lane = Lane::new(engine.clone(), slug.clone(), stopping.clone());
                let started = self.running.spawn(lane.run());
                self.slugs.insert(started.id(), slug.clone());
            }
        }
    }

    /// A lane has ended: its destination is gone, or it failed and is started anew at the next look.
    fn ended(&mut self, ended: Result<(task::Id, ()), JoinError>) {
        let (id, failed) = match ended {
            Ok((id, ())) => (id, false),
            Err(error) => (error.id(), error.is_panic()),
        };
        if let Some(slug) = self.slugs.remove(&id)
            && failed
        {
            tracing::error!(
                destination = slug,
                "a delivery lane failed inside this program; it is started anew"
            );
        }
    }

    async fn all_ended(&mut self) {
        while let Some(ended) = self.running.join_next_with_id().await {
            self.ended(ended);
        }
    }
}
