//! Expressions of the Common Expression Language over a fixed set of names: compiled once, bounded in what they may cost.
//! What the names stand for, the callers say.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use cel::common::ast::{EntryExpr, Expr, IdedEntryExpr, IdedExpr};
use cel::{Context, Env, Program, Value};

use crate::limits;

static ENV: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(Env::stdlib()));

/// A compiled expression that says yes or no.
#[derive(Clone)]
pub struct Expression {
    text: String,
    program: Arc<Program>,
    uses: Vec<&'static str>,
}

impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl std::fmt::Debug for Expression {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Expression({:?})", self.text)
    }
}

impl Expression {
    /// Compiles an expression and checks that it uses these names only; each stands with what it is.
    ///
    /// # Errors
    /// A sentence that says what is wrong and how to mend it.
    pub fn compile(text: &str, variables: &[(&'static str, &str)]) -> Result<Self, String> {
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
        let mut uses = Vec::new();
        for name in program.references().variables() {
            match variables.iter().find(|(known, _)| *known == name) {
                Some((known, _)) => uses.push(*known),
                None => {
                    let known: Vec<&str> = variables.iter().map(|(known, _)| *known).collect();
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

    /// Whether it asks for this name.
    #[must_use]
    pub fn uses(&self, name: &str) -> bool {
        self.uses.contains(&name)
    }

    /// Its outermost part.
    pub(crate) fn root(&self) -> &IdedExpr {
        self.program.expression()
    }

    /// Evaluates the expression.
    ///
    /// # Errors
    /// A sentence if it fails or does not give yes or no.
    pub(crate) fn holds(&self, value_of: impl Fn(&'static str) -> Value) -> Result<bool, String> {
        let mut context = Context::with_env(Arc::clone(&ENV));
        for name in &self.uses {
            context.add_variable_from_value(*name, value_of(name));
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

/// The expressions that an expression is made of.
pub(crate) fn parts(expression: &IdedExpr) -> Vec<&IdedExpr> {
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

/// Values by name.
pub(crate) fn map<'p>(pairs: impl Iterator<Item = (&'p str, &'p str)>) -> Value {
    // Of a repeated parameter the first value counts, here as everywhere.
    let mut values: HashMap<String, Value> = HashMap::new();
    for (name, value) in pairs {
        values.entry(name.to_owned()).or_insert_with(|| Value::String(Arc::new(value.to_owned())));
    }
    values.into()
}
