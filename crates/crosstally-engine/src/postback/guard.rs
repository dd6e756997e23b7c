//! Who may send how much. Authenticate first, then charge: nobody who has shown nothing uses up a partner's budget.

use crosstally_core::config::{Partner, TokenPlace};
use crosstally_core::ids::ReceiptId;
use crosstally_core::postback::authenticate::Shown;
use crosstally_core::postback::signature::SecretUsed;
use crosstally_core::postback::{Booking, Facts, IMPORTED, Inbound, Receipt};
use crosstally_core::reason::Reason;
use crosstally_core::time::Timestamp;
use crosstally_core::verdict::{Stop, Verdict};
use crosstally_store::StoreError;

use super::{PostbackOut, STRANGER_BYTES_MAX, Stopped};
use crate::Engine;
use crate::metrics::Name;
use crate::snapshot::Snapshot;
use crate::throttle::Turn;

/// All strangers as one sender; no partner is called so.
const STRANGERS: &str = "";

impl Engine {
    /// Lets a partner's call of so many rows in: at once, after its turn has come, or not at all.
    pub(super) async fn admit(
        &self,
        inbound: &Inbound,
        snapshot: &Snapshot,
        rows: usize,
        now: Timestamp,
    ) -> Result<(), PostbackOut> {
        let (partner, _) = snapshot.partner(&inbound.partner).expect("found in this snapshot before");
        let Some(rate) = partner.rate else { return Ok(()) };
        let rows = u32::try_from(rows).unwrap_or(u32::MAX);
        let turn = self.throttle.partner(&partner.slug, rows, rate, now);
        let outcome = match turn {
            Turn::Now => return Ok(()),
            Turn::After(_) => "queued",
            Turn::TurnedAway => "turned_away",
        };
        self.metrics.count(Name::PostbacksLimited, &[("partner", &partner.slug), ("outcome", outcome)], 1);
        match turn {
            Turn::After(ms) => {
                self.clock.sleep(ms).await;
                Ok(())
            }
            _ => Err(self.turn_away(inbound, snapshot, &partner.slug, now).await),
        }
    }

    /// Whether a call that has shown nothing good may still cost a receipt.
    pub(super) async fn admit_stranger(
        &self,
        inbound: &Inbound,
        snapshot: &Snapshot,
        now: Timestamp,
    ) -> Result<(), PostbackOut> {
        if self.throttle.stranger(inbound.peer, now) {
            return Ok(());
        }
        self.metrics.count(Name::PostbacksLimited, &[("partner", "unknown"), ("outcome", "turned_away")], 1);
        Err(self.turn_away(inbound, snapshot, STRANGERS, now).await)
    }

    /// Turns a call away. One receipt a second stands for all of a partner's, and one for all strangers': it says how many
    /// more there were. A call that is too large to be a sample is left out of it.
    async fn turn_away(
        &self,
        inbound: &Inbound,
        snapshot: &Snapshot,
        sender: &str,
        now: Timestamp,
    ) -> PostbackOut {
        let out = PostbackOut {
            verdict: Verdict::Refused,
            reason: Some(Reason::TooManyRequests),
            detail: why_away(sender).to_owned(),
            receipt: None,
            conversion: None,
        };
        let Some(more) = self.throttle.turned_away(sender, now) else { return out };
        let mut sample = inbound.clone();
        if sample.query.len() + sample.body.len() > STRANGER_BYTES_MAX {
            (sample.query, sample.body) = (Vec::new(), Vec::new());
        }
        match self.record_stop(&sample, snapshot, away(sender, more), now).await {
            Ok(kept) => PostbackOut { receipt: kept.receipt, ..out },
            // Whoever is turned away has no use for the reason why nothing was noted.
            Err(error) => {
                self.throttle.not_told(sender, more + 1);
                tracing::warn!(error = %error, "a receipt of calls that were turned away could not be stored");
                out
            }
        }
    }

    /// Writes the receipts of calls that were turned away and of which no later call tells: a flood has an end, and so has
    /// this process (`all`). Such a receipt stands for one of them without a sample, and says how many more there were, so
    /// that receipts and what they say always add up.
    ///
    /// # Errors
    /// See [`StoreError`]; what could not be written is tried again.
    pub async fn tell_turned_away(&self, all: bool) -> Result<(), StoreError> {
        let now = self.clock.now();
        let snapshot = self.snapshot.load_full();
        let mut failed = Ok(());
        for (sender, calls) in self.throttle.untold(now, all) {
            let nothing = Inbound { partner: sender.clone(), ..Inbound::default() };
            let more = calls.saturating_sub(1);
            if let Err(error) = self.record_stop(&nothing, &snapshot, away(&sender, more), now).await {
                self.throttle.not_told(&sender, calls);
                failed = Err(error);
            }
        }
        failed
    }

    /// Counts by which secret a call came in, so that an old one is taken away when nobody uses it any more.
    pub(super) fn count_shown(&self, partner: &Partner, shown: &Shown) {
        let token = shown.token.map(|place| match place {
            TokenPlace::Header => "token_header",
            TokenPlace::Query => "token_query",
        });
        let secret = shown.signed.as_ref().map(|signed| match signed.by {
            SecretUsed::Current => "secret",
            SecretUsed::Old => "old_secret",
        });
        for by in [token, secret].into_iter().flatten() {
            self.metrics.count_for(Name::PostbacksShown, &partner.slug, ("by", by));
        }
    }
}

/// Why calls of this sender are turned away.
const fn why_away(sender: &str) -> &'static str {
    match sender.as_bytes() {
        [] => "too many calls from this address that are nobody's; try again later",
        _ => "this partner sends more calls than its `rate`; try again later",
    }
}

/// What the receipt says that stands for a call turned away and so many more.
fn away(sender: &str, more: u64) -> Stopped {
    let detail = why_away(sender);
    let told = match more {
        0 => detail.to_owned(),
        _ => format!("{detail}; {more} more were turned away since the last receipt of this kind"),
    };
    Stopped { stop: Stop::refused(Reason::TooManyRequests, told), stranger: sender == STRANGERS }
}

/// The answer to a message that was booked before; `None` if its number is new.
pub(super) fn seen_before(facts: &Facts, receipt: &Receipt) -> Option<Booking> {
    let first = facts.nonce_used_by?;
    let mut receipt = receipt.clone();
    receipt.verdict = Verdict::Duplicate;
    if receipt.method == IMPORTED {
        // It may well name another conversion now: by another reading of the same file.
        let stop = row_seen(first);
        (receipt.reason, receipt.detail) = (Some(stop.reason), stop.detail);
        return Some(Booking::receipt_only(receipt));
    }
    receipt.reason = Some(Reason::NonceSeen);
    receipt.detail = format!("the same message came before as {first}");
    if let Some(known) = &facts.conversion {
        receipt.conversion = Some(known.id);
        receipt.sequence = Some(known.movements);
    }
    Some(Booking::receipt_only(receipt))
}

/// Why a row of a file is not booked once more.
pub(crate) fn row_seen(first: ReceiptId) -> Stop {
    Stop::new(Verdict::Duplicate, Reason::SameContent, format!("the same row was booked before as {first}"))
}

/// Whether a call with this verdict has used its number up: what was kept back may be sent again when it is mended.
pub(crate) const fn uses_up(verdict: Verdict) -> bool {
    matches!(verdict, Verdict::Recorded | Verdict::Updated | Verdict::Duplicate)
}
