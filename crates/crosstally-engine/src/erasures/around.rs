//! What belongs together: a click with what its browser told and what came of it, a conversion with its calls, events and
//! deliveries. The record by which all of it was found goes last, so that after a crash it is found again.

use std::collections::{BTreeMap, BTreeSet};

use crosstally_core::conversion::{Conversion, DedupeKey};
use crosstally_core::delivery::DeliveryState;
use crosstally_core::erasure::{self, LABEL, Mark, Person};
use crosstally_core::ids::{ClickId, ConversionId, ErasureId, ReceiptId, RunId};
use crosstally_core::postback::Receipt;
use crosstally_store::{ErasedClick, ErasedConversion, StoreError};

use super::search::Found;
use crate::Engine;

/// Calls of one conversion or click that are looked at; a search by pages finds those beyond.
const CALLS_MAX: u32 = 5_000;
/// How often a conversion is read again that moves while it is erased.
const READINGS_MAX: u32 = 10;
/// Calls that are erased in one transaction.
const CALLS_AT_ONCE: usize = 50;

/// What a preview has found, each once.
#[derive(Default)]
pub(super) struct Seen {
    clicks: BTreeSet<ClickId>,
    conversions: BTreeSet<ConversionId>,
    receipts: BTreeSet<ReceiptId>,
    runs: BTreeSet<RunId>,
    aliases: BTreeSet<String>,
    names: BTreeSet<DedupeKey>,
    more: BTreeMap<&'static str, u64>,
}

impl Seen {
    pub(super) fn counts(&self) -> Vec<(String, u64)> {
        let number = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        let own = [
            ("conversions", number(self.conversions.len())),
            ("receipts", number(self.receipts.len())),
            ("aliases", number(self.aliases.len())),
            ("tool_runs", number(self.runs.len())),
        ];
        let all = own.into_iter().chain(self.more.iter().map(|(what, count)| (*what, *count)));
        let mut counts: Vec<(String, u64)> =
            all.filter(|(_, count)| *count > 0).map(|(what, count)| (what.to_owned(), count)).collect();
        counts.sort();
        counts
    }

    /// Tells a person what else it is known by; whether anything of it is new.
    pub(super) fn add_to(&self, person: &mut Person) -> bool {
        let mut grew = false;
        for click in &self.clicks {
            grew |= person.add_click(&click.to_string());
        }
        for alias in &self.aliases {
            grew |= person.add_alias(alias);
        }
        for name in &self.names {
            grew |= person.add_name(name);
        }
        grew
    }

    fn add(&mut self, what: &'static str, count: usize) {
        *self.more.entry(what).or_default() += u64::try_from(count).unwrap_or(u64::MAX);
    }
}

impl Engine {
    /// Erases what was found, with all that belongs to it.
    pub(super) async fn erase_around(&self, erasure: ErasureId, found: Found) -> Result<(), StoreError> {
        match found {
            Found::Click(click) => self.erase_click(erasure, click, None).await,
            Found::Conversion(conversion) => self.erase_conversion(erasure, conversion.id).await,
            Found::Receipt(receipt) => {
                if let Some(conversion) = receipt.conversion {
                    self.erase_conversion(erasure, conversion).await?;
                }
                if let Some(click) = receipt.click {
                    self.erase_click(erasure, click, None).await?;
                }
                self.erase_receipts(erasure, vec![*receipt]).await
            }
            Found::Run(run) => self.store.erase_tool_runs(erasure, vec![run]).await,
        }
    }

    async fn erase_conversion(&self, erasure: ErasureId, id: ConversionId) -> Result<(), StoreError> {
        let Some(conversion) = self.standing(id).await? else { return Ok(()) };
        for click in self.clicks_of(&conversion).await? {
            self.erase_click(erasure, click, Some(id)).await?;
        }
        self.erase_alone(erasure, id).await
    }

    /// A conversion that is not erased yet.
    async fn standing(&self, id: ConversionId) -> Result<Option<Conversion>, StoreError> {
        let found = self.store.conversion(id).await?;
        Ok(found.filter(|conversion| !is_erased(&conversion.labels)))
    }

    async fn clicks_of(&self, conversion: &Conversion) -> Result<BTreeSet<ClickId>, StoreError> {
        let told = self.store.browser_events_for(conversion.key.clone(), conversion.click).await?;
        Ok(told.iter().map(|event| event.click).chain(conversion.click).collect())
    }

    /// A conversion without its clicks.
    async fn erase_alone(&self, erasure: ErasureId, id: ConversionId) -> Result<(), StoreError> {
        // What moves it meanwhile brings a call and events that were not read yet.
        for _ in 0..READINGS_MAX {
            if self.erase_as_read(erasure, id).await? {
                return Ok(());
            }
        }
        Err(StoreError::Unavailable("a conversion moves whenever it is to be erased".into()))
    }

