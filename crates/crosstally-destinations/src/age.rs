//! Whether an event can still be sent, by its time.

use crosstally_core::event::OutboundEvent;
use crosstally_core::reason::Reason;
use crosstally_core::time::{DAY_MS, HOUR_MS, SECOND_MS, Timestamp};

use crate::refused::Refused;

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
