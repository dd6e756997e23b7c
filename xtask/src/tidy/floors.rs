//! The floors: which crate may know which, and which libraries a floor may not know.
//!
//! Arrows go down only. Rooms on one floor do not see each other. What stands beside the floors (testkit, sandbox, ui,
//! xtask) has rules of its own, in one table each.

use toml::{Table, Value};

use super::finding::Finding;
use super::tree::Tree;

/// Where a crate stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// On a floor; it may know whatever stands on a lower one.
    Floor(u8),
    /// Beside the floors; it may know these.
    Beside(&'static [&'static str]),
}

/// Every crate of the workspace and its place.
const CRATES: [(&str, Place); 11] = [
    ("crosstally-core", Place::Floor(1)),
    ("crosstally-store", Place::Floor(2)),
    ("crosstally-lake", Place::Floor(2)),
    ("crosstally-destinations", Place::Floor(2)),
    ("crosstally-engine", Place::Floor(3)),
    ("crosstally-http", Place::Floor(4)),
    ("crosstally", Place::Floor(5)),
    ("crosstally-sandbox", Place::Beside(&["crosstally-core"])),
    ("crosstally-ui", Place::Beside(&[])),
    (
        "crosstally-testkit",
        Place::Beside(&[
            "crosstally-core",
            "crosstally-store",
            "crosstally-lake",
            "crosstally-destinations",
            "crosstally-engine",
            "crosstally-http",
            "crosstally-sandbox",
        ]),
    ),
    ("xtask", Place::Beside(&[])),
];

/// Who may depend on a crate that stands beside the floors, other than for tests.
const USERS: [(&str, &[&str]); 4] = [
    ("crosstally-sandbox", &["crosstally", "crosstally-testkit"]),
    ("crosstally-ui", &["crosstally", "crosstally-http"]),
    ("crosstally-testkit", &[]),
    ("xtask", &[]),
];

/// Libraries that carry a floor's secret: only these crates may name them outside tests.
const SECRETS: [(&str, &[&str], &str); 8] = [
    ("rusqlite", &["crosstally-store", "crosstally-testkit"], "the store is the only crate that knows SQL"),
    (
        "tokio-postgres",
        &["crosstally-store", "crosstally-testkit"],
        "the store is the only crate that knows SQL",
    ),
    ("deadpool-postgres", &["crosstally-store"], "the store is the only crate that knows SQL"),
    (
        "axum",
        &["crosstally-http", "crosstally-sandbox", "crosstally-testkit"],
        "only the doors know a web framework",
    ),
    (
        "tokio-rustls",
        &["crosstally-engine", "crosstally-http"],
        "TLS is spoken at the doors and at the way out",
    ),
    ("clap", &["crosstally", "xtask"], "only programs have a command line"),
    ("anyhow", &["crosstally", "crosstally-testkit", "xtask"], "the floors have typed errors"),
    ("mimalloc", &["crosstally"], "only the program chooses an allocator"),
];

/// What the two pure crates may not know: waiting, the network, and chance.
const IMPURE: [&str; 12] = [
    "tokio",
    "hyper",
    "hyper-util",
    "axum",
    "tower",
    "reqwest",
    "rusqlite",
    "tokio-postgres",
    "rand",
    "getrandom",
    "tracing",
    "metrics",
];

/// The crates that are nothing but functions over values.
const PURE: [&str; 2] = ["crosstally-core", "crosstally-destinations"];

/// One dependency line of a manifest.
struct Arrow {
    to: String,
    for_tests: bool,
    line: usize,
}

