//! `crosstally receipts show ID`.

use anyhow::Result;
use crosstally_http::api::receipts::ReceiptOut;

use crate::cli::At;
use crate::exit::{self, Code};
use crate::remote::{self, Where, escaped};
use crate::show;

/// Shows one receipt, and each time that it was read again.
pub(super) async fn run(id: &str, at: &At, json: bool) -> Result<()> {
    let unknown = || exit::with(Code::NotFound, format!("there is no receipt `{}`", show::clean(id)));
    let receipt: ReceiptOut = match remote::find(at)? {
        Where::Here(ground) => {
            remote::here(&ground, async |engine| {
                let id = id.parse().map_err(|_| unknown())?;
                let receipt = engine.store.receipt(id).await?.ok_or_else(unknown)?;
                Ok(ReceiptOut::with_revisions(&receipt, &engine.store.revisions(id).await?))
            })
            .await?
        }
        Where::There(server) => server.get(&format!("/api/v1/receipts/{}", escaped(id))).await?,
    };
    if json { show::json(&receipt) } else { show::receipt(&receipt) }
}
