//! Which texts are macros, and what becomes of a value.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use proptest::prelude::*;

use super::*;
use crate::macro_names::is_known;

const ANY: Brackets = Brackets::any(is_known, false);

fn names(text: &str, brackets: Brackets) -> Vec<String> {
    Template::read(text, brackets).0.macros().map(|found| found.name.clone()).collect()
}

fn applied(functions: &str, value: Option<&str>) -> Result<Option<String>, &'static str> {
    let (template, faults) = Template::read(&format!("{{x|{functions}}}"), Brackets::BRACES);
    assert_eq!(faults, [], "{functions}");
    let found = template.macros().next().unwrap().clone();
    found.apply(value.map(Cow::Borrowed)).map(|out| out.map(Cow::into_owned)).map_err(|missing| missing.why)
}

fn value(functions: &str, of: &str) -> String {
    applied(functions, Some(of)).unwrap().unwrap()
}

#[test]
fn values_are_encoded_and_odd_braces_stay() {
    let template = Template::parse("https://a.example/{x}?j={\"k\":1}&v={v}&e={}&w={v");
    let filled = template.fill_encoded(|name| match name {
        "v" => Some("a b&c=é".into()),
        _ => None,
    });
    assert_eq!(filled, "https://a.example/?j={\"k\":1}&v=a%20b%26c%3D%C3%A9&e={}&w={v");
    assert_eq!(template.macros().map(|found| found.name.as_str()).collect::<Vec<_>>(), ["x", "v"]);
}

#[test]
fn every_bracket_is_read_around_a_known_name() {
    for style in Style::ALL {
        let name = if style.sample.contains('X') { "CLICK_ID" } else { "click_id" };
        let written = style.sample.replace(['x', 'X'], name);
        let text = format!("a={written}&b=1");
        let (template, faults) = Template::read(&text, ANY);
        assert_eq!(faults, [], "{text}");
        assert_eq!(names(&text, ANY), [name], "{text}");
        assert_eq!(template.fill_encoded(|_| Some("v".into())), "a=v&b=1", "{text}");
        assert_eq!(names(&text, Brackets::only(*style, is_known)), [name], "{text}");
        assert_eq!(Style::of_sample(style.sample), Some(*style));
        // Whoever names one style means no other, and any name.
        for other in Style::ALL.iter().filter(|other| other.sample != style.sample) {
            let inside = other.sample.contains(style.sample.trim_matches(['x', 'X']));
            let nested = ["{x}", "[x]", "#x#"].contains(&style.sample) || inside;
            let found =
                names(&other.sample.replace(['x', 'X'], "click_id"), Brackets::only(*style, is_known));
            assert!(nested || found.is_empty(), "{} read as {}", other.sample, style.sample);
        }
        let foreign = style.sample.replace(['x', 'X'], "zoneid");
        assert_eq!(names(&foreign, Brackets::only(*style, is_known)), ["zoneid"], "{foreign}");
    }
}

#[test]
fn literals_are_never_mangled() {
    for text in [
        "a%20b%20c",
        "a%20x%20b",
        "%campaign",
        "x=[zoneid]&y=#zone#",
        "[1,2]",
        "{\"a\":{\"b\":[\"c\"]}}",
        "__proto__",
        "(Sub)",
        "<b>x</b>",
        "##",
        "100%",
        "{a b}",
        "{\"status\":\"x|y\"}",
    ] {
        assert_eq!(names(text, ANY), [""; 0], "{text}");
        assert_eq!(Template::read(text, ANY).1, [], "{text}");
    }
    assert_eq!(names("a%20x%20b", Brackets::only(Style::of_sample("%x%").unwrap(), is_known)), [""; 0]);
    assert_eq!(names("%20b%20%campaign%", ANY), ["campaign"]);
    // In markup an element is no macro.
    let markup = Brackets::any(is_known, true);
    assert_eq!(names("<payout>{payout}</payout>[status]", markup), ["payout", "status"]);
}

