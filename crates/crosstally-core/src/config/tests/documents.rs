//! The documentation and the examples say what the reader does.

use super::*;
use crate::condition::{Condition, VARIABLES};
use crate::fields::FIELDS;

const DOCS: &str = include_str!("../../../../../docs/config.md");

#[test]
fn every_key_field_and_name_is_documented() {
    let known = |name: &str| DOCS.contains(&format!("`{name}`"));
    for (_, level, keys) in unknown_keys::LEVELS {
        for key in *keys {
            assert!(known(key) || DOCS.contains(&format!("{{ {key} = ")), "{level}.{key}");
        }
    }
    for field in FIELDS {
        assert!(field.accepted.iter().all(|name| known(name)) && known(field.name), "{}", field.name);
    }
    for (name, _) in VARIABLES {
        assert!(known(name), "{name}");
    }
}

#[test]
fn the_example_file_reads_without_a_warning() {
    assert_eq!(warned(include_str!("../../../../../docs/examples/quickstart.toml")), Vec::<String>::new());
}

#[test]
fn the_way_to_ask_for_a_parameter_that_may_be_missing_works() {
    let condition = Condition::compile("'sub1' in click && click.sub1 == 'newsletter'").unwrap();
    let conversion = crate::config::read::condition::sample(crate::ledger::Status::Approved);
    let holds = |click: &[(String, String)]| {
        condition.holds(&crate::condition::Subject {
            conversion: &conversion,
            fields: &[],
            click_params: click,
            labels: &[],
        })
    };
    let pair = |value: &str| [("sub1".to_owned(), value.to_owned())];
    assert_eq!(holds(&[]), Ok(false));
    assert_eq!(holds(&pair("other")), Ok(false));
    assert_eq!(holds(&pair("newsletter")), Ok(true));
}
