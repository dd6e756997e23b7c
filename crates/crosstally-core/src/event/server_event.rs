//! One server event: the JSON that a backend, an app or somebody at a terminal writes, read into an [`OutboundEvent`].
//!
//! Reading is strict, so that a slip of the pen is named and not sent: keys are known, none comes twice, money is an
//! exact decimal of a known currency, times are times. Every mistake is reported at once, each with a JSON pointer and
//! how to mend it, and none of them repeats a contact value. Contact values are hashed here and kept in no other form.
//! Which platform the event will go to, and what that platform wants, is not known here.

use serde_json::{Map, Value};

use super::{DataProcessing, Origin, OutboundEvent, Visitor, derived_event_id};
use crate::conversion::DedupeKey;
use crate::identity::Contact;
use crate::ledger::Status;
use crate::limits;
use crate::money::Currency;
use crate::time::{MINUTE_MS, Timestamp};

mod consent;
mod custom;
mod document;
mod fields;
#[cfg(test)]
mod tests;
mod user;

use self::fields::{Fields, Problems};

/// Bytes of one event's JSON.
pub const EVENT_BYTES_MAX: usize = 256 * 1024;
/// Mistakes that are reported at once.
pub const PROBLEMS_MAX: usize = 20;

/// Where an event can have happened.
pub const ACTION_SOURCES: &[&str] = &[
    "email",
    "website",
    "app",
    "phone_call",
    "chat",
    "physical_store",
    "system_generated",
    "business_messaging",
    "other",
];

/// How far ahead of our clock a sender's may be.
const AHEAD_MAX_MS: i64 = 5 * MINUTE_MS;

/// Keys of an event.
const KEYS: &[&str] = &[
    "event",
    "event_time",
    "event_id",
    "click_id",
    "transaction_id",
    "status",
    "value",
    "payout",
    "revenue",
    "currency",
    "external_id",
    "action_source",
    "event_source_url",
    "referrer_url",
    "opt_out",
    "data_processing_options",
    "data_processing_options_country",
    "data_processing_options_state",
    "consent",
    "user",
    "custom",
    "original_event_data",
    "attribution_data",
    "app_data",
    "store_data",
    "messaging_channel",
    "customer_segmentation",
    "advanced_measurement_table",
];

/// What the platforms and their libraries call some of these keys.
const OTHER_NAMES: &[(&str, &str)] = &[
    ("event_name", "event"),
    ("name", "event"),
    ("timestamp", "event_time"),
    ("time", "event_time"),
    ("order_id", "transaction_id"),
    ("txid", "transaction_id"),
    ("amount", "value"),
    ("commission", "payout"),
    ("user_data", "user"),
    ("custom_data", "custom"),
    ("page_url", "event_source_url"),
    ("url", "event_source_url"),
    ("referrer", "referrer_url"),
    ("ldu", "data_processing_options"),
];

/// Objects that are passed on to those platforms that know them, and their keys that hold a time in Unix seconds.
const OBJECTS: &[(&str, &[&str])] = &[
    ("original_event_data", &["event_time"]),
    ("attribution_data", &["touchpoint_ts", "visit_time"]),
    ("app_data", &[]),
    ("store_data", &[]),
];

/// Words that are passed on to those platforms that know them.
const WORDS: &[&str] = &["messaging_channel", "customer_segmentation", "advanced_measurement_table"];

/// What is assumed where an event says nothing.
#[derive(Debug, Clone, Copy)]
pub struct ServerDefaults<'a> {
    /// The region that telephone numbers without a country code belong to.
    pub default_region: Option<&'a str>,
    /// The present time.
    pub now: Timestamp,
}

/// A server event that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerEvent {
    /// The event.
    pub event: OutboundEvent,
    /// The id that the sender gave it; the event's own is derived without one.
    pub stated_event_id: Option<String>,
    /// Values that were left out because they can be of no use to anybody: an e-mail address that is none, a cookie that
    /// somebody mangled.
    pub notes: Vec<Invalid>,
}

