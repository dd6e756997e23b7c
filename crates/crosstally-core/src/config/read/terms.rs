//! Reads the terms of a contract: the keys that a partner's section and a preset share.

use std::collections::BTreeMap;

use super::document::{Item, Section, Text, shown};
use super::findings::Findings;
use crate::click::looks_like_macro;
use crate::config::secrets::is_secret_place;
use crate::contract::{ANY_OTHER, DuplicateMode, Meaning, Range, Terms};
use crate::fields::FIELDS;
use crate::ledger::Status;
use crate::limits;
use crate::money::Currency;
use crate::scheme::SCHEMES;
use crate::time::{DAY_MS, parse_span_ms};

/// The keys of a contract.
pub(super) const KEYS: &[&str] = &[
    "params",
    "statuses",
    "status_with",
    "test_when",
    "missing_status",
    "currency",
    "currencies",
    "value",
    "amounts",
    "minor_digits",
    "decimal",
    "thousands",
    "rounding",
    "encoding",
    "required",
    "volatile",
    "allowed",
    "ranges",
    "max_delay",
    "late_approvals",
    "negative",
    "reversal",
    "duplicates",
    "transaction_scope",
    "fx",
    "answer",
    "answer_text",
    "signature",
];
/// Parameter names that are tried for one field.
const NAMES_MAX: usize = 16;
/// The most decimals that a minor unit can stand for.
const DIGITS_MAX: i64 = 4;
/// The longest delay that a contract can ask for.
const DELAY_MS_MAX: i64 = 3_650 * DAY_MS;

pub(super) fn read(section: &Section<'_>, found: &mut Findings<'_>) -> Terms {
    let (duplicates, duplicates_of) = duplicates(section, found);
    Terms {
        params: params(section, found),
        statuses: statuses(section, found),
        status_with: section.item("status_with").map(|item| status_with(item, found)),
        test_when: test_when(section, found),
        missing_status: section.word("missing_status", found),
        currency: section.currency("currency", found),
        currencies: section.item("currencies").map(|item| currencies(item, found)),
        value: section.word("value", found),
        amounts: section.word("amounts", found),
        minor_digits: minor_digits(section, found),
        decimal: section.word("decimal", found),
        thousands: section.word("thousands", found),
        rounding: section.word("rounding", found),
        encoding: section.word("encoding", found),
        required: section.item("required").map(|item| required(item, found)),
        volatile: section
            .item("volatile")
            .map(|item| item.list(found).iter().map(|text| text.text.to_owned()).collect()),
        allowed: section.item("allowed").map(|item| allowed(item, found)),
        ranges: ranges(section, found),
        max_delay_ms: section.text("max_delay", found).and_then(|text| span(&text, found)),
        late_approvals: section.item("late_approvals").and_then(|item| item.flag(found)),
        negative: section.word("negative", found),
        reversal: section.word("reversal", found),
        duplicates,
        duplicates_of,
        transaction_scope: section.word("transaction_scope", found),
        fx: section.word("fx", found),
        answer: section.word("answer", found),
        answer_text: section
            .text("answer_text", found)
            .and_then(|text| text.name("answer_text", limits::KEY_BYTES_MAX, found)),
        signature: section.text("signature", found).and_then(|text| signature(&text, found)),
    }
}

fn signature(text: &Text<'_>, found: &mut Findings<'_>) -> Option<String> {
    if SCHEMES.contains(&text.text) {
        return Some(text.text.to_owned());
    }
    let fix = found.meant(text.text, SCHEMES.iter().copied());
    found.problem(&text.spot, format!("{} is not a signature scheme", shown(text.text)), fix);
    None
}

/// One mode for all, or a table of modes per event with a `default`.
fn duplicates(
    section: &Section<'_>,
    found: &mut Findings<'_>,
) -> (Option<DuplicateMode>, BTreeMap<String, DuplicateMode>) {
    let mut of_events = BTreeMap::new();
    let Some(item) = section.item("duplicates") else { return (None, of_events) };
    if item.is_text() {
        return (item.into_text(found).and_then(|text| text.word("duplicates", found)), of_events);
    }
    let Some(table) = item.into_table(r#"{ default = "update", deposit = "add" }"#, found) else {
        return (None, of_events);
    };
    let mut default = None;
    for (_, item) in table.items() {
        let event = item.key.trim().to_lowercase();
        let mode = item.into_text(found).and_then(|text| text.word::<DuplicateMode>("duplicates", found));
        match (event.as_str(), mode) {
            (_, None) => {}
            ("default", mode) => default = mode,
            (_, Some(mode)) => {
                of_events.insert(event, mode);
            }
        }
    }
    (default, of_events)
}

fn currencies(item: Item<'_>, found: &mut Findings<'_>) -> Vec<Currency> {
    let mut list = Vec::new();
    for text in item.list(found) {
        match text.text.parse() {
            Ok(currency) => list.push(currency),
            Err(_) => {
                let problem = format!("{} is not a currency", shown(text.text));
                found.problem(&text.spot, problem, "use codes of ISO 4217 such as `USD` or `EUR`");
            }
        }
    }
    list
}

