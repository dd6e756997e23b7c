//! Rates, the conversions that wait for one, and the jobs that rated some again.

use crosstally_core::fx::{Day, Quote};
use crosstally_core::ids::ConversionId;
use crosstally_core::ledger::LedgerEntry;
use crosstally_core::money::Currency;
use crosstally_core::pricing::Rated;
use crosstally_core::time::Timestamp;

use super::rows::{Columns, Id, Text};
use super::transact::Values;
use super::{Postgres, postbacks, rows};
use crate::{FxImport, FxJob, FxRate, FxSpan, Priced, StoreError, WORKSPACE};

const VERSION: &str = "SELECT coalesce(max(version), 0) FROM fx_versions WHERE workspace = $1";

// What was there before is seen by all parts of the statement alike.
const IMPORT: &str = "WITH n AS (
        SELECT * FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bigint[])
            AS n (date, base, quote, source, rate, imported_at)
    ), known AS (
        SELECT n.date, n.base, n.quote, n.source, r.rate FROM n JOIN fx_rates AS r ON r.workspace = $1
            AND r.date = n.date AND r.base = n.base AND r.quote = n.quote AND r.source = n.source
    ), put AS (
        INSERT INTO fx_rates AS r (workspace, date, base, quote, source, rate, imported_at)
        SELECT $1::bigint, date, base, quote, source, rate, imported_at FROM n ORDER BY date, base, quote, source
        ON CONFLICT (workspace, date, base, quote, source)
            DO UPDATE SET rate = excluded.rate, imported_at = excluded.imported_at WHERE r.rate <> excluded.rate
        RETURNING date, base, quote, source, rate, imported_at
    ), moved AS (
        INSERT INTO fx_versions AS v (workspace, version) SELECT $1::bigint, 1 WHERE EXISTS (SELECT 1 FROM put)
        ON CONFLICT (workspace) DO UPDATE SET version = v.version + 1
    )
    SELECT put.date, put.base, put.quote, put.source, put.rate, put.imported_at, known.rate
    FROM put LEFT JOIN known USING (date, base, quote, source) ORDER BY 1, 2, 3, 4";

// Locked in the order in which postbacks lock, so that no two wait for each other in a circle; one that was moved on
// meanwhile is not among them, nor one that was erased: it is rated by what is left of it.
const BOOK: &str = "WITH n AS (
        SELECT * FROM unnest($2::uuid[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[], $8::bigint[],
            $9::bigint[], $10::bigint[], $11::bigint[], $12::uuid[])
            AS n (id, before, fx_base, fx_rate, fx_date, fx_source, base_confirmed, base_pending, movements, updated_at, click)
    ), free AS MATERIALIZED (
        SELECT c.id FROM conversions AS c JOIN n ON n.id = c.id
        WHERE c.movements = n.before AND c.click IS NOT DISTINCT FROM n.click AND (c.workspace = $1) IS TRUE
        ORDER BY c.partner, c.dedupe_key FOR UPDATE OF c
    ), moved AS (
        UPDATE conversions AS c
        SET fx_base = n.fx_base, fx_rate = n.fx_rate, fx_date = n.fx_date, fx_source = n.fx_source,
            base_confirmed = n.base_confirmed, base_pending = n.base_pending, movements = n.movements,
            updated_at = n.updated_at
        FROM n JOIN free ON free.id = n.id
        WHERE c.id = n.id AND (c.workspace = $1) IS TRUE
        RETURNING c.id
    ), booked AS (
        INSERT INTO ledger_entries (workspace, conversion, sequence, receipt, status, status_word, currency, payout,
            revenue, value, confirmed_delta, pending_delta, event_time, recorded_at, click, campaign, source, partner,
            kind, content, fx_base, fx_rate, fx_date, fx_source, base_confirmed_delta, base_pending_delta)
        SELECT $1::bigint, e.* FROM unnest($13::uuid[], $14::bigint[], $15::uuid[], $16::text[], $17::text[], $18::text[], $19::bigint[],
            $20::bigint[], $21::bigint[], $22::bigint[], $23::bigint[], $24::bigint[], $25::bigint[],
            $26::uuid[], $27::text[], $28::text[], $29::text[], $30::text[], $31::uuid[], $32::text[],
            $33::text[], $34::text[], $35::text[], $36::bigint[], $37::bigint[])
            AS e (conversion, sequence)
        WHERE e.conversion IN (SELECT id FROM moved)
    )
    SELECT id FROM moved";

