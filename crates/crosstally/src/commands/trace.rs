//! `crosstally trace ID`.

use anyhow::Result;
use crosstally_http::api::trace::TraceOut;

use crate::cli::At;
use crate::exit::{self, Code};
use crate::remote::{self, Where, escaped};
use crate::show;

/// Shows everything around an id.
pub(crate) async fn run(id: &str, at: &At, json: bool) -> Result<()> {
    let unknown = || exit::with(Code::NotFound, format!("nothing is known under `{}`", show::clean(id)));
    let trace = match remote::find(at)? {
        Where::Here(ground) => {
            let found = remote::here(&ground, async |engine| Ok(engine.trace(id).await?)).await?;
            TraceOut::from(&found.ok_or_else(unknown)?)
        }
        Where::There(server) => server.get(&format!("/api/v1/trace/{}", escaped(id))).await?,
    };
    if json { show::json(&trace) } else { show::trace(&trace) }
}
