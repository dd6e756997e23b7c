//! Macros in all their brackets and with their functions, from the template to the call.

use super::*;

fn left_out(values: &[(&str, Setting)]) -> (Reason, String) {
    let built = built(values);
    assert!(built.request.is_none(), "{:?}", built.payloads);
    let left = built.left_out.into_iter().next().unwrap();
    (left.reason, left.detail)
}

fn problems(values: &[(&str, Setting)]) -> Vec<(String, String)> {
    let found = Postback.check(&settings(values).values);
    found.into_iter().map(|found| (found.setting, found.problem)).collect()
}

#[test]
fn functions_work_in_every_place() {
    assert_eq!(
        url_of(
            "?p={payout|round:1}&s={status|map:approved=1,rejected=3,*=0}&d={event_time|date:%Y-%m-%d}&n={gclid|default:none}"
        ),
        "?p=12.3&s=1&d=2025-11-27&n=none"
    );
    assert_eq!(url_of("?t={event_time|date:%H:%M %z,Asia/Tokyo}"), "?t=10%3A01%20%2B0900");
    assert_eq!(url_of("?r={transaction_id|raw}"), "?r=T%201%26x");
    assert_eq!(url_of("?x={sub1|raw}&y=1"), "?x=a%20b%26c%3D%C3%A9%22%3C%0D%0A&y=1".replace("%3D", "="));
    let hash = url_of("?h={external_id|hash}").replace("?h=", "");
    assert_eq!(hash.len(), 64);
    assert_eq!(hash, url_of("?h={external_id|hash:exact}").replace("?h=", ""));
    let json = request(&[
        ("url", text(BASE)),
        ("method", text("POST")),
        ("content_type", text("application/json")),
        (
            "body",
            text(
                r#"{"n":{payout|round:0},"s":"{status|map:approved=a\"b}","t":{status|map:approved=7},"z":{gclid|default:0}}"#,
            ),
        ),
        ("headers", map(&[("X-When", "{event_time|date:rfc3339}")])),
    ]);
    assert_eq!(String::from_utf8(json.body).unwrap(), r#"{"n":12,"s":"a\"b","t":7,"z":0}"#);
    assert_eq!(json.headers[0].1, "2025-11-27T01:01:35+00:00");
}

#[test]
fn a_click_fills_no_macro_of_ours() {
    let mut event = event();
    for name in ["txid", "TXID", "timestamp", "transaction_id", "payout"] {
        event.origin.params.insert(name.to_owned(), json!("visitor"));
    }
    let url = "?a={txid}&b={TxId}&c={timestamp}&d={transaction_id}&e={payout}&f={click.txid}";
    let settings = settings(&[("url", text(&format!("{BASE}{url}")))]);
    let built = Postback.build(&settings, &[event], NOW).request.unwrap();
    let ours = "T%201%26x";
    assert_eq!(built.url, format!("{BASE}?a={ours}&b={ours}&c=1764205295&d={ours}&e=12.34&f=visitor"));
}

#[test]
fn every_bracket_is_filled_and_literals_stay() {
    for style in Style::ALL {
        let written = style.sample.replace('x', "click_id").replace('X', "CLICK_ID");
        assert_eq!(url_of(&format!("?c={written}&l=a%20b")), "?c=c1&l=a%20b", "{written}");
        let own = style.sample.replace(['x', 'X'], "sub1");
        let only =
            request(&[("url", text(&format!("{BASE}?c={own}&l=a%20b"))), ("brackets", text(style.sample))]);
        assert_eq!(only.url, format!("{BASE}?c=a%20b%26c%3D%C3%A9%22%3C%0D%0A&l=a%20b"), "{own}");
    }
    // In JSON only what is named like a macro is one.
    let body = r#"{"a":["payout","[payout]"],"b":[1],"c":"50% off, 20% more"}"#;
    let json = request(&[
        ("url", text(BASE)),
        ("method", text("POST")),
        ("content_type", text("application/json")),
        ("body", text(body)),
    ]);
    assert_eq!(String::from_utf8(json.body).unwrap(), body.replace("[payout]", "12.34"));
}

#[test]
fn what_cannot_be_filled_in_never_leaves() {
    let url = |query: &str| [("url", text(&format!("{BASE}{query}")))];
    for (query, name) in [
        ("?c={gclid|required}", "`gclid`"),
        ("?c={sub2|required}", "`sub2`"),
        ("?c={source_click_id|required}", "`source_click_id`"),
        ("?c={status|map:hold=1}", "`status`"),
        ("?c={sub1|round:2}", "`sub1`"),
        ("?c={const.aid}", "`const.aid`"),
        ("?c=[zone]", "`[zone]`"),
        ("?c=%5Bzone%5D", "`[zone]`"),
        ("/a/##zone##?x=1", "fragment"),
        ("?c=__ZONE__", "`__ZONE__`"),
        ("/{{zone.}x?y=<zone>", "`<zone>`"),
    ] {
        if name == "fragment" {
            assert_eq!(problems(&url(query))[0].0, "url");
            continue;
        }
        let (reason, detail) = left_out(&url(query));
        assert_eq!(reason, Reason::TemplateUnresolved, "{query}");
        assert!(detail.contains(name), "{query}: {detail}");
    }
    // A value made of two others is no macro either.
    let mut event = event();
    event.origin.params.insert("a".to_owned(), json!("{pay"));
    event.origin.params.insert("b".to_owned(), json!("out}"));
    let built = Postback.build(&settings(&url("?c={click.a}{click.b}")), &[event], NOW);
    assert_eq!(built.left_out[0].reason, Reason::TemplateUnresolved);
    for (body, content_type) in [
        ("a=[zone]", "application/x-www-form-urlencoded"),
        (r#"{"a":[{"b":"[zone]"}]}"#, "application/json"),
        ("<a>[zone]</a>", "text/xml"),
        ("[zone]", "text/plain"),
    ] {
        let values = [
            ("url", text(BASE)),
            ("method", text("POST")),
            ("body", text(body)),
            ("content_type", text(content_type)),
        ];
        assert_eq!(left_out(&values).0, Reason::TemplateUnresolved, "{body}");
        assert_eq!(problems(&values)[0].0, "body", "{body}");
    }
    let header = [("url", text(BASE)), ("headers", map(&[("x-a", "Bearer [zone]")]))];
    assert_eq!(left_out(&header).0, Reason::TemplateUnresolved);
}

#[test]
fn the_sources_click_id_is_found_where_it_stands() {
    let with = |names: &[&str]| {
        let mut values = vec![("url", text(&format!("{BASE}?c={{source_click_id}}")))];
        values.extend((!names.is_empty()).then(|| ("click_params", list(names))));
        request(&values).url.replace(&format!("{BASE}?c="), "")
    };
    assert_eq!(with(&["sub2", "gclid", "fbclid", "sub1"]), "IwAR_x-Y");
    assert_eq!(with(&["SUB9"]), "");
    assert_eq!(with(&[]), "");
}

#[test]
fn settings_that_were_changed_are_read_anew() {
    let mut settings = settings(&[("url", text(&format!("{BASE}?c=a{{click_id}}&s=b[status]")))]);
    let url = |settings: &Settings| Postback.build(settings, &[event()], NOW).request.unwrap().url;
    let query = |settings: &Settings| url(settings).replace(BASE, "");
    assert_eq!(query(&settings), "?c=ac1&s=bapproved");
    let changes = [
        ("url", text(&format!("{BASE}?c=a{{click_id}}&t=b[goal]")), "?c=ac1&t=bpurchase"),
        ("brackets", text("(S_X)"), "?c=a{click_id}&t=b[goal]"),
        ("url", text(&format!("{BASE}?d=(S_event_id)")), "?d=e-1"),
    ];
    for (name, value, expected) in changes {
        // A copy, and then those that were read before.
        let mut copy = settings.clone();
        for changed in [&mut copy, &mut settings] {
            changed.values.insert(name.to_owned(), value.clone());
            let filled = query(changed);
            assert_eq!(filled, expected);
            assert_eq!(filled, query(changed));
        }
    }
}

#[test]
fn mistakes_are_told_when_it_is_saved() {
    let url = |query: &str| vec![("url", text(&format!("{BASE}{query}")))];
    for (values, setting, words) in [
        (url("?p={payout|rond:2}"), "url", "`{payout|rond:2}`"),
        (url("?p={event_time|date:%Y,Mars/Base}"), "url", "Mars/Base"),
        (url("?h={secret|hash}"), "url", "`{secret|hash}`"),
        (url("?a={const.aid}"), "constants", "`aid`"),
        (url("?z=[zone]"), "url", "`[zone]`"),
        (url("?z=%5Bzone%5D"), "url", "`[zone]`"),
        (vec![("url", text("https://[[[sub1]]].example/"))], "url", "host"),
        (vec![("url", text("https://__sub1__.example/"))], "url", "host"),
        (vec![("url", text("https://(S_sub1).example/"))], "url", "host"),
    ] {
        let found = problems(&values);
        assert_eq!(found.len(), 1, "{values:?}: {found:?}");
        assert_eq!(found[0].0, setting, "{found:?}");
        assert!(words == "host" || found[0].1.contains(words), "{found:?}");
        assert!(found[0].1.contains("; "), "{found:?}");
    }
    // The secret's macro without the secret.
    let values = BTreeMap::from([("url".to_owned(), text(&format!("{BASE}?t={{secret}}")))]);
    assert_eq!(Postback.check(&values)[0].setting, "secret");
    let constants = [url("?a={const.aid}")[0].clone(), ("constants", map(&[("aid", "x&y")]))];
    assert_eq!(problems(&constants), []);
    assert_eq!(request(&constants).url, format!("{BASE}?a=x%26y"));
}

#[test]
fn no_value_leads_to_another_path() {
    assert_eq!(url_of("/a/{sub1}/b"), "/a/a%20b%26c%3D%C3%A9%22%3C%0D%0A/b");
    for template in [
        "/a/{dots}/b",
        "/a/{dots}",
        "/a/.{dots}x/{dots}?y",
        "/a/%2e{nothing}{dots}/../{dots}/b",
        // Text and value together.
        "/a/.{dot}/b",
        "/a/{dot}./b",
        "/a/%2E{dot|raw}/b",
        "/a/{dot}{dot}/b",
        "/a/.{nothing}/b",
        "/a/.{nothing}./b",
    ] {
        let built = built(&[("url", text(&format!("{BASE}{template}")))]);
        let refused = built.left_out.first().map(|left| (left.reason, left.detail.contains("another path")));
        assert_eq!(refused, Some((Reason::EventIncomplete, true)), "{template}");
    }
    assert_eq!(url_of("/a/.{campaign}/{dot}{dots}/b"), "/a/.summer/.../b");
    // In the query dots are only dots, and what the template says itself is meant.
    assert_eq!(url_of("/a/../b/{campaign}?x=.{dot}"), "/b/summer?x=..");
    assert_eq!(url_of("/a/b?x={dots}"), "/a/b?x=..");
}

#[test]
fn a_secret_that_looks_like_a_macro_is_sent_and_never_told() {
    let of = |values: &[(&str, Setting)], secret: &str| {
        let mut settings = settings(values);
        settings.secrets.insert("secret".to_owned(), Secret::new(secret));
        Postback.build(&settings, &[event()], NOW)
    };
    let json = [("method", text("POST")), ("content_type", text("application/json"))];
    for secret in ["__k9Xw2__", "[K9x]", "{abc}", "<K3y>", "##k9##"] {
        for place in [
            vec![("url", text(&format!("{BASE}?k={{secret}}")))],
            vec![("url", text(BASE)), ("headers", map(&[("Authorization", "Bearer {secret}")]))],
            [vec![("url", text(BASE)), ("body", text(r#"{"k":"{secret}"}"#))], json.to_vec()].concat(),
        ] {
            let built = of(&place, secret);
            assert!(built.request.is_some(), "{secret}: {:?}", built.left_out);
        }
        // Beside it nothing leaves as it is, and nothing of it is told.
        let built = of(
            &[
                ("url", text(&format!("{BASE}?a={{secret}}&k={{const.k}}"))),
                ("constants", map(&[("k", secret)])),
            ],
            secret,
        );
        let detail = &built.left_out[0].detail;
        assert!(detail.contains("`***`") && !detail.contains(secret), "{detail}");
    }
}
