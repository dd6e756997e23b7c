//! Conversions, their movements and goal events, to be read. They are written with the postback that moved them.

use crosstally_core::conversion::Conversion;
use crosstally_core::ids::{ClickId, ConversionId, GoalEventId};
use crosstally_core::ledger::LedgerEntry;
use crosstally_core::route::GoalEvent;

use super::rows::{Id, Text};
use super::transact::Values;
use super::{Postgres, rows};
use crate::{StoreError, WORKSPACE};

impl Postgres {
    pub(crate) async fn conversion(&self, id: ConversionId) -> Result<Option<Conversion>, StoreError> {
        Ok(self.conversions("c.id = $2", &[&WORKSPACE, &Id::from(id)]).await?.pop())
    }

    pub(crate) async fn conversions_of_click(
        &self,
        id: ClickId,
        limit: u32,
    ) -> Result<Vec<Conversion>, StoreError> {
        let condition = "c.click = $2 ORDER BY c.id LIMIT $3";
        self.conversions(condition, &[&WORKSPACE, &Id::from(id), &i64::from(limit)]).await
    }

    pub(crate) async fn conversions_of_transaction(
        &self,
        partner: String,
        transaction_id: String,
        limit: u32,
    ) -> Result<Vec<Conversion>, StoreError> {
        let condition = "c.partner = $2 AND c.transaction_id = $3 ORDER BY c.id LIMIT $4";
        let (partner, transaction_id) = (Text(&partner), Text(&transaction_id));
        self.conversions(condition, &[&WORKSPACE, &partner, &transaction_id, &i64::from(limit)]).await
    }

    pub(crate) async fn list_conversions(
        &self,
        before: Option<ConversionId>,
        limit: u32,
    ) -> Result<Vec<Conversion>, StoreError> {
        let limit = i64::from(limit);
        match before.map(Id::from) {
            Some(before) => {
                let condition = "c.id < $2 ORDER BY c.id DESC LIMIT $3";
                self.conversions(condition, &[&WORKSPACE, &before, &limit]).await
            }
            None => self.conversions("true ORDER BY c.id DESC LIMIT $2", &[&WORKSPACE, &limit]).await,
        }
    }

    pub(crate) async fn entries(&self, id: ConversionId) -> Result<Vec<LedgerEntry>, StoreError> {
        let ask = format!(
            "SELECT {} FROM ledger_entries AS e WHERE e.workspace = $1 AND e.conversion = $2 ORDER BY e.sequence",
            rows::ENTRY
        );
        self.engine.read(&ask, &[&WORKSPACE, &Id::from(id)]).await?.iter().map(rows::entry).collect()
    }

    pub(crate) async fn goal_event(&self, id: GoalEventId) -> Result<Option<GoalEvent>, StoreError> {
        Ok(self.goal_events("id = $2", &[&WORKSPACE, &Id::from(id)]).await?.pop())
    }

    pub(crate) async fn goal_events_of_conversion(
        &self,
        id: ConversionId,
    ) -> Result<Vec<GoalEvent>, StoreError> {
        let met = self.goal_events_met(id).await?;
        self.goal_events("id = ANY ($2) ORDER BY id", &[&WORKSPACE, &met]).await
    }

    /// The goal events of a conversion: it has their ids itself, also of those that it met under another name.
    pub(super) async fn goal_events_met(&self, id: ConversionId) -> Result<Vec<Id>, StoreError> {
        let met = self.conversion(id).await?.map(|conversion| conversion.goals_met).unwrap_or_default();
        let ask = "SELECT goal_event FROM adjustments WHERE workspace = $1 AND conversion = $2";
        let adjusted = self.engine.read(ask, &[&WORKSPACE, &Id::from(id)]).await?;
        let adjusted = adjusted.iter().map(|row| rows::get::<Id>(row, 0));
        met.iter().map(|met| Ok(Id::from(met.event))).chain(adjusted).collect()
    }

    pub(super) async fn conversions(
        &self,
        condition: &str,
        values: &Values<'_>,
    ) -> Result<Vec<Conversion>, StoreError> {
        let ask = format!(
            "SELECT {} FROM conversions AS c WHERE c.workspace = $1 AND {condition}",
            rows::CONVERSION
        );
        self.engine.read(&ask, values).await?.iter().map(rows::conversion).collect()
    }

    async fn goal_events(&self, condition: &str, values: &Values<'_>) -> Result<Vec<GoalEvent>, StoreError> {
        let ask =
            format!("SELECT {} FROM goal_events WHERE workspace = $1 AND {condition}", rows::GOAL_EVENT);
        self.engine.read(&ask, values).await?.iter().map(rows::goal_event).collect()
    }
}
