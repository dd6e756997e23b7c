//! Hop 5: what the calls would book. The kept calls are read again and decided by the function that books real ones, over
//! facts in which the test click is an ordinary one; nothing of it is written.

use std::collections::HashMap;

use crosstally_core::click::Click;
use crosstally_core::conversion::{Conversion, DedupeKey};
use crosstally_core::ledger::LedgerEntry;
use crosstally_core::postback::book::{self, Context};
use crosstally_core::postback::dedupe;
use crosstally_core::postback::replay::Repair;
use crosstally_core::postback::{Booking, Facts, Receipt};
use crosstally_core::preflight::{Code, Hop, amount_defect};
use crosstally_core::time::{HOUR_MS, MINUTE_MS};
use crosstally_core::verdict::{Stop, Verdict};
use crosstally_store::StoreError;

use super::{Gone, Run, words_of};
use crate::snapshot::Snapshot;

/// What would be booked by now.
#[derive(Default)]
pub(super) struct Imagined(HashMap<DedupeKey, (Conversion, Vec<LedgerEntry>)>);

impl Run<'_> {
    pub(super) async fn ledger(&mut self, gone: &mut Gone) -> Result<(), StoreError> {
        if self.actions.iter().all(|action| !is_read(action.receipt.as_ref())) {
            *gone = Gone::not("no call was understood");
            return Ok(());
        }
        // Of a test campaign nothing would be booked; here it is asked what would be if it were not one.
        let mut config = self.snapshot.config.clone();
        if let Some(campaign) = config.campaigns.iter_mut().find(|known| known.slug == self.campaign.slug) {
            campaign.test = false;
        }
        let engine = self.engine;
        let source = (engine.secret_source.as_ref(), self.snapshot.secret_files.clone());
        let live = Snapshot::with_files(self.snapshot.version, config, source, &engine.keys);
        let mut imagined = Imagined::default();
        for at in 0..self.actions.len() {
            let Some(action) = self.actions.get(at).cloned() else { break };
            let Some(receipt) = action.receipt.filter(|receipt| is_read(Some(receipt))) else { continue };
            gone.expected.add(Some((action.minor, self.currency)), Some(action.at));
            let booking = match self.imagine(&receipt, &live, &mut imagined).await? {
                Ok(booking) => booking,
                Err(stop) => {
                    self.not_booked(&stop);
                    continue;
                }
            };
            let verdict = booking.receipt.verdict;
            let (Some(entry), Verdict::Recorded) = (&booking.entry, verdict) else {
                let code = booking.receipt.reason.map_or("", |reason| reason.code());
                let problem = format!("the call would be {verdict} ({code}) and not recorded");
                self.defect(Code::NotBooked, Hop::Ledger, problem);
                continue;
            };
            let amount = entry.amounts.value.map(|minor| (minor, entry.currency));
            gone.found.add(amount, Some(entry.event_time));
            // What is wrong with the amount was told where it was read; here it is told if it happens here.
            let read_right = !action.misread;
            if let Some(code) = amount_defect((action.minor, self.currency), amount).filter(|_| read_right) {
                self.defect(code, Hop::Ledger, format!("the ledger would have {}", words_of(amount)));
            }
            self.booked.insert(at);
            if let Some(action) = self.actions.get_mut(at) {
                action.events = booking.goal_events;
            }
        }
        self.repeat(&live, &mut imagined).await
    }

    fn not_booked(&mut self, stop: &Stop) {
        let problem = format!("{} {}", stop.reason.about().sentence, stop.detail);
        self.defect(Code::NotBooked, Hop::Ledger, problem);
    }

    /// The same call once more must change nothing.
    async fn repeat(&mut self, live: &Snapshot, imagined: &mut Imagined) -> Result<(), StoreError> {
        let first =
            self.actions.iter().find(|action| !action.events.is_empty() || is_read(action.receipt.as_ref()));
        let Some(receipt) = first.and_then(|action| action.receipt.clone()) else { return Ok(()) };
        let again = Receipt { received_at: receipt.received_at.plus_millis(MINUTE_MS), ..receipt };
        let Ok(booking) = self.imagine(&again, live, imagined).await? else { return Ok(()) };
        let verdict = booking.receipt.verdict;
        let is_same = verdict == Verdict::Duplicate;
        let code = booking.receipt.reason.map_or("", |reason| reason.code());
        self.negative("duplicate", Some(is_same), &format!("{verdict} {code}"));
        if matches!(verdict, Verdict::Recorded | Verdict::Updated) {
            let problem = format!("the very same call, sent twice, would be {verdict} the second time");
            self.defect(Code::RepeatCounted, Hop::Ledger, problem);
        }
        Ok(())
    }

    /// What a kept call would book.
    pub(super) async fn imagine(
        &self,
        receipt: &Receipt,
        live: &Snapshot,
        imagined: &mut Imagined,
    ) -> Result<Result<Booking, Stop>, StoreError> {
        let engine = self.engine;
        let mut postback = match engine.reread(receipt, &Repair::default(), live) {
            Ok(postback) => postback,
            Err(stop) => return Ok(Err(stop)),
        };
        let Some((partner, _)) = live.partner(&receipt.partner) else {
            return Ok(Ok(Booking::receipt_only(receipt.clone())));
        };
        let Some(key) = dedupe::key(&postback, &partner.contract) else {
            return Ok(Err(crate::postback::nameless(&postback)));
        };
        engine.ask_browser(&mut postback, &key, live, false).await?;
        let click = match postback.click.ours() {
            Some(id) => engine.store.click(id).await?.map(ordinary),
            None => None,
        };
        let (conversion, entries) = imagined
            .0
            .get(&key)
            .cloned()
            .map_or((None, Vec::new()), |(known, entries)| (Some(known), entries));
        let attributed = conversion.as_ref().and_then(|_| click.clone());
        let facts = Facts { click, conversion, attributed, entries, nonce_used_by: None, seen: Vec::new() };
        let measured = engine.measured(&live.config, &partner.slug, engine.clock.now()).await?;
        let (rates, random) = (engine.rates(), engine.random.clone());
        let context = Context {
            config: &live.config,
            partner,
            rates: &rates,
            measured: &measured,
            key: &key,
            received_at: receipt.received_at,
            now: receipt.received_at,
            max_age_ms: &|destination, action_source| live.max_age_ms(destination, action_source),
            mode: partner.contract.duplicates(postback.event.as_deref()),
            random: &mut || random.bytes(),
        };
        let fresh = Receipt { labels: Vec::new(), reason: None, detail: String::new(), ..receipt.clone() };
        let booking = book::book(&postback, &facts, fresh, context);
        if let Some(change) = &booking.conversion {
            let known = imagined.0.entry(key).or_insert_with(|| (change.conversion().clone(), Vec::new()));
            known.0 = change.conversion().clone();
            known.1.extend(booking.entry.clone());
        }
        Ok(Ok(booking))
    }
}

/// Whether a call was read to its end.
fn is_read(receipt: Option<&Receipt>) -> bool {
    receipt.is_some_and(|receipt| receipt.read.contains_key("click_id"))
}

/// The click as one of a visitor: not a test, and not seconds before its sale, which goals may take for a bot's.
fn ordinary(click: Click) -> Click {
    Click { test: false, labels: Vec::new(), at: click.at.plus_millis(-HOUR_MS), ..click }
}
