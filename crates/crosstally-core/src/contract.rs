//! The data contract of a partner: how its calls are to be read, and what may be booked.
//!
//! [`Terms`] are what a document says; what it leaves open is filled by the partner's preset and then by the defaults.
//! [`Contract`] is the outcome, the only thing that the steps of a postback ask.

use std::collections::BTreeMap;

use crate::ledger::Status;
use crate::money::Currency;

mod meaning;
pub mod number;

pub use meaning::{ANY_OTHER, Meaning};

macro_rules! choice {
    ($(#[$about:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident $word:literal,)* }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        pub enum $name { $($(#[$doc])* $variant,)* }

        impl crate::word::Word for $name {
            const ALL: &'static [Self] = &[$(Self::$variant,)*];

            fn word(self) -> &'static str {
                match self {$(Self::$variant => $word,)*}
            }
        }
    };
}

choice! {
    /// Which amount is what this workspace earns.
    ValueOf {
        /// The commission.
        #[default]
        Payout "payout",
        /// The order's amount.
        Revenue "revenue",
    }
}

choice! {
    /// What happens when a known conversion is reported again with another status or amount.
    DuplicateMode {
        /// Book a new movement.
        #[default]
        Update "update",
        /// Keep the receipt, book nothing.
        Ignore "ignore",
        /// Add the amount to what is booked: an upsell, a rebill under the same id.
        Add "add",
        /// Another amount, time or event id is another conversion.
        Record "record",
        /// Only a new event id is a change: a call whose event id was booked before is a repeat.
        EventId "event_id",
    }
}

choice! {
    /// Within what a transaction id is unique.
    TransactionScope {
        /// Among all the partner's calls, for ever.
        #[default]
        Partner "partner",
        /// Among the calls about one click: `tid=2` is the second deposit of each.
        Click "click",
        /// Nowhere: it is kept, and the click alone names the conversion.
        None "none",
    }
}

choice! {
    /// What a number in an amount's place counts.
    Unit {
        /// Whole units of the currency: `12.34` dollars.
        #[default]
        Units "units",
        /// The currency's minor unit: `1234` cents.
        Cents "cents",
    }
}

choice! {
    /// Which character parts whole units from the rest.
    DecimalMark {
        /// `12.34`
        #[default]
        Point ".",
        /// `12,34`
        Comma ",",
        /// Either; what could be both is refused.
        Any "any",
    }
}

choice! {
    /// Which character groups thousands.
    ThousandsMark {
        /// None.
        #[default]
        None "none",
        /// `1,234.50`
        Comma ",",
        /// `1.234,50`
        Point ".",
        /// `1 234.50`
        Space "space",
        /// `1'234.50`
        Apostrophe "'",
    }
}

choice! {
    /// What happens to decimals beyond the currency's.
    Rounding {
        /// The call is refused: nothing is ever rounded unasked.
        #[default]
        Refuse "refuse",
        /// To the nearest, a half to the even neighbour.
        HalfEven "half_even",
    }
}

choice! {
    /// How often parameter values are percent-encoded.
    Encoding {
        /// Once, as HTTP asks for.
        #[default]
        Once "once",
        /// Twice: templates inside templates.
        Twice "twice",
        /// Not at all: `%` and `+` stand for themselves.
        Never "never",
    }
}

choice! {
    /// What an amount below zero is.
    Negative {
        /// A breach.
        #[default]
        Refuse "refuse",
        /// A refund of that amount.
        Reversal "reversal",
    }
}

choice! {
    /// What the amount of a reversal is.
    ReversalAmount {
        /// The conversion is taken back as a whole, whatever the amount.
        #[default]
        Whole "whole",
        /// The part that is taken back.
        Part "amount",
        /// What remains.
        Remaining "remaining",
    }
}

