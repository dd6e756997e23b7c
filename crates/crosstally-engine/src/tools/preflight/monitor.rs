//! Pre-flights that are flown once a day by themselves. A day's run is taken by one node; one that broke off is taken
//! again after a while. The result stands among the tools' runs, in the log and in a metric.

use crosstally_core::preflight::monitor::Monitor;
use crosstally_core::time::{HOUR_MS, MINUTE_MS, Timestamp};
use crosstally_core::visit::Zone;
use crosstally_store::{Claim, StoreError};
use serde_json::{Value, json};

use super::Wanted;
use super::door::Base;
use crate::Engine;
use crate::metrics::Name;
use crate::tools::{Call, PREFLIGHT_RUN, Unable};

/// After how long a run that was begun and not ended may be begun anew.
const STALE_MS: i64 = 10 * MINUTE_MS;
/// How long after midnight yesterday's run may still be begun: one that broke off shortly before it.
const AFTER_MIDNIGHT_MS: i64 = 2 * STALE_MS;
/// By how much a day's claim says that it is younger than it is: keys are forgotten after a day, and there are days with an
/// hour more.
const KEPT_LONGER_MS: i64 = 3 * HOUR_MS;
/// How many minutes a node without a door leaves a run to those that have one, before it says that nobody can fly it.
const LEFT_TO_OTHERS: i64 = 60;
/// The last minute at which a day's run becomes due.
const LAST_MINUTE: i64 = 24 * 60 - 10;
/// The status under which a day's run is noted as done.
const DONE: u16 = 200;

impl Engine {
    /// Flies what is due and was not flown today. Tells how many were.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn fly_nightly(&self) -> Result<usize, StoreError> {
        let snapshot = self.snapshot.load_full();
        let mut flown = 0;
        for monitor in &snapshot.config.preflights {
            // Read anew for each: a claim is as old as it says, and the flight before took its time.
            let now = self.clock.now();
            let wanted = wanted(monitor);
            let can_fly = Base::of(self, &wanted, &snapshot).is_ok();
            let Some(day) = due(i64::from(monitor.at_minute), can_fly, now, &snapshot.zone) else { continue };
            if self.door.is_closing() {
                break;
            }
            let key = format!("preflight\n{}\n{day}", monitor.slug);
            let (at, stale) = (now.plus_millis(KEPT_LONGER_MS), now.plus_millis(KEPT_LONGER_MS - STALE_MS));
            if self.store.claim_key(key.clone(), [0; 32], at, stale).await? != Claim::Mine {
                continue;
            }
            let ended = tokio::select! {
                biased;
                // What a door that closes no longer takes says nothing of the funnel: whoever comes next flies the run.
                () = self.door.closed() => None,
                ended = self.fly(&monitor.slug, wanted) => Some(ended),
            };
            match ended {
                None => self.store.answer_key(key, None).await?,
                Some(false) => {}
                Some(true) => {
                    self.store.answer_key(key, Some((DONE, String::new()))).await?;
                    flown += 1;
                }
            }
        }
        Ok(flown)
    }

    /// Whether it was flown to its end; one that broke off stays open, and is begun anew when its claim is stale.
    async fn fly(&self, slug: &str, wanted: Wanted) -> bool {
        let request = json!(wanted);
        let call = Call::Preflight(Box::new(wanted));
        let author = format!("preflight {slug}");
        let mut ran = self.run_tool(PREFLIGHT_RUN, &request, &call, &author).await;
        if let Err(Unable::Call(problem)) = &ran {
            // Found where every other result is looked for.
            let told = json!({ "ok": false, "problems": [problem.to_string()] });
            if let Err(error) = self.keep_run(PREFLIGHT_RUN, &request, &told, false, &author).await {
                ran = Err(error.into());
            }
        }
        let passed = ran.as_ref().is_ok_and(|answer| answer.get("ok") == Some(&Value::Bool(true)));
        self.metrics.set(Name::PreflightPassed, &[("preflight", slug)], u32::from(passed));
        let has_ended = !matches!(ran, Err(Unable::Store(_)));
        match ran {
            Ok(answer) if passed => {
                tracing::info!(
                    preflight = slug,
                    run = text(&answer, "run"),
                    "the pre-flight found nothing wrong"
                );
            }
            Ok(answer) => {
                let defects = answer.get("defects").and_then(Value::as_array);
                let codes: Vec<&str> =
                    defects.into_iter().flatten().map(|defect| text(defect, "code")).collect();
                let (run, codes) = (text(&answer, "run"), codes.join(", "));
                tracing::warn!(preflight = slug, run, codes, "the pre-flight found something wrong");
            }
            Err(Unable::Call(problem)) => {
                tracing::warn!(preflight = slug, problem = %problem, "the pre-flight cannot be flown");
            }
            Err(Unable::Store(error)) => {
                tracing::warn!(preflight = slug, error = %error, "the pre-flight broke off, and is flown again later");
            }
        }
        has_ended
    }
}

/// The day whose run is due: today's from its minute on, and shortly after midnight still yesterday's.
fn due(at_minute: i64, can_fly: bool, now: Timestamp, zone: &Zone) -> Option<i64> {
    let from = if can_fly { at_minute } else { (at_minute + LEFT_TO_OTHERS).min(LAST_MINUTE).max(at_minute) };
    if zone.minute_of_day(now) >= from {
        return Some(zone.day(now));
    }
    let before = zone.day(now.plus_millis(-AFTER_MIDNIGHT_MS));
    (can_fly && before != zone.day(now)).then_some(before)
}

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn wanted(monitor: &Monitor) -> Wanted {
    let Monitor { base, lander, postback, status, event, partner, campaign, .. } = monitor.clone();
    Wanted {
        campaign,
        partner,
        actions: monitor.actions.and_then(|actions| usize::try_from(actions).ok()),
        base,
        lander,
        postback,
        status,
        event,
        currency: monitor.currency.map(|currency| currency.code().to_owned()),
        params: monitor.params.clone().unwrap_or_default(),
        user_agent: None,
        code: None,
        allow_private: monitor.allow_private,
        browser: false,
    }
}
