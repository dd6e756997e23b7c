//! The partner's call: by the URL that was given, with our macros filled in as the partner fills in its own; else as the
//! contract says that the partner calls.

use crosstally_core::address::plain_host;
use crosstally_core::config::{Partner, TokenPlace};
use crosstally_core::contract::{ANY_OTHER, DecimalMark, Meaning, Unit, ValueOf};
use crosstally_core::fields::{FIELDS, TOKEN_PARAMS, field_named};
use crosstally_core::ledger::Status;
use crosstally_core::postback::Inbound;
use crosstally_core::postback::signature::Key;
use crosstally_core::template::write_encoded;
use serde_json::{Map, Value};
use url::Url;

use super::door::request;
use super::{Action, Gone, Run};
use crate::keys::hex_of;
use crate::secrets::{self, WithFiles};
use crate::tools::CallError;
use crosstally_core::preflight::marked;
use crosstally_destinations::dialect::Request;

/// What may stand in a template.
const MACROS: [&str; 11] = [
    "click_id",
    "transaction_id",
    "status",
    "payout",
    "payout_cents",
    "revenue",
    "currency",
    "event",
    "event_time",
    "event_id",
    "token",
];

/// What makes a call another one than the good one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Twist<'a> {
    /// Nothing.
    None,
    /// A token or signature that is wrong.
    WrongToken,
    /// This word in place of the status.
    Status(&'a str),
}

/// Finds what a template must not have.
pub(super) fn check_template(template: &str) -> Result<(), CallError> {
    let unreadable = |problem: String| Err(CallError::Unreadable(problem));
    if template.len() > 8 * 1024 || !(template.starts_with("http://") || template.starts_with("https://")) {
        return unreadable("`postback` is the whole URL as it stands at the partner".into());
    }
    if !Url::parse(template).is_ok_and(|url| url.has_host()) {
        return unreadable("`postback` has no host that could be called".into());
    }
    for piece in template.split('{').skip(1) {
        let name = piece.split('}').next().unwrap_or_default();
        if !MACROS.contains(&name) {
            let known = MACROS.join("}, {");
            return unreadable(format!(
                "`postback` has {{{name}}}; put one of these in the place of the partner's macro: {{{known}}}"
            ));
        }
    }
    Ok(())
}

fn escaped(text: &str) -> String {
    let mut out = String::new();
    write_encoded(text, false, &mut out);
    out
}

/// A call before it is signed and marked.
struct Plain {
    method: &'static str,
    path: String,
    query: String,
    body: Vec<u8>,
    content_type: &'static str,
    headers: Vec<(String, String)>,
}

