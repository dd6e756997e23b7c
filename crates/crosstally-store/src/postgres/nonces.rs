//! Numbers that a signature may use once.

use std::collections::HashMap;

use crosstally_core::ids::ReceiptId;
use crosstally_core::postback::{Booking, FactsWanted};
use crosstally_core::time::Timestamp;

use super::Postgres;
use super::fault::Fault;
use super::rows::{self, Columns, Id, Text};
use super::transact::{Transaction, Value};
use crate::{StoreError, WORKSPACE};

/// The receipt that has used one number.
pub(super) const USED_BY: &str =
    "SELECT receipt FROM nonces WHERE workspace = $1 AND partner = $2 AND nonce = $3";

const FIND: &str = "SELECT n.partner, n.nonce, n.receipt
    FROM unnest($1::bigint[], $2::text[], $3::text[]) AS k (workspace, partner, nonce)
    JOIN nonces AS n ON n.workspace = k.workspace AND n.partner = k.partner AND n.nonce = k.nonce";

// In one order, so that no two batches wait for each other in a circle.
const CLAIM: &str = "INSERT INTO nonces (workspace, partner, nonce, receipt, seen_at)
    SELECT $1::bigint, n.* FROM unnest($2::text[], $3::text[], $4::uuid[], $5::bigint[])
        AS n (partner, nonce, receipt, seen_at)
    ORDER BY n.nonce, n.partner
    ON CONFLICT DO NOTHING";

const PURGE: &str = "DELETE FROM nonces WHERE (nonce, partner, workspace) IN
    (SELECT nonce, partner, workspace FROM nonces WHERE workspace = $1 AND seen_at < $2 ORDER BY seen_at LIMIT $3)
    RETURNING 1";

/// Partner and number to the receipt that has used it.
#[derive(Default)]
pub(super) struct Used(HashMap<(String, String), ReceiptId>);

impl Used {
    /// What is stored about the numbers of a batch.
    pub(super) async fn load(transaction: &Transaction, wanted: &[&FactsWanted]) -> Result<Self, Fault> {
        let numbers: Vec<(&str, &str)> = wanted
            .iter()
            .filter_map(|wanted| Some((wanted.key.partner.as_str(), wanted.nonce.as_deref()?)))
            .collect();
        let mut used = Self::default();
        if numbers.is_empty() {
            return Ok(used);
        }
        let workspaces = vec![WORKSPACE; numbers.len()];
        let partners: Vec<Text<'_>> = numbers.iter().map(|(partner, _)| Text(partner)).collect();
        let nonces: Vec<Text<'_>> = numbers.iter().map(|(_, nonce)| Text(nonce)).collect();
        let values: [&Value<'_>; 3] = [&workspaces, &partners, &nonces];
        let find = transaction.prepare_cached(FIND).await?;
        for row in transaction.query(&find, &values).await? {
            let name = (rows::get(&row, 0)?, rows::get(&row, 1)?);
            used.0.insert(name, ReceiptId::from_bytes(rows::id(&row, 2)?));
        }
        Ok(used)
    }

    /// The receipt that has used a call's number.
    pub(super) fn by(&self, wanted: &FactsWanted) -> Option<ReceiptId> {
        let nonce = wanted.nonce.clone()?;
        self.0.get(&(wanted.key.partner.clone(), nonce)).copied()
    }

    /// Notes what a booking uses up, for the next one of the batch.
    pub(super) fn note(&mut self, booking: &Booking) {
        if let Some(nonce) = &booking.nonce {
            self.0.insert((booking.receipt.partner.clone(), nonce.clone()), booking.receipt.id);
        }
    }
}

/// Uses up the numbers of a batch.
pub(super) async fn claim(transaction: &Transaction, bookings: &[&Booking]) -> Result<(), Fault> {
    let claims: Vec<(&Booking, &str)> =
        bookings.iter().filter_map(|booking| Some((*booking, booking.nonce.as_deref()?))).collect();
    if claims.is_empty() {
        return Ok(());
    }
    let columns = Columns::of(&claims)
        .with(|(booking, _)| Text(&booking.receipt.partner))
        .with(|(_, nonce)| Text(nonce))
        .with(|(booking, _)| Id::from(booking.receipt.id))
        .with(|(booking, nonce)| crate::nonces::seen_at(&booking.receipt, nonce));
    let statement = transaction.prepare_cached(CLAIM).await?;
    let claimed = transaction.execute(&statement, &columns.values()).await?;
    if claimed == u64::try_from(claims.len()).unwrap_or(u64::MAX) {
        Ok(())
    } else {
        Err(Fault::Conflict("another node was faster with one of the numbers".into()))
    }
}

impl Postgres {
    pub(crate) async fn nonce_used_by(
        &self,
        partner: String,
        nonce: String,
    ) -> Result<Option<ReceiptId>, StoreError> {
        let found = self.engine.read(USED_BY, &[&WORKSPACE, &Text(&partner), &Text(&nonce)]).await?;
        found.first().map(|row| rows::id(row, 0).map(ReceiptId::from_bytes)).transpose()
    }

    pub(crate) async fn purge_nonces(&self, before: Timestamp, at_once: u32) -> Result<u64, StoreError> {
        let (before, at_once) = (before.as_millis(), i64::from(at_once));
        let gone = self.engine.write(PURGE, &[&WORKSPACE, &before, &at_once]).await?;
        Ok(u64::try_from(gone.len()).unwrap_or(u64::MAX))
    }
}
