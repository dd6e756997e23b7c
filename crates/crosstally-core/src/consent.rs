//! Consent: what a visitor has said about the use of their data, as it came with a click or a server event, and what stands
//! in the way of an event because of it. Which platform can be told what is not known here.
//!
//! Strings of consent frameworks are kept and passed on byte for byte, never made up and never mended. What is malformed
//! counts as absent.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::macros::looks_like_macro;
use crate::word::Word;

mod europe;
mod policy;
mod tcf;
#[cfg(test)]
mod tests;

pub(crate) use europe::countries as european_countries;
pub use europe::{Europe, is_european};
pub use policy::{ConsentPolicy, WhenDenied, WhenGpc};

/// The parameters of a click, and the macros, by which strings of consent frameworks are passed on.
pub const PASSED: [&str; 4] = ["gdpr", "gdpr_consent", "gpp", "gpp_sid"];
/// What a click or an event may say in a word.
pub const CHOICES: [&str; 2] = ["ad_user_data", "ad_personalization"];
/// The macro for a browser's Global Privacy Control.
pub const GPC: &str = "gpc";
/// How pages write a choice that nobody has made.
const OPEN: [&str; 3] = ["unspecified", "undefined", "null"];
/// The longest string; real ones have a few hundred bytes.
pub const STRING_BYTES_MAX: usize = 4096;

/// Limits of use, as platforms of the United States take them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DataProcessing {
    /// `["LDU"]`, or an empty list: explicitly not limited.
    pub options: Vec<String>,
    /// 1 for the United States, 0 to let the platform find out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub country: Option<i64>,
    /// The platform's number of the state, 0 to let the platform find out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<i64>,
}

impl DataProcessing {
    /// Limited, and where that is law the platform finds out.
    #[must_use]
    pub fn limited() -> Self {
        Self { options: vec!["LDU".to_owned()], country: Some(0), state: Some(0) }
    }
}

/// A visitor's word on one use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Choice {
    /// Allowed.
    Granted,
    /// Not allowed.
    Denied,
}

impl Choice {
    /// Reads the word, in any case.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|choice| choice.word().eq_ignore_ascii_case(word))
    }

    /// Reads what a page says of a choice: the word in any case, with whatever blanks or signs around it. A choice that is
    /// left open is none. All else is taken for a denial: one that cannot be read must never become a grant.
    #[must_use]
    pub fn heard(text: &str) -> Option<Self> {
        let text = text.trim();
        let word = text.trim_matches(|sign: char| !sign.is_alphanumeric());
        if text.is_empty() || OPEN.iter().any(|open| open.eq_ignore_ascii_case(word)) {
            return None;
        }
        Some(Self::from_word(word).unwrap_or(Self::Denied))
    }
}

impl Word for Choice {
    const ALL: &'static [Self] = &[Self::Granted, Self::Denied];

    fn word(self) -> &'static str {
        match self {
            Self::Granted => "granted",
            Self::Denied => "denied",
        }
    }
}

/// What a visitor has said; what they have not is not there.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Consent {
    /// The browser sends `Sec-GPC: 1`: do not sell or share.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub gpc: bool,
    /// Whether data about them may be sent for advertising at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ad_user_data: Option<Choice>,
    /// Whether it may be used to show them advertising of their own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ad_personalization: Option<Choice>,
    /// `1` where the GDPR applies, `0` where it does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gdpr: Option<String>,
    /// The string of the Transparency and Consent Framework.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gdpr_consent: Option<String>,
    /// The string of the Global Privacy Platform.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gpp: Option<String>,
    /// The sections of it that apply.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gpp_sid: Option<String>,
}

/// Why an event must not leave in full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Objection {
    /// `ad_user_data` is denied.
    AdUserData,
    /// The GDPR applies and the framework's string does not allow what it takes, or there is none.
    Tcf,
    /// `ad_personalization` is denied.
    AdPersonalization,
    /// The browser asks not to have data sold or shared.
    Gpc,
}

impl Objection {
    /// In words.
    #[must_use]
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::AdUserData => "ad_user_data is denied",
            Self::Tcf => "the GDPR applies and gdpr_consent does not allow it",
            Self::AdPersonalization => "ad_personalization is denied",
            Self::Gpc => "the browser sent Sec-GPC: 1",
        }
    }

    /// Whether it is a denial, not a limit that a law of the United States asks for.
    #[must_use]
    pub const fn is_denial(self) -> bool {
        !matches!(self, Self::Gpc)
    }
}

