//! X, formerly Twitter: the Conversions API.
//!
//! One bad event sinks the whole batch without being named for certain, so a refused batch is halved until the bad one
//! stands alone. The rules and their sources stand in `docs/destinations/x.md`.

use std::collections::BTreeMap;

use crosstally_core::config::Setting;
use crosstally_core::event::OutboundEvent;
use crosstally_core::time::Timestamp;

use crate::dialect::{Built, Dialect, Reading, Response, SettingField, SettingProblem, Settings, TestMode};

mod config;
mod oauth1;
mod request;
mod response;
#[cfg(test)]
mod tests;

/// The dialect of X's Conversions API.
#[derive(Debug, Clone, Copy)]
pub struct X;

impl Dialect for X {
    fn kind(&self) -> &'static str {
        "x"
    }

    fn help(&self) -> &'static str {
        "A pixel of X (Twitter), through the Conversions API."
    }

    fn fields(&self) -> &'static [SettingField] {
        config::FIELDS
    }

    fn test_mode(&self) -> TestMode {
        TestMode::Missing("make an event of its own for tests in Events Manager")
    }

    fn check(&self, settings: &BTreeMap<String, Setting>) -> Vec<SettingProblem> {
        config::check(settings)
    }

    fn batch_max(&self) -> usize {
        request::BATCH_MAX
    }

    fn max_age_ms(&self, _settings: &BTreeMap<String, Setting>, _action_source: &str) -> i64 {
        request::AGE_MAX_MS
    }

    fn build(&self, settings: &Settings, events: &[OutboundEvent], now: Timestamp) -> Built {
        request::build(settings, events, now)
    }

    fn read(&self, settings: &Settings, response: &Response, sent: usize, now: Timestamp) -> Reading {
        response::read(settings, response, sent, now)
    }
}
