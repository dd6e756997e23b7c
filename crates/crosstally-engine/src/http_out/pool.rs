//! Connections that are open and free: kept for a moment, since the next call to the same place mostly follows at once.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use http::Uri;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::connection::Connection;

/// Connections to one place that are kept: as many calls as a destination has under way at once.
const KEPT_PER_PLACE_MAX: usize = 128;
/// Connections that are kept in all: each is an open file. A test fills it up.
pub(super) const KEPT_MAX: usize = if cfg!(test) { 60 } else { 1_024 };
/// How long they may be used again; they are closed by half as long after that. Shorter than what servers usually allow, as
/// a call that meets the server's own closing is lost. A test waits for it.
const KEPT_FOR: Duration = Duration::from_secs(if cfg!(test) { 1 } else { 4 });

/// Where a connection leads to, and for whom.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Place {
    secure: bool,
    /// Host and port.
    authority: String,
    /// Apart, so that a strict call never finds an open connection to a private address.
    allow_private: bool,
}

impl Place {
    pub(super) fn of(uri: &Uri, allow_private: bool) -> Self {
        let authority = uri.authority().map_or("", |authority| authority.as_str()).to_owned();
        Self { secure: uri.scheme() == Some(&http::uri::Scheme::HTTPS), authority, allow_private }
    }
}

/// The free connections. Cheap to clone; clones share them.
#[derive(Clone, Default)]
pub(super) struct Pool(Arc<Mutex<Free>>);

#[derive(Default)]
struct Free {
    /// By place, the one that was used last at the end.
    places: HashMap<Place, VecDeque<(Instant, Connection)>>,
    /// Of all places together.
    count: usize,
    /// Closes what nobody asks for any more, as long as there is something.
    sweeping: JoinSet<()>,
    is_swept: bool,
}

impl Pool {
    /// The one that was used last. Whether it still stands is for the caller to see.
    pub(super) fn take(&self, place: &Place) -> Option<Connection> {
        let mut free = lock(&self.0);
        let (since, connection) = free.places.get_mut(place)?.pop_back()?;
        free.count -= 1;
        // Closing one is nothing that all others should wait for.
        drop(free);
        (since.elapsed() < KEPT_FOR).then_some(connection)
    }

    /// Keeps a free one.
    pub(super) fn put(&self, place: Place, connection: Connection) {
        let mut free = lock(&self.0);
        let is_full = free.count >= KEPT_MAX;
        let there = free.places.entry(place).or_default();
        if is_full || there.len() >= KEPT_PER_PLACE_MAX {
            drop(free);
            drop(connection);
            return;
        }
        there.push_back((now(), connection));
        free.count += 1;
        if !std::mem::replace(&mut free.is_swept, true) {
            while free.sweeping.try_join_next().is_some() {}
            free.sweeping.spawn(sweep(Arc::downgrade(&self.0)));
        }
    }
}

/// Closes what has been free for too long, until nothing is left.
async fn sweep(pool: Weak<Mutex<Free>>) {
    loop {
        tokio::time::sleep(KEPT_FOR / 2).await;
        let Some(pool) = pool.upgrade() else { return };
        let old = lock(&pool).take_old();
        let Some(old) = old else { return };
        drop(old);
    }
}

impl Free {
    /// What has been free for too long; nothing once there is nothing left to be swept.
    fn take_old(&mut self) -> Option<Vec<(Instant, Connection)>> {
        let mut old = Vec::new();
        for there in self.places.values_mut() {
            let count = there.iter().take_while(|(since, _)| since.elapsed() >= KEPT_FOR).count();
            old.extend(there.drain(..count));
        }
        self.count -= old.len();
        self.places.retain(|_, there| !there.is_empty());
        self.is_swept = !old.is_empty() || !self.places.is_empty();
        self.is_swept.then_some(old)
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "peers count by real clocks how long they keep a connection open"
)]
fn now() -> Instant {
    Instant::now()
}

fn lock(free: &Mutex<Free>) -> MutexGuard<'_, Free> {
    // A list of free connections is whole whatever its last user did.
    free.lock().unwrap_or_else(PoisonError::into_inner)
}
