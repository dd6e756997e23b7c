//! Look-backs: where a platform takes events and judges them later, it is asked some time after what became of them.
//!
//! Nothing waits for it: an event that was taken is delivered. What is found afterwards is written to the delivery; what is
//! never told stays as it was taken.

use std::sync::Arc;

use crosstally_core::delivery::lookback::{PASSES_MS, wait_ms};
use crosstally_core::delivery::{DeliveryState, Outcome};
use crosstally_core::ids::{CallId, DeliveryId};
use crosstally_core::reason::Reason;
use crosstally_core::time::{MINUTE_MS, Timestamp};
use crosstally_destinations::dialect::{Became, Lookback, Request, Response};
use crosstally_store::{Found, Lookback as Taken, NewLookback, Settlement, StoreError};

use super::batch::Batch;
use super::course::Course;
use super::persist;
use super::send;
use super::sign_in::SignIn;
use super::standing::{self, Here, Standing};
use super::stopping::{Phase, Stopping};
use crate::Engine;
use crate::http_out::SendError;
use crate::snapshot::ReadyDestination;

/// How many calls are taken at once, to be asked about one after the other. Even if signing in and asking take as long as they
/// may for each of them, all are asked about before [`AGAIN_MS`] is over and another node may take them as well.
const AT_ONCE: u32 = 20;
/// How many calls are asked about in one round at most.
const A_ROUND: u32 = 100;
/// How often there is a round.
const EVERY_MS: i64 = MINUTE_MS;
/// When a call is asked about again whose answer did not come: by whoever is first.
const AGAIN_MS: i64 = 10 * MINUTE_MS;

impl Batch {
    /// Notes that a call which was taken is to be asked about. If that cannot be, its events stay as they were taken.
    ///
    /// # Errors
    /// The store failed, and may work again.
    pub(super) async fn note_lookback(
        &self,
        call: CallId,
        receipt: Option<String>,
        settlements: &[Settlement],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let taken = settlements.iter().any(|settlement| settlement.outcome == Outcome::Unverified);
        let (true, Some(receipt), Some(wait)) = (taken, receipt, wait_ms(0)) else { return Ok(()) };
        let destination = self.ready.config.slug.clone();
        let lookback = NewLookback { call, destination, receipt, due_at: now.plus_millis(wait) };
        match self.engine.store.note_lookback(lookback).await {
            Err(error) if !persist::may_pass(&error) => {
                tracing::warn!(error = %error, "what became of a call will not be asked for");
                Ok(())
            }
            noted => noted,
        }
    }
}

/// How a round went.
#[derive(Debug, Default)]
struct Went {
    asked: u32,
    /// Those whose answers nobody understood.
    unclear: u32,
    /// Nobody can be asked just now.
    trouble: bool,
}

/// One round over the calls of a destination. What fails is asked for again later; if nobody can be asked, it ends.
pub(super) struct Round {
    pub(super) engine: Engine,
    pub(super) ready: Arc<ReadyDestination>,
    pub(super) course: Arc<Course>,
    pub(super) sign_in: Arc<SignIn>,
    pub(super) stopping: Stopping,
}

/// Whether there may be another round. A clock that was set back that far counts like one that went on: else nobody would be
/// asked until it is again where it was.
pub(super) fn is_time(last: Timestamp, now: Timestamp) -> bool {
    now.millis_since(last).saturating_abs() >= EVERY_MS
}

impl Round {
    /// Whether the destination can be asked at all.
    pub(super) fn is_possible(ready: &ReadyDestination) -> bool {
        ready.looks_back()
    }

    /// Asks about what is due, as long as there is more and not too much was asked.
    ///
    /// # Errors
    /// The store failed.
    pub(super) async fn run(self) -> Result<(), StoreError> {
        let mut went = Went::default();
        let ended = self.ask_about_all(&mut went).await;
        if (went.unclear > 0 || went.trouble) && !self.stopping.asked() {
            tracing::warn!(
                destination = self.ready.config.slug,
                asked = went.asked,
                unclear = went.unclear,
                ended_early = went.trouble,
                "what became of calls could not be read from every answer; they are asked about again later"
            );
        }
        ended
    }

    async fn ask_about_all(&self, went: &mut Went) -> Result<(), StoreError> {
        while went.asked < A_ROUND {
            let now = self.engine.clock.now();
            let slug = &self.ready.config.slug;
            let states = self.engine.store.destination_states().await?;
            let state = states.iter().find(|state| state.destination == *slug);
            let again_at = self.course.again_at(now);
            if standing::standing(state, Here::of(&self.ready, now), again_at) != Standing::Open {
                return Ok(());
            }
            let again_at = now.plus_millis(AGAIN_MS);
            let due = self.engine.store.take_lookbacks(slug.clone(), now, again_at, AT_ONCE).await?;
            let is_full = u32::try_from(due.len()).unwrap_or(u32::MAX) >= AT_ONCE;
            for one in due {
                self.ask_about(one, went).await?;
                if went.trouble {
                    return Ok(());
                }
            }
            if !is_full {
                return Ok(());
            }
        }
        Ok(())
    }

