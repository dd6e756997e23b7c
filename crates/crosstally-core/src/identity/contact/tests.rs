#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;

const YEAR: i16 = 2026;

fn of(values: &[&str]) -> Vec<String> {
    values.iter().map(|value| (*value).to_owned()).collect()
}

fn hashes(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| sha256_hex(text)).collect()
}

fn phones(values: &[&str], region: Option<&str>) -> Contact {
    hash_contact(&ContactIn { phone: of(values), ..ContactIn::default() }, region, YEAR).0
}

#[test]
fn an_id_of_thirty_two_digits_is_an_id() {
    let uuid = "550E8400e29b41d4a716446655440000";
    let digest = sha256_hex("somebody").to_uppercase();
    let given = ContactIn { external_id: of(&[uuid, &digest]), ..ContactIn::default() };
    let contact = hash_contact(&given, None, YEAR).0;
    let all: Vec<_> = contact.exact_external_id.iter().chain(&contact.external_id).collect();
    assert!(all.contains(&&sha256_hex(uuid)) && all.contains(&&sha256_hex("somebody")), "{all:?}");
}

#[test]
fn what_only_google_hashes_is_hashed_for_google_alone() {
    let given =
        ContactIn {
            email: of(&["JÖRG@exämple.de", "none"]), phone: of(&["12-34"]), ..ContactIn::default()
        };
    let (contact, dropped) = hash_contact(&given, None, YEAR);
    assert_eq!(contact.google_email, hashes(&["jörg@exämple.de"]));
    assert_eq!(contact.google_phone, hashes(&["+1234"]));
    assert_eq!((contact.email.len(), contact.reddit_email.len(), contact.phone.len()), (0, 0, 0));
    assert_eq!(dropped.len(), 3);
}

#[test]
fn a_whole_person_is_hashed_into_every_form() {
    let given = ContactIn {
        email: of(&[" John.Smith+x@Gmail.com ", "john@work.example"]),
        phone: of(&["+1 (650) 555-1212"]),
        first_name: of(&["Valéry"]),
        last_name: of(&["O'Neil-Smith"]),
        gender: of(&["Male"]),
        birthdate: of(&["2/16/1997"]),
        city: of(&["New York"]),
        state: of(&["New York"]),
        zip: of(&["10001-1234"]),
        country: of(&["United States"]),
        external_id: of(&["User-42"]),
    };
    let (contact, dropped) = hash_contact(&given, None, YEAR);
    let expected = Contact {
        email: hashes(&["john.smith+x@gmail.com", "john@work.example"]),
        phone: hashes(&["16505551212"]),
        first_name: hashes(&["valéry"]),
        last_name: hashes(&["oneilsmith", "o'neil-smith"]),
        gender: hashes(&["m"]),
        birthdate: hashes(&["19970216"]),
        city: hashes(&["newyork"]),
        state: hashes(&["ny"]),
        zip: hashes(&["10001"]),
        country: hashes(&["us"]),
        external_id: hashes(&["user-42"]),
        e164_phone: hashes(&["+16505551212"]),
        google_email: hashes(&["johnsmith@gmail.com", "john@work.example"]),
        google_phone: hashes(&["+16505551212"]),
        google_first_name: hashes(&["valéry"]),
        google_last_name: hashes(&["o'neil-smith"]),
        reddit_email: hashes(&["johnsmith@gmail.com", "john@work.example"]),
        tiktok_phone: Vec::new(),
        exact_external_id: hashes(&["User-42"]),
    };
    assert!(contact == expected, "{}", serde_json::to_string_pretty(&contact).unwrap());
    assert_eq!(dropped, []);
    let keys: Vec<&str> = contact.meta().map(|(field, _)| field.key()).collect();
    assert_eq!(keys, ["em", "ph", "fn", "ln", "ge", "db", "ct", "st", "zp", "country", "external_id"]);
}

#[test]
fn what_is_left_out_is_told_without_its_value() {
    let given = ContactIn {
        email: of(&["nobody", "a@b.example", ""]),
        phone: of(&["12345", "none"]),
        gender: of(&["unknown"]),
        birthdate: of(&["1990-02-30", "   "]),
        country: of(&["Atlantis"]),
        external_id: vec!["x".repeat(VALUE_BYTES_MAX + 1)],
        city: (0..=VALUES_PER_FIELD_MAX).map(|n| "x".repeat(n + 1)).collect(),
        ..ContactIn::default()
    };
    let (contact, dropped) = hash_contact(&given, None, YEAR);
    let told: Vec<String> = dropped.iter().map(Dropped::to_string).collect();
    assert_eq!(
        told,
        [
            "email: not_an_email",
            "phone: phone_too_short",
            "phone: phone_without_digits",
            "gender: unknown_gender",
            "birthdate: impossible_date",
            "city: too_many_values",
            "country: unknown_country",
            "external_id: too_long",
        ]
    );
    assert_eq!(contact.email, hashes(&["a@b.example"]));
    assert_eq!(contact.city.len(), VALUES_PER_FIELD_MAX);
}

