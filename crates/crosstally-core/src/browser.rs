//! What a visitor's browser tells by itself: events with ids that its pixel uses too, and the two cookies of Meta. Which
//! of them belongs to a conversion, and under which domain a cookie may stand.
//!
//! Knows nothing of how it is told: no JSON, no headers.

use std::net::IpAddr;

use serde_json::{Map, Value};

use crate::click::AdClickIds;
use crate::consent::{Choice, Consent, Europe};
use crate::conversion::DedupeKey;
use crate::identity::click_cookies;
use crate::ids::ClickId;
use crate::params::Params;
use crate::time::Timestamp;

/// The name of the event that a page sends by itself.
pub const PAGE_VIEW: &str = "PageView";
/// The name under which a visitor's choice is noted that came without any event.
pub const CONSENT: &str = "Consent";
/// Events that only look: no conversion has their id.
pub const LOOKS: [&str; 3] = [PAGE_VIEW, "ViewContent", CONSENT];
/// Bytes of one call. Browsers send no more than 64 KiB when a page is left.
pub const BODY_BYTES_MAX: usize = 64 * 1024;
/// Events of one call.
pub const EVENTS_MAX: usize = 50;
/// Events that are kept of one click.
pub const EVENTS_OF_CLICK_MAX: u32 = 200;
/// How many more are kept of those that tell a visitor's objection, for each: no earlier event crowds a denial out. As many
/// as a call has, so that no call fills both.
const OBJECTIONS_MAX: u32 = 50;
/// Bytes of an event's name or id.
pub const NAME_BYTES_MAX: usize = 128;
/// Bytes of a page's URL.
pub const PAGE_BYTES_MAX: usize = 4 * 1024;
/// Fields of one event.
pub const FIELDS_MAX: usize = 64;
/// Bytes of one event's fields as JSON.
pub const FIELDS_BYTES_MAX: usize = 4 * 1024;
/// How old an event may be: what could not be sent waits for the visitor's next page.
pub const AGE_MS_MAX: i64 = 7 * 24 * 3_600_000;
/// How long the cookies stay, in seconds: 90 days.
pub const COOKIE_SECONDS: u32 = 7_776_000;

/// One event of a browser, as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrowserEvent {
    /// The click that it belongs to.
    pub click: ClickId,
    /// Its name, which the page's pixel uses too.
    pub name: String,
    /// Its id, which the page's pixel uses too. One click has an event of a name under an id once.
    pub event_id: String,
    /// When it happened, never before its click.
    pub at: Timestamp,
    /// When it came.
    pub received_at: Timestamp,
    /// The campaign that the page names.
    pub campaign: String,
    /// The order, if the page names one.
    pub transaction_id: Option<String>,
    /// The page, canonical; empty if it has none.
    pub page: String,
    /// The `_fbc` value; empty without one.
    pub fbc: String,
    /// The `_fbp` value; empty without one.
    pub fbp: String,
    /// The visitor's address.
    pub ip: Option<IpAddr>,
    /// Whether that is in Europe, if it could be asked: it stays known when the address goes.
    pub in_europe: Option<bool>,
    /// The visitor's user agent, as sent.
    pub user_agent: String,
    /// What the visitor has said.
    pub consent: Consent,
    /// What else the page says about it, without personal data.
    pub fields: Map<String, Value>,
    /// The conversion that has its id.
    pub taken_by: Option<DedupeKey>,
}

impl BrowserEvent {
    /// Whether it is more than a look at a page.
    #[must_use]
    pub fn is_qualified(&self) -> bool {
        is_qualified(&self.name)
    }

    /// How many events its click may have with this one, if it has `most` of those that object to nothing.
    #[must_use]
    pub fn room(&self, most: u32) -> u32 {
        let objections = u32::try_from(self.consent.objections().len()).unwrap_or(u32::MAX);
        most.saturating_add(objections.saturating_mul(OBJECTIONS_MAX))
    }
}

/// Whether an event of this name is more than a look at a page.
#[must_use]
pub fn is_qualified(name: &str) -> bool {
    !LOOKS.iter().any(|look| look.eq_ignore_ascii_case(name))
}

/// What became of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BrowserRecorded {
    /// It is new.
    Recorded,
    /// The same one came before.
    Repeated,
    /// Its click has too many.
    TooMany,
}