choice! {
    /// How a sender is answered.
    AnswerMode {
        /// JSON with result, code and receipt; refusals are 4xx.
        #[default]
        Json "json",
        /// Short plain text; refusals are 4xx.
        Plain "plain",
        /// JSON, and 200 also for refusals: for senders that try for ever on anything else.
        Always200 "always_200",
        /// Short plain text, and always 200.
        PlainAlways200 "plain_always_200",
    }
}

choice! {
    /// Which day's rate an amount in another currency takes.
    RateDay {
        /// The day on which it happened.
        #[default]
        Event "event",
        /// The day on which it was received.
        Received "received",
    }
}

impl ValueOf {
    /// The value among the amounts that are known: with only one of them it is that one, with both the contract decides.
    #[must_use]
    pub fn of(self, payout: Option<i64>, revenue: Option<i64>) -> Option<i64> {
        match self {
            Self::Payout => payout.or(revenue),
            Self::Revenue => revenue.or(payout),
        }
    }
}

/// The bounds of an amount, as decimals of whatever currency it comes in.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Range {
    /// The least that is believed.
    pub min: Option<String>,
    /// The most that is believed.
    pub max: Option<String>,
}

/// What a document says about a partner's calls. `None` and missing keys are open.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Terms {
    /// Our field name to the partner's parameter names, tried in order.
    pub params: BTreeMap<String, Vec<String>>,
    /// The partner's status word, in lower case, to what it means.
    pub statuses: BTreeMap<String, Meaning>,
    /// Parameters that say more about the status, of which the first that came counts: `word+value` is looked up in the map
    /// before the word.
    pub status_with: Option<Vec<String>>,
    /// Parameters, each with the value by which its sender marks a test.
    pub test_when: BTreeMap<String, String>,
    /// What a call without a status means.
    pub missing_status: Option<Status>,
    /// The currency of amounts that come without one.
    pub currency: Option<Currency>,
    /// The currencies that may come; empty means any.
    pub currencies: Option<Vec<Currency>>,
    /// Which amount is the value when both come.
    pub value: Option<ValueOf>,
    /// What a number in an amount's place counts.
    pub amounts: Option<Unit>,
    /// How many decimals the minor unit stands for, by code, where the partner's differs from ISO 4217.
    pub minor_digits: BTreeMap<String, u32>,
    /// The decimal mark.
    pub decimal: Option<DecimalMark>,
    /// The thousands mark.
    pub thousands: Option<ThousandsMark>,
    /// What happens to decimals beyond the currency's.
    pub rounding: Option<Rounding>,
    /// How often values are percent-encoded.
    pub encoding: Option<Encoding>,
    /// Fields without which a call is a breach.
    pub required: Option<Vec<String>>,
    /// Parameters that tell of the sending and not of the sale: they differ when the same message comes again.
    pub volatile: Option<Vec<String>>,
    /// The statuses that may come; empty means any.
    pub allowed: Option<Vec<Status>>,
    /// The bounds of `payout` and `revenue`.
    pub ranges: BTreeMap<String, Range>,
    /// How long after its click something may happen.
    pub max_delay_ms: Option<i64>,
    /// Whether a rejected conversion may still be approved.
    pub late_approvals: Option<bool>,
    /// What an amount below zero is.
    pub negative: Option<Negative>,
    /// What the amount of a reversal is.
    pub reversal: Option<ReversalAmount>,
    /// What a changed repeat does.
    pub duplicates: Option<DuplicateMode>,
    /// The same per event, in lower case.
    pub duplicates_of: BTreeMap<String, DuplicateMode>,
    /// Within what a transaction id is unique.
    pub transaction_scope: Option<TransactionScope>,
    /// Which day's rate counts.
    pub fx: Option<RateDay>,
    /// How the sender is answered.
    pub answer: Option<AnswerMode>,
    /// What is answered in plain text instead of `OK`.
    pub answer_text: Option<String>,
    /// The scheme by which the sender signs.
    pub signature: Option<String>,
}

