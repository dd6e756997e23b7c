//! From a sample call to a proposed partner: whose call it looks like, what each parameter would become, and the section
//! and the URL that follow. Reads the presets, touches nothing else.

use serde::Serialize;

use crate::click::looks_like_macro;
use crate::config::preset::{self, Preset};
use crate::contract::{Contract, Encoding, Terms};
use crate::ledger::Status;
use crate::params::Params;

mod guess;
mod read;
mod score;
mod section;
#[cfg(test)]
mod tests;

pub use read::Unreadable;

/// What is proposed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Proposal {
    /// The presets that fit best, the best one first; at most three.
    pub candidates: Vec<Candidate>,
    /// The preset that the proposal starts from.
    pub preset: &'static str,
    /// What each parameter would become, in the order of the sample.
    pub params: Vec<Reading>,
    /// The status words of the sample.
    pub statuses: Vec<StatusSeen>,
    /// The partner's section.
    pub section: String,
    /// The URL to paste at the sender.
    pub url: String,
    /// What to look at before it is used.
    pub notes: Vec<String>,
}

/// A preset that fits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Candidate {
    /// Its name.
    pub preset: &'static str,
    /// Its name for people.
    pub title: &'static str,
    /// How well it fits; a name that few senders use counts more than one that all use.
    pub score: u32,
    /// Why.
    pub why: Vec<String>,
}

/// A parameter, and what it would become.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reading {
    /// Its name.
    pub name: String,
    /// Its value in the sample.
    pub value: String,
    /// Our field; `None` if it is only kept.
    pub field: Option<&'static str>,
    /// Who says so.
    pub by: By,
    /// Whether the value is the sender's macro.
    pub is_macro: bool,
}

/// Who says what a parameter becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// The preset's map.
    Preset,
    /// It is one of the names that are always read.
    Name,
    /// It looks like it: to be checked.
    Guess,
    /// A secret, which is checked and never kept.
    Secret,
    /// Nobody: it is kept and decides nothing.
    Nobody,
}

/// A status word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StatusSeen {
    /// The sender's word.
    pub word: String,
    /// What it means; `None` if somebody has to say.
    pub meaning: Option<&'static str>,
    /// Whether the preset or our own vocabulary knows it; else it is a guess.
    pub is_known: bool,
}

/// Below this a preset is no more than a coincidence of names that everybody uses.
const SCORE_MIN: u32 = 6;
/// Fewer things in common are a coincidence.
const REASONS_MIN: usize = 2;
/// How many candidates are shown.
const CANDIDATES: usize = 3;

/// What a status word that no contract knows probably means, and how that is known; somebody has to confirm it.
#[must_use]
pub fn status_of(word: &str) -> Option<(Status, String)> {
    guess::status_of(word)
}

/// Proposes a partner for a sample: a URL, a query, or a JSON object.
///
/// # Errors
/// The sample is none of these.
pub fn propose(sample: &str, slug: Option<&str>, base: &str) -> Result<Proposal, Unreadable> {
    let sample = read::sample(sample)?;
    let candidates: Vec<Candidate> = score::candidates(&sample).into_iter().take(CANDIDATES).collect();
    let best = candidates.first().filter(|best| best.score >= SCORE_MIN && best.why.len() >= REASONS_MIN);
    let preset = best.and_then(|best| preset::named(best.preset)).unwrap_or_else(preset::generic);
    let slug = slug.unwrap_or(preset.name.as_str());
    let mut draft = Draft::new(sample, preset);
    draft.read();
    let section = section::section(&draft, slug);
    let url = section::url(&draft, slug, base);
    Ok(Proposal {
        candidates,
        preset: &preset.name,
        params: draft.params,
        statuses: draft.statuses,
        section,
        url,
        notes: draft.notes,
    })
}

/// A proposal in the making.
struct Draft {
    sample: read::Sample,
    preset: &'static Preset,
    contract: Contract,
    /// What the section says beyond the preset.
    own: Terms,
    params: Vec<Reading>,
    statuses: Vec<StatusSeen>,
    notes: Vec<String>,
}

impl Draft {
    fn new(sample: read::Sample, preset: &'static Preset) -> Self {
        let contract = Contract::new(&Terms::default(), &preset.terms);
        let notes = sample.notes.clone();
        Self {
            sample,
            preset,
            contract,
            own: Terms::default(),
            params: Vec::new(),
            statuses: Vec::new(),
            notes,
        }
    }

    fn read(&mut self) {
        if self.sample.is_escaped_twice() {
            self.own.encoding = Some(Encoding::Twice);
            self.sample.unescape();
        }
        let params: Params = self.sample.params.clone();
        self.params = guess::readings(&params, &self.contract, &mut self.own);
        guess::statuses(self);
        guess::amounts(self);
        self.note();
    }

    /// The value of a field, if it is more than a macro.
    fn value(&self, field: &str) -> Option<&str> {
        let reading = self.params.iter().find(|reading| reading.field == Some(field))?;
        Some(reading.value.trim()).filter(|value| !value.is_empty() && !reading.is_macro)
    }

    fn has(&self, field: &str) -> bool {
        self.params.iter().any(|reading| reading.field == Some(field))
    }

    fn note(&mut self) {
        if !self.has("click_id") {
            self.notes.push(
                "no parameter looks like a click id; conversions would be booked without a click".into(),
            );
        }
        if !self.has("transaction_id") {
            let note = "no transaction id: one click has one conversion per event; a rebill needs an id or an event of its own";
            self.notes.push(note.into());
        }
        if !self.has("payout") && !self.has("revenue") {
            self.notes.push("no amount: conversions would have no value".into());
        }
        let left: Vec<&str> = self
            .params
            .iter()
            .filter(|reading| matches!(reading.value.as_str(), "REPLACE" | "OPTIONAL"))
            .map(|reading| reading.name.as_str())
            .collect();
        if !left.is_empty() {
            self.notes.push(format!(
                "put the sender's macros in place of REPLACE and OPTIONAL: {}",
                left.join(", ")
            ));
        }
        if self.params.iter().any(|reading| reading.by == By::Guess) {
            self.notes.push(
                "what is guessed was told by names and values alone: compare it with the sender's own page"
                    .into(),
            );
        }
        if self.preset.name != "generic" {
            self.notes.push(format!("{}: {}", self.preset.title, self.preset.note));
        }
    }
}

fn is_macro(value: &str) -> bool {
    looks_like_macro(value)
}
