//! Opening a page in a real browser: without a window, under a profile that is thrown away, for some seconds. Only a
//! command does it, on the machine and with the program of whoever runs it; no request over the network names a program.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::clock::watch;

/// How long a page has to load and to tell what it tells, by its own clock, in milliseconds.
const PAGE_MS: u64 = 5_000;
/// How long the browser may take for all of it.
const TOTAL: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Opens a page and waits until it has told what it tells.
pub(super) async fn open(
    program: PathBuf,
    url: String,
    agent: String,
    profile: String,
) -> Result<(), String> {
    let opened = tokio::task::spawn_blocking(move || {
        let profile = std::env::temp_dir().join(format!("{profile}-{}", std::process::id()));
        let done = run(&program, &url, &agent, &profile);
        // A profile that stays behind is empty but for this one page.
        drop(std::fs::remove_dir_all(&profile));
        done
    });
    opened.await.map_err(|_| "the browser could not be watched".to_owned())?
}

fn run(program: &Path, url: &str, agent: &str, profile: &Path) -> Result<(), String> {
    let mut child = Command::new(program)
        .args(["--headless", "--disable-gpu", "--no-first-run", "--dump-dom"])
        .arg(format!("--user-data-dir={}", profile.display()))
        .arg(format!("--user-agent={agent}"))
        .arg(format!("--virtual-time-budget={PAGE_MS}"))
        .arg(url)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| format!("{} cannot be started: {error}", program.display()))?;
    wait(&mut child)
}

fn wait(child: &mut Child) -> Result<(), String> {
    let began = watch();
    loop {
        match child.try_wait() {
            Ok(Some(ended)) if ended.success() => return Ok(()),
            Ok(Some(ended)) => return Err(format!("the browser ended with {ended}")),
            Ok(None) if watch().saturating_sub(began) < TOTAL => std::thread::sleep(LOOK_EVERY),
            Ok(None) => {
                drop(child.kill());
                drop(child.wait());
                return Err(format!("the page was not done within {} seconds", TOTAL.as_secs()));
            }
            Err(error) => return Err(error.to_string()),
        }
    }
}
