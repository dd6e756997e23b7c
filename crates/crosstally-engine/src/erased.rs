//! What was erased, as every node has it in memory: keyed hashes with the time of each. Asked wherever something comes in
//! that could bring it back; as long as nothing was erased that costs one look at an empty map.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use arc_swap::ArcSwap;
use crosstally_core::contract::Contract;
use crosstally_core::conversion::DedupeKey;
use crosstally_core::erasure::told::{self, Says, Told};
use crosstally_core::erasure::{Mark, Names, contact_marks};
use crosstally_core::ids::ClickId;
use crosstally_core::postback::dedupe;
use crosstally_core::postback::{ClickRef, IMPORTED, Postback, Receipt};
use crosstally_core::time::Timestamp;
use crosstally_store::StoreError;

use crate::Engine;

/// Tombstones that are read in one go.
const AT_ONCE: u32 = 50_000;

/// Words of one call that are looked up.
const WORDS_MAX: usize = 1_000;

/// The keyed hashes of what was erased.
#[derive(Default)]
pub struct Erased(ArcSwap<Known>);

/// What is known, and up to which version.
#[derive(Default, Clone)]
struct Known {
    marks: HashMap<[u8; 16], Timestamp>,
    version: i64,
}

impl std::fmt::Debug for Erased {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Erased({})", self.0.load().marks.len())
    }
}

impl Engine {
    /// Learns of what was erased since.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn refresh_erased(&self) -> Result<(), StoreError> {
        let version = self.store.tombstone_version().await?;
        let mut known = Known::clone(&self.erased.0.load());
        if version == known.version {
            return Ok(());
        }
        loop {
            let found = self.store.tombstones_after(known.version, AT_ONCE).await?;
            known.marks.extend(found.iter().map(|one| (one.key, one.erased_at)));
            match found.last() {
                // A version may go on behind the end of a page: it is read again from its beginning.
                Some(last) if found.len() == usize::try_from(AT_ONCE).unwrap_or(usize::MAX) => {
                    known.version = (last.version - 1).max(known.version + 1);
                }
                Some(last) => known.version = last.version,
                None => break,
            }
            if found.len() < usize::try_from(AT_ONCE).unwrap_or(usize::MAX) {
                break;
            }
        }
        let known = Arc::new(known);
        // Several may learn at once; whoever knows less must not be the last word.
        self.erased.0.rcu(|others| match others.version > known.version {
            true => Arc::clone(others),
            false => Arc::clone(&known),
        });
        Ok(())
    }

    /// Whether anything was ever erased.
    pub(crate) fn has_erased(&self) -> bool {
        !self.erased.0.load().marks.is_empty()
    }

    /// The hash under which a mark is erased.
    pub(crate) fn tombstone(&self, mark: Mark, text: &str) -> [u8; 16] {
        let kind = match mark {
            Mark::Click => "erased click",
            Mark::Contact => "erased contact",
            Mark::User => "erased user",
            Mark::Conversion => "erased conversion",
            Mark::Order => "erased order",
        };
        self.keys.keyed_hash(kind, text.as_bytes())
    }

    /// The same of a conversion's name.
    pub(crate) fn tombstone_of_key(&self, key: &DedupeKey) -> [u8; 16] {
        self.tombstone(Mark::Conversion, &format!("{}\n{}", key.partner, key.key))
    }

    /// The same of a partner's order.
    pub(crate) fn tombstone_of_order(&self, partner: &str, order: &str) -> [u8; 16] {
        self.tombstone(Mark::Order, &format!("{partner}\n{}", order.trim()))
    }

    fn erased_at(&self, mark: Mark, text: &str) -> Option<Timestamp> {
        self.erased.0.load().marks.get(&self.tombstone(mark, text)).copied()
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
    /// happened before. What happens later is new. Without a time of its own a call happened when it was received; a row of
    /// a file that does not say when is old.
    pub(crate) fn brings_back(
        &self,
        postback: &Postback,
        (method, received_at): (&str, Timestamp),
        contract: &Contract,
    ) -> bool {
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
            self.erased.0.load().marks.get(&self.tombstone_of_key(&key)).copied()
        };
        if click.or_else(conversion).is_some() {
            return true;
        }
        let user = postback.external_id.as_deref().map(|id| (Mark::User, id.trim()));
        let contacts = postback.contact.of_person().map(|hash| (Mark::Contact, hash.as_str()));
        let erased = user.into_iter().chain(contacts).filter_map(|(mark, text)| self.erased_at(mark, text));
        erased.max().is_some_and(|at| is_before(at, postback.event_time, method, received_at))
    }

    /// Whether what is kept of a call that was never read as a whole would bring back what was erased. `original` is its
    /// body, if that is kept as well.
    pub(crate) fn keeps_erased(&self, receipt: &Receipt, original: Option<&[u8]>, names: &Names) -> bool {
        let mut said = Said::default();
        let found = &mut |told: Told<'_>| {
            said.note(told);
            self.is_erased_click_in(told)
        };
        if told::of_receipt(receipt, names, found)
            || original.is_some_and(|body| told::of_bytes(body, names, found))
        {
            return true;
        }
        let known = self.erased.0.load();
        let mut orders = said.orders.iter().map(|order| self.tombstone_of_order(&receipt.partner, order));
        let names = said.names().map(|key| DedupeKey { partner: receipt.partner.clone(), key });
        let mut names = names.map(|key| self.tombstone_of_key(&key));
        if orders.any(|key| known.marks.contains_key(&key)) || names.any(|key| known.marks.contains_key(&key))
        {
            return true;
        }
        let users = said.users.iter().map(|id| (Mark::User, id));
        let people = users.chain(said.contacts.iter().map(|hash| (Mark::Contact, hash)));
        let erased = people.filter_map(|(mark, text)| self.erased_at(mark, text)).max();
        erased.is_some_and(|at| is_before(at, said.time, &receipt.method, receipt.received_at))
    }

    /// Whether a value is an erased click's id, or a text holds one that needs no name.
    fn is_erased_click_in(&self, told: Told<'_>) -> bool {
        match told {
            Told::Named(Says::Click, id) => self.is_click_text_erased(id),
            Told::Named(..) => false,
            Told::Text(text) => {
                let ours = text.split(|sign: char| !sign.is_ascii_alphanumeric());
                let ours = ours.filter(|word| ClickId::parse_unchecked(word).is_ok());
                let others = told::words(text).filter(|word| told::is_rare(word));
                ours.chain(others).take(WORDS_MAX).any(|word| self.is_click_text_erased(word))
            }
        }
    }
}

