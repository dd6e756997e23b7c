//! Time as UTC milliseconds. There is no `now` here: time is an argument.

use std::fmt;

/// A moment: milliseconds since 1970-01-01 UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

/// One second in milliseconds.
pub const SECOND_MS: i64 = 1_000;
/// One minute in milliseconds.
pub const MINUTE_MS: i64 = 60 * SECOND_MS;
/// One hour in milliseconds.
pub const HOUR_MS: i64 = 60 * MINUTE_MS;
/// One day in milliseconds.
pub const DAY_MS: i64 = 24 * HOUR_MS;

// The years 2000 to 2199: outside them a partner's number is not a date but another field in the wrong place.
const EARLIEST_MS: i64 = 946_684_800_000;
const LATEST_MS: i64 = 7_258_118_400_000;

impl Timestamp {
    /// Takes UTC milliseconds.
    #[must_use]
    pub const fn from_millis(ms: i64) -> Self {
        Self(ms)
    }

    /// The start of its hour.
    #[must_use]
    pub const fn hour(self) -> Self {
        Self::from_millis(self.as_millis().div_euclid(HOUR_MS) * HOUR_MS)
    }

    /// The UTC milliseconds.
    #[must_use]
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Whole seconds, rounded down.
    #[must_use]
    pub const fn as_seconds(self) -> i64 {
        self.0.div_euclid(SECOND_MS)
    }

    /// This moment plus some milliseconds; stops at the ends of the range instead of wrapping.
    #[must_use]
    pub const fn plus_millis(self, ms: i64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// Milliseconds from `earlier` to this moment.
    #[must_use]
    pub const fn millis_since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// The year in UTC.
    #[must_use]
    pub fn year(self) -> i16 {
        jiff::Timestamp::from_millisecond(self.0)
            .map_or(1970, |at| at.to_zoned(jiff::tz::TimeZone::UTC).year())
    }

    /// Reads what partners send as a time: Unix seconds, Unix milliseconds, RFC 3339, or `YYYY-MM-DD HH:MM:SS` in UTC.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if !text.is_empty() && text.len() <= 13 && text.bytes().all(|b| b.is_ascii_digit()) {
            let number: i64 = text.parse().ok()?;
            let ms = if text.len() <= 10 { number.checked_mul(SECOND_MS)? } else { number };
            return Self(ms).plausible();
        }
        if text.len() > 40 {
            return None;
        }
        if let Ok(at) = text.parse::<jiff::Timestamp>() {
            return Self(at.as_millisecond()).plausible();
        }
        let civil: jiff::civil::DateTime = text.parse().ok()?;
        let zoned = civil.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
        Self(zoned.timestamp().as_millisecond()).plausible()
    }

    /// Reads the `Date` of an HTTP answer.
    #[must_use]
    pub fn of_http_date(text: &str) -> Option<Self> {
        let at = jiff::fmt::rfc2822::parse(text.trim()).ok()?;
        Self(at.timestamp().as_millisecond()).plausible()
    }

    fn plausible(self) -> Option<Self> {
        (EARLIEST_MS..LATEST_MS).contains(&self.0).then_some(self)
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC with milliseconds, e.g. `2026-11-21T10:00:00.000Z`.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(at) => write!(out, "{at:.3}"),
            Err(_) => write!(out, "{} ms", self.0),
        }
    }
}

impl serde::Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Timestamp {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_str(Written)
    }
}

/// Takes the text where it stands: a copy would be gone at once.
struct Written;

impl serde::de::Visitor<'_> for Written {
    type Value = Timestamp;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a string")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Timestamp, E> {
        let at = of_own_form(text).map_or_else(|| text.parse::<jiff::Timestamp>().map_err(E::custom), Ok)?;
        Ok(Timestamp(at.as_millisecond()))
    }
}

/// Reads a time as it is written here, `2026-11-21T10:00:00.000Z`, and leaves all else to the parser of RFC 3339.
fn of_own_form(text: &str) -> Option<jiff::Timestamp> {
    const SIGNS: [(usize, u8); 7] =
        [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':'), (19, b'.'), (23, b'Z')];
    let bytes = text.as_bytes();
    if bytes.len() != 24 || SIGNS.iter().any(|(at, sign)| bytes.get(*at) != Some(sign)) {
        return None;
    }
    let number = |from: usize, to: usize| {
        bytes.get(from..to)?.iter().try_fold(0_i16, |number, digit| {
            digit.is_ascii_digit().then(|| number * 10 + i16::from(digit - b'0'))
        })
    };
    let pair = |from: usize| i8::try_from(number(from, from + 2)?).ok();
    let date = jiff::civil::Date::new(number(0, 4)?, pair(5)?, pair(8)?).ok()?;
    let nanoseconds = i32::from(number(20, 23)?) * 1_000_000;
    let time = jiff::civil::Time::new(pair(11)?, pair(14)?, pair(17)?, nanoseconds).ok()?;
    jiff::tz::Offset::UTC.to_timestamp(date.to_datetime(time)).ok()
}

