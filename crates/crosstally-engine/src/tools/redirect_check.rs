//! `redirect check`: follows a link as a browser without scripts would, one guarded call for each hop, and tells what each
//! hop did to the click ids and campaign parameters. Cookies are told and not sent back; nothing is sent but the address.
//! A link of this installation's own is visited as a test, which counts nowhere.

use std::collections::HashSet;

use crosstally_core::preflight;
use crosstally_core::reason::Reason;
use crosstally_core::tools::hop::{self, CookieSet, Fate, Told, Trail};
use crosstally_core::tools::{page, shown};
use crosstally_destinations::dialect::{Request, Response};
use serde::{Deserialize, Serialize};
use url::Url;

use super::Bench;
use crate::click::SECOND_PARAM;
use crate::clock::watch;
use crate::http_out::{SendError, SendOptions};
use crate::test_mark::{self, MarkedFor};

/// Hops that are followed unless told otherwise, and at most.
const HOPS_USUAL: usize = 10;
const HOPS_MAX: usize = 20;
/// How long one hop may take, and all of them.
const HOP_MS: u64 = 10_000;
const TOTAL_MS: u64 = 45_000;
/// A redirect that takes longer than this loses visitors.
const SLOW_MS: u64 = 1_000;
/// More hops than this lose visitors.
const MANY_HOPS: usize = 4;
/// Bytes of a URL that is followed.
const URL_BYTES_MAX: usize = 16 * 1024;
/// Who asks, unless told otherwise.
const AGENT: &str = "Mozilla/5.0 (compatible; crosstally redirect check)";

/// What to check.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Wanted {
    /// The link.
    pub url: String,
    /// How many hops to follow at most.
    pub hops_max: Option<usize>,
    /// The user agent to ask as: links often treat telephones in another way.
    pub user_agent: Option<String>,
    /// Whether addresses outside the public internet may be asked.
    pub allow_private: bool,
}

/// How a hop leads on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Via {
    /// A status and a `Location`.
    Http,
    /// A meta refresh.
    MetaRefresh,
    /// A `Refresh` header.
    RefreshHeader,
}

/// One hop.
#[derive(Debug, Clone, Serialize)]
pub struct Hop {
    pub(super) number: usize,
    pub(super) url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) status: Option<u16>,
    pub(super) time_ms: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) leads_on_by: Option<Via>,
    pub(super) cookies: Vec<CookieSet>,
    pub(super) params: Vec<Told>,
    pub(super) notes: Vec<String>,
}

/// Something that is wrong.
#[derive(Debug, Clone, Serialize)]
pub struct Problem {
    pub(super) code: &'static str,
    pub(super) hop: usize,
    pub(super) problem: String,
    pub(super) fix: &'static str,
}

/// What was found.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Report {
    pub(super) final_url: String,
    pub(super) time_ms: u64,
    pub(super) hops: Vec<Hop>,
    /// What is wrong; nothing if the link is sound.
    pub problems: Vec<Problem>,
    pub(super) notes: Vec<String>,
    /// The text of the last page, as far as it was read.
    #[serde(skip)]
    pub(super) page: String,
    /// What the hosts on the way say that the time is.
    #[serde(skip)]
    pub(super) dates: Vec<(String, String)>,
}

impl Report {
    fn problem(&mut self, code: &'static str, problem: impl Into<String>, fix: &'static str) {
        let hop = self.hops.len();
        self.problems.push(Problem { code, hop, problem: problem.into(), fix });
    }
}

/// How one address is asked.
trait Ask: Sync {
    fn ask(&self, url: &str) -> impl Future<Output = Result<Response, SendError>> + Send;
}

/// The only door out, for a wish.
struct Door<'a> {
    bench: &'a Bench<'a>,
    wanted: &'a Wanted,
}

/// Follows a link.
pub async fn check(bench: &Bench<'_>, wanted: &Wanted) -> Report {
    let mut report = follow(&Door { bench, wanted }, wanted).await;
    for hop in report.hops.iter_mut().filter(|hop| as_test(bench, &hop.url).is_some()) {
        hop.notes.push("a link of this server: visited as a test, which counts nowhere".to_owned());
    }
    report
}

/// A link of this installation's own with the mark of a test; nothing if it is none.
fn as_test(bench: &Bench<'_>, url: &str) -> Option<String> {
    let mut marked = Url::parse(&without_mark(url)).ok()?;
    let to = match bench.http_out.own_link(&marked)? {
        (true, campaign) => MarkedFor::Link(campaign),
        (false, offer) => MarkedFor::Step(offer),
    };
    let mark = test_mark::made(bench.keys?, bench.now, to);
    let query = marked.query().unwrap_or_default();
    // The second of two pages has a query of its own, and is no click.
    let is_second = query.strip_prefix(SECOND_PARAM).is_some_and(|rest| rest.starts_with('='));
    if !is_second {
        let query = preflight::marked(query, &mark);
        marked.set_query(Some(&query));
    }
    marked.set_fragment(None);
    Some(marked.into())
}

