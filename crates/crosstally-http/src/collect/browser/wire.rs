//! The body of `POST /e`, as the script sends it.

use crosstally_core::browser::{FIELDS_BYTES_MAX, PAGE_BYTES_MAX};
use crosstally_core::consent::{Choice, Consent, is_sound};
use crosstally_core::limits::{HEADER_BYTES_MAX, QUERY_BYTES_MAX};
use crosstally_engine::browser::{BrowserIn, EventIn};
use serde::Deserialize;
use serde_json::{Map, Value};

/// A call. What a version of the script says that is not known here is left alone.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct CallIn {
    campaign: String,
    click_id: String,
    visit: Option<VisitIn>,
    page: String,
    referrer: String,
    fbc: String,
    fbp: String,
    gpc: bool,
    consent: ConsentIn,
    /// The id of the visit's first action, for our own cookie.
    pub(super) keep: String,
    events: Vec<EventLine>,
}

#[derive(Debug, Deserialize)]
struct VisitIn {
    at: i64,
    id: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ConsentIn {
    ad_user_data: String,
    ad_personalization: String,
    gdpr: String,
    gdpr_consent: String,
    gpp: String,
    gpp_sid: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct EventLine {
    name: String,
    event_id: String,
    page: String,
    age_ms: i64,
    transaction_id: String,
    fields: Map<String, Value>,
}

impl CallIn {
    /// Reads a body; the error says what is wrong without a word of what it says.
    pub(super) fn read(body: &[u8]) -> Result<Self, String> {
        // A list of nothing would be read as a call that says nothing.
        if body.trim_ascii_start().first() != Some(&b'{') {
            return Err("the body is no JSON object".to_owned());
        }
        let call: Self = serde_json::from_slice(body).map_err(|error| {
            format!("line {}, column {} is not what /e reads", error.line(), error.column())
        })?;
        let too_much = |line: &EventLine| {
            serde_json::to_vec(&line.fields).map_or(true, |text| text.len() > FIELDS_BYTES_MAX)
        };
        if call.events.iter().any(too_much) {
            return Err(format!("the fields of an event have at most {FIELDS_BYTES_MAX} bytes"));
        }
        Ok(call)
    }

    pub(super) fn into_input(self, visitor: BrowserIn) -> BrowserIn {
        let page = |text: &str| short(text, PAGE_BYTES_MAX);
        let malformed = self.consent.malformed();
        let consent = Consent { gpc: visitor.consent.gpc || self.gpc, ..self.consent.read() };
        let visit = self.visit.and_then(|visit| Some((visit.at, seven(&visit.id)?)));
        let event = |line: EventLine| EventIn {
            name: line.name,
            event_id: line.event_id,
            page: page(&line.page),
            age_ms: line.age_ms,
            transaction_id: (!line.transaction_id.is_empty()).then_some(line.transaction_id),
            fields: line.fields,
        };
        BrowserIn {
            campaign: self.campaign,
            click_id: self.click_id,
            visit,
            page: short(&self.page, QUERY_BYTES_MAX),
            referrer: short(&self.referrer, HEADER_BYTES_MAX),
            fbc: short(&self.fbc, HEADER_BYTES_MAX),
            fbp: short(&self.fbp, HEADER_BYTES_MAX),
            consent,
            malformed,
            events: self.events.into_iter().map(event).collect(),
            ..visitor
        }
    }
}

impl ConsentIn {
    fn malformed(&self) -> Vec<&'static str> {
        let strings = [
            ("gdpr", &self.gdpr),
            ("gdpr_consent", &self.gdpr_consent),
            ("gpp", &self.gpp),
            ("gpp_sid", &self.gpp_sid),
        ];
        let wrong = |(name, text): (&'static str, &String)| {
            (!text.is_empty() && !is_sound(name, text)).then_some(name)
        };
        strings.into_iter().filter_map(wrong).collect()
    }

    /// What is malformed counts as not said.
    fn read(self) -> Consent {
        let sound = |name: &str, text: String| (!text.is_empty() && is_sound(name, &text)).then_some(text);
        Consent {
            gpc: false,
            ad_user_data: Choice::heard(&self.ad_user_data),
            ad_personalization: Choice::heard(&self.ad_personalization),
            gdpr: sound("gdpr", self.gdpr),
            gdpr_consent: sound("gdpr_consent", self.gdpr_consent),
            gpp: sound("gpp", self.gpp),
            gpp_sid: sound("gpp_sid", self.gpp_sid),
        }
    }
}

/// Seven bytes in hexadecimal.
fn seven(text: &str) -> Option<[u8; 7]> {
    let mut bytes = [0; 7];
    if text.len() != 14 || !text.is_ascii() {
        return None;
    }
    for (byte, at) in bytes.iter_mut().zip((0..14).step_by(2)) {
        *byte = u8::from_str_radix(text.get(at..at + 2)?, 16).ok()?;
    }
    Some(bytes)
}

/// As much of a text as may be kept.
pub(super) fn short(text: &str, most: usize) -> String {
    let mut end = text.len().min(most);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn a_call_is_read_and_a_choice_that_nobody_can_read_is_a_denial() {
        let body = br#"{"campaign":"shop","visit":{"at":5,"id":"00112233445566"},"gpc":true,"new":1,
            "consent":{"ad_user_data":"DENIED","ad_personalization":"perhaps","gdpr":"2","gpp":"DBAA"},
            "events":[{"name":"Purchase","event_id":"e","age_ms":7,"fields":{"value":"12.34"}}]}"#;
        let input = CallIn::read(body).unwrap().into_input(BrowserIn::default());
        assert_eq!(input.visit, Some((5, [0, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66])));
        assert!(input.consent.gpc && input.consent.gdpr.is_none());
        assert_eq!(input.consent.ad_user_data, Some(Choice::Denied));
        assert_eq!(input.consent.ad_personalization, Some(Choice::Denied));
        assert_eq!(input.consent.gpp.as_deref(), Some("DBAA"));
        assert_eq!(input.events[0].fields.get("value").and_then(Value::as_str), Some("12.34"));
        for body in ["", "[]", "{\"events\":1}", "\u{0}"] {
            assert!(CallIn::read(body.as_bytes()).is_err(), "{body}");
        }
        let wide = format!(r#"{{"events":[{{"fields":{{"a":"{}"}}}}]}}"#, "x".repeat(5_000));
        assert!(CallIn::read(wide.as_bytes()).is_err());
        for text in ["", "0011223344556", "zz112233445566", "ééééééé"] {
            assert_eq!(seven(text), None, "{text}");
        }
    }
}
