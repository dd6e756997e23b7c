//! The Google Ads API, played as far as adjustments go: `POST /v26/customers/{id}:uploadConversionAdjustments`.
//!
//! It knows the conversions that came to the Data Manager API by their transaction, takes what is right and names the
//! rest. A retraction is final. Whether the caller's Cloud project may call is not checked: the fault `permission` says no.

use http::Uri;
use http::request::Parts;
use serde_json::{Map, Value, json};

use crate::edge::{Edge, Known, Said, Token, Trouble, Verdicts, segment};
use crate::json::{Checked, Part};
use crate::platform::Platform;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;
const EXPIRES_MS: i64 = 54 * DAY_MS;
const CALL: &str = "uploadConversionAdjustments";
const PLACE: &str = "conversion_adjustments";

/// The edge of adjustments.
pub(crate) struct GoogleAds;

impl Edge for GoogleAds {
    fn platform(&self) -> Platform {
        Platform::GoogleAds
    }

    fn token(&self) -> Token {
        Token::Bearer
    }

    fn check_call(&self, parts: &Parts, _body: &[u8], _now_ms: i64) -> Result<(), Trouble> {
        let manager = parts.headers.get("login-customer-id").map(|value| value.to_str().unwrap_or_default());
        if manager.is_none_or(is_account) {
            return Ok(());
        }
        Err(Trouble::Bad("login-customer-id must be ten digits".to_owned()))
    }

