//! All routes, on one page.

use std::net::IpAddr;

use axum::Router;
use axum::body::Body as AxumBody;
use axum::extract::DefaultBodyLimit;
use axum::routing::{delete, get, post};
use bytes::Bytes;
use crosstally_core::reason::Reason;
use crosstally_engine::snapshot::SHEET_PATH;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use tower::ServiceExt;

use crate::answer::Answer;
use crate::problem::{Fault, fault, refusal};
use crate::state::State;
use crate::{api, collect, ops};

/// The tracking listener: the public's routes. Matched by hand, as the redirect is what the world waits for.
///
/// | route | what |
/// |---|---|
/// | `GET /c/{campaign}` | click redirect |
/// | `GET /o/{offer}` | from a lander to an offer |
/// | `GET,POST /postback/{partner}` | inbound postback |
/// | other trackers' paths | the same, in their dialect, for partners with `drop_in` |
/// | `POST /v1/events` | server events |
/// | `GET /meta/postback/conversion` | the sheet receiver: `sheet_id` names the partner |
/// | `GET /t.js`, `POST /e`, `GET /e.gif` | the browser script, its events, its image |
/// | `GET /.well-known/gpc.json` | whether Global Privacy Control is obeyed |
/// | `GET /healthz`, `GET /readyz` | liveness, readiness |
///
/// What is large is boxed: every connection holds the largest thing that may happen on it, and moves it about.
pub(crate) async fn tracking(state: &State, request: Request<Incoming>, peer: IpAddr) -> Answer {
    let path = request.uri().path();
    if let Some(campaign) = path.strip_prefix("/c/").and_then(link) {
        return match *request.method() {
            Method::GET | Method::HEAD => collect::click::handle(state, campaign, &request, peer).await,
            _ => refusal(Reason::MethodNotAllowed, "clicks come by GET", None),
        };
    }
    if let Some(offer) = path.strip_prefix("/o/").and_then(link) {
        return match *request.method() {
            Method::GET | Method::HEAD => {
                Box::pin(collect::offer::handle(state, offer, &request, peer)).await
            }
            _ => refusal(Reason::MethodNotAllowed, "steps come by GET", None),
        };
    }
    if let Some(partner) = path.strip_prefix("/postback/").and_then(segment) {
        let partner = partner.to_owned();
        return Box::pin(collect::postback::handle(state, &partner, request, peer)).await;
    }
    if path == SHEET_PATH {
        let sheet = collect::postback::sheet(request.uri());
        return Box::pin(collect::postback::handle(state, &sheet, request, peer)).await;
    }
    if path == "/v1/events" {
        return Box::pin(collect::events::handle(state, request, peer)).await;
    }
    if let Some(endpoint) = collect::drop_in::find(state, request.uri()) {
        return Box::pin(collect::drop_in::handle(state, endpoint, request, peer)).await;
    }
    match (request.method(), path) {
        (_, "/e") => Box::pin(collect::browser::tell(state, request, peer)).await,
        (_, "/e.gif") => Box::pin(collect::browser::image(state, request, peer)).await,
        (&Method::GET | &Method::HEAD, "/t.js") => collect::script::serve(request.headers()),
        (_, "/t.js") => refusal(Reason::MethodNotAllowed, "send GET", None),
        (&Method::GET | &Method::HEAD, "/.well-known/gpc.json") => ops::gpc(state),
        (&Method::GET, "/healthz") => ops::healthz(),
        (&Method::GET, "/readyz") => ops::readyz(state).await,
        (_, "/.well-known/gpc.json" | "/healthz" | "/readyz") => {
            refusal(Reason::MethodNotAllowed, "send GET", None)
        }
        _ => fault(Fault::NoRoute, ""),
    }
}

/// The same for links that people write: a slash at the end is forgiven.
fn link(rest: &str) -> Option<&str> {
    segment(rest.strip_suffix('/').unwrap_or(rest))
}

fn segment(rest: &str) -> Option<&str> {
    (!rest.is_empty() && !rest.contains('/')).then_some(rest)
}

