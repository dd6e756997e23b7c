//! The workspace manifest: every library is chosen once, with its reason, and all packages take it from there.

use toml::{Table, Value};

use super::finding::Finding;
use super::tree::Tree;

/// Libraries without a reason, packages that choose versions of their own, packages without the common lints.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(text) = tree.text("Cargo.toml") {
        findings.extend(reasons(text));
    }
    for folder in tree.packages() {
        let path = format!("{folder}/Cargo.toml");
        // A manifest that cannot be read is reported by the floors.
        let Ok(manifest) = toml::from_str::<Table>(tree.text(&path).unwrap_or_default()) else { continue };
        findings.extend(own_versions(&path, &manifest));
        let lints = manifest.get("lints").and_then(|lints| lints.get("workspace")).and_then(Value::as_bool);
        if lints != Some(true) {
            findings.push(Finding::of(
                &path,
                "not under the common lints",
                "add `[lints]` with `workspace = true`",
            ));
        }
    }
    findings
}

/// Lines of `[workspace.dependencies]` that do not say why they are there.
fn reasons(text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut inside = false;
    let mut open = 0_usize;
    let mut comment_above = false;
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if open == 0 && line.starts_with('[') {
            inside = line == "[workspace.dependencies]";
        } else if inside && line.starts_with('#') {
            comment_above = !line.starts_with("# ---");
            continue;
        } else if inside && !line.is_empty() {
            let (code, comment) = line.split_once(" # ").unwrap_or((line, ""));
            let ours = code.starts_with("crosstally");
            if open == 0 && !ours && !comment_above && comment.trim().is_empty() {
                let name = code.split([' ', '=', '.']).next().unwrap_or(code);
                let fix = "say in one line, behind ` # `, what it is for and why this one";
                findings.push(Finding::at("Cargo.toml", number + 1, format!("{name} has no reason"), fix));
            }
            let brackets = |kind: [char; 2]| code.matches(kind).count();
            open = (open + brackets(['[', '{'])).saturating_sub(brackets([']', '}']));
        }
        if open == 0 {
            comment_above = false;
        }
    }
    findings
}

/// Dependencies of a package that are not taken from the workspace.
fn own_versions(path: &str, manifest: &Table) -> Vec<Finding> {
    let mut findings = Vec::new();
    for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
        for (name, value) in manifest.get(section).and_then(Value::as_table).into_iter().flatten() {
            if value.get("workspace").and_then(Value::as_bool) != Some(true) {
                let fix = format!(
                    "put the version into the workspace's Cargo.toml and write `{name}.workspace = true`"
                );
                findings.push(Finding::of(path, format!("{name} has a version of its own"), fix));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::super::fixture::Fixture;
    use super::*;

    #[test]
    fn a_library_without_a_reason_is_found() {
        let text = "[workspace]\n[workspace.dependencies]\n# --- ours\ncrosstally-core = { path = \"x\" }\n\
                    good = \"1\" # because\nbare = \"1\"\n# because\nabove = [\n  \"a\",\n]\nlast.version = \"1\"\n\
                    [profile.dev]\ndebug = 1\n";
        let findings = check(&Fixture::new(&[("Cargo.toml", text)]).tree());
        let said: Vec<_> = findings.iter().map(|f| (f.line, f.what.as_str())).collect();
        assert_eq!(said, [(6, "bare has no reason"), (11, "last has no reason")]);
    }

    #[test]
    fn a_version_of_its_own_and_missing_lints_are_found() {
        let text = "[package]\nname='a'\n[dependencies]\nx = '1'\ny.workspace = true\n";
        let findings = check(&Fixture::new(&[("crates/a/Cargo.toml", text)]).tree());
        let said: Vec<_> = findings.iter().map(|f| f.what.as_str()).collect();
        assert_eq!(said, ["x has a version of its own", "not under the common lints"]);
    }
}
