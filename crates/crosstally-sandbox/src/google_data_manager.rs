//! Google's Data Manager API, played: `POST /v1/events:ingest`, and the token endpoint `POST /token`.
//!
//! A request with one bad event is refused as a whole, and every bad place is named. What is taken is answered with a
//! `requestId`. Any refresh token is good, except one that starts with `expired`.

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{Request, StatusCode, Uri, header};
use serde_json::{Map, Value, json};
use url::form_urlencoded;

use crate::body;
use crate::edge::{Edge, Said, Token, Trouble, Verdicts, query};
use crate::faults::{Call, Met};
use crate::json::{Bounds, Checked, Part, Shape};
use crate::misbehave;
use crate::platform::Platform;
use crate::state::Sandbox;

const BOUNDS: Bounds = Bounds { age_ms: 90 * 24 * 60 * 60 * 1000, ahead_ms: 60_000 };
const CONSENT: &[&str] = &["CONSENT_GRANTED", "CONSENT_DENIED"];
const SOURCES: &[&str] = &["WEB", "APP", "IN_STORE", "PHONE", "MESSAGE", "OTHER"];
const CLICKS: &[&str] = &["gclid", "gbraid", "wbraid", "dclid"];
const DESTINATIONS_MAX: usize = 10;
const IDENTIFIERS_MAX: usize = 10;
const FORM_BYTES_MAX: usize = 64 * 1024;

/// `POST /token`: a refresh token becomes an access token.
pub(crate) async fn token(State(sandbox): State<Sandbox>, request: Request<Body>) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(form) = body::receive(&parts.headers, body, FORM_BYTES_MAX).await else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let field = |name: &str| {
        let found = form_urlencoded::parse(&form).find(|(known, _)| known == name);
        found.map(|(_, value)| value.into_owned()).filter(|value| !value.is_empty())
    };
    let known = field("client_id").is_some() && field("client_secret").is_some();
    let (status, body) = match (field("grant_type").as_deref(), field("refresh_token")) {
        _ if !known => (401, json!({"error": "invalid_client", "error_description": "Unauthorized"})),
        (Some("refresh_token"), Some(token)) if !token.to_ascii_lowercase().starts_with("expired") => {
            let token = format!("ya29.{}", sandbox.next_trace_id());
            (200, json!({"access_token": token, "expires_in": 3599, "token_type": "Bearer"}))
        }
        (Some("refresh_token"), _) => (
            400,
            json!({"error": "invalid_grant", "error_description": "Token has been expired or revoked."}),
        ),
        _ => (400, json!({"error": "unsupported_grant_type"})),
    };
    let mut response = (misbehave::status(status), body.to_string()).into_response();
    misbehave::set(&mut response, header::CONTENT_TYPE, "application/json");
    response
}

/// The events edge.
pub(crate) struct GoogleDataManager;

impl Edge for GoogleDataManager {
    fn platform(&self) -> Platform {
        Platform::GoogleDataManager
    }

    fn token(&self) -> Token {
        Token::Bearer
    }

