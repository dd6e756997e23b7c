//! A kind of destination as a row: what its dialect is made of.

use std::collections::BTreeMap;

use crosstally_core::config::Setting;
use crosstally_core::event::OutboundEvent;
use crosstally_core::time::Timestamp;

use crate::batch::{self, Limits};
use crate::dialect::{
    Built, Dialect, Reading, Request, Response, SettingField, SettingProblem, Settings, TestMode, Told,
};
use crate::json::{self, Object};
use crate::refused::Refused;

/// The parts of a dialect. What is not described is the method of [`Dialect`] of the same name.
#[derive(Debug)]
pub struct Platform {
    pub(crate) kind: &'static str,
    pub(crate) help: &'static str,
    pub(crate) fields: &'static [SettingField],
    pub(crate) test_mode: TestMode,
    pub(crate) check: fn(&BTreeMap<String, Setting>) -> Vec<SettingProblem>,
    /// What one request may carry.
    pub(crate) limits: Limits,
    /// What it can be told about an event that must not be used in full.
    pub(crate) told: Told,
    /// Whether it takes an event that adjusts another one.
    pub(crate) adjusts: fn(&Settings, &OutboundEvent) -> bool,
    /// How long it recognises an event that it took, where it says so.
    pub(crate) recognises_for_ms: Option<i64>,
    pub(crate) max_age_ms: fn(&BTreeMap<String, Setting>) -> i64,
    /// Writes one event, or says why it is left out.
    pub(crate) write: fn(&Settings, &OutboundEvent, Timestamp, &mut Object<'_>) -> Result<(), Refused>,
    /// Puts payloads, which have this many bytes, into a request.
    pub(crate) request: fn(&Settings, &[String], usize) -> Request,
    pub(crate) read: fn(&Settings, &Response, usize, Timestamp) -> Reading,
}

impl Dialect for Platform {
    fn kind(&self) -> &'static str {
        self.kind
    }

    fn help(&self) -> &'static str {
        self.help
    }

    fn fields(&self) -> &'static [SettingField] {
        self.fields
    }

    fn test_mode(&self) -> TestMode {
        self.test_mode
    }

    fn check(&self, settings: &BTreeMap<String, Setting>) -> Vec<SettingProblem> {
        (self.check)(settings)
    }

    fn batch_max(&self) -> usize {
        self.limits.events
    }

    fn max_age_ms(&self, settings: &BTreeMap<String, Setting>, _action_source: &str) -> i64 {
        (self.max_age_ms)(settings)
    }

    fn adjusts(&self, settings: &Settings, event: &OutboundEvent) -> bool {
        (self.adjusts)(settings, event)
    }

    fn recognises_for_ms(&self) -> Option<i64> {
        self.recognises_for_ms
    }

    fn told(&self) -> Told {
        self.told
    }

    fn build(&self, settings: &Settings, events: &[OutboundEvent], now: Timestamp) -> Built {
        let payload = |event: &OutboundEvent| {
            let mut written = Ok(());
            let json = json::object(1024, |object| written = (self.write)(settings, event, now, object));
            written.map(|()| json)
        };
        batch::gather(events, self.limits, payload, |payloads, bytes| {
            (self.request)(settings, payloads, bytes)
        })
    }

    fn read(&self, settings: &Settings, response: &Response, sent: usize, now: Timestamp) -> Reading {
        (self.read)(settings, response, sent, now)
    }
}
