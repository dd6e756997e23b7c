//! What goes to the Google Ads API, what to the Data Manager API, and what the former's answers come to.

use crosstally_core::config::Setting;
use crosstally_core::delivery::Outcome;
use crosstally_core::event::{Adjustment, OutboundEvent};
use crosstally_core::reason::Reason;
use crosstally_core::time::{DAY_MS, HOUR_MS};
use serde_json::{Value, json};

use super::{GoogleDataManager, NOW, body, lead, map, purchase, settings, text};
use crate::dialect::{BatchOutcome, Built, Dialect, Reading, Request, Response, Settings};

fn retracting() -> Settings {
    settings(&[("retractions", Setting::Flag(true))])
}

/// What is left of an event, told after so many movements.
fn adjusted(event: OutboundEvent, left: Option<&str>, movement: u32) -> OutboundEvent {
    let adjustment = Adjustment {
        event: "gev_1".into(),
        event_time: event.event_time,
        movement,
        booked_at: Some(event.event_time.plus_millis(90_000)),
        left: left.map(str::to_owned),
        ..Adjustment::default()
    };
    let mut event = OutboundEvent {
        adjustment: Some(adjustment),
        event_time: event.event_time.plus_millis(60_000),
        value: left.map(str::to_owned),
        ..event
    };
    event.origin.status = if left.is_none_or(|left| left == "0.00") { "rejected" } else { "approved" }.into();
    event
}

fn rejected() -> OutboundEvent {
    adjusted(purchase(), Some("0.00"), 2)
}

fn build(events: &[OutboundEvent]) -> Built {
    GoogleDataManager.build(&retracting(), events, NOW)
}

fn is_ads(built: &Built) -> bool {
    built.request.as_ref().unwrap().url.contains("googleads")
}

#[test]
fn an_adjustment_is_what_the_fixture_says() {
    let mut second = adjusted(purchase(), Some("7.50"), 3);
    second.custom = map(json!({"order_id": "A-1002"}));
    let mut rejected_lead = adjusted(lead(), None, 2);
    rejected_lead.visitor.ad_click_ids = map(json!({"gbraid": "b1"}));
    let built = build(&[rejected(), second, rejected_lead]);
    let expected: Value = serde_json::from_str(include_str!("../fixtures/ads_request.json")).unwrap();
    assert_eq!(body(&built), expected);
    let request = built.request.unwrap();
    let ads = "https://googleads.googleapis.com/v26/customers/1234567890:uploadConversionAdjustments";
    assert_eq!(request.url, ads);
    let header = |name: &str| request.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value);
    assert_eq!(header("login-customer-id").unwrap(), "9876543210");
    assert_eq!(header("authorization").unwrap(), "Bearer ya29.tok");
    assert_eq!(header("developer-token"), None, "Google ignores it, and will refuse it");
}

#[test]
fn it_goes_where_the_settings_say() {
    let more = [
        ("retractions", Setting::Flag(true)),
        ("ads_endpoint", text("http://127.0.0.1:9/p/")),
        ("ads_api_version", text("v27")),
        ("validate_only", Setting::Flag(true)),
    ];
    let built = GoogleDataManager.build(&settings(&more), &[rejected()], NOW);
    assert_eq!(body(&built)["validateOnly"], json!(true));
    let ads = "http://127.0.0.1:9/p/v27/customers/1234567890:uploadConversionAdjustments";
    assert_eq!(built.request.unwrap().url, ads);
    // As ever, where nobody asked for it.
    let restated = settings(&[("adjustments", Setting::Flag(true))]);
    let built = GoogleDataManager.build(&restated, &[rejected()], NOW);
    assert!(!is_ads(&built));
    assert_eq!(body(&built)["events"][0]["conversionValue"].to_string(), "0.00");
}

