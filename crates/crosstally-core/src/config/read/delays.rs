//! Looks at goals that hold their events back for longer than a destination takes them: every one of them would be too old
//! before it is sent.

use super::document::Section;
use super::findings::Findings;
use crate::config::{Catalog, Config};
use crate::time::HOUR_MS;

/// Events that come from a click and say nothing else are of this action source.
const USUAL_ACTION_SOURCE: &str = "website";

/// Checks the destinations, each with its section.
pub(super) fn check(
    config: &Config,
    sections: &[(Section<'_>, String)],
    catalog: &dyn Catalog,
    found: &mut Findings<'_>,
) {
    for (section, slug) in sections {
        let Some(destination) = config.destination(slug) else { continue };
        for goal in config.goals.iter().filter(|goal| goal.send_to.contains(slug)) {
            let action_source = goal.action_source.as_deref().unwrap_or(USUAL_ACTION_SOURCE);
            let most = catalog.max_age_ms(&destination.kind, &destination.settings, action_source);
            let Some(most) = most.filter(|most| goal.delay_ms >= *most) else { continue };
            let problem = format!(
                "goal `{}` holds its events back for {} h, and `{slug}` takes them for {} h: every one would be too old (event_too_old)",
                goal.slug,
                goal.delay_ms / HOUR_MS,
                most / HOUR_MS
            );
            found.warning(&section.spot, problem, "shorten the goal's `delay`");
        }
    }
}
