//! Reads destinations: which settings there are, the catalogue says.

use std::collections::{BTreeMap, BTreeSet};

use url::Url;

use super::document::{Item, Section, Text, shown};
use super::findings::{Findings, Spot};
use super::partner;
use super::secret;
use super::workspace::consent_policy;
use crate::address::plain_host;
use crate::config::address::is_private_host;
use crate::config::secrets::names_a_token;
use crate::config::{Catalog, CatalogField, Destination, FieldType, Setting, Workspace};
use crate::macro_names::is_known;
use crate::target::{Target, TargetError};
use crate::template::{Brackets, Template};

/// The keys that belong to every destination.
const COMMON: [&str; 6] = ["slug", "kind", "allow_private", "consent_policy", "in_order", "rate"];

pub(super) fn destination(
    section: &Section<'_>,
    slug: String,
    workspace: &Workspace,
    catalog: &dyn Catalog,
    found: &mut Findings<'_>,
) -> Option<Destination> {
    let allow_private = section.flag("allow_private", found);
    let consent_policy = consent_policy(section, found);
    let in_order = section.flag("in_order", found);
    let rate = section.item("rate").and_then(|item| partner::rate(item, found));
    let kinds = catalog.kinds();
    let example = format!("\"{}\"", kinds.first().copied().unwrap_or("meta"));
    let kind = section.required("kind", &example, found)?;
    let Some(fields) = catalog.fields(kind.text) else {
        let fix = found.meant(kind.text, kinds.iter().copied());
        found.problem(&kind.spot, format!("{} is not a kind of destination", shown(kind.text)), fix);
        return None;
    };
    section.refuse_unknown(fields.iter().map(|field| field.name).chain(COMMON), found);
    let is_secret = |field: &&CatalogField| field.field_type == FieldType::Secret;
    let mut reader = Reader {
        slug: &slug,
        allow_private,
        public_hosts: &workspace.public_hosts,
        secret: fields.iter().find(is_secret).map(|field| field.name),
        settings: BTreeMap::new(),
        wrong: BTreeSet::new(),
    };
    for field in &fields {
        reader.field(section, field, found);
    }
    let Reader { settings, wrong, .. } = reader;
    for (setting, problem) in catalog.check(kind.text, &settings) {
        // What could not be read has been told; it only looks missing here.
        if !wrong.contains(setting.as_str()) {
            let help = fields.iter().find(|field| field.name == setting).map_or("", |field| field.help);
            note(&section.spot_of(&setting), &setting, &problem, help, found);
        }
    }
    let kind = kind.text.to_owned();
    Some(Destination { slug, kind, allow_private, consent_policy, in_order, rate, settings })
}

fn note(spot: &Spot, setting: &str, problem: &str, help: &str, found: &mut Findings<'_>) {
    let (problem, fix) = match problem.split_once("; ") {
        Some((problem, fix)) => (problem, fix.to_owned()),
        None => (problem, format!("`{setting}`: {help}")),
    };
    found.problem(spot, format!("`{setting}` {problem}"), fix);
}

struct Reader<'s> {
    slug: &'s str,
    allow_private: bool,
    /// The hosts of this server itself.
    public_hosts: &'s [String],
    /// The setting that can hold a secret; its macro has the same name.
    secret: Option<&'static str>,
    settings: BTreeMap<String, Setting>,
    /// The settings that could not be read.
    wrong: BTreeSet<&'static str>,
}

