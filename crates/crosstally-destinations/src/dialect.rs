//! What every destination can do: check its settings, build a request, read a response.
//!
//! The engine asks a dialect through this trait and through nothing else. A dialect decides what is sent and what an
//! answer means; when to send, how often and through which connection is not its business.

use std::collections::BTreeMap;
use std::fmt;

use crosstally_core::config::{MacroUse, Setting};
use crosstally_core::consent::Objection;
use crosstally_core::delivery::Outcome;
use crosstally_core::event::OutboundEvent;
use crosstally_core::reason::Reason;
use crosstally_core::secret::Secret;
use crosstally_core::time::Timestamp;

use crate::call_url::CallUrl;
use crate::mask::{mask, mask_body};
use crate::templates::ReadTemplates;

/// A destination's settings with every secret at hand.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// The settings as configured.
    pub values: BTreeMap<String, Setting>,
    /// The secrets by the setting's name, as far as they could be found.
    pub secrets: BTreeMap<String, Secret>,
    /// The templates among the values, as far as they were read: they fill in by themselves.
    pub templates: ReadTemplates,
}

impl Settings {
    /// A text setting.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.values.get(name) {
            Some(Setting::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// A whole number.
    #[must_use]
    pub fn integer(&self, name: &str) -> Option<i64> {
        match self.values.get(name) {
            Some(Setting::Integer(number)) => Some(*number),
            _ => None,
        }
    }

    /// Yes or no; absent is no.
    #[must_use]
    pub fn flag(&self, name: &str) -> bool {
        matches!(self.values.get(name), Some(Setting::Flag(true)))
    }

    /// Texts by name.
    pub fn map(&self, name: &str) -> impl Iterator<Item = (&str, &str)> {
        let map = match self.values.get(name) {
            Some(Setting::Map(map)) => Some(map),
            _ => None,
        };
        map.into_iter().flatten().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// A secret.
    #[must_use]
    pub fn secret(&self, name: &str) -> Option<&Secret> {
        self.secrets.get(name)
    }

    /// A text with every secret of this destination masked, for people's eyes.
    #[must_use]
    pub fn masked(&self, text: &str) -> String {
        mask(text, self.secrets.values())
    }

    /// The body of an answer, masked.
    pub(crate) fn masked_answer(&self, response: &Response) -> String {
        mask_body(&response.body, response.body_cut, self.secrets.values())
    }
}

/// What a setting may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldType {
    /// A text.
    Text,
    /// A whole number.
    Integer,
    /// Yes or no.
    Flag,
    /// A secret: a literal, `{ env = ".." }` or `{ file = ".." }`.
    Secret,
    /// An absolute http or https URL.
    Url,
    /// An absolute URL with macros in its path and query.
    UrlTemplate,
    /// Texts by name.
    Map,
    /// A list of texts.
    List,
}

/// One setting of a kind of destination: what drives checks, forms and docs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SettingField {
    /// Its name in the configuration.
    pub name: &'static str,
    /// What it may hold.
    pub field_type: FieldType,
    /// Whether it must be there.
    pub required: bool,
    /// What it is, in one sentence.
    pub help: &'static str,
}

/// What is wrong with a setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingProblem {
    /// The setting's name.
    pub setting: String,
    /// What is wrong and, after a semicolon, how to mend it.
    pub problem: String,
}

impl SettingProblem {
    /// Names a setting and what is wrong with it.
    #[must_use]
    pub fn new(setting: &str, problem: impl Into<String>) -> Self {
        Self { setting: setting.to_owned(), problem: problem.into() }
    }
}

