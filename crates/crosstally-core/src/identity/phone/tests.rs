#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use proptest::prelude::*;

use super::*;

#[test]
fn national_numbers_need_their_region() {
    for (input, region, expected) in [
        ("(650)555-1212", Some("US"), Some("+16505551212")),
        ("(650)555-1212", Some("us"), Some("+16505551212")),
        ("01 42 68 53 00", Some("FR"), Some("+33142685300")),
        ("01 42 68 53 00", None, None),
        ("01 42 68 53 00", Some("nowhere"), None),
        ("0044 20 7946 0958", Some("GB"), Some("+442079460958")),
        ("0044 20 7946 0958", Some("FR"), Some("+442079460958")),
        ("011 44 20 7946 0958", Some("US"), Some("+442079460958")),
        ("16505551212", Some("US"), Some("+16505551212")),
        ("+44 (0)20 7946 0958", None, Some("+442079460958")),
        ("+44 (0)20 7946 0958", Some("US"), Some("+442079460958")),
        ("+49 (0) 30 901820", None, Some("+4930901820")),
        ("8 (495) 123-45-67", Some("RU"), Some("+74951234567")),
        ("tel:+1-650-555-1212", None, Some("+16505551212")),
        ("٠٢ ٢٧٩٢ ٠٠٠٠", Some("EG"), Some("+20227920000")),
        ("\u{ff0b}１６５０５５５１２１２", None, Some("+16505551212")),
        ("+39 06 698 12345", None, Some("+390669812345")),
    ] {
        assert_eq!(to_e164(input, region).as_deref(), expected, "{input:?} in {region:?}");
    }
}

#[test]
fn extensions_are_cut() {
    for input in
        ["+1 650 555 1212 ext. 89", "+1 650 555 1212 x89", "+1 650-555-1212;ext=89", "+1 650 555 1212,,89#"]
    {
        assert_eq!(to_e164(input, None).as_deref(), Some("+16505551212"), "{input:?}");
    }
}

#[test]
fn what_is_no_persons_number_is_not_understood() {
    for input in
        ["", "+", "abc", "+1-800-FLOWERS", "12345", "+358401234567890123", "++16505551212", "call me"]
    {
        assert_eq!(to_e164(input, None), None, "{input:?}");
        assert_eq!(to_e164(input, Some("US")), None, "{input:?}");
    }
    assert_eq!(to_e164(&"1".repeat(VALUE_BYTES_MAX + 1), Some("US")), None);
}

proptest! {
    #[test]
    fn no_input_panics_and_every_answer_is_e164(
        input in prop_oneof![any::<String>(), "[+]?[ 0-9().x-]{0,24}"],
        region in prop_oneof![Just(None), Just(Some("US")), Just(Some("DE")), Just(Some("IT")), Just(Some("AR"))],
    ) {
        if let Some(e164) = to_e164(&input, region) {
            let digits = e164.strip_prefix('+').unwrap();
            prop_assert!(digits.len() <= 15 && digits.bytes().all(|b| b.is_ascii_digit()));
            prop_assert_eq!(to_e164(&e164, None), Some(e164));
        }
    }
}
