//! The pre-launch checklist: each line is checked by a small pre-flight, by the configuration in force, or by the calls
//! that have really come. What none of them shows is unknown, and said to be.

use crosstally_core::preflight::line::{Line, Outcome};
use crosstally_core::preflight::{Code, Defect, Hop, State};
use crosstally_core::time::DAY_MS;
use crosstally_destinations::dialect::TestMode;
use serde_json::json;
use url::Url;

use super::shown::is_public;
use super::{HopOut, Run, Wanted};
use crate::Engine;
use crate::tools::{Answer, Unable};

mod data;

/// Test actions of a checklist, unless told otherwise.
const ACTIONS: usize = 3;

impl Engine {
    /// Goes through the checklist of a campaign.
    ///
    /// # Errors
    /// See [`Unable`].
    pub async fn preflight_checklist(&self, wanted: &Wanted) -> Result<Answer, Unable> {
        let wanted = Wanted { actions: Some(wanted.actions.unwrap_or(ACTIONS)), ..wanted.clone() };
        let run = self.fly_hops(&wanted, |_| {}).await?;
        let mut lines = run.by_hops();
        lines.extend(run.by_configuration());
        lines.extend(run.by_data().await?);
        let passed = lines.iter().all(|line| line.outcome != Outcome::Fail);
        let count = |outcome: Outcome| lines.iter().filter(|line| line.outcome == outcome).count();
        let told = json!({
            "campaign": run.campaign.slug, "partner": run.partner.slug, "lines": lines,
            "passed": count(Outcome::Pass), "failed": count(Outcome::Fail), "unknown": count(Outcome::Unknown),
        });
        Ok(Answer::new(passed, &told))
    }
}

/// A line that defects decide, where the hop was gone.
struct ByHop {
    check: &'static str,
    question: &'static str,
    hop: Hop,
    codes: &'static [Code],
    /// What was seen where all is well.
    seen: &'static str,
}

const BY_HOP: &[ByHop] = &[
    ByHop {
        check: "click_id",
        question: "Does the click id reach the page?",
        hop: Hop::Link,
        codes: &[Code::LinkBroken, Code::MarkIgnored, Code::ClickNotKept, Code::ClickIdDropped],
        seen: "each test visitor's click was kept, and its id stood in the target",
    },
    ByHop {
        check: "ad_click_id",
        question: "Do the ad platform's click ids arrive byte for byte?",
        hop: Hop::Link,
        codes: &[Code::ClickIdLowerCased, Code::ClickIdHarmed],
        seen: "they are stored as they were sent",
    },
    ByHop {
        check: "caps",
        question: "Is there room under the caps?",
        hop: Hop::Link,
        codes: &[Code::CapReached],
        seen: "no test visitor was sent to an overflow offer",
    },
    ByHop {
        check: "lander",
        question: "Does the page answer, without further redirects?",
        hop: Hop::Lander,
        codes: &[Code::LanderDead, Code::RedirectTwice],
        seen: "it answered, and is the page itself",
    },
    ByHop {
        check: "pixel_id",
        question: "Does the page's pixel have the destination's id?",
        hop: Hop::Lander,
        codes: &[Code::PixelIdWrong],
        seen: "the pixel in the page's text has it",
    },
    ByHop {
        check: "event_id",
        question: "Do pixel and server agree on the event id?",
        hop: Hop::Browser,
        codes: &[Code::BrowserRefused, Code::EventIdDiffers],
        seen: "the event of the page and that of the server have one id",
    },
    ByHop {
        check: "parameters",
        question: "Does the postback URL use the names that the contract reads?",
        hop: Hop::Postback,
        codes: &[
            Code::PostbackBroken,
            Code::PostbackElsewhere,
            Code::PostbackRefused,
            Code::ParameterWrong,
            Code::ValueMissing,
        ],
        seen: "each value that the call has was read",
    },
    ByHop {
        check: "value_currency",
        question: "Are value, currency and time read as they are sent?",
        hop: Hop::Postback,
        codes: &[
            Code::CentsForUnits,
            Code::ValueDiffers,
            Code::CurrencyMissing,
            Code::CurrencyDiffers,
            Code::TimeDiffers,
        ],
        seen: "they are the same at the postback",
    },
    ByHop {
        check: "dedupe",
        question: "Does the same call count once?",
        hop: Hop::Ledger,
        codes: &[Code::NotBooked, Code::RepeatCounted, Code::PostbackFiresTwice],
        seen: "the very same call, sent twice, would be booked once",
    },
    ByHop {
        check: "goal",
        question: "Does a sale become a signal?",
        hop: Hop::Signal,
        codes: &[Code::GoalNotMet, Code::EventIncomplete],
        seen: "a goal that sends is met",
    },
    ByHop {
        check: "consent",
        question: "Does the visitors' consent let the signals go?",
        hop: Hop::Signal,
        codes: &[Code::ConsentDenied],
        seen: "nothing that the link or the page told stands against it",
    },
    ByHop {
        check: "token",
        question: "Does the destination take the token and the event?",
        hop: Hop::Destination,
        codes: &[
            Code::SecretMissing,
            Code::TokenExpired,
            Code::DestinationRefused,
            Code::DestinationUnreachable,
            Code::DestinationLost,
            Code::PixelIdWrong,
        ],
        seen: "a test event was taken",
    },
];

