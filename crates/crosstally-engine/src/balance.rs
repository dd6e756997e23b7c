//! The balance as a metric, and the proof that it holds: receipts are counted where they are and where they were added up
//! when they came, and both must be the same.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};

use crosstally_core::time::{HOUR_MS, MINUTE_MS, Timestamp};
use crosstally_core::verdict::Verdict;
use crosstally_store::StoreError;

use crate::Engine;
use crate::metrics::Name;

/// Receipts of an hour that are looked at one by one, with partner and verdict. Of more, only their keys are counted.
const LOOKED_AT_MAX: u64 = 200_000;
/// How long after its end an hour is left alone: a call that came in its last moment may still be on its way to the disk.
const SETTLED_MS: i64 = MINUTE_MS;
/// The partner label of everybody who is not configured: strangers cannot make up labels.
const OTHERS: &str = "(others)";

/// The hour that was found in balance last, so that none is looked through twice.
#[derive(Debug)]
pub struct Balanced(AtomicI64);

impl Default for Balanced {
    fn default() -> Self {
        Self(AtomicI64::new(i64::MIN))
    }
}

/// What came out when an hour was checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HourChecked {
    /// The start of the hour.
    pub hour: Timestamp,
    /// How many receipts were counted in it.
    pub counted: u64,
    /// By how many the receipts that there are differ from those that were counted; 0 if the balance holds.
    pub unbalanced: u64,
}

impl Engine {
    /// The last full hour that is settled.
    #[must_use]
    pub fn last_settled_hour(&self) -> Timestamp {
        self.clock.now().plus_millis(-SETTLED_MS).hour().plus_millis(-HOUR_MS)
    }

    /// Checks the balance of one hour against the receipts themselves.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn check_hour(&self, hour: Timestamp) -> Result<HourChecked, StoreError> {
        let counted = self.store.counted_in_hour(hour).await?;
        let unbalanced = if counted <= LOOKED_AT_MAX {
            let differences = self.store.hour_differences(hour).await?;
            differences.iter().map(|one| one.stored.abs_diff(one.counted)).sum()
        } else {
            // Minute by minute, so that no question takes long.
            let mut stored = 0;
            for minute in 0..HOUR_MS / MINUTE_MS {
                let from = hour.plus_millis(minute * MINUTE_MS);
                stored += self.store.stored_between(from, from.plus_millis(MINUTE_MS)).await?;
            }
            stored.abs_diff(counted)
        };
        Ok(HourChecked { hour, counted, unbalanced })
    }

    /// Shows the balance as metrics, from what is stored, and checks the last full hour unless it was found in balance.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn measure_balance(&self) -> Result<(), StoreError> {
        let snapshot = self.snapshot.load_full();
        let mut partners: BTreeMap<&str, [u64; Verdict::ALL.len()]> = snapshot
            .config
            .partners
            .iter()
            .map(|partner| (partner.slug.as_str(), Default::default()))
            .collect();
        for row in self.store.count_receipts().await? {
            let slug = partners.get_key_value(row.partner.as_str()).map_or(OTHERS, |(slug, _)| slug);
            let line = partners.entry(slug).or_default();
            for (verdict, count) in Verdict::ALL.into_iter().zip(line) {
                *count += if verdict == row.verdict { row.count } else { 0 };
            }
        }
        for (partner, line) in partners {
            for (verdict, count) in Verdict::ALL.into_iter().zip(line) {
                let labels = [("partner", partner), ("verdict", verdict.as_str())];
                self.metrics.set_count(Name::Receipts, &labels, count);
            }
            let received = line.iter().sum();
            self.metrics.set_count(Name::ReceiptsReceived, &[("partner", partner)], received);
        }
        let hour = self.last_settled_hour();
        if self.balanced.0.load(Ordering::Relaxed) == hour.as_millis() {
            return Ok(());
        }
        let found = self.check_hour(hour).await?;
        self.metrics.set_count(Name::ReceiptsUnbalanced, &[], found.unbalanced);
        let until = u64::try_from(hour.plus_millis(HOUR_MS).as_seconds()).unwrap_or_default();
        self.metrics.set_count(Name::ReceiptsCheckedUntil, &[], until);
        if found.unbalanced == 0 {
            self.balanced.0.store(hour.as_millis(), Ordering::Relaxed);
            return Ok(());
        }
        tracing::error!(
            hour = %hour,
            counted = found.counted,
            unbalanced = found.unbalanced,
            "the receipts of an hour are not as many as were counted"
        );
        Ok(())
    }
}
