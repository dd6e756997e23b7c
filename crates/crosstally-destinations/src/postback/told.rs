//! What a call tells of the visitor's wishes: only that for which it has a macro, and only if a value stands there for this
//! event. What follows from a wish that is not told is not known here.

use crosstally_core::consent::Objection;
use crosstally_core::event::OutboundEvent;
use crosstally_core::macro_names::CLICK_PREFIX;
use serde_json::{Map, Value};

use super::effective::Effective;
use super::macros::Values;
use crate::dialect::Settings;

/// The click's parameter that limits use, and the word for it. No macro of ours stands for what a server event says of it.
const LIMITS: (&str, &str) = ("data_processing_options", "LDU");

/// Whether the call hands on what stands against the event.
pub(super) fn objection(settings: &Settings, event: &OutboundEvent, objection: Objection) -> bool {
    event.consent.told_by(objection).is_some_and(|(name, said)| hands_on(settings, event, name, said))
}

/// Whether the call hands on that use is limited: the click's own parameter says so.
pub(super) fn limits(settings: &Settings, event: &OutboundEvent) -> bool {
    let (name, word) = LIMITS;
    // Few clicks have it, and each event is asked.
    let has = |map: &Map<String, Value>| map.keys().any(|key| key.eq_ignore_ascii_case(name));
    (has(&event.visitor.ad_click_ids) || has(&event.origin.params)) && hands_on(settings, event, name, word)
}

/// Whether this value of a macro leaves with the call, as it is or in the partner's own word for it.
fn hands_on(settings: &Settings, event: &OutboundEvent, name: &str, said: &str) -> bool {
    let effective = Effective::of(&settings.values);
    let values = Values { event, effective: &effective, secret: settings.secret("secret") };
    let is_named = |found: &str| found.strip_prefix(CLICK_PREFIX).unwrap_or(found).eq_ignore_ascii_case(name);
    effective.templates().into_iter().any(|(_, text, escape)| {
        let template = effective.known(&settings.templates, text, escape);
        template.macros().filter(|found| is_named(&found.name)).any(|found| {
            let value = values.of(found).ok().flatten().filter(|value| value.eq_ignore_ascii_case(said));
            value.is_some_and(|value| {
                found.apply(Some(value)).is_ok_and(|told| told.is_some_and(|told| !told.is_empty()))
            })
        })
    })
}
