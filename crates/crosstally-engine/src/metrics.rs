//! Every metric, by name, in one place. Labels are bounded: slugs of the configuration, verdicts, codes, outcomes.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use metrics::{Key, Label, Level, Metadata, Recorder};
use metrics_exporter_prometheus::{PrometheusHandle, PrometheusRecorder};

mod durations;

use durations::Durations;

static METADATA: Metadata<'static> = Metadata::new("crosstally", Level::INFO, None);

/// The counters and gauges of one process. Each server has its own, so that tests do not share them.
#[derive(Clone)]
pub struct Metrics {
    recorder: Arc<PrometheusRecorder>,
    handle: PrometheusHandle,
    of_partners: Arc<RwLock<HashMap<String, OfPartner>>>,
    calls: Arc<Durations>,
    /// Clicks stored before their redirect; the hot path's own counter.
    pub clicks_stored: metrics::Counter,
}

/// A partner's counters, by name and the value of their other label. Finding one there makes no text.
type OfPartner = HashMap<(Name, &'static str), metrics::Counter>;

impl std::fmt::Debug for Metrics {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Metrics(..)")
    }
}

/// How long calls to destinations take, from the request's start to the answer's end or the failure: a histogram.
const DELIVERY_DURATION: &str = "crosstally_delivery_duration_seconds";

/// Every metric but that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Name {
    /// Clicks captured, by how: `stored`, `spooled`, `lost`.
    Clicks,
    /// Steps from landers to offers, by how: `stored`, `spooled`, `lost`, `test`.
    Steps,
    /// Click links that were read as they were meant, not as they were written.
    LinksHealed,
    /// Parameters of clicks that hold a macro which nobody filled in, by campaign. They are not passed on.
    MacrosUnresolved,
    /// Inbound postbacks, by partner and verdict.
    Postbacks,
    /// Authenticated postbacks, by partner and by what they showed: `token_header`, `token_query`, `secret`, `old_secret`.
    PostbacksShown,
    /// Postbacks over a budget, by partner and outcome: `queued`, `turned_away`. Those turned away share a receipt a second.
    PostbacksLimited,
    /// Receipts that are stored, by partner and verdict: the balance. Whoever is not configured is `(others)`.
    Receipts,
    /// The same, whatever the verdict, by partner.
    ReceiptsReceived,
    /// By how many the receipts of the last full hour differ from those counted in it; 0 as long as the balance holds.
    ReceiptsUnbalanced,
    /// The end of the hour that was checked last, in seconds since 1970.
    ReceiptsCheckedUntil,
    /// Receipts that were read again, by cause.
    Replays,
    /// Delivery attempts, by destination and outcome.
    DeliveryAttempts,
    /// Deliveries that stand somewhere, by destination and state.
    Deliveries,
    /// Age of the oldest due delivery in seconds, by destination.
    DeliveryOldestAge,
    /// Whether a destination is paused, by destination.
    DestinationPaused,
    /// Whether the calls to a destination come to nothing one after the other, by destination.
    DestinationFailing,
    /// Requests answered, by door and status.
    Requests,
    /// Connections that ended before a request was read or answered, by door and reason: `unreadable` (no HTTP, or lengths
    /// that contradict each other), `too_large` (its head), `timeout` (also idle ones), `broke_off`.
    ConnectionsBroken,
    /// Clicks waiting in the spool.
    SpoolClicks,
    /// Events that browsers told, by outcome: `recorded`, `repeated`, `refused`, `test`.
    BrowserEvents,
    /// Whether the last pre-flight that was flown by itself found nothing wrong, by its name.
    PreflightPassed,
    /// Rows of which a class of fields was emptied, by class and place.
    Purged,
    /// How long ago the oldest row that is not looked at yet was to be purged, in seconds, by class and place.
    PurgeLag,
    /// Strings of consent frameworks that came malformed and count as absent, by parameter; of clicks, when a goal is met.
    ConsentMalformed,
    /// The version of the configuration in force.
    ConfigVersion,
    /// Always 1; which version of the program this is.
    BuildInfo,
}

