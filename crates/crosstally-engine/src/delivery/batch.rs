//! One call with everything around it: build, write the intent down, send, settle.

use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crosstally_core::delivery::DeliveryState;
use crosstally_core::event::OutboundEvent;
use crosstally_core::ids::CallId;
use crosstally_core::time::Timestamp;
use crosstally_destinations::dialect::{Request, Settings};
use crosstally_store::{Held, StoreError, Unsent};
use tokio::sync::OwnedSemaphorePermit;

use super::leases::Leases;
use super::outcomes::Delivered;
use super::part::{Part, Ready};
use super::shared::{Answered, Shared};
use super::sign_in::NotSignedIn;

/// Deliveries in hand: what they share with the others that were leased with them, and which leases still hold.
pub(super) struct Batch {
    pub(super) shared: Arc<Shared>,
    pub(super) leases: Leases,
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
        let permit = self.unless_stopped(self.pace.calls(1)).await.flatten();
        if self.is_stopped() {
            ended.go_on = false;
            return Ok(ended);
        }
        let now = self.engine.clock.now();
        let mut unsent = self.take_unsendable(&mut part, now).await?;
        let signed_in = if part.is_empty() { Ok(None) } else { self.sign_in().await };
        let settings = match signed_in {
            Ok(settings) => settings,
            Err(failed) => {
                self.settle_unsent(unsent, &mut ended.counts).await?;
                ended.go_on = self.not_signed_in(part, *failed, permit, now, &mut ended.counts).await?;
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
                unsent.extend(part.unbuilt());
                None
            }
        };
        self.settle_unsent(unsent, &mut ended.counts).await?;
        if let Some(ready) = ready {
            self.make_call(settings, ready, may_split, permit, now, &mut ended).await?;
        }
        Ok(ended)
    }

    /// Takes out what must not be sent, or not yet, whatever the dialect says; what of it ends.
    pub(super) async fn take_unsendable(
        &self,
        part: &mut Part,
        now: Timestamp,
    ) -> Result<Vec<Unsent>, StoreError> {
        let mut unsent = part.take_expired(now);
        unsent.extend(part.take_erased());
        unsent.extend(self.take_those_before_their_turn(part, now).await?);
        unsent.extend(self.take_withheld(part));
        Ok(unsent)
    }

    /// Where the check itself fails, it fails over each event by itself.
    fn take_withheld(&self, part: &mut Part) -> Vec<Unsent> {
        let leaving = |event: &OutboundEvent| {
            let check = || self.ready.leaving(event, &self.engine.geo);
            catch_unwind(AssertUnwindSafe(check)).ok()
        };
        part.take_withheld(leaving)
    }

    pub(super) async fn settle_unsent(
        &self,
        unsent: Vec<Unsent>,
        counts: &mut Delivered,
    ) -> Result<(), StoreError> {
        if unsent.is_empty() {
            return Ok(());
        }
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

    /// A sign-in that failed is an attempt like any other: whoever looks sees what was asked and answered. Whether further
    /// calls make sense.
    pub(super) async fn not_signed_in(
        &self,
        part: Part,
        failed: NotSignedIn,
        permit: Option<OwnedSemaphorePermit>,
        now: Timestamp,
        counts: &mut Delivered,
    ) -> Result<bool, StoreError> {
        let NotSignedIn { request, answer, reading } = failed.without_tokens();
        if !self.takes_its_turn(now).await? {
            return Ok(false);
        }
        let id = CallId::new(now, self.engine.random.bytes());
        let payloads = vec![String::new(); part.len()];
        let part = self.write_intent(id, &request, part, payloads, now).await?;
        if part.is_empty() {
            return Ok(true);
        }
        counts.calls += 1;
        let (_, go_on) = self
            .settle(
                id,
                &request,
                &part,
                Answered { answer, reading, permit, taken_before: None },
                false,
                counts,
            )
            .await?;
        Ok(go_on)
    }

    async fn make_call(
        &self,
        settings: &Settings,
        ready: Ready,
        may_split: bool,
        permit: Option<OwnedSemaphorePermit>,
        now: Timestamp,
        ended: &mut Ended,
    ) -> Result<(), StoreError> {
        if !self.takes_its_turn(now).await? {
            ended.go_on = false;
            return Ok(());
        }
        let id = CallId::new(now, self.engine.random.bytes());
        let Some(ready) = self.open(id, settings, ready, now).await? else { return Ok(()) };
        let Ready { request, part, .. } = ready;
        let answered = self.exchange(settings, &request, part.len(), permit).await;
        ended.counts.calls += 1;
        let (split, go_on) = self.settle(id, &request, &part, answered, may_split, &mut ended.counts).await?;
        ended.go_on = go_on;
        if split {
            ended.split = part;
        }
        Ok(())
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
        let call = self.intent(id, request, now, part.held().zip(payloads).collect());
        let held = self.engine.store.open_call(call).await?;
        if held.len() < part.len() {
            let lost = part.take_unless(|lease| held.contains(&lease.held));
            self.leases.forget(lost.held());
        }
        Ok(part)
    }

    /// Writes down what came of a call. Whether its events go into smaller batches, and whether further calls make sense.
    async fn settle(
        &self,
        id: CallId,
        request: &Request,
        part: &Part,
        answered: Answered,
        may_split: bool,
        counts: &mut Delivered,
    ) -> Result<(bool, bool), StoreError> {
        let receipt = answered.answer.as_ref().ok();
        let receipt = receipt.and_then(|response| self.ready.dialect.receipt(&self.ready.settings, response));
        let follows = self.follows(id, request, part, answered, may_split);
        let end = &follows.end;
        let write = || async {
            // First: if we die in between, whoever asks finds that the call took nothing, and the events go again.
            self.note_lookback(id, receipt.clone(), &end.settlements, end.result.finished_at).await?;
            let (result, settlements) = (end.result.clone(), end.settlements.clone());
            self.engine.store.settle_call(result, settlements, self.still(end.state.as_ref()).cloned()).await
        };
        let settled = self.write_down(write).await?;
        self.account([(end, settled)], counts);
        if !follows.split {
            self.leases.forget(part.held());
        }
        Ok((follows.split, follows.go_on))
    }

    /// The store failed over these. Nothing is given back: an attempt may be open, and the end of its lease closes it.
    pub(super) fn store_failed(&self, held: impl IntoIterator<Item = Held>, error: &StoreError) {
        self.leases.forget(held);
        tracing::error!(
            destination = self.ready.config.slug,
            error = %error,
            "the store failed in the middle of a delivery; it is tried again when its lease has run out"
        );
    }

    /// Gives back what is still held, due at once. If that fails, the leases run out by themselves.
    pub(super) async fn give_back(&self) {
        self.give_back_these(self.leases.held()).await;
    }

    pub(super) async fn give_back_these(&self, held: Vec<Held>) {
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
