#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
use proptest::prelude::*;

use super::*;

const FBCLID: &str = "IwAR2F4-dbP0l7Mn1IawQQGCINEz7PYXQvwjNwB_qa2ofrHyiLjcbCRxTDMgk";
const GCLID: &str = "CjwKCAiA3L6PBhBvEiwAINlJ9KvNnZ0hQdXlAwZ8";

fn now() -> Timestamp {
    Timestamp::from_millis(1_795_255_000_000)
}

fn key() -> ClickIdKey {
    ClickIdKey::new(&[7; 32])
}

fn found(text: &str) -> Extracted {
    extract(text, Known { key: Some(&key()), now: now() })
}

fn one(text: &str) -> Found {
    let mut all = found(text).found;
    assert_eq!(all.len(), 1, "{text}: {all:?}");
    all.remove(0)
}

#[test]
fn what_was_done_to_an_id_is_told() {
    use Condition::{Empty, LowerCased, Macro, Mangled, Truncated, UpperCased, Valid};
    for (value, expected) in [
        (FBCLID, Valid),
        (&FBCLID.to_lowercase(), LowerCased),
        (&FBCLID.to_uppercase(), UpperCased),
        (&FBCLID.chars().take(40).collect::<String>(), Truncated),
        ("IwAR2F4-dbP0l...", Truncated),
        ("{{fbclid}}", Macro),
        ("", Empty),
        ("IwAR2F4%252DdbP0l7Mn1IawQQGCINEz7PYXQvwjNwB_qa2ofrHyiLjcbCRxTDMgk", Mangled),
        ("IwAR2F4+dbP0l7Mn1IawQQGCINEz7PYXQvwjNwB_qa2ofrHyiLjcbCRxTDMgk", Mangled),
        ("IwAR2F4%2FdbP0l7Mn1IawQQGCINEz7PYXQvwjNwB_qa2ofrHyiLjcbCRxTDMgk", Mangled),
    ] {
        let url = format!("https://a.example/p?utm_source=x&fbclid={value}#top");
        assert_eq!(one(&url).condition, expected, "{value}");
        assert_eq!(one(&url).platform, "meta");
    }
}

#[test]
fn every_parameter_of_the_table_is_recognised_in_any_case() {
    for param in crate::click::AD_CLICK_PARAMS {
        let url = format!("https://a.example/?{}={{x}}", param.name.to_uppercase());
        let found = one(&url);
        assert_eq!((found.platform.as_str(), found.condition), (param.platform, Condition::Macro), "{url}");
    }
}

#[test]
fn forms_tell_whose_a_bare_value_is() {
    for (value, platform, condition) in [
        (FBCLID, "meta", Condition::Valid),
        (GCLID, "google", Condition::Valid),
        ("4d9f0c1b2a3e4f5061728394a5b6c7d8", "microsoft", Condition::Valid),
        ("fb.1.1795254000000.1098115397", "meta", Condition::Valid),
        ("E.C.P.CtMBzyWZ6hGvVBw8hHxZKzKvOq", "tiktok", Condition::Valid),
    ] {
        let found = one(value);
        assert_eq!((found.platform.as_str(), found.condition), (platform, condition), "{value}: {found:?}");
    }
    assert!(found("hello").found.is_empty());
    assert!(!found("hello").is_sound());
}

#[test]
fn times_are_told_where_the_form_has_one_and_nowhere_else() {
    let at = Some(Timestamp::from_millis(1_795_254_000_000).to_string());
    let fbc = one(&format!("_fbc=fb.1.1795254000000.{FBCLID}"));
    assert_eq!((fbc.made_at, fbc.condition), (at.clone(), Condition::Valid));
    assert_eq!(one(&format!("fbclid={FBCLID}")).made_at, None);
    assert_eq!(one(&format!("gclid={GCLID}")).made_at, None);
    let seconds = one(&format!("fbc=fb.1.1795254000.{FBCLID}"));
    assert_eq!(seconds.condition, Condition::Mangled);
    assert!(seconds.words.contains("seconds"), "{}", seconds.words);
    let later = one(&format!("fbc=fb.1.1995254000000.{FBCLID}"));
    assert!(later.words.contains("future"), "{}", later.words);
    let lower = one(&format!("fbc=fb.1.1795254000000.{}", FBCLID.to_lowercase()));
    assert_eq!(lower.condition, Condition::LowerCased);
    assert_eq!(one(&format!("_gcl_aw=GCL.1795254000.{GCLID}")).made_at, at);
    assert_eq!(one("awc=1001_1795254000_3f1e5c1d2b").made_at, at);
}

