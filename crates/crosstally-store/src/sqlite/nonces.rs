//! Numbers that a signature may use once.

use crosstally_core::ids::ReceiptId;
use crosstally_core::postback::Receipt;
use crosstally_core::time::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use super::Sqlite;
use crate::{StoreError, WORKSPACE};

const FIND: &str = "SELECT receipt FROM nonces WHERE workspace = ?1 AND partner = ?2 AND nonce = ?3";

const CLAIM: &str =
    "INSERT INTO nonces (workspace, partner, nonce, receipt, seen_at) VALUES (?1, ?2, ?3, ?4, ?5)";

const PURGE: &str = "DELETE FROM nonces WHERE (workspace, partner, nonce) IN
    (SELECT workspace, partner, nonce FROM nonces WHERE workspace = ?1 AND seen_at < ?2 ORDER BY seen_at LIMIT ?3)";

/// The receipt that has used a number.
pub(super) fn used_by(
    connection: &Connection,
    partner: &str,
    nonce: &str,
) -> Result<Option<ReceiptId>, StoreError> {
    let mut find = connection.prepare_cached(FIND)?;
    let found = find
        .query_row(params![WORKSPACE, partner, nonce], |row| row.get(0).map(ReceiptId::from_bytes))
        .optional()?;
    Ok(found)
}

/// Uses a number up.
pub(super) fn claim(connection: &Connection, receipt: &Receipt, nonce: &str) -> Result<(), StoreError> {
    connection.prepare_cached(CLAIM)?.execute(params![
        WORKSPACE,
        receipt.partner,
        nonce,
        receipt.id.as_bytes(),
        crate::nonces::seen_at(receipt, nonce),
    ])?;
    Ok(())
}

impl Sqlite {
    pub(crate) async fn nonce_used_by(
        &self,
        partner: String,
        nonce: String,
    ) -> Result<Option<ReceiptId>, StoreError> {
        self.engine.read(move |connection| used_by(connection, &partner, &nonce)).await
    }

    pub(crate) async fn purge_nonces(&self, before: Timestamp, at_once: u32) -> Result<u64, StoreError> {
        let work = move |connection: &Connection| {
            let gone =
                connection.prepare_cached(PURGE)?.execute(params![WORKSPACE, before.as_millis(), at_once])?;
            Ok(u64::try_from(gone).unwrap_or(u64::MAX))
        };
        self.engine.write(1, work).await
    }
}
