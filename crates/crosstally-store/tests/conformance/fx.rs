//! Rates, the conversions that wait for one, and the jobs that rated some again.

use crosstally_core::conversion::Conversion;
use crosstally_core::fx::{Factor, Fx, Origin, Quote, Source};
use crosstally_core::ids::ConversionId;
use crosstally_core::ledger::{Balance, EntryKind};
use crosstally_core::postback::{Booking, ConversionChange};
use crosstally_core::pricing::{self, Rated};
use crosstally_core::time::DAY_MS;
use crosstally_store::{FxChange, FxImport, FxJob, FxSpan, Priced, Store};

use crate::build::{self, ACME};
use crate::stage::Stage;

fn quote(date: &str, pair: &str, rate: &str, source: Source) -> Quote {
    let (base, quote) = pair.split_once('/').unwrap();
    Quote {
        day: date.parse().unwrap(),
        base: base.parse().unwrap(),
        quote: quote.parse().unwrap(),
        rate: rate.parse().unwrap(),
        source,
    }
}

fn dollars(rate: &str, date: &str) -> Fx {
    Fx {
        base: build::usd(),
        rate: rate.parse::<Factor>().unwrap(),
        date: date.parse().unwrap(),
        source: Origin::Two(Source::Ecb, Source::Set),
    }
}

/// A sale in euros without a rate; its id rises with `ms`.
async fn euros(store: &Store, ms: i64) -> Conversion {
    let mut booking = build::sale(ms, build::key(ACME, &format!("fx-{ms}-{}", build::unique_name())), &[]);
    let Some(ConversionChange::Insert(conversion)) = &mut booking.conversion else { panic!("a sale is new") };
    conversion.currency = "EUR".parse().unwrap();
    let entry = booking.entry.as_mut().unwrap();
    entry.currency = conversion.currency;
    (entry.base_confirmed_delta, entry.base_pending_delta) = (None, None);
    let conversion = conversion.clone();
    build::book(store, &booking).await;
    conversion
}

fn ids(found: &[Priced]) -> Vec<ConversionId> {
    found.iter().map(|one| one.conversion.id).collect()
}

fn rated(found: &Priced, fx: Fx) -> Rated {
    pricing::rate(&found.conversion, fx, found.receipt, build::at(9_000)).unwrap()
}

pub(crate) async fn rates_are_imported_once_and_replaced_with_a_word(stage: &Stage) {
    let store = stage.open().await;
    let first = [
        quote("2026-11-20", "EUR/USD", "1.0856", Source::Ecb),
        quote("2026-11-20", "EUR/JPY", "163.05", Source::Ecb),
        quote("2026-11-20", "EUR/USD", "1.1", Source::Set),
        quote("2026-11-13", "EUR/USD", "1.0801", Source::Ecb),
    ];
    assert_eq!(store.fx_version().await.unwrap(), 0);
    let added = store.import_rates(first.to_vec(), build::at(1)).await.unwrap();
    assert_eq!(added, FxImport { added: 4, ..FxImport::default() });
    assert_eq!(store.fx_version().await.unwrap(), 1);
    let again = store.import_rates(first.to_vec(), build::at(2)).await.unwrap();
    assert_eq!(again, FxImport { same: 4, ..FxImport::default() });
    assert_eq!(store.fx_version().await.unwrap(), 1, "nothing changed, nobody has to look");
    let other = quote("2026-11-20", "EUR/USD", "1.0857", Source::Ecb);
    let fresh = quote("2026-11-19", "EUR/USD", "1.0845", Source::Ecb);
    let mixed = store.import_rates(vec![other, fresh, first[1]], build::at(3)).await.unwrap();
    assert_eq!(mixed, FxImport { added: 1, replaced: vec![(other, first[0].rate)], same: 1 });
    assert_eq!(store.fx_version().await.unwrap(), 2);
    let day = |text: &str| text.parse().unwrap();
    let found = store.rates(day("2026-11-14"), day("2026-11-20")).await.unwrap();
    assert_eq!(found, [fresh, first[1], other, first[2]]);
    assert_eq!(store.rates(day("2026-11-14"), day("2026-11-18")).await.unwrap(), []);
    assert_eq!(store.import_rates(Vec::new(), build::at(4)).await.unwrap(), FxImport::default());
}

