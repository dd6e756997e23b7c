//! Sums over the ledger: by currency, of what was known at a time, within a range of one of its times.

use crosstally_core::ids::ConversionId;
use crosstally_core::ledger::{By, Status, Window};
use crosstally_core::money::Currency;
use crosstally_core::time::Timestamp;

use crate::{Store, StoreError, on};

/// Which movements are summed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LedgerFilter {
    /// Those that were known, within a range.
    pub window: Window,
    /// Of this partner.
    pub partner: Option<String>,
    /// Attributed to a click of this campaign.
    pub campaign: Option<String>,
    /// Attributed to a click of this source.
    pub source: Option<String>,
}

/// What the movements in one currency come to, in its minor units. Nothing is rounded and nothing overflows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerSum {
    /// The currency.
    pub currency: Currency,
    /// By how much confirmed value changed.
    pub confirmed: i128,
    /// By how much open value changed.
    pub pending: i128,
    /// The same in base currencies, by their code. More than one only if the workspace changed its own.
    pub base: Vec<BaseSum>,
    /// How many movements.
    pub movements: u64,
    /// How many conversions they belong to.
    pub conversions: u64,
    /// How many of the movements had no rate when they were booked: they are not in `base`.
    pub fx_pending: u64,
}

/// What movements come to in a base currency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseSum {
    /// The base currency.
    pub currency: Currency,
    /// By how much confirmed value changed.
    pub confirmed: i128,
    /// By how much open value changed.
    pub pending: i128,
}

impl Store {
    /// What movements come to, a sum for each currency by its code. Reads the whole ledger up to the end of the window.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn ledger_sums(&self, filter: LedgerFilter) -> Result<Vec<LedgerSum>, StoreError> {
        on!(self, ledger_sums(filter))
    }
}

/// One row of the answer to [`ask`]: movements that have their currency, the one before it, and the base currency in
/// common; or, without a base and amounts, how many conversions a currency has.
pub(crate) struct Group {
    pub(crate) currency: Currency,
    pub(crate) was: Currency,
    pub(crate) base: Option<Currency>,
    pub(crate) movements: u64,
    pub(crate) fx_pending: u64,
    pub(crate) conversions: u64,
    /// Confirmed and pending in the currency, in the one before it, in the base; each in two parts.
    pub(crate) parts: [i64; 12],
}

/// The columns before the parts.
pub(crate) const FIRST_PART: usize = 6;

/// The statement, in a dialect that both databases have; `mark` stands before the number of a value. The values:
/// workspace, as of, from, to, partner, campaign, source, and the last id that a conversion known by then can have.
///
/// Where a movement has another currency than the one before it (a contract was corrected), its deltas mix two
/// currencies: there the whole balance leaves the old one and enters the new one.
///
/// Sums are taken of the upper and the lower half of each amount: neither can overflow.
pub(crate) fn ask(mark: char, by: By) -> String {
    let value = |number: u8, kind: &str| format!("CAST({mark}{number} AS {kind})");
    let (as_of, from, to) = (value(2, "BIGINT"), value(3, "BIGINT"), value(4, "BIGINT"));
    let (partner, campaign, source) = (value(5, "TEXT"), value(6, "TEXT"), value(7, "TEXT"));
    let time = match by {
        By::Recorded => "e.recorded_at",
        By::Event => "e.event_time",
    };
    let under = |table: &str, is: fn(Status) -> bool| {
        let words: Vec<String> = Status::ALL
            .into_iter()
            .filter(|status| is(*status))
            .map(|status| format!("'{status}'"))
            .collect();
        format!(
            "CASE WHEN {table}.status IN ({}) THEN coalesce({table}.value, 0) ELSE 0 END",
            words.join(", ")
        )
    };
    let changed = "p.currency <> e.currency";
    let own = |delta: &str, is: fn(Status) -> bool| {
        format!("CASE WHEN {changed} THEN {} ELSE e.{delta} END", under("e", is))
    };
    let left = |is: fn(Status) -> bool| format!("CASE WHEN {changed} THEN -({}) ELSE 0 END", under("p", is));
    let halves = |amount: &str| {
        format!(
            "CAST(coalesce(sum({amount} >> 32), 0) AS BIGINT), CAST(coalesce(sum({amount} & 4294967295), 0) AS BIGINT)"
        )
    };
    let amounts = ["confirmed", "pending", "was_confirmed", "was_pending", "base_confirmed", "base_pending"];
    format!(
        "WITH moved AS (
            SELECT e.conversion, e.currency, coalesce(p.currency, e.currency) AS was,
                coalesce(e.fx_base, p.fx_base) AS base,
                CASE WHEN e.base_confirmed_delta IS NULL THEN 1 ELSE 0 END AS unpriced,
                {} AS confirmed, {} AS pending, {} AS was_confirmed, {} AS was_pending,
                coalesce(e.base_confirmed_delta, 0) AS base_confirmed, coalesce(e.base_pending_delta, 0) AS base_pending
            FROM ledger_entries AS e LEFT JOIN ledger_entries AS p
                ON e.sequence > 1 AND p.conversion = e.conversion AND p.sequence = e.sequence - 1
                    AND p.workspace = e.workspace
            WHERE e.workspace = {mark}1 AND e.conversion <= {mark}8
                AND ({as_of} IS NULL OR e.recorded_at <= {as_of} AND NOT EXISTS (
                    SELECT 1 FROM ledger_entries AS b WHERE e.sequence > 1 AND b.conversion = e.conversion
                        AND b.sequence < e.sequence AND b.workspace = e.workspace AND b.recorded_at > {as_of}))
                AND ({from} IS NULL OR {time} >= {from}) AND ({to} IS NULL OR {time} < {to})
                AND ({partner} IS NULL OR e.partner = {partner})
                AND ({campaign} IS NULL OR e.campaign = {campaign})
                AND ({source} IS NULL OR e.source = {source})
        )
        SELECT currency, was, base, count(*), CAST(sum(unpriced) AS BIGINT), CAST(0 AS BIGINT), {}
        FROM moved GROUP BY currency, was, base
        UNION ALL
        SELECT currency, currency, NULL, CAST(0 AS BIGINT), CAST(0 AS BIGINT), count(*), {}
        FROM (SELECT DISTINCT conversion, currency FROM moved) AS each_once GROUP BY currency",
        own("confirmed_delta", Status::is_confirmed),
        own("pending_delta", Status::is_pending),
        left(Status::is_confirmed),
        left(Status::is_pending),
        amounts.map(halves).join(", "),
        ["CAST(0 AS BIGINT)"; 12].join(", "),
    )
}

