//! Hop 6: the events that would follow: whether any goal sends one, with which value, time and id, and whether the visitor's
//! consent lets it go.

use crosstally_core::config::{EventIdMode, SendValue, ValueAt};
use crosstally_core::preflight::{Code, Hop, amount_defect};
use crosstally_destinations::consent::Leaving;

use super::{Gone, Run, words_of};

impl Run<'_> {
    pub(super) fn signal(&mut self) -> Gone {
        let booked: Vec<_> =
            self.actions.iter().filter(|action| self.booked.contains(&action.number)).cloned().collect();
        if booked.is_empty() {
            return Gone::not("nothing would be booked");
        }
        if self.goals.is_empty() {
            return Gone::not("no goal sends to a destination");
        }
        let mut gone = Gone::default();
        for action in booked {
            gone.expected.add(Some((action.minor, self.currency)), Some(action.at));
            let goals = self.goals.clone();
            let of_goal = |slug: &str| goals.iter().find(|goal| goal.slug == slug);
            let event = action.events.iter().find_map(|event| Some((event, of_goal(&event.goal)?)));
            let Some((event, goal)) = event else {
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
            let sent = &event.event;
            let whole = goal.send_value != SendValue::None
                && goal.value_at == ValueAt::Lead
                && sent.value_basis.is_none();
            let currency =
                sent.currency.as_deref().and_then(|code| code.parse().ok()).unwrap_or(self.currency);
            let amount = sent.value.as_deref().and_then(|text| currency.parse_minor(text).ok());
            let amount = amount.map(|minor| (minor, currency));
            if whole {
                gone.found.add(amount, Some(sent.event_time));
            } else {
                // Another amount is what the goal asks for.
                gone.found.add(Some((action.minor, self.currency)), Some(sent.event_time));
                gone.note(format!(
                    "goal `{}` sends another amount than the sale's, as it is set to",
                    goal.slug
                ));
            }
            if let Some(code) =
                amount_defect((action.minor, self.currency), amount).filter(|_| whole && !action.misread)
            {
                self.defect(
                    code,
                    Hop::Signal,
                    format!("goal `{}` would send {}", goal.slug, words_of(amount)),
                );
            }
            // Whoever loses the order's id cannot find the page's event by it: told where it was read.
            if !self.has_lost_its_order(&action) {
                self.one_id(action.browser_id.as_deref(), &sent.event_id, goal.event_id == EventIdMode::Own);
            }
            for slug in &goal.send_to {
                let Some(ready) = self.snapshot.destination(slug).cloned() else { continue };
                if let Leaving::Withheld { why } = ready.leaving(sent, &self.engine.geo) {
                    let problem = format!("`{slug}` would get nothing: {why}");
                    self.defect(Code::ConsentDenied, Hop::Signal, problem);
                }
            }
        }
        gone
    }

    /// Pixel and server must agree on the id.
    fn one_id(&mut self, browser: Option<&str>, server: &str, is_own: bool) {
        let Some(browser) = browser.filter(|browser| *browser != server) else { return };
        let why = if is_own { "; the goal makes an id of its own" } else { "" };
        let problem = format!("the page tells the sale as {browser} and the server as {server}{why}");
        self.defect(Code::EventIdDiffers, Hop::Signal, problem);
    }
}