    fn list(&self) -> &'static [&'static str] {
        &["events"]
    }

    fn events_max(&self) -> usize {
        2000
    }

    fn dataset(&self, _uri: &Uri, main: Option<&Map<String, Value>>) -> Option<String> {
        let first = main?.get("destinations")?.get(0)?;
        first.pointer("/operatingAccount/accountId")?.as_str().map(str::to_owned)
    }

    fn validation_flag(&self) -> Option<&'static str> {
        Some("validateOnly")
    }

    fn check_main(&self, main: &Map<String, Value>) -> Checked {
        let main = Part::of(main);
        main.only(&["destinations", "consent", "encoding", "validateOnly", "encryptionInfo"])?;
        main.word("encoding", &["HEX", "BASE64"])?;
        main.flag("validateOnly")?;
        consent(main)?;
        let destinations = main.objects("destinations")?;
        if !(1..=DESTINATIONS_MAX).contains(&destinations.len()) {
            return Err(format!("destinations must be 1 to {DESTINATIONS_MAX}"));
        }
        destinations.into_iter().try_for_each(destination)
    }

    fn names<'e>(&self, event: &'e Map<String, Value>) -> (Option<&'e str>, Option<&'e str>) {
        let action = event.get("destinationReferences").and_then(|list| list.get(0)?.as_str());
        (action, event.get("transactionId").and_then(Value::as_str))
    }

    fn check(&self, event: &Map<String, Value>, main: &Map<String, Value>, now_ms: i64) -> Checked {
        let known = main.get("destinations").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let wanted = event.get("destinationReferences").and_then(Value::as_array);
        let is_known = |name: &Value| known.iter().any(|known| known.get("reference") == Some(name));
        if !wanted.is_none_or(|wanted| wanted.iter().all(is_known)) {
            return Err("destinationReferences must name destinations of the request".to_owned());
        }
        let part = Part::of(event);
        part.only(&[
            "destinationReferences",
            "transactionId",
            "eventTimestamp",
            "lastUpdatedTimestamp",
            "eventSource",
            "adIdentifiers",
            "userData",
            "currency",
            "conversionValue",
            "consent",
        ])?;
        part.instant("eventTimestamp", now_ms, BOUNDS)?;
        part.word("eventSource", SOURCES)?;
        part.text("transactionId")?;
        part.currency("currency")?;
        part.amount("conversionValue")?;
        consent(part)?;
        if clicks(part)? + people(part, main)? == 0 {
            return Err("adIdentifiers or userData must name somebody".to_owned());
        }
        Ok(())
    }

    fn all_or_nothing(&self, _main: &Map<String, Value>) -> bool {
        true
    }

    /// A conversion is known for as long as it can be adjusted, and longer.
    fn window_ms(&self) -> i64 {
        BOUNDS.age_ms
    }

    fn taken(&self, verdicts: &Verdicts, main: &Map<String, Value>, trace: &str) -> Said {
        let violation = |(index, verdict): (usize, &Checked)| {
            let words = verdict.as_ref().err()?;
            let field = words.split(' ').next().unwrap_or_default();
            Some(json!({"field": format!("events.events[{index}].{field}"), "description": words}))
        };
        let violations: Vec<Value> = verdicts.iter().enumerate().filter_map(violation).collect();
        if violations.is_empty() {
            return Said(200, json!({ "requestId": request_id(trace, main, verdicts.len()) }));
        }
        let details =
            json!([{"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": violations}]);
        error(400, "INVALID_ARGUMENT", "There was a problem with the request.", details)
    }

    fn trouble(&self, trouble: &Trouble, _trace: &str) -> Said {
        let (status, words) = match trouble {
            Trouble::Token => (401, "Request had invalid authentication credentials."),
            Trouble::Permission => (403, "The caller does not have permission."),
            Trouble::Throttled => (429, "Quota exceeded."),
            Trouble::Server(status) | Trouble::Asked(status, _) => (*status, "Asked for by a fault."),
            Trouble::Bad(words) => (400, words.as_str()),
            Trouble::Nowhere => (400, "destinations must name an operating account."),
        };
        let name = match status {
            401 => "UNAUTHENTICATED",
            403 => "PERMISSION_DENIED",
            404 => "NOT_FOUND",
            429 => "RESOURCE_EXHAUSTED",
            503 => "UNAVAILABLE",
            500.. => "INTERNAL",
            _ => "INVALID_ARGUMENT",
        };
        error(status, name, words, json!([]))
    }
}

/// An id that says by itself what was sent: the sandbox keeps no requests.
fn request_id(trace: &str, main: &Map<String, Value>, events: usize) -> String {
    let destinations = main.get("destinations").and_then(Value::as_array).into_iter().flatten();
    let actions: Vec<&str> =
        destinations.filter_map(|destination| destination.get("productDestinationId")?.as_str()).collect();
    format!("{trace}.{events}.{}", actions.join("-"))
}

/// `GET /v1/requestStatus:retrieve?requestId=..`: what became of a request. All of it counts, unless a fault for the dataset
/// `requestStatus` says otherwise.
pub(crate) async fn status(State(sandbox): State<Sandbox>, request: Request<Body>) -> Response {
    let (met, answer) = judged(&sandbox, &request);
    match met {
        Some(met) => misbehave::bend(&met.kind, answer).await.sent().await,
        None => answer,
    }
}

