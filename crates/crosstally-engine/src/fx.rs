//! Amounts in the base currency: rates come in, conversions that wait for one are priced, and days are rated again when
//! somebody asks for it.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use crosstally_core::contract::Contract;
use crosstally_core::fx::{self, Day, Format, Parsed, Quote, Rate, Rates, Unreadable};
use crosstally_core::ids::ConversionId;
use crosstally_core::money::Currency;
use crosstally_core::pricing::{self, Market, Rated};
use crosstally_core::time::{MINUTE_MS, Timestamp};
use crosstally_store::{FxChange, FxJob, FxSpan, Priced, StoreError};
use tokio::sync::Mutex;

use crate::Engine;
use crate::snapshot::Snapshot;

/// Rates of so many days are at hand when a call is booked; what is older is priced a moment later.
const LIVE_DAYS: i64 = 400;
/// Conversions of one transaction.
const PAGE: u32 = 500;
/// Pages of one look, so that a stop never waits long.
const PAGES_AT_ONCE: u32 = 20;
/// How long after a look without new rates the next one follows: another node may have booked with old ones.
const LOOK_EVERY_MS: i64 = MINUTE_MS;

/// What this process holds of rates.
#[derive(Debug, Default)]
pub struct Desk {
    live: ArcSwap<Live>,
    look: Mutex<Look>,
}

/// The rates at hand.
#[derive(Debug)]
struct Live {
    version: i64,
    from: Day,
    rates: Arc<Rates>,
}

impl Default for Live {
    fn default() -> Self {
        Self { version: 0, from: Day::of(Timestamp::default()), rates: Arc::default() }
    }
}

/// How far a look through what waits has come.
#[derive(Debug, Default)]
struct Look {
    version: i64,
    ended: Option<Timestamp>,
    after: Option<ConversionId>,
}

/// What an import came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// How many rates were new.
    pub added: u64,
    /// Those that replaced another rate of the same day, pair and source, with the rate that they replaced.
    pub replaced: Vec<(Quote, Rate)>,
    /// How many were there already.
    pub same: u64,
    /// Currencies in the file that are none of ISO 4217 any more.
    pub skipped: Vec<String>,
    /// How many conversions were priced with what came in. Many more are priced a moment later.
    pub settled: u64,
}

/// Why rates were not imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The file cannot be read; nothing of it was imported.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Which conversions to rate again: those whose rate is that of one of these days.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// The first day.
    pub from: Day,
    /// The last day.
    pub to: Day,
    /// Only this currency.
    pub currency: Option<Currency>,
    /// Whether to tell only what would change.
    pub dry_run: bool,
}

/// What rating again came to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rerated {
    /// How many conversions were looked at.
    pub looked_at: u64,
    /// How many have another rate now.
    pub changed: u64,
    /// How many have a rate and would have none now; they keep theirs.
    pub without_rate: u64,
    /// By how much the balance changed, per base currency.
    pub sums: Vec<FxChange>,
}

impl Engine {
    /// The rates at hand.
    #[must_use]
    pub fn rates(&self) -> Arc<Rates> {
        Arc::clone(&self.fx.live.load().rates)
    }

    /// Takes up the rates, if others were imported since.
    ///
    /// # Errors
    /// See [`StoreError`]; those in use stay.
    pub async fn refresh_rates(&self) -> Result<(), StoreError> {
        // Asked for first: what is imported meanwhile is taken up with the next version.
        let version = self.store.fx_version().await?;
        if version == self.fx.live.load().version {
            return Ok(());
        }
        let today = Day::of(self.clock.now());
        let from = today.plus(-LIVE_DAYS);
        let quotes = self.store.rates(from, today.plus(LIVE_DAYS)).await?;
        tracing::info!(version, rates = quotes.len(), "rates taken up");
        self.fx.live.store(Arc::new(Live { version, from, rates: Arc::new(Rates::new(quotes)) }));
        Ok(())
    }

    /// Imports a file of rates; prices what waited for them.
    ///
    /// # Errors
    /// See [`ImportError`].
    pub async fn import_rates(&self, text: String, format: Option<Format>) -> Result<Imported, ImportError> {
        let reading = tokio::task::spawn_blocking(move || {
            let format = format.unwrap_or_else(|| Format::of(&text));
            fx::read(&text, format)
        });
        let broken = |_| StoreError::Unavailable("the reading of the file broke off".into());
        let Parsed { quotes, skipped } = reading.await.map_err(broken)??;
        let mut imported = self.add_rates(quotes).await?;
        imported.skipped = skipped.into_iter().collect();
        Ok(imported)
    }

