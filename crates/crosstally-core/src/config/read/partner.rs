//! Reads partners.

use std::collections::BTreeMap;

use ipnet::IpNet;

use super::document::{Item, Section, Text, shown};
use super::findings::{Findings, Spot};
use super::{drop_in, secret, terms};
use crate::config::address;
use crate::config::preset::{self, Preset};
use crate::config::{Auth, Partner, Rate, SecretRef, TokenPlace};
use crate::contract::{Contract, DuplicateMode, Meaning, Negative};
use crate::drop_in::DropIn;
use crate::ledger::Status;
use crate::word::Word as _;

const KEYS: &[&str] = &["slug", "preset", "auth", "rate", "drop_in"];
const AUTH_KEYS: [&str; 7] = ["token", "token_in", "hmac", "secret", "old_secret", "scheme", "allow"];
/// More calls per second than one node serves.
const RATE_MAX: i64 = 1_000_000;

pub(super) fn partner(section: &Section<'_>, slug: String, found: &mut Findings<'_>) -> Partner {
    section.refuse_unknown(KEYS.iter().chain(terms::KEYS).copied(), found);
    let drop_in = drop_in::read(section, found);
    let preset = preset(section, drop_in.as_ref(), found);
    let own = terms::read(section, found);
    let partner = Partner {
        contract: Contract::new(&own, &preset.terms),
        preset: preset.name.clone(),
        own,
        auth: auth(section, &slug, found),
        rate: section.item("rate").and_then(|item| rate(item, found)),
        drop_in,
        slug,
    };
    warn_unsigned(section, &partner, found);
    refuse_keyless(section, &partner, found);
    warn_apart(section, &partner, found);
    partner
}

/// Refunds, with a mode under which a call of another amount, time or event id is about another conversion.
fn warn_apart(section: &Section<'_>, partner: &Partner, found: &mut Findings<'_>) {
    let own = &partner.own;
    let refunds = own.reversal.is_some()
        || own.negative == Some(Negative::Reversal)
        || own.statuses.values().any(|meaning| *meaning == Meaning::Status(Status::Reversed));
    let modes = own.duplicates.iter().chain(own.duplicates_of.values());
    let apart = modes.into_iter().find_map(|mode| match mode {
        DuplicateMode::Record => Some("record"),
        DuplicateMode::EventId => Some("event_id"),
        DuplicateMode::Update | DuplicateMode::Ignore | DuplicateMode::Add => None,
    });
    if let Some(mode) = apart.filter(|_| refunds) {
        let problem =
            format!("under `{mode}` a refund finds its sale only if it repeats what tells sales apart");
        let fix = "have refunds repeat it, or use duplicates = \"update\" or \"add\"";
        found.warning(&section.spot_of("duplicates"), problem, fix);
    }
}

/// A secret in the document that holds no key of its scheme, with which no call could be checked.
fn refuse_keyless(section: &Section<'_>, partner: &Partner, found: &mut Findings<'_>) {
    let scheme = partner.scheme();
    for (key, held) in [("secret", &partner.auth.secret), ("old_secret", &partner.auth.old_secret)] {
        if let Some(SecretRef::Literal(literal)) = held
            && scheme.key(literal.expose()).is_none()
        {
            let problem = format!("`{key}` holds no key of `{}`", scheme.word());
            let fix = format!("write {key} = {}", secret::example(&partner.slug, key));
            found.problem(&section.spot_of("auth"), problem, fix);
        }
    }
}

/// A sender that signs, with nobody to check it.
fn warn_unsigned(section: &Section<'_>, partner: &Partner, found: &mut Findings<'_>) {
    let Some(scheme) = &partner.contract.terms().signature else { return };
    if partner.auth.secret.is_none() && partner.auth.hmac.is_none() {
        let problem = format!(
            "its calls are signed (`{scheme}`), but without the secret nobody checks that they are real"
        );
        let fix = format!("add auth = {{ secret = {} }}", secret::example(&partner.slug, "secret"));
        found.warning(&section.spot_of("auth"), problem, fix);
    }
}

pub(super) fn rate(item: Item<'_>, found: &mut Findings<'_>) -> Option<Rate> {
    const EXAMPLE: &str = "{ per_second = 100, burst = 200 }";
    let table = item.into_table(EXAMPLE, found)?;
    table.refuse_unknown(["per_second", "burst"], found);
    let number = |key: &str, found: &mut Findings<'_>| {
        let item = table.item(key)?;
        let spot = item.spot.clone();
        let number = item.integer(found)?;
        if (1..=RATE_MAX).contains(&number) {
            return u32::try_from(number).ok();
        }
        found.problem(&spot, format!("`{key}` is not between 1 and {RATE_MAX}"), format!("write {EXAMPLE}"));
        None
    };
    let per_second = number("per_second", found);
    let burst = number("burst", found);
    if table.item("per_second").is_none() {
        table.missing("per_second", "100", found);
    }
    let per_second = per_second?;
    Some(Rate { per_second, burst: burst.unwrap_or_else(|| per_second.saturating_mul(2)) })
}

fn preset(section: &Section<'_>, drop_in: Option<&DropIn>, found: &mut Findings<'_>) -> &'static Preset {
    let named = section.text("preset", found).map(|text| {
        preset::named(text.text).unwrap_or_else(|| {
            // A preset that changed nothing would lie.
            let problem = format!("there is no preset {}", shown(text.text));
            let fix = found.meant(text.text, preset::names());
            found.problem(&text.spot, problem, format!("{fix} (or use generic with params and statuses)"));
            preset::generic()
        })
    });
    let of_endpoint = drop_in.and_then(|drop_in| preset::named(drop_in.dialect.preset()));
    named.or(of_endpoint).unwrap_or_else(preset::generic)
}