/// A mistake in a server event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid {
    /// The place, as a JSON pointer; empty for the event as a whole.
    pub pointer: String,
    /// What is wrong and how to mend it.
    pub problem: String,
}

/// Reads one event.
///
/// # Errors
/// Every mistake that was found, up to [`PROBLEMS_MAX`].
pub fn read(json: &[u8], defaults: ServerDefaults<'_>) -> Result<ServerEvent, Vec<Invalid>> {
    let mut problems = Problems::default();
    let object = document::read(json, &mut problems);
    // What is broken as JSON is reported alone: what it would have said is anybody's guess.
    if let Some(object) = object.filter(|_| problems.is_empty()) {
        let read = event(&object, defaults, &mut problems);
        if problems.is_empty() {
            return Ok(read);
        }
    }
    Err(problems.into_list())
}

fn event(object: &Map<String, Value>, defaults: ServerDefaults<'_>, problems: &mut Problems) -> ServerEvent {
    let mut fields = Fields::new("", object, problems);
    fields.only(&[KEYS], OTHER_NAMES);
    let event_name = fields.short_text("event");
    if fields.get("event").is_none_or(|name| name.as_str().is_some_and(|name| name.trim().is_empty())) {
        fields.problem("event", "is required: the event's name, such as \"Purchase\"");
    }
    let event_name = event_name.unwrap_or_default();
    let event_time = event_time(&mut fields, defaults.now);
    let money = Money::read(&mut fields);
    let transaction_id = fields.short_text("transaction_id");
    let stated_event_id = fields.short_text("event_id");
    let event_id = stated_event_id.clone().or_else(|| derived(transaction_id.as_deref(), &event_name));
    let external_ids = fields.ids("external_id");
    let origin = Origin {
        click_id: fields.short_text("click_id").unwrap_or_default(),
        transaction_id: transaction_id.clone().unwrap_or_default(),
        event: event_name.clone(),
        external_id: external_ids.first().cloned().unwrap_or_default(),
        status: status(&mut fields),
        payout: money.payout.unwrap_or_default(),
        revenue: money.revenue.unwrap_or_default(),
        currency: money.currency.clone().unwrap_or_default(),
        ..Origin::default()
    };
    let action_source = fields.word("action_source", ACTION_SOURCES).unwrap_or("website").to_owned();
    let event_source_url = fields.url("event_source_url", crate::target::canonical_page);
    let referrer_url = fields.url("referrer_url", |text| url::Url::parse(text).ok().map(|_| text.to_owned()));
    let opt_out = fields.flag("opt_out");
    let data_processing = data_processing(&mut fields);
    let extra = extra(&mut fields);
    let mut notes = Vec::new();
    let consent = consent::read(&mut fields, &mut notes);
    let malformed = notes.iter().filter_map(|note| note.pointer.strip_prefix("/consent/"));
    let origin = Origin { malformed: malformed.map(str::to_owned).collect(), ..origin };
    let (contact, visitor) = visitor(&mut fields, external_ids, defaults, &mut notes);
    let custom = custom::read(&mut fields, transaction_id);
    let event = OutboundEvent {
        event_name,
        event_time,
        event_id: event_id.unwrap_or_default(),
        action_source,
        event_source_url,
        referrer_url,
        value: money.value,
        currency: money.currency,
        value_basis: None,
        opt_out,
        data_processing,
        consent,
        contact,
        visitor,
        custom,
        extra,
        origin,
        adjustment: None,
    };
    ServerEvent { event, stated_event_id, notes }
}

/// A sender that names no id for the event names its transaction: the same call sent again then carries the same id.
fn derived(transaction_id: Option<&str>, event_name: &str) -> Option<String> {
    let key = format!("t:{}\n{}", transaction_id?, event_name.to_lowercase());
    Some(derived_event_id(&DedupeKey { partner: String::new(), key }, None))
}

