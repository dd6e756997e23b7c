//! `crosstally evidence` and `crosstally verify`.

use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use crosstally_engine::evidence::verify::{KeyIs, Verified, verify};
use crosstally_engine::evidence::{EvidenceError, PACK_BYTES_MAX};
use crosstally_http::api::evidence::{KeyOut, WantedIn};

use crate::cli::{At, Evidence, Verify};
use crate::exit::{self, Code};
use crate::remote::{self, Where, escaped, query};
use crate::show;

fn told(error: EvidenceError) -> anyhow::Error {
    match error {
        EvidenceError::Nothing => {
            exit::with(Code::NotFound, "nothing is known that such a pack could tell of")
        }
        EvidenceError::TooMuch => exit::with(Code::Usage, error.to_string()),
        other => other.into(),
    }
}

/// Makes a pack.
pub(crate) async fn make(wanted: Evidence, json: bool) -> Result<()> {
    if wanted.print_key {
        return key(&wanted.at, json).await;
    }
    let filter = WantedIn {
        partner: wanted.partner.clone(),
        verdict: wanted.verdict.clone(),
        from: wanted.from.clone(),
        to: wanted.to.clone(),
    };
    let usual = wanted.id.clone().or_else(|| wanted.partner.clone()).unwrap_or_else(|| "calls".to_owned());
    let file = match remote::find(&wanted.at)? {
        Where::Here(ground) => {
            remote::here(&ground, async |engine| {
                let pack = match &wanted.id {
                    Some(id) => engine.evidence_of(id).await,
                    None => {
                        let asked =
                            filter.wanted().map_err(|error| exit::with(Code::Usage, error.to_string()))?;
                        engine.evidence_matching(&asked).await
                    }
                };
                Ok(pack.map_err(told)?.file)
            })
            .await?
        }
        Where::There(server) => {
            let path = match &wanted.id {
                Some(id) => format!("/api/v1/evidence/{}", escaped(id)),
                None => query(
                    "/api/v1/evidence",
                    &[
                        ("partner", &filter.partner),
                        ("verdict", &filter.verdict),
                        ("from", &filter.from),
                        ("to", &filter.to),
                    ],
                ),
            };
            server.get_text(&path).await?
        }
    };
    let safe: String = usual.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').take(40).collect();
    let out = wanted.out.unwrap_or_else(|| PathBuf::from(format!("evidence-{safe}.html")));
    if out == Path::new("-") {
        return show::text(&file);
    }
    std::fs::write(&out, &file).with_context(|| format!("{} cannot be written", out.display()))?;
    let checked = verify(file.as_bytes(), None);
    if json {
        return show::json(&serde_json::json!({
            "file": out.display().to_string(), "bytes": file.len(), "records": checked.records,
            "key": checked.key, "fingerprint": checked.fingerprint,
        }));
    }
    show::text(&format!(
        "{}: {} records, signed by {}\n",
        show::clean(&out.display().to_string()),
        checked.records,
        checked.fingerprint
    ))?;
    show::aside(
        "whoever gets it checks it with `crosstally verify FILE --key KEY`, or opens it in a browser to read it",
    )
}

async fn key(at: &At, json: bool) -> Result<()> {
    let key: KeyOut = match remote::find(at)? {
        Where::Here(ground) => {
            remote::here(&ground, async |engine| Ok(engine.evidence_public_key().await.map_err(told)?.into()))
                .await?
        }
        Where::There(server) => server.get("/api/v1/evidence/key").await?,
    };
    if json {
        return show::json(&key);
    }
    show::text(&format!("{}\n", key.key))?;
    show::aside(&format!("{}, fingerprint {}", key.algorithm, key.fingerprint))
}

/// Checks a pack. Asks nobody and needs no data.
pub(crate) fn check(wanted: &Verify, json: bool) -> Result<()> {
    let limit = u64::try_from(PACK_BYTES_MAX)? + 1;
    let mut bytes = Vec::new();
    std::fs::File::open(&wanted.file)
        .and_then(|file| file.take(limit).read_to_end(&mut bytes))
        .with_context(|| format!("{} cannot be read", wanted.file.display()))?;
    let verified = verify(&bytes, wanted.key.as_deref());
    if json {
        show::json(&verified)?;
    } else {
        show::text(&show::clean_lines(&page(&verified)))?;
    }
    if verified.ok { Ok(()) } else { Err(exit::with(Code::CheckFailed, "the pack is not what was signed")) }
}

fn page(verified: &Verified) -> String {
    let mut page = String::new();
    for problem in &verified.problems {
        page.push_str(&format!("WRONG: {problem}\n"));
    }
    if verified.ok {
        page.push_str(&format!(
            "{} records, made at {}, for {}\n",
            verified.records, verified.made_at, verified.asked
        ));
    }
    if !verified.key.is_empty() {
        let is = match verified.key_is {
            KeyIs::Expected => "the key that was expected",
            KeyIs::Another => "NOT the key that was expected",
            KeyIs::NotCompared => "not compared: give the other side's key with --key",
        };
        page.push_str(&format!("signed by {} ({is})\n  {}\n", verified.fingerprint, verified.key));
    }
    if verified.ok {
        page.push_str("It proves:\n");
        verified.proves.iter().for_each(|line| page.push_str(&format!("  - {line}\n")));
    }
    page.push_str("It does not prove:\n");
    verified.does_not_prove.iter().for_each(|line| page.push_str(&format!("  - {line}\n")));
    page
}