impl Reader<'_> {
    fn field(&mut self, section: &Section<'_>, field: &CatalogField, found: &mut Findings<'_>) {
        let value = match section.item(field.name) {
            Some(item) => self.value(item, field, found),
            None if field.required => {
                section.missing(field.name, &self.example(field), found);
                None
            }
            None => return,
        };
        match value {
            Some(value) => {
                self.settings.insert(field.name.to_owned(), value);
            }
            None => {
                self.wrong.insert(field.name);
            }
        }
    }

    fn value(&self, item: Item<'_>, field: &CatalogField, found: &mut Findings<'_>) -> Option<Setting> {
        match field.field_type {
            FieldType::Text => item.into_text(found).map(|text| Setting::Text(text.text.to_owned())),
            FieldType::Integer => item.integer(found).map(Setting::Integer),
            FieldType::Flag => item.flag(found).map(Setting::Flag),
            FieldType::Secret => secret::read(item, self.slug, found).map(Setting::Secret),
            FieldType::Url | FieldType::UrlTemplate => {
                let text = item.into_text(found)?;
                let with_macros = field.field_type == FieldType::UrlTemplate;
                self.url(&text, field.name, with_macros, found).then(|| Setting::Text(text.text.to_owned()))
            }
            FieldType::Map => self.map(item, found).map(Setting::Map),
            FieldType::List => {
                let is_list = item.value.is_array();
                let items = item.list(found).into_iter().map(|text| text.text.to_owned()).collect();
                is_list.then_some(Setting::List(items))
            }
        }
    }

    /// Whether a text is a URL that may be called.
    fn url(&self, text: &Text<'_>, name: &str, with_macros: bool, found: &mut Findings<'_>) -> bool {
        // The rules of a redirect target are those of any URL with macros: none may choose the host.
        let checked = Target::parse(text.text).and_then(|_| {
            Url::parse(&Template::parse(text.text).fill_encoded(|_| None))
                .map_err(|_| TargetError::NotAbsolute)
        });
        let url = match checked {
            Ok(url) => url,
            Err(error) => {
                let fix = match error {
                    TargetError::NotAbsolute => "write it like \"https://host.example/path\"",
                    TargetError::MacroInHost => "write the host out and keep macros behind it",
                    TargetError::TooLong => "shorten it",
                };
                found.problem(&text.spot, format!("`{name}` {error}"), fix);
                return false;
            }
        };
        if !with_macros && Template::parse(text.text).macros().next().is_some() {
            found.problem(&text.spot, format!("`{name}` cannot have macros"), "write the URL out");
            return false;
        }
        if !url.username().is_empty() || url.password().is_some() {
            let problem = format!("`{name}` has a user name or password in it, which would not be sent");
            found.problem(&text.spot, problem, "remove what stands before the @");
            return false;
        }
        if url.host().is_some_and(|host| self.public_hosts.contains(&plain_host(&host))) {
            let problem =
                format!("`{name}` leads back to this server itself, by `public_hosts` of the workspace");
            found.problem(&text.spot, problem, "write the host of whoever is to be told");
            return false;
        }
        let private = url.host().is_some_and(|host| is_private_host(&host));
        if private && !self.allow_private {
            let problem = format!("`{name}` leads to this machine or a private network");
            found.problem(
                &text.spot,
                problem,
                "add allow_private = true to the destination if that is meant",
            );
            return false;
        }
        if !private && url.scheme() == "http" {
            let problem = format!("`{name}` is not encrypted on its way");
            found.warning(&text.spot, problem, "use https:// if the other side has it");
        }
        for pair in text.text.split_once('?').map_or("", |(_, query)| query).split('&') {
            let (param, value) = pair.split_once('=').unwrap_or((pair, ""));
            if names_a_token(param) {
                self.warn_of_plain_secret(&text.spot, &format!("parameter {}", shown(param)), value, found);
            }
        }
        true
    }

    fn map(&self, item: Item<'_>, found: &mut Findings<'_>) -> Option<BTreeMap<String, String>> {
        let table = item.into_table("{ name = \"value\" }", found)?;
        let mut map = BTreeMap::new();
        let mut whole = true;
        for (_, item) in table.items() {
            let key = item.key.clone();
            let Some(text) = item.into_text(found) else {
                whole = false;
                continue;
            };
            let plain = key.to_ascii_lowercase().replace('-', "_");
            if names_a_token(plain.trim_start_matches("x_")) || plain == "authorization" {
                self.warn_of_plain_secret(&text.spot, &shown(&key), text.text, found);
            }
            map.insert(key, text.text.to_owned());
        }
        whole.then_some(map)
    }

    /// Says where a secret belongs that stands in a URL or a header as it is.
    fn warn_of_plain_secret(&self, spot: &Spot, place: &str, value: &str, found: &mut Findings<'_>) {
        let Some(setting) = self.secret else { return };
        let brackets = Brackets::any(is_known, false);
        if value.is_empty() || Template::read(value, brackets).0.macros().next().is_some() {
            return;
        }
        let example = secret::example(self.slug, setting);
        let fix = format!("write {{{setting}}} in its place and set {setting} = {example}");
        found.warning(spot, format!("{place} has a secret that stands in the document"), fix);
    }

    fn example(&self, field: &CatalogField) -> String {
        match field.field_type {
            FieldType::Text => "\"..\"".to_owned(),
            FieldType::Integer => "10".to_owned(),
            FieldType::Flag => "true".to_owned(),
            FieldType::Secret => secret::example(self.slug, field.name),
            FieldType::Url => "\"https://host.example\"".to_owned(),
            FieldType::UrlTemplate => "\"https://host.example/postback?cid={click_id}\"".to_owned(),
            FieldType::Map => "{ name = \"value\" }".to_owned(),
            FieldType::List => "[\"..\"]".to_owned(),
        }
    }
}
