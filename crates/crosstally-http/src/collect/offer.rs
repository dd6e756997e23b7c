//! `GET /o/{offer}`: from a lander to an offer.

use std::net::IpAddr;

use http::Request;

use super::click;
use crate::answer::Answer;
use crate::state::State;

/// Keeps the step and redirects.
pub(crate) async fn handle<B>(state: &State, offer: &str, request: &Request<B>, peer: IpAddr) -> Answer {
    if let Some(answer) = click::second_page(state, request) {
        return answer;
    }
    click::answer(state.engine.capture_step(click::input(state, offer, request, peer)).await)
}
