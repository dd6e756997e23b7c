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
