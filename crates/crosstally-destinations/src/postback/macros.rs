//! What each macro stands for.
//!
//! A macro without a value becomes nothing, and so does a value that is itself an unfilled macro of an ad source: none
//! ever leaves as its own name.

use std::borrow::Cow;

use crosstally_core::click::looks_like_macro;
use crosstally_core::event::OutboundEvent;
use crosstally_core::macro_names::{CLICK_PREFIX, CONSTANT_PREFIX, built_in};
use crosstally_core::secret::Secret;
use crosstally_core::template::{Macro, Unresolved};
use crosstally_core::time::Timestamp;
use serde_json::{Map, Value};

use super::effective::Effective;

/// Where the values of one call come from.
#[derive(Clone, Copy)]
pub(super) struct Values<'a> {
    pub(super) event: &'a OutboundEvent,
    pub(super) effective: &'a Effective<'a>,
    pub(super) secret: Option<&'a Secret>,
}

impl<'a> Values<'a> {
    /// The value of a macro, if it has one.
    ///
    /// # Errors
    /// It names a constant that the destination does not have.
    pub(super) fn of(self, found: &Macro) -> Result<Option<Cow<'a, str>>, Unresolved> {
        if let Some(name) = found.name.strip_prefix(CONSTANT_PREFIX) {
            let why = "the destination has no such constant";
            let missing = || Unresolved { name: found.name.clone(), why };
            return self.effective.constant(name).map(|text| Some(Cow::Borrowed(text))).ok_or_else(missing);
        }
        let text = match built_in(&found.name) {
            _ if found.name.starts_with(CLICK_PREFIX) => self.param(&found.name),
            Some((name, _)) => match self.own(name) {
                Own::Text(text) => Some(text),
                Own::Made(text) => return Ok(text.map(Cow::Owned)),
                Own::Secret => return Ok(self.secret.map(|secret| Cow::Borrowed(secret.expose()))),
            },
            None => self.param(&found.name),
        };
        Ok(text.filter(|text| !text.is_empty() && !looks_like_macro(text)).map(Cow::Borrowed))
    }

    fn own(self, name: &str) -> Own<'a> {
        let event = self.event;
        let origin = &event.origin;
        let seconds = |at: Timestamp| at.as_seconds().to_string();
        let millis = |at: Timestamp| at.as_millis().to_string();
        Own::Text(match name {
            "secret" => return Own::Secret,
            "event_time" => return Own::Made(Some(seconds(event.event_time))),
            "event_time_ms" => return Own::Made(Some(millis(event.event_time))),
            "click_time" => return Own::Made(origin.click_time.map(seconds)),
            "click_time_ms" => return Own::Made(origin.click_time.map(millis)),
            "source_click_id" => self.source_click_id().unwrap_or_default(),
            "click_id" => &origin.click_id,
            "transaction_id" => &origin.transaction_id,
            "status" => &origin.status,
            "payout" => &origin.payout,
            "revenue" => &origin.revenue,
            "value" => event.value.as_deref().unwrap_or_default(),
            "currency" => event.currency.as_deref().unwrap_or(&origin.currency),
            "event_name" => &event.event_name,
            "event_id" => &event.event_id,
            "event" => &origin.event,
            "external_id" => &origin.external_id,
            "campaign" => &origin.campaign,
            "source" => &origin.source,
            "partner" => &origin.partner,
            "goal" => &origin.goal,
            "conversion_id" => &origin.conversion,
            _ => "",
        })
    }

    /// The source's own click id: the first of the parameters in which it may stand.
    fn source_click_id(self) -> Option<&'a str> {
        let usable = |text: &&str| !text.is_empty() && !looks_like_macro(text);
        self.effective.click_params().find_map(|name| self.param(name).filter(usable))
    }

    /// A value of the click's own.
    fn param(self, name: &str) -> Option<&'a str> {
        let name = name.strip_prefix(CLICK_PREFIX).unwrap_or(name);
        named(&self.event.visitor.ad_click_ids, name).or_else(|| named(&self.event.origin.params, name))
    }
}

/// A value of our own.
enum Own<'a> {
    Text(&'a str),
    Made(Option<String>),
    Secret,
}

/// A click's own value: by the name as it is, else in any case.
fn named<'a>(map: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    let value = map
        .get(name)
        .or_else(|| map.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value));
    value.and_then(Value::as_str)
}