    /// Imports rates; prices what waited for them.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn add_rates(&self, quotes: Vec<Quote>) -> Result<Imported, StoreError> {
        let done = self.store.import_rates(quotes, self.clock.now()).await?;
        self.refresh_rates().await?;
        let settled = self.settle_fx().await?;
        let (added, replaced, same) = (done.added, done.replaced, done.same);
        tracing::info!(added, replaced = replaced.len(), same, settled, "rates imported");
        Ok(Imported { added, replaced, same, skipped: Vec::new(), settled })
    }

    /// Prices conversions that wait for a rate, as far as there is one. It goes on where the last look stopped, and begins
    /// anew when there are new rates, or after a minute. Returns how many were priced.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn settle_fx(&self) -> Result<u64, StoreError> {
        let mut look = self.fx.look.lock().await;
        let (version, now) = (self.fx.live.load().version, self.clock.now());
        let is_fresh = look.ended.is_some_and(|ended| now.millis_since(ended) < LOOK_EVERY_MS);
        if look.version == version && look.after.is_none() && is_fresh {
            return Ok(0);
        }
        if look.version != version {
            *look = Look { version, ..Look::default() };
        }
        let mut settled = 0;
        for _ in 0..PAGES_AT_ONCE {
            let page = self.store.fx_pending(look.after, PAGE).await?;
            let is_last = u32::try_from(page.len()).is_ok_and(|rows| rows < PAGE);
            let last = page.last().map(|last| last.conversion.id);
            settled += self.settle_page(page).await?;
            look.after = if is_last { None } else { last };
            if is_last {
                look.ended = Some(now);
                break;
            }
        }
        Ok(settled)
    }

    async fn settle_page(&self, page: Vec<Priced>) -> Result<u64, StoreError> {
        let snapshot = self.snapshot.load_full();
        let days: Vec<Day> = page.iter().map(|priced| Terms::of(&snapshot, priced).day(priced)).collect();
        let live = self.fx.live.load_full();
        let is_live = |day: &Day| day.plus(-fx::OLDER_DAYS_MAX) >= live.from;
        let old = days.iter().filter(|day| !is_live(day));
        let older = match (old.clone().min(), old.max()) {
            (Some(first), Some(last)) => {
                Rates::new(self.store.rates(first.plus(-fx::OLDER_DAYS_MAX), *last).await?)
            }
            _ => Rates::default(),
        };
        let now = self.clock.now();
        let rated = page.iter().zip(&days).filter_map(|(priced, day)| {
            let rates = if is_live(day) { &*live.rates } else { &older };
            let fx = Terms::of(&snapshot, priced).market(rates).find(&priced.conversion)?;
            pricing::rate(&priced.conversion, fx, priced.receipt, now)
        });
        let booked = self.store.book_rates(rated.collect()).await?;
        Ok(u64::try_from(booked.len()).unwrap_or_default())
    }

    /// Gives the conversions of some days the rates that they would have now, as movements of the difference. Doing it
    /// again changes nothing; after a break it goes on with what is left.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn rerate(&self, wanted: Wanted, author: &str) -> Result<Rerated, StoreError> {
        let quotes = self.store.rates(wanted.from.plus(-fx::OLDER_DAYS_MAX), wanted.to).await?;
        let rates = Rates::new(quotes);
        let span =
            FxSpan { from: wanted.from.start(), until: wanted.to.plus(1).start(), currency: wanted.currency };
        let (mut done, mut sums) = (Rerated::default(), BTreeMap::new());
        let mut after = None;
        loop {
            let page = self.store.fx_priced(span, after, PAGE).await?;
            let is_last = u32::try_from(page.len()).is_ok_and(|rows| rows < PAGE);
            after = page.last().map(|last| last.conversion.id);
            let mut rated = self.rate_again(&page, &rates, wanted, &mut done);
            if !wanted.dry_run {
                let booked = self.store.book_rates(rated.clone()).await?;
                rated.retain(|one| booked.contains(&one.conversion.id));
            }
            done.changed += u64::try_from(rated.len()).unwrap_or_default();
            add_up(&rated, &mut sums);
            if is_last {
                break;
            }
        }
        done.sums = sums.into_values().collect();
        if !wanted.dry_run {
            self.keep_job(wanted, author, &done).await?;
        }
        Ok(done)
    }

    fn rate_again(&self, page: &[Priced], rates: &Rates, wanted: Wanted, done: &mut Rerated) -> Vec<Rated> {
        let (snapshot, now) = (self.snapshot.load(), self.clock.now());
        let mut rated = Vec::new();
        for priced in page {
            let terms = Terms::of(&snapshot, priced);
            if !(wanted.from..=wanted.to).contains(&terms.day(priced)) {
                continue;
            }
            done.looked_at += 1;
            match terms.market(rates).find(&priced.conversion) {
                Some(fx) => rated.extend(pricing::rate(&priced.conversion, fx, priced.receipt, now)),
                None => done.without_rate += 1,
            }
        }
        rated
    }

    async fn keep_job(&self, wanted: Wanted, author: &str, done: &Rerated) -> Result<(), StoreError> {
        tracing::info!(
            author,
            from = %wanted.from,
            to = %wanted.to,
            changed = done.changed,
            "conversions were rated again"
        );
        let job = FxJob {
            at: self.clock.now(),
            author: author.to_owned(),
            from: wanted.from,
            to: wanted.to,
            currency: wanted.currency,
            changed: done.changed,
            sums: done.sums.clone(),
        };
        self.store.add_fx_job(job).await
    }
}

fn add_up(rated: &[Rated], sums: &mut BTreeMap<&'static str, FxChange>) {
    for entry in rated.iter().flat_map(|one| &one.entries) {
        let (Some(fx), Some(delta)) = (entry.fx, entry.base_delta()) else { continue };
        let nothing = FxChange { base: fx.base, confirmed: 0, pending: 0 };
        let sum = sums.entry(fx.base.code()).or_insert(nothing);
        sum.confirmed = sum.confirmed.saturating_add(delta.confirmed);
        sum.pending = sum.pending.saturating_add(delta.pending);
    }
}

/// What the configuration says about a conversion's rate.
struct Terms {
    base: Currency,
    rate_day: crosstally_core::contract::RateDay,
}

impl Terms {
    fn of(snapshot: &Snapshot, priced: &Priced) -> Self {
        let partner = snapshot.partner(&priced.conversion.key.partner);
        let rate_day = partner.map(|(partner, _)| &partner.contract).map(Contract::rate_day);
        Self { base: snapshot.config.workspace.base_currency, rate_day: rate_day.unwrap_or_default() }
    }

    const fn market<'a>(&self, rates: &'a Rates) -> Market<'a> {
        Market { rates, base: self.base, rate_day: self.rate_day }
    }

    const fn day(&self, priced: &Priced) -> Day {
        pricing::day_of(self.rate_day, priced.conversion.event_time, priced.conversion.created_at)
    }
}
