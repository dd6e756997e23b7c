//! Work by the clock: picking up a new configuration, bringing spooled clicks back, expiring what is too late, counting
//! what waits. Every task may run on every node at once; what it does is harmless to do twice.

use std::collections::BTreeSet;

use crosstally_core::click::Click;
use crosstally_core::delivery::DeliveryState;
use crosstally_core::erasure::Mark;
use crosstally_core::postback::signature::NONCE_LIFE_MS;
use crosstally_core::time::Timestamp;
use crosstally_store::{DestinationState, OutboxCount, StoreError};
use tokio::sync::watch;

use crate::Engine;
use crate::metrics::Name;
use crate::spool::Spool;

const CONFIG_EVERY_MS: u64 = 500;
const FX_EVERY_MS: u64 = 2_000;
const CAPS_EVERY_MS: u64 = 1_000;
const GEO_EVERY_MS: u64 = 10_000;
const SPOOL_EVERY_MS: u64 = 1_000;
const WAITS_EVERY_MS: u64 = 1_000;
const AWAY_EVERY_MS: u64 = 1_000;
const EXPIRE_EVERY_MS: u64 = 10_000;
const JOBS_EVERY_MS: u64 = 1_000;
const COUNT_EVERY_MS: u64 = 5_000;
const EXPIRE_AT_ONCE: u32 = 1_000;
const NONCES_EVERY_MS: u64 = 60_000;
const PREFLIGHT_EVERY_MS: u64 = 30_000;
const JOURNEYS_EVERY_MS: u64 = 600_000;
const BALANCE_EVERY_MS: u64 = 60_000;
const NONCES_AT_ONCE: u32 = 5_000;

/// Runs all tasks until the server stops.
pub async fn run(engine: Engine, stop: watch::Receiver<bool>) {
    tokio::join!(
        every(&engine, &stop, CONFIG_EVERY_MS, "pick up the configuration", async |engine| {
            engine.refresh_config().await.map(drop).map_err(|error| error.to_string())
        }),
        every(&engine, &stop, CONFIG_EVERY_MS, "learn what was erased", async |engine| {
            engine.refresh_erased().await.map_err(|error| error.to_string())
        }),
        every(&engine, &stop, FX_EVERY_MS, "price what waits for a rate", async |engine| {
            engine.refresh_rates().await.map_err(|error| error.to_string())?;
            engine.settle_fx().await.map(drop).map_err(|error| error.to_string())
        }),
        every(&engine, &stop, SPOOL_EVERY_MS, "bring spooled clicks back", async |engine| {
            engine.drain_spool().await.map(drop)
        }),
        every(&engine, &stop, WAITS_EVERY_MS, "match what waits for its click", async |engine| {
            engine.match_waiting().await.map(drop).map_err(|error| error.to_string())
        }),
        every(&engine, &stop, JOBS_EVERY_MS, "carry jobs over deliveries on", async |engine| {
            engine.work_on_jobs().await.map(drop).map_err(|error| error.to_string())
        }),
        every(&engine, &stop, JOBS_EVERY_MS, "purge what is over", async |engine| {
            engine.purge_what_is_over().await.map(drop).map_err(|error| error.to_string())
        }),
        every(&engine, &stop, JOBS_EVERY_MS, "carry erasures on", async |engine| {
            engine.work_on_erasures().await.map(drop).map_err(|error| error.to_string())
        }),
        every(&engine, &stop, JOBS_EVERY_MS, "follow reversals", async |engine| {
            engine.follow_reversals().await.map(drop).map_err(|error| error.to_string())
        }),
        every(&engine, &stop, EXPIRE_EVERY_MS, "expire late deliveries", async |engine| {
            engine.expire_overdue().await.map_err(|error| error.to_string())
        }),
        every(&engine, &stop, NONCES_EVERY_MS, "forget used numbers", async |engine| {
            engine.forget_nonces().await.map(drop).map_err(|error| error.to_string())
        }),
        every(&engine, &stop, NONCES_EVERY_MS, "forget where contacts were seen", async |engine| {
            engine.forget_sightings().await.map(drop).map_err(|error| error.to_string())
        }),
        every(&engine, &stop, NONCES_EVERY_MS, "forget old idempotency keys", async |engine| {
            engine.forget_keys().await.map(drop).map_err(|error| error.to_string())
        }),
        every(&engine, &stop, CAPS_EVERY_MS, "count visitors of offers", async |engine| {
            engine.sync_caps().await.map_err(|error| error.to_string())
        }),
        every(&engine, &stop, GEO_EVERY_MS, "look for new files of places", async |engine| engine
            .refresh_geo()
            .await),
        every(&engine, &stop, COUNT_EVERY_MS, "count what waits", async |engine| {
            engine.measure_outbox().await.map_err(|error| error.to_string())
        }),
        every(&engine, &stop, BALANCE_EVERY_MS, "count and check receipts", async |engine| {
            engine.measure_balance().await.map_err(|error| error.to_string())
        }),
        every(&engine, &stop, AWAY_EVERY_MS, "tell of calls turned away", async |engine| {
            engine.tell_turned_away(false).await.map_err(|error| error.to_string())
        }),
        every(&engine, &stop, PREFLIGHT_EVERY_MS, "fly the pre-flights of the day", async |engine| {
            engine.fly_nightly().await.map(drop).map_err(|error| error.to_string())
        }),
        every(&engine, &stop, JOURNEYS_EVERY_MS, "put the month's journeys together", async |engine| {
            engine.review_the_month_before().await.map(drop).map_err(|error| error.to_string())
        }),
    );
    tell_the_rest(&engine).await;
}

