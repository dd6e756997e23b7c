//! The registry of problems (RFC 9457): which status each reason and each fault of a request gets.

use crosstally_core::ids::ReceiptId;
use crosstally_core::reason::Reason;
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;

use crate::answer::{Answer, body};

/// A problem as it is answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    #[serde(rename = "type")]
    kind: String,
    title: String,
    status: u16,
    detail: String,
    code: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    receipt: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<FieldProblem>,
}

/// One mistake among several.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldProblem {
    /// Where: a line of a document, a field.
    pub at: String,
    /// What is wrong.
    pub problem: String,
    /// How to mend it.
    pub fix: String,
}

/// Faults of a request that are not reasons of the catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// No such route.
    NoRoute,
    /// Nothing is stored under this id.
    NotFound,
    /// No token, or not a good one.
    NotSignedIn,
    /// The token may not do this.
    Forbidden,
    /// The request cannot be read.
    BadRequest,
    /// The document has mistakes.
    InvalidConfig,
    /// Somebody else changed it meanwhile.
    Conflict,
    /// The first request under an idempotency key is still being worked on.
    KeyInUse,
    /// An idempotency key was used for another request.
    KeyMismatch,
    /// The body did not arrive in time.
    BodyTimeout,
    /// Something failed inside; the details are in the log.
    Internal,
}

impl Fault {
    /// All faults.
    pub const ALL: [Self; 11] = [
        Self::NoRoute,
        Self::NotFound,
        Self::NotSignedIn,
        Self::Forbidden,
        Self::BadRequest,
        Self::InvalidConfig,
        Self::Conflict,
        Self::KeyInUse,
        Self::KeyMismatch,
        Self::BodyTimeout,
        Self::Internal,
    ];

    const fn about(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::NoRoute => (StatusCode::NOT_FOUND, "no_route", "There is nothing at this address."),
            Self::NotFound => (StatusCode::NOT_FOUND, "not_found", "Nothing is known under this id."),
            Self::NotSignedIn => {
                (StatusCode::UNAUTHORIZED, "not_signed_in", "Show a good token as `Authorization: Bearer`.")
            }
            Self::Forbidden => (StatusCode::FORBIDDEN, "forbidden", "The token may not do this."),
            Self::BadRequest => (StatusCode::BAD_REQUEST, "bad_request", "The request cannot be read."),
            Self::InvalidConfig => (
                StatusCode::BAD_REQUEST,
                "invalid_config",
                "The configuration has mistakes; nothing was changed.",
            ),
            Self::Conflict => (StatusCode::CONFLICT, "conflict", "Somebody else changed it meanwhile."),
            Self::KeyInUse => (
                StatusCode::CONFLICT,
                "idempotency_key_in_use",
                "The first request under this Idempotency-Key is still being worked on; try again soon.",
            ),
            Self::KeyMismatch => (
                StatusCode::UNPROCESSABLE_ENTITY,
                "idempotency_key_mismatch",
                "This Idempotency-Key was used for another request; use a new key per request.",
            ),
            Self::BodyTimeout => {
                (StatusCode::REQUEST_TIMEOUT, "body_timeout", "The body did not arrive in time.")
            }
            Self::Internal => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "internal",
                "Something failed inside; the log has the details.",
            ),
        }
    }
}

/// The status that a refusal with this reason gets.
#[must_use]
pub const fn status_of(reason: Reason) -> StatusCode {
    match reason {
        Reason::UnknownPartner | Reason::UnknownCampaign | Reason::UnknownOffer => StatusCode::NOT_FOUND,
        Reason::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        Reason::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Reason::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Reason::TokenMissing | Reason::TokenWrong | Reason::SignatureMissing | Reason::SignatureWrong => {
            StatusCode::UNAUTHORIZED
        }
        Reason::AddressNotAllowed | Reason::OriginNotAllowed | Reason::Erased => StatusCode::FORBIDDEN,
        Reason::TooManyRequests => StatusCode::TOO_MANY_REQUESTS,
        Reason::StoreUnavailable => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::BAD_REQUEST,
    }
}

/// A refusal.
pub(crate) fn refusal(reason: Reason, detail: &str, receipt: Option<ReceiptId>) -> Answer {
    let status = status_of(reason);
    let about = reason.about();
    let detail = if detail.is_empty() { about.sentence } else { detail };
    answer(
        status,
        Problem {
            kind: format!("urn:crosstally:reason:{}", about.code),
            title: about.sentence.into(),
            status: status.as_u16(),
            detail: detail.into(),
            code: about.code.into(),
            result: Some("refused"),
            receipt: receipt.map(|receipt| receipt.to_string()),
            errors: Vec::new(),
        },
    )
}

/// A fault of the request.
pub(crate) fn fault(fault: Fault, detail: impl Into<String>) -> Answer {
    faults(fault, detail, Vec::new())
}

/// A fault of the request with all its mistakes.
pub(crate) fn faults(fault: Fault, detail: impl Into<String>, errors: Vec<FieldProblem>) -> Answer {
    let (status, code, title) = fault.about();
    let mut detail = detail.into();
    if detail.is_empty() {
        title.clone_into(&mut detail);
    }
    answer(
        status,
        Problem {
            kind: format!("urn:crosstally:problem:{code}"),
            title: title.into(),
            status: status.as_u16(),
            detail,
            code: code.into(),
            result: None,
            receipt: None,
            errors,
        },
    )
}

fn answer(status: StatusCode, problem: Problem) -> Answer {
    let text = serde_json::to_vec(&problem).expect("a problem always serialises");
    let mut answer = body(status, "application/problem+json", text);
    let headers = answer.headers_mut();
    match status {
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
        }
        StatusCode::UNAUTHORIZED => {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        StatusCode::METHOD_NOT_ALLOWED => {
            headers.insert(header::ALLOW, HeaderValue::from_static("GET, POST"));
        }
        _ => {}
    }
    answer
}