pub(crate) async fn rates_are_listed_latest_first_page_by_page(stage: &Stage) {
    let store = stage.open().await;
    let mut all = Vec::new();
    for date in ["2026-11-18", "2026-11-19", "2026-11-20"] {
        for (pair, source) in [("EUR/JPY", Source::Ecb), ("EUR/USD", Source::Ecb), ("EUR/USD", Source::Set)] {
            all.push(quote(date, pair, "1.5", source));
        }
    }
    store.import_rates(all.clone(), build::at(7)).await.unwrap();
    all.reverse();
    let (mut listed, mut before) = (Vec::new(), None);
    loop {
        let page = store.list_rates(None, before, 2).await.unwrap();
        assert!(page.iter().all(|rate| rate.imported_at == build::at(7)));
        listed.extend(page.iter().map(|rate| rate.quote));
        before = page.last().map(|rate| rate.quote);
        if page.is_empty() {
            break;
        }
    }
    assert_eq!(listed, all);
    let yen = store.list_rates(Some("JPY".parse().unwrap()), None, 10).await.unwrap();
    assert_eq!(yen.len(), 3);
}

pub(crate) async fn what_waits_for_a_rate_is_found_and_settled_once(stage: &Stage) {
    let store = stage.open().await;
    let (first, second) = (euros(&store, 1).await, euros(&store, 2).await);
    // Nothing to price, and priced already.
    let mut free = build::sale(3, build::key(ACME, "free"), &[]);
    if let Some(ConversionChange::Insert(conversion)) = &mut free.conversion {
        conversion.amounts.value = Some(0);
    }
    build::book(&store, &free).await;
    let waiting = store.fx_pending(None, 10).await.unwrap();
    assert_eq!(ids(&waiting), [first.id, second.id]);
    assert_eq!(waiting[0].conversion, first);
    assert_eq!(waiting[0].receipt, store.entries(first.id).await.unwrap()[0].receipt);
    assert_eq!(ids(&store.fx_pending(Some(first.id), 10).await.unwrap()), [second.id]);
    assert_eq!(ids(&store.fx_pending(None, 1).await.unwrap()), [first.id]);

    let fx = dollars("1357/1250", "2026-11-20");
    let both: Vec<Rated> = waiting.iter().map(|found| rated(found, fx)).collect();
    assert_eq!(store.book_rates(vec![both[0].clone()]).await.unwrap(), [first.id]);
    let stored = store.conversion(first.id).await.unwrap().unwrap();
    assert_eq!(stored, both[0].conversion);
    assert_eq!((stored.fx, stored.movements), (Some(fx), 2));
    // 12.34 x 1.0856 = 13.396..
    assert_eq!(stored.base, Balance { confirmed: 1_340, pending: 0 });
    let entries = store.entries(first.id).await.unwrap();
    assert_eq!(entries[1], both[0].entries[0]);
    assert_eq!((entries[1].kind, entries[1].confirmed_delta), (EntryKind::Rate, 0));
    assert_eq!(entries[0].base_delta(), None);

    // The one has moved meanwhile; the other one is settled beside it.
    assert_eq!(store.book_rates(both.clone()).await.unwrap(), [second.id]);
    assert_eq!(store.book_rates(both).await.unwrap(), []);
    assert_eq!(store.entries(first.id).await.unwrap().len(), 2);
    assert_eq!(store.fx_pending(None, 10).await.unwrap(), []);
    assert_eq!(store.book_rates(Vec::new()).await.unwrap(), []);
}

