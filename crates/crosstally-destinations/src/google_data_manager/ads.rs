//! The Google Ads API, for adjustments alone: what the Data Manager API has no word for, it takes out of the count.
//!
//! A retraction is final there. Adjustments and conversions go to different places, so they share no request.

use crosstally_core::event::{Adjustment, OutboundEvent};
use crosstally_core::reason::Reason;
use crosstally_core::reversal::leaves_nothing;
use crosstally_core::time::{DAY_MS, MINUTE_MS, SECOND_MS, Timestamp};

use super::{config, request};
use crate::amount::Amount;
use crate::batch::{self, EVENTS_BYTES_MAX, Limits};
use crate::dialect::{Built, Request, Settings};
use crate::json::Object;
use crate::names;
use crate::refused::Refused;

pub(super) mod answer;

/// How long after it happened a conversion can be adjusted.
const AGE_MAX_MS: i64 = 54 * DAY_MS;
const PLATFORM: &str = "the Google Ads API";

/// Whether this event goes there: an adjustment, if the settings ask for it. One of a click that is known by its `wbraid`
/// alone cannot be adjusted there.
pub(super) fn takes(settings: &Settings, event: &OutboundEvent) -> bool {
    let Some(adjustment) = event.adjustment.as_ref().filter(|_| config::retracts(settings)) else {
        return false;
    };
    // Of what stands again without a value, too, it has to be said that it cannot be brought back.
    let has_something_to_tell = leaves_nothing(event) || adjustment.again || event.value.is_some();
    has_something_to_tell && request::click(event).is_none_or(|(name, _)| name != "wbraid")
}

/// Whether a request goes there.
pub(super) fn is_call(request: &Request) -> bool {
    request.url.ends_with(config::ADS_CALL)
}

/// Builds one request from the events that go to one place; those that go to the other are for the next one.
pub(super) fn apart(
    settings: &Settings,
    events: &[OutboundEvent],
    build: impl Fn(&[OutboundEvent], bool) -> Built,
) -> Built {
    let places: Vec<bool> = events.iter().map(|event| takes(settings, event)).collect();
    let first = places.first().copied().unwrap_or(false);
    if places.iter().all(|place| *place == first) {
        return build(events, first);
    }
    let of = |wanted: bool| {
        let mine: Vec<usize> = (0..events.len()).filter(|&at| places[at] == wanted).collect();
        let some: Vec<OutboundEvent> = mine.iter().map(|&at| events[at].clone()).collect();
        let mut built = build(&some, wanted);
        built.included.iter_mut().for_each(|index| *index = mine[*index]);
        built.left_out.iter_mut().for_each(|left| left.index = mine[left.index]);
        built
    };
    let mut built = of(first);
    if built.request.is_none() {
        // Without a request there is no next one: the others go now.
        let left_out = std::mem::take(&mut built.left_out);
        built = of(!first);
        built.left_out.extend(left_out);
        built.left_out.sort_by_key(|left| left.index);
    }
    built
}

/// Builds a request for the adjustments that the Google Ads API takes.
pub(super) fn build(settings: &Settings, events: &[OutboundEvent], now: Timestamp) -> Built {
    let limits = Limits { events: request::BATCH_MAX, bytes: EVENTS_BYTES_MAX };
    let account = config::account_of(settings, "account_id").unwrap_or_default();
    let payload = |event: &OutboundEvent| payload(settings, &account, event, now);
    batch::gather(events, limits, payload, |payloads, bytes| {
        let mut body = Vec::with_capacity(bytes + 128);
        let mut main = Object::open(&mut body);
        main.raw_list("conversionAdjustments", payloads);
        // Without it the API takes nothing at all.
        main.put("partialFailure", &true);
        main.put_some("validateOnly", config::validates_only(settings).then_some(true));
        main.close();
        let mut request = batch::bearer_post(settings, config::ads_url(settings, &account), body);
        if let Some(manager) = config::account_of(settings, "login_account_id") {
            request.headers.push(("login-customer-id".to_owned(), manager));
        }
        request
    })
}

fn payload(
    settings: &Settings,
    account: &str,
    event: &OutboundEvent,
    now: Timestamp,
) -> Result<Vec<u8>, Refused> {
    let action = names::object_of(settings, config::ACTIONS, &event.event_name)?;
    let Some(adjustment) = &event.adjustment else {
        return Err(Refused::incomplete("adjustment is required"));
    };
    if adjustment.again {
        let detail =
            "the conversion was retracted, which is final: Google counts no second one of its transaction";
        return Err(Refused { reason: Reason::RetractionStands, detail: detail.to_owned() });
    }
    if now.millis_since(adjustment.event_time) > AGE_MAX_MS {
        let detail = format!(
            "the conversion of {} is more than {} days old; {PLATFORM} adjusts none that is older",
            adjustment.event_time,
            AGE_MAX_MS / DAY_MS
        );
        return Err(Refused { reason: Reason::EventTooOld, detail });
    }
    let nothing_left = leaves_nothing(event);
    let mut out = Vec::with_capacity(256);
    let mut object = Object::open(&mut out);
    object.put("conversionAction", &format!("customers/{account}/conversionActions/{action}"));
    object.put("adjustmentType", if nothing_left { "RETRACTION" } else { "RESTATEMENT" });
    object.put_some("orderId", request::transaction(event));
    object.put("adjustmentDateTime", &in_words(adjusted_at(event, adjustment)));
    if !nothing_left {
        let money = Amount::of(event, PLATFORM, Some("a restatement"))?;
        object.object("restatementValue", |value| {
            value.digits("adjustedValue", money.value);
            value.put_some("currencyCode", money.currency);
        });
    }
    object.close();
    Ok(out)
}

/// When it was adjusted. Google counts in seconds, and of two adjustments of one second takes one only: each movement has a
/// second of its own, behind the conversion's and behind that of the movement before it.
fn adjusted_at(event: &OutboundEvent, adjustment: &Adjustment) -> Timestamp {
    let nth = i64::from(adjustment.movement.clamp(1, 59)) * SECOND_MS;
    let booked_at = event.known_at().plus_millis(nth - MINUTE_MS);
    booked_at.max(adjustment.event_time.plus_millis(nth))
}

/// `2026-11-22 10:00:00+00:00`.
fn in_words(at: Timestamp) -> String {
    let text = at.to_string();
    let part = |range| text.get(range).unwrap_or_default();
    format!("{} {}+00:00", part(0..10), part(11..19))
}
