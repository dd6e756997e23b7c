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
