//! Limits, secrets that must not be seen, and documents that nobody wrote on purpose.

use proptest::prelude::*;

use super::*;

#[test]
fn no_finding_shows_a_secret() {
    let values = [
        "\"hunter2\"",
        "\"hunter2 \"",
        "\"hunter2\\u0000\"",
        "hunter2",
        "\"hunter2",
        "[\"hunter2\"]",
        "{ env = \"hunter2 !\" }",
        "{ env = \"-hunter2\" }",
        "{ file = [\"hunter2\"] }",
        "{ env = { x = \"hunter2\" } }",
        "{ env = \"A\", file = \"hunter2\" }",
        "{ literal = \"hunter2\" }",
        "5550123",
        "5550123.25",
        "{ env = 5550123 }",
        "{ sealed = 5550123 }",
        "[5550123]",
    ];
    for value in values {
        for document in [
            format!("[[partner]]\nslug = \"a\"\nauth = {{ token = {value} }}\n"),
            format!("[[partner]]\nslug = \"a\"\nauth = {{ hmac = {value} }}\n"),
            format!(
                "[[destination]]\nslug = \"d\"\nkind = \"meta\"\ndataset_id = \"1\"\naccess_token = {value}\n"
            ),
        ] {
            let said = match read(&document, "test.toml", &Shelf) {
                Ok((config, warnings)) => format!("{config:?} {warnings:?}"),
                Err(problems) => format!("{problems:?}"),
            };
            assert!(!said.contains("hunter2") && !said.contains("5550123"), "{value}: {said}");
            // What was said was about this value.
            assert!(said.contains("line: 3") || said.contains("line: 5"), "{value}: {said}");
        }
    }
    let said = shown(&bad("[[partner]]\nslug = \"a\"\nauth = \"hunter2\"\n"));
    assert!(!said.contains("hunter2"), "{said}");
}

#[test]
fn a_document_has_a_limit() {
    let long = "#".repeat(limit_bytes() + 1);
    let problems = bad(&long);
    assert_eq!(problems.len(), 1);
    assert_eq!(problems[0].problem, "the document is longer than 4194304 bytes");
    assert_eq!(good(&"#".repeat(limit_bytes())), Config::empty());
}

const fn limit_bytes() -> usize {
    crate::limits::ADMIN_BODY_BYTES_MAX
}

#[test]
fn sections_lists_and_maps_have_limits() {
    let goals = |count: usize| {
        (0..count).fold(String::new(), |text, number| {
            format!("{text}[[goal]]\nslug = \"g{number}\"\nrole = \"funnel_fact\"\nwhen = \"true\"\n")
        })
    };
    assert_eq!(good(&goals(50)).goals.len(), 50);
    assert_eq!(bad(&goals(1_001))[0].problem, "there are more than 1000 sections [[goal]]");
    let ranges = vec!["\"10.0.0.1\""; 513].join(", ");
    let list = format!("[[partner]]\nslug = \"a\"\nauth = {{ allow = [{ranges}] }}\n");
    assert_eq!(bad(&list)[0].problem, "`allow` has more than 512 items");
    let words: String = (0..513).map(|number| format!("w{number} = \"hold\"\n")).collect();
    let map = format!("[[partner]]\nslug = \"a\"\n[partner.statuses]\n{words}");
    assert_eq!(bad(&map)[0].problem, "`statuses` has more than 512 keys");
    let text = format!("[[campaign]]\nslug = \"a\"\ntarget = \"https://a.example/{}\"\n", "x".repeat(17_000));
    assert_eq!(bad(&text)[0].problem, "`target` is longer than 16384 bytes");
}

#[test]
fn a_flood_of_problems_is_cut_and_counted() {
    let document: String = (0..1_000).map(|number| format!("[[source]]\nslug = \"S{number}\"\n")).collect();
    let problems = bad(&document);
    assert_eq!(problems.len(), 101);
    assert_eq!(problems[0].line, 2);
    assert_eq!(problems[100].problem, "there are 900 more problems");
}

#[test]
fn findings_serialise_with_their_parts() {
    let problem = &bad("[[source]]\n")[0];
    let json = serde_json::to_value(problem).unwrap();
    let expected = serde_json::json!({
        "file": "test.toml", "line": 1, "column": 1, "path": "source[#1].slug",
        "problem": "`slug` is missing in source", "fix": "add slug = \"a-name\"",
    });
    assert_eq!(json, expected);
}

/// The full document with pieces cut out, doubled or replaced by noise.
fn mangled() -> impl Strategy<Value = String> {
    let edits = prop::collection::vec((0..FULL.len(), 0..40usize, "[\\PC\\n]{0,6}"), 0..4);
    edits.prop_map(|edits| {
        let mut text: Vec<char> = FULL.chars().collect();
        for (at, cut, noise) in edits {
            let at = at.min(text.len());
            let end = (at + cut).min(text.len());
            text.splice(at..end, noise.chars());
        }
        text.into_iter().collect()
    })
}

proptest! {
    #[test]
    fn every_document_gets_an_answer_about_places_that_it_has(document in prop_oneof![mangled(), "[\\PC\\n]{0,200}"]) {
        match read(&document, "test.toml", &Shelf) {
            Ok((config, _)) => {
                // What was taken holds no mistake that only printing shows.
                let printed = print(&sealed(config.clone())).unwrap();
                prop_assert_eq!(good(&printed), sealed(config));
            }
            Err(problems) => {
                prop_assert!(!problems.is_empty());
                let lines: Vec<&str> = document.split('\n').collect();
                for problem in problems {
                    let line = lines.get(problem.line - 1);
                    prop_assert!(line.is_some_and(|line| problem.column <= line.chars().count() + 1), "{}", problem);
                    prop_assert!(!problem.problem.is_empty() && !problem.fix.is_empty());
                    prop_assert!(!problem.to_string().replace("\n  fix", "").chars().any(char::is_control), "{}", problem);
                }
            }
        }
    }
}

fn sealed(mut config: Config) -> Config {
    config.seal(&mut |record, _| format!("sealed for {record}"));
    config
}
