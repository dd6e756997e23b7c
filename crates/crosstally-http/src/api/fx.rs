//! Rates: imported, set, listed, and conversions rated again.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Query, State as Extract};
use axum::response::IntoResponse;
use crosstally_core::fx::{Day, Format, Fx, Quote, Source};
use crosstally_core::money::Currency;
use crosstally_engine::fx::{ImportError, Imported, Rerated, Wanted};
use crosstally_store::{FxChange, FxJob, FxRate};
use http::{HeaderMap, header};
use serde::{Deserialize, Serialize};

use super::page::{PageIn, PageOut};
use super::{Refused, Reply, bad};
use crate::auth;
use crate::state::State;

/// How many replaced rates are told one by one.
const REPLACED_TOLD_MAX: usize = 100;
/// How many jobs are told.
const JOBS_TOLD: u32 = 100;

/// The rate of an amount.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FxOut {
    /// The base currency.
    pub base: String,
    /// How much of it one unit is, about.
    pub rate: String,
    /// The same exactly: what is computed with.
    pub rate_exact: String,
    /// The day of the rate.
    pub date: String,
    /// Where it comes from.
    pub source: String,
}

impl From<Fx> for FxOut {
    fn from(fx: Fx) -> Self {
        Self {
            base: fx.base.code().into(),
            rate: fx.rate.shown(),
            rate_exact: fx.rate.to_string(),
            date: fx.date.to_string(),
            source: fx.source.to_string(),
        }
    }
}

/// A rate as it is stored.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RateOut {
    /// The day.
    pub date: String,
    /// What one unit is asked of.
    pub base: String,
    /// What the rate counts.
    pub quote: String,
    /// How many of it.
    pub rate: String,
    /// Where it comes from.
    pub source: String,
    /// When it was imported or last replaced.
    pub imported_at: String,
}

impl From<&FxRate> for RateOut {
    fn from(stored: &FxRate) -> Self {
        let quote = &stored.quote;
        Self {
            date: quote.day.to_string(),
            base: quote.base.code().into(),
            quote: quote.quote.code().into(),
            rate: quote.rate.to_string(),
            source: quote.source.as_str().into(),
            imported_at: stored.imported_at.to_string(),
        }
    }
}

/// A rate that took another one's place.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ReplacedOut {
    /// The day.
    pub date: String,
    /// What one unit is asked of.
    pub base: String,
    /// What the rate counts.
    pub quote: String,
    /// Where it comes from.
    pub source: String,
    /// The rate before.
    pub before: String,
    /// The rate now.
    pub after: String,
}

/// What an import came to.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ImportedOut {
    /// How many rates were new.
    pub added: u64,
    /// How many replaced another one.
    pub replaced: u64,
    /// The first of those.
    pub replacements: Vec<ReplacedOut>,
    /// How many were there already.
    pub same: u64,
    /// Currencies that were passed over.
    pub skipped: Vec<String>,
    /// How many conversions were priced with what came in.
    pub settled: u64,
}

impl From<&Imported> for ImportedOut {
    fn from(done: &Imported) -> Self {
        let told = done.replaced.iter().take(REPLACED_TOLD_MAX).map(|(quote, before)| ReplacedOut {
            date: quote.day.to_string(),
            base: quote.base.code().into(),
            quote: quote.quote.code().into(),
            source: quote.source.as_str().into(),
            before: before.to_string(),
            after: quote.rate.to_string(),
        });
        Self {
            added: done.added,
            replaced: u64::try_from(done.replaced.len()).unwrap_or(u64::MAX),
            replacements: told.collect(),
            same: done.same,
            skipped: done.skipped.clone(),
            settled: done.settled,
        }
    }
}

/// A change of the balance in a base currency.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ChangeOut {
    /// The base currency.
    pub base: String,
    /// By how much the confirmed value changes.
    pub confirmed: String,
    /// By how much the pending value changes.
    pub pending: String,
}

