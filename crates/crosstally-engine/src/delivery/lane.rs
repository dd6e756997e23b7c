//! The lane of one destination: look, lease, hand batches to workers, rest. A dead destination holds up nobody but its
//! own lane.

use std::sync::Arc;

use crosstally_core::delivery::lane::first_at;
use crosstally_core::reason::Reason;
use crosstally_core::time::Timestamp;
use crosstally_store::{DestinationState, LeaseWanted, LeasedDelivery, StoreError};
use tokio::sync::Notify;
use tokio::task::{JoinError, JoinSet};

use super::allowance::Allowance;
use super::batch::Batch;
use super::bisect;
use super::course::Course;
use super::leases::{LEASE_MS, Leases};
use super::lookback::{self, Round};
use super::outcomes::Delivered;
use super::pace::{CALLS_MAX, Pace};
use super::shared::Shared;
use super::sign_in::SignIn;
use super::standing::{self, Here, Standing};
use super::stopping::{Phase, Stopping};
use super::told::Told;
use super::wave;
use crate::Engine;
use crate::snapshot::ReadyDestination;

mod outage;

/// Calls under way to a destination that takes many events at once.
const BATCHES_IN_FLIGHT: usize = 2;
/// Deliveries in hand for a destination that takes one event at a time. No more than [`CALLS_MAX`] of them are called at
/// once; the others are being written down before or after, which takes longer.
const SINGLES_IN_HAND: usize = 4 * CALLS_MAX;
/// A lane looks again after this long, whether woken or not: other nodes book deliveries too, and die.
const LOOK_EVERY_MS: u64 = 1_000;
/// How long a woken lane lets further events gather for its next batch.
const GATHER_MS: u64 = 25;
const STORE_WAIT_MS_MIN: u64 = 250;
const STORE_WAIT_MS_MAX: u64 = 4_000;

/// A lane.
pub(super) struct Lane {
    engine: Engine,
    slug: String,
    stopping: Stopping,
    pub(super) pace: Arc<Pace>,
    /// Of the calls with the settings as they are now.
    course: Arc<Course>,
    /// Whether it has been seen what these settings do to a pause.
    settled: bool,
    told: Arc<Told>,
    sign_in: Arc<SignIn>,
    /// Each with the calls for which it was begun.
    running: JoinSet<(usize, Delivered)>,
    /// The round of look-backs that runs, at most one.
    looking_back: JoinSet<Result<(), StoreError>>,
    looked_back_at: Timestamp,
    /// When it was last seen whether an outage is to be noted.
    outage_at: Timestamp,
    counts: Delivered,
    allowance: Allowance,
    /// How often something was leased.
    leases: u32,
    /// There is probably something to lease: the last one took as much as was asked for, or somebody rang.
    more: bool,
    /// Whether a destination that does not answer is tried more slowly. A test that moves the clock by hand decides
    /// itself what is tried when.
    paced: bool,
}

/// What a turn came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// There may be more to lease right away.
    More,
    /// As many calls as may be are under way.
    Full,
    /// Nothing may be sent before this time, as far as is known.
    Idle(Option<Timestamp>),
}

impl Lane {
    pub(super) fn new(engine: Engine, slug: String, stopping: Stopping) -> Self {
        Self {
            engine,
            slug,
            stopping,
            pace: Arc::default(),
            course: Arc::default(),
            settled: false,
            told: Arc::default(),
            sign_in: Arc::default(),
            running: JoinSet::new(),
            looking_back: JoinSet::new(),
            looked_back_at: Timestamp::default(),
            outage_at: Timestamp::default(),
            counts: Delivered::default(),
            allowance: Allowance::default(),
            leases: 0,
            more: false,
            paced: true,
        }
    }

