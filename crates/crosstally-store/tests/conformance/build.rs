//! Test data. Every id is new, times are counted from one fixed moment.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use crosstally_core::click::{AdClickIds, Click};
use crosstally_core::conversion::{Conversion, DedupeKey, GoalMet};
use crosstally_core::delivery::{DeliveryState, Outcome};
use crosstally_core::event::{Origin, OutboundEvent};
use crosstally_core::goal::GoalDecision;
use crosstally_core::ids::{CallId, ClickId, ConversionId, DeliveryId, GoalEventId, ReceiptId};
use crosstally_core::ledger::{Amounts, Balance, ContentHash, EntryKind, LedgerEntry, Status};
use crosstally_core::money::{Currency, Money};
use crosstally_core::params::Params;
use crosstally_core::postback::{Booking, ConversionChange, FactsWanted, Headers, Receipt};
use crosstally_core::reason::Reason;
use crosstally_core::route::{GoalEvent, NewDelivery};
use crosstally_core::time::Timestamp;
use crosstally_core::verdict::Verdict;
use crosstally_store::{
    After, CallResult, Held, LeaseWanted, LeasedDelivery, NewCall, Settled, Settlement, Store,
};
use serde_json::Map;

/// The destination of most deliveries here.
pub(crate) const META: &str = "meta-main";
/// The partner of most postbacks here.
pub(crate) const ACME: &str = "acme";

/// Texts that break careless code. NUL is missing: core lets none into a text of its own column.
pub(crate) const NASTY: &[&str] = &[
    "",
    "'; DROP TABLE clicks; --",
    "\u{1f9a6} otter \u{202e}rtl \u{e9}\u{301}",
    "line\nfeed\ttab\r\u{7f}\u{1}",
    "back\\slash \"quote\" $1 ?1 :name %s {x}",
];

/// The fixed moment plus some milliseconds.
pub(crate) fn at(ms: i64) -> Timestamp {
    Timestamp::from_millis(1_764_201_600_000 + ms)
}

/// Bytes that no earlier call returned.
fn fresh<const N: usize>() -> [u8; N] {
    static COUNT: AtomicU64 = AtomicU64::new(1);
    // An odd factor makes a permutation: distinct, and in no order.
    let mixed = COUNT.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut bytes = [0xa5; N];
    let from = mixed.to_be_bytes();
    let length = N.min(from.len());
    bytes[..length].copy_from_slice(&from[..length]);
    bytes
}

/// A number above those of all earlier calls.
pub(crate) fn next_number() -> u32 {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    COUNT.fetch_add(1, Ordering::Relaxed)
}

/// A name that no other process has: for databases on a shared server.
pub(crate) fn unique_name() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos();
    let [one, two, three, four] = fresh::<4>();
    format!("{}_{since}_{one}_{two}_{three}_{four}", std::process::id())
}

pub(crate) fn click_id(ms: i64) -> ClickId {
    let mut bytes = *ReceiptId::new(at(ms), fresh()).as_bytes();
    bytes[15] = 1;
    ClickId::from_bytes(bytes)
}

pub(crate) fn receipt_id(ms: i64) -> ReceiptId {
    ReceiptId::new(at(ms), fresh())
}

pub(crate) fn conversion_id(ms: i64) -> ConversionId {
    ConversionId::new(at(ms), fresh())
}

pub(crate) fn delivery_id(ms: i64) -> DeliveryId {
    DeliveryId::new(at(ms), fresh())
}

pub(crate) fn goal_event_id(ms: i64) -> GoalEventId {
    GoalEventId::new(at(ms), fresh())
}

pub(crate) fn usd() -> Currency {
    "USD".parse().unwrap()
}

pub(crate) fn click(ms: i64) -> Click {
    let query = "fbclid=IwAR2F4-dbP&sub1=north&x=%F0%9F%A6%A6".to_owned();
    Click {
        id: click_id(ms),
        at: at(ms),
        campaign: "spring".into(),
        source: "facebook".into(),
        target: "https://shop.example/offer?id=1".into(),
        ip: Some([203, 0, 113, 7].into()),
        in_europe: None,
        user_agent: "Mozilla/5.0".into(),
        referrer: "https://l.facebook.example/".into(),
        language: "en-US,en;q=0.9".into(),
        fbc_cookie: "fb.1.1764201600000.IwAR2F4-dbP".into(),
        fbp_cookie: String::new(),
        ad_click_ids: AdClickIds::from_params(&Params::parse(query.as_bytes()).unwrap()),
        query,
        cost: Some(Money::new(35, usd())),
        gpc: true,
        test: false,
        labels: Vec::new(),
        way: None,
    }
}