impl From<&FxChange> for ChangeOut {
    fn from(change: &FxChange) -> Self {
        Self {
            base: change.base.code().into(),
            confirmed: change.base.format_minor(change.confirmed),
            pending: change.base.format_minor(change.pending),
        }
    }
}

/// What rating again came to, or would.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ReratedOut {
    /// Whether nothing was booked.
    pub dry_run: bool,
    /// How many conversions were looked at.
    pub looked_at: u64,
    /// How many have another rate.
    pub changed: u64,
    /// How many would have no rate now, and keep theirs.
    pub without_rate: u64,
    /// By how much the balance changes, per base currency.
    pub sums: Vec<ChangeOut>,
}

impl ReratedOut {
    /// As the engine tells it.
    #[must_use]
    pub fn new(done: &Rerated, dry_run: bool) -> Self {
        Self {
            dry_run,
            looked_at: done.looked_at,
            changed: done.changed,
            without_rate: done.without_rate,
            sums: done.sums.iter().map(ChangeOut::from).collect(),
        }
    }
}

/// A job that rated some days again.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct JobOut {
    /// When.
    pub at: String,
    /// By whom.
    pub author: String,
    /// The first day.
    pub from: String,
    /// The last day.
    pub to: String,
    /// Only this currency.
    pub currency: Option<String>,
    /// How many conversions changed.
    pub changed: u64,
    /// By how much, per base currency.
    pub sums: Vec<ChangeOut>,
}

impl From<&FxJob> for JobOut {
    fn from(job: &FxJob) -> Self {
        Self {
            at: job.at.to_string(),
            author: job.author.clone(),
            from: job.from.to_string(),
            to: job.to.to_string(),
            currency: job.currency.map(|currency| currency.code().into()),
            changed: job.changed,
            sums: job.sums.iter().map(ChangeOut::from).collect(),
        }
    }
}

/// A rate that is set by hand: on this day, one unit of `base` was `rate` units of `quote`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetIn {
    /// The day.
    pub date: String,
    /// What one unit is asked of.
    pub base: String,
    /// What the rate counts.
    pub quote: String,
    /// How many of it, as a text: `"1.0856"`.
    pub rate: String,
}

impl SetIn {
    /// The rate that is meant.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn quote(&self) -> Result<Quote, String> {
        let currency = |code: &str| code.parse::<Currency>().map_err(|error| format!("`{code}` {error}"));
        let (base, quote) = (currency(&self.base)?, currency(&self.quote)?);
        if base == quote {
            return Err(format!("{base} against itself"));
        }
        Ok(Quote {
            day: self.date.parse().map_err(|error| format!("`{}` {error}", self.date))?,
            base,
            quote,
            rate: self.rate.parse().map_err(|error| format!("`{}` {error}", self.rate))?,
            source: Source::Set,
        })
    }
}

/// Which conversions to rate again.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RerateIn {
    /// The first day.
    pub from: String,
    /// The last day.
    pub to: String,
    /// Only this currency.
    #[serde(default)]
    pub currency: Option<String>,
    /// Whether to tell only what would change.
    #[serde(default)]
    pub dry_run: bool,
}

impl RerateIn {
    /// What is meant.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn wanted(&self) -> Result<Wanted, String> {
        let day = |text: &str| text.parse::<Day>().map_err(|error| format!("`{text}` {error}"));
        let currency = |code: &str| code.parse::<Currency>().map_err(|error| format!("`{code}` {error}"));
        let (from, to) = (day(&self.from)?, day(&self.to)?);
        if from > to {
            return Err("`from` is later than `to`".into());
        }
        let currency = self.currency.as_deref().map(currency).transpose()?;
        Ok(Wanted { from, to, currency, dry_run: self.dry_run })
    }
}

/// Which rates.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListIn {
    currency: Option<String>,
    limit: Option<u32>,
    cursor: Option<String>,
}

/// How the file is written.
#[derive(Debug, Deserialize)]
pub struct FileIn {
    format: Option<String>,
}

