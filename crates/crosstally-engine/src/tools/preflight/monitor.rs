//! Pre-flights that are flown once a day by themselves. A day's run is taken by one node; one that broke off is taken
//! again after a while. The result stands among the tools' runs, in the log and in a metric.

use crosstally_core::preflight::monitor::Monitor;
use crosstally_core::time::MINUTE_MS;
use crosstally_store::{Claim, StoreError};
use serde_json::{Value, json};

use super::Wanted;
use crate::Engine;
use crate::metrics::Name;
use crate::tools::{Call, PREFLIGHT_RUN, Unable};

/// After how long a run that was begun and not ended may be begun anew.
const STALE_MS: i64 = 10 * MINUTE_MS;
/// The status under which a day's run is noted as done.
const DONE: u16 = 200;

impl Engine {
    /// Flies what is due and was not flown today. Tells how many were.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn fly_nightly(&self) -> Result<usize, StoreError> {
        let snapshot = self.snapshot.load_full();
        let now = self.clock.now();
        let mut flown = 0;
        for monitor in &snapshot.config.preflights {
            if snapshot.zone.minute_of_day(now) < i64::from(monitor.at_minute) {
                continue;
            }
            let key = format!("preflight\n{}\n{}", monitor.slug, snapshot.zone.day(now));
            let stale = now.plus_millis(-STALE_MS);
            if self.store.claim_key(key.clone(), [0; 32], now, stale).await? != Claim::Mine {
                continue;
            }
            if !self.fly(monitor).await {
                continue;
            }
            self.store.answer_key(key, Some((DONE, String::new()))).await?;
            flown += 1;
        }
        Ok(flown)
    }

    /// Whether it was flown to its end; one that broke off stays open, and is begun anew when its claim is stale.
    async fn fly(&self, monitor: &Monitor) -> bool {
        let slug = monitor.slug.as_str();
        let wanted = wanted(monitor);
        let request = json!(wanted);
        let call = Call::Preflight(Box::new(wanted));
        let author = format!("preflight {slug}");
        let ran = self.run_tool(PREFLIGHT_RUN, &request, &call, &author).await;
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
