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
