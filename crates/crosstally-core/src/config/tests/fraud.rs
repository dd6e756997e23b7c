//! Which fraud marks are set, within which limits.

use super::*;
use crate::fraud::{Fraud, Often, Ranges};
use crate::time::{DAY_MS, MINUTE_MS};

fn fraud(keys: &str) -> Result<Fraud, Vec<Problem>> {
    let document = format!("[fraud]\n{keys}\n");
    read(&document, "test.toml", &Shelf).map(|(config, _)| config.fraud)
}

#[test]
fn every_key_is_read_and_nothing_is_on_by_itself() {
    let read = fraud(
        "repeated_contact = { more_than = 0, within = \"90d\" }\nrepeated_address = { more_than = 5, within = \"1d\" }\n\
         click_flood = { more_than = 20, within = \"1m\" }\ndata_centres = [\"198.51.100.0/24\", \"203.0.113.9\"]\n\
         bots = true\ndata_centre_networks = [\"AS16509\", \"14618\"]",
    );
    let often = |more_than, within_ms| Some(Often { more_than, within_ms });
    let expected = Fraud {
        repeated_contact: often(0, 90 * DAY_MS),
        repeated_address: often(5, DAY_MS),
        click_flood: often(20, MINUTE_MS),
        bots: true,
        data_centre_networks: [14_618, 16_509].into(),
        data_centres: Ranges::new(&["203.0.113.9/32", "198.51.100.0/24"].map(|range| range.parse().unwrap())),
    };
    assert_eq!(read.unwrap(), expected);
    assert_eq!(fraud("").unwrap(), Fraud::default());
    assert_eq!(Config::empty().fraud, Fraud::default());
}

#[test]
fn what_is_out_of_bounds_is_refused_with_a_fix() {
    for (keys, says) in [
        ("click_flood = { more_than = 20 }", "`within` is missing in click_flood"),
        ("click_flood = { within = \"1m\" }", "`more_than` is missing in click_flood"),
        ("click_flood = { more_than = 20, within = \"2h\" }", "between 1s and 1h"),
        ("click_flood = { more_than = 1001, within = \"1m\" }", "between 0 and 1000"),
        ("repeated_contact = { more_than = -1, within = \"1d\" }", "between 0 and 1000"),
        ("repeated_contact = { more_than = 1, within = \"91d\" }", "between 1s and 90d"),
        ("repeated_address = { more_than = 1, within = \"999ms\" }", "between 1s and 90d"),
        ("repeated_address = 3", "must be a table"),
        ("data_centres = \"198.51.100.0/24\"", "must be a list of texts"),
        ("data_centres = [\"198.51.100.7/24\"]", "names an address within a range"),
        ("data_centre_networks = [\"cloud\"]", "is not the number of a network"),
        ("data_centres = [\"cloud\"]", "is not an address or range"),
    ] {
        let problems = fraud(keys).unwrap_err();
        assert!(problems.iter().any(|one| one.problem.contains(says)), "{keys}: {problems:?}");
        assert!(problems.iter().all(|one| !one.fix.is_empty()), "{keys}");
    }
    let twice = read("[[fraud]]\ndata_centres = []\n", "test.toml", &Shelf).unwrap_err();
    assert!(twice[0].fix.contains("[fraud], with one bracket"), "{twice:?}");
}

#[test]
fn a_hundred_thousand_ranges_and_not_one_more() {
    let list = |count: u32| -> String {
        let range = |number: u32| format!("\"10.{}.{}.{}\"", number >> 16, number >> 8 & 255, number & 255);
        let ranges: Vec<String> = (0..count).map(|number| range(number * 2)).collect();
        format!("data_centres = [{}]", ranges.join(","))
    };
    let ranges = fraud(&list(100_000)).unwrap().data_centres;
    assert_eq!(ranges.iter().count(), 100_000);
    assert!(ranges.contains("10.0.0.2".parse().unwrap()) && !ranges.contains("10.0.0.3".parse().unwrap()));
    assert!(fraud(&list(100_001)).unwrap_err()[0].problem.contains("more than 100000 items"));
    // What is printed for a list of this length still fits into a document.
    let config = Config { fraud: fraud(&list(100_000)).unwrap(), ..Config::empty() };
    let printed = print(&config).unwrap();
    assert!(printed.len() < crate::limits::ADMIN_BODY_BYTES_MAX, "{}", printed.len());
    assert_eq!(read(&printed, "test.toml", &Shelf).unwrap().0, config);
}

#[test]
fn a_plan_shows_what_changes() {
    let old = good("[fraud]\nclick_flood = { more_than = 20, within = \"60s\" }\n");
    let new =
        good("[fraud]\nclick_flood = { more_than = 30, within = \"1m\" }\ndata_centres = [\"10.0.0.0/8\"]\n");
    let shown: Vec<String> = plan(&old, &new).iter().map(ToString::to_string).collect();
    assert_eq!(
        shown,
        ["~ fraud\n    click_flood.more_than: 20 -> 30\n    data_centres: not set -> [10.0.0.0/8]"]
    );
    assert_eq!(plan(&new, &good(&print(&new).unwrap())), []);
    let gone: Vec<String> = plan(&new, &Config::empty()).iter().map(ToString::to_string).collect();
    assert_eq!(gone, ["- fraud"]);
}