/// Currencies whose minor unit is another one at this sender.
fn minor_digits(section: &Section<'_>, found: &mut Findings<'_>) -> BTreeMap<String, u32> {
    let mut all = BTreeMap::new();
    let Some(table) = section.table("minor_digits", "{ ISK = 2 }", found) else { return all };
    for (spot, item) in table.items() {
        let Ok(currency) = item.key.parse::<Currency>() else {
            let problem = format!("{} is not a currency", shown(&item.key));
            found.problem(&spot, problem, "use codes of ISO 4217 such as `ISK` or `UGX`");
            continue;
        };
        let Some(number) = item.integer(found) else { continue };
        match u32::try_from(number) {
            Ok(digits) if number <= DIGITS_MAX => {
                all.insert(currency.code().to_owned(), digits);
            }
            _ => {
                let problem = format!("{number} is not a number of decimals that a minor unit has");
                found.problem(&item.spot, problem, format!("write 0 to {DIGITS_MAX}"));
            }
        }
    }
    all
}

fn required(item: Item<'_>, found: &mut Findings<'_>) -> Vec<String> {
    let mut list = Vec::new();
    for text in item.list(found) {
        if FIELDS.iter().any(|field| field.name == text.text) {
            list.push(text.text.to_owned());
            continue;
        }
        let fix = found.meant(text.text, FIELDS.iter().map(|field| field.name));
        found.problem(&text.spot, format!("{} is not a field of a postback", shown(text.text)), fix);
    }
    list
}

fn allowed(item: Item<'_>, found: &mut Findings<'_>) -> Vec<Status> {
    item.list(found).iter().filter_map(|text| text.word("allowed", found)).collect()
}

fn ranges(section: &Section<'_>, found: &mut Findings<'_>) -> BTreeMap<String, Range> {
    let mut ranges = BTreeMap::new();
    let example = r#"{ payout = { min = "0.10", max = "500" } }"#;
    let Some(table) = section.table("ranges", example, found) else { return ranges };
    table.refuse_unknown(["payout", "revenue"], found);
    for field in ["payout", "revenue"] {
        let Some(bounds) = table.table(field, r#"{ min = "0.10", max = "500" }"#, found) else { continue };
        bounds.refuse_unknown(["min", "max"], found);
        let range = Range { min: bound(&bounds, "min", found), max: bound(&bounds, "max", found) };
        ranges.insert(field.to_owned(), range);
    }
    ranges
}

fn bound(bounds: &Section<'_>, key: &str, found: &mut Findings<'_>) -> Option<String> {
    let item = bounds.item(key)?;
    if let Some(digits) = item.digits() {
        let problem = format!("`{key}` is a number; an amount is a text, so that it stays exact");
        found.problem(&item.spot, problem, format!("write it as a text: {key} = \"{digits}\""));
        return None;
    }
    let text = item.into_text(found)?;
    let plain = text.text.split('.').all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()));
    if plain && text.text.split('.').count() <= 2 && text.text.len() <= 18 {
        return Some(text.text.to_owned());
    }
    let problem = format!("{} is not an amount of zero or more", shown(text.text));
    found.problem(&text.spot, problem, format!("write a plain decimal: {key} = \"0.10\""));
    None
}

fn span(text: &Text<'_>, found: &mut Findings<'_>) -> Option<i64> {
    match parse_span_ms(text.text) {
        Some(ms @ 1..=DELAY_MS_MAX) => Some(ms),
        _ => {
            let problem = format!("{} is not a span of time of at most ten years", shown(text.text));
            found.problem(&text.spot, problem, "write a number and a unit of s, m, h or d, such as \"90d\"");
            None
        }
    }
}

