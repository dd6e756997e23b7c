//! The pre-flight of a campaign: marked test actions through the real link, page, partner's door and destination, compared
//! hop by hop. The ledger's and the goals' part is decided by the functions that book real calls, over facts that are
//! imagined: nothing of a test is ever booked or put out for delivery.
//!
//! Limits: how many actions, one deadline for all of them, guarded calls to everybody but this server's own door. A
//! destination gets what is marked as a test by its platform's own means, or nothing.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::OnceLock;
use std::time::Duration;

use crosstally_core::config::{Campaign, Goal, Partner};
use crosstally_core::ids::ClickId;
use crosstally_core::money::Currency;
use crosstally_core::postback::Receipt;
use crosstally_core::preflight::{
    ACTIONS_MAX, ACTIONS_USUAL, Code, Defect, Hop, State, Tally, fits_before_mark,
};
use crosstally_core::route::GoalEvent;
use crosstally_core::time::Timestamp;
use crosstally_store::StoreError;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Answer, CallError, Unable};
use crate::Engine;
use crate::clock::watch;
use crate::snapshot::Snapshot;
use crate::test_mark::MarkedFor;

mod browser;
mod call;
mod checklist;
mod destination;
mod door;
mod lander;
mod ledger;
mod link;
mod monitor;
mod page;
mod postback;
mod shown;
mod signal;

use door::Base;
pub use door::Door;

/// How long all of it may take.
const TOTAL: Duration = Duration::from_secs(25);
/// The amount of the first action, in the currency's minor unit; each further one has a unit more.
const AMOUNT_MINOR: i64 = 1_234;
/// Bytes of the further parameters of the link.
const PARAMS_BYTES_MAX: usize = 4 * 1024;

/// What to try.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Wanted {
    /// The campaign.
    pub campaign: String,
    /// The partner that reports its sales; needed where there are several.
    pub partner: Option<String>,
    /// How many test actions.
    pub actions: Option<usize>,
    /// The tracking address to go through, where it is not this process's own door.
    pub base: Option<String>,
    /// The page to visit in place of the target's, with the target's parameters.
    pub lander: Option<String>,
    /// The postback URL as it stands at the partner, with our macros in the places of its own.
    pub postback: Option<String>,
    /// The status word that the partner sends for a sale.
    pub status: Option<String>,
    /// The partner's name for what is sold.
    pub event: Option<String>,
    /// The currency of what is sold.
    pub currency: Option<String>,
    /// Further parameters of the click link, as the source would fill them in.
    pub params: String,
    /// The user agent of the visitors.
    pub user_agent: Option<String>,
    /// The code of the destinations' test views, where their settings hold none.
    pub code: Option<String>,
    /// Whether addresses outside the public internet may be asked.
    pub allow_private: bool,
    /// Whether pages are opened in the browser that the command was given, so that their own script tells.
    pub browser: bool,
}

impl Wanted {
    /// Finds what cannot be asked.
    ///
    /// # Errors
    /// See [`CallError`].
    pub fn check(&self) -> Result<(), CallError> {
        let unreadable = |problem: String| Err(CallError::Unreadable(problem));
        if self.campaign.is_empty() {
            return unreadable("name the campaign".into());
        }
        if self.actions.is_some_and(|actions| !(1..=ACTIONS_MAX).contains(&actions)) {
            return unreadable(format!("`actions` is 1 to {ACTIONS_MAX}"));
        }
        if self.params.len() > PARAMS_BYTES_MAX {
            return unreadable(format!("`params` is longer than {PARAMS_BYTES_MAX} bytes"));
        }
        if !fits_before_mark(&self.params) {
            return unreadable("`params` has a `#` or a blank, which ends a query: encode it".into());
        }
        if let Some(currency) = &self.currency
            && currency.parse::<Currency>().is_err()
        {
            return unreadable("`currency` is not a code of ISO 4217".into());
        }
        for url in [&self.base, &self.lander].into_iter().flatten() {
            let good = url::Url::parse(url)
                .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
            if !good {
                return unreadable("an address is written as https://host/path".into());
            }
        }
        let ends = |url: &str| url.contains(['?', '#']);
        if self.base.as_deref().is_some_and(ends) {
            return unreadable("`base` is the address before /c/, without a query".into());
        }
        self.postback.as_deref().map_or(Ok(()), call::check_template)
    }
}

