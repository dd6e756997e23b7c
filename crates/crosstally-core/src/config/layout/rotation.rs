//! Offers, landers, paths, and the price that a click link states, as they are written.

use super::{Entry, Value};
use crate::config::Word;
use crate::cost::{CostToken, Per};
use crate::offer::{Lander, Offer};
use crate::redirect::Redirect;
use crate::rotation::{Kind, Path};
use crate::rule::Pair;

pub(super) fn cost(cost: &CostToken) -> Value<'_> {
    let mut keys = vec![("param", Value::text(&cost.param)), ("currency", Value::text(cost.currency.code()))];
    if cost.per != Per::default() {
        keys.push(("per", Value::text(cost.per.word())));
    }
    Value::Table(keys)
}

pub(super) fn offer(offer: &Offer) -> Entry<'_> {
    let mut keys = vec![("target", Value::text(offer.target.to_string()))];
    if let Some(cap) = &offer.cap {
        let number = |most: u64| Value::Integer(i64::try_from(most).unwrap_or(i64::MAX));
        let mut table = Vec::new();
        table.extend(cap.daily.map(|most| ("daily", number(most))));
        table.extend(cap.total.map(|most| ("total", number(most))));
        table.push(("overflow", Value::text(&cap.overflow)));
        keys.push(("cap", Value::Table(table)));
    }
    if offer.redirect != Redirect::default() {
        keys.push(("redirect", Value::text(offer.redirect.word())));
    }
    Entry { section: "offer", slug: Some(&offer.slug), keys }
}

pub(super) fn lander(lander: &Lander) -> Entry<'_> {
    let keys = vec![("target", Value::text(lander.target.to_string()))];
    Entry { section: "lander", slug: Some(&lander.slug), keys }
}

pub(super) fn path(path: &Path) -> Entry<'_> {
    let mut keys = Vec::new();
    if !path.rule.pairs.is_empty() {
        keys.push(("when", when(&path.rule.pairs)));
    }
    keys.extend(path.rule.condition.as_ref().map(|condition| ("condition", Value::text(condition.text()))));
    for (key, kind) in [("landers", Kind::Lander), ("offers", Kind::Offer)] {
        let of_kind = path.members.iter().filter(|member| member.kind == kind);
        let weights: Vec<_> =
            of_kind.map(|member| (member.slug.as_str(), Value::Integer(i64::from(member.weight)))).collect();
        if !weights.is_empty() {
            keys.push((key, Value::Table(weights)));
        }
    }
    keys.extend(path.redirect.map(|redirect| ("redirect", Value::text(redirect.word()))));
    Entry { section: "path", slug: Some(&path.slug), keys }
}

fn when(pairs: &[Pair]) -> Value<'_> {
    let (mut keys, mut params) = (Vec::new(), Vec::new());
    for pair in pairs {
        match pair {
            Pair::Text { name, not, values } => keys.push((*name, listed(values, *not))),
            Pair::Param { name, not, values } => params.push((name.as_str(), listed(values, *not))),
            Pair::Hours(texts, _) => keys.push(("hour", Value::List(texts.clone()))),
            Pair::Returning(returning) => keys.push(("returning", Value::Flag(*returning))),
        }
    }
    if !params.is_empty() {
        keys.push(("param", Value::Table(params)));
    }
    Value::Table(keys)
}

fn listed(values: &[String], not: bool) -> Value<'static> {
    let sign = if not { "!" } else { "" };
    Value::List(values.iter().map(|value| format!("{sign}{value}")).collect())
}
