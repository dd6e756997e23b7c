//! What is told of an answer, and what it is taken for.

use serde_json::json;

use super::*;

fn told(secret: &str, body: &str) -> Shot {
    let wanted = Wanted {
        url: "https://t.example".to_owned(),
        partner: "acme".to_owned(),
        params: vec![("token".to_owned(), secret.to_owned())],
        ..Wanted::default()
    };
    let response = Response { status: 200, body: body.as_bytes().to_vec(), ..Response::default() };
    shot(&call::door(&wanted).request, Ok(response), 1)
}

#[test]
fn an_answer_is_told_without_the_token_of_the_call() {
    for body in [r#"{"said":["p&ss"]}"#, r#"{"said":["p\u0026ss"]}"#] {
        assert_eq!(told("p&ss", body).answer, json!({ "said": ["***"] }), "{body}");
    }
    assert_eq!(told("12345", r#"{"12345":12345,"n":1}"#).answer, json!({ "***": "***", "n": 1 }));
    assert_eq!(told("p&ss", "you sent p%26ss").answer, json!("you sent ***"));
}

#[test]
fn a_refusal_is_seen_whatever_is_masked_in_it() {
    for body in [r#"{"result":"refused"}"#, r#"{"results":[{"result":"refused"}]}"#, "ERROR 1", "\"ERROR 1\""]
    {
        for secret in ["s3c", "refused", "result", "ERROR"] {
            assert!(told(secret, body).refused, "{secret}: {body}");
        }
    }
    assert!(!told("s3c", r#"{"result":"booked"}"#).refused);
}
