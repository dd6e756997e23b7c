//! What the Google Ads API's answers mean. Decided by its error codes and the places that they name, never by its words.
//!
//! A trouble of this API alone never stops the destination: conversions go elsewhere. Adjustments wait each for itself.

use crosstally_core::delivery::Outcome;
use crosstally_core::reason::Reason;
use crosstally_core::time::{HOUR_MS, MINUTE_MS, Timestamp};
use serde_json::{Map, Value};

use super::super::config;
use super::super::response::retry_delay_ms;
use crate::answer::{
    by_status, is_redirect, is_success, object, only_checked, pause, redirected, retry, retry_after_ms, shown,
};
use crate::dialect::{BatchOutcome, Reading, Request, Response, Settings};

/// How long an adjustment waits for somebody to change something, or for Google to have processed its conversion.
const WAIT_MS: i64 = HOUR_MS;
const ALREADY_RETRACTED: &str = "CONVERSION_ALREADY_RETRACTED";

/// Reads an answer to a request that carried `sent` adjustments.
pub(crate) fn read(
    settings: &Settings,
    request: &Request,
    response: &Response,
    sent: usize,
    now: Timestamp,
) -> Reading {
    let json = object(response);
    let reading = match &json {
        _ if is_redirect(response.status) => redirected(settings, response),
        Some(json) if is_success(response.status) => taken(settings, request, json, sent),
        _ => refused(settings, response, json.as_ref(), sent, now),
    };
    only_checked(each_for_itself(reading, sent), config::validates_only(settings))
}

/// What has to wait waits alone, and asks nobody else to.
fn each_for_itself(reading: Reading, sent: usize) -> Reading {
    let outcome = match reading.outcome {
        BatchOutcome::Whole(outcome @ Outcome::Retry { .. }) => BatchOutcome::Each(vec![outcome; sent]),
        other => other,
    };
    Reading { outcome, slow_down_ms: None, ..reading }
}

/// Whatever is named is judged by its code. The others are taken; they are worked on within a day.
fn taken(settings: &Settings, request: &Request, json: &Map<String, Value>, sent: usize) -> Reading {
    let failure = json.get("partialFailureError");
    let errors: Vec<Error<'_>> = failure.into_iter().flat_map(errors).collect();
    if failure.is_some() && errors.iter().all(|error| error.at.is_none_or(|at| at >= sent)) {
        let detail = shown(settings, &format!("no place is named: {}", words(&errors)));
        return Reading::whole(retry(Reason::DestUnreadable, None), detail);
    }
    let sent_again = errors.iter().any(|error| error.code == ALREADY_RETRACTED);
    let body: Value = match sent_again {
        true => serde_json::from_slice(&request.body).unwrap_or_default(),
        false => Value::Null,
    };
    let outcome = |at: usize| {
        let own = errors.iter().filter(|error| error.at == Some(at));
        let outcomes = own.map(|error| meaning(error.code, is_retraction(&body, at)));
        // Of several the worst: a second error is no reason to try again.
        outcomes.max_by_key(rank).unwrap_or(Outcome::Unverified)
    };
    let detail = match errors.len() {
        0 => "taken; Google works on it within a day".to_owned(),
        _ => words(&errors),
    };
    let outcome = BatchOutcome::Each((0..sent).map(outcome).collect());
    Reading { outcome, detail: shown(settings, &detail), slow_down_ms: None }
}

const fn rank(outcome: &Outcome) -> u8 {
    match outcome {
        Outcome::Delivered | Outcome::Unverified => 0,
        Outcome::Retry { .. } => 1,
        _ => 2,
    }
}