    /// A conversion without its clicks; not if it has moved since it was read.
    async fn erase_as_read(&self, erasure: ErasureId, id: ConversionId) -> Result<bool, StoreError> {
        let Some(conversion) = self.standing(id).await? else { return Ok(true) };
        let calls = self.store.receipts_of_conversion(id, CALLS_MAX).await?;
        self.erase_receipts(erasure, calls).await?;
        let events = self.store.goal_events_of_conversion(id).await?;
        let events = events.iter().map(|event| (event.id, erasure::event(event.id, &event.event)));
        let order = erasure::order(&conversion.key, conversion.transaction_id.as_deref());
        let order = order.map(|order| self.tombstone_of_order(&conversion.key.partner, order));
        let erased = ErasedConversion {
            events: events.collect(),
            tombstones: [self.tombstone_of_key(&conversion.key)].into_iter().chain(order).collect(),
            left: erasure::conversion(conversion),
            now: self.clock.now(),
        };
        self.store.erase_conversion(erasure, erased).await
    }

    async fn erase_click(
        &self,
        erasure: ErasureId,
        id: ClickId,
        last: Option<ConversionId>,
    ) -> Result<(), StoreError> {
        for conversion in self.store.conversions_of_click(id, CALLS_MAX).await? {
            if Some(conversion.id) != last {
                self.erase_alone(erasure, conversion.id).await?;
            }
        }
        let calls = self.store.receipts_of_click(id, CALLS_MAX).await?;
        self.erase_receipts(erasure, calls).await?;
        let now = self.clock.now();
        let click = self.store.click(id).await?;
        let left = click.map(|click| {
            let other = ClickId::new(&self.click_id_key, click.at, self.random.bytes());
            erasure::click(&click, other)
        });
        let mut tombstones = vec![self.tombstone(Mark::Click, &id.to_string())];
        for alias in self.store.aliases_of_click(id).await? {
            tombstones.push(self.tombstone(Mark::Click, &alias));
        }
        self.store.erase_click(erasure, ErasedClick { id, left, tombstones, now }).await
    }

    async fn erase_receipts(&self, erasure: ErasureId, calls: Vec<Receipt>) -> Result<(), StoreError> {
        let open: Vec<Receipt> = calls.into_iter().filter(|call| !is_erased(&call.labels)).collect();
        for some in open.chunks(CALLS_AT_ONCE) {
            let left = some.iter().cloned().map(erasure::receipt).collect();
            self.store.erase_receipts(erasure, left).await?;
        }
        Ok(())
    }

    /// The same, only counted.
    pub(super) async fn look_around(&self, found: &Found, seen: &mut Seen) -> Result<(), StoreError> {
        match found {
            Found::Click(click) => self.look_at_click(*click, seen).await,
            Found::Conversion(conversion) => self.look_at_conversion(conversion.id, seen).await,
            Found::Receipt(receipt) => {
                if let Some(conversion) = receipt.conversion {
                    self.look_at_conversion(conversion, seen).await?;
                }
                if let Some(click) = receipt.click {
                    self.look_at_click(click, seen).await?;
                }
                note(vec![(**receipt).clone()], seen);
                Ok(())
            }
            Found::Run(run) => {
                seen.runs.insert(*run);
                Ok(())
            }
        }
    }

    async fn look_at_conversion(&self, id: ConversionId, seen: &mut Seen) -> Result<(), StoreError> {
        let Some(conversion) = self.standing(id).await? else { return Ok(()) };
        if !seen.conversions.insert(id) {
            return Ok(());
        }
        seen.names.insert(conversion.key.clone());
        note(self.store.receipts_of_conversion(id, CALLS_MAX).await?, seen);
        seen.add("events", self.store.goal_events_of_conversion(id).await?.len());
        let deliveries = self.store.deliveries_of_conversion(id).await?;
        seen.add("deliveries", deliveries.len());
        // What had arrived before it was sent once more stays that.
        let cancelled = deliveries
            .iter()
            .filter(|delivery| delivery.state == DeliveryState::Pending && delivery.arrived_at.is_none());
        seen.add("deliveries_cancelled", cancelled.count());
        for click in self.clicks_of(&conversion).await? {
            Box::pin(self.look_at_click(click, seen)).await?;
        }
        Ok(())
    }

    async fn look_at_click(&self, id: ClickId, seen: &mut Seen) -> Result<(), StoreError> {
        if !seen.clicks.insert(id) {
            return Ok(());
        }
        seen.add("clicks", usize::from(self.store.click(id).await?.is_some()));
        seen.add("browser_events", self.store.browser_events(id).await?.len());
        seen.aliases.extend(self.store.aliases_of_click(id).await?);
        note(self.store.receipts_of_click(id, CALLS_MAX).await?, seen);
        for conversion in self.store.conversions_of_click(id, CALLS_MAX).await? {
            Box::pin(self.look_at_conversion(conversion.id, seen)).await?;
        }
        Ok(())
    }
}

fn note(calls: Vec<Receipt>, seen: &mut Seen) {
    seen.receipts.extend(calls.iter().filter(|call| !is_erased(&call.labels)).map(|call| call.id));
}

fn is_erased(labels: &[String]) -> bool {
    labels.iter().any(|label| label == LABEL)
}
