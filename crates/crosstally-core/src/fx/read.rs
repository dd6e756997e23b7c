//! Files of rates: the European Central Bank's XML and CSV, and a plain CSV of one's own.
//!
//! A file is read as a whole or not at all: half a day's rates would be worse than none.

use std::collections::{BTreeMap, BTreeSet};

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use super::{Day, FxError, Quote, Source};
use crate::limits;
use crate::money::Currency;

/// Characters of what is said about a file.
const PROBLEM_CHARS_MAX: usize = 200;

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `eurofxref-daily.xml`, `eurofxref-hist-90d.xml`, `eurofxref-hist.xml`.
    EcbXml,
    /// `eurofxref.csv`, `eurofxref-hist.csv`.
    EcbCsv,
    /// Lines of `date,base,quote,rate`.
    Csv,
}

impl Format {
    /// All formats.
    pub const ALL: [Self; 3] = [Self::EcbXml, Self::EcbCsv, Self::Csv];

    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::EcbXml => "ecb-xml",
            Self::EcbCsv => "ecb-csv",
            Self::Csv => "csv",
        }
    }

    /// Reads the word back.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.as_str() == word)
    }

    /// The format that a file begins like.
    #[must_use]
    pub fn of(text: &str) -> Self {
        let start = text.trim_start_matches('\u{feff}').trim_start();
        let first: Vec<&str> = start.lines().next().unwrap_or_default().split(',').map(str::trim).collect();
        let is_head = first.first().is_some_and(|cell| cell.eq_ignore_ascii_case("date"));
        match first.get(1) {
            _ if start.starts_with('<') => Self::EcbXml,
            Some(second) if is_head && !second.eq_ignore_ascii_case("base") => Self::EcbCsv,
            _ => Self::Csv,
        }
    }
}

/// What a file says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Parsed {
    /// Its rates.
    pub quotes: Vec<Quote>,
    /// Currencies that are none of ISO 4217 any more; the ECB's history has those that became the euro.
    pub skipped: BTreeSet<String>,
}

/// Why a file of rates is not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct Unreadable {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong there.
    pub problem: String,
}

impl Unreadable {
    fn at(line: usize, problem: impl Into<String>) -> Self {
        // The parser of XML quotes the file.
        let problem: String = problem.into();
        Self { line, problem: problem.chars().filter(|c| !c.is_control()).take(PROBLEM_CHARS_MAX).collect() }
    }
}

/// Reads a file of rates.
///
/// # Errors
/// Where it cannot be read; nothing of it counts then.
pub fn read(text: &str, format: Format) -> Result<Parsed, Unreadable> {
    let text = text.trim_start_matches('\u{feff}');
    let mut sheet = Sheet::default();
    match format {
        Format::EcbXml => ecb_xml(text, &mut sheet)?,
        Format::EcbCsv => ecb_csv(text, &mut sheet)?,
        Format::Csv => plain_csv(text, &mut sheet)?,
    }
    if sheet.quotes.is_empty() {
        return Err(Unreadable::at(1, format!("there are no rates in it, read as {}", format.as_str())));
    }
    Ok(Parsed { quotes: sheet.quotes.into_values().collect(), skipped: sheet.skipped })
}

#[derive(Default)]
struct Sheet {
    quotes: BTreeMap<(Day, &'static str, &'static str), Quote>,
    skipped: BTreeSet<String>,
}

impl Sheet {
    fn add(&mut self, line: usize, quote: Quote) -> Result<(), Unreadable> {
        if quote.base == quote.quote {
            return Err(Unreadable::at(line, format!("{} against itself", quote.base)));
        }
        let name = (quote.day, quote.base.code(), quote.quote.code());
        if self.quotes.insert(name, quote).is_some_and(|other| other.rate != quote.rate) {
            let problem = format!("{}/{} has two rates on {}", quote.base, quote.quote, quote.day);
            return Err(Unreadable::at(line, problem));
        }
        if self.quotes.len() > limits::FX_RATES_MAX {
            return Err(Unreadable::at(line, format!("more than {} rates", limits::FX_RATES_MAX)));
        }
        Ok(())
    }

    /// A rate of the ECB: so many units of a currency for one euro.
    fn add_euro(&mut self, line: usize, day: Day, code: &str, rate: &str) -> Result<(), Unreadable> {
        if code.len() != 3 || !code.bytes().all(|b| b.is_ascii_uppercase()) {
            return Err(Unreadable::at(line, format!("{} is not a currency's code", shown(code))));
        }
        let Ok(quote) = code.parse() else {
            self.skipped.insert(code.to_owned());
            return Ok(());
        };
        let base = "EUR".parse().expect("EUR is a currency of ISO 4217");
        self.add(line, Quote { day, base, quote, rate: parsed(line, rate)?, source: Source::Ecb })
    }
}

fn parsed<T: std::str::FromStr<Err = FxError>>(line: usize, text: &str) -> Result<T, Unreadable> {
    text.trim().parse().map_err(|error| Unreadable::at(line, format!("{} {error}", shown(text))))
}

fn shown(text: &str) -> String {
    format!("`{}`", text.chars().filter(|c| !c.is_control()).take(40).collect::<String>())
}

