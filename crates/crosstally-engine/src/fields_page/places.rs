//! Where each destination puts each field: what differs between two events that differ in nothing but that field.

use std::collections::BTreeMap;

use crosstally_core::event::server_event::{self, ServerDefaults};
use crosstally_core::event::{Origin, OutboundEvent};
use crosstally_core::secret::Secret;
use crosstally_core::time::Timestamp;
use crosstally_destinations::dialect::{ACCESS_TOKEN, Settings};
use serde_json::{Value, json};

use crate::snapshot::{ReadyDestination, Snapshot};

/// What a click or a browser knows of a visitor.
pub(super) const OF_VISITORS: &[&str] = &["client_ip_address", "client_user_agent", "fbc", "fbp"];
/// Places that are told of one field.
const PLACES_MAX: usize = 8;

/// The places of one destination.
pub(super) struct OfDestination {
    pub(super) slug: String,
    pub(super) kind: String,
    pub(super) places: BTreeMap<String, Vec<String>>,
}

/// The fields that an event holds, each with two values: its JSON pointer in a server event, or a name in its origin.
const FIELDS: &[(&str, &str, &str, &str)] = &[
    ("event_time", "/event_time", "", ""),
    ("event_id", "/event_id", "field-1", "field-2"),
    ("revenue", "/value", "12.34", "56.78"),
    ("currency", "/currency", "USD", "EUR"),
    ("event_source_url", "/event_source_url", "https://shop.example/a", "https://shop.example/b"),
    ("external_id", "/user/external_id", "person-1", "person-2"),
    ("email", "/user/email", "a@b.example", "c@d.example"),
    ("phone", "/user/phone", "+16505551212", "+16505551213"),
    ("first_name", "/user/first_name", "ann", "bob"),
    ("last_name", "/user/last_name", "lee", "ray"),
    ("gender", "/user/gender", "f", "m"),
    ("birthdate", "/user/birthdate", "19800102", "19810203"),
    ("city", "/user/city", "paris", "london"),
    ("state", "/user/state", "ca", "ny"),
    ("zip", "/user/zip", "94043", "10001"),
    ("country", "/user/country", "us", "de"),
    ("client_ip_address", "/user/client_ip_address", "192.0.2.7", "192.0.2.8"),
    ("client_user_agent", "/user/client_user_agent", "Mozilla/5.0 (a)", "Mozilla/5.0 (b)"),
    ("fbc", "/user/fbc", "fb.1.1795254000000.AbCdEfGh", "fb.1.1795254000000.HgFeDcBa"),
    ("fbp", "/user/fbp", "fb.1.1795254000000.1098115397", "fb.1.1795254000000.1098115398"),
    ("click_id", "", "click-1", "click-2"),
    ("transaction_id", "", "order-1", "order-2"),
    ("status", "", "approved", "rejected"),
    ("payout", "", "12.34", "56.78"),
    ("event", "", "sale", "lead"),
];

/// Two values of an ad platform's click id.
const AD_IDS: [&str; 2] = ["AbCdEfGhIjKlMnOpQrStUvWx", "XwVuTsRqPoNmLkJiHgFeDcBa"];

/// The places of every destination.
pub(super) fn of_all(snapshot: &Snapshot, now: Timestamp) -> Vec<OfDestination> {
    let mut all: Vec<OfDestination> =
        snapshot.destinations().map(|ready| of_one(snapshot, ready, now)).collect();
    all.sort_by(|one, other| one.slug.cmp(&other.slug));
    all
}

fn of_one(snapshot: &Snapshot, ready: &ReadyDestination, now: Timestamp) -> OfDestination {
    let slug = ready.config.slug.clone();
    let goal = snapshot.config.goals.iter().find(|goal| goal.send_to.contains(&slug));
    let name = goal.map_or("Purchase", |goal| goal.event_name.as_str());
    let mut settings = ready.settings.clone();
    for field in ready.dialect.fields() {
        settings.secrets.entry(field.name.to_owned()).or_insert_with(|| Secret::new("not-a-secret"));
    }
    settings.secrets.entry(ACCESS_TOKEN.to_owned()).or_insert_with(|| Secret::new("not-a-secret"));
    let bench = Trial { ready, settings, name, now };
    let mut places = BTreeMap::new();
    let ad_ids = crosstally_core::click::AD_CLICK_PARAMS.iter().map(|param| param.name);
    for field in FIELDS.iter().map(|(field, ..)| *field).chain(ad_ids) {
        places.insert(field.to_owned(), bench.places(field));
    }
    // A template names its fields itself.
    for used in ready.dialect.macros(&ready.config.settings) {
        let at = places.entry(used.found.name.clone()).or_default();
        if at.is_empty() {
            at.push(format!("{} {}", used.setting, used.found.written));
        }
    }
    OfDestination { slug, kind: ready.config.kind.clone(), places }
}

