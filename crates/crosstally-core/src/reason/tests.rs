use std::collections::BTreeSet;

use super::*;

/// The sources of the workspace, ours and the tests'.
fn sources() -> (String, String) {
    let crates = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let (mut ours, mut tests) = (String::new(), String::new());
    let mut folders = vec![std::path::PathBuf::from(crates)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder of the workspace") {
            let path = entry.expect("an entry").path();
            let name = path.to_string_lossy().replace('\\', "/");
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            if !(name.ends_with(".rs") || name.ends_with(".toml")) || name.ends_with("core/src/reason.rs") {
                continue;
            }
            let text = std::fs::read_to_string(&path).expect("a source");
            let is_test = name.contains("/tests") || name.ends_with(".toml");
            let (own, test) = text.split_once("#[cfg(test)]\nmod tests {").unwrap_or((&text, ""));
            if is_test {
                tests.push_str(&text)
            } else {
                ours.push_str(own)
            }
            tests.push_str(test);
        }
    }
    (ours, tests)
}

#[test]
fn every_code_can_happen_and_a_test_makes_it_happen() {
    let (ours, tests) = sources();
    for reason in Reason::ALL {
        let (name, code) = (format!("Reason::{reason:?}"), format!("\"{}\"", reason.code()));
        let uses = |text: &str| {
            text.match_indices(&name).any(|(at, _)| {
                text.get(at + name.len()..).is_some_and(|rest| !rest.starts_with(char::is_alphanumeric))
            })
        };
        assert!(uses(&ours), "nothing decides {name}");
        assert!(uses(&tests) || tests.contains(&code), "no test makes {code} happen");
    }
}

/// `docs/reason-codes.md`, as the catalogue says it.
fn page() -> String {
    let mut page = String::from(
        "# Reason codes\n\n\
         <!-- Written by `UPDATE_DOCS=1 cargo test -p crosstally-core the_page_of_reason_codes` from \
         crates/crosstally-core/src/reason.rs; changes belong there. -->\n\n\
         Every answer, receipt, trace, delivery and log line that says why something was refused, kept back, merged, sent or\n\
         not sent uses one of these codes. A code never changes its meaning. *Retryable* means that the same thing can succeed\n\
         later without anybody changing anything.\n",
    );
    for reason in Reason::ALL {
        let about = reason.about();
        let severity = match about.severity {
            Severity::Fine => "fine",
            Severity::Notice => "notice",
            Severity::Problem => "problem",
        };
        let retryable = if about.retryable { ", retryable" } else { "" };
        page.push_str(&format!(
            "\n## `{}`\n\n{} *({severity}{retryable})*\n\n- usually: {}\n- what to do: {}\n",
            about.code, about.sentence, about.causes, about.fix
        ));
    }
    page
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the one switch of a test that writes a page of the docs")]
fn the_page_of_reason_codes_is_what_the_catalogue_says() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reason-codes.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, page()).expect("the page can be written");
    }
    let there = std::fs::read_to_string(path).unwrap_or_default();
    assert!(there == page(), "docs/reason-codes.md is out of date: run this test with UPDATE_DOCS=1");
}

#[test]
fn the_page_about_partners_has_every_label() {
    let page = include_str!("../../../../docs/partners.md");
    for label in Reason::LABELS {
        let about = label.about();
        let row =
            format!("| `{}` | {} Usually: {} | {} |\n", about.code, about.sentence, about.causes, about.fix);
        assert!(page.contains(&row), "docs/partners.md has no row\n{row}");
    }
}

#[test]
fn codes_are_distinct_and_every_text_is_there() {
    let codes: BTreeSet<_> = Reason::ALL.iter().map(|reason| reason.code()).collect();
    assert_eq!(codes.len(), Reason::ALL.len());
    for reason in Reason::ALL {
        let about = reason.about();
        assert!(about.code.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{}", about.code);
        for text in [about.sentence, about.causes, about.fix] {
            assert!(text.ends_with('.') && text.len() > 7, "{}: {text}", about.code);
        }
        assert_eq!(Reason::from_code(about.code), Some(*reason));
    }
}
