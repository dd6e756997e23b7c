//! Receipts that are read again: one, many, or those whose click has appeared.

use crosstally_core::config::Partner;
use crosstally_core::conversion::DedupeKey;
use crosstally_core::ids::{ConversionId, ReceiptId};
use crosstally_core::money::Currency;
use crosstally_core::params::Params;
use crosstally_core::postback::book::Context;
use crosstally_core::postback::normalise::Setting;
use crosstally_core::postback::replay::{Around, Case, Repair, Replayed, kept, kept_params, replay};
use crosstally_core::postback::{
    Awaited, ClickRef, Inbound, Postback, Receipt, SERVER_EVENT, STRANGER, dedupe, server_event,
};
use crosstally_core::reason::Reason;
use crosstally_core::time::{DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS, Timestamp};
use crosstally_core::verdict::{Stop, Verdict};
use crosstally_store::{Replay, ReplayAnswer, StoreError};

use crate::Engine;
use crate::metrics::Name;
use crate::postback::read;
use crate::snapshot::Snapshot;

pub mod impact;
pub mod statuses;

/// How often a replay is decided again when something moves under it.
const TRIES_MAX: usize = 8;
/// Calls that moved one conversion, and those that were read again without moving it.
const RECEIPTS_MAX: u32 = 10_000;
/// How long a receipt waits for its click.
const WAIT_MS_MAX: i64 = 30 * DAY_MS;
/// Receipts that are looked at in one go.
const WAITS_MAX: u32 = 200;

