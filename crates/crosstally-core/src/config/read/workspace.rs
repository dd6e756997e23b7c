//! Reads the workspace's own settings.

use jiff::tz::TimeZoneDatabase;

use super::document::{Section, Text, shown};
use super::findings::Findings;
use crate::address;
use crate::config::{Config, Workspace};
use crate::consent::ConsentPolicy;

pub(super) fn read(section: &Section<'_>, found: &mut Findings<'_>) -> Workspace {
    section.refuse_unknown(
        ["base_currency", "timezone", "default_region", "keep_contact", "consent_policy", "public_hosts"],
        found,
    );
    let default = Config::empty().workspace;
    Workspace {
        base_currency: section.currency("base_currency", found).unwrap_or(default.base_currency),
        timezone: section
            .text("timezone", found)
            .and_then(|text| timezone(&text, found))
            .unwrap_or(default.timezone),
        default_region: section.text("default_region", found).and_then(|text| region(&text, found)),
        keep_contact: section.flag("keep_contact", found),
        consent_policy: consent_policy(section, found),
        public_hosts: public_hosts(section, found),
    }
}

fn public_hosts(section: &Section<'_>, found: &mut Findings<'_>) -> Vec<String> {
    let mut hosts = Vec::new();
    for text in section.list("public_hosts", found) {
        match address::lone_host(text.text) {
            Some(host) if hosts.contains(&host) => {}
            Some(host) => hosts.push(host),
            None => {
                let fix = "write the host alone, such as \"track.example\", without scheme, port, path and *";
                found.problem(&text.spot, format!("{} is not a host", shown(text.text)), fix);
            }
        }
    }
    hosts
}

/// What a workspace or a destination says about consent.
pub(super) fn consent_policy(section: &Section<'_>, found: &mut Findings<'_>) -> ConsentPolicy {
    let example = "{ when_denied = \"withhold\", gpc = \"limited\" }";
    let Some(policy) = section.table("consent_policy", example, found) else {
        return ConsentPolicy::default();
    };
    policy.refuse_unknown(["when_denied", "gpc"], found);
    ConsentPolicy { when_denied: policy.word("when_denied", found), gpc: policy.word("gpc", found) }
}

/// The zone's own spelling of its name. The zones are those that come with the program, so that a document means the
/// same on every machine.
fn timezone(text: &Text<'_>, found: &mut Findings<'_>) -> Option<String> {
    let zones = TimeZoneDatabase::bundled();
    if let Ok(zone) = zones.get(text.text) {
        return Some(zone.iana_name().unwrap_or(text.text).to_owned());
    }
    let names: Vec<String> = zones.available().map(|name| name.as_str().to_owned()).collect();
    let near = crate::nearest::nearest(text.text, names.iter().map(String::as_str));
    let fix = near.map_or_else(
        || "use a name such as `UTC`, `Europe/Berlin` or `America/New_York`".to_owned(),
        |near| format!("did you mean `{near}`?"),
    );
    found.problem(&text.spot, format!("{} is not a time zone", shown(text.text)), fix);
    None
}

fn region(text: &Text<'_>, found: &mut Findings<'_>) -> Option<String> {
    let region = text.text.to_ascii_uppercase();
    if region.len() == 2 && region.parse::<phonenumber::country::Id>().is_ok() {
        return Some(region);
    }
    let fix = if region == "UK" {
        "did you mean `GB`?"
    } else {
        "use a country code of ISO 3166 with two letters, such as `US` or `DE`"
    };
    found.problem(&text.spot, format!("{} is not a country with telephone numbers", shown(text.text)), fix);
    None
}