impl Terms {
    /// These terms, and where they are open those below.
    #[must_use]
    pub fn over(&self, below: &Self) -> Self {
        fn map<V: Clone>(own: &BTreeMap<String, V>, below: &BTreeMap<String, V>) -> BTreeMap<String, V> {
            let mut all = below.clone();
            all.extend(own.iter().map(|(key, value)| (key.clone(), value.clone())));
            all
        }
        Self {
            params: map(&self.params, &below.params),
            statuses: map(&self.statuses, &below.statuses),
            status_with: self.status_with.clone().or_else(|| below.status_with.clone()),
            test_when: map(&self.test_when, &below.test_when),
            missing_status: self.missing_status.or(below.missing_status),
            currency: self.currency.or(below.currency),
            currencies: self.currencies.clone().or_else(|| below.currencies.clone()),
            value: self.value.or(below.value),
            amounts: self.amounts.or(below.amounts),
            minor_digits: map(&self.minor_digits, &below.minor_digits),
            decimal: self.decimal.or(below.decimal),
            thousands: self.thousands.or(below.thousands),
            rounding: self.rounding.or(below.rounding),
            encoding: self.encoding.or(below.encoding),
            required: self.required.clone().or_else(|| below.required.clone()),
            volatile: self.volatile.clone().or_else(|| below.volatile.clone()),
            allowed: self.allowed.clone().or_else(|| below.allowed.clone()),
            ranges: map(&self.ranges, &below.ranges),
            max_delay_ms: self.max_delay_ms.or(below.max_delay_ms),
            late_approvals: self.late_approvals.or(below.late_approvals),
            negative: self.negative.or(below.negative),
            reversal: self.reversal.or(below.reversal),
            duplicates: self.duplicates.or(below.duplicates),
            duplicates_of: map(&self.duplicates_of, &below.duplicates_of),
            transaction_scope: self.transaction_scope.or(below.transaction_scope),
            fx: self.fx.or(below.fx),
            answer: self.answer.or(below.answer),
            answer_text: self.answer_text.clone().or_else(|| below.answer_text.clone()),
            signature: self.signature.clone().or_else(|| below.signature.clone()),
        }
    }
}

/// What holds for a partner's calls.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Contract(Terms);

impl Contract {
    /// The contract of these terms over those of a preset.
    #[must_use]
    pub fn new(own: &Terms, preset: &Terms) -> Self {
        Self(own.over(preset))
    }

    /// All terms, those of the preset among them.
    #[must_use]
    pub const fn terms(&self) -> &Terms {
        &self.0
    }

    /// The partner's parameter names for a field; none if only the accepted names count.
    #[must_use]
    pub fn params(&self, field: &str) -> &[String] {
        self.0.params.get(field).map_or(&[], Vec::as_slice)
    }

    /// Every parameter name that the contract gives to a field.
    pub fn taken(&self) -> impl Iterator<Item = &str> {
        self.0.params.values().flatten().map(String::as_str)
    }

    /// What a status word means, if the contract or our own vocabulary knows it.
    #[must_use]
    pub fn meaning(&self, word: &str) -> Option<Meaning> {
        let word = word.trim().to_lowercase();
        let known = self.0.statuses.get(&word).copied();
        known
            .or_else(|| Status::from_word(&word).map(Meaning::Status))
            .or_else(|| self.0.statuses.get(ANY_OTHER).copied())
    }

    /// Parameters that say more about the status.
    #[must_use]
    pub fn status_with(&self) -> &[String] {
        self.0.status_with.as_deref().unwrap_or(&[])
    }

    /// A status word with what another parameter says about it, if the map has the two as one.
    #[must_use]
    pub fn word_with(&self, word: &str, value: &str) -> Option<String> {
        let both = format!("{}+{}", word.trim(), value.trim()).to_lowercase();
        self.0.statuses.contains_key(&both).then_some(both)
    }

    /// Parameters, each with the value by which its sender marks a test.
    #[must_use]
    pub const fn test_when(&self) -> &BTreeMap<String, String> {
        &self.0.test_when
    }

