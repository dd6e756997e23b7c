//! Files of rates: read as a whole or not at all, each rate once and exactly; what was read is written and reads as the
//! same; an amount goes there and back within its rounding.

use crosstally_core::fx::{Day, Factor, Format, Quote, Rate, Rates, read};
use crosstally_core::money::MINOR_MAX;

use crate::input::{Input, text};

pub(super) const WORDS: &[&str] = &[
    "2026-11-20",
    "EUR",
    "USD",
    "JPY",
    "CYP",
    ",",
    "\n",
    "\r\n",
    "date,base,quote,rate",
    "Date,",
    "N/A",
    "1.0856",
    "0.000000000001",
    "999999999999",
    "<Cube time='2026-11-20'>",
    "<Cube currency='USD' rate='1.0856'/>",
    "</Cube>",
    "<!DOCTYPE x>",
    "<!--",
    "-->",
    "<![CDATA[",
    "&amp;",
    "&#x31;",
    "20 November 2026",
    "\u{feff}",
    "\"",
    "#",
    "/",
    "-0",
];

pub(super) fn seeds() -> Vec<Vec<u8>> {
    [
        "0<?xml version=\"1.0\"?><gesmes:Envelope xmlns:gesmes=\"x\"><Cube><Cube time='2026-11-20'><Cube currency='USD' rate='1.0856'/><Cube currency='JPY' rate='163.20'/></Cube><Cube time='2026-11-19'><Cube currency='CYP' rate='0.58'/></Cube></Cube></gesmes:Envelope>",
        "1Date, USD, JPY,\n20 November 2026, 1.0856, 163.20,\n",
        "1Date,USD,JPY,CYP\n2026-11-20,1.0856,N/A,0.58\n2026-11-19,1.08,163,\n",
        "2date,base,quote,rate\n2026-11-20,USD,EUR,0.92\n# a note\n\n2026-11-20,\"GBP\",\"USD\",1.31\n",
        "22026-11-20,USD,EUR,1\n2026-11-20,USD,EUR,2\n",
        "0<Cube><Cube time='2026-11-20'></Cote\n\n2026-11-20,ube></Cube>",
        "31250/1357",
        "30.000000000001",
    ]
    .map(|seed| seed.as_bytes().to_vec())
    .to_vec()
}

pub(super) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let format = input.choice(4);
    let text = text(input.rest());
    match Format::ALL.get(format) {
        Some(format) => check_file(&text, *format),
        None => check_words(&text),
    }
    check_file(&text, Format::of(&text));
}

fn check_file(text: &str, format: Format) {
    match read(text, format) {
        Ok(parsed) => {
            assert!(!parsed.quotes.is_empty());
            let name = |quote: &Quote| (quote.day, quote.base.code(), quote.quote.code());
            assert!(
                parsed.quotes.iter().map(name).is_sorted_by(|one, other| one < other),
                "each pair once a day"
            );
            assert!(parsed.skipped.iter().all(|code| code.len() == 3));
            let line =
                |quote: &Quote| format!("{},{},{},{}\n", quote.day, quote.base, quote.quote, quote.rate);
            let written: String = parsed.quotes.iter().map(line).collect();
            let again = read(&written, Format::Csv).expect("what was read can be written");
            let bare =
                |quotes: &[Quote]| quotes.iter().map(|quote| (name(quote), quote.rate)).collect::<Vec<_>>();
            assert_eq!(bare(&again.quotes), bare(&parsed.quotes));
            check_table(&parsed.quotes);
        }
        Err(unreadable) => {
            assert!((1..=text.lines().count() + 1).contains(&unreadable.line), "{unreadable:?}");
            assert!(!unreadable.problem.chars().any(char::is_control), "{unreadable:?}");
        }
    }
}

fn check_table(quotes: &[Quote]) {
    let table = Rates::new(quotes.iter().copied());
    for quote in quotes.iter().take(20) {
        let fx = table.find(quote.base, quote.quote, quote.day).expect("a rate that is in the table");
        assert_eq!(fx.date, quote.day);
        check_factor(fx.rate, quote);
    }
}

/// There and back again: off by no more than the rounding of the way there, carried back.
fn check_factor(factor: Factor, quote: &Quote) {
    assert_eq!(factor.to_string().parse(), Ok(factor));
    assert_eq!(factor.inverse().inverse(), factor);
    assert!(!factor.shown().is_empty() && factor.shown().len() <= 40);
    for minor in [0, 1, 12_345, MINOR_MAX] {
        let there = factor.convert(minor, quote.base, quote.quote);
        assert_eq!(
            factor.convert(-minor, quote.base, quote.quote),
            there.map(|minor| -minor),
            "what is taken back nets to zero"
        );
        let Some(there) = there else { continue };
        assert!(there >= 0);
        if let (Some(back), Some(one)) = (
            factor.inverse().convert(there, quote.quote, quote.base),
            factor.inverse().convert(1, quote.quote, quote.base),
        ) {
            assert!((back - minor).abs() <= one + 1, "{minor} became {there} became {back}");
        }
    }
}

fn check_words(text: &str) {
    if let Ok(rate) = text.parse::<Rate>() {
        assert_eq!(rate.to_string().parse(), Ok(rate));
        let factor = rate.factor();
        assert_eq!(factor.times(factor.inverse()), Some(Factor::ONE));
    }
    if let Ok(factor) = text.parse::<Factor>() {
        assert_eq!(factor.to_string().parse(), Ok(factor));
        drop(factor.shown());
    }
    if let Ok(day) = text.parse::<Day>() {
        assert_eq!(day.to_string(), text);
        assert_eq!(Day::of(day.start()), day);
    }
}