pub(crate) async fn a_rate_moves_on_with_its_conversion(stage: &Stage) {
    let store = stage.open().await;
    let before = euros(&store, 1).await;
    let waiting = store.fx_pending(None, 10).await.unwrap();
    let settled = rated(&waiting[0], dollars("2", "2026-11-20"));
    store.book_rates(vec![settled.clone()]).await.unwrap();
    let mut after = settled.conversion.clone();
    after.movements += 1;
    after.base = Balance { confirmed: -7, pending: 1 << 60 };
    let mut booking = Booking::receipt_only(build::receipt(5));
    booking.entry = Some(build::entry(&after, booking.receipt.id, settled.conversion.balance));
    booking.conversion = Some(ConversionChange::Update(after.clone()));
    build::book(&store, &booking).await;
    assert_eq!(store.conversion(before.id).await.unwrap(), Some(after));
    assert_eq!(store.entries(before.id).await.unwrap().last(), booking.entry.as_ref());
    // Two movements at once: out of the old base, into the new one.
    let found = store.fx_priced(everything(), None, 10).await.unwrap();
    assert_eq!(found[0].receipt, booking.receipt.id);
    let fx = Fx { base: "JPY".parse().unwrap(), ..dollars("150", "2026-11-20") };
    let yen = rated(&found[0], fx);
    assert_eq!(yen.entries.len(), 2);
    assert_eq!(store.book_rates(vec![yen.clone()]).await.unwrap(), [before.id]);
    assert_eq!(store.conversion(before.id).await.unwrap(), Some(yen.conversion));
    assert_eq!(store.entries(before.id).await.unwrap()[3..], yen.entries);
}

fn everything() -> FxSpan {
    FxSpan { from: build::at(i64::from(i32::MIN)), until: build::at(DAY_MS * 1_000), currency: None }
}

pub(crate) async fn what_has_a_rate_is_found_by_its_day(stage: &Stage) {
    let store = stage.open().await;
    for ms in [1, DAY_MS + 1, 2 * DAY_MS + 1] {
        euros(&store, ms).await;
    }
    let waiting = store.fx_pending(None, 10).await.unwrap();
    assert_eq!(store.fx_priced(everything(), None, 10).await.unwrap(), []);
    store
        .book_rates(waiting.iter().map(|found| rated(found, dollars("2", "2026-11-20"))).collect())
        .await
        .unwrap();
    let of = async |from: i64, until: i64, currency: &str| {
        let currency = Some(currency.parse().unwrap());
        ids(&store
            .fx_priced(FxSpan { from: build::at(from), until: build::at(until), currency }, None, 10)
            .await
            .unwrap())
    };
    let all = ids(&waiting);
    assert_eq!(of(0, 3 * DAY_MS, "EUR").await, all);
    assert_eq!(of(DAY_MS, 2 * DAY_MS, "EUR").await, [all[1]]);
    assert_eq!(of(0, 3 * DAY_MS, "GBP").await, []);
    assert_eq!(ids(&store.fx_priced(everything(), Some(all[0]), 1).await.unwrap()), [all[1]]);
}

pub(crate) async fn jobs_are_kept(stage: &Stage) {
    let store = stage.open().await;
    let job = |at: i64, currency: Option<&str>| FxJob {
        at: build::at(at),
        author: "me \u{1f9a6}".into(),
        from: "2026-11-01".parse().unwrap(),
        to: "2026-11-20".parse().unwrap(),
        currency: currency.map(|code| code.parse().unwrap()),
        changed: 3,
        sums: vec![FxChange { base: build::usd(), confirmed: -5, pending: i64::MAX }],
    };
    for (at, currency) in [(1, None), (2, Some("EUR"))] {
        store.add_fx_job(job(at, currency)).await.unwrap();
    }
    assert_eq!(store.fx_jobs(10).await.unwrap(), [job(2, Some("EUR")), job(1, None)]);
    assert_eq!(store.fx_jobs(1).await.unwrap().len(), 1);
}
