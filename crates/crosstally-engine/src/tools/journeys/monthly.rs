//! The review of the month before, put together once a month by itself: a run for each partner of which a call booked something.
//! A partner's month is taken by one node; a review that broke off is taken again after a while, by whoever comes.

use crosstally_core::time::{DAY_MS, HOUR_MS, MINUTE_MS};
use crosstally_core::tools::shown;
use crosstally_store::{Claim, StoreError, ToolRun};
use serde_json::{Value, json};

use super::{Span, Wanted};
use crate::Engine;
use crate::tools::{Call, JOURNEYS_REVIEW, Unable};

/// How long after a month's end it is reviewed: what came in its last minutes and waited for its click has found it by then.
const DUE_AFTER_MS: i64 = 6 * HOUR_MS;
/// After how long a review that was begun and not ended may be begun anew.
const STALE_MS: i64 = 10 * MINUTE_MS;
/// By how much a claim says that it is younger than it is: keys are forgotten after a day, and a month's claim must outlive the
/// month in which it is made.
const KEPT_LONGER_MS: i64 = 40 * DAY_MS;
/// The status under which a review is noted as done.
const DONE: u16 = 200;
/// Kept runs that are looked at in one go.
const RUNS: u32 = 20;
/// Who makes them.
const AUTHOR: &str = "monthly review";

impl Engine {
    /// Reviews the month before for each partner for which nobody did. Tells how many were.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn review_the_month_before(&self) -> Result<usize, StoreError> {
        let snapshot = self.snapshot.load_full();
        let month = snapshot.zone.month(self.clock.now()).before();
        let mut reviewed = 0;
        for partner in &snapshot.config.partners {
            // Read anew for each: a claim is as old as it says, and the review before took its time.
            let now = self.clock.now();
            let span = Span::of(month, &snapshot.zone, now);
            if now < span.to.plus_millis(DUE_AFTER_MS) || self.door.is_closing() {
                break;
            }
            let key = format!("journeys\n{}\n{month}", partner.slug);
            let (at, stale) = (now.plus_millis(KEPT_LONGER_MS), now.plus_millis(KEPT_LONGER_MS - STALE_MS));
            if self.store.claim_key(key.clone(), [0; 32], at, stale).await? != Claim::Mine {
                continue;
            }
            let had_calls = self.store.count_calls_of(partner.slug.clone(), span.hours()).await? > 0;
            if had_calls {
                let wanted = Wanted { partner: Some(partner.slug.clone()), month: Some(month.to_string()) };
                let Some(made) = self.review_by_itself(wanted, span).await else { continue };
                reviewed += made;
            }
            self.store.answer_key(key, Some((DONE, String::new()))).await?;
        }
        Ok(reviewed)
    }

    /// Whether it is kept already: whoever made it may have died before it was noted as done.
    async fn is_reviewed(&self, wanted: &Wanted, span: Span) -> Result<bool, StoreError> {
        let asked = shown::masked(&json!(wanted));
        let is_it = |run: &ToolRun| {
            run.author == AUTHOR && serde_json::from_str::<Value>(&run.request).is_ok_and(|it| it == asked)
        };
        let mut before = None;
        loop {
            let runs = self.store.list_tool_runs(Some(JOURNEYS_REVIEW.to_owned()), before, RUNS).await?;
            if runs.iter().any(is_it) {
                return Ok(true);
            }
            // None was made by itself before the month was over.
            match runs.last() {
                Some(last) if last.at >= span.to => before = Some(last.id),
                _ => return Ok(false),
            }
        }
    }

    /// How many were made and kept, which is none where one is kept already or nobody can make it. Nothing of one that broke
    /// off: it stays open, and is begun anew when its claim is stale.
    async fn review_by_itself(&self, wanted: Wanted, span: Span) -> Option<usize> {
        let request = json!(wanted);
        let partner = wanted.partner.clone().unwrap_or_default();
        let month = wanted.month.clone().unwrap_or_default();
        let made = match self.is_reviewed(&wanted, span).await {
            Ok(true) => return Some(0),
            Ok(false) => self.run_tool(JOURNEYS_REVIEW, &request, &Call::Journeys(wanted), AUTHOR).await,
            Err(error) => Err(Unable::Store(error)),
        };
        match made {
            Ok(answer) => {
                let run = answer.get("run").and_then(Value::as_str).unwrap_or_default();
                let rows =
                    |name: &str| answer.pointer(&format!("/reviews/0/{name}")).and_then(Value::as_array);
                let (journeys, missing) =
                    (rows("journeys").map_or(0, Vec::len), rows("missing").map_or(0, Vec::len));
                tracing::info!(
                    partner,
                    month,
                    run,
                    journeys,
                    missing,
                    "the month's journeys were put together"
                );
                Some(1)
            }
            // Nobody can make it: the partner was taken out meanwhile.
            Err(Unable::Call(problem)) => {
                tracing::warn!(partner, month, problem = %problem, "the month's journeys cannot be put together");
                Some(0)
            }
            Err(Unable::Store(error)) => {
                tracing::warn!(partner, month, error = %error, "the month's journeys broke off, and are put together later");
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::sync::Arc;

    use crosstally_core::time::Timestamp;
    use crosstally_store::{Location, OpenOptions, Store};

    use super::*;
    use crate::clock::FakeClock;
    use crate::open::Parts;
    use crate::random::Random;
    use crate::secrets::FixedSecrets;

    #[tokio::test]
    async fn what_nobody_can_make_is_done_and_not_counted() {
        let folder = tempfile::tempdir().unwrap();
        let options = OpenOptions::at(Location::Directory(folder.path().join("data")));
        let engine = Engine::build(Parts {
            store: Store::open(options).await.unwrap(),
            clock: Arc::new(FakeClock::at(Timestamp::from_millis(1_764_201_600_000))),
            random: Random::seeded(1),
            secret_source: Arc::new(FixedSecrets::default()),
            master_key: None,
            spool: folder.path(),
        })
        .await
        .unwrap();
        let (zone, now) = (engine.snapshot.load().zone.clone(), engine.clock.now());
        let month = zone.month(now).before();
        // It was taken out of the configuration after its review was begun.
        let wanted = Wanted { partner: Some("gone".into()), month: Some(month.to_string()) };
        assert_eq!(engine.review_by_itself(wanted, Span::of(month, &zone, now)).await, Some(0));
        assert_eq!(engine.store.list_tool_runs(None, None, RUNS).await.unwrap(), []);
    }
}
