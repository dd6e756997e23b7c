//! The pre-flight of a campaign, and its flags.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::At;

#[derive(Debug, Subcommand)]
pub(crate) enum Preflight {
    /// Make marked test actions through the real link, page, partner's door and destination, and compare count, value,
    /// currency and time at every hop. Nothing of it counts anywhere. Exits with 6 if a hop differs.
    Run(Box<PreflightRun>),
    /// Go through the pre-launch checklist: each line passes, fails or is unknown, with why and what to do. Flies three test
    /// actions for it. Exits with 6 if a line fails.
    Checklist(Box<PreflightRun>),
}

#[derive(Debug, Args)]
pub(crate) struct PreflightRun {
    /// The campaign's slug.
    pub(crate) campaign: String,
    /// The partner that reports its sales; needed where there are several.
    #[arg(long)]
    pub(crate) partner: Option<String>,
    /// How many test actions, 100 at most [default: 24, of the checklist 3].
    #[arg(long)]
    pub(crate) actions: Option<usize>,
    /// The tracking address to go through, such as the public one [default: the server's own door; with --data
    /// http://127.0.0.1:8080].
    #[arg(long, env = "CROSSTALLY_TRACKING_URL", value_name = "URL")]
    pub(crate) base: Option<String>,
    /// Visit this page in place of the target's, with the target's parameters.
    #[arg(long, value_name = "URL")]
    pub(crate) lander: Option<String>,
    /// The postback URL as it stands at the partner, with {click_id}, {transaction_id}, {status}, {payout}, {currency} in
    /// the places of the partner's macros [default: a call by the contract].
    #[arg(long, value_name = "URL")]
    pub(crate) postback: Option<String>,
    /// The word that the partner sends for a sale.
    #[arg(long)]
    pub(crate) status: Option<String>,
    /// The partner's name for what is sold.
    #[arg(long)]
    pub(crate) event: Option<String>,
    /// The currency of what is sold [default: the partner's, else the workspace's].
    #[arg(long)]
    pub(crate) currency: Option<String>,
    /// Further parameters of the click link, such as `gdpr=1&sub2=x`.
    #[arg(long, value_name = "QUERY", default_value = "")]
    pub(crate) params: String,
    /// The user agent of the visitors.
    #[arg(long, value_name = "TEXT")]
    pub(crate) user_agent: Option<String>,
    /// The code of the destination's test view, where its settings hold none. Some platforms count such events.
    #[arg(long)]
    pub(crate) code: Option<String>,
    /// Open each page in this browser too, such as `chromium`: what its script tells is compared. Not with --url.
    #[arg(long, value_name = "PROGRAM", conflicts_with = "url")]
    pub(crate) browser: Option<PathBuf>,
    /// Visit pages outside the public internet too; with --url the token must be an admin's.
    #[arg(long)]
    pub(crate) allow_private: bool,
    #[command(flatten)]
    pub(crate) at: At,
}