/// How a platform is told that an event is a test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TestMode {
    /// A setting that is switched on: the platform checks and counts nothing.
    Flag(&'static str),
    /// A setting with a code that its console shows: the event appears there.
    Code {
        /// The setting.
        setting: &'static str,
        /// Where the console shows the code.
        from: &'static str,
        /// Whether such events count all the same.
        counts: bool,
    },
    /// There is none; what to do in its place.
    Missing(&'static str),
}

/// Why no test can be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoTest {
    /// The platform has no test mode; what to do in its place.
    Missing(&'static str),
    /// Its code is not known; where to find it.
    NeedsCode(&'static str),
    /// The code cannot be one.
    WrongCode(String),
}

/// A request, ready to be sent. Its `Debug` output shows neither the body nor a header's value.
#[derive(Clone)]
pub struct Request {
    /// The HTTP method.
    pub method: &'static str,
    /// The URL as called. A partner may want its secret in here: store and show [`Request::url_shown`] instead.
    pub url: CallUrl,
    /// The headers as sent, secrets included.
    pub headers: Vec<(String, String)>,
    /// The body as sent.
    pub body: Vec<u8>,
    /// The body without its secrets, for people's eyes: the token's field left out, or the secret masked.
    pub body_shown: Vec<u8>,
    /// Every secret that stands in it; whatever is stored or shown has these masked.
    pub secrets: Vec<Secret>,
}

impl Request {
    /// The URL with every secret masked, for people's eyes.
    #[must_use]
    pub fn url_shown(&self) -> String {
        self.masked(&self.url)
    }

    /// A text with every secret of this request masked: an answer that repeats the call, for one.
    #[must_use]
    pub fn masked(&self, text: &str) -> String {
        mask(text, &self.secrets)
    }

    /// The body of an answer, masked.
    #[must_use]
    pub fn masked_answer(&self, response: &Response) -> String {
        mask_body(&response.body, response.body_cut, self.secrets.iter())
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Request")
            .field("method", &self.method)
            .field("url", &self.url_shown())
            .field("headers", &self.headers.iter().map(|(name, _)| name).collect::<Vec<_>>())
            .field("body_bytes", &self.body.len())
            .finish()
    }
}

/// An event that was left out because the destination would refuse it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// Its position among the events given.
    pub index: usize,
    /// Why.
    pub reason: Reason,
    /// The field and the rule.
    pub detail: String,
}

/// A request for as many of the given events as the destination takes. An event that is neither in it nor left out did
/// not fit and belongs into the next request.
#[derive(Debug, Clone)]
pub struct Built {
    /// The request; `None` if every event was left out.
    pub request: Option<Request>,
    /// The positions of the events that are in it, in order.
    pub included: Vec<usize>,
    /// What each included event looks like in the request, without secrets; in the order of `included`. It may hold
    /// personal data: the address and the user agent are sent in the clear.
    pub payloads: Vec<String>,
    /// The events that the destination would refuse.
    pub left_out: Vec<LeftOut>,
}

/// An answer, as far as it was read.
#[derive(Debug, Clone, Default)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, cut at the read cap.
    pub body: Vec<u8>,
    /// Whether the body was longer than the read cap.
    pub body_cut: bool,
}

impl Response {
    /// The first header of this name, in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// What an answer means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// What became of the events.
    pub outcome: BatchOutcome,
    /// The platform's own code and words, short, for people's eyes.
    pub detail: String,
    /// How long the destination asks everybody to wait before the next call, in milliseconds.
    pub slow_down_ms: Option<i64>,
}

impl Reading {
    /// The same outcome for every event.
    #[must_use]
    pub fn whole(outcome: Outcome, detail: impl Into<String>) -> Self {
        Self { outcome: BatchOutcome::Whole(outcome), detail: detail.into(), slow_down_ms: None }
    }

    /// Asks everybody to wait.
    #[must_use]
    pub fn slow_down(mut self, wait_ms: Option<i64>) -> Self {
        self.slow_down_ms = wait_ms;
        self
    }
}

/// What a platform hands out for a sign-in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessToken {
    /// The token that calls carry.
    pub token: Secret,
    /// How long it is good for, in milliseconds from the answer.
    pub valid_ms: i64,
}

