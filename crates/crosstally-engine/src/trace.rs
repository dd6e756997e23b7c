//! The trace: for any id, everything that happened around it, hop by hop, with the evidence.

use std::collections::BTreeMap;

use crosstally_core::browser::BrowserEvent;
use crosstally_core::click::Click;
use crosstally_core::conversion::Conversion;
use crosstally_core::ids::{CallId, ClickId, ConversionId, DeliveryId, GoalEventId, ReceiptId};
use crosstally_core::ledger::LedgerEntry;
use crosstally_core::postback::Receipt;
use crosstally_core::postback::replay::{kept, kept_params};
use crosstally_core::reason::Reason;
use crosstally_core::route::GoalEvent;
use crosstally_core::time::DAY_MS;
use crosstally_core::time::Timestamp;
use crosstally_core::verdict::Verdict;
use crosstally_core::visit::Step;
use crosstally_destinations::consent::Leaving;
use crosstally_store::{AttemptRecord, DeliveryRecord, ReceiptFilter, Revision, StoreError};

use crate::Engine;
use crate::snapshot::Snapshot;

/// How many receipts or conversions of one click are told at most.
const LIMIT: u32 = 500;

/// How far back calls that wait are looked through for a transaction that nothing is booked under.
const DAYS: i64 = 30;
/// How many pages of them, and of the latest calls, are looked through.
const PAGES_MAX: usize = 10;
const PAGE: u32 = 1_000;

/// Steps of a click that are shown.
pub const STEPS_MAX: u32 = 100;

/// Everything around one id.
#[derive(Debug, Clone, Default)]
pub struct Trace {
    /// What was asked for.
    pub asked: String,
    /// What kind of thing that is.
    pub kind: &'static str,
    /// The click, if there is one.
    pub click: Option<Click>,
    /// What the click's browser told, oldest first.
    pub browser_events: Vec<BrowserEvent>,
    /// The click's steps from landers to offers, oldest first.
    pub steps: Vec<Step>,
    /// Every receipt that booked, matched or named what was asked for, oldest first.
    pub receipts: Vec<Receipt>,
    /// What those of them that were read again said before, oldest first.
    pub revisions: BTreeMap<ReceiptId, Vec<Revision>>,
    /// The conversions, each with its hops.
    pub conversions: Vec<ConversionTrace>,
}

/// One conversion with its hops.
#[derive(Debug, Clone)]
pub struct ConversionTrace {
    /// The conversion.
    pub conversion: Conversion,
    /// Its movements.
    pub entries: Vec<LedgerEntry>,
    /// The events of the goals it met.
    pub events: Vec<GoalEvent>,
    /// Their deliveries with every attempt.
    pub deliveries: Vec<DeliveryTrace>,
}

/// One delivery with its attempts.
#[derive(Debug, Clone)]
pub struct DeliveryTrace {
    /// The delivery.
    pub delivery: DeliveryRecord,
    /// Its attempts.
    pub attempts: Vec<AttemptRecord>,
    /// Why its destination holds it, if it does.
    pub held: Option<(Reason, String)>,
    /// What the visitor's consent means for it by the policy in force, if it means anything.
    pub consent: Option<String>,
}