/// Whether something happened before an erasure.
fn is_before(
    erased_at: Timestamp,
    event_time: Option<Timestamp>,
    method: &str,
    received_at: Timestamp,
) -> bool {
    match event_time {
        Some(happened) => happened <= erased_at,
        None => method == IMPORTED || received_at <= erased_at,
    }
}

/// What a call says besides clicks.
#[derive(Default)]
struct Said {
    orders: BTreeSet<String>,
    events: BTreeSet<String>,
    users: BTreeSet<String>,
    contacts: BTreeSet<String>,
    time: Option<Timestamp>,
}

impl Said {
    fn note(&mut self, told: Told<'_>) {
        let into = match told {
            Told::Named(Says::Click, _) => return,
            Told::Named(Says::Order, _) => &mut self.orders,
            Told::Named(Says::Event, _) => &mut self.events,
            Told::Named(Says::User, _) => &mut self.users,
            Told::Named(Says::Time, text) => {
                self.time = self.time.or_else(|| Timestamp::parse(text));
                return;
            }
            Told::Text(text) => {
                let room = WORDS_MAX.saturating_sub(self.contacts.len());
                self.contacts.extend(contact_marks(text).take(room));
                return;
            }
        };
        if let Told::Named(_, text) = told
            && into.len() < WORDS_MAX
        {
            into.insert(text.trim().to_owned());
        }
    }

    /// Names that a conversion of it may have had, of those that were erased before orders were buried by themselves. A call
    /// has one order and one event: whoever says many of both has no more looked up than of either.
    fn names(&self) -> impl Iterator<Item = String> {
        let with_events = self.orders.iter().flat_map(|order| {
            self.events.iter().map(move |event| format!("t:{order}\n{}", event.to_lowercase()))
        });
        self.orders.iter().map(|order| format!("t:{order}")).chain(with_events.take(WORDS_MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_looked_up_of_a_call_grows_with_it_and_not_with_its_square() {
        let mut said = Said::default();
        for number in 0..2 * WORDS_MAX {
            said.note(Told::Named(Says::Order, &format!("o{number}")));
            said.note(Told::Named(Says::Event, &format!("E{number}")));
        }
        let names: BTreeSet<String> = said.names().collect();
        assert!(names.len() <= 2 * WORDS_MAX, "{}", names.len());
        assert!(said.orders.iter().all(|order| names.contains(&format!("t:{order}"))));
        let mut said = Said::default();
        said.note(Told::Named(Says::Order, "o1"));
        said.note(Told::Named(Says::Event, "Lead"));
        assert_eq!(said.names().collect::<Vec<_>>(), ["t:o1", "t:o1\nlead"]);
    }
}