fn event_time(fields: &mut Fields<'_, '_>, now: Timestamp) -> Timestamp {
    let Some(text) = fields.short_text("event_time") else { return now };
    let Some(at) = Timestamp::parse(&text) else {
        fields.problem("event_time", "is not a time; send RFC 3339, or Unix seconds or milliseconds");
        return now;
    };
    if at.millis_since(now) > AHEAD_MAX_MS {
        fields.problem("event_time", format!("is {at}, which is ahead of the clock here, {now}; send UTC"));
    }
    at
}

fn status(fields: &mut Fields<'_, '_>) -> String {
    let words = Status::ALL.map(Status::as_str);
    fields.word("status", &words).unwrap_or(Status::Approved.as_str()).to_owned()
}

/// The amounts as exact decimals of one currency.
#[derive(Default)]
struct Money {
    value: Option<String>,
    payout: Option<String>,
    revenue: Option<String>,
    currency: Option<String>,
}

impl Money {
    fn read(fields: &mut Fields<'_, '_>) -> Self {
        let texts = ["value", "payout", "revenue"].map(|key| (key, fields.short_text(key)));
        let currency = fields.short_text("currency").map(|text| text.parse::<Currency>());
        let currency = match currency {
            None => {
                if let Some((key, _)) = texts.iter().find(|(_, text)| text.is_some()) {
                    fields.problem(
                        "currency",
                        format!("is required beside `{key}`; send a code such as \"USD\""),
                    );
                }
                return Self::default();
            }
            Some(Err(error)) => {
                fields.problem("currency", format!("{error}; send a code such as \"USD\""));
                return Self::default();
            }
            Some(Ok(currency)) => currency,
        };
        let [value, payout, revenue] = texts.map(|(key, text)| decimal(fields, key, &text?, currency));
        // With one amount given it is the value, as in a postback.
        let value = value.or_else(|| payout.clone()).or_else(|| revenue.clone());
        Self { value, payout, revenue, currency: Some(currency.code().to_owned()) }
    }
}

fn decimal(fields: &mut Fields<'_, '_>, key: &str, text: &str, currency: Currency) -> Option<String> {
    match currency.parse_minor(text) {
        Ok(minor) if minor < 0 => {
            fields.problem(key, "is below zero; send refunds with the status \"reversed\"");
            None
        }
        Ok(minor) => Some(currency.format_minor(minor)),
        Err(error) => {
            fields.problem(key, format!("{error} ({})", currency.code()));
            None
        }
    }
}

fn data_processing(fields: &mut Fields<'_, '_>) -> Option<DataProcessing> {
    const KEY: &str = "data_processing_options";
    let country = fields.integer("data_processing_options_country");
    let state = fields.integer("data_processing_options_state");
    if !fields.has(KEY) {
        if country.is_some() || state.is_some() {
            fields.problem(KEY, "is required beside its country and state; send [\"LDU\"] or []");
        }
        return None;
    }
    Some(DataProcessing { options: fields.ids(KEY), country, state })
}

fn extra(fields: &mut Fields<'_, '_>) -> Map<String, Value> {
    let mut extra = Map::new();
    for (key, times) in OBJECTS {
        let Some(given) = fields.object(key) else { continue };
        let mut object = given.clone();
        for time in *times {
            let pointer = format!("{key}/{time}");
            fields.unix_seconds(&pointer, object.get_mut(*time));
        }
        extra.insert((*key).to_owned(), Value::Object(object));
    }
    for key in WORDS {
        if let Some(text) = fields.short_text(key) {
            extra.insert((*key).to_owned(), Value::String(text));
        }
    }
    extra
}

fn visitor(
    fields: &mut Fields<'_, '_>,
    external_ids: Vec<String>,
    defaults: ServerDefaults<'_>,
    notes: &mut Vec<Invalid>,
) -> (Contact, Visitor) {
    let empty = Map::new();
    let object = fields.object("user").unwrap_or(&empty);
    let mut user = fields.inside("/user", object);
    user::read(&mut user, external_ids, defaults, notes)
}

/// The longest text of an id, a name or a word.
const SHORT_BYTES_MAX: usize = limits::KEY_BYTES_MAX / 2;