/// The last id of a conversion that was there at this time: ids begin with the time of the first booking.
pub(crate) fn last_id(as_of: Option<Timestamp>) -> [u8; 16] {
    as_of.map_or([0xff; 16], |as_of| *ConversionId::new(as_of, [0xff; 10]).as_bytes())
}

/// The sums of all groups.
pub(crate) fn fold(groups: Vec<Group>) -> Vec<LedgerSum> {
    let mut sums: Vec<LedgerSum> = Vec::new();
    for group in groups {
        let [confirmed, pending, was_confirmed, was_pending, base_confirmed, base_pending] =
            wide(group.parts);
        let sum = sum_of(&mut sums, group.currency);
        sum.confirmed += confirmed;
        sum.pending += pending;
        sum.movements += group.movements;
        sum.conversions += group.conversions;
        sum.fx_pending += group.fx_pending;
        if let Some(currency) = group.base {
            add_base(&mut sum.base, &BaseSum { currency, confirmed: base_confirmed, pending: base_pending });
        }
        if group.was != group.currency {
            let left = sum_of(&mut sums, group.was);
            left.confirmed += was_confirmed;
            left.pending += was_pending;
        }
    }
    sums.sort_by_key(|sum| sum.currency.code());
    for sum in &mut sums {
        sum.base.sort_by_key(|base| base.currency.code());
    }
    sums
}

fn wide(parts: [i64; 12]) -> [i128; 6] {
    let [a, b, c, d, e, f, g, h, i, j, k, l] = parts.map(i128::from);
    [(a, b), (c, d), (e, f), (g, h), (i, j), (k, l)].map(|(upper, lower)| (upper << 32) + lower)
}

fn sum_of(sums: &mut Vec<LedgerSum>, currency: Currency) -> &mut LedgerSum {
    let at = sums.iter().position(|sum| sum.currency == currency).unwrap_or_else(|| {
        sums.push(LedgerSum {
            currency,
            confirmed: 0,
            pending: 0,
            base: Vec::new(),
            movements: 0,
            conversions: 0,
            fx_pending: 0,
        });
        sums.len() - 1
    });
    sums.get_mut(at).expect("found or just pushed")
}

fn add_base(sums: &mut Vec<BaseSum>, more: &BaseSum) {
    match sums.iter_mut().find(|sum| sum.currency == more.currency) {
        Some(sum) => {
            sum.confirmed += more.confirmed;
            sum.pending += more.pending;
        }
        None => sums.push(more.clone()),
    }
}