/// Only picks up new configurations and rates, and tells of the calls that this node turned away: for nodes that leave the
/// other tasks to others.
pub async fn follow_config(engine: Engine, stop: watch::Receiver<bool>) {
    tokio::join!(
        every(&engine, &stop, CONFIG_EVERY_MS, "pick up the configuration", async |engine| {
            engine.refresh_config().await.map(drop).map_err(|error| error.to_string())
        }),
        every(&engine, &stop, CONFIG_EVERY_MS, "learn what was erased", async |engine| {
            engine.refresh_erased().await.map_err(|error| error.to_string())
        }),
        every(&engine, &stop, FX_EVERY_MS, "pick up the rates", async |engine| {
            engine.refresh_rates().await.map_err(|error| error.to_string())
        }),
        every(&engine, &stop, CAPS_EVERY_MS, "count visitors of offers", async |engine| {
            engine.sync_caps().await.map_err(|error| error.to_string())
        }),
        every(&engine, &stop, GEO_EVERY_MS, "look for new files of places", async |engine| engine
            .refresh_geo()
            .await),
        every(&engine, &stop, AWAY_EVERY_MS, "tell of calls turned away", async |engine| {
            engine.tell_turned_away(false).await.map_err(|error| error.to_string())
        }),
    );
    tell_the_rest(&engine).await;
}

/// What is only counted in memory goes with the process.
async fn tell_the_rest(engine: &Engine) {
    if let Err(error) = engine.tell_turned_away(true).await {
        tracing::warn!(error = %error, "receipts of calls that were turned away could not be stored");
    }
    if let Err(error) = engine.sync_caps().await {
        tracing::warn!(error = %error, "the last visitors of offers could not be counted");
    }
}

async fn every(
    engine: &Engine,
    stop: &watch::Receiver<bool>,
    period_ms: u64,
    name: &'static str,
    task: impl AsyncFn(&Engine) -> Result<(), String>,
) {
    let mut stop = stop.clone();
    let mut failing = false;
    while !*stop.borrow() {
        match task(engine).await {
            Ok(()) => failing = false,
            // Told once per outage, not twice a second.
            Err(problem) if !failing => {
                failing = true;
                tracing::warn!(task = name, problem, "a task failed and is tried again");
            }
            Err(_) => {}
        }
        tokio::select! {
            () = engine.clock.sleep(period_ms) => {}
            changed = stop.changed() => if changed.is_err() { return },
        }
    }
}

