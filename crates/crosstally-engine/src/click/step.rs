//! A step from a lander to an offer. The click that it belongs to comes as a parameter or in a cookie; its id says by itself
//! whether it is one of ours. Only an offer whose target asks for more than the id has the click read, for as long as a
//! redirect may wait; after that it gets what came with the step.
//!
//! The step of a test visitor, told by the click's id or by a mark of its own, uses up no cap and is counted apart.

use std::sync::Arc;

use crosstally_core::click::{AdClickIds, Click};
use crosstally_core::erasure::Mark;
use crosstally_core::ids::ClickId;
use crosstally_core::params::Params;
use crosstally_core::reason::Reason;
use crosstally_core::target::TargetValues;
use crosstally_core::visit::{Step, Way};
use crosstally_core::{limits, link};

use super::paths::filled;
use super::{COMMIT_WAIT, ClickIn, ClickOut, cookie, kept};
use crate::Engine;
use crate::metrics::Name;
use crate::test_mark::MarkedFor;

/// The cookie that names a visitor's last click, for steps that do not.
pub(super) const CLICK_COOKIE: &str = "ct_click";
/// The parameters that may name it.
const CLICK_PARAMS: [&str; 5] = ["click_id", "clickid", "cid", "subid", "sub_id"];

impl Engine {
    /// Sends a visitor of a lander on to an offer.
    pub async fn capture_step(&self, mut input: ClickIn<'_>) -> ClickOut {
        if let Some(end) = self.end_before_mark(input.query.as_bytes(), MarkedFor::Step(input.campaign)) {
            (input.query, input.test) = (input.query.get(..end).unwrap_or_default(), true);
        }
        match self.make_step(input).await {
            Ok(out) => out,
            Err(reason) => ClickOut::Refused(reason),
        }
    }

    async fn make_step(&self, input: ClickIn<'_>) -> Result<ClickOut, Reason> {
        let snapshot = self.snapshot.load_full();
        let asked = match snapshot.offer(input.campaign) {
            Some(offer) => &offer.slug,
            None => {
                let (slug, _) = link::healed_slug(input.campaign).ok_or(Reason::UnknownOffer)?;
                &snapshot.offer(slug).ok_or(Reason::UnknownOffer)?.slug
            }
        };
        if input.query.len() > limits::QUERY_BYTES_MAX {
            return Err(Reason::QueryTooLarge);
        }
        let mut params = Params::parse(link::healed(input.query).as_bytes())?;
        let now = self.clock.now();
        let named = self.named_click(&params, input.cookies).filter(|id| !self.is_click_erased(*id));
        let is_test = input.test || named.is_some_and(|id| id.is_test(&self.click_id_key));
        let offer = self.offer_with_room(&snapshot, asked, now, !is_test).ok_or(Reason::UnknownOffer)?;
        let mut way = Way::default();
        way.goes_to(&offer.slug, asked);
        let id = named.unwrap_or_else(|| self.new_click_id(now, is_test));
        let known = match named.filter(|_| offer.target.asks_for_click()) {
            Some(id) => self.read_click(id).await,
            None => None,
        };
        if let Some(click) = &known {
            // What the lander says of the same parameter goes before.
            for param in Params::parse(link::healed(&click.query).as_bytes()).unwrap_or_default().iter() {
                params.push(param.name.clone(), param.value.clone());
            }
            if let Some(taken) = &click.way {
                way = Way { offer: way.offer, instead_of: way.instead_of, ..(**taken).clone() };
            }
        }
        let (campaign, source) =
            known.as_ref().map_or(("", ""), |click| (click.campaign.as_str(), click.source.as_str()));
        let values = TargetValues { click_id: &id.to_string(), campaign, source, params: &params };
        let target = filled(&offer.target, values, &way);
        if target.len() > limits::TARGET_BYTES_MAX {
            return Err(Reason::ParamTooLong);
        }
        match named {
            Some(click) => {
                let Way { offer, instead_of, .. } = way;
                self.keep_step(Step { click, at: now, offer, instead_of }, is_test).await;
            }
            None => {
                let way = Way { offer: way.offer, instead_of: way.instead_of, ..Way::default() };
                let in_europe = self.in_europe(input.ip);
                let click = Click { in_europe, ..click_of_step(id, &input, &target, &params, way) };
                self.keep_click(&Arc::new(click), COMMIT_WAIT).await;
            }
        }
        Ok(self.send_on(target, offer.redirect, Vec::new()))
    }

    /// The click that a step belongs to: the first parameter that names one of ours, else the cookie.
    fn named_click(&self, params: &Params, cookies: &str) -> Option<ClickId> {
        let read = |text: &str| ClickId::parse(&self.click_id_key, text.trim()).ok();
        let in_params = CLICK_PARAMS.iter().find_map(|name| read(params.get_ignoring_case(name)?));
        in_params.or_else(|| read(&cookie(cookies, CLICK_COOKIE)))
    }

    async fn read_click(&self, id: ClickId) -> Option<Click> {
        tokio::time::timeout(COMMIT_WAIT, self.store.click(id)).await.ok()?.ok()?
    }

    async fn keep_step(&self, step: Step, is_test: bool) {
        let key = self.tombstone(Mark::Click, &step.click.to_string());
        let kept = tokio::time::timeout(COMMIT_WAIT, self.store.append_step(step.clone(), key)).await;
        let how = match kept {
            Ok(Ok(())) => "stored",
            // What the store takes after all is there once: a step is known by its click, time and offer.
            Ok(Err(_)) | Err(_) => {
                match tokio::time::timeout(COMMIT_WAIT, self.spool.append_step(&step)).await {
                    Ok(true) => "spooled",
                    Ok(false) | Err(_) => "lost",
                }
            }
        };
        // What becomes of a test visitor's counts nowhere.
        let how = if is_test { "test" } else { how };
        self.metrics.count(Name::Steps, &[("mode", how)], 1);
    }
}

/// A step that belongs to no click is one: of no campaign, and labelled, so that what comes of it can be told.
fn click_of_step(id: ClickId, input: &ClickIn<'_>, target: &str, params: &Params, way: Way) -> Click {
    Click {
        id,
        at: id.time(),
        campaign: String::new(),
        source: String::new(),
        query: input.query.to_owned(),
        target: target.to_owned(),
        ip: input.ip,
        in_europe: None,
        user_agent: kept(input.user_agent),
        referrer: kept(input.referrer),
        language: kept(input.language),
        fbc_cookie: cookie(input.cookies, "_fbc"),
        fbp_cookie: cookie(input.cookies, "_fbp"),
        ad_click_ids: AdClickIds::from_params(params),
        cost: None,
        gpc: input.gpc,
        test: input.test,
        labels: vec![Reason::StepWithoutClick.code().to_owned()],
        way: Some(Box::new(way)),
    }
}
