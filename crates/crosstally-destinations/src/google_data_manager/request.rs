//! What is sent to Google: the conversion actions that are meant, and the events.

use std::cell::RefCell;
use std::collections::BTreeSet;

use crosstally_core::consent::Choice;
use crosstally_core::event::OutboundEvent;
use crosstally_core::time::{DAY_MS, Timestamp};

use super::config;
use crate::amount::Amount;
use crate::batch::{self, EVENTS_BYTES_MAX, Limits};
use crate::dialect::{Built, Request, Settings};
use crate::json::Object;
use crate::refused::Refused;
use crate::visitor::{ad_click_id, present, sha256_only};
use crate::{age, custom, json, names, privacy};

/// The most events that Google takes in one request.
pub(super) const BATCH_MAX: usize = 2000;
/// The longest window that a conversion action can have.
pub(super) const AGE_MAX_MS: i64 = 90 * DAY_MS;
const IDENTIFIERS_MAX: usize = 10;
const PLATFORM: &str = "Google Ads";

/// Builds a request for the events that Google takes.
pub(super) fn build(settings: &Settings, events: &[OutboundEvent], now: Timestamp) -> Built {
    let limits = Limits { events: BATCH_MAX, bytes: EVENTS_BYTES_MAX };
    // In order and each once; named by what the request's own list of destinations calls them.
    let actions = RefCell::new(BTreeSet::new());
    let payload = |event: &OutboundEvent| {
        let action = names::object_of(settings, config::ACTIONS, &event.event_name)?;
        let payload = payload(settings, event, action, now)?;
        actions.borrow_mut().insert(action);
        Ok(payload)
    };
    batch::gather(events, limits, payload, |payloads, bytes| {
        request(settings, &actions.borrow(), payloads, bytes)
    })
}

fn request(settings: &Settings, actions: &BTreeSet<&str>, payloads: &[String], bytes: usize) -> Request {
    let destinations: Vec<String> = actions.iter().map(|action| destination(settings, action)).collect();
    let mut body = Vec::with_capacity(bytes + 1024);
    let mut main = Object::open(&mut body);
    main.raw_list("destinations", &destinations);
    main.put("encoding", "HEX");
    let of_all = usual_consent(settings);
    write_consent(&mut main, of_all, of_all);
    main.put_some("validateOnly", config::validates_only(settings).then_some(true));
    main.raw_list("events", payloads);
    main.close();
    batch::bearer_post(settings, config::url(settings), body)
}

/// What is said of visitors of whom nothing is known.
fn usual_consent(settings: &Settings) -> Option<Choice> {
    settings.text("consent").and_then(Choice::from_word)
}

fn write_consent(object: &mut Object<'_>, user_data: Option<Choice>, personalization: Option<Choice>) {
    let word = |choice: Choice| match choice {
        Choice::Granted => "CONSENT_GRANTED",
        Choice::Denied => "CONSENT_DENIED",
    };
    if user_data.is_some() || personalization.is_some() {
        object.object("consent", |consent| {
            consent.put_some("adUserData", user_data.map(word));
            consent.put_some("adPersonalization", personalization.map(word));
        });
    }
}

/// What an event says of its visitor, which Google takes in place of what the request says of all.
fn own_consent(settings: &Settings, event: &OutboundEvent, limited: bool) -> [Option<Choice>; 2] {
    if event.opt_out == Some(true) || limited {
        return [Some(Choice::Denied); 2];
    }
    match (event.consent.user_data(), event.consent.personalization()) {
        (None, None) => [None; 2],
        (user_data, personalization) => {
            let usual = usual_consent(settings);
            [user_data.or(usual), personalization.or(usual)]
        }
    }
}

fn destination(settings: &Settings, action: &str) -> String {
    json::text(|object| {
        object.put("reference", action);
        for (key, name) in [("operatingAccount", "account_id"), ("loginAccount", "login_account_id")] {
            if let Some(id) = config::account_of(settings, name) {
                object.object(key, |account| {
                    account.put("accountType", "GOOGLE_ADS");
                    account.put("accountId", &id);
                });
            }
        }
        object.put("productDestinationId", action);
    })
}

fn payload(
    settings: &Settings,
    event: &OutboundEvent,
    action: &str,
    now: Timestamp,
) -> Result<Vec<u8>, Refused> {
    let at = event.known_at();
    let restated = restated(event);
    let event = restated.as_ref().unwrap_or(event);
    let time = age::event_time(event, now, AGE_MAX_MS, PLATFORM)?;
    let money = Amount::of(event, PLATFORM, None)?;
    if money.value.is_some() && money.currency.is_none() {
        return Err(Refused::incomplete("currency is required beside a value"));
    }
    let click = click(event);
    let contact = &event.contact;
    let emails = sha256_only(&contact.google_email).map(|hash| ("emailAddress", hash));
    let phones = sha256_only(&contact.google_phone).map(|hash| ("phoneNumber", hash));
    let people: Vec<String> = emails.chain(phones).take(IDENTIFIERS_MAX).map(identifier).collect();
    if click.is_none() && people.is_empty() {
        return Err(Refused::incomplete(
            "gclid, gbraid, wbraid, an e-mail address or a phone number is required",
        ));
    }
    let limited = privacy::limited(event)?;
    let mut out = Vec::with_capacity(512);
    let mut object = Object::open(&mut out);
    object.put("destinationReferences", &[action]);
    // The same on every attempt, and the same as the tag's in the browser: Google counts it once for each action.
    object.put_some("transactionId", transaction(event));
    object.put("eventTimestamp", &time.to_string());
    // By the id of the transaction Google knows which conversion is meant, by this which of several words is the last.
    let updated = restated.is_some().then(|| at.to_string());
    object.put_some("lastUpdatedTimestamp", updated);
    object.put("eventSource", source(&event.action_source));
    if let Some((name, id)) = click {
        object.object("adIdentifiers", |ids| ids.put(name, id));
    }
    if !people.is_empty() {
        object.object("userData", |user| user.raw_list("userIdentifiers", &people));
    }
    object.put_some("currency", money.currency);
    object.digits("conversionValue", money.value);
    let [user_data, personalization] = own_consent(settings, event, limited == Some(true));
    write_consent(&mut object, user_data, personalization);
    object.close();
    Ok(out)
}

/// The click's id and its name. An action knows a click by one; the most exact goes first.
pub(super) fn click(event: &OutboundEvent) -> Option<(&'static str, &str)> {
    ["gclid", "gbraid", "wbraid"].into_iter().find_map(|name| Some((name, ad_click_id(event, name)?)))
}

/// The name under which Google knows the conversion.
pub(super) fn transaction(event: &OutboundEvent) -> Option<&str> {
    custom::text(&event.custom, "order_id").or_else(|| present(Some(&event.event_id)))
}

/// A conversion that is restated is the one of before, with what is left of its value.
fn restated(event: &OutboundEvent) -> Option<OutboundEvent> {
    let adjustment = event.adjustment.as_ref()?;
    Some(OutboundEvent { event_time: adjustment.event_time, ..event.clone() })
}

fn identifier((key, hash): (&str, &str)) -> String {
    format!("{{\"{key}\":\"{hash}\"}}")
}

fn source(action_source: &str) -> &'static str {
    match action_source {
        "website" => "WEB",
        "app" => "APP",
        "physical_store" => "IN_STORE",
        "phone_call" => "PHONE",
        "chat" | "business_messaging" => "MESSAGE",
        _ => "OTHER",
    }
}
