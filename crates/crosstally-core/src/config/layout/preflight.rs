//! Pre-flights that are flown by themselves, as they are written.

use super::{Entry, Value};
use crate::preflight::monitor::{Monitor, time_of};

pub(super) fn monitor(monitor: &Monitor) -> Entry<'_> {
    let mut keys =
        vec![("campaign", Value::text(&monitor.campaign)), ("at", Value::text(time_of(monitor.at_minute)))];
    keys.extend(monitor.partner.as_ref().map(|partner| ("partner", Value::text(partner))));
    keys.extend(monitor.actions.map(|actions| ("actions", Value::Integer(i64::from(actions)))));
    let texts = [
        ("base", &monitor.base),
        ("lander", &monitor.lander),
        ("postback", &monitor.postback),
        ("status", &monitor.status),
        ("event", &monitor.event),
    ];
    keys.extend(texts.into_iter().filter_map(|(key, text)| Some((key, Value::text(text.as_ref()?)))));
    keys.extend(monitor.currency.map(|currency| ("currency", Value::text(currency.code()))));
    keys.extend(monitor.params.as_ref().map(|params| ("params", Value::text(params))));
    if monitor.allow_private {
        keys.push(("allow_private", Value::Flag(true)));
    }
    Entry { section: "preflight", slug: Some(&monitor.slug), keys }
}