/// What is known of a conversion that may have begun in a browser.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// Its name.
    pub key: &'a DedupeKey,
    /// Its transaction id.
    pub transaction_id: Option<&'a str>,
    /// The event id that its call names.
    pub event_id: Option<&'a str>,
    /// The names under which its events go: the partner's own, and those of the goals.
    pub names: &'a [&'a str],
}

/// Which event of a click is the conversion's: the one that it has already; else the one whose id its call names, and no other
/// then; else one of the same order; else the first of its name; else the first action of the click. An event that names
/// another order is never the conversion's, and one that another conversion has stays with it: two orders under one id would
/// count as one. The first is the one that came first: when it happened is the page's word, and anybody's who comes later.
#[must_use]
pub fn choose<'e>(events: &'e [BrowserEvent], wanted: Wanted<'_>) -> Option<&'e BrowserEvent> {
    let taken = events.iter().find(|event| event.taken_by.as_ref() == Some(wanted.key));
    let free = || events.iter().filter(|event| event.taken_by.is_none() && event.is_qualified());
    let named =
        |event: &&BrowserEvent| wanted.names.iter().any(|name| name.eq_ignore_ascii_case(&event.name));
    let same_order = |event: &&BrowserEvent| {
        wanted.transaction_id.is_some() && event.transaction_id.as_deref() == wanted.transaction_id
    };
    let other_order =
        |event: &&BrowserEvent| event.transaction_id.is_some() && wanted.transaction_id.is_some();
    let first = |events: &mut dyn Iterator<Item = &'e BrowserEvent>| {
        events.min_by_key(|event| (event.received_at, event.at))
    };
    if let (None, Some(id)) = (taken, wanted.event_id) {
        let same_id = || free().filter(|event| event.event_id == id);
        return first(&mut same_id().filter(named)).or_else(|| first(&mut same_id()));
    }
    taken
        .or_else(|| first(&mut free().filter(same_order).filter(named)))
        .or_else(|| first(&mut free().filter(same_order)))
        .or_else(|| first(&mut free().filter(|event| !other_order(event)).filter(named)))
        .or_else(|| first(&mut free().filter(|event| !other_order(event))))
}

/// What a click's browser says about its visitor, for the event that a conversion sends.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Glimpse {
    /// The id that the browser made for the conversion.
    pub event_id: Option<String>,
    /// The page on which it happened.
    pub page: Option<String>,
    /// The visitor's address and user agent there.
    pub ip: Option<String>,
    /// See `ip`.
    pub user_agent: Option<String>,
    /// Whether the address is in Europe, or was.
    pub europe: Europe,
    /// The `_fbc` value.
    pub fbc: Option<String>,
    /// The `_fbp` value.
    pub fbp: Option<String>,
    /// What the visitor has said, each choice as it was said last.
    pub consent: Consent,
}

impl Glimpse {
    /// What is to be told of a conversion: page and visitor of its own event, or of the latest of its click; the visitor's
    /// latest word on each choice, whenever it was said.
    #[must_use]
    pub fn of(events: &[BrowserEvent], own: Option<&BrowserEvent>) -> Option<Self> {
        if events.is_empty() {
            return None;
        }
        let shown =
            own.or_else(|| events.iter().filter(|event| !event.page.is_empty()).max_by_key(|event| event.at));
        let text = |pick: fn(&BrowserEvent) -> &String| {
            let own = shown.map(pick).filter(|text| !text.is_empty());
            own.map(ToString::to_string)
        };
        let known = |pick: fn(&BrowserEvent) -> &String| {
            let last = events.iter().filter(|event| !pick(event).is_empty()).max_by_key(|event| event.at);
            text(pick).or_else(|| last.map(|event| pick(event).clone()))
        };
        Some(Self {
            event_id: own.map(|event| event.event_id.clone()),
            page: text(|event| &event.page),
            ip: shown.and_then(|event| event.ip).map(|ip| ip.to_canonical().to_string()),
            user_agent: text(|event| &event.user_agent),
            europe: shown.map(|event| Europe::noted(event.in_europe, event.ip.is_some())).unwrap_or_default(),
            fbc: known(|event| &event.fbc),
            fbp: known(|event| &event.fbp),
            consent: said(events),
        })
    }
}