    fn list(&self) -> &'static [&'static str] {
        &["conversionAdjustments"]
    }

    fn events_max(&self) -> usize {
        2000
    }

    fn dataset(&self, uri: &Uri, _main: Option<&Map<String, Value>>) -> Option<String> {
        let is_version = |text: &String| {
            text.strip_prefix('v').is_some_and(|number| number.parse::<u8>().is_ok_and(|number| number > 22))
        };
        segment(uri, 0).filter(is_version)?;
        let call = segment(uri, 2)?;
        let (account, call) = call.split_once(':')?;
        (is_account(account) && call == CALL).then(|| account.to_owned())
    }

    fn validation_flag(&self) -> Option<&'static str> {
        Some("validateOnly")
    }

    fn check_main(&self, main: &Map<String, Value>) -> Checked {
        let main = Part::of(main);
        main.only(&["partialFailure", "validateOnly", "jobId"])?;
        main.flag("validateOnly")?;
        if main.flag("partialFailure")? == Some(true) { Ok(()) } else { main.must("partialFailure", "true") }
    }

    fn names<'e>(&self, event: &'e Map<String, Value>) -> (Option<&'e str>, Option<&'e str>) {
        let text = |key: &str| event.get(key).and_then(Value::as_str);
        (text("conversionAction"), text("orderId"))
    }

    fn check(&self, event: &Map<String, Value>, _main: &Map<String, Value>, _now_ms: i64) -> Checked {
        let part = Part::of(event);
        part.only(&[
            "conversionAction",
            "adjustmentType",
            "orderId",
            "adjustmentDateTime",
            "restatementValue",
        ])?;
        let action = part.required("conversionAction", part.text("conversionAction")?)?;
        if action_id(action).is_none() {
            return part.must("conversionAction", "customers/{id}/conversionActions/{id}");
        }
        part.required("orderId", part.text("orderId")?)?;
        let at = part.required("adjustmentDateTime", part.text("adjustmentDateTime")?)?;
        if !is_time(at) {
            return part.must("adjustmentDateTime", "yyyy-mm-dd hh:mm:ss+|-hh:mm");
        }
        let kind = part.word("adjustmentType", &["RETRACTION", "RESTATEMENT"])?;
        match (part.required("adjustmentType", kind)?, part.object("restatementValue")?) {
            ("RETRACTION", Some(_)) => part.must("restatementValue", "left out of a retraction"),
            ("RESTATEMENT", value) => {
                let value = part.required("restatementValue", value)?;
                value.only(&["adjustedValue", "currencyCode"])?;
                value.currency("currencyCode")?;
                value.required("adjustedValue", value.amount("adjustedValue")?).map(drop)
            }
            _ => Ok(()),
        }
    }

    fn check_against(&self, event: &Map<String, Value>, knows: Known<'_>, now_ms: i64) -> Checked {
        let (Some(name), Some(order)) = self.names(event) else { return Ok(()) };
        let action = action_id(name).unwrap_or_default();
        let Some(came_at) = knows(Platform::GoogleDataManager, action, order) else {
            return Err("CONVERSION_NOT_FOUND: the conversion cannot be found".to_owned());
        };
        if now_ms.saturating_sub(came_at) > EXPIRES_MS {
            return Err("CONVERSION_EXPIRED: the conversion is more than 54 days old".to_owned());
        }
        if knows(Platform::GoogleAds, name, order).is_some() {
            return Err("CONVERSION_ALREADY_RETRACTED: the conversion was already retracted".to_owned());
        }
        Ok(())
    }

    /// After a retraction nothing is taken of the same conversion; it can be restated any number of times.
    fn is_recognised(&self, event: &Map<String, Value>) -> bool {
        event.get("adjustmentType").and_then(Value::as_str) == Some("RETRACTION")
    }

    fn window_ms(&self) -> i64 {
        EXPIRES_MS
    }

    fn all_or_nothing(&self, _main: &Map<String, Value>) -> bool {
        false
    }

    fn taken(&self, verdicts: &Verdicts, main: &Map<String, Value>, trace: &str) -> Said {
        let error = |(index, verdict): (usize, &Checked)| {
            let words = verdict.as_ref().err()?;
            let (kind, code) = match words.split_once(": ") {
                Some((code, _)) => ("conversionAdjustmentUploadError", code),
                None => ("fieldError", "INVALID_VALUE"),
            };
            let path = json!([{"fieldName": PLACE, "index": index}]);
            Some(
                json!({"errorCode": {kind: code}, "message": words, "location": {"fieldPathElements": path}}),
            )
        };
        let errors: Vec<Value> = verdicts.iter().enumerate().filter_map(error).collect();
        let mut body = json!({ "jobId": "2147483648" });
        if self.test_code(&Uri::default(), main).is_none() {
            let result = |verdict: &Checked| match verdict {
                Ok(()) => json!({"adjustmentType": "UNKNOWN"}),
                Err(_) => json!({}),
            };
            body["results"] = verdicts.iter().map(result).collect();
        }
        if !errors.is_empty() {
            body["partialFailureError"] = json!({"code": 3, "message": "Multiple errors in details.", "details": [failure(&errors, trace)]});
        }
        Said(200, body)
    }

    fn trouble(&self, trouble: &Trouble, trace: &str) -> Said {
        let (status, name, kind, code) = match trouble {
            Trouble::Token => (401, "UNAUTHENTICATED", "authenticationError", "OAUTH_TOKEN_INVALID"),
            Trouble::Permission => {
                (403, "PERMISSION_DENIED", "authorizationError", "CLOUD_PROJECT_NOT_APPROVED_FOR_PRODUCTION")
            }
            Trouble::Throttled => (429, "RESOURCE_EXHAUSTED", "quotaError", "RESOURCE_EXHAUSTED"),
            Trouble::Nowhere => return Said(404, Value::Null),
            Trouble::Server(status) | Trouble::Asked(status, _) => {
                (*status, "INTERNAL", "internalError", "INTERNAL_ERROR")
            }
            Trouble::Bad(_) => (400, "INVALID_ARGUMENT", "requestError", "INVALID_INPUT"),
        };
        let words = match trouble {
            Trouble::Bad(words) => words.as_str(),
            _ => "Asked for by a fault, or by the token.",
        };
        let errors = [json!({"errorCode": {kind: code}, "message": words})];
        let details = [failure(&errors, trace)];
        Said(status, json!({"error": {"code": status, "message": words, "status": name, "details": details}}))
    }
}

fn failure(errors: &[Value], trace: &str) -> Value {
    let name = "type.googleapis.com/google.ads.googleads.v26.errors.GoogleAdsFailure";
    json!({"@type": name, "errors": errors, "requestId": trace})
}

fn is_account(text: &str) -> bool {
    text.len() == 10 && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn action_id(name: &str) -> Option<&str> {
    let (account, action) = name.strip_prefix("customers/")?.split_once("/conversionActions/")?;
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    (is_digits(account) && is_digits(action)).then_some(action)
}

/// `2026-11-22 10:00:00+00:00`.
fn is_time(text: &str) -> bool {
    let shape = text.len() == 25 && text.as_bytes().get(10) == Some(&b' ');
    shape && text.replacen(' ', "T", 1).parse::<jiff::Timestamp>().is_ok()
}
