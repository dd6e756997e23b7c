//! Reads goals, and checks what they do to each other.

use std::collections::HashMap;

use super::condition;
use super::document::{Section, Text, shown};
use super::findings::{Findings, Spot};
use super::slugs::Slugs;
use crate::config::{EventIdMode, Goal, Role, SendValue, ValueAt};
use crate::limits;
use crate::time::{DAY_MS, parse_span_ms};

mod expected;

/// The longest hold window.
const DELAY_MS_MAX: i64 = 365 * DAY_MS;
const KEYS: &[&str] = &[
    "slug",
    "role",
    "when",
    "event_name",
    "send_to",
    "delay",
    "event_id",
    "send_value",
    "value_at",
    "expected",
    "action_source",
];
/// Where an event can have come about, in the words that the platforms share.
const ACTION_SOURCES: &[&str] = &[
    "website",
    "app",
    "email",
    "phone_call",
    "chat",
    "physical_store",
    "system_generated",
    "business_messaging",
    "other",
];

/// A goal and the place of its event's name, for what is checked between goals.
pub(super) struct Placed {
    pub(super) goal: Goal,
    pub(super) named_at: Spot,
}

pub(super) fn goal(
    section: &Section<'_>,
    slug: String,
    destinations: &Slugs,
    found: &mut Findings<'_>,
) -> Option<Placed> {
    section.refuse_unknown(KEYS.iter().copied(), found);
    if section.item("role").is_none() {
        section.missing("role", "\"learning_signal\" or \"funnel_fact\"", found);
    }
    let role = section.word::<Role>("role", found);
    let when = section
        .required("when", "\"status == 'approved'\"", found)
        .and_then(|text| condition::read(&text, found));
    let send_to = send_to(section, destinations, found);
    let event_name = event_name(section, role, &send_to, &slug, found);
    let delay_ms = section.item("delay").map_or(Some(0), |item| {
        if let Some(digits) = item.digits() {
            let problem = "`delay` is a number without a unit";
            found.problem(&item.spot, problem, format!("write the unit: delay = \"{digits}s\""));
            return None;
        }
        delay(&item.into_text(found)?, found)
    });
    let event_id = section.word::<EventIdMode>("event_id", found).unwrap_or_default();
    let send_value = section.word::<SendValue>("send_value", found).unwrap_or_default();
    let value_at = section.word::<ValueAt>("value_at", found).unwrap_or_default();
    let expected = expected::read(section, value_at, found);
    let action_source = section.text("action_source", found).map(|text| {
        if !ACTION_SOURCES.contains(&text.text) {
            let fix = found.meant(text.text, ACTION_SOURCES.iter().copied());
            found.problem(&text.spot, format!("{} is not an action source", shown(text.text)), fix);
        }
        text.text.to_owned()
    });
    let (role, when, event_name, delay_ms) = (role?, when?, event_name?, delay_ms?);
    if role == Role::LearningSignal && send_to.is_empty() {
        let problem = "a learning signal without `send_to` teaches nobody";
        found.warning(&section.spot, problem, "add send_to = [\"a-destination\"], or make it a funnel_fact");
    }
    let goal = Goal {
        slug,
        role,
        when,
        event_name,
        send_to,
        delay_ms,
        event_id,
        send_value,
        value_at,
        expected,
        action_source,
    };
    Some(Placed { goal, named_at: section.spot_of("event_name") })
}

fn send_to(section: &Section<'_>, destinations: &Slugs, found: &mut Findings<'_>) -> Vec<String> {
    let mut send_to: Vec<String> = Vec::new();
    for text in section.list("send_to", found) {
        if !destinations.contains(text.text) {
            let fix = match destinations.meant(text.text, found) {
                Some(fix) => fix,
                None => {
                    format!("add a [[destination]] with slug = {}", crate::config::print::quoted(text.text))
                }
            };
            found.problem(&text.spot, format!("there is no destination {}", shown(text.text)), fix);
        } else if send_to.iter().any(|known| known == text.text) {
            let problem = format!("destination {} is named twice", shown(text.text));
            found.problem(&text.spot, problem, "remove one of the two");
        } else {
            send_to.push(text.text.to_owned());
        }
    }
    send_to
}

/// The event's name. A fact that is only counted may go without one: its slug names it.
fn event_name(
    section: &Section<'_>,
    role: Option<Role>,
    send_to: &[String],
    slug: &str,
    found: &mut Findings<'_>,
) -> Option<String> {
    match section.item("event_name") {
        Some(item) => item.into_text(found)?.name("event_name", limits::KEY_BYTES_MAX, found),
        None if role == Some(Role::FunnelFact) && send_to.is_empty() => Some(slug.to_owned()),
        None => {
            section.missing("event_name", "\"Purchase\"", found);
            None
        }
    }
}

fn delay(text: &Text<'_>, found: &mut Findings<'_>) -> Option<i64> {
    let (problem, fix) = match parse_span_ms(text.text) {
        Some(ms) if ms <= DELAY_MS_MAX => return Some(ms),
        Some(_) => (format!("{} is longer than a year", shown(text.text)), "use at most \"365d\""),
        None => (
            format!("{} is not a span of time", shown(text.text)),
            "write a number and a unit of ms, s, m, h or d, such as \"90s\" or \"48h\"",
        ),
    };
    found.problem(&text.spot, problem, fix);
    None
}

/// Checks what goals do to each other at the same destination.
pub(super) fn check_together(goals: &[Placed], found: &mut Findings<'_>) {
    // Names that differ in case only are one name to whoever reads the platform's reports.
    let mut signals: HashMap<(&str, String), &Goal> = HashMap::new();
    let is_signal = |placed: &&Placed| placed.goal.role == Role::LearningSignal;
    for placed in goals.iter().filter(is_signal) {
        let goal = &placed.goal;
        for destination in &goal.send_to {
            let key = (destination.as_str(), goal.event_name.to_lowercase());
            let Some(first) = signals.get(&key) else {
                signals.insert(key, goal);
                continue;
            };
            let both_shared = first.event_id == EventIdMode::Shared && goal.event_id == EventIdMode::Shared;
            if both_shared && first.event_name == goal.event_name {
                found.warning(
                    &placed.named_at,
                    format!(
                        "goals `{}` and `{}` send {} to `{destination}` with one event id: the platform keeps the first \
                         and drops the other",
                        first.slug,
                        goal.slug,
                        shown(&goal.event_name)
                    ),
                    "set event_id = \"own\" on one of them, or give it an event_name of its own",
                );
                break;
            }
        }
    }
    for placed in goals.iter().filter(|placed| !is_signal(placed)) {
        let goal = &placed.goal;
        let clash = goal.send_to.iter().find_map(|to| {
            signals.get(&(to.as_str(), goal.event_name.to_lowercase())).map(|signal| (to, signal))
        });
        if let Some((destination, signal)) = clash {
            found.problem(
                &placed.named_at,
                format!(
                    "a funnel fact must not be sent as {}: the learning signal `{}` has that name at `{destination}`",
                    shown(&goal.event_name),
                    signal.slug
                ),
                "give the fact another event_name, or do not send it there",
            );
        }
    }
}
