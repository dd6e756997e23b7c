//! The names that templates may use, and where each gets its value from: what a linter needs to say which will be empty.

use crate::click::AD_CLICK_PARAMS;
use crate::consent;

/// What is written before the name of a click's parameter, and before the name of a destination's constant.
pub const CLICK_PREFIX: &str = "click.";
/// See [`CLICK_PREFIX`].
pub const CONSTANT_PREFIX: &str = "const.";

/// Where a macro's value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Feed {
    /// Every event has it.
    Always,
    /// Every event with a click.
    Click,
    /// Every event with a click of a campaign that has a source.
    Source,
    /// The click's parameter in which its source sends an id of its own.
    SourceClickId,
    /// What the goal sends as its value.
    Value,
    /// A field of the partner's postback.
    Field(&'static str),
    /// The destination's secret.
    Secret,
}

const NAMES: &[(&str, Feed)] = &[
    ("click_id", Feed::Click),
    ("transaction_id", Feed::Field("transaction_id")),
    ("status", Feed::Always),
    ("payout", Feed::Field("payout")),
    ("revenue", Feed::Field("revenue")),
    ("value", Feed::Value),
    ("currency", Feed::Always),
    ("event_name", Feed::Always),
    ("event_id", Feed::Always),
    ("event_time", Feed::Always),
    ("event_time_ms", Feed::Always),
    ("event", Feed::Field("event")),
    ("external_id", Feed::Field("external_id")),
    ("campaign", Feed::Click),
    ("source", Feed::Source),
    ("partner", Feed::Always),
    ("goal", Feed::Always),
    ("conversion_id", Feed::Always),
    ("click_time", Feed::Click),
    ("click_time_ms", Feed::Click),
    ("source_click_id", Feed::SourceClickId),
    ("secret", Feed::Secret),
];

/// Names that others give to them.
const ALIASES: &[(&str, &str)] = &[("txid", "transaction_id"), ("timestamp", "event_time")];

/// All names of our own, in the order that the docs list them.
pub fn names() -> impl Iterator<Item = (&'static str, Feed)> {
    NAMES.iter().copied()
}

/// The macro of our own with this name in any case, as we write it.
#[must_use]
pub fn built_in(name: &str) -> Option<(&'static str, Feed)> {
    let alias = ALIASES.iter().find(|(other, _)| other.eq_ignore_ascii_case(name));
    let name = alias.map_or(name, |(_, ours)| *ours);
    names().find(|(known, _)| known.eq_ignore_ascii_case(name))
}

/// Whether a name alone says that a macro is meant: one of ours, an ad platform's click id, what tells of consent, `sub1`
/// and its like, or a name that says itself where it belongs.
#[must_use]
pub fn is_known(name: &str) -> bool {
    let number = name.get(..3).filter(|head| head.eq_ignore_ascii_case("sub")).and_then(|_| name.get(3..));
    built_in(name).is_some()
        || consent::is_name(name)
        || AD_CLICK_PARAMS.iter().any(|param| param.name.eq_ignore_ascii_case(name))
        || number.is_some_and(|n| matches!(n.len(), 1..=2) && n.bytes().all(|b| b.is_ascii_digit()))
        || [CLICK_PREFIX, CONSTANT_PREFIX].iter().any(|prefix| {
            name.len() > prefix.len() && name.get(..prefix.len()).is_some_and(|head| head == *prefix)
        })
}
