//! Two SQL dialects, one shape: `sqlite/` and `postgres/` are mirrored file sets with the same functions for the floors
//! above (`pub(super)` plumbing is each dialect's own), and their migrations carry the same numbers and names.

use std::collections::{BTreeMap, BTreeSet};

use super::allow::{Allow, Kind};
use super::finding::Finding;
use super::tree::Tree;

/// The crate with the dialects.
const STORE: &str = "crates/crosstally-store";
/// The dialects.
const DIALECTS: [&str; 2] = ["sqlite", "postgres"];

/// Files and functions of one dialect that the other lacks, and migrations that do not match.
pub(crate) fn check(tree: &Tree, allow: &Allow) -> Vec<Finding> {
    let [one, other] = DIALECTS.map(|dialect| functions(tree, dialect));
    if one.is_empty() && other.is_empty() {
        return migrations(tree);
    }
    let mut findings = missing(&one, &other, DIALECTS[0], DIALECTS[1], allow);
    findings.extend(missing(&other, &one, DIALECTS[1], DIALECTS[0], allow));
    findings.extend(migrations(tree));
    findings
}

/// The functions that others may call, with their lines, for each file of a dialect (its path behind the dialect's name).
fn functions(tree: &Tree, dialect: &str) -> BTreeMap<String, BTreeMap<String, usize>> {
    let start = format!("{STORE}/src/{dialect}");
    let mut files = BTreeMap::new();
    for (path, source) in tree.sources(&start) {
        let Some(behind) = path.strip_prefix(&start).filter(|rest| rest.starts_with(['/', '.'])) else {
            continue;
        };
        if behind.ends_with("tests.rs") || behind.contains("/tests/") {
            continue;
        }
        let named = source
            .functions()
            .into_iter()
            .filter(|function| function.public && !source.in_test(function.start))
            .map(|function| (function.name.clone(), source.line(function.start)))
            .collect();
        files.insert(behind.to_owned(), named);
    }
    files
}

/// What `here` has and `there` lacks.
fn missing(
    here: &BTreeMap<String, BTreeMap<String, usize>>,
    there: &BTreeMap<String, BTreeMap<String, usize>>,
    dialect: &str,
    twin: &str,
    allow: &Allow,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (file, functions) in here {
        let short = format!("{dialect}{file}");
        let path = format!("{STORE}/src/{short}");
        let mut of_file = Vec::new();
        match there.get(file) {
            // A file of plumbing, which only its own dialect calls, needs no counterpart.
            None if functions.is_empty() => {}
            None => {
                let fix = format!(
                    "write src/{twin}{file}, or enter the file in xtask/tidy-allow.toml with the reason"
                );
                of_file.push(Finding::of(&path, format!("no counterpart src/{twin}{file}"), fix));
            }
            Some(counterpart) => {
                for (name, line) in functions {
                    if !counterpart.contains_key(name) && !allow.has(Kind::Twin, &short, Some(name)) {
                        let what = format!("fn {name} has no twin in src/{twin}{file}");
                        let fix = format!("write `fn {name}` there too, or make it private here");
                        of_file.push(Finding::at(&path, *line, what, fix));
                    }
                }
            }
        }
        // Asked only if there is something to let pass: an exception that nothing needs is a finding.
        if !of_file.is_empty() && !allow.has(Kind::Twin, &short, None) {
            findings.extend(of_file);
        }
    }
    findings
}

