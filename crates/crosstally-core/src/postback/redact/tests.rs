//! What is kept of calls that were written to have their secrets kept.
use super::*;
use crate::config::{Auth, Partner};
use crate::contract::{Contract, Encoding, Terms};
use crate::postback::body::rows;

#[test]
fn tokens_and_contacts_are_masked_and_the_rest_stays_byte_for_byte() {
    let raw = b"click_id=1&TOKEN=s3cret&x=%zz&em%61il=a%40b.example&email=&phone=%2B1650&&sum=1";
    let kept = pairs(raw, Keep::default());
    assert_eq!(
        String::from_utf8_lossy(&kept),
        "click_id=1&TOKEN=***&x=%zz&em%61il=***&email=&phone=***&&sum=1"
    );
}

#[test]
fn contacts_are_kept_where_that_is_wished_and_secrets_never() {
    let keep = Keep { contact: true, ..Keep::default() };
    let raw = b"token=s3cret&e-mail=a%40b.example&phone=%2B1650&pass=s3cret";
    let kept = pairs(raw, keep);
    assert_eq!(String::from_utf8_lossy(&kept), "token=***&e-mail=a%40b.example&phone=%2B1650&pass=***");
    let raw = r#"{"token":"s3cret","customer":{"name":"Ann","email":"a@b.example"}}"#;
    let inbound = Inbound { body: raw.into(), ..Inbound::default() };
    let kept = String::from_utf8(body(&inbound, keep).body).expect("text");
    assert_eq!(kept, r#"{"token":"***","customer":{"name":"Ann","email":"a@b.example"}}"#);
}

fn kept(raw: &str, kind: &str) -> Kept {
    let inbound = Inbound { body: raw.into(), content_type: kind.into(), ..Inbound::default() };
    body(&inbound, Keep::default())
}

#[test]
fn no_way_of_writing_a_call_keeps_its_token_or_its_contacts() {
    for (kind, raw) in [
        ("application/json", r#"{"token":"s3cret","user":{"email":["a@b.example"]},"tid":"t7"}"#),
        ("", r#" {"token":"s3cret","email":"a@b.example","tid":"t7"}"#),
        ("application/x-www-form-urlencoded", r#"{"token":"s3cret","e-mail":"a@b.example","tid":"t7"}"#),
        ("", "x=1;token=s3cret&email[]=a@b.example&tid=t7"),
        ("", "token=;s3cret&user[email]=a@b.example&data.email=a@b.example&tid=t7"),
        ("", r#"{"own":[{"name":"token","value":"s3cret"},{"key":"e-mail","value":"a@b"}],"tid":"t7"}"#),
        ("application/x-www-form-urlencoded", "tid=t7;y;sig=s3cret&mail=a@b.example&email[0]=a@b.example"),
    ] {
        let kept = String::from_utf8(kept(raw, kind).body).expect("text");
        assert!(!kept.contains("s3cret") && !kept.contains("a@b"), "{kind} {raw}: {kept}");
        assert!(kept.contains("t7"), "{kept}");
    }
    for (kind, raw) in [
        (
            "multipart/form-data; boundary=x",
            "--x\r\nContent-Disposition: form-data; name=token\r\n\r\ns3cret\r\n--x--",
        ),
        ("application/json", r#"{"token":"s3cret""#),
        ("text/xml", "<token>s3cret</token>"),
    ] {
        let kept = String::from_utf8(kept(raw, kind).body).expect("text");
        assert!(!kept.contains("s3cret") && kept.contains("bytes"), "{kept}");
    }
}

fn partner(params: &[(&str, &[&str])]) -> Partner {
    let params = params.iter().map(|(field, theirs)| {
        ((*field).to_owned(), theirs.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())
    });
    let own = Terms { params: params.collect(), ..Terms::default() };
    Partner {
        slug: "acme".into(),
        preset: "generic".into(),
        contract: Contract::new(&own, &Terms::default()),
        own,
        auth: Auth::default(),
        rate: None,
        drop_in: None,
    }
}

/// What is kept says nothing, is masked for good, and has the digest of the call itself.
fn assert_hidden(raw: &str, kind: &str) {
    let inbound = Inbound { body: raw.into(), content_type: kind.into(), ..Inbound::default() };
    let kept = body(&inbound, Keep::default());
    let shown = String::from_utf8_lossy(&kept.body).into_owned();
    assert!(!shown.contains("s3cret"), "{raw}: {shown}");
    if kept.is_lost {
        return;
    }
    let again = Inbound { body: kept.body, content_type: kept.content_type, ..Inbound::default() };
    assert_eq!(body(&again, Keep::default()).body, again.body, "{raw}: {shown}");
    let digested = |inbound: &Inbound| {
        let rows = rows(inbound, Encoding::Once).expect("a call");
        let params = rows.into_iter().next().and_then(|row| row.params.ok()).expect("a row");
        open(&params, None).cloned().collect::<Vec<_>>()
    };
    assert_eq!(digested(&again), digested(&inbound), "{raw}: {shown}");
}

#[test]
fn contact_values_and_secrets_of_headers_are_not_kept() {
    let partner = partner(&[
        ("email", &["header:x-email", "header:x-both"]),
        ("click_id", &["header:x-click", "header:x-both"]),
        ("event_id", &["header:X-Access-Token"]),
    ]);
    let mut came = Headers::default();
    for name in ["x-email", "x-click", "x-both", "x-access-token"] {
        came.push(name, name);
    }
    let mut keep = Keep { partner: Some(&partner), contact: false };
    let kept = headers(&came, keep);
    assert_eq!((kept.get("x-email"), kept.get("x-access-token")), (None, None));
    assert_eq!((kept.get("x-click"), kept.get("x-both")), (Some("x-click"), Some("x-both")));
    keep.contact = true;
    let kept = headers(&came, keep);
    assert_eq!((kept.get("x-email"), kept.get("x-access-token")), (Some("x-email"), None));
}

#[test]
fn what_describes_the_visitor_of_a_server_event_is_masked() {
    for key in [
        "em",
        "ph",
        "fn",
        "ln",
        "ct",
        "zp",
        "db",
        "ge",
        "st",
        "country",
        "emails",
        "name",
        "address",
        "dob",
        "client_ip_address",
        "own",
    ] {
        for path in ["user", "user_data", "userData"] {
            assert_hidden(&format!(r#"{{"event":"Lead","{path}":{{"{key}":"s3cret","fbc":"f"}}}}"#), "");
            assert_hidden(&format!(r#"{{"{path}":[{{"{key}":["s3cret",{{"x":"s3cret"}}]}}]}}"#), "");
            assert_hidden(&format!("{path}[{key}]=s3cret&x=1"), "");
        }
    }
    let raw = r#"{"user":{"fbc":"f.1","fbp":"f.2","client_user_agent":"UA","external_id":"u1"}}"#;
    assert_eq!(kept(raw, "").body, raw.as_bytes());
    let partner = partner(&[("click_id", &["user.custom.click"])]);
    let inbound =
        Inbound { body: r#"{"user":{"custom":{"click":"c","x":"s"}}}"#.into(), ..Inbound::default() };
    let kept = body(&inbound, Keep { partner: Some(&partner), contact: false }).body;
    assert_eq!(String::from_utf8_lossy(&kept), r#"{"user":{"custom":{"click":"c","x":"***"}}}"#);
}

#[test]
fn a_body_that_is_no_form_is_not_kept_in_the_open() {
    for raw in [
        "\u{feff}{\"token\":\"s3cret\"}",
        "token: s3cret",
        "x=1&token: s3cret",
        "a:1:{s:5:\"token\";s:6:\"s3cret\";}",
        "x=1\ntoken=s3cret",
        "tid%3A s3cret",
    ] {
        for kind in ["", "text/plain", "application/x-www-form-urlencoded"] {
            let kept = kept(raw, kind);
            assert!(kept.is_lost, "{raw}");
            assert!(!String::from_utf8_lossy(&kept.body).contains("s3cret"), "{raw}");
        }
    }
    let typed = kept("<a/>", "text/xml; charset=utf-8; token=s3cret");
    assert_eq!(typed.content_type, "text/xml; charset=utf-8; token=***");
    assert!(!kept("tid=1&at=10:30&flag\n", "").is_lost);
    for (raw, expected) in [
        ("tid=1&token:s3cret&x=2", "tid=1&***&x=2"),
        ("{%22token%22:%22s3cret%22}&x=2", "***&x=2"),
        ("{\"token\":\"a=s3cret\"}", "***"),
        ("a:b=1&flag&at=10:30", "a:b=1&flag&at=10:30"),
    ] {
        let kept = pairs(raw.as_bytes(), Keep::default());
        assert_eq!(String::from_utf8_lossy(&kept), expected);
    }
}

#[test]
fn what_stands_inside_a_value_is_masked() {
    for raw in [
        r#"{"x":"{\"token\":\"s3cret\"}"}"#,
        r#"{"x":"[{\"a\":\"{\\\"email\\\":\\\"s3cret\\\"}\"}]"}"#,
        r#"{"x":"{\"token\":\"s3cret\""}"#,
        r#"{"query":"token=s3cret&x=1"}"#,
        r#"{"landing_url":"https://x.example/?a=1&email=s3cret&token=s3cret#x"}"#,
        r#"{"u":"https://x.example/?to=https%3A%2F%2Fy.example%2F%3Femail%3Ds3cret"}"#,
        r#"{"field_data":[{"name":"email","values":["s3cret"]},{"name":"size","values":["m"]}]}"#,
        r#"{"fields":[{"label":"Email","value":"s3cret"},{"Name":"phone","Value":"s3cret"}]}"#,
        r#"{"fields":[{"field":"email","answer":{"x":"s3cret"}},{"id":"Token","value":"s3cret"}]}"#,
        r#"{"p":[["email","s3cret"],["size","m"]]}"#,
        r#"{"customer":{"name":{"first":"s3cret"}},"billing":[{"address":{"line1":"s3cret"}}]}"#,
        r#"{"x":{"$serde_json::private::Number":"{\"token\":\"s3cret\"}"}}"#,
        "x=1&payload={\"email\":\"s3cret\"}",
        "x=1&payload=%7B%22token%22%3A%22s3cret%22%7D&y=2",
        "x=1&payload=%257B%2522token%2522%253A%2522s3cret%2522%257D&y=2",
        "page=https%3A%2F%2Fx.example%2F%3Femail%3Ds3cret%26a%3D1",
        "fields[0][name]=token&fields[0][value]=s3cret&fields[1][name]=size&fields[1][value]=m",
        "fields[0][value]=s3cret&fields[0][name]=E-Mail&tid=1",
        "fields%5B0%5D%5Bname%5D=token&fields%5B0%5D%5Bvalue%5D=s3cret",
        "fields[][key]=phone&fields[][value][]=s3cret",
        "f.0.label=email&f.0.answer=s3cret",
        "p[0][0]=email&p[0][1]=s3cret",
        r#"{"note":"token: s3cret"}"#,
        r#"{"note":"please call\r\nPhone : s3cret\r\nthanks"}"#,
        r#"{"headers":"Accept: */*\nAuthorization: Bearer s3cret\nX-Api-Key:s3cret"}"#,
        r#"{"note":"the buyer's e-mail: s3cret at home"}"#,
        r#"{"x":"\"token\": \"s3cret\""}"#,
        "note=token:+s3cret&x=1",
        "note=token%3A%20s3cret&x=1",
        r#"{"note":"token = s3cret now"}"#,
        r#"{"h":"Bearer s3cret"}"#,
        r#"{"h":"curl -H 'authorization: bearer s3cret'"}"#,
        r#"{"a":{"type":"email","value":"s3cret"}}"#,
        r#"{"q":[{"question":"Email","answer":"s3cret"},{"name":"email","val":"s3cret"}]}"#,
        r#"{"custom_fields":[{"key":"phone","type":"numeric","text":{"value":"s3cret"}}]}"#,
        r#"{"payment_details":{"credit_card_name":"s3cret","credit_card_number":"s3cret"}}"#,
        r#"{"customer_details":{"individual_name":"s3cret","business_name":"s3cret"}}"#,
        "secret_key=s3cret&private_key=s3cret&access_key=s3cret&auth_code=s3cret&jwt=s3cret",
        "given_name=s3cret&family_name=s3cret&phone_no=s3cret&iban=s3cret&visitor_ip=s3cret",
        "session_id=s3cret&signing_key=s3cret&passphrase=s3cret&card_number=s3cret",
    ] {
        assert_hidden(raw, "");
    }
    let raw = r#"{"at":"2026-11-20T12:00:00-05:00","u":"https://x.example:8080/a","s":"Size: m","t":"10:30","e":"token:"}"#;
    assert_eq!(kept(raw, "").body, raw.as_bytes());
    let form = b"fields[0][name]=size&fields[0][value]=m&at=10:30&u=https://x.example/&note=Size:+m";
    assert_eq!(pairs(form, Keep::default()), form);
    let raw = r#"{"x":"{ \"size\": 1 }","u":"https://x.example/?a=1&b=2","click_id":"a=b=="}"#;
    assert_eq!(kept(raw, "").body, raw.as_bytes());
    let form = b"x=%7B%22size%22%3A1%7D&u=https%3a%2f%2fx.example%2f%3Fa=1&order_id=token%3D1";
    assert_eq!(pairs(form, Keep::default()), form);
}

/// A call of a quarter of a megabyte that is nothing but beginnings: looked at once, not once for each of them, which took
/// the better part of a minute and kept everybody else waiting.
#[test]
fn a_call_full_of_beginnings_is_looked_at_once() {
    for piece in
        ["a=", "a:", "a= ", "token=", "a=;", "a: \t", "Bearer ", "=", ":", "a=&", "%3d", "token: ", "\"a\":"]
    {
        let long = piece.repeat(250_000 / piece.len());
        let body = serde_json::json!({ "x": long }).to_string();
        assert!(!kept(&body, "").body.is_empty());
        assert!(!pairs(long.as_bytes(), Keep::default()).is_empty());
    }
}

#[test]
fn names_are_compared_without_their_spelling_and_by_their_ends() {
    for name in [
        "access-token",
        "accessToken",
        "apiKey",
        "api-key",
        "client_secret",
        "sign",
        "hmac",
        "authorization",
        "user_password",
        "pwd",
        "E_mail",
        "user_email",
        "emailAddress",
        "email_2",
        "phone_number",
        "mobile",
        "msisdn",
        "telephone",
        "firstname",
        "First-Name",
        "first%20name",
        "customer_last_name",
        "fname",
        "lname",
        "full_name",
        "birthday",
        "dob",
        "street",
        "postal_code",
        "address1",
        "customer_name",
        "em%E2%80%8Bail",
        "%2574oken",
        "browser_ip",
        "custom[phone-number][]",
        "customer[name]",
        "Customer.First",
    ] {
        let kept = pairs(format!("tid=1&{name}=s3cret").as_bytes(), Keep::default());
        assert_eq!(String::from_utf8_lossy(&kept), format!("tid=1&{name}=***"));
    }
    let open = b"name=Summer&campaign_name=a&channel_name=b&design=c&is_mobile=1&click_id=d&tid=e&sub1=f&product[name]=x";
    assert_eq!(pairs(open, Keep::default()), open);
    let partner = partner(&[("click_id", &["click_token", "ref_phone"])]);
    let raw = b"click_token=a&ref_phone=b&other_token=c";
    let kept = pairs(raw, Keep { partner: Some(&partner), contact: false });
    assert_eq!(String::from_utf8_lossy(&kept), "click_token=a&ref_phone=b&other_token=***");
}

#[test]
fn mail_addresses_are_masked_wherever_they_stand() {
    for (text, masked) in [
        ("jane@doe.example", "***"),
        (
            "https://a.example/u/jane.d@doe.example/x?y=j%2Be%40doe.example&z=1",
            "https://a.example/u/***/x?y=***&z=1",
        ),
        ("email%3Djane%2540doe.example%26x", "email%3D***%26x"),
        ("Agent/1 (jane@doe%2Eexample; +\u{fc}n@d\u{f6}.example)", "Agent/1 (***; ***)"),
        ("a@b.c@d.e", "***@d.e"),
    ] {
        assert_eq!(without_mails(text).as_deref(), Some(masked), "{text}");
    }
    for text in
        ["", "@", "a@", "@b.example", "https://***@a.example/", "a@b", "a@.b", "50%4", "%40x.y", "a%40"]
    {
        assert_eq!(without_mails(text), None, "{text}");
    }
}
