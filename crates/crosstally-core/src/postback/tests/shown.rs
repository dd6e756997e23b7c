//! What a call must show.

use super::*;

#[test]
fn tokens_and_addresses_must_all_fit() {
    use authenticate::{Guards, check};
    let call = |authorization: &str, query: &str| {
        let mut headers = Headers::default();
        headers.push("Authorization", authorization);
        let inbound = Inbound {
            method: "GET".into(),
            query: query.into(),
            headers,
            peer: Some("::ffff:203.0.113.9".parse().unwrap()),
            ..Inbound::default()
        };
        let params = Params::parse(&inbound.query).unwrap();
        (inbound, params)
    };
    let guards = Guards { token: Some(crate::secret::Secret::new("s3cret")), ..Guards::default() };
    for (authorization, query, expected) in [
        ("Bearer s3cret", "", None),
        ("bearer  s3cret", "", None),
        ("", "token=s3cret", None),
        ("", "security_token=s3cret", None),
        ("", "", Some(Reason::TokenMissing)),
        ("", "token=", Some(Reason::TokenMissing)),
        ("", "token=wrong", Some(Reason::TokenWrong)),
        ("Bearer wrong", "token=s3cret", Some(Reason::TokenWrong)),
    ] {
        let (inbound, params) = call(authorization, query);
        let stopped = check(&inbound, &params, &guards, NOW).err().map(|stop| stop.reason);
        assert_eq!(stopped, expected, "{authorization} {query}");
    }
    let allow = |range: &str| Guards { allow: vec![range.parse().unwrap()], ..Guards::default() };
    let (inbound, params) = call("", "");
    assert!(check(&inbound, &params, &allow("203.0.113.0/24"), NOW).is_ok());
    assert_eq!(
        check(&inbound, &params, &allow("10.0.0.0/8"), NOW).unwrap_err().reason,
        Reason::AddressNotAllowed
    );
}
