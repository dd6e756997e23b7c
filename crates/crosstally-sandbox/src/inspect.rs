//! Looking into the sandbox: lists, counts and faults. Translates only; the ledger and the faults do the work.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderValue, StatusCode, Uri, header};
use serde_json::{Value, json};
use url::form_urlencoded;

use crate::body::{self, Pieces};
use crate::ledger::{Row, Source};
use crate::platform::Platform;
use crate::problem::Problem;
use crate::state::Sandbox;

/// Rows in one answer, and in one without a `limit`.
const LIMIT_MAX: usize = 100_000;
/// Rows written at once.
const PIECE_ROWS: usize = 256;
/// Bytes of posted faults.
const FAULT_BYTES_MAX: usize = 1 << 20;

const FILTERS: &[&str] = &["platform", "dataset", "event_name", "event_id", "source", "limit", "after"];

/// `GET /_sandbox`
pub(crate) async fn index() -> Response {
    json_response(&json!({
        "platforms": Platform::ALL.iter().map(|platform| platform.name()).collect::<Vec<_>>(),
        "send": {
            "meta": ["POST /v26.0/{dataset}/events", "GET /tr?id={dataset}&ev={event}&eid={event_id}&dl={url}"],
            "tiktok": ["POST /open_api/v1.3/event/track/"],
            "snapchat": ["POST /v3/{asset}/events"],
            "pinterest": ["POST /v5/ad_accounts/{id}/events"],
            "reddit": ["POST /api/v3/pixels/{id}/conversion_events"],
            "microsoft": ["POST /v1/{tag}/events"],
            "openai": ["POST /v1/events?pid={pixel}"],
            "google_data_manager": ["POST /v1/events:ingest", "GET /v1/requestStatus:retrieve", "POST /token"],
            "google_ads": ["POST /v26/customers/{id}:uploadConversionAdjustments"],
            "ga4": ["POST /mp/collect", "POST /debug/mp/collect"],
            "linkedin": ["POST /rest/conversionEvents"],
            "x": ["POST /12/measurement/conversions/{pixel}"],
            "webhook": ["POST /webhook/{receiver}"],
            "partner": ["GET /partner/{name}/…", "POST /partner/{name}/…"],
        },
        "shop": "GET /shop/{campaign}",
        "hostile": "GET /hostile",
        "look": [
            "GET /_sandbox/events",
            "GET /_sandbox/duplicates",
            "GET /_sandbox/refused",
            "GET /_sandbox/stats",
            "GET, POST, DELETE /_sandbox/faults",
            "DELETE /_sandbox",
        ],
        "filters": FILTERS,
    }))
}

/// `DELETE /_sandbox`
pub(crate) async fn clear(State(sandbox): State<Sandbox>) -> StatusCode {
    sandbox.clear();
    StatusCode::NO_CONTENT
}

/// `GET /_sandbox/events`
pub(crate) async fn events(
    State(sandbox): State<Sandbox>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let filter = Filter::read(query.as_deref())?;
    let page = sandbox.ledger().accepted().page(filter.after, filter.limit, |row| filter.fits(row));
    Ok(listing(page))
}

/// `GET /_sandbox/duplicates`
pub(crate) async fn duplicates(
    State(sandbox): State<Sandbox>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let filter = Filter::read(query.as_deref())?;
    let page = sandbox.ledger().duplicates().page(filter.after, filter.limit, |row| filter.fits(row));
    Ok(listing(page))
}

/// `GET /_sandbox/refused`
pub(crate) async fn refused(
    State(sandbox): State<Sandbox>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let filter = Filter::read(query.as_deref())?;
    let page = sandbox.ledger().refused().page(filter.after, filter.limit, |row| filter.fits(row));
    Ok(listing(page))
}

/// `GET /_sandbox/stats`
pub(crate) async fn stats(State(sandbox): State<Sandbox>) -> Response {
    let mut report = sandbox.ledger().report();
    report["open_connections"] = sandbox.connections().into();
    json_response(&report)
}

/// `GET /_sandbox/faults`
pub(crate) async fn faults(State(sandbox): State<Sandbox>) -> Response {
    let list = sandbox.faults().to_json();
    json_response(&list)
}

/// `POST /_sandbox/faults`
pub(crate) async fn post_faults(State(sandbox): State<Sandbox>, body: Body) -> Result<Response, Problem> {
    let body = body::read(body, FAULT_BYTES_MAX).await.map_err(|_| {
        Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "Body too large",
            format!("At most {FAULT_BYTES_MAX} bytes, all of which must arrive."),
        )
    })?;
    let posted = serde_json::from_slice(&body)
        .map_err(|error| Problem::bad_request("Not JSON", format!("The body is not JSON: {error}.")))?;
    let added = sandbox.faults().post(posted)?;
    Ok((StatusCode::CREATED, json_response(&added)).into_response())
}

