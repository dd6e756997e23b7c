//! The Google Ads API's edge: which adjustments of which conversions are taken.

use http::Method;
use serde_json::{Value, json};

use crate::server::{Answer, Server};

const PATH: &str = "/v26/customers/1234567890:uploadConversionAdjustments";
const ACTION: &str = "customers/1234567890/conversionActions/1";

async fn call(server: &Server, path: &str, token: &str, body: &Value) -> Answer {
    let headers = [("authorization", token), ("content-type", "application/json")];
    server.send(Method::POST, path, &headers, body.to_string()).await.unwrap()
}

/// Conversions with these transactions, taken by the Data Manager API.
async fn sold(server: &Server, transactions: &[&str]) {
    let account = json!({"accountType": "GOOGLE_ADS", "accountId": "1234567890"});
    let destination = json!({"reference": "1", "operatingAccount": account, "productDestinationId": "1"});
    let event = |id: &&str| {
        json!({"destinationReferences": ["1"], "transactionId": id, "eventTimestamp": "2025-11-27T01:00:00Z",
            "eventSource": "WEB", "adIdentifiers": {"gclid": "g"}})
    };
    let events: Vec<Value> = transactions.iter().map(event).collect();
    let body = json!({"destinations": [destination], "events": events});
    assert_eq!(call(server, "/v1/events:ingest", "Bearer ya29.a", &body).await.status, 200);
}

fn retraction(order: &str) -> Value {
    json!({"conversionAction": ACTION, "adjustmentType": "RETRACTION", "orderId": order,
        "adjustmentDateTime": "2025-11-27 01:00:30+00:00"})
}

fn restatement(order: &str) -> Value {
    let mut adjustment = retraction(order);
    adjustment["adjustmentType"] = json!("RESTATEMENT");
    adjustment["restatementValue"] = json!({"adjustedValue": 7.50, "currencyCode": "EUR"});
    adjustment
}

async fn adjust(server: &Server, adjustments: &[Value]) -> Answer {
    let body = json!({"conversionAdjustments": adjustments, "partialFailure": true});
    call(server, PATH, "Bearer ya29.a", &body).await
}

/// The error codes by place.
fn errors(answer: &Answer) -> Vec<(u64, String)> {
    let json = answer.json();
    let errors = json.pointer("/partialFailureError/details/0/errors").and_then(Value::as_array);
    let one = |error: &Value| {
        let place = error.pointer("/location/fieldPathElements/0/index").unwrap().as_u64().unwrap();
        let code = error["errorCode"].as_object().unwrap().values().next().unwrap();
        (place, code.as_str().unwrap().to_owned())
    };
    errors.into_iter().flatten().map(one).collect()
}

#[tokio::test]
async fn only_what_was_sold_is_adjusted_and_retracted_once() {
    let server = Server::start().await;
    sold(&server, &["a", "b"]).await;
    let answer = adjust(&server, &[retraction("x"), restatement("a"), retraction("b")]).await;
    assert_eq!((answer.status, errors(&answer)), (200, vec![(0, "CONVERSION_NOT_FOUND".to_owned())]));
    assert_eq!(answer.json()["results"].as_array().unwrap().len(), 3);
    let already = |place| (place, "CONVERSION_ALREADY_RETRACTED".to_owned());
    let answer =
        adjust(&server, &[restatement("a"), restatement("b"), retraction("b"), retraction("a")]).await;
    assert_eq!(errors(&answer), [already(1), already(2)]);
    assert_eq!(errors(&adjust(&server, &[restatement("a")]).await), [already(0)]);
    let taken = server.get("/_sandbox/events?platform=google_ads").await.json();
    let taken: Vec<_> = taken["data"].as_array().unwrap().iter().map(|row| row["event"].clone()).collect();
    assert_eq!(taken, [restatement("a"), retraction("b"), restatement("a"), retraction("a")]);
    server.stop().await;
}

