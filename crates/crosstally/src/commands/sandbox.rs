//! `crosstally sandbox`.

use std::sync::Arc;

use anyhow::{Context, Result};
use crosstally_engine::clock::{Clock, SystemClock};
use crosstally_sandbox::Sandbox;
use tokio::net::TcpListener;

use crate::cli;

/// Runs the fake platforms until told to stop.
pub(crate) async fn run(flags: &cli::Sandbox) -> Result<()> {
    let listener = TcpListener::bind(flags.listen)
        .await
        .with_context(|| format!("cannot listen on {}", flags.listen))?;
    let address = listener.local_addr()?;
    eprintln!("sandbox at http://{address}; what it accepted: http://{address}/_sandbox/events");
    let clock = SystemClock;
    let sandbox = Sandbox::new(Arc::new(move || clock.now().as_millis()));
    let stop = async {
        let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()).ok();
        let terminated = async {
            match &mut terminate {
                Some(terminate) => drop(terminate.recv().await),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            () = terminated => {}
        }
    };
    crosstally_sandbox::serve(listener, sandbox, stop).await.context("the sandbox failed")
}
