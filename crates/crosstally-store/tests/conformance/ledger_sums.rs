//! Sums over the ledger, against a model that adds up whole conversions, one after the other.

use std::collections::BTreeMap;

use crosstally_core::conversion::Conversion;
use crosstally_core::fx::{Fx, Origin, Source};
use crosstally_core::ledger::{Amounts, Balance, By, EntryKind, LedgerEntry, Status, Window};
use crosstally_core::money::Currency;
use crosstally_core::postback::{Booking, ConversionChange};
use crosstally_core::pricing;
use crosstally_store::{LedgerFilter, LedgerSum, Store};

use crate::build::{self, ACME, at};
use crate::stage::Stage;

/// A movement of a history: the status, the value and the currency it leads to, when it is recorded, when it happened.
type Step = (Status, Option<i64>, &'static str, i64, i64);

fn currency(code: &str) -> Currency {
    code.parse().unwrap()
}

/// A rate of a base currency, the same number whatever the currency is.
fn fx(base: &str, rate: &str) -> Fx {
    let rate: crosstally_core::fx::Factor = rate.parse().unwrap();
    Fx { base: currency(base), rate, date: "2025-11-27".parse().unwrap(), source: Origin::One(Source::Set) }
}

/// Books a history, each movement in a transaction of its own; its entries.
async fn book(store: &Store, partner: &str, campaign: &str, steps: &[Step]) -> Vec<LedgerEntry> {
    let key = build::key(partner, &build::unique_name());
    let mut entries = Vec::new();
    let mut known: Option<Conversion> = None;
    for (status, value, code, recorded, happened) in steps {
        let mut booking: Booking = build::sale(*recorded, key.clone(), &[]);
        let fresh = known.is_none();
        let mut after =
            known.clone().unwrap_or_else(|| booking.conversion.take().unwrap().conversion().clone());
        after.movements = u32::try_from(entries.len()).unwrap() + 1;
        campaign.clone_into(&mut after.campaign);
        after.source = format!("from-{campaign}");
        (after.status, after.currency, after.updated_at) = (*status, currency(code), at(*recorded));
        after.amounts = Amounts { payout: *value, revenue: None, value: *value };
        after.balance = Balance::under(*status, *value);
        // Yen have no rate.
        let rate = (*code != "JPY" && after.has_value()).then(|| fx("EUR", "1/2"));
        let priced = rate.and_then(|fx| fx.of(after.balance, after.currency).map(|base| (fx, base)));
        after.fx = priced.map(|(fx, _)| fx);
        after.base = priced.map(|(_, base)| base).unwrap_or_default();
        let before = known.as_ref().map(|known| known.balance).unwrap_or_default();
        let mut entry = build::entry(&after, booking.receipt.id, before);
        let base = pricing::delta(known.as_ref(), &after);
        entry.event_time = at(*happened);
        entry.recorded_at = at(*recorded);
        entry.fx = after.fx;
        entry.kind = if fresh { EntryKind::Call } else { EntryKind::Replay };
        entry.base_confirmed_delta = base.map(|base| base.confirmed);
        entry.base_pending_delta = base.map(|base| base.pending);
        booking.receipt.partner = partner.into();
        booking.receipt.conversion = Some(after.id);
        booking.receipt.sequence = Some(after.movements);
        booking.goal_events.clear();
        booking.entry = Some(entry.clone());
        booking.conversion = Some(if fresh {
            ConversionChange::Insert(after.clone())
        } else {
            ConversionChange::Update(after.clone())
        });
        build::book(store, &booking).await;
        entries.push(entry);
        known = Some(after);
    }
    assert_eq!(store.entries(entries[0].conversion).await.unwrap(), entries);
    entries
}

/// Sums by currency: confirmed, pending, base confirmed, base pending, movements, conversions, without a rate.
type Model = BTreeMap<&'static str, (i128, i128, i128, i128, u64, u64, u64)>;

/// What entries come to: each takes its conversion from one balance to the next, in the currency that it had then.
fn model(histories: &[&[LedgerEntry]], window: &Window) -> Model {
    let mut sums = Model::new();
    for entries in histories {
        let mut seen: Vec<&str> = Vec::new();
        for entry in window.entries(entries) {
            let after = Balance::under(entry.status, entry.amounts.value);
            if let Some(before) = entries.iter().find(|before| before.sequence + 1 == entry.sequence) {
                let was = Balance::under(before.status, before.amounts.value);
                let sum = sums.entry(before.currency.code()).or_default();
                sum.0 -= i128::from(was.confirmed);
                sum.1 -= i128::from(was.pending);
            }
            let code = entry.currency.code();
            let sum = sums.entry(code).or_default();
            sum.0 += i128::from(after.confirmed);
            sum.1 += i128::from(after.pending);
            sum.2 += i128::from(entry.base_confirmed_delta.unwrap_or(0));
            sum.3 += i128::from(entry.base_pending_delta.unwrap_or(0));
            sum.4 += 1;
            sum.5 += u64::from(!seen.contains(&code));
            sum.6 += u64::from(entry.base_confirmed_delta.is_none());
            seen.push(code);
        }
    }
    sums
}

fn told(sums: &[LedgerSum]) -> Model {
    let line = |sum: &LedgerSum| {
        assert!(sum.base.iter().all(|base| base.currency.code() == "EUR"), "{sum:?}");
        let base = |of: fn(&crosstally_store::BaseSum) -> i128| sum.base.iter().map(of).sum::<i128>();
        let value = (
            sum.confirmed,
            sum.pending,
            base(|base| base.confirmed),
            base(|base| base.pending),
            sum.movements,
            sum.conversions,
            sum.fx_pending,
        );
        (sum.currency.code(), value)
    };
    sums.iter().map(line).collect()
}

async fn sums(store: &Store, window: Window) -> Model {
    told(&store.ledger_sums(LedgerFilter { window, ..LedgerFilter::default() }).await.unwrap())
}

pub(crate) async fn sums_are_those_of_a_model_at_every_time(stage: &Stage) {
    use Status::{Approved, Hold, Lead, Rejected, Reversed};
    let store = stage.open().await;
    assert_eq!(store.ledger_sums(LedgerFilter::default()).await.unwrap(), []);
    let huge = 1_i64 << 60;
    let histories = [
        book(
            &store,
            ACME,
            "one",
            &[(Lead, Some(1_001), "USD", 0, 0), (Approved, Some(2_003), "USD", 50, 10)],
        )
        .await,
        // The approval is recorded by a clock that is behind the one that saw the hold.
        book(&store, ACME, "one", &[(Hold, Some(500), "USD", 40, 5), (Approved, Some(700), "USD", 30, 6)])
            .await,
        // Another contract: the same amounts are euros, and then yen, which have no rate.
        book(
            &store,
            ACME,
            "two",
            &[
                (Approved, Some(300), "USD", 20, 20),
                (Approved, Some(300), "EUR", 60, 20),
                (Hold, Some(900), "JPY", 70, 20),
                (Reversed, None, "JPY", 80, 90),
            ],
        )
        .await,
        book(
            &store,
            "other",
            "two",
            &[(Rejected, None, "USD", 10, 100), (Approved, Some(-77), "USD", 90, 0)],
        )
        .await,
        // More than fits into 64 bits together.
        book(&store, "other", "two", &[(Approved, Some(huge), "KWD", 11, 11)]).await,
        book(&store, "other", "two", &[(Approved, Some(huge), "KWD", 12, 12)]).await,
        book(&store, "other", "two", &[(Approved, Some(-huge), "BHD", 12, 12)]).await,
    ];
    let all: Vec<&[LedgerEntry]> = histories.iter().map(Vec::as_slice).collect();
    let whole = sums(&store, Window::default()).await;
    assert_eq!(whole, model(&all, &Window::default()));
    assert_eq!(whole["KWD"].0, 2 * i128::from(huge));
    assert_eq!((whole["EUR"].0, whole["JPY"].1, whole["USD"].5), (0, 0, 4), "{whole:?}");
    let times = [-1, 0, 5, 6, 10, 12, 20, 21, 30, 39, 40, 50, 60, 61, 70, 80, 90, 91, 101];
    for by in By::ALL {
        for as_of in times {
            let window = Window { as_of: Some(at(as_of)), by, ..Window::default() };
            assert_eq!(sums(&store, window).await, model(&all, &window), "as of {as_of}");
            for cut in [5, 20, 40, 61] {
                let (early, late) =
                    (Window { to: Some(at(cut)), ..window }, Window { from: Some(at(cut)), ..window });
                for window in [early, late] {
                    assert_eq!(sums(&store, window).await, model(&all, &window), "{window:?}");
                }
            }
        }
    }
    the_states_say_the_same(&store, &all, &times).await;
}

/// What the sums say is what the states of the conversions say.
async fn the_states_say_the_same(store: &Store, all: &[&[LedgerEntry]], times: &[i64]) {
    for &as_of in times {
        let window = Window { as_of: Some(at(as_of)), ..Window::default() };
        let mut states: BTreeMap<&str, (i128, i128)> = BTreeMap::new();
        for state in all.iter().filter_map(|entries| window.state(entries)) {
            let sum = states.entry(state.currency.code()).or_default();
            sum.0 += i128::from(state.balance.confirmed);
            sum.1 += i128::from(state.balance.pending);
        }
        let mut summed: BTreeMap<&str, (i128, i128)> =
            sums(store, window).await.into_iter().map(|(code, sum)| (code, (sum.0, sum.1))).collect();
        summed.retain(|code, sum| states.contains_key(code) || *sum != (0, 0));
        assert_eq!(summed, states, "as of {as_of}");
    }
}

pub(crate) async fn sums_are_of_what_is_asked_for(stage: &Stage) {
    let store = stage.open().await;
    let approved = |value| [(Status::Approved, Some(value), "USD", 0, 0)];
    book(&store, ACME, "one", &approved(1)).await;
    book(&store, ACME, "two", &approved(20)).await;
    book(&store, "other", "two", &approved(300)).await;
    for (partner, campaign, source, expected) in [
        (None, None, None, 321),
        (Some(ACME), None, None, 21),
        (Some("other"), None, None, 300),
        (None, Some("two"), None, 320),
        (None, None, Some("from-one"), 1),
        (Some(ACME), Some("two"), Some("from-two"), 20),
        (Some("nobody"), None, None, 0),
        (None, Some("'; --"), None, 0),
    ] {
        let filter = LedgerFilter {
            window: Window::default(),
            partner: partner.map(str::to_owned),
            campaign: campaign.map(str::to_owned),
            source: source.map(str::to_owned),
        };
        let sums = store.ledger_sums(filter.clone()).await.unwrap();
        assert_eq!(sums.iter().map(|sum| sum.confirmed).sum::<i128>(), expected, "{filter:?}");
    }
}
