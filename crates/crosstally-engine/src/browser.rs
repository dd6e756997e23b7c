//! What browsers tell: find the campaign, see that the page is one of its own, know the click again or make one, choose the
//! cookies, record the events. And what a conversion that comes later takes of it.

use std::net::IpAddr;
use std::sync::Arc;

use crosstally_core::browser::{
    self, AGE_MS_MAX, BrowserEvent, BrowserRecorded, EVENTS_MAX, EVENTS_OF_CLICK_MAX, Glimpse, Shown, Wanted,
    cookie_domain, meta_cookies,
};
use crosstally_core::click::{AdClickIds, Click};
use crosstally_core::config::{Campaign, CostModel, EventIdMode};
use crosstally_core::consent::{Choice, Consent};
use crosstally_core::conversion::{Conversion, DedupeKey};
use crosstally_core::ids::{ClickId, IdError};
use crosstally_core::params::Params;
use crosstally_core::postback::{Inbound, Postback};
use crosstally_core::reason::Reason;
use crosstally_core::target::canonical_page;
use crosstally_core::time::{DAY_MS, Timestamp};
use crosstally_core::tools::given;
use crosstally_core::visit::Way;
use crosstally_core::{limits, verdict::Stop};
use crosstally_store::StoreError;
use serde_json::{Map, Value};

use crate::Engine;
use crate::keys::hex_of;
use crate::metrics::Name;
use crate::postback::{PostbackOut, unavailable};
use crate::snapshot::Snapshot;

/// The sender under which refused calls of browsers are kept; no partner is called so.
pub const BROWSERS: &str = "(browser)";
/// How often a conversion looks for an event that no other one has taken meanwhile.
const TRIES: usize = 4;

/// A call of a browser, read and not yet judged.
#[derive(Debug, Clone, Default)]
pub struct BrowserIn {
    /// The campaign that the page names.
    pub campaign: String,
    /// The click that the page knows; empty if it knows none.
    pub click_id: String,
    /// When a page without a click began its visit, in milliseconds, and seven random bytes of its own: a call that is
    /// sent again makes the same click.
    pub visit: Option<(i64, [u8; 7])>,
    /// The page's URL.
    pub page: String,
    /// The page before.
    pub referrer: String,
    /// The `_fbc` cookie.
    pub fbc: String,
    /// The `_fbp` cookie.
    pub fbp: String,
    /// What the visitor has said; `gpc` also by the browser's header.
    pub consent: Consent,
    /// What of it came malformed, and so counts as not said.
    pub malformed: Vec<&'static str>,
    /// What happened, oldest first.
    pub events: Vec<EventIn>,
    /// The host of the page that calls, as the browser says it; `None` if it says nothing.
    pub host: Option<String>,
    /// Whether a known click is enough, as for an image on a page without a referrer.
    pub click_vouches: bool,
    /// The visitor's address.
    pub ip: Option<IpAddr>,
    /// The `User-Agent` header.
    pub user_agent: String,
    /// The `Accept-Language` header.
    pub language: String,
}

/// One event of a call.
#[derive(Debug, Clone, Default)]
pub struct EventIn {
    /// Its name.
    pub name: String,
    /// Its id; empty if the page made none, as for an image.
    pub event_id: String,
    /// Its page; empty means the call's.
    pub page: String,
    /// How long ago it happened.
    pub age_ms: i64,
    /// The order.
    pub transaction_id: Option<String>,
    /// What else the page says.
    pub fields: Map<String, Value>,
}

/// What the browser is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    /// The click's id, known or made.
    pub click_id: ClickId,
    /// The `_fbc` cookie as it is to be.
    pub fbc: Option<String>,
    /// The `_fbp` cookie as it is to be.
    pub fbp: Option<String>,
    /// The domain of the page's cookies.
    pub domain: String,
    /// How many events are new.
    pub recorded: usize,
    /// How many came before.
    pub repeated: usize,
    /// How many were over the limit of the click; they leave a receipt.
    pub too_many: usize,
}

impl Engine {
    /// Whether a host is a page's of any campaign.
    #[must_use]
    pub fn hears_host(&self, host: &str) -> bool {
        let snapshot = self.snapshot.load();
        snapshot.config.campaigns.iter().any(|campaign| campaign.sites.iter().any(|site| site.has(host)))
    }

