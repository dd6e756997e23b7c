//! Rates, the conversions that wait for one, and the jobs that rated some again.

use crosstally_core::fx::{Day, Quote, Rate};
use crosstally_core::ids::{ClickId, ConversionId};
use crosstally_core::money::Currency;
use crosstally_core::pricing::Rated;
use crosstally_core::time::Timestamp;
use rusqlite::{Connection, OptionalExtension, Params, params};

use super::{Sqlite, postbacks, rows};
use crate::{FxImport, FxJob, FxRate, FxSpan, Priced, StoreError, WORKSPACE};

const VERSION: &str = "SELECT coalesce(max(version), 0) FROM fx_versions WHERE workspace = ?1";
const MOVE_VERSION: &str = "INSERT INTO fx_versions (workspace, version) VALUES (?1, 1)
    ON CONFLICT (workspace) DO UPDATE SET version = version + 1";

const FIND: &str = "SELECT rate FROM fx_rates
    WHERE workspace = ?1 AND date = ?2 AND base = ?3 AND quote = ?4 AND source = ?5";
const PUT: &str = "INSERT INTO fx_rates (workspace, date, base, quote, source, rate, imported_at)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
    ON CONFLICT DO UPDATE SET rate = excluded.rate, imported_at = excluded.imported_at";

const SET: &str =
    "UPDATE conversions SET fx_base = ?4, fx_rate = ?5, fx_date = ?6, fx_source = ?7, base_confirmed = ?8,
        base_pending = ?9, movements = ?10, updated_at = ?11
    WHERE id = ?1 AND workspace = ?2 AND movements = ?3 AND click IS ?12";

const ADD_JOB: &str =
    "INSERT INTO fx_jobs (workspace, number, at, author, first_day, last_day, currency, changed, sums)
    SELECT ?1, coalesce(max(number), 0) + 1, ?2, ?3, ?4, ?5, ?6, ?7, ?8 FROM fx_jobs WHERE workspace = ?1";

/// Before every id there can be.
const BEFORE_THE_FIRST: &[u8] = &[];

impl Sqlite {
    pub(crate) async fn fx_version(&self) -> Result<i64, StoreError> {
        let work = |connection: &Connection| {
            Ok(connection.prepare_cached(VERSION)?.query_row([WORKSPACE], |row| row.get(0))?)
        };
        self.engine.read(work).await
    }

    pub(crate) async fn import_rates(
        &self,
        quotes: Vec<Quote>,
        now: Timestamp,
    ) -> Result<FxImport, StoreError> {
        let weight = quotes.len();
        self.engine.write(weight, move |connection| import(connection, &quotes, now)).await
    }

    pub(crate) async fn rates(&self, from: Day, to: Day) -> Result<Vec<Quote>, StoreError> {
        let condition = "date BETWEEN ?2 AND ?3 ORDER BY date, base, quote, source";
        let values = (WORKSPACE, from.to_string(), to.to_string());
        let found = self.engine.read(move |connection| quoted(connection, condition, values)).await?;
        Ok(found.into_iter().map(|rate| rate.quote).collect())
    }

    pub(crate) async fn list_rates(
        &self,
        currency: Option<Currency>,
        before: Option<Quote>,
        limit: u32,
    ) -> Result<Vec<FxRate>, StoreError> {
        let condition = "(?2 IS NULL OR base = ?2 OR quote = ?2)
            AND (?3 IS NULL OR (date, base, quote, source) < (?3, ?4, ?5, ?6))
            ORDER BY date DESC, base DESC, quote DESC, source DESC LIMIT ?7";
        let work = move |connection: &Connection| {
            let values = params![
                WORKSPACE,
                currency.map(Currency::code),
                before.map(|quote| quote.day.to_string()),
                before.map(|quote| quote.base.code()),
                before.map(|quote| quote.quote.code()),
                before.map(|quote| quote.source.as_str()),
                limit
            ];
            quoted(connection, condition, values)
        };
        self.engine.read(work).await
    }

    pub(crate) async fn fx_pending(
        &self,
        after: Option<ConversionId>,
        limit: u32,
    ) -> Result<Vec<Priced>, StoreError> {
        let condition =
            "workspace = ?1 AND fx_source IS NULL AND value <> 0 AND id > ?2 ORDER BY id LIMIT ?3";
        let work = move |connection: &Connection| {
            let after = after.as_ref().map_or(BEFORE_THE_FIRST, |id| id.as_bytes());
            priced(connection, condition, params![WORKSPACE, after, limit])
        };
        self.engine.read(work).await
    }

    pub(crate) async fn fx_priced(
        &self,
        span: FxSpan,
        after: Option<ConversionId>,
        limit: u32,
    ) -> Result<Vec<Priced>, StoreError> {
        let condition = "id > ?2 AND fx_source IS NOT NULL AND (?5 IS NULL OR currency = ?5)
            AND (event_time >= ?3 AND event_time < ?4 OR created_at >= ?3 AND created_at < ?4)
            AND workspace = ?1 ORDER BY id LIMIT ?6";
        let work = move |connection: &Connection| {
            let after = after.as_ref().map_or(BEFORE_THE_FIRST, |id| id.as_bytes());
            let (from, until) = (span.from.as_millis(), span.until.as_millis());
            let currency = span.currency.map(Currency::code);
            priced(connection, condition, params![WORKSPACE, after, from, until, currency, limit])
        };
        self.engine.read(work).await
    }

