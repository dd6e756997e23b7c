//! The one transaction that books postbacks, a batch of them at a time.
//!
//! The facts are loaded with a lock on each conversion that is there, so that nobody else moves it before the commit. A
//! conversion that is not there cannot be locked: whoever inserts it first has it, and the other one decides all of its
//! batch again. Postbacks under one key are decided one after the other, each over what the one before it leaves.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::LazyLock;

use crosstally_core::click::Click;
use crosstally_core::conversion::{Conversion, DedupeKey};
use crosstally_core::delivery::DeliveryState;
use crosstally_core::ids::ClickId;
use crosstally_core::ledger::LedgerEntry;
use crosstally_core::postback::{Awaited, Booking, ConversionChange, Facts, FactsWanted, Receipt};
use crosstally_core::route::{GoalEvent, NewDelivery};
use crosstally_core::time::Timestamp;
use tokio_postgres::Row;

use super::fault::Fault;
use super::outbox::count_moved;
use super::rows::{Columns, Id, Text};
use super::sightings::{self, Sightings};
use super::transact::{Database, Ticket, Transaction, Value};
use super::writer::{Waiting, Work};
use super::{Postgres, nonces, receipts, replays, reversals, rows};
use crate::{Decide, StoreError, WORKSPACE};

static FIND_CLICKS: LazyLock<String> = LazyLock::new(|| {
    format!("SELECT {} FROM clicks WHERE id = ANY ($1::uuid[]) AND (workspace = $2) IS TRUE", rows::CLICK)
});

// See the outbox for why the workspace is part of what is joined.
const KEYS: &str =
    "unnest($1::bigint[], $2::text[], $3::text[]) WITH ORDINALITY AS k (workspace, partner, key, position)
    JOIN conversions AS c ON c.workspace = k.workspace AND c.partner = k.partner AND c.dedupe_key = k.key";
// Locked in the order of their keys, so that no two batches wait for each other in a circle.
static LOCK_CONVERSIONS: LazyLock<String> = LazyLock::new(|| {
    format!("SELECT {}, k.position FROM {KEYS} ORDER BY k.position FOR UPDATE OF c", rows::CONVERSION)
});
// A statement of its own, for its view must be younger than the locks.
static FIND_ENTRIES: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT {}, k.position FROM {KEYS} JOIN ledger_entries AS e ON e.conversion = c.id
        ORDER BY k.position, e.sequence",
        rows::ENTRY
    )
});

/// All columns of a conversion but its movements before, and the rows that they are unfolded from.
macro_rules! conversion_columns {
    () => {
        "id, partner, dedupe_key, transaction_id, event, click, campaign, source, status, currency, payout, revenue,
        value, confirmed, pending, movements, event_time, created_at, updated_at, event_id, external_id, contact,
        goals_met, fx_base, fx_rate, fx_date, fx_source, base_confirmed, base_pending"
    };
}
macro_rules! conversion_rows {
    () => {
        concat!(
            "unnest($2::bigint[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[], $8::uuid[], $9::text[],
            $10::text[], $11::text[], $12::text[], $13::bigint[], $14::bigint[], $15::bigint[], $16::bigint[],
            $17::bigint[], $18::bigint[], $19::bigint[], $20::bigint[], $21::bigint[], $22::text[], $23::text[],
            $24::text[], $25::text[], $26::text[], $27::text[], $28::text[], $29::text[], $30::bigint[], $31::bigint[])
            AS n (before, ",
            conversion_columns!(),
            ")"
        )
    };
}

const INSERT_CONVERSIONS: &str = concat!(
    "INSERT INTO conversions (workspace, ",
    conversion_columns!(),
    ") SELECT $1::bigint, ",
    conversion_columns!(),
    " FROM ",
    conversion_rows!(),
    " ON CONFLICT (dedupe_key, partner, workspace) DO NOTHING"
);