const ADD_JOB: &str =
    "INSERT INTO fx_jobs (workspace, number, at, author, first_day, last_day, currency, changed, sums)
    SELECT $1::bigint, coalesce(max(number), 0) + 1, $2::bigint, $3::text, $4::text, $5::text, $6::text, $7::bigint,
        $8::text
    FROM fx_jobs WHERE workspace = $1";

impl Postgres {
    pub(crate) async fn fx_version(&self) -> Result<i64, StoreError> {
        let found = self.engine.read(VERSION, &[&WORKSPACE]).await?;
        found.first().map_or(Ok(0), |row| rows::get(row, 0))
    }

    pub(crate) async fn import_rates(
        &self,
        quotes: Vec<Quote>,
        now: Timestamp,
    ) -> Result<FxImport, StoreError> {
        let columns = Columns::of(&quotes)
            .with(|quote| quote.day.to_string())
            .with(|quote| quote.base.code())
            .with(|quote| quote.quote.code())
            .with(|quote| quote.source.as_str())
            .with(|quote| quote.rate.to_string())
            .with(|_| now.as_millis());
        let changed = self.engine.write(IMPORT, &columns.values()).await?;
        let mut done = FxImport::default();
        for row in &changed {
            match rows::fx_number(row, 6)? {
                Some(rate) => done.replaced.push((rows::fx_rate(row)?.quote, rate)),
                None => done.added += 1,
            }
        }
        done.same = u64::try_from(quotes.len() - changed.len()).unwrap_or_default();
        Ok(done)
    }

    pub(crate) async fn rates(&self, from: Day, to: Day) -> Result<Vec<Quote>, StoreError> {
        let condition = "date BETWEEN $2 AND $3 ORDER BY date, base, quote, source";
        let found = self.quoted(condition, &[&WORKSPACE, &from.to_string(), &to.to_string()]).await?;
        Ok(found.into_iter().map(|rate| rate.quote).collect())
    }

    pub(crate) async fn list_rates(
        &self,
        currency: Option<Currency>,
        before: Option<Quote>,
        limit: u32,
    ) -> Result<Vec<FxRate>, StoreError> {
        let condition = "($2::text IS NULL OR base = $2 OR quote = $2)
            AND ($3::text IS NULL OR (date, base, quote, source) < ($3, $4::text, $5::text, $6::text))
            ORDER BY date DESC, base DESC, quote DESC, source DESC LIMIT $7";
        let (base, quote) = (before.map(|quote| quote.base.code()), before.map(|quote| quote.quote.code()));
        let (day, source) =
            (before.map(|quote| quote.day.to_string()), before.map(|quote| quote.source.as_str()));
        let (currency, limit) = (currency.map(Currency::code), i64::from(limit));
        self.quoted(condition, &[&WORKSPACE, &currency, &day, &base, &quote, &source, &limit]).await
    }

    pub(crate) async fn fx_pending(
        &self,
        after: Option<ConversionId>,
        limit: u32,
    ) -> Result<Vec<Priced>, StoreError> {
        let condition = "c.fx_source IS NULL AND c.value <> 0 AND c.id > $2 ORDER BY c.id LIMIT $3";
        self.priced(condition, &[&WORKSPACE, &past(after), &i64::from(limit)]).await
    }

