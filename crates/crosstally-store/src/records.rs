//! What goes in and comes out besides core's own types.

use crosstally_core::delivery::lane::Lane;
use crosstally_core::delivery::{DeliveryState, Outcome};
use crosstally_core::event::OutboundEvent;
use crosstally_core::ids::{CallId, ConversionId, DeliveryId, GoalEventId, TokenId};
use crosstally_core::reason::Reason;
use crosstally_core::time::Timestamp;
use crosstally_core::verdict::Verdict;

/// Which deliveries to lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseWanted {
    /// The destination's slug.
    pub destination: String,
    /// Who leases: one name per process start.
    pub owner: String,
    /// The present time.
    pub now: Timestamp,
    /// When the lease ends by itself.
    pub until: Timestamp,
    /// How many at most.
    pub limit: u32,
    /// Which lane is served first.
    pub first: Lane,
    /// How long after a call that ended with nobody knowing its outcome a further try does not count twice.
    pub unknown_for_ms: Option<i64>,
}

/// A delivery that is leased: nobody else works on it until the lease ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeasedDelivery {
    /// Its id.
    pub id: DeliveryId,
    /// The number of this lease; later writes must show it.
    pub fence: i64,
    /// The event to send.
    pub event: EventText,
    /// How many attempts were opened so far.
    pub attempts: u32,
    /// How many of them count against the schedule.
    pub failures: u32,
    /// After this moment it is too late.
    pub deadline_at: Timestamp,
    /// When it was booked.
    pub created_at: Timestamp,
    /// Why the attempt before did not suffice.
    pub last: Option<Reason>,
}

/// An event as it is kept. Whoever sends it reads it, one at a time and no sooner: many events in memory at once cost more
/// than reading them.
#[derive(Clone, PartialEq, Eq)]
pub struct EventText(String);

impl EventText {
    /// What was kept.
    #[must_use]
    pub const fn new(text: String) -> Self {
        Self(text)
    }

    /// The event; `None` if it cannot be read.
    #[must_use]
    pub fn read(&self) -> Option<OutboundEvent> {
        serde_json::from_str(&self.0).ok()
    }
}

// What it says of a person is not for logs.
impl std::fmt::Debug for EventText {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "EventText({} bytes)", self.0.len())
    }
}

/// A delivery under a lease, by its fence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// The delivery.
    pub id: DeliveryId,
    /// The lease's number.
    pub fence: i64,
}

/// A call that is about to be made: the intent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCall {
    /// Its id.
    pub id: CallId,
    /// The destination's slug.
    pub destination: String,
    /// When it starts.
    pub started_at: Timestamp,
    /// The HTTP method.
    pub method: String,
    /// The URL, secrets masked.
    pub url: String,
    /// What each delivery looks like in the request, secrets masked; nothing for a `GET` of which the URL says it all. None of
    /// them comes twice: an attempt has one number.
    pub deliveries: Vec<(Held, String)>,
}

/// What came of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallResult {
    /// The call.
    pub id: CallId,
    /// Whom it was made to.
    pub destination: String,
    /// When it ended.
    pub finished_at: Timestamp,
    /// The answer's status code; `None` if there was no answer.
    pub status: Option<u16>,
    /// The kept part of the answer's body, secrets masked.
    pub response: String,
    /// The platform's code and words, or the network's.
    pub detail: String,
    /// Whether it was the one that shows whether a pause of its destination is over.
    pub probe: bool,
}

/// What becomes of a delivery after an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum After {
    /// Delivered.
    Delivered,
    /// Tried again at this time; counts against the schedule.
    RetryAt(Timestamp),
    /// Waits for its paused destination; does not count.
    Wait,
    /// Dead.
    Dead,
    /// Too late.
    Expired,
    /// Stays leased: it is sent again at once in a smaller batch.
    KeepLease,
}

/// What one delivery's attempt came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settlement {
    /// The delivery.
    pub held: Held,
    /// What the attempt came to.
    pub outcome: Outcome,
    /// What becomes of the delivery.
    pub after: After,
    /// The reason to show with the delivery.
    pub reason: Reason,
    /// It may have arrived: after this moment a further try would count twice.
    pub last_at: Option<Timestamp>,
}

/// Everything that is written down when a call has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallEnd {
    /// The answer.
    pub result: CallResult,
    /// What becomes of each delivery.
    pub settlements: Vec<Settlement>,
    /// The destination's new state, if the call changes it.
    pub state: Option<DestinationState>,
}

/// How many settlements took effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Settled {
    /// Took effect.
    pub applied: u32,
    /// Refused: the lease had ended and somebody else holds the delivery.
    pub stale: u32,
}

/// The end of a leased delivery that was never sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsent {
    /// The delivery.
    pub held: Held,
    /// `Dead` or `Expired`.
    pub state: DeliveryState,
    /// Why.
    pub reason: Reason,
    /// The field and the rule.
    pub detail: String,
}

/// A destination's state of health, shared by all nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DestinationState {
    /// The destination's slug.
    pub destination: String,
    /// Why it is paused, if it is.
    pub paused: Option<Reason>,
    /// The platform's words.
    pub detail: String,
    /// Since when.
    pub since: Timestamp,
    /// The digest of the settings that did not work: other settings are worth a new try.
    pub settings_digest: String,
    /// When a paused destination is probed with a single event next; or until when a throttled one is left alone.
    pub not_before: Timestamp,
}

