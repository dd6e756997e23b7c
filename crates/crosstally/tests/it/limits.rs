//! What the program asks of the operating system when it starts.

use anyhow::{Context, Result};
use crosstally_testkit::database::{Database, Kind};
use crosstally_testkit::on_both;
use crosstally_testkit::process::Running;

use crate::commands::program;

on_both! {
    /// Started with room for few files, as most shells do, a server makes itself as much as it may have.
    a_server_raises_its_limit_of_open_files => open_files;
}

const FEW: u32 = 256;

/// How many files a process may have open, and how many it may ask for, in the system's words.
fn limits(running: &Running) -> Result<(String, String)> {
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", running.id()))?;
    let line =
        limits.lines().find_map(|line| line.strip_prefix("Max open files")).context("no such limit")?;
    let mut words = line.split_whitespace().map(str::to_owned);
    words.next().zip(words.next()).context("two numbers")
}

async fn open_files(kind: Kind) -> Result<()> {
    let database = Database::fresh(kind).await?;
    let program = program().with_open_files(FEW);
    // The sandbox asks for nothing: it shows that the limit was low, and that there was something to raise.
    let sandbox = program.sandbox(database.directory()).await?;
    let (few, most) = limits(&sandbox)?;
    assert_eq!(few, FEW.to_string());
    assert_ne!(few, most, "this machine allows no more: nothing can be seen here");
    let server = program.serve(&database.flags(), database.directory()).await?;
    assert_eq!(limits(&server)?, (most.clone(), most));
    server.stop()?;
    Ok(())
}
