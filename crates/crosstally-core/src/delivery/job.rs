//! Jobs over many deliveries: which ones they send once more, how fast, and how far they are.

use serde::{Deserialize, Serialize};

use crate::delivery::DeliveryState;
use crate::ids::{DeliveryId, JobId};
use crate::reason::Reason;
use crate::time::{DAY_MS, MINUTE_MS, Timestamp};

/// Deliveries that a job may name one by one.
pub const IDS_MAX: usize = 1_000;
/// The most a job may be told to send in a minute.
pub const PER_MINUTE_MAX: u32 = 1_000_000;

/// Which deliveries a job is about. Every condition that is given must hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobFilter {
    /// Of this destination.
    pub destination: String,
    /// In one of these states; never empty.
    pub states: Vec<Word>,
    /// With this reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Of this goal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub goal: Option<String>,
    /// Sent under this name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_name: Option<String>,
    /// Booked at or after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Timestamp>,
    /// Booked before. A job that is not told takes what was booked before it began.
    pub to: Timestamp,
    /// Only these; empty for all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ids: Vec<DeliveryId>,
    /// Also those whose conversion was rejected or reversed after the event was made.
    #[serde(default)]
    pub taken_back: bool,
}

/// A state, as a job's filter writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Word {
    /// Waiting, also for a destination that holds it: it needs no replay where it is for, but can be sent elsewhere as well.
    Pending,
    /// Confirmed before: it is sent again under the same event id, which the platform drops as a duplicate within its window.
    Delivered,
    /// Refused for good, or out of attempts.
    Dead,
    /// Too old when its turn came.
    Expired,
    /// Cancelled by hand.
    Cancelled,
}

impl Word {
    /// The states that did not arrive.
    pub const FAILED: [Self; 3] = [Self::Dead, Self::Expired, Self::Cancelled];
    /// All that has ended.
    pub const ENDED: [Self; 4] = [Self::Delivered, Self::Dead, Self::Expired, Self::Cancelled];

    /// The state it names.
    #[must_use]
    pub const fn state(self) -> DeliveryState {
        match self {
            Self::Pending => DeliveryState::Pending,
            Self::Delivered => DeliveryState::Delivered,
            Self::Dead => DeliveryState::Dead,
            Self::Expired => DeliveryState::Expired,
            Self::Cancelled => DeliveryState::Cancelled,
        }
    }

    /// How a state is written.
    #[must_use]
    pub const fn of(state: DeliveryState) -> Self {
        match state {
            DeliveryState::Pending => Self::Pending,
            DeliveryState::Delivered => Self::Delivered,
            DeliveryState::Dead => Self::Dead,
            DeliveryState::Expired => Self::Expired,
            DeliveryState::Cancelled => Self::Cancelled,
        }
    }
}

/// How long what a job sends is given at least: a delivery that had run out of time must not run out at once.
pub const FRESH_DEADLINE_MS: i64 = DAY_MS;

/// Until when an event that a job books for another destination may be tried: as long as that one takes it by its age, and
/// never less than what each replay is given. The destination has the last word about the age when it is sent.
#[must_use]
pub fn deadline_elsewhere(known_at: Timestamp, max_age_ms: i64, now: Timestamp) -> Timestamp {
    known_at.plus_millis(max_age_ms).max(now.plus_millis(FRESH_DEADLINE_MS))
}

impl JobFilter {
    /// The reason, if one is asked for and known.
    #[must_use]
    pub fn reason(&self) -> Option<Reason> {
        self.code.as_deref().and_then(Reason::from_code)
    }

    /// Whether a delivery in this state is meant.
    #[must_use]
    pub fn takes(&self, state: DeliveryState) -> bool {
        self.states.iter().any(|word| word.state() == state)
    }
}

/// What a job does with its deliveries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// It sends them once more, or to another destination.
    Send,
    /// It calls off those that wait.
    Cancel,
}

impl Action {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Send, Self::Cancel];

    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Send => "send",
            Self::Cancel => "cancel",
        }
    }

    /// Reads the word back.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.as_str() == word)
    }
}

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum JobState {
    /// It goes on by itself, on whatever node is there.
    Running,
    /// It waits until it is told to go on.
    Paused,
    /// It was called off; what it had made due stays due.
    Cancelled,
    /// It has been through all of them.
    Done,
}

impl JobState {
    /// All states.
    pub const ALL: [Self; 4] = [Self::Running, Self::Paused, Self::Cancelled, Self::Done];

    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Cancelled => "cancelled",
            Self::Done => "done",
        }
    }

    /// Reads the word back.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }

    /// Whether a job may go from here to there by hand.
    #[must_use]
    pub const fn may_become(self, next: Self) -> bool {
        matches!(
            (self, next),
            (Self::Running, Self::Paused)
                | (Self::Paused, Self::Running)
                | (Self::Running | Self::Paused, Self::Cancelled)
        )
    }
}

