//! A postback: a visible list of steps. Each hands on or stops with a verdict; whatever happens leaves a receipt.
//!
//! parse → find partner → authenticate → contract → name → record (load facts → compare → attribute → book → goals →
//! route, all inside one transaction).

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crosstally_core::config::Partner;
use crosstally_core::contract::{AnswerMode, Contract};
use crosstally_core::erasure;
use crosstally_core::identity::Contact;
use crosstally_core::ids::{ConversionId, ReceiptId};
use crosstally_core::postback::body::Row;
use crosstally_core::postback::book::{self, Context};
use crosstally_core::postback::redact::Keep;
use crosstally_core::postback::{
    Awaited, Booking, ClickRef, Facts, FactsWanted, Inbound, Postback, Receipt, STRANGER, claim_of_row,
    dedupe, parse, redact,
};
use crosstally_core::reason::Reason;
use crosstally_core::time::Timestamp;
use crosstally_core::verdict::{Stop, Verdict};
use crosstally_store::StoreError;

use crate::Engine;
use crate::keys::Keys;
use crate::metrics::Name;
use crate::snapshot::Snapshot;
use crate::test_mark::MarkedFor;

pub(crate) mod guard;
mod marked;
pub(crate) mod read;

/// Bytes of a raw call that are kept of a sender who did not show who it is.
const STRANGER_BYTES_MAX: usize = 4 * 1024;

/// What the sender is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostbackOut {
    /// What became of the call.
    pub verdict: Verdict,
    /// Why.
    pub reason: Option<Reason>,
    /// About this call.
    pub detail: String,
    /// Its receipt; `None` only if nothing could be stored.
    pub receipt: Option<ReceiptId>,
    /// The conversion it booked or matched.
    pub conversion: Option<ConversionId>,
}

impl PostbackOut {
    /// Whether the call is lost unless its sender tries again: nothing of it is stored, or it was turned away, and the
    /// receipt that it may have stands for a flood. Whoever is told so must never read that all is well.
    #[must_use]
    pub fn must_come_again(&self) -> bool {
        self.receipt.is_none() || self.reason == Some(Reason::TooManyRequests)
    }
}

/// What became of a call, and how its sender wants to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// One per row, in their order; never none.
    pub rows: Vec<PostbackOut>,
    /// Whether the call was a list of rows.
    pub is_list: bool,
    /// The form of the answer.
    pub answer: AnswerMode,
    /// What is answered in plain text when all is well.
    pub answer_text: String,
}

impl Engine {
    /// Receives a call.
    pub async fn receive_postback(&self, mut inbound: Inbound) -> Received {
        let now = self.clock.now();
        let snapshot = self.snapshot.load_full();
        let mut outs = Vec::with_capacity(1);
        let mut is_list = false;
        if let Some(end) = self.end_before_mark(&inbound.query, MarkedFor::Partner(&inbound.partner)) {
            inbound.query.truncate(end);
            let rows = self.receive_marked(&mut inbound, &snapshot, now).await;
            return self.tell_received(&inbound, &snapshot, rows, is_list);
        }
        match self.enter(&mut inbound, &snapshot, now).await {
            Err(out) => outs.push(out),
            Ok((Err(stop), _)) => {
                let stopped = Stopped { stop, stranger: false };
                outs.push(self.record_stop(&inbound, &snapshot, stopped, now).await);
            }
            Ok((Ok(rows), nonce)) if rows.len() == 1 && rows[0].raw.is_none() => {
                outs.push(self.receive_row(&inbound, &snapshot, rows, now, nonce).await);
            }
            Ok((Ok(rows), nonce)) => {
                is_list = true;
                outs.extend(self.receive_rows(&inbound, &snapshot, rows, now, nonce).await);
            }
        }
        self.tell_received(&inbound, &snapshot, outs, is_list)
    }

    /// Counts what became of a call, and says how its sender wants to be told.
    fn tell_received(
        &self,
        inbound: &Inbound,
        snapshot: &Snapshot,
        outs: Vec<Result<PostbackOut, StoreError>>,
        is_list: bool,
    ) -> Received {
        let rows: Vec<PostbackOut> =
            outs.into_iter().map(|out| out.unwrap_or_else(|error| unavailable(&error))).collect();
        // The label is bounded by the configuration, whatever a sender writes in the path.
        let partner = snapshot.partner(&inbound.partner).map(|(partner, _)| partner);
        let known = partner.map_or("unknown", |partner| partner.slug.as_str());
        for row in &rows {
            self.metrics.count_for(Name::Postbacks, known, ("verdict", row.verdict.as_str()));
        }
        let contract = partner.map(|partner| &partner.contract);
        Received {
            rows,
            is_list,
            answer: contract.map_or(AnswerMode::Json, Contract::answer),
            answer_text: contract.map_or_else(String::new, |contract| contract.answer_text().to_owned()),
        }
    }