    /// Works until the server stops or the destination is gone from the configuration.
    pub(super) async fn run(mut self) {
        let bell = self.engine.wakeups.bell(&self.slug);
        let mut store_wait_ms = STORE_WAIT_MS_MIN;
        while !self.stopping.asked() {
            let Some(ready) = self.destination() else {
                self.forget_outage().await;
                break;
            };
            match self.turn(&ready).await {
                Ok(turn) => {
                    if let Err(error) = self.tell_outage(&ready).await {
                        tracing::warn!(destination = self.slug, error = %error, "how its calls go is noted later");
                    }
                    store_wait_ms = STORE_WAIT_MS_MIN;
                    self.look_back(&ready);
                    self.rest(turn, &ready, &bell).await;
                }
                Err(error) => {
                    if store_wait_ms == STORE_WAIT_MS_MIN {
                        tracing::warn!(destination = self.slug, error = %error, "the store fails; deliveries wait");
                    }
                    self.pause(store_wait_ms).await;
                    store_wait_ms = (store_wait_ms * 2).min(STORE_WAIT_MS_MAX);
                }
            }
        }
        while let Some(ended) = self.running.join_next().await {
            self.ended(ended);
        }
        self.engine.wakeups.forget(&self.slug);
    }

    /// Works until nothing is due, without ever waiting for the clock.
    ///
    /// # Errors
    /// The store failed.
    pub(super) async fn until_idle(&mut self) -> Result<Delivered, StoreError> {
        self.paced = false;
        while let Some(ready) = self.destination() {
            let turn = self.turn(&ready).await?;
            if turn == Turn::More {
                continue;
            }
            let Some(ended) = self.running.join_next().await else {
                if Round::is_possible(&ready) {
                    self.round(&ready).run().await?;
                }
                break;
            };
            self.ended(ended);
        }
        Ok(std::mem::take(&mut self.counts))
    }

    /// With other settings than before, nothing is known of how calls go.
    fn begin_with(&mut self, ready: &ReadyDestination) {
        if !self.course.is_of(&ready.digest) {
            self.course = Arc::new(Course::of(&ready.digest));
            self.settled = false;
        }
    }

    /// Settings that are new here end a pause, or begin one, though nothing waits: whoever looks is told what would become of
    /// an event.
    async fn settle(&mut self, ready: &ReadyDestination, now: Timestamp) -> Result<(), StoreError> {
        if self.settled {
            return Ok(());
        }
        let state = self.state().await?;
        let here = Here::of(ready, now);
        match standing::standing(state.as_ref(), here, self.course.again_at(now)) {
            Standing::Pause => self.pause_without_secret(ready, state.as_ref(), here).await?,
            Standing::Resume => self.set(state.as_ref(), standing::open(0, here)).await?,
            Standing::Open | Standing::Probe | Standing::One | Standing::Until(_) => {}
        }
        self.settled = true;
        Ok(())
    }

    async fn pause_without_secret(
        &self,
        ready: &ReadyDestination,
        state: Option<&DestinationState>,
        here: Here<'_>,
    ) -> Result<(), StoreError> {
        let detail = format!("not set on this node: {}", ready.missing());
        self.pace.pause();
        self.set(state, standing::paused(Reason::SecretMissing, &detail, state, here)).await
    }

    async fn state(&self) -> Result<Option<DestinationState>, StoreError> {
        let states = self.engine.store.destination_states().await?;
        Ok(states.into_iter().find(|state| state.destination == self.slug))
    }

    /// Begins a round of look-backs from time to time, beside the deliveries.
    fn look_back(&mut self, ready: &Arc<ReadyDestination>) {
        while let Some(ended) = self.looking_back.try_join_next() {
            self.looked_back(ended);
        }
        let now = self.engine.clock.now();
        if lookback::is_time(self.looked_back_at, now)
            && self.looking_back.is_empty()
            && Round::is_possible(ready)
        {
            self.looked_back_at = now;
            self.looking_back.spawn(self.round(ready).run());
        }
    }

