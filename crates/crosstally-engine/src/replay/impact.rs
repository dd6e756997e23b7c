//! What another contract would make of the calls of the last days: how many would come to something else, and how much money
//! moves. The decision is that of a booking: retries, clicks that are not there, aliases, delays and earlier repairs count as
//! they do then. Nothing is changed.

use std::collections::{BTreeMap, HashMap};

use crosstally_core::click::Click;
use crosstally_core::conversion::DedupeKey;
use crosstally_core::ids::{ClickId, ReceiptId};
use crosstally_core::ledger::{Amounts, Balance, Status};
use crosstally_core::money::Currency;
use crosstally_core::postback::book;
use crosstally_core::postback::movement::{self, Placed, Step};
use crosstally_core::postback::replay::Repair;
use crosstally_core::postback::{ClickRef, Postback, Receipt};
use crosstally_core::reason::Reason;
use crosstally_core::time::DAY_MS;
use crosstally_core::verdict::{Stop, Verdict};
use crosstally_store::{ReceiptFilter, StoreError};

use crate::Engine;
use crate::replay::{is_erased, is_fixed_event, is_never_money};
use crate::snapshot::Snapshot;

/// How far back it is looked.
pub const DAYS: i64 = 30;
/// Receipts per partner that are looked at; a sample beyond that would look like the whole.
const RECEIPTS_MAX: usize = 200_000;
const PAGE: u32 = 1_000;
/// Clicks that are remembered while receipts are looked at.
const CLICKS_MAX: usize = 10_000;

/// What a change would do to one partner's calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Impact {
    /// The partner.
    pub partner: String,
    /// Receipts that were looked at.
    pub receipts: usize,
    /// Whether there are more.
    pub capped: bool,
    /// Receipts that would come to something else.
    pub rows: usize,
    /// Of these: how many would newly be booked, and how many no more.
    pub gained: usize,
    /// How many would be booked no more.
    pub lost: usize,
    /// By how much the confirmed and the open value would change, per currency, in minor units.
    pub money: Vec<(Currency, i64, i64)>,
}

/// What one call says, and under which name; or why it would not be booked whatever came before it.
type Reading = Result<(DedupeKey, Postback), Stop>;

/// What one call comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Came {
    /// It is one of its conversion's calls.
    Booked(String, Status, Currency, Amounts),
    /// It repeats what is booked.
    Swallowed,
    /// It waits, or is refused.
    Kept(Reason),
}

/// The clicks that were looked up last; calls about one click mostly come together.
#[derive(Default)]
struct Clicks(HashMap<ClickId, Option<Click>>);

#[derive(Default)]
struct Side {
    calls: BTreeMap<String, Vec<Placed>>,
    came: HashMap<ReceiptId, Came>,
}

