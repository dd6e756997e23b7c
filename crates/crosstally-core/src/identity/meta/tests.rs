#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use proptest::prelude::*;
use serde::Deserialize;

use super::*;
use crate::identity::phone::to_e164;

const YEAR: i16 = 2026;

#[derive(Deserialize)]
struct Row {
    id: String,
    field: String,
    input: String,
    expected: Expected,
}

#[derive(Deserialize)]
struct Expected {
    normalized: Option<String>,
    sha256: Option<String>,
    send: String,
}

#[derive(Deserialize)]
struct Example {
    field: String,
    input: String,
    normalized: String,
    sha256: String,
}

fn text(field: Field, input: &str) -> Option<String> {
    normalise(field, input, YEAR).map(|normal| normal.as_str().to_owned())
}

#[test]
fn every_recorded_row_holds() {
    let rows: Vec<Row> = serde_json::from_str(include_str!("../fixtures/meta.json")).unwrap();
    assert_eq!(rows.len(), 141);
    for row in rows {
        let field = Field::from_key(&row.field).unwrap();
        let normal = normalise(field, &row.input, YEAR);
        let send = match &normal {
            None => "drop",
            Some(Normal::Text(_)) => "hashed",
            Some(Normal::Hashed(_)) => "hashed_passthrough",
        };
        let (id, input) = (&row.id, &row.input);
        assert_eq!(send, row.expected.send, "{id} {input:?}");
        assert_eq!(normal.as_ref().map(Normal::as_str), row.expected.normalized.as_deref(), "{id} {input:?}");
        assert_eq!(hashed(field, input, YEAR), row.expected.sha256, "{id} {input:?}");
        assert_eq!(hashed_forms(field, input, YEAR).first(), row.expected.sha256.as_ref(), "{id} {input:?}");
    }
}

#[test]
fn every_example_of_the_documentation_holds() {
    let examples: Vec<Example> =
        serde_json::from_str(include_str!("../fixtures/meta_documentation.json")).unwrap();
    assert_eq!(examples.len(), 7);
    for example in examples {
        let field = Field::from_key(&example.field).unwrap();
        // The one example in words: its number is a national one, so it needs its country first.
        let input = match example.input.strip_prefix("US phone number ") {
            Some(national) => to_e164(national, Some("US")).unwrap(),
            None => example.input,
        };
        assert_eq!(text(field, &input).unwrap(), example.normalized);
        assert_eq!(hashed(field, &input, YEAR).unwrap(), example.sha256);
    }
}

#[test]
fn keys_round_trip() {
    for field in Field::ALL {
        assert_eq!(Field::from_key(field.key()), Some(field));
    }
    assert_eq!(Field::from_key("madid"), None);
}

#[track_caller]
fn table(field: Field, rows: &[(&str, Option<&str>)]) {
    for (input, expected) in rows {
        assert_eq!(text(field, input).as_deref(), *expected, "{} {input:?}", field.key());
    }
}

#[test]
fn addresses_that_are_none_are_dropped() {
    table(
        Field::Em,
        &[
            ("\u{feff} Bob@Example.COM\u{a0}", Some("bob@example.com")),
            ("o'neil/x=y{z}@sub.xn--exmple-cua.de", Some("o'neil/x=y{z}@sub.xn--exmple-cua.de")),
            ("a.b.c+d@gmail.com", Some("a.b.c+d@gmail.com")),
            ("\"john doe\"@example.com", None),
            ("Bob <bob@example.com>", None),
            ("a@b.com,c@d.com", None),
            ("a@b@c.com", None),
            (".bob@example.com", None),
            ("bob.@example.com", None),
            ("b..ob@example.com", None),
            ("bob@example.com.", None),
            ("bob@.example.com", None),
            ("bob@-example.com", None),
            ("bob@example-.com", None),
            ("bob@exa_mple.com", None),
            ("bob@localhost", None),
            ("@example.com", None),
            ("bob@", None),
            ("\u{200b}bob@example.com", None),
            ("bob@\u{65e5}\u{672c}.jp", None),
        ],
    );
    let long = "x".repeat(64);
    assert!(text(Field::Em, &format!("{long}@example.com")).is_some());
    assert!(text(Field::Em, &format!("{long}x@example.com")).is_none());
    assert!(text(Field::Em, &format!("a@{long}.com")).is_none());
}

