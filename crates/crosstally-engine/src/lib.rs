//! Use-cases: what happens, in which order. A click is captured, a postback is booked, an event is delivered, a
//! configuration is applied, a trace is told.
//!
//! **Invariant**: the only floor that orchestrates. It has no SQL text, no routes and no status codes of our own doors.
//! It owns the clock, randomness and the single door for outbound HTTP; everybody else gets them handed in.

pub mod access;
pub mod aliases;
pub mod approvals;
pub mod balance;
pub mod browser;
pub mod capi;
pub mod caps;
pub mod click;
pub mod clock;
pub mod delivery;
pub mod erased;
pub mod erasures;
pub mod events;
pub mod evidence;
pub mod fields_page;
pub mod flood;
pub mod fraud;
pub mod fx;
pub mod geo;
pub mod http_out;
pub mod hybrid;
pub mod imports;
pub mod jobs;
pub mod keys;
pub mod losses;
pub mod metrics;
pub mod open;
pub mod outbox;
pub mod postback;
pub mod random;
pub mod replay;
pub mod retention;
mod reversals;
pub mod secrets;
pub mod settings;
pub mod snapshot;
pub mod spool;
pub mod tasks;
mod test_mark;
pub mod throttle;
pub mod tools;
pub mod trace;

use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use arc_swap::ArcSwap;
use crosstally_core::ids::ClickIdKey;
use crosstally_store::Store;

use crate::caps::Caps;
use crate::clock::Clock;
use crate::delivery::Wakeups;
use crate::erased::Erased;
use crate::flood::Flood;
use crate::geo::Geo;
use crate::http_out::HttpOut;
use crate::keys::Keys;
use crate::metrics::Metrics;
use crate::random::Random;
use crate::secrets::SecretSource;
use crate::snapshot::Snapshot;
use crate::spool::Spool;
use crate::throttle::Throttle;

/// Everything a use-case needs, handed in by the roof or by a test. Cheap to clone.
#[derive(Clone)]
pub struct Engine {
    /// The facts.
    pub store: Store,
    /// The only source of time.
    pub clock: Arc<dyn Clock>,
    /// The only source of randomness.
    pub random: Random,
    /// The only door for outbound HTTP.
    pub http_out: HttpOut,
    /// Where `{ env = ".." }` and `{ file = ".." }` are looked up.
    pub secret_source: Arc<dyn SecretSource>,
    /// Who reads the files among them.
    pub(crate) secret_files: Arc<secrets::Reader>,
    /// The installation's keys.
    pub keys: Keys,
    /// The key of click ids.
    pub click_id_key: ClickIdKey,
    /// The configuration in force.
    pub snapshot: Arc<ArcSwap<Snapshot>>,
    /// The rates at hand.
    pub fx: Arc<fx::Desk>,
    /// Where clicks go while the store is sick.
    pub spool: Spool,
    /// Wakes the delivery lanes; a hint, never the truth.
    pub wakeups: Wakeups,
    /// How much is taken of whom.
    pub throttle: Arc<Throttle>,
    /// How many clicks come from where.
    pub flood: Arc<Flood>,
    /// How many visitors offers with caps have had.
    pub caps: Arc<Caps>,
    /// Where this process's own tracking door is.
    pub door: Arc<tools::preflight::Door>,
    /// Where addresses are.
    pub geo: Arc<Geo>,
    /// How many receipts were made; their order within a millisecond.
    pub receipts: Arc<AtomicU32>,
    /// What was measured of partners' conversions.
    pub approvals: Arc<approvals::Approvals>,
    /// What was erased.
    pub erased: Arc<Erased>,
    /// What was told of deliveries that ended without arriving.
    pub ended: Arc<outbox::Ended>,
    /// Which hour was found in balance.
    pub balanced: Arc<balance::Balanced>,
    /// Counters and gauges.
    pub metrics: Metrics,
    /// This process's name among the nodes, new at every start.
    pub node: Arc<str>,
}
