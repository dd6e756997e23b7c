//! Signing in by OAuth 2.0 where a platform hands out a refresh token: a short-lived access token is asked for with it
//! (RFC 6749, section 6).

use crosstally_core::delivery::Outcome;
use crosstally_core::reason::Reason;
use crosstally_core::secret::Secret;
use crosstally_core::time::{SECOND_MS, Timestamp};
use serde_json::{Map, Value};
use url::form_urlencoded;

use crate::answer::{excerpt, is_redirect, is_success, line, redirected, retry, retry_after_ms, shorten};
use crate::dialect::{AccessToken, FieldType, Reading, Request, Response, SettingField, Settings};

/// How long a token is good for if the answer does not say; the shortest that any platform uses.
const VALID_MS: i64 = 10 * 60 * SECOND_MS;
const VALID_MS_MAX: i64 = 24 * 3600 * SECOND_MS;
const TOKEN_BYTES_MAX: usize = 8 * 1024;

/// The setting that names the app.
pub(crate) const CLIENT_ID: SettingField = SettingField {
    name: "client_id",
    field_type: FieldType::Text,
    required: true,
    help: "The OAuth client's id.",
};

/// The setting that proves the app.
pub(crate) const CLIENT_SECRET: SettingField = SettingField {
    name: "client_secret",
    field_type: FieldType::Secret,
    required: true,
    help: "The OAuth client's secret.",
};

/// The setting that access tokens are made from.
pub(crate) const REFRESH_TOKEN: SettingField = SettingField {
    name: "refresh_token",
    field_type: FieldType::Secret,
    required: true,
    help: "The refresh token of the account that may send; access tokens are asked for with it and kept in memory.",
};

/// The setting that says where to ask.
pub(crate) const fn token_endpoint_field(help: &'static str) -> SettingField {
    SettingField { name: "token_endpoint", field_type: FieldType::Url, required: false, help }
}

/// The request for an access token.
pub(crate) fn refresh(settings: &Settings, token_endpoint: &str) -> Request {
    let names = [CLIENT_SECRET.name, REFRESH_TOKEN.name];
    let form = |secret: &dyn Fn(&str) -> String| {
        form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", "refresh_token")
            .append_pair(CLIENT_ID.name, settings.text(CLIENT_ID.name).unwrap_or_default())
            .extend_pairs(names.map(|name| (name, secret(name))))
            .finish()
            .into_bytes()
    };
    let plain = |name: &str| settings.secret(name).map(|secret| secret.expose().to_owned());
    Request {
        method: "POST",
        url: settings.text("token_endpoint").unwrap_or(token_endpoint).into(),
        headers: vec![
            ("content-type".to_owned(), "application/x-www-form-urlencoded".to_owned()),
            ("accept".to_owned(), "application/json".to_owned()),
        ],
        body: form(&|name| plain(name).unwrap_or_default()),
        body_shown: form(&|_| crate::mask::MASK.to_owned()),
        secrets: names.iter().filter_map(|name| settings.secret(name)).cloned().collect(),
    }
}

/// Reads the answer: a token, or what stands in the way.
pub(crate) fn read(settings: &Settings, response: &Response, now: Timestamp) -> Result<AccessToken, Reading> {
    if is_redirect(response.status) {
        return Err(redirected(settings, response));
    }
    let json = if response.body_cut { None } else { serde_json::from_slice(&response.body).ok() };
    let json = match json {
        Some(Value::Object(json)) => json,
        _ => Map::new(),
    };
    if is_success(response.status) {
        return token(&json).ok_or_else(|| {
            // What is not understood may be a token all the same, so it is not repeated.
            Reading::whole(
                retry(Reason::DestUnreadable, None),
                "signing in: the answer holds no bearer token",
            )
        });
    }
    Err(refused(settings, response, &json, now))
}

fn token(json: &Map<String, Value>) -> Option<AccessToken> {
    let text = json.get("access_token")?.as_str()?;
    let bearer = json.get("token_type").and_then(Value::as_str);
    let fine = (1..=TOKEN_BYTES_MAX).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_graphic())
        && bearer.is_none_or(|word| word.eq_ignore_ascii_case("bearer"));
    let seconds = match json.get("expires_in") {
        Some(Value::Number(number)) => number.as_i64(),
        Some(Value::String(text)) => text.parse().ok(),
        _ => None,
    };
    let valid_ms = seconds.map_or(VALID_MS, |seconds| seconds.saturating_mul(SECOND_MS));
    fine.then(|| AccessToken { token: Secret::new(text), valid_ms: valid_ms.clamp(0, VALID_MS_MAX) })
}

