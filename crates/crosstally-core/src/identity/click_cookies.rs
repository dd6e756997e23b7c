//! The two first-party cookies of Meta: `_fbc` remembers the ad click, `_fbp` the browser.
//!
//! Both read `fb.{subdomain index}.{creation time in ms}.{payload}`, where the payload is the click id or a random
//! number. Meta's newer libraries put an appendix behind it that names the library. One that arrives is kept, none is
//! ever added: it would name a library that was not there.

use std::net::IpAddr;

/// Bytes of a cookie value or click id that are read. Click ids of today have about 200.
pub const COOKIE_BYTES_MAX: usize = 2048;

// Tokens of the appendix's first generation, one per library.
const FIRST_APPENDICES: [&str; 6] = ["AQ", "Ag", "Aw", "BA", "BQ", "Bg"];
const APPENDIX_CHARS: usize = 8;
const APPENDIX_FORMAT: u32 = 1;
const APPENDIX_LIBRARIES: std::ops::RangeInclusive<u32> = 1..=6;

/// The parts of a `_fbc` or `_fbp` value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClickCookie<'a> {
    /// Labels of the cookie's domain, less one.
    pub subdomain_index: u8,
    /// When the cookie was made, in milliseconds of Unix time.
    pub created_ms: i64,
    /// The click id, or the browser's number. It may hold dots.
    pub payload: &'a str,
    /// What one of the platform's libraries appended, without its dot.
    pub appendix: Option<&'a str>,
}

impl<'a> ClickCookie<'a> {
    /// Reads a cookie value; nothing if it is malformed. A fifth part that has the length of an appendix and is not
    /// one makes the value malformed, any other further part belongs to the payload.
    #[must_use]
    pub fn parse(value: &'a str) -> Option<Self> {
        if value.len() > COOKIE_BYTES_MAX || value.contains(char::is_control) {
            return None;
        }
        let mut parts = value.splitn(4, '.');
        let ("fb", index, created, rest) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?)
        else {
            return None;
        };
        let (payload, appendix) = split_appendix(rest)?;
        if payload.is_empty() {
            return None;
        }
        Some(Self {
            subdomain_index: digits(index)?.parse().ok()?,
            created_ms: digits(created)?.parse().ok()?,
            payload,
            appendix,
        })
    }
}

impl ClickCookie<'_> {
    /// Whether its time is in milliseconds, as the platform wants it. Some scripts write seconds.
    pub(crate) const fn is_dated(&self) -> bool {
        self.created_ms >= 1_000_000_000_000 && self.created_ms < 10_000_000_000_000
    }
}

fn digits(text: &str) -> Option<&str> {
    text.bytes().all(|b| b.is_ascii_digit()).then_some(text)
}

fn split_appendix(rest: &str) -> Option<(&str, Option<&str>)> {
    let Some((payload, last)) = rest.rsplit_once('.') else { return Some((rest, None)) };
    if is_appendix(last) {
        return Some((payload, Some(last)));
    }
    let broken = !payload.contains('.') && matches!(last.len(), 2 | APPENDIX_CHARS);
    (!broken).then_some((rest, None))
}

// Six bytes in base64url: the format, the library's language, what it did, and its version in three bytes.
fn is_appendix(text: &str) -> bool {
    if FIRST_APPENDICES.contains(&text) {
        return true;
    }
    let mut sextets = text.bytes().map(sextet);
    let Some(bits) = sextets.by_ref().take(4).try_fold(0, |bits, sextet| Some(bits << 6 | sextet?)) else {
        return false;
    };
    text.len() == APPENDIX_CHARS
        && sextets.all(|sextet| sextet.is_some())
        && bits >> 16 == APPENDIX_FORMAT
        && APPENDIX_LIBRARIES.contains(&(bits >> 8 & 0xff))
}

fn sextet(byte: u8) -> Option<u32> {
    let value = match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'-' => 62,
        b'_' => 63,
        _ => return None,
    };
    Some(u32::from(value))
}

/// The `_fbc` value of an ad click. The click id goes in byte for byte; an empty or oversized one makes none.
#[must_use]
pub fn make_fbc(subdomain_index: u8, click_time_ms: i64, fbclid: &str) -> Option<String> {
    let usable = !fbclid.is_empty()
        && fbclid.len() <= COOKIE_BYTES_MAX
        && !fbclid.contains(char::is_control)
        && click_time_ms >= 0;
    usable.then(|| format!("fb.{subdomain_index}.{click_time_ms}.{fbclid}"))
}

/// The `_fbp` value of a browser that has none. `random` is a number up to `i32::MAX`; its top bit is ignored.
#[must_use]
pub fn make_fbp(subdomain_index: u8, created_ms: i64, random: u32) -> String {
    format!("fb.{subdomain_index}.{}.{}", created_ms.max(0), random & (u32::MAX >> 1))
}

/// The `_fbc` value to use: the cookie if it is valid and remembers the same click, or if there is no click id now;
/// else a new one for the click id. A cookie that is kept is kept byte for byte, its time and appendix included.
#[must_use]
pub fn choose_fbc(
    cookie: Option<&str>,
    fbclid: Option<&str>,
    seen_ms: i64,
    subdomain_index: u8,
) -> Option<String> {
    let kept = cookie.and_then(|value| Some((value, ClickCookie::parse(value)?)));
    let fresh = fbclid.and_then(|fbclid| make_fbc(subdomain_index, seen_ms, fbclid));
    match (kept, fresh) {
        (Some((value, old)), Some(fresh)) => {
            let same = ClickCookie::parse(&fresh).is_some_and(|new| new.payload == old.payload);
            Some(if same { value.to_owned() } else { fresh })
        }
        (Some((value, _)), None) => Some(value.to_owned()),
        (None, fresh) => fresh,
    }
}

/// The `_fbp` cookie if it is valid, to be used byte for byte.
#[must_use]
pub fn valid_fbp(cookie: Option<&str>) -> Option<&str> {
    cookie.filter(|value| ClickCookie::parse(value).is_some())
}

/// The subdomain index of a cookie domain: its labels less one, 0 for an address.
#[must_use]
pub fn subdomain_index(cookie_domain: &str) -> u8 {
    let domain = cookie_domain.trim_matches('.');
    if domain.trim_matches(['[', ']']).parse::<IpAddr>().is_ok() {
        return 0;
    }
    u8::try_from(domain.matches('.').count()).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests;