#[test]
fn functions_do_what_they_say() {
    for (functions, of, becomes) in [
        ("map:approved=1,rejected=3,*=0", "approved", "1"),
        ("map:approved=1,rejected=3,*=0", "hold", "0"),
        ("map:approved=,*=0", "approved", ""),
        ("map:a\\,b=c\\=d\\|e", "a,b", "c=d|e"),
        ("lower", "ÄbC", "äbc"),
        ("default:none", "x", "x"),
        ("hash", " Ab@Example.com ", "96e49dd93fffc5df73aaa9af3aaa7ff0b5ce1e40c1a1e5a7d30f8b9b3a3c2f4a"),
        ("date:%Y-%m-%d", "1764205295", "2025-11-27"),
        ("date:%d/%m/%Y %H:%M,Europe/Berlin", "1764205295", "27/11/2025 02:01"),
        ("date:%Y\\,%m", "1764205295", "2025,11"),
        ("date:seconds", "1764205295123", "1764205295"),
        ("date:milliseconds", "1764205295", "1764205295000"),
        ("date:rfc3339", "1764205295", "2025-11-27T01:01:35+00:00"),
        ("date:%Y", "2024-02-29T23:59:59Z", "2024"),
        ("round:1|default:0", "12.34", "12.3"),
    ] {
        if functions == "hash" {
            assert_eq!(value(functions, of), value("hash:exact", "ab@example.com"));
            let known = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
            assert_eq!(value(functions, "Hello "), known);
            assert_eq!(value(functions, &known.to_uppercase()), known);
            assert_ne!(value("hash:exact", "Hello"), known);
            continue;
        }
        assert_eq!(value(functions, of), becomes, "{functions} of {of}");
    }
    assert_eq!(applied("default:none", None), Ok(Some("none".to_owned())));
    assert_eq!(applied("default:none", Some("")), Ok(Some("none".to_owned())));
    assert_eq!(applied("map:a=b|default:c", Some("x")), Ok(Some("c".to_owned())));
    assert_eq!(applied("round:2", None), Ok(None));
    for (functions, of) in [
        ("hash", " "),
        ("hash:exact", "\t"),
        ("lower", "  "),
        ("map:a=,*=0|hash", "a"),
        ("hash|hash", "\u{a0}"),
    ] {
        assert_eq!(applied(functions, Some(of)), Ok(None), "{functions} of {of:?}: nothing was said");
    }
    assert!(applied("required", Some(" \r\n")).is_err(), "spaces are no click id");
    for (functions, of) in
        [("required", None), ("map:a=b", Some("x")), ("round:2", Some("1,5")), ("date:%Y", Some("soon"))]
    {
        assert!(applied(functions, of).is_err(), "{functions}");
    }
}

#[test]
fn halves_go_away_from_zero_and_no_digit_is_lost() {
    for (decimals, of, becomes) in [
        (2, "12.345", "12.35"),
        (2, "-12.345", "-12.35"),
        (2, "12.3449", "12.34"),
        (0, "0.5", "1"),
        (0, "-0.4", "0"),
        (2, "-0.004", "0.00"),
        (0, "99.5", "100"),
        (1, "9.95", "10.0"),
        (2, "7", "7.00"),
        (2, "007.1", "7.10"),
        (2, ".5", ""),
        (2, "9007199254740993.335", "9007199254740993.34"),
        (3, "1200", "1200.000"),
        (0, "12.", "12"),
    ] {
        let rounded = applied(&format!("round:{decimals}"), Some(of));
        assert_eq!(rounded.unwrap_or_default().unwrap_or_default(), becomes, "{of} to {decimals}");
    }
}

#[test]
fn what_was_meant_to_be_a_macro_is_told() {
    for text in [
        "{payout|rond:2}",
        "{payout|round}",
        "{payout|round:x}",
        "{payout|round:99}",
        "{payout|raw:1}",
        "{status|map:approved}",
        "{event_time|date}",
        "{event_time|date:%Q%}",
        "{event_time|date:%Y,Mars/Base}",
        "{sub1|default}",
        "{x|}",
        "[status|mop:a=b]",
    ] {
        let (template, faults) = Template::read(text, ANY);
        assert_eq!(faults.len(), 1, "{text}");
        assert!(faults[0].written == text && faults[0].problem.contains("; "), "{faults:?}");
        assert_eq!(template.to_string(), text);
    }
}

#[test]
fn a_raw_value_ends_nothing() {
    let fill = |of: &'static str| {
        Template::parse("{x|raw}&p=1").fill_encoded(|_| Some(of.into())).replace("&p=1", "")
    };
    assert_eq!(fill("a%2Fb/c:d,e"), "a%2Fb%2Fc:d,e");
    assert_eq!(fill("a&p=9#b c\"<%zz?x+y\r\n\\é"), "a%26p=9%23b%20c%22%3C%25zz%3Fx%2By%0D%0A%5C%C3%A9");
}

proptest! {
    #[test]
    fn parsing_loses_nothing(text in "\\PC{0,80}") {
        prop_assert_eq!(Template::parse(&text).to_string(), text);
    }

    #[test]
    fn no_bracket_loses_anything(text in "[a-c{}\\[\\]<>()#%_$+S|:=,\\\\]{0,60}(\\{click_id\\}|##payout\\|round:2##)?[}\\]#%]{0,3}") {
        prop_assert_eq!(Template::read(&text, ANY).0.to_string(), text.clone());
        for style in Style::ALL {
            prop_assert_eq!(Template::read(&text, Brackets::only(*style, is_known)).0.to_string(), text.clone());
        }
    }
}
