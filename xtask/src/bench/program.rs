//! The program under measure, and what stands around it: its server, its sandbox, nginx.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use super::facts::kilobytes;
use super::http;
use crate::steps;
use crate::stopwatch::Stopwatch;

/// How long anything may take to answer its first question.
const READY_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a graceful stop may take.
const STOP_TIMEOUT: Duration = Duration::from_secs(60);

/// Where one installation of the program has its data.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    /// The program.
    pub(crate) binary: PathBuf,
    /// The data directory.
    pub(crate) data: PathBuf,
    /// The database, if it is not the embedded one.
    pub(crate) database_url: Option<String>,
}

impl Place {
    /// A command of the program on this data.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command.args(words).arg("--data").arg(&self.data);
        if let Some(url) = &self.database_url {
            command.env("CROSSTALLY_DATABASE_URL", url);
        }
        command
    }

    /// Applies a configuration document.
    pub(crate) fn configure(&self, document: &str) -> Result<()> {
        fs::create_dir_all(&self.data).context("cannot make the data directory")?;
        let file = self.data.with_extension("toml");
        fs::write(&file, document).context("cannot write the configuration")?;
        let file = file.display().to_string();
        steps::capture(&mut self.command(&["config", "apply", &file])).map(drop)
    }

    /// Starts the server with these roles (none for all) and waits until it is ready.
    pub(crate) fn serve(&self, roles: &str) -> Result<Server> {
        self.serve_with(roles, &[])
    }

    /// The same with further flags.
    pub(crate) fn serve_with(&self, roles: &str, flags: &[&str]) -> Result<Server> {
        let (address, admin) = (free_address()?, free_address()?);
        let mut command = self.command(&["serve", "--listen", &address.to_string()]);
        command.args(["--admin-listen", &admin.to_string()]);
        command.args(flags);
        if !roles.is_empty() {
            command.args(["--roles", roles]);
        }
        let log = self.data.with_extension("log");
        // A node that collects nothing has its admin door only.
        let door = if roles.is_empty() || roles.contains("collect") { address } else { admin };
        let mut server = Server::start(&mut command, &log, door, "/readyz")?;
        server.admin = admin;
        Ok(server)
    }
}

/// A running process with an HTTP door; stopped when dropped.
pub(crate) struct Server {
    child: Child,
    log: PathBuf,
    /// Its door.
    pub(crate) address: SocketAddr,
    /// Its door for the admin API, if it has one.
    pub(crate) admin: SocketAddr,
    /// How long it took from the start of the process to the first good answer.
    pub(crate) ready_after: Duration,
}

