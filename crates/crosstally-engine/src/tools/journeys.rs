//! The review of a month: for each partner real journeys, one approved, one rejected, one approved late, from the click to what
//! was sent and answered. Which ones they are is decided by [`crosstally_core::journeys`], what they tell comes from the trace.
//!
//! Limits: so many calls of a month and so many partners at once; a busier month is looked at in parts, and says so.

use std::collections::BTreeSet;

use crosstally_core::contract::{Contract, Meaning};
use crosstally_core::erasure::LABEL;
use crosstally_core::ids::ConversionId;
use crosstally_core::journeys::{Decision, Kind, Outcome, Picks, Seen, late_from_ms, looks, pick, why};
use crosstally_core::ledger::Status;
use crosstally_core::month::Month;
use crosstally_core::time::{HOUR_MS, Timestamp};
use crosstally_core::visit::Zone;
use crosstally_store::{DecidingCall, StoreError};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Answer, CallError, Unable};
use crate::Engine;
use crate::trace::Trace;

mod journey;
mod monthly;

/// Partners that one review tells of at most.
const PARTNERS_MAX: usize = 20;
/// Calls of one look into the store.
const PAGE: u32 = 500;

/// What to review.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Wanted {
    /// Of this partner; without it of all of which a call booked something.
    pub partner: Option<String>,
    /// The month, as 2026-11; without it the last one that is over.
    pub month: Option<String>,
}

impl Wanted {
    /// Finds what cannot be asked.
    ///
    /// # Errors
    /// See [`CallError`].
    pub fn check(&self) -> Result<(), CallError> {
        self.month().map(drop)
    }

    fn month(&self) -> Result<Option<Month>, CallError> {
        let unreadable = |error: crosstally_core::month::NoMonth| CallError::Unreadable(error.to_string());
        self.month.as_deref().map(|month| month.parse().map_err(unreadable)).transpose()
    }
}

/// A month in the workspace's time zone.
#[derive(Debug, Clone, Copy)]
struct Span {
    month: Month,
    from: Timestamp,
    to: Timestamp,
    is_over: bool,
}

impl Span {
    fn of(month: Month, zone: &Zone, now: Timestamp) -> Self {
        let (from, to) = (zone.begins(month), zone.begins(month.next()));
        Self { month, from, to, is_over: now >= to }
    }

    fn ends(self) -> (Timestamp, Timestamp) {
        (self.from, self.to)
    }

    /// The hours that any of it lies in.
    fn hours(self) -> (Timestamp, Timestamp) {
        (self.from.hour(), self.to.plus_millis(HOUR_MS - 1).hour())
    }
}

impl Engine {
    /// Reviews a month.
    ///
    /// # Errors
    /// See [`Unable`].
    pub async fn review_journeys(&self, wanted: &Wanted) -> Result<Answer, Unable> {
        let (snapshot, now) = (self.snapshot.load_full(), self.clock.now());
        let month = wanted.month()?.unwrap_or_else(|| snapshot.zone.month(now).before());
        let span = Span::of(month, &snapshot.zone, now);
        if span.from > now {
            return Err(CallError::Unreadable(format!("{month} has not begun")).into());
        }
        let (mut partners, mut left_out) = (Vec::new(), Vec::new());
        let known = snapshot.config.partners.iter().map(|partner| partner.slug.as_str());
        let asked: Vec<&str> = wanted.partner.as_deref().map_or_else(|| known.collect(), |slug| vec![slug]);
        for slug in asked {
            let calls = self.store.count_calls_of(slug.to_owned(), span.hours()).await?;
            let is_wanted = calls > 0 || wanted.partner.is_some();
            match is_wanted {
                true if calls == 0 && snapshot.partner(slug).is_none() => {
                    return Err(CallError::Missing(format!("no partner is called `{slug}`")).into());
                }
                true if partners.len() < PARTNERS_MAX => partners.push((slug, calls)),
                true => left_out.push(slug),
                false => {}
            }
        }
        let mut reviews = Vec::new();
        for (slug, calls) in partners {
            let contract = snapshot.partner(slug).map(|(partner, _)| &partner.contract);
            reviews.push(self.review(slug, contract, span, calls).await?);
        }
        // A person may have been erased since its journey was put together: what is kept of this run must not outlive them.
        self.refresh_erased().await?;
        reviews.iter_mut().for_each(|review| drop_erased(review, |click| self.is_click_text_erased(click)));
        let told = json!({
            "month": month.to_string(), "timezone": snapshot.config.workspace.timezone,
            "begins": span.from.to_string(), "ends": span.to.to_string(), "is_over": span.is_over,
            "reviews": reviews, "left_out": left_out,
        });
        Ok(Answer::new(true, &told))
    }

