//! Deliveries by hand: trying again, resuming a destination.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crosstally_core::delivery::DeliveryState;
use crosstally_core::delivery::job::FRESH_DEADLINE_MS;
use crosstally_core::ids::DeliveryId;
use crosstally_core::reason::Reason;
use crosstally_store::{DeliveryFilter, DeliveryRecord, DestinationState, OutboxCount, Places, StoreError};

use crate::Engine;

/// The word under which a delivery is listed: its state, and of what is pending also whether its destination holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// Pending at a destination that is paused or gone from the configuration.
    Held,
    /// In this state; `Pending` at a destination that goes on.
    State(DeliveryState),
}

impl Shown {
    /// Reads the word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        match word {
            "held" => Some(Self::Held),
            word => DeliveryState::from_word(word).map(Self::State),
        }
    }

    /// The state that the store has.
    #[must_use]
    pub const fn state(self) -> DeliveryState {
        match self {
            Self::Held => DeliveryState::Pending,
            Self::State(state) => state,
        }
    }

    /// Where such deliveries are, if these destinations go on and no others.
    fn places(self, going_on: Vec<String>) -> Places {
        match self {
            Self::Held => Places::AllBut(going_on),
            Self::State(DeliveryState::Pending) => Places::Only(going_on),
            Self::State(_) => Places::All,
        }
    }
}

/// What is said of a name that is no destination's.
#[must_use]
pub fn nobody_knows(slug: &str) -> String {
    format!("there is no destination `{slug}`, and nothing was ever for it")
}

/// Which deliveries are listed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Listed {
    /// Of this destination.
    pub destination: Option<String>,
    /// Under this word.
    pub shown: Option<Shown>,
}

/// A delivery, and why its destination holds it, if it does.
pub type Holding = (DeliveryRecord, Option<(Reason, String)>);

/// How many deliveries had ended without arriving when they were last counted, so that the log tells of more.
#[derive(Debug, Default)]
pub struct Ended(Mutex<Option<HashMap<(String, DeliveryState), u64>>>);

impl Ended {
    /// By how many each has grown since this was last asked; by none when it is asked first.
    fn grown(&self, counts: &[OutboxCount]) -> Vec<(String, DeliveryState, u64)> {
        let failed =
            counts.iter().filter(|row| matches!(row.state, DeliveryState::Dead | DeliveryState::Expired));
        let now: HashMap<_, _> =
            failed.map(|row| ((row.destination.clone(), row.state), row.count)).collect();
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(before) = known.replace(now.clone()) else { return Vec::new() };
        let more = now.into_iter().filter_map(|((destination, state), count)| {
            let was = before.get(&(destination.clone(), state)).copied().unwrap_or(0);
            (count > was).then(|| (destination, state, count - was))
        });
        let mut more: Vec<_> = more.collect();
        more.sort_by(|(a, state, _), (b, other, _)| (a, state.as_str()).cmp(&(b, other.as_str())));
        more
    }
}

impl Engine {
    /// Says in the log which deliveries have ended without arriving since it was last asked: one line for each destination
    /// and state, however many they are.
    pub(crate) fn tell_ended(&self, counts: &[OutboxCount]) {
        for (destination, state, deliveries) in self.ended.grown(counts) {
            tracing::warn!(
                destination,
                state = state.as_str(),
                deliveries,
                "deliveries ended without arriving; `crosstally deliveries errors` says why"
            );
        }
    }

