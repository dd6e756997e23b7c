//! One call with everything around it: build, write the intent down, send with no transaction open, read, settle.

use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crosstally_core::delivery::{DeliveryState, Outcome};
use crosstally_core::ids::CallId;
use crosstally_core::limits::RESPONSE_KEPT_BYTES;
use crosstally_core::reason::Reason;
use crosstally_core::time::Timestamp;
use crosstally_destinations::dialect::{BatchOutcome, Built, Reading, Request, Response, Settings};
use crosstally_store::{After, CallResult, DestinationState, Held, NewCall, Settlement, StoreError, Unsent};
use tokio::sync::SemaphorePermit;

use super::leases::Leases;
use super::outcomes::{self, Delivered};
use super::pace::Pace;
use super::part::{Part, Ready};
use super::persist;
use super::sign_in::{NotSignedIn, SignIn};
use super::standing::{self, Here};
use super::stopping::{Phase, Stopping};
use super::told::Told;
use crate::Engine;
use crate::http_out::{SendError, SendOptions};
use crate::metrics::Name;
use crate::snapshot::ReadyDestination;

/// How long a call may take. Tests of destinations that hang have no ten seconds.
const CALL_MS_MAX: u64 = if cfg!(test) { 5_000 } else { 10_000 };

/// One batch: what it shares with the others that were leased with it, and what it holds itself.
pub(super) struct Batch {
    pub(super) shared: Arc<Shared>,
    pub(super) leases: Leases,
}

/// Everything that the calls of batches that were leased together share. Made once for all of them: where each is a single
/// event, making it takes longer than some of the calls.
pub(super) struct Shared {
    pub(super) engine: Engine,
    pub(super) ready: Arc<ReadyDestination>,
    /// The destination's state when the deliveries were leased.
    pub(super) state: Option<DestinationState>,
    /// Whether this is the one event that shows whether a pause is over.
    pub(super) probe: bool,
    pub(super) stopping: Stopping,
    /// How often calls had been stopped when the deliveries were leased.
    pub(super) stops: u32,
    pub(super) pace: Arc<Pace>,
    pub(super) told: Arc<Told>,
    pub(super) sign_in: Arc<SignIn>,
}

impl Deref for Batch {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.shared
    }
}

/// How a call ended.
pub(super) struct Ended {
    pub(super) counts: Delivered,
    /// The batch was refused as a whole because of some event in it.
    pub(super) split: Part,
    /// What did not fit into the request.
    pub(super) rest: Part,
    /// Whether further calls make sense just now.
    pub(super) go_on: bool,
}

/// A call that has been made, and what keeps the next one waiting until it is clear whether to make it.
struct Answered<'a> {
    answer: Result<Response, SendError>,
    reading: Reading,
    permit: Option<SemaphorePermit<'a>>,
}

impl Batch {
    /// Makes one call with as many events of the part as fit.
    ///
    /// # Errors
    /// The store failed. What was not settled is tried again when its lease has run out.
    pub(super) async fn call(&self, mut part: Part, may_split: bool) -> Result<Ended, StoreError> {
        let mut ended = Ended {
            counts: Delivered::default(),
            split: Part::default(),
            rest: Part::default(),
            go_on: true,
        };
        // Writing results down takes longer than most calls: only the calls are counted. What is waited for here can take
        // as long as a call; ages, signatures and the time on the call are those of after it.
        let permit = self.pace.call().await;
        if self.stopping.asked() || self.pace.stops() != self.stops {
            ended.go_on = false;
            return Ok(ended);
        }
        let now = self.engine.clock.now();
        let mut unsent = part.take_expired(now);
        unsent.extend(part.take_erased());
        unsent.extend(self.take_those_before_their_turn(&mut part, now).await?);
        unsent.extend(part.take_withheld(|event| self.ready.leaving(event, &self.engine.geo)));
        let signed_in = if part.is_empty() { Ok(None) } else { self.sign_in().await };
        let settings = match signed_in {
            Ok(settings) => settings,
            Err(failed) => {
                if !unsent.is_empty() {
                    self.settle_unsent(unsent, &mut ended.counts).await?;
                }
                self.not_signed_in(part, *failed, permit, now, &mut ended).await?;
                return Ok(ended);
            }
        };
        let settings = settings.as_ref().unwrap_or(&self.ready.settings);
        let ready = match self.build(settings, &part, now) {
            Some(built) => {
                let sorted = part.sort(built);
                unsent.extend(sorted.unsent);
                ended.rest = sorted.rest;
                sorted.ready
            }
            None if part.len() > 1 => {
                ended.split = part;
                None
            }
            None => {
                unsent.extend(
                    part.unsent(Reason::EventIncomplete, "building the request failed inside this program"),
                );
                None
            }
        };
        if !unsent.is_empty() {
            self.settle_unsent(unsent, &mut ended.counts).await?;
        }
        if let Some(ready) = ready {
            self.make_call(settings, ready, may_split, permit, now, &mut ended).await?;
        }
        Ok(ended)
    }

