//! What is known of a visit when it is decided where it goes: what the request says, and what was looked up because a rule
//! or a target asks for it.

use std::borrow::Cow;

use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::device::Device;
use crate::ids::ClickId;
use crate::month::Month;
use crate::params::Params;
use crate::time::Timestamp;

/// Where an address is, by the files that whoever runs the server has.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Place {
    /// The country, an ISO 3166 alpha-2 code.
    pub country: String,
    /// The region's ISO 3166-2 code without its country.
    pub region: String,
    /// The city's English name.
    pub city: String,
    /// The internet provider, or the organisation that has the network.
    pub isp: String,
    /// The network's number.
    pub asn: Option<u32>,
}

/// What has to be looked up, decided when the configuration is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Needs {
    /// Where the visitor's address is.
    pub place: bool,
    /// What the visitor's browser runs on.
    pub device: bool,
    /// Whether the visitor was here before.
    pub returning: bool,
}

impl Needs {
    /// What either needs.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self {
            place: self.place || other.place,
            device: self.device || other.device,
            returning: self.returning || other.returning,
        }
    }

    /// What a name stands for that rules and targets may use.
    #[must_use]
    pub fn of(name: &str) -> Self {
        Self {
            place: matches!(name, "country" | "region" | "city" | "isp" | "asn"),
            device: matches!(name, "device" | "os" | "browser"),
            returning: name == "returning",
        }
    }
}

/// A visit.
#[derive(Debug, Clone, Copy)]
pub struct Visit<'a> {
    /// When.
    pub at: Timestamp,
    /// The time zone in which hours and days are told.
    pub zone: &'a Zone,
    /// The campaign's slug.
    pub campaign: &'a str,
    /// The slug of the campaign's source.
    pub source: &'a str,
    /// The click's parameters.
    pub params: &'a Params,
    /// The `Accept-Language` header.
    pub language: &'a str,
    /// Where the address is; empty if nothing asks for it.
    pub place: &'a Place,
    /// What the browser runs on; empty if nothing asks for it.
    pub device: Device,
    /// Whether the visitor was on this campaign before.
    pub returning: bool,
}

impl<'a> Visit<'a> {
    /// The text that a name stands for; `None` if it is no such name.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<Cow<'a, str>> {
        Some(match name {
            "country" => Cow::Borrowed(self.place.country.as_str()),
            "region" => Cow::Borrowed(self.place.region.as_str()),
            "city" => Cow::Borrowed(self.place.city.as_str()),
            "isp" => Cow::Borrowed(self.place.isp.as_str()),
            "asn" => Cow::Owned(self.place.asn.map(|asn| asn.to_string()).unwrap_or_default()),
            "device" => Cow::Borrowed(self.device.kind),
            "os" => Cow::Borrowed(self.device.os),
            "browser" => Cow::Borrowed(self.device.browser),
            "language" => Cow::Owned(preferred(self.language)),
            "campaign" => Cow::Borrowed(self.campaign),
            "source" => Cow::Borrowed(self.source),
            "day" => Cow::Borrowed(DAYS[self.day()]),
            _ => return None,
        })
    }

    /// The hour of the day in the zone.
    #[must_use]
    pub fn hour(&self) -> u8 {
        u8::try_from(self.local().hour()).unwrap_or(0)
    }

    fn day(&self) -> usize {
        let since_monday = self.local().weekday().to_monday_zero_offset();
        usize::try_from(since_monday).unwrap_or(0)
    }

    fn local(&self) -> jiff::civil::DateTime {
        self.zone.local(self.at)
    }
}

/// A time zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone(TimeZone);

impl Zone {
    /// The zone of this IANA name; UTC if there is none.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self(TimeZone::get(name).unwrap_or(TimeZone::UTC))
    }

    /// The day that a time falls on, as a number such as 20261122.
    #[must_use]
    pub fn day(&self, at: Timestamp) -> i64 {
        let local = self.local(at);
        i64::from(local.year()) * 10_000 + i64::from(local.month()) * 100 + i64::from(local.day())
    }

    /// The month that a time falls in.
    #[must_use]
    pub fn month(&self, at: Timestamp) -> Month {
        let local = self.local(at);
        // Times of other centuries are no times of ours.
        Month::of(local.year(), local.month()).unwrap_or(Month::EARLIEST)
    }

    /// When a month begins.
    #[must_use]
    pub fn begins(&self, month: Month) -> Timestamp {
        let (year, number) = month.parts();
        let midnight = jiff::civil::DateTime::new(year, number, 1, 0, 0, 0, 0).unwrap_or_default();
        let at = self.0.to_timestamp(midnight);
        Timestamp::from_millis(at.map_or(0, |at| at.as_millisecond()))
    }

    /// The minute of the day, from 0.
    #[must_use]
    pub fn minute_of_day(&self, at: Timestamp) -> i64 {
        let local = self.local(at);
        i64::from(local.hour()) * 60 + i64::from(local.minute())
    }

    fn local(&self, at: Timestamp) -> jiff::civil::DateTime {
        let at = jiff::Timestamp::from_millisecond(at.as_millis()).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        self.0.to_datetime(at)
    }
}

