//! A postback, step by step: parse, authenticate, normalise, name, book. Each step is a pure function that either
//! hands on or stops with a verdict and a reason.

use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::browser::Glimpse;
use crate::click::Click;
use crate::conversion::{Conversion, DedupeKey};
use crate::event::OutboundEvent;
use crate::fraud::{Seen, Sighting};
use crate::goal::GoalDecision;
use crate::hops;
use crate::identity::Contact;
use crate::ids::{ClickId, ConversionId, ReceiptId};
use crate::ledger::{Amounts, ContentHash, EntryKind, LedgerEntry, Status};
use crate::limits;
use crate::money::Currency;
use crate::reason::Reason;
use crate::route::{GoalEvent, NewDelivery};
use crate::time::{DAY_MS, Timestamp};
use crate::verdict::Verdict;

pub mod authenticate;
pub mod body;
pub mod book;
pub mod dedupe;
pub mod json;
pub mod movement;
pub mod normalise;
pub mod parse;
pub mod propose;
pub mod redact;
pub mod replay;
pub mod server_event;
pub mod signature;
#[cfg(test)]
mod tests;

/// An inbound call as it came to the door.
#[derive(Debug, Clone, Default)]
pub struct Inbound {
    /// The HTTP method.
    pub method: String,
    /// The partner's slug from the path.
    pub partner: String,
    /// The query string, as it came.
    pub query: Vec<u8>,
    /// The body, as it came.
    pub body: Vec<u8>,
    /// The body's content type.
    pub content_type: String,
    /// The headers that a contract or a signature may ask for.
    pub headers: Headers,
    /// The parts of a multipart body, each with its name.
    pub parts: Vec<(String, Vec<u8>)>,
    /// The sender's address, behind trusted proxies the one they name.
    pub peer: Option<std::net::IpAddr>,
    /// The sender's user agent.
    pub user_agent: String,
}

impl Inbound {
    /// A header by its name in lower case; empty if it did not come.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or("")
    }
}

/// Headers by their names in lower case, in the order in which they came.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Headers(Vec<(String, String)>);

impl Headers {
    /// Adds a header, up to the limit.
    pub fn push(&mut self, name: &str, value: impl Into<String>) {
        if self.0.len() < limits::HEADERS_MAX {
            self.0.push((name.to_ascii_lowercase(), value.into()));
        }
    }

    /// The first header of this name, in any case.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// How many servers of this kind the call has come through.
    #[must_use]
    pub fn hops(&self) -> u8 {
        self.get(hops::HEADER).map_or(0, hops::read)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// What a call's click id turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClickRef {
    /// The call has none.
    None,
    /// One of ours, by its tag.
    Ours(ClickId),
    /// Not one of ours.
    Foreign {
        /// What is wrong with it.
        reason: Reason,
        /// The value as it came.
        value: String,
    },
}

impl ClickRef {
    /// The click, if it is one of ours.
    #[must_use]
    pub const fn ours(&self) -> Option<ClickId> {
        match self {
            Self::Ours(id) => Some(*id),
            Self::None | Self::Foreign { .. } => None,
        }
    }
}

/// A postback in our words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Postback {
    /// The partner's slug.
    pub partner: String,
    /// The click it names.
    pub click: ClickRef,
    /// The transaction id.
    pub transaction_id: Option<String>,
    /// The status.
    pub status: Status,
    /// The partner's own word; empty if none came.
    pub status_word: String,
    /// The currency of the amounts.
    pub currency: Currency,
    /// Whether the call named the currency itself.
    pub currency_stated: bool,
    /// The amounts that were stated.
    pub amounts: Amounts,
    /// The partner's name for what happened.
    pub event: Option<String>,
    /// When it happened, if stated.
    pub event_time: Option<Timestamp>,
    /// The id that the browser made.
    pub event_id: Option<String>,
    /// The durable key of the person or order.
    pub external_id: Option<String>,
    /// The page, if the call names one.
    pub page: Option<String>,
    /// Hashed contact values.
    pub contact: Contact,
    /// All parameters but secrets and personal data, as they came.
    pub fields: Vec<(String, String)>,
    /// The digest of all that it says.
    pub content: ContentHash,
    /// The server event that it came as: what it says about the visitor and the order goes into what is sent.
    pub given: Option<Box<OutboundEvent>>,
    /// What the click's browser says about the visitor.
    pub browser: Option<Box<Glimpse>>,
}