/// A text as it is told: whoever leads a link of ours on, such as a proxy from http to https, passes the mark on as well,
/// behind it with parameters of its own or within another link, and whoever read it in a run could make tests of other
/// visitors' clicks.
fn without_mark(text: &str) -> String {
    let lower = text.to_ascii_lowercase();
    let (mut told, mut done) = (String::with_capacity(text.len()), 0);
    for (start, name) in lower.match_indices(preflight::MARK_NAME) {
        let Some(end) = end_of_mark(&lower, start + name.len()) else { continue };
        told.push_str(text.get(done..start).unwrap_or_default());
        let is_first = told.ends_with('?') && lower.get(end..).is_some_and(|rest| rest.starts_with('&'));
        if !is_first && told.ends_with(['?', '&']) {
            told.pop();
        }
        done = end + usize::from(is_first);
    }
    told + text.get(done..).unwrap_or_default()
}

/// Where a mark ends, behind its name. However often the sign before the digits is encoded, and whatever stands behind them,
/// they can be read out.
fn end_of_mark(lower: &str, named: usize) -> Option<usize> {
    let behind = lower.get(named..)?;
    let value = behind.trim_start_matches(|sign: char| !sign.is_ascii_hexdigit() && sign != '&');
    let rest = value.trim_start_matches(|sign: char| sign.is_ascii_hexdigit());
    (value.len() - rest.len() >= preflight::MARK_DIGITS).then_some(lower.len() - rest.len())
}

async fn follow(door: &impl Ask, wanted: &Wanted) -> Report {
    let mut report = Report::default();
    let mut trail = Trail::default();
    let mut seen = HashSet::new();
    let hops_max = wanted.hops_max.unwrap_or(HOPS_USUAL).clamp(1, HOPS_MAX);
    let began = watch();
    let mut next = wanted.url.trim().to_owned();
    loop {
        let told = without_mark(&next);
        if !seen.insert(told.clone()) {
            let fix = "break the circle; if a page only wants its cookie back, a browser passes and this check does not";
            report.problem("redirect_loop", format!("leads back to {}", shown::text(&told)), fix);
            break;
        }
        if report.hops.len() == hops_max {
            let problem = format!("goes on after {hops_max} hops");
            report.problem("too_many_hops", problem, "take hops out; browsers give up after about 20");
            break;
        }
        if elapsed_ms(began) > TOTAL_MS {
            report.problem("too_slow", "was given up after 45 seconds", "take slow hops out");
            break;
        }
        let params = trail.follow(&told);
        tell_params(&mut report, &params);
        match hop(door, &next, params, &mut report).await {
            Some(target) => next = target,
            None => break,
        }
    }
    report.time_ms = elapsed_ms(began);
    report.final_url = report.hops.last().map(|hop| hop.url.clone()).unwrap_or_default();
    if report.hops.len() > MANY_HOPS {
        let note = format!("{} hops: each loses some visitors; two are usual", report.hops.len() - 1);
        report.notes.push(note);
    }
    report
}

pub(super) fn elapsed_ms(began: std::time::Duration) -> u64 {
    u64::try_from(watch().saturating_sub(began).as_millis()).unwrap_or(u64::MAX)
}

/// Makes one call; where it leads on to.
async fn hop(door: &impl Ask, url: &str, params: Vec<Told>, report: &mut Report) -> Option<String> {
    let began = watch();
    let answer = door.ask(url).await;
    let mut hop = Hop {
        number: report.hops.len() + 1,
        url: shown::text(&without_mark(url)),
        status: None,
        time_ms: elapsed_ms(began),
        leads_on_by: None,
        cookies: Vec::new(),
        params,
        notes: Vec::new(),
    };
    let response = match answer {
        Ok(response) => response,
        Err(error) => {
            report.hops.push(hop);
            let (code, fix) = failure(&error);
            report.problem(code, error.detail, fix);
            return None;
        }
    };
    hop.status = Some(response.status);
    hop.cookies = cookies(&response);
    if hop.time_ms > SLOW_MS {
        hop.notes.push(format!("took {} ms", hop.time_ms));
    }
    let body = String::from_utf8_lossy(&response.body);
    report.page = body.clone().into_owned();
    let host = Url::parse(url).ok().and_then(|url| url.host_str().map(str::to_owned));
    report.dates.extend(host.zip(response.header("date").map(str::to_owned)));
    let onward = onward(&response, &body);
    if onward.is_none()
        && let Some(target) = page::script_target(&body)
    {
        let target = shown::text(&without_mark(&target));
        hop.notes.push(format!("a script would lead on to {target}; scripts are not run"));
    }
    hop.leads_on_by = onward.as_ref().map(|(via, _, _)| *via);
    let status = response.status;
    report.hops.push(hop);
    if status >= 400 {
        report.problem("error_status", format!("answered {status}"), "mend the page, or the link to it");
        return None;
    }
    let Some((_, target, delay_s)) = onward else {
        if (300..400).contains(&status) && status != 304 {
            report.problem(
                "no_location",
                format!("answered {status} and does not say where to go"),
                "send a Location header",
            );
        }
        return None;
    };
    if delay_s > 2 {
        let problem = format!("the page waits {delay_s} seconds before it leads on");
        report.problem("refresh_waits", problem, "let it lead on at once");
    }
    resolve(url, &target, report)
}