impl Run<'_> {
    /// The call for an action.
    ///
    /// # Errors
    /// Why there can be none.
    pub(super) fn call(&self, action: &Action, twist: Twist<'_>, mark: &str) -> Result<Request, String> {
        let plain = match &self.wanted.postback {
            Some(template) => self.by_template(template, action, twist),
            None => self.by_contract(action, twist)?,
        };
        let mut headers = plain.headers;
        if !plain.content_type.is_empty() {
            headers.push(("content-type".to_owned(), plain.content_type.to_owned()));
        }
        let mut inbound = Inbound {
            method: plain.method.to_owned(),
            partner: self.partner.slug.clone(),
            query: plain.query.clone().into_bytes(),
            body: plain.body.clone(),
            content_type: plain.content_type.to_owned(),
            ..Inbound::default()
        };
        if twist == Twist::WrongToken {
            // Signed over something else.
            inbound.body.extend_from_slice(b" ");
        }
        headers.extend(self.signature(&inbound)?);
        let url = format!("{}{}?{}", self.base.url, plain.path, marked(&plain.query, mark));
        Ok(request(plain.method, url, headers, plain.body))
    }

    /// Whether a call arrives at this partner's own door. The mark is good for that one alone: anywhere else the call would
    /// be a real one, or a real click.
    ///
    /// # Errors
    /// Where it arrives instead.
    pub(super) fn arrives(&self, url: &str) -> Result<(), String> {
        let slug = &self.partner.slug;
        let read = |url: &str| Url::parse(url).map_err(|_| "the postback URL is none".to_owned());
        let (url, base) = (read(url)?, read(&self.base.url)?);
        // What stands before a proxy in the base is the proxy's.
        let path = url.path().strip_prefix(base.path().trim_end_matches('/')).unwrap_or_default();
        match self.snapshot.partner_called(path, url.query().unwrap_or_default()) {
            Some(named) if named == *slug => Ok(()),
            Some(named) => Err(format!("the postback URL is that of `{named}` and not of `{slug}`")),
            None => Err(format!("the postback URL leads to `{path}`, where no partner's call is taken")),
        }
    }

    /// Whether the URL that stands at the partner leads to this server.
    ///
    /// # Errors
    /// Where it leads instead.
    pub(super) fn leads_here(&self, gone: &mut Gone) -> Result<(), String> {
        let Some(url) = self.wanted.postback.as_deref().and_then(|text| Url::parse(text).ok()) else {
            return Ok(());
        };
        let host_of = |url: &Url| url.host().map(|host| plain_host(&host.to_owned()));
        let host = host_of(&url).unwrap_or_default();
        let is_base = Url::parse(&self.base.url).ok().and_then(|base| host_of(&base)).as_ref() == Some(&host);
        let ours = &self.snapshot.config.workspace.public_hosts;
        if is_base || ours.contains(&host) {
            return Ok(());
        }
        if ours.is_empty() {
            gone.note(format!(
                "nothing says whether `{host}` is this server: no `public_hosts` are set; its own door was called"
            ));
            return Ok(());
        }
        Err(format!("the postback URL leads to `{host}`, which is not among `public_hosts`"))
    }

    fn signature(&self, inbound: &Inbound) -> Result<Vec<(String, String)>, String> {
        let auth = &self.partner.auth;
        let Some((reference, name)) = auth
            .hmac
            .as_ref()
            .map(|hmac| (hmac, "hmac"))
            .or_else(|| auth.secret.as_ref().map(|secret| (secret, "secret")))
        else {
            return Ok(Vec::new());
        };
        let record = format!("partner/{}/auth.{name}", self.partner.slug);
        let engine = self.engine;
        let source = WithFiles { files: &self.snapshot.secret_files, source: engine.secret_source.as_ref() };
        let secret = secrets::resolve(reference, &record, &source, &engine.keys);
        let key = secret.and_then(|secret| Key::new(self.partner.scheme(), &secret));
        let key = key.ok_or("the partner's secret is not set where this runs")?;
        let stamp = engine.clock.now().as_seconds().to_string();
        let nonce = hex_of(engine.random.bytes::<12>());
        let headers = key.headers(inbound, &stamp, &nonce);
        Ok(headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }

    pub(super) fn value(&self, name: &str, action: &Action, twist: Twist<'_>) -> String {
        let decimal = || self.currency.format_minor(action.minor);
        match name {
            "click_id" => action.click.map(|click| click.to_string()).unwrap_or_default(),
            "transaction_id" => action.transaction.clone(),
            "status" => match twist {
                Twist::Status(word) => word.to_owned(),
                _ => self.wanted.status.clone().or_else(|| word_for_sale(&self.partner)).unwrap_or_default(),
            },
            "payout" | "revenue" => decimal(),
            "payout_cents" => action.minor.to_string(),
            "currency" => self.currency.code().to_owned(),
            "event" => self.wanted.event.clone().unwrap_or_default(),
            "event_time" => action.at.as_seconds().to_string(),
            "token" => self.shared_token().unwrap_or_default(),
            "event_id" => action.browser.clone().map(|(_, id)| id).unwrap_or_default(),
            _ => String::new(),
        }
    }

    /// The partner's token, if it has one and it is at hand.
    fn shared_token(&self) -> Option<String> {
        let (_, guards) = self.snapshot.partner(&self.partner.slug)?;
        guards?.token.as_ref().map(|token| token.expose().to_owned())
    }

    fn by_template(&self, template: &str, action: &Action, twist: Twist<'_>) -> Plain {
        let mut filled = template.to_owned();
        for name in MACROS {
            let value = escaped(&self.value(name, action, twist));
            filled = filled.replace(&format!("{{{name}}}"), &value);
        }
        // Whatever host it names, it is this server's door that is tried.
        let rest = filled.split_once("://").map_or("", |(_, rest)| rest);
        let path = rest.find('/').and_then(|at| rest.get(at..)).unwrap_or("/");
        let path = path.split('#').next().unwrap_or(path);
        // The base may name what a proxy cuts off, and so may the URL at the partner.
        let before = Url::parse(&self.base.url).map(|base| base.path().trim_end_matches('/').to_owned());
        let path = path.strip_prefix(before.as_deref().unwrap_or_default()).unwrap_or(path);
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let query = if twist == Twist::WrongToken { with_wrong_token(query) } else { query.to_owned() };
        Plain {
            method: "GET",
            path: path.to_owned(),
            query,
            body: Vec::new(),
            content_type: "",
            headers: Vec::new(),
        }
    }

    fn by_contract(&self, action: &Action, twist: Twist<'_>) -> Result<Plain, String> {
        let mut pairs: Vec<(String, String)> = Vec::new();
        let mut headers = Vec::new();
        for field in self.fields() {
            let theirs = name_of(&self.partner, field);
            let value = self.written(field, action, twist);
            match theirs.split_once(':') {
                Some((kind, name)) if kind.eq_ignore_ascii_case("header") => {
                    headers.push((name.to_owned(), value))
                }
                _ => pairs.push((theirs, value)),
            }
        }
        self.token(twist, &mut pairs, &mut headers)?;
        let path = format!("/postback/{}", self.partner.slug);
        if pairs.iter().any(|(name, _)| name.contains('.') || name.contains('[')) {
            let body = document(&pairs).ok_or("the partner's calls are documents that cannot be made up; give --postback, or send one by `crosstally postback send`")?;
            let body = Value::Object(body).to_string().into_bytes();
            return Ok(Plain {
                method: "POST",
                path,
                query: String::new(),
                body,
                content_type: "application/json",
                headers,
            });
        }
        let joined: Vec<String> =
            pairs.iter().map(|(name, value)| format!("{}={}", escaped(name), escaped(value))).collect();
        let joined = joined.join("&");
        // Where the signature covers the body only, nothing is read from the query.
        Ok(if self.partner.reads_query() {
            Plain { method: "GET", path, query: joined, body: Vec::new(), content_type: "", headers }
        } else {
            let (query, body) = (String::new(), joined.into_bytes());
            Plain {
                method: "POST",
                path,
                query,
                body,
                content_type: "application/x-www-form-urlencoded",
                headers,
            }
        })
    }

    /// The fields that a call has: those that decide what is booked, and those that the contract asks for.
    pub(super) fn fields(&self) -> Vec<&'static str> {
        let contract = &self.partner.contract;
        let amount = if contract.value() == ValueOf::Payout { "payout" } else { "revenue" };
        let mut names = vec!["click_id", "transaction_id", "status", amount, "event_time"];
        if contract.currency().is_none() || !contract.params("currency").is_empty() {
            names.push("currency");
        }
        if self.wanted.event.is_some() {
            names.push("event");
        }
        for required in contract.required() {
            if let Some(field) = field_named(required).filter(|field| !names.contains(&field.name)) {
                names.push(field.name);
            }
        }
        names
    }

    /// A value as the partner writes it.
    fn written(&self, field: &str, action: &Action, twist: Twist<'_>) -> String {
        let terms = self.partner.contract.terms();
        match field {
            "payout" | "revenue" if terms.amounts == Some(Unit::Cents) => action.minor.to_string(),
            "payout" | "revenue" => {
                let text = self.currency.format_minor(action.minor);
                if terms.decimal == Some(DecimalMark::Comma) { text.replace('.', ",") } else { text }
            }
            "email" => "preflight@example.com".to_owned(),
            "phone" => "+16505551212".to_owned(),
            "external_id" => format!("preflight-{}", action.number),
            "country" => "US".to_owned(),
            "event" if self.wanted.event.is_none() => "Sale".to_owned(),
            "first_name" | "last_name" | "city" | "state" | "zip" | "gender" | "birthdate" => {
                "preflight".to_owned()
            }
            other => self.value(other, action, twist),
        }
    }

    fn token(
        &self,
        twist: Twist<'_>,
        pairs: &mut Vec<(String, String)>,
        headers: &mut Vec<(String, String)>,
    ) -> Result<(), String> {
        let Some((_, guards)) = self.snapshot.partner(&self.partner.slug) else { return Ok(()) };
        let guards = guards.ok_or("the partner's secret is not set where this runs")?;
        let wrong = twist == Twist::WrongToken;
        let token = match (&guards.token, wrong) {
            (None, false) => return Ok(()),
            (None, true) | (Some(_), true) => "wrong-token".to_owned(),
            (Some(token), false) => token.expose().to_owned(),
        };
        let in_query = guards.token_in.as_ref().is_none_or(|places| places.contains(&TokenPlace::Query));
        if in_query && self.partner.reads_query() {
            pairs.push((TOKEN_PARAMS.first().copied().unwrap_or("token").to_owned(), token));
        } else {
            headers.push(("authorization".to_owned(), format!("Bearer {token}")));
        }
        Ok(())
    }
}

