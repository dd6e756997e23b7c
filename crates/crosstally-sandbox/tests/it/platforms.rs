//! The edges of the platforms beside Meta: who may call, what is refused, what is taken once.

mod rules;

use http::Method;
use serde_json::{Value, json};

use crate::server::{Answer, HASH, NOW_SECONDS, Server};

/// What differs from platform to platform.
struct Platform {
    name: &'static str,
    path: &'static str,
    /// The header of the token; none if it stands in the path.
    token: Option<(&'static str, &'static str)>,
    /// The same call without a good token.
    expired: (&'static str, Option<(&'static str, &'static str)>),
    /// A good event with this id.
    event: fn(&str) -> Value,
    /// The body around the events.
    around: fn(&[Value]) -> Value,
    /// Events that are refused, by the JSON pointer that is changed.
    bad: &'static [(&'static str, &'static str)],
    /// The status and a piece of the answer to one bad event among good ones, and how many are taken then.
    one_bad: (u16, &'static str, usize),
    /// The status and a piece of the answer to a token that is no longer good.
    denied: (u16, &'static str),
}

const PLATFORMS: &[Platform] =
    &[TIKTOK, SNAPCHAT, PINTEREST, REDDIT, MICROSOFT, OPENAI, GOOGLE, GA4, LINKEDIN, X];

const TIKTOK: Platform = Platform {
    name: "tiktok",
    path: "/open_api/v1.3/event/track/",
    token: Some(("access-token", "T")),
    expired: ("/open_api/v1.3/event/track/", Some(("access-token", "expired-1"))),
    event: |id| {
        json!({
            "event": "Purchase", "event_time": NOW_SECONDS, "event_id": id,
            "user": {"email": [HASH], "ip": "192.0.2.1", "user_agent": "UA"},
            "page": {"url": "https://shop.example/"},
            "properties": {"value": 12.34, "currency": "USD", "contents": [{"content_id": "7", "price": 5.0, "quantity": 1}]},
        })
    },
    around: |events| json!({"event_source": "web", "event_source_id": "P1", "data": events}),
    bad: &[
        ("/event", "\"\""),
        ("/event_time", "1"),
        ("/event_time", "1764205300000"),
        ("/user", "{}"),
        ("/user/email", "[\"a@b.example\"]"),
        ("/user/ip", "\"here\""),
        ("/page", "null"),
        ("/page/url", "\"android-app://a\""),
        ("/properties/value", "\"12.34\""),
        ("/properties/value", "-1"),
        ("/properties/currency", "\"usd\""),
        ("/properties/contents", "[{}]"),
        ("/limited_data_use", "1"),
    ],
    one_bad: (200, "20001", 2),
    denied: (200, "40105"),
};

const SNAPCHAT: Platform = Platform {
    name: "snapchat",
    path: "/v3/P1/events?access_token=T",
    token: None,
    expired: ("/v3/P1/events?access_token=expired", None),
    event: |id| {
        json!({
            "event_name": "PURCHASE", "event_time": NOW_SECONDS, "event_id": id, "action_source": "WEB",
            "event_source_url": "https://shop.example/",
            "user_data": {"em": [HASH], "client_ip_address": "192.0.2.1", "sc_click_id": "aB"},
            "custom_data": {"value": 12.34, "currency": "USD", "contents": [{"id": "7", "quantity": "1"}]},
        })
    },
    around: |events| json!({"data": events}),
    bad: &[
        ("/event_name", "\"Purchase\""),
        ("/event_time", "1"),
        ("/action_source", "\"web\""),
        ("/event_source_url", "null"),
        ("/user_data", "{\"sc_click_id\":\"aB\"}"),
        ("/user_data/em", "[\"a@b.example\"]"),
        ("/custom_data", "null"),
        ("/custom_data/value", "\"12.34\""),
        ("/custom_data/currency", "null"),
        ("/custom_data/contents", "[{\"id\":\"7\",\"quantity\":1}]"),
        ("/opt_out", "\"no\""),
    ],
    one_bad: (400, "INVALID", 0),
    denied: (401, "INVALID"),
};

const PINTEREST: Platform = Platform {
    name: "pinterest",
    path: "/v5/ad_accounts/A1/events",
    token: Some(("authorization", "Bearer T")),
    expired: ("/v5/ad_accounts/A1/events", Some(("authorization", "Bearer expired"))),
    event: |id| {
        json!({
            "event_name": "checkout", "event_time": NOW_SECONDS, "event_id": id, "action_source": "web",
            "user_data": {"em": [HASH], "click_id": "dj0"},
            "custom_data": {"value": "12.34", "currency": "USD", "contents": [{"id": "7", "quantity": 1, "item_price": "5.00"}]},
        })
    },
    around: |events| json!({"data": events}),
    bad: &[
        ("/event_name", "\"Purchase\""),
        ("/event_time", "1"),
        ("/event_id", "null"),
        ("/action_source", "\"website\""),
        ("/user_data", "{}"),
        ("/user_data", "{\"client_ip_address\":\"192.0.2.1\"}"),
        ("/user_data/em", "\"62a14e44f765419d10fea99367361a727c12365e2520f32218d505ed9aa0f62f\""),
        ("/custom_data/value", "12.34"),
        ("/custom_data/contents", "[{\"id\":\"7\",\"item_price\":5}]"),
        ("/custom_data/opt_out_type", "\"LDU\""),
    ],
    one_bad: (422, "failed", 2),
    denied: (401, "\"code\":2"),
};

const REDDIT: Platform = Platform {
    name: "reddit",
    path: "/api/v3/pixels/P1/conversion_events",
    token: Some(("authorization", "Bearer T")),
    expired: ("/api/v3/pixels/P1/conversion_events", Some(("authorization", "Bearer expired"))),
    event: |id| {
        json!({
            "event_at": NOW_SECONDS * 1000, "action_source": "WEBSITE", "click_id": "aB",
            "type": {"tracking_type": "PURCHASE"}, "user": {"email": HASH},
            "metadata": {"conversion_id": id, "value": 12.34, "currency": "USD", "products": [{"id": "7"}]},
        })
    },
    around: |events| json!({"data": {"events": events}}),
    bad: &[
        ("/type", "{\"tracking_type\":\"Purchase\"}"),
        ("/type", "{\"tracking_type\":\"CUSTOM\"}"),
        ("/event_at", "1764205200"),
        ("/event_at", "1764205501000"),
        ("/action_source", "\"website\""),
        ("/test_id", "\"t\""),
        ("/user/email", "\"a@b.example\""),
        ("/user/fbc", "\"x\""),
        ("/metadata/value", "\"12.34\""),
        ("/metadata/products", "[{\"id\":7}]"),
    ],
    one_bad: (400, "invalid_events", 0),
    denied: (401, "Unauthorized"),
};

const MICROSOFT: Platform = Platform {
    name: "microsoft",
    path: "/v1/T1/events",
    token: Some(("authorization", "Bearer T")),
    expired: ("/v1/T1/events", Some(("authorization", "Bearer expired"))),
    event: |id| {
        json!({
            "eventType": "custom", "eventName": "Purchase", "eventId": id, "eventTime": NOW_SECONDS,
            "userData": {"em": HASH, "msclkid": "0123456789abcdef0123456789abcdef"},
            "customData": {"value": 12.34, "currency": "USD", "items": [{"id": "7", "price": 5.0}]},
        })
    },
    around: |events| json!({"data": events, "continueOnValidationError": true}),
    bad: &[
        ("/eventType", "\"Purchase\""),
        ("/eventType", "\"pageLoad\""),
        ("/eventName", "null"),
        ("/eventTime", "1"),
        ("/adStorageConsent", "true"),
        ("/userData", "{}"),
        ("/userData/em", "\"a@b.example\""),
        ("/userData/msclkid", "\"aB\""),
        ("/customData/value", "\"12.34\""),
        ("/customData/items", "[{\"price\":\"5\"}]"),
    ],
    one_bad: (200, "\"index\":1", 2),
    denied: (401, "Unauthorized"),
};

const OPENAI: Platform = Platform {
    name: "openai",
    path: "/v1/events?pid=P1",
    token: Some(("authorization", "Bearer T")),
    expired: ("/v1/events?pid=P1", Some(("authorization", "Bearer expired"))),
    event: |id| {
        json!({
            "id": id, "type": "order_created", "timestamp_ms": NOW_SECONDS * 1000, "oppref": "oppref_a",
            "source_url": "https://shop.example/", "action_source": "web", "user": {"email_sha256": HASH},
            "data": {"type": "contents", "amount": 1234, "currency": "USD", "contents": [{"id": "7", "quantity": 1}]},
        })
    },
    around: |events| json!({"validate_only": false, "events": events}),
    bad: &[
        ("/type", "\"Purchase\""),
        ("/type", "\"custom\""),
        ("/type", "\"lead_created\""),
        ("/timestamp_ms", "1764205200"),
        ("/timestamp_ms", "1764205801000"),
        ("/source_url", "null"),
        ("/action_source", "\"website\""),
        ("/user/phone_sha256", "\"x\""),
        ("/user/email_sha256", "\"a@b.example\""),
        ("/data/amount", "12.34"),
        ("/data/currency", "null"),
        ("/data/order_id", "\"7\""),
    ],
    one_bad: (400, "events[1]", 0),
    denied: (401, "Unauthorized"),
};
const GOOGLE: Platform = Platform {
    name: "google_data_manager",
    path: "/v1/events:ingest",
    token: Some(("authorization", "Bearer ya29.a")),
    expired: ("/v1/events:ingest", Some(("authorization", "Bearer expired-1"))),
    event: |id| {
        json!({
            "destinationReferences": ["1"], "transactionId": id, "eventTimestamp": "2025-11-27T01:00:00Z",
            "eventSource": "WEB", "adIdentifiers": {"gclid": "g"},
            "userData": {"userIdentifiers": [{"emailAddress": HASH}]},
            "currency": "USD", "conversionValue": 12.34,
        })
    },
    around: |events| {
        let account = json!({"accountType": "GOOGLE_ADS", "accountId": "1234567890"});
        let destination = json!({"reference": "1", "operatingAccount": account, "productDestinationId": "1"});
        json!({"destinations": [destination], "encoding": "HEX", "events": events})
    },
    bad: &[
        ("/eventTimestamp", "null"),
        ("/eventTimestamp", "1764205200"),
        ("/eventTimestamp", "\"2025-08-01T00:00:00Z\""),
        ("/eventTimestamp", "\"2025-11-28T00:00:00Z\""),
        ("/destinationReferences", "[\"2\"]"),
        ("/eventSource", "\"web\""),
        ("/adIdentifiers", "{\"gbraid\": \"a\", \"wbraid\": \"b\"}"),
        ("/adIdentifiers", "{\"fbclid\": \"a\"}"),
        ("/userData/userIdentifiers", "[]"),
        ("/userData/userIdentifiers", "[{\"emailAddress\": \"a@b.example\"}]"),
        ("/userData/userIdentifiers", "[{}]"),
        ("/currency", "\"usd\""),
        ("/conversionValue", "\"12.34\""),
        ("/consent", "{\"adUserData\": \"GRANTED\"}"),
        ("/eventName", "\"purchase\""),
    ],
    one_bad: (400, "events.events[1].eventTimestamp", 0),
    denied: (401, "UNAUTHENTICATED"),
};

const GA4: Platform = Platform {
    name: "ga4",
    path: "/mp/collect?measurement_id=G-1&api_secret=s",
    token: None,
    expired: ("/mp/collect?measurement_id=G-1&api_secret=expired-1", None),
    event: |id| {
        json!({
            "name": "purchase",
            "params": {"transaction_id": id, "currency": "USD", "value": 12.34, "items": [{"item_id": "7", "price": 5.0}]},
        })
    },
    around: |events| json!({"client_id": "1.2", "timestamp_micros": NOW_SECONDS * 1_000_000, "events": events}),
    bad: &[
        ("/name", "\"session_start\""),
        ("/name", "\"my purchase\""),
        ("/name", "null"),
        ("/params/transaction_id", "null"),
        ("/params/value", "\"12.34\""),
        ("/params/value", "null"),
        ("/params/currency", "null"),
        ("/params/items", "[{}]"),
        ("/params/ga_x", "1"),
        ("/more", "1"),
    ],
    one_bad: (204, "", 2),
    denied: (204, ""),
};

const LINKEDIN: Platform = Platform {
    name: "linkedin",
    path: "/rest/conversionEvents",
    token: Some(("authorization", "Bearer AQ")),
    expired: ("/rest/conversionEvents", Some(("authorization", "Bearer expired-1"))),
    event: |id| {
        json!({
            "conversion": "urn:lla:llaPartnerConversion:1", "conversionHappenedAt": NOW_SECONDS * 1000, "eventId": id,
            "conversionValue": {"currencyCode": "USD", "amount": "12.34"},
            "user": {"userIds": [{"idType": "SHA256_EMAIL", "idValue": HASH}]},
        })
    },
    around: |events| json!({ "elements": events }),
    bad: &[
        ("/conversion", "\"1\""),
        ("/conversionHappenedAt", "1764205200001"),
        ("/conversionHappenedAt", "1756000000000"),
        ("/conversionHappenedAt", "\"now\""),
        ("/conversionValue/amount", "12.34"),
        ("/conversionValue/currencyCode", "\"usd\""),
        ("/user", "null"),
        ("/user/userIds", "[]"),
        ("/user/userIds", "[{\"idType\": \"SHA256_EMAIL\", \"idValue\": \"a@b.example\"}]"),
        ("/user/userIds", "[{\"idType\": \"EMAIL\", \"idValue\": \"a\"}]"),
        ("/value", "1"),
    ],
    one_bad: (422, "Index: 1, ERROR :: /conversion ::", 0),
    denied: (401, "EXPIRED_ACCESS_TOKEN"),
};

const X: Platform = Platform {
    name: "x",
    path: "/12/measurement/conversions/o8z6j",
    token: Some(("x-pixel-token", "T")),
    expired: ("/12/measurement/conversions/o8z6j", Some(("x-pixel-token", "expired-1"))),
    event: |id| {
        json!({
            "conversion_time": "2025-11-27T01:00:00.000Z", "event_id": "tw-o8z6j-1", "conversion_id": id,
            "identifiers": [{"hashed_email": HASH}, {"ip_address": "192.0.2.1", "user_agent": "UA"}],
            "value": "12.34", "price_currency": "USD", "number_items": 1,
        })
    },
    around: |events| json!({ "conversions": events }),
    bad: &[
        ("/event_id", "null"),
        ("/conversion_time", "1764205200"),
        ("/conversion_time", "\"2025-08-01T00:00:00Z\""),
        ("/identifiers", "[]"),
        ("/identifiers", "[{\"ip_address\": \"192.0.2.1\"}]"),
        ("/identifiers", "[{\"hashed_email\": \"a@b.example\"}]"),
        ("/value", "12.34"),
        ("/price_currency", "\"usd\""),
        ("/number_items", "0"),
    ],
    one_bad: (400, "INVALID_PARAMETER", 0),
    denied: (401, "UNAUTHORIZED_ACCESS"),
};

/// Headers without which LinkedIn takes no call; the others do not mind them.
const LINKEDIN_HEADERS: [(&str, &str); 3] = [
    ("linkedin-version", "202610"),
    ("x-restli-protocol-version", "2.0.0"),
    ("x-restli-method", "BATCH_CREATE"),
];

impl Platform {
    async fn send(&self, server: &Server, events: &[Value]) -> Answer {
        call(server, self.path, self.token, &(self.around)(events)).await
    }
}

async fn call(server: &Server, path: &str, token: Option<(&str, &str)>, body: &Value) -> Answer {
    let headers: Vec<_> =
        token.into_iter().chain([("content-type", "application/json")]).chain(LINKEDIN_HEADERS).collect();
    server.send(Method::POST, path, &headers, body.to_string()).await.unwrap()
}

fn changed(mut event: Value, pointer: &str, json: &str) -> Value {
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    let parent = event.pointer_mut(parent).unwrap();
    match parent {
        Value::Array(items) => items[key.parse::<usize>().unwrap()] = serde_json::from_str(json).unwrap(),
        _ => parent[key] = serde_json::from_str(json).unwrap(),
    }
    event
}

#[tokio::test]
async fn good_events_are_taken_once_and_listed_as_sent() {
    for platform in PLATFORMS {
        let server = Server::start().await;
        let events = [(platform.event)("a"), (platform.event)("b")];
        for _ in 0..2 {
            let answer = platform.send(&server, &events).await;
            assert!((200..300).contains(&answer.status), "{} {}", platform.name, answer.text);
        }
        let rows = server.list("events").await;
        assert_eq!(rows.len(), 2, "{}", platform.name);
        assert_eq!(rows[0]["event"], events[0]);
        assert_eq!(rows[0]["platform"], platform.name);
        assert_eq!(server.list("duplicates").await.len(), 2, "{}", platform.name);
        let kept = server.get(&format!("/_sandbox/events?platform={}", platform.name)).await.json();
        assert_eq!(kept["data"].as_array().unwrap().len(), 2);
        server.stop().await;
    }
}

#[tokio::test]
async fn bad_events_are_refused() {
    for platform in PLATFORMS {
        let server = Server::start().await;
        for (pointer, json) in platform.bad {
            let bad = changed((platform.event)("bad"), pointer, json);
            let answer = platform.send(&server, &[bad]).await;
            let rows = server.list("refused").await;
            assert_eq!(rows.len(), 1, "{} {pointer} {json}: {}", platform.name, answer.text);
            assert!(!rows[0]["reason"].as_str().unwrap().is_empty());
            assert_eq!(server.list("events").await.len(), 0, "{} {pointer} {json}", platform.name);
            assert_eq!(server.delete("/_sandbox").await.status, 204);
        }
        server.stop().await;
    }
}

#[tokio::test]
async fn one_bad_event_among_good_ones() {
    for platform in PLATFORMS {
        let server = Server::start().await;
        let (pointer, json) = platform.bad[0];
        let bad = changed((platform.event)("bad"), pointer, json);
        let answer = platform.send(&server, &[(platform.event)("a"), bad, (platform.event)("b")]).await;
        let (status, piece, taken) = platform.one_bad;
        assert_eq!(answer.status, status, "{} {}", platform.name, answer.text);
        assert!(answer.text.contains(piece), "{} {}", platform.name, answer.text);
        assert_eq!(server.list("events").await.len(), taken, "{}", platform.name);
        assert_eq!(server.list("refused").await[0]["index"], 1, "{}", platform.name);
        server.stop().await;
    }
}

#[tokio::test]
async fn tokens_and_bodies_are_checked() {
    for platform in PLATFORMS {
        let server = Server::start().await;
        let body = (platform.around)(&[(platform.event)("a")]);
        let (path, token) = platform.expired;
        let (status, piece) = platform.denied;
        let bare = platform.path.split('?').next().unwrap();
        // What names the pixel in the query is not the token's.
        let bare = if platform.token.is_some() { platform.path } else { bare };
        for (path, token) in [(path, token), (bare, None)] {
            let answer = call(&server, path, token, &body).await;
            assert_eq!(answer.status, status, "{} {}", platform.name, answer.text);
            assert!(answer.text.contains(piece), "{} {}", platform.name, answer.text);
        }
        for body in [json!([]), json!({}), (platform.around)(&[])] {
            let before = server.list("refused").await.len();
            call(&server, platform.path, platform.token, &body).await;
            assert_eq!(server.list("refused").await.len(), before + 1, "{} {body}", platform.name);
        }
        assert_eq!(server.list("events").await.len(), 0, "{}", platform.name);
        server.stop().await;
    }
}

#[tokio::test]
async fn faults_meet_every_edge() {
    for platform in PLATFORMS {
        let server = Server::start().await;
        let one = [(platform.event)("a")];
        server
            .fault(json!({"kind": "throttle", "retry_after": 7, "times": 1, "platform": platform.name}))
            .await;
        let answer = platform.send(&server, &one).await;
        assert_eq!(answer.headers["retry-after"], "7", "{} {}", platform.name, answer.text);
        server.fault(json!({"kind": "status", "status": 503, "times": 1})).await;
        assert_eq!(platform.send(&server, &one).await.status, 503, "{}", platform.name);
        server.fault(json!({"kind": "server_error", "html": true, "times": 1})).await;
        let answer = platform.send(&server, &one).await;
        assert_eq!((answer.status, answer.json_or_none()), (500, None), "{}", platform.name);
        assert_eq!(server.list("events").await.len(), 0, "{}", platform.name);
        server.fault(json!({"kind": "reset_after_accept", "times": 1})).await;
        let headers: Vec<_> = platform.token.into_iter().chain(LINKEDIN_HEADERS).collect();
        let body = (platform.around)(&one).to_string();
        assert!(server.send(Method::POST, platform.path, &headers, body).await.is_err(), "{}", platform.name);
        assert_eq!(server.list("events").await.len(), 1, "{}", platform.name);
        server.fault(json!({"kind": "reject_event_id", "event_id": "c"})).await;
        platform.send(&server, &[(platform.event)("c")]).await;
        assert_eq!(server.list("events").await.len(), 1, "{}", platform.name);
        server.stop().await;
    }
}

#[tokio::test]
async fn a_test_at_pinterest_records_nothing() {
    let server = Server::start().await;
    let body = (PINTEREST.around)(&[(PINTEREST.event)("a")]);
    let answer = call(&server, "/v5/ad_accounts/A1/events?test=true", PINTEREST.token, &body).await;
    assert_eq!((answer.status, &answer.json()["num_events_processed"]), (200, &json!(1)));
    assert_eq!(server.list("events").await.len(), 0);
    server.stop().await;
}

#[tokio::test]
async fn microsoft_may_be_asked_for_all_or_nothing() {
    let server = Server::start().await;
    let bad = changed((MICROSOFT.event)("bad"), "/eventName", "null");
    let body = json!({"data": [(MICROSOFT.event)("a"), bad]});
    let answer = call(&server, MICROSOFT.path, MICROSOFT.token, &body).await;
    assert_eq!((answer.status, &answer.json()["eventsReceived"]), (400, &json!(0)));
    assert_eq!(server.list("events").await.len(), 0);
    server.stop().await;
}