/// What an error of one adjustment comes to.
fn meaning(code: &str, is_retraction: bool) -> Outcome {
    let held = retry(Reason::AdjustmentsHeld, Some(WAIT_MS));
    match code {
        // It was told before; the answer was lost, or somebody else did it.
        ALREADY_RETRACTED if is_retraction => Outcome::Delivered,
        ALREADY_RETRACTED => Outcome::Refused { reason: Reason::RetractionStands },
        "RESTATEMENT_ALREADY_EXISTS" => Outcome::Delivered,
        "CONVERSION_NOT_FOUND" | "TOO_RECENT_CONVERSION" | "TOO_RECENT_CONVERSION_ACTION" => {
            retry(Reason::UnknownThere, Some(WAIT_MS))
        }
        "CONVERSION_EXPIRED" => Outcome::Refused { reason: Reason::EventTooOld },
        "INTERNAL_ERROR" | "TRANSIENT_ERROR" | "CONCURRENT_MODIFICATION" | "DEADLINE_EXCEEDED" => {
            retry(Reason::DestServerError, None)
        }
        "RESOURCE_EXHAUSTED" | "RESOURCE_TEMPORARILY_EXHAUSTED" => {
            retry(Reason::DestRateLimited, Some(WAIT_MS))
        }
        code if advice(code).is_some() => held,
        _ => Outcome::Refused { reason: Reason::DestRejected },
    }
}

/// What to do about an error that is about the account, the project or the user, and not about an adjustment.
fn advice(code: &str) -> Option<&'static str> {
    Some(match code {
        "CLOUD_PROJECT_NOT_APPROVED_FOR_PRODUCTION"
        | "DEVELOPER_TOKEN_NOT_APPROVED"
        | "DEVELOPER_TOKEN_NOT_ON_ALLOWLIST"
        | "DEVELOPER_TOKEN_PROHIBITED"
        | "PROJECT_DISABLED" => {
            "apply for Explorer access on the Google Ads API Overview page of the client's Cloud project"
        }
        "SERVICE_DISABLED" => "enable the Google Ads API in the client's Cloud project",
        "ACCESS_TOKEN_SCOPE_INSUFFICIENT" => {
            "make the refresh token anew with the scope https://www.googleapis.com/auth/adwords besides"
        }
        "USER_PERMISSION_DENIED" | "NOT_ADS_USER" | "CUSTOMER_NOT_FOUND" => {
            "give the user access to the account, or set login_account_id to the manager through which it has it"
        }
        "CUSTOMER_NOT_ENABLED" | "ACTION_NOT_PERMITTED_FOR_SUSPENDED_ACCOUNT" => {
            "the account is not active; see Google Ads"
        }
        "CUSTOMER_NOT_ACCEPTED_CUSTOMER_DATA_TERMS" => {
            "accept the customer data terms in the conversion settings of Google Ads"
        }
        "UNSUPPORTED_VERSION" => "set ads_api_version to one that lives",
        "CUSTOMER_NOT_ALLOWLISTED_FOR_THIS_FEATURE" | "AUTHORIZATION_ERROR" | "ACTION_NOT_PERMITTED" => {
            "this project may not adjust; set retractions = false to restate by the Data Manager API"
        }
        _ => return None,
    })
}

/// Nothing of the request was taken.
fn refused(
    settings: &Settings,
    response: &Response,
    json: Option<&Map<String, Value>>,
    sent: usize,
    now: Timestamp,
) -> Reading {
    let error = json.and_then(|json| json.get("error"));
    let errors: Vec<Error<'_>> = error.into_iter().flat_map(errors).collect();
    let said = match errors.len() {
        0 => error.and_then(|error| error.get("message")?.as_str()).unwrap_or_default().to_owned(),
        _ => words(&errors),
    };
    match response.status {
        // The token is that of conversions, too.
        401 if errors.iter().all(|error| advice(error.code).is_none()) => {
            pause(Reason::DestAuth, shown(settings, &format!("401: {said}")))
        }
        401 | 403 | 404 => held(settings, response.status, &said, &errors),
        400 if errors.iter().any(|error| advice(error.code).is_some()) => held(settings, 400, &said, &errors),
        400 if errors.iter().any(|error| error.at.is_some_and(|at| at < sent)) => {
            let outcome = |at: usize| match errors.iter().find(|error| error.at == Some(at)) {
                Some(error) => meaning(error.code, false),
                None => retry(Reason::DestPartial, None),
            };
            let outcome = BatchOutcome::Each((0..sent).map(outcome).collect());
            Reading { outcome, detail: shown(settings, &said), slow_down_ms: None }
        }
        429 => {
            let asked = retry_after_ms(response, now).or_else(|| error.and_then(quota_delay_ms));
            let wait = asked.unwrap_or(WAIT_MS).max(MINUTE_MS);
            Reading::whole(
                retry(Reason::DestRateLimited, Some(wait)),
                shown(settings, &format!("429: {said}")),
            )
        }
        _ => by_status(settings, response, retry_after_ms(response, now), error.map(|_| said.as_str())),
    }
}

