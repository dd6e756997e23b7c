use std::collections::BTreeSet;

use super::*;

#[test]
fn the_table_is_whole() {
    let mut alpha_2 = BTreeSet::new();
    let mut alpha_3 = BTreeSet::new();
    for line in COUNTRIES.lines().filter(|line| !line.starts_with('#')) {
        let columns: Vec<&str> = line.split(';').collect();
        let [two, three, english, _] = columns.as_slice() else { panic!("four columns: {line}") };
        assert!(two.len() == 2 && three.len() == 3, "{line}");
        assert!(english.is_ascii() && !english.is_empty(), "{line}");
        assert!(alpha_2.insert(*two) && alpha_3.insert(*three), "twice: {line}");
    }
    assert_eq!(alpha_2.len(), 249);
}

#[test]
fn no_name_means_two_countries() {
    let mut names: HashMap<String, &str> = HashMap::new();
    for line in COUNTRIES.lines().filter(|line| !line.starts_with('#')) {
        let alpha_2 = line.split(';').next().unwrap_or_default();
        for name in line.split([';', '|']).filter(|name| !name.is_empty()) {
            let before = names.insert(letters(name), alpha_2);
            assert!(before.is_none_or(|other| other == alpha_2), "{name}: {before:?} and {alpha_2}");
        }
    }
}

#[test]
fn the_strict_stage_takes_codes_and_english_names_only() {
    for (input, strict, any) in [
        ("GB", Some("gb"), Some("gb")),
        ("United Kingdom", Some("gb"), Some("gb")),
        ("UK", None, Some("gb")),
        ("England", None, Some("gb")),
        ("GBR", None, Some("gb")),
        ("USA", Some("us"), Some("us")),
        ("DEU", None, Some("de")),
        ("Deutschland", None, Some("de")),
        ("Germany", Some("de"), Some("de")),
        ("Cote d'Ivoire", Some("ci"), Some("ci")),
        ("Côte d’Ivoire", None, Some("ci")),
        ("日本", None, Some("jp")),
        ("DR Congo", None, Some("cd")),
        ("Congo", Some("cg"), Some("cg")),
        ("the", None, None),
        ("", None, None),
        ("Atlantis", None, None),
    ] {
        assert_eq!(from_code_or_name(input), strict, "{input}");
        assert_eq!(from_any_name(input), any, "{input}");
    }
}
