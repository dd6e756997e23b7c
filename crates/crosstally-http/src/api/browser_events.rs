//! What a click's browser told, as it is shown: each event, and whether a conversion carries its id.

use crosstally_core::browser::BrowserEvent;
use crosstally_core::consent::Consent;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// An event of a browser.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct BrowserEventOut {
    /// Its name.
    pub name: String,
    /// Its id.
    pub event_id: String,
    /// When it happened.
    pub at: String,
    /// When it came.
    pub received_at: String,
    /// The order that the page named.
    pub transaction_id: Option<String>,
    /// The page, canonical.
    pub page: String,
    /// The `_fbc` value.
    pub fbc: String,
    /// The `_fbp` value.
    pub fbp: String,
    /// The visitor's address.
    pub ip: Option<String>,
    /// The visitor's user agent.
    pub user_agent: String,
    /// What the visitor had said.
    pub consent: Consent,
    /// What else the page said.
    pub fields: Map<String, Value>,
    /// `met` if a conversion carries its id, `open` if none does so far, `look` if none ever will.
    pub pair: String,
    /// The conversion that carries its id.
    pub conversion: Option<CarrierOut>,
}

/// The name of a conversion.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CarrierOut {
    /// The partner.
    pub partner: String,
    /// The key under which it is unique.
    pub key: String,
}

impl From<&BrowserEvent> for BrowserEventOut {
    fn from(event: &BrowserEvent) -> Self {
        let pair = match (&event.taken_by, event.is_qualified()) {
            (Some(_), _) => "met",
            (None, true) => "open",
            (None, false) => "look",
        };
        let carrier = event.taken_by.as_ref();
        Self {
            name: event.name.clone(),
            event_id: event.event_id.clone(),
            at: event.at.to_string(),
            received_at: event.received_at.to_string(),
            transaction_id: event.transaction_id.clone(),
            page: event.page.clone(),
            fbc: event.fbc.clone(),
            fbp: event.fbp.clone(),
            ip: event.ip.map(|ip| ip.to_canonical().to_string()),
            user_agent: event.user_agent.clone(),
            consent: event.consent.clone(),
            fields: event.fields.clone(),
            pair: pair.to_owned(),
            conversion: carrier.map(|key| CarrierOut { partner: key.partner.clone(), key: key.key.clone() }),
        }
    }
}