/// Under which name [`Settings::secrets`] has the token of a sign-in.
pub const ACCESS_TOKEN: &str = "access_token";

/// What became of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BatchOutcome {
    /// The same for every event in it.
    Whole(Outcome),
    /// One outcome for each event, in order.
    Each(Vec<Outcome>),
}

/// What became of an event that was taken before it was judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Became {
    /// It counts.
    Counted,
    /// It does not count; the platform's codes.
    Refused(String),
    /// It or some of those sent with it do not count, and which is not told; the platform's codes.
    InPart(String),
    /// It does not count for reasons that pass, and may be sent once more as it was.
    Passing {
        /// The platform's codes.
        detail: String,
        /// Whether some of those sent with it count all the same.
        in_part: bool,
    },
    /// Nothing is told of it.
    Unsaid,
}

/// What a platform tells when it is asked what became of a call's events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lookback {
    /// It is still at work.
    NotYet,
    /// What became of each event, in order.
    Told(Vec<Became>),
    /// It does not know the call, or not any more.
    Gone,
    /// It answered what nobody understands, and may do so whenever it is asked about this call.
    Unclear,
    /// It cannot be asked now, about whatever call; whether that is for the token's sake.
    Trouble {
        /// The token is no longer good.
        token: bool,
    },
}

/// What a kind can be told about an event that must not be used in full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Told {
    /// That its use is limited as laws of the United States ask for: `data_processing`.
    pub limits: bool,
    /// That it may not be used to choose advertising: `opt_out`.
    pub opt_out: bool,
    /// What the visitor denied: the receiver says itself how it treats such an event.
    pub denial: bool,
    /// Its terms want a visitor of Europe asked first: where nobody has said a word, nothing is sent.
    pub asked_in_europe: bool,
}

impl Told {
    /// Nothing at all.
    pub const NOTHING: Self = Self { limits: false, opt_out: false, denial: false, asked_in_europe: false };
    /// Limits of use.
    pub const LIMITS: Self = Self { limits: true, ..Self::NOTHING };
    /// That it may not be used to choose advertising.
    pub const OPT_OUT: Self = Self { opt_out: true, ..Self::NOTHING };
    /// Both of these.
    pub const BOTH: Self = Self { limits: true, ..Self::OPT_OUT };
}