/// Migrations: numbered from 0001 without gaps, the same in both dialects.
fn migrations(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut sets: Vec<BTreeSet<String>> = Vec::new();
    for dialect in DIALECTS {
        let folder = format!("{STORE}/migrations/{dialect}/");
        let names: BTreeSet<String> = tree
            .files()
            .filter_map(|(path, _)| path.strip_prefix(&folder))
            .filter(|name| name.ends_with(".sql") && *name != "schema.sql")
            .map(str::to_owned)
            .collect();
        for (place, name) in names.iter().enumerate() {
            let expected = format!("{:04}_", place + 1);
            if !name.starts_with(&expected) {
                let fix = format!("name it {expected}<what>.sql: steps are numbered from 0001 without gaps");
                findings.push(Finding::of(&format!("{folder}{name}"), "out of sequence", fix));
            }
        }
        sets.push(names);
    }
    for (place, dialect) in DIALECTS.iter().enumerate() {
        let twin = DIALECTS[1 - place];
        for name in sets[place].difference(&sets[1 - place]) {
            let path = format!("{STORE}/migrations/{dialect}/{name}");
            let fix = format!("add migrations/{twin}/{name}: both dialects take the same steps");
            findings.push(Finding::of(&path, format!("no such step in {twin}"), fix));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::super::fixture::Fixture;
    use super::*;

    fn run(files: &[(&str, &str)]) -> Vec<Finding> {
        let files: Vec<_> = files.iter().map(|(p, t)| (format!("{STORE}/{p}"), *t)).collect();
        let files: Vec<_> = files.iter().map(|(p, t)| (p.as_str(), *t)).collect();
        check(&Fixture::new(&files).tree(), &Allow::default())
    }

    #[test]
    fn nothing_yet_is_fine_and_so_are_twins() {
        assert_eq!(run(&[("src/lib.rs", "")]), []);
        let same = "pub(crate) fn one() {}\nfn own() {}\n#[cfg(test)]\nmod t { pub fn x() {} }\n";
        let twin = "pub(super) fn other() {}\npub(crate) async fn one() {}\n";
        assert_eq!(run(&[("src/sqlite/a.rs", same), ("src/postgres/a.rs", twin)]), []);
    }

    #[test]
    fn a_missing_file_and_a_missing_function_are_found() {
        let files = [
            ("src/sqlite.rs", "pub fn open() {}\npub fn close() {}\n"),
            ("src/postgres.rs", "pub fn open() {}\n"),
            ("src/sqlite/clicks.rs", "pub(crate) fn append() {}"),
            ("src/postgres/outbox.rs", "pub(crate) fn lease() {}"),
            ("src/postgres/fault.rs", "pub(super) fn plumbing() {}"),
        ];
        let findings = run(&files);
        assert_eq!(findings.len(), 3, "{findings:?}");
        assert!(findings.iter().any(|f| f.what == "fn close has no twin in src/postgres.rs" && f.line == 2));
        assert!(findings.iter().any(|f| f.what == "no counterpart src/postgres/clicks.rs"));
        assert!(findings.iter().any(|f| f.what == "no counterpart src/sqlite/outbox.rs"));
    }

    #[test]
    fn an_allowed_file_passes_whole() {
        let path = format!("{STORE}/src/sqlite/writer.rs");
        let twin = format!("{STORE}/src/postgres/writer.rs");
        let files = [(path.as_str(), "pub fn new() {}\npub fn join() {}\n"), (twin.as_str(), "")];
        let list = "[[twin]]\npath='sqlite/writer.rs'\nreason='only SQLite has one writer'\n";
        let allow = Allow::read(Some(list)).expect("a good list");
        assert_eq!(check(&Fixture::new(&files).tree(), &allow), []);
        assert_eq!(allow.check(), []);
    }

    #[test]
    fn migrations_match_and_have_no_gaps() {
        let good = [("migrations/sqlite/0001_start.sql", ""), ("migrations/postgres/0001_start.sql", "")];
        assert_eq!(run(&good), []);
        let gap = [("migrations/sqlite/0001_start.sql", ""), ("migrations/sqlite/0003_more.sql", "")];
        let findings = run(&gap);
        assert_eq!(findings.iter().filter(|f| f.what == "out of sequence").count(), 1, "{findings:?}");
        assert_eq!(
            findings.iter().filter(|f| f.what == "no such step in postgres").count(),
            2,
            "{findings:?}"
        );
    }
}
