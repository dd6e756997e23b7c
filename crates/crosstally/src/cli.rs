//! All commands and flags, on one page.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

mod capi;
mod deliveries;
mod erase;
mod evidence;
mod hybrid;
mod journeys;
mod ledger;
mod postback;
mod preflight;
mod receipts;
mod tools;

pub(crate) use capi::Capi;
pub(crate) use deliveries::{Cancelled, Deliveries, Destinations, Replayed};
pub(crate) use erase::{Erase, Erasures};
pub(crate) use evidence::{Evidence, Verify};
pub(crate) use hybrid::{Days, Hybrid, Listed, Pairs};
pub(crate) use journeys::Journeys;
pub(crate) use ledger::{Balance, BalanceBy, Ledger};
pub(crate) use postback::{Postback, PostbackSend};
pub(crate) use preflight::{Preflight, PreflightRun};
pub(crate) use receipts::{Receipts, Which};
pub(crate) use tools::{Click, Redirect, Runs, Utm, UtmBuild};

/// Self-hosted S2S conversion tracking: the right signals, each exactly once, with proof.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true, max_term_width = 110)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    /// Print JSON for machines instead of text for people.
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the server.
    Serve(Serve),
    /// Run fake ad platforms that keep the real ones' rules.
    Sandbox(Sandbox),
    /// Check, plan, apply or export the configuration.
    #[command(subcommand)]
    Config(Config),
    /// Make, list or revoke API tokens.
    #[command(subcommand)]
    Token(Token),
    /// Show everything around one id: a click id, rcp_, cnv_, evt_, dlv_, or a partner's transaction id.
    Trace {
        /// The id.
        id: String,
        #[command(flatten)]
        at: At,
    },
    /// Try a destination: build a request, check events, send one as a test.
    #[command(subcommand)]
    Capi(Capi),
    /// Import, set or list rates, or rate conversions again.
    #[command(subcommand)]
    Fx(Fx),
    /// Send a postback as a partner would, or find out how a sender's postbacks are to be read.
    #[command(subcommand)]
    Postback(Postback),
    /// Find out what a click id is.
    #[command(subcommand)]
    Click(Click),
    /// Follow a link's redirects, or see where visitors are lost.
    #[command(subcommand)]
    Redirect(Redirect),
    /// Which events of pixel and server met, which did not, and why.
    #[command(subcommand)]
    Hybrid(Hybrid),
    /// Look at offers.
    #[command(subcommand)]
    Offers(Listed),
    /// Look at landers.
    #[command(subcommand)]
    Landers(Listed),
    /// Build campaign links.
    #[command(subcommand)]
    Utm(Utm),
    /// Fly a campaign before anybody pays for it: marked test actions from the click to the destination.
    #[command(subcommand)]
    Preflight(Preflight),
    /// Look at real journeys of a month, from the click to the destination's answer.
    #[command(subcommand)]
    Journeys(Journeys),
    /// The tools' runs: list, look at one, make it again.
    #[command(subcommand)]
    Runs(Runs),
    /// Erase a person: what was told of them, by them and to others; the money stays. Shows first what would be erased.
    Erase(Erase),
    /// Show requests to erase a person: how far they are, and how many records of what were erased.
    Erasures(Erasures),
    /// Write everything around an id, or around many calls, into one signed file that a partner can read and check.
    Evidence(Evidence),
    /// Check an evidence pack, and say what it proves and what not. Works offline, on any machine.
    Verify(Verify),
    /// One page of field names: in click links, in partners' calls, in what is sent to each destination, and what is missing.
    Fields {
        #[command(flatten)]
        at: At,
    },
    /// Bring in what another tracker knows.
    #[command(subcommand)]
    Import(Import),
    /// Look at deliveries, or try them again.
    #[command(subcommand)]
    Deliveries(Deliveries),
    /// Look at destinations, or try a paused one again.
    #[command(subcommand)]
    Destinations(Destinations),
    /// What was earned, as it was known at a time: sums by currency, or the movements of one conversion.
    Ledger(Ledger),
    /// Look at receipts: every inbound call with its verdict.
    #[command(subcommand)]
    Receipts(Receipts),
    /// Fill an empty data directory with demo clicks, and with leads that a partner reports for them.
    Seed {
        #[command(flatten)]
        amount: SeedAmount,
        #[command(flatten)]
        place: Place,
    },
    /// Print completions for a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

/// What to fill a data directory with.
#[derive(Debug, Clone, Args)]
pub(crate) struct SeedAmount {
    /// How many clicks.
    #[arg(long, default_value_t = 1_000)]
    pub(crate) clicks: u64,
    /// The campaign they belong to; it must be configured.
    #[arg(long)]
    pub(crate) campaign: String,
    /// How many leads the partner reports, with the transaction ids demo-1, demo-2 and so on.
    #[arg(long, default_value_t = 0, requires = "partner")]
    pub(crate) leads: u64,
    /// The partner that reports them; it must be configured.
    #[arg(long)]
    pub(crate) partner: Option<String>,
    /// Put demo data among real data, from which nothing takes it out again.
    #[arg(long)]
    pub(crate) force: bool,
}

