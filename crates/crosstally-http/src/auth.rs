//! Who is asking, and may they?

use crosstally_engine::access::Allowed;
use http::{HeaderMap, header};

use crate::answer::Answer;
use crate::problem::{Fault, fault};
use crate::state::State;

/// The name of the token that allows this scope.
///
/// # Errors
/// The answer to give instead.
pub(crate) async fn require(state: &State, headers: &HeaderMap, scope: &str) -> Result<String, Answer> {
    let token = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim());
    match state.engine.check_token(token, scope).await {
        Ok(Allowed::Yes(name)) => Ok(name),
        Ok(Allowed::NotSignedIn) => Err(fault(Fault::NotSignedIn, "")),
        Ok(Allowed::Forbidden) => Err(fault(Fault::Forbidden, format!("this needs the scope `{scope}`"))),
        Err(error) => {
            tracing::error!(error = %error, "a token could not be checked");
            Err(fault(Fault::Internal, ""))
        }
    }
}
