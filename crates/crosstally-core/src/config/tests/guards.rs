//! What a partner's calls must show, and how many it may send.

use super::*;
use crate::postback::signature::Scheme;

fn partner(keys: &str) -> Result<(Partner, Vec<Warning>), Vec<Problem>> {
    let document = format!("[[partner]]\nslug = \"acme\"\n{keys}\n");
    read(&document, "test.toml", &Shelf).map(|(config, warnings)| (config.partners[0].clone(), warnings))
}

#[test]
fn the_scheme_is_the_named_one_then_the_presets_then_our_own() {
    let secret = "secret = { env = \"S\" }";
    for (keys, expected) in [
        (format!("auth = {{ {secret} }}"), Scheme::Crosstally),
        (format!("preset = \"stripe\"\nauth = {{ {secret} }}"), Scheme::Stripe),
        (format!("signature = \"github\"\nauth = {{ {secret} }}"), Scheme::Github),
        (
            format!("preset = \"stripe\"\nauth = {{ {secret}, scheme = \"standard_webhooks\" }}"),
            Scheme::StandardWebhooks,
        ),
        ("preset = \"stripe\"\nauth = { hmac = { env = \"S\" } }".to_owned(), Scheme::Crosstally),
    ] {
        let (partner, warnings) = partner(&keys).unwrap();
        assert_eq!(partner.scheme(), expected, "{keys}");
        assert_eq!(warnings, [], "{keys}");
    }
}

#[test]
fn a_sender_that_signs_without_a_secret_here_is_warned_about() {
    for keys in [
        "preset = \"shopify\"",
        "signature = \"paddle\"",
        "preset = \"stripe\"\nauth = { token = { env = \"T\" } }",
    ] {
        let (_, warnings) = partner(keys).unwrap();
        assert!(
            warnings.iter().any(|one| one.problem.contains("signed") && one.fix.contains("ACME_SECRET")),
            "{keys}"
        );
    }
}

#[test]
fn what_says_more_about_the_status_is_a_parameter() {
    for (keys, says) in [
        ("status_with = \"header:x-topic\"", "is a header"),
        ("status_with = [\"a\", \"data.api_key\"]", "is where a secret stands"),
        ("status_with = \"{status}\"", "is a macro"),
        ("status_with = 5", "`status_with` must be a text"),
        ("statuses = { a = \"asks\" }", "`asks` is not a value of `statuses`"),
        ("test_when = { \"header:x-test\" = \"1\" }", "is a header"),
        ("test_when = { \"data.api_key\" = \"1\" }", "is where a secret stands"),
        ("test_when = \"test\"", "`test_when` must be a table"),
        ("test_when = { test = true }", "`test` must be a text"),
        ("minor_digits = { ISKA = 2 }", "`ISKA` is not a currency"),
        ("minor_digits = { ISK = 5 }", "is not a number of decimals"),
        ("minor_digits = { ISK = -1 }", "is not a number of decimals"),
        ("minor_digits = { ISK = \"2\" }", "must be a whole number"),
    ] {
        let problems = partner(keys).unwrap_err();
        assert!(problems.iter().any(|one| one.problem.contains(says)), "{keys}: {problems:?}");
    }
    let many: Vec<String> = (0..17).map(|number| format!("\"p{number}\"")).collect();
    assert!(partner(&format!("status_with = [{}]", many.join(", "))).is_err());
    let (partner, _) =
        partner("status_with = \"state\"\nstatuses = { \"Done+Paid\" = \"approved\" }").unwrap();
    assert_eq!(partner.contract.word_with(" done", "PAID "), Some("done+paid".to_owned()));
    assert_eq!(partner.contract.word_with("done", "unpaid"), None);
}

#[test]
fn a_range_that_lets_everybody_in_is_warned_about() {
    for text in ["0.0.0.0/0", "::/0", "0.0.0.0/1", "128.0.0.0/1", "2000::/3"] {
        let document =
            format!("[[partner]]\nslug = \"acme\"\nauth = {{ allow = [\"203.0.113.9\", \"{text}\"] }}\n");
        let expected = format!(
            "test.toml:3:34: warning: `{text}` in `allow` lets nearly every address in\n  \
             fix: name the partner's addresses, or remove `allow`"
        );
        assert_eq!(warned(&document), [expected]);
    }
    for text in ["203.0.113.0/24", "10.0.0.0/8", "2001:db8::/32"] {
        let (_, warnings) = partner(&format!("auth = {{ allow = [\"{text}\"] }}")).unwrap();
        assert_eq!(warnings, [], "{text}");
    }
}

#[test]
fn refunds_that_would_not_find_their_sale_are_warned_about() {
    for (keys, mode) in [
        ("duplicates = \"record\"\nreversal = \"amount\"", "record"),
        ("negative = \"reversal\"\nduplicates = \"event_id\"", "event_id"),
        ("statuses = { back = \"reversed\" }\nduplicates = { deposit = \"record\" }", "record"),
    ] {
        let (_, warnings) = partner(keys).unwrap();
        let told: Vec<String> = warnings.iter().map(ToString::to_string).collect();
        assert!(told.len() == 1 && told[0].contains(&format!("under `{mode}` a refund")), "{keys}: {told:?}");
    }
    for keys in ["duplicates = \"record\"", "duplicates = \"add\"\nreversal = \"amount\""] {
        assert_eq!(partner(keys).unwrap().1, [], "{keys}");
    }
}