/// Where the data is.
#[derive(Debug, Clone, Args)]
pub(crate) struct Place {
    /// The data directory [default: ./data].
    #[arg(long, env = "CROSSTALLY_DATA", value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// A PostgreSQL database instead of the embedded one, for many nodes.
    #[arg(long, env = "CROSSTALLY_DATABASE_URL", value_name = "URL", hide_env_values = true)]
    pub(crate) database_url: Option<String>,
    /// A file with the master key that seals secrets at rest: 64 hex digits. Without it the installation keeps its own.
    #[arg(long, env = "CROSSTALLY_MASTER_KEY_FILE", value_name = "FILE")]
    pub(crate) master_key_file: Option<PathBuf>,
    /// The settings file [default: ./crosstally.toml if it is there].
    #[arg(long, env = "CROSSTALLY_SETTINGS", value_name = "FILE")]
    pub(crate) settings: Option<PathBuf>,
}

/// A data directory, or a running server.
#[derive(Debug, Clone, Args)]
pub(crate) struct At {
    #[command(flatten)]
    pub(crate) place: Place,
    /// The admin address of a running server, e.g. http://127.0.0.1:8081.
    #[arg(long, env = "CROSSTALLY_URL", value_name = "URL")]
    pub(crate) url: Option<String>,
    /// The API token for --url.
    #[arg(long, env = "CROSSTALLY_TOKEN", hide_env_values = true)]
    pub(crate) token: Option<String>,
}

impl At {
    /// The server that is meant; none if it is the data. A flag wins over a variable.
    ///
    /// # Errors
    /// Both are meant.
    pub(crate) fn server(&self) -> Result<Option<&str>, String> {
        let Some(url) = &self.url else { return Ok(None) };
        let names_data = is_flag("--data") || is_flag("--database-url");
        let has_data = self.place.data.is_some() || self.place.database_url.is_some();
        match (is_flag("--url"), names_data) {
            (true, true) => Err("--url is a running server, and --data or --database-url the data itself; \
                leave one of them out"
                .to_owned()),
            (false, true) => Ok(None),
            (false, false) if has_data => Err("CROSSTALLY_URL is a running server, and CROSSTALLY_DATA or \
                CROSSTALLY_DATABASE_URL the data itself; say which is meant with --url or --data"
                .to_owned()),
            _ => Ok(Some(url)),
        }
    }
}

/// Whether an option stands on the command line itself.
pub(crate) fn is_flag(name: &str) -> bool {
    let is =
        |word: String| word.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('='));
    std::env::args_os().filter_map(|word| word.into_string().ok()).any(is)
}

/// A part of the server's work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Role {
    /// Clicks and postbacks.
    Collect,
    /// The admin API.
    Api,
    /// Deliveries.
    Deliver,
    /// Work by the clock.
    Tasks,
}

/// The header in which a proxy says for whom it asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ProxyHeader {
    /// X-Forwarded-For.
    XForwardedFor,
    /// Forwarded, by RFC 7239.
    Forwarded,
}