impl Run<'_> {
    fn by_hops(&self) -> Vec<Line> {
        let mut lines: Vec<Line> = BY_HOP.iter().map(|by| self.by_hop(by)).collect();
        lines.push(self.wrong_token());
        lines.push(self.clock_line());
        lines.push(self.domain());
        lines
    }

    fn by_hop(&self, by: &ByHop) -> Line {
        let ByHop { check, question, .. } = *by;
        if let Some(defect) = self.defects.iter().find(|defect| is_of(by, defect)) {
            return Line::fail(check, question, defect.problem.clone(), defect.fix);
        }
        let gone = self.hops.iter().find(|hop| hop.hop == by.hop);
        let not_gone = gone.is_none_or(|hop| hop.compared == State::NotChecked || hop.found.count == 0);
        if not_gone {
            let notes = gone.map(|hop| hop.notes.join("; ")).filter(|notes| !notes.is_empty());
            let why = notes.unwrap_or_else(|| format!("the hop `{}` was not gone", by.hop.name()));
            return Line::unknown(check, question, why, "see docs/preflight.md for what this hop needs");
        }
        if let Some(gone) = gone.filter(|hop| self.is_cut_short(hop)) {
            let (found, expected) = (gone.found.count, gone.expected.count);
            let why = if found < expected {
                format!("{found} of {expected} came through, and what kept the others is not this line's")
            } else {
                format!("the hop `{}` differs in values or times", by.hop.name())
            };
            return Line::unknown(check, question, why, "mend what the run names first");
        }
        match self.unshown(check) {
            Some((why, fix)) => Line::unknown(check, question, why, fix),
            None => Line::pass(check, question, by.seen),
        }
    }

    /// Whether a hop differs in a way that no defect names, or in how many came: then nothing passes by it.
    fn is_cut_short(&self, gone: &HopOut) -> bool {
        let named = self.defects.iter().any(|defect| defect.hop == gone.hop && defect.code != Code::TooSlow);
        gone.compared == State::Differs && (gone.found.count < gone.expected.count || !named)
    }

    fn wrong_token(&self) -> Line {
        let (check, question) = ("auth", "Is a call with a wrong token refused?");
        let case = self.negatives.iter().find(|case| case.case == "wrong_token");
        match case.and_then(|case| case.passed) {
            Some(true) => Line::pass(check, question, "it was refused"),
            Some(false) => Line::fail(check, question, "it was taken", Code::WrongTokenTaken.fix()),
            None => {
                let why = case.map_or("no call was made", |case| case.found.as_str());
                Line::unknown(check, question, why, "")
            }
        }
    }

    /// The address that visitors and partners are given.
    fn domain(&self) -> Line {
        let (check, question) = ("domain", "Is the tracking address public and by https?");
        let link = self.hops.iter().find(|hop| hop.hop == Hop::Link);
        // Any site answers /c/summer somehow: this one is known by a click that came here as a test.
        if link.is_none_or(|hop| hop.found.count == 0) {
            let defect = self.defects.iter().find(|defect| defect.hop == Hop::Link);
            let why = defect.map_or("no visitor's click came here", |defect| defect.problem.as_str());
            let fix = defect.map_or("", |defect| defect.fix);
            let leads_elsewhere = [Code::LinkBroken, Code::MarkIgnored, Code::ClickNotKept];
            return if defect.is_some_and(|defect| leads_elsewhere.contains(&defect.code)) {
                Line::fail(check, question, why, fix)
            } else {
                Line::unknown(check, question, why, fix)
            };
        }
        let Some(base) = &self.wanted.base else {
            let hosts = &self.snapshot.config.workspace.public_hosts;
            let known =
                if hosts.is_empty() { "none is set in `public_hosts`".to_owned() } else { hosts.join(", ") };
            let why = format!("it was flown through this server's own door; public hosts: {known}");
            return Line::unknown(check, question, why, "give the public address with --base");
        };
        if !base.starts_with("https://") {
            let why = format!("{base} is not https: browsers warn, and ids travel in the clear");
            let fix = "put a certificate before it, and use https in every link";
            return Line::fail(check, question, why, fix);
        }
        let host = Url::parse(base).ok().and_then(|url| url.host_str().map(str::to_owned));
        if !host.is_some_and(|host| is_public(&host)) {
            let why = format!("{base} is an address of this machine or its network: no visitor comes there");
            return Line::fail(check, question, why, "give the public address with --base");
        }
        Line::pass(check, question, format!("{base} leads here"))
    }

    fn by_configuration(&self) -> Vec<Line> {
        vec![self.not_a_test(), self.test_codes(), self.window(), self.watched(), backups()]
    }

    fn not_a_test(&self) -> Line {
        let (check, question) = ("live", "Is the campaign live?");
        if self.campaign.test {
            let why = "its `test` is true: nothing of it is booked";
            return Line::fail(check, question, why, "set test = false before the launch");
        }
        Line::pass(check, question, "its clicks count")
    }

    /// A test code that was left in marks every live event as a test.
    fn test_codes(&self) -> Line {
        let (check, question) = ("test_mode", "Are live events sent without test marks?");
        let mut found = Vec::new();
        for slug in self.slugs() {
            let Some(ready) = self.snapshot.destination(&slug) else { continue };
            let setting = match ready.dialect.test_mode() {
                TestMode::Code { setting, .. } if ready.settings.text(setting).is_some() => setting,
                TestMode::Flag(setting) if ready.settings.flag(setting) => setting,
                _ => continue,
            };
            found.push(format!("`{setting}` of `{slug}`"));
        }
        if self.slugs().is_empty() {
            return Line::unknown(
                check,
                question,
                "no goal sends anywhere",
                "name a destination in `send_to` of a goal",
            );
        }
        if found.is_empty() {
            return Line::pass(check, question, "no destination has a test setting");
        }
        let why = format!("{} is set", found.join(", "));
        Line::fail(check, question, why, "take it out before the launch")
    }

    pub(super) fn slugs(&self) -> Vec<String> {
        let mut slugs: Vec<String> = self.goals.iter().flat_map(|goal| goal.send_to.clone()).collect();
        slugs.sort();
        slugs.dedup();
        slugs
    }

    fn window(&self) -> Line {
        let (check, question) = ("window", "Is it agreed how long after a click a sale counts?");
        match self.partner.contract.max_delay_ms() {
            Some(ms) => {
                let why = format!(
                    "`max_delay` is {} days; the platform's own window is set at the platform",
                    ms / DAY_MS
                );
                Line::pass(check, question, why)
            }
            None => {
                let why =
                    "the partner has no `max_delay`: a sale is attributed to its click however late it comes";
                Line::unknown(check, question, why, "set `max_delay` to the window of the offer")
            }
        }
    }

    fn watched(&self) -> Line {
        let (check, question) = ("monitor", "Is the funnel flown every night?");
        let slug = &self.campaign.slug;
        let monitor = self.snapshot.config.preflights.iter().find(|monitor| monitor.campaign == *slug);
        match monitor {
            Some(monitor) => Line::pass(check, question, format!("by [[preflight]] `{}`", monitor.slug)),
            None => Line::fail(
                check,
                question,
                "no [[preflight]] names the campaign",
                "add one, see docs/preflight.md",
            ),
        }
    }
}