fn refused(settings: &Settings, response: &Response, json: &Map<String, Value>, now: Timestamp) -> Reading {
    let status = response.status;
    let word = |key: &str| json.get(key).and_then(Value::as_str);
    let said = match word("error") {
        Some(code) => format!("{status} {code}: {}", word("error_description").unwrap_or_default()),
        None => format!("{status}: {}", excerpt(settings, response)),
    };
    let detail = shorten(&line(&settings.masked(&format!("signing in: {said}"))));
    let asked = retry_after_ms(response, now);
    let passing = |reason| Reading::whole(retry(reason, asked), detail.as_str()).slow_down(asked);
    let pause = |reason| Reading::whole(Outcome::Pause { reason }, detail.as_str());
    match (status, word("error")) {
        (429, _) => passing(Reason::DestRateLimited),
        (408, _) => passing(Reason::DestTimeout),
        (425 | 500.., _) | (_, Some("temporarily_unavailable" | "server_error")) => {
            passing(Reason::DestServerError)
        }
        // The grant, the client or its right is refused: somebody has to give another one.
        (400 | 401 | 403, Some(_)) | (401 | 403, None) => pause(Reason::DestAuth),
        (400 | 404 | 405, _) => pause(Reason::DestMisconfigured),
        (410, _) => pause(Reason::DestGone),
        _ => passing(Reason::DestUnreadable),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::collections::BTreeMap;

    use crosstally_core::config::Setting;

    use super::*;
    use crate::dialect::BatchOutcome;

    const NOW: Timestamp = Timestamp::from_millis(1_764_205_300_000);
    const ENDPOINT: &str = "https://oauth2.googleapis.com/token";

    fn settings(token_endpoint: Option<&str>) -> Settings {
        let mut values = BTreeMap::from([("client_id".to_owned(), Setting::Text("app.example".to_owned()))]);
        if let Some(url) = token_endpoint {
            values.insert("token_endpoint".to_owned(), Setting::Text(url.to_owned()));
        }
        let secrets = [("client_secret", "GOCSPX-a b"), ("refresh_token", "1//0e/x+y")];
        let secrets = secrets.map(|(name, text)| (name.to_owned(), Secret::new(text)));
        Settings { values, secrets: secrets.into(), ..Settings::default() }
    }

    fn answer(status: u16, body: &str) -> Result<AccessToken, (Outcome, String)> {
        let response = Response { status, body: body.as_bytes().to_vec(), ..Response::default() };
        read(&settings(None), &response, NOW).map_err(|reading| match reading.outcome {
            BatchOutcome::Whole(outcome) => (outcome, reading.detail),
            BatchOutcome::Each(_) => panic!("a sign-in has no events"),
        })
    }

    #[test]
    fn a_refresh_token_is_sent_as_a_form_and_shown_without_its_secrets() {
        let request = refresh(&settings(None), ENDPOINT);
        assert_eq!((request.method, request.url.as_str()), ("POST", ENDPOINT));
        assert_eq!(
            String::from_utf8(request.body.clone()).unwrap(),
            "grant_type=refresh_token&client_id=app.example&client_secret=GOCSPX-a+b&refresh_token=1%2F%2F0e%2Fx%2By"
        );
        let shown = String::from_utf8(request.body_shown.clone()).unwrap();
        assert!(
            shown.contains("client_id=app.example") && !shown.contains("GOCSPX") && !shown.contains("0e")
        );
        let all = request.masked("1//0e/x+y 1%2F%2F0e%2Fx%2By GOCSPX-a b GOCSPX-a+b");
        assert_eq!(all, "*** *** *** ***");
        let elsewhere = refresh(&settings(Some("http://127.0.0.1:9100/token")), ENDPOINT);
        assert_eq!(elsewhere.url, "http://127.0.0.1:9100/token");
    }

    #[test]
    fn a_token_is_read_with_its_life() {
        for (more, valid_ms) in [
            (r#","expires_in":3599,"token_type":"Bearer""#, 3_599_000),
            (r#","expires_in":"60","token_type":"bearer""#, 60_000),
            (r#","expires_in":99999999999999999"#, VALID_MS_MAX),
            (r#","expires_in":-5"#, 0),
            (r#","expires_in":1.5"#, VALID_MS),
            ("", VALID_MS),
        ] {
            let token = answer(200, &format!(r#"{{"access_token":"ya29.a0"{more}}}"#)).unwrap();
            assert_eq!((token.token.expose(), token.valid_ms), ("ya29.a0", valid_ms), "{more}");
        }
    }

    #[test]
    fn a_success_without_a_usable_token_is_no_sign_in_and_repeats_nothing() {
        for body in [
            "",
            "<html>",
            "[]",
            "{}",
            r#"{"access_token":""}"#,
            r#"{"access_token":7}"#,
            r#"{"access_token":"secret here"}"#,
            r#"{"access_token":"secret\nhere"}"#,
            r#"{"access_token":"secret","token_type":"mac"}"#,
        ] {
            let (outcome, detail) = answer(200, body).unwrap_err();
            assert_eq!(outcome, retry(Reason::DestUnreadable, None), "{body}");
            assert!(!detail.contains("secret"), "{detail}");
        }
    }

    #[test]
    fn what_stands_in_the_way_pauses_or_passes() {
        let pause = |reason| Outcome::Pause { reason };
        for (status, body, expected) in [
            (
                400,
                r#"{"error":"invalid_grant","error_description":"Token has been expired or revoked."}"#,
                pause(Reason::DestAuth),
            ),
            (401, r#"{"error":"invalid_client"}"#, pause(Reason::DestAuth)),
            (403, r#"{"error":"org_internal"}"#, pause(Reason::DestAuth)),
            (401, "", pause(Reason::DestAuth)),
            (400, r#"{"error":"temporarily_unavailable"}"#, retry(Reason::DestServerError, None)),
            (400, "<html>", pause(Reason::DestMisconfigured)),
            (404, "", pause(Reason::DestMisconfigured)),
            (410, "", pause(Reason::DestGone)),
            (408, "", retry(Reason::DestTimeout, None)),
            (429, r#"{"error":"rate_limit_exceeded"}"#, retry(Reason::DestRateLimited, None)),
            (500, r#"{"error":"internal_failure"}"#, retry(Reason::DestServerError, None)),
            (503, "", retry(Reason::DestServerError, None)),
            (302, "", retry(Reason::DestRedirected, None)),
            (418, "", retry(Reason::DestUnreadable, None)),
        ] {
            assert_eq!(answer(status, body).unwrap_err().0, expected, "{status} {body}");
        }
        let (_, detail) =
            answer(400, r#"{"error":"invalid_grant","error_description":"no 1//0e/x+y\n"}"#).unwrap_err();
        assert_eq!(detail, "signing in: 400 invalid_grant: no ***");
    }
}
