//! A crate exists only if one sentence says what it must not know. That sentence stands at the top of its root file, and
//! `ARCHITECTURE.md` names the crate.

use super::finding::Finding;
use super::tree::Tree;

/// How the sentence begins.
const MARK: &str = "//! **Invariant**:";

/// Crates without their sentence, or without their row on the map.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    let map = tree.text("ARCHITECTURE.md").unwrap_or_default();
    for folder in tree.packages() {
        let roots = [format!("{folder}/src/lib.rs"), format!("{folder}/src/main.rs")];
        let Some((root, text)) = roots.iter().find_map(|root| Some((root, tree.text(root)?))) else {
            findings.push(Finding::of(folder, "no src/lib.rs and no src/main.rs", "add the root file"));
            continue;
        };
        let said = text
            .lines()
            .take_while(|line| line.starts_with("//!"))
            .any(|line| line.strip_prefix(MARK).is_some_and(|sentence| !sentence.trim().is_empty()));
        if !said {
            let fix = format!("open it with `{MARK} ..`: one sentence on what the crate must not know");
            findings.push(Finding::at(root, 1, "no invariant at the top", fix));
        }
        let name = folder.rsplit('/').next().unwrap_or(folder);
        if !map.contains(&format!("`{name}`")) {
            let fix = format!("give `{name}` a row in ARCHITECTURE.md");
            findings.push(Finding::of("ARCHITECTURE.md", format!("{name} is not on the map"), fix));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::super::fixture::Fixture;
    use super::*;

    #[test]
    fn a_crate_needs_its_sentence_and_its_row() {
        let said = "//! What for.\n//!\n//! **Invariant**: knows nothing.\n\nmod a;\n";
        let fixture = Fixture::new(&[
            ("ARCHITECTURE.md", "| `good` | `goodbye` |\n"),
            ("crates/good/Cargo.toml", ""),
            ("crates/good/src/lib.rs", said),
            ("crates/late/Cargo.toml", ""),
            ("crates/late/src/lib.rs", "mod a;\n//! **Invariant**: too late.\n"),
            ("crates/mute/Cargo.toml", ""),
            ("crates/mute/src/main.rs", "//! **Invariant**:\n"),
            ("crates/rootless/Cargo.toml", ""),
        ]);
        let findings = check(&fixture.tree());
        let of = |path: &str| findings.iter().filter(|f| f.path == path).count();
        assert_eq!(of("crates/good/src/lib.rs"), 0);
        assert_eq!(of("crates/late/src/lib.rs"), 1);
        assert_eq!(of("crates/mute/src/main.rs"), 1);
        assert_eq!(of("crates/rootless"), 1);
        assert_eq!(of("ARCHITECTURE.md"), 2, "{findings:?}");
    }
}
