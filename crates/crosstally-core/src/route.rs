//! Routing: from a met goal to the event it sends and the deliveries it needs.

use serde_json::{Map, Value};

use crate::browser::Glimpse;
use crate::click::Click;
use crate::config::{Campaign, EventIdMode, Goal, Word as _};
use crate::consent::{self, Consent, Europe};
use crate::conversion::Conversion;
use crate::delivery::DeliveryState;
use crate::event::{Origin, OutboundEvent, Visitor, derived_event_id};
use crate::identity::click_cookies::{self, ClickCookie};
use crate::ids::{ConversionId, DeliveryId, GoalEventId};
use crate::time::Timestamp;
use crate::value::{self, Measured};

/// A met goal, with the event that follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GoalEvent {
    /// Its id.
    pub id: GoalEventId,
    /// The conversion.
    pub conversion: ConversionId,
    /// The goal's slug.
    pub goal: String,
    /// The movement that met it.
    pub sequence: u32,
    /// The event.
    pub event: OutboundEvent,
    /// When it was made.
    pub created_at: Timestamp,
}

/// One goal event on its way to one destination, as first booked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewDelivery {
    /// Its id.
    pub id: DeliveryId,
    /// The goal event.
    pub goal_event: GoalEventId,
    /// The conversion.
    pub conversion: ConversionId,
    /// The destination's slug.
    pub destination: String,
    /// Where it stands from the start.
    pub state: DeliveryState,
    /// When it may be sent.
    pub due_at: Timestamp,
    /// After this moment it is too late.
    pub deadline_at: Timestamp,
}

/// What an event is made from.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// The goal that was met.
    pub goal: &'a Goal,
    /// The conversion as it is after the movement.
    pub conversion: &'a Conversion,
    /// When the movement happened that met the goal: an approval is an event of its own, weeks after its lead.
    pub event_time: Timestamp,
    /// The click it is attributed to.
    pub click: Option<&'a Click>,
    /// The click's parameters.
    pub click_params: &'a [(String, String)],
    /// The campaign of the click, if it is still configured.
    pub campaign: Option<&'a Campaign>,
    /// The page that the postback named, if any.
    pub page: Option<&'a str>,
    /// The server event that met it, if it was one.
    pub given: Option<&'a OutboundEvent>,
    /// What the click's browser says.
    pub browser: Option<&'a Glimpse>,
    /// What was measured of the partner's conversions, by how far back it was looked.
    pub measured: &'a [(i64, Measured)],
    /// How many servers the call had come through.
    pub hops: u8,
}

/// Makes the event that a met goal sends.
#[must_use]
pub fn event(source: Source<'_>) -> OutboundEvent {
    let Source { goal, conversion, click, .. } = source;
    let (minor, value_basis) = value::of(goal, conversion, source.measured);
    let own_goal = (goal.event_id == EventIdMode::Own).then_some(goal.slug.as_str());
    let event_id = match (&conversion.event_id, own_goal) {
        (Some(shared), None) => shared.clone(),
        _ => derived_event_id(&conversion.key, own_goal),
    };
    let default_action = if click.is_some() { "website" } else { "system_generated" };
    let action_source =
        goal.action_source.clone().or_else(|| source.given.map(|given| given.action_source.clone()));
    let mut custom = source.given.map(|given| given.custom.clone()).unwrap_or_default();
    if let Some(order) = &conversion.transaction_id {
        custom.insert("order_id".into(), Value::String(order.clone()));
    }
    OutboundEvent {
        event_name: goal.event_name.clone(),
        event_time: source.event_time,
        event_id,
        action_source: action_source.unwrap_or_else(|| default_action.into()),
        event_source_url: page(source),
        value: minor.map(|minor| conversion.currency.format_minor(minor)),
        currency: minor.map(|_| conversion.currency.code().to_owned()),
        value_basis,
        contact: conversion.contact.clone(),
        visitor: seen(shown(click.map(visitor).unwrap_or_default(), source.browser), source.given),
        custom,
        origin: origin(source),
        referrer_url: source.given.and_then(|given| given.referrer_url.clone()),
        opt_out: source.given.and_then(|given| given.opt_out),
        data_processing: source
            .given
            .and_then(|given| given.data_processing.clone())
            .or_else(|| consent::data_processing_of_click(params(source))),
        consent: consent(source),
        extra: source.given.map(|given| given.extra.clone()).unwrap_or_default(),
        adjustment: None,
    }
}

