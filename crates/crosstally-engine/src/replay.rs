//! Receipts that are read again: one, many, or those whose click has appeared.

use crosstally_core::click::Click;
use crosstally_core::config::Partner;
use crosstally_core::conversion::DedupeKey;
use crosstally_core::ids::{ConversionId, ReceiptId};
use crosstally_core::ledger::Status;
use crosstally_core::money::Currency;
use crosstally_core::params::Params;
use crosstally_core::postback::book::Context;
use crosstally_core::postback::normalise::Setting;
use crosstally_core::postback::replay::{
    Around, Case, Repair, Replayed, kept, kept_in_place, kept_params, replay,
};
use crosstally_core::postback::{Awaited, ClickRef, Inbound, Postback, Receipt, SERVER_EVENT, server_event};
use crosstally_core::reason::Reason;
use crosstally_core::verdict::{Stop, Verdict};
use crosstally_store::{Replay, ReplayAnswer, StoreError};

use crate::Engine;
use crate::metrics::Name;
use crate::postback::{guard, read};
use crate::snapshot::Snapshot;

mod closed;
mod gone;
pub mod imagined;
pub mod impact;
mod named;
pub mod statuses;
mod waits;

pub use closed::{is_fixed_event, is_never_money, is_of_preflight, is_of_stranger};
pub use gone::is_erased;
use imagined::Imagined;
use named::name;
use waits::add_money;

/// How often a replay is decided again when something moves under it.
const TRIES_MAX: usize = 8;
/// The cause of reading a receipt again because what it waited for has come.
const MATCHED: &str = "matched";
/// Calls that moved one conversion, and those that were read again without moving it.
const RECEIPTS_MAX: u32 = 10_000;
/// Why a receipt is not read again.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// There is no such receipt.
    #[error("no receipt {0} is stored here")]
    NotFound(ReceiptId),
    /// Its sender never showed who it is.
    #[error("receipt {0} came from somebody who did not show to be the partner; it is never booked")]
    Stranger(ReceiptId),
    /// A pre-flight made it.
    #[error("receipt {0} is a test that a pre-flight made; it is never booked")]
    Preflight(ReceiptId),
    /// Its person was erased, or its time was over: nothing is left to be read.
    #[error(
        "nothing is left of receipt {0} that could be read: its person was erased, or its raw bytes were purged"
    )]
    Erased(ReceiptId),
    /// It came as a server event, of which only what waits for its click is booked later.
    #[error("receipt {0} came as a server event, which is not read again; send the event again instead")]
    ServerEvent(ReceiptId),
    /// It was not taken for a repetition, so that there is nothing to make real.
    #[error("receipt {0} is no duplicate; only a swallowed call can be made real")]
    NotSwallowed(ReceiptId),
    /// Its conversion has a click, and keeps it.
    #[error(
        "receipt {0} is booked in {1}, which keeps the click that it is attributed to (click_changed); to book it on another \
         click, give it a transaction id of its own as well"
    )]
    Attributed(ReceiptId, ConversionId),
    /// Its conversion has a value for a field, and keeps it.
    #[error(
        "receipt {0} is booked in {1}, which keeps its {2} (field_kept): it was told to others already; to book it anew, give it \
         a transaction id of its own as well"
    )]
    Kept(ReceiptId, ConversionId, &'static str),
    /// Others move the same conversion all the time.
    #[error("the conversion of receipt {0} moved while it was read again; try again")]
    Busy(ReceiptId),
    /// The store did not take it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Who reads a receipt again, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct How {
    /// `matched`, `replay`, `repair`.
    pub cause: &'static str,
    /// Who.
    pub author: String,
    /// Whether it is only looked at.
    pub dry_run: bool,
}

/// What reading a receipt again comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplayOut {
    /// The receipt.
    pub receipt: ReceiptId,
    /// Its verdict before.
    pub was: (Verdict, Option<Reason>),
    /// Its verdict after.
    pub is: (Verdict, Option<Reason>),
    /// About it.
    pub detail: String,
    /// Its conversion after.
    pub conversion: Option<ConversionId>,
    /// By how much the confirmed and the open value change, in minor units, with the refunds that waited for it.
    pub money: Vec<(Currency, i64, i64)>,
    /// Whether anything changes.
    pub changed: bool,
    /// What it waits for after.
    pub awaits: Option<Awaited>,
}

/// What reading a receipt again comes to, and what was known for it.
pub(crate) struct Decided {
    pub(crate) replayed: Replayed,
    old: Option<Around>,
    new: Option<Around>,
    click: Option<Click>,
    /// A field of the repair that a conversion keeps.
    kept: Option<&'static str>,
}

