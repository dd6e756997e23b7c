//! Receipts that wait: for their click, for an alias that stands for one, for the sale that they take back.
//!
//! All that wait for one thing are booked together, in the order in which they came: a lead that has waited for hours is
//! booked before the approval that came a second ago, or its own event would be missed.

use std::collections::BTreeSet;
use std::pin::Pin;

use crosstally_core::ids::ReceiptId;
use crosstally_core::ledger::EntryKind;
use crosstally_core::money::Currency;
use crosstally_core::postback::Awaited;
use crosstally_core::postback::replay::Repair;
use crosstally_core::time::{HOUR_MS, MINUTE_MS, SECOND_MS, Timestamp};
use crosstally_store::{PutOff, StoreError, Wait};

use super::imagined::Imagined;
use super::{How, MATCHED, ReplayError, is_fixed_event, is_never_money};
use crate::Engine;

/// Receipts that are looked at in one go.
const WAITS_MAX: u32 = 1_000;
/// Receipts that wait for one thing and are booked in one go.
const OF_ONE_MAX: u32 = 1_000;

/// By how much the confirmed and the open value change in each currency, in minor units.
type Money = Vec<(Currency, i64, i64)>;

/// What became of receipts that wait.
#[derive(Default)]
struct Looked {
    matched: usize,
    seen: BTreeSet<ReceiptId>,
    put_off: Vec<PutOff>,
    /// By how much the confirmed and the open value have changed.
    money: Money,
}

impl Looked {
    /// Only the wait that was looked at: the receipt may wait for something else by now.
    fn put_off(&mut self, wait: Wait, next: Option<Timestamp>) {
        self.put_off.push(PutOff { receipt: wait.receipt, awaited: wait.awaited, next });
    }
}