fn page(source: Source<'_>) -> Option<String> {
    let named = source.page.and_then(crate::target::canonical_page);
    let configured = || source.campaign.and_then(|campaign| Some(campaign.target()?.page().to_owned()));
    let clicked = || source.click.and_then(|click| crate::target::canonical_page(&click.target));
    let seen = || source.browser.and_then(|seen| seen.page.clone());
    named.or_else(seen).or_else(configured).or_else(clicked)
}

fn params<'a>(source: Source<'a>) -> impl Iterator<Item = (&'a str, &'a str)> + Clone {
    source.click_params.iter().map(|(name, value)| (name.as_str(), value.as_str()))
}

/// What the visitor has said: what the server event says of it, then the browser, then what came with the click.
fn consent(source: Source<'_>) -> Consent {
    let clicked = Consent::of_click(params(source), source.click.is_some_and(|click| click.gpc));
    let clicked = source.browser.map(|seen| seen.consent.clone()).unwrap_or_default().or(clicked);
    match source.given {
        Some(given) => given.consent.clone().or(clicked),
        None => clicked,
    }
}

fn visitor(click: &Click) -> Visitor {
    let cookie = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let fbclid = click.ad_click_ids.get("fbclid");
    // The platform would drop it, and with it the click that is known.
    let is_of_use =
        |text: &String| fbclid.is_none() || ClickCookie::parse(text).is_some_and(|it| it.is_dated());
    let fbc = click_cookies::choose_fbc(
        cookie(&click.fbc_cookie).filter(is_of_use).as_deref(),
        fbclid,
        click.at.as_millis(),
        1,
    );
    Visitor {
        client_ip_address: click.ip.map(|ip| ip.to_canonical().to_string()),
        client_user_agent: cookie(&click.user_agent),
        fbc,
        fbp: cookie(&click.fbp_cookie),
        ad_click_ids: click
            .ad_click_ids
            .iter()
            .map(|(name, value)| (name.to_owned(), value.into()))
            .collect(),
        other: Map::new(),
    }
}

/// What is known of the visitor: what their browser says, then what the click knows. Address and user agent are of one
/// moment.
fn shown(click: Visitor, browser: Option<&Glimpse>) -> Visitor {
    let Some(seen) = browser else { return click };
    let (ip, agent) = match (&seen.ip, &seen.user_agent) {
        (Some(_), Some(_)) => (seen.ip.clone(), seen.user_agent.clone()),
        _ => (click.client_ip_address, click.client_user_agent),
    };
    Visitor {
        client_ip_address: ip,
        client_user_agent: agent,
        fbc: seen.fbc.clone().or(click.fbc),
        fbp: seen.fbp.clone().or(click.fbp),
        ..click
    }
}

/// What is known of the visitor: what the server event says itself, then what the click knows.
fn seen(click: Visitor, given: Option<&OutboundEvent>) -> Visitor {
    let Some(given) = given else { return click };
    let own = given.visitor.clone();
    // An ad click that only the event itself tells of was seen when the event happened, as far as anybody knows.
    let own_fbclid = own.ad_click_ids.get("fbclid").and_then(Value::as_str);
    let fbc = own.fbc.or_else(|| {
        click_cookies::choose_fbc(click.fbc.as_deref(), own_fbclid, given.event_time.as_millis(), 1)
    });
    let mut ad_click_ids = click.ad_click_ids;
    ad_click_ids.extend(own.ad_click_ids);
    Visitor {
        client_ip_address: own.client_ip_address.or(click.client_ip_address),
        client_user_agent: own.client_user_agent.or(click.client_user_agent),
        fbc,
        fbp: own.fbp.or(click.fbp),
        ad_click_ids,
        other: own.other,
    }
}

