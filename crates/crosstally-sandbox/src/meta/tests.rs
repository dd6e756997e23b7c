use super::version::Version;
use super::{excerpt, is_partner_agent};

#[test]
fn versions_follow_the_calendar() {
    let ended = 1_791_244_800_000;
    for (segment, at_ms, version) in [
        ("v26.0", ended, Version::Live(26)),
        ("v25.0", ended, Version::Live(25)),
        ("v24.0", ended - 1, Version::Live(24)),
        ("v24.0", ended, Version::MovedUp { asked: 24, served: 25 }),
        ("v23.0", ended, Version::Ended),
        ("v9.0", ended, Version::Ended),
        ("v27.0", ended, Version::Unknown),
        ("v26", ended, Version::Unknown),
        ("26.0", ended, Version::Unknown),
        ("v026.0", ended, Version::Unknown),
        ("v+6.0", ended, Version::Unknown),
        ("v26.1", ended, Version::Unknown),
        ("latest", ended, Version::Unknown),
    ] {
        assert_eq!(Version::read(segment, at_ms), version, "{segment} at {at_ms}");
    }
}

#[test]
fn partner_agents_are_short_and_have_letters() {
    assert!(is_partner_agent("crosstally-1.0"));
    assert!(is_partner_agent("abcdefghijklmnopqrstuv"));
    assert!(!is_partner_agent("abcdefghijklmnopqrstuvw"));
    assert!(!is_partner_agent("a-1"));
}

#[test]
fn excerpts_hold_no_token() {
    for body in [
        "access_token=EAAB.secret-1|x&data=oops",
        r#"{"access_token": "EAAB.secret-1|x", "data": [}"#,
        "name=\"access_token\"\r\n\r\nEAAB.secret-1|x\r\n--b",
        "data=oops&access_token=EAAB.secret-1%7Cx",
    ] {
        let shown = excerpt(body.as_bytes(), None);
        assert!(!shown.contains("secret"), "{shown}");
        assert!(shown.contains("access_token"), "{shown}");
    }
    let known = excerpt(b"x=EAAB.secret&y=1", Some("EAAB.secret"));
    assert_eq!(known, "x=[token]&y=1");
    let long = excerpt(&[b'x'; 10_000], None);
    assert_eq!(long.len(), 2048);
}
