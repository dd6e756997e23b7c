//! Hop 6: the events that would follow: whether any goal sends one, with which value, time and id, and whether the visitor's
//! consent lets it go.

use crosstally_core::config::{EventIdMode, Goal, SendValue, ValueAt};
use crosstally_core::event::OutboundEvent;
use crosstally_core::money::Currency;
use crosstally_core::preflight::{Code, Hop, amount_defect};
use crosstally_destinations::consent::Leaving;

use super::{Action, Gone, Run, words_of};

impl Run<'_> {
    pub(super) fn signal(&mut self, gone: &mut Gone) {
        let booked: Vec<_> =
            self.actions.iter().filter(|action| self.booked.contains(&action.number)).cloned().collect();
        let why_not = match (booked.is_empty(), self.goals.is_empty()) {
            (true, _) => Some("nothing would be booked"),
            (false, true) => Some("no goal sends to a destination"),
            (false, false) => None,
        };
        if let Some(why) = why_not {
            *gone = Gone::not(why);
            return;
        }
        for action in booked {
            gone.expected.add(Some((action.minor, self.currency)), Some(action.at));
            let goals = self.goals.clone();
            let of_goal = |slug: &str| goals.iter().find(|goal| goal.slug == slug);
            let mut met =
                action.events.iter().filter_map(|event| Some((&event.event, of_goal(&event.goal)?)));
            let Some((event, goal)) = met.next() else {
                let names: Vec<&str> = goals.iter().map(|goal| goal.slug.as_str()).collect();
                let problem = format!("a sale meets none of the goals that send: {}", names.join(", "));
                // A sale that was read wrong may meet no goal for that; the reason was told where it was read.
                if action.misread {
                    gone.note(problem);
                } else {
                    self.defect(Code::GoalNotMet, Hop::Signal, problem);
                }
                continue;
            };
            // One action is counted once, by its first event; each of its events is looked at.
            let amount = self.judge_event(&action, event, goal, gone);
            gone.found.add(amount, Some(event.event_time));
            for (event, goal) in met {
                self.judge_event(&action, event, goal, gone);
            }
        }
    }

    /// Looks at one event of a goal that sends. The amount to count: another one than the sale's only where that is wrong.
    fn judge_event(
        &mut self,
        action: &Action,
        sent: &OutboundEvent,
        goal: &Goal,
        gone: &mut Gone,
    ) -> Option<(i64, Currency)> {
        let sale = (action.minor, self.currency);
        let whole = goal.send_value != SendValue::None
            && goal.value_at == ValueAt::Lead
            && sent.value_basis.is_none();
        let currency = sent.currency.as_deref().and_then(|code| code.parse().ok()).unwrap_or(self.currency);
        let amount = sent.value.as_deref().and_then(|text| currency.parse_minor(text).ok());
        let amount = amount.map(|minor| (minor, currency));
        if !whole {
            // Another amount is what the goal asks for.
            gone.note(format!("goal `{}` sends another amount than the sale's, as it is set to", goal.slug));
        } else if let Some(code) = amount_defect(sale, amount).filter(|_| !action.misread) {
            let problem = format!("goal `{}` would send {}", goal.slug, words_of(amount));
            self.defect(code, Hop::Signal, problem);
        }
        // Whoever loses the order's id cannot find the page's event by it: told where it was read. Of an event by another
        // name the page told none here.
        let told = action.browser.as_ref().filter(|(name, _)| *name == sent.event_name);
        if let Some((_, id)) = told.filter(|_| !self.has_lost_its_order(action)) {
            self.one_id(id, &sent.event_id, goal.event_id == EventIdMode::Own);
        }
        for slug in &goal.send_to {
            let Some(ready) = self.snapshot.destination(slug).cloned() else { continue };
            if let Leaving::Withheld { why } = ready.leaving(sent, &self.engine.geo) {
                let problem = format!("`{slug}` would get nothing: {why}");
                self.defect(Code::ConsentDenied, Hop::Signal, problem);
            }
        }
        if whole { amount } else { Some(sale) }
    }

    /// Pixel and server must agree on the id.
    fn one_id(&mut self, browser: &str, server: &str, is_own: bool) {
        if browser == server {
            return;
        }
        let why = if is_own { "; the goal makes an id of its own" } else { "" };
        let problem = format!("the page tells the sale as {browser} and the server as {server}{why}");
        self.defect(Code::EventIdDiffers, Hop::Signal, problem);
    }
}