#[test]
fn what_is_taken_and_what_for_good() {
    let (off, restates, retracts) =
        (settings(&[]), settings(&[("adjustments", Setting::Flag(true))]), retracting());
    let part = adjusted(purchase(), Some("7.50"), 2);
    let worthless = adjusted(OutboundEvent { value: None, ..purchase() }, None, 2);
    let mut worthless_again = worthless.clone();
    worthless_again.origin.status = "approved".into();
    let mut stands_again = worthless_again.clone();
    stands_again.adjustment.as_mut().unwrap().again = true;
    let mut by_wbraid = rejected();
    by_wbraid.visitor.ad_click_ids = map(json!({"wbraid": "w"}));
    for (event, taken) in [
        (&rejected(), ["no", "yes", "for good"]),
        (&part, ["no", "yes", "yes"]),
        (&worthless, ["no", "no", "for good"]),
        (&worthless_again, ["no", "no", "no"]),
        (&stands_again, ["no", "no", "yes"]),
        // The Google Ads API finds no conversion of such a click: it is restated.
        (&by_wbraid, ["no", "yes", "yes"]),
    ] {
        let found = [&off, &restates, &retracts].map(|settings| {
            match (GoogleDataManager.adjusts(settings, event), GoogleDataManager.retracts(settings, event)) {
                (true, true) => "for good",
                (true, false) => "yes",
                (false, _) => "no",
            }
        });
        assert_eq!(found, taken, "{event:?}");
    }
    assert!(!is_ads(&build(&[by_wbraid])));
}

#[test]
fn adjustments_and_conversions_share_no_request() {
    let built = build(&[purchase(), rejected(), lead(), rejected()]);
    assert_eq!((built.included.as_slice(), is_ads(&built)), (&[0, 2][..], false));
    let built = build(&[rejected(), purchase(), rejected()]);
    assert_eq!((built.included.as_slice(), is_ads(&built)), (&[0, 2][..], true));
    assert!(built.left_out.is_empty());
    // If nothing of one place can be sent, nobody at the other place has to wait for a request that never comes.
    let unknown = OutboundEvent { event_name: "Other".into(), ..rejected() };
    let built = build(&[unknown.clone(), purchase(), unknown]);
    assert_eq!((built.included.as_slice(), is_ads(&built)), (&[1][..], false));
    assert_eq!(built.left_out.iter().map(|left| left.index).collect::<Vec<_>>(), [0, 2]);
}

#[test]
fn what_cannot_be_adjusted_is_left_out() {
    let mut again = adjusted(purchase(), Some("12.30"), 4);
    again.adjustment.as_mut().unwrap().again = true;
    let mut old = rejected();
    old.adjustment.as_mut().unwrap().event_time = NOW.plus_millis(-54 * DAY_MS - 1);
    let mut foreign = adjusted(purchase(), Some("1"), 2);
    foreign.currency = None;
    for (event, reason, words) in [
        (again, Reason::RetractionStands, "final"),
        (old, Reason::EventTooOld, "54 days"),
        (foreign, Reason::EventIncomplete, "currency"),
    ] {
        let built = build(&[event]);
        assert_eq!(built.left_out[0].reason, reason);
        assert!(built.left_out[0].detail.contains(words), "{}", built.left_out[0].detail);
    }
}

#[test]
fn no_two_adjustments_of_a_conversion_have_one_time_and_none_lies_before_it() {
    let time = |movement, booked_after_ms| {
        let mut event = adjusted(purchase(), Some("1"), movement);
        let sold_at = purchase().event_time;
        event.adjustment.as_mut().unwrap().booked_at = Some(sold_at.plus_millis(booked_after_ms));
        body(&build(&[event]))["conversionAdjustments"][0]["adjustmentDateTime"].as_str().unwrap().to_owned()
    };
    let times = [time(2, 0), time(3, 10), time(4, 400), time(5, 90_000), time(6, 90_000), time(7, 7_200_000)];
    assert!(times.is_sorted_by(|before, after| before < after), "{times:?}");
    assert!(times[0].as_str() > "2025-11-27 01:00:00", "{times:?}");
}

#[test]
fn settings_of_retractions_are_checked() {
    let on = || ("retractions", Setting::Flag(true));
    for (setting, values) in [
        ("retractions", vec![on(), ("adjustments", Setting::Flag(false))]),
        ("ads_endpoint", vec![on(), ("ads_endpoint", text("googleads.googleapis.com"))]),
        ("ads_api_version", vec![on(), ("ads_api_version", text("26"))]),
        ("ads_api_version", vec![on(), ("ads_api_version", text("v26/../x"))]),
    ] {
        let found = GoogleDataManager.check(&settings(&values).values);
        assert_eq!(found.len(), 1, "{setting}");
        assert!(found[0].setting == setting && found[0].problem.contains("; "), "{found:?}");
    }
    assert_eq!(GoogleDataManager.check(&retracting().values), []);
    let both = settings(&[on(), ("adjustments", Setting::Flag(true))]);
    assert_eq!(GoogleDataManager.check(&both.values), []);
}