    /// Hears a browser. A refusal leaves a receipt with `raw`.
    ///
    /// # Errors
    /// Why it was not heard.
    pub async fn hear_browser(&self, mut input: BrowserIn, raw: Inbound) -> Result<Heard, PostbackOut> {
        for event in input.events.iter_mut().filter(|event| event.event_id.is_empty()) {
            event.event_id = hex_of(self.random.bytes::<16>());
        }
        match self.judge(&input) {
            Ok(ready) => {
                let heard = self.record_heard(input, ready).await.map_err(|error| unavailable(&error))?;
                if heard.too_many > 0 {
                    let detail = format!("a click has at most {EVENTS_OF_CLICK_MAX} events");
                    let out = self.refuse_browser(raw, Reason::TooManyEvents, &detail).await;
                    if heard.recorded + heard.repeated == 0 {
                        return Err(out);
                    }
                }
                Ok(heard)
            }
            // Nothing of what it says is kept.
            Err(stop) if stop.reason == Reason::Erased => {
                Err(self.refuse_browser(Inbound::default(), stop.reason, &stop.detail).await)
            }
            Err(stop) => Err(self.refuse_browser(raw, stop.reason, &stop.detail).await),
        }
    }

    /// Refuses a call of a browser, and keeps it as evidence.
    pub async fn refuse_browser(&self, mut raw: Inbound, reason: Reason, detail: &str) -> PostbackOut {
        BROWSERS.clone_into(&mut raw.partner);
        self.metrics.count(Name::BrowserEvents, &[("outcome", "refused")], 1);
        self.refuse_postback(raw, reason, detail).await
    }

    fn judge(&self, input: &BrowserIn) -> Result<Ready, Stop> {
        let snapshot = self.snapshot.load_full();
        let Some(campaign) = snapshot.campaign(&input.campaign) else {
            return Err(Stop::refused(Reason::UnknownCampaign, ""));
        };
        let now = self.clock.now();
        if !self.throttle.browser(input.ip, now) {
            return Err(Stop::refused(Reason::TooManyRequests, "too many calls from this address"));
        }
        let click = match input.click_id.as_str() {
            "" => None,
            text => Some(ClickId::parse(&self.click_id_key, text).map_err(foreign)?),
        };
        let own_page = |host: &str| campaign.sites.iter().any(|site| site.has(host));
        match &input.host {
            Some(host) if own_page(host) => {}
            None if input.click_vouches && click.is_some() && !campaign.sites.is_empty() => {}
            Some(host) => {
                let detail = format!("{} is not one of the campaign's `sites`", shown(host));
                return Err(Stop::refused(Reason::OriginNotAllowed, detail));
            }
            None => {
                return Err(Stop::refused(
                    Reason::OriginNotAllowed,
                    "the browser did not say which page calls",
                ));
            }
        }
        if input.events.len() > EVENTS_MAX {
            let detail = format!("a call has at most {EVENTS_MAX} events");
            return Err(Stop::refused(Reason::TooManyEvents, detail));
        }
        for event in &input.events {
            check(event)?;
        }
        let query = query_of(&input.page);
        if query.len() > limits::QUERY_BYTES_MAX {
            return Err(Stop::refused(Reason::QueryTooLarge, ""));
        }
        let made = match click {
            Some(_) => None,
            None => Some(self.make_direct_click(input, campaign, now)?),
        };
        if click.or(made.as_ref().map(|made| made.id)).is_some_and(|id| self.is_click_erased(id)) {
            return Err(Stop::refused(Reason::Erased, ""));
        }
        Ok(Ready { known: click, made, now })
    }

    /// The click of a page that was not reached over a redirect.
    fn make_direct_click(
        &self,
        input: &BrowserIn,
        campaign: &Campaign,
        now: Timestamp,
    ) -> Result<Click, Stop> {
        let query = query_of(&input.page);
        let params = Params::parse(query.as_bytes()).map_err(|reason| Stop::refused(reason, ""))?;
        let (at, random) = match input.visit {
            // Whose clock is off by more than a day has its click made now.
            Some((at, random)) if (at - now.as_millis()).abs() < DAY_MS => {
                (Timestamp::from_millis(at.min(now.as_millis())), random)
            }
            Some((_, random)) => (now, random),
            None => (now, self.random.bytes()),
        };
        Ok(Click {
            id: ClickId::new(&self.click_id_key, at, random),
            at,
            campaign: campaign.slug.clone(),
            source: campaign.source.clone(),
            query: given::kept_query(query),
            target: canonical_page(&input.page).map(|page| given::kept_page(&page)).unwrap_or_default(),
            ip: input.ip,
            in_europe: self.in_europe(input.ip),
            user_agent: input.user_agent.clone(),
            referrer: given::kept_page(&input.referrer),
            language: input.language.clone(),
            fbc_cookie: String::new(),
            fbp_cookie: String::new(),
            ad_click_ids: AdClickIds::from_params(&params),
            cost: campaign.cost_model.map(|CostModel::Cpc(cost)| cost),
            gpc: input.consent.gpc,
            test: campaign.test,
            labels: Vec::new(),
            way: Some(Box::new(Way { direct: true, ..Way::default() })),
        })
    }

