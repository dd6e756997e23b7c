//! Signed webhooks: events to a partner's own endpoint, signed as Standard Webhooks asks for.
//!
//! `config` holds the settings, `sign` the signatures, `request` the call and `response` what its answer means. The
//! decisions stand in `docs/destinations/webhook.md`.

use std::collections::BTreeMap;

use crosstally_core::config::Setting;
use crosstally_core::event::OutboundEvent;
use crosstally_core::time::Timestamp;

use crate::age;
use crate::dialect::{Built, Dialect, Reading, Response, SettingField, SettingProblem, Settings, Told};

mod config;
mod request;
mod response;
mod sign;
#[cfg(test)]
mod tests;

/// The dialect of signed webhooks.
#[derive(Debug, Clone, Copy)]
pub struct Webhook;

impl Dialect for Webhook {
    fn kind(&self) -> &'static str {
        "webhook"
    }

    fn help(&self) -> &'static str {
        "An endpoint that takes signed JSON (Standard Webhooks), called once per event."
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

    fn unusable_secrets(&self, settings: &Settings) -> Vec<&'static str> {
        config::unusable_secrets(settings)
    }

    fn told(&self) -> Told {
        Told { denial: true, ..Told::NOTHING }
    }

    fn adjusts(&self, _settings: &Settings, _event: &OutboundEvent) -> bool {
        true
    }

    fn build(&self, settings: &Settings, events: &[OutboundEvent], now: Timestamp) -> Built {
        request::build(settings, events, now)
    }

    fn read(&self, settings: &Settings, response: &Response, _sent: usize, now: Timestamp) -> Reading {
        response::read(settings, response, now)
    }
}