fn request(events: &[OutboundEvent]) -> Request {
    build(events).request.unwrap()
}

fn answer(request: &Request, status: u16, body: &str, sent: usize) -> Reading {
    let response = Response { status, body: body.as_bytes().to_vec(), ..Response::default() };
    GoogleDataManager.read_answer_to(request, &retracting(), &response, sent, NOW)
}

fn each(reading: Reading) -> Vec<Outcome> {
    match reading.outcome {
        BatchOutcome::Each(each) => each,
        BatchOutcome::Whole(whole) => panic!("one for all: {whole:?}"),
    }
}

fn retry(reason: Reason, after_ms: Option<i64>) -> Outcome {
    Outcome::Retry { reason, after_ms }
}

#[test]
fn of_a_partial_failure_each_is_judged_by_its_code() {
    let four = request(&[rejected(), rejected(), rejected(), rejected()]);
    let reading = answer(&four, 200, include_str!("../fixtures/ads_partial.json"), 4);
    assert!(reading.detail.contains("[1] CONVERSION_NOT_FOUND"), "{}", reading.detail);
    let expected = [
        Outcome::Delivered,
        retry(Reason::UnknownThere, Some(HOUR_MS)),
        Outcome::Refused { reason: Reason::DestRejected },
        Outcome::Unverified,
    ];
    assert_eq!(each(reading), expected);
    // A restatement of what somebody has retracted is not made, and that is said.
    let restated = request(&[adjusted(purchase(), Some("7.50"), 2)]);
    let reading = answer(&restated, 200, &failure("CONVERSION_ALREADY_RETRACTED", true), 1);
    assert_eq!(each(reading), [Outcome::Refused { reason: Reason::RetractionStands }]);
    let unplaced = answer(&four, 200, &failure("CONVERSION_NOT_FOUND", false), 4);
    assert_eq!(each(unplaced), vec![retry(Reason::DestUnreadable, None); 4]);
}

/// A partial failure with one error.
fn failure(code: &str, placed: bool) -> String {
    let location = match placed {
        true => json!({"fieldPathElements": [{"fieldName": "conversion_adjustments", "index": 0}]}),
        false => Value::Null,
    };
    let error = json!({"errorCode": {"conversionAdjustmentUploadError": code}, "location": location});
    json!({"partialFailureError": {"code": 3, "details": [{"errors": [error]}]}, "results": [{}]}).to_string()
}

#[test]
fn the_codes_of_single_adjustments() {
    let one = request(&[rejected()]);
    for (code, expected) in [
        ("CONVERSION_ALREADY_RETRACTED", Outcome::Delivered),
        ("RESTATEMENT_ALREADY_EXISTS", Outcome::Delivered),
        ("CONVERSION_NOT_FOUND", retry(Reason::UnknownThere, Some(HOUR_MS))),
        ("TOO_RECENT_CONVERSION", retry(Reason::UnknownThere, Some(HOUR_MS))),
        ("TOO_RECENT_CONVERSION_ACTION", retry(Reason::UnknownThere, Some(HOUR_MS))),
        ("CONVERSION_EXPIRED", Outcome::Refused { reason: Reason::EventTooOld }),
        ("MORE_RECENT_RESTATEMENT_FOUND", Outcome::Refused { reason: Reason::DestRejected }),
        ("ORDER_ID_CONTAINS_PII", Outcome::Refused { reason: Reason::DestRejected }),
        ("TRANSIENT_ERROR", retry(Reason::DestServerError, None)),
        ("CUSTOMER_NOT_ACCEPTED_CUSTOMER_DATA_TERMS", retry(Reason::AdjustmentsHeld, Some(HOUR_MS))),
    ] {
        assert_eq!(each(answer(&one, 200, &failure(code, true), 1)), [expected], "{code}");
    }
}

