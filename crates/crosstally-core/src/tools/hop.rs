//! What one hop of a redirect did to the parameters that matter: click ids, campaign parameters and our own click id.

use serde::Serialize;

use crate::click::{AD_CLICK_PARAMS, looks_like_macro};
use crate::fields::field_named;
use crate::params::{Params, decode};
use crate::tools::link;

/// What became of a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// It was there from the first hop on.
    Start,
    /// It came on as it was.
    Kept,
    /// It came on under another name.
    Renamed,
    /// It stands within another parameter's value.
    Moved,
    /// Its capitals are gone.
    LowerCased,
    /// Its small letters are gone.
    UpperCased,
    /// It was encoded once more.
    EncodedTwice,
    /// Its plus signs or escapes were decoded once more.
    Decoded,
    /// Only its beginning came on.
    Truncated,
    /// The name came on without its value.
    Emptied,
    /// Something else stands there.
    Changed,
    /// It is not there any more.
    Lost,
    /// It is new.
    Added,
}

impl Fate {
    /// Whether whoever reads the parameter behind this hop is worse off.
    #[must_use]
    pub const fn is_harm(self) -> bool {
        !matches!(self, Self::Start | Self::Kept | Self::Renamed | Self::Moved | Self::Added)
    }

    /// The fate in words.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Start => "as it set out",
            Self::Kept => "kept",
            Self::Renamed => "kept under another name",
            Self::Moved => "kept within another parameter",
            Self::LowerCased => "made lower-case",
            Self::UpperCased => "made upper-case",
            Self::EncodedTwice => "encoded twice",
            Self::Decoded => "decoded once too often",
            Self::Truncated => "cut off",
            Self::Emptied => "emptied",
            Self::Changed => "changed",
            Self::Lost => "lost",
            Self::Added => "new",
        }
    }
}

/// One parameter behind one hop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Told {
    /// The name under which it set out.
    pub name: String,
    /// What became of it.
    pub fate: Fate,
    /// The name under which it stands now, or the parameter within which it does; empty if it is gone.
    pub now: String,
    /// Its value now.
    pub value: String,
    /// Whether that is a macro's name.
    pub is_macro: bool,
}

/// The parameters that are followed, hop by hop.
#[derive(Debug, Clone, Default)]
pub struct Trail {
    begun: bool,
    stands: Vec<Told>,
}

/// Parameters that are followed at once.
const FOLLOWED_MAX: usize = 64;

/// Whether a parameter is one of those that matter.
#[must_use]
pub fn is_followed(name: &str) -> bool {
    let ours = field_named("click_id").map_or(&[][..], |field| field.accepted);
    let lower = name.to_ascii_lowercase();
    lower.starts_with("utm_")
        || matches!(lower.as_str(), "fbc" | "fbp" | "_fbc" | "_fbp" | "gad_source" | "gad_campaignid")
        || ours.contains(&lower.as_str())
        || AD_CLICK_PARAMS.iter().any(|known| known.name.eq_ignore_ascii_case(name))
}

impl Trail {
    /// Follows a URL: the first one sets out, each further one is compared with the one before.
    pub fn follow(&mut self, url: &str) -> Vec<Told> {
        let parts = link::parts(url);
        // With more parameters than anybody sends, nothing can be said of any.
        let params = Params::parse(parts.all().as_bytes()).unwrap_or_default();
        let is_first = !std::mem::replace(&mut self.begun, true);
        let mut told: Vec<Told> = self
            .stands
            .iter()
            .filter(|before| !before.now.is_empty())
            .map(|before| compare(before, &params))
            .collect();
        for param in params.iter().filter(|param| is_followed(&param.name)) {
            let known = told.iter().any(|one| one.now.eq_ignore_ascii_case(&param.name));
            if !known && told.len() < FOLLOWED_MAX {
                let fate = if is_first { Fate::Start } else { Fate::Added };
                told.push(stand(&param.name, fate, &param.name, &param.value));
            }
        }
        self.stands.clone_from(&told);
        told
    }
}

fn stand(name: &str, fate: Fate, now: &str, value: &str) -> Told {
    Told {
        name: name.to_owned(),
        fate,
        now: now.to_owned(),
        value: value.to_owned(),
        is_macro: looks_like_macro(value),
    }
}

fn compare(before: &Told, params: &Params) -> Told {
    let old = before.value.as_str();
    let told = |fate, now: &str, value: &str| stand(&before.name, fate, now, value);
    if let Some(value) = params.get_ignoring_case(&before.now) {
        if value == old || before.fate == Fate::Moved && value.contains(old) {
            let fate = if before.fate == Fate::Moved { Fate::Moved } else { Fate::Kept };
            return told(fate, &before.now, old);
        }
        // A value that came whole under another name is not lost for the one that stands here.
        if let Some(other) = elsewhere(params, old) {
            return told(Fate::Renamed, other, old);
        }
        return told(change(old, value), &before.now, value);
    }
    if !old.is_empty() {
        if let Some(other) = elsewhere(params, old) {
            return told(Fate::Renamed, other, old);
        }
        let within = |param: &&crate::params::Param| {
            old.len() >= 6 && (param.value.contains(old) || decode(param.value.as_bytes()).0.contains(old))
        };
        if let Some(other) = params.iter().find(within) {
            return told(Fate::Moved, &other.name, old);
        }
    }
    told(Fate::Lost, "", "")
}