    /// Asks the dialect; `None` if it failed inside. A part without events needs no request.
    fn build(&self, settings: &Settings, part: &Part, now: Timestamp) -> Option<Built> {
        if part.is_empty() {
            return Some(Built { request: None, included: vec![], payloads: vec![], left_out: vec![] });
        }
        let build = || self.ready.dialect.build(settings, &part.events, now);
        catch_unwind(AssertUnwindSafe(build)).ok()
    }

    async fn settle_unsent(&self, unsent: Vec<Unsent>, counts: &mut Delivered) -> Result<(), StoreError> {
        let now = self.engine.clock.now();
        let write = || self.engine.store.settle_unsent(unsent.clone(), now);
        let settled = self.write_down(write).await?;
        self.leases.forget(unsent.iter().map(|one| one.held));
        for one in &unsent {
            match one.state {
                DeliveryState::Expired => counts.expired += 1,
                DeliveryState::Cancelled => counts.withheld += 1,
                _ => counts.dead += 1,
            }
        }
        counts.stale += u64::from(settled.stale);
        Ok(())
    }

    async fn sign_in(&self) -> Result<Option<Settings>, Box<NotSignedIn>> {
        let now = || self.engine.clock.now();
        let send = async |request: Request| self.send(&request).await;
        self.sign_in.settings(&self.ready, now, send).await
    }

    /// A sign-in that failed is an attempt like any other: whoever looks sees what was asked and answered.
    async fn not_signed_in(
        &self,
        part: Part,
        failed: NotSignedIn,
        permit: Option<SemaphorePermit<'_>>,
        now: Timestamp,
        ended: &mut Ended,
    ) -> Result<(), StoreError> {
        let NotSignedIn { request, answer, reading } = failed;
        self.note_probe(now).await?;
        let id = CallId::new(now, self.engine.random.bytes());
        let payloads = vec![String::new(); part.len()];
        let part = self.write_intent(id, &request, part, payloads, now).await?;
        if part.is_empty() {
            return Ok(());
        }
        ended.counts.calls += 1;
        // What is no refusal could hold a token that was not understood.
        let answer = answer.map(|response| match response.status {
            0..300 => Response { body: Vec::new(), ..response },
            _ => response,
        });
        let answered = Answered { answer, reading, permit };
        self.settle(id, &request, part, answered, false, ended).await
    }

    /// The next probe's time is set before this one, so that other nodes do not probe as well.
    async fn note_probe(&self, now: Timestamp) -> Result<(), StoreError> {
        match (self.probe, &self.state) {
            (true, Some(state)) => {
                self.engine.store.set_destination_state(standing::probing(state, now)).await
            }
            _ => Ok(()),
        }
    }

