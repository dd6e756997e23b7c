//! A PostgreSQL of our own, thrown away afterwards: made from the installed programs in a temporary folder, on a free
//! loopback port, with a random password, running as an unprivileged user if we are root.

use std::ffi::OsString;
use std::fs;
use std::io::Read as _;
use std::net::TcpListener;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use crate::machine;
use crate::steps;
use crate::stopwatch::Stopwatch;

/// What the tests read to find the server.
pub(crate) const VARIABLE: &str = "CROSSTALLY_TEST_POSTGRES";

/// How long the server may take to answer.
const READY_TIMEOUT: Duration = Duration::from_secs(60);
/// How often a port may turn out to be taken after all.
const PORT_TRIES: usize = 3;

/// How much the server cares about power cuts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Durability {
    /// Not at all: tests kill the program, not the machine.
    None,
    /// As in production: what a benchmark measures.
    Full,
}

/// A running server; stopped and removed when dropped.
pub(crate) struct Postgres {
    keeper: Child,
    url: String,
}

impl Postgres {
    /// Makes and starts one, installing PostgreSQL first where that is ours to do.
    pub(crate) fn start(durability: Durability) -> Result<Self> {
        let programs = find_or_install()?;
        let owner = Owner::find();
        let mut tries = 1;
        loop {
            match Self::try_start(&programs, &owner, durability) {
                Err(error) if tries < PORT_TRIES && format!("{error:#}").contains("could not bind") => {
                    tries += 1
                }
                started => return started,
            }
        }
    }

    /// Where it is. It holds the password: hand it on by the environment.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    fn try_start(programs: &Path, owner: &Owner, durability: Durability) -> Result<Self> {
        let password = random_password()?;
        let folder = owner.folder(&password)?;
        let port = free_port()?;
        let mut keeper = Command::new("sh")
            .arg("-c")
            .arg(include_str!("postgres/keeper.sh"))
            .arg("keeper")
            .arg(&folder)
            .arg(programs)
            .args(settings(port, durability))
            .current_dir(&folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // A group of its own: Ctrl-C reaches us, and our end is what stops the keeper.
            .process_group(0)
            .as_user(owner)
            .spawn()
            .context("cannot start sh")?;
        let watch = Stopwatch::start();
        while !is_ready(programs, port) {
            let ended = folder.join("ended").is_file();
            if ended || watch.elapsed() > READY_TIMEOUT {
                let log = fs::read_to_string(folder.join("log")).unwrap_or_default();
                let tail: Vec<_> = log.lines().rev().take(15).collect();
                let tail: Vec<_> = tail.into_iter().rev().collect();
                stop(&mut keeper);
                bail!("the throw-away PostgreSQL did not start:\n{}", tail.join("\n"));
            }
            thread::sleep(Duration::from_millis(30));
        }
        Ok(Self { keeper, url: format!("postgres://crosstally:{password}@127.0.0.1:{port}/postgres") })
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        stop(&mut self.keeper);
    }
}

/// Runs any command with a server beside it.
pub(crate) fn run_beside(command: &[OsString], durability: Durability) -> Result<ExitStatus> {
    let Some((program, arguments)) = command.split_first() else { bail!("no command given") };
    let server = Postgres::start(durability)?;
    steps::say(&format!("PostgreSQL is up: {VARIABLE} is set"));
    Command::new(program)
        .args(arguments)
        .env(VARIABLE, server.url())
        .status()
        .with_context(|| format!("cannot run {}", program.to_string_lossy()))
}

/// Closing the pipe is what tells the keeper to stop the server and to clean up.
fn stop(keeper: &mut Child) {
    drop(keeper.stdin.take());
    // Already gone is as good.
    let _status = keeper.wait();
}