#[test]
fn a_phone_number_is_understood_with_its_region_or_its_plus() {
    // Unknown region: the digits alone, as the platform's own libraries would.
    let blind = phones(&["01 42 68 53 00"], None);
    assert_eq!(blind.phone, hashes(&["142685300"]));
    assert!(blind.e164_phone.is_empty());
    assert_eq!(blind.google_phone, hashes(&["+0142685300"]));
    // Known region: the number it is, and no other.
    let french = phones(&["01 42 68 53 00"], Some("FR"));
    assert_eq!(french.phone, hashes(&["33142685300"]));
    assert_eq!(french.e164_phone, hashes(&["+33142685300"]));
    assert_eq!(french.google_phone, hashes(&["+33142685300"]));
    // A plus: the libraries' form first, and the number without its trunk zero or extension.
    let trunk = phones(&["+44 (0)20 7946 0958"], None);
    assert_eq!(trunk.phone, hashes(&["4402079460958", "442079460958"]));
    let extension = phones(&["+1 650 555 1212 ext. 89", "16505551212"], None);
    assert_eq!(extension.phone, hashes(&["1650555121289", "16505551212"]));
    // Not understood in that region: the digits alone.
    assert_eq!(phones(&["0044 20 7946 0958"], Some("US")).phone, hashes(&["442079460958"]));
    for region in [None, Some("US"), Some("DE")] {
        assert_eq!(
            phones(&["0044 20 7946 0958"], region).e164_phone,
            hashes(&["+442079460958"]),
            "{region:?}"
        );
    }
}

#[test]
fn a_hash_of_the_sender_goes_only_where_its_form_is_known() {
    let sha = sha256_hex("a@b.example");
    let given = ContactIn {
        email: vec![sha.to_ascii_uppercase(), format!("{sha}.AQQCAQMC"), "0".repeat(32)],
        phone: vec![sha.clone()],
        ..ContactIn::default()
    };
    let (contact, dropped) = hash_contact(&given, Some("US"), YEAR);
    assert_eq!(contact.email, [sha.clone(), format!("{sha}.AQQCAQMC"), "0".repeat(32)]);
    assert_eq!(contact.google_email, std::slice::from_ref(&sha));
    assert_eq!(contact.phone, [sha]);
    assert!(contact.e164_phone.is_empty() && contact.google_phone.is_empty());
    assert_eq!(dropped, []);
}

#[test]
fn a_repeated_value_counts_once() {
    let given = ContactIn { email: of(&["a@b.example", " A@B.example"]), ..ContactIn::default() };
    assert_eq!(hash_contact(&given, None, YEAR).0.email, hashes(&["a@b.example"]));
}

#[test]
fn stored_form_has_the_platforms_keys_and_no_empty_lists() {
    let given = ContactIn { first_name: of(&["Mary"]), phone: of(&["5551212"]), ..ContactIn::default() };
    let contact = hash_contact(&given, None, YEAR).0;
    let stored = serde_json::to_value(&contact).unwrap();
    let keys: Vec<&String> = stored.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["ph", "fn", "google_phone", "google_first_name"]);
    assert!(serde_json::from_value::<Contact>(stored).unwrap() == contact);
    assert!(serde_json::from_str::<Contact>("{}").unwrap().is_empty());
    assert!(!contact.is_empty());
}

#[test]
fn what_is_missing_is_added_once_and_within_the_limit() {
    let mut contact = Contact { email: of(&["a"]), city: of(&["c"]), ..Contact::default() };
    let other = Contact { email: of(&["b", "a"]), google_email: of(&["g"]), ..Contact::default() };
    contact.add_missing(&other);
    contact.add_missing(&other);
    assert_eq!((contact.email.clone(), contact.city.clone()), (of(&["a", "b"]), of(&["c"])));
    assert_eq!(contact.google_email, of(&["g"]));
    let many = Contact { email: (0..50).map(|n| n.to_string()).collect(), ..Contact::default() };
    contact.add_missing(&many);
    assert_eq!(contact.email.len(), FORMS_PER_FIELD_MAX);
}

#[test]
fn debug_output_shows_no_value() {
    let given = ContactIn { email: of(&["bob@example.com"]), ..ContactIn::default() };
    let contact = hash_contact(&given, None, YEAR).0;
    let shown = format!("{given:?} {contact:?}");
    assert!(shown.contains("email: 1") && shown.contains("{\"em\": 1}"), "{shown}");
    assert!(!shown.contains("bob") && !shown.contains(&contact.email[0]), "{shown}");
}

#[test]
fn forms_that_are_the_usual_ones_are_not_kept_twice() {
    let given = ContactIn {
        phone: of(&["+86 138 1234 5678", "+16505551212"]),
        external_id: of(&["user-42", " X1 "]),
        ..ContactIn::default()
    };
    let contact = hash_contact(&given, None, YEAR).0;
    assert_eq!(contact.e164_phone, hashes(&["+8613812345678", "+16505551212"]));
    assert_eq!(contact.tiktok_phone, hashes(&["13812345678"]));
    assert_eq!(contact.external_id, hashes(&["user-42", "x1"]));
    assert_eq!(contact.exact_external_id, hashes(&["X1"]));
}

#[test]
fn what_people_write_for_a_country_or_a_gender_is_understood() {
    let countries = ["Deutschland", " UK ", "Österreich", "USA", "GBR"];
    let given =
        ContactIn { country: of(&countries), gender: of(&["M.", "Mrs.", "m.f."]), ..ContactIn::default() };
    let (contact, dropped) = hash_contact(&given, None, YEAR);
    assert_eq!(contact.country, hashes(&["de", "gb", "at", "us"]));
    assert_eq!(contact.gender, hashes(&["m", "f"]));
    assert_eq!(dropped, [Dropped { field: "gender", reason: DropReason::UnknownGender }]);
    let unknown = ContactIn { country: of(&["Atlantis", &"x".repeat(2000)]), ..ContactIn::default() };
    let reasons: Vec<DropReason> =
        hash_contact(&unknown, None, YEAR).1.iter().map(|left| left.reason).collect();
    assert_eq!(reasons, [DropReason::UnknownCountry, DropReason::TooLong]);
}
