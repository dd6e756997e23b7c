//! Step: the contract. Texts become statuses, money and times, or the call stops with the field's name.

use crate::click::looks_like_macro;
use crate::config::{Partner, Workspace};
use crate::contract::{Contract, Meaning};
use crate::fields::{FIELDS, FieldKind};
use crate::identity::{Contact, ContactIn, hash_contact};
use crate::ids::{ClickId, ClickIdKey, IdError};
use crate::ledger::Status;
use crate::limits;
use crate::money::Currency;
use crate::postback::movement;
use crate::postback::parse::{Fields, printable};
use crate::postback::redact;
use crate::postback::{ClickRef, Postback};
use crate::reason::Reason;
use crate::time::{MINUTE_MS, Timestamp};
use crate::verdict::{Stop, Verdict};

mod amounts;

/// What the contract needs besides the call.
#[derive(Debug, Clone, Copy)]
pub struct Setting<'a> {
    /// The partner.
    pub partner: &'a Partner,
    /// The workspace.
    pub workspace: &'a Workspace,
    /// The key of click ids.
    pub click_id_key: &'a ClickIdKey,
    /// When the call was received.
    pub received_at: Timestamp,
}

/// Reads the fields by the contract.
///
/// # Errors
/// Refused if a field breaks the contract, quarantined if somebody must supply what is missing, and a test if its sender
/// marks it as one: that is checked like any other call, but no money of it is booked or waits for somebody.
pub fn postback(fields: &Fields, setting: Setting<'_>) -> Result<Postback, Stop> {
    let read = real(fields, setting);
    let Some(mark) = marked_test(fields, &setting.partner.contract) else { return read };
    match read {
        Err(stop) if stop.verdict == Verdict::Refused || stop.verdict == Verdict::Test => Err(stop),
        _ => {
            let detail = format!("{} marks it as a test", printable(mark));
            Err(Stop::new(Verdict::Test, Reason::TestCall, detail))
        }
    }
}

/// The parameter by which the sender says that nothing of this is real.
fn marked_test<'f>(fields: &'f Fields, contract: &Contract) -> Option<&'f str> {
    let is_mark = |name: &str, value: &str| {
        contract.test_when().iter().any(|(theirs, mark)| {
            theirs.eq_ignore_ascii_case(name) && mark.eq_ignore_ascii_case(value.trim())
        })
    };
    let mut params = fields.params.iter();
    params.find(|param| is_mark(&param.name, &param.value)).map(|param| param.name.as_str())
}

fn real(fields: &Fields, setting: Setting<'_>) -> Result<Postback, Stop> {
    let contract = &setting.partner.contract;
    // A macro in a name or an id would make one conversion, or one event, of many.
    let decisive = FIELDS.iter().filter(|field| matches!(field.kind, FieldKind::Key | FieldKind::Money));
    for name in decisive.map(|field| field.name) {
        if let Some(value) = fields.get(name).filter(|value| looks_like_macro(value)) {
            return Err(Stop::quarantined(
                Reason::MacroUnresolved,
                format!("{name} is {}, a macro that was not filled in", printable(value)),
            ));
        }
    }
    if ignored(fields, contract) {
        let word = printable(fields.get("status").unwrap_or(""));
        return Err(Stop::new(
            Verdict::Test,
            Reason::StatusIgnored,
            format!("status {word} is to be ignored"),
        ));
    }
    if let Some(missing) = contract.required().iter().find(|name| fields.get(name).is_none()) {
        return Err(Stop::refused(Reason::FieldMissing, format!("the contract asks for {missing}")));
    }
    let currency = currency(fields, setting)?;
    let stated = amounts::read(fields, currency, contract)?;
    let event_time = event_time(fields, setting.received_at)?;
    let click = click(fields, setting.click_id_key);
    let transaction_id = short(fields, "transaction_id")?;
    let event = short(fields, "event")?;
    let event_id = short(fields, "event_id")?;
    let external_id = short(fields, "external_id")?;
    if click == ClickRef::None && transaction_id.is_none() {
        return Err(Stop::refused(Reason::IdentityMissing, "send click_id or transaction_id"));
    }
    // The status comes last: whoever adds the missing word to the map gets a call that is otherwise in order.
    let (status, status_word) = status(fields, contract)?;
    let status = if stated.is_refund { Status::Reversed } else { status };
    if !contract.takes_status(status) {
        let detail = format!("the contract does not take the status {status}");
        return Err(Stop::refused(Reason::StatusNotAllowed, detail));
    }
    Ok(Postback {
        partner: setting.partner.slug.clone(),
        click,
        transaction_id,
        status,
        status_word,
        currency,
        currency_stated: fields.get("currency").is_some(),
        amounts: stated.amounts,
        event,
        event_time,
        event_id,
        contact: contact(fields, external_id.as_deref(), setting),
        external_id,
        page: fields.get("event_source_url").map(str::to_owned),
        given: None,
        browser: None,
        content: movement::content(&fields.params, &fields.headers, Some(setting.partner)),
        fields: redact::open(&fields.params, Some(setting.partner))
            .map(|param| (param.name.clone(), param.value.clone()))
            .collect(),
    })
}

