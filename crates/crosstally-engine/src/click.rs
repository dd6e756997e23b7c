//! A click: look the campaign up, make the click, fill the target, append it, redirect.
//!
//! The redirect waits for the disk, but not for ever: past the deadline, or when the store turns clicks away, the visitor
//! is sent on and the click goes through the spool. A sick store never stops a redirect.
//!
//! `paths` chooses where the visitors of campaigns with paths go, `step` sends them on from a lander to an offer, `bot` says
//! who is none.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crosstally_core::click::{AdClickIds, Click};
use crosstally_core::config::{Campaign, CostModel};
use crosstally_core::ids::ClickId;
use crosstally_core::params::Params;
use crosstally_core::reason::Reason;
use crosstally_core::redirect::Redirect;
use crosstally_core::target::TargetValues;
use crosstally_core::time::Timestamp;
use crosstally_core::visit::Way;
use crosstally_core::{limits, link};

use crate::Engine;
use crate::metrics::Name;
use crate::snapshot::{ReadyCampaign, Snapshot};
use crate::test_mark::MarkedFor;

mod bot;
mod paths;
mod second;
mod step;

pub use second::SECOND_PARAM;

/// How long a redirect waits for the store.
pub const COMMIT_WAIT: Duration = Duration::from_millis(50);
/// How long the one of a pre-flight's visitor does: no person waits, and the run looks for its click at once.
const MARKED_WAIT: Duration = Duration::from_secs(3);

/// A click as it came to the door.
#[derive(Debug, Clone, Copy, Default)]
pub struct ClickIn<'a> {
    /// The campaign's slug from the path, or the offer's.
    pub campaign: &'a str,
    /// The query string.
    pub query: &'a str,
    /// The visitor's address.
    pub ip: Option<IpAddr>,
    /// The `User-Agent` header.
    pub user_agent: &'a str,
    /// The `Referer` header.
    pub referrer: &'a str,
    /// The `Accept-Language` header.
    pub language: &'a str,
    /// The `Cookie` header.
    pub cookies: &'a str,
    /// Whether the browser sent `Sec-GPC: 1`.
    pub gpc: bool,
    /// Whether only the head of the answer is asked for.
    pub head: bool,
    /// Whether a browser says that it fetches the page before anybody asked for it.
    pub prefetch: bool,
    /// Whether it is a test of ours, by its mark.
    pub test: bool,
}

/// What the visitor gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClickOut {
    /// A redirect to this URL.
    Redirect(String),
    /// A redirect of another kind, or with cookies.
    Sent(Box<Sent>),
    /// An answer with this reason.
    Refused(Reason),
}

/// How a visitor is sent on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sent {
    /// Where.
    pub target: String,
    /// How.
    pub how: Redirect,
    /// The cookies to set.
    pub cookies: Vec<Cookie>,
    /// With two pages: what the first asks for, the target sealed in it.
    pub second: Option<String>,
}

/// A cookie of the click host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cookie {
    /// Its name.
    pub name: &'static str,
    /// Its value, a click id.
    pub value: String,
    /// The path that it is for.
    pub path: String,
}

/// A click and how its visitor is sent on.
struct Made {
    click: Click,
    how: Redirect,
    cookies: Vec<Cookie>,
}

/// Where a click goes.
struct Chosen {
    target: String,
    how: Redirect,
    way: Option<Box<Way>>,
    cookies: Vec<Cookie>,
}

impl Engine {
    /// Captures a click.
    pub async fn capture_click(&self, mut input: ClickIn<'_>) -> ClickOut {
        if let Some(end) = self.end_before_mark(input.query.as_bytes(), MarkedFor::Link(input.campaign)) {
            (input.query, input.test) = (input.query.get(..end).unwrap_or_default(), true);
        }
        let Made { click, how, cookies } = match self.make_click(input) {
            Ok(made) => made,
            Err(reason) => return ClickOut::Refused(reason),
        };
        let click = Arc::new(click);
        let target = click.target.clone();
        let wait = if input.test { MARKED_WAIT } else { COMMIT_WAIT };
        self.keep_click(&click, wait).await;
        self.send_on(target, how, cookies)
    }

    /// Appends a click, as long as the visitor can wait for it.
    async fn keep_click(&self, click: &Arc<Click>, wait: Duration) {
        match tokio::time::timeout(wait, self.store.append_click(Arc::clone(click))).await {
            Ok(Ok(())) if click.test => self.metrics.count(Name::Clicks, &[("mode", "test")], 1),
            Ok(Ok(())) => self.metrics.clicks_stored.increment(1),
            Ok(Err(_)) | Err(_) => self.spool_click(click).await,
        }
    }

    fn send_on(&self, target: String, how: Redirect, cookies: Vec<Cookie>) -> ClickOut {
        if how == Redirect::Found && cookies.is_empty() {
            return ClickOut::Redirect(target);
        }
        let second = (how == Redirect::DoubleMeta).then(|| self.second_page(&target));
        ClickOut::Sent(Box::new(Sent { target, how, cookies, second }))
    }

    /// A test visitor's id says that it is one, so that the steps behind the click count nowhere either.
    fn new_click_id(&self, now: Timestamp, is_test: bool) -> ClickId {
        match is_test {
            true => ClickId::new_test(&self.click_id_key, now, self.random.bytes()),
            false => ClickId::new(&self.click_id_key, now, self.random.bytes()),
        }
    }

