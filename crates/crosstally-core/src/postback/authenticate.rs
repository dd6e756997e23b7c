//! Step: is the call the partner's own? Everything that the partner's `auth` names must be satisfied.

use subtle::ConstantTimeEq;

use crate::fields::TOKEN_PARAMS;
use crate::params::Params;
use crate::postback::Inbound;
use crate::postback::signature::signature;
use crate::reason::Reason;
use crate::secret::Secret;
use crate::time::{MINUTE_MS, Timestamp};
use crate::verdict::Stop;

/// How far a signature's timestamp may be off, either way.
pub const TOLERANCE_MS: i64 = 5 * MINUTE_MS;

/// What the partner must show, with its secrets at hand.
#[derive(Debug, Clone, Default)]
pub struct Guards {
    /// The shared token.
    pub token: Option<Secret>,
    /// The secret of the signature.
    pub hmac: Option<Secret>,
    /// The addresses it may call from; empty means any.
    pub allow: Vec<ipnet::IpNet>,
}

/// Checks a call.
///
/// # Errors
/// The first guard that is not satisfied.
pub fn check(inbound: &Inbound, params: &Params, guards: &Guards, now: Timestamp) -> Result<(), Stop> {
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
    if let Some(token) = &guards.token {
        check_token(inbound, params, token)?;
    }
    if let Some(secret) = &guards.hmac {
        check_signature(inbound, secret, now)?;
    }
    Ok(())
}

fn check_token(inbound: &Inbound, params: &Params, token: &Secret) -> Result<(), Stop> {
    let bearer = inbound
        .header("authorization")
        .split_once(' ')
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, shown)| shown.trim());
    let header = inbound.headers.get("x-crosstally-token").filter(|token| !token.is_empty());
    let in_params = TOKEN_PARAMS.iter().find_map(|name| params.get_ignoring_case(name));
    match bearer.or(header).or(in_params).filter(|shown| !shown.is_empty()) {
        None => Err(Stop::refused(
            Reason::TokenMissing,
            "send the token as `Authorization: Bearer` or as `token`",
        )),
        Some(shown) if token.matches(shown) => Ok(()),
        Some(_) => Err(Stop::refused(Reason::TokenWrong, "the token is not the partner's")),
    }
}

fn check_signature(inbound: &Inbound, secret: &Secret, now: Timestamp) -> Result<(), Stop> {
    let (stamp, shown) = (inbound.header("x-crosstally-timestamp"), inbound.header("x-crosstally-signature"));
    if shown.is_empty() || stamp.is_empty() {
        return Err(Stop::refused(
            Reason::SignatureMissing,
            "send `X-Crosstally-Timestamp` and `X-Crosstally-Signature`",
        ));
    }
    let off = Timestamp::parse(stamp).map(|at| now.millis_since(at).abs());
    if off.is_none_or(|off| off > TOLERANCE_MS) {
        return Err(Stop::refused(Reason::SignatureWrong, "the timestamp is more than five minutes off"));
    }
    let expected = signature(secret, stamp, &inbound.method, &inbound.query, &inbound.body);
    let shown = shown.trim().trim_start_matches("v1=").to_ascii_lowercase();
    if expected.as_bytes().ct_eq(shown.as_bytes()).into() {
        Ok(())
    } else {
        Err(Stop::refused(Reason::SignatureWrong, "the signature does not fit the call"))
    }
}