    /// Makes sure that a call is the partner's own and has its turn. Its rows, and the number that it may use once.
    async fn enter(
        &self,
        inbound: &mut Inbound,
        snapshot: &Arc<Snapshot>,
        now: Timestamp,
    ) -> Result<(Result<Vec<Row>, Stop>, Option<String>), Result<PostbackOut, StoreError>> {
        match read::call(inbound, snapshot, now) {
            Err(stop) => {
                self.admit_stranger(inbound, snapshot, now).await.map_err(Ok)?;
                Err(self.record_stop(inbound, snapshot, Stopped { stop, stranger: true }, now).await)
            }
            Ok(call) => {
                let (partner, _) = snapshot.partner(&inbound.partner).expect("found in this snapshot before");
                self.count_shown(partner, &call.shown);
                let rows = call.rows.as_ref().map_or(1, Vec::len);
                self.admit(inbound, snapshot, rows, now).await.map_err(Ok)?;
                Ok((call.rows, call.shown.signed.and_then(|signed| signed.nonce)))
            }
        }
    }

    /// Refuses a call that the door could not even read, such as one with a body over the cap.
    pub async fn refuse_postback(&self, inbound: Inbound, reason: Reason, detail: &str) -> PostbackOut {
        let now = self.clock.now();
        let snapshot = self.snapshot.load_full();
        if let Err(out) = self.admit_stranger(&inbound, &snapshot, now).await {
            return out;
        }
        let stopped = Stopped { stop: Stop::refused(reason, detail), stranger: true };
        let out = self.record_stop(&inbound, &snapshot, stopped, now).await;
        out.unwrap_or_else(|error| unavailable(&error))
    }

    /// The rows of one call, each with a receipt of its own, in their order.
    async fn receive_rows(
        &self,
        inbound: &Inbound,
        snapshot: &Arc<Snapshot>,
        rows: Vec<Row>,
        now: Timestamp,
        nonce: Option<String>,
    ) -> Vec<Result<PostbackOut, StoreError>> {
        let mut outs = Vec::with_capacity(rows.len());
        for (at, row) in rows.into_iter().enumerate() {
            // Each row is booked by itself, and what failed of a message may be sent again.
            // The first row has the message's own number, whatever the message is taken for; no number holds a line feed.
            let nonce = nonce.as_ref().map(|nonce| match at {
                0 => nonce.clone(),
                _ => format!("{nonce}\n{at}"),
            });
            let part = Inbound {
                body: row.raw.clone().unwrap_or_default(),
                content_type: "application/json".into(),
                ..inbound.clone()
            };
            outs.push(self.receive_row(&part, snapshot, vec![row], now, nonce).await);
        }
        outs
    }

    async fn receive_row(
        &self,
        inbound: &Inbound,
        snapshot: &Arc<Snapshot>,
        mut rows: Vec<Row>,
        now: Timestamp,
        nonce: Option<String>,
    ) -> Result<PostbackOut, StoreError> {
        let read = match rows.pop() {
            Some(row) => row
                .params
                .and_then(|params| read::postback(params, inbound, snapshot, &self.click_id_key, now, None)),
            None => Err(Stop::refused(Reason::BodyUnreadable, "the call is empty")),
        };
        match read {
            Ok(postback) => self.book_postback(inbound, snapshot, postback, now, nonce).await,
            Err(stop) => self.record_stop(inbound, snapshot, Stopped { stop, stranger: false }, now).await,
        }
    }

    pub(crate) async fn book_postback(
        &self,
        inbound: &Inbound,
        snapshot: &Arc<Snapshot>,
        postback: Postback,
        now: Timestamp,
        nonce: Option<String>,
    ) -> Result<PostbackOut, StoreError> {
        let (partner, _) = snapshot.partner(&postback.partner).expect("found in this snapshot before");
        if self.brings_back(&postback, (&inbound.method, now), &partner.contract) {
            let receipt = erasure::receipt(self.receipt(inbound, snapshot, now));
            let stop = Stop::refused(Reason::Erased, "");
            return self.record_stopped(receipt, Stopped { stop, stranger: false }).await;
        }
        self.book_partners(inbound, snapshot, (partner, postback), now, nonce).await
    }

