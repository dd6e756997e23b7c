//! A public page that leads to where no visitor of ours may be sent by the server: each later hop has the guard of the first.
//! No test has a public page of its own, so the first answer is made up; whatever it leads to is asked through the real door.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crosstally_core::time::Timestamp;
use tokio::net::TcpListener;

use super::*;
use crate::http_out::HttpOut;
use crate::keys::Keys;
use crate::random::Random;

/// Answers for one public page, and asks for everything else as always.
struct Behind<'a> {
    door: Door<'a>,
    first: Response,
}

const PUBLIC: &str = "https://public.example/go?fbclid=AbC";

impl Ask for Behind<'_> {
    async fn ask(&self, url: &str) -> Result<Response, SendError> {
        if url == PUBLIC { Ok(self.first.clone()) } else { self.door.ask(url).await }
    }
}

/// The ways in which a page leads on.
fn leading_to(target: &str) -> Vec<Response> {
    let with = |status, name: &str, value: String| Response {
        status,
        headers: vec![(name.to_owned(), value)],
        ..Response::default()
    };
    let page = format!("<meta http-equiv=refresh content=\"0; url={target}\">");
    vec![
        with(302, "location", target.to_owned()),
        with(200, "refresh", format!("0; url={target}")),
        Response { body: page.into_bytes(), ..with(200, "content-type", "text/html".to_owned()) },
    ]
}

#[expect(clippy::disallowed_methods, reason = "a test's server runs on a task of its own")]
async fn counting() -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (port, calls) = (listener.local_addr().unwrap().port(), Arc::new(AtomicUsize::new(0)));
    let counted = Arc::clone(&calls);
    tokio::task::spawn(async move {
        while listener.accept().await.is_ok() {
            counted.fetch_add(1, Ordering::Relaxed);
        }
    });
    (port, calls)
}

#[test]
fn a_mark_is_told_nobody() {
    let mark = "0".repeat(preflight::MARK_DIGITS);
    for (url, told) in [
        (format!("https://t.example/c/x?ct_test={mark}"), "https://t.example/c/x"),
        (format!("https://t.example/c/x?a=1&ct_test={mark}#top"), "https://t.example/c/x?a=1#top"),
        (format!("https://t.example/c/x?a=1&ct_test={mark}1"), "https://t.example/c/x?a=1"),
        (format!("https://t.example/c/x?ct_test={mark}&x=1"), "https://t.example/c/x?x=1"),
        (format!("https://t.example/c/x?ct_test={mark}&ct_test={mark}#top"), "https://t.example/c/x#top"),
        (format!("https://t.example/c/x?a=1&CT_TEST={mark}/&x=1"), "https://t.example/c/x?a=1/&x=1"),
        (
            format!("https://p.example/?u=https%3A%2F%2Ft.example%2Fc%2Fx%3Fct_test%3D{mark}&x=1"),
            "https://p.example/?u=https%3A%2F%2Ft.example%2Fc%2Fx%3F&x=1",
        ),
        (
            format!("https://p.example/?u=t.example%252F%253Fct_test%253d{mark}%2526x&ct_test={mark}"),
            "https://p.example/?u=t.example%252F%253F%2526x",
        ),
        (format!("https://p.example/?ct_test=&order={mark}"), ""),
        ("https://t.example/c/x?ct_test=1".to_owned(), ""),
        ("https://t.example/c/x#a?b".to_owned(), ""),
    ] {
        assert_eq!(without_mark(&url), if told.is_empty() { &url } else { told });
    }
}

#[tokio::test]
async fn a_mark_that_is_passed_on_is_not_told() {
    let http_out = HttpOut::new().unwrap();
    let bench = bench(&http_out, None);
    let wanted = Wanted { url: PUBLIC.to_owned(), ..Wanted::default() };
    let mark = "0".repeat(preflight::MARK_DIGITS);
    for first in leading_to(&format!("http://127.0.0.1:9/go?fbclid=AbC&ct_test={mark}")) {
        let door = Behind { door: Door { bench: &bench, wanted: &wanted }, first };
        let report = follow(&door, &wanted).await;
        assert_eq!(report.hops.len(), 2);
        let told = serde_json::to_string(&report).unwrap();
        assert!(told.contains("127.0.0.1:9/go") && !told.contains(&mark), "{told}");
    }
}

