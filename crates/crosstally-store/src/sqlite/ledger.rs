//! Sums over the ledger.

use rusqlite::{Connection, Row, params};

use super::{Sqlite, rows};
use crate::ledger::{FIRST_PART, Group, ask, fold, last_id};
use crate::{LedgerFilter, LedgerSum, StoreError, WORKSPACE};

impl Sqlite {
    pub(crate) async fn ledger_sums(&self, filter: LedgerFilter) -> Result<Vec<LedgerSum>, StoreError> {
        let work = move |connection: &Connection| {
            let window = filter.window;
            let mut ask = connection.prepare_cached(&ask('?', window.by))?;
            let values = params![
                WORKSPACE,
                window.as_of.map(|at| at.as_millis()),
                window.from.map(|at| at.as_millis()),
                window.to.map(|at| at.as_millis()),
                filter.partner,
                filter.campaign,
                filter.source,
                last_id(window.as_of)
            ];
            let groups = ask.query_map(values, group)?;
            Ok(fold(groups.collect::<rusqlite::Result<_>>()?))
        };
        self.engine.read(work).await
    }
}

fn group(row: &Row<'_>) -> rusqlite::Result<Group> {
    let mut parts = [0; 12];
    for (part, column) in parts.iter_mut().zip(FIRST_PART..) {
        *part = row.get(column)?;
    }
    Ok(Group {
        currency: rows::word(row, 0, rows::currency)?,
        was: rows::word(row, 1, rows::currency)?,
        base: rows::optional(row, 2, rows::currency)?,
        movements: rows::number(row, 3)?,
        fx_pending: rows::number(row, 4)?,
        conversions: rows::number(row, 5)?,
        parts,
    })
}