/// The parameter that has this value, if it is long enough to be no chance.
fn elsewhere<'p>(params: &'p Params, value: &str) -> Option<&'p str> {
    let found = (value.len() >= 4).then(|| params.iter().find(|param| param.value == value))?;
    found.map(|param| param.name.as_str())
}

fn change(old: &str, new: &str) -> Fate {
    if new.is_empty() {
        Fate::Emptied
    } else if new == old.to_ascii_lowercase() {
        Fate::LowerCased
    } else if new == old.to_ascii_uppercase() {
        Fate::UpperCased
    } else if decode(new.as_bytes()).0 == old {
        Fate::EncodedTwice
    } else if decode(old.as_bytes()).0 == new {
        Fate::Decoded
    } else if old.starts_with(new) {
        Fate::Truncated
    } else {
        Fate::Changed
    }
}

/// A cookie that an answer sets: its name and its attributes, never its value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CookieSet {
    /// Its name.
    pub name: String,
    /// Its attributes as they are written.
    pub attributes: String,
}

/// Reads a `Set-Cookie` header.
#[must_use]
pub fn cookie_set(header: &str) -> CookieSet {
    let (pair, attributes) = header.split_once(';').unwrap_or((header, ""));
    let name = pair.split_once('=').map_or("", |(name, _)| name).trim();
    let short = |text: &str, max: usize| text.trim().chars().take(max).collect();
    CookieSet { name: short(name, 128), attributes: short(attributes, 256) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "IwAR2F4-dbP+0l7/Mn1";

    fn fates(urls: &[&str]) -> Vec<Vec<(String, Fate)>> {
        let mut trail = Trail::default();
        urls.iter()
            .map(|url| trail.follow(url).into_iter().map(|told| (told.name, told.fate)).collect())
            .collect()
    }

    fn last(first: &str, second: &str) -> Fate {
        let told = fates(&[first, second]);
        told.last().and_then(|told| told.first()).map(|(_, fate)| *fate).expect("a parameter is followed")
    }

    #[test]
    fn each_thing_that_a_hop_does_is_named() {
        let sent = "https://a.example/?fbclid=IwAR2F4-dbP%2B0l7%2FMn1";
        for (second, fate) in [
            ("https://b.example/?fbclid=IwAR2F4-dbP%2B0l7%2FMn1&x=1", Fate::Kept),
            ("https://b.example/?FBCLID=IwAR2F4-dbP%2B0l7%2FMn1", Fate::Kept),
            ("https://b.example/?sub1=IwAR2F4-dbP%2B0l7%2FMn1", Fate::Renamed),
            (
                "https://b.example/?u=https%3A%2F%2Fc.example%2F%3Ffbclid%3DIwAR2F4-dbP%252B0l7%252FMn1",
                Fate::Moved,
            ),
            ("https://b.example/?fbclid=iwar2f4-dbp%2B0l7%2Fmn1", Fate::LowerCased),
            ("https://b.example/?fbclid=IwAR2F4-dbP%252B0l7%252FMn1", Fate::EncodedTwice),
            ("https://b.example/?fbclid=IwAR2F4-dbP+0l7%2FMn1", Fate::Decoded),
            ("https://b.example/?fbclid=IwAR2F4", Fate::Truncated),
            ("https://b.example/?fbclid=", Fate::Emptied),
            ("https://b.example/?fbclid=other", Fate::Changed),
            ("https://b.example/", Fate::Lost),
        ] {
            assert_eq!(last(sent, second), fate, "{second}");
            assert_eq!(fate.is_harm(), !matches!(fate, Fate::Kept | Fate::Renamed | Fate::Moved), "{second}");
        }
        assert!(Fate::Lost.is_harm() && !Fate::Added.is_harm());
        assert_eq!(ID.len(), 19);
    }

    #[test]
    fn what_is_lost_stays_lost_and_what_is_new_is_followed() {
        let told = fates(&[
            "https://a.example/?gclid=Cj0K&utm_source=x&page=2",
            "https://b.example/?utm_source=x&cid=0abcdef",
            "https://c.example/?cid=0ABCDEF",
        ]);
        let is = |hop: usize, expected: &[(&str, Fate)]| {
            let expected: Vec<(String, Fate)> =
                expected.iter().map(|(name, fate)| ((*name).to_owned(), *fate)).collect();
            assert_eq!(told.get(hop), Some(&expected));
        };
        is(0, &[("gclid", Fate::Start), ("utm_source", Fate::Start)]);
        is(1, &[("gclid", Fate::Lost), ("utm_source", Fate::Kept), ("cid", Fate::Added)]);
        is(2, &[("utm_source", Fate::Lost), ("cid", Fate::UpperCased)]);
    }

    #[test]
    fn of_a_cookie_the_value_is_never_told() {
        let set = cookie_set("session=s3cret; Path=/; Secure; HttpOnly");
        assert_eq!((set.name.as_str(), set.attributes.as_str()), ("session", "Path=/; Secure; HttpOnly"));
        assert!(!format!("{:?}", cookie_set("s3cret")).contains("s3cret"));
    }
}
