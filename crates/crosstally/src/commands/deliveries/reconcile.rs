//! `crosstally deliveries reconcile`.

use anyhow::Result;
use crosstally_http::api::reconcile::{self, ReconcileIn, ReconcileOut};

use crate::cli::At;
use crate::commands::ledger::asked;
use crate::remote::{self, Where, query};
use crate::show;

/// Shows what arrived, hour by hour, to be compared with what the other side has.
pub(super) async fn run(wanted: ReconcileIn, at: &At, json: bool) -> Result<()> {
    let found: ReconcileOut = match remote::find(at)? {
        Where::Here(ground) => {
            remote::here(&ground, async |engine| reconcile::hours(engine, wanted).await.map_err(asked))
                .await?
        }
        Where::There(server) => {
            let values = [("destination", &wanted.destination), ("from", &wanted.from), ("to", &wanted.to)];
            server.get(&query("/api/v1/deliveries/reconcile", &values)).await?
        }
    };
    if json {
        return show::json(&found);
    }
    let cells = found.data.iter().map(|row| {
        vec![row.destination.clone(), row.hour.clone(), row.events.to_string(), row.sha256.clone()]
    });
    show::table(&["destination", "hour (UTC)", "events", "sha256 of their ids"], cells)?;
    match found.data.is_empty() {
        true => show::aside(&format!("nothing arrived that happened from {} to {}", found.from, found.to)),
        false => Ok(()),
    }
}
