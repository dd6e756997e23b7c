//! Hop 7: the destinations. Where the endpoint is the sandbox, every event is sent and looked for in its list. A platform
//! gets one event, marked as it marks tests. A destination that has no test mode gets nothing at all.

use std::sync::Arc;

use crosstally_core::event::OutboundEvent;
use crosstally_core::preflight::{Code, Hop, amount_defect};
use crosstally_core::reason::Reason;
use crosstally_core::time::{SECOND_MS, Timestamp};
use crosstally_destinations::consent::Leaving;
use crosstally_destinations::dialect::{NoTest, Settings, TestMode};
use crosstally_store::StoreError;
use serde_json::Value;
use url::Url;

use super::door::request;
use super::{Gone, Run};
use crate::http_out::SendOptions;
use crate::snapshot::ReadyDestination;

/// The code that a sandbox gets where none is set: it takes any.
const SANDBOX_CODE: &str = "TEST00001";
/// Bytes of a sandbox's list that are read.
const LIST_BYTES_MAX: usize = 256 * 1024;

/// How a destination may be tried.
enum Way {
    /// It is a sandbox: its address, and the settings to send with.
    Sandbox(String, Settings),
    /// The platform is told that it is a test.
    Test(Settings, String),
    /// Not at all.
    No(String),
}

