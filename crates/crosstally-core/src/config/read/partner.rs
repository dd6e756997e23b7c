//! Reads partners.

use ipnet::IpNet;

use super::document::{Section, Text, shown};
use super::findings::Findings;
use super::{secret, terms};
use crate::config::{Auth, Partner};
use crate::contract::Contract;
use crate::preset::{self, Preset};

const KEYS: &[&str] = &["slug", "preset", "auth"];

pub(super) fn partner(section: &Section<'_>, slug: String, found: &mut Findings<'_>) -> Partner {
    section.refuse_unknown(KEYS.iter().chain(terms::KEYS).copied(), found);
    let preset = preset(section, found);
    let own = terms::read(section, found);
    Partner {
        contract: Contract::new(&own, &preset.terms),
        preset: preset.name.clone(),
        own,
        auth: auth(section, &slug, found),
        slug,
    }
}

fn preset(section: &Section<'_>, found: &mut Findings<'_>) -> &'static Preset {
    let named = section.text("preset", found).map(|text| {
        preset::named(text.text).unwrap_or_else(|| {
            // A preset that changed nothing would lie.
            let problem = format!("there is no preset {}", shown(text.text));
            let fix = found.meant(text.text, preset::names());
            found.problem(&text.spot, problem, format!("{fix} (or use generic with params and statuses)"));
            preset::generic()
        })
    });
    named.unwrap_or_else(preset::generic)
}

fn auth(section: &Section<'_>, slug: &str, found: &mut Findings<'_>) -> Auth {
    let example = format!("{{ token = {} }}", secret::example(slug, "token"));
    let Some(auth) = section.table("auth", &example, found) else { return Auth::default() };
    auth.refuse_unknown(["token", "hmac", "allow"], found);
    let allow: Vec<Text<'_>> = auth.list("allow", found);
    if let Some(item) = auth.item("allow")
        && item.value.as_array().is_some_and(|array| array.is_empty())
    {
        let fix = "name the partner's addresses, or remove `allow`";
        found.warning(&item.spot, "`allow` is empty, which lets every address in", fix);
    }
    Auth {
        token: auth.item("token").and_then(|item| secret::read(item, slug, found)),
        hmac: auth.item("hmac").and_then(|item| secret::read(item, slug, found)),
        allow: allow.iter().filter_map(|text| range(text, found)).collect(),
    }
}

fn range(text: &Text<'_>, found: &mut Findings<'_>) -> Option<IpNet> {
    let single = || text.text.parse().ok().map(|address: std::net::IpAddr| IpNet::from(address));
    let Some(range) = text.text.parse::<IpNet>().ok().or_else(single) else {
        let problem = format!("{} is not an address range", shown(text.text));
        found.problem(&text.spot, problem, "write it like \"203.0.113.0/24\" or \"2001:db8::/32\"");
        return None;
    };
    if range.trunc() != range {
        let problem = format!("{} names an address within a range", shown(text.text));
        let fix =
            format!("write \"{}\" for the range or \"{}\" for the one address", range.trunc(), range.addr());
        found.problem(&text.spot, problem, fix);
        return None;
    }
    if let IpNet::V6(v6) = range
        && let Some(v4) = v6.addr().to_ipv4_mapped().filter(|_| v6.prefix_len() >= 96)
    {
        let problem = format!("{} is an IPv4 range in IPv6 form, which no call comes from", shown(text.text));
        found.problem(&text.spot, problem, format!("write \"{v4}/{}\"", v6.prefix_len() - 96));
        return None;
    }
    Some(range)
}
