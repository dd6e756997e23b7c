#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::pixel::{Pixel, pixels};
use super::*;

#[test]
fn a_mark_stands_at_the_end_and_nowhere_else() {
    let digits = "0123456789abcdef0123456789abcdef01234567";
    for query in ["", "a=1&b=2", "x=%26"] {
        let whole = marked(query, digits);
        let (end, found) = mark(whole.as_bytes()).unwrap();
        assert_eq!((whole.get(..end), found), (Some(query), digits), "{whole}");
    }
    for other in [
        "",
        "ct_test=",
        "a=1",
        &format!("ct_test={digits}&a=1"),
        &format!("xct_test={digits}"),
        &format!("a=1&ct_test={digits}0"),
        &format!("a=1?ct_test={digits}"),
    ] {
        assert_eq!(mark(other.as_bytes()), None, "{other}");
    }
}

#[test]
fn what_is_wrong_with_an_amount_is_told_by_its_size() {
    let usd: Currency = "USD".parse().unwrap();
    let eur: Currency = "EUR".parse().unwrap();
    for (found, code) in [
        (Some((1_234, usd)), None),
        (Some((123_400, usd)), Some(Code::CentsForUnits)),
        (Some((12, usd)), Some(Code::CentsForUnits)),
        (Some((1_235, usd)), Some(Code::ValueDiffers)),
        (Some((0, usd)), Some(Code::ValueDiffers)),
        (Some((1_234, eur)), Some(Code::CurrencyDiffers)),
        (None, Some(Code::ValueMissing)),
    ] {
        assert_eq!(amount_defect((1_234, usd), found), code, "{found:?}");
    }
}

#[test]
fn a_tally_sums_by_currency_and_keeps_the_span() {
    let (usd, eur): (Currency, Currency) = ("USD".parse().unwrap(), "EUR".parse().unwrap());
    let mut tally = Tally::default();
    tally.add(Some((1_234, usd)), Some(Timestamp::from_millis(1_000)));
    tally.add(Some((6, usd)), Some(Timestamp::from_millis(500)));
    tally.add(Some((100, eur)), None);
    let told = serde_json::to_value(&tally).unwrap();
    assert_eq!(told["count"], 3);
    assert_eq!(told["values"][0], serde_json::json!({"amount": "1.00", "currency": "EUR"}));
    assert_eq!(told["values"][1], serde_json::json!({"amount": "12.40", "currency": "USD"}));
    assert!(told["first"].as_str().unwrap() < told["last"].as_str().unwrap());
}

#[test]
fn a_page_names_its_pixels_in_any_spelling() {
    let page = "<script>fbq( \"init\" , '123' );fbq('track','PageView'); fbq('init', ID); ttq.load(`C4A`)\nrdt('init','t2_a')</script>";
    let of = |kind, setting, id: &str| Pixel { kind, setting, id: id.to_owned() };
    assert_eq!(
        pixels(page),
        [
            of("meta", "dataset_id", "123"),
            of("tiktok", "pixel_code", "C4A"),
            of("reddit", "pixel_id", "t2_a")
        ]
    );
}

#[test]
fn every_defect_has_its_own_code_and_says_what_to_do() {
    let mut codes: Vec<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
    codes.sort_unstable();
    codes.dedup();
    assert_eq!(codes.len(), Code::ALL.len());
    for code in Code::ALL {
        assert!(code.why().ends_with('.') && code.fix().ends_with('.'), "{}", code.as_str());
    }
}
