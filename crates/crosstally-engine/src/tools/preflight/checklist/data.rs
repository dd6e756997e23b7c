//! Lines that what is stored decides: real calls, destinations, deliveries, the counts of caps.

use crosstally_core::config::Leads;
use crosstally_core::delivery::DeliveryState;
use crosstally_core::postback::STRANGER;
use crosstally_core::preflight::line::Line;
use crosstally_core::preflight::{Code, LABEL};
use crosstally_core::reason::Reason;
use crosstally_core::rotation::Kind;
use crosstally_core::time::DAY_MS;
use crosstally_store::{ReceiptFilter, StoreError};

use super::super::Run;

/// How far back real calls are looked at.
const DAYS: i64 = 30;
/// Real calls that are counted at most.
const CALLS_MAX: usize = 1_000;
/// Receipts that are read at once, and how often.
const PAGE: u32 = 1_000;
const PAGES_MAX: usize = 50;
const SEE_OFFERS: &str = "see `crosstally offers list` for how many visitors each had";

impl Run<'_> {
    pub(super) async fn by_data(&self) -> Result<Vec<Line>, StoreError> {
        let calls = self.real_calls(None).await?;
        Ok(vec![
            self.macros(calls).await?,
            self.statuses(calls).await?,
            self.late(calls).await?,
            self.paused().await?,
            self.deliveries().await?,
            self.caps_now().await?,
            self.evidence().await,
        ])
    }

    /// Calls of the partner's own in the last days, counted to [`CALLS_MAX`]. Those of pre-flights and of strangers are left
    /// out, however many came before.
    async fn real_calls(&self, reason: Option<Reason>) -> Result<usize, StoreError> {
        let mut filter = ReceiptFilter {
            partner: Some(self.partner.slug.clone()),
            reason,
            from: Some(self.from.plus_millis(-DAYS * DAY_MS)),
            to: Some(self.from),
            ..ReceiptFilter::default()
        };
        let is_real = |labels: &[String]| !labels.iter().any(|label| label == LABEL || label == STRANGER);
        let mut calls = 0;
        for _ in 0..PAGES_MAX {
            let page = self.engine.store.receipts_matching(filter.clone(), PAGE).await?;
            calls += page.iter().filter(|receipt| is_real(&receipt.labels)).count();
            filter.after = page.last().map(|receipt| receipt.id);
            let is_last = u32::try_from(page.len()).is_ok_and(|rows| rows < PAGE);
            if is_last || calls >= CALLS_MAX {
                break;
            }
        }
        Ok(calls)
    }

    /// Says that no real call has come, if it is so.
    fn nobody_called(check: &'static str, question: &'static str) -> Line {
        let why = format!("no real call of the partner has come in the last {DAYS} days");
        Line::unknown(check, question, why, "have the partner send one, and look again")
    }

    async fn macros(&self, calls: usize) -> Result<Line, StoreError> {
        let (check, question) = ("macros", "Are all macros filled in?");
        let open = self.real_calls(Some(Reason::MacroUnresolved)).await?;
        Ok(match (open, calls) {
            (0, 0) => Self::nobody_called(check, question),
            (0, _) => Line::pass(check, question, format!("in {calls} real calls of the last {DAYS} days")),
            (open, _) => {
                let why = format!("{open} real calls had a macro's name in place of its value");
                Line::fail(check, question, why, Reason::MacroUnresolved.about().fix)
            }
        })
    }

    async fn statuses(&self, calls: usize) -> Result<Line, StoreError> {
        let (check, question) = ("status_map", "Does the map know every status that has been seen?");
        let unknown = self.engine.unknown_statuses(Some(&self.partner.slug)).await?;
        let any_taken = self.defects.iter().find(|defect| defect.code == Code::UnmappedTaken);
        if let Some(defect) = any_taken {
            return Ok(Line::fail(check, question, defect.problem.clone(), defect.fix));
        }
        let in_run = self.defects.iter().any(|defect| defect.code == Code::StatusUnmapped);
        let words: Vec<&str> = unknown.words.iter().map(|word| word.word.as_str()).collect();
        Ok(match (words.is_empty() && !in_run, calls) {
            (false, _) => {
                let words =
                    if words.is_empty() { "the word of this run".to_owned() } else { words.join(", ") };
                let why = format!("in no map: {words}");
                Line::fail(check, question, why, "see `crosstally receipts statuses`")
            }
            (true, 0) => Self::nobody_called(check, question),
            (true, _) => {
                Line::pass(check, question, format!("in {calls} real calls of the last {DAYS} days"))
            }
        })
    }

    async fn late(&self, calls: usize) -> Result<Line, StoreError> {
        let (check, question) = ("late_calls", "Do real calls come within the window?");
        let late = self.real_calls(Some(Reason::EventTooLate)).await?;
        Ok(match (late, calls) {
            (0, 0) => Self::nobody_called(check, question),
            (0, _) => Line::pass(check, question, format!("in {calls} real calls of the last {DAYS} days")),
            (late, _) => {
                let why = format!("{late} real calls came after `max_delay`");
                Line::fail(check, question, why, Reason::EventTooLate.about().fix)
            }
        })
    }

    async fn paused(&self) -> Result<Line, StoreError> {
        let (check, question) = ("destinations", "Does no destination rest?");
        let slugs = self.slugs();
        if slugs.is_empty() {
            return Ok(Line::unknown(
                check,
                question,
                "no goal sends anywhere",
                "name one in `send_to` of a goal",
            ));
        }
        let states = self.engine.store.destination_states().await?;
        let paused = states.iter().find(|state| state.paused.is_some() && slugs.contains(&state.destination));
        Ok(match paused {
            None => Line::pass(check, question, format!("{} is not paused", slugs.join(", "))),
            Some(state) => {
                let sentence = state.paused.map_or("", |reason| reason.about().sentence);
                let why = format!("`{}`: {sentence}", state.destination);
                Line::fail(check, question, why, "see `crosstally destinations list`")
            }
        })
    }

    async fn deliveries(&self) -> Result<Line, StoreError> {
        let (check, question) = ("deliveries", "Has everything arrived so far?");
        let slugs = self.slugs();
        let counts = self.engine.store.count_deliveries().await?;
        let of = |wanted: &[DeliveryState]| {
            let ours =
                counts.iter().filter(|row| slugs.contains(&row.destination) && wanted.contains(&row.state));
            ours.map(|row| row.count).sum::<u64>()
        };
        let lost = of(&[DeliveryState::Dead, DeliveryState::Expired]);
        Ok(match (lost, of(&[DeliveryState::Delivered])) {
            (0, 0) => Line::unknown(check, question, "nothing was delivered yet", ""),
            (0, arrived) => {
                Line::pass(check, question, format!("{arrived} events arrived, none ended without"))
            }
            (lost, _) => {
                let why = format!("{lost} events ended without arriving");
                Line::fail(check, question, why, "see `crosstally deliveries errors`")
            }
        })
    }

    /// The offers' counts, also of those that no test visitor was drawn to.
    async fn caps_now(&self) -> Result<Line, StoreError> {
        let (check, question) = ("cap_counts", "Is no offer of the campaign full?");
        let offers = self.offers();
        let capped: Vec<_> = offers
            .iter()
            .filter_map(|slug| self.snapshot.offer(slug))
            .filter_map(|offer| Some((offer, offer.cap.as_ref()?)))
            .collect();
        let unseen = self.offers_unseen();
        if capped.is_empty() {
            return Ok(match unseen {
                Some(why) => Line::unknown(check, question, why, SEE_OFFERS),
                None => Line::pass(check, question, "no offer of it has a cap"),
            });
        }
        let taken = self.engine.store.visitors(self.snapshot.zone.day(self.from)).await?;
        let full: Vec<&str> = capped
            .iter()
            .filter(|(offer, cap)| cap.is_full(taken.get(&offer.slug).copied().unwrap_or_default()))
            .map(|(offer, _)| offer.slug.as_str())
            .collect();
        Ok(match (full.is_empty(), unseen) {
            (false, _) => {
                Line::fail(check, question, format!("full: {}", full.join(", ")), Code::CapReached.fix())
            }
            (true, Some(why)) => Line::unknown(check, question, why, SEE_OFFERS),
            (true, None) => Line::pass(check, question, format!("{} with caps have room", capped.len())),
        })
    }

    fn offers(&self) -> Vec<String> {
        let Leads::Paths(paths) = &self.campaign.leads else { return Vec::new() };
        let config = &self.snapshot.config;
        let members =
            config.paths.iter().filter(|path| paths.contains(&path.slug)).flat_map(|path| &path.members);
        members.filter(|member| member.kind == Kind::Offer).map(|member| member.slug.clone()).collect()
    }

    async fn evidence(&self) -> Line {
        let (check, question) = ("evidence", "Can what happens be proved later?");
        match self.engine.evidence_public_key().await {
            Ok(_) => Line::pass(
                check,
                question,
                "evidence packs can be signed; see `crosstally evidence --print-key`",
            ),
            Err(error) => Line::fail(check, question, error.to_string(), "see docs/evidence.md"),
        }
    }
}
