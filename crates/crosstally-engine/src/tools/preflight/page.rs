//! Opening a page in a real browser: without a window, under a profile that is thrown away, for some seconds. Only a
//! command does it, on the machine and with the program of whoever runs it; no request over the network names a program.

use std::os::unix::process::CommandExt;
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
    left: Duration,
) -> Result<(), String> {
    let opened = tokio::task::spawn_blocking(move || {
        let profile = std::env::temp_dir().join(format!("{profile}-{}", std::process::id()));
        let done = run(&program, &url, &agent, &profile, left.min(TOTAL));
        // A profile that stays behind is empty but for this one page.
        drop(std::fs::remove_dir_all(&profile));
        done
    });
    opened.await.map_err(|_| "the browser could not be watched".to_owned())?
}

fn run(program: &Path, url: &str, agent: &str, profile: &Path, left: Duration) -> Result<(), String> {
    let mut child = Command::new(program)
        .args(["--headless", "--disable-gpu", "--no-first-run", "--dump-dom"])
        .arg(format!("--user-data-dir={}", profile.display()))
        .arg(format!("--user-agent={agent}"))
        .arg(format!("--virtual-time-budget={PAGE_MS}"))
        .arg(url)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // With those that it starts it is a group, so that all of them end: browsers are many, and scripts start them.
        .process_group(0)
        .spawn()
        .map_err(|error| format!("{} cannot be started: {error}", program.display()))?;
    wait(&mut child, left)
}

fn wait(child: &mut Child, left: Duration) -> Result<(), String> {
    let began = watch();
    loop {
        match child.try_wait() {
            Ok(Some(ended)) if ended.success() => return Ok(()),
            Ok(Some(ended)) => return Err(format!("the browser ended with {ended}")),
            Ok(None) if watch().saturating_sub(began) < left => std::thread::sleep(LOOK_EVERY),
            Ok(None) => {
                end_all(child);
                return Err(format!("the page was not done within {} seconds", left.as_secs()));
            }
            Err(error) => return Err(error.to_string()),
        }
    }
}

/// Ends a program and all that it has started.
fn end_all(child: &mut Child) {
    let group = format!("-{}", child.id());
    drop(Command::new("kill").args(["-KILL", "--", &group]).stderr(Stdio::null()).status());
    // Where there is no such command, the program itself.
    drop(child.kill());
    drop(child.wait());
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn what_a_script_has_started_ends_with_it() {
        let directory = std::env::temp_dir().join(format!("crosstally-page-test-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let (script, number) = (directory.join("browser"), directory.join("number"));
        std::fs::write(&script, format!("#!/bin/sh\nsleep 60 &\necho $! >{}\nwait\n", number.display()))
            .unwrap();
        std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
        let ended = run(&script, "http://127.0.0.1/", "agent", &directory, Duration::from_millis(1_500));
        assert!(ended.is_err_and(|problem| problem.contains("not done within")));
        let sleeper = std::fs::read_to_string(&number).unwrap();
        // Whoever has ended and was not waited for by its parent is still listed, as a dead one.
        let state = || std::fs::read_to_string(format!("/proc/{}/stat", sleeper.trim())).unwrap_or_default();
        let has_ended = || state().is_empty() || state().contains(") Z ");
        let began = watch();
        while !has_ended() && watch().saturating_sub(began) < TOTAL {
            std::thread::sleep(LOOK_EVERY);
        }
        assert!(has_ended(), "{}", state());
        std::fs::remove_dir_all(&directory).unwrap();
    }
}
