#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
use proptest::prelude::*;

use super::*;
use crate::params::Params;

fn wanted(url: &str) -> Wanted {
    Wanted {
        url: url.into(),
        source: "newsletter".into(),
        medium: "email".into(),
        campaign: "spring".into(),
        ..Wanted::default()
    }
}

fn lints(link: &Link) -> String {
    link.lints.iter().map(|lint| format!("{}: {}\n", lint.at, lint.problem)).collect()
}

#[test]
fn a_link_keeps_what_it_had_and_gets_its_parameters() {
    let plain = build(&wanted("https://shop.example/p?id=7&x=a%20b#top"));
    assert_eq!(
        plain.link,
        "https://shop.example/p?id=7&x=a%20b&utm_source=newsletter&utm_medium=email&utm_campaign=spring#top"
    );
    assert!(plain.is_good() && plain.lints.is_empty(), "{}", lints(&plain));
    for (url, begins, said) in [
        ("shop.example/p", "https://shop.example/p?utm_source", "https://"),
        ("https://shop.example/p?a=1?b=2", "https://shop.example/p?a=1&b=2&utm_source", "second `?`"),
        ("https://shop.example/a b", "https://shop.example/a%20b?utm_source", "blanks"),
        (
            "https://shop.example/?utm_source=old&k=1",
            "https://shop.example/?k=1&utm_source=newsletter",
            "of its own",
        ),
        ("http://shop.example/", "http://shop.example/?utm_source", "http://"),
    ] {
        let link = build(&wanted(url));
        assert!(link.link.starts_with(begins), "{url}: {}", link.link);
        assert!(lints(&link).contains(said), "{url}: {}", lints(&link));
        assert!(link.is_good(), "{url}");
    }
    for url in ["", "javascript:alert(1)", "https://", "ftp://a.example/"] {
        let link = build(&wanted(url));
        assert!(!link.is_good() && link.link.is_empty(), "{url}: {}", link.link);
    }
}

#[test]
fn values_are_linted() {
    let missing = build(&Wanted { url: "https://a.example/".into(), ..Wanted::default() });
    assert!(!missing.is_good());
    assert_eq!(missing.lints.iter().filter(|lint| lint.is_error).count(), 3, "{}", lints(&missing));
    let odd = Wanted { campaign: "Spring Sale".into(), ..wanted("https://a.example/") };
    let odd = build(&odd);
    assert!(odd.link.ends_with("utm_campaign=Spring%20Sale"), "{}", odd.link);
    assert!(lints(&odd).contains("blanks") && lints(&odd).contains("capitals"), "{}", lints(&odd));
    let encoded = Wanted { campaign: "spring%20sale+1".into(), ..wanted("https://a.example/") };
    let encoded = build(&encoded);
    assert!(encoded.link.ends_with("utm_campaign=spring%20sale%2B1"), "{}", encoded.link);
    assert!(lints(&encoded).contains("not encoded again"));
    let wrong =
        Wanted { preset: "tiktok".into(), content: "{{ad.id}}".into(), ..wanted("https://a.example/") };
    let wrong = build(&wrong);
    assert!(
        !wrong.is_good() && lints(&wrong).contains("TikTok Ads does not fill in `{{ad.id}}`"),
        "{}",
        lints(&wrong)
    );
    assert!(!build(&Wanted { preset: "nobody".into(), ..wanted("https://a.example/") }).is_good());
}

#[test]
fn every_source_makes_a_link_with_its_macros_as_they_are() {
    for source in source::all() {
        let name = &source.name;
        let has_campaign = !source.utm_value("utm_campaign").is_empty();
        let link = build(&Wanted {
            url: "https://a.example/".into(),
            preset: name.clone(),
            campaign: if has_campaign { String::new() } else { "spring".into() },
            ..Wanted::default()
        });
        assert!(link.is_good() && link.lints.is_empty(), "{name}: {}", lints(&link));
        // What a click link brings, a page's link brings under the same name, so that both are read alike.
        let pairs = source.link.split('&').chain(source.utm.split('&'));
        for pair in pairs {
            assert!(
                format!("{}&", link.link).contains(&format!("{pair}&")),
                "{name}: {pair} in {}",
                link.link
            );
        }
        let names: Vec<&str> =
            link.link.split(['?', '&']).skip(1).filter_map(|pair| Some(pair.split_once('=')?.0)).collect();
        let once: std::collections::BTreeSet<&str> = names.iter().copied().collect();
        assert_eq!(once.len(), names.len(), "{name}: {names:?}");
    }
    let x = Wanted { preset: "X".into(), content: "{ad}".into(), ..wanted("https://a.example/") };
    assert!(build(&x).lints.iter().any(|lint| lint.fix == "it fills in no macros of a link"));
}

proptest! {
    #[test]
    fn nothing_is_encoded_twice_and_every_value_arrives(
        campaign in "[a-zA-Z0-9 &=?#%+/é._-]{1,30}",
        value in "[a-z%&=+ ]{0,20}",
    ) {
        let wanted = Wanted {
            campaign: campaign.clone(),
            params: vec![("x".into(), value)],
            ..wanted("https://a.example/p?k=a%2Fb")
        };
        let link = build(&wanted).link;
        prop_assert!(!link.contains("%25") || campaign.contains('%') || wanted.params[0].1.contains('%'));
        let (_, query) = link.split_once('?').unwrap();
        let params = Params::parse(query.as_bytes()).unwrap();
        prop_assert_eq!(params.get("k"), Some("a/b"));
        if !campaign.contains('%') && !campaign.trim().is_empty() {
            prop_assert_eq!(params.get("utm_campaign"), Some(campaign.trim()));
        }
        // What was built is built again into the same.
        let again = Wanted { url: "https://a.example/p".into(), ..wanted.clone() };
        let tagged = build(&again).link;
        prop_assert_eq!(build(&Wanted { url: tagged.clone(), ..again }).link, tagged);
    }
}