    pub(crate) async fn fx_priced(
        &self,
        span: FxSpan,
        after: Option<ConversionId>,
        limit: u32,
    ) -> Result<Vec<Priced>, StoreError> {
        let condition = "c.id > $2 AND c.fx_source IS NOT NULL AND ($5::text IS NULL OR c.currency = $5)
            AND (c.event_time >= $3 AND c.event_time < $4 OR c.created_at >= $3 AND c.created_at < $4)
            ORDER BY c.id LIMIT $6";
        let (from, until) = (span.from.as_millis(), span.until.as_millis());
        let (currency, limit) = (span.currency.map(Currency::code), i64::from(limit));
        self.priced(condition, &[&WORKSPACE, &past(after), &from, &until, &currency, &limit]).await
    }

    pub(crate) async fn book_rates(&self, rated: Vec<Rated>) -> Result<Vec<ConversionId>, StoreError> {
        let entries: Vec<&LedgerEntry> = rated.iter().flat_map(|one| &one.entries).collect();
        let conversions = Columns::of(&rated)
            .with(|one| Id::from(one.conversion.id))
            .with(|one| i64::from(one.movements_before))
            .with(|one| one.conversion.fx.map(|fx| fx.base.code()))
            .with(|one| one.conversion.fx.map(|fx| fx.rate.to_string()))
            .with(|one| one.conversion.fx.map(|fx| fx.date.to_string()))
            .with(|one| one.conversion.fx.map(|fx| fx.source.to_string()))
            .with(|one| one.conversion.base.confirmed)
            .with(|one| one.conversion.base.pending)
            .with(|one| i64::from(one.conversion.movements))
            .with(|one| one.conversion.updated_at.as_millis())
            .with(|one| one.conversion.click.map(Id::from));
        let entries = postbacks::entry_columns(&entries);
        // Both begin with the workspace; the statement wants it once.
        let mut values = conversions.values();
        values.extend(entries.values().into_iter().skip(1));
        let moved = self.engine.write(BOOK, &values).await?;
        moved.iter().map(|row| rows::id(row, 0).map(ConversionId::from_bytes)).collect()
    }

    pub(crate) async fn add_fx_job(&self, job: FxJob) -> Result<(), StoreError> {
        let changed = i64::try_from(job.changed).unwrap_or(i64::MAX);
        let (from, to, sums) = (job.from.to_string(), job.to.to_string(), rows::to_json(&job.sums)?);
        let (at, author, currency) =
            (job.at.as_millis(), Text(&job.author), job.currency.map(Currency::code));
        self.engine
            .write(ADD_JOB, &[&WORKSPACE, &at, &author, &from, &to, &currency, &changed, &sums])
            .await
            .map(drop)
    }

    pub(crate) async fn fx_jobs(&self, limit: u32) -> Result<Vec<FxJob>, StoreError> {
        let ask = format!(
            "SELECT {} FROM fx_jobs WHERE workspace = $1 ORDER BY number DESC LIMIT $2",
            rows::FX_JOB
        );
        self.engine.read(&ask, &[&WORKSPACE, &i64::from(limit)]).await?.iter().map(rows::fx_job).collect()
    }

    async fn quoted(&self, condition: &str, values: &Values<'_>) -> Result<Vec<FxRate>, StoreError> {
        let ask = format!("SELECT {} FROM fx_rates WHERE workspace = $1 AND {condition}", rows::FX_RATE);
        self.engine.read(&ask, values).await?.iter().map(rows::fx_rate).collect()
    }

    async fn priced(&self, condition: &str, values: &Values<'_>) -> Result<Vec<Priced>, StoreError> {
        let ask = format!(
            "SELECT {}, (SELECT e.receipt FROM ledger_entries AS e WHERE e.conversion = c.id AND e.sequence = c.movements)
            FROM conversions AS c WHERE c.workspace = $1 AND {condition}",
            rows::CONVERSION
        );
        self.engine.read(&ask, values).await?.iter().map(rows::priced).collect()
    }
}

/// Before every id there can be, as none of them is zero.
fn past(after: Option<ConversionId>) -> Id {
    after.map_or(Id([0; 16]), Id::from)
}