impl Name {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Clicks => "crosstally_clicks_total",
            Self::Steps => "crosstally_steps_total",
            Self::LinksHealed => "crosstally_links_healed_total",
            Self::MacrosUnresolved => "crosstally_macros_unresolved_total",
            Self::Postbacks => "crosstally_postbacks_total",
            Self::PostbacksShown => "crosstally_postbacks_shown_total",
            Self::PostbacksLimited => "crosstally_postbacks_limited_total",
            Self::Receipts => "crosstally_receipts",
            Self::ReceiptsReceived => "crosstally_receipts_received",
            Self::ReceiptsUnbalanced => "crosstally_receipts_unbalanced",
            Self::ReceiptsCheckedUntil => "crosstally_receipts_checked_until_seconds",
            Self::Replays => "crosstally_replays_total",
            Self::DeliveryAttempts => "crosstally_delivery_attempts_total",
            Self::Deliveries => "crosstally_deliveries",
            Self::DeliveryOldestAge => "crosstally_delivery_oldest_age_seconds",
            Self::DestinationPaused => "crosstally_destination_paused",
            Self::DestinationFailing => "crosstally_destination_failing",
            Self::Requests => "crosstally_http_requests_total",
            Self::ConnectionsBroken => "crosstally_http_connections_broken_total",
            Self::SpoolClicks => "crosstally_spool_clicks",
            Self::BrowserEvents => "crosstally_browser_events_total",
            Self::PreflightPassed => "crosstally_preflight_passed",
            Self::Purged => "crosstally_purged_total",
            Self::PurgeLag => "crosstally_purge_lag_seconds",
            Self::ConsentMalformed => "crosstally_consent_malformed_total",
            Self::ConfigVersion => "crosstally_config_version",
            Self::BuildInfo => "crosstally_build_info",
        }
    }
}

impl Default for Metrics {
    fn default() -> Self {
        let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        let stored = Self::key(Name::Clicks, &[("mode", "stored")]);
        let clicks_stored = recorder.register_counter(&stored, &METADATA);
        let calls = Arc::new(Durations::new(DELIVERY_DURATION, "destination"));
        let made =
            Self { recorder: Arc::new(recorder), handle, of_partners: Arc::default(), calls, clicks_stored };
        made.set(Name::BuildInfo, &[("version", env!("CARGO_PKG_VERSION"))], 1);
        made
    }
}

impl Metrics {
    fn key(name: Name, labels: &[(&'static str, &str)]) -> Key {
        let labels: Vec<Label> =
            labels.iter().map(|(name, value)| Label::new(*name, (*value).to_owned())).collect();
        Key::from_parts(name.as_str(), labels)
    }

    /// A counter that is looked up once and then costs one atomic addition.
    pub fn counter(&self, name: Name, labels: &[(&'static str, &str)]) -> metrics::Counter {
        self.recorder.register_counter(&Self::key(name, labels), &METADATA)
    }

    /// Adds to a counter.
    pub fn count(&self, name: Name, labels: &[(&'static str, &str)], by: u64) {
        self.counter(name, labels).increment(by);
    }

    /// Adds one to a counter that has a partner and one more label: what every postback does.
    pub fn count_for(&self, name: Name, partner: &str, (label, value): (&'static str, &'static str)) {
        let known = self.of_partners.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(counter) = known.get(partner).and_then(|counters| counters.get(&(name, value))) {
            counter.increment(1);
            return;
        }
        drop(known);
        let counter = self.counter(name, &[("partner", partner), (label, value)]);
        counter.increment(1);
        let mut known = self.of_partners.write().unwrap_or_else(PoisonError::into_inner);
        known.entry(partner.to_owned()).or_default().insert((name, value), counter);
    }

    /// Sets a gauge to a whole number.
    pub fn set(&self, name: Name, labels: &[(&'static str, &str)], value: u32) {
        self.recorder.register_gauge(&Self::key(name, labels), &METADATA).set(f64::from(value));
    }

    /// Sets a gauge to a count, which may be large. Exact up to 2^53, which is all that a gauge can hold.
    pub fn set_count(&self, name: Name, labels: &[(&'static str, &str)], value: u64) {
        // Read from its digits: nothing is computed with numbers that round.
        let value: f64 = value.to_string().parse().expect("the digits of a whole number are a number");
        self.recorder.register_gauge(&Self::key(name, labels), &METADATA).set(value);
    }

    /// Notes how long a call to a destination took, answered or not.
    pub fn call_took(&self, destination: &str, took: Duration) {
        self.calls.record(destination, took);
    }

    /// The text of `/metrics`.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = self.handle.render();
        self.calls.render(&mut text);
        text
    }
}