/// Arrows that go up or sideways, and libraries on the wrong floor.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for folder in tree.packages() {
        let path = format!("{folder}/Cargo.toml");
        let text = tree.text(&path).unwrap_or_default();
        let manifest: Table = match toml::from_str(text) {
            Ok(manifest) => manifest,
            Err(error) => {
                findings.push(Finding::of(&path, format!("not a manifest: {error}"), "mend the TOML"));
                continue;
            }
        };
        let named = manifest.get("package").and_then(|p| p.get("name")).and_then(Value::as_str);
        let name = folder.rsplit('/').next().unwrap_or(folder);
        if named != Some(name) {
            let fix = format!("set package.name to \"{name}\": the folder is named after its crate");
            findings.push(Finding::of(&path, "the folder and the crate have different names", fix));
        }
        let Some(place) = place_of(name) else {
            let fix = "give it a floor in CRATES of xtask/src/tidy/floors.rs and a row in ARCHITECTURE.md";
            findings.push(Finding::of(&path, format!("{name} stands on no floor"), fix));
            continue;
        };
        for arrow in arrows(&manifest, text) {
            if let Some((what, fix)) = judge(name, place, &arrow) {
                findings.push(Finding::at(&path, arrow.line, what, fix));
            }
        }
    }
    findings
}

fn place_of(name: &str) -> Option<Place> {
    CRATES.iter().find(|(n, _)| *n == name).map(|(_, place)| *place)
}

/// What is wrong with an arrow, and what to do; nothing if it is right.
fn judge(from: &str, place: Place, arrow: &Arrow) -> Option<(String, String)> {
    let to = arrow.to.as_str();
    let Some(target) = place_of(to) else {
        return if arrow.for_tests { None } else { judge_library(from, to) };
    };
    if let Place::Beside(may) = place {
        let fix = if may.is_empty() {
            format!("{from} depends on no crate of ours")
        } else {
            format!("{from} may depend on {} only", may.join(", "))
        };
        // What stands beside may be tested with the testkit and the sandbox, like everybody else.
        let tested = arrow.for_tests && matches!(to, "crosstally-testkit" | "crosstally-sandbox");
        return (!may.contains(&to) && !tested).then(|| (format!("{from} must not know {to}"), fix));
    }
    let Place::Floor(floor) = place else { return None };
    match target {
        Place::Floor(other) if other < floor => None,
        Place::Floor(other) => {
            let way = if other == floor { "sideways" } else { "up" };
            let fix = "let the floor above join them, or move what is shared to a floor below both";
            Some((
                format!("the arrow {from} (floor {floor}) -> {to} (floor {other}) goes {way}"),
                fix.to_owned(),
            ))
        }
        Place::Beside(_) => {
            let users = USERS.iter().find(|(n, _)| *n == to).map_or(&[][..], |(_, users)| *users);
            let tested = arrow.for_tests && to != "xtask";
            (!tested && !users.contains(&from)).then(|| {
                (format!("{from} depends on {to} outside tests"), "move it to [dev-dependencies]".to_owned())
            })
        }
    }
}

fn judge_library(from: &str, to: &str) -> Option<(String, String)> {
    if PURE.contains(&from) && IMPURE.contains(&to) {
        let fix = "hand the value in from the engine: this crate is pure functions";
        return Some((format!("{from} must not know {to}"), fix.to_owned()));
    }
    let (_, may, why) = SECRETS.iter().find(|(library, ..)| *library == to)?;
    (!may.contains(&from))
        .then(|| (format!("{from} must not know {to}: {why}"), format!("use it in {}", may.join(", "))))
}

/// All dependencies of a manifest, those of single platforms included.
fn arrows(manifest: &Table, text: &str) -> Vec<Arrow> {
    let mut tables = vec![manifest];
    if let Some(targets) = manifest.get("target").and_then(Value::as_table) {
        tables.extend(targets.values().filter_map(Value::as_table));
    }
    let mut found = Vec::new();
    for table in tables {
        for (section, for_tests) in
            [("dependencies", false), ("build-dependencies", false), ("dev-dependencies", true)]
        {
            for (key, value) in table.get(section).and_then(Value::as_table).into_iter().flatten() {
                let renamed = value.get("package").and_then(Value::as_str);
                let line = line_of(text, section, key);
                found.push(Arrow { to: renamed.unwrap_or(key).to_owned(), for_tests, line });
            }
        }
    }
    found
}