fn auth(section: &Section<'_>, slug: &str, found: &mut Findings<'_>) -> Auth {
    let example = format!("{{ token = {} }}", secret::example(slug, "token"));
    let Some(auth) = section.table("auth", &example, found) else { return Auth::default() };
    auth.refuse_unknown(AUTH_KEYS, found);
    let allow: Vec<Text<'_>> = auth.list("allow", found);
    if let Some(item) = auth.item("allow")
        && item.value.as_array().is_some_and(|array| array.is_empty())
    {
        let fix = "name the partner's addresses, or remove `allow`";
        found.warning(&item.spot, "`allow` is empty, which lets every address in", fix);
    }
    secrets_fit(&auth, slug, found);
    let mut secret = |key: &str| auth.item(key).and_then(|item| secret::read(item, slug, found));
    let (token, hmac, current, old) =
        (secret("token"), secret("hmac"), secret("secret"), secret("old_secret"));
    Auth {
        token,
        token_in: auth.item("token_in").map(|item| places(item, found)),
        hmac,
        secret: current,
        old_secret: old,
        scheme: auth.word("scheme", found),
        allow: allow.iter().filter_map(|text| allowed(text, found)).collect(),
    }
}

/// Secrets that contradict each other, or that nothing is checked with.
fn secrets_fit(auth: &Section<'_>, slug: &str, found: &mut Findings<'_>) {
    let has = |key: &str| auth.item(key).is_some();
    if has("hmac") && (has("secret") || has("scheme")) {
        let fix = "write `secret` and `scheme`; `hmac` is short for the secret of `crosstally`";
        found.problem(&auth.spot_of("hmac"), "`hmac` stands beside `secret` or `scheme`", fix);
    }
    for key in ["old_secret", "scheme"] {
        if has(key) && !has("secret") && !has("hmac") {
            let fix = format!("add `secret`, or remove `{key}`");
            found.problem(&auth.spot_of(key), format!("`{key}` does nothing without `secret`"), fix);
        }
    }
    if has("token_in") && !has("token") {
        let fix = format!("add token = {}, or remove `token_in`", secret::example(slug, "token"));
        found.problem(&auth.spot_of("token_in"), "`token_in` does nothing without `token`", fix);
    }
    if auth.items().is_empty() {
        let fix = format!("add token = {}, or remove `auth`", secret::example(slug, "token"));
        found.problem(&auth.spot, "`auth` asks a call for nothing, which lets everybody in", fix);
    }
}

fn places(item: Item<'_>, found: &mut Findings<'_>) -> Vec<TokenPlace> {
    let spot = item.spot.clone();
    let texts = item.list(found);
    if texts.is_empty() {
        found.problem(&spot, "`token_in` names no place", "write token_in = [\"header\"]");
    }
    texts.iter().filter_map(|text| text.word("token_in", found)).collect()
}

pub(super) fn range(text: &Text<'_>, found: &mut Findings<'_>) -> Option<IpNet> {
    match address::range(text.text) {
        Ok(range) => Some(range),
        Err(no) => {
            found.problem(&text.spot, format!("{} {}", shown(text.text), no.problem), no.fix);
            None
        }
    }
}

/// A range of addresses that a call may come from. One that holds everybody is taken and warned about: what was in force
/// must not keep a server from starting.
fn allowed(text: &Text<'_>, found: &mut Findings<'_>) -> Option<IpNet> {
    let range = range(text, found)?;
    if address::is_everybody(&range) {
        let problem = format!("{} in `allow` lets nearly every address in", shown(text.text));
        found.warning(&text.spot, problem, "name the partner's addresses, or remove `allow`");
    }
    Some(range)
}

/// Which partner has a secret already, by the place where it is kept.
#[derive(Default)]
pub(super) struct Secrets(BTreeMap<(u8, String), String>);

impl Secrets {
    /// Notes a partner's secrets, and warns of one that another partner has: whoever knows it can speak for both.
    pub(super) fn take(&mut self, section: &Section<'_>, partner: &Partner, found: &mut Findings<'_>) {
        let auth = &partner.auth;
        let held = [
            ("token", &auth.token),
            ("hmac", &auth.hmac),
            ("secret", &auth.secret),
            ("old_secret", &auth.old_secret),
        ];
        let spot = section.spot_of("auth");
        for (key, reference) in held.into_iter().filter_map(|(key, held)| Some((key, held.as_ref()?))) {
            let kept = match reference {
                SecretRef::Env(name) => (0, name.clone()),
                SecretRef::File(path) => (1, path.clone()),
                SecretRef::Literal(literal) => (2, literal.expose().to_owned()),
                // Sealed once for each record: no two are alike.
                SecretRef::Sealed(_) => continue,
            };
            let owner = self.0.entry(kept).or_insert_with(|| partner.slug.clone());
            if *owner == partner.slug {
                continue;
            }
            let problem = format!(
                "partner {} has the same secret: whoever may call as one of them may call as the other",
                shown(owner)
            );
            let fix = format!("give each its own: {key} = {}", secret::example(&partner.slug, key));
            found.warning(&Spot { path: format!("{}.{key}", spot.path), ..spot.clone() }, problem, fix);
        }
    }
}
