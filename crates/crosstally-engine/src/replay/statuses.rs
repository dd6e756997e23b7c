//! Status words that no contract knows, as they came in: how often, what they probably mean, and the money at stake.

use std::collections::BTreeMap;

use crosstally_core::ledger::Status;
use crosstally_core::money::Currency;
use crosstally_core::postback::normalise::{self, Setting};
use crosstally_core::postback::replay::Repair;
use crosstally_core::postback::{Receipt, parse, propose};
use crosstally_core::reason::Reason;
use crosstally_core::time::{DAY_MS, Timestamp};
use crosstally_core::verdict::Verdict;
use crosstally_store::{ReceiptFilter, StoreError};

use super::impact::DAYS;
use super::is_of_stranger;
use crate::Engine;
use crate::snapshot::Snapshot;

/// Receipts that are looked at.
const RECEIPTS_MAX: usize = 100_000;
/// Words that are told apart; a sender that puts a number there has one per call.
const WORDS_MAX: usize = 1_000;
const PAGE: u32 = 1_000;

/// A status word that waits for its meaning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownStatus {
    /// Whose word it is.
    pub partner: String,
    /// The word, in lower case.
    pub word: String,
    /// Calls that wait because of it.
    pub receipts: u64,
    /// When the first of them came.
    pub first_at: Timestamp,
    /// When the last of them came.
    pub last_at: Timestamp,
    /// What it probably means, and how that is known.
    pub proposed: Option<(Status, String)>,
    /// What these calls say in all, per currency, in minor units: what is at stake.
    pub money: Vec<(Currency, i64)>,
}

/// What was found, and whether there was more than is looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownStatuses {
    /// The words, those with the most calls first.
    pub words: Vec<UnknownStatus>,
    /// Whether there are more receipts or words.
    pub capped: bool,
}

impl Engine {
    /// The status words of the last days that are in no map.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn unknown_statuses(&self, partner: Option<&str>) -> Result<UnknownStatuses, StoreError> {
        let snapshot = self.snapshot.load_full();
        let mut words: BTreeMap<(String, String), UnknownStatus> = BTreeMap::new();
        let (mut seen, mut capped) = (0, false);
        let mut approval = Repair::default();
        approval.set.insert("status".into(), Status::Approved.as_str().into());
        let mut filter = ReceiptFilter {
            partner: partner.map(str::to_owned),
            verdict: Some(Verdict::Quarantined),
            reason: Some(Reason::StatusUnmapped),
            from: Some(self.clock.now().plus_millis(-DAYS * DAY_MS)),
            ..ReceiptFilter::default()
        };
        loop {
            let page = self.store.receipts_matching(filter.clone(), PAGE).await?;
            let Some(last) = page.last() else { break };
            filter.after = Some(last.id);
            seen += page.len();
            for receipt in page.iter().filter(|receipt| !is_of_stranger(receipt)) {
                let Some((word, stake)) = self.waiting(receipt, &approval, &snapshot) else { continue };
                let key = (receipt.partner.clone(), word.clone());
                if words.len() >= WORDS_MAX && !words.contains_key(&key) {
                    capped = true;
                    continue;
                }
                let one = words.entry(key).or_insert_with(|| first(receipt, word));
                one.receipts += 1;
                one.last_at = receipt.received_at;
                add_stake(one, stake);
            }
            if seen >= RECEIPTS_MAX {
                capped = true;
                break;
            }
            // A long look must not keep a thread from the redirects.
            tokio::task::yield_now().await;
        }
        let mut words: Vec<UnknownStatus> = words.into_values().collect();
        words.sort_by(|one, other| other.receipts.cmp(&one.receipts).then_with(|| one.word.cmp(&other.word)));
        Ok(UnknownStatuses { words, capped })
    }

    /// The word as the contract in force finds it, and what the call would be worth as an approval: one reading for both.
    /// `None` if the contract knows the word by now.
    fn waiting(
        &self,
        receipt: &Receipt,
        approval: &Repair,
        snapshot: &Snapshot,
    ) -> Option<(String, Option<(Currency, i64)>)> {
        let (partner, _) = snapshot.partner(&receipt.partner)?;
        let (mut inbound, _) = self.kept_call(receipt);
        let params = super::params(&mut inbound, partner).ok()?;
        let fields = parse::fields(params, &inbound.headers, &partner.contract).ok()?;
        let word = fields.get("status")?.trim().to_lowercase();
        if partner.contract.meaning(&word).is_some() {
            return None;
        }
        let setting = Setting {
            partner,
            workspace: &snapshot.config.workspace,
            click_id_key: &self.click_id_key,
            received_at: receipt.received_at,
        };
        let postback = normalise::postback(&parse::repaired(fields, approval), setting).ok();
        let stake = postback.and_then(|postback| Some((postback.currency, postback.amounts.value?)));
        Some((word, stake))
    }
}

fn add_stake(word: &mut UnknownStatus, stake: Option<(Currency, i64)>) {
    let Some((currency, value)) = stake else { return };
    match word.money.iter_mut().find(|(known, _)| *known == currency) {
        Some((_, sum)) => *sum = sum.saturating_add(value),
        None => word.money.push((currency, value)),
    }
}

fn first(receipt: &Receipt, word: String) -> UnknownStatus {
    UnknownStatus {
        partner: receipt.partner.clone(),
        proposed: propose::status_of(&word),
        word,
        receipts: 0,
        first_at: receipt.received_at,
        last_at: receipt.received_at,
        money: Vec::new(),
    }
}
