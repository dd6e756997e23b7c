//! Step: from a server event to a postback. It is booked like any other call; what it says about the visitor, the page and
//! the order goes into the events that follow.

use sha2::{Digest, Sha256};

use super::normalise::{Setting, click_ref};
use super::{ClickRef, Postback};
use crate::event::server_event::{self, Invalid, ServerDefaults, ServerEvent};
use crate::ledger::{Amounts, ContentHash, Status};
use crate::money::Currency;
use crate::reason::Reason;
use crate::verdict::Stop;

/// Mistakes that are told in one line.
const TOLD_MAX: usize = 3;

/// Reads one event under the contract of the partner that stands for the server events.
///
/// # Errors
/// Refused, with the first mistakes and their places.
pub fn postback(json: &[u8], setting: Setting<'_>) -> Result<Postback, Stop> {
    let defaults = ServerDefaults {
        default_region: setting.workspace.default_region.as_deref(),
        now: setting.received_at,
    };
    let read = server_event::read(json, defaults).map_err(|mistakes| invalid(&mistakes))?;
    let postback = of(read, content(json), setting)?;
    let contract = &setting.partner.contract;
    if !contract.takes_currency(postback.currency) {
        let detail = format!("the contract does not take amounts in {}", postback.currency);
        return Err(Stop::refused(Reason::CurrencyNotAllowed, detail));
    }
    if !contract.takes_status(postback.status) {
        let detail = format!("the contract does not take the status {}", postback.status);
        return Err(Stop::refused(Reason::StatusNotAllowed, detail));
    }
    if let Some(missing) = contract.required().iter().find(|field| !has(&postback, field)) {
        return Err(Stop::refused(Reason::FieldMissing, format!("the contract asks for {missing}")));
    }
    Ok(postback)
}

fn invalid(mistakes: &[Invalid]) -> Stop {
    let told: Vec<String> = mistakes
        .iter()
        .take(TOLD_MAX)
        .map(|mistake| {
            format!(
                "{} {}",
                if mistake.pointer.is_empty() { "the event" } else { &mistake.pointer },
                mistake.problem
            )
        })
        .collect();
    let more = mistakes.len().saturating_sub(TOLD_MAX);
    let more = if more == 0 { String::new() } else { format!("; and {more} more") };
    Stop::refused(Reason::EventInvalid, format!("{}{more}", told.join("; ")))
}

fn of(read: ServerEvent, content: ContentHash, setting: Setting<'_>) -> Result<Postback, Stop> {
    let event = read.event;
    let origin = &event.origin;
    let currency: Currency = match origin.currency.as_str() {
        "" => setting.partner.contract.currency().unwrap_or(setting.workspace.base_currency),
        code => code
            .parse()
            .map_err(|_| Stop::refused(Reason::CurrencyUnknown, "send an ISO 4217 code such as USD"))?,
    };
    let minor = |text: &str| currency.parse_minor(text).ok();
    let amounts = Amounts {
        payout: minor(&origin.payout),
        revenue: minor(&origin.revenue),
        value: event.value.as_deref().and_then(minor),
    };
    let filled = |text: &String| (!text.is_empty()).then(|| text.clone());
    let click = if origin.click_id.is_empty() {
        ClickRef::None
    } else {
        click_ref(&origin.click_id, setting.click_id_key)
    };
    Ok(Postback {
        partner: setting.partner.slug.clone(),
        click,
        transaction_id: filled(&origin.transaction_id),
        status: Status::from_word(&origin.status).unwrap_or(Status::Approved),
        status_word: origin.status.clone(),
        currency,
        currency_stated: !origin.currency.is_empty(),
        amounts: only_value(amounts, setting),
        event: filled(&event.event_name),
        event_time: (event.event_time != setting.received_at).then_some(event.event_time),
        event_id: read.stated_event_id,
        external_id: filled(&origin.external_id),
        page: event.event_source_url.clone(),
        contact: event.contact.clone(),
        fields: fields(&event),
        content,
        given: Some(Box::new(event)),
        browser: None,
    })
}

/// A value that came alone is the amount that the contract counts.
fn only_value(amounts: Amounts, setting: Setting<'_>) -> Amounts {
    use crate::contract::ValueOf;
    match (amounts.payout, amounts.revenue, setting.partner.contract.value()) {
        (None, None, ValueOf::Payout) => Amounts { payout: amounts.value, ..amounts },
        (None, None, ValueOf::Revenue) => Amounts { revenue: amounts.value, ..amounts },
        (payout, revenue, value_of) => Amounts { value: value_of.of(payout, revenue), ..amounts },
    }
}

/// What goals can ask about: the order's own attributes.
fn fields(event: &crate::event::OutboundEvent) -> Vec<(String, String)> {
    event
        .custom
        .iter()
        .map(|(name, value)| (name.clone(), value.as_str().map_or_else(|| value.to_string(), str::to_owned)))
        .collect()
}

fn has(postback: &Postback, field: &str) -> bool {
    match field {
        "click_id" => postback.click != ClickRef::None,
        "transaction_id" => postback.transaction_id.is_some(),
        "payout" => postback.amounts.payout.is_some(),
        "revenue" => postback.amounts.revenue.is_some(),
        "currency" => postback.currency_stated,
        "event_time" => postback.event_time.is_some(),
        "event_id" => postback.event_id.is_some(),
        "external_id" => postback.external_id.is_some(),
        "event_source_url" => postback.page.is_some(),
        _ => true,
    }
}

/// The digest of the event as it came: an event without any id is told from another one by what it says.
fn content(json: &[u8]) -> ContentHash {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(Sha256::digest(json.trim_ascii()).split_at(16).0);
    ContentHash::from_bytes(bytes)
}