/// Adjustments may not be made. What to do stands first, as a long answer is cut.
fn held(settings: &Settings, status: u16, said: &str, errors: &[Error<'_>]) -> Reading {
    let known = errors.iter().find_map(|error| advice(error.code));
    let advice = known.unwrap_or(match status {
        404 => "no such version; set ads_api_version to one that lives",
        _ => "set retractions = false to restate by the Data Manager API, or mend what it says",
    });
    let detail = shown(settings, &format!("{advice} ({status}: {said})"));
    Reading::whole(retry(Reason::AdjustmentsHeld, Some(WAIT_MS)), detail)
}

/// One error, as Google tells it.
struct Error<'a> {
    /// `CONVERSION_NOT_FOUND`, whatever kind of error it is.
    code: &'a str,
    message: &'a str,
    /// The adjustment's place in the request.
    at: Option<usize>,
}

/// The errors of a status: those of the API, and those of Google's front door, which has words of its own.
fn errors(status: &Value) -> Vec<Error<'_>> {
    let details = status.get("details").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let lists = details.iter().filter_map(|detail| detail.get("errors")?.as_array());
    let own = lists.flatten().map(|error| {
        let kinds = error.get("errorCode").and_then(Value::as_object);
        let code = kinds.and_then(|kinds| kinds.values().find_map(Value::as_str)).unwrap_or_default();
        let message = error.get("message").and_then(Value::as_str).unwrap_or_default();
        Error { code, message, at: place(error) }
    });
    let door = details.iter().filter_map(|detail| {
        let code = detail.get("reason")?.as_str()?;
        Some(Error { code, message: "", at: None })
    });
    own.chain(door).collect()
}

fn place(error: &Value) -> Option<usize> {
    let path = error.pointer("/location/fieldPathElements")?.as_array()?;
    let named = path.iter().find(|element| {
        element
            .get("fieldName")
            .and_then(Value::as_str)
            .is_some_and(|name| matches!(name, "conversion_adjustments" | "conversionAdjustments"))
    })?;
    // A zero may be left out.
    match named.get("index") {
        None => Some(0),
        Some(Value::String(text)) => text.parse().ok(),
        Some(index) => usize::try_from(index.as_u64()?).ok(),
    }
}

fn words(errors: &[Error<'_>]) -> String {
    let each = errors.iter().map(|error| {
        let at = error.at.map(|at| format!("[{at}] ")).unwrap_or_default();
        format!("{at}{} {}", error.code, error.message)
    });
    each.collect::<Vec<_>>().join("; ")
}

/// `"quotaErrorDetails": {"retryDelay": "30s"}`, or `RetryInfo` beside it.
fn quota_delay_ms(error: &Value) -> Option<i64> {
    let details = error.get("details")?.as_array()?;
    let quotas = details.iter().filter_map(|detail| detail.get("errors")?.as_array()).flatten();
    let quotas: Vec<Value> =
        quotas.filter_map(|error| error.pointer("/details/quotaErrorDetails").cloned()).collect();
    retry_delay_ms(&quotas).or_else(|| retry_delay_ms(details))
}

/// Whether the adjustment at this place of a request's body is a retraction.
fn is_retraction(body: &Value, at: usize) -> bool {
    body.pointer(&format!("/conversionAdjustments/{at}/adjustmentType")) == Some(&Value::from("RETRACTION"))
}