    pub(crate) async fn book_rates(&self, rated: Vec<Rated>) -> Result<Vec<ConversionId>, StoreError> {
        let weight = 2 * rated.len();
        let work = move |connection: &Connection| {
            let mut booked = Vec::with_capacity(rated.len());
            for one in &rated {
                if set(connection, one)? {
                    booked.push(one.conversion.id);
                }
            }
            Ok(booked)
        };
        self.engine.write(weight, work).await
    }

    pub(crate) async fn add_fx_job(&self, job: FxJob) -> Result<(), StoreError> {
        let work = move |connection: &Connection| {
            connection.prepare_cached(ADD_JOB)?.execute(params![
                WORKSPACE,
                job.at.as_millis(),
                job.author,
                job.from.to_string(),
                job.to.to_string(),
                job.currency.map(Currency::code),
                i64::try_from(job.changed).unwrap_or(i64::MAX),
                rows::to_json(&job.sums)?,
            ])?;
            Ok(())
        };
        self.engine.write(1, work).await
    }

    pub(crate) async fn fx_jobs(&self, limit: u32) -> Result<Vec<FxJob>, StoreError> {
        let work = move |connection: &Connection| {
            let ask = format!(
                "SELECT {} FROM fx_jobs WHERE workspace = ?1 ORDER BY number DESC LIMIT ?2",
                rows::FX_JOB
            );
            let mut ask = connection.prepare_cached(&ask)?;
            let jobs = ask.query_map(params![WORKSPACE, limit], rows::fx_job)?;
            Ok(jobs.collect::<rusqlite::Result<_>>()?)
        };
        self.engine.read(work).await
    }
}

fn import(connection: &Connection, quotes: &[Quote], now: Timestamp) -> Result<FxImport, StoreError> {
    let (mut find, mut put) = (connection.prepare_cached(FIND)?, connection.prepare_cached(PUT)?);
    let mut done = FxImport::default();
    for quote in quotes {
        let name = (quote.day.to_string(), quote.base.code(), quote.quote.code(), quote.source.as_str());
        let asked = params![WORKSPACE, name.0, name.1, name.2, name.3];
        let known: Option<Rate> = find.query_row(asked, |row| rows::fx_number(row, 0)).optional()?;
        if known == Some(quote.rate) {
            done.same += 1;
            continue;
        }
        put.execute(params![
            WORKSPACE,
            name.0,
            name.1,
            name.2,
            name.3,
            quote.rate.to_string(),
            now.as_millis()
        ])?;
        match known {
            Some(rate) => done.replaced.push((*quote, rate)),
            None => done.added += 1,
        }
    }
    if done.added > 0 || !done.replaced.is_empty() {
        connection.prepare_cached(MOVE_VERSION)?.execute([WORKSPACE])?;
    }
    Ok(done)
}

fn set(connection: &Connection, rated: &Rated) -> Result<bool, StoreError> {
    let conversion = &rated.conversion;
    let updated = connection.prepare_cached(SET)?.execute(params![
        conversion.id.as_bytes(),
        WORKSPACE,
        rated.movements_before,
        conversion.fx.map(|fx| fx.base.code()),
        conversion.fx.map(|fx| fx.rate.to_string()),
        conversion.fx.map(|fx| fx.date.to_string()),
        conversion.fx.map(|fx| fx.source.to_string()),
        conversion.base.confirmed,
        conversion.base.pending,
        conversion.movements,
        conversion.updated_at.as_millis(),
        // One that was erased meanwhile is rated by what is left of it.
        conversion.click.as_ref().map(ClickId::as_bytes),
    ])?;
    if updated == 0 {
        return Ok(false);
    }
    for entry in &rated.entries {
        postbacks::insert_entry(connection, entry)?;
    }
    Ok(true)
}

fn quoted(connection: &Connection, condition: &str, values: impl Params) -> Result<Vec<FxRate>, StoreError> {
    let ask = format!("SELECT {} FROM fx_rates WHERE workspace = ?1 AND {condition}", rows::FX_RATE);
    let mut ask = connection.prepare_cached(&ask)?;
    let rates = ask.query_map(values, rows::fx_rate)?;
    Ok(rates.collect::<rusqlite::Result<_>>()?)
}

fn priced(connection: &Connection, condition: &str, values: impl Params) -> Result<Vec<Priced>, StoreError> {
    let ask = format!(
        "SELECT {}, (SELECT receipt FROM ledger_entries WHERE conversion = conversions.id AND sequence = movements)
        FROM conversions WHERE {condition}",
        rows::CONVERSION
    );
    let mut ask = connection.prepare_cached(&ask)?;
    let found = ask.query_map(values, rows::priced)?;
    Ok(found.collect::<rusqlite::Result<_>>()?)
}
