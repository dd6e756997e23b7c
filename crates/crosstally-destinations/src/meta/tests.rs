//! What is sent to Meta, what is not, and what its answers come to.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use crosstally_core::event::OutboundEvent;
use serde_json::Value;

use super::Meta;
use crate::dialect::{Built, Dialect, Settings};
use crate::sample::{NOW, TOKEN, changed, event, of_kind, read};

mod answers;
mod batches;
mod ldu;
mod left_out;
mod sdk;
mod settings;

fn settings(more: &[(&str, &str)]) -> Settings {
    of_kind("meta", more)
}

fn build(events: &[OutboundEvent]) -> Built {
    Meta.build(&settings(&[]), events, NOW)
}

fn body(built: &Built) -> Value {
    serde_json::from_slice(&built.request.as_ref().unwrap().body).unwrap()
}
