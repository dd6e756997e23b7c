//! `custom_data`: the standard keys that only Meta has. Keys of the sender's own are free.

use serde_json::{Map, Value};

use super::SEGMENTS;
use crate::custom::{self, Shapes};
use crate::field::Kind;
use crate::refused::Refused;

const DELIVERY: &[&str] = &["in_store", "curbside", "home_delivery"];

const OWN: Shapes = Shapes {
    fields: &[
        ("item_number", Kind::Text),
        ("net_revenue", Kind::Number),
        ("delivery_category", Kind::Word(DELIVERY)),
        ("lead_event_source", Kind::Text),
        ("event_source", Kind::Text),
        ("customer_segmentation", Kind::Word(SEGMENTS)),
    ],
    item: &[("delivery_category", Kind::Word(DELIVERY)), ("description", Kind::Text)],
    item_needs: &["id", "quantity"],
};

/// All keys but the money.
pub(super) fn check(custom: &Map<String, Value>) -> Result<(), Refused> {
    custom::check(custom)?;
    OWN.check(custom)
}