impl Engine {
    /// Tells everything around an id: a click id, `rcp_`, `cnv_`, `evt_`, `dlv_`, or a partner's transaction id. `None` if
    /// nothing is known under it.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn trace(&self, asked: &str) -> Result<Option<Trace>, StoreError> {
        let asked = asked.trim();
        let mut trace = Trace { asked: asked.to_owned(), ..Trace::default() };
        let conversions = if let Ok(id) = asked.parse::<ReceiptId>() {
            trace.kind = "receipt";
            let Some(receipt) = self.store.receipt(id).await? else { return Ok(None) };
            self.around_receipt(&mut trace, receipt).await?
        } else if let Ok(id) = asked.parse::<ConversionId>() {
            trace.kind = "conversion";
            self.store.conversion(id).await?.into_iter().collect()
        } else if let Ok(id) = asked.parse::<GoalEventId>() {
            trace.kind = "event";
            match self.store.goal_event(id).await? {
                Some(event) => self.store.conversion(event.conversion).await?.into_iter().collect(),
                None => Vec::new(),
            }
        } else if let Ok(id) = asked.parse::<DeliveryId>() {
            trace.kind = "delivery";
            match self.store.delivery(id).await? {
                Some(delivery) => self.store.conversion(delivery.conversion).await?.into_iter().collect(),
                None => Vec::new(),
            }
        } else if asked.parse::<CallId>().is_ok() {
            return Ok(None);
        } else if let Ok(id) = ClickId::parse_unchecked(asked) {
            trace.kind = "click";
            trace.click = self.store.click(id).await?;
            trace.receipts = self.store.receipts_of_click(id, LIMIT).await?;
            self.store.conversions_of_click(id, LIMIT).await?
        } else {
            trace.kind = "transaction";
            let found = self.under_transaction(asked).await?;
            if found.is_empty() {
                trace.receipts = self.unbooked(asked).await?;
            }
            found
        };
        self.fill(&mut trace, conversions).await?;
        let known = trace.click.is_some() || !trace.receipts.is_empty() || !trace.conversions.is_empty();
        Ok(known.then_some(trace))
    }

    async fn around_receipt(
        &self,
        trace: &mut Trace,
        receipt: Receipt,
    ) -> Result<Vec<Conversion>, StoreError> {
        let conversion = match receipt.conversion {
            Some(id) => self.store.conversion(id).await?,
            None => None,
        };
        if let (None, Some(click)) = (&conversion, receipt.click) {
            trace.click = self.store.click(click).await?;
        }
        if conversion.is_none() {
            trace.receipts.push(receipt);
        }
        Ok(conversion.into_iter().collect())
    }

    async fn under_transaction(&self, transaction: &str) -> Result<Vec<Conversion>, StoreError> {
        let snapshot = self.snapshot.load_full();
        let mut found = Vec::new();
        for partner in &snapshot.config.partners {
            found.extend(
                self.store
                    .conversions_of_transaction(partner.slug.clone(), transaction.to_owned(), LIMIT)
                    .await?,
            );
        }
        Ok(found)
    }

    /// The calls that name a transaction and booked nothing: those that wait, of the last days, and what was refused among
    /// the latest.
    async fn unbooked(&self, transaction: &str) -> Result<Vec<Receipt>, StoreError> {
        let snapshot = self.snapshot.load_full();
        let mut found = Vec::new();
        let mut waiting = ReceiptFilter {
            verdict: Some(Verdict::Quarantined),
            from: Some(self.clock.now().plus_millis(-DAYS * DAY_MS)),
            ..ReceiptFilter::default()
        };
        let mut keep = |page: Vec<Receipt>, verdict: Verdict| {
            let theirs = page.into_iter().filter(|receipt| receipt.verdict == verdict);
            found.extend(theirs.filter(|receipt| names(receipt, transaction, &snapshot)));
        };
        for _ in 0..PAGES_MAX {
            let page = self.store.receipts_matching(waiting.clone(), PAGE).await?;
            let Some(last) = page.last() else { break };
            waiting.after = Some(last.id);
            keep(page, Verdict::Quarantined);
            // A long look must not keep a thread from the redirects.
            tokio::task::yield_now().await;
        }
        let mut before = None;
        for _ in 0..PAGES_MAX {
            let page = self.store.list_receipts(None, before, PAGE).await?;
            let Some(last) = page.last() else { break };
            before = Some(last.id);
            keep(page, Verdict::Refused);
            tokio::task::yield_now().await;
        }
        found.truncate(LIMIT as usize);
        Ok(found)
    }

    async fn fill(&self, trace: &mut Trace, conversions: Vec<Conversion>) -> Result<(), StoreError> {
        let holds = self.held_destinations().await?;
        let mut receipts: BTreeMap<ReceiptId, Receipt> =
            std::mem::take(&mut trace.receipts).into_iter().map(|receipt| (receipt.id, receipt)).collect();
        for conversion in conversions {
            if let (None, Some(click)) = (&trace.click, conversion.click) {
                trace.click = self.store.click(click).await?;
            }
            for receipt in self.store.receipts_of_conversion(conversion.id, LIMIT).await? {
                receipts.insert(receipt.id, receipt);
            }
            let events = self.store.goal_events_of_conversion(conversion.id).await?;
            let mut deliveries = Vec::new();
            for delivery in self.store.deliveries_of_conversion(conversion.id).await? {
                let attempts = self.store.attempts(delivery.id).await?;
                let held = self.hold_of(&delivery, &holds);
                let consent = self.consent_of(&delivery, &events);
                deliveries.push(DeliveryTrace { delivery: holds.due(delivery), attempts, held, consent });
            }
            trace.conversions.push(ConversionTrace {
                entries: self.store.entries(conversion.id).await?,
                events,
                deliveries,
                conversion,
            });
        }
        if let Some(click) = &trace.click {
            trace.browser_events = self.store.browser_events(click.id).await?;
            trace.steps = self.store.steps(click.id, STEPS_MAX).await?;
        }
        trace.receipts = receipts.into_values().collect();
        for receipt in trace.receipts.iter().filter(|receipt| receipt.revision > 0) {
            trace.revisions.insert(receipt.id, self.store.revisions(receipt.id).await?);
        }
        Ok(())
    }

    /// What the consent of an event's visitor means for its delivery.
    fn consent_of(&self, delivery: &DeliveryRecord, events: &[GoalEvent]) -> Option<String> {
        let event = &events.iter().find(|event| event.id == delivery.goal_event)?.event;
        match self.snapshot.load().destination(&delivery.destination)?.leaving(event, &self.geo) {
            Leaving::InFull => None,
            Leaving::Limited { why, .. } | Leaving::Withheld { why } => Some(why),
        }
    }

    /// How destinations hold their deliveries up.
    ///
    /// # Errors
    /// The store failed.
    pub async fn held_destinations(&self) -> Result<Holds, StoreError> {
        let (snapshot, now) = (self.snapshot.load(), self.clock.now());
        let mut holds = Holds::default();
        for state in self.store.destination_states().await? {
            if let Some(reason) = state.paused {
                holds.paused.insert(state.destination, (reason, state.detail));
                continue;
            }
            // Other settings may have another quota.
            let ready = snapshot.destination(&state.destination);
            if state.not_before > now && ready.is_some_and(|ready| ready.may_be(&state.settings_digest)) {
                holds.until.insert(state.destination, state.not_before);
            }
        }
        Ok(holds)
    }

    /// Why a pending delivery is held, if it is.
    #[must_use]
    pub fn hold_of(&self, delivery: &DeliveryRecord, holds: &Holds) -> Option<(Reason, String)> {
        if delivery.state != crosstally_core::delivery::DeliveryState::Pending {
            return None;
        }
        self.hold_at(&delivery.destination, holds)
    }

    /// Why what is pending at a destination is held, if it is.
    pub(crate) fn hold_at(&self, slug: &str, holds: &Holds) -> Option<(Reason, String)> {
        if self.snapshot.load().destination(slug).is_none() {
            return Some((
                Reason::DestinationRemoved,
                Reason::DestinationRemoved.about().sentence.to_owned(),
            ));
        }
        holds.paused.get(slug).cloned()
    }
}

