//! Signing in where a platform wants a short-lived access token: asked for when the first call needs it, kept in memory
//! until shortly before it expires, never stored. What to ask and what the answer means is the dialect's business.

use crosstally_core::secret::Secret;
use crosstally_core::time::{MINUTE_MS, Timestamp};
use crosstally_destinations::dialect::{ACCESS_TOKEN, AccessToken, Reading, Request, Response, Settings};
use tokio::sync::Mutex;

use super::outcomes;
use crate::http_out::SendError;
use crate::snapshot::ReadyDestination;

/// How long before its end a token is not used any more: a call may take a while.
const SPARE_MS: i64 = MINUTE_MS;

/// The access token of one destination on this node.
#[derive(Debug, Default)]
pub(crate) struct SignIn(Mutex<Option<Held>>);

#[derive(Debug)]
struct Held {
    token: Secret,
    until: Timestamp,
    /// The settings that it was made from.
    digest: String,
}

/// A sign-in that came to nothing.
pub(crate) struct NotSignedIn {
    pub(crate) request: Request,
    pub(crate) answer: Result<Response, SendError>,
    pub(crate) reading: Reading,
}

impl NotSignedIn {
    /// Without the body of what is no refusal: it could hold a token that was not understood.
    pub(crate) fn without_tokens(self) -> Self {
        let answer = self.answer.map(|response| match response.status {
            0..300 => Response { body: Vec::new(), ..response },
            _ => response,
        });
        Self { answer, ..self }
    }
}

impl SignIn {
    /// The settings with an access token among the secrets; `None` if they are complete without one. Whoever comes
    /// while a token is being asked for waits for it.
    pub(crate) async fn settings<F>(
        &self,
        ready: &ReadyDestination,
        now: impl Fn() -> Timestamp,
        send: impl FnOnce(Request) -> F,
    ) -> Result<Option<Settings>, Box<NotSignedIn>>
    where
        F: Future<Output = Result<Response, SendError>>,
    {
        let Some(request) = ready.dialect.sign_in(&ready.settings) else { return Ok(None) };
        let mut held = self.0.lock().await;
        if let Some(known) = held.as_ref().filter(|held| held.digest == ready.digest && now() < held.until) {
            return Ok(Some(with_token(&ready.settings, known.token.clone())));
        }
        *held = None;
        let answer = send(request.clone()).await;
        let read = match &answer {
            Ok(response) => ready.dialect.signed_in(&ready.settings, response, now()),
            Err(error) => Err(Reading::whole(outcomes::without_answer(error), error.detail.clone())),
        };
        match read {
            Ok(AccessToken { token, valid_ms }) => {
                let settings = with_token(&ready.settings, token.clone());
                let until = now().plus_millis(valid_ms - SPARE_MS);
                *held = Some(Held { token, until, digest: ready.digest.clone() });
                Ok(Some(settings))
            }
            Err(reading) => Err(Box::new(NotSignedIn { request, answer, reading })),
        }
    }

    /// The platform refused the token: the next call asks for another one.
    pub(crate) async fn forget(&self) {
        *self.0.lock().await = None;
    }
}

fn with_token(settings: &Settings, token: Secret) -> Settings {
    let mut settings = settings.clone();
    settings.secrets.insert(ACCESS_TOKEN.to_owned(), token);
    settings
}

#[cfg(test)]
mod tests {
    use crosstally_core::delivery::Outcome;
    use crosstally_core::reason::Reason;

    use super::*;

    #[test]
    fn a_sign_in_that_was_not_understood_keeps_no_body() {
        for (status, expected) in [(200, ""), (299, ""), (302, "tok"), (400, "tok")] {
            let request = Request {
                method: "POST",
                url: String::new().into(),
                headers: Vec::new(),
                body: Vec::new(),
                body_shown: Vec::new(),
                secrets: Vec::new(),
            };
            let answer = Ok(Response { status, body: b"tok".to_vec(), ..Response::default() });
            let retry = Outcome::Retry { reason: Reason::DestUnreadable, after_ms: None };
            let failed = NotSignedIn { request, answer, reading: Reading::whole(retry, "") };
            let answer = failed.without_tokens().answer.expect("an answer");
            assert_eq!((answer.status, answer.body.as_slice()), (status, expected.as_bytes()));
        }
    }
}
