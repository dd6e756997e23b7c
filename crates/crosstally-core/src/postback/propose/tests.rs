#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
use std::collections::BTreeMap;

use super::*;
use crate::config::{self, Catalog, CatalogField, Setting};

const BASE: &str = "https://t.example";

fn of(sample: &str) -> Proposal {
    propose(sample, None, BASE).unwrap_or_else(|error| panic!("{sample}: {error}"))
}

fn field(proposal: &Proposal, name: &str) -> Option<&'static str> {
    proposal.params.iter().find(|reading| reading.name == name).and_then(|reading| reading.field)
}

struct NoKinds;

impl Catalog for NoKinds {
    fn kinds(&self) -> Vec<&str> {
        Vec::new()
    }

    fn fields(&self, _kind: &str) -> Option<Vec<CatalogField>> {
        None
    }

    fn check(&self, _kind: &str, _settings: &BTreeMap<String, Setting>) -> Vec<(String, String)> {
        Vec::new()
    }
}

fn reads(proposal: &Proposal) -> config::Partner {
    let document =
        format!("[workspace]\nbase_currency = \"USD\"\ntimezone = \"UTC\"\n\n{}", proposal.section);
    let (config, _) = config::read(&document, "proposal", &NoKinds)
        .unwrap_or_else(|problems| panic!("{document}\n{problems:?}"));
    config.partners.into_iter().next().unwrap()
}

#[test]
fn a_senders_url_is_recognised_by_its_names_macros_words_path_and_host() {
    for (sample, preset) in [
        (
            "https://tracker.example/postback?cid={sub1}&payout={sum}&status={status}&txid={transactionid}",
            "affise",
        ),
        ("https://a.example/abc/postback?subid=51ts6s&status=rebill&payout=10&tid=2&currency=EUR", "keitaro"),
        ("https://old.example/click.php?cnv_id=abc&payout=3&cnv_status=sale", "binom"),
        ("https://x.bemobtrcks.com/postback?cid=REPLACE&payout=OPTIONAL&txid=OPTIONAL", "bemob"),
        ("http://demo.go2cloud.example/aff_lsr?offer_id=26&transaction_id=102dc1a2", "tune-advertiser"),
        ("/pb/?hit=2nIemJx&tx=inv-1&rev=39.00", "funnelflux"),
        ("GET /tracking202/static/gpb.php?subid=77&amount=12&txid=A1 HTTP/1.1", "prosper202"),
        ("clickid=abc&sum=20&type=ftd&rdtk_event_id=o1", "redtrack"),
        (
            r#"{"id":"evt_1","type":"checkout.session.completed","data":{"object":{"payment_intent":"pi_1","amount_total":2198,"currency":"usd","client_reference_id":"x"}}}"#,
            "stripe",
        ),
        ("hottok=x&foo=1", "generic"),
        ("a=1&b=2", "generic"),
    ] {
        let proposal = of(sample);
        assert_eq!(proposal.preset, preset, "{sample}: {:?}", proposal.candidates);
        assert!(proposal.candidates.len() <= 3);
        reads(&proposal);
    }
}

#[test]
fn every_template_leads_to_its_preset() {
    let mut missed = Vec::new();
    for preset in preset::all().filter(|preset| !preset.template.is_empty() && preset.name != "generic") {
        let proposal = of(&format!("https://tracker.example/?{}", preset.template));
        if !proposal.candidates.iter().any(|candidate| candidate.preset == preset.name) {
            missed.push((preset.name.as_str(), proposal.candidates.clone()));
        }
        reads(&proposal);
    }
    assert!(missed.is_empty(), "{missed:#?}");
}

#[test]
fn names_nobody_knows_are_guessed_and_said_to_be() {
    let proposal = of(
        "https://mine.example/in.php?pixel=01m7yrrtfqzt1n9qf5nf5k7ndm&order_no=77&profit=12,50&cur=eur&order_state=paid&note=x&secret=hush",
    );
    assert_eq!(proposal.preset, "generic");
    for (name, ours) in [
        ("pixel", Some("click_id")),
        ("order_no", Some("transaction_id")),
        ("profit", Some("payout")),
        ("cur", Some("currency")),
        ("order_state", Some("status")),
        ("note", None),
        ("secret", None),
    ] {
        assert_eq!(field(&proposal, name), ours, "{name}: {:?}", proposal.params);
    }
    assert_eq!(
        proposal.statuses,
        [StatusSeen { word: "paid".into(), meaning: Some("approved"), is_known: false }]
    );
    let partner = reads(&proposal);
    assert_eq!(partner.contract.params("click_id"), ["pixel"]);
    assert_eq!(partner.own.decimal, Some(crate::contract::DecimalMark::Comma));
    assert!(proposal.notes.iter().any(|note| note.contains("guessed")), "{:?}", proposal.notes);
    assert_eq!(proposal.params.last().unwrap().by, By::Secret);
}