struct Trial<'a> {
    ready: &'a ReadyDestination,
    settings: Settings,
    name: &'a str,
    now: Timestamp,
}

impl Trial<'_> {
    /// Where this field stands, as far as an event with it is taken.
    fn places(&self, field: &str) -> Vec<String> {
        let (Some(one), Some(other)) = (self.sent(field, false), self.sent(field, true)) else {
            return Vec::new();
        };
        let mut places = Vec::new();
        differ(&one, &other, "", &mut places);
        places.dedup();
        places.truncate(PLACES_MAX);
        places
    }

    /// What is sent of the event, the field with its second value.
    fn sent(&self, field: &str, second: bool) -> Option<Value> {
        let event = self.event(field, second)?;
        let built = self.ready.dialect.build(&self.settings, &[event], self.now);
        let request = built.request?;
        match serde_json::from_str::<Value>(built.payloads.first()?) {
            Ok(value @ (Value::Object(_) | Value::Array(_))) => Some(value),
            _ => Some(pairs(&request.url_shown(), &request.body_shown)),
        }
    }

    fn event(&self, field: &str, second: bool) -> Option<OutboundEvent> {
        let at = |later: bool| self.now.plus_millis(if later { -60_000 } else { -120_000 }).to_string();
        let mut document = json!({ "event": self.name, "event_time": at(false), "user": {}, "custom": {} });
        for (name, pointer, first, other) in FIELDS.iter().filter(|(_, pointer, ..)| !pointer.is_empty()) {
            let is_asked = *name == field && second;
            let value = match *name {
                "event_time" => at(is_asked),
                _ => (if is_asked { *other } else { *first }).to_owned(),
            };
            let (parent, key) = pointer.rsplit_once('/')?;
            document.pointer_mut(parent)?.as_object_mut()?.insert(key.to_owned(), Value::from(value));
        }
        let user = document.get_mut("user")?.as_object_mut()?;
        let [first, other] = AD_IDS;
        for param in crosstally_core::click::AD_CLICK_PARAMS {
            let id = if param.name == field && second { other } else { first };
            user.insert(param.name.to_owned(), Value::from(id));
        }
        let defaults = ServerDefaults { default_region: None, now: self.now };
        let mut event = server_event::read(document.to_string().as_bytes(), defaults).ok()?.event;
        self.origin(field, second, &mut event.origin);
        Some(event)
    }

    fn origin(&self, field: &str, second: bool, origin: &mut Origin) {
        let of = |name: &str| {
            let values = FIELDS.iter().find(|(known, ..)| *known == name);
            let chosen =
                values.map(|(_, _, first, other)| if name == field && second { *other } else { *first });
            chosen.unwrap_or_default().to_owned()
        };
        origin.click_id = of("click_id");
        origin.click_time = Some(self.now);
        origin.transaction_id = of("transaction_id");
        origin.status = of("status");
        origin.payout = of("payout");
        origin.revenue = of("revenue");
        origin.currency = of("currency");
        origin.event = of("event");
        origin.external_id = of("external_id");
    }
}

/// The parameters of a URL and a form as a document.
fn pairs(url: &str, body: &[u8]) -> Value {
    let (base, query) = url.split_once('?').unwrap_or((url, ""));
    let mut all = serde_json::Map::new();
    all.insert("path".to_owned(), Value::from(base));
    let body = String::from_utf8_lossy(body);
    for piece in query.split('&').chain(body.split('&')) {
        if let Some((name, value)) = piece.split_once('=') {
            all.insert(name.to_owned(), Value::from(value));
        }
    }
    Value::Object(all)
}

/// The places at which two documents differ.
fn differ(one: &Value, other: &Value, at: &str, places: &mut Vec<String>) {
    match (one, other) {
        (Value::Object(one), Value::Object(other)) => {
            for (name, value) in one {
                let below = if at.is_empty() { name.clone() } else { format!("{at}.{name}") };
                differ(value, other.get(name).unwrap_or(&Value::Null), &below, places);
            }
        }
        (Value::Array(one), Value::Array(other)) => {
            for (number, value) in one.iter().enumerate() {
                differ(value, other.get(number).unwrap_or(&Value::Null), &format!("{at}[]"), places);
            }
        }
        (one, other) if one != other && places.len() < PLACES_MAX => places.push(at.to_owned()),
        _ => {}
    }
}