impl Decided {
    /// What refunds wait for that came ahead, if the receipt is that.
    fn sale(&self) -> Option<Awaited> {
        let receipt = &self.replayed.booking.receipt;
        let is_booked = matches!(receipt.verdict, Verdict::Recorded | Verdict::Updated);
        let is_sale = receipt.read.get("status").is_some_and(|status| status == Status::Approved.as_str());
        let known = self.new.as_ref().map(|new| &new.conversion);
        let conversion = self.replayed.conversion().or(known)?;
        (is_booked && is_sale).then(|| Awaited::Sale(conversion.key.clone()))
    }

    /// The conversion that a booked receipt stays in, if that keeps a field which was to be repaired.
    fn keeps_field(&self) -> Option<(ConversionId, &'static str)> {
        let known = &self.old.as_ref()?.conversion;
        let stays = self.replayed.booking.receipt.conversion == Some(known.id);
        self.kept.filter(|_| stays).map(|field| (known.id, field))
    }

    /// The conversion that a booked receipt stays in, if that is attributed to another click than the one that it names now.
    fn keeps_its_click(&self) -> Option<ConversionId> {
        let known = &self.old.as_ref()?.conversion;
        let stays = self.replayed.booking.receipt.conversion == Some(known.id);
        let named = self.click.as_ref().map(|click| click.id);
        (stays && named != known.click).then_some(known.id)
    }
}

impl Engine {
    /// Reads a receipt again under the contract in force, with a repair if one is given.
    ///
    /// # Errors
    /// See [`ReplayError`]; nothing is changed then.
    pub async fn replay_receipt(
        &self,
        id: ReceiptId,
        repair: &Repair,
        how: &How,
    ) -> Result<ReplayOut, ReplayError> {
        self.replay_after(id, repair, how, &mut Imagined::default()).await
    }

    /// The same after others that were only looked at: what they would have done counts as done.
    ///
    /// # Errors
    /// See [`ReplayError`]; nothing is changed then.
    pub async fn replay_after(
        &self,
        id: ReceiptId,
        repair: &Repair,
        how: &How,
        imagined: &mut Imagined,
    ) -> Result<ReplayOut, ReplayError> {
        for _ in 0..TRIES_MAX {
            let mut receipt = match imagined.receipt(id) {
                Some(receipt) => receipt,
                None => self.store.receipt(id).await?.ok_or(ReplayError::NotFound(id))?,
            };
            receipt.awaits = self.awaited_by(&receipt).await?;
            let named = repair.set.get("click_id").and_then(serde_json::Value::as_str);
            if is_erased(&receipt) || named.is_some_and(|id| self.is_click_text_erased(id)) {
                return Err(ReplayError::Erased(id));
            }
            // Those with a wrong token are of both.
            if is_of_preflight(&receipt) {
                return Err(ReplayError::Preflight(id));
            }
            if is_of_stranger(&receipt) {
                return Err(ReplayError::Stranger(id));
            }
            if is_fixed_event(&receipt) {
                return Err(ReplayError::ServerEvent(id));
            }
            if repair.real
                && receipt.verdict != Verdict::Duplicate
                && !self.with_earlier_repairs(&receipt, &Repair::default()).await?.real
            {
                return Err(ReplayError::NotSwallowed(id));
            }
            let decided = self.decide_replay(&receipt, repair, imagined).await?;
            if repair.set.contains_key("click_id")
                && let Some(conversion) = decided.keeps_its_click()
            {
                return Err(ReplayError::Attributed(id, conversion));
            }
            if let Some((conversion, field)) = decided.keeps_field() {
                return Err(ReplayError::Kept(id, conversion, field));
            }
            let mut out = told(&receipt, &decided.replayed);
            let does = decided.replayed.changed || !repair.is_empty();
            let sale = decided.sale().filter(|_| does && how.cause != MATCHED);
            if how.dry_run {
                imagined.note(decided);
                if let Some(sale) = sale {
                    add_money(&mut out.money, &self.imagine_refunds_of(&sale, imagined).await?);
                }
                return Ok(out);
            }
            let replayed = decided.replayed;
            if !does {
                return Ok(out);
            }
            let deliveries = replayed.booking.clone();
            if self.record(receipt, replayed, repair, how).await? == ReplayAnswer::Done {
                self.wake_for(&deliveries);
                self.metrics.count(Name::Replays, &[("cause", how.cause)], 1);
                if let Some(sale) = sale {
                    // The refunds that wait for it, before the calls that came after both are read.
                    add_money(&mut out.money, &self.book_refunds_of(&sale).await?);
                }
                return Ok(out);
            }
        }
        Err(ReplayError::Busy(id))
    }