    async fn make_call(
        &self,
        settings: &Settings,
        ready: Ready,
        may_split: bool,
        permit: Option<SemaphorePermit<'_>>,
        now: Timestamp,
        ended: &mut Ended,
    ) -> Result<(), StoreError> {
        self.note_probe(now).await?;
        let id = CallId::new(now, self.engine.random.bytes());
        let Some(ready) = self.open(id, settings, ready, now).await? else { return Ok(()) };
        let Ready { request, part, .. } = ready;
        let answer = self.send(&request).await;
        ended.counts.calls += 1;
        let reading = self.read(settings, &answer, part.len());
        if matches!(reading.outcome, BatchOutcome::Whole(Outcome::Pause { reason: Reason::DestAuth })) {
            self.sign_in.forget().await;
        }
        let answered = Answered { answer, reading, permit };
        self.settle(id, &request, part, answered, may_split, ended).await
    }

    /// Writes the intent down; `None` if nothing is left to send. What is not held any more is left out.
    async fn open(
        &self,
        id: CallId,
        settings: &Settings,
        ready: Ready,
        now: Timestamp,
    ) -> Result<Option<Ready>, StoreError> {
        let Ready { request, part, payloads } = ready;
        let before = part.len();
        let part = self.write_intent(id, &request, part, payloads, now).await?;
        if part.len() == before {
            return Ok(Some(Ready { request, part, payloads: Vec::new() }));
        }
        if part.is_empty() {
            return Ok(None);
        }
        // The same events without the lost ones make the same request without them.
        let sorted = self.build(settings, &part, now).map(|built| part.sort(built));
        Ok(sorted.and_then(|sorted| sorted.ready))
    }

    /// Writes down that a call is about to be made; returns what of the part is still held.
    async fn write_intent(
        &self,
        id: CallId,
        request: &Request,
        mut part: Part,
        payloads: Vec<String>,
        now: Timestamp,
    ) -> Result<Part, StoreError> {
        let call = NewCall {
            id,
            destination: self.ready.config.slug.clone(),
            started_at: now,
            method: request.method.to_owned(),
            url: request.url_shown(),
            deliveries: part.held().zip(payloads).collect(),
        };
        let held = self.engine.store.open_call(call).await?;
        if held.len() < part.len() {
            let lost = part.take_unless(|lease| held.contains(&lease.held));
            self.leases.forget(lost.held());
        }
        Ok(part)
    }

    async fn send(&self, request: &Request) -> Result<Response, SendError> {
        let options = SendOptions {
            deadline_ms: CALL_MS_MAX,
            allow_private: self.ready.config.allow_private,
            ..SendOptions::default()
        };
        tokio::select! {
            answer = self.engine.http_out.send(request, options) => answer,
            () = self.stopping.reached(Phase::Cutting) => Err(SendError {
                reason: Reason::OutcomeUnknown,
                detail: "this server was stopped before the answer came".to_owned(),
                may_have_arrived: true,
            }),
        }
    }