    async fn review(
        &self,
        partner: &str,
        contract: Option<&Contract>,
        span: Span,
        counted: u64,
    ) -> Result<Value, StoreError> {
        let looked = self.look_at_calls(partner, span, counted).await?;
        let picks = pick(&looked.decisions);
        let (mut journeys, mut missing): (Vec<Value>, Vec<Value>) = (Vec::new(), Vec::new());
        let mut told = BTreeSet::new();
        for kind in Kind::ALL {
            match self.journey(kind, &picks, &mut told).await? {
                Some(journey) => journeys.push(journey),
                None => {
                    let none = why(kind, &picks, &seen(kind, &looked, contract));
                    missing.push(json!({ "kind": none.kind.word(), "why": none.why }));
                }
            }
        }
        let count = |outcome| picks.count(outcome);
        Ok(json!({
            "partner": partner, "calls": looked.calls(), "looked_at": looked.looked_at,
            "decisions": {
                "approved": count(Outcome::Approved), "rejected": count(Outcome::Rejected),
                "reversed": count(Outcome::Reversed), "erased": looked.erased.len(),
            },
            "usual_wait_ms": picks.usual_ms, "late_from_ms": picks.usual_ms.map(late_from_ms),
            "journeys": journeys, "missing": missing, "notes": notes(&looked, span),
        }))
    }

    async fn look_at_calls(&self, partner: &str, span: Span, counted: u64) -> Result<Looked, StoreError> {
        let looks = looks(span.ends(), counted);
        let mut looked = Looked { counted, ..Looked::default() };
        for part in looks.parts {
            let (mut left, mut from) = (looks.each, None);
            loop {
                let page = self.store.deciding_calls(partner.to_owned(), part, from, left.min(PAGE)).await?;
                looked.looked_at += u64::from(page.looked_at);
                left = left.saturating_sub(page.looked_at);
                page.rows.iter().for_each(|call| looked.take(call));
                // A long look must not keep a thread from the redirects.
                tokio::task::yield_now().await;
                match page.next {
                    Some(next) if left > 0 => from = Some(next),
                    Some(_) => {
                        looked.is_sample = true;
                        break;
                    }
                    None => break,
                }
            }
        }
        Ok(looked)
    }

    /// The first of a kind that can be told and is not told yet.
    async fn journey(
        &self,
        kind: Kind,
        picks: &Picks,
        told: &mut BTreeSet<ConversionId>,
    ) -> Result<Option<Value>, StoreError> {
        for decision in picks.candidates(kind) {
            if told.contains(&decision.conversion) {
                continue;
            }
            let found = self.trace(&decision.conversion.to_string()).await?;
            let Some(trace) = found.filter(can_be_told) else { continue };
            if let Some(journey) = journey::told(kind, decision, &trace, picks) {
                told.insert(decision.conversion);
                return Ok(Some(journey));
            }
        }
        Ok(None)
    }
}

