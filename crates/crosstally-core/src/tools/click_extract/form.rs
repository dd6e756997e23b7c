//! The forms of click ids: their letters, their shortest length, and where one tells a time.

use super::Condition;
use crate::click::{AD_CLICK_PARAMS, looks_like_macro};
use crate::time::Timestamp;

/// What an id is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Letters of both cases, digits, `-` and `_`: case counts.
    Mixed,
    /// The same with dots.
    MixedDotted,
    /// 32 digits of hex.
    Hex32,
    /// Digits of hex in the groups of a UUID.
    Uuid,
    /// Digits.
    Digits,
    /// A number, a time in seconds and a hash, between underscores.
    Awin,
    /// Whatever has no blanks.
    Token,
    /// `fb.INDEX.MILLISECONDS.PAYLOAD`.
    Cookie,
    /// `GCL.SECONDS.GCLID`.
    GoogleCookie,
}

/// The form of one kind of id.
#[derive(Debug, Clone, Copy)]
pub(super) struct Form {
    pub(super) name: &'static str,
    pub(super) platform: &'static str,
    pub(super) kind: Kind,
    /// Below this many bytes a part is missing.
    shortest: usize,
}

const fn form(name: &'static str, platform: &'static str, kind: Kind, shortest: usize) -> Form {
    Form { name, platform, kind, shortest }
}

/// Those with a form of their own; the others have no blanks.
const FORMS: &[Form] = &[
    form("fbclid", "meta", Kind::Mixed, 25),
    form("fbc", "meta", Kind::Cookie, 0),
    form("fbp", "meta", Kind::Cookie, 0),
    form("gclid", "google", Kind::Mixed, 20),
    form("gbraid", "google", Kind::Mixed, 20),
    form("wbraid", "google", Kind::Mixed, 20),
    form("dclid", "google", Kind::Mixed, 10),
    form("gcl_aw", "google", Kind::GoogleCookie, 0),
    form("ttclid", "tiktok", Kind::MixedDotted, 20),
    form("epik", "pinterest", Kind::Mixed, 20),
    form("li_fat_id", "linkedin", Kind::Uuid, 36),
    form("msclkid", "microsoft", Kind::Hex32, 32),
    form("yclid", "yandex", Kind::Digits, 8),
    form("awc", "awin", Kind::Awin, 16),
];

const ANY: Form = form("", "unknown", Kind::Token, 1);

/// Every parameter of the table without a form of its own, at the table's places.
static OTHERS: [Form; AD_CLICK_PARAMS.len()] = {
    let mut forms = [ANY; AD_CLICK_PARAMS.len()];
    let mut at = 0;
    while at < forms.len() {
        forms[at] = form(AD_CLICK_PARAMS[at].name, AD_CLICK_PARAMS[at].platform, Kind::Token, 6);
        at += 1;
    }
    forms
};

/// The form of this name's values; cookies also with the underscore before their names.
pub(super) fn form_of(name: &str) -> Option<&'static Form> {
    let bare = name.strip_prefix('_').unwrap_or(name);
    let own = FORMS.iter().find(|form| form.name.eq_ignore_ascii_case(bare));
    own.or_else(|| {
        let at = AD_CLICK_PARAMS.iter().position(|param| param.name.eq_ignore_ascii_case(name))?;
        OTHERS.get(at)
    })
}

/// A form that has this name.
pub(super) fn named(name: &str) -> &'static Form {
    FORMS.iter().find(|form| form.name == name).unwrap_or(&ANY)
}

/// The form that a bare value has, if only one has it.
pub(super) fn guess(value: &str) -> Option<&'static Form> {
    let begins = |head: &str| value.get(..head.len()).is_some_and(|is| is.eq_ignore_ascii_case(head));
    let any = |heads: &[&str]| heads.iter().any(|head| begins(head));
    let name = if begins("fb.") {
        let last = value.rsplit('.').next().unwrap_or_default();
        if last.bytes().all(|byte| byte.is_ascii_digit()) { "fbp" } else { "fbc" }
    } else if begins("GCL.") {
        "gcl_aw"
    } else if any(&["IwAR", "IwY", "IwZ", "PAA", "PAZ", "PAQ"]) {
        "fbclid"
    } else if any(&["CjwK", "Cj0K", "EAIaIQ"]) {
        "gclid"
    } else if any(&["E.C.P.", "E_C_P_"]) {
        "ttclid"
    } else if begins("dj0y") {
        "epik"
    } else if value.len() == 32 && value.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        "msclkid"
    } else {
        return None;
    };
    Some(named(name))
}

/// A condition, what was found, and what to do.
pub(super) type Judged = (Condition, String, String);

fn judged(condition: Condition, words: impl Into<String>, fix: &str) -> Judged {
    (condition, words.into(), fix.to_owned())
}