#[test]
fn two_partners_with_one_secret_are_warned_about() {
    let document = |first: &str, second: &str| {
        format!(
            "[[partner]]\nslug = \"a\"\nauth = {{ {first} }}\n\n[[partner]]\nslug = \"b\"\nauth = {{ {second} }}\n"
        )
    };
    for (first, second, key) in [
        ("secret = { env = \"S\" }", "secret = { env = \"S\" }", "secret"),
        ("hmac = { env = \"S\" }", "secret = { env = \"S\" }", "secret"),
        ("secret = { env = \"A\" }, old_secret = { env = \"S\" }", "hmac = { env = \"S\" }", "hmac"),
        ("token = { file = \"/s\" }", "token = { file = \"/s\" }", "token"),
    ] {
        let expected = format!(
            "test.toml:7:8: warning: partner `a` has the same secret: whoever may call as one of them may call as the \
             other\n  fix: give each its own: {key} = {{ env = \"B_{}\" }}",
            key.to_uppercase()
        );
        assert_eq!(warned(&document(first, second)), [expected]);
    }
    let spelled = document("token = \"hunter2\"", "token = \"hunter2\"");
    let told = warned(&spelled);
    assert!(
        told.iter().any(|one| one.contains("the same secret")) && !told.join("\n").contains("hunter2"),
        "{told:?}"
    );
    for (first, second) in [
        ("secret = { env = \"S\" }", "secret = { env = \"T\" }"),
        ("secret = { env = \"S\" }", "secret = { file = \"S\" }"),
    ] {
        assert_eq!(warned(&document(first, second)), Vec::<String>::new());
    }
    let own = "[[partner]]\nslug = \"a\"\nauth = { token = { env = \"S\" }, secret = { env = \"S\" } }\n";
    assert_eq!(warned(own), Vec::<String>::new());
}

#[test]
fn secrets_that_contradict_each_other_are_refused() {
    for (keys, says) in [
        ("auth = { hmac = { env = \"A\" }, secret = { env = \"B\" } }", "`hmac`"),
        ("auth = { hmac = { env = \"A\" }, scheme = \"github\" }", "`hmac`"),
        ("auth = { old_secret = { env = \"A\" } }", "`old_secret`"),
        ("auth = { scheme = \"github\" }", "`scheme`"),
        ("auth = { secret = { env = \"A\" }, scheme = \"gitbub\" }", "gitbub"),
        ("auth = { token = { env = \"A\" }, token_in = [] }", "`token_in`"),
        ("auth = { token = { env = \"A\" }, token_in = [\"body\"] }", "body"),
        ("auth = { secret = \"whsec_\", scheme = \"standard_webhooks\" }", "holds no key"),
        ("auth = { secret = \"whsec_not base64\", scheme = \"standard_webhooks\" }", "holds no key"),
        ("auth = {}", "lets everybody in"),
        ("auth = { token_in = [\"header\"] }", "`token_in` does nothing without `token`"),
        ("auth = { token_in = [\"header\"], secret = { env = \"A\" } }", "`token_in`"),
        ("rate = { burst = 5 }", "per_second"),
        ("rate = { per_second = 0 }", "per_second"),
        ("rate = { per_second = 5, burst = 2000000 }", "burst"),
        ("rate = { per_second = \"5\" }", "per_second"),
        ("rate = 5", "rate"),
    ] {
        let problems = partner(keys).unwrap_err();
        assert!(problems.iter().any(|one| one.problem.contains(says)), "{keys}: {problems:?}");
    }
    let (partner, _) = partner("rate = { per_second = 100 }").unwrap();
    assert_eq!(partner.rate, Some(Rate { per_second: 100, burst: 200 }));
}

#[test]
fn a_field_is_not_read_from_where_a_secret_stands() {
    for (place, what) in [
        ("token", "token"),
        ("TOKEN", "TOKEN"),
        ("sig", "sig"),
        ("data.api_key", "data.api_key"),
        ("user[password]", "user[password]"),
        ("header:authorization", "header:authorization"),
        ("Header:Cookie", "Header:Cookie"),
        ("header:X-Crosstally-Token", "header:X-Crosstally-Token"),
        ("header:x-api-key", "header:x-api-key"),
    ] {
        for field in ["transaction_id", "event"] {
            let keys = format!("params = {{ {field} = \"{place}\" }}");
            let problems = partner(&keys).unwrap_err();
            let [only] = problems.as_slice() else { panic!("{keys}: {problems:?}") };
            assert!(only.problem.contains(what) && only.problem.contains("secret"), "{keys}: {only}");
        }
    }
    for place in ["tokens", "order.id", "header:x-topic", "header:x-shopify-order-id", "authority"] {
        partner(&format!("params = {{ transaction_id = \"{place}\" }}")).unwrap();
    }
}