/// What is kept of every inbound call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// Its id.
    pub id: ReceiptId,
    /// When it came.
    pub received_at: Timestamp,
    /// The partner's slug as it stood in the path.
    pub partner: String,
    /// The HTTP method.
    pub method: String,
    /// The query string as it came, with secrets and personal data masked.
    pub query: Vec<u8>,
    /// The body as it came, with secrets and personal data masked.
    pub body: Vec<u8>,
    /// The body's content type.
    pub content_type: String,
    /// The sender's address.
    pub peer: String,
    /// The sender's user agent.
    pub user_agent: String,
    /// What became of it.
    pub verdict: Verdict,
    /// Why.
    pub reason: Option<Reason>,
    /// About this call: which field, which word.
    pub detail: String,
    /// The conversion it booked or matched.
    pub conversion: Option<ConversionId>,
    /// The movement it booked, or the one it repeats.
    pub sequence: Option<u32>,
    /// The click it names, if it is one of ours.
    pub click: Option<ClickId>,
    /// What was read out of it, without personal data.
    pub read: Arc<Map<String, Value>>,
    /// What was decided about each goal.
    pub goals: Vec<GoalDecision>,
    /// How often it was read again.
    pub revision: u32,
    /// The headers that the contract asks for.
    pub headers: Headers,
    /// The hashed contact values, which the kept call has no more.
    pub contact: Contact,
    /// The original of what could not be read or may be kept, sealed.
    pub sealed: Option<Vec<u8>>,
    /// What is noteworthy about it, by code: fraud marks, late approvals.
    pub labels: Vec<String>,
    /// What it waits for; written when it is stored, read back only where the receipt is read again.
    pub awaits: Option<Awaited>,
}

/// The label of a receipt whose sender had not shown to be the partner when it was turned away. Whatever the reason was,
/// such a call is evidence and never money.
pub const STRANGER: &str = "stranger";

/// Under which the calls to partners that nobody has configured are counted, whatever names they invent.
pub const UNKNOWN: &str = "(unknown)";

impl Receipt {
    /// The partner under which it is counted. A stranger's call to a partner that there is not has none, for good: it is
    /// never read again.
    #[must_use]
    pub fn counted_under(&self) -> &str {
        let is_unknown = self.reason == Some(Reason::UnknownPartner);
        if is_unknown && self.labels.iter().any(|label| label == STRANGER) { UNKNOWN } else { &self.partner }
    }
}

/// The method that receipts of imported rows show.
pub const IMPORTED: &str = "IMPORT";

/// What a row of a file uses up of its partner when it is booked, for good: the file and its place in it, whatever it is read
/// as. It begins as no number of a signature can.
#[must_use]
pub fn claim_of_row(method: &str, postback: &Postback) -> Option<String> {
    let row = postback.fields.iter().find(|(name, _)| method == IMPORTED && name == movement::IMPORT_ROW);
    row.map(|(name, value)| format!("\n{name}:{value}"))
}

/// The method that receipts of server events show: they are not calls of a partner's template, and a contract does not read
/// them anew.
pub const SERVER_EVENT: &str = "EVENT";

/// What a quarantined receipt waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Awaited {
    /// The click of this id.
    Click(ClickId),
    /// A click that stands for this foreign click id.
    Alias(String),
    /// The sale of this name, which a refund has overtaken.
    Sale(DedupeKey),
}

impl Awaited {
    /// How long a receipt waits.
    pub const MS_MAX: i64 = 30 * DAY_MS;

    /// What a receipt that is quarantined for this reason waits for, if something can appear by itself.
    #[must_use]
    pub fn by(reason: Reason, receipt: &Receipt) -> Option<Self> {
        match reason {
            Reason::ClickUnknown => receipt.click.map(Self::Click),
            Reason::ClickIdMalformed | Reason::ClickIdForged => receipt
                .read
                .get("click_id")
                .and_then(Value::as_str)
                .map(|value| Self::Alias(value.to_owned())),
            _ => None,
        }
    }