    async fn record_heard(&self, input: BrowserIn, ready: Ready) -> Result<Heard, StoreError> {
        let Ready { known, made, now } = ready;
        for name in &input.malformed {
            self.metrics.count(Name::ConsentMalformed, &[("name", name)], 1);
        }
        let host = input.host.as_deref().unwrap_or_default();
        let cookies = self.cookies(&input, host, now);
        let click = match made {
            None => known,
            Some(mut click) => {
                click.fbc_cookie = cookies.0.clone().unwrap_or_default();
                click.fbp_cookie = cookies.1.clone().unwrap_or_default();
                let id = click.id;
                self.store.append_click(Arc::new(click)).await?;
                self.metrics.clicks_stored.increment(1);
                Some(id)
            }
        };
        let click = click.ok_or_else(|| StoreError::Corrupt("neither known nor made".into()))?;
        let mut events: Vec<BrowserEvent> =
            input.events.iter().map(|event| stored(event, &input, click, &cookies, now)).collect();
        let in_europe = self.in_europe(input.ip);
        for event in events.iter_mut().filter(|event| event.ip.is_some()) {
            event.in_europe = in_europe;
        }
        let outcomes = match events.is_empty() {
            true => Vec::new(),
            false => self.store.record_browser_events(click, events, EVENTS_OF_CLICK_MAX).await?,
        };
        let count = |wanted| outcomes.iter().filter(|outcome| **outcome == wanted).count();
        let heard = Heard {
            click_id: click,
            fbc: cookies.0,
            fbp: cookies.1,
            domain: cookie_domain(host).to_owned(),
            recorded: count(BrowserRecorded::Recorded),
            repeated: count(BrowserRecorded::Repeated),
            too_many: count(BrowserRecorded::TooMany),
        };
        // What the page of a test visitor tells is kept for the run that made it, and counted apart.
        let (new, again) =
            if click.is_test(&self.click_id_key) { ("test", "test") } else { ("recorded", "repeated") };
        for (outcome, number) in [(new, heard.recorded), (again, heard.repeated)] {
            let number = u64::try_from(number).unwrap_or(u64::MAX);
            self.metrics.count(Name::BrowserEvents, &[("outcome", outcome)], number);
        }
        Ok(heard)
    }

    /// Meta's cookies as they are to be; none where the visitor does not want to be known by them.
    fn cookies(&self, input: &BrowserIn, host: &str, now: Timestamp) -> (Option<String>, Option<String>) {
        if input.consent.gpc || input.consent.user_data() == Some(Choice::Denied) || host.is_empty() {
            return (None, None);
        }
        let text = |text: &'_ String| (!text.is_empty()).then(|| text.clone());
        let (fbc, fbp) = (text(&input.fbc), text(&input.fbp));
        let shown = Shown {
            host,
            query: query_of(&input.page),
            referrer_query: query_of(&input.referrer),
            fbc: fbc.as_deref(),
            fbp: fbp.as_deref(),
        };
        let (fbc, fbp) = meta_cookies(shown, now, u32::from_be_bytes(self.random.bytes()));
        (fbc, Some(fbp))
    }

    /// Adds to a call what its click's browser said, and the id that the browser made for the conversion, unless the call
    /// brought one. With `take` the event is the conversion's from now on.
    pub(crate) async fn ask_browser(
        &self,
        postback: &mut Postback,
        key: &DedupeKey,
        snapshot: &Snapshot,
        take: bool,
    ) -> Result<(), StoreError> {
        if !snapshot.hears_browsers() {
            return Ok(());
        }
        let click = postback.click.ours();
        let shared = snapshot.config.goals.iter().filter(|goal| goal.event_id == EventIdMode::Shared);
        let names: Vec<&str> = postback
            .event
            .as_deref()
            .into_iter()
            .chain(shared.map(|goal| goal.event_name.as_str()))
            .collect();
        for _ in 0..TRIES {
            let events = self.store.browser_events_for(key.clone(), click).await?;
            let wanted = Wanted {
                key,
                transaction_id: postback.transaction_id.as_deref(),
                event_id: postback.event_id.as_deref(),
                names: &names,
            };
            let own = browser::choose(&events, wanted);
            if let Some(event) = own.filter(|event| take && event.taken_by.is_none())
                && !self.store.take_browser_event(event, key.clone()).await?
            {
                continue;
            }
            if let Some(seen) = Glimpse::of(&events, own) {
                postback.event_id = postback.event_id.take().or_else(|| seen.event_id.clone());
                postback.browser = Some(Box::new(seen));
            }
            break;
        }
        Ok(())
    }