/// One hop as it is told.
#[derive(Debug, Clone, Serialize)]
pub struct HopOut {
    /// Its number, from 1.
    pub number: usize,
    /// Which it is.
    pub hop: Hop,
    /// How it compares.
    pub compared: State,
    /// What was to come.
    pub expected: Tally,
    /// What came.
    pub found: Tally,
    /// What else there is to say.
    pub notes: Vec<String>,
}

/// A case that must not go well.
#[derive(Debug, Clone, Serialize)]
pub struct Negative {
    /// What was wrong in it.
    pub case: &'static str,
    /// Whether it was treated as it must be; nothing if it was not tried.
    pub passed: Option<bool>,
    /// What came of it.
    pub found: String,
}

/// One test action on its way.
#[derive(Debug, Clone)]
struct Action {
    number: usize,
    /// The ad click id that the link carries.
    fbclid: String,
    minor: i64,
    transaction: String,
    click: Option<ClickId>,
    /// Where the link leads.
    target: Option<String>,
    /// The page at which the visitor arrived.
    page: Option<String>,
    /// Whether a real browser has opened that page.
    opened: bool,
    /// The name and the id of the browser's event.
    browser: Option<(String, String)>,
    /// When the sale happens.
    at: Timestamp,
    receipt: Option<Receipt>,
    /// Whether its call was read as something else than was meant.
    misread: bool,
    events: Vec<GoalEvent>,
}

/// A run.
struct Run<'a> {
    engine: &'a Engine,
    snapshot: Arc<Snapshot>,
    wanted: &'a Wanted,
    campaign: Campaign,
    partner: Partner,
    /// The goals that send somewhere.
    goals: Vec<Goal>,
    currency: Currency,
    base: Base,
    actions: Vec<Action>,
    hops: Vec<HopOut>,
    negatives: Vec<Negative>,
    defects: Vec<Defect>,
    /// By how many milliseconds this clock is ahead of others', and whose they are.
    skews: Vec<(String, i64)>,
    shown: shown::Shown,
    /// The numbers of those that the ledger would have.
    booked: HashSet<usize>,
    began: Duration,
    /// When it began by the clock of what is stored.
    from: Timestamp,
}

impl Engine {
    /// Flies a campaign before anybody pays for it. `told` hears of each hop when it is done.
    ///
    /// # Errors
    /// See [`Unable`].
    pub async fn preflight(&self, wanted: &Wanted, told: impl Fn(&HopOut) + Send) -> Result<Answer, Unable> {
        Ok(self.fly_hops(wanted, told).await?.answer())
    }