fn judged(sandbox: &Sandbox, request: &Request<Body>) -> (Option<Met>, Response) {
    let nobody = |_: &str, _: &str| false;
    let call = Call {
        platform: Platform::GoogleDataManager,
        dataset: "requestStatus",
        body_read: true,
        holds: &nobody,
    };
    let met = sandbox.faults().meet(&call);
    let said = status_of(request);
    let answer = met.as_ref().and_then(|met| misbehave::spelled_out(&met.kind)).unwrap_or_else(|| {
        let mut response = (misbehave::status(said.0), said.1.to_string()).into_response();
        misbehave::set(&mut response, header::CONTENT_TYPE, "application/json");
        response
    });
    (met, answer)
}

fn status_of(request: &Request<Body>) -> Said {
    let bearer = request.headers().get("authorization").and_then(|value| value.to_str().ok());
    if !bearer.is_some_and(|text| text.starts_with("Bearer ya29.")) {
        return error(401, "UNAUTHENTICATED", "Request had invalid authentication credentials.", json!([]));
    }
    let id = query(request.uri(), "requestId").unwrap_or_default();
    let mut parts = id.split('.').skip(1);
    let (Some(events), Some(actions)) = (parts.next(), parts.next()) else {
        return error(404, "NOT_FOUND", "There is no such request.", json!([]));
    };
    let one = |action: &str| {
        json!({
            "destination": {"reference": action, "productDestinationId": action},
            "requestStatus": "SUCCESS",
            "eventsIngestionStatus": {"recordCount": events},
        })
    };
    Said(200, json!({"requestStatusPerDestination": actions.split('-').map(one).collect::<Vec<_>>()}))
}

fn error(status: u16, name: &str, words: &str, details: Value) -> Said {
    Said(status, json!({"error": {"code": status, "message": words, "status": name, "details": details}}))
}

fn destination(destination: Part<'_>) -> Checked {
    destination.only(&[
        "reference",
        "operatingAccount",
        "loginAccount",
        "linkedAccount",
        "productDestinationId",
    ])?;
    destination.text("reference")?;
    let action = destination.required("productDestinationId", destination.text("productDestinationId")?)?;
    let account = destination.object("operatingAccount")?;
    let mut accounts = vec![destination.required("operatingAccount", account)?];
    accounts.extend(destination.object("loginAccount")?);
    for account in accounts {
        account.word("accountType", &["GOOGLE_ADS"])?;
        let id = account.required("accountId", account.text("accountId")?)?;
        if !is_digits(id) {
            return account.must("accountId", "digits");
        }
    }
    if is_digits(action) { Ok(()) } else { destination.must("productDestinationId", "digits") }
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn consent(part: Part<'_>) -> Checked {
    let Some(consent) = part.object("consent")? else { return Ok(()) };
    consent.only(&["adUserData", "adPersonalization"])?;
    consent.word("adUserData", CONSENT)?;
    consent.word("adPersonalization", CONSENT).map(drop)
}

fn clicks(event: Part<'_>) -> Checked<usize> {
    let Some(ids) = event.object("adIdentifiers")? else { return Ok(0) };
    ids.only(&[CLICKS, &["landingPageDeviceInfo", "sessionAttributes"]].concat())?;
    let mut count = 0;
    for key in CLICKS {
        count += usize::from(ids.plain(key)?.is_some());
    }
    let both = ids.get("gbraid").is_some() && ids.get("wbraid").is_some();
    if both { Err("adIdentifiers must not hold gbraid and wbraid".to_owned()) } else { Ok(count) }
}

fn people(event: Part<'_>, main: &Map<String, Value>) -> Checked<usize> {
    let Some(user) = event.object("userData")? else { return Ok(0) };
    if main.get("encoding").is_none() {
        return Err("encoding is required beside userData".to_owned());
    }
    let people = user.objects("userIdentifiers")?;
    if !(1..=IDENTIFIERS_MAX).contains(&people.len()) {
        return Err(format!("userData.userIdentifiers must be 1 to {IDENTIFIERS_MAX}"));
    }
    for person in &people {
        person.only(&["emailAddress", "phoneNumber", "address"])?;
        if !(person.hashes("emailAddress", Shape::One)? || person.hashes("phoneNumber", Shape::One)?) {
            return Err("userData.userIdentifiers must hold something".to_owned());
        }
    }
    Ok(people.len())
}
