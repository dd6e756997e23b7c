//! `Idempotency-Key`: the same request of the same sender under the same key is done once, and its answer given again.

use crosstally_core::limits::IDEMPOTENCY_KEY_BYTES_MAX;
use crosstally_core::reason::Reason;
use crosstally_store::{BegunUnder, Claim};
use http::{HeaderValue, StatusCode};
use http_body_util::{BodyExt, Full};

use crate::answer::{Answer, body};
use crate::problem::{Fault, fault, refusal};
use crate::state::State;

/// The header.
pub(crate) const HEADER: &str = "idempotency-key";

/// A key that is this request's.
pub(crate) struct Claimed {
    key: String,
    /// What a job that the request begins is known by.
    pub(crate) under: BegunUnder,
}

/// Takes a key for a request of this content.
///
/// # Errors
/// The answer: the one that was given before, or why there is none.
pub(crate) async fn claim(
    state: &State,
    sender: &str,
    key: &HeaderValue,
    content: &[&[u8]],
) -> Result<Claimed, Answer> {
    let key = key.to_str().unwrap_or("");
    if key.is_empty() || key.len() > IDEMPOTENCY_KEY_BYTES_MAX {
        let detail = format!("Idempotency-Key has 1 to {IDEMPOTENCY_KEY_BYTES_MAX} printable characters");
        return Err(fault(Fault::BadRequest, detail));
    }
    // Two senders may choose the same key; a name of a token holds no line feed.
    let key = format!("{sender}\n{key}");
    match state.engine.claim_key(&key, content).await {
        Ok(Claim::Mine) => {
            let under = state.engine.begun_under(&key, content);
            Ok(Claimed { key, under })
        }
        Ok(Claim::Running) => Err(fault(Fault::KeyInUse, "")),
        Ok(Claim::Other) => Err(fault(Fault::KeyMismatch, "")),
        Ok(Claim::Answered { status, answer }) => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
            let kind = if status.is_success() { "application/json" } else { "application/problem+json" };
            let mut answer = body(status, kind, answer);
            answer.headers_mut().insert("idempotency-replayed", HeaderValue::from_static("true"));
            Err(answer)
        }
        Err(error) => {
            tracing::error!(error = %error, "an idempotency key could not be taken");
            Err(refusal(Reason::StoreUnavailable, "", None))
        }
    }
}

impl Claimed {
    /// Keeps the answer under the key if the request is done; else the key is free again.
    pub(crate) async fn keep(self, state: &State, answer: Answer, done: bool) -> Answer {
        let status = answer.status().as_u16();
        let (parts, whole) = answer.into_parts();
        let text = whole_text(whole).await;
        state.engine.answer_key(&self.key, done.then(|| (status, text.clone()))).await;
        Answer::from_parts(parts, Full::new(text.into()))
    }
}

#[expect(clippy::disallowed_methods, reason = "our own answer, whole and in memory")]
async fn whole_text(whole: Full<bytes::Bytes>) -> String {
    let bytes = whole.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}
