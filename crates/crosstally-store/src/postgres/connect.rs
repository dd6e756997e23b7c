//! Connections: how they are opened, and what is demanded of the server behind them.

use std::time::Duration;

use deadpool_postgres::{
    Hook, HookError, Manager, ManagerConfig, Pool, PoolError, RecyclingMethod, Runtime, Timeouts,
};
use tokio_postgres::{Client, Config, Error, NoTls};

use super::fault::{Fault, describe};
use crate::OpenError;

#[cfg(test)]
mod tests;

/// How long opening one connection may take.
const CONNECT_WAIT: Duration = Duration::from_secs(5);
/// How long a piece of work waits for a connection to become free.
const POOL_WAIT: Duration = Duration::from_secs(20);
/// When a silent peer is asked whether it is still there, and when it is given up.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(15);
const PEER_SILENT_MAX: Duration = Duration::from_secs(30);
/// The oldest server that can tell what became of a transaction whose connection broke at the commit.
const SERVER_VERSION_MIN: i32 = 130_000;

/// What every session is set to. Each question here has one good plan, by an index; a plan that is made while a table is
/// small and kept while it grows must not be another one. The time limits free what a dead node leaves locked.
const SETTINGS: &[(&str, &str)] = &[
    ("enable_seqscan", "off"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
    ("jit", "off"),
    ("plan_cache_mode", "force_generic_plan"),
    ("statement_timeout", "30s"),
    ("idle_in_transaction_session_timeout", "30s"),
];

// A setting that the server does not know is left out.
const SET: &str =
    "SELECT set_config(s.name, s.value, false) FROM unnest($1::text[], $2::text[]) AS s (name, value)
    WHERE current_setting(s.name, true) IS NOT NULL";

/// Opens a pool of connections to the database, and the first of them at once, to see that it is fit for the purpose.
pub(super) async fn connect(url: &str, connections_max: usize) -> Result<Pool, OpenError> {
    let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
    let manager = Manager::from_config(parse(url)?, NoTls, recycling);
    let pool = Pool::builder(manager)
        .max_size(connections_max.max(1))
        .timeouts(Timeouts { wait: Some(POOL_WAIT), create: Some(CONNECT_WAIT * 2), recycle: None })
        .runtime(Runtime::Tokio1)
        .post_create(Hook::async_fn(|client, _| Box::pin(prepare(client))))
        .build()
        .map_err(|error| OpenError::Unavailable(error.to_string()))?;
    let first = pool.get().await.map_err(|error| match error {
        PoolError::PostCreateHook(HookError::Message(problem)) => OpenError::NotDurable(problem.into()),
        other => OpenError::Unavailable(Fault::from(other).into_text()),
    })?;
    inspect(&first).await?;
    drop(first);
    Ok(pool)
}

fn parse(url: &str) -> Result<Config, OpenError> {
    // The parser's own words may quote a piece of the password.
    let mut config: Config = url.parse().map_err(|_| {
        let form = "postgres://user:password@host:port/database, special characters as %XX";
        OpenError::Unavailable(format!("its URL cannot be read; it must look like {form}"))
    })?;
    if config.get_application_name().is_none() {
        config.application_name("crosstally");
    }
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(CONNECT_WAIT);
    }
    if config.get_tcp_user_timeout().is_none() {
        config.tcp_user_timeout(PEER_SILENT_MAX);
    }
    if config.get_keepalives_interval().is_none() {
        config.keepalives_idle(KEEPALIVE_IDLE).keepalives_interval(KEEPALIVE_IDLE / 3).keepalives_retries(3);
    }
    Ok(config)
}

/// Sets up a new connection. A message, as against an error of the server's, says that it is not durable.
async fn prepare(client: &Client) -> Result<(), HookError> {
    let (names, values): (Vec<_>, Vec<_>) = SETTINGS.iter().copied().unzip();
    client.execute(SET, &[&names, &values]).await.map_err(HookError::Backend)?;
    let commit = client.query_one("SELECT current_setting('synchronous_commit')", &[]).await;
    let commit: String = commit.and_then(|row| row.try_get(0)).map_err(HookError::Backend)?;
    if commit == "off" {
        return Err(HookError::message("synchronous_commit is off, it must be on, local or one of remote_*"));
    }
    Ok(())
}

/// What can be found out once and for all about a server.
async fn inspect(client: &Client) -> Result<(), OpenError> {
    const ASK: &str =
        "SELECT current_setting('server_version_num')::integer, current_setting('server_encoding'),
        pg_is_in_recovery(), current_setting('fsync') = 'on' AND current_setting('full_page_writes') = 'on'";
    let unavailable = |error: Error| OpenError::Unavailable(describe(&error));
    let row = client.query_one(ASK, &[]).await.map_err(unavailable)?;
    let version: i32 = row.try_get(0).map_err(unavailable)?;
    let encoding: String = row.try_get(1).map_err(unavailable)?;
    let standby: bool = row.try_get(2).map_err(unavailable)?;
    let safe: bool = row.try_get(3).map_err(unavailable)?;
    if version < SERVER_VERSION_MIN {
        return Err(OpenError::Unavailable("the server is older than PostgreSQL 13".into()));
    }
    if encoding != "UTF8" {
        return Err(OpenError::Unavailable(format!(
            "the database's encoding is {encoding}, it must be UTF8"
        )));
    }
    if standby {
        return Err(OpenError::Unavailable("the server is a standby, which takes no writes".into()));
    }
    if !safe {
        tracing::warn!(
            "fsync or full_page_writes of the PostgreSQL server is off: a power cut can destroy the data"
        );
    }
    Ok(())
}