#[tokio::test]
async fn adjustments_are_checked() {
    let server = Server::start().await;
    sold(&server, &["a"]).await;
    for (key, value) in [
        ("conversionAction", json!("1")),
        ("conversionAction", Value::Null),
        ("adjustmentType", json!("ENHANCE")),
        ("orderId", Value::Null),
        ("adjustmentDateTime", json!("2025-11-27T01:00:30Z")),
        ("restatementValue", Value::Null),
        ("restatementValue", json!({"adjustedValue": "7.50"})),
        ("restatementValue", json!({"adjustedValue": 7.50, "currencyCode": "eur"})),
        ("gclid", json!("g")),
    ] {
        let mut bad = restatement("a");
        bad[key] = value;
        assert_eq!(errors(&adjust(&server, &[bad]).await), [(0, "INVALID_VALUE".to_owned())], "{key}");
    }
    let body = |partial: bool| json!({"conversionAdjustments": [retraction("a")], "partialFailure": partial});
    for (path, token, body, status) in [
        (PATH, "Bearer ya29.a", body(false), 400),
        (PATH, "Bearer expired-1", body(true), 401),
        ("/v22/customers/1234567890:uploadConversionAdjustments", "Bearer ya29.a", body(true), 404),
        ("/v26/customers/123-456-7890:uploadConversionAdjustments", "Bearer ya29.a", body(true), 404),
        ("/v26/customers/1234567890:mutate", "Bearer ya29.a", body(true), 404),
    ] {
        assert_eq!(call(&server, path, token, &body).await.status, status, "{path}");
    }
    server.fault(json!({"kind": "permission", "platform": "google_ads", "times": 1})).await;
    let answer = adjust(&server, &[retraction("a")]).await;
    assert_eq!(answer.status, 403);
    assert!(answer.text.contains("CLOUD_PROJECT_NOT_APPROVED_FOR_PRODUCTION"), "{}", answer.text);
    let taken = server.get("/_sandbox/events?platform=google_ads").await.json();
    assert_eq!(taken["data"].as_array().unwrap().len(), 0);
    server.stop().await;
}

#[tokio::test]
async fn whoever_asks_is_told_what_became_of_a_request() {
    let server = Server::start().await;
    let account = json!({"accountType": "GOOGLE_ADS", "accountId": "1234567890"});
    let destination = json!({"reference": "1", "operatingAccount": account, "productDestinationId": "1"});
    let event = json!({"destinationReferences": ["1"], "transactionId": "a", "eventTimestamp": "2025-11-27T01:00:00Z",
        "eventSource": "WEB", "adIdentifiers": {"gclid": "g"}});
    let body = json!({"destinations": [destination], "events": [event]});
    let taken = call(&server, "/v1/events:ingest", "Bearer ya29.a", &body).await;
    let id = taken.json()["requestId"].as_str().unwrap().to_owned();
    let ask = async |id: &str, token: &str| {
        let path = format!("/v1/requestStatus:retrieve?requestId={id}");
        server.send(Method::GET, &path, &[("authorization", token)], String::new()).await.unwrap()
    };
    let told = ask(&id, "Bearer ya29.a").await.json();
    assert_eq!(told["requestStatusPerDestination"][0]["requestStatus"], "SUCCESS");
    assert_eq!(told["requestStatusPerDestination"][0]["destination"]["reference"], "1");
    assert_eq!(ask("x", "Bearer ya29.a").await.status, 404);
    assert_eq!(ask(&id, "Bearer expired-1").await.status, 401);
    let working = r#"{"requestStatusPerDestination":[{"requestStatus":"PROCESSING"}]}"#;
    server
        .fault(
            json!({"kind": "status", "status": 200, "body": working, "dataset": "requestStatus", "times": 1}),
        )
        .await;
    assert_eq!(ask(&id, "Bearer ya29.a").await.text, working);
    assert_eq!(ask(&id, "Bearer ya29.a").await.json(), told);
    server.stop().await;
}