impl Engine {
    /// Brings every spooled click and step back into the store. Returns how many clicks were new there.
    ///
    /// # Errors
    /// What stands in the way; the files stay.
    pub async fn drain_spool(&self) -> Result<u64, String> {
        if self.spool.is_empty() {
            return Ok(0);
        }
        self.spool.rotate().await;
        let mut stored = 0;
        for path in self.spool.files().map_err(|error| error.to_string())? {
            let read_path = path.clone();
            let spooled = tokio::task::spawn_blocking(move || Spool::read(&read_path))
                .await
                .map_err(|error| error.to_string())?
                .map_err(|error| error.to_string())?;
            if spooled.damaged_bytes > 0 {
                tracing::error!(
                    bytes = spooled.damaged_bytes,
                    "a spool file has damaged records; it is set aside"
                );
            }
            let mut clicks = spooled.clicks.into_iter();
            loop {
                let batch = clicks.by_ref().take(1_000);
                // Asked in the transaction that writes them: a click may have been erased while it was in the file.
                let retention = self.snapshot.load().config.retention;
                let named = |click: Click| {
                    let key = self.tombstone(Mark::Click, &click.id.to_string());
                    (retention.late_click(click, self.clock.now()), key)
                };
                let batch: Vec<_> = batch.map(named).collect();
                if batch.is_empty() {
                    break;
                }
                stored += self.store.append_spooled_clicks(batch).await.map_err(|error| error.to_string())?;
            }
            for step in spooled.steps {
                let key = self.tombstone(Mark::Click, &step.click.to_string());
                self.store.append_step(step, key).await.map_err(|error| error.to_string())?;
            }
            let done = if spooled.damaged_bytes > 0 {
                std::fs::rename(&path, path.with_extension("damaged"))
            } else {
                self.spool.remove(&path)
            };
            done.map_err(|error| error.to_string())?;
        }
        Ok(stored)
    }

    /// Marks what nobody would take any more as expired.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn expire_overdue(&self) -> Result<(), StoreError> {
        while self.store.expire_overdue(self.clock.now(), EXPIRE_AT_ONCE).await? == u64::from(EXPIRE_AT_ONCE)
        {
        }
        Ok(())
    }

    /// Forgets the numbers of signatures that no call can carry any more: its timestamp would be too old. Tells how many.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn forget_nonces(&self) -> Result<u64, StoreError> {
        let before = self.clock.now().plus_millis(-NONCE_LIFE_MS);
        let mut forgotten = 0;
        loop {
            let some = self.store.purge_nonces(before, NONCES_AT_ONCE).await?;
            forgotten += some;
            if some < u64::from(NONCES_AT_ONCE) {
                return Ok(forgotten);
            }
        }
    }

    /// Measures how the deliveries stand, and says what has ended without arriving.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn measure_outbox(&self) -> Result<(), StoreError> {
        let now = self.clock.now();
        let small = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
        let counts = self.store.count_deliveries().await?;
        let states = self.store.destination_states().await?;
        let outages = self.store.outages().await?;
        self.tell_ended(&counts);
        let snapshot = self.snapshot.load();
        let configured = snapshot.destinations().map(|ready| ready.config.slug.as_str());
        // Also of those that are gone from the configuration: what waits for them waits for somebody.
        let slugs: BTreeSet<&str> =
            configured.chain(counts.iter().map(|row| row.destination.as_str())).collect();
        for slug in slugs {
            for state in DeliveryState::ALL {
                let row = counts.iter().find(|row| row.destination == slug && row.state == state);
                let labels = [("destination", slug), ("state", state.as_str())];
                self.metrics.set(Name::Deliveries, &labels, row.map_or(0, |row| small(row.count)));
                if state == DeliveryState::Pending {
                    let oldest_due_at = row.map_or(now, |row| oldest_due(&states, row, now));
                    let age_s = now.millis_since(oldest_due_at).max(0) / 1_000;
                    let age_s = u32::try_from(age_s).unwrap_or(u32::MAX);
                    self.metrics.set(Name::DeliveryOldestAge, &[("destination", slug)], age_s);
                }
            }
        }
        for ready in snapshot.destinations() {
            let slug = ready.config.slug.as_str();
            let fails =
                outages.iter().any(|one| one.destination == slug && ready.may_be(&one.settings_digest));
            self.metrics.set(Name::DestinationFailing, &[("destination", slug)], u32::from(fails));
        }
        for state in states {
            if snapshot.destination(&state.destination).is_some() {
                let labels = [("destination", state.destination.as_str())];
                self.metrics.set(Name::DestinationPaused, &labels, u32::from(state.paused.is_some()));
            }
        }
        Ok(())
    }
}

/// Since when what is due at a destination waits. While it is paused each event that tries it is due anew then, behind all
/// others: that it was not due for so long says nothing.
fn oldest_due(states: &[DestinationState], row: &OutboxCount, now: Timestamp) -> Timestamp {
    let paused = |state: &&DestinationState| state.destination == row.destination && state.paused.is_some();
    let since = states.iter().find(paused).filter(|_| row.oldest_due_at <= now).map(|state| state.since);
    since.map_or(row.oldest_due_at, |since| since.min(row.oldest_due_at))
}
