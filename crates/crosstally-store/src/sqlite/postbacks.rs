//! The one transaction that books a postback.

use std::sync::{Arc, LazyLock};

use crosstally_core::click::Click;
use crosstally_core::conversion::Conversion;
use crosstally_core::delivery::DeliveryState;
use crosstally_core::ids::ClickId;
use crosstally_core::ledger::LedgerEntry;
use crosstally_core::postback::{Awaited, Booking, ConversionChange, Facts, FactsWanted};
use crosstally_core::route::{GoalEvent, NewDelivery};
use crosstally_core::time::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use super::{Sqlite, receipts, rows};
use crate::{Decide, StoreError, WORKSPACE};

static FIND_CLICK: LazyLock<String> =
    LazyLock::new(|| format!("SELECT {} FROM clicks WHERE id = ?1", rows::CLICK));
static FIND_CONVERSION: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT {} FROM conversions WHERE workspace = ?1 AND partner = ?2 AND dedupe_key = ?3",
        rows::CONVERSION
    )
});
static FIND_ENTRIES: LazyLock<String> = LazyLock::new(|| {
    format!("SELECT {} FROM ledger_entries WHERE conversion = ?1 ORDER BY sequence", rows::ENTRY)
});

const INSERT_CONVERSION: &str = "INSERT INTO conversions (id, workspace, partner, dedupe_key, transaction_id, event, click,
        campaign, source, status, currency, payout, revenue, value, confirmed, pending, movements, event_time,
        created_at, updated_at, event_id, external_id, contact, goals_met, fx_base, fx_rate, fx_date, fx_source,
        base_confirmed, base_pending)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23,
        ?24, ?25, ?26, ?27, ?28, ?29, ?30)";

const UPDATE_CONVERSION: &str = "UPDATE conversions
    SET transaction_id = ?5, event = ?6, click = ?7, campaign = ?8, source = ?9, status = ?10, currency = ?11,
        payout = ?12, revenue = ?13, value = ?14, confirmed = ?15, pending = ?16, movements = ?17, event_time = ?18,
        created_at = ?19, updated_at = ?20, event_id = ?21, external_id = ?22, contact = ?23, goals_met = ?24,
        fx_base = ?25, fx_rate = ?26, fx_date = ?27, fx_source = ?28, base_confirmed = ?29, base_pending = ?30
    WHERE id = ?1 AND workspace = ?2 AND partner = ?3 AND dedupe_key = ?4 AND movements = ?17 - 1";

const INSERT_ENTRY: &str = "INSERT INTO ledger_entries (conversion, sequence, workspace, receipt, status, status_word,
        currency, payout, revenue, value, confirmed_delta, pending_delta, event_time, recorded_at, click, campaign,
        source, partner, kind, content, fx_base, fx_rate, fx_date, fx_source, base_confirmed_delta, base_pending_delta)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23,
        ?24, ?25, ?26)";

const INSERT_GOAL_EVENT: &str =
    "INSERT INTO goal_events (id, workspace, conversion, goal, sequence, event_name, event_id,
        event, created_at)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";

const INSERT_DELIVERY: &str =
    "INSERT INTO deliveries (id, workspace, goal_event, conversion, destination, state, detail,
        attempts, failures, due_at, available_at, deadline_at, created_at, finished_at, fence)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, '', 0, 0, ?7, ?7, ?8, ?9, ?10, 0)";

/// About how many rows a postback writes.
const WEIGHT: usize = 8;

impl Sqlite {
    pub(crate) async fn record_postback(
        &self,
        wanted: FactsWanted,
        mut decide: Decide,
    ) -> Result<Booking, StoreError> {
        let wanted = Arc::new(wanted);
        let foreseen = Arc::clone(&wanted);
        let work = move |connection: &Connection| {
            let facts = facts(connection, &wanted)?;
            let booking = decide(&facts);
            book(connection, &booking)?;
            Ok(booking)
        };
        let looked_up = move |reader: &Connection| look_up(reader, &foreseen);
        self.engine
            .write_foreseen(WEIGHT, work, |booking, tally| tally.add(booking), Some(Box::new(looked_up)))
            .await
    }
}