/// What was found among a month's calls.
#[derive(Debug, Default)]
struct Looked {
    counted: u64,
    looked_at: u64,
    is_sample: bool,
    decisions: Vec<Decision>,
    /// What was decided about conversions whose persons are erased.
    erased: Vec<Outcome>,
}

impl Looked {
    fn take(&mut self, call: &DecidingCall) {
        let Some(outcome) = Outcome::of(call.before, call.status) else { return };
        if call.labels.iter().any(|label| label == LABEL) {
            self.erased.push(outcome);
            return;
        }
        let &DecidingCall { conversion, first, receipt, .. } = call;
        self.decisions.push(Decision { conversion, first, receipt, outcome });
    }

    /// How many calls there are; of a sample as counted by the hour.
    fn calls(&self) -> u64 {
        if self.is_sample { self.counted.max(self.looked_at) } else { self.looked_at }
    }
}

/// Leaves out of a review the journeys whose clicks are erased by now.
fn drop_erased(review: &mut Value, is_erased: impl Fn(&str) -> bool) {
    let mut dropped = Vec::new();
    if let Some(journeys) = review["journeys"].as_array_mut() {
        journeys.retain(|journey| {
            let click = journey.pointer("/click/id").and_then(Value::as_str);
            let is_dropped = click.is_some_and(&is_erased);
            if is_dropped {
                let why = "its person was erased while it was put together";
                dropped.push(json!({ "kind": journey["kind"], "why": why }));
            }
            !is_dropped
        });
    }
    if let Some(missing) = review["missing"].as_array_mut() {
        missing.append(&mut dropped);
    }
}

/// Neither erased since it was picked, nor a test.
fn can_be_told(trace: &Trace) -> bool {
    let is_erased = |labels: &[String]| labels.iter().any(|label| label == LABEL);
    let is_test = trace.click.as_ref().is_some_and(|click| click.test);
    !is_test && !trace.conversions.iter().any(|hops| is_erased(&hops.conversion.labels))
}

fn seen(kind: Kind, looked: &Looked, contract: Option<&Contract>) -> Seen {
    let refuses = |status: &Status| matches!(status, Status::Rejected | Status::Reversed);
    let words = contract.into_iter().flat_map(|contract| &contract.terms().statuses);
    let words = words.filter(|(_, meaning)| matches!(meaning, Meaning::Status(status) if refuses(status)));
    let takes = |contract: &Contract| {
        Status::ALL.iter().any(|status| refuses(status) && contract.takes_status(*status))
    };
    Seen {
        calls: looked.calls(),
        looked_at: looked.looked_at,
        is_sample: looked.is_sample,
        erased: looked
            .erased
            .iter()
            .any(|outcome| (*outcome == Outcome::Approved) == (kind != Kind::Rejected)),
        words: words.map(|(word, _)| word.clone()).collect(),
        takes_rejections: contract.is_none_or(takes),
    }
}

fn notes(looked: &Looked, span: Span) -> Vec<String> {
    let mut notes = Vec::new();
    if looked.is_sample {
        notes.push(format!(
            "{} of about {} calls were looked at, the first ones of each of many equal parts of the month: what is said of the \
            month is said of these",
            looked.looked_at,
            looked.calls()
        ));
    }
    if !span.is_over {
        notes.push(format!("{} is not over: the journeys may be others when it is", span.month));
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_erased_meanwhile_is_told_of_no_more() {
        let journey = |kind: &str, click: Value| json!({ "kind": kind, "click": click });
        let (gone, stays) =
            (journey("approved", json!({ "id": "a" })), journey("rejected", json!({ "id": "b" })));
        let without = journey("late_approval", Value::Null);
        let mut review = json!({ "journeys": [gone, stays, without], "missing": [] });
        drop_erased(&mut review, |click| click == "a");
        assert_eq!(review["journeys"], json!([stays, without]));
        let why = "its person was erased while it was put together";
        assert_eq!(review["missing"], json!([{ "kind": "approved", "why": why }]));
    }
}
