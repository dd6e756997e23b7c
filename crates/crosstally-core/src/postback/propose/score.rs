//! Whose call it looks like: every preset gets points for names, macros and words that the sample shares with it.

use std::collections::{BTreeMap, BTreeSet};

use super::read::Sample;
use super::{Candidate, is_macro};
use crate::config::preset::{self, Preset};
use crate::drop_in;
use crate::params::Params;

/// Points for another tracker's own path.
const PATH_POINTS: u32 = 8;
/// Points for the sender's name in the host.
const HOST_POINTS: u32 = 12;
/// What a macro counts more than a name.
const MACRO_WEIGHT: u32 = 2;
/// The most that a name counts where there are macros.
const NAME_POINTS_BESIDE_MACROS: u32 = 1;
/// The most that a word counts: all senders take theirs from one language.
const WORD_POINTS_MAX: u32 = 2;
/// Reasons that are shown.
const REASONS_MAX: usize = 6;

/// What a preset can be told by, in lower case.
#[derive(Default)]
struct Marks {
    names: BTreeSet<String>,
    macros: BTreeSet<String>,
    words: BTreeSet<String>,
}

impl Marks {
    fn of(preset: &Preset) -> Self {
        let mut marks = Self::default();
        marks.names.extend(preset.terms.params.values().flatten().map(|name| name.to_lowercase()));
        // A template's names are ours where they can be; its macros are the sender's own.
        let template = Params::parse(preset.template.as_bytes()).unwrap_or_default();
        for param in template.iter() {
            marks.names.insert(param.name.to_lowercase());
            if is_macro(&param.value) {
                marks.macros.insert(param.value.to_lowercase());
            }
        }
        marks.words.extend(preset.terms.statuses.keys().filter(|word| *word != "*").cloned());
        marks
    }
}

/// In how many presets each mark is.
#[derive(Default)]
struct Spread(BTreeMap<String, u32>);

impl Spread {
    fn count(&mut self, marks: &BTreeSet<String>) {
        for mark in marks {
            *self.0.entry(mark.clone()).or_default() += 1;
        }
    }

    /// The rarer, the more it says.
    fn points(&self, mark: &str) -> u32 {
        match self.0.get(mark).copied().unwrap_or(1) {
            0 | 1 => 6,
            2 => 5,
            3..=4 => 4,
            5..=8 => 3,
            9..=16 => 2,
            _ => 1,
        }
    }
}

/// All presets that share anything with the sample, the best one first.
pub(super) fn candidates(sample: &Sample) -> Vec<Candidate> {
    let all: Vec<(&'static Preset, Marks)> =
        preset::all().map(|preset| (preset, Marks::of(preset))).collect();
    let (mut names, mut macros, mut words) = (Spread::default(), Spread::default(), Spread::default());
    for (_, marks) in &all {
        names.count(&marks.names);
        macros.count(&marks.macros);
        words.count(&marks.words);
    }
    // Macros are the sender's own; beside them, names, path and host are those of the tracker that it called so far.
    let has_macros = sample.params.iter().any(|param| is_macro(&param.value));
    let mut found: Vec<(Candidate, usize)> = Vec::new();
    for (preset, marks) in &all {
        let mut candidate =
            Candidate { preset: &preset.name, title: &preset.title, score: 0, why: Vec::new() };
        let mut add = |points: u32, why: String| {
            candidate.score += points;
            if candidate.why.len() < REASONS_MAX {
                candidate.why.push(why);
            }
        };
        let mut hits = BTreeSet::new();
        for param in sample.params.iter() {
            let (name, value) = (param.name.to_lowercase(), param.value.trim().to_lowercase());
            if marks.names.contains(&name) && hits.insert(name.clone()) {
                let points = names.points(&name);
                add(
                    if has_macros { points.min(NAME_POINTS_BESIDE_MACROS) } else { points },
                    format!("the parameter `{name}`"),
                );
            }
            if marks.macros.contains(&value) && hits.insert(value.clone()) {
                add(macros.points(&value) * MACRO_WEIGHT, format!("the macro `{value}`"));
            } else if marks.words.contains(&value) && hits.insert(value.clone()) {
                add(words.points(&value).min(WORD_POINTS_MAX), format!("the word `{value}`"));
            }
        }
        for (points, why) in [path(sample, preset), host(sample, preset)].into_iter().flatten() {
            if !has_macros {
                add(points, why);
            }
        }
        if candidate.score > 0 && preset.name != "generic" {
            found.push((candidate, marks.names.len().saturating_sub(hits.len())));
        }
    }
    found.sort_by(|(a, missing_a), (b, missing_b)| {
        b.score.cmp(&a.score).then(missing_a.cmp(missing_b)).then(a.preset.cmp(b.preset))
    });
    found.into_iter().map(|(candidate, _)| candidate).collect()
}

fn path(sample: &Sample, preset: &Preset) -> Option<(u32, String)> {
    let has = |name: &str| sample.params.get_ignoring_case(name).is_some();
    let route = drop_in::route(&sample.path, has)?;
    let at = route.dialects.iter().position(|dialect| dialect.preset() == preset.name)?;
    let points = if at == 0 { PATH_POINTS } else { PATH_POINTS / 4 };
    Some((points, format!("the path `{}`", sample.path)))
}

fn host(sample: &Sample, preset: &Preset) -> Option<(u32, String)> {
    let name = preset.name.split('-').next().unwrap_or(&preset.name);
    let is_named = name.len() >= 4 && sample.host.contains(name);
    is_named.then(|| (HOST_POINTS, format!("the host `{}`", sample.host)))
}
