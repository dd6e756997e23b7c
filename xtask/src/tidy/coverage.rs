//! `docs/coverage.md`: every row of the plan is there once, has a state, and the tests it names exist.

use std::collections::BTreeMap;

use super::finding::Finding;
use super::source::find_word;
use super::tree::Tree;

/// The page.
const PATH: &str = "docs/coverage.md";
/// The sections of the plan and how many rows each has.
const SECTIONS: [(char, usize); 9] =
    [('A', 8), ('B', 11), ('C', 4), ('D', 9), ('E', 10), ('F', 9), ('G', 4), ('H', 8), ('I', 8)];
/// What a row's state begins with.
const STATES: [&str; 3] = ["planned", "partly", "done"];
/// Where the journeys are.
const JOURNEYS: &str = "crates/crosstally/tests/it";

/// Missing rows, rows without a state, and tests that are not there.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let Some(text) = tree.text(PATH) else {
        return vec![Finding::of(PATH, "not there", "add it: every row of the plan, its state, its tests")];
    };
    let mut findings = Vec::new();
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for (number, line) in text.lines().enumerate() {
        let line_number = number + 1;
        let cells: Vec<&str> = line.trim().trim_matches('|').split('|').map(str::trim).collect();
        let Some(row) = cells.first().filter(|row| line.starts_with('|') && is_row(row)) else { continue };
        *seen.entry((*row).to_owned()).or_default() += 1;
        let [_, _, state, shown] = cells[..] else {
            let fix = "write `| row | what | state | shown by |`, without `|` inside a cell";
            findings.push(Finding::at(PATH, line_number, format!("{row} has not four cells"), fix));
            continue;
        };
        if !STATES.iter().any(|known| state.starts_with(known)) {
            let fix = format!("begin it with one of: {}", STATES.join(", "));
            findings.push(Finding::at(PATH, line_number, format!("{row} has the state `{state}`"), fix));
        }
        let tests: Vec<&str> = shown.split('`').skip(1).step_by(2).collect();
        if state.starts_with("done") && tests.is_empty() {
            let fix = "name the test that fails without it, or call it partly done";
            findings.push(Finding::at(PATH, line_number, format!("{row} is done but no test shows it"), fix));
        }
        for test in tests.into_iter().filter(|test| !exists(tree, test)) {
            let fix = "correct the name: `it::module::test`, or `crate::module`";
            findings.push(Finding::at(
                PATH,
                line_number,
                format!("{row} names `{test}`, which is not there"),
                fix,
            ));
        }
    }
    for (section, rows) in SECTIONS {
        for row in (1..=rows).map(|row| format!("{section}{row}")) {
            let times = seen.get(&row).copied().unwrap_or(0);
            if times != 1 {
                let what = format!("{row} is there {times} times");
                findings.push(Finding::of(PATH, what, "every row of the plan has one line"));
            }
        }
    }
    findings
}

fn is_row(text: &str) -> bool {
    let mut chars = text.chars();
    let section = chars.next();
    let digits = chars.as_str();
    section.is_some_and(|c| SECTIONS.iter().any(|(s, _)| *s == c))
        && !digits.is_empty()
        && digits.chars().all(|c| c.is_ascii_digit())
}

/// `it::module` and `it::module::test` are journeys; `crate::module` is a file or folder of a crate.
fn exists(tree: &Tree, test: &str) -> bool {
    let parts: Vec<&str> = test.split("::").collect();
    match parts[..] {
        ["it", module] => tree.text(&format!("{JOURNEYS}/{module}.rs")).is_some(),
        ["it", module, name] => tree
            .source(&format!("{JOURNEYS}/{module}.rs"))
            .is_some_and(|source| find_word(&source.code, name).next().is_some()),
        [krate, module, ..] => {
            let paths = ["src", "tests"].map(|folder| format!("crates/{krate}/{folder}/{module}"));
            let is_of = |file: &str, path: &String| {
                file.strip_prefix(path).is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
            };
            tree.files().any(|(file, _)| paths.iter().any(|path| is_of(file, path)))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::Fixture;
    use super::*;

    /// The whole plan, with some rows replaced.
    fn page(replaced: &[(&str, &str)]) -> String {
        let mut text = String::from("| row | what | state | shown by |\n|---|---|---|---|\n");
        for (section, rows) in SECTIONS {
            for row in (1..=rows).map(|row| format!("{section}{row}")) {
                let plain = format!("| {row} | something | planned | |");
                let line =
                    replaced.iter().find(|(name, _)| *name == row).map_or(plain, |(_, l)| (*l).to_owned());
                text.push_str(&line);
                text.push('\n');
            }
        }
        text
    }

    fn said(replaced: &[(&str, &str)]) -> Vec<String> {
        let journey = format!("{JOURNEYS}/journey.rs");
        let page = page(replaced);
        let files =
            [(PATH, page.as_str()), (&journey, "fn a_click() {}\n"), ("crates/a/src/b/c.rs", "fn x() {}\n")];
        check(&Fixture::new(&files).tree()).into_iter().map(|finding| finding.what).collect()
    }

    #[test]
    fn a_whole_page_with_real_tests_is_right() {
        let good = [
            ("A1", "| A1 | clicks | done | `it::journey::a_click`, `it::journey` |"),
            ("B2", "| B2 | answers | partly: some | `a::b` |"),
        ];
        assert_eq!(said(&good), Vec::<String>::new());
    }

    #[test]
    fn each_mistake_is_found() {
        assert_eq!(said(&[("C3", "")]), ["C3 is there 0 times"]);
        assert_eq!(said(&[("C3", "| C3 | a | soon | |")]), ["C3 has the state `soon`"]);
        assert_eq!(said(&[("C3", "| C3 | a | done | |")]), ["C3 is done but no test shows it"]);
        assert_eq!(said(&[("C3", "| C3 | a | b | planned | |")]), ["C3 has not four cells"]);
        for gone in ["it::journey::no_click", "it::nothing", "a::d", "b::c", "journey"] {
            let line = format!("| C3 | a | done | `{gone}` |");
            assert_eq!(said(&[("C3", &line)]), [format!("C3 names `{gone}`, which is not there")]);
        }
    }
}
