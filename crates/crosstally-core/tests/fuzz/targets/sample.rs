//! Pasted samples: a URL, a query, a line of a log or JSON becomes a proposal that reads as a configuration, or says why not.

use crosstally_core::config::preset;
use crosstally_core::drop_in;
use crosstally_core::params::Params;
use crosstally_core::postback::propose::propose;

use crate::input::text;
use crate::samples;

pub(super) const WORDS: &[&str] = &[
    "https://",
    "http://",
    "/postback/",
    "?",
    "&",
    "=",
    "{clickid}",
    "{payout}",
    "%7B",
    "%257B",
    "status=",
    "\"",
    "'",
    "\n",
    "{\"",
    "[{",
    "GET ",
    " HTTP/1.1",
    "#",
    "@",
    "REPLACE",
    "click_id",
    "cid=",
    "&amp;",
    "\u{202e}",
    "\\",
    "]]",
    "= [",
];

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let mut seeds: Vec<Vec<u8>> = preset::all()
        .filter(|preset| !preset.template.is_empty())
        .map(|preset| format!("https://t.example/postback/acme?{}", preset.template).into_bytes())
        .collect();
    for sample in samples::ALL.iter().step_by(9) {
        let text = if sample.body.is_empty() {
            format!("https://t.example/p?{}", sample.query)
        } else {
            sample.body.clone()
        };
        seeds.push(text.into_bytes());
    }
    seeds.push(b"--x\r\nContent-Disposition: form-data; name=\"click_id\"\r\n\r\nc1".to_vec());
    seeds
}

pub(super) fn run(data: &[u8]) {
    let text = text(data);
    if let Ok(proposal) = propose(&text, Some("acme"), "https://t.example") {
        assert!(!proposal.params.is_empty() && proposal.candidates.len() <= 3);
        let section: Result<toml::Table, _> = proposal.section.parse();
        assert!(section.is_ok(), "not TOML: {}", proposal.section);
        assert!(proposal.url.starts_with("https://t.example/"), "{}", proposal.url);
        assert!(!proposal.url.chars().any(|c| c.is_control() || c == ' '), "{}", proposal.url);
    }
    let params = Params::parse(data).unwrap_or_default();
    if let Some(route) = drop_in::route(&text, |name| params.get(name).is_some()) {
        assert!(!route.dialects.is_empty());
        assert!(route.key.is_none_or(|key| !key.is_empty() && !key.contains('/')));
    }
}
