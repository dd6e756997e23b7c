//! TikTok: the Events API, version 1.3, with the payload that TikTok calls Events API 2.0.
//!
//! The rules and their sources stand in `docs/destinations/tiktok.md`.

use std::collections::BTreeMap;

use crosstally_core::config::Setting;
use crosstally_core::event::OutboundEvent;
use crosstally_core::time::Timestamp;

use crate::dialect::{Built, Dialect, Reading, Response, SettingField, SettingProblem, Settings};

mod config;
mod request;
mod response;
#[cfg(test)]
mod tests;

/// The dialect of TikTok's Events API.
#[derive(Debug, Clone, Copy)]
pub struct Tiktok;

impl Dialect for Tiktok {
    fn kind(&self) -> &'static str {
        "tiktok"
    }

    fn help(&self) -> &'static str {
        "A pixel or event set of TikTok, through the Events API."
    }

    fn fields(&self) -> &'static [SettingField] {
        config::FIELDS
    }

    fn check(&self, settings: &BTreeMap<String, Setting>) -> Vec<SettingProblem> {
        config::check(settings)
    }

    fn batch_max(&self) -> usize {
        request::BATCH_MAX
    }

    fn max_age_ms(&self, settings: &BTreeMap<String, Setting>, _action_source: &str) -> i64 {
        config::max_age_ms(settings)
    }

    fn build(&self, settings: &Settings, events: &[OutboundEvent], now: Timestamp) -> Built {
        request::build(settings, events, now)
    }

    fn read(&self, settings: &Settings, response: &Response, _sent: usize, now: Timestamp) -> Reading {
        response::read(settings, response, now)
    }
}
