//! A postback: a visible list of steps. Each hands on or stops with a verdict; whatever happens leaves a receipt.
//!
//! parse → find partner → authenticate → contract → name → record (load facts → compare → attribute → book → goals →
//! route, all inside one transaction).

use std::sync::Arc;

use crosstally_core::config::Partner;
use crosstally_core::ids::{ConversionId, ReceiptId};
use crosstally_core::postback::book::{self, Context};
use crosstally_core::postback::normalise::{self, Contract};
use crosstally_core::postback::{
    Booking, ClickRef, Facts, FactsWanted, Inbound, Postback, Receipt, authenticate, dedupe, parse, redact,
};
use crosstally_core::reason::Reason;
use crosstally_core::time::Timestamp;
use crosstally_core::verdict::{Stop, Verdict};
use crosstally_store::StoreError;

use crate::Engine;
use crate::metrics::Name;
use crate::snapshot::Snapshot;

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

impl Engine {
    /// Receives a postback.
    pub async fn receive_postback(&self, inbound: Inbound) -> PostbackOut {
        let now = self.clock.now();
        let snapshot = self.snapshot.load_full();
        let out = match self.read_postback(&inbound, &snapshot, now) {
            Ok(read) => self.book_postback(&inbound, &snapshot, read, now).await,
            Err(stopped) => self.record_stop(&inbound, &snapshot, stopped, now).await,
        };
        let out = out.unwrap_or_else(|error| unavailable(&error));
        // The label is bounded by the configuration, whatever a sender writes in the path.
        let known =
            if snapshot.partner(&inbound.partner).is_some() { inbound.partner.as_str() } else { "unknown" };
        self.metrics.count(Name::Postbacks, &[("partner", known), ("verdict", out.verdict.as_str())], 1);
        out
    }

    /// Refuses a call that the door could not even read, such as one with a body over the cap.
    pub async fn refuse_postback(&self, inbound: Inbound, reason: Reason, detail: &str) -> PostbackOut {
        let now = self.clock.now();
        let snapshot = self.snapshot.load_full();
        let stopped = Stopped { stop: Stop::refused(reason, detail), stranger: true };
        let out = self.record_stop(&inbound, &snapshot, stopped, now).await;
        out.unwrap_or_else(|error| unavailable(&error))
    }

    fn read_postback(
        &self,
        inbound: &Inbound,
        snapshot: &Snapshot,
        now: Timestamp,
    ) -> Result<Postback, Stopped> {
        let stranger = |stop| Stopped { stop, stranger: true };
        let sender = |stop| Stopped { stop, stranger: false };
        let (partner, guards) = find_partner(inbound, snapshot).map_err(stranger)?;
        let params = parse::params(inbound).map_err(stranger)?;
        authenticate::check(inbound, &params, guards, now).map_err(stranger)?;
        let fields = parse::fields(params, partner).map_err(sender)?;
        let contract = Contract {
            partner,
            workspace: &snapshot.config.workspace,
            click_id_key: &self.click_id_key,
            received_at: now,
        };
        normalise::postback(&fields, contract).map_err(sender)
    }