impl Ask for Door<'_> {
    async fn ask(&self, url: &str) -> Result<Response, SendError> {
        let agent = self.wanted.user_agent.clone().unwrap_or_else(|| AGENT.to_owned());
        let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let request = Request {
            method: "GET",
            url: as_test(self.bench, url).unwrap_or_else(|| url.to_owned()).into(),
            headers: vec![
                header("user-agent", &agent),
                header("accept", "text/html,application/xhtml+xml,*/*;q=0.8"),
                header("accept-language", "en"),
            ],
            body: Vec::new(),
            body_shown: Vec::new(),
            secrets: Vec::new(),
        };
        let options = SendOptions {
            deadline_ms: HOP_MS,
            allow_private: self.wanted.allow_private,
            read_bytes_max: page::PAGE_BYTES_MAX,
        };
        self.bench.http_out.visit(&request, options).await
    }
}

const fn failure(error: &SendError) -> (&'static str, &'static str) {
    match error.reason {
        Reason::AddressForbidden => (
            "address_forbidden",
            "a link that visitors follow leads to public addresses; for a machine of your own there is --allow-private",
        ),
        Reason::OwnAddress => (
            "own_address",
            "no call goes to this server itself but to links under `public_hosts`; look at it in a browser, or from another machine",
        ),
        Reason::DestTimeout => ("timed_out", "look why the host is slow"),
        Reason::DestMisconfigured | Reason::DestRejected => ("bad_url", "write it as https://host/path"),
        Reason::DestUnreadable => ("not_http", "the host must answer in HTTP"),
        _ => ("unreachable", "look whether the host is up, and its name right"),
    }
}

fn cookies(response: &Response) -> Vec<CookieSet> {
    let set = response.headers.iter().filter(|(name, _)| name == "set-cookie");
    set.map(|(_, value)| hop::cookie_set(&without_mark(value))).collect()
}

pub(super) fn onward(response: &Response, body: &str) -> Option<(Via, String, u32)> {
    if (300..400).contains(&response.status) {
        return response.header("location").map(|target| (Via::Http, target.to_owned(), 0));
    }
    if let Some(header) = response.header("refresh") {
        let tag = format!("<meta http-equiv=refresh content=\"{}\">", header.replace('"', "'"));
        if let Some(refresh) = page::meta_refresh(&tag) {
            return Some((Via::RefreshHeader, refresh.url, refresh.delay_s));
        }
    }
    page::meta_refresh(body).map(|refresh| (Via::MetaRefresh, refresh.url, refresh.delay_s))
}

/// The whole URL of where it leads.
fn resolve(from: &str, target: &str, report: &mut Report) -> Option<String> {
    let base = Url::parse(from).ok()?;
    let Ok(next) = base.join(target.trim()) else {
        report.problem("bad_location", "the address that it leads to cannot be read", "send a whole URL");
        return None;
    };
    if !matches!(next.scheme(), "http" | "https") {
        let problem = format!("leads to {}:, which is no page", next.scheme());
        report.problem("bad_scheme", problem, "lead to http or https");
        return None;
    }
    if next.as_str().len() > URL_BYTES_MAX {
        let problem = format!("leads to a URL of more than {URL_BYTES_MAX} bytes");
        report.problem("url_too_long", problem, "pass fewer parameters on");
        return None;
    }
    if base.scheme() == "https" && next.scheme() == "http" {
        let problem =
            "leads from https to http: the referrer is dropped, and anybody on the way reads the ids";
        report.problem("http_downgrade", problem, "lead to https");
    }
    Some(next.into())
}

/// What the next URL is without, told at the hop that made it.
fn tell_params(report: &mut Report, params: &[Told]) {
    for told in params {
        if told.fate.is_harm() {
            let words = told.fate.words();
            let fix = match told.fate {
                Fate::Lost => "pass it on: most trackers and redirectors have a setting for the query",
                Fate::EncodedTwice | Fate::Decoded => "encode each value once",
                Fate::LowerCased | Fate::UpperCased => "pass it on byte for byte",
                _ => "find the field or the rule that rewrites it",
            };
            report.problem("param_harmed", format!("`{}` was {words}", told.name), fix);
        }
        if told.is_macro && matches!(told.fate, Fate::Start | Fate::Added) {
            let problem = format!("`{}` is a macro that nobody filled in", told.name);
            report.problem("macro_unresolved", problem, "test with a real value, or mend the macro");
        }
    }
}

#[cfg(test)]
mod tests;