    async fn book_partners(
        &self,
        inbound: &Inbound,
        snapshot: &Arc<Snapshot>,
        (partner, mut postback): (&Partner, Postback),
        now: Timestamp,
        nonce: Option<String>,
    ) -> Result<PostbackOut, StoreError> {
        if let Some(alias) = self.resolve_alias(&mut postback).await? {
            self.book_waiting_for(&alias).await?;
        }
        let mut receipt = self.receipt(inbound, snapshot, now);
        receipt.read = Arc::new(book::read_summary(&postback));
        receipt.contact = postback.contact.clone();
        let key = match dedupe::key(&postback, &partner.contract) {
            Some(key) => key,
            None => {
                let stop = nameless(&postback);
                if stop.verdict == Verdict::Quarantined {
                    receipt.sealed = original(&self.keys, receipt.id, &postback, inbound);
                    receipt.awaits = Awaited::by(stop.reason, &receipt);
                }
                return self.record_stopped(receipt, Stopped { stop, stranger: false }).await;
            }
        };
        let click = postback.click.ours();
        receipt.click = click;
        self.ask_browser(&mut postback, &key, snapshot, true).await?;
        let sightings = self.sightings(&postback, &snapshot.config, now).await;
        let nonce = nonce.or_else(|| claim_of_row(&inbound.method, &postback));
        let wanted = FactsWanted { click, key: key.clone(), nonce: nonce.clone(), sightings };
        let measured = self.measured(&snapshot.config, &partner.slug, now).await?;
        let (decider, random, rates) = (Arc::clone(snapshot), self.random.clone(), self.rates());
        // Only a server event may have to be read again from what it said about its visitor.
        let event = postback.given.is_some().then(|| (self.keys.clone(), inbound.clone()));
        let decide = move |facts: &Facts| {
            if let Some(seen) = guard::seen_before(facts, &receipt) {
                return seen;
            }
            let (partner, _) = decider.partner(&postback.partner).expect("found in this snapshot before");
            let context = Context {
                config: &decider.config,
                partner,
                rates: &rates,
                measured: &measured,
                key: &key,
                received_at: now,
                now,
                max_age_ms: &|destination, action_source| decider.max_age_ms(destination, action_source),
                mode: partner.contract.duplicates(postback.event.as_deref()),
                random: &mut || random.bytes(),
            };
            let mut booking = book::book(&postback, facts, receipt.clone(), context);
            if let Some((keys, inbound)) = &event
                && booking.receipt.verdict == Verdict::Quarantined
            {
                booking.receipt.sealed = original(keys, receipt.id, &postback, inbound);
            }
            let nonce = nonce.clone().filter(|_| guard::uses_up(booking.receipt.verdict));
            Booking { nonce, ..booking }
        };
        let booking = self.store.record_postback(wanted, Box::new(decide)).await?;
        self.wake_for(&booking);
        if booking.reverses {
            self.follow_reversals_now().await;
        }
        Ok(told(&booking.receipt))
    }

    /// A click id of another tracker may stand for a click of ours. What other calls may wait for then.
    pub(crate) async fn resolve_alias(&self, postback: &mut Postback) -> Result<Option<Awaited>, StoreError> {
        let ClickRef::Foreign { value, .. } = &postback.click else { return Ok(None) };
        let alias = value.clone();
        let Some(click) = self.store.click_of_alias(alias.clone()).await? else { return Ok(None) };
        postback.click = ClickRef::Ours(click);
        Ok(Some(Awaited::Alias(alias)))
    }

    pub(crate) fn wake_for(&self, booking: &Booking) {
        for name in booking.goal_events.first().iter().flat_map(|goal| &goal.event.origin.malformed) {
            self.metrics.count(Name::ConsentMalformed, &[("name", name)], 1);
        }
        for delivery in &booking.deliveries {
            self.wakeups.wake(&delivery.destination);
        }
    }

    pub(crate) async fn record_stop(
        &self,
        inbound: &Inbound,
        snapshot: &Snapshot,
        stopped: Stopped,
        now: Timestamp,
    ) -> Result<PostbackOut, StoreError> {
        let mut receipt = self.receipt(inbound, snapshot, now);
        if stopped.stranger {
            receipt = of_stranger(receipt);
        }
        if !self.would_keep_erased(&receipt, inbound, snapshot) {
            return self.record_stopped(receipt, stopped).await;
        }
        // Its sender learns what was wrong; what is kept does not repeat it.
        let detail = stopped.stop.detail.clone();
        let stop = Stop { detail: String::new(), ..stopped.stop };
        let out = self.record_stopped(erasure::receipt(receipt), Stopped { stop, ..stopped }).await?;
        Ok(PostbackOut { detail, ..out })
    }

    /// Whether what a receipt keeps of a call would bring back what was erased.
    fn would_keep_erased(&self, receipt: &Receipt, inbound: &Inbound, snapshot: &Snapshot) -> bool {
        if !self.has_erased() {
            return false;
        }
        let original = receipt.sealed.is_some().then_some(inbound.body.as_slice());
        self.keeps_erased(receipt, original, &snapshot.call_names(&inbound.partner))
    }

