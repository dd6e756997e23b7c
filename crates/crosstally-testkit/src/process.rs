//! The real program as a process: started, asked, killed.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::client;

/// How long a process may take to be ready.
const READY_WAIT: Duration = Duration::from_secs(30);

/// The program, found by the test that was built beside it.
#[derive(Debug, Clone)]
pub struct Program {
    path: PathBuf,
    environment: Vec<(String, String)>,
    open_files: Option<u32>,
}

/// A running server or sandbox; killed when it is dropped.
#[derive(Debug)]
pub struct Running {
    child: Child,
    /// Where it listens: the tracking listener or the sandbox.
    pub address: SocketAddr,
    /// The admin listener; the same as `address` for a sandbox.
    pub admin: SocketAddr,
}

/// A port on loopback that was free a moment ago.
///
/// # Errors
/// There is none.
pub fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

impl Program {
    /// The program in this file, with the token that the sandbox's configuration looks up.
    pub fn at(path: PathBuf) -> Self {
        let environment = vec![("META_TOKEN".to_owned(), "tok-good".to_owned())];
        Self { path, environment, open_files: None }
    }

    /// The same program with nothing in its environment but these.
    #[must_use]
    pub fn with_environment(self, environment: Vec<(String, String)>) -> Self {
        Self { environment, ..self }
    }

    /// The same program, started with this limit of open files, which it may raise.
    #[must_use]
    pub fn with_open_files(self, open_files: u32) -> Self {
        Self { open_files: Some(open_files), ..self }
    }

    /// Its file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Runs a command to its end.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn run(&self, arguments: &[&str], flags: &[String], directory: &Path) -> Result<Output> {
        self.command(directory).args(arguments).args(flags).output().context("the program cannot be started")
    }

    /// Runs a command to its end with this on its standard input.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn run_with(
        &self,
        input: &str,
        arguments: &[&str],
        flags: &[String],
        directory: &Path,
    ) -> Result<Output> {
        let file = directory.join("stdin");
        std::fs::write(&file, input)?;
        let mut command = self.command(directory);
        command.stdin(std::fs::File::open(&file)?).args(arguments).args(flags);
        command.output().context("the program cannot be started")
    }

    fn command(&self, directory: &Path) -> Command {
        let mut command = match self.open_files {
            // The shell becomes the program: the process id stays the same.
            Some(open_files) => {
                let script = format!("ulimit -Sn {open_files} && exec \"$0\" \"$@\"");
                let mut shell = Command::new("sh");
                shell.args(["-c", &script]).arg(&self.path);
                shell
            }
            None => Command::new(&self.path),
        };
        command
            .current_dir(directory)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .env("CROSSTALLY_LOG", "error")
            .stdin(Stdio::null());
        command
    }

    /// Starts a server and waits until it is ready.
    ///
    /// # Errors
    /// It did not become ready.
    pub async fn serve(&self, flags: &[String], directory: &Path) -> Result<Running> {
        // Between looking and binding somebody else may take the port, so it is tried a few times.
        let mut last = anyhow::anyhow!("never started");
        for _ in 0..5 {
            match self.serve_at(flags, directory, free_address()?, free_address()?).await {
                Ok(running) => return Ok(running),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Starts a server on these addresses and waits until it is ready.
    ///
    /// # Errors
    /// It did not become ready.
    pub async fn serve_at(
        &self,
        flags: &[String],
        directory: &Path,
        address: SocketAddr,
        admin: SocketAddr,
    ) -> Result<Running> {
        let child = self
            .command(directory)
            .arg("serve")
            .args(["--listen", &address.to_string(), "--admin-listen", &admin.to_string()])
            .args(flags)
            .spawn()
            .context("the program cannot be started")?;
        let mut running = Running { child, address, admin };
        running.wait_for("/readyz").await?;
        Ok(running)
    }

    /// Starts a sandbox and waits until it answers.
    ///
    /// # Errors
    /// It did not become ready.
    pub async fn sandbox(&self, directory: &Path) -> Result<Running> {
        let address = free_address()?;
        let child = self
            .command(directory)
            .args(["sandbox", "--listen", &address.to_string()])
            .stderr(Stdio::null())
            .spawn()
            .context("the program cannot be started")?;
        let mut running = Running { child, address, admin: address };
        running.wait_for("/_sandbox/stats").await?;
        Ok(running)
    }
}

impl Running {
    #[expect(clippy::disallowed_methods, reason = "a test waits for a real process by the real clock")]
    async fn wait_for(&mut self, path: &str) -> Result<()> {
        let until = Instant::now() + READY_WAIT;
        loop {
            if let Ok(reply) = client::get(self.address, path).await
                && reply.status == 200
            {
                return Ok(());
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("the process ended with {status} before it was ready");
            }
            if Instant::now() > until {
                bail!("the process was not ready in time");
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// The process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Kills it at once (SIGKILL) and waits until it is gone.
    ///
    /// # Errors
    /// It cannot be killed.
    pub fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Asks it to stop (SIGTERM) and waits until it has.
    ///
    /// # Errors
    /// It did not end well.
    pub fn stop(mut self) -> Result<()> {
        let told = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status()?;
        if !told.success() {
            bail!("the process could not be told to stop");
        }
        let status = self.child.wait()?;
        if status.success() { Ok(()) } else { bail!("the process ended with {status}") }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may be gone already, which is as well.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