    /// Whether a destination is configured, or was and has deliveries.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn knows_destination(&self, slug: &str) -> Result<bool, StoreError> {
        if self.snapshot.load().destination(slug).is_some() {
            return Ok(true);
        }
        Ok(self.store.count_deliveries().await?.iter().any(|count| count.destination == slug))
    }

    /// Deliveries, newest first; `before` is the last id of the page before. What is held and what is pending are told apart
    /// before a page is cut, so that a page is short only if nothing is left.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn list_deliveries(
        &self,
        wanted: &Listed,
        before: Option<DeliveryId>,
        limit: u32,
    ) -> Result<Vec<Holding>, StoreError> {
        let holds = self.held_destinations().await?;
        let snapshot = self.snapshot.load();
        let slugs = snapshot.destinations().map(|ready| &ready.config.slug);
        let going_on = slugs.filter(|slug| !holds.paused.contains_key(*slug)).cloned().collect();
        let places = wanted.shown.map_or(Places::All, |shown| shown.places(going_on));
        let filter = DeliveryFilter {
            destination: wanted.destination.clone(),
            state: wanted.shown.map(Shown::state),
            id: None,
        };
        let found = self.store.list_deliveries(filter, places, before, limit).await?;
        Ok(found
            .into_iter()
            .map(|delivery| {
                let hold = self.hold_of(&delivery, &holds);
                (holds.due(delivery), hold)
            })
            .collect())
    }

    /// Makes deliveries due at once; delivered ones are left alone. Returns how many.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn retry_deliveries(&self, filter: DeliveryFilter) -> Result<u64, StoreError> {
        let now = self.clock.now();
        let requeued = self.store.requeue_deliveries(filter, now, now.plus_millis(FRESH_DEADLINE_MS)).await?;
        for ready in self.snapshot.load().destinations() {
            self.wakeups.wake(&ready.config.slug);
        }
        Ok(requeued)
    }

    /// Pauses a destination until somebody resumes it: nothing is tried there, and nothing else ends the pause. What is being
    /// sent at this moment goes on.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn pause_destination(&self, slug: &str, who: &str) -> Result<(), StoreError> {
        let now = self.clock.now();
        self.store
            .set_destination_by_hand(DestinationState {
                destination: slug.to_owned(),
                paused: Some(Reason::PausedByHand),
                detail: format!("by {who}"),
                since: now,
                settings_digest: String::new(),
                not_before: now,
            })
            .await?;
        tracing::warn!(destination = slug, who, "paused by hand");
        self.wakeups.wake(slug);
        Ok(())
    }

    /// Lets a paused destination go on.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn resume_destination(&self, slug: &str) -> Result<(), StoreError> {
        let now = self.clock.now();
        self.store
            .set_destination_by_hand(DestinationState {
                destination: slug.to_owned(),
                paused: None,
                detail: String::new(),
                since: now,
                settings_digest: String::new(),
                not_before: now,
            })
            .await?;
        tracing::info!(destination = slug, "resumed by hand");
        self.wakeups.wake(slug);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crosstally_core::time::Timestamp;

    use super::*;

    #[test]
    fn what_is_held_is_where_nothing_goes_on() {
        let going_on = || vec!["meta".to_owned()];
        for (word, state, places) in [
            ("held", DeliveryState::Pending, Places::AllBut(going_on())),
            ("pending", DeliveryState::Pending, Places::Only(going_on())),
            ("dead", DeliveryState::Dead, Places::All),
            ("delivered", DeliveryState::Delivered, Places::All),
        ] {
            let shown = Shown::from_word(word);
            assert_eq!(shown.map(Shown::state), Some(state), "{word}");
            assert_eq!(shown.map(|shown| shown.places(going_on())), Some(places), "{word}");
        }
        assert_eq!(Shown::from_word("paused"), None);
    }

    #[test]
    fn what_has_ended_is_told_once() {
        use DeliveryState::{Cancelled, Dead, Delivered, Expired, Pending};
        let ended = Ended::default();
        let grown = |counts: &[(&str, DeliveryState, u64)]| -> Vec<(String, DeliveryState, u64)> {
            let row = |&(destination, state, count): &(&str, DeliveryState, u64)| OutboxCount {
                destination: destination.to_owned(),
                state,
                count,
                oldest_due_at: Timestamp::default(),
            };
            ended.grown(&counts.iter().map(row).collect::<Vec<_>>())
        };
        // What had ended before this process began was told by another.
        assert_eq!(grown(&[("a", Dead, 3)]), []);
        assert_eq!(grown(&[("a", Dead, 3)]), []);
        let others = [("a", Delivered, 9), ("a", Pending, 9), ("a", Cancelled, 9)];
        assert_eq!(grown(&[&[("a", Dead, 3)], &others[..]].concat()), []);
        let told = |destination: &str, state, more| (destination.to_owned(), state, more);
        assert_eq!(
            grown(&[("a", Dead, 5), ("b", Expired, 7), ("a", Expired, 1)]),
            [told("a", Dead, 2), told("a", Expired, 1), told("b", Expired, 7)]
        );
        // A replay takes some back; what ends again is told again.
        assert_eq!(grown(&[("a", Dead, 1), ("b", Expired, 7)]), []);
        assert_eq!(grown(&[("a", Dead, 2), ("b", Expired, 7)]), [told("a", Dead, 1)]);
    }
}