pub(crate) fn receipt(ms: i64) -> Receipt {
    Receipt {
        id: receipt_id(ms),
        received_at: at(ms),
        partner: ACME.into(),
        method: "POST".into(),
        query: b"status=approved&payout=12.34".to_vec(),
        body: Vec::new(),
        content_type: "application/x-www-form-urlencoded".into(),
        peer: "198.51.100.7".into(),
        user_agent: "curl/8.5.0".into(),
        verdict: Verdict::Recorded,
        reason: None,
        detail: String::new(),
        conversion: None,
        sequence: None,
        click: None,
        read: std::sync::Arc::default(),
        goals: Vec::new(),
        revision: 0,
        headers: Headers::default(),
        contact: crosstally_core::identity::Contact::default(),
        sealed: None,
        labels: Vec::new(),
        awaits: None,
    }
}

/// The key that core would make for a transaction.
pub(crate) fn key(partner: &str, transaction: &str) -> DedupeKey {
    DedupeKey { partner: partner.into(), key: format!("t:{transaction}") }
}

pub(crate) fn conversion(ms: i64, key: DedupeKey) -> Conversion {
    Conversion {
        id: conversion_id(ms),
        transaction_id: key
            .key
            .strip_prefix("t:")
            .and_then(|rest| rest.split('\n').next())
            .map(str::to_owned),
        key,
        event: None,
        click: None,
        campaign: String::new(),
        source: String::new(),
        status: Status::Approved,
        currency: usd(),
        amounts: Amounts { payout: Some(1_234), revenue: None, value: Some(1_234) },
        balance: Balance { confirmed: 1_234, pending: 0 },
        fx: None,
        base: Balance::default(),
        movements: 1,
        event_time: at(ms),
        created_at: at(ms),
        updated_at: at(ms),
        event_id: None,
        external_id: None,
        contact: crosstally_core::identity::Contact::default(),
        goals_met: Vec::new(),
        labels: Vec::new(),
    }
}

/// The movement that brought a conversion to where it is.
pub(crate) fn entry(conversion: &Conversion, receipt: ReceiptId, before: Balance) -> LedgerEntry {
    LedgerEntry {
        conversion: conversion.id,
        sequence: conversion.movements,
        receipt,
        status: conversion.status,
        status_word: conversion.status.as_str().into(),
        currency: conversion.currency,
        amounts: conversion.amounts,
        confirmed_delta: conversion.balance.confirmed - before.confirmed,
        pending_delta: conversion.balance.pending - before.pending,
        event_time: conversion.event_time,
        recorded_at: conversion.updated_at,
        click: conversion.click,
        campaign: conversion.campaign.clone(),
        source: conversion.source.clone(),
        partner: conversion.key.partner.clone(),
        kind: EntryKind::Call,
        content: ContentHash::from_bytes([7; 16]),
        fx: conversion.fx,
        base_confirmed_delta: conversion.fx.map(|_| conversion.base.confirmed),
        base_pending_delta: conversion.fx.map(|_| conversion.base.pending),
    }
}

pub(crate) fn goal_event(ms: i64, conversion: ConversionId) -> GoalEvent {
    GoalEvent {
        id: goal_event_id(ms),
        conversion,
        goal: "purchase".into(),
        sequence: 1,
        event: OutboundEvent {
            event_name: "Purchase".into(),
            event_time: at(ms),
            event_id: format!("event-{conversion}"),
            action_source: "website".into(),
            value: Some("12.34".into()),
            currency: Some("USD".into()),
            // A click's parameter holds whatever its link says, a NUL too.
            origin: Origin { params: Map::from_iter([("sub1".into(), "a\0b".into())]), ..Origin::default() },
            ..OutboundEvent::default()
        },
        created_at: at(ms),
    }
}

pub(crate) fn delivery(ms: i64, event: &GoalEvent, destination: &str) -> NewDelivery {
    NewDelivery {
        id: DeliveryId::of(event.id, next_number()),
        goal_event: event.id,
        conversion: event.conversion,
        destination: destination.into(),
        state: DeliveryState::Pending,
        due_at: at(ms),
        deadline_at: at(ms + 1_000_000),
    }
}

