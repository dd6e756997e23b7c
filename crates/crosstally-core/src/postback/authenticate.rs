//! Step: is the call the partner's own? Everything that the partner's `auth` names must be satisfied.

use crate::config::TokenPlace;
use crate::contract::Contract;
use crate::fields::{FIELDS, TOKEN_PARAMS};
use crate::params::Params;
use crate::postback::Inbound;
use crate::postback::parse::printable;
use crate::postback::signature::{Signed, Signing, canonical};
use crate::reason::Reason;
use crate::secret::Secret;
use crate::time::Timestamp;
use crate::verdict::Stop;

/// What the partner must show, with its secrets at hand.
#[derive(Debug, Clone, Default)]
pub struct Guards {
    /// The shared token.
    pub token: Option<Secret>,
    /// Where the token may stand; `None` means anywhere.
    pub token_in: Option<Vec<TokenPlace>>,
    /// The scheme and the secrets of the signature.
    pub signing: Option<Signing>,
    /// The addresses it may call from; empty means any.
    pub allow: Vec<ipnet::IpNet>,
}

/// What a call has shown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shown {
    /// Where its token stood, if one was asked for.
    pub token: Option<TokenPlace>,
    /// Its signature, if one was asked for.
    pub signed: Option<Signed>,
}

/// Checks a call.
///
/// # Errors
/// The first guard that is not satisfied.
pub fn check(inbound: &Inbound, params: &Params, guards: &Guards, now: Timestamp) -> Result<Shown, Stop> {
    if !guards.allow.is_empty() {
        // An IPv4 address inside IPv6 is the IPv4 address.
        let peer = inbound.peer.map(|peer| peer.to_canonical());
        if !peer.is_some_and(|peer| guards.allow.iter().any(|range| range.contains(&peer))) {
            return Err(Stop::refused(
                Reason::AddressNotAllowed,
                "the sender's address is not in the partner's list",
            ));
        }
    }
    let token = match &guards.token {
        Some(token) => Some(check_token(inbound, params, guards, token)?),
        None => None,
    };
    let signed = match &guards.signing {
        Some(signing) => Some(signing.check(inbound, now)?),
        None => None,
    };
    Ok(Shown { token, signed })
}

fn check_token(
    inbound: &Inbound,
    params: &Params,
    guards: &Guards,
    token: &Secret,
) -> Result<TokenPlace, Stop> {
    let takes = |place| guards.token_in.as_ref().is_none_or(|places| places.contains(&place));
    let bearer = inbound
        .header("authorization")
        .split_once(' ')
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, shown)| shown.trim());
    let header = inbound.headers.get("x-crosstally-token").filter(|token| !token.is_empty());
    let in_header =
        bearer.or(header).filter(|_| takes(TokenPlace::Header)).map(|shown| (shown, TokenPlace::Header));
    let in_params = TOKEN_PARAMS.iter().find_map(|name| params.get_ignoring_case(name));
    let in_query = in_params.filter(|_| takes(TokenPlace::Query)).map(|shown| (shown, TokenPlace::Query));
    match in_header.or(in_query).filter(|(shown, _)| !shown.is_empty()) {
        None if !takes(TokenPlace::Query) => Err(Stop::refused(
            Reason::TokenMissing,
            "send the token as `Authorization: Bearer`; as a parameter it is not taken from this partner",
        )),
        None => Err(Stop::refused(
            Reason::TokenMissing,
            "send the token as `Authorization: Bearer` or as `token`",
        )),
        Some((shown, place)) if token.matches(shown) => Ok(place),
        Some(_) => Err(Stop::refused(Reason::TokenWrong, "the token is not the partner's")),
    }
}

/// Makes sure that nothing is read from a query that the signature does not cover: whoever has seen one signed call could
/// else send it again with another amount behind its URL.
///
/// # Errors
/// The query names a field.
pub fn check_unsigned(inbound: &Inbound, guards: &Guards, contract: &Contract) -> Result<(), Stop> {
    if inbound.query.is_empty()
        || guards.signing.as_ref().is_none_or(|signing| signing.scheme().signs_query())
    {
        return Ok(());
    }
    let is = |one: &str, other: &str| one.eq_ignore_ascii_case(other);
    let is_read = |name: &str| {
        !TOKEN_PARAMS.iter().any(|token| is(token, name))
            && (contract.taken().any(|taken| is(taken, name))
                || FIELDS.iter().any(|field| field.accepted.iter().any(|accepted| is(accepted, name))))
    };
    match canonical::names(&inbound.query).find(|name| is_read(name)) {
        None => Ok(()),
        Some(name) => Err(Stop::refused(
            Reason::SignatureWrong,
            format!("the signature covers the body only; take {} out of the URL", printable(&name)),
        )),
    }
}
