//! The wire forms of a Conversions API call: JSON, urlencoded, multipart; `data` as an array or as its text; each event
//! as an object or as its text. Finds out what was sent, not whether it is right.

use std::borrow::Cow;
use std::fmt;

use axum::body::Body;
use axum::extract::{FromRequest, Multipart};
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, Request, header};
use serde::de::{Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use url::form_urlencoded;

/// Events in one request.
pub(crate) const EVENTS_MAX: usize = 1000;
/// Fields of a multipart body; Meta knows about a dozen.
const FIELDS_MAX: usize = 100;
const DATASET_LENGTH_MAX: usize = 64;

/// Real ids are digits; letters are let pass so that examples can have names.
pub(crate) fn is_dataset(text: &str) -> bool {
    (1..=DATASET_LENGTH_MAX).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

/// One event as it came, not yet read: a batch of a thousand is checked one by one, so that only one stands in memory as a tree.
pub(crate) enum Sent<'a> {
    /// An object of the array.
    Object(&'a RawValue),
    /// An object wrapped into a string, unwrapped.
    Text(String),
}

/// The two keys by which a fault can ask for an event.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Names<'a> {
    #[serde(borrow)]
    event_name: Option<Cow<'a, str>>,
    #[serde(borrow)]
    event_id: Option<Cow<'a, str>>,
}

impl Sent<'_> {
    /// The event's JSON.
    pub(crate) fn text(&self) -> &str {
        match self {
            Self::Object(raw) => raw.get(),
            Self::Text(text) => text,
        }
    }

    /// The event as a tree.
    pub(crate) fn read(&self) -> Result<Map<String, Value>, Unreadable> {
        serde_json::from_str(self.text()).map_err(|error| Unreadable::json("the event", &error))
    }

    /// Whether the event has this text under this key.
    pub(crate) fn holds(&self, key: &str, text: &str) -> bool {
        let names = serde_json::from_str::<Names<'_>>(self.text()).unwrap_or_default();
        let name = if key == "event_id" { names.event_id } else { names.event_name };
        name.as_deref() == Some(text)
    }

    /// The event's own text, to keep.
    pub(crate) fn into_raw(self) -> Box<RawValue> {
        match self {
            Self::Object(raw) => raw.to_owned(),
            Self::Text(text) => RawValue::from_string(text).expect("it was read as JSON before it is kept"),
        }
    }
}

/// A body that cannot be read as a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unreadable {
    pub(crate) detail: String,
}

impl Unreadable {
    fn whole(detail: impl Into<String>) -> Self {
        Self { detail: detail.into() }
    }

    fn json(what: &str, error: &serde_json::Error) -> Self {
        Self::whole(format!("{what} {}", json_trouble(error)))
    }
}

/// Says where JSON went wrong without repeating values, which may be contact data.
fn json_trouble(error: &serde_json::Error) -> String {
    let place = format!("line {}, column {}", error.line(), error.column());
    if error.is_data() { format!("has the wrong shape at {place}") } else { format!("is not JSON: {error}") }
}

/// The fields of a call that the sandbox reads. All others are let pass, as Meta does. Holds the token: never printed.
#[derive(Default)]
pub(crate) struct Fields<'a> {
    pub(crate) token: Option<String>,
    pub(crate) test_event_code: Option<String>,
    pub(crate) partner_agent: Option<String>,
    data: Option<Data<'a>>,
}

enum Data<'a> {
    Json(&'a RawValue),
    Text(Cow<'a, str>),
}

#[derive(Deserialize)]
struct JsonBody<'a> {
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    access_token: Option<String>,
    test_event_code: Option<String>,
    partner_agent: Option<String>,
}

