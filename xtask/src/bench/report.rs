//! What was measured: a table for people, `bench.json` for machines.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use serde::Serialize;

use super::facts::Facts;

/// One row: a figure, the limit of the same machine in the same run, and what was promised.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Row {
    /// Its name, such as `click`.
    pub(crate) name: String,
    /// `sqlite`, `postgres`, or empty where no database matters.
    pub(crate) database: String,
    /// What the figure counts, such as `requests/s`.
    pub(crate) unit: String,
    /// The figure.
    pub(crate) measured: u64,
    /// What the machine could do at best, measured in the same run.
    pub(crate) limit: Option<Limit>,
    /// The promise.
    pub(crate) goal: Goal,
    /// Further figures by name.
    pub(crate) details: BTreeMap<String, u64>,
}

/// The best that the machine could do.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Limit {
    /// Of what.
    pub(crate) what: String,
    /// The figure, in the row's unit.
    pub(crate) value: u64,
}

/// What was promised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Goal {
    /// At least this many.
    AtLeast(u64),
    /// At most this many.
    AtMost(u64),
    /// At least this share of the limit, in percent.
    PercentOfLimit(u64),
    /// At most this share of the limit, in percent: for what is better when it is less.
    AtMostPercentOfLimit(u64),
    /// Shown for comparison; nothing is promised.
    Shown,
}

impl Row {
    /// A figure that stands for itself.
    pub(crate) fn alone(
        name: &str,
        database: &str,
        (measured, unit): (u64, &str),
        goal: Goal,
        details: &[(&str, u64)],
    ) -> Self {
        Self {
            name: name.to_owned(),
            database: database.to_owned(),
            unit: unit.to_owned(),
            measured,
            limit: None,
            goal,
            details: details.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect(),
        }
    }

    /// The same beside the best that the machine could do in the same run.
    pub(crate) fn against(mut self, what: &str, value: u64) -> Self {
        self.limit = Some(Limit { what: what.to_owned(), value });
        self
    }

    /// How much of the limit was reached, in percent.
    fn percent(&self) -> Option<u64> {
        let limit = self.limit.as_ref()?;
        (limit.value > 0).then(|| self.measured * 100 / limit.value)
    }

    /// Whether the promise is kept; `None` where there is none.
    pub(crate) fn passes(&self) -> Option<bool> {
        match self.goal {
            Goal::AtLeast(least) => Some(self.measured >= least),
            Goal::AtMost(most) => Some(self.measured <= most),
            Goal::PercentOfLimit(least) => Some(self.percent()? >= least),
            Goal::AtMostPercentOfLimit(most) => Some(self.percent()? <= most),
            Goal::Shown => None,
        }
    }

    fn verdict(&self) -> &'static str {
        match self.passes() {
            Some(true) => "pass",
            Some(false) => "MISSED",
            None => "",
        }
    }

    fn goal_text(&self) -> String {
        match self.goal {
            Goal::AtLeast(least) => format!(">= {}", grouped(least)),
            Goal::AtMost(most) => format!("<= {}", grouped(most)),
            Goal::PercentOfLimit(least) => format!(">= {least} % of limit"),
            Goal::AtMostPercentOfLimit(most) => format!("<= {most} % of limit"),
            Goal::Shown => String::new(),
        }
    }
}

impl fmt::Display for Row {
    /// One line, for those who watch.
    fn fmt(&self, line: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(line, "{} {}: {} {}", self.name, self.database, grouped(self.measured), self.unit)?;
        if let Some(limit) = &self.limit {
            write!(line, ", {} {}", limit.what, grouped(limit.value))?;
        }
        for (name, value) in &self.details {
            write!(line, ", {name} {}", grouped(*value))?;
        }
        write!(line, " {}", self.verdict())
    }
}

/// The table.
pub(crate) fn table(facts: &Facts, rows: &[Row]) -> String {
    let mut lines =
        vec![["row", "database", "measured", "unit", "limit", "of", "ratio", "goal", ""].map(str::to_owned)];
    for row in rows {
        let (limit, of) = row
            .limit
            .as_ref()
            .map_or_else(Default::default, |limit| (grouped(limit.value), limit.what.clone()));
        lines.push([
            row.name.clone(),
            row.database.clone(),
            grouped(row.measured),
            row.unit.clone(),
            limit,
            of,
            row.percent()
                .map_or_else(String::new, |percent| format!("{}.{:02}", percent / 100, percent % 100)),
            row.goal_text(),
            row.verdict().to_owned(),
        ]);
    }
    let widths: Vec<usize> = (0..9)
        .map(|column| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0))
        .collect();
    let mut text = format!("{facts}\n\n");
    for line in &lines {
        let cells: Vec<String> = line
            .iter()
            .zip(&widths)
            .enumerate()
            .map(|(column, (cell, width))| match column {
                2 | 4 | 6 => format!("{cell:>width$}"),
                _ => format!("{cell:<width$}"),
            })
            .collect();
        // Writing to a string cannot fail.
        let _written = writeln!(text, "{}", cells.join("  ").trim_end());
    }
    for row in rows.iter().filter(|row| !row.details.is_empty()) {
        let details: Vec<_> =
            row.details.iter().map(|(name, value)| format!("{name} {}", grouped(*value))).collect();
        let _written = write!(text, "\n{} {}: {}", row.name, row.database, details.join(", "));
    }
    text
}

/// The same for machines.
pub(crate) fn json(facts: &Facts, rows: &[Row]) -> serde_json::Value {
    let rows: Vec<_> = rows
        .iter()
        .map(|row| {
            let mut value = serde_json::json!(row);
            value["percent_of_limit"] = row.percent().into();
            value["pass"] = row.passes().into();
            value
        })
        .collect();
    serde_json::json!({ "machine": facts, "rows": rows })
}

/// `12 345 678`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(measured: u64, limit: Option<u64>, goal: Goal) -> Row {
        Row {
            name: "click".to_owned(),
            database: "sqlite".to_owned(),
            unit: "requests/s".to_owned(),
            measured,
            limit: limit.map(|value| Limit { what: "nginx".to_owned(), value }),
            goal,
            details: BTreeMap::from([("p99 us".to_owned(), 4_100)]),
        }
    }

    #[test]
    fn promises_are_judged() {
        assert_eq!(row(50, Some(100), Goal::PercentOfLimit(50)).passes(), Some(true));
        assert_eq!(row(49, Some(100), Goal::PercentOfLimit(50)).passes(), Some(false));
        assert_eq!(row(120, Some(100), Goal::AtMostPercentOfLimit(120)).passes(), Some(true));
        assert_eq!(row(121, Some(100), Goal::AtMostPercentOfLimit(120)).passes(), Some(false));
        assert_eq!(row(10, None, Goal::AtLeast(11)).passes(), Some(false));
        assert_eq!(row(10, None, Goal::AtMost(10)).passes(), Some(true));
        assert_eq!(row(10, None, Goal::Shown).passes(), None);
    }

    #[test]
    fn the_table_and_the_json_say_the_same() {
        let rows = [row(12_345, Some(40_000), Goal::PercentOfLimit(50))];
        let facts = Facts::default();
        let table = table(&facts, &rows);
        assert!(table.contains("12 345") && table.contains("0.30") && table.contains("MISSED"), "{table}");
        assert!(table.contains("p99 us 4 100"), "{table}");
        let json = json(&facts, &rows);
        assert_eq!(json["rows"][0]["percent_of_limit"], 30);
        assert_eq!(json["rows"][0]["pass"], false);
    }
}