/// Reads a span such as `0s`, `90s`, `15m`, `48h` or `7d` into milliseconds. The unit is required, so that nobody has
/// to guess whether `30` means seconds.
#[must_use]
pub fn parse_span_ms(text: &str) -> Option<i64> {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits)?;
    let number: i64 = number.parse().ok()?;
    let unit = match unit {
        "ms" => 1,
        "s" => SECOND_MS,
        "m" | "min" => MINUTE_MS,
        "h" => HOUR_MS,
        "d" => DAY_MS,
        _ => return None,
    };
    number.checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partners_times_are_read_in_every_usual_form() {
        let at = Some(Timestamp::from_millis(1_764_201_600_000));
        for text in [
            "1764201600",
            "1764201600000",
            "2025-11-27T00:00:00Z",
            "2025-11-27T02:00:00+02:00",
            "2025-11-27 00:00:00",
        ] {
            assert_eq!(Timestamp::parse(text), at, "{text}");
        }
        for text in ["", "12", "yesterday", "99999999999999999999", "1764201600.5", "-1764201600"] {
            assert_eq!(Timestamp::parse(text), None, "{text}");
        }
    }

    #[test]
    fn printed_as_rfc_3339_with_milliseconds() {
        assert_eq!(Timestamp::from_millis(1_764_201_600_007).to_string(), "2025-11-27T00:00:00.007Z");
    }

    #[test]
    fn what_is_written_here_is_read_as_by_the_parser_of_all_forms() {
        let mut texts: Vec<String> = [0, 1, -1, 951_782_400_000, 4_107_542_400_000, -62_167_219_200_000]
            .map(|ms| Timestamp::from_millis(ms).to_string())
            .into();
        for text in &texts {
            assert_eq!(of_own_form(text), text.parse().ok(), "{text}");
            assert!(of_own_form(text).is_some(), "{text}");
        }
        texts.extend(
            [
                "2026-02-28T23:59:59.999Z",
                "2026-02-29T00:00:00.000Z",
                "2028-02-29T00:00:00.000Z",
                "2026-13-01T00:00:00.000Z",
                "2026-00-10T00:00:00.000Z",
                "2026-01-00T00:00:00.000Z",
                "2026-01-31T24:00:00.000Z",
                "2026-01-31T23:60:00.000Z",
                "2026-12-31T23:59:60.999Z",
                "2026-01-31t12:00:00.123z",
                "2026-01-31 12:00:00.123Z",
                "2026-01-31T12:00:00,123Z",
                "2026-01-31T12:00:00.12Z",
                "2026-01-31T12:00:00+02:00",
                "2026-01-31T12:00:00.1234Z",
                "2026-01-31T12:00:0a.123Z",
                "2026-01-31T12:00:00.1/3Z",
                "2026-01-31T12:00:00.123\u{e9}",
                "-00001-01-01T00:00:00.0Z",
                "",
            ]
            .map(str::to_owned),
        );
        for text in texts {
            let parsed = text.parse::<jiff::Timestamp>().ok().map(|at| Timestamp(at.as_millisecond()));
            let read = serde_json::from_value::<Timestamp>(text.clone().into()).ok();
            assert_eq!(read, parsed, "{text}");
            let read = serde_json::from_str::<Timestamp>(&format!("{text:?}")).ok();
            assert_eq!(read, parsed, "{text}");
            assert!(of_own_form(&text).is_none_or(|at| text.parse().ok() == Some(at)), "{text}");
        }
    }

    #[test]
    fn spans_need_a_unit() {
        assert_eq!(parse_span_ms("0s"), Some(0));
        assert_eq!(parse_span_ms("15m"), Some(900_000));
        assert_eq!(parse_span_ms("7d"), Some(604_800_000));
        assert_eq!(parse_span_ms("30"), None);
        assert_eq!(parse_span_ms("-5s"), None);
        assert_eq!(parse_span_ms("9999999999999999999d"), None);
    }
}