    fn make_click(&self, input: ClickIn<'_>) -> Result<Made, Reason> {
        let snapshot = self.snapshot.load();
        let (campaign, ready) = match snapshot.linked(input.campaign) {
            Some(found) => found,
            None => return self.make_click_of_broken_link(&snapshot, input),
        };
        self.make_click_on(&snapshot, (campaign, ready), input)
    }

    /// A link whose campaign nobody knows: what hangs behind its name with a wrong sign may be the query.
    fn make_click_of_broken_link(&self, snapshot: &Snapshot, input: ClickIn<'_>) -> Result<Made, Reason> {
        let (slug, rest) = link::healed_slug(input.campaign).ok_or(Reason::UnknownCampaign)?;
        let found = snapshot.linked(slug).ok_or(Reason::UnknownCampaign)?;
        self.metrics.count(Name::LinksHealed, &[], 1);
        let rest = if rest.contains('=') { rest } else { "" };
        let and = if rest.is_empty() || input.query.is_empty() { "" } else { "&" };
        let query = format!("{rest}{and}{}", input.query);
        self.make_click_on(snapshot, found, ClickIn { query: &query, ..input })
    }

    fn make_click_on(
        &self,
        snapshot: &Snapshot,
        (campaign, ready): (&Campaign, &ReadyCampaign),
        input: ClickIn<'_>,
    ) -> Result<Made, Reason> {
        let params = self.params(&campaign.slug, input.query)?;
        let now = self.clock.now();
        let id = self.new_click_id(now, input.test);
        let id_text = id.to_string();
        let values = TargetValues {
            click_id: &id_text,
            campaign: &campaign.slug,
            source: &campaign.source,
            params: &params,
        };
        let chosen = match (campaign.target(), &ready.rotation) {
            (Some(target), _) => {
                Chosen { target: target.fill(values), how: campaign.redirect, way: None, cookies: Vec::new() }
            }
            (None, Some(rotation)) => {
                self.choose(paths::Asked { snapshot, campaign, rotation, input, values, now, id })?
            }
            (None, None) => return Err(Reason::UnknownCampaign),
        };
        let Chosen { target, how, way, cookies } = chosen;
        if target.len() > limits::TARGET_BYTES_MAX {
            return Err(Reason::ParamTooLong);
        }
        let flood = snapshot.config.fraud.click_flood.zip(input.ip).filter(|_| !input.test);
        let floods = flood.is_some_and(|(often, ip)| self.flood.is_too_often(&campaign.slug, ip, often, now));
        let mut labels = if floods { vec![Reason::ClickFlood.code().to_owned()] } else { Vec::new() };
        self.label_bots(snapshot, &input, way.as_deref(), &mut labels);
        let fixed = campaign.cost_model.map(|CostModel::Cpc(cost)| cost);
        let click = Click {
            id,
            at: now,
            campaign: campaign.slug.clone(),
            source: campaign.source.clone(),
            query: input.query.to_owned(),
            target,
            ip: input.ip,
            in_europe: self.in_europe(input.ip),
            user_agent: kept(input.user_agent),
            referrer: kept(input.referrer),
            language: kept(input.language),
            fbc_cookie: cookie(input.cookies, "_fbc"),
            fbp_cookie: cookie(input.cookies, "_fbp"),
            ad_click_ids: AdClickIds::from_params(&params),
            // A test has no part in the fractions that are carried on.
            cost: if input.test { fixed } else { ready.stated_cost(&params).or(fixed) },
            gpc: input.gpc,
            test: campaign.test || input.test,
            labels,
            way,
        };
        Ok(Made { click, how, cookies })
    }

    /// The parameters of a click link as they were meant. Macros that nobody filled in are counted.
    fn params(&self, campaign: &str, query: &str) -> Result<Params, Reason> {
        if query.len() > limits::QUERY_BYTES_MAX {
            return Err(Reason::QueryTooLarge);
        }
        let healed = link::healed(query);
        if matches!(healed, std::borrow::Cow::Owned(_)) {
            self.metrics.count(Name::LinksHealed, &[], 1);
        }
        let params = Params::parse(healed.as_bytes())?;
        let unfilled = params.unfilled();
        if unfilled > 0 {
            self.metrics.count(Name::MacrosUnresolved, &[("campaign", campaign)], unfilled);
        }
        Ok(params)
    }

    async fn spool_click(&self, click: &Arc<Click>) {
        // A disk that hangs must not hold the visitor: the writer goes on, the redirect does not wait for it.
        let written = tokio::time::timeout(COMMIT_WAIT, self.spool.append(click)).await;
        let how = match written {
            _ if click.test => "test",
            Ok(true) => "spooled",
            Ok(false) | Err(_) => "lost",
        };
        self.metrics.count(Name::Clicks, &[("mode", how)], 1);
    }
}

fn kept(header: &str) -> String {
    let mut end = header.len().min(limits::HEADER_BYTES_MAX);
    while !header.is_char_boundary(end) {
        end -= 1;
    }
    header.get(..end).unwrap_or_default().to_owned()
}

fn cookie(header: &str, name: &str) -> String {
    header
        .split(';')
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| kept(value))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_are_found_by_their_whole_name() {
        let header = "a_fbc=x; _fbc=fb.1.1.AbC; _fbp=fb.1.1.5";
        assert_eq!(cookie(header, "_fbc"), "fb.1.1.AbC");
        assert_eq!(cookie(header, "_fbp"), "fb.1.1.5");
        assert_eq!(cookie("", "_fbc"), "");
        assert_eq!(kept(&"é".repeat(2000)).len(), limits::HEADER_BYTES_MAX);
    }
}