    async fn ask_about(&self, one: Taken, went: &mut Went) -> Result<(), StoreError> {
        let (ids, sent): (Vec<_>, Vec<String>) = one.sent.into_iter().unzip();
        went.asked += 1;
        let answer = if ids.is_empty() { Lookback::Gone } else { self.ask(&one.receipt, &sent).await };
        let told = match answer {
            Lookback::Trouble { token } => {
                if token {
                    self.sign_in.forget().await;
                }
                went.trouble = true;
                return Ok(());
            }
            Lookback::NotYet | Lookback::Unclear => {
                went.unclear += u32::from(answer == Lookback::Unclear);
                if let Some(wait) = wait_ms(one.looks.saturating_add(1)) {
                    let due_at = self.engine.clock.now().plus_millis(wait);
                    return self.engine.store.put_off_lookback(one.call, due_at).await;
                }
                Vec::new()
            }
            Lookback::Gone => Vec::new(),
            Lookback::Told(told) => told,
        };
        let now = self.engine.clock.now();
        let found =
            ids.into_iter().zip(told).filter_map(|(delivery, became)| found(delivery, became, now)).collect();
        self.engine.store.settle_lookback(one.call, found, now).await.map(drop)
    }

    async fn ask(&self, receipt: &str, sent: &[String]) -> Lookback {
        let trouble = Lookback::Trouble { token: false };
        let now = || self.engine.clock.now();
        let send = async |request: Request| self.send(&request).await;
        let Ok(settings) = self.sign_in.settings(&self.ready, now, send).await else { return trouble };
        let settings = settings.as_ref().unwrap_or(&self.ready.settings);
        let Some(request) = self.ready.dialect.lookback(settings, receipt) else { return Lookback::Gone };
        match self.send(&request).await {
            Ok(response) => masked(self.ready.dialect.read_lookback(settings, &response, sent), &request),
            Err(_) => trouble,
        }
    }

    async fn send(&self, request: &Request) -> Result<Response, SendError> {
        send::send(&self.engine, &self.ready, (&self.stopping, Phase::Draining), request, 1).await
    }
}

/// The same with every secret of the request masked in the platform's words.
fn masked(answer: Lookback, request: &Request) -> Lookback {
    let Lookback::Told(told) = answer else { return answer };
    let each = told.into_iter().map(|became| match became {
        Became::Refused(detail) => Became::Refused(request.masked(&detail)),
        Became::InPart(detail) => Became::InPart(request.masked(&detail)),
        Became::Passing { detail, in_part } => Became::Passing { detail: request.masked(&detail), in_part },
        same @ (Became::Counted | Became::Unsaid) => same,
    });
    Lookback::Told(each.collect())
}

/// What follows for a delivery; `None` if nothing was told of it.
fn found(delivery: DeliveryId, became: Became, now: Timestamp) -> Option<Found> {
    let refused = (DeliveryState::Dead, Reason::RefusedLater);
    let in_part = (DeliveryState::Delivered, Reason::RefusedInPart);
    let ((state, reason), detail, again_at) = match became {
        Became::Counted => {
            let counted = (DeliveryState::Delivered, Reason::Delivered);
            (counted, "counted, as the platform told later".to_owned(), None)
        }
        Became::Refused(detail) => (refused, detail, None),
        Became::InPart(detail) => (in_part, detail, None),
        Became::Passing { detail, in_part: some_count } => {
            (if some_count { in_part } else { refused }, detail, Some(now.plus_millis(PASSES_MS)))
        }
        Became::Unsaid => return None,
    };
    Some(Found { delivery, state, reason, detail, again_at })
}

#[cfg(test)]
mod tests {
    use crosstally_core::secret::Secret;
    use crosstally_core::time::DAY_MS;

    use super::*;

    #[test]
    fn a_clock_that_was_set_back_stops_no_rounds() {
        let last = Timestamp::from_millis(1_764_201_600_000);
        for (ms, expected) in [
            (0, false),
            (EVERY_MS - 1, false),
            (EVERY_MS, true),
            (-1, false),
            (1 - EVERY_MS, false),
            (-EVERY_MS, true),
            (-365 * DAY_MS, true),
        ] {
            assert_eq!(is_time(last, last.plus_millis(ms)), expected, "{ms}");
        }
        assert!(is_time(Timestamp::default(), last), "there was none yet");
    }

    #[test]
    fn no_words_of_a_platform_repeat_a_secret() {
        let request = Request {
            method: "GET",
            url: "https://platform.example/status".into(),
            headers: Vec::new(),
            body: Vec::new(),
            body_shown: Vec::new(),
            secrets: vec![Secret::new("ya29.secret-token")],
        };
        let words = |token: &str| format!("1 {token}");
        let each = |token: &str| {
            let passing = Became::Passing { detail: words(token), in_part: true };
            vec![
                Became::Counted,
                Became::Refused(words(token)),
                Became::InPart(words(token)),
                passing,
                Became::Unsaid,
            ]
        };
        let told = masked(Lookback::Told(each("ya29.secret-token")), &request);
        assert_eq!(told, Lookback::Told(each("***")));
        assert_eq!(masked(Lookback::NotYet, &request), Lookback::NotYet);
    }
}
