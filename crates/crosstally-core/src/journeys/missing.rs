//! Why a month has no journey of a kind: that is information too.

use super::{Kind, LATE_AT_LEAST_MS, LATE_TIMES, Outcome, Picks, span_words};

/// What was looked at, and what is known of the partner.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// Calls of the month that booked something.
    pub calls: u64,
    /// How many of them were looked at.
    pub looked_at: u64,
    /// Whether there are more calls than were looked at.
    pub is_sample: bool,
    /// Whether decisions of this kind were left out, as their persons are erased.
    pub erased: bool,
    /// The partner's words for a rejection, beside our own.
    pub words: Vec<String>,
    /// Whether its contract lets a rejection or a reversal in.
    pub takes_rejections: bool,
}

/// Why there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// The kind.
    pub kind: Kind,
    /// Why, in words.
    pub why: String,
}

/// Why no journey of a kind is told.
#[must_use]
pub fn why(kind: Kind, picks: &Picks, seen: &Seen) -> Missing {
    let why = if seen.calls == 0 {
        "no call of this partner booked anything in this month".to_owned()
    } else if !picks.candidates(kind).is_empty() {
        "those that there were are erased, of tests, or told above as another kind".to_owned()
    } else {
        match kind {
            Kind::Approved => none_of("approval", seen),
            Kind::Rejected => no_rejection(seen),
            Kind::LateApproval => no_late_one(picks, seen),
        }
    };
    Missing { kind, why }
}

fn none_of(what: &str, seen: &Seen) -> String {
    let among = if seen.is_sample {
        format!("no {what} among the {} calls that were looked at", seen.looked_at)
    } else {
        format!("no {what} in this month")
    };
    let erased = if seen.erased { "; those that there were belong to erased persons" } else { "" };
    format!("{among}{erased}")
}

fn no_rejection(seen: &Seen) -> String {
    let none = none_of("rejection and no reversal", seen);
    if seen.erased {
        return none;
    }
    if !seen.takes_rejections {
        return format!("{none}: the partner's contract lets neither in (`allowed`)");
    }
    let words: Vec<String> = seen.words.iter().take(10).map(|word| format!("`{word}`")).collect();
    match words.is_empty() {
        true => format!(
            "{none}: does this partner send rejections at all? Its status map has no word for one but our own"
        ),
        false => format!(
            "{none}: does this partner send rejections at all? Its words for one are {}",
            words.join(", ")
        ),
    }
}

fn no_late_one(picks: &Picks, seen: &Seen) -> String {
    let approved = picks.count(Outcome::Approved);
    let (Some(usual), Some(longest), Some(from)) = (picks.usual_ms, picks.longest_ms, picks.late_from_ms())
    else {
        return none_of("approval", seen);
    };
    let (usual, longest, from) = (span_words(usual), span_words(longest), span_words(from));
    if approved == 1 {
        return "there is one approval only, and nothing usual to compare it with".to_owned();
    }
    format!(
        "no approval took {from} or longer: {LATE_TIMES} times the usual {usual}, and {} at least; the longest took {longest}",
        span_words(LATE_AT_LEAST_MS)
    )
}
