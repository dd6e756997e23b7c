//! Meta: the Conversions API of Facebook and Instagram.
//!
//! `config` holds the settings, `rules` what Meta would refuse, `request` what is sent and `response` what the answers
//! mean. The rules and their sources stand in `docs/destinations/meta.md`.

use std::collections::BTreeMap;

use crosstally_core::config::Setting;
use crosstally_core::event::OutboundEvent;
use crosstally_core::time::{DAY_MS, Timestamp};

use crate::dialect::{
    Built, Dialect, Reading, Response, SettingField, SettingProblem, Settings, TestMode, Told,
};

mod config;
mod request;
mod response;
mod rules;
#[cfg(test)]
mod tests;

/// The dialect of Meta's Conversions API.
#[derive(Debug, Clone, Copy)]
pub struct Meta;

impl Dialect for Meta {
    fn kind(&self) -> &'static str {
        "meta"
    }

    fn help(&self) -> &'static str {
        "A dataset (pixel) of Meta, through the Conversions API."
    }

    fn fields(&self) -> &'static [SettingField] {
        config::FIELDS
    }

    fn test_mode(&self) -> TestMode {
        TestMode::Code { setting: "test_event_code", from: "Events Manager, Test Events", counts: true }
    }

    fn check(&self, settings: &BTreeMap<String, Setting>) -> Vec<SettingProblem> {
        config::check(settings)
    }

    fn batch_max(&self) -> usize {
        request::BATCH_MAX
    }

    fn max_age_ms(&self, _settings: &BTreeMap<String, Setting>, action_source: &str) -> i64 {
        rules::max_age_ms(action_source)
    }

    fn recognises_for_ms(&self) -> Option<i64> {
        Some(2 * DAY_MS)
    }

    fn told(&self) -> Told {
        Told::BOTH
    }

    fn build(&self, settings: &Settings, events: &[OutboundEvent], now: Timestamp) -> Built {
        request::build(settings, events, now)
    }

    fn read(&self, settings: &Settings, response: &Response, sent: usize, now: Timestamp) -> Reading {
        response::read(settings, response, sent, now)
    }
}
