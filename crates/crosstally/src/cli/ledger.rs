//! What is asked of the ledger and of the balance.

use clap::{Args, ValueEnum};

use super::At;

/// Which of a movement's two times a range is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LedgerBy {
    /// When it was booked.
    Recorded,
    /// When it happened, by the partner's word.
    Event,
}

impl LedgerBy {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Recorded => "recorded",
            Self::Event => "event",
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct Ledger {
    /// A conversion, cnv_...; without it the sums of all are shown.
    pub(crate) id: Option<String>,
    /// As it was known at this time: what was recorded then or before (RFC 3339).
    #[arg(long, value_name = "TIME")]
    pub(crate) as_of: Option<String>,
    /// Movements at or after this time.
    #[arg(long, value_name = "TIME")]
    pub(crate) from: Option<String>,
    /// Movements before this time.
    #[arg(long, value_name = "TIME")]
    pub(crate) to: Option<String>,
    /// By which time --from and --to are meant [default: recorded].
    #[arg(long, value_enum)]
    pub(crate) by: Option<LedgerBy>,
    /// Of this partner.
    #[arg(long, conflicts_with = "id")]
    pub(crate) partner: Option<String>,
    /// Attributed to a click of this campaign.
    #[arg(long, conflicts_with = "id")]
    pub(crate) campaign: Option<String>,
    /// Attributed to a click of this source.
    #[arg(long, conflicts_with = "id")]
    pub(crate) source: Option<String>,
    #[command(flatten)]
    pub(crate) at: At,
}

/// How long a period is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum BalanceBy {
    /// Hour by hour.
    Hour,
    /// Day by day, in UTC.
    Day,
}

impl BalanceBy {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
        }
    }
}

/// Which calls are counted.
#[derive(Debug, Args)]
pub(crate) struct Balance {
    /// Of this partner.
    #[arg(long)]
    pub(crate) partner: Option<String>,
    /// Received in the hour of this time or later (RFC 3339).
    #[arg(long, value_name = "TIME")]
    pub(crate) from: Option<String>,
    /// Received before this time, to the full hour.
    #[arg(long, value_name = "TIME")]
    pub(crate) to: Option<String>,
    /// Rows for each hour or day, with the totals below.
    #[arg(long, value_enum)]
    pub(crate) by: Option<BalanceBy>,
    #[command(flatten)]
    pub(crate) at: At,
}