/// Our field names to the partner's parameter names.
fn params(section: &Section<'_>, found: &mut Findings<'_>) -> BTreeMap<String, Vec<String>> {
    let mut params = BTreeMap::new();
    let Some(table) = section.table("params", r#"{ click_id = "aff_sub" }"#, found) else { return params };
    let mut taken: BTreeMap<String, String> = BTreeMap::new();
    for (spot, item) in table.items() {
        let field = item.key.clone();
        if !FIELDS.iter().any(|known| known.name == field) {
            let fix = match FIELDS.iter().find(|known| known.accepted.contains(&field.as_str())) {
                Some(known) => {
                    format!("write `{}`: the key is our name, the value is the partner's", known.name)
                }
                None => found.meant(&field, FIELDS.iter().map(|known| known.name)),
            };
            found.problem(&spot, format!("{} is not a field of a postback", shown(&field)), fix);
            continue;
        }
        let texts =
            if item.is_list() { item.list(found) } else { item.into_text(found).into_iter().collect() };
        if texts.len() > NAMES_MAX {
            let problem = format!("{} has more than {NAMES_MAX} names", shown(&field));
            found.problem(&spot, problem, format!("keep to {NAMES_MAX}"));
            continue;
        }
        let mut names = Vec::new();
        for text in texts {
            let Some(theirs) = param_name(&text, &field, found) else { continue };
            // Parameter names are matched in any case.
            if let Some(other) = taken.insert(theirs.to_ascii_lowercase(), field.clone()) {
                let problem =
                    format!("parameter {} is given to both `{other}` and `{field}`", shown(&theirs));
                found.problem(&text.spot, problem, "give each parameter to one field");
                continue;
            }
            names.push(theirs);
        }
        if !names.is_empty() {
            params.insert(field, names);
        }
    }
    params
}

fn param_name(text: &Text<'_>, field: &str, found: &mut Findings<'_>) -> Option<String> {
    let name = text.name(field, limits::PARAM_NAME_BYTES_MAX, found)?;
    if looks_like_macro(&name) {
        let bare = name.trim_matches(|c: char| !c.is_ascii_alphanumeric());
        let problem = format!("{} is a macro, not the name of a parameter", shown(&name));
        found.problem(
            &text.spot,
            problem,
            format!("write the name as it stands in the URL: {field} = \"{bare}\""),
        );
        return None;
    }
    if is_secret_place(&name) {
        let problem = format!("{} is where a secret stands, which is never kept", shown(&name));
        found.problem(&text.spot, problem, format!("take {field} from another parameter"));
        return None;
    }
    Some(name)
}

/// The partner's words, in lower case, to what they mean.
fn statuses(section: &Section<'_>, found: &mut Findings<'_>) -> BTreeMap<String, Meaning> {
    let mut statuses = BTreeMap::new();
    let Some(table) = section.table("statuses", r#"{ "1" = "approved" }"#, found) else { return statuses };
    for (spot, item) in table.items() {
        let word = item.key.trim().to_lowercase();
        if word.is_empty() {
            let fix = "remove it; `missing_status` says what a call without a status means";
            found.problem(&spot, "the empty word is not a status", fix);
            continue;
        }
        if word.len() > limits::PARAM_NAME_BYTES_MAX || word.chars().any(char::is_control) {
            let problem = format!("{} cannot be a status word", shown(&word));
            found.problem(
                &spot,
                problem,
                format!("use at most {} bytes on one line", limits::PARAM_NAME_BYTES_MAX),
            );
            continue;
        }
        let key = item.key.clone();
        let Some(meaning) = item.into_text(found).and_then(|text| meaning(&text, &word, found)) else {
            continue;
        };
        if statuses.insert(word, meaning).is_some_and(|other| other != meaning) {
            let problem = format!("{} is mapped twice: the case of status words does not count", shown(&key));
            found.problem(&spot, problem, "keep one of the two");
        }
    }
    statuses
}

/// Parameters that say more about the status. Headers are not among them: of those, only what a field is read from is kept.
fn status_with(item: Item<'_>, found: &mut Findings<'_>) -> Vec<String> {
    let texts = if item.is_list() { item.list(found) } else { item.into_text(found).into_iter().collect() };
    let mut names = Vec::new();
    for text in texts.iter().take(NAMES_MAX) {
        let Some(name) = param_name(text, "status_with", found) else { continue };
        if name.to_ascii_lowercase().starts_with("header:") {
            let problem = format!("{} is a header, and `status_with` names parameters", shown(&name));
            found.problem(&text.spot, problem, "name a parameter of the query or the body");
            continue;
        }
        names.push(name);
    }
    if let Some(one_more) = texts.get(NAMES_MAX) {
        let problem = format!("`status_with` has more than {NAMES_MAX} names");
        found.problem(&one_more.spot, problem, format!("keep to {NAMES_MAX}"));
    }
    names
}

/// Parameters, each with the value by which its sender marks a test.
fn test_when(section: &Section<'_>, found: &mut Findings<'_>) -> BTreeMap<String, String> {
    let mut marks = BTreeMap::new();
    let Some(table) = section.table("test_when", r#"{ livemode = "false" }"#, found) else { return marks };
    for (spot, item) in table.items() {
        let name = item.key.clone();
        let key = Text { text: &name, spot };
        let Some(name) = param_name(&key, "test_when", found) else { continue };
        if name.to_ascii_lowercase().starts_with("header:") {
            let problem = format!("{} is a header, and `test_when` names parameters", shown(&name));
            found.problem(&key.spot, problem, "name a parameter of the query or the body");
            continue;
        }
        let text = item.into_text(found);
        let value = text.and_then(|text| text.name("test_when", limits::PARAM_NAME_BYTES_MAX, found));
        if let Some(value) = value {
            marks.insert(name, value);
        }
    }
    marks
}

fn meaning(text: &Text<'_>, word: &str, found: &mut Findings<'_>) -> Option<Meaning> {
    let meaning = text.word::<Meaning>("statuses", found)?;
    if let (Meaning::Status(status), ANY_OTHER) = (meaning, word) {
        let problem = format!("every unknown word would become `{status}`");
        let fix = "map the words that mean it; a new word of the partner must not become money unseen";
        found.warning(&text.spot, problem, fix);
    }
    Some(meaning)
}