/// The folder of `initdb` and `postgres`, installed if need be.
fn find_or_install() -> Result<PathBuf> {
    if let Some(programs) = find_programs() {
        return Ok(programs);
    }
    machine::install(&["postgresql"], "PostgreSQL (for the tests)")?;
    find_programs()
        .context("PostgreSQL was installed, but no initdb is in /usr/lib/postgresql/*/bin or in PATH")
}

/// The newest of Debian's versions, else what `pg_config` or PATH say.
fn find_programs() -> Option<PathBuf> {
    let whole = |folder: &PathBuf| folder.join("initdb").is_file() && folder.join("postgres").is_file();
    let version = |folder: &PathBuf| {
        let name = folder.parent()?.file_name()?.to_str()?;
        name.parse::<u32>().ok()
    };
    let debian = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let newest = debian.map(|entry| entry.path().join("bin")).filter(whole).max_by_key(version);
    newest
        .or_else(|| {
            let said = steps::capture(Command::new("pg_config").arg("--bindir")).ok()?;
            Some(PathBuf::from(said.trim())).filter(whole)
        })
        .or_else(|| Some(machine::find_program("initdb")?.parent()?.to_path_buf()).filter(whole))
}

/// Who runs the server: us, or an unprivileged user if we are root, for PostgreSQL refuses to run as root.
enum Owner {
    Us,
    Other { user: u32, group: u32 },
}

impl Owner {
    fn find() -> Self {
        if !machine::is_root() {
            return Self::Us;
        }
        let ids = ["postgres", "nobody"].into_iter().find_map(|name| {
            let user = steps::capture(Command::new("id").args(["-u", name])).ok()?.trim().parse().ok()?;
            let group = steps::capture(Command::new("id").args(["-g", name])).ok()?.trim().parse().ok()?;
            Some(Self::Other { user, group })
        });
        ids.unwrap_or(Self::Us)
    }

    /// A folder of the server's own, with the password in it.
    fn folder(&self, password: &str) -> Result<PathBuf> {
        let folder = tempfile::Builder::new().prefix("crosstally-postgres-").tempdir()?;
        let file = folder.path().join("password");
        fs::write(&file, password).context("cannot write the password file")?;
        if let Self::Other { user, group } = self {
            for path in [folder.path(), &file] {
                chown(path, Some(*user), Some(*group))
                    .with_context(|| format!("cannot hand {} to the server's user", path.display()))?;
            }
        }
        // From here on the keeper removes it.
        Ok(folder.keep())
    }
}

/// Runs a command as somebody else.
trait AsUser {
    fn as_user(&mut self, owner: &Owner) -> &mut Self;
}

impl AsUser for Command {
    fn as_user(&mut self, owner: &Owner) -> &mut Self {
        match owner {
            Owner::Us => self,
            Owner::Other { user, group } => self.uid(*user).gid(*group),
        }
    }
}

fn settings(port: u16, durability: Durability) -> Vec<String> {
    let durable = if durability == Durability::Full { "on" } else { "off" };
    [
        format!("port={port}"),
        "listen_addresses=127.0.0.1".to_owned(),
        "unix_socket_directories=".to_owned(),
        "max_connections=300".to_owned(),
        "shared_buffers=256MB".to_owned(),
        "max_wal_size=2GB".to_owned(),
        format!("fsync={durable}"),
        format!("full_page_writes={durable}"),
    ]
    .into_iter()
    .flat_map(|setting| ["-c".to_owned(), setting])
    .collect()
}

fn is_ready(programs: &Path, port: u16) -> bool {
    let port = port.to_string();
    let status = Command::new(programs.join("pg_isready"))
        .args(["--quiet", "--host=127.0.0.1", "--port", &port])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    status.is_ok_and(|status| status.success())
}

fn free_port() -> Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("no free loopback port")?;
    Ok(listener.local_addr().context("no free loopback port")?.port())
}

fn random_password() -> Result<String> {
    let mut bytes = [0_u8; 16];
    let mut source = fs::File::open("/dev/urandom").context("no randomness")?;
    source.read_exact(&mut bytes).context("no randomness")?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests;
