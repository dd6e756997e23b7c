//! Goals: whether a conversion is what a goal asks for, and why, or why not.

use serde::{Deserialize, Serialize};

use crate::condition::Subject;
use crate::config::Goal;
use crate::ids::GoalEventId;
use crate::reason::Reason;

/// What was decided about one goal; kept with the receipt, so that the trace can say why and why not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GoalDecision {
    /// The goal's slug.
    pub goal: String,
    /// Met, not met, met before, or the condition failed.
    pub reason: Reason,
    /// The condition, or what failed in it.
    pub detail: String,
    /// The event that follows, if the goal is met.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub event: Option<GoalEventId>,
}

/// Decides whether a conversion meets a goal. Precedence: a goal that was met before is not met again, whatever its
/// condition says now; a condition that fails is a problem to show, never a yes.
#[must_use]
pub fn decide(goal: &Goal, subject: &Subject<'_>) -> (Reason, String) {
    if subject.conversion.goals_met.iter().any(|met| met.goal == goal.slug) {
        return (Reason::GoalAlreadyMet, goal.when.text().to_owned());
    }
    match goal.when.holds(subject) {
        Ok(true) => (Reason::GoalMet, goal.when.text().to_owned()),
        Ok(false) if goal.when.fails_by_labels(subject) => {
            let labels = subject.labels.join(", ");
            (
                Reason::GoalNotMet,
                format!("{}; what keeps it from being met are its labels: {labels}", goal.when.text()),
            )
        }
        Ok(false) => (Reason::GoalNotMet, goal.when.text().to_owned()),
        Err(problem) => (Reason::GoalConditionFailed, problem),
    }
}
