//! Hop 4: the partner's call. Every action is reported at the real door; what was read is compared with what was meant,
//! field by field. Then the cases that must not go well.

use std::collections::HashSet;

use crosstally_core::contract::{Meaning, Unit};
use crosstally_core::ids::ReceiptId;
use crosstally_core::ledger::Status;
use crosstally_core::money::Currency;
use crosstally_core::postback::Receipt;
use crosstally_core::postback::replay::Repair;
use crosstally_core::preflight::{Code, Hop, LABEL, amount_defect};
use crosstally_core::reason::Reason;
use crosstally_core::time::Timestamp;
use crosstally_store::StoreError;
use serde_json::Value;

use super::call::Twist;
use super::link::told;
use super::{Action, Gone, Negative, Run, words_of};

/// A word that no partner uses.
const UNHEARD: &str = "preflight-unheard-of";
/// By how much a time may differ.
const TIME_MS: i64 = 60_000;
/// Receipts of one click that are looked at.
const RECEIPTS_MAX: u32 = 50;

impl Run<'_> {
    pub(super) async fn postback(&mut self, mark: &str, gone: &mut Gone) -> Result<(), StoreError> {
        if self.actions.iter().all(|action| action.click.is_none()) {
            *gone = Gone::not("no click id came through the link");
            return Ok(());
        }
        if let Err(elsewhere) = self.leads_here(gone) {
            self.defect(Code::PostbackElsewhere, Hop::Postback, elsewhere);
            return Ok(());
        }
        let mut ours = HashSet::new();
        for at in 0..self.actions.len() {
            let Some(action) = self.actions.get(at).cloned() else { break };
            if action.click.is_none() {
                continue;
            }
            gone.expected.add(Some((action.minor, self.currency)), Some(action.at));
            if self.is_late() {
                self.too_slow(Hop::Postback);
                break;
            }
            let receipt = match self.report(&action, Twist::None, mark).await {
                Ok(Some(receipt)) => receipt,
                Ok(None) => break,
                Err(Trouble::Unable(why)) => {
                    *gone = Gone::not(why);
                    return Ok(());
                }
                Err(Trouble::Store(error)) => return Err(error),
            };
            ours.insert(receipt.id);
            let seen = self.seen();
            self.judge(&action, &receipt, gone);
            let misread = self.seen() != seen;
            if let Some(action) = self.actions.get_mut(at) {
                if told_at(&receipt).is_none() {
                    // A partner that tells no time means the time of its call.
                    action.at = receipt.received_at;
                }
                (action.receipt, action.misread) = (Some(receipt), misread);
            }
        }
        self.fired_by_others(&ours).await?;
        self.words_seen().await?;
        self.negatives(mark).await
    }

    /// Makes a call and finds its receipt.
    async fn report(
        &mut self,
        action: &Action,
        twist: Twist<'_>,
        mark: &str,
    ) -> Result<Option<Receipt>, Trouble> {
        let request = self.call(action, twist, mark).map_err(Trouble::Unable)?;
        if let Err(elsewhere) = self.arrives(&request.url) {
            if twist != Twist::None {
                return Err(Trouble::Unable(elsewhere));
            }
            self.defect(Code::PostbackElsewhere, Hop::Postback, elsewhere);
            return Ok(None);
        }
        let answer = match self.base.send(&request).await {
            Ok(answer) => answer,
            Err(error) => {
                self.defect(Code::PostbackBroken, Hop::Postback, told(&error));
                return Ok(None);
            }
        };
        let said: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let named = said.get("receipt").and_then(Value::as_str).and_then(|id| id.parse::<ReceiptId>().ok());
        let found = match named {
            Some(id) => self.engine.store.receipt(id).await?,
            // Those who answer in another form than ours say nothing of the receipt.
            None => self.latest(&action.transaction).await?,
        };
        let marked = found.filter(|receipt| receipt.labels.iter().any(|label| label == LABEL));
        if marked.is_none() {
            let problem =
                format!("the call was answered {} and left no receipt of a test here", answer.status);
            self.defect(Code::PostbackBroken, Hop::Postback, problem);
        }
        if let Some(other) = marked.as_ref().filter(|receipt| receipt.partner != self.partner.slug) {
            let problem = format!("the call was taken as one of `{}`", other.partner);
            self.defect(Code::PostbackElsewhere, Hop::Postback, problem);
            return Ok(None);
        }
        Ok(marked)
    }

    async fn latest(&self, transaction: &str) -> Result<Option<Receipt>, StoreError> {
        let listed = self.engine.store.list_receipts(Some(self.partner.slug.clone()), None, 200).await?;
        let names = |receipt: &Receipt| {
            let bytes = transaction.as_bytes();
            [&receipt.query, &receipt.body]
                .iter()
                .any(|text| text.windows(bytes.len()).any(|part| part == bytes))
        };
        Ok(listed.into_iter().find(|receipt| receipt.received_at >= self.from && names(receipt)))
    }

    /// Compares what was read with what was meant.
    fn judge(&mut self, action: &Action, receipt: &Receipt, gone: &mut Gone) {
        let reason = receipt.reason.unwrap_or(Reason::TestCall);
        let about = reason.about();
        let problem = || format!("the call stops as {} ({})", reason.code(), receipt.detail);
        let contract = &self.partner.contract;
        match reason {
            Reason::TestCall => {}
            Reason::StatusUnmapped => {
                self.defect(Code::StatusUnmapped, Hop::Postback, problem());
                return;
            }
            Reason::AmountTooPrecise | Reason::AmountNotANumber | Reason::AmountOutOfRange
                if contract.terms().amounts == Some(Unit::Cents) || reason == Reason::AmountOutOfRange =>
            {
                self.defect(Code::CentsForUnits, Hop::Postback, problem());
                return;
            }
            Reason::IdentityMissing | Reason::FieldMissing => {
                self.defect(
                    Code::ParameterWrong,
                    Hop::Postback,
                    format!("{}: {}", about.sentence, receipt.detail),
                );
                return;
            }
            Reason::EventTimeInFuture | Reason::EventTimeUnreadable => {
                self.defect(Code::TimeDiffers, Hop::Postback, problem());
                return;
            }
            _ => {
                self.defect(
                    Code::PostbackRefused,
                    Hop::Postback,
                    format!("{} {}", about.sentence, problem()),
                );
                return;
            }
        }
        let text = |name: &str| receipt.read.get(name).and_then(Value::as_str);
        let Some(click) = text("click_id") else {
            let problem = "the call has a click id under a name that the contract does not read";
            self.defect(Code::ParameterWrong, Hop::Postback, problem);
            return;
        };
        if action.click.is_none_or(|id| id.to_string() != click) {
            let problem = format!("the call's click id was read as {click}");
            self.defect(Code::ParameterWrong, Hop::Postback, problem);
        }
        self.judge_names(action, receipt);
        let currency = text("currency").and_then(|code| code.parse::<Currency>().ok());
        let amount =
            currency.and_then(|currency| Some((currency.parse_minor(text("value")?).ok()?, currency)));
        let at = told_at(receipt);
        gone.found.add(amount, Some(at.unwrap_or(action.at)));
        self.judge_amount(action, receipt, amount, gone);
        if let Some(at) = at.filter(|at| at.millis_since(action.at).abs() > TIME_MS) {
            let problem = format!("the sale of {} was read as one of {at}", action.at);
            self.defect(Code::TimeDiffers, Hop::Postback, problem);
        }
    }

    /// Finds what went out under some name and was not read from it.
    fn judge_names(&mut self, action: &Action, receipt: &Receipt) {
        for (name, key) in
            [("transaction_id", "transaction_id"), ("status", "status_word"), ("event", "event")]
        {
            let sent = self.value(name, action, Twist::None);
            if sent.is_empty() || !self.sends(name) {
                continue;
            }
            let found = receipt.read.get(key).and_then(Value::as_str).unwrap_or_default();
            // The URL may put more around it, and the contract may join it with another word.
            if found.to_lowercase().contains(&sent.to_lowercase()) {
                continue;
            }
            let problem = if found.is_empty() {
                format!("the call has {{{name}}} under a name that the contract does not read")
            } else {
                format!("the call's {name} `{sent}` was read as `{found}`")
            };
            self.defect(Code::ParameterWrong, Hop::Postback, problem);
        }
        if self.template_has("event_time") && told_at(receipt).is_none() {
            let problem = "the call has {event_time} under a name that the contract does not read";
            self.defect(Code::ParameterWrong, Hop::Postback, problem);
        }
    }

    /// Whether the order's id went out with the call and was not read from it.
    pub(super) fn has_lost_its_order(&self, action: &Action) -> bool {
        let read = action.receipt.as_ref().and_then(|receipt| receipt.read.get("transaction_id"));
        let found = read.and_then(Value::as_str).unwrap_or_default();
        self.sends("transaction_id") && !found.contains(&action.transaction)
    }

    fn judge_amount(
        &mut self,
        action: &Action,
        receipt: &Receipt,
        found: Option<(i64, Currency)>,
        gone: &mut Gone,
    ) {
        if !self.states_currency(receipt) {
            let contract = self.partner.contract.currency();
            let assumed = contract.unwrap_or(self.snapshot.config.workspace.base_currency);
            let sends = self.template_has("currency");
            let problem = if sends {
                format!(
                    "the call has {{currency}} under a name that the contract does not read, and {assumed} is assumed"
                )
            } else {
                format!("the call states no currency, and {assumed} is assumed")
            };
            match (contract, sends) {
                (None, _) => {
                    let code = if sends { Code::ParameterWrong } else { Code::CurrencyMissing };
                    self.defect(code, Hop::Postback, problem);
                    return;
                }
                // The contract's own holds, whatever the call says.
                (Some(_), true) => gone.note(problem),
                (Some(_), false) => {}
            }
        }
        let Some(code) = amount_defect((action.minor, self.currency), found) else { return };
        let sent = words_of(Some((action.minor, self.currency)));
        if code == Code::ValueMissing {
            // The amount went out under some name.
            let problem = format!("a sale of {sent} was read without an amount");
            let code = if self.sends_amount() { Code::ParameterWrong } else { code };
            self.defect(code, Hop::Postback, problem);
            return;
        }
        let problem = format!("a sale of {sent} was read as {}", words_of(found));
        self.defect(code, Hop::Postback, problem);
    }

    /// Whether the currency was read from the call itself.
    fn states_currency(&self, receipt: &Receipt) -> bool {
        let reread = self.engine.reread(receipt, &Repair::default(), &self.snapshot);
        reread.is_ok_and(|postback| postback.currency_stated)
    }

    fn template_has(&self, name: &str) -> bool {
        self.wanted.postback.as_deref().is_some_and(|template| template.contains(&format!("{{{name}}}")))
    }

    /// Whether a call has this value under some name.
    fn sends(&self, name: &str) -> bool {
        match self.wanted.postback {
            Some(_) => self.template_has(name),
            None => self.fields().contains(&name),
        }
    }

    fn sends_amount(&self) -> bool {
        let template = self.wanted.postback.as_deref();
        template.is_none_or(|template| template.contains("{payout") || template.contains("{revenue}"))
    }

    /// Calls that came for a test click without our doing: a page or a shop that reports by itself.
    async fn fired_by_others(&mut self, ours: &HashSet<ReceiptId>) -> Result<(), StoreError> {
        let clicks: Vec<_> = self.actions.iter().filter_map(|action| action.click).collect();
        for click in clicks {
            let receipts = self.engine.store.receipts_of_click(click, RECEIPTS_MAX).await?;
            let others: Vec<&Receipt> = receipts.iter().filter(|one| !ours.contains(&one.id)).collect();
            let same = |one: &&&Receipt| others.iter().filter(|other| other.read == one.read).count() > 1;
            let Some(twice) = others.iter().find(same) else { continue };
            let many = others.iter().filter(|other| other.read == twice.read).count();
            let problem =
                format!("one visitor's sale was reported {many} times by itself, each time the same");
            self.defect(Code::PostbackFiresTwice, Hop::Postback, problem);
        }
        Ok(())
    }

    /// Words of real calls that wait because nobody knows them.
    async fn words_seen(&mut self) -> Result<(), StoreError> {
        let unknown = self.engine.unknown_statuses(Some(&self.partner.slug)).await?;
        if let Some(one) = unknown.words.first() {
            let problem =
                format!("{} real calls with the word `{}` wait for somebody", one.receipts, one.word);
            self.defect(Code::StatusUnmapped, Hop::Postback, problem);
        }
        Ok(())
    }

    async fn negatives(&mut self, mark: &str) -> Result<(), StoreError> {
        let first = self.actions.iter().find(|action| action.receipt.is_some()).cloned();
        let Some(first) = first else { return Ok(()) };
        if self.is_late() {
            for case in ["wrong_token", "unmapped_status"] {
                self.negative(case, None, "the time of the run was over");
            }
            return Ok(());
        }
        let auth = &self.partner.auth;
        let is_open = auth.token.is_none() && auth.hmac.is_none() && auth.secret.is_none();
        if is_open && !auth.allow.is_empty() {
            self.negative(
                "wrong_token",
                None,
                "the partner is known by its address alone, which cannot be tried from here",
            );
        } else {
            let receipt = self.receipt_of(&first, Twist::WrongToken, mark).await?;
            let reason = receipt.and_then(|receipt| receipt.reason);
            let refused = matches!(
                reason,
                Some(
                    Reason::TokenWrong
                        | Reason::TokenMissing
                        | Reason::SignatureWrong
                        | Reason::SignatureMissing
                )
            );
            self.negative("wrong_token", reason.map(|_| refused), reason.map_or("no answer", Reason::code));
            if reason.is_some() && !refused {
                self.defect(Code::WrongTokenTaken, Hop::Postback, "a call with a wrong token was taken");
            }
        }
        let says_status =
            self.wanted.postback.as_deref().is_none_or(|template| template.contains("{status}"));
        if says_status {
            let receipt = self.receipt_of(&first, Twist::Status(UNHEARD), mark).await?;
            self.unheard_of(receipt.as_ref());
        } else {
            self.negative("unmapped_status", None, "the postback URL has no {status}");
        }
        Ok(())
    }

    /// A word that nobody knows must have been read, and must move nothing.
    fn unheard_of(&mut self, receipt: Option<&Receipt>) {
        let reason = receipt.and_then(|receipt| receipt.reason);
        let word = receipt.and_then(|receipt| receipt.read.get("status_word")).and_then(Value::as_str);
        let meaning = self.partner.contract.meaning(UNHEARD);
        let (passed, found) = match reason {
            None => (None, "no answer"),
            Some(Reason::StatusUnmapped | Reason::StatusIgnored) => {
                (Some(true), reason.map_or("", Reason::code))
            }
            Some(Reason::TestCall) if word != Some(UNHEARD) => (Some(false), "the status was not read"),
            Some(Reason::TestCall) => {
                let taken = match meaning {
                    Some(Meaning::Status(Status::Approved)) => "is a sale",
                    Some(Meaning::Status(Status::Rejected | Status::Reversed)) => "takes a sale back",
                    _ => "is booked",
                };
                let problem = format!("a status word that nobody knows {taken}");
                self.defect(Code::UnmappedTaken, Hop::Postback, problem);
                (Some(false), "test_call")
            }
            // Stopped by something else: that shows nothing.
            Some(other) => (None, other.code()),
        };
        self.negative("unmapped_status", passed, found);
    }

    async fn receipt_of(
        &mut self,
        action: &Action,
        twist: Twist<'_>,
        mark: &str,
    ) -> Result<Option<Receipt>, StoreError> {
        match self.report(action, twist, mark).await {
            Ok(receipt) => Ok(receipt),
            Err(Trouble::Unable(_)) => Ok(None),
            Err(Trouble::Store(error)) => Err(error),
        }
    }

    pub(super) fn negative(&mut self, case: &'static str, passed: Option<bool>, found: &str) {
        self.negatives.push(Negative { case, passed, found: found.to_owned() });
    }
}

/// Why there is no receipt.
enum Trouble {
    Unable(String),
    Store(StoreError),
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// When the sale happened, by the call's own word.
fn told_at(receipt: &Receipt) -> Option<Timestamp> {
    receipt.read.get("event_time").and_then(Value::as_str).and_then(Timestamp::parse)
}