    async fn fly_hops<'a>(
        &'a self,
        wanted: &'a Wanted,
        told: impl Fn(&HopOut) + Send,
    ) -> Result<Run<'a>, Unable> {
        let mut run = self.prepare(wanted)?;
        let link = self.test_mark(MarkedFor::Link(&run.campaign.slug));
        let door = self.test_mark(MarkedFor::Partner(&run.partner.slug));
        for hop in Hop::ALL {
            let mut gone = Gone::default();
            run.go(hop, (&link, &door), &mut gone).await?;
            run.settle(hop, gone);
            if let Some(last) = run.hops.last() {
                told(last);
            }
        }
        run.clock();
        Ok(run)
    }

    fn prepare<'a>(&'a self, wanted: &'a Wanted) -> Result<Run<'a>, Unable> {
        wanted.check()?;
        let unreadable = |problem: String| CallError::Unreadable(problem);
        if wanted.browser && self.door.browser().is_none() {
            let problem = "there is no browser here: only a command with --browser opens pages in one";
            return Err(unreadable(problem.into()).into());
        }
        let snapshot = self.snapshot.load_full();
        let campaign = snapshot.campaign(&wanted.campaign).cloned();
        let campaign = campaign
            .ok_or_else(|| CallError::Missing(format!("no campaign is called `{}`", wanted.campaign)))?;
        let partner = partner(&snapshot, wanted.partner.as_deref())?;
        let currency = match (&wanted.currency, partner.contract.currency()) {
            (Some(text), _) => text.parse().map_err(|_| unreadable("`currency` is no currency".into()))?,
            (None, Some(currency)) => currency,
            (None, None) => snapshot.config.workspace.base_currency,
        };
        let sends = |goal: &&Goal| !goal.send_to.is_empty();
        let goals = snapshot.config.goals.iter().filter(sends).cloned().collect();
        let base = Base::of(self, wanted, &snapshot)?;
        let now = self.clock.now();
        let run = crate::keys::hex_of(self.random.bytes::<4>());
        let action = |number: usize| Action {
            number,
            // As the platform makes them: capitals matter.
            fbclid: format!("IwAR2pReFliGhT_{run}xZ{number}"),
            minor: AMOUNT_MINOR + i64::try_from(number).unwrap_or_default(),
            transaction: format!("preflight-{run}-{number}"),
            click: None,
            target: None,
            page: None,
            opened: false,
            browser: None,
            at: Timestamp::from_millis(now.as_seconds() * 1_000),
            receipt: None,
            misread: false,
            events: Vec::new(),
        };
        let count = wanted.actions.unwrap_or(ACTIONS_USUAL);
        Ok(Run {
            engine: self,
            wanted,
            campaign,
            partner,
            goals,
            currency,
            base,
            actions: (0..count).map(action).collect(),
            hops: Vec::new(),
            negatives: Vec::new(),
            defects: Vec::new(),
            skews: Vec::new(),
            shown: shown::Shown::default(),
            booked: HashSet::new(),
            began: watch(),
            from: now,
            snapshot,
        })
    }
}

fn partner(snapshot: &Snapshot, named: Option<&str>) -> Result<Partner, CallError> {
    let known = || snapshot.config.partners.iter().filter(|known| !snapshot.is_for_events_only(&known.slug));
    let slugs = || known().map(|partner| partner.slug.as_str()).collect::<Vec<_>>().join(", ");
    match named {
        Some(slug) => known().find(|known| known.slug == slug).cloned().ok_or_else(|| {
            CallError::Missing(format!("no partner is called `{slug}`; there are: {}", slugs()))
        }),
        None => match (known().next(), known().nth(1)) {
            (Some(only), None) => Ok(only.clone()),
            (None, _) => {
                Err(CallError::Unreadable("no partner is configured that could report a sale".into()))
            }
            _ => Err(CallError::Unreadable(format!("name the partner that reports its sales: {}", slugs()))),
        },
    }
}

/// An amount for people.
fn words_of(amount: Option<(i64, Currency)>) -> String {
    amount.map_or_else(
        || "no amount".to_owned(),
        |(minor, currency)| format!("{} {currency}", currency.format_minor(minor)),
    )
}

/// What a hop came to.
#[derive(Debug, Default)]
struct Gone {
    expected: Tally,
    found: Tally,
    notes: Vec<String>,
    /// Why it was not gone.
    not_checked: bool,
}

impl Gone {
    fn not(why: impl Into<String>) -> Self {
        Self { notes: vec![why.into()], not_checked: true, ..Self::default() }
    }

    fn note(&mut self, note: impl Into<String>) {
        let note = note.into();
        if !self.notes.contains(&note) && self.notes.len() < 20 {
            self.notes.push(note);
        }
    }
}