impl Run<'_> {
    pub(super) async fn destination(&mut self, gone: &mut Gone) -> Result<(), StoreError> {
        let mut slugs: Vec<String> = Vec::new();
        for action in &self.actions {
            for event in &action.events {
                let goal = self.goals.iter().find(|goal| goal.slug == event.goal);
                let new =
                    goal.into_iter().flat_map(|goal| &goal.send_to).filter(|slug| !slugs.contains(slug));
                let new: Vec<String> = new.cloned().collect();
                slugs.extend(new);
            }
        }
        if slugs.is_empty() {
            *gone = Gone::not("no event would go to a destination");
            return Ok(());
        }
        let states = self.engine.store.destination_states().await?;
        let mut checked = 0;
        for slug in slugs {
            if self.is_late() {
                self.too_slow(Hop::Destination);
                break;
            }
            let Some(ready) = self.snapshot.destination(&slug).cloned() else { continue };
            let paused = states.iter().find(|state| state.destination == slug).and_then(|state| state.paused);
            let is_same = |digest: &str| digest == ready.digest;
            let known = states
                .iter()
                .find(|state| state.destination == slug)
                .map(|state| state.settings_digest.as_str());
            if let Some(reason) = paused.filter(|_| known.is_some_and(is_same)) {
                let code =
                    if reason == Reason::DestAuth { Code::TokenExpired } else { Code::DestinationPaused };
                let problem = format!("`{slug}` is paused: {}", reason.about().sentence);
                self.defect(code, Hop::Destination, problem);
                continue;
            }
            if !ready.missing_secrets.is_empty() {
                let missing = ready.missing();
                self.defect(
                    Code::SecretMissing,
                    Hop::Destination,
                    format!("`{slug}`: {missing} cannot be read here"),
                );
                continue;
            }
            let events = self.leaving_for(&ready);
            if events.is_empty() {
                gone.note(format!("{slug}: not checked: the visitors' consent lets no event go there"));
                continue;
            }
            match self.way(&ready).await {
                Way::No(why) => gone.note(format!("{slug}: not checked: {why}")),
                Way::Sandbox(endpoint, settings) => {
                    checked += 1;
                    self.try_all(&ready, &settings, Some(&endpoint), events, gone).await;
                }
                Way::Test(settings, words) => {
                    checked += 1;
                    gone.note(format!("{slug}: one event, sent as {words}"));
                    let first = events.into_iter().take(1).collect();
                    self.try_all(&ready, &settings, None, first, gone).await;
                }
            }
        }
        gone.not_checked = checked == 0;
        Ok(())
    }

    /// The events that would go to a destination, as far as the visitors' consent lets them.
    fn leaving_for(&self, ready: &ReadyDestination) -> Vec<OutboundEvent> {
        let slug = ready.config.slug.as_str();
        let goes = |goal: &str| {
            self.goals.iter().any(|known| known.slug == goal && known.send_to.iter().any(|to| to == slug))
        };
        let events = self.actions.iter().flat_map(|action| &action.events);
        events
            .filter(|event| goes(&event.goal))
            .filter_map(|event| match ready.leaving(&event.event, &self.engine.geo) {
                Leaving::InFull => Some(event.event.clone()),
                Leaving::Limited { event, .. } => Some(*event),
                Leaving::Withheld { .. } => None,
            })
            .collect()
    }

    /// How a destination may be tried.
    async fn way(&self, ready: &ReadyDestination) -> Way {
        let code = self.wanted.code.as_deref();
        if let Some(endpoint) = self.sandbox(ready).await {
            let settings = match ready.dialect.for_test(&ready.settings, code.or(Some(SANDBOX_CODE))) {
                Ok(settings) => settings,
                Err(_) => ready.settings.clone(),
            };
            return Way::Sandbox(endpoint, settings);
        }
        match ready.dialect.for_test(&ready.settings, code) {
            Ok(settings) => {
                let words = match ready.dialect.test_mode() {
                    TestMode::Code { counts: true, .. } => "a test, which counts all the same",
                    _ => "a test",
                };
                Way::Test(settings, words.to_owned())
            }
            Err(NoTest::Missing(_)) => Way::No("has no test mode".to_owned()),
            Err(NoTest::NeedsCode(from)) => {
                Way::No(format!("its tests need a code; copy it from {from} and give it with --code"))
            }
            Err(NoTest::WrongCode(problem)) => Way::No(format!("the code {problem}")),
        }
    }

    /// The sandbox behind a destination's endpoint, if it is one.
    async fn sandbox(&self, ready: &ReadyDestination) -> Option<String> {
        let text = ready.settings.text("endpoint").or_else(|| ready.settings.text("url"))?;
        let origin = Url::parse(text).ok()?.origin().ascii_serialization();
        let index = self.list(ready, &format!("{origin}/_sandbox")).await?;
        let is_sandbox = index.get("platforms").is_some_and(Value::is_array) && index.get("look").is_some();
        is_sandbox.then_some(origin)
    }

    async fn list(&self, ready: &ReadyDestination, url: &str) -> Option<Value> {
        let options = SendOptions {
            deadline_ms: 3_000,
            allow_private: ready.config.allow_private,
            read_bytes_max: LIST_BYTES_MAX,
        };
        let asked = request("GET", url.to_owned(), Vec::new(), Vec::new());
        let answer = self.engine.http_out.send(&asked, options).await.ok()?;
        serde_json::from_slice(&answer.body).ok().filter(|_| answer.status == 200)
    }

    /// Sends events; what a sandbox gets is looked for in its list.
    async fn try_all(
        &mut self,
        ready: &Arc<ReadyDestination>,
        settings: &Settings,
        sandbox: Option<&str>,
        events: Vec<OutboundEvent>,
        gone: &mut Gone,
    ) {
        let slug = ready.config.slug.as_str();
        for event in events {
            let amount = amount_of(&event);
            gone.expected.add(amount, Some(event.event_time));
            if self.is_late() {
                self.too_slow(Hop::Destination);
                break;
            }
            let tried = self.engine.try_event(ready, settings.clone(), event.clone()).await;
            self.skews.extend(
                tried
                    .date
                    .as_deref()
                    .and_then(Timestamp::of_http_date)
                    .map(|theirs| (slug.to_owned(), self.engine.clock.now().millis_since(theirs))),
            );
            if !matches!(tried.reason, Reason::Delivered | Reason::AcceptedUnverified) {
                self.refused(slug, tried.reason, &tried.detail);
                break;
            }
            if self.shown.took.iter().all(|known| known != slug) {
                self.shown.took.push(slug.to_owned());
            }
            match sandbox {
                None => gone.found.add(amount, Some(event.event_time)),
                Some(endpoint) => self.look(ready, endpoint, &event, gone).await,
            }
        }
    }

    fn refused(&mut self, slug: &str, reason: Reason, detail: &str) {
        let code = match reason {
            Reason::DestAuth => Code::TokenExpired,
            Reason::DestPermission | Reason::DestMisconfigured | Reason::DestGone => Code::PixelIdWrong,
            Reason::DestUnreachable
            | Reason::DestTimeout
            | Reason::DestServerError
            | Reason::AddressForbidden => Code::DestinationUnreachable,
            Reason::EventIncomplete => Code::EventIncomplete,
            _ => Code::DestinationRefused,
        };
        let problem = format!("`{slug}`: {} {detail}", reason.about().sentence);
        self.defect(code, Hop::Destination, problem);
    }

    /// Looks for an event in the sandbox's list.
    async fn look(
        &mut self,
        ready: &ReadyDestination,
        endpoint: &str,
        event: &OutboundEvent,
        gone: &mut Gone,
    ) {
        let slug = ready.config.slug.as_str();
        let id: String = url::form_urlencoded::byte_serialize(event.event_id.as_bytes()).collect();
        let url = format!("{endpoint}/_sandbox/events?platform={}&event_id={id}&limit=10", ready.config.kind);
        let list = self.list(ready, &url).await;
        let rows = list.as_ref().and_then(|list| list.get("data")).and_then(Value::as_array);
        let server = rows
            .into_iter()
            .flatten()
            .filter(|row| row.get("source").is_none_or(|source| source == "server"));
        let rows: Vec<&Value> = server.collect();
        // Two goals may tell one sale under one id: the row with this event's amount is meant, if there is one.
        let arrived_of =
            |row: &Value| row.get("event").and_then(|event| arrived_amount(&ready.config.kind, event));
        let same = rows.iter().find(|row| arrived_of(row) == Some(amount_of(event)));
        let Some(row) = same.or(rows.first()) else {
            // Kinds without ids in what they send cannot be looked up one by one.
            if matches!(ready.config.kind.as_str(), "meta" | "tiktok" | "snapchat" | "pinterest" | "reddit") {
                let problem = format!("`{slug}` confirmed {} and does not list it", event.event_id);
                self.defect(Code::DestinationLost, Hop::Destination, problem);
            } else {
                gone.found.add(amount_of(event), Some(event.event_time));
            }
            return;
        };
        let arrived = row.get("event").unwrap_or(&Value::Null);
        let amount = arrived_amount(&ready.config.kind, arrived).unwrap_or_else(|| amount_of(event));
        let at = arrived
            .get("event_time")
            .and_then(Value::as_i64)
            .map(|seconds| Timestamp::from_millis(seconds * 1_000));
        // Whole seconds are as exact as it gets there.
        let differs = |at: &Timestamp| at.millis_since(event.event_time).abs() >= SECOND_MS;
        let at = at.filter(|at| ready.config.kind == "meta" && differs(at));
        gone.found.add(amount, Some(at.unwrap_or(event.event_time)));
        if let Some(sent) = amount_of(event)
            && let Some(code) = amount_defect(sent, amount)
        {
            self.defect(code, Hop::Destination, format!("`{slug}` lists another amount than was sent"));
        }
    }
}

fn amount_of(event: &OutboundEvent) -> Option<(i64, crosstally_core::money::Currency)> {
    let currency = event.currency.as_deref()?.parse::<crosstally_core::money::Currency>().ok()?;
    Some((currency.parse_minor(event.value.as_deref()?).ok()?, currency))
}

/// The amount as the platform has it; nothing for kinds whose form is not known here.
fn arrived_amount(kind: &str, event: &Value) -> Option<Option<(i64, crosstally_core::money::Currency)>> {
    let part = match kind {
        "meta" | "snapchat" | "pinterest" => event.get("custom_data"),
        "tiktok" => event.get("properties"),
        _ => return None,
    };
    let read = || {
        let part = part?;
        let currency = part.get("currency")?.as_str()?.parse::<crosstally_core::money::Currency>().ok()?;
        let value = match part.get("value")? {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            _ => return None,
        };
        let value = if value.contains('.') && currency.exponent() == 0 {
            value.split('.').next()?.to_owned()
        } else {
            value
        };
        Some((currency.parse_minor(&value).ok()?, currency))
    };
    Some(read())
}
