//! Evidence packs: making and checking.

use std::path::PathBuf;

use clap::Args;

use super::At;

#[derive(Debug, Args)]
pub(crate) struct Evidence {
    /// A click id, rcp_, cnv_, evt_, dlv_, or a partner's transaction id.
    #[arg(required_unless_present_any = ["partner", "verdict", "from", "to", "print_key"])]
    pub(crate) id: Option<String>,
    /// In place of an id: all calls of this partner.
    #[arg(long, conflicts_with = "id")]
    pub(crate) partner: Option<String>,
    /// All calls with this verdict: recorded, updated, duplicate, quarantined, refused, test.
    #[arg(long, conflicts_with = "id")]
    pub(crate) verdict: Option<String>,
    /// All calls from then on, as 2026-11-21T00:00:00Z.
    #[arg(long, value_name = "TIME", conflicts_with = "id")]
    pub(crate) from: Option<String>,
    /// All calls before.
    #[arg(long, value_name = "TIME", conflicts_with = "id")]
    pub(crate) to: Option<String>,
    /// Where the file goes [default: evidence-ID.html; `-` is stdout].
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Only print the public key that packs are checked with.
    #[arg(long, conflicts_with_all = ["id", "partner", "verdict", "from", "to", "out"])]
    pub(crate) print_key: bool,
    #[command(flatten)]
    pub(crate) at: At,
}

#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// The file.
    pub(crate) file: PathBuf,
    /// The key, or its fingerprint, that must have signed it: `crosstally evidence --print-key` prints it there.
    #[arg(long)]
    pub(crate) key: Option<String>,
}
