//! The console's place until it is built.

use axum::response::IntoResponse;
use http::StatusCode;

use crate::answer::text;

/// `GET /`.
pub async fn page() -> axum::response::Response {
    let words =
        "crosstally is running. The console comes later; until then use the command line or /api/v1.\n";
    text(StatusCode::OK, words).into_response()
}
