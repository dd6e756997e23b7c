//! Where libraries come from and under which licences: the rules of `deny.toml`, checked from what Cargo itself reports,
//! so that they hold everywhere and not only where cargo-deny is installed.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

use super::finding::Finding;

/// The only registry.
const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// The part of `deny.toml` that is read here.
#[derive(Deserialize)]
struct Deny {
    licenses: Licences,
    bans: Bans,
}

#[derive(Deserialize)]
struct Licences {
    allow: Vec<String>,
}

#[derive(Deserialize)]
struct Bans {
    deny: Vec<Ban>,
}

#[derive(Deserialize)]
struct Ban {
    #[serde(rename = "crate")]
    name: String,
    reason: String,
}

/// The part of `cargo metadata` that is read here.
#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    license: Option<String>,
    source: Option<String>,
}

/// Asks Cargo, then judges.
pub(crate) fn check(root: &Path, deny: Option<&str>) -> Result<Vec<Finding>> {
    let Some(deny) = deny else {
        return Ok(vec![Finding::of(
            "deny.toml",
            "not there",
            "add it: it lists the licences that are allowed",
        )]);
    };
    let output = Command::new("cargo")
        .args(["metadata", "--format-version", "1", "--locked"])
        .current_dir(root)
        .output()
        .context("cannot run cargo metadata")?;
    if !output.status.success() {
        bail!("cargo metadata failed:\n{}", String::from_utf8_lossy(&output.stderr));
    }
    judge(deny, &String::from_utf8_lossy(&output.stdout))
}

fn judge(deny: &str, metadata: &str) -> Result<Vec<Finding>> {
    let deny: Deny = toml::from_str(deny).context("cannot read deny.toml")?;
    let metadata: Metadata =
        serde_json::from_str(metadata).context("cannot read what cargo metadata says")?;
    let mut findings = Vec::new();
    for package in &metadata.packages {
        // Packages of this repository have no source.
        let Some(source) = &package.source else { continue };
        let name = format!("{} {}", package.name, package.version);
        if source != CRATES_IO {
            let what = format!("{name} comes from {source}");
            findings.push(Finding::of("Cargo.lock", what, "take it from crates.io"));
        }
        match &package.license {
            None => {
                let what = format!("{name} states no licence");
                findings.push(Finding::of("Cargo.lock", what, "use another library"));
            }
            Some(licence) if !allowed(licence, &deny.licenses.allow) => {
                let what = format!("{name} is under {licence}");
                let fix = "use another library, or allow the licence in deny.toml and say why";
                findings.push(Finding::of("Cargo.lock", what, fix));
            }
            Some(_) => {}
        }
        if let Some(ban) = deny.bans.deny.iter().find(|ban| ban.name == package.name) {
            let what = format!("{name} is banned: {}", ban.reason);
            findings.push(Finding::of("Cargo.lock", what, format!("see `cargo tree -i {}`", package.name)));
        }
    }
    Ok(findings)
}

/// Whether an SPDX expression can be met with the allowed licences. `/` is the old spelling of `OR`.
fn allowed(expression: &str, allow: &[String]) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let mut words = spaced.split_whitespace().peekable();
    let met = either(&mut words, allow);
    met && words.next().is_none()
}

type Words<'a> = std::iter::Peekable<std::str::SplitWhitespace<'a>>;

fn either(words: &mut Words<'_>, allow: &[String]) -> bool {
    let mut met = both(words, allow);
    while words.next_if_eq(&"OR").is_some() {
        // Both sides are read even if the first is enough.
        met |= both(words, allow);
    }
    met
}

fn both(words: &mut Words<'_>, allow: &[String]) -> bool {
    let mut met = one(words, allow);
    while words.next_if_eq(&"AND").is_some() {
        met &= one(words, allow);
    }
    met
}

fn one(words: &mut Words<'_>, allow: &[String]) -> bool {
    match words.next() {
        Some("(") => {
            let met = either(words, allow);
            met && words.next() == Some(")")
        }
        Some(licence) => {
            let name = match words.next_if_eq(&"WITH") {
                Some(_) => format!("{licence} WITH {}", words.next().unwrap_or_default()),
                None => licence.to_owned(),
            };
            allow.contains(&name)
        }
        None => false,
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    const DENY: &str =
        "[licenses]\nallow = ['MIT', 'Zlib']\n[bans]\ndeny = [{ crate = 'bad', reason = 'worse' }]\n";

    #[test]
    fn expressions_are_met_by_what_is_allowed() {
        let allow = ["MIT".to_owned(), "Zlib".to_owned(), "Apache-2.0 WITH LLVM-exception".to_owned()];
        for good in [
            "MIT",
            "GPL-3.0 OR MIT",
            "Apache-2.0/MIT",
            "(MIT OR X) AND Zlib",
            "Apache-2.0 WITH LLVM-exception",
        ] {
            assert!(allowed(good, &allow), "{good}");
        }
        for bad in [
            "",
            "GPL-3.0",
            "MIT AND GPL-3.0",
            "(MIT OR X) AND Y",
            "MIT AND",
            "MIT Zlib",
            "(MIT",
            "Apache-2.0",
        ] {
            assert!(!allowed(bad, &allow), "{bad}");
        }
    }

    fn package(name: &str, license: &str, source: &str) -> String {
        format!("{{\"name\":\"{name}\",\"version\":\"1.0.0\",\"license\":{license},\"source\":{source}}}")
    }

    #[test]
    fn each_rule_goes_red() {
        let home = format!("\"{CRATES_IO}\"");
        let packages = [
            package("ours", "null", "null"),
            package("good", "\"MIT\"", &home),
            package("closed", "\"Proprietary\"", &home),
            package("mute", "null", &home),
            package("bad", "\"MIT\"", &home),
            package("far", "\"MIT\"", "\"git+https://forge.example/x\""),
        ];
        let metadata = format!("{{\"packages\":[{}]}}", packages.join(","));
        let said: Vec<_> = judge(DENY, &metadata).unwrap().into_iter().map(|f| f.what).collect();
        assert_eq!(said.len(), 4, "{said:?}");
        assert!(said[0].starts_with("closed 1.0.0 is under"));
        assert!(said[1].starts_with("mute 1.0.0 states no licence"));
        assert!(said[2].starts_with("bad 1.0.0 is banned: worse"));
        assert!(said[3].starts_with("far 1.0.0 comes from git+"));
    }
}
