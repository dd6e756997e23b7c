//! Examples of the documentation, and what is said of macros when a document is saved.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;

mod late;

/// Every example of every page that shows a configuration, by the kinds of destinations that there are.
#[test]
fn every_example_of_the_documentation_reads_without_a_warning() {
    let docs = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    let examples: usize = ["config.md", "partners.md", "ledger.md", "fx.md", "sources.md"]
        .into_iter()
        .map(|page| examples_of(&docs.join(page)))
        .sum();
    assert!(examples > 10, "only {examples} examples were found");
    let pages = std::fs::read_dir(docs.join("destinations")).expect("the pages of destinations");
    for page in pages {
        examples_of(&page.expect("a page").path());
    }
}

/// How many examples a page has; each must read without a warning.
fn examples_of(page: &std::path::Path) -> usize {
    let text = std::fs::read_to_string(page).expect("a page");
    let examples: Vec<&str> =
        text.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    for example in &examples {
        match config::read(example, "example.toml", &DestinationCatalog) {
            Ok((_, warnings)) => {
                let warnings: Vec<String> = warnings.iter().map(ToString::to_string).collect();
                assert_eq!(warnings, Vec::<String>::new(), "{}: {example}", page.display());
            }
            Err(problems) => panic!("{}: {example}\n{problems:?}", page.display()),
        }
    }
    examples.len()
}

/// A whole small configuration around one destination, fed by a partner of this preset.
fn around(partner: &str, destination: &str) -> String {
    format!(
        r#"
[[source]]
slug = "push"
preset = "propellerads"

[[campaign]]
slug = "summer"
source = "push"
target = "https://lander.example/p?cid={{click_id}}&k={{keyword}}"

[[partner]]
slug = "acme"
preset = "{partner}"

[[destination]]
slug = "network"
kind = "postback"
{destination}

[[goal]]
slug = "sale"
role = "funnel_fact"
when = "status == 'approved'"
event_name = "sale"
send_to = ["network"]
"#
    )
}

fn url(query: &str) -> String {
    format!("url = \"https://network.example/pb?{query}\"")
}

#[test]
fn a_macro_that_nobody_knows_blocks_and_the_nearest_is_proposed() {
    for (macro_, proposal) in [
        ("{payuot}", "did you mean `payout`?"),
        ("{clickid}", "did you mean `click_id`?"),
        ("{gclidd}", "did you mean `gclid`?"),
        ("{keywords}", "did you mean `keyword`?"),
        ("{zebra}", "write click.zebra"),
    ] {
        let document = around("generic", &url(&format!("x={macro_}&y={{payout}}")));
        let problems = check_config(&document, "c.toml").unwrap_err();
        assert_eq!(problems.len(), 1, "{problems:?}");
        let Problem { line, path, problem, fix, .. } = &problems[0];
        assert!(problem.contains(macro_) && fix.contains(proposal), "{problem} {fix}");
        assert_eq!((*line, path.as_str()), (18, "destination[network].url"));
    }
    let known = url(
        "a={click_id}&b={sub1|default:-}&c={keyword}&d={zone}&e={click.zebra}&f={gdpr_consent}&g={CLICK_ID}",
    );
    assert_eq!(check_config(&around("generic", &known), "c.toml").unwrap().1, []);
}

#[test]
fn a_macro_that_will_be_empty_is_warned_about() {
    let warned = |partner: &str, destination: &str| -> Vec<String> {
        let (_, warnings) = check_config(&around(partner, destination), "c.toml").unwrap();
        warnings.iter().map(ToString::to_string).collect()
    };
    for (partner, query, words) in [
        ("generic", "x={sub7}", "names a parameter `sub7`"),
        ("generic", "x={gclid}", "names a parameter `gclid`"),
        ("adcombo", "x={external_id}", "the calls of `acme` have no `external_id`"),
        ("adcombo", "x={revenue|round:2}", "the calls of `acme` have no `revenue`"),
    ] {
        let found = warned(partner, &url(query));
        assert_eq!(found.len(), 1, "{query}: {found:?}");
        assert!(found[0].contains(words) && found[0].contains("fix: "), "{found:?}");
    }
    for query in ["x={sub7|default:0}", "x={click.sub7}", "x={source_click_id}", "x={keyword}", "x={zone}"] {
        assert_eq!(warned("adcombo", &url(query)), [""; 0], "{query}");
    }
    assert_eq!(warned("adcombo", &url("x={payout}&y={transaction_id}&z={status}&c={value}")), [""; 0]);
    // The source's click id in a parameter that nobody sends here, and where its preset says.
    let elsewhere = format!("{}\nclick_params = [\"other_id\"]", url("c={source_click_id}"));
    let found = warned("generic", &elsewhere);
    assert!(found.len() == 1 && found[0].contains("`other_id`"), "{found:?}");
    let document = around("generic", "preset = \"outbrain\"").replace("\"propellerads\"", "\"outbrain\"");
    assert_eq!(check_config(&document, "c.toml").unwrap().1, []);
    // What no goal sends to is nobody's loss.
    let unfed = around("generic", &url("x={sub7}")).replace("send_to = [\"network\"]", "");
    assert_eq!(check_config(&unfed, "c.toml").unwrap().1, []);
}

#[test]
fn a_goal_that_waits_longer_than_its_destination_does_is_warned_about() {
    let warned = |delay: &str, settings: &str| -> Vec<String> {
        let document = around("generic", &format!("{}\n{settings}", url("c={click_id}")));
        let document = format!("{document}delay = \"{delay}\"\n");
        let (_, warnings) = check_config(&document, "c.toml").unwrap();
        warnings.iter().map(ToString::to_string).collect()
    };
    for (delay, settings, expected) in [
        ("29d", "", 0),
        ("30d", "", 1),
        ("2d", "max_age_days = 3", 0),
        ("3d", "max_age_days = 3", 1),
        ("0s", "max_age_days = 1", 0),
    ] {
        let found = warned(delay, settings);
        assert_eq!(found.len(), expected, "{delay} {settings}: {found:?}");
        assert!(
            found.iter().all(|text| text.contains("event_too_old") && text.contains("`sale`")),
            "{found:?}"
        );
    }
}

#[test]
fn an_example_is_shown_without_the_secret() {
    let destination = r#"url = "https://network.example/{const.shop}/pb?c={source_click_id}&p={payout|round:1}&t={secret}"
method = "POST"
body = '{"when":"{event_time|date:rfc3339}","token":"{secret}"}'
content_type = "application/json"
headers = { Authorization = "Bearer {secret}" }
constants = { shop = "berlin" }
secret = { env = "NETWORK_TOKEN" }"#;
    let (config, warnings) = check_config(&around("generic", destination), "c.toml").unwrap();
    assert_eq!(warnings, []);
    let examples = examples(&config);
    assert_eq!(examples.len(), 1);
    let Example { destination, method, url, headers, body, not_sent } = &examples[0];
    assert_eq!((destination.as_str(), *method, not_sent), ("network", "POST", &None));
    assert_eq!(url, "https://network.example/berlin/pb?c=source-click-1&p=12.3&t=***");
    assert_eq!(body, r#"{"when":"2026-01-31T12:00:00+00:00","token":"***"}"#);
    assert!(headers.contains(&("authorization".to_owned(), "Bearer ***".to_owned())), "{headers:?}");
    let never = around("generic", &super::tests::url("s={status|map:hold=1}"));
    let never = super::examples(&check_config(&never, "c.toml").unwrap().0);
    assert!(never[0].not_sent.as_ref().unwrap().contains("`status`"), "{never:?}");
}