    async fn record(
        &self,
        before: Receipt,
        mut replayed: Replayed,
        repair: &Repair,
        how: &How,
    ) -> Result<ReplayAnswer, StoreError> {
        let receipt = &mut replayed.booking.receipt;
        receipt.revision = before.revision + 1;
        if receipt.method == SERVER_EVENT && receipt.verdict != Verdict::Quarantined {
            // It is never read again, so what its sender said about the person is kept no longer.
            receipt.sealed = None;
        }
        let change = replayed.booking.conversion.as_ref();
        if let Some(conversion) = change.map(crosstally_core::postback::ConversionChange::conversion) {
            self.take_browser_event_of(conversion).await?;
        }
        let repair = if repair.is_empty() {
            String::new()
        } else {
            serde_json::to_string(repair).map_err(|error| StoreError::Corrupt(error.to_string()))?
        };
        let replay = Replay {
            before,
            booking: replayed.booking,
            taken_out: replayed.taken_out,
            bereft: replayed.bereft,
            at: self.clock.now(),
            cause: how.cause.to_owned(),
            author: how.author.clone(),
            repair,
        };
        self.store.record_replay(replay).await
    }

    pub(crate) async fn decide_replay(
        &self,
        receipt: &Receipt,
        repair: &Repair,
        imagined: &Imagined,
    ) -> Result<Decided, StoreError> {
        let snapshot = self.snapshot.load_full();
        let asked = repair;
        let repair = self.with_earlier_repairs(receipt, asked).await?;
        let mut reading = self.reread(receipt, &repair, &snapshot);
        let claim = self.claim_row(receipt, &mut reading).await?;
        let mut key = None;
        self.keep_gone(&mut reading, receipt, &snapshot);
        if let Ok(postback) = &mut reading {
            key = self.name_now(postback, receipt, &repair, &snapshot).await?;
        }
        if key.is_none()
            && let Ok(postback) = &reading
        {
            reading = Err(crate::postback::nameless(postback));
        }
        let booked = matches!(receipt.verdict, Verdict::Recorded | Verdict::Updated);
        let old = match receipt.conversion.filter(|_| booked) {
            Some(id) => self.around(id, imagined).await?,
            None => None,
        };
        let new = match &key {
            Some(key) if old.as_ref().is_some_and(|old| old.conversion.key == *key) => old.clone(),
            Some(key) => self.around_key(key, imagined).await?,
            None => None,
        };
        let click = match reading.as_ref().map(|postback| &postback.click) {
            Ok(ClickRef::Ours(id)) => self.store.click(*id).await?,
            _ => None,
        };
        let Some((partner, _)) = snapshot.partner(&receipt.partner) else {
            return Ok(Decided { replayed: unknown_partner(receipt), old, new, click, kept: None });
        };
        let seen = match &reading {
            Ok(postback) => self.seen(postback, &snapshot.config, new.as_ref()).await?,
            Err(_) => Vec::new(),
        };
        let case = Case {
            receipt,
            reading: reading.as_ref(),
            old: old.as_ref(),
            new: new.as_ref(),
            click: click.as_ref(),
            seen: &seen,
        };
        let event = reading.as_ref().ok().and_then(|postback| postback.event.clone());
        let nameless = DedupeKey { partner: receipt.partner.clone(), key: String::new() };
        let (random, rates) = (self.random.clone(), self.rates());
        let measured = self.measured(&snapshot.config, &partner.slug, self.clock.now()).await?;
        let mut context = Context {
            config: &snapshot.config,
            measured: &measured,
            partner,
            key: key.as_ref().unwrap_or(&nameless),
            received_at: receipt.received_at,
            now: self.clock.now(),
            max_age_ms: &|destination, action_source| snapshot.max_age_ms(destination, action_source),
            mode: partner.contract.duplicates(event.as_deref()),
            rates: &rates,
            random: &mut || random.bytes(),
        };
        let mut replayed = replay(&case, &mut context);
        replayed.booking.nonce = claim.filter(|_| guard::uses_up(replayed.booking.receipt.verdict));
        Ok(Decided { kept: kept_in_place(&case, asked), replayed, old, new, click })
    }

    async fn awaited_by(&self, receipt: &Receipt) -> Result<Option<Awaited>, StoreError> {
        if receipt.verdict != Verdict::Quarantined {
            return Ok(None);
        }
        Ok(self.store.awaited_by(receipt.id).await?.as_deref().and_then(Awaited::from_text))
    }

