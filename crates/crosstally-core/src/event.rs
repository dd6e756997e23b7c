//! The event that follows when a conversion meets a goal: everything that any destination may need, in our words.
//!
//! It is made once, stored with the goal event, and never changed: retries and replays send the same thing.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

pub use crate::consent::DataProcessing;
use crate::consent::{Consent, Europe};
use crate::conversion::DedupeKey;
use crate::identity::Contact;
use crate::time::Timestamp;

pub mod server_event;

/// One event on its way out. Stored in great numbers, so its keys are short and what is not set is left out.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct OutboundEvent {
    /// The name it is sent under.
    pub event_name: String,
    /// When the conversion happened; never the time of sending.
    pub event_time: Timestamp,
    /// The id that browser, server and retries share.
    pub event_id: String,
    /// `website`, `system_generated`, …
    #[serde(rename = "from")]
    pub action_source: String,
    /// The page, canonical.
    #[serde(rename = "page", skip_serializing_if = "Option::is_none")]
    pub event_source_url: Option<String>,
    /// The page before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub referrer_url: Option<String>,
    /// The value as an exact decimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// The value's currency.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
    /// Why the value is not simply the conversion's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value_basis: Option<String>,
    /// Whether the platform may use it for attribution only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opt_out: Option<bool>,
    /// Limits of use that the platform is told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_processing: Option<DataProcessing>,
    /// What the visitor has said about the use of their data.
    #[serde(skip_serializing_if = "is_default")]
    pub consent: Consent,
    /// Hashed contact values.
    #[serde(skip_serializing_if = "is_default")]
    pub contact: Contact,
    /// Plain identifiers of the visitor.
    #[serde(skip_serializing_if = "is_default")]
    pub visitor: Visitor,
    /// Further attributes: contents, order id, quality attributes and whatever else the sender gave.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub custom: Map<String, Value>,
    /// Objects that only some platforms know and that are passed on as given: `app_data`, `original_event_data`, …
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub extra: Map<String, Value>,
    /// What the tracker knows about how it came about; for macros of postback URLs.
    pub origin: Origin,
    /// The event of before that this one adjusts, as its sale was taken back, or stands again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub adjustment: Option<Adjustment>,
}

impl OutboundEvent {
    /// When what it tells was known here: of an adjustment when it was booked, of others when it happened. Limits of age
    /// are held against it, so that a refund that is reported late can still be told.
    #[must_use]
    pub fn known_at(&self) -> Timestamp {
        let booked_at = self.adjustment.as_ref().and_then(|adjustment| adjustment.booked_at);
        booked_at.unwrap_or(self.event_time)
    }
}

/// What an event adjusts. Its own value is what is left; its time is that of the reversal.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Adjustment {
    /// The id of the goal event of before.
    pub event: String,
    /// When that one happened.
    pub event_time: Timestamp,
    /// The movement that it follows.
    pub movement: u32,
    /// When that movement was booked: later than when it happened, if it was reported late.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub booked_at: Option<Timestamp>,
    /// What is left of the value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub left: Option<String>,
    /// What is taken off since the last that was told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub taken_back: Option<String>,
    /// Whether something is left again after it was told that nothing is.
    #[serde(skip_serializing_if = "is_default")]
    pub again: bool,
}

/// Identifiers of the visitor that are sent as they are.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Visitor {
    /// The visitor's own address.
    #[serde(rename = "ip", skip_serializing_if = "Option::is_none")]
    pub client_ip_address: Option<String>,
    /// The user agent, as sent.
    #[serde(rename = "agent", skip_serializing_if = "Option::is_none")]
    pub client_user_agent: Option<String>,
    /// Meta's click cookie.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fbc: Option<String>,
    /// Meta's browser cookie.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fbp: Option<String>,
    /// Ad click ids by the parameter's name.
    #[serde(rename = "ad_ids", skip_serializing_if = "Map::is_empty")]
    pub ad_click_ids: Map<String, Value>,
    /// Other plain identifiers by the platform's name: `lead_id`, `subscription_id`, `madid`, …
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub other: Map<String, Value>,
}

/// How the event came about.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Origin {
    /// The goal.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub goal: String,
    /// The conversion's id.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub conversion: String,
    /// The click's id, empty without one.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub click_id: String,
    /// When the click was captured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub click_time: Option<Timestamp>,
    /// The campaign, empty without a click.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub campaign: String,
    /// The source, empty without a click.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub source: String,
    /// The partner.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub partner: String,
    /// The transaction id, empty without one.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub transaction_id: String,
    /// The partner's name for what happened.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub event: String,
    /// The durable key of the person or order, as the partner sent it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub external_id: String,
    /// The status in our words.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub status: String,
    /// The commission as a decimal, empty if none was stated.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub payout: String,
    /// The order's amount as a decimal, empty if none was stated.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub revenue: String,
    /// The currency of the amounts.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub currency: String,
    /// Which of the amounts the event's value was taken from, as in the goal's `send_value`: what is left of it later is
    /// read from the same, whatever the goal says by then. Empty in events that are older than this.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub value_of: String,
    /// The click's own parameters.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub params: Map<String, Value>,
    /// Whether the visitor's address is in Europe, or was.
    #[serde(skip_serializing_if = "Europe::is_unsaid")]
    pub europe: Europe,
    /// Strings of consent frameworks that came malformed with the click, and so count as absent.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub malformed: Vec<String>,
    /// Whether its person was erased: it is sent to nobody any more.
    #[serde(skip_serializing_if = "is_default")]
    pub erased: bool,
    /// How many servers the call had come through that it follows from.
    #[serde(skip_serializing_if = "is_default")]
    pub hops: u8,
}

/// Events are stored in great numbers: what is not set is not written.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Derives the id that a conversion's events share when no browser made one. It depends on nothing but the dedupe key,
/// so that a retry, a second node or a restored backup derives the same.
#[must_use]
pub fn derived_event_id(key: &DedupeKey, own_goal: Option<&str>) -> String {
    let mut hash = Sha256::new();
    // Length-prefixed pieces: no two different keys read the same.
    for piece in [key.partner.as_str(), key.key.as_str(), own_goal.unwrap_or("")] {
        hash.update(u64::try_from(piece.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(piece.as_bytes());
    }
    let digest = hash.finalize();
    digest.iter().take(16).fold(String::with_capacity(32), |mut text, byte| {
        use std::fmt::Write as _;
        write!(text, "{byte:02x}").expect("writing to a String cannot fail");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(partner: &str, key: &str) -> DedupeKey {
        DedupeKey { partner: partner.into(), key: key.into() }
    }

    #[test]
    fn derived_ids_are_stable_and_distinct() {
        let id = derived_event_id(&key("acme", "t:1"), None);
        assert_eq!(id, derived_event_id(&key("acme", "t:1"), None));
        assert_eq!(id.len(), 32);
        assert_ne!(id, derived_event_id(&key("acme", "t:2"), None));
        assert_ne!(id, derived_event_id(&key("acmet", ":1"), None));
        assert_ne!(id, derived_event_id(&key("acme", "t:1"), Some("approve")));
    }
}
