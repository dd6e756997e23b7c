//! Lengths and file names: a file and a function fit the eye, and a module is `foo.rs` beside `foo/`.

use super::allow::{Allow, Kind};
use super::finding::Finding;
use super::tree::Tree;

/// The longest file, in lines.
const FILE_LINES_MAX: usize = 500;
/// The longest function, in lines from `fn` to its closing brace.
const FUNCTION_LINES_MAX: usize = 70;

/// Files and functions over their length, and `mod.rs`.
pub(crate) fn check(tree: &Tree, allow: &Allow) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.files() {
        let source = ["rs", "ts", "tsx"].iter().any(|e| path.rsplit_once('.').is_some_and(|(_, x)| x == *e));
        let lines = text.lines().count();
        if source && lines > FILE_LINES_MAX && !allow.has(Kind::LongFile, path, None) {
            findings.push(Finding::of(
                path,
                format!("{lines} lines; {FILE_LINES_MAX} are the most"),
                "split it by subject into `foo.rs` + `foo/`, or enter a flat table in xtask/tidy-allow.toml",
            ));
        }
    }
    for (path, source) in tree.sources("") {
        if path.ends_with("/mod.rs") {
            findings.push(Finding::of(
                path,
                "a file named mod.rs",
                "name it after its folder and move it beside it",
            ));
        }
        for function in source.functions() {
            let first = source.line(function.start);
            let lines = 1 + source.line(function.end.saturating_sub(1)) - first;
            if lines > FUNCTION_LINES_MAX && !allow.has(Kind::LongFunction, path, Some(&function.name)) {
                findings.push(Finding::at(
                    path,
                    first,
                    format!("fn {} has {lines} lines; {FUNCTION_LINES_MAX} are the most", function.name),
                    "give its steps names of their own, or enter a flat table in xtask/tidy-allow.toml",
                ));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::super::fixture::Fixture;
    use super::*;

    fn long_function(name: &str, lines: usize) -> String {
        format!("fn {name}() {{\n{}}}\n", "    step();\n".repeat(lines - 2))
    }

    #[test]
    fn a_long_file_is_found_and_a_long_enough_one_is_not() {
        let fixture =
            Fixture::new(&[("a/src/lib.rs", &"//\n".repeat(501)), ("a/src/b.rs", &"//\n".repeat(500))]);
        let findings = check(&fixture.tree(), &Allow::default());
        assert_eq!(findings.len(), 1, "{findings:?}");
        assert_eq!(findings[0].path, "a/src/lib.rs");
    }

    #[test]
    fn a_long_function_is_found_with_its_line() {
        let text = format!("{}\n{}", long_function("fits", 70), long_function("sprawls", 71));
        let fixture = Fixture::new(&[("a/src/lib.rs", &text)]);
        let findings = check(&fixture.tree(), &Allow::default());
        assert_eq!(findings.len(), 1, "{findings:?}");
        assert_eq!(findings[0].line, 72);
        assert!(findings[0].what.contains("fn sprawls has 71 lines"));
    }

    #[test]
    fn the_allow_list_lets_a_table_pass() {
        let fixture = Fixture::new(&[("a/src/lib.rs", &long_function("table", 90))]);
        let list = "[[long_function]]\npath='a/src/lib.rs'\nfunction='table'\nreason='flat'\n";
        let allow = Allow::read(Some(list)).expect("a good list");
        assert_eq!(check(&fixture.tree(), &allow), []);
        assert_eq!(allow.check(), []);
    }

    #[test]
    fn mod_rs_is_found() {
        let fixture = Fixture::new(&[("a/src/b/mod.rs", ""), ("a/src/modulus.rs", "")]);
        let findings = check(&fixture.tree(), &Allow::default());
        assert_eq!(findings.len(), 1, "{findings:?}");
        assert_eq!(findings[0].path, "a/src/b/mod.rs");
    }
}