const UPDATE_CONVERSIONS: &str = concat!(
    "UPDATE conversions AS c
    SET transaction_id = n.transaction_id, event = n.event, click = n.click, campaign = n.campaign, source = n.source,
        status = n.status, currency = n.currency, payout = n.payout, revenue = n.revenue, value = n.value,
        confirmed = n.confirmed, pending = n.pending, movements = n.movements, event_time = n.event_time,
        created_at = n.created_at, updated_at = n.updated_at, event_id = n.event_id, external_id = n.external_id,
        contact = n.contact, goals_met = n.goals_met, fx_base = n.fx_base, fx_rate = n.fx_rate, fx_date = n.fx_date,
        fx_source = n.fx_source, base_confirmed = n.base_confirmed, base_pending = n.base_pending
    FROM ",
    conversion_rows!(),
    " WHERE c.id = n.id AND c.movements = n.before AND c.partner = n.partner AND c.dedupe_key = n.dedupe_key
        AND (c.workspace = $1) IS TRUE"
);

const INSERT_ENTRIES: &str = "INSERT INTO ledger_entries (workspace, conversion, sequence, receipt, status, status_word,
        currency, payout, revenue, value, confirmed_delta, pending_delta, event_time, recorded_at, click, campaign,
        source, partner, kind, content, fx_base, fx_rate, fx_date, fx_source, base_confirmed_delta, base_pending_delta)
    SELECT $1::bigint, * FROM unnest($2::uuid[], $3::bigint[], $4::uuid[], $5::text[], $6::text[], $7::text[],
        $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[], $13::bigint[], $14::bigint[],
        $15::uuid[], $16::text[], $17::text[], $18::text[], $19::text[], $20::uuid[], $21::text[], $22::text[],
        $23::text[], $24::text[], $25::bigint[], $26::bigint[])";

const INSERT_GOAL_EVENTS: &str =
    "INSERT INTO goal_events (workspace, id, conversion, goal, sequence, event_name, event_id,
        event, created_at)
    SELECT $1::bigint, * FROM unnest($2::uuid[], $3::uuid[], $4::text[], $5::bigint[], $6::text[], $7::text[],
        $8::text[], $9::bigint[])";

const INSERT_DELIVERIES: &str = concat!(
    "WITH booked AS (
        INSERT INTO deliveries (workspace, id, goal_event, conversion, destination, state, detail, attempts, failures,
            due_at, available_at, deadline_at, created_at, finished_at, fence)
        SELECT $1::bigint, id, goal_event, conversion, destination, state, '', 0, 0, due_at, due_at, deadline_at,
            created_at, finished_at, 0
        FROM unnest($2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::bigint[], $8::bigint[],
            $9::bigint[], $10::bigint[])
            AS n (id, goal_event, conversion, destination, state, due_at, deadline_at, created_at, finished_at)
        RETURNING destination, state
    ), moved AS (
        SELECT destination, state, 1 AS change FROM booked
    ), ",
    count_moved!(),
    " SELECT 1"
);

/// A postback on its way into a batch.
pub(super) struct NewPostback {
    wanted: FactsWanted,
    decide: Decide,
}

impl Work for NewPostback {
    type Answer = Booking;

    const BATCHES_MAX: usize = 3;

    fn weight(&self) -> usize {
        // Receipt, conversion, entry, goal event and deliveries.
        8
    }

    fn key(&self) -> Option<&DedupeKey> {
        Some(&self.wanted.key)
    }

    async fn record(database: &Database, batch: &mut [Waiting<Self>]) -> Result<(), Fault> {
        // In the order of their keys, and under one key in the order in which they came.
        batch.sort_by(|one, other| one.work.wanted.key.cmp(&other.work.wanted.key));
        let transaction = database.transaction().await?;
        let wanted: Vec<&FactsWanted> = batch.iter().map(|one| &one.work.wanted).collect();
        let (ticket, mut stored) = load(&transaction, &wanted).await?;
        let bookings = decide(batch, &mut stored);
        book(&transaction, &bookings).await?;
        let fate = database.commit(transaction, ticket).await?;
        receipts::happened(database, fate, bookings.first().map(|(_, booking)| booking.receipt.id)).await?;
        for (at, booking) in bookings {
            batch[at].answer = Some(Ok(booking));
        }
        Ok(())
    }
}

