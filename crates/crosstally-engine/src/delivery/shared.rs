//! What the calls of one lane have in common, and what each of them is made of: build, send with no transaction open, read,
//! decide what follows. Who writes down what, and when, is the business of `batch` and `wave`.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crosstally_core::delivery::Outcome;
use crosstally_core::ids::CallId;
use crosstally_core::limits::RESPONSE_KEPT_BYTES;
use crosstally_core::reason::Reason;
use crosstally_core::time::Timestamp;
use crosstally_destinations::dialect::{BatchOutcome, Built, Reading, Request, Response, Settings};
use crosstally_store::{
    After, CallEnd, CallResult, DestinationState, Held, NewCall, Settled, Settlement, StoreError,
};
use tokio::sync::OwnedSemaphorePermit;

use super::course::{Course, Trouble};
use super::outcomes::{self, Delivered, Shut, Taken};
use super::pace::{Pace, Unwritten};
use super::part::Part;
use super::persist;
use super::send;
use super::sign_in::{NotSignedIn, SignIn};
use super::standing::{self, Here, Known};
use super::stopping::{Phase, Stopping};
use super::told::Told;
use crate::Engine;
use crate::clock::watch;
use crate::http_out::SendError;
use crate::metrics::Name;
use crate::snapshot::ReadyDestination;

/// Everything that the calls of what was leased together share. Made once for all of them: where each is a single event,
/// making it takes longer than some of the calls.
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
    /// Of the calls with these settings.
    pub(super) course: Arc<Course>,
    pub(super) told: Arc<Told>,
    pub(super) sign_in: Arc<SignIn>,
}

/// A call that has been made, and what keeps the next one waiting until it is clear whether to make it.
pub(super) struct Answered {
    pub(super) answer: Result<Response, SendError>,
    pub(super) reading: Reading,
    pub(super) permit: Option<OwnedSemaphorePermit>,
    /// What had been taken when the call began; `None` of a sign-in, which is no event's own.
    pub(super) taken_before: Option<u32>,
}

/// What follows from a call that has ended.
pub(super) struct Follows {
    pub(super) end: CallEnd,
    /// The events go into smaller batches.
    pub(super) split: bool,
    /// Whether further calls make sense just now.
    pub(super) go_on: bool,
    /// Keeps the lane from leasing anything until a new state of the destination is written down.
    pub(super) unwritten: Option<Unwritten>,
}

impl Shared {
    /// Whether no further call may be made with what was leased.
    pub(super) fn is_stopped(&self) -> bool {
        self.stopping.asked() || self.pace.stops() != self.stops
    }