impl Engine {
    /// Compares what a partner's receipts of the last days come to under two configurations.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn impact(&self, partner: &str, old: &Snapshot, new: &Snapshot) -> Result<Impact, StoreError> {
        let (mut receipts, mut capped) = (Vec::new(), false);
        let (mut before, mut after) = (Side::default(), Side::default());
        let mut clicks = Clicks::default();
        let mut filter = ReceiptFilter {
            partner: Some(partner.to_owned()),
            from: Some(self.clock.now().plus_millis(-DAYS * DAY_MS)),
            ..ReceiptFilter::default()
        };
        loop {
            let page = self.store.receipts_matching(filter.clone(), PAGE).await?;
            let Some(last) = page.last() else { break };
            filter.after = Some(last.id);
            for receipt in page
                .iter()
                .filter(|receipt| !is_never_money(receipt) && !is_erased(receipt) && !is_fixed_event(receipt))
            {
                let repair = self.with_earlier_repairs(receipt, &Repair::default()).await?;
                before.add(receipt, self.reading(receipt, &repair, old, &mut clicks).await?, old);
                after.add(receipt, self.reading(receipt, &repair, new, &mut clicks).await?, new);
                receipts.push(receipt.id);
            }
            if receipts.len() >= RECEIPTS_MAX {
                capped = true;
                break;
            }
            // A long look must not keep a thread from the redirects.
            tokio::task::yield_now().await;
        }
        let money = difference(&before.balances(old, partner), &after.balances(new, partner));
        let mut impact = Impact {
            partner: partner.to_owned(),
            receipts: receipts.len(),
            capped,
            rows: 0,
            gained: 0,
            lost: 0,
            money,
        };
        for id in receipts {
            impact.count(before.came.get(&id), after.came.get(&id));
        }
        Ok(impact)
    }

    /// What a receipt says under a configuration, by the checks that a call has to pass before it is compared with others.
    async fn reading(
        &self,
        receipt: &Receipt,
        repair: &Repair,
        snapshot: &Snapshot,
        clicks: &mut Clicks,
    ) -> Result<Reading, StoreError> {
        let mut postback = match self.reread(receipt, repair, snapshot) {
            Ok(postback) => postback,
            Err(stop) => return Ok(Err(stop)),
        };
        self.resolve_alias(&mut postback).await?;
        let Some(key) = super::name(&mut postback, receipt, repair, snapshot) else {
            return Ok(Err(crate::postback::nameless(&postback)));
        };
        let click = match &postback.click {
            ClickRef::Ours(id) => self.click_among(*id, clicks).await?,
            ClickRef::None | ClickRef::Foreign { .. } => None,
        };
        if let Some((reason, detail)) = book::unmatched_click(&postback, click) {
            return Ok(Err(Stop::quarantined(reason, detail)));
        }
        let Some((partner, _)) = snapshot.partner(&receipt.partner) else {
            return Ok(Err(Stop::refused(Reason::UnknownPartner, "")));
        };
        if let Some(detail) = book::too_late(&postback, click, partner, receipt.received_at) {
            return Ok(Err(Stop::quarantined(Reason::EventTooLate, detail)));
        }
        if receipt.conversion.is_none() && click.is_some_and(|click| is_test(click, snapshot)) {
            return Ok(Err(Stop::new(Verdict::Test, Reason::TestCall, "")));
        }
        Ok(Ok((key, postback)))
    }

    async fn click_among<'a>(
        &self,
        id: ClickId,
        clicks: &'a mut Clicks,
    ) -> Result<Option<&'a Click>, StoreError> {
        if !clicks.0.contains_key(&id) {
            if clicks.0.len() >= CLICKS_MAX {
                clicks.0.clear();
            }
            let found = self.store.click(id).await?;
            clicks.0.insert(id, found);
        }
        Ok(clicks.0.get(&id).and_then(Option::as_ref))
    }
}

fn is_test(click: &Click, snapshot: &Snapshot) -> bool {
    click.test || snapshot.config.campaign(&click.campaign).is_some_and(|campaign| campaign.test)
}

impl Impact {
    fn count(&mut self, was: Option<&Came>, is: Option<&Came>) {
        let booked = |came: Option<&Came>| matches!(came, Some(Came::Booked(..)));
        self.rows += usize::from(was != is);
        self.gained += usize::from(!booked(was) && booked(is));
        self.lost += usize::from(booked(was) && !booked(is));
    }
}

impl Side {
    fn add(&mut self, receipt: &Receipt, reading: Reading, snapshot: &Snapshot) {
        let (key, postback) = match reading {
            Ok(read) => read,
            Err(stop) => {
                self.came.insert(receipt.id, Came::Kept(stop.reason));
                return;
            }
        };
        let Some((partner, _)) = snapshot.partner(&receipt.partner) else { return };
        let said = book::said(&postback, receipt.received_at);
        let mode = partner.contract.duplicates(postback.event.as_deref());
        let booked = Came::Booked(key.key.clone(), said.status, said.currency, said.amounts);
        self.came.insert(receipt.id, booked);
        let placed = Placed { receipt: receipt.id, said, mode, live: None, booked: None };
        self.calls.entry(key.key).or_default().push(placed);
    }

    /// What all conversions come to, per currency. Calls that turn out to be repeats, or to wait, are noted as that.
    fn balances(
        &mut self,
        snapshot: &Snapshot,
        partner: &str,
    ) -> BTreeMap<&'static str, (Currency, Balance)> {
        let mut sums = BTreeMap::new();
        let Some((partner, _)) = snapshot.partner(partner) else { return sums };
        for calls in self.calls.values_mut() {
            movement::put_in_order(calls);
            let (standing, steps) = movement::fold(calls, Vec::new(), &partner.contract);
            for (call, step) in calls.iter().zip(steps) {
                let came = match step {
                    Step::Moves(_) => continue,
                    Step::Same(_) => Came::Swallowed,
                    Step::Blocked(reason) => Came::Kept(reason),
                };
                self.came.insert(call.receipt, came);
            }
            let Some(standing) = standing else { continue };
            let balance = Balance::under(standing.status, standing.amounts.value);
            let sum = sums.entry(standing.currency.code()).or_insert((standing.currency, Balance::default()));
            sum.1.confirmed = sum.1.confirmed.saturating_add(balance.confirmed);
            sum.1.pending = sum.1.pending.saturating_add(balance.pending);
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
