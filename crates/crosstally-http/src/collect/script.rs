//! `GET /t.js`: the browser script, the same for everybody, cached by what it is.

use std::sync::LazyLock;

use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use http_body_util::Full;
use sha2::{Digest, Sha256};

use crate::answer::Answer;

/// An hour, and for a week the old one while the new one is on its way.
const CACHE: &str = "public, max-age=3600, stale-while-revalidate=604800";

static ETAG: LazyLock<String> = LazyLock::new(|| {
    let digest = Sha256::digest(crosstally_ui::SCRIPT);
    let short: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    format!("\"{short}\"")
});

/// Serves it, as small as the browser reads it.
pub(crate) fn serve(asked: &HeaderMap) -> Answer {
    let text = |name: header::HeaderName| asked.get(name).and_then(|value| value.to_str().ok()).unwrap_or("");
    let etag = ETAG.as_str();
    let known = text(header::IF_NONE_MATCH).split(',').any(|tag| tag.trim().trim_start_matches("W/") == etag);
    let accepts = |coding: &str| {
        text(header::ACCEPT_ENCODING).split(',').any(|offer| {
            let mut parts = offer.split(';').map(str::trim);
            parts.next().is_some_and(|name| name.eq_ignore_ascii_case(coding))
                && parts.next().is_none_or(|weight| !matches!(weight, "q=0" | "q=0.0"))
        })
    };
    let (coding, bytes): (_, &'static [u8]) = if accepts("br") {
        (Some("br"), crosstally_ui::SCRIPT_BROTLI)
    } else if accepts("gzip") {
        (Some("gzip"), crosstally_ui::SCRIPT_GZIP)
    } else {
        (None, crosstally_ui::SCRIPT)
    };
    let mut answer = Response::new(Full::new(if known { &[][..] } else { bytes }.into()));
    *answer.status_mut() = if known { StatusCode::NOT_MODIFIED } else { StatusCode::OK };
    let headers = answer.headers_mut();
    for (name, value) in [
        (header::CACHE_CONTROL, CACHE),
        (header::VARY, "accept-encoding"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        (header::HeaderName::from_static("cross-origin-resource-policy"), "cross-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if let Ok(etag) = HeaderValue::from_str(etag) {
        headers.insert(header::ETAG, etag);
    }
    if !known {
        let kind = HeaderValue::from_static("text/javascript; charset=utf-8");
        headers.insert(header::CONTENT_TYPE, kind);
        if let Some(coding) = coding {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding));
        }
    }
    answer
}
