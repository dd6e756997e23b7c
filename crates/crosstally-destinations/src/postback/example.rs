//! What a destination's templates ask for, and what they look like filled in with sample values.

use std::collections::BTreeMap;

use crosstally_core::config::{MacroUse, Setting};
use crosstally_core::consent::Europe;
use crosstally_core::event::{Origin, OutboundEvent};
use crosstally_core::macro_names::CLICK_PREFIX;
use crosstally_core::secret::Secret;
use crosstally_core::time::Timestamp;
use serde_json::{Map, Value};

use super::effective::Effective;
use super::request;
use crate::dialect::{Request, Settings};

/// 2026-01-31T12:00:00Z: a day that no format writes like a month.
const SAMPLE_TIME: Timestamp = Timestamp::from_millis(1_769_860_800_000);
/// What stands for a secret until it is masked; no partner's own text.
const SAMPLE_SECRET: &str = "5ecre7-c4f1b2";

/// The macros of all templates.
pub(super) fn macros(settings: &BTreeMap<String, Setting>) -> Vec<MacroUse> {
    let effective = Effective::of(settings);
    let mut uses = Vec::new();
    for (setting, text, escape) in effective.templates() {
        let setting = if settings.contains_key(setting) { setting } else { "preset" };
        for found in effective.template(text, escape).0.macros() {
            let click_params = effective.click_params().map(str::to_owned).collect();
            uses.push(MacroUse { setting, found: found.clone(), click_params });
        }
    }
    uses
}

/// The call of a sample conversion in which every macro of a click has a value.
pub(super) fn request(settings: &BTreeMap<String, Setting>) -> Result<Request, String> {
    let used = macros(settings);
    let mut params = Map::new();
    for name in used.iter().map(|used| used.found.name.as_str()).chain(["source_click_id"]) {
        let name = name.strip_prefix(CLICK_PREFIX).unwrap_or(name);
        params.insert(name.to_owned(), Value::from(format!("{name}-1")));
    }
    let click_params = used.iter().flat_map(|used| &used.click_params);
    params.extend(click_params.map(|name| (name.clone(), Value::from("source-click-1"))));
    let secrets = BTreeMap::from([("secret".to_owned(), Secret::new(SAMPLE_SECRET))]);
    let settings = Settings { values: settings.clone(), secrets, ..Settings::default() };
    let mut built = request::build(&settings, &[event(params)], SAMPLE_TIME);
    match (built.request, built.left_out.pop()) {
        (Some(request), _) => Ok(request),
        (None, left) => Err(left.map_or_else(String::new, |left| left.detail)),
    }
}

fn event(params: Map<String, Value>) -> OutboundEvent {
    let text = str::to_owned;
    OutboundEvent {
        event_name: text("Purchase"),
        event_time: SAMPLE_TIME,
        event_id: text("event-1"),
        value: Some(text("12.34")),
        currency: Some(text("USD")),
        origin: Origin {
            goal: text("purchase"),
            conversion: text("conversion-1"),
            click_id: text("click-1"),
            click_time: Some(SAMPLE_TIME.plus_millis(-3_600_000)),
            campaign: text("campaign-1"),
            source: text("source-1"),
            partner: text("partner-1"),
            transaction_id: text("T-1001"),
            event: text("sale"),
            external_id: text("external-1"),
            status: text("approved"),
            payout: text("12.34"),
            revenue: text("99.00"),
            currency: text("USD"),
            params,
            malformed: Vec::new(),
            europe: Europe::Unsaid,
            erased: false,
            hops: 0,
            value_of: String::new(),
        },
        ..OutboundEvent::default()
    }
}