    fn read(&self, settings: &Settings, answer: &Result<Response, SendError>, sent: usize) -> Reading {
        match answer {
            Ok(response) => {
                let now = self.engine.clock.now();
                let read = || self.ready.dialect.read(settings, response, sent, now);
                catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_| {
                    let unread = Outcome::Retry { reason: Reason::DestUnreadable, after_ms: None };
                    Reading::whole(unread, "reading the answer failed inside this program")
                })
            }
            Err(error) => Reading::whole(outcomes::without_answer(error), error.detail.clone()),
        }
    }

    async fn settle(
        &self,
        id: CallId,
        request: &Request,
        part: Part,
        Answered { answer, reading, permit }: Answered<'_>,
        may_split: bool,
        ended: &mut Ended,
    ) -> Result<(), StoreError> {
        let now = self.engine.clock.now();
        let here = Here::of(&self.ready, now);
        let state = standing::after_call(&reading, self.state.as_ref(), self.probe, here);
        let came_to_nothing = standing::came_to_nothing(&reading.outcome);
        let held_up = state.as_ref().is_some_and(|state| state.not_before > now);
        ended.go_on = !came_to_nothing && !held_up;
        self.pace.note(came_to_nothing);
        if held_up || self.pace.is_failing() {
            self.pace.stop();
        }
        // Whoever gets it next sees whether calls have been stopped.
        drop(permit);
        let result = CallResult {
            id,
            finished_at: now,
            status: answer.as_ref().ok().map(|response| response.status),
            response: answer.as_ref().map(|response| kept(request, response)).unwrap_or_default(),
            detail: request.masked(&reading.detail),
        };
        let state = state.map(|state| DestinationState { detail: request.masked(&state.detail), ..state });
        let (settlements, split) = match outcomes::each(reading.outcome, part.len(), may_split) {
            Ok(each) => (self.settlements(&part, each, &answer, now), false),
            Err(split) => (keep(&part, &split), true),
        };
        let write = || self.engine.store.settle_call(result.clone(), settlements.clone(), state.clone());
        let settled = self.write_down(write).await?;
        if let Some(state) = &state {
            self.told.about(self.state.as_ref(), state);
        }
        self.account(&settlements, &mut ended.counts);
        if settled.stale > 0 {
            ended.counts.stale += u64::from(settled.stale);
            tracing::warn!(
                destination = self.ready.config.slug,
                stale = settled.stale,
                "results came after their leases had ended; whoever holds the leases now sends again"
            );
        }
        if split {
            ended.split = part;
        } else {
            self.leases.forget(part.held());
        }
        Ok(())
    }

    async fn write_down<T, F>(&self, write: impl Fn() -> F) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        persist::until_it_works(self.engine.clock.as_ref(), &self.stopping, &self.pace, write).await
    }

    fn settlements(
        &self,
        part: &Part,
        outcomes: Vec<Outcome>,
        answer: &Result<Response, SendError>,
        now: Timestamp,
    ) -> Vec<Settlement> {
        let last_at = self.ready.recognises_for_ms().filter(|_| outcomes::may_have_arrived(answer));
        let last_at = last_at.map(|ms| now.plus_millis(ms));
        let each = part.leases.iter().zip(outcomes);
        each.map(|(lease, outcome)| {
            outcomes::settle(lease, outcome, now, (last_at, self.engine.random.permille()))
        })
        .collect()
    }

    fn account(&self, settlements: &[Settlement], counts: &mut Delivered) {
        let mut words: Vec<(&'static str, u64)> = Vec::new();
        for settlement in settlements {
            counts.count(settlement.after);
            let word = settlement.outcome.as_str();
            match words.iter_mut().find(|(known, _)| *known == word) {
                Some((_, count)) => *count += 1,
                None => words.push((word, 1)),
            }
        }
        for (word, count) in words {
            let labels = [("destination", self.ready.config.slug.as_str()), ("outcome", word)];
            self.engine.metrics.count(Name::DeliveryAttempts, &labels, count);
        }
    }

    /// Gives back what is still held, due at once. If that fails, the leases run out by themselves.
    pub(super) async fn give_back(&self) {
        let held: Vec<Held> = self.leases.held();
        if held.is_empty() {
            return;
        }
        match self.engine.store.release_leases(held.clone()).await {
            Ok(()) => self.leases.forget(held),
            Err(error) => {
                tracing::warn!(error = %error, "leases could not be given back; they run out by themselves")
            }
        }
    }
}

/// All of them go into smaller batches at once.
fn keep(part: &Part, split: &Outcome) -> Vec<Settlement> {
    part.held()
        .map(|held| Settlement {
            held,
            outcome: split.clone(),
            after: After::KeepLease,
            reason: split.reason(),
            last_at: None,
        })
        .collect()
}

/// What is kept of an answer's body: masked first, so that no secret is cut in two and missed.
fn kept(request: &Request, response: &Response) -> String {
    let mut text = request.masked(&String::from_utf8_lossy(&response.body));
    text.truncate(text.floor_char_boundary(RESPONSE_KEPT_BYTES));
    text
}