impl Consent {
    /// What came with a click: its parameters, their names in any case and as lists, and the browser's header. Of what is
    /// said more than once, a denial counts, and so does that the GDPR applies; of strings the first sound one.
    pub fn of_click<'a>(params: impl Iterator<Item = (&'a str, &'a str)> + Clone, gpc: bool) -> Self {
        let string =
            |name: &str| said(params.clone(), name).find(|text| is_sound(name, text)).map(str::to_owned);
        let choice = |name: &str| {
            let words = said(params.clone(), name).filter_map(Choice::heard);
            words.max_by_key(|choice| *choice == Choice::Denied)
        };
        let applies = said(params.clone(), "gdpr").any(|flag| flag.trim() == "1");
        Self {
            gpc,
            ad_user_data: choice("ad_user_data"),
            ad_personalization: choice("ad_personalization"),
            gdpr: applies.then(|| "1".to_owned()).or_else(|| string("gdpr")),
            gdpr_consent: string("gdpr_consent"),
            gpp: string("gpp"),
            gpp_sid: string("gpp_sid"),
        }
    }

    /// Whether the GDPR applies and nobody has said whether data may be sent: no string that can be read, no word.
    #[must_use]
    pub fn is_unasked(&self) -> bool {
        let readable = || self.gdpr_consent.as_deref().and_then(tcf::read).is_some();
        self.gdpr.as_deref() == Some("1") && self.ad_user_data.is_none() && !readable()
    }

    /// Whether nothing was said.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        *self == Self::default()
    }

    /// This, and where it says nothing, what the other says. A framework's string and what belongs to it come from one of
    /// the two.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        let own_tcf = self.gdpr.is_some() || self.gdpr_consent.is_some();
        let own_gpp = self.gpp.is_some() || self.gpp_sid.is_some();
        let (gdpr, gdpr_consent) =
            if own_tcf { (self.gdpr, self.gdpr_consent) } else { (other.gdpr, other.gdpr_consent) };
        let (gpp, gpp_sid) = if own_gpp { (self.gpp, self.gpp_sid) } else { (other.gpp, other.gpp_sid) };
        Self {
            gpc: self.gpc || other.gpc,
            ad_user_data: self.ad_user_data.or(other.ad_user_data),
            ad_personalization: self.ad_personalization.or(other.ad_personalization),
            gdpr,
            gdpr_consent,
            gpp,
            gpp_sid,
        }
    }

    /// What stands against an event with it, the gravest first. A word that was said goes beside a framework's string, and
    /// neither makes good what the other denies.
    #[must_use]
    pub fn objections(&self) -> Vec<Objection> {
        let said = |choice: Option<Choice>| choice == Some(Choice::Denied);
        let by_framework = self.framework();
        [
            (said(self.ad_user_data), Objection::AdUserData),
            (
                by_framework.is_some_and(|allowed| !(allowed.user_data && allowed.personalization)),
                Objection::Tcf,
            ),
            (said(self.ad_personalization), Objection::AdPersonalization),
            (self.gpc, Objection::Gpc),
        ]
        .into_iter()
        .filter_map(|(stands, objection)| stands.then_some(objection))
        .collect()
    }

    /// Whether data about the visitor may be sent for advertising, as far as it is known.
    #[must_use]
    pub fn user_data(&self) -> Option<Choice> {
        self.choice(self.ad_user_data, |allowed| allowed.user_data)
    }

    /// Whether it may be used for advertising of their own. What may not be sent may not be used.
    #[must_use]
    pub fn personalization(&self) -> Option<Choice> {
        if self.user_data() == Some(Choice::Denied) {
            return Some(Choice::Denied);
        }
        self.choice(self.ad_personalization, |allowed| allowed.personalization)
    }

    fn choice(&self, said: Option<Choice>, allows: fn(&tcf::Allowed) -> bool) -> Option<Choice> {
        match self.framework().map(|allowed| allows(&allowed)) {
            Some(false) => Some(Choice::Denied),
            Some(true) => said.or(Some(Choice::Granted)),
            None => said,
        }
    }

    /// What the framework's string allows. Where the GDPR applies and no string can be read, nothing is allowed, unless
    /// the visitor's word is known in another way.
    fn framework(&self) -> Option<tcf::Allowed> {
        if self.gdpr.as_deref() == Some("0") {
            return None;
        }
        let read = self.gdpr_consent.as_deref().and_then(tcf::read);
        let applies = self.gdpr.as_deref() == Some("1") || self.gdpr_consent.is_some();
        read.or_else(|| (applies && self.ad_user_data.is_none()).then_some(tcf::Allowed::NOTHING))
    }

    /// The macro by which a partner is told of an objection, and what it says. Where the framework's string is missing, that
    /// is what tells that the GDPR applies.
    #[must_use]
    pub fn told_by(&self, objection: Objection) -> Option<(&'static str, &str)> {
        let name = match objection {
            Objection::AdUserData => "ad_user_data",
            Objection::Tcf if self.gdpr_consent.is_none() => "gdpr",
            Objection::Tcf => "gdpr_consent",
            Objection::AdPersonalization => "ad_personalization",
            Objection::Gpc => GPC,
        };
        self.macros().find(|(known, _)| *known == name)
    }

    /// What partners' macros can say of it, by name.
    pub fn macros(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let word = |choice: Option<Choice>| choice.map(Choice::word);
        [
            ("gdpr", self.gdpr.as_deref()),
            ("gdpr_consent", self.gdpr_consent.as_deref()),
            ("gpp", self.gpp.as_deref()),
            ("gpp_sid", self.gpp_sid.as_deref()),
            ("ad_user_data", word(self.ad_user_data)),
            ("ad_personalization", word(self.ad_personalization)),
            (GPC, self.gpc.then_some("1")),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
    }

    /// Puts what macros can say among a click's parameters, in place of what stands there under these names.
    pub fn put_into(&self, params: &mut Map<String, Value>) {
        params.retain(|name, _| !is_name(name));
        params.extend(self.macros().map(|(name, value)| (name.to_owned(), Value::from(value))));
    }
}

