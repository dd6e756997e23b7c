//! The arguments of `crosstally receipts`.

use clap::{Args, Subcommand};

use super::{At, Balance};

#[derive(Debug, Subcommand)]
pub(crate) enum Receipts {
    /// Show one receipt: the call, its verdict, its labels, and each time that it was read again.
    Show {
        /// Its id, rcp_...
        id: String,
        #[command(flatten)]
        at: At,
    },
    /// Count calls: received = recorded + updated + duplicate + quarantined + refused + test.
    Balance(Balance),
    /// List receipts, newest first.
    List {
        /// Of this partner.
        #[arg(long)]
        partner: Option<String>,
        /// How many.
        #[arg(long, default_value_t = 50)]
        limit: u32,
        #[command(flatten)]
        at: At,
    },
    /// Status words of the last 30 days that are in no map: what they probably mean, and the money at stake.
    Statuses {
        /// Of this partner.
        #[arg(long)]
        partner: Option<String>,
        #[command(flatten)]
        at: At,
    },
    /// Read receipts again under the contract in force. Shows what would change; `--apply` does it. Safe to do twice.
    Replay {
        #[command(flatten)]
        which: Which,
    },
    /// Read receipts again with other values in their fields. Shows what would change; `--apply` does it.
    Repair {
        #[command(flatten)]
        which: Which,
        /// Our field and the value it is to have, such as status=approved; an empty value takes the field away.
        #[arg(long = "set", value_name = "FIELD=VALUE")]
        set: Vec<String>,
        /// The swallowed call was real: it becomes a conversion of its own.
        #[arg(long)]
        real: bool,
    },
}

/// Which receipts are read again.
#[derive(Debug, Clone, Args)]
pub(crate) struct Which {
    /// These receipts; none means all that the filters find.
    pub(crate) receipts: Vec<String>,
    /// Of this partner.
    #[arg(long)]
    pub(crate) partner: Option<String>,
    /// With this result: quarantined, refused, duplicate, ...
    #[arg(long)]
    pub(crate) result: Option<String>,
    /// With this reason code.
    #[arg(long)]
    pub(crate) code: Option<String>,
    /// Received at or after this time (RFC 3339, or YYYY-MM-DD HH:MM:SS in UTC).
    #[arg(long)]
    pub(crate) from: Option<String>,
    /// Received before this time.
    #[arg(long)]
    pub(crate) to: Option<String>,
    /// Do it; without this it is only shown.
    #[arg(long)]
    pub(crate) apply: bool,
    #[command(flatten)]
    pub(crate) at: At,
}