impl Engine {
    /// Looks after receipts that wait: what has appeared is booked, what waits too long waits no more. Returns how many
    /// were booked.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn match_waiting(&self) -> Result<usize, StoreError> {
        let now = self.clock.now();
        let mut looked = Looked::default();
        let mut missing: BTreeSet<String> = BTreeSet::new();
        for wait in self.store.due_waits(now, WAITS_MAX).await? {
            if looked.seen.contains(&wait.receipt) {
                continue;
            }
            let awaited = Awaited::from_text(&wait.awaited);
            if let Some(awaited) = awaited.filter(|_| !missing.contains(&wait.awaited)) {
                if self.has_appeared(&awaited).await? {
                    let of_one = self.store.waits_for(wait.awaited.clone(), OF_ONE_MAX).await?;
                    self.book_waits(of_one, now, &mut looked).await;
                    if looked.seen.contains(&wait.receipt) {
                        continue;
                    }
                } else if self.waits_for_another(&awaited, wait.receipt).await? {
                    self.book_waits(vec![wait], now, &mut looked).await;
                    continue;
                } else if !matches!(awaited, Awaited::Sale(_)) {
                    missing.insert(wait.awaited.clone());
                }
            }
            let too_long = now.millis_since(wait.since) > Awaited::MS_MAX;
            let next = (!too_long).then(|| next_look(now, wait.looks));
            looked.put_off(wait, next);
        }
        if !looked.put_off.is_empty() {
            self.store.put_off_waits(looked.put_off).await?;
        }
        Ok(looked.matched)
    }

    /// Books what waits for something that is there, before a call is booked that came later. Returns what money that moved.
    pub(crate) async fn book_waiting_for(&self, awaited: &Awaited) -> Result<Money, StoreError> {
        let of_one = self.store.waits_for(awaited.to_string(), OF_ONE_MAX).await?;
        if of_one.is_empty() {
            return Ok(Vec::new());
        }
        let mut looked = Looked::default();
        self.book_waits(of_one, self.clock.now(), &mut looked).await;
        if !looked.put_off.is_empty() {
            self.store.put_off_waits(looked.put_off).await?;
        }
        Ok(looked.money)
    }

    /// What that would do to the refunds of a sale which was only looked at.
    pub(super) async fn imagine_refunds_of(
        &self,
        sale: &Awaited,
        imagined: &mut Imagined,
    ) -> Result<Money, StoreError> {
        let mut money = Vec::new();
        for wait in self.store.waits_for(sale.to_string(), OF_ONE_MAX).await? {
            let receipt = self.store.receipt(wait.receipt).await?;
            let receipt = receipt.filter(|receipt| !is_never_money(receipt) && !is_fixed_event(receipt));
            let Some(receipt) = receipt.filter(|_| imagined.receipt(wait.receipt).is_none()) else {
                continue;
            };
            let decided = self.decide_replay(&receipt, &Repair::default(), imagined).await?;
            add_money(&mut money, &decided.replayed.money);
            imagined.note_refund(decided);
        }
        Ok(money)
    }

    /// The same inside a replay: its future would be a part of itself.
    pub(super) fn book_refunds_of<'a>(
        &'a self,
        sale: &'a Awaited,
    ) -> Pin<Box<dyn Future<Output = Result<Money, StoreError>> + Send + 'a>> {
        Box::pin(self.book_waiting_for(sale))
    }

    async fn has_appeared(&self, awaited: &Awaited) -> Result<bool, StoreError> {
        Ok(match awaited {
            Awaited::Click(click) => self.store.click(*click).await?.is_some(),
            Awaited::Alias(alias) => self.store.click_of_alias(alias.clone()).await?.is_some(),
            Awaited::Sale(key) => match self.store.conversion_of_key(key.clone()).await? {
                // Whatever has become of it since: it was approved. What all its calls had left is another story.
                Some(sale) => {
                    let entries = self.store.entries(sale.id).await?;
                    let mut present = entries.iter().rev().take_while(|entry| entry.kind != EntryKind::Left);
                    present.any(|entry| entry.status.is_confirmed())
                }
                None => false,
            },
        })
    }

    /// Whether a refund's sale bears another name than the one that the refund waits for, since its contract is another one.
    async fn waits_for_another(&self, awaited: &Awaited, receipt: ReceiptId) -> Result<bool, StoreError> {
        let Awaited::Sale(sale) = awaited else { return Ok(false) };
        let Some(receipt) = self.store.receipt(receipt).await? else { return Ok(false) };
        Ok(self.named_now(&receipt).await?.is_some_and(|name| name != *sale))
    }

    /// Books receipts in the order in which they came.
    async fn book_waits(&self, waits: Vec<Wait>, now: Timestamp, looked: &mut Looked) {
        let how = How { cause: MATCHED, author: "crosstally".into(), dry_run: false };
        for wait in waits {
            if !looked.seen.insert(wait.receipt) {
                continue;
            }
            match self.replay_receipt(wait.receipt, &Repair::default(), &how).await {
                Ok(out) if out.changed => {
                    looked.matched += usize::from(out.is != out.was);
                    add_money(&mut looked.money, &out.money);
                }
                // What it waits for is there, and is not enough yet.
                Ok(out) if out.awaits.as_ref().is_some_and(|awaits| awaits.to_string() == wait.awaited) => {
                    let too_long = now.millis_since(wait.since) > Awaited::MS_MAX;
                    let next = (!too_long).then(|| next_look(now, wait.looks));
                    looked.put_off(wait, next);
                }
                Ok(_)
                | Err(
                    ReplayError::NotFound(_)
                    | ReplayError::Stranger(_)
                    | ReplayError::Preflight(_)
                    | ReplayError::Erased(_)
                    | ReplayError::ServerEvent(_)
                    | ReplayError::Attributed(..)
                    | ReplayError::Kept(..)
                    | ReplayError::NotSwallowed(_),
                ) => looked.put_off(wait, None),
                Err(ReplayError::Busy(_)) => {
                    looked.put_off(wait, Some(now.plus_millis(SECOND_MS)));
                }
                Err(ReplayError::Store(error)) => {
                    // One that cannot be booked must not hold up those behind it.
                    tracing::warn!(receipt.id = %wait.receipt, error = %error, "a waiting receipt was not booked");
                    looked.put_off(wait, Some(now.plus_millis(MINUTE_MS)));
                }
            }
        }
    }
}

/// Adds sums up, each in its currency.
pub(super) fn add_money(sums: &mut Money, more: &[(Currency, i64, i64)]) {
    for (currency, confirmed, pending) in more {
        match sums.iter_mut().find(|(known, ..)| known == currency) {
            Some(sum) => {
                sum.1 = sum.1.saturating_add(*confirmed);
                sum.2 = sum.2.saturating_add(*pending);
            }
            None => sums.push((*currency, *confirmed, *pending)),
        }
    }
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
