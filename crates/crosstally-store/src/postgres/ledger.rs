//! Sums over the ledger.

use tokio_postgres::Row;

use super::rows::{Id, Text};
use super::{Postgres, rows};
use crate::ledger::{FIRST_PART, Group, ask, fold, last_id};
use crate::{LedgerFilter, LedgerSum, StoreError, WORKSPACE};

impl Postgres {
    pub(crate) async fn ledger_sums(&self, filter: LedgerFilter) -> Result<Vec<LedgerSum>, StoreError> {
        let window = filter.window;
        let [as_of, from, to] = [window.as_of, window.from, window.to].map(|at| at.map(|at| at.as_millis()));
        let (partner, campaign, source) = (
            filter.partner.as_deref().map(Text),
            filter.campaign.as_deref().map(Text),
            filter.source.as_deref().map(Text),
        );
        let last = Id(last_id(window.as_of));
        let found = self
            .engine
            .read(
                &ask('$', window.by),
                &[&WORKSPACE, &as_of, &from, &to, &partner, &campaign, &source, &last],
            )
            .await?;
        let groups: Result<Vec<Group>, StoreError> = found.iter().map(group).collect();
        Ok(fold(groups?))
    }
}

fn group(row: &Row) -> Result<Group, StoreError> {
    let mut parts = [0; 12];
    for (part, column) in parts.iter_mut().zip(FIRST_PART..) {
        *part = rows::get(row, column)?;
    }
    Ok(Group {
        currency: rows::word(row, 0, rows::currency)?,
        was: rows::word(row, 1, rows::currency)?,
        base: rows::optional(row, 2, rows::currency)?,
        movements: rows::count(row, 3)?,
        fx_pending: rows::count(row, 4)?,
        conversions: rows::count(row, 5)?,
        parts,
    })
}
