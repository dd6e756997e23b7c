//! Retention: fields whose time is over are emptied, class by class and place by place, a few hundred rows in a transaction,
//! with a pause after each. How far it is stands in the store, so that whoever carries it on after a crash begins there.

use crosstally_core::ids::CallId;
use crosstally_core::postback::Awaited;
use crosstally_core::retention::{self, Class};
use crosstally_core::time::{DAY_MS, HOUR_MS, MINUTE_MS, Timestamp};
use crosstally_core::word::Word;
use crosstally_store::{PurgeMark, PurgePlace, PurgeStep, StoreError};

use crate::Engine;
use crate::metrics::Name;

/// Rows of one transaction.
const ROWS_AT_ONCE: u32 = 500;
/// The pause after each, in which others have the writer for themselves.
const PAUSE_MS: u64 = 20;
/// Transactions of one place before the next has its turn.
const STEPS_MAX: u32 = 50;
/// How often the events of browsers are gone through.
const AGAIN_MS: i64 = HOUR_MS;

/// After this time no receipt waits any more.
const WAITED_MS: i64 = Awaited::MS_MAX + DAY_MS;

/// Where each class is.
const PLACES: [(Class, &[PurgePlace]); 3] = [
    (Class::Ip, &[PurgePlace::Clicks, PurgePlace::Receipts, PurgePlace::BrowserEvents, PurgePlace::Events]),
    (
        Class::UserAgent,
        &[PurgePlace::Clicks, PurgePlace::Receipts, PurgePlace::BrowserEvents, PurgePlace::Events],
    ),
    (Class::Raw, &[PurgePlace::Receipts, PurgePlace::Waited, PurgePlace::Attempts, PurgePlace::Calls]),
];

impl Engine {
    /// Empties what is over by the configuration in force, up to a share of work. Returns how many rows were emptied.
    ///
    /// # Errors
    /// See [`StoreError`]; what was done stays done.
    pub async fn purge_what_is_over(&self) -> Result<u64, StoreError> {
        let retention = self.snapshot.load().config.retention;
        if retention == retention::Retention::default() {
            return Ok(0);
        }
        let marks = self.store.purge_marks().await?;
        let mut purged = 0;
        for (class, places) in PLACES {
            let Some(span) = retention.of(class) else { continue };
            for place in places {
                let span = if *place == PurgePlace::Waited { span.max(WAITED_MS) } else { span };
                let before = self.clock.now().plus_millis(-span);
                let is_this = |mark: &&PurgeMark| mark.class == class.word() && mark.place == place.word();
                purged += self.purge_place(class, *place, before, marks.iter().find(is_this)).await?;
            }
        }
        Ok(purged)
    }

    async fn purge_place(
        &self,
        class: Class,
        place: PurgePlace,
        before: Timestamp,
        mark: Option<&PurgeMark>,
    ) -> Result<u64, StoreError> {
        let mut from = mark.map_or([0; 16], |mark| mark.done_to);
        let reached = CallId::from_bytes(from).time();
        let rested = mark.is_none_or(|mark| self.clock.now().millis_since(mark.updated_at) >= AGAIN_MS);
        if place == PurgePlace::BrowserEvents && from == [0; 16] && !rested {
            return Ok(0);
        }
        let labels = [("class", class.word()), ("place", place.word())];
        match place {
            PurgePlace::BrowserEvents => {}
            // What has come in since the last look can wait a minute.
            _ if (0..MINUTE_MS).contains(&before.millis_since(reached)) => {
                self.metrics.set(Name::PurgeLag, &labels, 0);
                return Ok(0);
            }
            // Those that have none left are not even looked at.
            PurgePlace::Attempts => from = [0; 16],
            // A clock that was ahead has marked what was still to come: from here on all is looked at in its turn.
            _ if reached > before => from = *CallId::new(before, [0; 10]).as_bytes(),
            _ => {}
        }
        let mut purged = 0;
        for _ in 0..STEPS_MAX {
            let step = PurgeStep {
                class,
                place,
                from,
                before,
                limit: ROWS_AT_ONCE,
                without: retention::without,
                now: self.clock.now(),
            };
            let done = self.store.purge(step).await?;
            purged += done.rows;
            from = done.done_to;
            self.metrics.count(Name::Purged, &labels, done.rows);
            let lag = match done.last {
                true => 0,
                false => before.millis_since(CallId::from_bytes(from).time()).max(0),
            };
            let lag = u32::try_from(lag / 1_000).unwrap_or(u32::MAX);
            self.metrics.set(Name::PurgeLag, &labels, lag);
            if done.last {
                break;
            }
            self.clock.sleep(PAUSE_MS).await;
        }
        Ok(purged)
    }
}