impl Server {
    fn start(command: &mut Command, log: &Path, address: SocketAddr, ready_path: &str) -> Result<Self> {
        let file = fs::File::create(log).context("cannot write a log")?;
        let watch = Stopwatch::start();
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone().context("cannot write a log")?)
            .stderr(file)
            .spawn()
            .with_context(|| format!("cannot start {}", command.get_program().display()))?;
        let mut server =
            Self { child, log: log.to_owned(), address, admin: address, ready_after: Duration::ZERO };
        loop {
            if http::ask(address, "GET", ready_path).is_ok_and(|answer| answer.status < 400) {
                server.ready_after = watch.elapsed();
                return Ok(server);
            }
            if let Some(status) = server.child.try_wait()? {
                bail!("it ended with {status} before it was ready:\n{}", server.last_words());
            }
            if watch.elapsed() > READY_TIMEOUT {
                bail!("not ready after {} s:\n{}", READY_TIMEOUT.as_secs(), server.last_words());
            }
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// The sandbox of the program.
    pub(crate) fn sandbox(binary: &Path, folder: &Path) -> Result<Self> {
        Self::sandbox_by(Command::new(binary), folder)
    }

    /// The same that gets processor time when nobody else wants it: a stand-in for machines of their own, whose work is
    /// none of ours.
    pub(crate) fn sandbox_elsewhere(binary: &Path, folder: &Path) -> Result<Self> {
        let mut command = Command::new("nice");
        command.args(["-n", "19"]).arg(binary);
        Self::sandbox_by(command, folder)
    }

    fn sandbox_by(mut command: Command, folder: &Path) -> Result<Self> {
        let address = free_address()?;
        command.args(["sandbox", "--listen", &address.to_string()]);
        Self::start(&mut command, &folder.join("sandbox.log"), address, "/_sandbox/stats")
    }

    /// nginx from Debian, answering every path with the same redirect.
    pub(crate) fn nginx(program: &Path, folder: &Path) -> Result<Self> {
        let address = free_address()?;
        let folder = folder.join("nginx");
        fs::create_dir_all(&folder).context("cannot make a folder for nginx")?;
        let configuration = folder.join("nginx.conf");
        fs::write(&configuration, nginx_configuration(&folder, address)).context("cannot configure nginx")?;
        let mut command = Command::new(program);
        command.arg("-p").arg(&folder).arg("-e").arg(folder.join("error.log")).arg("-c").arg(&configuration);
        Self::start(&mut command, &folder.join("nginx.log"), address, "/c/summer")
    }

    /// Memory in use now, in kilobytes.
    pub(crate) fn resident_kb(&self) -> Result<u64> {
        self.memory("VmRSS")
    }

    /// The most memory that was ever in use, in kilobytes.
    pub(crate) fn resident_peak_kb(&self) -> Result<u64> {
        self.memory("VmHWM")
    }

    fn memory(&self, field: &str) -> Result<u64> {
        let path = PathBuf::from(format!("/proc/{}/status", self.child.id()));
        kilobytes(&path, field).with_context(|| format!("no {field} in {}", path.display()))
    }

    /// Stops it as an operator would, and insists on a clean end.
    pub(crate) fn stop(mut self) -> Result<()> {
        let watch = Stopwatch::start();
        self.terminate();
        loop {
            if let Some(status) = self.child.try_wait()? {
                if !status.success() {
                    bail!("it ended with {status}:\n{}", self.last_words());
                }
                return Ok(());
            }
            if watch.elapsed() > STOP_TIMEOUT {
                bail!("still running {} s after SIGTERM:\n{}", STOP_TIMEOUT.as_secs(), self.last_words());
            }
            thread::sleep(Duration::from_millis(10));
        }
    }

    fn terminate(&self) {
        // A process that is already gone needs no signal.
        let _status = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
    }

    fn last_words(&self) -> String {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if !matches!(self.child.try_wait(), Ok(Some(_))) {
            // SIGTERM lets nginx take its workers along; SIGKILL makes sure.
            self.terminate();
            thread::sleep(Duration::from_millis(300));
            let _killed = self.child.kill();
            let _status = self.child.wait();
        }
    }
}

fn nginx_configuration(folder: &Path, address: SocketAddr) -> String {
    let folder = folder.display();
    format!(
        "worker_processes auto;\ndaemon off;\npid {folder}/nginx.pid;\nerror_log {folder}/error.log;\n\
         events {{ worker_connections 1024; }}\n\
         http {{\n  access_log off;\n  keepalive_requests 1000000000;\n  server_tokens off;\n\
         client_body_temp_path {folder}/body;\n  proxy_temp_path {folder}/proxy;\n\
         fastcgi_temp_path {folder}/fastcgi;\n  uwsgi_temp_path {folder}/uwsgi;\n  scgi_temp_path {folder}/scgi;\n\
         server {{\n    listen {address} backlog=1024;\n\
         location / {{ return 302 https://lander.example/p?cid=01jabcdefghjkmnpqrstvwxyz0&s=ad7; }}\n  }}\n}}\n"
    )
}

fn free_address() -> Result<SocketAddr> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("no free loopback port")?;
    listener.local_addr().context("no free loopback port")
}
