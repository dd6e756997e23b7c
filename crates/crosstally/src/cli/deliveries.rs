//! `crosstally deliveries`: looking at deliveries, trying them again, jobs over many of them.

use clap::Subcommand;

use super::At;

#[derive(Debug, Subcommand)]
pub(crate) enum Deliveries {
    /// List deliveries, newest first.
    List {
        /// Of this destination.
        #[arg(long)]
        destination: Option<String>,
        /// pending, held, delivered, dead, expired or cancelled.
        #[arg(long)]
        state: Option<String>,
        /// How many.
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
        limit: u32,
        /// Where the list before ended, as it said.
        #[arg(long)]
        cursor: Option<String>,
        #[command(flatten)]
        at: At,
    },
    /// Make deliveries due at once. Delivered ones are left alone.
    Retry {
        /// This delivery.
        #[arg(long)]
        id: Option<String>,
        /// Those of this destination; it is resumed if it is paused.
        #[arg(long)]
        destination: Option<String>,
        /// Those in this state: pending, dead, expired.
        #[arg(long)]
        state: Option<String>,
        #[command(flatten)]
        at: At,
    },
    /// Show what did not arrive, grouped by reason, with what to do about it.
    Errors {
        /// Of this destination only.
        #[arg(long)]
        destination: Option<String>,
        #[command(flatten)]
        at: At,
    },
    /// Show day by day, per destination and event, what arrived and what share failed.
    Days {
        /// How many days, today included.
        #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..=92))]
        days: u32,
        #[command(flatten)]
        at: At,
    },
    /// Show hour by hour what arrived, as a count and a digest of the event ids, to compare with what the receiver has.
    Reconcile {
        /// Of this destination only.
        #[arg(long)]
        destination: Option<String>,
        /// Happened at or after this whole hour, as 2026-11-21T10:00:00Z [default: a day before the end].
        #[arg(long, value_name = "TIME")]
        from: Option<String>,
        /// Happened before this whole hour [default: the hour that runs].
        #[arg(long, value_name = "TIME")]
        to: Option<String>,
        #[command(flatten)]
        at: At,
    },
    /// Show what destinations were told that was taken back since and cannot be told there: by campaign and currency.
    Overstated {
        #[command(flatten)]
        at: At,
    },
    /// Send many once more, or to another destination, as a job that goes on by itself and can be stopped.
    Replay {
        #[command(flatten)]
        which: Box<Replayed>,
        #[command(flatten)]
        at: At,
    },
    /// Call off what waits and is not being sent at this moment, as a job: also for a destination that is gone.
    Cancel {
        #[command(flatten)]
        which: Box<Cancelled>,
        #[command(flatten)]
        at: At,
    },
    /// Show the jobs, newest first, or one of them; pause, resume or cancel it.
    Jobs {
        /// The job, job_...
        id: Option<String>,
        /// What to do with it: pause, resume, cancel.
        #[arg(requires = "id")]
        action: Option<String>,
        /// How many to show.
        #[arg(long, default_value_t = 50)]
        limit: u32,
        #[command(flatten)]
        at: At,
    },
}

/// Which deliveries a job is about.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Replayed {
    /// Of this destination.
    #[arg(long)]
    pub(crate) destination: String,
    /// In these states: delivered, dead, expired, cancelled, with --to also pending or held, which wait on where they are
    /// [default: those that did not arrive; with --to all that have ended].
    #[arg(long, value_delimiter = ',')]
    pub(crate) state: Vec<String>,
    #[command(flatten)]
    pub(crate) only: Narrowed,
    /// Send to this destination instead, unless the event is on its way there already.
    #[arg(long, value_name = "DESTINATION")]
    pub(crate) to: Option<String>,
    /// How many in a minute [default: as fast as the destination takes them, new events first].
    #[arg(long, value_name = "N")]
    pub(crate) per_minute: Option<u32>,
    /// Also those whose conversion was rejected or reversed since.
    #[arg(long)]
    pub(crate) taken_back: bool,
    /// Begin the job; without this it is only shown what it would be about.
    #[arg(long)]
    pub(crate) apply: bool,
}

/// Which of the deliveries that wait a job calls off.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Cancelled {
    /// Of this destination.
    #[arg(long)]
    pub(crate) destination: String,
    /// pending or held, which is all that can be called off [default: both].
    #[arg(long, value_delimiter = ',')]
    pub(crate) state: Vec<String>,
    #[command(flatten)]
    pub(crate) only: Narrowed,
    /// Begin the job; without this it is only shown what it would be about.
    #[arg(long)]
    pub(crate) apply: bool,
}

/// Some of a destination's deliveries.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Narrowed {
    /// With this reason code.
    #[arg(long)]
    pub(crate) code: Option<String>,
    /// Of this goal.
    #[arg(long)]
    pub(crate) goal: Option<String>,
    /// Sent under this event name.
    #[arg(long)]
    pub(crate) event: Option<String>,
    /// Booked at or after this time, as 2026-11-21T10:00:00Z.
    #[arg(long, value_name = "TIME")]
    pub(crate) from: Option<String>,
    /// Booked before this time [default: now].
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<String>,
    /// Only these deliveries.
    #[arg(long, value_name = "ID")]
    pub(crate) id: Vec<String>,
}

/// `crosstally destinations`.
#[derive(Debug, Subcommand)]
pub(crate) enum Destinations {
    /// List destinations: which of them work, what waits for the others, and what to do; also those that are gone from the
    /// configuration. Exits with 6 if one is paused or fails, or is gone and events wait for it.
    List {
        #[command(flatten)]
        at: At,
    },
    /// Pause a destination: its events are kept as held until it is resumed by hand; new settings do not end such a pause.
    Pause {
        /// The destination's slug.
        slug: String,
        #[command(flatten)]
        at: At,
    },
    /// Try a paused destination again at once. New settings need no such thing, but after a pause by hand: they are tried by
    /// themselves.
    Resume {
        /// The destination's slug.
        slug: String,
        #[command(flatten)]
        at: At,
    },
}
