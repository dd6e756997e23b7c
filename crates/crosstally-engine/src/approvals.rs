//! How much of a partner's undecided conversions is expected to be approved: measured when a goal asks for it, and taken
//! for a minute. What was measured is a hint about money to come and never money itself.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crosstally_core::config::Config;
use crosstally_core::time::{MINUTE_MS, Timestamp};
use crosstally_core::value::Measured;
use crosstally_store::StoreError;

use crate::Engine;

/// How long what was measured is taken.
const GOOD_FOR_MS: i64 = MINUTE_MS;
/// The newest decided conversions that are counted.
const COUNTED_MAX: u32 = 50_000;
/// Partners and spans of time that are remembered; beyond that, everything is measured anew.
const REMEMBERED_MAX: usize = 16_384;

/// What was measured, by partner and span of time.
#[derive(Debug, Default)]
pub struct Approvals {
    measured: Mutex<HashMap<(String, i64), (Timestamp, Measured)>>,
}

impl Approvals {
    fn get(&self, key: &(String, i64), now: Timestamp) -> Option<Measured> {
        let measured = self.measured.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, found) = measured.get(key)?;
        (0..GOOD_FOR_MS).contains(&now.millis_since(*at)).then(|| found.clone())
    }

    fn put(&self, key: (String, i64), now: Timestamp, found: Measured) {
        let mut measured = self.measured.lock().unwrap_or_else(PoisonError::into_inner);
        if measured.len() >= REMEMBERED_MAX {
            measured.clear();
        }
        measured.insert(key, (now, found));
    }
}

impl Engine {
    /// What the goals of a configuration want to know about a partner's conversions, by how far back it is looked.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub(crate) async fn measured(
        &self,
        config: &Config,
        partner: &str,
        now: Timestamp,
    ) -> Result<Vec<(i64, Measured)>, StoreError> {
        let mut all: Vec<(i64, Measured)> = Vec::new();
        for within_ms in
            config.goals.iter().filter_map(|goal| goal.expected).map(|expected| expected.within_ms)
        {
            if all.iter().any(|(known, _)| *known == within_ms) {
                continue;
            }
            let key = (partner.to_owned(), within_ms);
            let found = match self.approvals.get(&key, now) {
                Some(found) => found,
                None => {
                    let since = now.plus_millis(-within_ms);
                    let found = self.store.decided(partner.to_owned(), since, COUNTED_MAX).await?;
                    self.approvals.put(key, now, found.clone());
                    found
                }
            };
            all.push((within_ms, found));
        }
        Ok(all)
    }
}
