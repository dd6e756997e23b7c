//! The tools: each run is kept where there is a data directory or a server.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{At, Days};

#[derive(Debug, Subcommand)]
pub(crate) enum Click {
    /// Find the click ids in a URL, a query, cookies or a bare value: whose they are, when they were made, and what was done
    /// to them. Exits with 6 if one is harmed or there is none.
    Extract {
        /// The text; `-` reads it from stdin.
        text: String,
        #[command(flatten)]
        at: At,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Redirect {
    /// Follow a link hop by hop, as a browser without scripts, and say what each hop did to the click ids and campaign
    /// parameters. It is a real visit: trackers on the way count a click; links of this installation under its
    /// `public_hosts` are visited as tests. Exits with 6 if something is wrong.
    Check {
        /// The link.
        // Under a name of its own: `--url` is the server's.
        #[arg(id = "link", value_name = "URL")]
        url: String,
        /// Hops to follow at most, 20 at the very most [default: 10].
        #[arg(long)]
        hops: Option<usize>,
        /// The user agent to ask as.
        #[arg(long, value_name = "TEXT")]
        user_agent: Option<String>,
        /// Ask machines outside the public internet too; with --url the token must be an admin's.
        #[arg(long)]
        allow_private: bool,
        #[command(flatten)]
        at: At,
    },
    /// Show by campaign, day and offer how many visitors came to each hop: redirect, page view, action, conversion.
    Loss {
        /// Of this campaign.
        #[arg(long)]
        campaign: Option<String>,
        /// Of this offer.
        #[arg(long)]
        offer: Option<String>,
        #[command(flatten)]
        when: Days,
        #[command(flatten)]
        at: At,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Utm {
    /// Build a campaign link, or one for each row of a CSV file. Exits with 6 if one of them must not be used so.
    Build(Box<UtmBuild>),
    /// List the presets with what each fills in.
    Presets,
}

#[derive(Debug, Args)]
pub(crate) struct UtmBuild {
    /// The page.
    #[arg(value_name = "PAGE", required_unless_present = "csv", conflicts_with = "csv")]
    pub(crate) page: Option<String>,
    /// The ad source whose macros fill in what is not given; see `utm presets`.
    #[arg(long)]
    pub(crate) preset: Option<String>,
    /// utm_source.
    #[arg(long)]
    pub(crate) source: Option<String>,
    /// utm_medium.
    #[arg(long)]
    pub(crate) medium: Option<String>,
    /// utm_campaign.
    #[arg(long)]
    pub(crate) campaign: Option<String>,
    /// utm_term.
    #[arg(long)]
    pub(crate) term: Option<String>,
    /// utm_content.
    #[arg(long)]
    pub(crate) content: Option<String>,
    /// utm_id.
    #[arg(long)]
    pub(crate) id: Option<String>,
    /// A further parameter; may come several times.
    #[arg(long = "param", value_name = "NAME=VALUE")]
    pub(crate) params: Vec<String>,
    /// A CSV file with the columns url, preset, source, medium, campaign, term, content, id; other columns become
    /// parameters. The same file with the links comes out on stdout.
    #[arg(long, value_name = "FILE")]
    pub(crate) csv: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) at: At,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Runs {
    /// List the tools' runs, newest first.
    List {
        /// Of this tool.
        #[arg(long)]
        tool: Option<String>,
        /// How many.
        #[arg(long, default_value_t = 50)]
        limit: u32,
        #[command(flatten)]
        at: At,
    },
    /// Show a run with its request and answer.
    Show {
        /// Its id, run_...
        id: String,
        #[command(flatten)]
        at: At,
    },
    /// Make a run again.
    Repeat {
        /// Its id, run_...
        id: String,
        #[command(flatten)]
        at: At,
    },
}