/// Why a receipt is not read again.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// There is no such receipt.
    #[error("no receipt {0} is stored here")]
    NotFound(ReceiptId),
    /// Its sender never showed who it is.
    #[error("receipt {0} came from somebody who did not show to be the partner; it is never booked")]
    Stranger(ReceiptId),
    /// It came as a server event, of which only what waits for its click is booked later.
    #[error("receipt {0} came as a server event, which is not read again; send the event again instead")]
    ServerEvent(ReceiptId),
    /// It was not taken for a repetition, so that there is nothing to make real.
    #[error("receipt {0} is no duplicate; only a swallowed call can be made real")]
    NotSwallowed(ReceiptId),
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
    /// By how much the confirmed and the open value change, in minor units.
    pub money: Vec<(Currency, i64, i64)>,
    /// Whether anything changes.
    pub changed: bool,
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
        for _ in 0..TRIES_MAX {
            let receipt = self.store.receipt(id).await?.ok_or(ReplayError::NotFound(id))?;
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
            let replayed = self.decide_replay(&receipt, repair).await?;
            let out = told(&receipt, &replayed);
            if how.dry_run || !replayed.changed && repair.is_empty() {
                return Ok(out);
            }
            let deliveries = replayed.booking.clone();
            if self.record(receipt, replayed, repair, how).await? == ReplayAnswer::Done {
                self.wake_for(&deliveries);
                self.metrics.count(Name::Replays, &[("cause", how.cause)], 1);
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
        let repair = if repair.is_empty() {
            String::new()
        } else {
            serde_json::to_string(repair).map_err(|error| StoreError::Corrupt(error.to_string()))?
        };
        let replay = Replay {
            before,
            booking: replayed.booking,
            taken_out: replayed.taken_out,
            at: self.clock.now(),
            cause: how.cause.to_owned(),
            author: how.author.clone(),
            repair,
        };
        self.store.record_replay(replay).await
    }

    async fn decide_replay(&self, receipt: &Receipt, repair: &Repair) -> Result<Replayed, StoreError> {
        let snapshot = self.snapshot.load_full();
        let repair = self.with_earlier_repairs(receipt, repair).await?;
        let mut reading = self.reread(receipt, &repair, &snapshot);
        let mut key = None;
        if let Ok(postback) = &mut reading {
            self.resolve_alias(postback).await?;
            key = name(postback, receipt, &repair, &snapshot);
        }
        if key.is_none()
            && let Ok(postback) = &reading
        {
            reading = Err(crate::postback::nameless(postback));
        }
        let booked = matches!(receipt.verdict, Verdict::Recorded | Verdict::Updated);
        let old = match receipt.conversion.filter(|_| booked) {
            Some(id) => self.around(id).await?,
            None => None,
        };
        let new = match &key {
            Some(key) if old.as_ref().is_some_and(|old| old.conversion.key == *key) => old.clone(),
            Some(key) => match self.store.conversion_of_key(key.clone()).await? {
                Some(conversion) => self.around(conversion.id).await?,
                None => None,
            },
            None => None,
        };
        let click = match reading.as_ref().map(|postback| &postback.click) {
            Ok(ClickRef::Ours(id)) => self.store.click(*id).await?,
            _ => None,
        };
        let Some((partner, _)) = snapshot.partner(&receipt.partner) else {
            return Ok(unknown_partner(receipt));
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
        let random = self.random.clone();
        let rates = self.rates();
        let mut context = Context {
            config: &snapshot.config,
            partner,
            key: key.as_ref().unwrap_or(&nameless),
            received_at: receipt.received_at,
            now: self.clock.now(),
            max_age_ms: &|destination, action_source| snapshot.max_age_ms(destination, action_source),
            mode: partner.contract.duplicates(event.as_deref()),
            rates: &rates,
            random: &mut || random.bytes(),
        };
        Ok(replay(&case, &mut context))
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

    async fn around(&self, id: ConversionId) -> Result<Option<Around>, StoreError> {
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
    fn reread(&self, receipt: &Receipt, repair: &Repair, snapshot: &Snapshot) -> Result<Postback, Stop> {
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
            return server_event::postback(&inbound.body, setting);
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

    /// Looks after receipts that wait: what has appeared is booked, what waits too long waits no more. Returns how many
    /// were booked.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn match_waiting(&self) -> Result<usize, StoreError> {
        let now = self.clock.now();
        let how = How { cause: "matched", author: "crosstally".into(), dry_run: false };
        let (mut put_off, mut matched) = (Vec::new(), 0);
        for wait in self.store.due_waits(now, WAITS_MAX).await? {
            let is_there = match Awaited::from_text(&wait.awaited) {
                Some(Awaited::Click(click)) => self.store.click(click).await?.is_some(),
                Some(Awaited::Alias(alias)) => self.store.click_of_alias(alias).await?.is_some(),
                None => false,
            };
            if is_there {
                match self.replay_receipt(wait.receipt, &Repair::default(), &how).await {
                    Ok(out) if out.changed => matched += 1,
                    Ok(_)
                    | Err(
                        ReplayError::NotFound(_)
                        | ReplayError::Stranger(_)
                        | ReplayError::ServerEvent(_)
                        | ReplayError::NotSwallowed(_),
                    ) => {
                        put_off.push((wait.receipt, None));
                    }
                    Err(ReplayError::Busy(_)) => {
                        put_off.push((wait.receipt, Some(now.plus_millis(SECOND_MS))))
                    }
                    Err(ReplayError::Store(error)) => {
                        // One that cannot be booked must not hold up those behind it.
                        tracing::warn!(receipt.id = %wait.receipt, error = %error, "a waiting receipt was not booked");
                        put_off.push((wait.receipt, Some(now.plus_millis(MINUTE_MS))));
                    }
                }
                continue;
            }
            let too_long = now.millis_since(wait.since) > WAIT_MS_MAX;
            put_off.push((wait.receipt, (!too_long).then(|| next_look(now, wait.looks))));
        }
        if !put_off.is_empty() {
            self.store.put_off_waits(put_off).await?;
        }
        Ok(matched)
    }
}

/// The parameters of a kept call.
fn params(inbound: &mut Inbound, partner: &Partner) -> Result<Params, Stop> {
    read::parts(inbound)?;
    kept_params(inbound, partner)
}

/// A postback that overtakes its click is seconds ahead; one whose click never comes is looked at ever less.
fn next_look(now: Timestamp, looks: u32) -> Timestamp {
    let pause = match looks {
        0..10 => SECOND_MS,
        10..30 => 10 * SECOND_MS,
        30..60 => 5 * MINUTE_MS,
        _ => 2 * HOUR_MS,
    };
    now.plus_millis(pause)
}

fn name(postback: &Postback, receipt: &Receipt, repair: &Repair, snapshot: &Snapshot) -> Option<DedupeKey> {
    let (partner, _) = snapshot.partner(&receipt.partner)?;
    let key = dedupe::key(postback, &partner.contract)?;
    Some(if repair.real {
        DedupeKey { key: format!("{}\n#real:{}", key.key, receipt.id), ..key }
    } else {
        key
    })
}

/// Whether the sender never showed to be the partner: such a call is evidence, and never money. Told by the label and not by
/// the reason, as a stranger's call is turned away for many reasons before anybody asks who sends it.
#[must_use]
pub fn is_of_stranger(receipt: &Receipt) -> bool {
    receipt.labels.iter().any(|label| label == STRANGER)
}

/// Whether it is a server event that has had its answer. What its sender said about the person is kept as hashes only, so
/// that reading it anew could make another conversion of it.
#[must_use]
pub fn is_fixed_event(receipt: &Receipt) -> bool {
    receipt.method == SERVER_EVENT && receipt.verdict != Verdict::Quarantined
}

fn unknown_partner(receipt: &Receipt) -> Replayed {
    let booking = crosstally_core::postback::Booking::receipt_only(receipt.clone());
    Replayed { booking, taken_out: None, changed: false }
}

fn told(before: &Receipt, replayed: &Replayed) -> ReplayOut {
    let after = &replayed.booking.receipt;
    ReplayOut {
        receipt: before.id,
        was: (before.verdict, before.reason),
        is: (after.verdict, after.reason),
        detail: after.detail.clone(),
        conversion: after.conversion,
        money: replayed.money(),
        changed: replayed.changed,
    }
}