/// The line that names a dependency in a section.
fn line_of(text: &str, section: &str, key: &str) -> usize {
    let mut inside = false;
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.starts_with('[') {
            inside = line.contains(section) && (section != "dependencies" || !line.contains("-dependencies"));
            if inside && line.contains(&format!(".{key}]")) {
                return number + 1;
            }
        }
        let named = line.strip_prefix(key).is_some_and(|rest| rest.starts_with(['.', ' ', '=']));
        if inside && named {
            return number + 1;
        }
    }
    0
}

#[cfg(test)]
mod tests {
    use super::super::fixture::Fixture;
    use super::*;

    fn manifest(name: &str, rest: &str) -> (String, String) {
        (format!("crates/{name}/Cargo.toml"), format!("[package]\nname = \"{name}\"\n{rest}"))
    }

    fn findings(name: &str, rest: &str) -> Vec<Finding> {
        let (path, text) = manifest(name, rest);
        check(&Fixture::new(&[(&path, &text)]).tree())
    }

    #[test]
    fn down_is_right_and_may_skip_floors() {
        let rest = "[dependencies]\ncrosstally-core.workspace = true\ncrosstally-engine.workspace = true\n\
                    [dev-dependencies]\ncrosstally-testkit.workspace = true\n";
        assert_eq!(findings("crosstally-http", rest), []);
        assert_eq!(findings("crosstally", "[dependencies]\ncrosstally-sandbox.workspace = true\n"), []);
    }

    #[test]
    fn up_and_sideways_are_found_with_their_line() {
        let up = findings("crosstally-core", "[dependencies]\ncrosstally-store.workspace = true\n");
        assert_eq!(up.len(), 1, "{up:?}");
        assert!(up[0].what.ends_with("goes up") && up[0].line == 4, "{up:?}");
        let sideways =
            findings("crosstally-destinations", "[dependencies]\ncrosstally-store = { path = \"../x\" }\n");
        assert!(sideways[0].what.ends_with("goes sideways"), "{sideways:?}");
        let hidden =
            "[target.'cfg(unix)'.dependencies]\nlower = { package = \"crosstally-http\", path = \"..\" }\n";
        assert_eq!(findings("crosstally-engine", hidden).len(), 1);
    }

    #[test]
    fn the_testkit_is_for_tests_and_the_sandbox_knows_core_only() {
        let kit = findings("crosstally-engine", "[dependencies]\ncrosstally-testkit.workspace = true\n");
        assert!(kit[0].fix.contains("dev-dependencies"), "{kit:?}");
        assert_eq!(findings("crosstally-sandbox", "[dependencies]\ncrosstally-core.workspace = true\n"), []);
        let judge =
            findings("crosstally-sandbox", "[dependencies]\ncrosstally-destinations.workspace = true\n");
        assert_eq!(judge.len(), 1, "{judge:?}");
        let sold = findings("crosstally-http", "[dependencies]\ncrosstally-sandbox.workspace = true\n");
        assert_eq!(sold.len(), 1, "{sold:?}");
    }

    #[test]
    fn libraries_stay_on_their_floor() {
        assert_eq!(findings("crosstally-store", "[dependencies]\nrusqlite.workspace = true\n"), []);
        assert_eq!(findings("crosstally-engine", "[dependencies]\nrusqlite.workspace = true\n").len(), 1);
        assert_eq!(findings("crosstally-core", "[dependencies]\ntokio.workspace = true\n").len(), 1);
        assert_eq!(findings("crosstally-core", "[dev-dependencies]\ntokio.workspace = true\n"), []);
    }

    #[test]
    fn an_unknown_crate_and_a_wrong_folder_are_found() {
        let unknown = findings("crosstally-utils", "");
        assert!(unknown[0].what.contains("stands on no floor"), "{unknown:?}");
        let fixture =
            Fixture::new(&[("crates/crosstally-core/Cargo.toml", "[package]\nname = \"crosstally-base\"\n")]);
        assert_eq!(check(&fixture.tree()).len(), 1);
    }
}
