//! `crosstally receipts list`.

use anyhow::Result;
use crosstally_http::api::receipts::ReceiptOut;
use serde::Deserialize;

use crate::cli::Receipts;
use crate::remote::{self, Where, escaped};
use crate::show;

#[derive(Deserialize)]
struct Page {
    data: Vec<ReceiptOut>,
}

/// Runs one of the receipts commands.
pub(crate) async fn run(command: Receipts, json: bool) -> Result<()> {
    let Receipts::List { partner, limit, at } = command;
    let rows: Vec<ReceiptOut> = match remote::find(&at)? {
        Where::Here(ground) => {
            remote::here(&ground, async |engine| {
                Ok(engine
                    .store
                    .list_receipts(partner, None, limit)
                    .await?
                    .iter()
                    .map(ReceiptOut::from)
                    .collect())
            })
            .await?
        }
        Where::There(server) => {
            let partner = partner.map(|slug| format!("&partner={}", escaped(&slug))).unwrap_or_default();
            server.get::<Page>(&format!("/api/v1/receipts?limit={limit}{partner}")).await?.data
        }
    };
    if json {
        return show::json(&rows);
    }
    let cells = rows.iter().map(|row| {
        vec![
            row.id.clone(),
            row.received_at.clone(),
            row.partner.clone(),
            row.result.clone(),
            row.code.clone().unwrap_or_default(),
            row.detail.clone(),
        ]
    });
    show::table(&["id", "received", "partner", "result", "code", "detail"], cells)
}
