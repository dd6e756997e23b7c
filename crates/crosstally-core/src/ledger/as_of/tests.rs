//! Random histories: whatever happened, and in whatever order the clocks saw it, what was known at a time is what the
//! conversion was then.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use proptest::prelude::*;

use super::*;
use crate::contract::RateDay;
use crate::conversion::{Conversion, DedupeKey};
use crate::fx::{Day, Quote, Rates, Source};
use crate::ids::ReceiptId;
use crate::ledger::{ContentHash, EntryKind};
use crate::pricing::{self, Market};

/// One thing that happens to a conversion.
#[derive(Debug, Clone)]
enum Happens {
    /// A call or a replay brings it to this status, value and currency.
    Moves { status: Status, value: Option<i64>, currency: &'static str },
    /// It is rated anew.
    Rated { rate: u32, base: &'static str },
}

/// With it, by how much the recording clock and the event's own time differ from the step before: also backwards.
type Step = (Happens, i64, i64);

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let value = prop::option::of(-1_000_i64..1_000_000);
    let moves =
        (prop::sample::select(&Status::ALL[..]), value, prop::sample::select(vec!["USD", "GBP", "JPY"]))
            .prop_map(|(status, value, currency)| Happens::Moves { status, value, currency });
    let rated = (1_u32..500, prop::sample::select(vec!["EUR", "USD"]))
        .prop_map(|(rate, base)| Happens::Rated { rate, base });
    let happens = prop_oneof![4 => moves, 1 => rated];
    prop::collection::vec((happens, -40_i64..120, -90_i64..120), 1..14)
}

fn at(ms: i64) -> Timestamp {
    Timestamp::from_millis(1_764_201_600_000 + ms)
}

fn quote(pair: (&str, &str), rate: &str) -> Quote {
    Quote {
        day: Day::of(at(0)),
        base: pair.0.parse().unwrap(),
        quote: pair.1.parse().unwrap(),
        source: Source::Set,
        rate: rate.parse().unwrap(),
    }
}

fn conversion(now: Timestamp, event_time: Timestamp) -> Conversion {
    Conversion {
        id: ConversionId::from_bytes([3; 16]),
        key: DedupeKey { partner: "acme".into(), key: "t:1".into() },
        transaction_id: None,
        event: None,
        click: None,
        campaign: "summer".into(),
        source: "facebook".into(),
        status: Status::Lead,
        currency: "USD".parse().unwrap(),
        amounts: Amounts::default(),
        balance: Balance::default(),
        fx: None,
        base: Balance::default(),
        movements: 0,
        event_time,
        created_at: now,
        updated_at: now,
        event_id: None,
        external_id: None,
        contact: crate::identity::Contact::default(),
        goals_met: Vec::new(),
        labels: Vec::new(),
    }
}

/// The movement that brought a conversion to where it is.
fn entry(before: Option<&Conversion>, after: &Conversion, event_time: Timestamp) -> LedgerEntry {
    let was = before.map(|before| before.balance).unwrap_or_default();
    let base = pricing::delta(before, after);
    LedgerEntry {
        conversion: after.id,
        sequence: after.movements,
        receipt: ReceiptId::from_bytes([5; 16]),
        status: after.status,
        status_word: String::new(),
        currency: after.currency,
        amounts: after.amounts,
        confirmed_delta: after.balance.confirmed - was.confirmed,
        pending_delta: after.balance.pending - was.pending,
        event_time,
        recorded_at: after.updated_at,
        click: after.click,
        campaign: after.campaign.clone(),
        source: after.source.clone(),
        partner: after.key.partner.clone(),
        kind: EntryKind::Call,
        content: ContentHash::default(),
        fx: after.fx,
        base_confirmed_delta: base.map(|delta| delta.confirmed),
        base_pending_delta: base.map(|delta| delta.pending),
    }
}

/// Plays the steps: the movements, and the conversion as it was after each of them.
fn play(steps: &[Step]) -> (Vec<LedgerEntry>, Vec<Conversion>) {
    // Yen have no rate: amounts in them wait.
    let rates = Rates::new(vec![quote(("EUR", "USD"), "1.0856"), quote(("EUR", "GBP"), "0.8412")]);
    let market = Market { rates: &rates, base: "EUR".parse().unwrap(), rate_day: RateDay::Event };
    let (mut entries, mut stood): (Vec<LedgerEntry>, Vec<Conversion>) = (Vec::new(), Vec::new());
    let (mut clock, mut happened) = (0, 0);
    for (happens, later, event_later) in steps {
        clock += later;
        happened += event_later;
        let before = stood.last().cloned();
        match happens {
            Happens::Moves { status, value, currency } => {
                let mut after = before.clone().unwrap_or_else(|| conversion(at(clock), at(happened)));
                after.status = *status;
                after.currency = currency.parse().unwrap();
                after.amounts = Amounts { payout: *value, revenue: None, value: *value };
                after.balance = Balance::under(*status, *value);
                pricing::price(before.as_ref(), &mut after, &market);
                after.movements += 1;
                after.updated_at = at(clock);
                entries.push(entry(before.as_ref(), &after, at(happened)));
                stood.push(after);
            }
            Happens::Rated { rate, base } => {
                let Some(before) = before else { continue };
                let table = Rates::new(vec![quote((before.currency.code(), base), &format!("1.{rate:03}"))]);
                let Some(fx) = table.find(before.currency, base.parse().unwrap(), Day::of(at(0))) else {
                    continue;
                };
                let Some(rated) = pricing::rate(&before, fx, ReceiptId::from_bytes([6; 16]), at(clock))
                else {
                    continue;
                };
                // One movement, or two with the first in the old base: only where both end is what it was.
                for _ in 1..rated.entries.len() {
                    stood.push(Conversion {
                        movements: before.movements + 1,
                        base: Balance::default(),
                        updated_at: at(clock),
                        ..before.clone()
                    });
                }
                entries.extend(rated.entries);
                stood.push(rated.conversion);
            }
        }
    }
    (entries, stood)
}

fn assert_is(state: &State, conversion: &Conversion) {
    assert_eq!(state.conversion, conversion.id);
    assert_eq!(
        (state.status, state.currency, state.amounts),
        (conversion.status, conversion.currency, conversion.amounts)
    );
    assert_eq!((state.balance, state.fx, state.base), (conversion.balance, conversion.fx, conversion.base));
    assert_eq!(state.movements, conversion.movements);
    assert_eq!(state.is_fx_pending(), conversion.is_fx_pending());
    let times = (conversion.event_time, conversion.created_at, conversion.updated_at);
    assert_eq!((state.event_time, state.created_at, state.updated_at), times);
    assert_eq!(
        (&state.campaign, &state.source, state.click),
        (&conversion.campaign, &conversion.source, conversion.click)
    );
    assert_eq!(state.partner, conversion.key.partner);
}

proptest! {
    #[test]
    fn the_state_now_is_the_present_one(steps in steps()) {
        let (entries, stood) = play(&steps);
        match (Window::default().state(&entries), stood.last()) {
            (Some(state), Some(conversion)) => assert_is(&state, conversion),
            (state, present) => prop_assert_eq!(state.is_some(), present.is_some()),
        }
        let now = Window { as_of: Some(at(1_000_000)), ..Window::default() };
        prop_assert_eq!(now.state(&entries), Window::default().state(&entries));
    }

    #[test]
    fn the_state_as_of_a_time_is_the_one_that_had_been_recorded(steps in steps(), ms in -600_i64..1_800) {
        let (entries, stood) = play(&steps);
        let as_of = Window { as_of: Some(at(ms)), ..Window::default() };
        // Asked of the model: the last step until which every clock had shown a time before.
        let mut latest = i64::MIN;
        let known = stood.iter().take_while(|step| {
            latest = latest.max(step.updated_at.as_millis());
            latest <= at(ms).as_millis()
        });
        match (as_of.state(&entries), known.last()) {
            (Some(state), Some(conversion)) => {
                assert_is(&state, conversion);
                prop_assert_eq!(state.balance, Balance::under(state.status, state.amounts.value));
            }
            (state, known) => prop_assert_eq!(state.is_some(), known.is_some()),
        }
    }

    #[test]
    fn ranges_part_the_known_movements(steps in steps(), as_of in -300_i64..1_500, cut in -300_i64..1_500, by in prop::sample::select(&By::ALL[..])) {
        let (entries, _) = play(&steps);
        let whole = Window { as_of: Some(at(as_of)), by, ..Window::default() };
        let early = Window { to: Some(at(cut)), ..whole };
        let late = Window { from: Some(at(cut)), ..whole };
        let mut parts: Vec<u32> = early.entries(&entries).chain(late.entries(&entries)).map(|one| one.sequence).collect();
        parts.sort_unstable();
        let known: Vec<u32> = whole.known(&entries).iter().map(|one| one.sequence).collect();
        prop_assert_eq!(&parts, &known);
        // A state never has more than what is known, and what it has comes first.
        if let Some(state) = early.state(&entries) {
            let own = entries.get(..usize::try_from(state.movements).unwrap()).unwrap();
            prop_assert!(own.iter().all(|one| by.time_of(one) < at(cut) && one.recorded_at <= at(as_of)));
        }
    }
}

#[test]
fn an_approval_that_came_late_is_not_known_before() {
    let said = |status, later| (Happens::Moves { status, value: Some(1_000), currency: "USD" }, later, later);
    let mut steps = vec![said(Status::Hold, 0), said(Status::Approved, 60_000)];
    // It says that it happened before the hold was even received.
    steps[1].2 = -5_000;
    let (entries, _) = play(&steps);
    let state = |window: Window| window.state(&entries).map(|state| (state.status, state.balance.confirmed));
    let as_of = |ms| Window { as_of: Some(at(ms)), ..Window::default() };
    assert_eq!(state(as_of(-1)), None);
    assert_eq!(state(as_of(0)), Some((Status::Hold, 0)));
    assert_eq!(state(as_of(59_999)), Some((Status::Hold, 0)));
    assert_eq!(state(as_of(60_000)), Some((Status::Approved, 1_000)));
    let happened = |ms| Window { to: Some(at(ms)), by: By::Event, ..Window::default() };
    assert_eq!(state(happened(0)), None, "the approval is never told without the hold before it");
    assert_eq!(state(happened(1)), Some((Status::Approved, 1_000)));
    let both = Window { as_of: Some(at(30_000)), ..happened(1) };
    assert_eq!(state(both), Some((Status::Hold, 0)), "what happened by then, as it was known then");
}