#[test]
fn a_macro_of_the_fields_own_name_says_more_than_the_parameters_name() {
    let proposal =
        of("https://t.example/pb?cid={transaction_id}&amount={payout}&cur=[CURRENCY]&value=%%payout%%");
    assert_eq!(field(&proposal, "amount"), Some("payout"));
    assert_eq!(field(&proposal, "cur"), Some("currency"));
    assert_eq!(field(&proposal, "value"), None);
    // Whose transaction that is only the sender knows: the parameter's name decides.
    assert_eq!(field(&proposal, "cid"), Some("click_id"));
    let contract = reads(&proposal).contract;
    assert_eq!(
        (contract.params("payout"), contract.params("currency")),
        (&["amount".to_owned()][..], &["cur".to_owned()][..])
    );
    // A word that is no macro says nothing, and a preset knows better.
    let proposal = of("https://t.example/pb?cid=x&amount=payout1");
    assert_eq!(field(&proposal, "amount"), Some("revenue"));
    let proposal = of("clickid={click_id}&action_id={order_id}&goal=1&sum={payout}&status=1");
    assert_eq!((proposal.preset, field(&proposal, "sum")), ("affise-advertiser", Some("revenue")));
}

#[test]
fn what_is_proposed_reads_the_sample() {
    for (sample, expected) in [
        ("subid=x&payout=1.234,50&status=sale", "decimal = \",\"\nthousands = \".\"\n"),
        ("clickid=x&transaction_id=a%252Fb&payout=1", "encoding = \"twice\"\n"),
        ("clickid=x&transaction_id=a&payout=-3", "negative = \"reversal\"\n"),
        ("clickid=x&transaction_id=a&payout=0.12345", "rounding = \"half_even\"\n"),
        (
            "clickid=x&transaction_id=a&payout=3&status=chargeback",
            "statuses = { \"chargeback\" = \"reversed\" }\n",
        ),
    ] {
        let proposal = of(sample);
        assert!(proposal.section.contains(expected), "{sample}: {}", proposal.section);
        reads(&proposal);
    }
}

#[test]
fn the_url_has_the_senders_own_macros() {
    let proposal = of("https://x.example/?foo_click={my_click}&cash=[my_money]&w=1");
    assert_eq!(proposal.url, "https://t.example/postback/generic?foo_click={my_click}&cash=[my_money]");
    let affise = propose("?clickid={sub1}&payout={sum}&tid={transactionid}", Some("my-net"), BASE).unwrap();
    assert!(
        affise.url.starts_with("https://t.example/postback/my-net?click_id={sub1}&payout={sum}"),
        "{}",
        affise.url
    );
    assert!(affise.section.contains("slug = \"my-net\"\npreset = \"affise\""), "{}", affise.section);
}

#[test]
fn what_is_no_call_is_said_to_be_none() {
    for (sample, wanted) in [
        ("", Unreadable::Empty),
        ("https://t.example/postback", Unreadable::Empty),
        ("hello", Unreadable::Empty),
        ("{}", Unreadable::Empty),
        ("[]", Unreadable::Empty),
    ] {
        assert_eq!(propose(sample, None, BASE), Err(wanted), "{sample}");
    }
    assert!(matches!(propose("{\"a\":", None, BASE), Err(Unreadable::BrokenJson(_))));
    assert_eq!(propose(&"a=1&".repeat(100_000), None, BASE), Err(Unreadable::TooLarge));
    let mended = of("https://t.example/?subid=x&amp;payout=1?tid=3");
    assert_eq!(
        mended.notes.iter().filter(|note| note.contains("was read as")).count(),
        2,
        "{:?}",
        mended.notes
    );
}

#[test]
fn what_nobody_sees_in_a_pasted_line_is_left_out_and_said() {
    let clean = of("https://t.example/postback?subid={clickid}&payout={payout}&status=approved");
    let pasted = "\u{feff}\u{201c}https://t.example/post\u{ad}back?sub\u{200b}id={click\u{200d}id}&pay\u{2060}out={payout}&status=appro\u{200b}ved\u{201d}";
    let read = of(pasted);
    assert_eq!((&read.params, &read.section, &read.url), (&clean.params, &clean.section, &clean.url));
    assert!(read.notes.iter().any(|note| note.contains("nobody sees")), "{:?}", read.notes);
    assert!(!clean.notes.iter().any(|note| note.contains("nobody sees")));
    let json = of("{\"click_id\u{200b}\": \"x\", \"payout\": 1}");
    assert_eq!(field(&json, "click_id"), Some("click_id"));
}

proptest::proptest! {
    #[test]
    fn any_text_is_read_or_said_to_be_unreadable(text in ".{0,200}") {
        if let Ok(proposal) = propose(&text, None, BASE) {
            reads(&proposal);
        }
    }
}