/// The admin listener: private.
pub(crate) fn admin(state: State) -> Router {
    let v1 = Router::new()
        .route("/config", get(api::config::export))
        .route("/config/check", post(api::config::check))
        .route("/config/plan", post(api::config::plan))
        .route("/config/apply", post(api::config::apply))
        .route("/trace/{id}", get(api::trace::show))
        .route("/receipts", get(api::receipts::list))
        .route("/receipts/balance", get(api::balance::show))
        .route("/receipts/statuses", get(api::statuses::list))
        .route("/receipts/replay", post(api::replays::replay))
        .route("/receipts/{id}", get(api::receipts::show))
        .route("/receipts/{id}/revisions", get(api::revisions::list))
        .route("/postback/conversions", get(api::postback_conversions::list))
        .route("/conversions", get(api::conversions::list))
        .route("/conversions/{id}", get(api::conversions::show))
        .route("/conversions/{id}/ledger", get(api::ledger::show))
        .route("/ledger", get(api::ledger::list))
        .route("/clicks/{id}", get(api::clicks::show))
        .route("/offers", get(api::offers::list_offers))
        .route("/landers", get(api::offers::list_landers))
        .route("/hybrid", get(api::hybrid::list))
        .route("/hybrid/counts", get(api::hybrid::counts))
        .route("/redirects/loss", get(api::hybrid::loss))
        .merge(outbound())
        .route("/fields", get(api::fields::show))
        .route("/erasures", get(api::erasures::list).post(api::erasures::erase))
        .route("/erasures/{id}", get(api::erasures::show))
        .route("/evidence", get(api::evidence::matching))
        .route("/evidence/key", get(api::evidence::key))
        .route("/evidence/{id}", get(api::evidence::of))
        .route("/tools/runs", get(api::tools::list))
        .route("/tools/runs/{id}", get(api::tools::show))
        .route("/tools/runs/{id}/repeat", post(api::tools::repeat))
        .route("/tools/{group}/{verb}", post(api::tools::run))
        .route("/imports/conversions", post(api::imports::conversions))
        .route("/aliases", post(api::aliases::add))
        // The whole body is capped for all routes alike; a file of rates may take all of that.
        .route("/fx", get(api::fx::list).post(api::fx::add).layer(DefaultBodyLimit::disable()))
        .route("/fx/rerate", get(api::fx::jobs).post(api::fx::rerate))
        .route("/tokens", get(api::tokens::list).post(api::tokens::create))
        .route("/tokens/{id}", delete(api::tokens::revoke))
        .layer(axum::middleware::from_fn_with_state(state.clone(), crate::auth::signed_in));
    Router::new()
        .route("/", get(api::console::page))
        .route("/healthz", get(|| async { ops::healthz() }))
        .route("/readyz", get(|axum::extract::State(state): axum::extract::State<State>| async move { ops::readyz(&state).await }))
        .route("/metrics", get(|axum::extract::State(state): axum::extract::State<State>| async move { ops::metrics(&state) }))
        .nest("/api/v1", v1)
        .fallback(|| async { fault(Fault::NoRoute, "") })
        .method_not_allowed_fallback(|| async { refusal(Reason::MethodNotAllowed, "this route does not take this method", None) })
        .with_state(state)
}

/// What leaves: deliveries, where they go, and what tries that.
fn outbound() -> Router<State> {
    Router::new()
        .route("/deliveries", get(api::deliveries::list))
        .route("/deliveries/retry", post(api::deliveries::retry))
        .route("/deliveries/errors", get(api::delivery_errors::errors))
        .route("/deliveries/days", get(api::delivery_errors::days))
        .route("/deliveries/reconcile", get(api::reconcile::list))
        .route("/deliveries/replay", post(api::jobs::replay))
        .route("/deliveries/cancel", post(api::jobs::cancel))
        .route("/deliveries/jobs", get(api::jobs::list))
        .route("/deliveries/jobs/{id}", get(api::jobs::show))
        .route("/deliveries/jobs/{id}/{move}", post(api::jobs::change))
        .route("/deliveries/{id}", get(api::deliveries::show))
        .route("/deliveries/{id}/attempts", get(api::deliveries::attempts))
        .route("/overstated", get(api::overstated::list))
        .route("/destinations", get(api::destinations::list))
        .route("/destinations/{slug}/pause", post(api::destinations::pause))
        .route("/destinations/{slug}/resume", post(api::destinations::resume))
        .route("/capi/validate", post(api::capi::validate))
        .route("/capi/build", post(api::capi::build))
        .route("/capi/send-test", post(api::capi::send_test))
}

/// One call to the admin listener, its body capped.
#[expect(
    clippy::disallowed_methods,
    reason = "what is collected is our own answer, bounded by the page limits"
)]
pub(crate) async fn admin_call(router: Router, request: Request<Incoming>) -> Answer {
    let request =
        request.map(|body| AxumBody::new(Limited::new(body, crosstally_core::limits::ADMIN_BODY_BYTES_MAX)));
    let answer = match router.oneshot(request).await {
        Ok(answer) => answer,
        Err(never) => match never {},
    };
    let (mut parts, body) = answer.into_parts();
    // Whatever is shown here was written by strangers: no script of theirs runs, should a browser take it for a page.
    let policy =
        http::HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'; base-uri 'none'");
    parts.headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(policy);
    parts.headers.entry(header::X_CONTENT_TYPE_OPTIONS).or_insert(http::HeaderValue::from_static("nosniff"));
    // Our own answers are whole and bounded by the page limits.
    let bytes =
        body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_else(|_| Bytes::new());
    // What reads parameters and bodies for the routes answers in plain text; here every refusal is a problem document.
    let plain = parts
        .headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"text/plain"));
    if parts.status.is_client_error() && plain {
        let detail = String::from_utf8_lossy(&bytes);
        return match parts.status {
            StatusCode::PAYLOAD_TOO_LARGE => refusal(Reason::BodyTooLarge, &detail, None),
            _ => fault(Fault::BadRequest, detail),
        };
    }
    http::Response::from_parts(parts, Full::new(bytes))
}