#[test]
fn a_trouble_of_adjustments_alone_stops_nothing_else_and_says_what_to_do() {
    let one = request(&[rejected()]);
    let held = retry(Reason::AdjustmentsHeld, Some(HOUR_MS));
    for (status, code, expected, words) in [
        (403, "CLOUD_PROJECT_NOT_APPROVED_FOR_PRODUCTION", &held, "Explorer access"),
        (403, "DEVELOPER_TOKEN_NOT_APPROVED", &held, "Explorer access"),
        (403, "USER_PERMISSION_DENIED", &held, "login_account_id"),
        (403, "CUSTOMER_NOT_ALLOWLISTED_FOR_THIS_FEATURE", &held, "retractions = false"),
        (403, "SOMETHING_NEW", &held, "retractions = false"),
        (401, "NOT_ADS_USER", &held, "give the user access"),
        (400, "UNSUPPORTED_VERSION", &held, "ads_api_version"),
        (429, "RESOURCE_EXHAUSTED", &retry(Reason::DestRateLimited, Some(HOUR_MS)), "RESOURCE_EXHAUSTED"),
        (500, "INTERNAL_ERROR", &retry(Reason::DestServerError, None), "INTERNAL_ERROR"),
    ] {
        let errors = json!([{"errorCode": {"authorizationError": code}, "message": "no ya29.tok"}]);
        let body = json!({"error": {"code": status, "message": "?", "details": [{"errors": errors}]}});
        let reading = answer(&one, status, &body.to_string(), 1);
        assert!(reading.detail.contains(words), "{code}: {}", reading.detail);
        assert!(!reading.detail.contains("ya29"), "{}", reading.detail);
        assert_eq!(reading.slow_down_ms, None, "{code}");
        assert_eq!(each(reading), std::slice::from_ref(expected), "{code}");
    }
    let door = |reason: &str| json!({"error": {"code": 403, "details": [{"reason": reason}]}}).to_string();
    for (reason, words) in [
        ("ACCESS_TOKEN_SCOPE_INSUFFICIENT", "auth/adwords"),
        ("SERVICE_DISABLED", "enable the Google Ads API"),
    ] {
        let reading = answer(&one, 403, &door(reason), 1);
        assert!(reading.detail.contains(words), "{}", reading.detail);
        assert_eq!(each(reading), std::slice::from_ref(&held));
    }
    let gone = answer(&one, 404, "<html>", 1);
    assert!(gone.detail.contains("ads_api_version"), "{}", gone.detail);
    assert_eq!(each(gone), [held]);
}

#[test]
fn a_token_that_is_no_longer_good_stops_everything_and_a_quota_waits_as_asked() {
    let two = request(&[rejected(), rejected()]);
    for body in [
        r#"{"error":{"code":401,"status":"UNAUTHENTICATED","message":"?","details":[]}}"#,
        r#"{"error":{"code":401,"details":[{"reason":"ACCESS_TOKEN_EXPIRED"}]}}"#,
        r#"{"error":{"code":401,"details":[{"errors":[{"errorCode":{"authenticationError":"OAUTH_TOKEN_EXPIRED"}}]}]}}"#,
    ] {
        let outcome = answer(&two, 401, body, 2).outcome;
        assert_eq!(outcome, BatchOutcome::Whole(Outcome::Pause { reason: Reason::DestAuth }), "{body}");
    }
    let quota = r#"{"error":{"code":429,"details":[{"errors":[{"errorCode":{"quotaError":"RESOURCE_TEMPORARILY_EXHAUSTED"},
        "details":{"quotaErrorDetails":{"retryDelay":"7200s"}}}]}]}}"#;
    assert_eq!(each(answer(&two, 429, quota, 2)), vec![retry(Reason::DestRateLimited, Some(2 * HOUR_MS)); 2]);
    assert_eq!(each(answer(&two, 503, "<html>", 2)), vec![retry(Reason::DestServerError, None); 2]);
    // One that is refused as a whole is halved, or those that it names end.
    let bad = r#"{"error":{"code":400,"message":"?","details":[]}}"#;
    let split = Outcome::Split { reason: Reason::DestRejected };
    assert_eq!(answer(&two, 400, bad, 2).outcome, BatchOutcome::Whole(split));
    let named = r#"{"error":{"code":400,"details":[{"errors":[{"errorCode":{"fieldError":"REQUIRED"},
        "location":{"fieldPathElements":[{"fieldName":"conversion_adjustments","index":1}]}}]}]}}"#;
    let outcomes = each(answer(&two, 400, named, 2));
    let refused = Outcome::Refused { reason: Reason::DestRejected };
    assert_eq!(outcomes, [retry(Reason::DestPartial, None), refused]);
    // What the other place says of conversions is read as ever.
    let conversion = request(&[purchase()]);
    let taken = answer(&conversion, 200, r#"{"requestId":"r"}"#, 1).outcome;
    assert_eq!(taken, BatchOutcome::Whole(Outcome::Unverified));
}
