//! Every preset's own samples, and hundreds of calls as senders write them, over real HTTP: each with its result, code,
//! answer, conversion and ledger.

use std::path::Path;

use anyhow::{Context, Result};
use crosstally_core::postback::signature::Scheme;
use crosstally_testkit::database::Kind;
use crosstally_testkit::on_both;
use crosstally_testkit::server::{CONFIG, TestServer};
use serde::Deserialize;

use self::judge::Bench;
use self::sample::Sample;

mod judge;
mod sample;

on_both! {
    /// The samples of every preset, in order, each preset a partner of its own.
    every_preset_reads_its_senders_calls => presets;
    /// Encodings, bodies, brackets, amounts, duplicate modes, contracts: `presets/calls.toml`.
    real_calls_have_the_right_result_code_and_ledger => calls;
}

/// A partner and its calls.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    /// The partner's slug.
    name: String,
    /// The keys of its section besides the slug, as a configuration writes them.
    #[serde(default)]
    partner: String,
    /// How its calls are signed.
    #[serde(skip)]
    scheme: Option<Scheme>,
    /// The calls.
    call: Vec<Sample>,
}

#[derive(Debug, Deserialize)]
struct CallsFile {
    case: Vec<Case>,
}

#[derive(Debug, Deserialize)]
struct PresetFile {
    name: String,
    contract: Signed,
    #[serde(default)]
    sample: Vec<Sample>,
}

#[derive(Debug, Deserialize)]
struct Signed {
    signature: Option<String>,
}

/// Fewer calls than this mean that a file was lost.
const PRESETS_MIN: usize = 60;
const PRESET_CALLS_MIN: usize = 475;
const OTHER_CALLS_MIN: usize = 250;

fn preset_cases() -> Result<Vec<Case>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crosstally-core/presets");
    let mut files: Vec<_> = std::fs::read_dir(&folder)?.collect::<std::io::Result<_>>()?;
    files.sort_by_key(std::fs::DirEntry::file_name);
    let mut cases = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(file.path())?;
        let preset: PresetFile = toml::from_str(&text).with_context(|| file.path().display().to_string())?;
        for kind in ["good", "duplicate", "rejected", "broken"] {
            let has = preset.sample.iter().any(|sample| sample.kind == kind);
            assert!(has, "{} has no call that is {kind}", preset.name);
        }
        let mut partner = format!("preset = \"{}\"\n", preset.name);
        let scheme = preset.contract.signature.as_deref().and_then(Scheme::named);
        if scheme.is_some() {
            partner.push_str("auth = { secret = { env = \"ACME_TOKEN\" } }\n");
        }
        cases.push(Case { name: preset.name, partner, scheme, call: preset.sample });
    }
    Ok(cases)
}

async fn presets(kind: Kind) -> Result<()> {
    let cases = preset_cases()?;
    assert!(cases.len() >= PRESETS_MIN, "{} presets", cases.len());
    run(kind, cases, PRESET_CALLS_MIN).await
}

async fn calls(kind: Kind) -> Result<()> {
    let file: CallsFile = toml::from_str(include_str!("presets/calls.toml"))?;
    run(kind, file.case, OTHER_CALLS_MIN).await
}

/// Runs all cases against one server and reports every deviation at once.
async fn run(kind: Kind, cases: Vec<Case>, least: usize) -> Result<()> {
    let server = TestServer::start(kind).await?;
    let (base, _) = CONFIG.split_once("[[partner]]").context("a partner")?;
    let sections: String = cases
        .iter()
        .map(|case| format!("[[partner]]\nslug = \"{}\"\n{}\n", case.name, case.partner))
        .collect();
    server.apply(&format!("{base}{sections}")).await?;
    let mut bench = Bench::new(server);
    for case in &cases {
        bench.run(&case.name, case.scheme, &case.call).await.with_context(|| case.name.clone())?;
    }
    let (calls, deviations) = bench.close().await?;
    assert!(deviations.is_empty(), "{} deviations:\n{}", deviations.len(), deviations.join("\n"));
    assert!(calls >= least, "{calls} calls, fewer than {least}");
    Ok(())
}