/// Asks for what booking the postback will ask for and write beside; the answers don't matter.
fn look_up(reader: &Connection, wanted: &FactsWanted) {
    let Ok(Facts { conversion, attributed, .. }) = facts(reader, wanted) else { return };
    if let Some(conversion) = conversion {
        receipts::look_up_conversion(reader, conversion.id);
    }
    if let Some(click) = attributed.map(|click| click.id).or(wanted.click) {
        receipts::look_up_click(reader, click);
    }
}

fn facts(connection: &Connection, wanted: &FactsWanted) -> Result<Facts, StoreError> {
    let click = find_click(connection, wanted.click)?;
    let conversion = connection
        .prepare_cached(&FIND_CONVERSION)?
        .query_row(params![WORKSPACE, wanted.key.partner, wanted.key.key], rows::conversion)
        .optional()?;
    let entries = match &conversion {
        Some(conversion) => connection
            .prepare_cached(&FIND_ENTRIES)?
            .query_map([conversion.id.as_bytes()], rows::entry)?
            .collect::<rusqlite::Result<_>>()?,
        None => Vec::new(),
    };
    let attributed = match conversion.as_ref().and_then(|conversion| conversion.click) {
        Some(id) if wanted.click == Some(id) => click.clone(),
        other => find_click(connection, other)?,
    };
    let nonce_used_by = match &wanted.nonce {
        Some(nonce) => super::nonces::used_by(connection, &wanted.key.partner, nonce)?,
        None => None,
    };
    let seen = if wanted.sightings.is_empty() {
        Vec::new()
    } else {
        let own = conversion.as_ref().map(|conversion| (conversion.id, conversion.created_at));
        super::sightings::seen(connection, &wanted.sightings, own)?
    };
    Ok(Facts { click, conversion, attributed, entries, nonce_used_by, seen })
}

fn find_click(connection: &Connection, id: Option<ClickId>) -> Result<Option<Click>, StoreError> {
    let Some(id) = id else { return Ok(None) };
    Ok(connection.prepare_cached(&FIND_CLICK)?.query_row([id.as_bytes()], rows::click).optional()?)
}

fn book(connection: &Connection, booking: &Booking) -> Result<(), StoreError> {
    receipts::insert_row(connection, &booking.receipt)?;
    if let Some(nonce) = &booking.nonce {
        super::nonces::claim(connection, &booking.receipt, nonce)?;
    }
    book_changes(connection, booking)
}

/// Everything but the receipt and the counts.
pub(super) fn book_changes(connection: &Connection, booking: &Booking) -> Result<(), StoreError> {
    let written = match &booking.conversion {
        Some(ConversionChange::Insert(conversion)) => {
            write_conversion(connection, INSERT_CONVERSION, conversion)?
        }
        Some(ConversionChange::Update(conversion)) => {
            write_conversion(connection, UPDATE_CONVERSION, conversion)?
        }
        None => 1,
    };
    if written != 1 {
        return Err(StoreError::Corrupt("the conversion did not stand where it was moved on from".into()));
    }
    if let Some(sale) = booking.conversion.as_ref().map(ConversionChange::conversion)
        && sale.status.is_confirmed()
    {
        super::replays::wake(connection, &Awaited::Sale(sale.key.clone()))?;
    }
    // A conversion is mostly found by the click that its receipt names.
    if let Some(conversion) = booking.conversion.as_ref().map(ConversionChange::conversion)
        && let Some(click) = conversion.click
        && booking.receipt.click != Some(click)
    {
        receipts::link(connection, click, booking.receipt.id, Some(conversion.id))?;
    }
    super::sightings::label(connection, booking)?;
    super::sightings::note(connection, booking)?;
    super::reversals::note(connection, booking)?;
    if let Some(entry) = &booking.entry {
        insert_entry(connection, entry)?;
    }
    for event in &booking.goal_events {
        insert_goal_event(connection, event)?;
    }
    for delivery in &booking.deliveries {
        insert_delivery(connection, delivery, booking.receipt.received_at)?;
    }
    Ok(())
}

