//! How long fields are kept, within which limits.

use super::*;
use crate::retention::Retention;
use crate::time::DAY_MS;

fn retention(keys: &str) -> Result<Retention, Vec<Problem>> {
    let document = format!("[retention]\n{keys}\n");
    read(&document, "test.toml", &Shelf).map(|(config, _)| config.retention)
}

#[test]
fn every_class_is_read_and_all_is_kept_by_itself() {
    let read = retention("ip = \"7d\"\nuser_agent = \"30d\"\nraw = \"3650d\"").unwrap();
    let days = |days: i64| Some(days * DAY_MS);
    assert_eq!(read, Retention { ip: days(7), user_agent: days(30), raw: days(3650) });
    assert_eq!(retention("").unwrap(), Retention::default());
    assert_eq!(Config::empty().retention, Retention::default());
}

#[test]
fn what_is_no_number_of_days_is_refused_with_a_fix() {
    for keys in ["ip = \"1d\"", "ip = \"36h\"", "raw = \"3651d\"", "user_agent = \"never\"", "ip = 7"] {
        let problems = retention(keys).unwrap_err();
        assert!(!problems[0].fix.is_empty(), "{keys}: {problems:?}");
    }
    let problems = retention("ips = \"7d\"").unwrap_err();
    assert!(shown(&problems).contains("ips"), "{problems:?}");
}
