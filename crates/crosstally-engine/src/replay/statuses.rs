//! Status words that no contract knows, as they came in: how often, what they probably mean, and the money at stake.

use std::collections::{BTreeMap, HashMap, HashSet};

use crosstally_core::contract::DuplicateMode;
use crosstally_core::ledger::{ContentHash, Status};
use crosstally_core::money::Currency;
use crosstally_core::postback::normalise::{self, Setting};
use crosstally_core::postback::replay::Repair;
use crosstally_core::postback::{Receipt, dedupe, parse, propose};
use crosstally_core::reason::Reason;
use crosstally_core::time::{DAY_MS, Timestamp};
use crosstally_core::verdict::Verdict;
use crosstally_store::{ReceiptFilter, StoreError};

use super::impact::DAYS;
use super::{is_erased, is_never_money};
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
    /// Calls that wait because of it; one that was tried again is one.
    pub receipts: u64,
    /// When the first of them came.
    pub first_at: Timestamp,
    /// When the last of them came.
    pub last_at: Timestamp,
    /// What it probably means, and how that is known.
    pub proposed: Option<(Status, String)>,
    /// What these calls come to in all, per currency, in minor units: what is at stake. Of calls of one name the last one
    /// counts, unless they add up.
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
        let mut words: BTreeMap<(String, String), Found> = BTreeMap::new();
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
            for receipt in page.iter().filter(|receipt| !is_never_money(receipt) && !is_erased(receipt)) {
                let Some((word, stake)) = self.waiting(receipt, &approval, &snapshot) else { continue };
                let key = (receipt.partner.clone(), word.clone());
                if words.len() >= WORDS_MAX && !words.contains_key(&key) {
                    capped = true;
                    continue;
                }
                words.entry(key).or_insert_with(|| Found::first(receipt, word)).add(receipt, stake);
            }
            if seen >= RECEIPTS_MAX {
                capped = true;
                break;
            }
            // A long look must not keep a thread from the redirects.
            tokio::task::yield_now().await;
        }
        let mut words: Vec<UnknownStatus> = words.into_values().map(Found::told).collect();
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
    ) -> Option<(String, Option<Stake>)> {
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
        let stake = postback.map(|postback| {
            let adds = partner.contract.duplicates(postback.event.as_deref()) == DuplicateMode::Add;
            let name = dedupe::key(&postback, &partner.contract).filter(|_| !adds).map(|key| key.key);
            let value = postback.amounts.value.map(|value| (postback.currency, value));
            Stake { content: postback.content, name, value }
        });
        Some((word, stake))
    }
}

/// What a call would be as an approval.
struct Stake {
    content: ContentHash,
    /// The name under which later calls take its place; none if they add up.
    name: Option<String>,
    value: Option<(Currency, i64)>,
}

/// A word with what was seen of it.
struct Found {
    word: UnknownStatus,
    seen: HashSet<ContentHash>,
    values: HashMap<String, (Currency, i64)>,
}

impl Found {
    fn first(receipt: &Receipt, word: String) -> Self {
        let word = UnknownStatus {
            partner: receipt.partner.clone(),
            proposed: propose::status_of(&word),
            word,
            receipts: 0,
            first_at: receipt.received_at,
            last_at: receipt.received_at,
            money: Vec::new(),
        };
        Self { word, seen: HashSet::new(), values: HashMap::new() }
    }

    fn add(&mut self, receipt: &Receipt, stake: Option<Stake>) {
        self.word.last_at = receipt.received_at;
        let Some(stake) = stake else {
            self.word.receipts += 1;
            return;
        };
        if !self.seen.insert(stake.content) {
            return;
        }
        self.word.receipts += 1;
        if let Some(value) = stake.value {
            self.values.insert(stake.name.unwrap_or_else(|| format!("\n{}", receipt.id)), value);
        }
    }

    fn told(mut self) -> UnknownStatus {
        for (currency, value) in self.values.into_values() {
            match self.word.money.iter_mut().find(|(known, _)| *known == currency) {
                Some((_, sum)) => *sum = sum.saturating_add(value),
                None => self.word.money.push((currency, value)),
            }
        }
        self.word.money.sort_by_key(|(currency, _)| currency.to_string());
        self.word
    }
}
