//! `crosstally erase`, `crosstally erasures`: erasing a person.

use clap::Args;

use super::At;

/// Who is to be erased.
#[derive(Debug, Clone, Args)]
pub(crate) struct Erase {
    /// A click id, ours or another tracker's.
    #[arg(long = "click", value_name = "ID")]
    pub(crate) clicks: Vec<String>,
    /// An e-mail address, or its SHA-256 in hexadecimal.
    #[arg(long = "email", value_name = "EMAIL|HASH")]
    pub(crate) emails: Vec<String>,
    /// Your own id of the person: external_id.
    #[arg(long = "user", value_name = "ID")]
    pub(crate) users: Vec<String>,
    /// Erase; without this it is only shown what would be. There is no way back.
    #[arg(long)]
    pub(crate) apply: bool,
    /// Only show what would be erased, which is the default.
    #[arg(long, conflicts_with = "apply")]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) at: At,
}

/// Which requests to show.
#[derive(Debug, Clone, Args)]
pub(crate) struct Erasures {
    /// One request, era_... [default: all, newest first]
    pub(crate) id: Option<String>,
    /// How many to show.
    #[arg(long, default_value_t = 50)]
    pub(crate) limit: u32,
    #[command(flatten)]
    pub(crate) at: At,
}
