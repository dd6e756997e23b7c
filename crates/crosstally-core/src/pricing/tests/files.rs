//! Files of rates, whole and broken.

use std::collections::BTreeSet;

use super::*;

/// As `eurofxref-daily.xml`, with numbers of our own.
const DAILY: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<gesmes:Envelope xmlns:gesmes="http://www.gesmes.org/xml/2002-08-01" xmlns="http://www.ecb.int/vocabulary/2002-08-01/eurofxref">
	<gesmes:subject>Reference rates</gesmes:subject>
	<gesmes:Sender>
		<gesmes:name>European Central Bank</gesmes:name>
	</gesmes:Sender>
	<Cube>
		<Cube time='2026-11-20'>
			<Cube currency='USD' rate='1.0856'/>
			<Cube currency='JPY' rate='163.05'/>
			<Cube currency='IDR' rate='17234.56'/></Cube>
	</Cube>
</gesmes:Envelope>"#;

/// As `eurofxref-hist.xml`: all on one line, and with a currency that became the euro.
const HISTORY: &str = r#"<?xml version="1.0" encoding="UTF-8"?><gesmes:Envelope xmlns:gesmes="http://www.gesmes.org/xml/2002-08-01" xmlns="http://www.ecb.int/vocabulary/2002-08-01/eurofxref"><gesmes:subject>Reference rates</gesmes:subject><gesmes:Sender><gesmes:name>European Central Bank</gesmes:name></gesmes:Sender><Cube><Cube time="2026-11-20"><Cube currency="USD" rate="1.0856"/><Cube currency="JPY" rate="163.05"/></Cube><Cube time="1999-01-04"><Cube currency="USD" rate="1.1789"/><Cube currency="CYP" rate="0.58231"/></Cube></Cube></gesmes:Envelope>"#;

/// As `eurofxref.csv`.
const DAILY_CSV: &str = "Date, USD, JPY, BGN, \n20 November 2026, 1.0856, 163.05, , \n";
/// As `eurofxref-hist.csv`.
const HISTORY_CSV: &str =
    "Date,USD,JPY,CYP,\r\n2026-11-20,1.0856,163.05,N/A,\r\n1999-01-04,1.1789,133.73,0.58231,\r\n";

fn lines(text: &str, format: Format) -> Vec<String> {
    let parsed = read(text, format).unwrap();
    let line = |quote: &Quote| {
        format!("{} {}/{} {} {}", quote.day, quote.base, quote.quote, quote.rate, quote.source.as_str())
    };
    parsed.quotes.iter().map(line).collect()
}

#[test]
fn the_central_banks_files_are_read() {
    let day = ["2026-11-20 EUR/JPY 163.05 ecb", "2026-11-20 EUR/USD 1.0856 ecb"];
    let mut daily = vec!["2026-11-20 EUR/IDR 17234.56 ecb"];
    daily.extend(day);
    assert_eq!(lines(DAILY, Format::EcbXml), daily);
    assert_eq!(lines(DAILY_CSV, Format::EcbCsv), day);
    let history = lines(HISTORY, Format::EcbXml);
    assert_eq!(history, ["1999-01-04 EUR/USD 1.1789 ecb", day[0], day[1]]);
    assert_eq!(read(HISTORY, Format::EcbXml).unwrap().skipped, BTreeSet::from(["CYP".to_owned()]));
    assert_eq!(lines(HISTORY_CSV, Format::EcbCsv).len(), 4);
    assert_eq!(lines(&format!("\u{feff}{DAILY}"), Format::EcbXml), daily);
}

#[test]
fn ones_own_lines_are_read() {
    let text =
        "date,base,quote,rate\n# our bank's\n2026-11-20,USD,UAH,41.5\n\n2026-11-20, uah, USD, 0.0241\n";
    assert_eq!(lines(text, Format::Csv), ["2026-11-20 UAH/USD 0.0241 csv", "2026-11-20 USD/UAH 41.5 csv"]);
}

#[test]
fn a_file_is_known_by_its_beginning() {
    for (text, format) in [
        (DAILY, Format::EcbXml),
        (HISTORY, Format::EcbXml),
        (DAILY_CSV, Format::EcbCsv),
        (HISTORY_CSV, Format::EcbCsv),
        ("date,base,quote,rate\n", Format::Csv),
        ("2026-11-20,USD,UAH,41.5", Format::Csv),
        ("", Format::Csv),
    ] {
        assert_eq!(Format::of(text), format, "{text}");
    }
}

#[test]
fn a_broken_file_is_refused_as_a_whole_with_its_line() {
    for (text, format, line, problem) in [
        (DAILY.replace("'1.0856'", "'1,0856'"), Format::EcbXml, 9, "is not a rate"),
        (DAILY.replace("'2026-11-20'", "'20.11.2026'"), Format::EcbXml, 8, "is not a day"),
        (DAILY.replace("'USD' rate", "'dollars' rate"), Format::EcbXml, 9, "not a currency's code"),
        (DAILY.replace("currency='USD' ", ""), Format::EcbXml, 9, "a rate without"),
        (DAILY.replace("</gesmes:Envelope>", ""), Format::EcbXml, 13, "the file ends in the middle"),
        (DAILY.replace("JPY", "USD"), Format::EcbXml, 10, "two rates"),
        ("<!DOCTYPE x [<!ENTITY a 'aaaa'>]><x>&a;</x>".into(), Format::EcbXml, 1, "DOCTYPE"),
        ("<html>not found</html>".into(), Format::EcbXml, 1, "no rates"),
        ("<Cube".into(), Format::EcbXml, 1, "not XML"),
        (HISTORY_CSV.replace("163.05,N/A", "163.05"), Format::EcbCsv, 2, "cells"),
        ("2026-11-20,1.1".into(), Format::EcbCsv, 1, "first line"),
        ("2026-11-20,USD,UAH".into(), Format::Csv, 1, "not four cells"),
        ("2026-11-20,USD,USD,1".into(), Format::Csv, 1, "against itself"),
        ("2026-11-20,USD,DOLLARS,1".into(), Format::Csv, 1, "not a currency"),
        ("2026-11-20,USD,UAH,0".into(), Format::Csv, 1, "is not a rate"),
        (String::new(), Format::Csv, 1, "no rates"),
    ] {
        let error = read(&text, format).unwrap_err();
        assert!(error.problem.contains(problem) && error.line == line, "{error}: {text}");
    }
}
