//! What another contract would make of the calls of the last days: how many rows would read otherwise, and how much money
//! moves. Nothing is changed.

use std::collections::BTreeMap;

use crosstally_core::conversion::DedupeKey;
use crosstally_core::ledger::Balance;
use crosstally_core::money::Currency;
use crosstally_core::postback::book;
use crosstally_core::postback::movement::{self, Past, Said, Standing, Step};
use crosstally_core::postback::replay::Repair;
use crosstally_core::postback::{Postback, Receipt};
use crosstally_core::reason::Reason;
use crosstally_core::time::DAY_MS;
use crosstally_core::verdict::{Stop, Verdict};
use crosstally_store::{ReceiptFilter, StoreError};

use crate::Engine;
use crate::replay::{is_fixed_event, is_of_stranger};
use crate::snapshot::Snapshot;

/// How far back it is looked.
pub const DAYS: i64 = 30;
/// Receipts per partner that are looked at; a sample beyond that would look like the whole.
const RECEIPTS_MAX: usize = 200_000;
const PAGE: u32 = 1_000;

/// What a change would do to one partner's calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Impact {
    /// The partner.
    pub partner: String,
    /// Receipts that were looked at.
    pub receipts: usize,
    /// Whether there are more.
    pub capped: bool,
    /// Receipts that would read otherwise.
    pub rows: usize,
    /// Of these: how many would newly be booked, and how many no more.
    pub gained: usize,
    /// How many would be booked no more.
    pub lost: usize,
    /// By how much the confirmed and the open value would change, per currency, in minor units.
    pub money: Vec<(Currency, i64, i64)>,
}

/// What one call comes to.
type Reading = Result<(DedupeKey, Postback), Stop>;

#[derive(Default)]
struct Side {
    calls: BTreeMap<String, Vec<(Said, Option<String>)>>,
}

impl Engine {
    /// Compares the readings of a partner's receipts of the last days under two configurations.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn impact(&self, partner: &str, old: &Snapshot, new: &Snapshot) -> Result<Impact, StoreError> {
        let mut impact = Impact {
            partner: partner.to_owned(),
            receipts: 0,
            capped: false,
            rows: 0,
            gained: 0,
            lost: 0,
            money: Vec::new(),
        };
        let (mut before, mut after) = (Side::default(), Side::default());
        let mut filter = ReceiptFilter {
            partner: Some(partner.to_owned()),
            from: Some(self.clock.now().plus_millis(-DAYS * DAY_MS)),
            ..ReceiptFilter::default()
        };
        loop {
            let page = self.store.receipts_matching(filter.clone(), PAGE).await?;
            let Some(last) = page.last() else { break };
            filter.after = Some(last.id);
            for receipt in page.iter().filter(|receipt| !is_of_stranger(receipt) && !is_fixed_event(receipt))
            {
                let (was, is) = (self.reading(receipt, old), self.reading(receipt, new));
                impact.count(&was, &is);
                before.add(receipt, was);
                after.add(receipt, is);
            }
            if impact.receipts >= RECEIPTS_MAX {
                impact.capped = true;
                break;
            }
            // A long look must not keep a thread from the redirects.
            tokio::task::yield_now().await;
        }
        impact.money = difference(&before.balances(old, partner), &after.balances(new, partner));
        Ok(impact)
    }

    fn reading(&self, receipt: &Receipt, snapshot: &Snapshot) -> Reading {
        let repair = Repair::default();
        let postback = self.reread(receipt, &repair, snapshot)?;
        let key = super::name(&postback, receipt, &repair, snapshot)
            .ok_or_else(|| crate::postback::nameless(&postback))?;
        let waits = receipt.verdict == Verdict::Quarantined
            && matches!(
                receipt.reason,
                Some(Reason::ClickUnknown | Reason::ClickIdMalformed | Reason::ClickIdForged)
            );
        if waits || receipt.verdict == Verdict::Test && receipt.reason == Some(Reason::TestCall) {
            return Err(Stop::new(receipt.verdict, receipt.reason.unwrap_or(Reason::TestCall), ""));
        }
        Ok((key, postback))
    }
}

impl Impact {
    fn count(&mut self, was: &Reading, is: &Reading) {
        self.receipts += 1;
        let same = match (was, is) {
            (Ok((key, was)), Ok((other, is))) => {
                (key, was.status, was.currency, was.amounts) == (other, is.status, is.currency, is.amounts)
            }
            (Err(was), Err(is)) => was.reason == is.reason,
            (Ok(_), Err(_)) => {
                self.lost += 1;
                false
            }
            (Err(_), Ok(_)) => {
                self.gained += 1;
                false
            }
        };
        self.rows += usize::from(!same);
    }
}

impl Side {
    fn add(&mut self, receipt: &Receipt, reading: Reading) {
        if let Ok((key, postback)) = reading {
            let said = book::said(&postback, receipt.received_at);
            self.calls.entry(key.key).or_default().push((said, postback.event));
        }
    }

    /// What all conversions come to, per currency.
    fn balances(&self, snapshot: &Snapshot, partner: &str) -> BTreeMap<&'static str, (Currency, Balance)> {
        let mut sums = BTreeMap::new();
        let Some((partner, _)) = snapshot.partner(partner) else { return sums };
        let contract = &partner.contract;
        for calls in self.calls.values() {
            let (mut standing, mut past): (Option<Standing>, Vec<Past>) = (None, Vec::new());
            for (said, event) in calls {
                let mode = contract.duplicates(event.as_deref());
                if let Step::Moves(next) = movement::step(said, standing.as_ref(), &past, mode, contract) {
                    let (status, amounts, at) = (next.status, next.amounts, said.at);
                    past.push(Past { status, amounts, at, content: said.content });
                    standing = Some(next);
                }
            }
            let Some(standing) = standing else { continue };
            let balance = Balance::under(standing.status, standing.amounts.value);
            let sum = sums.entry(standing.currency.code()).or_insert((standing.currency, Balance::default()));
            sum.1.confirmed += balance.confirmed;
            sum.1.pending += balance.pending;
        }
        sums
    }
}

fn difference(
    before: &BTreeMap<&'static str, (Currency, Balance)>,
    after: &BTreeMap<&'static str, (Currency, Balance)>,
) -> Vec<(Currency, i64, i64)> {
    let mut all: BTreeMap<&str, Currency> = BTreeMap::new();
    all.extend(before.iter().chain(after).map(|(code, (currency, _))| (*code, *currency)));
    let of = |side: &BTreeMap<&'static str, (Currency, Balance)>, code: &str| {
        side.get(code).map_or(Balance::default(), |(_, balance)| *balance)
    };
    all.into_iter()
        .map(|(code, currency)| {
            let (was, is) = (of(before, code), of(after, code));
            (currency, is.confirmed - was.confirmed, is.pending - was.pending)
        })
        .filter(|(_, confirmed, pending)| (*confirmed, *pending) != (0, 0))
        .collect()
}