fn ignored(fields: &Fields, contract: &Contract) -> bool {
    fields.get("status").is_some_and(|word| contract.meaning(word) == Some(Meaning::Ignore))
}

fn short(fields: &Fields, name: &str) -> Result<Option<String>, Stop> {
    match fields.get(name) {
        Some(value) if value.len() > limits::KEY_BYTES_MAX / 2 => Err(Stop::refused(
            Reason::ParamTooLong,
            format!("{name} is longer than {} bytes", limits::KEY_BYTES_MAX / 2),
        )),
        value => Ok(value.map(str::to_owned)),
    }
}

fn currency(fields: &Fields, setting: Setting<'_>) -> Result<Currency, Stop> {
    let contract = &setting.partner.contract;
    let currency = match fields.get("currency") {
        Some(text) => text.parse().map_err(|_| {
            let detail = format!("currency is {}; send an ISO 4217 code", printable(text));
            Stop::refused(Reason::CurrencyUnknown, detail)
        })?,
        None => contract.currency().unwrap_or(setting.workspace.base_currency),
    };
    if contract.takes_currency(currency) {
        return Ok(currency);
    }
    let detail = format!("the contract does not take amounts in {currency}");
    Err(Stop::refused(Reason::CurrencyNotAllowed, detail))
}

fn event_time(fields: &Fields, received_at: Timestamp) -> Result<Option<Timestamp>, Stop> {
    let Some(text) = fields.get("event_time") else { return Ok(None) };
    let at = Timestamp::parse(text).ok_or_else(|| {
        Stop::refused(
            Reason::EventTimeUnreadable,
            format!("event_time is {}; send Unix seconds or RFC 3339", printable(text)),
        )
    })?;
    if at.millis_since(received_at) > 5 * MINUTE_MS {
        return Err(Stop::refused(
            Reason::EventTimeInFuture,
            format!("event_time {at} is ahead of {received_at}"),
        ));
    }
    Ok(Some(at))
}

fn click(fields: &Fields, key: &ClickIdKey) -> ClickRef {
    fields.get("click_id").map_or(ClickRef::None, |text| click_ref(text, key))
}

/// What a click id is.
pub(super) fn click_ref(text: &str, key: &ClickIdKey) -> ClickRef {
    match ClickId::parse(key, text) {
        Ok(id) => ClickRef::Ours(id),
        Err(error) => ClickRef::Foreign {
            reason: match error {
                IdError::Malformed => Reason::ClickIdMalformed,
                IdError::Forged => Reason::ClickIdForged,
            },
            value: text.to_owned(),
        },
    }
}

fn status(fields: &Fields, contract: &Contract) -> Result<(Status, String), Stop> {
    let Some(word) = fields.get("status") else { return Ok((contract.missing_status(), String::new())) };
    match contract.meaning(word) {
        Some(Meaning::Status(status)) => Ok((status, word.to_owned())),
        Some(Meaning::Ask) => Err(Stop::quarantined(
            Reason::StatusUnmapped,
            format!("what status {} means, somebody has to say for each call", printable(word)),
        )),
        Some(Meaning::Ignore) | None => Err(Stop::quarantined(
            Reason::StatusUnmapped,
            format!("status {} is not in the partner's map", printable(word)),
        )),
    }
}

fn contact(fields: &Fields, external_id: Option<&str>, setting: Setting<'_>) -> Contact {
    let one = |name: &str| fields.get(name).map(str::to_owned).into_iter().collect::<Vec<_>>();
    let contact = ContactIn {
        email: one("email"),
        phone: one("phone"),
        first_name: one("first_name"),
        last_name: one("last_name"),
        gender: one("gender"),
        birthdate: one("birthdate"),
        city: one("city"),
        state: one("state"),
        zip: one("zip"),
        country: one("country"),
        external_id: external_id.map(str::to_owned).into_iter().collect(),
    };
    hash_contact(&contact, setting.workspace.default_region.as_deref(), setting.received_at.year()).0
}
