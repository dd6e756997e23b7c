//! Broken documents, each with everything that is said about it.

use super::*;

/// Cases as `=== name`, the document, `---`, and each problem with its fix and its key.
const CASES: &str = include_str!("fixtures/broken.txt");

#[test]
fn every_broken_document_is_told_where_and_how_to_mend_it() {
    let mut count = 0;
    for case in CASES.split("=== ").skip(1) {
        let (name, rest) = case.split_once('\n').unwrap();
        let (document, told) = rest.split_once("\n---\n").unwrap();
        assert_eq!(shown(&bad(document)), told.trim_end(), "{name}");
        count += 1;
    }
    assert!(count > 70, "only {count} cases were found");
}