impl Postgres {
    pub(crate) async fn record_postback(
        &self,
        wanted: FactsWanted,
        decide: Decide,
    ) -> Result<Booking, StoreError> {
        self.engine.join(&self.engine.postbacks, NewPostback { wanted, decide }).await
    }
}

/// What is stored about a batch.
struct Stored {
    clicks: HashMap<ClickId, Click>,
    /// The facts under each key, in the order of the keys.
    of_keys: Vec<Facts>,
    /// The numbers that are used up.
    nonces: nonces::Used,
    /// What was seen on which conversions.
    sightings: Sightings,
}

/// Begins, loads and locks. The postbacks are in the order of their keys.
async fn load(transaction: &Transaction, wanted: &[&FactsWanted]) -> Result<(Ticket, Stored), Fault> {
    let find_clicks = transaction.prepare_cached(&FIND_CLICKS).await?;
    let lock_conversions = transaction.prepare_cached(&LOCK_CONVERSIONS).await?;
    let find_entries = transaction.prepare_cached(&FIND_ENTRIES).await?;
    let ids: Vec<Id> = wanted.iter().filter_map(|wanted| wanted.click.map(Id::from)).collect();
    let mut keys: Vec<&DedupeKey> = wanted.iter().map(|wanted| &wanted.key).collect();
    keys.dedup();
    let workspaces = vec![WORKSPACE; keys.len()];
    let partners: Vec<Text<'_>> = keys.iter().map(|key| Text(&key.partner)).collect();
    let names: Vec<Text<'_>> = keys.iter().map(|key| Text(&key.key)).collect();
    let of_clicks: [&Value<'_>; 2] = [&ids, &WORKSPACE];
    let of_keys: [&Value<'_>; 3] = [&workspaces, &partners, &names];
    // They go out together, in this order.
    let (ticket, clicks, conversions, entries) = tokio::join!(
        biased;
        transaction.begin(),
        transaction.query(&find_clicks, &of_clicks),
        transaction.query(&lock_conversions, &of_keys),
        transaction.query(&find_entries, &of_keys),
    );
    let (ticket, clicks, conversions, entries) = (ticket?, clicks?, conversions?, entries?);
    let nonces = nonces::Used::load(transaction, wanted).await?;
    let sightings = Sightings::default();
    let mut stored = Stored { clicks: HashMap::new(), of_keys: Vec::new(), nonces, sightings };
    stored.add_clicks(&clicks)?;
    stored.of_keys.resize_with(keys.len(), Facts::default);
    for row in &conversions {
        at_position(&mut stored.of_keys, row)?.conversion = Some(rows::conversion(row)?);
    }
    for row in &entries {
        let facts = at_position(&mut stored.of_keys, row)?;
        // Those of a conversion that was inserted after the locks were taken are not part of the view.
        if facts.conversion.is_some() {
            facts.entries.push(rows::entry(row)?);
        }
    }
    stored.sightings = Sightings::load(transaction, wanted, &keys, &stored.of_keys).await?;
    // A later call often names no click; what is sent is still about the one that gets the credit.
    let credited = stored.of_keys.iter().filter_map(|facts| facts.conversion.as_ref()?.click);
    let others: Vec<Id> = credited.filter(|id| !stored.clicks.contains_key(id)).map(Id::from).collect();
    if !others.is_empty() {
        let of_clicks: [&Value<'_>; 2] = [&others, &WORKSPACE];
        let clicks = transaction.query(&find_clicks, &of_clicks).await?;
        stored.add_clicks(&clicks)?;
    }
    Ok((ticket, stored))
}

impl Stored {
    fn add_clicks(&mut self, found: &[Row]) -> Result<(), StoreError> {
        for row in found {
            let click = rows::click(row)?;
            self.clicks.insert(click.id, click);
        }
        Ok(())
    }
}

/// The last column of a row says which key it belongs to, counted from 1.
fn at_position<'facts>(facts: &'facts mut [Facts], row: &Row) -> Result<&'facts mut Facts, StoreError> {
    let position = rows::number(row, row.len() - 1)?;
    let at = usize::try_from(position).ok().and_then(|position| position.checked_sub(1));
    at.and_then(|at| facts.get_mut(at)).ok_or_else(|| StoreError::Corrupt("an answer to no question".into()))
}

/// Asks for the decisions. One that breaks off, or that contradicts the facts, spoils nothing but itself.
fn decide(batch: &mut [Waiting<NewPostback>], stored: &mut Stored) -> Vec<(usize, Booking)> {
    let mut bookings = Vec::with_capacity(batch.len());
    let mut of_keys = stored.of_keys.iter_mut();
    let mut present: Option<(DedupeKey, &mut Facts)> = None;
    for (at, one) in batch.iter_mut().enumerate() {
        let NewPostback { wanted, decide } = &mut one.work;
        let facts = match present.take() {
            Some((key, facts)) if key == wanted.key => facts,
            _ => match of_keys.next() {
                Some(facts) => facts,
                None => continue,
            },
        };
        let stored_click = |id: Option<ClickId>| id.and_then(|id| stored.clicks.get(&id).cloned());
        facts.click = stored_click(wanted.click);
        facts.attributed = stored_click(facts.conversion.as_ref().and_then(|conversion| conversion.click));
        facts.nonce_used_by = stored.nonces.by(wanted);
        facts.seen = stored.sightings.of(&wanted.sightings, facts.conversion.as_ref());
        match catch_unwind(AssertUnwindSafe(|| decide(facts))) {
            Ok(booking) if fits(&booking, facts) => {
                // What the next one under this key finds.
                if let Some(change) = &booking.conversion {
                    facts.conversion = Some(change.conversion().clone());
                }
                facts.entries.extend(booking.entry.clone());
                stored.nonces.note(&booking);
                stored.sightings.note(&booking);
                bookings.push((at, booking));
            }
            Ok(_) => {
                let problem = "the conversion does not stand where the decision moves it on from";
                one.answer = Some(Err(StoreError::Corrupt(problem.into())));
            }
            Err(_) => {
                tracing::error!("a decision inside the store panicked; nothing of it was recorded");
                let problem = "the decision inside the transaction broke off";
                one.answer = Some(Err(StoreError::Unavailable(problem.into())));
            }
        }
        present = Some((wanted.key.clone(), facts));
    }
    bookings
}

fn fits(booking: &Booking, facts: &Facts) -> bool {
    match (&booking.conversion, &facts.conversion) {
        (None, _) | (Some(ConversionChange::Insert(_)), None) => true,
        (Some(ConversionChange::Update(after)), Some(before)) => {
            after.id == before.id && after.key == before.key && after.movements == before.movements + 1
        }
        (Some(_), _) => false,
    }
}

/// Conversions after the last movement in the batch, with the number of movements before the first one.
#[derive(Default)]
struct Changes<'bookings> {
    new: Vec<(&'bookings Conversion, u32)>,
    moved: Vec<(&'bookings Conversion, u32)>,
}

impl<'bookings> Changes<'bookings> {
    fn of(bookings: &'bookings [(usize, Booking)]) -> Self {
        let mut changes = Self::default();
        for (_, booking) in bookings {
            match &booking.conversion {
                Some(ConversionChange::Insert(conversion)) => changes.new.push((conversion, 0)),
                Some(ConversionChange::Update(conversion)) => changes.move_on(conversion),
                None => {}
            }
        }
        changes
    }

    /// Movements of one conversion stand side by side, so an earlier one in the batch is the last of its list.
    fn move_on(&mut self, conversion: &'bookings Conversion) {
        for list in [&mut self.new, &mut self.moved] {
            if let Some((last, _)) = list.last_mut()
                && last.id == conversion.id
            {
                *last = conversion;
                return;
            }
        }
        self.moved.push((conversion, conversion.movements - 1));
    }
}

/// Writes everything. The counts come last: others may wait for them.
pub(super) async fn book(transaction: &Transaction, bookings: &[(usize, Booking)]) -> Result<(), Fault> {
    let Changes { new, moved } = Changes::of(bookings);
    let bookings: Vec<&Booking> = bookings.iter().map(|(_, booking)| booking).collect();
    let entries: Vec<&LedgerEntry> = bookings.iter().filter_map(|booking| booking.entry.as_ref()).collect();
    let events: Vec<&GoalEvent> = bookings.iter().flat_map(|booking| &booking.goal_events).collect();
    let deliveries: Vec<(&NewDelivery, Timestamp)> = bookings
        .iter()
        .flat_map(|booking| booking.deliveries.iter().map(|one| (one, booking.receipt.received_at)))
        .collect();
    // A receipt that was read again stands already.
    let receipts: Vec<&Receipt> =
        bookings.iter().map(|booking| &booking.receipt).filter(|receipt| receipt.revision == 0).collect();
    replays::wait(transaction, &receipts).await?;
    let sales = new.iter().chain(&moved).map(|(conversion, _)| conversion);
    let sales = sales.filter(|sale| sale.status.is_confirmed());
    let sales: Vec<Awaited> = sales.map(|sale| Awaited::Sale(sale.key.clone())).collect();
    let (new_rows, moved_rows) = (conversion_columns(&new)?, conversion_columns(&moved)?);
    let (entries, events) = (entry_columns(&entries), event_columns(&events)?);
    let (deliveries, receipts) = (delivery_columns(&deliveries), receipts::columns(&receipts)?);
    let (inserted, updated, ..) = tokio::try_join!(
        biased;
        write(transaction, INSERT_CONVERSIONS, &new_rows),
        write(transaction, UPDATE_CONVERSIONS, &moved_rows),
        nonces::claim(transaction, &bookings),
        replays::wake(transaction, &sales),
        write(transaction, INSERT_ENTRIES, &entries),
        write(transaction, INSERT_GOAL_EVENTS, &events),
        write(transaction, INSERT_DELIVERIES, &deliveries),
        write(transaction, receipts::INSERT, &receipts),
    )?;
    if inserted != count(new.len()) {
        return Err(Fault::Conflict("another node was faster under one of the keys".into()));
    }
    if updated != count(moved.len()) {
        return Err(Fault::Data("a locked conversion has moved".into()));
    }
    sightings::label(transaction, &bookings).await?;
    sightings::note(transaction, &bookings).await?;
    reversals::note(transaction, &bookings).await
}

fn count(rows: usize) -> u64 {
    u64::try_from(rows).unwrap_or(u64::MAX)
}

async fn write<T>(transaction: &Transaction, statement: &str, rows: &Columns<'_, T>) -> Result<u64, Fault> {
    if rows.is_empty() {
        return Ok(0);
    }
    let statement = transaction.prepare_cached(statement).await?;
    Ok(transaction.execute(&statement, &rows.values()).await?)
}

fn conversion_columns<'rows>(
    conversions: &'rows [(&'rows Conversion, u32)],
) -> Result<Columns<'rows, (&'rows Conversion, u32)>, StoreError> {
    let columns = Columns::of(conversions)
        .with(|(_, before)| i64::from(*before))
        .with(|(conversion, _)| Id::from(conversion.id))
        .with(|(conversion, _)| Text(&conversion.key.partner))
        .with(|(conversion, _)| Text(&conversion.key.key))
        .with(|(conversion, _)| conversion.transaction_id.as_deref().map(Text))
        .with(|(conversion, _)| conversion.event.as_deref().map(Text))
        .with(|(conversion, _)| conversion.click.map(Id::from))
        .with(|(conversion, _)| Text(&conversion.campaign))
        .with(|(conversion, _)| Text(&conversion.source))
        .with(|(conversion, _)| conversion.status.as_str())
        .with(|(conversion, _)| conversion.currency.code())
        .with(|(conversion, _)| conversion.amounts.payout)
        .with(|(conversion, _)| conversion.amounts.revenue)
        .with(|(conversion, _)| conversion.amounts.value)
        .with(|(conversion, _)| conversion.balance.confirmed)
        .with(|(conversion, _)| conversion.balance.pending)
        .with(|(conversion, _)| i64::from(conversion.movements))
        .with(|(conversion, _)| conversion.event_time.as_millis())
        .with(|(conversion, _)| conversion.created_at.as_millis())
        .with(|(conversion, _)| conversion.updated_at.as_millis())
        .with(|(conversion, _)| conversion.event_id.as_deref().map(Text))
        .with(|(conversion, _)| conversion.external_id.as_deref().map(Text))
        .with_json(|(conversion, _)| &conversion.contact)?
        .with_json(|(conversion, _)| &conversion.goals_met)?
        .with(|(conversion, _)| conversion.fx.map(|fx| fx.base.code()))
        .with(|(conversion, _)| conversion.fx.map(|fx| fx.rate.to_string()))
        .with(|(conversion, _)| conversion.fx.map(|fx| fx.date.to_string()))
        .with(|(conversion, _)| conversion.fx.map(|fx| fx.source.to_string()))
        .with(|(conversion, _)| conversion.base.confirmed)
        .with(|(conversion, _)| conversion.base.pending);
    Ok(columns)
}