impl From<ProxyHeader> for crosstally_http::ProxyHeader {
    fn from(from: ProxyHeader) -> Self {
        match from {
            ProxyHeader::XForwardedFor => Self::XForwardedFor,
            ProxyHeader::Forwarded => Self::Forwarded,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct Serve {
    #[command(flatten)]
    pub(crate) place: Place,
    /// The tracking listener, for the public [default: 127.0.0.1:8080].
    #[arg(long, env = "CROSSTALLY_LISTEN")]
    pub(crate) listen: Option<SocketAddr>,
    /// The admin listener, private [default: 127.0.0.1:8081].
    #[arg(long, env = "CROSSTALLY_ADMIN_LISTEN")]
    pub(crate) admin_listen: Option<SocketAddr>,
    /// What this node does [default: all].
    #[arg(long, env = "CROSSTALLY_ROLES", value_delimiter = ',')]
    pub(crate) roles: Option<Vec<Role>>,
    /// Proxies whose word about the visitor's address is believed, as addresses or ranges.
    #[arg(long, env = "CROSSTALLY_TRUSTED_PROXIES", value_delimiter = ',')]
    pub(crate) trusted_proxies: Option<Vec<String>>,
    /// The header that these proxies write [default: x-forwarded-for].
    #[arg(long, env = "CROSSTALLY_PROXY_HEADER")]
    pub(crate) proxy_header: Option<ProxyHeader>,
    /// Take 0.0.0.0/0 and ::/0 in --trusted-proxies: everybody may then claim any address.
    #[arg(long, env = "CROSSTALLY_TRUST_ANY_PROXY", default_missing_value = "true", num_args = 0..=1, require_equals = true)]
    pub(crate) trust_any_proxy: Option<bool>,
    /// Files in MaxMind's format that say where addresses are and whose; read again when they change.
    #[arg(long, env = "CROSSTALLY_GEO_FILES", value_delimiter = ',')]
    pub(crate) geo_files: Option<Vec<PathBuf>>,
}

#[derive(Debug, Args)]
pub(crate) struct Sandbox {
    /// Where to listen.
    #[arg(long, env = "CROSSTALLY_SANDBOX_LISTEN", default_value = "127.0.0.1:9100")]
    pub(crate) listen: SocketAddr,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Config {
    /// Check a document without touching anything.
    Check {
        /// The document.
        file: PathBuf,
    },
    /// Show what a document would change.
    Plan {
        /// The document.
        file: PathBuf,
        #[command(flatten)]
        at: At,
    },
    /// Apply a document in one transaction; every node takes it up within two seconds.
    Apply {
        /// The document.
        file: PathBuf,
        /// Apply only if this version is still in force.
        #[arg(long)]
        base: Option<i64>,
        #[command(flatten)]
        at: At,
    },
    /// Print the configuration in force, secrets sealed.
    Export {
        #[command(flatten)]
        at: At,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Token {
    /// Make a token and print it once.
    Create {
        /// Its name.
        #[arg(long)]
        name: String,
        /// What it may do: admin, read, config:write, deliveries:write, receipts:write, events:write.
        #[arg(long, value_delimiter = ',', default_value = "admin")]
        scopes: Vec<String>,
        #[command(flatten)]
        at: At,
    },
    /// List tokens.
    List {
        #[command(flatten)]
        at: At,
    },
    /// Revoke a token.
    Revoke {
        /// Its id, tok_...
        id: String,
        #[command(flatten)]
        at: At,
    },
}

/// How a file of rates is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum FxFormat {
    /// The European Central Bank's XML: eurofxref-daily.xml, eurofxref-hist-90d.xml, eurofxref-hist.xml.
    EcbXml,
    /// The European Central Bank's CSV: eurofxref.csv, eurofxref-hist.csv.
    EcbCsv,
    /// Lines of date,base,quote,rate.
    Csv,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Fx {
    /// Import a file of rates; conversions that wait for one are priced.
    Import {
        /// The file.
        file: PathBuf,
        /// How it is written [default: as it begins].
        #[arg(long, value_enum)]
        format: Option<FxFormat>,
        #[command(flatten)]
        at: At,
    },
    /// Set one rate: on DATE, one unit of BASE was RATE units of QUOTE.
    Set {
        /// The day, as 2026-11-20.
        date: String,
        /// What one unit is asked of, such as EUR.
        base: String,
        /// What the rate counts, such as USD.
        quote: String,
        /// How many of it, such as 1.0856.
        rate: String,
        #[command(flatten)]
        at: At,
    },
    /// List rates, latest day first.
    List {
        /// Of this currency.
        #[arg(long)]
        currency: Option<String>,
        /// How many.
        #[arg(long, default_value_t = 50)]
        limit: u32,
        #[command(flatten)]
        at: At,
    },
    /// Give conversions the rates that they would have now, as movements of the difference.
    Rerate {
        /// The first day of the rates, as 2026-11-01.
        #[arg(long, value_name = "DAY")]
        from: String,
        /// The last day.
        #[arg(long, value_name = "DAY")]
        to: String,
        /// Only of this currency.
        #[arg(long)]
        currency: Option<String>,
        /// Only tell what would change.
        #[arg(long)]
        dry_run: bool,
        #[command(flatten)]
        at: At,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Import {
    /// Conversions from a file: offline sales, a CRM's export. Each row is booked like a call of the partner, by the names
    /// of the columns. Safe to do twice.
    Csv {
        /// The CSV file; its first row names the columns.
        file: PathBuf,
        /// The partner that the rows belong to.
        #[arg(long)]
        partner: String,
        /// A column that is to be read as one of our fields, such as click_id=Gutschein; may come several times.
        #[arg(long = "map", value_name = "FIELD=COLUMN")]
        map: Vec<String>,
        /// Only tell how each row would be read.
        #[arg(long)]
        dry_run: bool,
        /// Where rows go that are not taken, with the reason [default: FILE.rejected.csv].
        #[arg(long, value_name = "FILE")]
        rejected: Option<PathBuf>,
        /// Go on at this row, after an import that broke off.
        #[arg(long, default_value_t = 1)]
        from_row: u64,
        #[command(flatten)]
        at: At,
    },
    /// Click ids of another tracker that stand for clicks of ours: lines of alias,click_id. Safe to do twice.
    Aliases {
        /// The CSV file.
        file: PathBuf,
        /// Only tell what would be added.
        #[arg(long)]
        dry_run: bool,
        /// Where rows go that are not taken, with the reason [default: FILE.rejected.csv].
        #[arg(long, value_name = "FILE")]
        rejected: Option<PathBuf>,
        #[command(flatten)]
        at: At,
    },
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::Cli;

    #[test]
    fn every_command_has_each_name_once() {
        Cli::command().debug_assert();
    }
}
