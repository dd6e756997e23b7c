//! What somebody says that a receipt should have said, and what of it comes too late.

use serde_json::{Map, Value};

use super::Case;

/// A repair: what a receipt is to say in place of what it says.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct Repair {
    /// Our fields, and the values they are to have. An empty value takes the field away.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub set: Map<String, Value>,
    /// Whether a swallowed call was real: it becomes a conversion of its own.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub real: bool,
}

impl Repair {
    /// Whether it changes nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// This repair after an earlier one.
    #[must_use]
    pub fn after(mut self, earlier: &Self) -> Self {
        for (field, value) in &earlier.set {
            if !self.set.contains_key(field) {
                self.set.insert(field.clone(), value.clone());
            }
        }
        self.real |= earlier.real;
        self
    }
}

/// Which of the fields of a repair its conversion keeps as they are, if it stays the receipt's: what platforms and the ledger
/// were told of is not told otherwise.
#[must_use]
pub fn kept_in_place(case: &Case<'_>, repair: &Repair) -> Option<&'static str> {
    let (old, postback) = (case.old?, case.reading.ok()?);
    let known = &old.conversion;
    let own = old.entries.iter().rfind(|entry| entry.receipt == case.receipt.id);
    let happened = own.map_or(known.event_time, |own| own.event_time);
    let differs = |field: &&str| match *field {
        "event_time" => postback.event_time.unwrap_or(case.receipt.received_at) != happened,
        "event_id" => known.event_id.is_some() && known.event_id != postback.event_id,
        _ => known.external_id.is_some() && known.external_id != postback.external_id,
    };
    ["event_time", "event_id", "external_id"]
        .into_iter()
        .filter(|field| repair.set.contains_key(*field))
        .find(differs)
}
