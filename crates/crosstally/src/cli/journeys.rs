//! Real journeys of a month, and their flags.

use clap::{Args, Subcommand};

use super::At;

#[derive(Debug, Subcommand)]
pub(crate) enum Journeys {
    /// Tell for each partner real journeys of a month: one approved, one rejected, one approved late, from the click to what
    /// was sent and answered. A rule picks them, the same ones each time. A server makes the review of each month by itself.
    Review(JourneysReview),
}

#[derive(Debug, Args)]
pub(crate) struct JourneysReview {
    /// Of this partner [default: all of which a call booked something in the month].
    #[arg(long)]
    pub(crate) partner: Option<String>,
    /// The month, as 2026-11, in the workspace's time zone [default: the last one that is over].
    #[arg(long, value_name = "YYYY-MM")]
    pub(crate) month: Option<String>,
    #[command(flatten)]
    pub(crate) at: At,
}