    /// Reads what [`fmt::Display`] writes.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        let (kind, value) = text.split_once(':')?;
        match kind {
            "click" => ClickId::parse_unchecked(value).ok().map(Self::Click),
            "alias" => Some(Self::Alias(value.to_owned())),
            "sale" => {
                let (partner, key) = value.split_once('\n')?;
                Some(Self::Sale(DedupeKey { partner: partner.to_owned(), key: key.to_owned() }))
            }
            _ => None,
        }
    }
}

impl fmt::Display for Awaited {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Click(click) => write!(out, "click:{click}"),
            Self::Alias(alias) => write!(out, "alias:{alias}"),
            Self::Sale(sale) => write!(out, "sale:{}\n{}", sale.partner, sale.key),
        }
    }
}

/// What must be known to book a postback, as one consistent view.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// The click that the postback names.
    pub click: Option<Click>,
    /// The conversion under the postback's dedupe key.
    pub conversion: Option<Conversion>,
    /// The click that this conversion is attributed to: a later call may name another one, or none.
    pub attributed: Option<Click>,
    /// That conversion's movements, in order.
    pub entries: Vec<LedgerEntry>,
    /// The receipt that has used the call's nonce, if one has.
    pub nonce_used_by: Option<ReceiptId>,
    /// Where the contact and the address were seen; nothing unless it was asked for.
    pub seen: Vec<Seen>,
}

impl Facts {
    /// Whether all calls have left the conversion, and none has come since.
    #[must_use]
    pub fn is_left(&self) -> bool {
        let last = self.entries.iter().rfind(|entry| entry.kind != EntryKind::Rate);
        last.is_some_and(|entry| entry.kind == EntryKind::Left)
    }

    /// The conversion, if a call speaks of it: one that all its calls have left is only a name.
    #[must_use]
    pub fn spoken_of(&self) -> Option<&Conversion> {
        self.conversion.as_ref().filter(|_| !self.is_left())
    }

    /// The click that gets the credit: the one that the conversion has, else the call's.
    #[must_use]
    pub fn credited(&self) -> Option<&Click> {
        self.attributed.as_ref().filter(|_| self.spoken_of().is_some()).or(self.click.as_ref())
    }
}

/// Which facts to load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FactsWanted {
    /// The click.
    pub click: Option<ClickId>,
    /// The conversion's dedupe key.
    pub key: DedupeKey,
    /// The number that the call's signature may use once.
    pub nonce: Option<String>,
    /// The contact and the address that may have been seen on other conversions.
    pub sightings: Vec<Sighting>,
}

/// Everything that one postback changes; recorded in one transaction or not at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Booking {
    /// The receipt with its verdict.
    pub receipt: Receipt,
    /// The conversion after the movement: new, or moved on.
    pub conversion: Option<ConversionChange>,
    /// The movement.
    pub entry: Option<LedgerEntry>,
    /// The goals met, with their events.
    pub goal_events: Vec<GoalEvent>,
    /// The deliveries to make.
    pub deliveries: Vec<NewDelivery>,
    /// The number that is used up by it, of the receipt's partner.
    pub nonce: Option<String>,
    /// What the conversion was seen with: keyed hashes, of which each is noted once.
    pub sightings: Vec<[u8; 16]>,
    /// Whether the conversion's labels are others than before.
    pub relabelled: bool,
    /// Whether events of before are to be adjusted, as something was taken back or stands again.
    pub reverses: bool,
}

/// A change to the conversions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConversionChange {
    /// A conversion that was not there.
    Insert(Conversion),
    /// A conversion that has moved on from `movements - 1` to `movements`.
    Update(Conversion),
}

impl ConversionChange {
    /// The conversion after the change.
    #[must_use]
    pub const fn conversion(&self) -> &Conversion {
        match self {
            Self::Insert(conversion) | Self::Update(conversion) => conversion,
        }
    }
}

impl Booking {
    /// A booking that changes nothing but leaves its receipt.
    #[must_use]
    pub const fn receipt_only(receipt: Receipt) -> Self {
        Self {
            receipt,
            conversion: None,
            entry: None,
            goal_events: Vec::new(),
            deliveries: Vec::new(),
            nonce: None,
            sightings: Vec::new(),
            relabelled: false,
            reverses: false,
        }
    }
}