/// `<Cube time="2026-11-20"><Cube currency="USD" rate="1.0856"/>…</Cube>` inside an envelope.
fn ecb_xml(text: &str, sheet: &mut Sheet) -> Result<(), Unreadable> {
    let mut reader = Reader::from_str(text);
    let mut day = None;
    let mut depth = 0_usize;
    loop {
        let event = reader.read_event();
        let line = line_of(text, reader.buffer_position());
        match event.map_err(|error| Unreadable::at(line, format!("not XML: {error}")))? {
            Event::Start(element) => {
                depth += 1;
                cube(line, &element, &mut day, sheet)?;
            }
            Event::Empty(element) => cube(line, &element, &mut day, sheet)?,
            Event::End(_) => depth = depth.saturating_sub(1),
            // Entities that a document makes up itself are how a small file becomes a large one.
            Event::DocType(_) => {
                return Err(Unreadable::at(line, "a DOCTYPE, which the ECB's files have not"));
            }
            Event::Eof if depth > 0 => return Err(Unreadable::at(line, "the file ends in the middle")),
            Event::Eof => return Ok(()),
            _ => {}
        }
    }
}

fn line_of(text: &str, position: u64) -> usize {
    let end = usize::try_from(position).unwrap_or(usize::MAX).min(text.len());
    text.as_bytes().iter().take(end).filter(|byte| **byte == b'\n').count() + 1
}

fn cube(
    line: usize,
    element: &BytesStart<'_>,
    day: &mut Option<Day>,
    sheet: &mut Sheet,
) -> Result<(), Unreadable> {
    if element.local_name().as_ref() != b"Cube" {
        return Ok(());
    }
    let attribute = |name: &str| match element.try_get_attribute(name) {
        Ok(Some(found)) => std::str::from_utf8(&found.value).map(|value| Some(value.to_owned())).ok(),
        Ok(None) => Some(None),
        Err(_) => None,
    };
    let bad = || Unreadable::at(line, "an attribute that cannot be read");
    let (time, currency, rate) = (
        attribute("time").ok_or_else(bad)?,
        attribute("currency").ok_or_else(bad)?,
        attribute("rate").ok_or_else(bad)?,
    );
    if let Some(time) = time {
        *day = Some(parsed(line, &time)?);
    }
    match (currency, rate, *day) {
        (Some(currency), Some(rate), Some(day)) => sheet.add_euro(line, day, &currency, &rate),
        (None, None, _) => Ok(()),
        _ => Err(Unreadable::at(line, "a rate without a currency, a number or a day")),
    }
}

/// A head of `Date, USD, JPY, …` and a line of rates per day; `N/A` where there is none.
fn ecb_csv(text: &str, sheet: &mut Sheet) -> Result<(), Unreadable> {
    let mut lines =
        text.lines().enumerate().map(|(at, line)| (at + 1, line)).filter(|(_, line)| !line.trim().is_empty());
    let cells = |line: &str| line.split(',').map(|cell| cell.trim().to_owned()).collect::<Vec<String>>();
    let head = lines.next().map(|(_, line)| cells(line)).unwrap_or_default();
    if !head.first().is_some_and(|cell| cell.eq_ignore_ascii_case("date")) {
        return Err(Unreadable::at(1, "the first line is not `Date,USD,JPY,…`"));
    }
    for (line, row) in lines {
        let row = cells(row);
        if row.len() != head.len() {
            let problem = format!("{} cells under a head of {}", row.len(), head.len());
            return Err(Unreadable::at(line, problem));
        }
        let date = row.first().map(String::as_str).unwrap_or_default();
        let day = worded_day(date).map_or_else(|| parsed(line, date), Ok)?;
        for (code, rate) in head.iter().zip(&row).skip(1) {
            if !rate.is_empty() && rate != "N/A" {
                sheet.add_euro(line, day, code, rate)?;
            }
        }
    }
    Ok(())
}

/// A day as the ECB's daily CSV has it: `20 November 2026`.
fn worded_day(text: &str) -> Option<Day> {
    const MONTHS: [&str; 12] = [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ];
    let mut words = text.split_whitespace();
    let (day, word, year) = (words.next()?, words.next()?, words.next()?);
    let month = (1_i8..)
        .zip(MONTHS)
        .find_map(|(number, month)| month.eq_ignore_ascii_case(word).then_some(number))?;
    Day::from_date(year.parse().ok()?, month, day.parse().ok()?)
}

/// Lines of `date,base,quote,rate`; a head and lines that begin with `#` are passed over.
fn plain_csv(text: &str, sheet: &mut Sheet) -> Result<(), Unreadable> {
    for (line, row) in text.lines().enumerate().map(|(at, line)| (at + 1, line.trim())) {
        if row.is_empty() || row.starts_with('#') {
            continue;
        }
        let cells: Vec<&str> = row.split(',').map(|cell| cell.trim().trim_matches('"')).collect();
        let [date, base, quote, rate] = cells.as_slice() else {
            return Err(Unreadable::at(line, "not four cells: date,base,quote,rate"));
        };
        if line == 1 && date.eq_ignore_ascii_case("date") {
            continue;
        }
        let currency = |code: &str| {
            code.parse::<Currency>().map_err(|error| Unreadable::at(line, format!("{} {error}", shown(code))))
        };
        let quote = Quote {
            day: parsed(line, date)?,
            base: currency(base)?,
            quote: currency(quote)?,
            rate: parsed(line, rate)?,
            source: Source::Csv,
        };
        sheet.add(line, quote)?;
    }
    Ok(())
}