impl Run<'_> {
    fn defect(&mut self, code: Code, hop: Hop, problem: impl Into<String>) {
        match self.defects.iter_mut().find(|known| known.code == code && known.hop == hop) {
            Some(known) => known.actions += 1,
            None => self.defects.push(Defect::new(code, hop, problem)),
        }
    }

    /// How often defects were seen so far.
    fn seen(&self) -> usize {
        self.defects.iter().map(|defect| defect.actions).sum()
    }

    /// Goes a hop, as far as the time of the run allows. When none is left each looks at what is there and calls nobody.
    async fn go(&mut self, hop: Hop, (link, door): (&str, &str), gone: &mut Gone) -> Result<(), StoreError> {
        let left = self.left();
        let going = async {
            match hop {
                Hop::Link => self.link(link, gone).await,
                Hop::Lander => {
                    self.lander(gone).await;
                    Ok(())
                }
                Hop::Browser => self.browser(gone).await,
                Hop::Postback => self.postback(door, gone).await,
                Hop::Ledger => self.ledger(gone).await,
                Hop::Signal => {
                    self.signal(gone);
                    Ok(())
                }
                Hop::Destination => self.destination(gone).await,
            }
        };
        if left.is_zero() {
            return going.await;
        }
        let done = tokio::time::timeout(left, going).await;
        done.unwrap_or_else(|_| {
            self.too_slow(hop);
            Ok(())
        })
    }

    /// How much time the run has left.
    fn left(&self) -> Duration {
        self.engine.door.limit().saturating_sub(watch().saturating_sub(self.began))
    }

    fn is_late(&self) -> bool {
        self.left().is_zero()
    }

    fn too_slow(&mut self, hop: Hop) {
        let seconds = self.engine.door.limit().as_secs();
        let problem =
            format!("the {seconds} seconds of the run were over before the hop `{}` was", hop.name());
        self.defect(Code::TooSlow, hop, problem);
    }

    fn settle(&mut self, hop: Hop, gone: Gone) {
        let broken = self.defects.iter().any(|defect| defect.hop == hop);
        let state = match (gone.not_checked, broken || gone.expected != gone.found) {
            (_, true) if broken => State::Differs,
            (true, _) => State::NotChecked,
            (false, true) => State::Differs,
            (false, false) => State::Same,
        };
        self.hops.push(HopOut {
            number: self.hops.len() + 1,
            hop,
            compared: state,
            expected: gone.expected,
            found: gone.found,
            notes: gone.notes,
        });
    }

    /// Whether this clock is right. Where all who are asked agree that it is not, it is not.
    fn clock(&mut self) {
        let asked = shown::asked_for_time(&self.skews, |from| self.is_elsewhere(from));
        let Some((host, ms)) = shown::off_by(&asked) else { return };
        let minutes = ms.abs() / 60_000;
        let way = if ms > 0 { "ahead of" } else { "behind" };
        let many = asked.len();
        self.defect(
            Code::ClockOff,
            Hop::Destination,
            format!(
                "this server's clock is {} h {} min {way} that of {host}, and of all {many} that answered",
                minutes / 60,
                minutes % 60
            ),
        );
        if let Some(last) = self.hops.last_mut() {
            last.compared = State::Differs;
        }
    }

    fn answer(self) -> Answer {
        let passed = self.defects.is_empty() && self.hops.iter().all(|hop| hop.compared != State::Differs);
        let told = json!({
            "campaign": self.campaign.slug, "partner": self.partner.slug, "actions": self.actions.len(),
            "hops": self.hops, "negatives": self.negatives, "defects": self.defects,
            "time_ms": super::redirect_check::elapsed_ms(self.began),
        });
        Answer::new(passed, &told)
    }
}

impl Door {
    /// The address of this process's own tracking door.
    pub fn opens_at(&self, address: SocketAddr) {
        // A process has one, and the first stays.
        self.at.get_or_init(|| address);
    }
}

/// Unset until the process has bound its door.
pub(super) type At = OnceLock<SocketAddr>;