    fn looked_back(&self, ended: Result<Result<(), StoreError>, JoinError>) {
        match ended {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(destination = self.slug, error = %error, "look-backs are tried again later");
            }
            Err(error) if error.is_panic() => tracing::error!(
                destination = self.slug,
                "a round of look-backs failed inside this program; what it had taken is asked about again later"
            ),
            Err(_) => {}
        }
    }

    fn round(&self, ready: &Arc<ReadyDestination>) -> Round {
        Round {
            engine: self.engine.clone(),
            ready: Arc::clone(ready),
            course: Arc::clone(&self.course),
            sign_in: Arc::clone(&self.sign_in),
            stopping: self.stopping.clone(),
        }
    }

    fn destination(&self) -> Option<Arc<ReadyDestination>> {
        self.engine.snapshot.load().destination(&self.slug).cloned()
    }

    async fn turn(&mut self, ready: &Arc<ReadyDestination>) -> Result<Turn, StoreError> {
        self.begin_with(ready);
        let batch_max = self.pace.batch_max(ready.dialect.batch_max().max(1));
        // Before anything is asked: whatever is stopped from here on is stopped for what is leased now.
        let stops = self.pace.stops();
        let free = self.free(ready);
        if free == 0 {
            return Ok(Turn::Full);
        }
        let now = self.engine.clock.now();
        let free = match ready.config.rate.map_or(Ok(free), |rate| self.allowance.of(rate, now, free)) {
            Ok(free) => free,
            Err(at) => return Ok(Turn::Idle(Some(at))),
        };
        if !self.more {
            match self.engine.store.next_due(self.slug.clone()).await? {
                Some(at) if at <= now => {}
                later => {
                    self.settle(ready, now).await?;
                    return Ok(Turn::Idle(later));
                }
            }
        }
        self.more = false;
        let mut state = self.state().await?;
        self.told.seen(state.as_ref());
        if state.as_ref().is_some_and(|state| state.paused.is_some()) {
            self.pace.shut();
        }
        let here = Here::of(ready, now);
        let mut limit = batch_max * free;
        let (mut one, mut probe) = (false, false);
        match standing::standing(state.as_ref(), here, self.course.again_at(now)) {
            Standing::Open => {}
            Standing::Until(at) => return Ok(Turn::Idle(Some(at))),
            Standing::Pause => {
                self.pause_without_secret(ready, state.as_ref(), here).await?;
                return Ok(Turn::Idle(None));
            }
            Standing::Resume => {
                let open = standing::open(0, here);
                self.set(state.as_ref(), open.clone()).await?;
                state = Some(open);
            }
            Standing::Probe | Standing::One if !self.running.is_empty() => return Ok(Turn::Full),
            Standing::Probe => (limit, one, probe) = (1, true, true),
            Standing::One => (limit, one) = (1, true),
        }
        let leased = self.lease(ready, limit, now).await?;
        self.more = leased.len() >= limit;
        if leased.is_empty() {
            return Ok(Turn::Idle(None));
        }
        self.leases = self.leases.wrapping_add(1);
        self.start(ready, batch_max, stops, (state.as_ref(), probe), leased);
        // A single one's answer decides about everything else.
        Ok(if one { Turn::Full } else { Turn::More })
    }

    /// How many more calls may be made now.
    fn free(&self, ready: &ReadyDestination) -> usize {
        if self.pace.is_behind() {
            return 0;
        }
        let most = match (takes_one(ready), ready.config.rate) {
            (false, _) => BATCHES_IN_FLIGHT,
            (true, None) => SINGLES_IN_HAND,
            // What would wait for a call to end could begin all at once then.
            (true, Some(_)) => CALLS_MAX,
        };
        self.pace.room(if self.paced { self.course.in_flight(most) } else { most })
    }

    async fn set(
        &self,
        before: Option<&DestinationState>,
        state: DestinationState,
    ) -> Result<(), StoreError> {
        self.engine.store.set_destination_state(state.clone()).await?;
        self.told.about(before, &state);
        Ok(())
    }

    async fn lease(
        &self,
        ready: &ReadyDestination,
        limit: usize,
        now: Timestamp,
    ) -> Result<Vec<LeasedDelivery>, StoreError> {
        let wanted = LeaseWanted {
            destination: self.slug.clone(),
            owner: self.engine.node.to_string(),
            now,
            until: now.plus_millis(LEASE_MS),
            limit: u32::try_from(limit).unwrap_or(u32::MAX),
            first: first_at(self.leases),
            unknown_for_ms: ready.recognises_for_ms(),
        };
        self.engine.store.lease_deliveries(wanted).await
    }

    fn start(
        &mut self,
        ready: &Arc<ReadyDestination>,
        batch_max: usize,
        stops: u32,
        (state, probe): (Option<&DestinationState>, bool),
        leased: Vec<LeasedDelivery>,
    ) {
        let shared = Arc::new(Shared {
            engine: self.engine.clone(),
            ready: Arc::clone(ready),
            state: state.cloned(),
            probe,
            stopping: self.stopping.clone(),
            stops,
            pace: Arc::clone(&self.pace),
            course: Arc::clone(&self.course),
            told: Arc::clone(&self.told),
            sign_in: Arc::clone(&self.sign_in),
        });
        // Who has to sign in could be refused there with a whole wave in hand.
        let waves = takes_one(ready) && !probe && ready.dialect.sign_in(&ready.settings).is_none();
        let most = if waves { wave::TOGETHER_MAX } else { batch_max };
        let now = self.engine.clock.now();
        let mut leased = leased.into_iter().peekable();
        while leased.peek().is_some() {
            let some: Vec<_> = leased.by_ref().take(most).collect();
            let batch = Batch { shared: Arc::clone(&shared), leases: Leases::of(&some) };
            let calls = if waves { some.len() } else { 1 };
            if let Some(rate) = ready.config.rate {
                self.allowance.take(rate, now, calls);
            }
            let in_hand = self.pace.take_in_hand(calls);
            // In a box, as the runtime would copy it several times.
            if waves {
                let delivering = wave::deliver(batch, some, in_hand);
                self.running.spawn(Box::pin(async move { (calls, delivering.await) }));
            } else {
                let delivering = bisect::deliver(batch, some, in_hand);
                self.running.spawn(Box::pin(async move { (calls, delivering.await) }));
            }
        }
    }

    fn ended(&mut self, ended: Result<(usize, Delivered), JoinError>) {
        match ended {
            Ok((begun_for, counts)) => {
                self.counts += counts;
                // What was not sent after all costs nothing, and what took further calls is made up for.
                if let Some(rate) = self.destination().and_then(|ready| ready.config.rate) {
                    let made = usize::try_from(counts.calls).unwrap_or(usize::MAX);
                    self.allowance.correct(rate, self.engine.clock.now(), begun_for, made);
                }
            }
            Err(error) if error.is_panic() => tracing::error!(
                destination = self.slug,
                "a batch failed inside this program; its deliveries are tried again when their leases have run out"
            ),
            Err(_) => {}
        }
    }

    async fn rest(&mut self, turn: Turn, ready: &ReadyDestination, bell: &Notify) {
        let wait_ms = match turn {
            Turn::More => 0,
            Turn::Full => LOOK_EVERY_MS,
            Turn::Idle(next) => self.until(next),
        };
        if wait_ms > 0 {
            let mut woken = false;
            tokio::select! {
                Some(ended) = self.running.join_next() => self.ended(ended),
                () = self.pace.something_ended() => {}
                () = self.engine.clock.sleep(wait_ms) => {}
                () = bell.notified(), if turn != Turn::Full => woken = true,
                () = self.stopping.reached(Phase::Draining) => {}
            }
            if woken && !takes_one(ready) {
                self.pause(GATHER_MS).await;
            }
            // Something has been booked: to lease it is sooner than to ask first whether it is due.
            self.more |= woken;
        }
        while let Some(ended) = self.running.try_join_next() {
            self.ended(ended);
        }
        // Only here do calls end for the lane, so that none follows a failed one without the wait.
        if self.pace.is_idle() {
            self.pause(self.course.wait_ms()).await;
        }
    }

    fn until(&self, next: Option<Timestamp>) -> u64 {
        let wait_ms = next.map(|next| next.millis_since(self.engine.clock.now()));
        let wait_ms = wait_ms.and_then(|wait_ms| u64::try_from(wait_ms).ok());
        wait_ms.map_or(LOOK_EVERY_MS, |wait_ms| wait_ms.clamp(1, LOOK_EVERY_MS))
    }

    async fn pause(&self, wait_ms: u64) {
        if wait_ms > 0 {
            tokio::select! {
                () = self.engine.clock.sleep(wait_ms) => {}
                () = self.stopping.reached(Phase::Draining) => {}
            }
        }
    }
}

/// Whether the destination takes one event at a time.
fn takes_one(ready: &ReadyDestination) -> bool {
    ready.dialect.batch_max() <= 1
}
