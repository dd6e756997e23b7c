//! Evidence packs: one file about one conversion or many that can be read without a tool and checked without us. What is in
//! it comes from the trace, without secrets and contact values; `pack` makes the file, `verify` checks one, `page` is what
//! people read.

use std::collections::BTreeSet;

use crosstally_core::ids::ReceiptId;
use crosstally_core::time::Timestamp;
use crosstally_core::verdict::Verdict;
use crosstally_store::{ReceiptFilter, StoreError};
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use serde_json::json;

use crate::Engine;
use crate::keys::hex_of;
use crate::trace::Trace;

pub(crate) use hidden::hidden;

mod hidden;
mod pack;
mod page;
mod records;
#[cfg(test)]
mod tests;
pub mod verify;

/// Calls that one pack tells of at most.
const RECEIPTS_MAX: u32 = 500;
/// Bytes of one pack.
pub const PACK_BYTES_MAX: usize = 32 * 1024 * 1024;
/// The name of the signing key among the installation's values, and the record that it is sealed for.
const KEY: &str = "evidence_key";

/// Which calls a pack is about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Of this partner.
    pub partner: Option<String>,
    /// With this verdict.
    pub verdict: Option<Verdict>,
    /// Received at or after.
    pub from: Option<Timestamp>,
    /// Received before.
    pub to: Option<Timestamp>,
}

/// A pack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pack {
    /// The file's usual name.
    pub name: String,
    /// The file.
    pub file: String,
    /// How many records it has.
    pub records: usize,
}

/// The public half of the signing key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    /// Its 32 bytes as hex.
    pub key: String,
    /// A short name of it, for reading it aloud.
    pub fingerprint: String,
}

/// Why there is no pack.
#[derive(Debug, thiserror::Error)]
pub enum EvidenceError {
    /// Nothing is known under the id, or nothing matches.
    #[error("nothing is known that such a pack could tell of")]
    Nothing,
    /// More than one pack holds.
    #[error("that is more than one pack holds; ask for a shorter time or one partner")]
    TooMuch,
    /// The signing key cannot be opened.
    #[error("the signing key cannot be opened; the master key is not the one that it was made under")]
    Key,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Engine {
    /// The signing key; made when it is first asked for, and kept sealed beside the others.
    async fn evidence_key(&self) -> Result<Ed25519KeyPair, EvidenceError> {
        let candidate = self.keys.seal_bytes(KEY, &self.random.bytes::<32>());
        let stored = self.store.installation_value(KEY.to_owned(), candidate).await?;
        let seed = self.keys.unseal_bytes(KEY, &stored).ok_or(EvidenceError::Key)?;
        Ed25519KeyPair::from_seed_unchecked(&seed).map_err(|_| EvidenceError::Key)
    }

    /// The key that packs of this installation are checked with.
    ///
    /// # Errors
    /// See [`EvidenceError`].
    pub async fn evidence_public_key(&self) -> Result<PublicKey, EvidenceError> {
        let pair = self.evidence_key().await?;
        let key = hex_of(pair.public_key().as_ref().iter().copied());
        Ok(PublicKey { fingerprint: verify::fingerprint(&key), key })
    }

    /// Everything around one id, as a pack.
    ///
    /// # Errors
    /// See [`EvidenceError`].
    pub async fn evidence_of(&self, id: &str) -> Result<Pack, EvidenceError> {
        let trace = self.trace(id).await?.ok_or(EvidenceError::Nothing)?;
        let name: String = id.chars().filter(char::is_ascii_alphanumeric).take(40).collect();
        self.packed(&json!({ "id": id.trim() }), &name, &[trace]).await
    }

    /// Everything around the calls that match, as a pack.
    ///
    /// # Errors
    /// See [`EvidenceError`].
    pub async fn evidence_matching(&self, wanted: &Wanted) -> Result<Pack, EvidenceError> {
        let filter = ReceiptFilter {
            partner: wanted.partner.clone(),
            verdict: wanted.verdict,
            from: wanted.from,
            to: wanted.to,
            ..ReceiptFilter::default()
        };
        let receipts = self.store.receipts_matching(filter, RECEIPTS_MAX + 1).await?;
        if receipts.len() > RECEIPTS_MAX as usize {
            return Err(EvidenceError::TooMuch);
        }
        let mut told: BTreeSet<ReceiptId> = BTreeSet::new();
        let mut traces: Vec<Trace> = Vec::new();
        for receipt in receipts {
            if !told.contains(&receipt.id)
                && let Some(trace) = self.trace(&receipt.id.to_string()).await?
            {
                told.extend(trace.receipts.iter().map(|receipt| receipt.id));
                traces.push(trace);
            }
            // A long look must not keep a thread from the redirects.
            tokio::task::yield_now().await;
        }
        if traces.is_empty() {
            return Err(EvidenceError::Nothing);
        }
        let asked = json!({
            "partner": wanted.partner, "verdict": wanted.verdict.map(Verdict::as_str),
            "from": wanted.from.map(|at| at.to_string()), "to": wanted.to.map(|at| at.to_string()),
        });
        let name = wanted.partner.clone().unwrap_or_else(|| "calls".to_owned());
        self.packed(&asked, &name, &traces).await
    }

    async fn packed(
        &self,
        asked: &serde_json::Value,
        name: &str,
        traces: &[Trace],
    ) -> Result<Pack, EvidenceError> {
        let pair = self.evidence_key().await?;
        let key = hex_of(pair.public_key().as_ref().iter().copied());
        let mut all = vec![records::head(asked, &key, self.clock.now())];
        let mut clicks = BTreeSet::new();
        traces.iter().for_each(|trace| records::of_trace(trace, &mut clicks, &mut all));
        let records = all.len();
        let file = pack::file(&all, &pair);
        if file.len() > PACK_BYTES_MAX {
            return Err(EvidenceError::TooMuch);
        }
        Ok(Pack { name: format!("evidence-{name}.html"), file, records })
    }
}