/// How destinations hold their deliveries up.
#[derive(Debug, Clone, Default)]
pub struct Holds {
    /// Why each that is paused is.
    pub(crate) paused: BTreeMap<String, (Reason, String)>,
    /// Until when each that asked for it is left alone.
    until: BTreeMap<String, Timestamp>,
}

impl Holds {
    /// The delivery as it is due in truth: not before its destination takes anything.
    #[must_use]
    pub fn due(&self, delivery: DeliveryRecord) -> DeliveryRecord {
        match self.until.get(&delivery.destination) {
            Some(until) if delivery.state == crosstally_core::delivery::DeliveryState::Pending => {
                DeliveryRecord { due_at: delivery.due_at.max(*until), ..delivery }
            }
            _ => delivery,
        }
    }
}

/// Whether a call, as it is kept, has this transaction among what was read from it or among its parameters.
fn names(receipt: &Receipt, transaction: &str, snapshot: &Snapshot) -> bool {
    if let Some(read) = receipt.read.get("transaction_id") {
        return read.as_str() == Some(transaction);
    }
    let Some((partner, _)) = snapshot.partner(&receipt.partner) else { return false };
    let params = kept_params(&mut kept(receipt), partner).unwrap_or_default();
    params.iter().any(|param| param.value.trim() == transaction)
}