/// The dialect of one kind of destination.
pub trait Dialect: Sync {
    /// The kind's name in the configuration.
    fn kind(&self) -> &'static str;
    /// One sentence: what it is.
    fn help(&self) -> &'static str;
    /// Its settings; `slug`, `kind` and `allow_private` belong to every destination and are not listed.
    fn fields(&self) -> &'static [SettingField];
    /// How it is told that an event is a test.
    fn test_mode(&self) -> TestMode {
        TestMode::Missing("send to an endpoint of your own that is for tests")
    }
    /// The settings under which what is built is a test, with this code if one was given.
    ///
    /// # Errors
    /// Why it cannot be one.
    fn for_test(&self, settings: &Settings, code: Option<&str>) -> Result<Settings, NoTest> {
        let mut settings = settings.clone();
        match self.test_mode() {
            TestMode::Missing(instead) => return Err(NoTest::Missing(instead)),
            TestMode::Flag(name) => _ = settings.values.insert(name.to_owned(), Setting::Flag(true)),
            TestMode::Code { setting, from, .. } => {
                if let Some(code) = code {
                    settings.values.insert(setting.to_owned(), Setting::Text(code.to_owned()));
                } else if settings.text(setting).is_none() {
                    return Err(NoTest::NeedsCode(from));
                }
                let problems = self.check(&settings.values);
                if let Some(wrong) = problems.into_iter().find(|problem| problem.setting == setting) {
                    return Err(NoTest::WrongCode(wrong.problem));
                }
            }
        }
        Ok(settings)
    }
    /// Checks the settings beyond presence and type. No side effects. Each problem says what is wrong and, after a
    /// semicolon, how to mend it.
    fn check(&self, settings: &BTreeMap<String, Setting>) -> Vec<SettingProblem>;
    /// The most events one request may carry.
    fn batch_max(&self) -> usize;
    /// How old an event of this action source may be when it is sent, in milliseconds.
    fn max_age_ms(&self, settings: &BTreeMap<String, Setting>, action_source: &str) -> i64;
    /// How long after it took an event it recognises the same one; after that a second one counts again. `None` if it
    /// never counts twice, or does not say.
    fn recognises_for_ms(&self) -> Option<i64> {
        None
    }
    /// The secrets that are set but cannot be what they are meant for; they count as missing.
    fn unusable_secrets(&self, _settings: &Settings) -> Vec<&'static str> {
        Vec::new()
    }
    /// The request that has to come first because the settings hold no token, only what one is made from. Its token is
    /// then among the secrets as [`ACCESS_TOKEN`].
    fn sign_in(&self, _settings: &Settings) -> Option<Request> {
        None
    }
    /// Reads the answer to [`Dialect::sign_in`]; what stands in the way is told like the answer to any other call.
    ///
    /// # Errors
    /// There is no token in it.
    fn signed_in(
        &self,
        _settings: &Settings,
        _response: &Response,
        _now: Timestamp,
    ) -> Result<AccessToken, Reading> {
        let nobody_asked = Outcome::Pause { reason: Reason::DestMisconfigured };
        Err(Reading::whole(nobody_asked, "this kind signs in nowhere"))
    }
    /// What it can be told about an event that must not be used in full.
    fn told(&self) -> Told {
        Told::NOTHING
    }
    /// Whether it takes an event that adjusts another one: a value that fell or is nothing now.
    fn adjusts(&self, _settings: &Settings, _event: &OutboundEvent) -> bool {
        false
    }
    /// Whether it takes this adjustment for good: told that nothing is left, it cannot be told that something is again.
    fn retracts(&self, _settings: &Settings, _event: &OutboundEvent) -> bool {
        false
    }
    /// Whether these settings hand an objection to this event on as the visitor made it.
    fn passes_on(&self, _settings: &Settings, _event: &OutboundEvent, _objection: Objection) -> bool {
        false
    }
    /// The macros of its templates, if it has any.
    fn macros(&self, _settings: &BTreeMap<String, Setting>) -> Vec<MacroUse> {
        Vec::new()
    }
    /// The call of a sample event, to be looked at; `None` if there are no templates. What stands for a secret is
    /// masked.
    ///
    /// # Errors
    /// Why the sample would not be sent.
    fn example(&self, _settings: &BTreeMap<String, Setting>) -> Option<Result<Request, String>> {
        None
    }
    /// Builds a request for the events; those that would be refused are left out with their reasons.
    fn build(&self, settings: &Settings, events: &[OutboundEvent], now: Timestamp) -> Built;
    /// Reads the answer to a request that carried `sent` events.
    fn read(&self, settings: &Settings, response: &Response, sent: usize, now: Timestamp) -> Reading;
    /// Under which name the platform tells later what became of the events of this answer, if it judges them later.
    fn receipt(&self, _settings: &Settings, _response: &Response) -> Option<String> {
        None
    }
    /// The request that asks for it; `None` if nobody can be asked.
    fn lookback(&self, _settings: &Settings, _receipt: &str) -> Option<Request> {
        None
    }
    /// Reads what it answers; `sent` is what each event looked like in the request.
    fn read_lookback(&self, _settings: &Settings, _response: &Response, _sent: &[String]) -> Lookback {
        Lookback::Gone
    }
    /// The same of this very request, for a kind whose requests go to more than one place.
    fn read_answer_to(
        &self,
        _request: &Request,
        settings: &Settings,
        response: &Response,
        sent: usize,
        now: Timestamp,
    ) -> Reading {
        self.read(settings, response, sent, now)
    }
}
