//! Reads which fraud marks are set.

use std::collections::BTreeSet;

use ipnet::IpNet;

use super::document::{Item, Section, Text, shown};
use super::findings::Findings;
use super::partner;
use crate::fraud::{Fraud, Often, Ranges};
use crate::time::{DAY_MS, HOUR_MS, SECOND_MS, parse_span_ms};

const KEYS: [&str; 6] =
    ["repeated_contact", "repeated_address", "click_flood", "data_centres", "bots", "data_centre_networks"];
/// Ranges of data centres.
const RANGES_MAX: usize = 100_000;
/// The longest look back at other conversions: each of them is a row.
const SIGHTINGS_WITHIN_MS_MAX: i64 = 90 * DAY_MS;
/// The longest look back at other clicks, which are counted in memory.
const CLICKS_WITHIN_MS_MAX: i64 = HOUR_MS;
/// The most that `more_than` can be.
const MORE_THAN_MAX: i64 = 1_000;

pub(super) fn read(section: &Section<'_>, found: &mut Findings<'_>) -> Fraud {
    section.refuse_unknown(KEYS, found);
    let mut often = |key: &str, longest| section.item(key).and_then(|item| often(item, longest, found));
    Fraud {
        repeated_contact: often("repeated_contact", SIGHTINGS_WITHIN_MS_MAX),
        repeated_address: often("repeated_address", SIGHTINGS_WITHIN_MS_MAX),
        click_flood: often("click_flood", CLICKS_WITHIN_MS_MAX),
        data_centres: section.item("data_centres").map(|item| ranges(item, found)).unwrap_or_default(),
        bots: section.flag("bots", found),
        data_centre_networks: section
            .item("data_centre_networks")
            .map(|item| networks(item, found))
            .unwrap_or_default(),
    }
}

fn networks(item: Item<'_>, found: &mut Findings<'_>) -> BTreeSet<u32> {
    let mut networks = BTreeSet::new();
    for text in item.list_of_at_most(RANGES_MAX, found) {
        match text.text.strip_prefix("AS").unwrap_or(text.text).parse() {
            Ok(number) => drop(networks.insert(number)),
            Err(_) => {
                let problem = format!("{} is not the number of a network", shown(text.text));
                found.problem(&text.spot, problem, "write it like \"AS16509\"");
            }
        }
    }
    networks
}

fn often(item: Item<'_>, longest_ms: i64, found: &mut Findings<'_>) -> Option<Often> {
    let short = longest_ms < DAY_MS;
    let example =
        if short { "{ more_than = 20, within = \"1m\" }" } else { "{ more_than = 3, within = \"7d\" }" };
    let table = item.into_table(example, found)?;
    table.refuse_unknown(["more_than", "within"], found);
    let number = match table.item("more_than") {
        Some(item) => more_than(&item, example, found),
        None => {
            table.missing("more_than", if short { "20" } else { "3" }, found);
            None
        }
    };
    let within = table.required("within", if short { "\"1m\"" } else { "\"7d\"" }, found);
    let within = within.and_then(|text| span(&text, longest_ms, found));
    Some(Often { more_than: number?, within_ms: within? })
}

fn more_than(item: &Item<'_>, example: &str, found: &mut Findings<'_>) -> Option<u32> {
    let number = item.integer(found)?;
    if (0..=MORE_THAN_MAX).contains(&number) {
        return u32::try_from(number).ok();
    }
    let problem = format!("`more_than` is not between 0 and {MORE_THAN_MAX}");
    found.problem(&item.spot, problem, format!("write {example}"));
    None
}

fn span(text: &Text<'_>, longest_ms: i64, found: &mut Findings<'_>) -> Option<i64> {
    match parse_span_ms(text.text) {
        Some(ms) if (SECOND_MS..=longest_ms).contains(&ms) => Some(ms),
        _ => {
            let longest = if longest_ms < DAY_MS { "1h" } else { "90d" };
            let problem = format!("{} is not a span of time between 1s and {longest}", shown(text.text));
            found.problem(&text.spot, problem, "write a number and a unit of s, m, h or d, such as \"10m\"");
            None
        }
    }
}

fn ranges(item: Item<'_>, found: &mut Findings<'_>) -> Ranges {
    let ranges: Vec<IpNet> = item
        .list_of_at_most(RANGES_MAX, found)
        .iter()
        .filter_map(|text| partner::range(text, found))
        .collect();
    Ranges::new(&ranges)
}
