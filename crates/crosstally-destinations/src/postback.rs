//! A generic server-to-server postback: one call per event to a partner's URL, its macros filled in.
//!
//! `config` holds the settings and what is wrong with them, `preset` what is known of traffic sources, `effective` what
//! follows from both; `macros` is what each macro stands for, `escape` how its value is written, `request` the call,
//! `leftover` the last look at it, `told` what it says of a visitor's wishes, and `response` what its answer means. The
//! decisions stand in `docs/destinations/postback.md`.

use std::collections::BTreeMap;

use crosstally_core::config::{MacroUse, Setting};
use crosstally_core::consent::Objection;
use crosstally_core::event::OutboundEvent;
use crosstally_core::reason::Reason;
use crosstally_core::time::Timestamp;

use crate::age;
use crate::dialect::{Built, Dialect, Reading, Request, Response, SettingField, SettingProblem, Settings};

mod config;
mod effective;
mod escape;
mod example;
mod leftover;
mod macros;
mod prefix;
pub mod preset;
mod request;
mod response;
#[cfg(test)]
mod tests;
mod told;

/// The dialect of generic postbacks.
#[derive(Debug, Clone, Copy)]
pub struct Postback;

impl Dialect for Postback {
    fn kind(&self) -> &'static str {
        "postback"
    }

    fn help(&self) -> &'static str {
        "A partner's postback URL with macros, called once per event."
    }

    fn fields(&self) -> &'static [SettingField] {
        config::FIELDS
    }

    fn check(&self, settings: &BTreeMap<String, Setting>) -> Vec<SettingProblem> {
        config::check(settings)
    }

    fn batch_max(&self) -> usize {
        1
    }

    fn max_age_ms(&self, settings: &BTreeMap<String, Setting>, _action_source: &str) -> i64 {
        age::max_ms(settings)
    }

    fn passes_on(&self, settings: &Settings, event: &OutboundEvent, objection: Objection) -> bool {
        told::objection(settings, event, objection)
    }

    fn macros(&self, settings: &BTreeMap<String, Setting>) -> Vec<MacroUse> {
        example::macros(settings)
    }

    fn example(&self, settings: &BTreeMap<String, Setting>) -> Option<Result<Request, String>> {
        Some(example::request(settings))
    }

    /// Where the call says a status at all, and has a word for this one.
    fn adjusts(&self, settings: &Settings, event: &OutboundEvent) -> bool {
        let unresolved = || {
            let built = request::build(settings, std::slice::from_ref(event), event.event_time);
            built.left_out.iter().any(|left| left.reason == Reason::TemplateUnresolved)
        };
        config::has_macro(settings, "status") && !unresolved()
    }

    fn build(&self, settings: &Settings, events: &[OutboundEvent], now: Timestamp) -> Built {
        request::build(settings, events, now)
    }

    fn read(&self, settings: &Settings, response: &Response, _sent: usize, now: Timestamp) -> Reading {
        response::read(settings, response, now)
    }
}