/// A job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Its id.
    pub id: JobId,
    /// What it does.
    pub action: Action,
    /// What it is about.
    pub filter: JobFilter,
    /// Where to send instead: each event gets a delivery to this destination, unless it has one.
    pub to_destination: Option<String>,
    /// How many it makes due in a minute; `None` as fast as the destination takes them.
    pub per_minute: Option<u32>,
    /// Where it stands.
    pub state: JobState,
    /// The last delivery that it has been at; what stands up to here is never looked at again.
    pub done_to: DeliveryId,
    /// How many it was about when it began.
    pub wanted: u64,
    /// How many it made due, or called off.
    pub requeued: u64,
    /// How many it left alone: changed meanwhile, or already on their way to the other destination.
    pub skipped: u64,
    /// Who began it.
    pub author: String,
    /// When it began.
    pub created_at: Timestamp,
    /// When it last moved.
    pub updated_at: Timestamp,
}

impl Job {
    /// How many more it may make due by now: at its pace since it last moved, and never more than a tenth of a minute's at
    /// once, so that a job that waited for a day does not make up for it in one go.
    #[must_use]
    pub fn budget(&self, now: Timestamp) -> u64 {
        let Some(per_minute) = self.per_minute.map(u64::from) else { return u64::MAX };
        if self.requeued + self.skipped == 0 {
            // Whoever asks for ten a minute does not want to wait six seconds for the first.
            return 1;
        }
        let waited = u64::try_from(now.millis_since(self.updated_at).max(0)).unwrap_or(0);
        let minute = u64::try_from(MINUTE_MS).unwrap_or(1);
        (waited.saturating_mul(per_minute) / minute).min(per_minute.div_ceil(10))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEGAN: Timestamp = Timestamp::from_millis(1_764_201_600_000);

    fn job(per_minute: Option<u32>, requeued: u64) -> Job {
        Job {
            id: JobId::new(BEGAN, [0; 10]),
            action: Action::Send,
            filter: JobFilter {
                destination: "meta".into(),
                states: Word::FAILED.to_vec(),
                code: None,
                goal: None,
                event_name: None,
                from: None,
                to: BEGAN,
                ids: Vec::new(),
                taken_back: false,
            },
            to_destination: None,
            per_minute,
            state: JobState::Running,
            done_to: DeliveryId::from_bytes([0; 16]),
            wanted: 100,
            requeued,
            skipped: 0,
            author: "test".into(),
            created_at: BEGAN,
            updated_at: BEGAN,
        }
    }

    #[test]
    fn a_job_keeps_its_pace() {
        let after = |ms| BEGAN.plus_millis(ms);
        assert_eq!(job(None, 5).budget(BEGAN), u64::MAX);
        assert_eq!(job(Some(600), 0).budget(BEGAN), 1);
        assert_eq!(job(Some(600), 1).budget(BEGAN), 0);
        assert_eq!(job(Some(600), 1).budget(after(1_000)), 10);
        assert_eq!(job(Some(1), 1).budget(after(59_000)), 0);
        assert_eq!(job(Some(1), 1).budget(after(60_000)), 1);
        // After a day's wait a tenth of a minute's worth, not a day's.
        assert_eq!(job(Some(600), 11).budget(after(86_400_000)), 60);
        // A clock that was set back asks for patience, not for a panic.
        assert_eq!(job(Some(600), 11).budget(after(-5_000)), 0);
    }

    #[test]
    fn another_destination_has_its_own_time_for_an_event() {
        let now = Timestamp::from_millis(100 * DAY_MS);
        for (age_days, max_days, left_days) in [
            (0, 7, 7),
            (3, 7, 4),
            // Almost or quite too old: it is tried for a day, as what is replayed where it was for.
            (6, 7, 1),
            (30, 7, 1),
            (2, 0, 1),
        ] {
            let known_at = now.plus_millis(-age_days * DAY_MS);
            let deadline = deadline_elsewhere(known_at, max_days * DAY_MS, now);
            assert_eq!(deadline.millis_since(now), left_days * DAY_MS, "{age_days} of {max_days} days");
        }
    }

    #[test]
    fn a_job_that_has_ended_stays_ended() {
        use JobState::{Cancelled, Done, Paused, Running};
        for (from, to, may) in [
            (Running, Paused, true),
            (Paused, Running, true),
            (Running, Cancelled, true),
            (Paused, Cancelled, true),
            (Running, Running, false),
            (Cancelled, Running, false),
            (Done, Running, false),
            (Done, Cancelled, false),
            (Running, Done, false),
        ] {
            assert_eq!(from.may_become(to), may, "{from:?} {to:?}");
        }
    }

    #[test]
    fn a_filter_reads_back_as_it_was_written() {
        let filter = job(None, 0).filter;
        let text = serde_json::to_string(&filter).expect("JSON");
        assert_eq!(serde_json::from_str::<JobFilter>(&text).expect("a filter"), filter);
        assert!(filter.takes(DeliveryState::Dead) && !filter.takes(DeliveryState::Delivered));
        assert!(!filter.takes(DeliveryState::Pending));
        for state in DeliveryState::ALL {
            assert_eq!(Word::of(state).state(), state);
        }
        for action in Action::ALL {
            assert_eq!(Action::from_word(action.as_str()), Some(action));
        }
    }
}
