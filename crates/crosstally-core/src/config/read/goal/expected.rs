//! Reads how the expected value of a goal's events is told.

use super::super::document::{Section, Text, shown};
use super::super::findings::{Findings, one_of};
use crate::config::{Expected, Otherwise, ValueAt};
use crate::time::{DAY_MS, parse_span_ms};

const EXAMPLE: &str = "{ within = \"90d\", at_least = 100 }";
/// How far back conversions may be looked at.
const WITHIN_DAYS_MAX: i64 = 365;
/// Of more decided conversions the newest are counted.
const AT_LEAST_MAX: i64 = 10_000;
const PER: &[&str] = &["partner", "campaign"];

pub(super) fn read(section: &Section<'_>, value_at: ValueAt, found: &mut Findings<'_>) -> Option<Expected> {
    let table = section.table("expected", EXAMPLE, found)?;
    table.refuse_unknown(["within", "at_least", "per", "otherwise"], found);
    if value_at == ValueAt::Lead {
        let problem = "`expected` is never asked: the whole value is sent from the lead on";
        found.warning(&section.spot_of("expected"), problem, "add value_at = \"approval\"");
    }
    let within = table.required("within", "\"90d\"", found).and_then(|text| within(&text, found));
    let at_least = match table.item("at_least") {
        Some(item) => item.integer(found).and_then(|number| {
            let known = u32::try_from(number).ok().filter(|_| (1..=AT_LEAST_MAX).contains(&number));
            if known.is_none() {
                let problem = format!("`at_least` is not between 1 and {AT_LEAST_MAX}");
                found.problem(&item.spot, problem, format!("write {EXAMPLE}"));
            }
            known
        }),
        None => {
            table.missing("at_least", "100", found);
            None
        }
    };
    let per = table.text("per", found).map_or("partner", |per| {
        if !PER.contains(&per.text) {
            let problem = format!("{} is nothing that a rate is measured by", shown(per.text));
            found.problem(&per.spot, problem, format!("use {}", one_of(PER)));
        }
        per.text
    });
    let otherwise = table.word::<Otherwise>("otherwise", found).unwrap_or_default();
    Some(Expected { within_ms: within?, at_least: at_least?, by_campaign: per == "campaign", otherwise })
}

fn within(text: &Text<'_>, found: &mut Findings<'_>) -> Option<i64> {
    match parse_span_ms(text.text) {
        Some(ms) if (DAY_MS..=WITHIN_DAYS_MAX * DAY_MS).contains(&ms) => Some(ms),
        _ => {
            let problem =
                format!("{} is not a span of time between 1d and {WITHIN_DAYS_MAX}d", shown(text.text));
            found.problem(&text.spot, problem, "write a number and the unit d, such as \"90d\"");
            None
        }
    }
}