/// The days as rules write them.
pub const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// The language that a header names first, in lower case: `de-at` of `de-AT,de;q=0.9`.
#[must_use]
pub fn preferred(header: &str) -> String {
    let first = header.split([',', ';']).next().unwrap_or("").trim();
    let is_tag = first.len() <= 35 && first.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if is_tag { first.to_ascii_lowercase() } else { String::new() }
}

/// The way that a visitor was sent, as it is kept with the click: by which path, to which lander or offer, and what was
/// looked up for it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Way {
    /// The path's slug; empty for a step that came without a click.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub path: String,
    /// The lander's slug, if the visitor went to one.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub lander: String,
    /// The offer's slug, if the visitor went to one.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub offer: String,
    /// The offer that was full, if this one stands for it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub instead_of: String,
    /// See [`Place`].
    #[serde(skip_serializing_if = "String::is_empty")]
    pub country: String,
    /// See [`Place`].
    #[serde(skip_serializing_if = "String::is_empty")]
    pub region: String,
    /// See [`Place`].
    #[serde(skip_serializing_if = "String::is_empty")]
    pub city: String,
    /// See [`Place`].
    #[serde(skip_serializing_if = "String::is_empty")]
    pub isp: String,
    /// See [`Place`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asn: Option<u32>,
    /// See [`Device`].
    #[serde(skip_serializing_if = "String::is_empty")]
    pub device: String,
    /// See [`Device`].
    #[serde(skip_serializing_if = "String::is_empty")]
    pub os: String,
    /// See [`Device`].
    #[serde(skip_serializing_if = "String::is_empty")]
    pub browser: String,
    /// Whether the visitor was here before, if that was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub returning: Option<bool>,
    /// Whether nobody was sent anywhere: the page was reached without a redirect and had the click made for itself.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub direct: bool,
}

impl Way {
    /// Leads to an offer; the one that was asked for may be full.
    pub fn goes_to(&mut self, offer: &str, asked: &str) {
        offer.clone_into(&mut self.offer);
        if offer != asked {
            asked.clone_into(&mut self.instead_of);
        }
    }

    /// The stored form: a JSON object.
    #[must_use]
    pub fn to_stored(&self) -> String {
        serde_json::to_string(self).expect("texts by name are JSON")
    }

    /// Reads the stored form back; what is not one is nothing.
    #[must_use]
    pub fn from_stored(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }
}

/// A step of a click from a lander to an offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The click.
    pub click: ClickId,
    /// When.
    pub at: Timestamp,
    /// The offer that the visitor was sent to.
    pub offer: String,
    /// The offer that was asked for, if it was full.
    pub instead_of: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_preferred_language_is_the_first_that_is_named() {
        for (header, language) in [
            ("de-AT,de;q=0.9,en;q=0.8", "de-at"),
            ("EN", "en"),
            ("fr;q=0.5", "fr"),
            ("", ""),
            ("*", ""),
            ("<script>", ""),
        ] {
            assert_eq!(preferred(header), language, "{header}");
        }
    }

    #[test]
    fn a_day_is_that_of_the_zone() {
        // 2026-11-21 23:30 UTC.
        let at = Timestamp::from_millis(1_795_255_200_000 + 48_600_000);
        for (zone, day) in [("UTC", 20_261_121), ("Europe/Vienna", 20_261_122), ("Nowhere", 20_261_121)] {
            assert_eq!(Zone::named(zone).day(at), day, "{zone}");
        }
    }

    #[test]
    fn a_way_comes_back_as_it_was_and_says_only_what_there_is() {
        let way = Way { path: "rest".into(), offer: "shop".into(), asn: Some(3320), ..Way::default() };
        assert_eq!(way.to_stored(), r#"{"path":"rest","offer":"shop","asn":3320}"#);
        assert_eq!(Way::from_stored(&way.to_stored()), Some(way));
        assert_eq!(Way::from_stored("no"), None);
    }
}