#[tokio::test]
async fn a_mark_within_a_link_or_in_a_script_is_not_told() {
    let http_out = HttpOut::new().unwrap();
    let bench = bench(&http_out, None);
    let wanted = Wanted { url: PUBLIC.to_owned(), ..Wanted::default() };
    let mark = "0".repeat(preflight::MARK_DIGITS);
    let wrapped = format!("http://127.0.0.1:9/go?u=https%3A%2F%2Ft.example%2Fc%2Fx%3Fct_test%3D{mark}&x=1");
    let script = format!("<script>location.href = \"/go?fbclid=AbC&ct_test={mark}\"</script>");
    let headers = vec![("set-cookie".to_owned(), format!("a=b; Path=/c/x?ct_test={mark}"))];
    let script = Response { status: 200, headers, body: script.into_bytes(), ..Response::default() };
    for first in leading_to(&wrapped).into_iter().chain([script]) {
        let door = Behind { door: Door { bench: &bench, wanted: &wanted }, first };
        let told = serde_json::to_string(&follow(&door, &wanted).await).unwrap();
        assert!(told.contains("/go?u=") || told.contains("lead on to /go?fbclid="), "{told}");
        assert!(!told.contains(&mark), "{told}");
    }
}

#[tokio::test]
async fn a13_no_later_hop_leads_inside() {
    let (port, calls) = counting().await;
    let http_out = HttpOut::new().unwrap();
    let bench = bench(&http_out, None);
    let wanted = Wanted { url: PUBLIC.to_owned(), ..Wanted::default() };
    let hosts = [
        "127.0.0.1",
        "localhost",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "0x7f.1",
        "2130706433",
        "0177.0.0.1",
        "127.1",
        "0.0.0.0",
        "[::]",
        "10.0.0.1",
        "192.168.0.1",
        "172.16.0.1",
        "100.64.0.1",
        "169.254.169.254",
        "[fd00::1]",
        "[fe80::1]",
    ];
    for host in hosts {
        for first in leading_to(&format!("http://{host}:{port}/latest/meta-data/")) {
            let door = Door { bench: &bench, wanted: &wanted };
            let report = follow(&Behind { door, first }, &wanted).await;
            let last = report.problems.last().unwrap();
            assert_eq!(last.code, "address_forbidden", "{host}: {report:?}");
            assert_eq!(
                (last.hop, report.hops.len(), report.hops[1].status),
                (2, 2, None),
                "{host}: {report:?}"
            );
        }
    }
    for (scheme, code) in [("file:///etc/passwd", "bad_scheme"), ("gopher://127.0.0.1/", "bad_scheme")] {
        let first = leading_to(scheme).remove(0);
        let report = follow(&Behind { door: Door { bench: &bench, wanted: &wanted }, first }, &wanted).await;
        assert_eq!(report.problems.last().unwrap().code, code, "{report:?}");
    }
    assert_eq!(calls.load(Ordering::Relaxed), 0, "nobody was called");
    // The guard is what held it: with it open the same hop is a call.
    let open = Wanted { allow_private: true, ..wanted };
    let first = leading_to(&format!("http://127.0.0.1:{port}/")).remove(0);
    follow(&Behind { door: Door { bench: &bench, wanted: &open }, first }, &open).await;
    assert_eq!(calls.load(Ordering::Relaxed), 1);
}

fn bench<'a>(http_out: &'a HttpOut, keys: Option<&'a Keys>) -> Bench<'a> {
    Bench {
        http_out,
        click_id_key: None,
        keys,
        now: Timestamp::from_millis(1_795_255_200_000),
        nonce: [0; 12],
    }
}

#[test]
fn links_of_this_server_are_marked_and_nothing_else() {
    let http_out = HttpOut::new().unwrap();
    http_out.is_reached_under(&["t.example".to_owned()]);
    let keys = Keys::new(&[7; 32], Random::seeded(1));
    let bench = bench(&http_out, Some(&keys));
    for (url, marked) in [
        (
            "https://t.example/c/summer?fbclid=IwAR%2F1#top",
            Some("https://t.example/c/summer?fbclid=IwAR%2F1&ct_test="),
        ),
        ("https://T.Example/c/summer", Some("https://t.example/c/summer?ct_test=")),
        ("https://t.example/o/shop/?cid=1", Some("https://t.example/o/shop/?cid=1&ct_test=")),
        ("https://t.example/c/summer?ct_to=abc", Some("https://t.example/c/summer?ct_to=abc")),
        ("https://t.example/postback/acme?a=1", None),
        ("https://t.example/", None),
        ("https://shop.example/c/summer", None),
    ] {
        let found = as_test(&bench, url);
        let digits = found.as_deref().and_then(|found| found.strip_prefix(marked.unwrap_or_default()));
        assert_eq!(found.is_some(), marked.is_some(), "{url}: {found:?}");
        assert!(
            marked.is_none() || digits.is_some_and(|digits| matches!(digits.len(), 0 | 40)),
            "{url}: {found:?}"
        );
    }
    assert_eq!(as_test(&self::bench(&http_out, None), "https://t.example/c/summer"), None);
}