    /// Gives a conversion that a replay booked the event whose id it has.
    pub(crate) async fn take_browser_event_of(&self, conversion: &Conversion) -> Result<(), StoreError> {
        if !self.snapshot.load().hears_browsers() || conversion.event_id.is_none() {
            return Ok(());
        }
        let events = self.store.browser_events_for(conversion.key.clone(), conversion.click).await?;
        let has = events.iter().any(|event| event.taken_by.as_ref() == Some(&conversion.key));
        let own = events.iter().find(|event| {
            event.taken_by.is_none() && Some(event.event_id.as_str()) == conversion.event_id.as_deref()
        });
        if let Some(event) = own.filter(|_| !has) {
            self.store.take_browser_event(event, conversion.key.clone()).await?;
        }
        Ok(())
    }
}

/// A call that may be heard.
struct Ready {
    known: Option<ClickId>,
    made: Option<Click>,
    now: Timestamp,
}

fn foreign(error: IdError) -> Stop {
    match error {
        IdError::Malformed => Stop::refused(Reason::ClickIdMalformed, ""),
        IdError::Forged => Stop::refused(Reason::ClickIdForged, ""),
    }
}

fn check(event: &EventIn) -> Result<(), Stop> {
    let word = |what: &str, text: &str| {
        let fits =
            !text.is_empty() && text.len() <= browser::NAME_BYTES_MAX && !text.chars().any(char::is_control);
        let most = browser::NAME_BYTES_MAX;
        fits.then_some(()).ok_or_else(|| {
            let detail = format!("{what} has 1 to {most} bytes and no control character");
            Stop::refused(Reason::EventInvalid, detail)
        })
    };
    word("name", &event.name)?;
    word("event_id", &event.event_id)?;
    event.transaction_id.as_deref().map_or(Ok(()), |order| word("transaction_id", order))
}

fn stored(
    event: &EventIn,
    input: &BrowserIn,
    click: ClickId,
    cookies: &(Option<String>, Option<String>),
    now: Timestamp,
) -> BrowserEvent {
    let page = if event.page.is_empty() { &input.page } else { &event.page };
    // Of a visitor who does not want to be known no more is kept than the word itself.
    let denied = input.consent.user_data() == Some(Choice::Denied);
    BrowserEvent {
        click,
        name: event.name.clone(),
        event_id: event.event_id.clone(),
        at: now.plus_millis(-event.age_ms.clamp(0, AGE_MS_MAX)).max(click.time()),
        received_at: now,
        campaign: input.campaign.clone(),
        transaction_id: event.transaction_id.clone(),
        page: canonical_page(page)
            .map(|page| given::kept_page(&page))
            .filter(|page| !denied && page.len() <= browser::PAGE_BYTES_MAX)
            .unwrap_or_default(),
        fbc: cookies.0.clone().unwrap_or_default(),
        fbp: cookies.1.clone().unwrap_or_default(),
        ip: input.ip.filter(|_| !denied),
        in_europe: None,
        user_agent: if denied { String::new() } else { input.user_agent.clone() },
        consent: input.consent.clone(),
        fields: if denied { Map::new() } else { given::kept_fields(event.fields.clone()) },
        taken_by: None,
    }
}

/// The query of a URL, without its fragment; empty without one.
fn query_of(url: &str) -> &str {
    let before = url.split('#').next().unwrap_or_default();
    before.split_once('?').map_or("", |(_, query)| query)
}

/// A host as it may be shown: whoever calls has written it.
fn shown(host: &str) -> String {
    host.chars().filter(|c| c.is_ascii_graphic()).take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_query_of_a_page_ends_at_its_fragment() {
        for (url, query) in [
            ("https://a.example/p?x=1&y=2#f?z", "x=1&y=2"),
            ("https://a.example/p#f?z=1", ""),
            ("https://a.example/p", ""),
            ("?x", "x"),
        ] {
            assert_eq!(query_of(url), query, "{url}");
        }
    }
}