/// A cursor is the last rate of the page before: `2026-11-20/EUR/USD/ecb`.
fn last_of(cursor: &str) -> Result<Quote, Refused> {
    let refused = || bad("the cursor is not one of ours");
    let mut parts = cursor.split('/');
    let mut part = || parts.next().ok_or_else(refused);
    Ok(Quote {
        day: part()?.parse().map_err(|_| refused())?,
        base: part()?.parse().map_err(|_| refused())?,
        quote: part()?.parse().map_err(|_| refused())?,
        source: Source::from_word(part()?).ok_or_else(refused)?,
        rate: "1".parse().map_err(|_| refused())?,
    })
}

/// `GET /api/v1/fx`: rates, latest day first.
pub async fn list(Extract(state): Extract<State>, headers: HeaderMap, Query(wanted): Query<ListIn>) -> Reply {
    auth::require(&state, &headers, "read").await?;
    let limit = PageIn { limit: wanted.limit, cursor: None }.limit()?;
    let currency = wanted.currency.as_deref().map(str::parse).transpose();
    let currency = currency.map_err(|_| bad("currency is a code of ISO 4217"))?;
    let before = wanted.cursor.as_deref().map(last_of).transpose()?;
    let found = state.engine.store.list_rates(currency, before, limit).await?;
    let rows: Vec<RateOut> = found.iter().map(RateOut::from).collect();
    let cursor = |row: &RateOut| format!("{}/{}/{}/{}", row.date, row.base, row.quote, row.source);
    Ok(Json(PageOut::new(rows, limit, cursor)).into_response())
}

/// `POST /api/v1/fx`: one rate as JSON, or a file of rates.
pub async fn add(
    Extract(state): Extract<State>,
    headers: HeaderMap,
    Query(file): Query<FileIn>,
    body: Bytes,
) -> Reply {
    auth::require(&state, &headers, "config:write").await?;
    let kind = headers.get(header::CONTENT_TYPE).map(|kind| kind.as_bytes()).unwrap_or_default();
    if kind.starts_with(b"application/json") {
        let set: SetIn = serde_json::from_slice(&body).map_err(|error| bad(error.to_string()))?;
        let quote = set.quote().map_err(bad)?;
        let done = state.engine.add_rates(vec![quote]).await?;
        return Ok(Json(ImportedOut::from(&done)).into_response());
    }
    let text = String::from_utf8(body.into()).map_err(|_| bad("the file is not UTF-8"))?;
    let format = match file.format.as_deref() {
        None => None,
        Some(word) => Some(Format::from_word(word).ok_or_else(|| bad("format is ecb-xml, ecb-csv or csv"))?),
    };
    match state.engine.import_rates(text, format).await {
        Ok(done) => Ok(Json(ImportedOut::from(&done)).into_response()),
        Err(ImportError::Unreadable(problem)) => Err(bad(problem.to_string())),
        Err(ImportError::Store(error)) => Err(error.into()),
    }
}

/// `POST /api/v1/fx/rerate`: gives the conversions of some days the rates that they would have now.
pub async fn rerate(Extract(state): Extract<State>, headers: HeaderMap, body: Bytes) -> Reply {
    let author = auth::require(&state, &headers, "config:write").await?;
    let asked: RerateIn = serde_json::from_slice(&body).map_err(|error| bad(error.to_string()))?;
    let wanted = asked.wanted().map_err(bad)?;
    let done = state.engine.rerate(wanted, &author).await?;
    Ok(Json(ReratedOut::new(&done, wanted.dry_run)).into_response())
}

/// `GET /api/v1/fx/rerate`: who had which days rated again.
pub async fn jobs(Extract(state): Extract<State>, headers: HeaderMap) -> Reply {
    auth::require(&state, &headers, "read").await?;
    let found = state.engine.store.fx_jobs(JOBS_TOLD).await?;
    let rows: Vec<JobOut> = found.iter().map(JobOut::from).collect();
    Ok(Json(serde_json::json!({ "data": rows, "next_cursor": null })).into_response())
}