/// Whether a defect is a line's. A wrong id is the pixel's where the page has it, and the destination's where that says so.
fn is_of(by: &ByHop, defect: &Defect) -> bool {
    by.codes.contains(&defect.code) && (defect.code != Code::PixelIdWrong || defect.hop == by.hop)
}

/// Said, not guessed: nothing here sees what is done with the data directory.
fn backups() -> Line {
    let why = "this server makes none and cannot see whether somebody else does";
    Line::unknown(
        "backup",
        "Is there a backup?",
        why,
        "copy the database and the master key regularly, and try the copy",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where codes are looked for that no line of a hop has: they decide a line by themselves, or whether a hop was gone to
    /// its end.
    const ELSEWHERE: &[(Code, &str)] = &[
        (Code::WrongTokenTaken, "auth"),
        (Code::ClockOff, "clock"),
        (Code::StatusUnmapped, "status_map"),
        (Code::UnmappedTaken, "status_map"),
        (Code::DestinationPaused, "destinations"),
        (Code::TooSlow, "each line of its hop"),
    ];

    #[test]
    fn no_defect_is_passed_over() {
        for code in Code::ALL {
            let by_hop = BY_HOP.iter().any(|by| by.codes.contains(code));
            let elsewhere = ELSEWHERE.iter().any(|(known, _)| known == code);
            assert!(by_hop != elsewhere, "{code:?} is in no line, or in two");
        }
    }
}
