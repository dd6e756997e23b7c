#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use proptest::prelude::*;
use serde::Deserialize;

use super::*;
use crate::identity::sha256_hex;

#[derive(Deserialize)]
struct Row {
    field: String,
    input: String,
    normalized: Option<String>,
    sha256: Option<String>,
}

#[test]
fn every_recorded_row_holds() {
    let rows: Vec<Row> = serde_json::from_str(include_str!("../fixtures/google.json")).unwrap();
    assert_eq!(rows.len(), 17);
    for row in rows {
        let normal = match row.field.as_str() {
            "email" => email(&row.input),
            "phone" => phone(&row.input),
            _ => name(&row.input),
        };
        assert_eq!(normal, row.normalized, "{:?}", row.input);
        assert_eq!(normal.as_deref().map(sha256_hex), row.sha256, "{:?}", row.input);
    }
}

#[test]
fn only_gmail_loses_dots_and_tags() {
    assert_eq!(email("a.b+c@gmail.com").as_deref(), Some("ab@gmail.com"));
    assert_eq!(email("a.b+c@example.com").as_deref(), Some("a.b+c@example.com"));
    assert_eq!(email(".+x@gmail.com"), None);
    assert_eq!(email("a b@example.com"), None);
    assert_eq!(email(&format!("{}@example.com", "a".repeat(VALUE_BYTES_MAX))), None);
}

proptest! {
    #[test]
    fn normal_forms_are_their_own(input in prop_oneof![any::<String>(), "[a-zA-Z.+]{1,9}@g(oogle)?mail\\.com"]) {
        for normalise in [email, phone, name] {
            if let Some(once) = normalise(&input) {
                prop_assert_eq!(normalise(&once), Some(once));
            }
        }
    }
}
