//! The pre-launch checklist: each line is checked by a small pre-flight, by the configuration in force, or by the calls
//! that have really come. What none of them shows is unknown, and said to be.

use crosstally_core::config::Leads;
use crosstally_core::delivery::DeliveryState;
use crosstally_core::postback::STRANGER;
use crosstally_core::preflight::line::{Line, Outcome};
use crosstally_core::preflight::{Code, Defect, Hop, LABEL, State};
use crosstally_core::reason::Reason;
use crosstally_core::rotation::Kind;
use crosstally_core::time::DAY_MS;
use crosstally_destinations::dialect::TestMode;
use crosstally_store::{ReceiptFilter, StoreError};
use serde_json::json;

use super::{Run, Wanted};
use crate::Engine;
use crate::tools::{Answer, Unable};

/// Test actions of a checklist, unless told otherwise.
const ACTIONS: usize = 3;
/// How far back real calls are looked at.
const DAYS: i64 = 30;
/// Calls that are counted at most.
const CALLS_MAX: u32 = 1_000;

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
        match self.unshown(check) {
            Some((why, fix)) => Line::unknown(check, question, why, fix),
            None => Line::pass(check, question, by.seen),
        }
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
        let works = !self.defects.iter().any(|defect| defect.code == Code::LinkBroken);
        let hosts = &self.snapshot.config.workspace.public_hosts;
        match (&self.wanted.base, works) {
            (Some(base), true) if base.starts_with("https://") => {
                Line::pass(check, question, format!("{base} leads here"))
            }
            (Some(base), true) => Line::fail(
                check,
                question,
                format!("{base} is not https: browsers warn, and ids travel in the clear"),
                "put a certificate before it, and use https in every link",
            ),
            (_, false) => Line::fail(check, question, "the link does not work", Code::LinkBroken.fix()),
            (None, true) => {
                let known = if hosts.is_empty() {
                    "none is set in `public_hosts`".to_owned()
                } else {
                    hosts.join(", ")
                };
                let why = format!("it was flown through this server's own door; public hosts: {known}");
                Line::unknown(check, question, why, "give the public address with --base")
            }
        }
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

    async fn by_data(&self) -> Result<Vec<Line>, StoreError> {
        let calls = self.real_calls(None).await?;
        Ok(vec![
            self.macros(calls).await?,
            self.statuses(calls).await?,
            self.late(calls).await?,
            self.paused().await?,
            self.deliveries().await?,
            self.caps_now().await?,
            self.evidence().await,
        ])
    }

    /// Calls of the partner's own in the last days, those of pre-flights left out.
    async fn real_calls(&self, reason: Option<Reason>) -> Result<usize, StoreError> {
        let filter = ReceiptFilter {
            partner: Some(self.partner.slug.clone()),
            reason,
            from: Some(self.from.plus_millis(-DAYS * DAY_MS)),
            to: Some(self.from),
            ..ReceiptFilter::default()
        };
        let found = self.engine.store.receipts_matching(filter, CALLS_MAX).await?;
        let is_real = |labels: &[String]| !labels.iter().any(|label| label == LABEL || label == STRANGER);
        Ok(found.iter().filter(|receipt| is_real(&receipt.labels)).count())
    }

    /// Says that no real call has come, if it is so.
    fn nobody_called(check: &'static str, question: &'static str) -> Line {
        let why = format!("no real call of the partner has come in the last {DAYS} days");
        Line::unknown(check, question, why, "have the partner send one, and look again")
    }

    async fn macros(&self, calls: usize) -> Result<Line, StoreError> {
        let (check, question) = ("macros", "Are all macros filled in?");
        let open = self.real_calls(Some(Reason::MacroUnresolved)).await?;
        Ok(match (open, calls) {
            (0, 0) => Self::nobody_called(check, question),
            (0, _) => Line::pass(check, question, format!("in {calls} real calls of the last {DAYS} days")),
            (open, _) => {
                let why = format!("{open} real calls had a macro's name in place of its value");
                Line::fail(check, question, why, Reason::MacroUnresolved.about().fix)
            }
        })
    }

    async fn statuses(&self, calls: usize) -> Result<Line, StoreError> {
        let (check, question) = ("status_map", "Does the map know every status that has been seen?");
        let unknown = self.engine.unknown_statuses(Some(&self.partner.slug)).await?;
        let in_run = self.defects.iter().any(|defect| defect.code == Code::StatusUnmapped);
        let words: Vec<&str> = unknown.words.iter().map(|word| word.word.as_str()).collect();
        Ok(match (words.is_empty() && !in_run, calls) {
            (false, _) => {
                let words =
                    if words.is_empty() { "the word of this run".to_owned() } else { words.join(", ") };
                let why = format!("in no map: {words}");
                Line::fail(check, question, why, "see `crosstally receipts statuses`")
            }
            (true, 0) => Self::nobody_called(check, question),
            (true, _) => {
                Line::pass(check, question, format!("in {calls} real calls of the last {DAYS} days"))
            }
        })
    }

    async fn late(&self, calls: usize) -> Result<Line, StoreError> {
        let (check, question) = ("late_calls", "Do real calls come within the window?");
        let late = self.real_calls(Some(Reason::EventTooLate)).await?;
        Ok(match (late, calls) {
            (0, 0) => Self::nobody_called(check, question),
            (0, _) => Line::pass(check, question, format!("in {calls} real calls of the last {DAYS} days")),
            (late, _) => {
                let why = format!("{late} real calls came after `max_delay`");
                Line::fail(check, question, why, Reason::EventTooLate.about().fix)
            }
        })
    }

    async fn paused(&self) -> Result<Line, StoreError> {
        let (check, question) = ("destinations", "Does no destination rest?");
        let slugs = self.slugs();
        if slugs.is_empty() {
            return Ok(Line::unknown(
                check,
                question,
                "no goal sends anywhere",
                "name one in `send_to` of a goal",
            ));
        }
        let states = self.engine.store.destination_states().await?;
        let paused = states.iter().find(|state| state.paused.is_some() && slugs.contains(&state.destination));
        Ok(match paused {
            None => Line::pass(check, question, format!("{} is not paused", slugs.join(", "))),
            Some(state) => {
                let sentence = state.paused.map_or("", |reason| reason.about().sentence);
                let why = format!("`{}`: {sentence}", state.destination);
                Line::fail(check, question, why, "see `crosstally destinations list`")
            }
        })
    }

    async fn deliveries(&self) -> Result<Line, StoreError> {
        let (check, question) = ("deliveries", "Has everything arrived so far?");
        let slugs = self.slugs();
        let counts = self.engine.store.count_deliveries().await?;
        let of = |wanted: &[DeliveryState]| {
            let ours =
                counts.iter().filter(|row| slugs.contains(&row.destination) && wanted.contains(&row.state));
            ours.map(|row| row.count).sum::<u64>()
        };
        let lost = of(&[DeliveryState::Dead, DeliveryState::Expired]);
        Ok(match (lost, of(&[DeliveryState::Delivered])) {
            (0, 0) => Line::unknown(check, question, "nothing was delivered yet", ""),
            (0, arrived) => {
                Line::pass(check, question, format!("{arrived} events arrived, none ended without"))
            }
            (lost, _) => {
                let why = format!("{lost} events ended without arriving");
                Line::fail(check, question, why, "see `crosstally deliveries errors`")
            }
        })
    }

    /// The offers' counts, also of those that no test visitor was drawn to.
    async fn caps_now(&self) -> Result<Line, StoreError> {
        let (check, question) = ("cap_counts", "Is no offer of the campaign full?");
        let offers = self.offers();
        let capped: Vec<_> = offers
            .iter()
            .filter_map(|slug| self.snapshot.offer(slug))
            .filter_map(|offer| Some((offer, offer.cap.as_ref()?)))
            .collect();
        if capped.is_empty() {
            return Ok(Line::pass(check, question, "no offer of it has a cap"));
        }
        let taken = self.engine.store.visitors(self.snapshot.zone.day(self.from)).await?;
        let full: Vec<&str> = capped
            .iter()
            .filter(|(offer, cap)| cap.is_full(taken.get(&offer.slug).copied().unwrap_or_default()))
            .map(|(offer, _)| offer.slug.as_str())
            .collect();
        Ok(if full.is_empty() {
            Line::pass(check, question, format!("{} with caps have room", capped.len()))
        } else {
            Line::fail(check, question, format!("full: {}", full.join(", ")), Code::CapReached.fix())
        })
    }

    fn offers(&self) -> Vec<String> {
        let Leads::Paths(paths) = &self.campaign.leads else { return Vec::new() };
        let config = &self.snapshot.config;
        let members =
            config.paths.iter().filter(|path| paths.contains(&path.slug)).flat_map(|path| &path.members);
        members.filter(|member| member.kind == Kind::Offer).map(|member| member.slug.clone()).collect()
    }

    async fn evidence(&self) -> Line {
        let (check, question) = ("evidence", "Can what happens be proved later?");
        match self.engine.evidence_public_key().await {
            Ok(_) => Line::pass(
                check,
                question,
                "evidence packs can be signed; see `crosstally evidence --print-key`",
            ),
            Err(error) => Line::fail(check, question, error.to_string(), "see docs/evidence.md"),
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