/// What harms an id of any form.
pub(super) fn harm_of_any(value: &str) -> Option<Judged> {
    use Condition::{Empty, Macro, Mangled, Truncated};
    let (condition, words, fix) = if value.is_empty() {
        (Empty, "there is no value", "look for the hop that drops it: `crosstally redirect check`")
    } else if looks_like_macro(value) {
        (
            Macro,
            "a macro that nobody filled in",
            "take the macros of the place where the link is used, and turn auto-tagging on",
        )
    } else if value.ends_with("...") || value.ends_with('\u{2026}') {
        (Truncated, "ends in dots: copied from where it was shortened", "copy the whole value")
    } else if value.contains(' ') {
        (
            Mangled,
            "has a blank: a plus or a `%20` was decoded, or two values were joined",
            "pass the value on percent-encoded",
        )
    } else if is_encoded(value) {
        (
            Mangled,
            "still holds percent escapes: it was encoded twice",
            "encode it once; most template engines do it by themselves",
        )
    } else if !value.bytes().all(|byte| byte.is_ascii_graphic()) {
        (Mangled, "holds characters that no click id has", "find who rewrites it")
    } else if value.contains(['&', '?', '<', '>', '"']) {
        (
            Mangled,
            "holds a piece of a URL: what follows it was not parted from it",
            "put a `&` between parameters, and one `?` only",
        )
    } else {
        return None;
    };
    Some(judged(condition, words, fix))
}

/// Whether a value holds a percent escape.
pub(super) fn is_encoded(value: &str) -> bool {
    value
        .as_bytes()
        .windows(3)
        .any(|part| part.first() == Some(&b'%') && part.iter().skip(1).all(u8::is_ascii_hexdigit))
}

impl Form {
    /// What became of a value.
    pub(super) fn judge(&self, value: &str) -> Judged {
        if let Some(harm) = harm_of_any(value) {
            return harm;
        }
        let (whose, name, length) = (self.platform, self.name, value.len());
        if !self.has_letters(value) {
            let words = format!("holds characters that a {name} of {whose} does not have");
            return judged(Condition::Mangled, words, "find who rewrites it");
        }
        if length < self.least(value) {
            let words = format!("{length} characters; a {name} has more: a part was cut off");
            return judged(Condition::Truncated, words, "find the field on the way that is too short");
        }
        if matches!(self.kind, Kind::Hex32 | Kind::Uuid) && length > self.shortest {
            let words = format!("{length} characters; a {name} has {}", self.shortest);
            return judged(Condition::Mangled, words, "find who adds to it");
        }
        if matches!(self.kind, Kind::Mixed | Kind::MixedDotted)
            && let Some(condition) = one_case(value)
        {
            let words = format!("letters of one case only: {whose} makes both, and does not recognise it so");
            return judged(condition, words, "find who changes its case; an id is passed on byte for byte");
        }
        let limits = match self.kind {
            Kind::Token => "its form is not documented: only blanks, escapes and macros could be checked",
            Kind::Awin => "the form fits; the time in it is when the click was made",
            _ => "the form fits; that the platform made it can only the platform say",
        };
        judged(Condition::Valid, format!("a {name} of {whose}: {limits}"), "")
    }

    /// The time that the form tells.
    pub(super) fn made_at(&self, value: &str) -> Option<Timestamp> {
        if self.kind != Kind::Awin {
            return None;
        }
        let seconds: i64 = value.split('_').nth(1)?.parse().ok()?;
        let ms = seconds.checked_mul(1_000)?;
        (1_000_000_000..100_000_000_000).contains(&seconds).then(|| Timestamp::from_millis(ms))
    }

    /// The first generation of Meta's click ids has one length, and begins with IwAR.
    fn least(&self, value: &str) -> usize {
        if self.name == "fbclid" && value.starts_with("IwAR") { 61 } else { self.shortest }
    }

    fn has_letters(&self, value: &str) -> bool {
        let all = |is: fn(u8) -> bool| value.bytes().all(is);
        match self.kind {
            Kind::Mixed => all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')),
            Kind::MixedDotted => {
                all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
            }
            Kind::Hex32 => all(|byte| byte.is_ascii_hexdigit()),
            Kind::Uuid => all(|byte| byte.is_ascii_hexdigit() || byte == b'-'),
            Kind::Digits => all(|byte| byte.is_ascii_digit()),
            Kind::Awin => all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'),
            Kind::Token | Kind::Cookie | Kind::GoogleCookie => true,
        }
    }
}

/// Whether a value that should have letters of both cases has one only. Short ones may by chance.
fn one_case(value: &str) -> Option<Condition> {
    let letters = || value.bytes().filter(u8::is_ascii_alphabetic);
    if letters().count() < 16 {
        return None;
    }
    if letters().all(|byte| byte.is_ascii_lowercase()) {
        Some(Condition::LowerCased)
    } else if letters().all(|byte| byte.is_ascii_uppercase()) {
        Some(Condition::UpperCased)
    } else {
        None
    }
}