impl<'a> Fields<'a> {
    /// Reads what stands beside the body: the query and the bearer token. The query's token goes first, as with Meta.
    pub(crate) fn beside_body(parts: &'a Parts) -> Self {
        let mut fields = Self::default();
        for (key, value) in form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes()) {
            fields.put(&key, value);
        }
        let bearer = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let bearer = bearer
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
        if let Some((_, token)) = bearer.filter(|_| fields.token.is_none()) {
            fields.token = Some(token.trim().to_owned()).filter(|token| !token.is_empty());
        }
        fields
    }

    /// Keeps the first non-empty value of a field.
    fn put(&mut self, key: &str, value: Cow<'a, str>) {
        if value.is_empty() {
            return;
        }
        match key {
            "access_token" => drop(self.token.get_or_insert_with(|| value.into_owned()).as_str()),
            "test_event_code" => {
                self.test_event_code.get_or_insert_with(|| value.into_owned());
            }
            "partner_agent" => {
                self.partner_agent.get_or_insert_with(|| value.into_owned());
            }
            "data" => {
                self.data.get_or_insert(Data::Text(value));
            }
            _ => {}
        }
    }

    /// Adds what the body says, by its content type.
    pub(crate) async fn read_body(&mut self, parts: &Parts, body: &'a Bytes) -> Result<(), Unreadable> {
        if body.is_empty() {
            return Ok(());
        }
        let kind = content_type(&parts.headers);
        match kind.as_str() {
            "multipart/form-data" => self.read_multipart(parts, body).await,
            "application/x-www-form-urlencoded" => {
                self.read_form(body);
                Ok(())
            }
            "application/json" => self.read_json(body),
            "" | "text/plain" if body.trim_ascii_start().starts_with(b"{") => self.read_json(body),
            "" | "text/plain" => {
                self.read_form(body);
                Ok(())
            }
            _ => Err(Unreadable::whole(
                "the body must be application/json, application/x-www-form-urlencoded or multipart/form-data",
            )),
        }
    }

    fn read_form(&mut self, body: &'a [u8]) {
        for (key, value) in form_urlencoded::parse(body) {
            self.put(&key, value);
        }
    }

    fn read_json(&mut self, body: &'a [u8]) -> Result<(), Unreadable> {
        let read = serde_json::from_slice::<JsonBody<'a>>(body);
        let read = read.map_err(|error| Unreadable::json("the body", &error))?;
        for (key, value) in [
            ("access_token", read.access_token),
            ("test_event_code", read.test_event_code),
            ("partner_agent", read.partner_agent),
        ] {
            self.put(key, Cow::Owned(value.unwrap_or_default()));
        }
        if let Some(data) = read.data {
            self.data.get_or_insert(Data::Json(data));
        }
        Ok(())
    }

    async fn read_multipart(&mut self, parts: &Parts, body: &Bytes) -> Result<(), Unreadable> {
        let broken = || Unreadable::whole("the multipart body is broken");
        let request = Request::from_parts(parts.clone(), Body::from(body.clone()));
        let mut multipart = Multipart::from_request(request, &()).await.map_err(|_| broken())?;
        for _ in 0..FIELDS_MAX {
            let Some(field) = multipart.next_field().await.map_err(|_| broken())? else { return Ok(()) };
            let name = field.name().unwrap_or_default().to_owned();
            let value = field.text().await.map_err(|_| broken())?;
            self.put(&name, Cow::Owned(value));
        }
        Err(Unreadable::whole(format!("the multipart body has more than {FIELDS_MAX} fields")))
    }

    /// The text of `data`, or `None` if there is none.
    pub(crate) fn data(&self) -> Result<Option<Cow<'_, str>>, Unreadable> {
        let text = match &self.data {
            None => return Ok(None),
            Some(Data::Json(raw)) => raw.get(),
            Some(Data::Text(text)) => text,
        };
        unquoted(text.trim()).map(Some).map_err(|error| Unreadable::json("data", &error))
    }
}

/// The events in the text of `data`.
pub(crate) fn split(data: &str) -> Result<Vec<Sent<'_>>, Unreadable> {
    let Items(items) = serde_json::from_str(data).map_err(|error| Unreadable::json("data", &error))?;
    if items.is_empty() {
        return Err(Unreadable::whole("data holds no event"));
    }
    let sent = items.into_iter().map(|raw| {
        if !raw.get().starts_with('"') {
            return Ok(Sent::Object(raw));
        }
        serde_json::from_str(raw.get()).map(Sent::Text).map_err(|error| Unreadable::json("an event", &error))
    });
    sent.collect()
}

/// JSON text that was wrapped into a JSON string once more.
fn unquoted(text: &str) -> Result<Cow<'_, str>, serde_json::Error> {
    if text.starts_with('"') {
        serde_json::from_str::<String>(text).map(Cow::Owned)
    } else {
        Ok(Cow::Borrowed(text))
    }
}

/// The media type in lower case, without parameters.
fn content_type(headers: &HeaderMap) -> String {
    let text = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// The items of an array, read no further than one past the limit.
struct Items<'a>(Vec<&'a RawValue>);

impl<'de> Deserialize<'de> for Items<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Items<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array of events")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Items<'de>, A::Error> {
                let mut read = Vec::new();
                while let Some(item) = items.next_element()? {
                    if read.len() == EVENTS_MAX {
                        return Err(A::Error::custom("too many events"));
                    }
                    read.push(item);
                }
                Ok(Items(read))
            }
        }
        deserializer.deserialize_seq(Reader)
    }
}