/// Whether a macro of this name tells of the visitor's consent.
#[must_use]
pub fn is_name(name: &str) -> bool {
    PASSED.iter().chain(&CHOICES).chain(&[GPC]).any(|known| stands_for(name, known))
}

/// Whether a parameter is the one of this name, in any case and also as one of a list: `ad_user_data[]`.
fn stands_for(param: &str, name: &str) -> bool {
    let alone = param.split('[').next().unwrap_or(param);
    alone.trim().eq_ignore_ascii_case(name)
}

/// The strings of consent frameworks that came with a click in a form that none can have. They count as absent.
pub fn malformed<'a>(
    params: impl Iterator<Item = (&'a str, &'a str)> + Clone,
) -> impl Iterator<Item = &'static str> {
    PASSED.into_iter().filter(move |name| {
        let mut came = said(params.clone(), name).peekable();
        came.peek().is_some() && !came.any(|text| is_sound(name, text))
    })
}

/// Whether a value can be what the parameter of this name stands for. Only how it looks is told, not what it says.
#[must_use]
pub fn is_sound(name: &str, value: &str) -> bool {
    let within = |most: usize| (1..=most).contains(&value.len());
    let word = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    match name {
        "gdpr" => matches!(value, "0" | "1"),
        "gdpr_consent" => within(STRING_BYTES_MAX) && value.bytes().all(word),
        "gpp" => within(STRING_BYTES_MAX) && value.bytes().all(|byte| word(byte) || byte == b'~'),
        "gpp_sid" => {
            within(64) && value.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b',' | b'_'))
        }
        _ => true,
    }
}

/// All values of a click's parameter that somebody filled in, its name in any case.
fn said<'a>(params: impl Iterator<Item = (&'a str, &'a str)>, name: &str) -> impl Iterator<Item = &'a str> {
    let named = params.filter(move |(known, _)| stands_for(known, name)).map(|(_, value)| value);
    named.filter(|value| !value.is_empty() && !looks_like_macro(value))
}

/// The limits of use that a click's parameters state: `data_processing_options=LDU` with its country and state. Where it is
/// said more than once, the limit counts; an empty value says that there is none.
pub fn data_processing_of_click<'a>(
    params: impl Iterator<Item = (&'a str, &'a str)> + Clone,
) -> Option<DataProcessing> {
    const NAME: &str = "data_processing_options";
    let number = |name: &str| said(params.clone(), name).find_map(|text| text.parse::<i64>().ok());
    if said(params.clone(), NAME).any(|word| word.eq_ignore_ascii_case("LDU")) {
        // A browser that says LDU and not where has Meta find out.
        return Some(DataProcessing {
            country: number("data_processing_options_country").or(Some(0)),
            state: number("data_processing_options_state").or(Some(0)),
            ..DataProcessing::limited()
        });
    }
    let unlimited = params.clone().any(|(name, value)| stands_for(name, NAME) && value.is_empty());
    unlimited.then(DataProcessing::default)
}
