//! Conditions over conversions: the Common Expression Language, compiled once, with known names only.

use std::sync::Arc;

use cel::Value;
use cel::common::ast::{Expr, IdedExpr, LiteralValue, operators};

use crate::conversion::Conversion;
use crate::expression::{Expression, map, parts};
use crate::reason::Reason;

/// The names that a condition may use, with what they are.
pub const VARIABLES: &[(&str, &str)] = &[
    ("status", "the conversion's status: lead, hold, approved, rejected or reversed"),
    ("value", "what this workspace earns, in whole currency units; 0 if unknown"),
    ("payout", "the commission, in whole currency units; 0 if unknown"),
    ("revenue", "the order's amount, in whole currency units; 0 if unknown"),
    ("currency", "the ISO 4217 code"),
    ("event", "the partner's name for what happened, or an empty text"),
    ("partner", "the partner's slug"),
    ("transaction_id", "the transaction id, or an empty text"),
    ("external_id", "the durable key of the person or order, or an empty text"),
    ("campaign", "the campaign's slug, or an empty text without a click"),
    ("source", "the source's slug, or an empty text without a click"),
    ("attributed", "whether the conversion has a click"),
    ("click", "the click's parameters by name, e.g. click.sub1"),
    ("fields", "the postback's parameters by name, e.g. fields.offer_id"),
    ("movements", "how many movements the conversion has"),
    ("labels", "what is noteworthy about the conversion, by code: 'too_fast' in labels, size(labels) == 0"),
];

/// A compiled condition.
#[derive(Debug, Clone, PartialEq)]
pub struct Condition(Expression);

impl Condition {
    /// Compiles a condition and checks that it uses known names only.
    ///
    /// # Errors
    /// A sentence that says what is wrong and how to mend it.
    pub fn compile(text: &str) -> Result<Self, String> {
        let expression = Expression::compile(text, VARIABLES)?;
        if let Some(label) = unknown_label(expression.root()) {
            let known: Vec<&str> = Reason::LABELS.iter().map(|label| label.code()).collect();
            return Err(format!(
                "the condition asks for the label `{label}`, which is never set; known are {}",
                known.join(", ")
            ));
        }
        Ok(Self(expression))
    }

    /// The text it was compiled from.
    #[must_use]
    pub fn text(&self) -> &str {
        self.0.text()
    }

    /// Whether it is the labels that keep a subject from what the condition asks for: without them it would hold.
    #[must_use]
    pub fn fails_by_labels(&self, subject: &Subject<'_>) -> bool {
        !subject.labels.is_empty()
            && self.0.uses("labels")
            && self.holds(subject) == Ok(false)
            && self.holds(&Subject { labels: &[], ..*subject }) == Ok(true)
    }

    /// Evaluates the condition.
    ///
    /// # Errors
    /// A sentence if the condition fails or does not give yes or no.
    pub fn holds(&self, subject: &Subject<'_>) -> Result<bool, String> {
        self.0.holds(|name| subject.value_of(name))
    }
}

/// A label that is asked for and that no conversion can have: a slip of the pen would let every conversion through.
fn unknown_label(expression: &IdedExpr) -> Option<&str> {
    let is_labels = |expression: &IdedExpr| matches!(&expression.expr, Expr::Ident(name) if name == "labels");
    let known = |label: &str| Reason::LABELS.iter().any(|known| known.code() == label);
    if let Expr::Call(call) = &expression.expr
        && call.func_name == operators::IN
        && let [wanted, list] = call.args.as_slice()
        && let Expr::Literal(LiteralValue::String(label)) = &wanted.expr
        && is_labels(list)
        && !known(label.inner())
    {
        return Some(label.inner());
    }
    parts(expression).into_iter().find_map(unknown_label)
}

/// What a condition is asked about.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// The conversion as it is after the movement.
    pub conversion: &'a Conversion,
    /// The postback's parameters.
    pub fields: &'a [(String, String)],
    /// The click's parameters.
    pub click_params: &'a [(String, String)],
    /// What is noteworthy about the conversion.
    pub labels: &'a [String],
}

impl Subject<'_> {
    fn value_of(&self, name: &str) -> Value {
        let conversion = self.conversion;
        let amount = |minor: Option<i64>| {
            // The only way from minor units to CEL's number: the exact decimal text, read once, never computed with.
            let text = conversion.currency.format_minor(minor.unwrap_or(0));
            Value::Float(text.parse().unwrap_or_default())
        };
        let text = |text: &str| Value::String(Arc::new(text.to_owned()));
        match name {
            "status" => text(conversion.status.as_str()),
            "value" => amount(conversion.amounts.value),
            "payout" => amount(conversion.amounts.payout),
            "revenue" => amount(conversion.amounts.revenue),
            "currency" => text(conversion.currency.code()),
            "event" => text(conversion.event.as_deref().unwrap_or("")),
            "partner" => text(&conversion.key.partner),
            "transaction_id" => text(conversion.transaction_id.as_deref().unwrap_or("")),
            "external_id" => text(conversion.external_id.as_deref().unwrap_or("")),
            "campaign" => text(&conversion.campaign),
            "source" => text(&conversion.source),
            "attributed" => Value::Bool(conversion.click.is_some()),
            "click" => map(pairs(self.click_params)),
            "fields" => map(pairs(self.fields)),
            "movements" => Value::Int(i64::from(conversion.movements)),
            "labels" => self.labels.iter().map(|label| text(label)).collect::<Vec<Value>>().into(),
            _ => Value::Null,
        }
    }
}

fn pairs(pairs: &[(String, String)]) -> impl Iterator<Item = (&str, &str)> {
    pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits;

    #[test]
    fn loops_are_refused_whatever_their_variable_is_called() {
        for text in [
            "fields.all(status, status != '')",
            "[1, 2].exists(value, [1, 2].exists(payout, payout == value))",
            "size([1, 2].map(value, value)) > 1",
            "size([1, 2].filter(value, value > 1)) > 1",
            "{'a': [1].all(value, true)}.a",
            "!([true].exists_one(value, true))",
        ] {
            let error = Condition::compile(text).expect_err(text);
            assert!(error.contains("loops"), "{text}: {error}");
        }
        assert!(Condition::compile("'sub1' in click && has(fields.country) && size(event) > 2").is_ok());
    }

    #[test]
    fn labels_are_known_by_their_codes() {
        for text in ["!('to_fast' in labels)", "status == 'lead' && ['x', 'fx_pending' in labels][1]"] {
            let error = Condition::compile(text).expect_err(text);
            assert!(error.contains("never set; known are too_fast, click_changed"), "{text}: {error}");
        }
        for label in Reason::LABELS {
            assert!(Condition::compile(&format!("!('{label}' in labels)")).is_ok(), "{label}");
        }
        assert!(Condition::compile("labels.size() == 0 || size(labels) == 0").is_ok());
    }

    #[test]
    fn depth_is_an_error_and_never_a_crash() {
        for (open, close) in [("(", ")"), ("[", "]"), ("!", ""), ("-", ""), ("{1:", "}"), ("size(", ")")] {
            let times = limits::CONDITION_BYTES_MAX / (open.len() + close.len()) - 4;
            let text = format!("{}true{}", open.repeat(times), close.repeat(times));
            // Whether it compiles is not the point; that it comes back is.
            drop(Condition::compile(&text));
        }
        drop(Condition::compile(&"true?".repeat(700)));
        drop(Condition::compile(&format!("{}true", "true && ".repeat(500))));
        drop(Condition::compile(&format!("status{}", ".a".repeat(2_000))));
    }
}