fn write_conversion(
    connection: &Connection,
    statement: &str,
    conversion: &Conversion,
) -> Result<usize, StoreError> {
    let written = connection.prepare_cached(statement)?.execute(params![
        conversion.id.as_bytes(),
        WORKSPACE,
        conversion.key.partner,
        conversion.key.key,
        conversion.transaction_id,
        conversion.event,
        conversion.click.as_ref().map(ClickId::as_bytes),
        conversion.campaign,
        conversion.source,
        conversion.status.as_str(),
        conversion.currency.code(),
        conversion.amounts.payout,
        conversion.amounts.revenue,
        conversion.amounts.value,
        conversion.balance.confirmed,
        conversion.balance.pending,
        conversion.movements,
        conversion.event_time.as_millis(),
        conversion.created_at.as_millis(),
        conversion.updated_at.as_millis(),
        conversion.event_id,
        conversion.external_id,
        rows::to_json(&conversion.contact)?,
        rows::to_json(&conversion.goals_met)?,
        conversion.fx.map(|fx| fx.base.code()),
        conversion.fx.map(|fx| fx.rate.to_string()),
        conversion.fx.map(|fx| fx.date.to_string()),
        conversion.fx.map(|fx| fx.source.to_string()),
        conversion.base.confirmed,
        conversion.base.pending,
    ])?;
    Ok(written)
}

pub(super) fn insert_entry(connection: &Connection, entry: &LedgerEntry) -> Result<(), StoreError> {
    connection.prepare_cached(INSERT_ENTRY)?.execute(params![
        entry.conversion.as_bytes(),
        entry.sequence,
        WORKSPACE,
        entry.receipt.as_bytes(),
        entry.status.as_str(),
        entry.status_word,
        entry.currency.code(),
        entry.amounts.payout,
        entry.amounts.revenue,
        entry.amounts.value,
        entry.confirmed_delta,
        entry.pending_delta,
        entry.event_time.as_millis(),
        entry.recorded_at.as_millis(),
        entry.click.as_ref().map(ClickId::as_bytes),
        entry.campaign,
        entry.source,
        entry.partner,
        entry.kind.as_str(),
        entry.content.as_bytes(),
        entry.fx.map(|fx| fx.base.code()),
        entry.fx.map(|fx| fx.rate.to_string()),
        entry.fx.map(|fx| fx.date.to_string()),
        entry.fx.map(|fx| fx.source.to_string()),
        entry.base_confirmed_delta,
        entry.base_pending_delta,
    ])?;
    Ok(())
}

pub(super) fn insert_goal_event(connection: &Connection, event: &GoalEvent) -> Result<(), StoreError> {
    connection.prepare_cached(INSERT_GOAL_EVENT)?.execute(params![
        event.id.as_bytes(),
        WORKSPACE,
        event.conversion.as_bytes(),
        event.goal,
        event.sequence,
        event.event.event_name,
        event.event.event_id,
        rows::to_json(&event.event)?,
        event.created_at.as_millis(),
    ])?;
    Ok(())
}

pub(super) fn insert_delivery(
    connection: &Connection,
    delivery: &NewDelivery,
    created_at: Timestamp,
) -> Result<(), StoreError> {
    let finished_at = (delivery.state != DeliveryState::Pending).then_some(created_at.as_millis());
    connection.prepare_cached(INSERT_DELIVERY)?.execute(params![
        delivery.id.as_bytes(),
        WORKSPACE,
        delivery.goal_event.as_bytes(),
        delivery.conversion.as_bytes(),
        delivery.destination,
        delivery.state.as_str(),
        delivery.due_at.as_millis(),
        delivery.deadline_at.as_millis(),
        created_at.as_millis(),
        finished_at,
    ])?;
    Ok(())
}
