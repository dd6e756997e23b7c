//! LinkedIn's Conversions API, played: `POST /rest/conversionEvents` with `X-RestLi-Method: BATCH_CREATE`.
//!
//! One bad element refuses the batch, with 422 and a line of text for each bad place.

use http::Uri;
use http::request::Parts;
use serde_json::{Map, Value, json};

use crate::edge::{Edge, Said, Token, Trouble, Verdicts};
use crate::json::{Bounds, Checked, Part, Shape};
use crate::platform::Platform;

const BOUNDS: Bounds = Bounds { age_ms: 90 * 24 * 60 * 60 * 1000, ahead_ms: 0 };
const PREFIX: &str = "urn:lla:llaPartnerConversion:";
const ID_TYPES: &[&str] = &[
    "SHA256_EMAIL",
    "LINKEDIN_FIRST_PARTY_ADS_TRACKING_UUID",
    "ACXIOM_ID",
    "ORACLE_MOAT_ID",
    "PLAINTEXT_IP_ADDRESS",
    "GOOGLE_AID",
];

/// The events edge.
pub(crate) struct Linkedin;

impl Edge for Linkedin {
    fn platform(&self) -> Platform {
        Platform::Linkedin
    }

    fn token(&self) -> Token {
        Token::Bearer
    }

    fn check_call(&self, parts: &Parts, _body: &[u8], _now_ms: i64) -> Result<(), Trouble> {
        let header =
            |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let version = header("linkedin-version");
        if version.len() != 6 || !version.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(Trouble::Bad("VERSION_MISSING".to_owned()));
        }
        if header("x-restli-protocol-version") != "2.0.0" {
            return Err(Trouble::Bad("X-Restli-Protocol-Version must be 2.0.0".to_owned()));
        }
        if !header("x-restli-method").eq_ignore_ascii_case("BATCH_CREATE") {
            return Err(Trouble::Bad("X-RestLi-Method must be BATCH_CREATE".to_owned()));
        }
        Ok(())
    }

    fn list(&self) -> &'static [&'static str] {
        &["elements"]
    }

    fn events_max(&self) -> usize {
        5000
    }

    fn dataset(&self, _uri: &Uri, _main: Option<&Map<String, Value>>) -> Option<String> {
        // The rules of all accounts share one edge.
        Some("conversionEvents".to_owned())
    }

    fn check_main(&self, main: &Map<String, Value>) -> Checked {
        Part::of(main).only(&[])
    }

    fn names<'e>(&self, event: &'e Map<String, Value>) -> (Option<&'e str>, Option<&'e str>) {
        let text = |key: &str| event.get(key).and_then(Value::as_str);
        (text("conversion"), text("eventId"))
    }

    fn check(&self, event: &Map<String, Value>, _main: &Map<String, Value>, now_ms: i64) -> Checked {
        let event = Part::of(event);
        event.only(&["conversion", "conversionHappenedAt", "conversionValue", "eventId", "user"])?;
        let rule = event.required("conversion", event.text("conversion")?)?;
        let id = rule.strip_prefix(PREFIX).unwrap_or_default();
        if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_digit()) {
            return event.must("conversion", "the URN of a conversion rule");
        }
        event.time("conversionHappenedAt", 1, now_ms, BOUNDS)?;
        event.text("eventId")?;
        if let Some(value) = event.object("conversionValue")? {
            value.required("currencyCode", value.currency("currencyCode")?)?;
            value.required("amount", value.amount_text("amount")?)?;
        }
        let user = event.required("user", event.object("user")?)?;
        user.only(&["userIds", "userInfo", "externalIds", "lead"])?;
        let ids = user.objects("userIds")?;
        if ids.is_empty() {
            return user.must("userIds", "there");
        }
        ids.into_iter().try_for_each(user_id)
    }

    fn all_or_nothing(&self, _main: &Map<String, Value>) -> bool {
        true
    }

    fn taken(&self, verdicts: &Verdicts, _main: &Map<String, Value>, _trace: &str) -> Said {
        let line = |(index, verdict): (usize, &Checked)| {
            let words = verdict.as_ref().err()?;
            let field = words.split(' ').next().unwrap_or_default().replace('.', "/");
            Some(format!("Index: {index}, ERROR :: /{field} :: {words}"))
        };
        let lines: Vec<String> = verdicts.iter().enumerate().filter_map(line).collect();
        if lines.is_empty() {
            let created = vec![json!({"status": 201}); verdicts.len()];
            return Said(200, json!({ "elements": created }));
        }
        error(422, "UNPROCESSABLE_ENTITY", &lines.join("\n"))
    }

    fn trouble(&self, trouble: &Trouble, _trace: &str) -> Said {
        match trouble {
            Trouble::Token => error(401, "EXPIRED_ACCESS_TOKEN", "The token used in the request has expired"),
            Trouble::Permission => error(403, "ACCESS_DENIED", "No ad accounts found"),
            Trouble::Throttled => error(429, "TOO_MANY_REQUESTS", "Resource level throttle limit reached"),
            Trouble::Server(status) => error(*status, "INTERNAL_ERROR", "Internal Server Error"),
            Trouble::Bad(words) if words == "VERSION_MISSING" => {
                error(400, "VERSION_MISSING", "A version must be present")
            }
            Trouble::Bad(words) => error(400, "BAD_REQUEST", words),
            Trouble::Nowhere => error(426, "NONEXISTENT_VERSION", "The requested version is not active"),
            Trouble::Asked(status, _) => error(*status, "ASKED", "Asked for by a fault"),
        }
    }
}

fn error(status: u16, code: &str, words: &str) -> Said {
    Said(status, json!({"status": status, "code": code, "message": words}))
}

fn user_id(id: Part<'_>) -> Checked {
    id.only(&["idType", "idValue"])?;
    match id.required("idType", id.word("idType", ID_TYPES)?)? {
        "SHA256_EMAIL" => id
            .hashes("idValue", Shape::One)
            .and_then(|there| if there { Ok(()) } else { id.must("idValue", "there") }),
        "PLAINTEXT_IP_ADDRESS" => id.required("idValue", id.address("idValue")?).map(drop),
        _ => id.required("idValue", id.plain("idValue")?).map(drop),
    }
}
