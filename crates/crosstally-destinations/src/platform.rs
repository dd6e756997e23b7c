//! A kind of destination as a row: what its dialect is made of.

use std::collections::BTreeMap;

use crosstally_core::config::Setting;
use crosstally_core::event::OutboundEvent;
use crosstally_core::time::Timestamp;

use crate::dialect::{Built, Dialect, Reading, Response, SettingField, SettingProblem, Settings};

/// The parts of a dialect; each is the method of [`Dialect`] of the same name.
#[derive(Debug)]
pub struct Platform {
    pub(crate) kind: &'static str,
    pub(crate) help: &'static str,
    pub(crate) fields: &'static [SettingField],
    pub(crate) check: fn(&BTreeMap<String, Setting>) -> Vec<SettingProblem>,
    pub(crate) batch_max: usize,
    pub(crate) max_age_ms: fn(&BTreeMap<String, Setting>) -> i64,
    pub(crate) build: fn(&Settings, &[OutboundEvent], Timestamp) -> Built,
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

    fn check(&self, settings: &BTreeMap<String, Setting>) -> Vec<SettingProblem> {
        (self.check)(settings)
    }

    fn batch_max(&self) -> usize {
        self.batch_max
    }

    fn max_age_ms(&self, settings: &BTreeMap<String, Setting>, _action_source: &str) -> i64 {
        (self.max_age_ms)(settings)
    }

    fn build(&self, settings: &Settings, events: &[OutboundEvent], now: Timestamp) -> Built {
        (self.build)(settings, events, now)
    }

    fn read(&self, settings: &Settings, response: &Response, sent: usize, now: Timestamp) -> Reading {
        (self.read)(settings, response, sent, now)
    }
}