/// What a visitor has said in all: each choice as it was said last. A call that is silent about one takes nothing back of it,
/// and of two that were told at once the denial counts.
fn said(events: &[BrowserEvent]) -> Consent {
    let mut told: Vec<&BrowserEvent> = events.iter().filter(|event| !event.consent.is_silent()).collect();
    told.sort_by_key(|event| {
        (event.at, event.received_at, event.consent.ad_user_data == Some(Choice::Denied))
    });
    told.iter().fold(Consent::default(), |known, event| event.consent.clone().or(known))
}

/// A host on which a campaign's pages are: `shop.example`, or with `*.` all hosts below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    host: String,
    below: bool,
}

/// Why a text names no site.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SiteError {
    /// It is no host: a scheme, a port, a path or a character that no host has.
    #[error("is not the name of a host")]
    NotAHost,
    /// All hosts of a public suffix are anybody's.
    #[error("stands for everybody's hosts")]
    PublicSuffix,
}

impl Site {
    /// Reads `shop.example` or `*.shop.example`.
    ///
    /// # Errors
    /// See [`SiteError`].
    pub fn parse(text: &str) -> Result<Self, SiteError> {
        let lower = text.trim().to_ascii_lowercase();
        let (below, host) = match lower.strip_prefix("*.") {
            Some(host) => (true, host),
            None => (false, lower.as_str()),
        };
        let sign = |byte: u8| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'[' | b']' | b':')
        };
        if !host.bytes().all(sign) || host_of_origin(&format!("https://{host}")).as_deref() != Some(host) {
            return Err(SiteError::NotAHost);
        }
        if below && registrable(host).is_none() {
            return Err(SiteError::PublicSuffix);
        }
        Ok(Self { host: host.to_owned(), below })
    }

    /// Whether a host is one of its own.
    #[must_use]
    pub fn has(&self, host: &str) -> bool {
        match self.below {
            false => host == self.host,
            true => host.strip_suffix(&self.host).is_some_and(|rest| rest.ends_with('.') && rest.len() > 1),
        }
    }
}

impl std::fmt::Display for Site {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}{}", if self.below { "*." } else { "" }, self.host)
    }
}

/// The host of an origin or of a page, in lower case and without its port.
#[must_use]
pub fn host_of_origin(text: &str) -> Option<String> {
    let url = url::Url::parse(text).ok()?;
    let host = matches!(url.scheme(), "http" | "https").then(|| url.host_str()).flatten()?;
    (!host.is_empty()).then(|| host.trim_end_matches('.').to_owned())
}

/// The part of a host that somebody has registered: the public suffix and one label more. `None` for an address, a single
/// label and a public suffix itself.
#[must_use]
pub fn registrable(host: &str) -> Option<&str> {
    if host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok() || !host.contains('.') {
        return None;
    }
    psl::domain_str(host)
}

/// The domain of a page's cookies: the widest that is its owner's, else the host alone.
#[must_use]
pub fn cookie_domain(host: &str) -> &str {
    registrable(host).unwrap_or(host)
}

/// What a page shows of its visitor.
#[derive(Debug, Clone, Copy, Default)]
pub struct Shown<'a> {
    /// The page's host.
    pub host: &'a str,
    /// The page's query.
    pub query: &'a str,
    /// The query of the page before.
    pub referrer_query: &'a str,
    /// The `_fbc` cookie.
    pub fbc: Option<&'a str>,
    /// The `_fbp` cookie.
    pub fbp: Option<&'a str>,
}

/// The two cookies of Meta as they are to be: kept, renewed for another click, or made. `random` is for a browser that has
/// no number yet.
#[must_use]
pub fn meta_cookies(shown: Shown<'_>, now: Timestamp, random: u32) -> (Option<String>, String) {
    let index = click_cookies::subdomain_index(cookie_domain(shown.host));
    let fbclid = |query: &str| {
        let params = Params::parse(query.as_bytes()).ok()?;
        AdClickIds::from_params(&params).get("fbclid").map(str::to_owned)
    };
    let fbclid = fbclid(shown.query).or_else(|| fbclid(shown.referrer_query));
    let fbc = click_cookies::choose_fbc(shown.fbc, fbclid.as_deref(), now.as_millis(), index);
    let fbp = match click_cookies::valid_fbp(shown.fbp) {
        Some(known) => known.to_owned(),
        None => click_cookies::make_fbp(index, now.as_millis(), random),
    };
    (fbc, fbp)
}

#[cfg(test)]
mod tests;