#[test]
fn phone_digits_are_kept_and_leading_zeros_go() {
    table(
        Field::Ph,
        &[
            ("tel:+1-650-555-1212", Some("16505551212")),
            ("+1.650.555.1212", Some("16505551212")),
            ("000 44 20 7946 0958", Some("442079460958")),
            ("5551212", Some("5551212")),
            ("555121", None),
            ("0005551", None),
            ("0000000000", None),
            ("+", None),
        ],
    );
    assert_eq!(check(Field::Ph, "none", YEAR), Err(DropReason::PhoneWithoutDigits));
    assert_eq!(check(Field::Ph, "12345", YEAR), Err(DropReason::PhoneTooShort));
}

#[test]
fn names_lose_ascii_punctuation_and_every_script_stays() {
    table(
        Field::Ln,
        &[
            ("O'Neil-Smith", Some("oneilsmith")),
            ("\u{3000}Mary\u{a0}Ann ", Some("maryann")),
            ("\u{39d}\u{399}\u{39a}\u{39f}\u{3a3} \u{391}\u{392}", Some("νικοσαβ")),
            ("मुंबईकर", Some("मुंबईकर")),
            ("-.-", None),
        ],
    );
    let both = [sha256_hex("oneilsmith"), sha256_hex("o'neil-smith")];
    assert_eq!(hashed_forms(Field::Ln, " O'Neil-Smith ", YEAR), both);
    assert_eq!(hashed_forms(Field::Fn, " Mary ", YEAR), [sha256_hex("mary")]);
    assert_eq!(hashed_forms(Field::Ct, "Winston-Salem", YEAR), [sha256_hex("winstonsalem")]);
    assert!(hashed_forms(Field::Fn, "...", YEAR).is_empty());
}

#[test]
fn genders_are_told_by_word() {
    table(
        Field::Ge,
        &[
            ("F", Some("f")),
            (" WOMAN ", Some("f")),
            ("Ms", Some("f")),
            ("ma'am", Some("f")),
            ("boy", Some("m")),
            ("himself", Some("m")),
            ("non-binary", None),
            ("x", None),
            ("1", None),
        ],
    );
}

#[test]
fn dates_of_birth_are_read_without_guessing() {
    table(
        Field::Db,
        &[
            ("1997-02-16T08:00:00Z", Some("19970216")),
            ("16/02/1997", Some("19970216")),
            ("16.2.1997", Some("19970216")),
            ("1997-16-02", Some("19970216")),
            ("1997年2月16日", Some("19970216")),
            ("2000-02-29", Some("20000229")),
            ("2026/12/31", Some("20261231")),
            ("1900-01-01", Some("19000101")),
            ("1900-02-29", None),
            ("2027-01-01", None),
            ("1899-12-31", None),
            ("02/16/97", None),
            ("97-02-16", None),
            ("16 Feb 1997", None),
            ("02161997", None),
            ("19971302", None),
            ("19970231", None),
            ("13/13/1990", None),
            ("0/0/0", None),
            ("99999999999/1/1", None),
            ("856051200", None),
        ],
    );
    assert_eq!(check(Field::Db, "1990-02-30", YEAR), Err(DropReason::ImpossibleDate));
    assert_eq!(check(Field::Db, "someday", YEAR), Err(DropReason::NotADate));
    // The year comes from outside.
    assert!(normalise(Field::Db, "2020-05-05", 2019).is_none());
    assert!(normalise(Field::Db, "2020-05-05", -1).is_none());
}

#[test]
fn places_keep_letters_of_every_script() {
    table(
        Field::Ct,
        &[
            ("St. Louis", Some("stlouis")),
            ("L\u{2019}Aquila", Some("laquila")),
            ("東京", Some("東京")),
            ("दिल्ली", Some("दिल्ली")),
            ("75018", None),
            ("- / -", None),
        ],
    );
    table(
        Field::St,
        &[
            ("District of Columbia", Some("dc")),
            ("Washington, D.C.", Some("dc")),
            ("puerto rico", Some("pr")),
            ("U.S. Virgin Islands", Some("vi")),
            ("West Virginia", Some("wv")),
            ("Commonwealth of Virginia", Some("va")),
            ("State of New York", Some("ny")),
            ("Yukon Territory", Some("yt")),
            ("Quebec", Some("qc")),
            ("Québec", Some("québec")),
            ("Baja California", Some("bajacalifornia")),
            ("Northern Territory", Some("northernterritory")),
            ("CA 94035", Some("ca")),
            ("NSW", Some("nsw")),
            ("Bayern", Some("bayern")),
            ("State", Some("state")),
        ],
    );
    table(
        Field::Zp,
        &[
            ("94035 - 1234", Some("94035")),
            ("940351234", Some("940351234")),
            ("123 45", Some("12345")),
            ("12345 67890", Some("1234567890")),
            ("SW1A\u{a0}1AA", Some("sw1a1aa")),
            ("-1234", None),
            ("9", None),
        ],
    );
}