fn origin(source: Source<'_>) -> Origin {
    let conversion = source.conversion;
    let decimal =
        |minor: Option<i64>| minor.map(|minor| conversion.currency.format_minor(minor)).unwrap_or_default();
    Origin {
        goal: source.goal.slug.clone(),
        conversion: conversion.id.to_string(),
        click_id: conversion.click.map(|click| click.to_string()).unwrap_or_default(),
        click_time: source.click.map(|click| click.at),
        campaign: conversion.campaign.clone(),
        source: conversion.source.clone(),
        partner: conversion.key.partner.clone(),
        transaction_id: conversion.transaction_id.clone().unwrap_or_default(),
        event: conversion.event.clone().unwrap_or_default(),
        external_id: conversion.external_id.clone().unwrap_or_default(),
        status: conversion.status.as_str().into(),
        payout: decimal(conversion.amounts.payout),
        revenue: decimal(conversion.amounts.revenue),
        currency: conversion.currency.code().into(),
        value_of: source.goal.send_value.word().into(),
        params: macros(source),
        europe: europe(source),
        malformed: malformed(source),
        erased: false,
        hops: source.hops,
    }
}

/// Whether the event's visitor is in Europe: as the server event's own address says, if it names one; else as those of click
/// and browser do, and where they differ as the stricter of them. A click or a browser that never had an address is one
/// whose address is gone.
fn europe(source: Source<'_>) -> Europe {
    if let Some(given) = source.given.filter(|given| given.visitor.client_ip_address.is_some()) {
        return given.origin.europe;
    }
    let clicked = source.click.map(|click| Europe::noted(click.in_europe, click.ip.is_some()));
    let browsed = source.browser.map(|browser| browser.europe);
    clicked.into_iter().chain(browsed).max().unwrap_or_default()
}

/// What of the visitor's consent came malformed, with the server event or with the click.
fn malformed(source: Source<'_>) -> Vec<String> {
    match source.given.map(|given| &given.origin.malformed) {
        Some(told) if !told.is_empty() => told.clone(),
        _ => consent::malformed(params(source)).map(str::to_owned).collect(),
    }
}

/// What macros can say by name: the click's parameters, and what the visitor has said about their use.
fn macros(source: Source<'_>) -> Map<String, Value> {
    let mut macros = params(source).map(|(name, value)| (name.to_owned(), value.into())).collect();
    consent(source).put_into(&mut macros);
    macros
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(fbc: Option<&str>, fbclid: Option<&str>) -> OutboundEvent {
        let mut event = OutboundEvent {
            event_time: Timestamp::from_millis(1_764_201_600_000),
            ..OutboundEvent::default()
        };
        event.visitor.fbc = fbc.map(str::to_owned);
        event.visitor.ad_click_ids = fbclid.map(|id| ("fbclid".to_owned(), id.into())).into_iter().collect();
        event
    }

    #[test]
    fn the_click_that_an_event_itself_tells_of_is_told() {
        let click = |fbc: Option<&str>| Visitor { fbc: fbc.map(str::to_owned), ..Visitor::default() };
        const OLD: &str = "fb.1.1764201500000.AbC";
        for (clicked, own, fbclid, expected) in [
            (None, None, Some("AbC"), Some("fb.1.1764201600000.AbC")),
            (Some(OLD), None, Some("AbC"), Some(OLD)),
            (Some(OLD), None, Some("other"), Some("fb.1.1764201600000.other")),
            (Some(OLD), Some("fb.1.1764201400000.x"), Some("AbC"), Some("fb.1.1764201400000.x")),
            (Some(OLD), None, None, Some(OLD)),
            (None, None, None, None),
        ] {
            let seen = seen(click(clicked), Some(&given(own, fbclid)));
            assert_eq!(seen.fbc.as_deref(), expected, "{clicked:?} {own:?} {fbclid:?}");
        }
        assert_eq!(seen(click(Some(OLD)), None).fbc.as_deref(), Some(OLD));
    }
}
