//! Config as code over HTTP: check, plan, apply, export. The body is the document itself.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Query, State as Extract};
use axum::response::IntoResponse;
use crosstally_core::config::Problem as ConfigProblem;
use crosstally_engine::settings::{ApplyError, Example, Plan, check_config_apart, examples};
use http::{HeaderMap, StatusCode, header};
use serde::{Deserialize, Serialize};

use super::replays::{MoneyRow, money_rows};
use super::{Refused, Reply, bad};
use crate::auth;
use crate::problem::{Fault, FieldProblem, fault, faults};
use crate::state::State;

/// About the document that is sent.
#[derive(Debug, Deserialize)]
pub struct DocumentIn {
    file: Option<String>,
    base: Option<i64>,
}

/// What a document changes or would change.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PlanOut {
    /// The version it was planned against.
    pub base: i64,
    /// The version in force now.
    pub version: Option<i64>,
    /// The changes, each a few lines of text.
    pub changes: Vec<String>,
    /// What is allowed but unwise.
    pub warnings: Vec<String>,
    /// What the changed contracts would make of the calls of the last 30 days.
    #[serde(default)]
    pub impacts: Vec<ImpactOut>,
    /// What new and changed destinations with templates would call for a sample event.
    #[serde(default)]
    pub examples: Vec<ExampleOut>,
}

/// What a destination would call for a sample event, secrets masked.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ExampleOut {
    /// The destination.
    pub destination: String,
    /// The method.
    pub method: String,
    /// The URL.
    pub url: String,
    /// The headers, each with its name.
    #[serde(default)]
    pub headers: Vec<(String, String)>,
    /// The body.
    #[serde(default)]
    pub body: String,
    /// Why the sample would not be sent.
    #[serde(default)]
    pub not_sent: Option<String>,
}

impl ExampleOut {
    /// The examples of an answer.
    #[must_use]
    pub fn list(examples: &[Example]) -> Vec<Self> {
        examples
            .iter()
            .cloned()
            .map(|Example { destination, method, url, headers, body, not_sent }| Self {
                destination,
                method: method.to_owned(),
                url,
                headers,
                body,
                not_sent,
            })
            .collect()
    }
}

/// What a changed contract would make of a partner's calls.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ImpactOut {
    /// The partner.
    pub partner: String,
    /// Receipts of the last 30 days that were looked at.
    pub receipts: usize,
    /// Whether there are more of them.
    pub capped: bool,
    /// How many would read otherwise.
    pub rows: usize,
    /// How many would newly be booked.
    pub gained: usize,
    /// How many would be booked no more.
    pub lost: usize,
    /// By how much money would change.
    pub money: Vec<MoneyRow>,
}

impl PlanOut {
    /// A plan that is or is not applied yet.
    #[must_use]
    pub fn new(plan: &Plan, version: Option<i64>) -> Self {
        Self {
            base: plan.base,
            version,
            changes: plan.changes.iter().map(ToString::to_string).collect(),
            warnings: plan.warnings.iter().map(ToString::to_string).collect(),
            impacts: plan
                .impacts
                .iter()
                .map(|impact| ImpactOut {
                    partner: impact.partner.clone(),
                    receipts: impact.receipts,
                    capped: impact.capped,
                    rows: impact.rows,
                    gained: impact.gained,
                    lost: impact.lost,
                    money: money_rows(&impact.money),
                })
                .collect(),
            examples: ExampleOut::list(&plan.examples),
        }
    }
}

fn document(body: &Bytes) -> Result<&str, Refused> {
    std::str::from_utf8(body).map_err(|_| bad("the document is not UTF-8"))
}

fn problems(found: &[ConfigProblem]) -> Refused {
    let errors = found
        .iter()
        .map(|problem| FieldProblem {
            at: format!("{}:{}:{} {}", problem.file, problem.line, problem.column, problem.path),
            problem: problem.problem.clone(),
            fix: problem.fix.clone(),
        })
        .collect();
    faults(Fault::InvalidConfig, "", errors).into()
}

fn refused(error: ApplyError) -> Refused {
    match error {
        ApplyError::Invalid(found) => problems(&found),
        ApplyError::Stale { .. } => fault(Fault::Conflict, error.to_string()).into(),
        ApplyError::Store(error) => error.into(),
        ApplyError::Corrupt(_) => {
            tracing::error!(error = %error, "the configuration in force cannot be read");
            fault(Fault::Internal, "").into()
        }
    }
}

/// `GET /api/v1/config`: the document in force, secrets sealed.
pub async fn export(Extract(state): Extract<State>, headers: HeaderMap) -> Reply {
    auth::require(&state, &headers, "read").await?;
    let (version, document) = state.engine.export_config().await.map_err(refused)?;
    let headers =
        [(header::CONTENT_TYPE, "application/toml".to_owned()), (header::ETAG, format!("\"{version}\""))];
    Ok((headers, document).into_response())
}

/// `POST /api/v1/config/check`.
pub async fn check(
    Extract(state): Extract<State>,
    headers: HeaderMap,
    Query(about): Query<DocumentIn>,
    body: Bytes,
) -> Reply {
    auth::require(&state, &headers, "read").await?;
    let file = about.file.as_deref().unwrap_or("config.toml");
    let (config, warnings) = check_config_apart(document(&body)?, file).await.map_err(refused)?;
    let warnings: Vec<String> = warnings.iter().map(ToString::to_string).collect();
    let examples = ExampleOut::list(&examples(&config));
    Ok(Json(serde_json::json!({ "warnings": warnings, "examples": examples })).into_response())
}

/// `POST /api/v1/config/plan`.
pub async fn plan(
    Extract(state): Extract<State>,
    headers: HeaderMap,
    Query(about): Query<DocumentIn>,
    body: Bytes,
) -> Reply {
    auth::require(&state, &headers, "read").await?;
    let file = about.file.as_deref().unwrap_or("config.toml");
    let plan = state.engine.plan_config(document(&body)?, file).await.map_err(refused)?;
    Ok(Json(PlanOut::new(&plan, None)).into_response())
}

/// `POST /api/v1/config/apply`.
pub async fn apply(
    Extract(state): Extract<State>,
    headers: HeaderMap,
    Query(about): Query<DocumentIn>,
    body: Bytes,
) -> Reply {
    let author = auth::require(&state, &headers, "config:write").await?;
    let file = about.file.as_deref().unwrap_or("config.toml");
    let applied =
        state.engine.apply_config(document(&body)?, file, about.base, &author).await.map_err(refused)?;
    Ok((StatusCode::OK, Json(PlanOut::new(&applied.plan, Some(applied.version)))).into_response())
}
