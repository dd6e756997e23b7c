//! How long something took, counted in fixed buckets: what is measured is a few additions to numbers that are there already,
//! and none of it is kept until somebody asks. Whole microseconds, so that nothing is computed with numbers that round.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

/// The upper bounds of the buckets in microseconds, and how they are written in seconds. A call ends after ten seconds.
const BOUNDS: [(u64, &str); 11] = [
    (5_000, "0.005"),
    (10_000, "0.01"),
    (25_000, "0.025"),
    (50_000, "0.05"),
    (100_000, "0.1"),
    (250_000, "0.25"),
    (500_000, "0.5"),
    (1_000_000, "1"),
    (2_500_000, "2.5"),
    (5_000_000, "5"),
    (10_000_000, "10"),
];

/// Those of one label's value.
#[derive(Debug, Default)]
struct Buckets {
    /// Each without those of the buckets before it; the last is what took longer than any bound.
    counts: [AtomicU64; BOUNDS.len() + 1],
    sum_us: AtomicU64,
}

/// A histogram with one label.
#[derive(Debug)]
pub(super) struct Durations {
    name: &'static str,
    label: &'static str,
    by_value: RwLock<BTreeMap<String, Arc<Buckets>>>,
}

impl Durations {
    pub(super) fn new(name: &'static str, label: &'static str) -> Self {
        Self { name, label, by_value: RwLock::default() }
    }

    /// Counts one. The value is one that needs no escaping, as a slug.
    pub(super) fn record(&self, value: &str, took: Duration) {
        let known = self.by_value.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(buckets) = known.get(value) {
            buckets.record(took);
            return;
        }
        drop(known);
        let mut known = self.by_value.write().unwrap_or_else(PoisonError::into_inner);
        known.entry(value.to_owned()).or_default().record(took);
    }

    /// Appends it as Prometheus reads it; nothing before the first was counted.
    pub(super) fn render(&self, text: &mut String) {
        let known = self.by_value.read().unwrap_or_else(PoisonError::into_inner);
        let known: Vec<_> = known.iter().map(|(value, of)| (value.clone(), Arc::clone(of))).collect();
        if known.is_empty() {
            return;
        }
        let Self { name, label, .. } = self;
        writeln!(text, "# TYPE {name} histogram").ok();
        for (value, buckets) in known {
            let sum_us = buckets.sum_us.load(Ordering::Relaxed);
            let mut count = 0;
            let bounds = BOUNDS.iter().map(|(_, bound)| *bound).chain(["+Inf"]);
            for (bound, one) in bounds.zip(&buckets.counts) {
                count += one.load(Ordering::Relaxed);
                writeln!(text, "{name}_bucket{{{label}=\"{value}\",le=\"{bound}\"}} {count}").ok();
            }
            let (seconds, rest) = (sum_us / 1_000_000, sum_us % 1_000_000);
            writeln!(text, "{name}_sum{{{label}=\"{value}\"}} {seconds}.{rest:06}").ok();
            writeln!(text, "{name}_count{{{label}=\"{value}\"}} {count}").ok();
        }
        text.push('\n');
    }
}

impl Buckets {
    fn record(&self, took: Duration) {
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let at = BOUNDS.iter().position(|(bound, _)| us <= *bound).unwrap_or(BOUNDS.len());
        self.counts[at].fetch_add(1, Ordering::Relaxed);
        self.sum_us.fetch_add(us, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_duration_stands_in_its_bucket_and_all_above() {
        let durations = Durations::new("crosstally_waits_seconds", "place");
        let mut text = String::new();
        durations.render(&mut text);
        assert_eq!(text, "", "nothing was counted yet");
        for (place, ms) in [("b", 5), ("a", 0), ("b", 6), ("b", 10_000), ("b", 10_001)] {
            durations.record(place, Duration::from_millis(ms));
        }
        durations.render(&mut text);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 1 + 2 * (BOUNDS.len() + 3) + 1);
        let of_b: Vec<&str> = lines.iter().filter(|line| line.contains("\"b\"")).copied().collect();
        for expected in [
            r#"crosstally_waits_seconds_bucket{place="b",le="0.005"} 1"#,
            r#"crosstally_waits_seconds_bucket{place="b",le="0.01"} 2"#,
            r#"crosstally_waits_seconds_bucket{place="b",le="5"} 2"#,
            r#"crosstally_waits_seconds_bucket{place="b",le="10"} 3"#,
            r#"crosstally_waits_seconds_bucket{place="b",le="+Inf"} 4"#,
            r#"crosstally_waits_seconds_sum{place="b"} 20.012000"#,
            r#"crosstally_waits_seconds_count{place="b"} 4"#,
        ] {
            assert!(of_b.contains(&expected), "{expected} in {text}");
        }
        assert!(lines.contains(&r#"crosstally_waits_seconds_count{place="a"} 1"#), "{text}");
        assert!(lines[0] == "# TYPE crosstally_waits_seconds histogram");
    }

    #[test]
    fn bounds_rise_and_are_written_as_they_are() {
        assert!(BOUNDS.is_sorted());
        for (us, text) in BOUNDS {
            let (whole, part) = text.split_once('.').unwrap_or((text, ""));
            let digits: u64 = format!("{whole}{part:0<6}").parse().expect("digits");
            assert_eq!(digits, us, "{text}");
        }
    }
}
