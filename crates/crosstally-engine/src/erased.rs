//! What was erased, as every node has it in memory: keyed hashes with the time of each. Asked wherever something comes in
//! that could bring it back; as long as nothing was erased that costs one look at an empty map.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use arc_swap::ArcSwap;
use crosstally_core::contract::Contract;
use crosstally_core::conversion::DedupeKey;
use crosstally_core::erasure::Mark;
use crosstally_core::ids::ClickId;
use crosstally_core::params::Params;
use crosstally_core::postback::dedupe;
use crosstally_core::postback::{ClickRef, IMPORTED, Postback};
use crosstally_core::time::Timestamp;
use crosstally_store::StoreError;

use crate::Engine;

/// Tombstones that are read in one go.
const AT_ONCE: u32 = 50_000;

/// The keyed hashes of what was erased.
#[derive(Default)]
pub struct Erased {
    known: ArcSwap<HashMap<[u8; 16], Timestamp>>,
    version: AtomicI64,
}

impl std::fmt::Debug for Erased {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Erased({})", self.known.load().len())
    }
}

impl Engine {
    /// Learns of what was erased since.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn refresh_erased(&self) -> Result<(), StoreError> {
        let version = self.store.tombstone_version().await?;
        let mut from = self.erased.version.load(Ordering::Acquire);
        if version == from {
            return Ok(());
        }
        let mut known = HashMap::clone(&self.erased.known.load());
        loop {
            let found = self.store.tombstones_after(from, AT_ONCE).await?;
            known.extend(found.iter().map(|one| (one.key, one.erased_at)));
            match found.last() {
                // A version may go on behind the end of a page: it is read again from its beginning.
                Some(last) if found.len() == usize::try_from(AT_ONCE).unwrap_or(usize::MAX) => {
                    from = (last.version - 1).max(from + 1);
                }
                Some(last) => from = last.version,
                None => break,
            }
            if found.len() < usize::try_from(AT_ONCE).unwrap_or(usize::MAX) {
                break;
            }
        }
        self.erased.known.store(Arc::new(known));
        self.erased.version.store(from, Ordering::Release);
        Ok(())
    }

    /// Whether anything was ever erased.
    pub(crate) fn has_erased(&self) -> bool {
        !self.erased.known.load().is_empty()
    }

    /// The hash under which a mark is erased.
    pub(crate) fn tombstone(&self, mark: Mark, text: &str) -> [u8; 16] {
        let kind = match mark {
            Mark::Click => "erased click",
            Mark::Contact => "erased contact",
            Mark::User => "erased user",
            Mark::Conversion => "erased conversion",
        };
        self.keys.keyed_hash(kind, text.as_bytes())
    }

    /// The same of a conversion's name.
    pub(crate) fn tombstone_of_key(&self, key: &DedupeKey) -> [u8; 16] {
        self.tombstone(Mark::Conversion, &format!("{}\n{}", key.partner, key.key))
    }

    fn erased_at(&self, mark: Mark, text: &str) -> Option<Timestamp> {
        self.erased.known.load().get(&self.tombstone(mark, text)).copied()
    }

    /// Whether a click was erased.
    pub(crate) fn is_click_erased(&self, id: ClickId) -> bool {
        self.has_erased() && self.erased_at(Mark::Click, &id.to_string()).is_some()
    }

    /// The same of a click id as it stands in a call, ours or another tracker's.
    pub(crate) fn is_click_text_erased(&self, id: &str) -> bool {
        match ClickId::parse_unchecked(id) {
            Ok(id) => self.is_click_erased(id),
            Err(_) => self.has_erased() && self.erased_at(Mark::Click, id.trim()).is_some(),
        }
    }

    /// Whether a call brings back what was erased: it names an erased click or conversion, or tells of an erased person what
    /// happened before. What happens later is new; a row of a file that does not say when is old.
    pub(crate) fn brings_back(&self, postback: &Postback, method: &str, contract: &Contract) -> bool {
        if !self.has_erased() {
            return false;
        }
        let click = match &postback.click {
            ClickRef::None => None,
            ClickRef::Ours(id) => self.erased_at(Mark::Click, &id.to_string()),
            ClickRef::Foreign { value, .. } => self.erased_at(Mark::Click, value.trim()),
        };
        let conversion = || {
            let key = dedupe::key(postback, contract)?;
            self.erased.known.load().get(&self.tombstone_of_key(&key)).copied()
        };
        if click.or_else(conversion).is_some() {
            return true;
        }
        let user = postback.external_id.as_deref().map(|id| (Mark::User, id.trim()));
        let contacts = postback.contact.of_person().map(|hash| (Mark::Contact, hash.as_str()));
        let erased = user.into_iter().chain(contacts).filter_map(|(mark, text)| self.erased_at(mark, text));
        erased.max().is_some_and(|at| match postback.event_time {
            Some(happened) => happened <= at,
            None => method == IMPORTED,
        })
    }

    /// Whether a call that was never read names an erased click.
    pub(crate) fn names_erased_click(&self, raw: &[&[u8]]) -> bool {
        let is_erased =
            |value: &str| ClickId::parse_unchecked(value).is_ok_and(|id| self.is_click_erased(id));
        self.has_erased()
            && raw.iter().any(|raw| {
                Params::parse(raw).is_ok_and(|params| params.iter().any(|param| is_erased(&param.value)))
            })
    }
}