/// A query with every token in it made wrong, or with a wrong one.
fn with_wrong_token(query: &str) -> String {
    let is_token = |name: &str| TOKEN_PARAMS.iter().any(|token| token.eq_ignore_ascii_case(name));
    let mut touched = false;
    let mut pairs: Vec<String> = query
        .split('&')
        .map(|pair| match pair.split_once('=') {
            Some((name, _)) if is_token(name) => {
                touched = true;
                format!("{name}=wrong-token")
            }
            _ => pair.to_owned(),
        })
        .collect();
    if !touched {
        pairs.push("token=wrong-token".to_owned());
    }
    pairs.join("&")
}

/// The partner's own name of a field, else one that is accepted.
fn name_of(partner: &Partner, field: &str) -> String {
    let theirs = partner.contract.params(field).first().cloned();
    let taken = |name: &&str| partner.contract.taken().any(|taken| taken.eq_ignore_ascii_case(name));
    let accepted =
        || FIELDS.iter().find(|known| known.name == field)?.accepted.iter().find(|name| !taken(name));
    theirs.or_else(|| accepted().map(|name| (*name).to_owned())).unwrap_or_else(|| field.to_owned())
}

/// A word of the partner that means a sale.
pub(super) fn word_for_sale(partner: &Partner) -> Option<String> {
    let contract = &partner.contract;
    let own = contract.terms().statuses.iter().find(|(word, meaning)| {
        **meaning == Meaning::Status(Status::Approved) && word.as_str() != ANY_OTHER && !word.contains('+')
    });
    let usual = || {
        (contract.meaning("approved") == Some(Meaning::Status(Status::Approved)))
            .then(|| "approved".to_owned())
    };
    own.map(|(word, _)| word.clone()).or_else(usual)
}

/// A document in which the names are paths.
fn document(pairs: &[(String, String)]) -> Option<Map<String, Value>> {
    let mut document = Map::new();
    for (path, value) in pairs {
        if path.contains('[') {
            return None;
        }
        let mut at = &mut document;
        let mut steps: Vec<&str> = path.split('.').collect();
        let last = steps.pop()?;
        for step in steps {
            let next = at.entry(step).or_insert_with(|| Value::Object(Map::new()));
            at = next.as_object_mut()?;
        }
        at.insert(last.to_owned(), Value::String(value.clone()));
    }
    Some(document)
}
