//! What is asked about a call's contact and address: keyed hashes, so that what is kept says nothing to whoever does not
//! have the installation's key.

use crosstally_core::config::Config;
use crosstally_core::fraud::{Often, Seen, Sighting, contact_values, neighbourhood};
use crosstally_core::postback::replay::Around;
use crosstally_core::postback::{ClickRef, Postback};
use crosstally_core::reason::Reason;
use crosstally_core::time::Timestamp;
use crosstally_store::StoreError;

use crate::Engine;

const FORGOTTEN_AT_ONCE: u32 = 5_000;

impl Engine {
    /// The contact and the address of a call that may have been seen on other conversions; nothing unless the
    /// configuration asks for it.
    pub(crate) async fn sightings(
        &self,
        postback: &Postback,
        config: &Config,
        now: Timestamp,
    ) -> Vec<Sighting> {
        let fraud = &config.fraud;
        let mut sightings = Vec::new();
        let sighting = |kind: &str, value: &[u8], label: Reason, often: Often| Sighting {
            key: self.keys.keyed_hash(kind, value),
            label,
            often,
            at: now,
        };
        if let Some(often) = fraud.repeated_contact {
            let of =
                |(kind, hash): (&str, &str)| sighting(kind, hash.as_bytes(), Reason::RepeatedContact, often);
            sightings.extend(contact_values(&postback.contact).map(of));
        }
        if let Some(often) = fraud.repeated_address
            && let ClickRef::Ours(id) = &postback.click
        {
            // A label is not worth a call: where the click cannot be read, the booking itself says so.
            let click = self.store.click(*id).await.ok().flatten();
            let address = click.and_then(|click| click.ip).map(|ip| neighbourhood(ip).to_be_bytes());
            let of = |address: [u8; 8]| sighting("address", &address, Reason::RepeatedAddress, often);
            sightings.extend(address.map(of));
        }
        sightings
    }

    /// The same for a receipt that is read again, with what is known of it outside of a transaction.
    pub(crate) async fn seen(
        &self,
        postback: &Postback,
        config: &Config,
        around: Option<&Around>,
    ) -> Result<Vec<Seen>, StoreError> {
        let sightings = self.sightings(postback, config, self.clock.now()).await;
        if sightings.is_empty() {
            return Ok(Vec::new());
        }
        self.store.seen(sightings, around.map(|around| &around.conversion)).await
    }

    /// Forgets where contacts and addresses were seen longer ago than the configuration looks back, and everything if it
    /// does not look back at all. Tells how many.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn forget_sightings(&self) -> Result<u64, StoreError> {
        let now = self.clock.now();
        let before = match self.snapshot.load().config.fraud.memory_ms() {
            Some(memory) => now.plus_millis(memory.saturating_neg()),
            None => now,
        };
        let mut forgotten = 0;
        loop {
            let some = self.store.purge_sightings(before, FORGOTTEN_AT_ONCE).await?;
            forgotten += some;
            if some < u64::from(FORGOTTEN_AT_ONCE) {
                return Ok(forgotten);
            }
        }
    }
}