/// An outage: the calls to a destination come to nothing, one after the other. They are made again by themselves; this is
/// for whoever looks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outage {
    /// The destination's slug.
    pub destination: String,
    /// What the last of them that was noted came to.
    pub reason: Reason,
    /// In the words of that call.
    pub detail: String,
    /// Since when.
    pub since: Timestamp,
    /// The digest of the settings: of others nothing is known.
    pub settings_digest: String,
}

/// A delivery as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryRecord {
    /// Its id.
    pub id: DeliveryId,
    /// The goal event.
    pub goal_event: GoalEventId,
    /// The conversion.
    pub conversion: ConversionId,
    /// The destination's slug.
    pub destination: String,
    /// The event's name.
    pub event_name: String,
    /// The event's id.
    pub event_id: String,
    /// Where it stands.
    pub state: DeliveryState,
    /// The last reason.
    pub reason: Option<Reason>,
    /// About the last reason.
    pub detail: String,
    /// Attempts opened so far.
    pub attempts: u32,
    /// Attempts that count against the schedule.
    pub failures: u32,
    /// When it is due.
    pub due_at: Timestamp,
    /// After this moment it is too late.
    pub deadline_at: Timestamp,
    /// When it was booked.
    pub created_at: Timestamp,
    /// When it reached its final state.
    pub finished_at: Option<Timestamp>,
    /// When it had arrived before it was made due once more.
    pub arrived_at: Option<Timestamp>,
    /// Whether a job has made it due.
    pub by_job: bool,
    /// Who works on it, until when.
    pub lease: Option<(String, Timestamp)>,
}

/// One attempt of a delivery, with its call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptRecord {
    /// 1 for the first.
    pub number: u32,
    /// The call.
    pub call: CallId,
    /// How many events the call carried.
    pub batch: u32,
    /// The HTTP method.
    pub method: String,
    /// The URL, secrets masked.
    pub url: String,
    /// The event as it stood in the request, secrets masked: for a `GET` without anything else, its URL.
    pub payload: String,
    /// When the call started.
    pub started_at: Timestamp,
    /// When it ended; `None` while it runs or if it was cut off.
    pub finished_at: Option<Timestamp>,
    /// The answer's status code.
    pub status: Option<u16>,
    /// The kept part of the answer's body.
    pub response: String,
    /// `delivered`, `retry`, `refused`, `split`, `paused`; `None` while it is open.
    pub outcome: Option<String>,
    /// Why.
    pub reason: Option<Reason>,
    /// The platform's code and words.
    pub detail: String,
}

/// Which deliveries to list or to try again.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DeliveryFilter {
    /// Of this destination.
    pub destination: Option<String>,
    /// In this state.
    pub state: Option<DeliveryState>,
    /// This one.
    pub id: Option<DeliveryId>,
}

/// At which destinations: what is pending is held by some of them and goes on at the others, and the store cannot know which.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Places {
    /// At all.
    #[default]
    All,
    /// At these.
    Only(Vec<String>),
    /// At all but these.
    AllBut(Vec<String>),
}

/// How many deliveries of a destination stand where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxCount {
    /// The destination's slug.
    pub destination: String,
    /// The state.
    pub state: DeliveryState,
    /// How many.
    pub count: u64,
    /// Of pending ones: the earliest time at which one of them can be leased, its due time or the end of its lease.
    /// Of finished ones: the start of time.
    pub oldest_due_at: Timestamp,
}

/// How the deliveries of a day stand that go to one destination under one name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DayCount {
    /// The start of the day, UTC.
    pub day: Timestamp,
    /// The destination's slug.
    pub destination: String,
    /// The event's name.
    pub event_name: String,
    /// Those that arrived.
    pub delivered: u64,
    /// Those that will not: refused, out of attempts, too old, cancelled.
    pub failed: u64,
    /// Those that wait still.
    pub open: u64,
    /// Attempts that were made with them.
    pub attempts: u64,
}

/// The events of one hour that arrived at a destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveredHour {
    /// The destination's slug.
    pub destination: String,
    /// The start of the hour in which they happened, UTC.
    pub hour: Timestamp,
    /// How many distinct event ids they have.
    pub events: u64,
    /// The digest over those ids, see [`crosstally_core::delivery::digest::IdsDigest`].
    pub sha256: String,
}

/// How many receipts of a partner have a verdict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiptCount {
    /// The partner's slug.
    pub partner: String,
    /// The verdict.
    pub verdict: Verdict,
    /// How many.
    pub count: u64,
}

/// A configuration in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigRecord {
    /// 1 for the first, then rising by one.
    pub version: i64,
    /// The document, secrets sealed.
    pub document: String,
    /// When it was applied.
    pub applied_at: Timestamp,
    /// By whom: a token's name, or `command line`.
    pub author: String,
}

/// What became of an attempt to apply a configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Applied {
    /// It is in force under this version.
    Applied(i64),
    /// Somebody else applied another one meanwhile.
    Stale {
        /// The version in force.
        current: i64,
    },
}

/// An API token; the token itself is never stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRecord {
    /// Its id.
    pub id: TokenId,
    /// Its name.
    pub name: String,
    /// What it may do.
    pub scopes: Vec<String>,
    /// SHA-256 of the token, hex.
    pub hash: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
}
