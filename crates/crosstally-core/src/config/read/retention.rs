//! Reads how long fields that tell of a person are kept.

use super::document::{Section, shown};
use super::findings::Findings;
use crate::retention::{Retention, SPAN_MS_MAX, SPAN_MS_MIN};
use crate::time::{DAY_MS, parse_span_ms};

const KEYS: [&str; 3] = ["ip", "user_agent", "raw"];

pub(super) fn read(section: &Section<'_>, found: &mut Findings<'_>) -> Retention {
    section.refuse_unknown(KEYS, found);
    let mut span = |key: &str| {
        let text = section.text(key, found)?;
        let span = parse_span_ms(text.text)
            .filter(|span| (SPAN_MS_MIN..=SPAN_MS_MAX).contains(span) && span % DAY_MS == 0);
        if span.is_none() {
            let problem = format!("{} is not a number of days from 2 to 3650", shown(text.text));
            found.problem(&text.spot, problem, "write it like \"30d\"");
        }
        span
    };
    let [ip, user_agent, raw] = KEYS.map(&mut span);
    Retention { ip, user_agent, raw }
}
