//! Whether an event can still be sent, by its time.

use std::collections::BTreeMap;

use crosstally_core::config::Setting;
use crosstally_core::event::OutboundEvent;
use crosstally_core::reason::Reason;
use crosstally_core::time::{DAY_MS, HOUR_MS, SECOND_MS, Timestamp};

use crate::dialect::{FieldType, SettingField, SettingProblem, Settings};
use crate::refused::Refused;
use crate::setting;

/// The setting by which a partner's own patience is told.
pub(crate) const MAX_AGE_DAYS: SettingField = SettingField {
    name: "max_age_days",
    field_type: FieldType::Integer,
    required: false,
    help: "How old an event may be when it is sent, in days; 30 by default.",
};
const MAX_AGE_DAYS_DEFAULT: i64 = 30;
const MAX_AGE_DAYS_MAX: i64 = 3650;

/// The age by [`MAX_AGE_DAYS`].
pub(crate) fn max_ms(settings: &BTreeMap<String, Setting>) -> i64 {
    let days = match settings.get(MAX_AGE_DAYS.name) {
        Some(Setting::Integer(days)) => *days,
        _ => MAX_AGE_DAYS_DEFAULT,
    };
    days.clamp(1, MAX_AGE_DAYS_MAX) * DAY_MS
}

/// What is wrong with [`MAX_AGE_DAYS`].
pub(crate) fn max_problem(settings: &BTreeMap<String, Setting>) -> Option<SettingProblem> {
    setting::days(settings, MAX_AGE_DAYS.name, MAX_AGE_DAYS_MAX)
}

/// Refuses an event that is older than the settings allow.
pub(crate) fn not_too_old(settings: &Settings, event: &OutboundEvent, now: Timestamp) -> Result<(), Refused> {
    let age_max = max_ms(&settings.values);
    if now.millis_since(event.known_at()) <= age_max {
        return Ok(());
    }
    let detail = format!(
        "event_time {} is more than {} days ago, which is this destination's max_age_days",
        event.event_time,
        age_max / DAY_MS
    );
    Err(Refused { reason: Reason::EventTooOld, detail })
}

/// How far ahead of now an event's time may be: clocks disagree by a little.
pub(crate) const AHEAD_MAX_MS: i64 = 60 * SECOND_MS;

/// The time under which an event is sent: its own, or now if that is a little ahead. `platform` is named in the
/// refusal.
pub(crate) fn event_time(
    event: &OutboundEvent,
    now: Timestamp,
    age_max_ms: i64,
    platform: &str,
) -> Result<Timestamp, Refused> {
    let age = now.millis_since(event.event_time);
    if age > age_max_ms {
        let detail = format!(
            "event_time {} is {} ago; {platform} takes {} events up to {} old",
            event.event_time,
            span(age),
            event.action_source,
            span(age_max_ms)
        );
        return Err(Refused { reason: Reason::EventTooOld, detail });
    }
    if age < -AHEAD_MAX_MS {
        let detail = format!("event_time {} is {} s ahead of now", event.event_time, -(age / SECOND_MS));
        return Err(Refused::incomplete(detail));
    }
    Ok(event.event_time.min(now))
}

/// Whole days, or hours where days would be too coarse.
fn span(ms: i64) -> String {
    if ms >= 7 * DAY_MS { format!("{} days", ms / DAY_MS) } else { format!("{} hours", ms / HOUR_MS) }
}
