//! Hop 2: the page that visitors arrive at. Each different page is visited once, hop by hop and guarded, with the
//! parameters of the first visitor who is sent there.

use std::collections::BTreeMap;

use crosstally_core::click::AD_CLICK_PARAMS;
use crosstally_core::ids::ClickId;
use crosstally_core::preflight::pixel::pixels;
use crosstally_core::preflight::{Code, Hop};
use crosstally_core::time::Timestamp;
use crosstally_core::tools::hop::{Fate, Told};

use super::link::{AGENT, without_query};
use super::{Gone, Run, page};
use crate::keys::hex_of;
use crate::tools::redirect_check::{self, Report};

/// Different pages that are visited.
const PAGES_MAX: usize = 8;

impl Run<'_> {
    pub(super) async fn lander(&mut self, gone: &mut Gone) {
        let mut pages: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for action in &self.actions {
            let Some(target) = &action.target else { continue };
            let page = self.page_of(target);
            pages.entry(without_query(&page).to_owned()).or_default().push(action.number);
        }
        if pages.is_empty() {
            *gone = Gone::not("no visitor came through the link");
            return;
        }
        for (page, visitors) in pages.into_iter().take(PAGES_MAX) {
            for _ in &visitors {
                gone.expected.add(None, None);
            }
            if self.is_late() {
                self.too_slow(Hop::Lander);
                break;
            }
            let Some(first) = visitors.first().copied() else { continue };
            let arrived = self.visit_page(first, &page, gone).await;
            for number in visitors {
                let Some(action) = self.actions.get_mut(number) else { continue };
                action.page.clone_from(&arrived);
                if arrived.is_some() {
                    gone.found.add(None, None);
                }
            }
        }
        if gone.not_checked {
            gone.found = gone.expected.clone();
        }
    }

    /// The target, or the page that was given in its place with the target's parameters.
    fn page_of(&self, target: &str) -> String {
        let Some(lander) = &self.wanted.lander else { return target.to_owned() };
        let query = target.split_once('?').map_or("", |(_, query)| query);
        let join = if lander.contains('?') { '&' } else { '?' };
        if query.is_empty() { lander.clone() } else { format!("{lander}{join}{query}") }
    }

    /// Visits a page; where it ended, if it is one.
    async fn visit_page(&mut self, first: usize, page: &str, gone: &mut Gone) -> Option<String> {
        let action = self.actions.get(first)?;
        let (click, url) = (action.click, self.page_of(action.target.as_deref()?));
        let wanted = redirect_check::Wanted {
            url,
            hops_max: None,
            user_agent: Some(self.wanted.user_agent.clone().unwrap_or_else(|| AGENT.to_owned())),
            allow_private: self.wanted.allow_private,
        };
        let report = redirect_check::check(&self.engine.bench(), &wanted).await;
        let now = self.engine.clock.now();
        for (host, date) in &report.dates {
            if let Some(theirs) = Timestamp::of_http_date(date) {
                self.skews.push((host.clone(), now.millis_since(theirs)));
            }
        }
        let has = |code: &str| report.problems.iter().any(|problem| problem.code == code);
        let untried = if has("address_forbidden") {
            Some("is not on the public internet; visit it with --allow-private")
        } else if has("own_address") {
            Some("is at a host of this server itself, which calls none of its own; look at it in a browser")
        } else {
            None
        };
        if let Some(why) = untried {
            gone.not_checked = true;
            gone.note(format!("{page} {why}"));
            return None;
        }
        if let Some(problem) = dead(&report) {
            self.defect(Code::LanderDead, Hop::Lander, format!("{page}: {problem}"));
            return None;
        }
        let harmed = self.harms(&report, click);
        // A step to an offer of this server's own belongs to the link.
        let steps = report.hops.iter().take_while(|hop| self.is_own_link(&hop.url)).count();
        if report.hops.len() > steps + 1 && !harmed {
            let last = report.hops.last().map_or("", |hop| without_query(&hop.url));
            let more = report.hops.len() - steps - 1;
            let problem = format!("behind the click link {page} leads on {more} time(s) more, to {last}");
            self.defect(Code::RedirectTwice, Hop::Lander, problem);
        }
        self.pixels(&report.page, page, gone);
        if self.wanted.browser {
            self.open(first, &wanted.url, gone).await;
        }
        report.hops.last().map(|hop| hop.url.clone())
    }

    fn is_own_link(&self, url: &str) -> bool {
        let is_public = |url: &url::Url| self.engine.http_out.own_link(url).is_some();
        self.base.is_own(url) || url::Url::parse(url).is_ok_and(|url| is_public(&url))
    }

    /// Opens a page in the real browser, as its first visitor.
    async fn open(&mut self, first: usize, url: &str, gone: &mut Gone) {
        let Some(program) = self.engine.door.browser().cloned() else { return };
        let agent = self.wanted.user_agent.clone().unwrap_or_else(|| AGENT.to_owned());
        let profile = format!("crosstally-page-{}", hex_of(self.engine.random.bytes::<8>()));
        match page::open(program, url.to_owned(), agent, profile, self.left()).await {
            Ok(()) => {
                gone.note(format!("{} was opened in a real browser", without_query(url)));
                if let Some(action) = self.actions.get_mut(first) {
                    action.opened = true;
                }
            }
            Err(problem) => {
                self.defect(Code::LanderDead, Hop::Lander, format!("{}: {problem}", without_query(url)))
            }
        }
    }

    /// Names what was done to the ids on the way.
    fn harms(&mut self, report: &Report, click: Option<ClickId>) -> bool {
        let mut harmed = false;
        let start: Vec<&Told> =
            report.hops.first().map(|hop| hop.params.iter().collect()).unwrap_or_default();
        let ours: Vec<String> = start
            .iter()
            .filter(|told| click.is_some_and(|click| click.to_string() == told.value))
            .map(|told| told.name.clone())
            .collect();
        for hop in report.hops.iter().skip(1) {
            let page = without_query(&hop.url);
            for told in hop.params.iter().filter(|told| told.fate.is_harm()) {
                let is_ours = ours.contains(&told.name);
                let words = told.fate.words();
                if is_ours && !matches!(told.fate, Fate::LowerCased | Fate::UpperCased) {
                    let problem = format!("the click id in `{}` was {words} on the way to {page}", told.name);
                    self.defect(Code::ClickIdDropped, Hop::Lander, problem);
                } else if AD_CLICK_PARAMS.iter().any(|known| known.name.eq_ignore_ascii_case(&told.name)) {
                    let code = if told.fate == Fate::LowerCased {
                        Code::ClickIdLowerCased
                    } else {
                        Code::ClickIdHarmed
                    };
                    self.defect(
                        code,
                        Hop::Lander,
                        format!("`{}` was {words} on the way to {page}", told.name),
                    );
                } else {
                    continue;
                }
                harmed = true;
            }
        }
        harmed
    }

    /// Compares the ids of the page's pixels with those of the destinations.
    fn pixels(&mut self, html: &str, page: &str, gone: &mut Gone) {
        self.shown.page(html);
        let mut starts = false;
        let found = pixels(html);
        let slugs: Vec<&String> = self.goals.iter().flat_map(|goal| &goal.send_to).collect();
        let mut wrong = Vec::new();
        for slug in slugs {
            let Some(ready) = self.snapshot.destination(slug) else { continue };
            let of_kind = || found.iter().filter(|pixel| pixel.kind == ready.config.kind);
            let Some(one) = of_kind().next() else { continue };
            let ours = ready.settings.text(one.setting).unwrap_or_default();
            if ours.is_empty() || of_kind().any(|pixel| pixel.id == ours) {
                starts = true;
                gone.note(format!("{page} has the pixel of `{slug}`"));
                continue;
            }
            wrong.push(format!(
                "{page} starts the pixel {} of {}, and destination `{slug}` sends to {ours}",
                one.id, one.kind
            ));
        }
        self.shown.pixels += usize::from(starts);
        for problem in wrong {
            self.defect(Code::PixelIdWrong, Hop::Lander, problem);
        }
    }
}

/// Why there is no page.
fn dead(report: &Report) -> Option<String> {
    const DEAD: [&str; 8] = [
        "error_status",
        "unreachable",
        "timed_out",
        "not_http",
        "bad_url",
        "no_location",
        "redirect_loop",
        "too_many_hops",
    ];
    let problem = report.problems.iter().find(|problem| DEAD.contains(&problem.code))?;
    Some(problem.problem.clone())
}