#[test]
fn our_own_ids_tell_their_time_and_whether_we_made_them() {
    let id = ClickId::new(&key(), now(), [1, 2, 3, 4, 5, 6, 7]).to_string();
    let whole = one(&format!("https://lander.example/?cid={id}"));
    assert_eq!((whole.platform.as_str(), whole.condition), ("crosstally", Condition::Valid));
    assert_eq!(whole.made_at, Some(now().to_string()));
    assert_eq!(one(&id.to_uppercase()).condition, Condition::Valid, "read in any case");
    assert_eq!(one(&format!("sub9={id}")).condition, Condition::Valid, "under any name");
    let cut: String = id.chars().take(20).collect();
    let cut = one(&format!("cid={cut}"));
    assert_eq!((cut.platform.as_str(), cut.condition), ("crosstally", Condition::Truncated));
    assert!(cut.words.contains("20 of 26"), "{}", cut.words);
    let mut altered: Vec<char> = id.chars().collect();
    altered[15] = if altered[15] == 'a' { 'b' } else { 'a' };
    let altered: String = altered.into_iter().collect();
    assert_eq!(one(&altered).condition, Condition::Forged);
    let without = extract(&id, Known { key: None, now: now() });
    assert_eq!(without.found[0].condition, Condition::Unchecked);
    assert_eq!(one("click_id={click_id}").condition, Condition::Macro);
    assert_eq!(one("cid=w7k2m9x0a1b2c3d4e5").platform, "unknown");
}

#[test]
fn links_that_are_broken_or_nested_are_looked_through() {
    let double = found(&format!("https://a.example/?x=1?fbclid={FBCLID}"));
    assert_eq!(double.found[0].condition, Condition::Valid);
    assert!(double.notes.iter().any(|note| note.contains("second `?`")), "{:?}", double.notes);
    let nested = one(&format!("https://go.example/?to=https%3A%2F%2Fb.example%2F%3Ffbclid%3D{FBCLID}"));
    assert_eq!((nested.inside.as_str(), nested.condition), ("to", Condition::Valid));
    let cookies = found(&format!("_fbp=fb.1.1795254000000.1098; _fbc=fb.1.1795254000000.{FBCLID}")).found;
    let conditions: Vec<_> = cookies.iter().map(|found| (found.param.as_str(), found.condition)).collect();
    assert_eq!(conditions, [("_fbp", Condition::Valid), ("_fbc", Condition::Valid)]);
    let again = found(&format!("?fbclid={FBCLID}&fbclid=x{FBCLID}"));
    assert!(again.notes.iter().any(|note| note.contains("the first one counts")));
    let fragment = found(&format!("https://a.example/#/p?gclid={GCLID}"));
    assert_eq!(fragment.found[0].condition, Condition::Valid);
    assert!(found("  ").found.is_empty());
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,200}") {
        prop_assert!(serde_json::to_string(&found(&text)).unwrap().len() < 1_000_000);
    }

    #[test]
    fn a_change_to_one_of_ours_never_passes(at in 0_usize..26, to in 0_u8..32) {
        let id = ClickId::new(&key(), now(), [9; 7]).to_string();
        let mut bytes = id.clone().into_bytes();
        bytes[at] = b"0123456789abcdefghjkmnpqrstvwxyz"[usize::from(to)];
        let changed = String::from_utf8(bytes).unwrap();
        prop_assume!(changed != id);
        let told = found(&format!("cid={changed}"));
        let passes = |found: &Found| found.platform == "crosstally" && found.condition != Condition::Forged;
        prop_assert!(!told.found.iter().any(passes));
    }
}
