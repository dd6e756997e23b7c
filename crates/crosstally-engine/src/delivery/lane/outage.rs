//! What a lane notes of how its destination's calls go.

use crosstally_store::{Outage, StoreError};

use super::Lane;
use crate::delivery::course::Going;
use crate::snapshot::ReadyDestination;

/// How often it is seen whether an outage is to be noted.
const OUTAGE_EVERY_MS: i64 = 1_000;

impl Lane {
    /// Notes for whoever looks whether calls come to nothing; from time to time, as some destinations fail and go on many times
    /// a second.
    pub(in crate::delivery) async fn tell_outage(
        &mut self,
        ready: &ReadyDestination,
    ) -> Result<(), StoreError> {
        let now = self.engine.clock.now();
        self.begin_with(ready);
        let going = self.course.going();
        if going == Going::Unknown || now.millis_since(self.outage_at).abs() < OUTAGE_EVERY_MS {
            return Ok(());
        }
        self.outage_at = now;
        let outages = self.engine.store.outages().await?;
        let known = outages.into_iter().find(|known| known.destination == self.slug);
        let outage = match going {
            Going::Fails(trouble) => {
                let same = known.as_ref().filter(|known| known.settings_digest == ready.digest);
                Some(Outage {
                    destination: self.slug.clone(),
                    since: same.map_or(trouble.since, |known| known.since),
                    reason: trouble.reason,
                    detail: trouble.detail,
                    settings_digest: ready.digest.clone(),
                })
            }
            Going::Well | Going::Unknown => None,
        };
        self.told.outage(&self.slug, outage.as_ref(), now);
        let what = |outage: &Option<Outage>| {
            outage.as_ref().map(|outage| (outage.reason, outage.settings_digest.clone()))
        };
        let is_well = outage.is_none();
        if what(&known) != what(&outage) {
            self.engine.store.set_outage(self.slug.clone(), outage).await?;
        }
        if is_well {
            self.course.told_well();
        }
        Ok(())
    }

    /// Nobody calls it any more: should it come back, nothing is known of it.
    pub(super) async fn forget_outage(&self) {
        if let Err(error) = self.engine.store.set_outage(self.slug.clone(), None).await {
            tracing::warn!(destination = self.slug, error = %error, "its outage stays noted");
        }
    }
}
