//! Other trackers' endpoints: found by path and parameters, answered as their senders expect.

use std::net::IpAddr;

use crosstally_core::drop_in::{self, Dialect, Outcome};
use crosstally_core::params::Params;
use crosstally_engine::postback::Received;
use http::{Request, StatusCode, Uri};
use hyper::body::Body;

use super::postback;
use super::postback::answer::tell;
use crate::answer::{Answer, body, text};
use crate::state::State;

/// The parameter by which Keitaro's senders say what they want to read.
const RETURN_PARAM: &str = "return";

/// An endpoint of another tracker, and the partner that calls it.
pub(crate) struct Endpoint {
    dialect: Dialect,
    partner: String,
    wanted: Option<String>,
}

/// The endpoint that a call asks for, if a partner has it.
pub(crate) fn find(state: &State, uri: &Uri) -> Option<Endpoint> {
    let query = uri.query().unwrap_or("");
    let snapshot = state.engine.snapshot.load();
    let (dialect, partner) = snapshot.drop_in_called(uri.path(), query)?;
    let params = Params::parse(query.as_bytes()).unwrap_or_default();
    let wanted = params.get(RETURN_PARAM).map(str::to_owned);
    Some(Endpoint { dialect, partner: partner.slug.clone(), wanted })
}

/// Receives the call as the partner's, and answers in the dialect.
pub(crate) async fn handle<B>(state: &State, endpoint: Endpoint, request: Request<B>, peer: IpAddr) -> Answer
where
    B: Body<Data: Send> + Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    match postback::receive(state, &endpoint.partner, request, peer).await {
        Ok(received) => reply(&endpoint, &received),
        Err(answer) => *answer,
    }
}

fn reply(endpoint: &Endpoint, received: &Received) -> Answer {
    // Whoever is not booked is never told that all is well: only a retry can help.
    let [row] = received.rows.as_slice() else { return tell(received) };
    if row.must_come_again() {
        return tell(received);
    }
    let outcome = Outcome {
        verdict: row.verdict,
        reason: row.reason,
        detail: &row.detail,
        wanted: endpoint.wanted.as_deref(),
    };
    let Some(reply) = drop_in::reply(endpoint.dialect, &outcome) else { return tell(received) };
    let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::OK);
    if reply.is_json { body(status, "application/json", reply.text) } else { text(status, reply.text) }
}