#[test]
fn countries_are_codes_or_english_names() {
    table(
        Field::Country,
        &[
            ("de", Some("de")),
            ("U.S.A.", Some("us")),
            ("united states of america", Some("us")),
            ("The Netherlands", Some("nl")),
            ("Bahamas, The", Some("bs")),
            ("Korea, Republic of", Some("kr")),
            ("Bosnia & Herzegovina", Some("ba")),
            ("Niger", Some("ne")),
            ("Federal Republic of Nigeria", Some("ng")),
            ("UK", None),
            ("EU", None),
            ("XX", None),
            ("GBR", None),
            ("ÜS", None),
        ],
    );
}

#[test]
fn pieces_of_names_and_dates() {
    table(Field::F5first, &[("O'Neill", Some("o'nei")), ("Jo Ann", Some("jo an")), ("Mary X", Some("mary"))]);
    table(Field::Fi, &[(" bob", Some("b")), ("", None)]);
    table(Field::Dobd, &[("07", Some("07")), ("31", Some("31")), ("32", None), ("0", None), ("1st", None)]);
    table(Field::Dobm, &[("2", Some("02")), ("-1", None), ("００", None)]);
    table(Field::Doby, &[("1997", Some("1997")), ("97", None), ("19970", None)]);
}

#[test]
fn external_ids_lose_white_space_and_case() {
    table(Field::ExternalId, &[(" User 42\n", Some("user42")), ("a-B_c.D", Some("a-b_c.d")), ("\t", None)]);
}

#[test]
fn hashes_of_the_sender_pass_in_every_field() {
    let sha = sha256_hex("x");
    let suffixed = format!("{sha}.AQQCAQMC");
    for field in Field::ALL {
        for hash in [&sha, &suffixed, &"d41d8cd98f00b204e9800998ecf8427e".to_owned()] {
            assert_eq!(hashed(field, &format!(" {hash}\t"), YEAR).as_ref(), Some(hash));
        }
        assert_eq!(hashed(field, &sha.to_ascii_uppercase(), YEAR).as_ref(), Some(&sha));
    }
    // One digit short, or with a suffix of another length, it is text.
    assert_ne!(hashed(Field::ExternalId, sha.split_at(63).0, YEAR), Some(sha.clone()));
    assert_eq!(hashed(Field::Em, &format!("{sha}.AQQCAQM"), YEAR), None);
}

#[test]
fn an_oversized_value_is_dropped() {
    assert_eq!(check(Field::ExternalId, &"x".repeat(VALUE_BYTES_MAX + 1), YEAR), Err(DropReason::TooLong));
    assert!(check(Field::ExternalId, &"x".repeat(VALUE_BYTES_MAX), YEAR).is_ok());
}

#[test]
fn debug_output_hides_the_value() {
    let normal = normalise(Field::Em, "bob@example.com", YEAR).unwrap();
    assert_eq!(format!("{normal:?}"), "Text(..)");
}

fn input() -> impl Strategy<Value = String> {
    prop_oneof![
        // Anything at all.
        any::<String>(),
        // Near misses of the forms that are read.
        "[ +0-9().x/-]{0,24}",
        "[0-9]{1,4}[-/. ][0-9]{1,4}[-/. ][0-9]{1,4}",
        "[a-zA-Z.' éßİΣ-]{0,16}",
        "[ a-zA-Z0-9.+_-]{1,8}@[a-zA-Z0-9.-]{1,12}",
        "[0-9a-fA-F]{32}|[0-9a-fA-F]{64}(\\.[A-Za-z0-9_-]{8})?",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_normal_form_is_its_own_normal_form(input in input()) {
        for field in Field::ALL {
            if let Some(once) = normalise(field, &input, YEAR) {
                let again = normalise(field, once.as_str(), YEAR);
                prop_assert_eq!(again.as_ref().map(Normal::as_str), Some(once.as_str()), "{}", field.key());
            }
        }
    }

    #[test]
    fn what_is_sent_is_a_digest(input in input()) {
        for field in Field::ALL {
            for sent in hashed_forms(field, &input, YEAR) {
                prop_assert!(already_hashed(&sent).is_some(), "{}", field.key());
            }
        }
    }

    #[test]
    fn an_address_does_not_depend_on_case_or_outer_space(local in "[a-z0-9]{1,8}", host in "[a-z]{2,8}\\.[a-z]{2,4}") {
        let plain = format!("{local}@{host}");
        let shouted = format!("  {}\n", plain.to_uppercase());
        prop_assert_eq!(hashed(Field::Em, &shouted, YEAR), Some(sha256_hex(&plain)));
    }
}