    async fn book_postback(
        &self,
        inbound: &Inbound,
        snapshot: &Arc<Snapshot>,
        postback: Postback,
        now: Timestamp,
    ) -> Result<PostbackOut, StoreError> {
        let Some(key) = dedupe::key(&postback) else {
            let stop = match &postback.click {
                ClickRef::Foreign { reason, value } => {
                    Stop::quarantined(*reason, format!("click_id is {}", parse::printable(value)))
                }
                ClickRef::None | ClickRef::Ours(_) => {
                    Stop::refused(Reason::IdentityMissing, "send click_id or transaction_id")
                }
            };
            return self.record_stop(inbound, snapshot, Stopped { stop, stranger: false }, now).await;
        };
        let mut receipt = self.receipt(inbound, snapshot, now);
        receipt.read = book::read_summary(&postback);
        let click = match &postback.click {
            ClickRef::Ours(id) => Some(*id),
            ClickRef::None | ClickRef::Foreign { .. } => None,
        };
        receipt.click = click;
        let wanted = FactsWanted { click, key: key.clone() };
        let (decider, random) = (Arc::clone(snapshot), self.random.clone());
        let decide = move |facts: &Facts| {
            let (partner, _) = decider.partner(&postback.partner).expect("found in this snapshot before");
            let context = Context {
                config: &decider.config,
                partner,
                key: &key,
                now,
                max_age_ms: &|destination, action_source| {
                    decider
                        .destination(&destination.slug)
                        .map_or(0, |ready| ready.dialect.max_age_ms(&ready.config.settings, action_source))
                },
                random: &mut || random.bytes(),
            };
            book::book(&postback, facts, receipt.clone(), context)
        };
        let booking = self.store.record_postback(wanted, Box::new(decide)).await?;
        self.wake_for(&booking);
        Ok(told(&booking.receipt))
    }

    fn wake_for(&self, booking: &Booking) {
        for delivery in &booking.deliveries {
            self.wakeups.wake(&delivery.destination);
        }
    }

    async fn record_stop(
        &self,
        inbound: &Inbound,
        snapshot: &Snapshot,
        stopped: Stopped,
        now: Timestamp,
    ) -> Result<PostbackOut, StoreError> {
        let mut receipt = self.receipt(inbound, snapshot, now);
        if stopped.stranger {
            receipt.query.truncate(STRANGER_BYTES_MAX);
            receipt.body.truncate(STRANGER_BYTES_MAX);
        }
        receipt.verdict = stopped.stop.verdict;
        receipt.reason = Some(stopped.stop.reason);
        receipt.detail = stopped.stop.detail;
        let out = told(&receipt);
        self.store.record_receipt(receipt).await?;
        Ok(out)
    }

    fn receipt(&self, inbound: &Inbound, snapshot: &Snapshot, now: Timestamp) -> Receipt {
        let partner: Option<&Partner> = snapshot.partner(&inbound.partner).map(|(partner, _)| partner);
        Receipt {
            id: ReceiptId::new(now, self.random.bytes()),
            received_at: now,
            partner: inbound.partner.chars().filter(|c| !c.is_control()).take(64).collect(),
            method: inbound.method.chars().take(16).collect(),
            query: redact::pairs(&inbound.query, partner),
            body: redact::body(&inbound.body, &inbound.content_type, partner),
            content_type: inbound.content_type.chars().take(128).collect(),
            peer: inbound.peer.map(|peer| peer.to_canonical().to_string()).unwrap_or_default(),
            user_agent: inbound.user_agent.chars().take(512).collect(),
            verdict: Verdict::Refused,
            reason: None,
            detail: String::new(),
            conversion: None,
            sequence: None,
            click: None,
            read: serde_json::Map::new(),
            goals: Vec::new(),
        }
    }
}

/// Where reading stopped, and whether the sender had shown by then that it is the partner.
struct Stopped {
    stop: Stop,
    stranger: bool,
}

fn find_partner<'a>(
    inbound: &Inbound,
    snapshot: &'a Snapshot,
) -> Result<(&'a Partner, &'a authenticate::Guards), Stop> {
    let Some((partner, guards)) = snapshot.partner(&inbound.partner) else {
        return Err(Stop::refused(
            Reason::UnknownPartner,
            format!("no partner is called {}", parse::printable(&inbound.partner)),
        ));
    };
    if !matches!(inbound.method.as_str(), "GET" | "POST") {
        return Err(Stop::refused(Reason::MethodNotAllowed, "send postbacks by GET or POST"));
    }
    // Without its secret the server cannot tell the partner from a stranger: it lets nobody in and says so.
    let guards = guards.ok_or_else(|| {
        Stop::refused(
            Reason::StoreUnavailable,
            "the partner's secret is not set on this server; try again later",
        )
    })?;
    Ok((partner, guards))
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

fn unavailable(error: &StoreError) -> PostbackOut {
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
