//! A contract's own terms as keys and values: only what its section says, not what a preset or a default fills in.

use super::{Value, span};
use crate::config::Word;
use crate::contract::{DuplicateMode, Range, Terms};

/// The keys in their fixed order.
pub(super) fn keys(terms: &Terms) -> Vec<(&str, Value<'_>)> {
    let mut keys = Vec::new();
    let mut text = |name: &'static str, value: Option<String>| {
        keys.extend(value.map(|value| (name, Value::Text(value))));
    };
    text("currency", terms.currency.map(|currency| currency.code().to_owned()));
    text("value", word(terms.value));
    text("amounts", word(terms.amounts));
    text("decimal", word(terms.decimal));
    text("thousands", word(terms.thousands));
    text("rounding", word(terms.rounding));
    text("encoding", word(terms.encoding));
    text("missing_status", word(terms.missing_status));
    text("negative", word(terms.negative));
    text("reversal", word(terms.reversal));
    text("transaction_scope", word(terms.transaction_scope));
    text("fx", word(terms.fx));
    text("answer", word(terms.answer));
    text("answer_text", terms.answer_text.clone());
    text("signature", terms.signature.clone());
    text("max_delay", terms.max_delay_ms.map(span));
    keys.extend(terms.late_approvals.map(|flag| ("late_approvals", Value::Flag(flag))));
    keys.extend(lists(terms));
    keys.extend(tables(terms));
    keys
}

fn word<W: Word>(choice: Option<W>) -> Option<String> {
    choice.map(|choice| choice.word().to_owned())
}

fn lists(terms: &Terms) -> Vec<(&str, Value<'_>)> {
    let mut keys = Vec::new();
    let currencies =
        terms.currencies.as_ref().map(|list| list.iter().map(|one| one.code().to_owned()).collect());
    keys.extend(currencies.map(|list| ("currencies", Value::List(list))));
    keys.extend(terms.required.clone().map(|list| ("required", Value::List(list))));
    keys.extend(terms.status_with.clone().map(|list| ("status_with", Value::List(list))));
    keys.extend(terms.volatile.clone().map(|list| ("volatile", Value::List(list))));
    let allowed = terms.allowed.as_ref().map(|list| list.iter().map(|one| one.word().to_owned()).collect());
    keys.extend(allowed.map(|list| ("allowed", Value::List(list))));
    keys
}

fn tables(terms: &Terms) -> Vec<(&str, Value<'_>)> {
    let mut keys = Vec::new();
    if !terms.params.is_empty() {
        let params = terms.params.iter().map(|(field, names)| (field.as_str(), names_value(names)));
        keys.push(("params", Value::Table(params.collect())));
    }
    if !terms.statuses.is_empty() {
        let statuses =
            terms.statuses.iter().map(|(word, meaning)| (word.as_str(), Value::text(meaning.word())));
        keys.push(("statuses", Value::Table(statuses.collect())));
    }
    if !terms.test_when.is_empty() {
        let marks = terms.test_when.iter().map(|(name, value)| (name.as_str(), Value::text(value)));
        keys.push(("test_when", Value::Table(marks.collect())));
    }
    if !terms.minor_digits.is_empty() {
        let digits = terms.minor_digits.iter();
        let digits = digits.map(|(code, digits)| (code.as_str(), Value::Integer(i64::from(*digits))));
        keys.push(("minor_digits", Value::Table(digits.collect())));
    }
    if !terms.ranges.is_empty() {
        let ranges = terms.ranges.iter().map(|(field, range)| (field.as_str(), range_value(range)));
        keys.push(("ranges", Value::Table(ranges.collect())));
    }
    keys.extend(duplicates(terms).map(|value| ("duplicates", value)));
    keys
}

fn names_value(names: &[String]) -> Value<'_> {
    match names {
        [only] => Value::text(only),
        many => Value::List(many.to_vec()),
    }
}

fn range_value(range: &Range) -> Value<'_> {
    let bounds = [("min", &range.min), ("max", &range.max)];
    let stated = bounds.into_iter().filter_map(|(name, bound)| Some((name, Value::text(bound.as_deref()?))));
    Value::Table(stated.collect())
}

fn duplicates(terms: &Terms) -> Option<Value<'_>> {
    if terms.duplicates_of.is_empty() {
        return terms.duplicates.map(|mode| Value::text(mode.word()));
    }
    let of_events =
        terms.duplicates_of.iter().map(|(event, mode)| (event.as_str(), Value::text(mode.word())));
    let default = terms.duplicates.map(|mode: DuplicateMode| ("default", Value::text(mode.word())));
    Some(Value::Table(default.into_iter().chain(of_events).collect()))
}