/// A new conversion under this key with one goal met and one delivery to each destination, due at once.
pub(crate) fn sale(ms: i64, key: DedupeKey, destinations: &[&str]) -> Booking {
    let mut receipt = receipt(ms);
    receipt.partner.clone_from(&key.partner);
    let mut conversion = conversion(ms, key);
    let event = goal_event(ms, conversion.id);
    conversion.goals_met = vec![GoalMet { goal: event.goal.clone(), event: event.id }];
    receipt.conversion = Some(conversion.id);
    receipt.sequence = Some(1);
    receipt.goals = vec![GoalDecision {
        goal: event.goal.clone(),
        reason: Reason::GoalMet,
        detail: "status == \"approved\"".into(),
        event: Some(event.id),
    }];
    let entry = entry(&conversion, receipt.id, Balance::default());
    let deliveries = destinations.iter().map(|destination| delivery(ms, &event, destination)).collect();
    Booking {
        receipt,
        entry: Some(entry),
        conversion: Some(ConversionChange::Insert(conversion)),
        goal_events: vec![event],
        deliveries,
        nonce: None,
        sightings: Vec::new(),
        relabelled: false,
        reverses: false,
    }
}

/// A conversion knows the events of the goals that it has met.
pub(crate) fn meet_goals(booking: &mut Booking) {
    let met = booking
        .goal_events
        .iter()
        .map(|event| GoalMet { goal: event.goal.clone(), event: event.id })
        .collect();
    if let Some(ConversionChange::Insert(conversion) | ConversionChange::Update(conversion)) =
        &mut booking.conversion
    {
        conversion.goals_met = met;
    }
}

/// Books what was decided beforehand.
pub(crate) async fn book(store: &Store, booking: &Booking) {
    let wanted = FactsWanted { click: None, key: key_of(booking), nonce: None, sightings: Vec::new() };
    let decided = booking.clone();
    let booked = store.record_postback(wanted, Box::new(move |_| decided.clone())).await.unwrap();
    assert_eq!(&booked, booking);
}

pub(crate) fn key_of(booking: &Booking) -> DedupeKey {
    booking.conversion.as_ref().map_or_else(|| key(ACME, "none"), |change| change.conversion().key.clone())
}

/// Books that many deliveries to one destination, a millisecond apart; their ids, oldest first.
pub(crate) async fn book_deliveries(store: &Store, destination: &str, count: i64) -> Vec<DeliveryId> {
    let mut ids = Vec::new();
    for ms in 0..count {
        let booking = sale(ms, key(ACME, &format!("{destination}-{ms}-{}", unique_name())), &[destination]);
        book(store, &booking).await;
        ids.extend(booking.deliveries.iter().map(|delivery| delivery.id));
    }
    ids
}

/// A lease of everything that is due at this time, for 1,000 ms.
pub(crate) fn wanted(destination: &str, ms: i64) -> LeaseWanted {
    LeaseWanted {
        destination: destination.into(),
        owner: "node-1".into(),
        now: at(ms),
        until: at(ms + 1_000),
        limit: 10_000,
        unknown_for_ms: None,
        first: crosstally_core::delivery::lane::Lane::Fresh,
    }
}

pub(crate) fn held(leased: &[LeasedDelivery]) -> Vec<Held> {
    leased.iter().map(|one| Held { id: one.id, fence: one.fence }).collect()
}

pub(crate) fn new_call(ms: i64, held: &[Held]) -> NewCall {
    NewCall {
        id: CallId::new(at(ms), fresh()),
        destination: META.into(),
        started_at: at(ms),
        method: "POST".into(),
        url: "https://graph.example/v1/events?access_token=***".into(),
        deliveries: held.iter().map(|one| (*one, format!("{{\"event\":\"{}\"}}", one.id))).collect(),
    }
}

pub(crate) fn result(call: CallId, ms: i64) -> CallResult {
    CallResult {
        id: call,
        destination: META.into(),
        finished_at: at(ms),
        status: Some(200),
        response: "{\"events_received\":1}".into(),
        detail: "fine".into(),
        probe: false,
    }
}

/// Leases what is due at this time, calls, and settles all of it alike.
pub(crate) async fn work(store: &Store, ms: i64, outcome: Outcome, after: After) -> Settled {
    let held = held(&store.lease_deliveries(wanted(META, ms)).await.unwrap());
    let call = new_call(ms, &held);
    let id = call.id;
    assert_eq!(store.open_call(call).await.unwrap(), held);
    let reason = outcome.reason();
    let settlements = held
        .into_iter()
        .map(|held| Settlement { held, outcome: outcome.clone(), after, reason, last_at: None })
        .collect();
    store.settle_call(result(id, ms + 10), settlements, None).await.unwrap()
}