    /// The name of what a receipt is about now, if it can be read.
    async fn named_now(&self, receipt: &Receipt) -> Result<Option<DedupeKey>, StoreError> {
        let snapshot = self.snapshot.load_full();
        let repair = self.with_earlier_repairs(receipt, &Repair::default()).await?;
        let Ok(mut postback) = self.reread(receipt, &repair, &snapshot) else { return Ok(None) };
        self.resolve_alias(&mut postback).await?;
        Ok(name(&mut postback, receipt, &repair, &snapshot))
    }

    async fn with_earlier_repairs(&self, receipt: &Receipt, repair: &Repair) -> Result<Repair, StoreError> {
        if receipt.revision == 0 {
            return Ok(repair.clone());
        }
        let mut all = Repair::default();
        for revision in self.store.revisions(receipt.id).await? {
            let one: Repair = serde_json::from_str(&revision.repair).unwrap_or_default();
            all = one.after(&all);
        }
        Ok(repair.clone().after(&all))
    }

    async fn around_key(&self, key: &DedupeKey, imagined: &Imagined) -> Result<Option<Around>, StoreError> {
        if let Some(around) = imagined.under(key) {
            return Ok(Some(around));
        }
        match self.store.conversion_of_key(key.clone()).await? {
            Some(conversion) => self.around(conversion.id, imagined).await,
            None => Ok(None),
        }
    }

    async fn around(&self, id: ConversionId, imagined: &Imagined) -> Result<Option<Around>, StoreError> {
        if let Some(around) = imagined.of(id) {
            return Ok(Some(around));
        }
        let Some(conversion) = self.store.conversion(id).await? else { return Ok(None) };
        let receipts = self.store.booked_receipts(id, RECEIPTS_MAX).await?;
        if receipts.len() >= usize::try_from(RECEIPTS_MAX).unwrap_or(usize::MAX) {
            // Where a part of its calls leads is not where it stands.
            return Err(StoreError::Unavailable(format!("{id} has too many calls to be read again")));
        }
        let attributed = match conversion.click {
            Some(click) => self.store.click(click).await?,
            None => None,
        };
        Ok(Some(Around { entries: self.store.entries(id).await?, receipts, attributed, conversion }))
    }

    /// What a receipt's call says under a configuration.
    pub(crate) fn reread(
        &self,
        receipt: &Receipt,
        repair: &Repair,
        snapshot: &Snapshot,
    ) -> Result<Postback, Stop> {
        let (mut inbound, is_original) = self.kept_call(receipt);
        let (partner, _) = snapshot
            .partner(&receipt.partner)
            .ok_or_else(|| Stop::refused(Reason::UnknownPartner, "the partner is not configured any more"))?;
        if receipt.method == SERVER_EVENT && repair.set.is_empty() && is_original {
            let setting = Setting {
                partner,
                workspace: &snapshot.config.workspace,
                click_id_key: &self.click_id_key,
                received_at: receipt.received_at,
            };
            let read = server_event::postback(&inbound.body, setting);
            return read.map(|postback| self.noted(postback));
        }
        let params = match params(&mut inbound, partner) {
            Err(_) if !repair.set.is_empty() => Default::default(),
            params => params?,
        };
        let mut postback = read::postback(
            params,
            &inbound,
            snapshot,
            &self.click_id_key,
            receipt.received_at,
            Some(repair),
        )?;
        if !is_original {
            // The kept call has masks where contact values stood.
            postback.contact = receipt.contact.clone();
        }
        Ok(postback)
    }

    /// The call that a receipt keeps, and whether it is the original.
    fn kept_call(&self, receipt: &Receipt) -> (Inbound, bool) {
        let original = receipt
            .sealed
            .as_ref()
            .and_then(|sealed| self.keys.unseal_bytes(&receipt.id.to_string(), sealed));
        let is_original = original.is_some();
        let mut inbound = kept(receipt);
        if let Some(original) = original {
            inbound.body = original;
        }
        (inbound, is_original)
    }
}

/// The parameters of a kept call.
fn params(inbound: &mut Inbound, partner: &Partner) -> Result<Params, Stop> {
    read::parts(inbound)?;
    kept_params(inbound, partner)
}

fn unknown_partner(receipt: &Receipt) -> Replayed {
    let booking = crosstally_core::postback::Booking::receipt_only(receipt.clone());
    Replayed { booking, taken_out: None, bereft: Vec::new(), changed: false, money: Vec::new() }
}

fn told(before: &Receipt, replayed: &Replayed) -> ReplayOut {
    let after = &replayed.booking.receipt;
    ReplayOut {
        receipt: before.id,
        was: (before.verdict, before.reason),
        is: (after.verdict, after.reason),
        detail: after.detail.clone(),
        conversion: after.conversion,
        money: replayed.money.clone(),
        changed: replayed.changed,
        awaits: after.awaits.clone(),
    }
}
