//! Rules: for which visits a path is. Simple pairs of a name and the values it may have, an expression, or both; what both
//! say must hold.

use std::sync::Arc;

use cel::Value;

use crate::expression::{Expression, map};
use crate::visit::{DAYS, Needs, Visit};

/// The names that a rule's expression may use, with what they are.
pub const VARIABLES: &[(&str, &str)] = &[
    ("country", "where the address is, two letters of ISO 3166, or an empty text"),
    ("region", "the region's ISO 3166-2 code without its country, or an empty text"),
    ("city", "the city's English name, or an empty text"),
    ("isp", "the internet provider, or an empty text"),
    ("asn", "the number of the visitor's network, 0 if unknown"),
    ("device", "desktop, mobile, tablet, tv, bot or other"),
    ("os", "the system: android, ios, windows, macos, linux, chromeos, .."),
    ("browser", "the browser's family: chrome, safari, firefox, facebook, .."),
    ("language", "the language that the browser names first, such as de-at"),
    ("campaign", "the campaign's slug"),
    ("source", "the source's slug, or an empty text"),
    ("day", "mon, tue, wed, thu, fri, sat or sun, in the workspace's time zone"),
    ("hour", "0 to 23, in the workspace's time zone"),
    ("returning", "whether the visitor was on this campaign before"),
    ("param", "the click's parameters by name, e.g. param.sub1"),
];

/// The names of simple pairs that take a list of texts.
pub const TEXTS: &[&str] =
    &["country", "region", "city", "isp", "asn", "device", "os", "browser", "language", "source", "day"];

/// One pair: a name, and what it may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pair {
    /// A fact is one of these texts in any case, or, with `not`, none of them.
    Text {
        /// One of [`TEXTS`].
        name: &'static str,
        /// Whether it must be none of them.
        not: bool,
        /// The texts.
        values: Vec<String>,
    },
    /// A parameter of the click is one of these texts, or, with `not`, none of them.
    Param {
        /// The parameter's name.
        name: String,
        /// Whether it must be none of them.
        not: bool,
        /// The texts.
        values: Vec<String>,
    },
    /// The hour is one of these: the texts as they were written, and a bit for each hour.
    Hours(Vec<String>, u32),
    /// Whether the visitor was on this campaign before.
    Returning(bool),
}

/// For which visits a path is.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Rule {
    /// All of these must hold.
    pub pairs: Vec<Pair>,
    /// And this.
    pub condition: Option<Expression>,
}

impl Rule {
    /// Whether it is for every visit.
    #[must_use]
    pub const fn is_for_all(&self) -> bool {
        self.pairs.is_empty() && self.condition.is_none()
    }

    /// What has to be looked up to ask it.
    #[must_use]
    pub fn needs(&self) -> Needs {
        let of_pairs = self.pairs.iter().fold(Needs::default(), |needs, pair| match pair {
            Pair::Text { name, .. } => needs.and(Needs::of(name)),
            Pair::Returning(_) => needs.and(Needs::of("returning")),
            Pair::Param { .. } | Pair::Hours(..) => needs,
        });
        let used = |expression: &Expression| {
            let names = VARIABLES.iter().filter(|(name, _)| expression.uses(name));
            names.fold(Needs::default(), |needs, (name, _)| needs.and(Needs::of(name)))
        };
        of_pairs.and(self.condition.as_ref().map(used).unwrap_or_default())
    }

    /// Whether a visit meets it. An expression that fails, for it names a parameter that did not come, is not met.
    #[must_use]
    pub fn holds(&self, visit: &Visit<'_>) -> bool {
        self.pairs.iter().all(|pair| pair.holds(visit))
            && self
                .condition
                .as_ref()
                .is_none_or(|condition| condition.holds(|name| value(visit, name)) == Ok(true))
    }
}

impl Pair {
    fn holds(&self, visit: &Visit<'_>) -> bool {
        match self {
            Self::Text { name, not, values } => {
                let Some(is) = visit.text(name) else { return false };
                let one = match *name {
                    "language" => values.iter().any(|value| speaks(&is, value)),
                    _ => values.iter().any(|value| value.eq_ignore_ascii_case(&is)),
                };
                one != *not
            }
            Self::Param { name, not, values } => {
                let is = visit.params.get(name).or_else(|| visit.params.get_ignoring_case(name));
                values.iter().any(|value| value == is.unwrap_or("")) != *not
            }
            Self::Hours(_, bits) => bits >> visit.hour() & 1 == 1,
            Self::Returning(returning) => visit.returning == *returning,
        }
    }
}

/// Whether a language tag is the one that is asked for, or one of its kinds: `de-at` is `de`.
fn speaks(is: &str, asked: &str) -> bool {
    is.get(..asked.len()).is_some_and(|head| head.eq_ignore_ascii_case(asked))
        && is.get(asked.len()..).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

fn value(visit: &Visit<'_>, name: &'static str) -> Value {
    match name {
        "hour" => Value::Int(i64::from(visit.hour())),
        "asn" => Value::Int(i64::from(visit.place.asn.unwrap_or(0))),
        "returning" => Value::Bool(visit.returning),
        "param" => map(visit.params.iter().map(|param| (param.name.as_str(), param.value.as_str()))),
        name => visit.text(name).map_or(Value::Null, |text| Value::String(Arc::new(text.into_owned()))),
    }
}

/// Reads hours: `"8"`, or `"8-20"`, which is from eight to before twenty; `"22-6"` goes over midnight.
#[must_use]
pub fn hours(text: &str) -> Option<u32> {
    let hour = |text: &str| text.trim().parse::<u32>().ok();
    let Some((from, to)) = text.split_once('-') else {
        return hour(text).filter(|hour| *hour < 24).map(|hour| 1 << hour);
    };
    let (from, to) = (hour(from)?, hour(to)?);
    if from > 23 || to > 24 || from == to {
        return None;
    }
    let before = |hour: u32| (1_u32 << hour) - 1;
    Some(if from < to { before(to) & !before(from) } else { before(24) & !(before(from) & !before(to)) })
}

/// Whether a text is a day as rules write it.
#[must_use]
pub fn is_day(text: &str) -> bool {
    DAYS.iter().any(|day| day.eq_ignore_ascii_case(text))
}

#[cfg(test)]
mod tests;
