//! Who is asking, and may they?

use crosstally_engine::access::Allowed;
use http::{HeaderMap, header};

use crate::answer::Answer;
use crate::problem::{Fault, fault};
use crate::state::State;

/// Lets nobody near a route of the API, its parameters and its body, who shows no valid token; what the token allows is
/// the route's own question.
pub(crate) async fn signed_in(
    axum::extract::State(state): axum::extract::State<State>,
    request: axum::extract::Request,
    next: axum::middleware::Next,
) -> axum::response::Response {
    use axum::response::IntoResponse as _;
    match state.engine.check_token(shown(request.headers()), "read").await {
        Ok(Allowed::Yes(_) | Allowed::Forbidden) => next.run(request).await,
        Ok(Allowed::NotSignedIn) => fault(Fault::NotSignedIn, "").into_response(),
        Err(error) => {
            tracing::error!(error = %error, "a token could not be checked");
            fault(Fault::Internal, "").into_response()
        }
    }
}

fn shown(headers: &HeaderMap) -> Option<&str> {
    headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim())
}

/// The name of the token that allows this scope.
///
/// # Errors
/// The answer to give instead.
pub(crate) async fn require(state: &State, headers: &HeaderMap, scope: &str) -> Result<String, Answer> {
    match state.engine.check_token(shown(headers), scope).await {
        Ok(Allowed::Yes(name)) => Ok(name),
        Ok(Allowed::NotSignedIn) => Err(fault(Fault::NotSignedIn, "")),
        Ok(Allowed::Forbidden) => Err(fault(Fault::Forbidden, format!("this needs the scope `{scope}`"))),
        Err(error) => {
            tracing::error!(error = %error, "a token could not be checked");
            Err(fault(Fault::Internal, ""))
        }
    }
}