pub(super) fn entry_columns<'rows>(
    entries: &'rows [&'rows LedgerEntry],
) -> Columns<'rows, &'rows LedgerEntry> {
    Columns::of(entries)
        .with(|entry| Id::from(entry.conversion))
        .with(|entry| i64::from(entry.sequence))
        .with(|entry| Id::from(entry.receipt))
        .with(|entry| entry.status.as_str())
        .with(|entry| Text(&entry.status_word))
        .with(|entry| entry.currency.code())
        .with(|entry| entry.amounts.payout)
        .with(|entry| entry.amounts.revenue)
        .with(|entry| entry.amounts.value)
        .with(|entry| entry.confirmed_delta)
        .with(|entry| entry.pending_delta)
        .with(|entry| entry.event_time.as_millis())
        .with(|entry| entry.recorded_at.as_millis())
        .with(|entry| entry.click.map(Id::from))
        .with(|entry| Text(&entry.campaign))
        .with(|entry| Text(&entry.source))
        .with(|entry| Text(&entry.partner))
        .with(|entry| entry.kind.as_str())
        .with(|entry| Id(*entry.content.as_bytes()))
        .with(|entry| entry.fx.map(|fx| fx.base.code()))
        .with(|entry| entry.fx.map(|fx| fx.rate.to_string()))
        .with(|entry| entry.fx.map(|fx| fx.date.to_string()))
        .with(|entry| entry.fx.map(|fx| fx.source.to_string()))
        .with(|entry| entry.base_confirmed_delta)
        .with(|entry| entry.base_pending_delta)
}

