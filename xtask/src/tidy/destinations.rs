//! One folder per destination, always the same files.

use super::allow::{Allow, Kind};
use super::finding::Finding;
use super::tree::Tree;

/// Where the destinations are.
const SRC: &str = "crates/crosstally-destinations/src/";
/// What each of them has.
const FILES: [&str; 4] = ["config.rs", "request.rs", "response.rs", "tests.rs"];

/// Destinations with a file missing.
pub(crate) fn check(tree: &Tree, allow: &Allow) -> Vec<Finding> {
    let mut findings = Vec::new();
    for kind in tree.folders(SRC) {
        let folder = format!("{SRC}{kind}");
        if allow.has(Kind::Folder, &folder, None) {
            continue;
        }
        for file in FILES {
            if tree.text(&format!("{folder}/{file}")).is_none() {
                let fix = format!("add it: every destination has {}", FILES.join(", "));
                findings.push(Finding::of(&folder, format!("no {file}"), fix));
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
    fn each_missing_file_is_found() {
        let path = |rest: &str| format!("{SRC}{rest}");
        let whole: Vec<String> = FILES.iter().map(|file| path(&format!("meta/{file}"))).collect();
        let mut files: Vec<(&str, &str)> = whole.iter().map(|p| (p.as_str(), "")).collect();
        assert_eq!(check(&Fixture::new(&files).tree(), &Allow::default()), []);
        let half = path("postback/request.rs");
        files.push((&half, ""));
        let findings = check(&Fixture::new(&files).tree(), &Allow::default());
        let said: Vec<_> = findings.iter().map(|f| f.what.as_str()).collect();
        assert_eq!(said, ["no config.rs", "no response.rs", "no tests.rs"]);
        let list = format!("[[folder]]\npath='{SRC}postback'\nreason='shared words'\n");
        let allow = Allow::read(Some(&list)).expect("a good list");
        assert_eq!(check(&Fixture::new(&files).tree(), &allow), []);
    }
}
