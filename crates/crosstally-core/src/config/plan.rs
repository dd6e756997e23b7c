//! What one configuration changes against another, for people's eyes: no secret is ever shown.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use serde::Serialize;
use url::Url;

use super::layout::{self, Entry, Value};
use super::print::{is_hidden, key_text, quoted, secret_text};
use super::read::sections;
use super::secrets::names_a_token;
use super::{Config, SecretRef};

/// Longest value that is shown in full.
const SHOWN_CHARS_MAX: usize = 300;

/// What happens to a section.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    /// It is new.
    Added,
    /// It goes.
    Removed,
    /// Some of its keys change.
    Changed,
}

/// One section that changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// What happens to it.
    pub kind: ChangeKind,
    /// Which it is: `partner acme`.
    pub what: String,
    /// The keys, one a line: `currency: USD -> EUR`. Secrets are named, never shown.
    pub details: Vec<String>,
}

impl fmt::Display for Change {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = match self.kind {
            ChangeKind::Added => '+',
            ChangeKind::Removed => '-',
            ChangeKind::Changed => '~',
        };
        write!(out, "{sign} {}", self.what)?;
        self.details.iter().try_for_each(|detail| write!(out, "\n    {detail}"))
    }
}

/// What `new` changes against `old`, section by section in the order of `new`; what goes stands behind what stays.
#[must_use]
pub fn plan(old: &Config, new: &Config) -> Vec<Change> {
    let (old, new) = (layout::entries(old), layout::entries(new));
    let known: HashMap<_, &Entry<'_>> = old.iter().map(|entry| (identity(entry), entry)).collect();
    let kept: HashMap<_, ()> = new.iter().map(|entry| (identity(entry), ())).collect();
    let mut changes: Vec<(usize, Change)> = Vec::new();
    for entry in &new {
        let change = match known.get(&identity(entry)) {
            None => Some(Change { kind: ChangeKind::Added, what: what(entry), details: stated(entry) }),
            Some(before) => {
                let details = differences(before, entry);
                let changed = !details.is_empty();
                changed.then(|| Change { kind: ChangeKind::Changed, what: what(entry), details })
            }
        };
        changes.extend(change.map(|change| (rank(entry), change)));
    }
    for entry in old.iter().filter(|entry| !kept.contains_key(&identity(entry))) {
        let change = Change { kind: ChangeKind::Removed, what: what(entry), details: Vec::new() };
        changes.push((rank(entry), change));
    }
    // The sort is stable: within a section the order from above stays.
    changes.sort_by_key(|(rank, _)| *rank);
    changes.into_iter().map(|(_, change)| change).collect()
}

fn identity<'e>(entry: &Entry<'e>) -> (&'static str, Option<&'e str>) {
    (entry.section, entry.slug)
}

fn rank(entry: &Entry<'_>) -> usize {
    let mut order = sections();
    order.position(|section| section == entry.section).unwrap_or(usize::MAX)
}

fn what(entry: &Entry<'_>) -> String {
    entry.slug.map_or_else(|| entry.section.to_owned(), |slug| format!("{} {slug}", entry.section))
}

/// One value at the end of its path.
#[derive(Clone, Copy)]
enum Leaf<'e> {
    Text(&'e str),
    Quiet(&'e str),
    Integer(i64),
    Flag(bool),
    Secret(&'e SecretRef),
    List(&'e [String]),
}

fn leaves<'e>(entry: &'e Entry<'_>) -> Vec<(String, Leaf<'e>)> {
    let mut leaves = Vec::new();
    for (key, value) in &entry.keys {
        collect(key_text(key), value, &mut leaves);
    }
    leaves
}

fn collect<'e>(path: String, value: &'e Value<'_>, leaves: &mut Vec<(String, Leaf<'e>)>) {
    let leaf = match value {
        Value::Text(text) => Leaf::Text(text),
        Value::Quiet(text) => Leaf::Quiet(text),
        Value::Integer(number) => Leaf::Integer(*number),
        Value::Flag(flag) => Leaf::Flag(*flag),
        Value::Secret(reference) => Leaf::Secret(reference),
        Value::List(items) => Leaf::List(items),
        Value::Table(keys) => {
            for (key, value) in keys {
                collect(format!("{path}.{}", key_text(key)), value, leaves);
            }
            return;
        }
    };
    leaves.push((path, leaf));
}

fn stated(entry: &Entry<'_>) -> Vec<String> {
    leaves(entry).into_iter().map(|(path, leaf)| format!("{path}: {}", leaf.shown())).collect()
}

fn differences(old: &Entry<'_>, new: &Entry<'_>) -> Vec<String> {
    let mut before: BTreeMap<String, Leaf<'_>> = leaves(old).into_iter().collect();
    let mut details = Vec::new();
    for (path, after) in leaves(new) {
        match before.remove(&path) {
            None => details.push(format!("{path}: not set -> {}", after.shown())),
            Some(was) if was.same_as(after) => {}
            Some(was) => {
                let (was, is) = (was.shown(), after.shown());
                // Two values that look the same, because what differs is not shown.
                details.push(if was == is {
                    format!("{path}: changed")
                } else {
                    format!("{path}: {was} -> {is}")
                });
            }
        }
    }
    details.extend(before.into_iter().map(|(path, was)| format!("{path}: {} -> not set", was.shown())));
    details
}

impl Leaf<'_> {
    fn same_as(self, other: Leaf<'_>) -> bool {
        match (self, other) {
            (Leaf::Text(a), Leaf::Text(b)) | (Leaf::Quiet(a), Leaf::Quiet(b)) => a == b,
            (Leaf::Integer(a), Leaf::Integer(b)) => a == b,
            (Leaf::Flag(a), Leaf::Flag(b)) => a == b,
            (Leaf::Secret(a), Leaf::Secret(b)) => a == b,
            (Leaf::List(a), Leaf::List(b)) => a == b,
            _ => false,
        }
    }

    fn shown(self) -> String {
        match self {
            Leaf::Text(text) => shown_text(text),
            Leaf::Quiet(_) => "set".to_owned(),
            Leaf::Integer(number) => number.to_string(),
            Leaf::Flag(flag) => flag.to_string(),
            Leaf::Secret(SecretRef::Sealed(_)) => "sealed".to_owned(),
            Leaf::Secret(SecretRef::Literal(_)) => "in plain text".to_owned(),
            Leaf::Secret(reference) => secret_text(reference),
            Leaf::List(items) => {
                let items: Vec<String> = items.iter().map(|item| shown_text(item)).collect();
                format!("[{}]", items.join(", "))
            }
        }
    }
}

fn shown_text(text: &str) -> String {
    let text = without_tokens(text);
    // In quotes only if something would not be seen, or would act on a terminal.
    let shown = if text.is_empty() || text.chars().any(is_hidden) { quoted(&text) } else { text };
    match shown.char_indices().nth(SHOWN_CHARS_MAX) {
        Some((end, _)) => format!("{}…", shown.split_at(end).0),
        None => shown,
    }
}

/// A postback URL with the values of its token parameters masked; any other text as it is.
fn without_tokens(text: &str) -> String {
    if Url::parse(text).is_err() {
        return text.to_owned();
    }
    let Some((page, query)) = text.split_once('?') else { return text.to_owned() };
    let pairs: Vec<String> = query
        .split('&')
        .map(|pair| match pair.split_once('=') {
            Some((name, value)) if names_a_token(name) && !value.is_empty() && !value.starts_with('{') => {
                format!("{name}=***")
            }
            _ => pair.to_owned(),
        })
        .collect();
    format!("{page}?{}", pairs.join("&"))
}
