//! All routes on one page.

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{MethodRouter, any, delete, get, post};

use crate::edge::{self, Edge};
use crate::ga4::Ga4;
use crate::google_ads::GoogleAds;
use crate::google_data_manager::{self, GoogleDataManager};
use crate::linkedin::Linkedin;
use crate::microsoft::Microsoft;
use crate::openai::Openai;
use crate::pinterest::Pinterest;
use crate::reddit::Reddit;
use crate::snapchat::Snapchat;
use crate::state::Sandbox;
use crate::tiktok::Tiktok;
use crate::webhook::Webhook;
use crate::x::X;
use crate::{hostile, inspect, meta, partner, shop};

/// The routes of all platforms, and those to look into the sandbox. See the crate's documentation.
///
/// Faults that break the connection need [`serve`](crate::serve).
pub fn router(sandbox: Sandbox) -> Router {
    let inspection = Router::new()
        .route("/", get(inspect::index).delete(inspect::clear))
        .route("/events", get(inspect::events))
        .route("/duplicates", get(inspect::duplicates))
        .route("/refused", get(inspect::refused))
        .route("/stats", get(inspect::stats))
        .route("/faults", get(inspect::faults).post(inspect::post_faults).delete(inspect::clear_faults))
        .route("/faults/{id}", delete(inspect::delete_fault))
        .fallback(inspect::not_found)
        .method_not_allowed_fallback(inspect::method_not_allowed);

    Router::new()
        .nest("/_sandbox", inspection)
        .route("/_sandbox/", get(inspect::index).delete(inspect::clear))
        // Meta
        .route("/{version}/{dataset}/events", post(meta::events).fallback(meta::unsupported))
        .route("/tr", get(meta::hit).post(meta::hit))
        .route("/tr/", get(meta::hit).post(meta::hit))
        .route("/open_api/v1.3/event/track/", edge(&Tiktok))
        .route("/v3/{asset}/events", edge(&Snapchat))
        .route("/v5/ad_accounts/{account}/events", edge(&Pinterest))
        .route("/api/v3/pixels/{pixel}/conversion_events", edge(&Reddit))
        .route("/v1/{tag}/events", edge(&Microsoft))
        .route("/v1/events", edge(&Openai))
        // Google
        .route("/v1/events:ingest", edge(&GoogleDataManager))
        .route("/{version}/customers/{call}", edge(&GoogleAds))
        .route("/v1/requestStatus:retrieve", get(google_data_manager::status))
        .route("/token", post(google_data_manager::token))
        .route("/mp/collect", edge(&Ga4 { debug: false }))
        .route("/debug/mp/collect", edge(&Ga4 { debug: true }))
        // LinkedIn
        .route("/rest/conversionEvents", edge(&Linkedin))
        // X
        .route("/12/measurement/conversions/{pixel}", edge(&X))
        // Webhooks
        .route("/webhook/{receiver}", edge(&Webhook))
        // Partners and traffic sources
        .route("/partner/{*call}", get(partner::call).post(partner::call))
        // Peers that keep no rules
        .route("/shop/{campaign}", get(shop::page))
        .route("/hostile", get(hostile::index))
        .route("/hostile/{kind}", any(hostile::play))
        .fallback(meta::unknown_path)
        // Each route caps its own body.
        .layer(DefaultBodyLimit::disable())
        .with_state(sandbox)
}

/// The route of a platform's events edge.
fn edge(edge: &'static dyn Edge) -> MethodRouter<Sandbox> {
    post(move |sandbox, request| edge::play(edge, sandbox, request))
}