    /// Waits for something as long as calls may be made at all.
    pub(super) async fn unless_stopped<T>(&self, wait: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            () = self.stopping.reached(Phase::Draining) => None,
            done = wait => Some(done),
        }
    }

    /// Asks the dialect; `None` if it failed inside. A part without events needs no request.
    pub(super) fn build(&self, settings: &Settings, part: &Part, now: Timestamp) -> Option<Built> {
        if part.is_empty() {
            return Some(Built { request: None, included: vec![], payloads: vec![], left_out: vec![] });
        }
        let build = || self.ready.dialect.build(settings, &part.events, now);
        catch_unwind(AssertUnwindSafe(build)).ok()
    }

    pub(super) async fn sign_in(&self) -> Result<Option<Settings>, Box<NotSignedIn>> {
        let now = || self.engine.clock.now();
        let send = async |request: Request| self.send(&request, 1).await;
        self.sign_in.settings(&self.ready, now, send).await
    }

    /// Whether this call may be made: a probe's turn is taken before it, so that other nodes do not probe as well, and only
    /// as long as the pause is still there.
    pub(super) async fn takes_its_turn(&self, now: Timestamp) -> Result<bool, StoreError> {
        match (self.probe, &self.state) {
            (true, Some(state)) => {
                let next_at = standing::next_probe(state.since, now);
                self.engine.store.take_probe(state.clone(), next_at).await
            }
            _ => Ok(true),
        }
    }

    /// The intent: that this call is about to be made.
    pub(super) fn intent(
        &self,
        id: CallId,
        request: &Request,
        now: Timestamp,
        mut deliveries: Vec<(Held, String)>,
    ) -> NewCall {
        let url = request.url_shown();
        if let ("GET", [(_, payload)]) = (request.method, deliveries.as_mut_slice())
            && *payload == url
        {
            // Not kept twice.
            payload.clear();
        }
        NewCall {
            id,
            destination: self.ready.config.slug.clone(),
            started_at: now,
            method: request.method.to_owned(),
            url,
            deliveries,
        }
    }

    /// Makes the call and reads its answer.
    pub(super) async fn exchange(
        &self,
        settings: &Settings,
        request: &Request,
        events: usize,
        permit: Option<OwnedSemaphorePermit>,
    ) -> Answered {
        let taken_before = Some(self.pace.taken());
        let began = watch();
        let answer = self.send(request, events).await;
        self.engine.metrics.call_took(&self.ready.config.slug, watch().saturating_sub(began));
        let reading = self.read(settings, request, &answer, events);
        if matches!(reading.outcome, BatchOutcome::Whole(Outcome::Pause { reason: Reason::DestAuth })) {
            self.sign_in.forget().await;
        }
        Answered { answer, reading, permit, taken_before }
    }

    async fn send(&self, request: &Request, events: usize) -> Result<Response, SendError> {
        send::send(&self.engine, &self.ready, (&self.stopping, Phase::Cutting), request, events).await
    }

    fn read(
        &self,
        settings: &Settings,
        request: &Request,
        answer: &Result<Response, SendError>,
        sent: usize,
    ) -> Reading {
        match answer {
            Ok(response) => {
                let now = self.engine.clock.now();
                let read = || self.ready.dialect.read_answer_to(request, settings, response, sent, now);
                catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_| {
                    let unread = Outcome::Retry { reason: Reason::DestUnreadable, after_ms: None };
                    Reading::whole(unread, "reading the answer failed inside this program")
                })
            }
            Err(error) => Reading::whole(outcomes::without_answer(error), error.detail.clone()),
        }
    }

    /// What follows from an answer, for its deliveries and for the calls after it.
    pub(super) fn follows(
        &self,
        id: CallId,
        request: &Request,
        part: &Part,
        Answered { answer, reading, permit, taken_before }: Answered,
        may_split: bool,
    ) -> Follows {
        // As it was answered: that one event is let in nowhere says that somebody is there.
        let nothing = standing::came_to_nothing(&reading.outcome);
        let (mut outcome, mut shut) = (reading.outcome.clone(), Shut::ForAll);
        if let Some(before) = taken_before.filter(|_| !self.probe) {
            let taken = Taken { others: self.pace.takes_others(), meanwhile: self.pace.taken() != before };
            (outcome, shut) = outcomes::of_its_own(outcome, &part.leases, taken);
        }
        let now = self.engine.clock.now();
        let here = Here::of(&self.ready, now);
        let known = Known { probe: self.probe, shut };
        let state = standing::after_call(&reading, self.state.as_ref(), known, here);
        let pauses = state.as_ref().is_some_and(|state| state.paused.is_some());
        let held_up = state.as_ref().is_some_and(|state| state.not_before > now);
        let detail = request.masked(&reading.detail);
        self.course.note(nothing.map(|reason| Trouble { reason, detail: detail.clone(), since: now }));
        // What had begun before a pause says nothing of what stands behind it.
        if standing::is_accepted(&outcome) && !self.pace.is_paused_since(self.stops) {
            self.pace.accepted();
            self.course.let_in();
        }
        let unwritten = state.is_some().then(|| self.pace.unwritten());
        if pauses {
            self.pace.pause();
            self.course.shut(now);
        } else if held_up || self.course.is_failing() {
            self.pace.stop();
        }
        // Whoever gets it next sees whether calls have been stopped.
        drop(permit);
        let result = CallResult {
            id,
            destination: self.ready.config.slug.clone(),
            finished_at: now,
            status: answer.as_ref().ok().map(|response| response.status),
            response: answer.as_ref().map(|response| kept(request, response)).unwrap_or_default(),
            detail,
            probe: self.probe,
        };
        let state = state.map(|state| DestinationState { detail: request.masked(&state.detail), ..state });
        let (settlements, split) = match outcomes::each(outcome, part.len(), may_split) {
            Ok(each) => (self.settlements(part, each, &answer, now), false),
            Err(split) => (keep(part, &split), true),
        };
        let go_on = nothing.is_none() && !held_up;
        Follows { end: CallEnd { result, settlements, state }, split, go_on, unwritten }
    }

    /// What is to be written down of the destination now: no throttle over the pause that a neighbour's call found out
    /// meanwhile. Asked for each try to write, as the neighbour may have come in between.
    pub(super) fn still<'s>(&self, state: Option<&'s DestinationState>) -> Option<&'s DestinationState> {
        state.filter(|state| state.paused.is_some() || self.probe || !self.pace.is_paused_since(self.stops))
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

    pub(super) async fn write_down<T, F>(&self, write: impl Fn() -> F) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        persist::until_it_works(self.engine.clock.as_ref(), &self.stopping, &self.pace, write).await
    }

    /// Counts calls whose ends are written down, and tells what they changed.
    pub(super) fn account<'e>(
        &self,
        written: impl IntoIterator<Item = (&'e CallEnd, Settled)>,
        counts: &mut Delivered,
    ) {
        let mut words: Vec<(&'static str, u64)> = Vec::new();
        let mut stale = 0;
        for (end, settled) in written {
            if let Some(state) = self.still(end.state.as_ref()) {
                self.told.about(self.state.as_ref(), state);
            }
            for settlement in &end.settlements {
                counts.count(settlement.after);
                let word = settlement.outcome.as_str();
                match words.iter_mut().find(|(known, _)| *known == word) {
                    Some((_, count)) => *count += 1,
                    None => words.push((word, 1)),
                }
            }
            stale += settled.stale;
        }
        for (word, count) in words {
            let labels = [("destination", self.ready.config.slug.as_str()), ("outcome", word)];
            self.engine.metrics.count(Name::DeliveryAttempts, &labels, count);
        }
        if stale > 0 {
            counts.stale += u64::from(stale);
            tracing::warn!(
                destination = self.ready.config.slug,
                stale,
                "results came after their leases had ended; whoever holds the leases now sends again"
            );
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
    let mut text = request.masked_answer(response);
    text.truncate(text.floor_char_boundary(RESPONSE_KEPT_BYTES));
    text
}