/// `DELETE /_sandbox/faults`
pub(crate) async fn clear_faults(State(sandbox): State<Sandbox>) -> StatusCode {
    sandbox.faults().clear();
    StatusCode::NO_CONTENT
}

/// `DELETE /_sandbox/faults/{id}`
pub(crate) async fn delete_fault(
    State(sandbox): State<Sandbox>,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    if sandbox.faults().remove(&id) {
        return Ok(StatusCode::NO_CONTENT);
    }
    Err(Problem::new(StatusCode::NOT_FOUND, "No such fault", "GET /_sandbox/faults lists those there are."))
}

/// Any other path below `/_sandbox`.
pub(crate) async fn not_found(uri: Uri) -> Problem {
    let detail = format!("There is nothing at {}. GET /_sandbox says what there is.", uri.path());
    Problem::new(StatusCode::NOT_FOUND, "Not found", detail)
}

/// A known path below `/_sandbox` with another verb.
pub(crate) async fn method_not_allowed() -> Problem {
    let detail = "GET /_sandbox says which verbs there are.";
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "Method not allowed", detail)
}

/// Which rows of a list are wanted.
struct Filter {
    platform: Option<String>,
    dataset: Option<String>,
    event_name: Option<String>,
    event_id: Option<String>,
    source: Option<Source>,
    limit: usize,
    after: u64,
}

impl Filter {
    fn read(query: Option<&str>) -> Result<Self, Problem> {
        let wrong =
            |detail: String| Problem::bad_request("Unknown filter", detail).with("filters", json!(FILTERS));
        let mut filter = Self {
            platform: None,
            dataset: None,
            event_name: None,
            event_id: None,
            source: None,
            limit: LIMIT_MAX,
            after: 0,
        };
        for (key, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            match key.as_ref() {
                "platform" => filter.platform = Some(value.into_owned()),
                "dataset" => filter.dataset = Some(value.into_owned()),
                "event_name" => filter.event_name = Some(value.into_owned()),
                "event_id" => filter.event_id = Some(value.into_owned()),
                "source" => {
                    let source = Source::from_name(&value);
                    filter.source =
                        Some(source.ok_or_else(|| wrong("source is browser or server.".to_owned()))?);
                }
                "limit" => match value.parse() {
                    Ok(limit @ 1..=LIMIT_MAX) => filter.limit = limit,
                    _ => return Err(wrong(format!("limit is 1 to {LIMIT_MAX}."))),
                },
                "after" => match value.parse() {
                    Ok(after) if after < u64::MAX => filter.after = after,
                    _ => return Err(wrong("after is a cursor from an earlier answer.".to_owned())),
                },
                other => return Err(wrong(format!("There is no filter called {other:?}."))),
            }
        }
        Ok(filter)
    }

    fn fits(&self, row: &impl Row) -> bool {
        let head = row.head();
        let same =
            |want: &Option<String>, have: Option<&str>| want.as_deref().is_none_or(|want| have == Some(want));
        same(&self.platform, Some(head.platform))
            && same(&self.dataset, Some(&head.dataset))
            && same(&self.event_name, head.event_name.as_deref())
            && same(&self.event_id, head.event_id.as_deref())
            && self.source.is_none_or(|source| source == head.source)
    }
}

/// `{"data":[..],"next_cursor":..}`, written while it is sent.
fn listing<T: Row + Send + Sync + 'static>((rows, next): (Vec<(u64, Arc<T>)>, Option<u64>)) -> Response {
    let mut rows = rows.into_iter();
    let mut state = Some(br#"{"data":["#.to_vec());
    let mut first = true;
    let pieces = Pieces::new(move || {
        let mut piece = state.take()?;
        for (number, row) in rows.by_ref().take(PIECE_ROWS) {
            if !first {
                piece.push(b',');
            }
            first = false;
            row.write_json(number, &mut piece);
        }
        if rows.len() > 0 {
            state = Some(Vec::new());
        } else {
            let next = next.map_or(Value::Null, |next| next.to_string().into());
            piece.extend_from_slice(format!("],\"next_cursor\":{next}}}").as_bytes());
        }
        Some(piece)
    });
    with_json_type(Body::new(pieces).into_response())
}

fn json_response(value: &Value) -> Response {
    with_json_type(Bytes::from(value.to_string()).into_response())
}

fn with_json_type(mut response: Response) -> Response {
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
