#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
use proptest::prelude::*;
use serde_json::{Value, json};

use super::pack::{Record, file};
use super::verify::{KeyIs, fingerprint, verify};
use super::{Ed25519KeyPair, page, records};
use crate::keys::hex_of;
use crosstally_core::time::Timestamp;
use ring::signature::KeyPair as _;

fn pair(seed: u8) -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap()
}

fn key(seed: u8) -> String {
    hex_of(pair(seed).public_key().as_ref().iter().copied())
}

fn some() -> Vec<Record> {
    let body = json!({
        "id": "rcp_1", "received_at": "2026-11-21T10:00:00Z", "partner": "<script>alert(1)</script>", "method": "GET",
        "query": "a=1&b=--><!--", "result": "recorded", "sent_by": "192.0.2.1",
    });
    vec![
        records::head(&json!({"id": "x"}), &key(1), Timestamp::from_millis(1)),
        Record { kind: "call", body },
    ]
}

fn sample() -> String {
    file(&some(), &pair(1))
}

#[test]
fn a_pack_is_checked_without_asking_anybody() {
    let file = sample();
    let good = verify(file.as_bytes(), Some(&key(1)));
    assert_eq!((good.ok, good.key_is, good.records), (true, KeyIs::Expected, 2), "{good:?}");
    assert!(!good.proves.is_empty() && !good.does_not_prove.is_empty());
    assert_eq!(verify(file.as_bytes(), None).key_is, KeyIs::NotCompared);
    assert!(verify(file.as_bytes(), Some(&fingerprint(&key(1)))).ok);
}

#[test]
fn another_keys_signature_is_told_as_such() {
    let again = file(&some(), &pair(2));
    let told = verify(again.as_bytes(), Some(&key(1)));
    assert_eq!((told.ok, told.key_is), (false, KeyIs::Another));
    assert!(told.problems.iter().any(|problem| problem.contains("another key")), "{told:?}");
    // Also where nobody says which key is expected, as the first record names the one that it was made for.
    let told = verify(again.as_bytes(), None);
    assert!(!told.ok && told.problems.iter().any(|problem| problem.contains("signed again")), "{told:?}");
}

#[test]
fn every_byte_that_is_changed_is_noticed() {
    let whole = sample().into_bytes();
    for at in 0..whole.len() {
        for change in [1_u8, 0x20] {
            let mut changed = whole.clone();
            changed[at] ^= change;
            assert!(!verify(&changed, None).ok, "byte {at} of {}, by {change:#x}", whole.len());
        }
    }
    for end in 0..whole.len() {
        assert!(!verify(&whole[..end], None).ok, "cut at {end}");
    }
}

#[test]
fn e4_the_page_has_no_script_and_every_text_is_escaped() {
    let file = sample();
    assert!(!file.contains("<script") && file.contains("&lt;script&gt;alert(1)"), "{file}");
    assert_eq!(file.matches("<!--").count(), 2);
    assert_eq!(file.matches("-->").count(), 2);
    assert!(!file.contains("http://") && !file.contains("src="), "nothing is loaded from anywhere");
    let odd = page::page(&[Value::Null, json!({"n": 1, "kind": "click", "body": {"at": "a\u{202e}b\u{0}"}})]);
    assert!(!odd.contains('\u{202e}') && !odd.contains('\u{0}'));
}

#[test]
fn a_page_that_says_something_else_than_its_records_is_noticed() {
    // Signed with the right key by somebody who changed the page alone.
    let (page, rest) = sample().split_once("192.0.2.1").map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
    let lied = format!("{page}192.0.2.9{rest}");
    let (signed, _) = lied.split_once(super::pack::SIGNATURE).unwrap();
    let digest = super::pack::hash(signed.as_bytes());
    let signature = hex_of(pair(1).sign(&super::pack::message(&digest)).as_ref().iter().copied());
    let good = sample();
    let (_, block) = good.split_once(super::pack::SIGNATURE).unwrap();
    let fields: Value = serde_json::from_str(block.strip_suffix(super::pack::END).unwrap()).unwrap();
    let head = fields["head"].as_str().unwrap();
    let lied = format!("{signed}{}", super::pack::block(&key(1), 2, head, &digest, &signature));
    let told = verify(lied.as_bytes(), Some(&key(1)));
    assert!(told.problems.iter().any(|problem| problem.contains("does not say")), "{told:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn whatever_is_done_to_the_file_is_noticed(at in 0_usize..4_000, byte in any::<u8>(), how in 0_u8..4) {
        let mut changed = sample().into_bytes();
        let at = at % changed.len();
        match how {
            0 => changed[at] = byte,
            1 => changed.insert(at, byte),
            2 => drop(changed.remove(at)),
            _ => changed.extend([byte, b'\n']),
        }
        prop_assume!(changed != sample().into_bytes());
        prop_assert!(!verify(&changed, None).ok);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(!verify(&bytes, None).ok);
    }
}
