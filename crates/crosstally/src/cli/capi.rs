//! The commands that try a destination. All read a server event on stdin, in the shape of docs/destinations/meta.md.

use std::path::PathBuf;

use clap::Subcommand;

use super::At;

#[derive(Debug, Subcommand)]
pub(crate) enum Capi {
    /// Read a server event on stdin and print the exact request that would be sent.
    Build {
        /// The destination's slug.
        #[arg(long)]
        destination: String,
        /// Take the destination from this document instead of the configuration in force.
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
        #[command(flatten)]
        at: At,
    },
    /// Read a server event on stdin, or many, one a line, and say all that is wrong with them. Sends nothing. Exits with 6
    /// if one of them would not be sent.
    Validate {
        /// The destination's slug.
        #[arg(long)]
        destination: String,
        #[command(flatten)]
        at: At,
    },
    /// Read a server event on stdin, send it marked as a test, and say what the platform answered. Exits with 6 if it was
    /// not taken, 5 if the platform could not be asked.
    SendTest {
        /// The destination's slug.
        #[arg(long)]
        destination: String,
        /// The code that the platform's test view shows, where the configuration holds none.
        #[arg(long)]
        code: Option<String>,
        /// Send a real event, which counts, where the platform has no test mode.
        #[arg(long)]
        really: bool,
        #[command(flatten)]
        at: At,
    },
}
