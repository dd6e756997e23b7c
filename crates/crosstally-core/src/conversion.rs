//! A conversion: what its ledger entries add up to, and what later steps need to know of it.

use crate::fx::Fx;
use crate::identity::Contact;
use crate::ids::{ClickId, ConversionId, GoalEventId};
use crate::ledger::{Amounts, Balance, Status};
use crate::money::Currency;
use crate::time::Timestamp;

/// The name under which a conversion is unique.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DedupeKey {
    /// The partner that reports it.
    pub partner: String,
    /// The key within the partner: made by [`crate::postback::dedupe`].
    pub key: String,
}

/// A goal that the conversion has met.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct GoalMet {
    /// The goal's slug.
    pub goal: String,
    /// The event that followed.
    pub event: GoalEventId,
}

/// The present state of a conversion. Its history is the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conversion {
    /// Its id.
    pub id: ConversionId,
    /// Its dedupe key.
    pub key: DedupeKey,
    /// The transaction id, if the partner sent one.
    pub transaction_id: Option<String>,
    /// The partner's name for what happened (`Signup`, `Deposit`), if sent.
    pub event: Option<String>,
    /// The click it is attributed to.
    pub click: Option<ClickId>,
    /// The campaign of that click, empty without one.
    pub campaign: String,
    /// The source of that click, empty without one.
    pub source: String,
    /// The status after the last movement.
    pub status: Status,
    /// The currency of all its amounts.
    pub currency: Currency,
    /// The amounts in force.
    pub amounts: Amounts,
    /// The sums of its movements.
    pub balance: Balance,
    /// The rate that it was first priced with; every later movement keeps it.
    pub fx: Option<Fx>,
    /// The balance in the base currency; zero while that is not known.
    pub base: Balance,
    /// How many movements it has.
    pub movements: u32,
    /// When it happened: the first movement's event time.
    pub event_time: Timestamp,
    /// When it was first booked.
    pub created_at: Timestamp,
    /// When it last moved.
    pub updated_at: Timestamp,
    /// The id that the browser made for it, if the partner handed it back.
    pub event_id: Option<String>,
    /// The durable key of the person or order, if known.
    pub external_id: Option<String>,
    /// Hashed contact values.
    pub contact: Contact,
    /// The goals met so far.
    pub goals_met: Vec<GoalMet>,
    /// What is noteworthy about it: the labels of its calls, each once.
    pub labels: Vec<String>,
}

impl Conversion {
    /// Whether there is anything to price.
    #[must_use]
    pub const fn has_value(&self) -> bool {
        matches!(self.amounts.value, Some(1.. | ..=-1))
    }

    /// Whether its value cannot be told in the base currency, because there is no rate yet.
    #[must_use]
    pub const fn is_fx_pending(&self) -> bool {
        self.fx.is_none() && self.has_value()
    }
}