    async fn record_stopped(
        &self,
        mut receipt: Receipt,
        stopped: Stopped,
    ) -> Result<PostbackOut, StoreError> {
        receipt.verdict = stopped.stop.verdict;
        receipt.reason = Some(stopped.stop.reason);
        receipt.detail = stopped.stop.detail;
        let out = told(&receipt);
        self.store.record_receipt(receipt).await?;
        Ok(out)
    }

    /// The next receipt's id. Those that this process makes are in the order in which it made them, also within a
    /// millisecond: the rows of a list are read again in their order.
    fn receipt_id(&self, now: Timestamp) -> ReceiptId {
        let [_, number @ ..] = self.receipts.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        let mut tail: [u8; 10] = self.random.bytes();
        tail[..number.len()].copy_from_slice(&number);
        ReceiptId::new(now, tail)
    }

    pub(crate) fn receipt(&self, inbound: &Inbound, snapshot: &Snapshot, now: Timestamp) -> Receipt {
        let partner: Option<&Partner> = snapshot.partner(&inbound.partner).map(|(partner, _)| partner);
        let id = self.receipt_id(now);
        let keep = Keep { partner, contact: snapshot.config.workspace.keep_contact };
        let kept = redact::body(inbound, keep);
        let sealed = kept.is_lost.then(|| self.keys.seal_bytes(&id.to_string(), &inbound.body));
        Receipt {
            id,
            received_at: now,
            partner: inbound.partner.chars().filter(|c| !c.is_control()).take(64).collect(),
            method: inbound.method.chars().take(16).collect(),
            query: redact::pairs(&inbound.query, keep),
            body: kept.body,
            content_type: kept.content_type.chars().take(128).collect(),
            peer: inbound.peer.map(|peer| peer.to_canonical().to_string()).unwrap_or_default(),
            user_agent: inbound.user_agent.chars().take(512).collect(),
            verdict: Verdict::Refused,
            reason: None,
            detail: String::new(),
            conversion: None,
            sequence: None,
            click: None,
            read: Arc::default(),
            goals: Vec::new(),
            revision: 0,
            headers: redact::headers(&inbound.headers, keep),
            contact: Contact::default(),
            sealed,
            labels: Vec::new(),
            awaits: None,
        }
    }
}

/// What is kept of a call whose sender did not show who it is.
fn of_stranger(mut receipt: Receipt) -> Receipt {
    receipt.query.truncate(STRANGER_BYTES_MAX);
    receipt.body.truncate(STRANGER_BYTES_MAX);
    receipt.sealed = None;
    receipt.labels.push(STRANGER.to_owned());
    receipt
}

/// A server event that waits, sealed: what it says about its visitor and the order is not kept in the open, and must not be
/// lost before it is sent on.
fn original(keys: &Keys, id: ReceiptId, postback: &Postback, inbound: &Inbound) -> Option<Vec<u8>> {
    postback.given.as_ref()?;
    Some(keys.seal_bytes(&id.to_string(), &inbound.body))
}

/// Why a call that names no conversion is not booked.
pub(crate) fn nameless(postback: &Postback) -> Stop {
    match &postback.click {
        ClickRef::Foreign { reason, value } => {
            Stop::quarantined(*reason, format!("click_id is {}", parse::printable(value)))
        }
        ClickRef::None | ClickRef::Ours(_) => {
            Stop::refused(Reason::IdentityMissing, "send click_id or transaction_id")
        }
    }
}

/// Where reading stopped, and whether the sender had shown by then that it is the partner.
pub(crate) struct Stopped {
    pub(crate) stop: Stop,
    pub(crate) stranger: bool,
}

fn told(receipt: &Receipt) -> PostbackOut {
    PostbackOut {
        verdict: receipt.verdict,
        reason: receipt.reason,
        detail: receipt.detail.clone(),
        receipt: Some(receipt.id),
        conversion: receipt.conversion,
    }
}

pub(crate) fn unavailable(error: &StoreError) -> PostbackOut {
    tracing::error!(error = %error, "a postback could not be stored; the sender was told to try again");
    let reason = match error {
        StoreError::Busy => Reason::TooManyRequests,
        StoreError::Unavailable(_) | StoreError::Unknown(_) | StoreError::Corrupt(_) | StoreError::Closed => {
            Reason::StoreUnavailable
        }
    };
    PostbackOut {
        verdict: Verdict::Refused,
        reason: Some(reason),
        detail: reason.about().sentence.into(),
        receipt: None,
        conversion: None,
    }
}