    /// What a call without a status means.
    #[must_use]
    pub fn missing_status(&self) -> Status {
        self.0.missing_status.unwrap_or(Status::Approved)
    }

    /// The currency of amounts that come without one.
    #[must_use]
    pub const fn currency(&self) -> Option<Currency> {
        self.0.currency
    }

    /// Whether amounts may come in this currency.
    #[must_use]
    pub fn takes_currency(&self, currency: Currency) -> bool {
        self.0.currencies.as_ref().is_none_or(|list| list.is_empty() || list.contains(&currency))
    }

    /// Which amount is the value.
    #[must_use]
    pub fn value(&self) -> ValueOf {
        self.0.value.unwrap_or_default()
    }

    /// How amounts in this currency are written.
    #[must_use]
    pub fn number(&self, currency: Currency) -> number::Format {
        number::Format {
            unit: self.0.amounts.unwrap_or_default(),
            minor_digits: self.0.minor_digits.get(currency.code()).copied(),
            decimal: self.0.decimal.unwrap_or_default(),
            thousands: self.0.thousands.unwrap_or_default(),
            rounding: self.0.rounding.unwrap_or_default(),
        }
    }

    /// How often values are percent-encoded.
    #[must_use]
    pub fn encoding(&self) -> Encoding {
        self.0.encoding.unwrap_or_default()
    }

    /// Fields without which a call is a breach.
    #[must_use]
    pub fn required(&self) -> &[String] {
        self.0.required.as_deref().unwrap_or(&[])
    }

    /// Parameters that are no part of what a call says.
    #[must_use]
    pub fn volatile(&self) -> &[String] {
        self.0.volatile.as_deref().unwrap_or(&[])
    }

    /// Whether this status may come.
    #[must_use]
    pub fn takes_status(&self, status: Status) -> bool {
        self.0.allowed.as_ref().is_none_or(|list| list.is_empty() || list.contains(&status))
    }

    /// The bounds of an amount.
    #[must_use]
    pub fn range(&self, field: &str) -> Option<&Range> {
        self.0.ranges.get(field)
    }

    /// How long after its click something may happen.
    #[must_use]
    pub const fn max_delay_ms(&self) -> Option<i64> {
        self.0.max_delay_ms
    }

    /// Whether a rejected conversion may still be approved.
    #[must_use]
    pub fn late_approvals(&self) -> bool {
        self.0.late_approvals.unwrap_or(true)
    }

    /// What an amount below zero is.
    #[must_use]
    pub fn negative(&self) -> Negative {
        self.0.negative.unwrap_or_default()
    }

    /// What the amount of a reversal is.
    #[must_use]
    pub fn reversal(&self) -> ReversalAmount {
        self.0.reversal.unwrap_or_default()
    }

    /// What a changed repeat of this event does.
    #[must_use]
    pub fn duplicates(&self, event: Option<&str>) -> DuplicateMode {
        let of_event = event.and_then(|event| self.0.duplicates_of.get(&event.to_lowercase()).copied());
        of_event.or(self.0.duplicates).unwrap_or_default()
    }

    /// Within what a transaction id is unique.
    #[must_use]
    pub fn transaction_scope(&self) -> TransactionScope {
        self.0.transaction_scope.unwrap_or_default()
    }

    /// Which day's rate counts.
    #[must_use]
    pub fn rate_day(&self) -> RateDay {
        self.0.fx.unwrap_or_default()
    }

    /// How the sender is answered.
    #[must_use]
    pub fn answer(&self) -> AnswerMode {
        self.0.answer.unwrap_or_default()
    }

    /// What is answered in plain text when all is well.
    #[must_use]
    pub fn answer_text(&self) -> &str {
        self.0.answer_text.as_deref().unwrap_or("OK")
    }

    /// The scheme by which the sender signs.
    #[must_use]
    pub fn signature(&self) -> Option<&str> {
        self.0.signature.as_deref()
    }
}
