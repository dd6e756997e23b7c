//! `crosstally hybrid`, `crosstally offers` and `crosstally landers`.

use clap::{Args, Subcommand};

use super::At;

/// `crosstally hybrid`.
#[derive(Debug, Subcommand)]
pub(crate) enum Hybrid {
    /// List which events of pixel and server met and which did not, newest first: the server's, then browsers' that are alone.
    List {
        /// How many.
        #[arg(long, default_value_t = 50)]
        limit: u32,
        #[command(flatten)]
        which: Pairs,
        #[command(flatten)]
        at: At,
    },
    /// Count them by day, event, destination and verdict.
    Counts {
        #[command(flatten)]
        which: Pairs,
        #[command(flatten)]
        at: At,
    },
}

/// Which pairs.
#[derive(Debug, Args)]
pub(crate) struct Pairs {
    /// Of this campaign.
    #[arg(long)]
    pub(crate) campaign: Option<String>,
    /// Of this verdict: met, open, not_delivered, outside_window, other_name, other_id, no_browser_event, consent,
    /// server_only, browser_only.
    #[arg(long)]
    pub(crate) verdict: Option<String>,
    #[command(flatten)]
    pub(crate) when: Days,
}

/// Of which days, and where to go on.
#[derive(Debug, Args)]
pub(crate) struct Days {
    /// Of this day, UTC, as 2026-11-21.
    #[arg(long)]
    pub(crate) day: Option<String>,
    /// Of so many days, today the last [default: 7].
    #[arg(long, conflicts_with = "day")]
    pub(crate) days: Option<u32>,
    /// Where the answer before ended.
    #[arg(long)]
    pub(crate) cursor: Option<String>,
}

/// `crosstally offers` and `crosstally landers`.
#[derive(Debug, Subcommand)]
pub(crate) enum Listed {
    /// List them with what leads there.
    List {
        /// How many.
        #[arg(long, default_value_t = 50)]
        limit: u32,
        /// Where the page before ended.
        #[arg(long)]
        cursor: Option<String>,
        #[command(flatten)]
        at: At,
    },
}
