//! The log: to stderr, levels by `CROSSTALLY_LOG` (as `info`, or `info,crosstally_engine=debug`).

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// Starts the log.
pub(crate) fn start(json: bool) {
    let filter = EnvFilter::try_from_env("CROSSTALLY_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    // Below this the driver writes out every value of every statement: addresses, contacts, whole calls.
    let quiet = "tokio_postgres=info".parse().expect("a directive that is written here");
    let filter = filter.add_directive(quiet);
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false);
    // A second start, as in a test process, keeps the first log.
    let started = if json { log.json().try_init() } else { log.try_init() };
    drop(started);
}