fn event_columns<'rows>(
    events: &'rows [&'rows GoalEvent],
) -> Result<Columns<'rows, &'rows GoalEvent>, StoreError> {
    let columns = Columns::of(events)
        .with(|event| Id::from(event.id))
        .with(|event| Id::from(event.conversion))
        .with(|event| Text(&event.goal))
        .with(|event| i64::from(event.sequence))
        .with(|event| Text(&event.event.event_name))
        .with(|event| Text(&event.event.event_id))
        .with_json(|event| &event.event)?
        .with(|event| event.created_at.as_millis());
    Ok(columns)
}

fn delivery_columns<'rows>(
    deliveries: &'rows [(&'rows NewDelivery, Timestamp)],
) -> Columns<'rows, (&'rows NewDelivery, Timestamp)> {
    Columns::of(deliveries)
        .with(|(delivery, _)| Id::from(delivery.id))
        .with(|(delivery, _)| Id::from(delivery.goal_event))
        .with(|(delivery, _)| Id::from(delivery.conversion))
        .with(|(delivery, _)| Text(&delivery.destination))
        .with(|(delivery, _)| delivery.state.as_str())
        .with(|(delivery, _)| delivery.due_at.as_millis())
        .with(|(delivery, _)| delivery.deadline_at.as_millis())
        .with(|(_, created_at)| created_at.as_millis())
        .with(|(delivery, created_at)| {
            (delivery.state != DeliveryState::Pending).then_some(created_at.as_millis())
        })
}
