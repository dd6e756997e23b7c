//! Load by wrk: the same generator, threads and connections for everything that is compared.

use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::steps;

/// Connections in every run.
pub(crate) const CONNECTIONS: u32 = 64;
/// Threads of the generator: it shares two cores with what it measures.
const THREADS: u32 = 2;

/// What one run found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Load {
    /// Answers per second.
    pub(crate) per_second: u64,
    /// Answers in all.
    pub(crate) answers: u64,
    /// Half of the answers came within this.
    pub(crate) p50_us: u64,
    /// All but one in a hundred came within this.
    pub(crate) p99_us: u64,
    /// Broken connections, timeouts, and statuses of 400 and up.
    pub(crate) errors: u64,
}

/// What each request asks for, as the body of a Lua function with `n` (a number that no other request has, across
/// threads and runs), `ids` (the lines of a file) and `method`, `path`.
pub(crate) struct Script<'a> {
    /// The path to ask, as a Lua expression.
    pub(crate) path: &'a str,
    /// A file of lines to draw from, empty for none.
    pub(crate) lines: Option<&'a Path>,
    /// Sets this run's numbers apart from all others'.
    pub(crate) run: u64,
}

/// Runs wrk against an address.
pub(crate) fn run(folder: &Path, address: SocketAddr, script: &Script<'_>, seconds: u64) -> Result<Load> {
    run_over(folder, address, script, seconds, CONNECTIONS)
}

/// The same over fewer connections: for queues of which only so much is wanted.
pub(crate) fn run_over(
    folder: &Path,
    address: SocketAddr,
    script: &Script<'_>,
    seconds: u64,
    connections: u32,
) -> Result<Load> {
    let file = folder.join("load.lua");
    fs::write(&file, lua(script)).context("cannot write the load script")?;
    let said = steps::capture(
        Command::new("wrk")
            .arg(format!("-t{THREADS}"))
            .arg(format!("-c{connections}"))
            .arg(format!("-d{seconds}s"))
            .arg("--timeout=10s")
            .arg("-s")
            .arg(&file)
            .arg(format!("http://{address}")),
    )?;
    read(&said).with_context(|| format!("wrk said:\n{said}"))
}

fn lua(script: &Script<'_>) -> String {
    let lines = script.lines.map_or_else(String::new, |path| path.display().to_string());
    let mut text = String::new();
    let (run, path) = (script.run, script.path);
    // Writing to a string cannot fail.
    let _written = write!(
        text,
        r#"local threads = 0
function setup(thread)
  thread:set("number", threads)
  threads = threads + 1
end
function init(args)
  ids = {{}}
  if "{lines}" ~= "" then
    for line in io.lines("{lines}") do ids[#ids + 1] = line end
  end
  sent = 0
  base = {run} * 1000000000 + number * 100000000
  wrk.headers["User-Agent"] = "Mozilla/5.0 (iPhone; CPU iPhone OS 26_0 like Mac OS X) AppleWebKit/605.1.15"
  wrk.headers["Accept-Language"] = "en-US,en;q=0.9"
end
function request()
  sent = sent + 1
  local n = string.format("%d", base + sent)
  local id = ids[(sent * {THREADS} + number) % math.max(#ids, 1) + 1] or ""
  return wrk.format("GET", {path})
end
function done(summary, latency)
  local e = summary.errors
  io.write(string.format("RESULT %d %d %d %d %d\n", summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(99), e.connect + e.read + e.write + e.status + e.timeout))
end
"#
    );
    text
}

fn read(said: &str) -> Result<Load> {
    let line = said.lines().find_map(|line| line.strip_prefix("RESULT ")).context("no result")?;
    let numbers: Vec<u64> =
        line.split(' ').map(str::parse).collect::<Result<_, _>>().context("not numbers")?;
    let [answers, duration_us, p50_us, p99_us, errors] = numbers[..] else {
        anyhow::bail!("not five numbers: {line}");
    };
    Ok(Load { per_second: answers * 1_000_000 / duration_us.max(1), answers, p50_us, p99_us, errors })
}

/// The round in the middle, by what was reached of the limit measured just before it: on a machine that is not always
/// equally fast, only runs that were neighbours compare. Errors of all rounds are kept.
pub(crate) fn median_pair(mut rounds: Vec<(Load, Load)>) -> Result<(Load, Load)> {
    let errors = rounds.iter().map(|(ours, _)| ours.errors).sum();
    rounds.sort_by_key(|(ours, limit)| ours.per_second * 10_000 / limit.per_second.max(1));
    let (ours, limit) = rounds.get(rounds.len() / 2).context("no rounds")?;
    Ok((Load { errors, ..*ours }, *limit))
}

/// The run in the middle, by speed. Errors of all runs are kept.
pub(crate) fn median(mut runs: Vec<Load>) -> Result<Load> {
    let errors = runs.iter().map(|run| run.errors).sum();
    runs.sort_by_key(|run| run.per_second);
    let middle = runs.get(runs.len() / 2).context("no runs")?;
    Ok(Load { errors, ..*middle })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_result_line_is_read() {
        let load = read("Running 10s test\nRESULT 200000 10000000 900 4100 3\n").expect("a result");
        assert_eq!(
            load,
            Load { per_second: 20_000, answers: 200_000, p50_us: 900, p99_us: 4_100, errors: 3 }
        );
        assert!(read("nothing").is_err());
    }

    #[test]
    fn neighbours_are_compared() {
        let run = |per_second, errors| Load { per_second, answers: 1, p50_us: 1, p99_us: 1, errors };
        let rounds = vec![(run(30, 1), run(100, 0)), (run(60, 0), run(100, 9)), (run(25, 0), run(50, 0))];
        let (ours, limit) = median_pair(rounds).expect("rounds");
        assert_eq!((ours.per_second, ours.errors, limit.per_second), (25, 1, 50));
    }

    #[test]
    fn the_median_is_the_middle_run_with_everybodys_errors() {
        let run = |per_second, errors| Load { per_second, answers: 1, p50_us: per_second, p99_us: 1, errors };
        let middle = median(vec![run(3, 0), run(1, 2), run(2, 0)]).expect("runs");
        assert_eq!((middle.per_second, middle.p50_us, middle.errors), (2, 2, 2));
    }
}
