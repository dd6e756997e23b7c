//! Rates, the conversions that wait for one, and the jobs that rated some again.

use std::collections::BTreeMap;

use crosstally_core::conversion::Conversion;
use crosstally_core::fx::{Day, Quote, Rate};
use crosstally_core::ids::{ConversionId, ReceiptId};
use crosstally_core::money::Currency;
use crosstally_core::pricing::Rated;
use crosstally_core::time::Timestamp;

use crate::{Store, StoreError, on};

/// A rate as it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FxRate {
    /// The rate.
    pub quote: Quote,
    /// When it was imported or last replaced.
    pub imported_at: Timestamp,
}

/// What an import came to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FxImport {
    /// How many were new.
    pub added: u64,
    /// Those that replaced another rate of the same day, pair and source, with the rate that they replaced.
    pub replaced: Vec<(Quote, Rate)>,
    /// How many were there already.
    pub same: u64,
}

/// A conversion that could be given a rate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Priced {
    /// The conversion.
    pub conversion: Conversion,
    /// The receipt of its last movement.
    pub receipt: ReceiptId,
}

/// Conversions that have a rate: those that happened or were first received in a span of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FxSpan {
    /// The first moment.
    pub from: Timestamp,
    /// The first moment after it.
    pub until: Timestamp,
    /// Only of this currency.
    pub currency: Option<Currency>,
}

/// A change of the balance in one base currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct FxChange {
    /// The base currency.
    pub base: Currency,
    /// By how much the confirmed value changed.
    pub confirmed: i64,
    /// By how much the pending value changed.
    pub pending: i64,
}

/// A job that rated some days again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FxJob {
    /// When.
    pub at: Timestamp,
    /// By whom.
    pub author: String,
    /// The first day.
    pub from: Day,
    /// The last day.
    pub to: Day,
    /// Only this currency.
    pub currency: Option<Currency>,
    /// How many conversions changed.
    pub changed: u64,
    /// By how much, per base currency.
    pub sums: Vec<FxChange>,
}

impl Store {
    /// A number that rises with every import that changed something.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn fx_version(&self) -> Result<i64, StoreError> {
        on!(self, fx_version())
    }

    /// Imports rates in one transaction. A rate that is there already stays; another one for the same day, pair and
    /// source takes its place.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn import_rates(&self, quotes: Vec<Quote>, now: Timestamp) -> Result<FxImport, StoreError> {
        // In the order of their key, so that no two imports wait for each other in a circle; the last one of a key counts.
        let named: BTreeMap<_, Quote> = quotes
            .into_iter()
            .map(|quote| ((quote.day, quote.base.code(), quote.quote.code(), quote.source), quote))
            .collect();
        let quotes: Vec<Quote> = named.into_values().collect();
        if quotes.is_empty() {
            return Ok(FxImport::default());
        }
        on!(self, import_rates(quotes, now))
    }

    /// All rates of some days, both ends among them.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn rates(&self, from: Day, to: Day) -> Result<Vec<Quote>, StoreError> {
        on!(self, rates(from, to))
    }

    /// Rates, latest day first; `before` is the last one of the page before.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn list_rates(
        &self,
        currency: Option<Currency>,
        before: Option<Quote>,
        limit: u32,
    ) -> Result<Vec<FxRate>, StoreError> {
        on!(self, list_rates(currency, before, limit))
    }

    /// Conversions that wait for a rate, oldest first; `after` is the last one of the page before.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn fx_pending(
        &self,
        after: Option<ConversionId>,
        limit: u32,
    ) -> Result<Vec<Priced>, StoreError> {
        on!(self, fx_pending(after, limit))
    }

    /// Conversions that have a rate, oldest first; `after` is the last one of the page before.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn fx_priced(
        &self,
        span: FxSpan,
        after: Option<ConversionId>,
        limit: u32,
    ) -> Result<Vec<Priced>, StoreError> {
        on!(self, fx_priced(span, after, limit))
    }

    /// Gives conversions their rates, all in one transaction. One that has moved meanwhile is left alone. Returns those
    /// that took effect.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn book_rates(&self, rated: Vec<Rated>) -> Result<Vec<ConversionId>, StoreError> {
        if rated.is_empty() {
            return Ok(Vec::new());
        }
        on!(self, book_rates(rated))
    }

    /// Keeps a job for whoever asks later.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn add_fx_job(&self, job: FxJob) -> Result<(), StoreError> {
        on!(self, add_fx_job(job))
    }

    /// The latest jobs, the last one first.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn fx_jobs(&self, limit: u32) -> Result<Vec<FxJob>, StoreError> {
        on!(self, fx_jobs(limit))
    }
}
