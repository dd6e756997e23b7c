//! Pre-flights that are flown by themselves.

use super::*;

const MONITOR: &str = r#"
[[campaign]]
slug = "summer"
target = "https://shop.example/p?c={click_id}"

[[partner]]
slug = "acme"

[[preflight]]
slug = "nightly"
campaign = "summer"
at = "03:05"
partner = "acme"
actions = 12
base = "https://t.shop.example"
lander = "https://staging.shop.example/p"
postback = "https://t.shop.example/postback/acme?token={token}&click_id={click_id}"
status = "won"
event = "Sale"
currency = "EUR"
params = "gdpr=0"
allow_private = true
"#;

#[test]
fn a_preflight_prints_what_it_reads_and_shows_in_a_plan() {
    let config = good(MONITOR);
    let monitor = &config.preflights[0];
    assert_eq!((monitor.at_minute, monitor.actions, monitor.allow_private), (185, Some(12), true));
    let printed = print(&config).unwrap();
    let section = MONITOR.split_once("[[preflight]]").unwrap().1;
    assert!(printed.ends_with(section), "{printed}");
    assert_eq!(good(&printed), config);
    let mut later = config.clone();
    later.preflights[0].at_minute = 0;
    let changes: Vec<String> = plan(&config, &later).iter().map(ToString::to_string).collect();
    assert_eq!(changes, ["~ preflight nightly\n    at: 03:05 -> 00:00"]);
    // A token that stands in the URL all the same is not shown.
    later.preflights[0].postback = Some("https://t.shop.example/postback/acme?token=s3cret".into());
    assert!(!plan(&config, &later).iter().any(|change| change.to_string().contains("s3cret")));
}

#[test]
fn what_cannot_be_flown_is_told() {
    for (from, to, says) in [
        ("at = \"03:05\"", "at = \"24:00\"", "`24:00` is not a time of day"),
        ("at = \"03:05\"", "at = \"3:5\"", "`3:5` is not a time of day"),
        ("at = \"03:05\"\n", "", "`at` is missing"),
        ("campaign = \"summer\"", "campaign = \"winter\"", "there is no campaign `winter`"),
        ("partner = \"acme\"", "partner = \"acne\"", "there is no partner `acne`"),
        ("actions = 12", "actions = 101", "`actions` is not between 1 and 100"),
        ("\"https://t.shop.example\"", "\"t.shop.example\"", "is not an address"),
        ("\"https://t.shop.example\"", "\"https://t.shop.example/c/summer#\"", "is not an address"),
        ("gdpr=0", "sub2=x#top", "ends a query"),
        ("gdpr=0", "sub2=x y", "ends a query"),
        ("currency = \"EUR\"", "currency = \"EURO\"", "`EURO` is not a currency"),
        ("status = \"won\"", "state = \"won\"", "`state` is not a key of preflight"),
    ] {
        let problems = bad(&MONITOR.replace(from, to));
        assert!(problems.len() == 1 && problems[0].problem.contains(says), "{to}: {problems:?}");
    }
}
