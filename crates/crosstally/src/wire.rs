//! The page to read first: what a server is made of, in the order it is built, and how it stops.

use std::sync::Arc;

use anyhow::Result;
use crosstally_engine::{delivery, tasks};
use crosstally_http::{DoorOptions, Doors, Listening, State, serve};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::cli::Role;
use crate::limits;
use crate::local;
use crate::settings::ServeSettings;

/// Runs a server until it is told to stop.
#[expect(clippy::disallowed_methods, reason = "the program's few supervised tasks, each awaited below")]
pub(crate) async fn run(settings: ServeSettings) -> Result<()> {
    // 1. The ground: room for every connection, one server per embedded store, one spool per server.
    limits::raise_open_files();
    let _store_lock = local::lock_store(&settings.ground)?;
    let (spool, _spool_lock) = local::take_spool(&settings.ground)?;
    // 2. The engine over its store; it takes up the configuration in force.
    let engine = local::engine(&settings.ground, &spool).await?;
    engine.spool.recover()?;
    engine.geo.open(&settings.geo_files)?;
    if settings.geo_files.is_empty() && engine.snapshot.load().asks_for_places() {
        tracing::warn!("paths ask where visitors are, and --geo-files names no file: nobody is anywhere");
    }
    // 3. The doors, bound before anything is promised.
    let doors = Doors {
        tracking: settings.does(Role::Collect).then_some(settings.listen),
        admin: settings.does(Role::Api).then_some(settings.admin_listen),
    };
    let listening = Listening::bind(&doors)?;
    // No call of ours comes back in by one of them.
    engine.http_out.listens_at(listening.addresses());
    if let Some(address) = listening.tracking() {
        engine.door.opens_at(address);
    }
    announce(&settings, &listening);
    // 4. Everything runs until the stop signal, then drains: doors first, so that nothing new comes in, then deliveries.
    let (stop_doors, doors_stopped) = watch::channel(false);
    let (stop_work, work_stopped) = watch::channel(false);
    let options = Arc::new(DoorOptions {
        trusted_proxies: settings.trusted_proxies.clone(),
        proxy_header: settings.proxy_header.into(),
        ..DoorOptions::default()
    });
    let state = State { engine: engine.clone(), options };
    let serving = tokio::spawn(serve(listening, state, doors_stopped));
    let delivering = settings
        .does(Role::Deliver)
        .then(|| tokio::spawn(delivery::run(engine.clone(), work_stopped.clone())));
    let working =
        settings.does(Role::Tasks).then(|| tokio::spawn(tasks::run(engine.clone(), work_stopped.clone())));
    let following = (!settings.does(Role::Tasks))
        .then(|| tokio::spawn(tasks::follow_config(engine.clone(), work_stopped)));
    stop_signal().await?;
    tracing::info!("stopping: no new requests, those in flight end");
    // A pre-flight in mid-flight would take the closing door for a fault.
    engine.door.closes();
    stop_doors.send_replace(true);
    let doors_ended = serving.await;
    stop_work.send_replace(true);
    for task in [delivering, working, following].into_iter().flatten() {
        task.await?;
    }
    // 5. What is accepted is on disk before the process ends.
    engine.spool.rotate().await;
    engine.store.close().await;
    doors_ended?;
    tracing::info!("stopped");
    Ok(())
}

async fn stop_signal() -> Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

fn announce(settings: &ServeSettings, listening: &Listening) {
    if let Some(address) = listening.tracking() {
        tracing::info!("clicks and postbacks at http://{address}/c/{{campaign}} and /postback/{{partner}}");
    }
    if let Some(address) = listening.admin() {
        tracing::info!("admin API at http://{address}/api/v1 (private)");
    }
    if settings.ground.master_key_file.is_none()
        && matches!(settings.ground.location, crosstally_store::Location::Postgres(_))
    {
        tracing::warn!(
            "secrets in the configuration are sealed with a key that lies in the same database; \
             set CROSSTALLY_MASTER_KEY_FILE on every node to keep it apart"
        );
    }
    tracing::info!(data = %settings.ground.data.display(), "ready");
}
