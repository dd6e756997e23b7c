//! Words that do not belong in a finished tree: unfinished markers, silenced lints, skipped tests, machine paths.
//!
//! The patterns are written in two halves so that a plain search over the tree finds only real ones.

use super::finding::Finding;
use super::source::find_word;
use super::tree::Tree;

/// Words of unfinished work, in comments and code.
const MARKERS: [&str; 3] = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("X", "XX")];

/// Code of unfinished work and of looking away, with what to do instead.
const CODE: [(&str, &str); 6] = [
    (concat!("to", "do!("), "write it, or leave the feature out"),
    (concat!("unimpl", "emented!("), "write it, or leave the feature out"),
    (concat!("#[", "allow("), "use #[expect(.., reason = \"..\")]: it goes away when it is no longer needed"),
    (
        concat!("#![", "allow("),
        "use #![expect(.., reason = \"..\")]: it goes away when it is no longer needed",
    ),
    (concat!("#[", "ignore"), "run the test, or delete it: nothing is skipped"),
    (concat!("dbg", "!("), "delete it"),
];

/// Beginnings of absolute paths that are true on one machine only.
const PATHS: [&str; 5] = [
    concat!("/ho", "me/"),
    concat!("/ro", "ot/"),
    concat!("/wo", "rk/"),
    concat!("/Us", "ers/"),
    concat!("C:\\Us", "ers\\"),
];

/// All of them, in all files.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, source) in tree.sources("") {
        for (pattern, fix) in CODE {
            for (at, _) in source.code.match_indices(pattern) {
                let whole =
                    !source.code.get(..at).is_some_and(|before| before.ends_with(super::source::is_word));
                if whole {
                    findings.push(Finding::at(path, source.line(at), format!("`{pattern}`"), fix));
                }
            }
        }
        markers(path, &source.words, &mut findings);
    }
    for (path, text) in tree.files() {
        if !path.ends_with(".rs") && !path.ends_with(".md") && !path.ends_with(".json") {
            markers(path, text, &mut findings);
        }
        machine_paths(path, text, &mut findings);
    }
    findings
}

fn markers(path: &str, text: &str, findings: &mut Vec<Finding>) {
    for (number, line) in text.lines().enumerate() {
        for marker in MARKERS {
            if find_word(line, marker).next().is_some() {
                let fix = "do it now, or write an issue and delete the marker";
                findings.push(Finding::at(path, number + 1, format!("`{marker}`"), fix));
            }
        }
    }
}

fn machine_paths(path: &str, text: &str, findings: &mut Vec<Finding>) {
    for (number, line) in text.lines().enumerate() {
        for pattern in PATHS {
            let found = line.match_indices(pattern).any(|(at, _)| {
                let before = line.get(..at).and_then(|s| s.chars().next_back());
                !before.is_some_and(|c| c.is_alphanumeric() || "_.-/}$".contains(c))
            });
            if found {
                let fix = "use a path relative to the repository, a temporary folder, or an argument";
                findings.push(Finding::at(
                    path,
                    number + 1,
                    format!("a path of one machine, `{pattern}..`"),
                    fix,
                ));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::Fixture;
    use super::*;

    fn lines(path: &str, text: &str) -> Vec<usize> {
        check(&Fixture::new(&[(path, text)]).tree()).into_iter().map(|f| f.line).collect()
    }

    #[test]
    fn each_pattern_is_found_where_it_stands() {
        for (pattern, _) in CODE {
            let text = format!("fn a() {{}}\n{pattern}\n// {pattern}\nconst B: &str = \"{pattern}\";\n");
            assert_eq!(lines("src/lib.rs", &text), [2], "{pattern}");
        }
    }

    #[test]
    fn markers_are_found_in_comments_of_any_language_but_not_in_strings_or_prose() {
        for marker in MARKERS {
            assert_eq!(lines("src/lib.rs", &format!("\n// {marker}: later\n")), [2]);
            assert_eq!(lines("src/lib.rs", &format!("const A: &str = \"{marker}\"; // {marker}S\n")), [0; 0]);
            assert_eq!(lines("Cargo.toml", &format!("# {marker}\n")), [1]);
            assert_eq!(lines("a.sql", &format!("-- {marker}\n")), [1]);
            assert_eq!(lines("README.md", &format!("no {marker} here\n")), [0; 0]);
        }
    }

    #[test]
    fn machine_paths_are_found_and_urls_are_not() {
        for pattern in PATHS {
            assert_eq!(lines("src/lib.rs", &format!("const A: &str = \"{pattern}me\";\n")), [1], "{pattern}");
            assert_eq!(lines("docs/a.md", &format!("cd {pattern}me\n")), [1], "{pattern}");
        }
        let home = PATHS[0];
        let fine = format!("https://shop.example{home}page and ${{base}}{home}x and a{home}b\n");
        assert_eq!(lines("docs/a.md", &fine), [0; 0]);
    }
}
