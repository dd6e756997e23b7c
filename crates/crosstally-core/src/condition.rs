//! Conditions over conversions: the Common Expression Language, compiled once, with known names only.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use cel::common::ast::{EntryExpr, Expr, IdedEntryExpr, IdedExpr, LiteralValue, operators};
use cel::{Context, Env, Program, Value};

use crate::conversion::Conversion;
use crate::limits;
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

static ENV: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(Env::stdlib()));

/// A compiled condition.
#[derive(Clone)]
pub struct Condition {
    text: String,
    program: Arc<Program>,
    uses: Vec<&'static str>,
}

impl PartialEq for Condition {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl std::fmt::Debug for Condition {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Condition({:?})", self.text)
    }
}

impl Condition {
    /// Compiles a condition and checks that it uses known names only.
    ///
    /// # Errors
    /// A sentence that says what is wrong and how to mend it.
    pub fn compile(text: &str) -> Result<Self, String> {
        if text.len() > limits::CONDITION_BYTES_MAX {
            return Err(format!("the condition is longer than {} bytes", limits::CONDITION_BYTES_MAX));
        }
        let program = Program::compile(text).map_err(|errors| {
            let first =
                errors.errors.first().map_or_else(|| "it cannot be read".to_owned(), ToString::to_string);
            format!("the condition is not valid CEL: {}", first.lines().next().unwrap_or("it cannot be read"))
        })?;
        if has_loop(program.expression()) {
            return Err("the condition loops (`all`, `exists`, `exists_one`, `map` or `filter`); conditions are asked for \
                every movement and must be quick: name the parameter you mean, such as `'sub1' in click`"
                .into());
        }
        if let Some(label) = unknown_label(program.expression()) {
            let known: Vec<&str> = Reason::LABELS.iter().map(|label| label.code()).collect();
            return Err(format!(
                "the condition asks for the label `{label}`, which is never set; known are {}",
                known.join(", ")
            ));
        }
        let mut uses = Vec::new();
        for name in program.references().variables() {
            match VARIABLES.iter().find(|(known, _)| *known == name) {
                Some((known, _)) => uses.push(*known),
                None => {
                    let known: Vec<&str> = VARIABLES.iter().map(|(known, _)| *known).collect();
                    return Err(format!(
                        "the condition uses `{name}`, which is not known; known are {}",
                        known.join(", ")
                    ));
                }
            }
        }
        for name in program.references().functions() {
            if !is_known_function(name) {
                return Err(format!(
                    "the condition calls `{name}`, which is not a function of CEL's standard library"
                ));
            }
        }
        Ok(Self { text: text.to_owned(), program: Arc::new(program), uses })
    }

    /// The text it was compiled from.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it is the labels that keep a subject from what the condition asks for: without them it would hold.
    #[must_use]
    pub fn fails_by_labels(&self, subject: &Subject<'_>) -> bool {
        !subject.labels.is_empty()
            && self.uses.contains(&"labels")
            && self.holds(subject) == Ok(false)
            && self.holds(&Subject { labels: &[], ..*subject }) == Ok(true)
    }

    /// Evaluates the condition.
    ///
    /// # Errors
    /// A sentence if the condition fails or does not give yes or no.
    pub fn holds(&self, subject: &Subject<'_>) -> Result<bool, String> {
        let mut context = Context::with_env(Arc::clone(&ENV));
        for name in &self.uses {
            context.add_variable_from_value(*name, subject.value_of(name));
        }
        match self.program.execute(&context) {
            Ok(Value::Bool(held)) => Ok(held),
            Ok(_) => Err("the condition does not give true or false".into()),
            Err(error) => Err(error.to_string()),
        }
    }
}

/// Loops within loops take time without a limit, in the one transaction that everybody waits for.
fn has_loop(expression: &IdedExpr) -> bool {
    matches!(&expression.expr, Expr::Comprehension(_)) || parts(expression).into_iter().any(has_loop)
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

/// The expressions that an expression is made of.
fn parts(expression: &IdedExpr) -> Vec<&IdedExpr> {
    fn entry(entry: &IdedEntryExpr) -> Vec<&IdedExpr> {
        match &entry.expr {
            EntryExpr::StructField(field) => vec![&field.value],
            EntryExpr::MapEntry(pair) => vec![&pair.key, &pair.value],
        }
    }
    match &expression.expr {
        Expr::Call(call) => call.target.as_deref().into_iter().chain(&call.args).collect(),
        Expr::List(list) => list.elements.iter().collect(),
        Expr::Map(map) => map.entries.iter().flat_map(entry).collect(),
        Expr::Struct(fields) => fields.entries.iter().flat_map(entry).collect(),
        Expr::Select(select) => vec![&select.operand],
        Expr::Comprehension(_) | Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) => Vec::new(),
    }
}

fn is_known_function(name: &str) -> bool {
    // Operators appear under internal names.
    const FUNCTIONS: &[&str] = &[
        "size",
        "contains",
        "startsWith",
        "endsWith",
        "string",
        "int",
        "uint",
        "double",
        "bytes",
        "bool",
        "type",
        "dyn",
        "has",
        "max",
        "min",
    ];
    name.starts_with(|c: char| !c.is_ascii_alphabetic()) || FUNCTIONS.contains(&name) || name.starts_with('_')
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
            "click" => map(self.click_params),
            "fields" => map(self.fields),
            "movements" => Value::Int(i64::from(conversion.movements)),
            "labels" => self.labels.iter().map(|label| text(label)).collect::<Vec<Value>>().into(),
            _ => Value::Null,
        }
    }
}

fn map(pairs: &[(String, String)]) -> Value {
    // Of a repeated parameter the first value counts, here as everywhere.
    let mut values: HashMap<String, Value> = HashMap::with_capacity(pairs.len());
    for (name, value) in pairs {
        values.entry(name.clone()).or_insert_with(|| Value::String(Arc::new(value.clone())));
    }
    values.into()
}

#[cfg(test)]
mod tests {
    use super::*;

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
