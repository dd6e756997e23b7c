//! Google's Data Manager API: conversions for Google Ads.
//!
//! It takes a batch or refuses it with the places of what is wrong; whether an event it took is counted shows only later,
//! so "taken, not proven" is the best that an answer says. It cannot take a conversion out of the count: where the settings
//! ask for that, adjustments go to the Google Ads API (`ads.rs`), in requests of their own. The rules and their sources
//! stand in `docs/destinations/google_data_manager.md`.

use std::collections::BTreeMap;

use crosstally_core::config::Setting;
use crosstally_core::event::OutboundEvent;
use crosstally_core::reversal::leaves_nothing;
use crosstally_core::time::Timestamp;

use crate::dialect::{
    AccessToken, Built, Dialect, Lookback, Reading, Request, Response, SettingField, SettingProblem,
    Settings, TestMode, Told,
};
use crate::oauth;

mod ads;
mod config;
mod lookback;
mod request;
mod response;
#[cfg(test)]
mod tests;

/// The dialect of the Data Manager API.
#[derive(Debug, Clone, Copy)]
pub struct GoogleDataManager;

impl Dialect for GoogleDataManager {
    fn kind(&self) -> &'static str {
        "google_data_manager"
    }

    fn help(&self) -> &'static str {
        "Conversion actions of a Google Ads account, through the Data Manager API."
    }

    fn fields(&self) -> &'static [SettingField] {
        config::FIELDS
    }

    fn test_mode(&self) -> TestMode {
        TestMode::Flag("validate_only")
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

    fn sign_in(&self, settings: &Settings) -> Option<Request> {
        Some(oauth::refresh(settings, config::TOKEN_ENDPOINT))
    }

    fn signed_in(
        &self,
        settings: &Settings,
        response: &Response,
        now: Timestamp,
    ) -> Result<AccessToken, Reading> {
        oauth::read(settings, response, now)
    }

    fn told(&self) -> Told {
        Told { denial: true, asked_in_europe: true, ..Told::LIMITS }
    }

    fn adjusts(&self, settings: &Settings, event: &OutboundEvent) -> bool {
        let asked = settings.flag("adjustments") || config::retracts(settings);
        ads::takes(settings, event) || asked && event.value.is_some()
    }

    fn retracts(&self, settings: &Settings, event: &OutboundEvent) -> bool {
        ads::takes(settings, event) && leaves_nothing(event)
    }

    fn build(&self, settings: &Settings, events: &[OutboundEvent], now: Timestamp) -> Built {
        ads::apart(settings, events, |events, adjustments| match adjustments {
            true => ads::build(settings, events, now),
            false => request::build(settings, events, now),
        })
    }

    fn read(&self, settings: &Settings, response: &Response, sent: usize, now: Timestamp) -> Reading {
        response::read(settings, response, sent, now)
    }

    fn receipt(&self, settings: &Settings, response: &Response) -> Option<String> {
        lookback::receipt(settings, response)
    }

    fn lookback(&self, settings: &Settings, receipt: &str) -> Option<Request> {
        Some(lookback::request(settings, receipt))
    }

    fn read_lookback(&self, settings: &Settings, response: &Response, sent: &[String]) -> Lookback {
        lookback::read(settings, response, sent)
    }

    fn read_answer_to(
        &self,
        request: &Request,
        settings: &Settings,
        response: &Response,
        sent: usize,
        now: Timestamp,
    ) -> Reading {
        match ads::is_call(request) {
            true => ads::answer::read(settings, request, response, sent, now),
            false => self.read(settings, response, sent, now),
        }
    }
}
