//! Whether an event may leave, and in which form, when its visitor's consent stands against it.
//!
//! Asked before a dialect builds anything. What a platform wants to be told is the dialect's to write; what is not told
//! must not be sent. Whether a policy is lawful where it is used is not known here.

use std::borrow::Cow;

use crosstally_core::consent::{Choice, ConsentPolicy, Europe, Objection, WhenDenied, WhenGpc};
use crosstally_core::event::{DataProcessing, OutboundEvent};

use crate::dialect::{Dialect, Settings, Told};

/// How an event leaves.
#[derive(Debug, Clone, PartialEq)]
pub enum Leaving {
    /// As it is: nothing stands against it.
    InFull,
    /// With what the platform takes to limit its use.
    Limited {
        /// The event with it.
        event: Box<OutboundEvent>,
        /// Why.
        why: String,
    },
    /// Not at all.
    Withheld {
        /// Why.
        why: String,
    },
}

/// What an objection comes to.
enum Follows {
    Nothing,
    Limit,
    Withhold,
}

/// Decides how an event leaves for a destination of this kind. `europe` is what the visitor's address says, or said.
#[must_use]
pub fn leaving(
    dialect: &dyn Dialect,
    settings: &Settings,
    policy: ConsentPolicy,
    event: &OutboundEvent,
    europe: Europe,
) -> Leaving {
    let told = dialect.told();
    let mut event = Cow::Borrowed(event);
    if let Some(why) = unasked(told, settings, &event, europe) {
        if policy.when_denied != Some(WhenDenied::Limited) {
            return Leaving::Withheld { why: format!("{why}; nothing is sent") };
        }
        event.to_mut().consent.ad_user_data = Some(Choice::Denied);
    }
    let event = event.as_ref();
    let mut limited_by = Vec::new();
    for objection in event.consent.objections() {
        let why = objection.sentence();
        match follows(objection, policy, told) {
            Follows::Nothing => {}
            Follows::Withhold => {
                return Leaving::Withheld { why: format!("{why}; by its policy, nothing is sent") };
            }
            Follows::Limit if told == Told::NOTHING && !dialect.passes_on(settings, event, objection) => {
                let cannot = format!("{why}, which this destination cannot be told; nothing is sent");
                return Leaving::Withheld { why: cannot };
            }
            Follows::Limit => limited_by.push(objection),
        }
    }
    if limited_by.is_empty() {
        return Leaving::InFull;
    }
    let mut event = Box::new(event.clone());
    let denied = limited_by.iter().any(|objection| objection.is_denial());
    let gpc = limited_by.contains(&Objection::Gpc);
    // Who takes the denial itself gets it as it was made, choice by choice.
    if told.limits && (gpc || denied && !told.denial) {
        limit(&mut event);
    }
    if told.opt_out && (denied || gpc && !told.limits) {
        event.opt_out = Some(true);
    }
    let why: Vec<&str> = limited_by.iter().map(|objection| objection.sentence()).collect();
    Leaving::Limited { event, why: format!("{}; sent for limited use", why.join("; ")) }
}

const IN_EUROPE: &str = "the visitor is in the EEA, the United Kingdom or Switzerland and nothing says whether ad_user_data is granted";

/// Why an event may not leave as long as its visitor has not been asked, where the receiver's terms want that.
fn unasked(told: Told, settings: &Settings, event: &OutboundEvent, europe: Europe) -> Option<&'static str> {
    let consent = &event.consent;
    if !told.asked_in_europe {
        return None;
    }
    if consent.is_unasked() {
        return Some("the GDPR applies and nothing says whether ad_user_data is granted");
    }
    // Whoever vouches for all visitors in the settings, or says that the law does not apply, has decided it.
    let decided = consent.user_data().is_some()
        || consent.gdpr.as_deref() == Some("0")
        || settings.text("consent").is_some();
    if decided {
        return None;
    }
    match europe {
        Europe::Inside => Some(IN_EUROPE),
        _ if event.contact.is_european() => Some(IN_EUROPE),
        Europe::Unknown => Some(
            "the visitor's address is gone, so they may be in the EEA, the United Kingdom or Switzerland, and nothing says \
             whether ad_user_data is granted",
        ),
        Europe::Outside | Europe::Unsaid => None,
    }
}

fn follows(objection: Objection, policy: ConsentPolicy, told: Told) -> Follows {
    if objection.is_denial() {
        // Limits of United States law are no answer to a denial under another one.
        let usual = if told.denial { WhenDenied::Limited } else { WhenDenied::Withhold };
        return match policy.when_denied.unwrap_or(usual) {
            WhenDenied::Withhold => Follows::Withhold,
            WhenDenied::Limited => Follows::Limit,
        };
    }
    match policy.gpc.unwrap_or(WhenGpc::Limited) {
        WhenGpc::Withhold => Follows::Withhold,
        WhenGpc::Limited => Follows::Limit,
        WhenGpc::Ignore => Follows::Nothing,
    }
}

/// A sender's own limits stay as they are.
fn limit(event: &mut OutboundEvent) {
    if event.data_processing.as_ref().is_none_or(|limits| limits.options.is_empty()) {
        event.data_processing = Some(DataProcessing::limited());
    }
}

#[cfg(test)]
mod tests {
    //! No kind ever sends in full what a visitor does not allow.
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use crosstally_core::consent::{Choice, Consent};
    use crosstally_core::reason::Reason;

    use super::*;
    use crate::catalog::KINDS;
    use crate::dialect::Built;
    use crate::sample::{NOW, event, of_kind};

    const DENIED: Option<Choice> = Some(Choice::Denied);

    /// Every objection there is, alone.
    fn objections() -> [(&'static str, Consent); 5] {
        let silent = Consent::default;
        [
            ("ad_user_data", Consent { ad_user_data: DENIED, ..silent() }),
            ("ad_personalization", Consent { ad_personalization: DENIED, ..silent() }),
            ("tcf", Consent { gdpr: Some("1".into()), gdpr_consent: Some("CPmangled".into()), ..silent() }),
            ("gdpr alone", Consent { gdpr: Some("1".into()), ..silent() }),
            ("gpc", Consent { gpc: true, ..silent() }),
        ]
    }

    fn policy(when_denied: WhenDenied, gpc: WhenGpc) -> ConsentPolicy {
        ConsentPolicy { when_denied: Some(when_denied), gpc: Some(gpc) }
    }

    fn with(consent: &Consent) -> OutboundEvent {
        OutboundEvent { consent: consent.clone(), ..event(&[]) }
    }

    fn settings(kind: &str) -> Settings {
        match kind {
            "webhook" => crate::sample::settings("secret", &[("url", "https://a.example/hook")]),
            kind => of_kind(kind, &[]),
        }
    }

    /// What a request must hold to tell the platform that not everything is allowed.
    fn marks(kind: &str, objection: &str) -> &'static [&'static str] {
        let gpc = objection == "gpc";
        match kind {
            "meta" if gpc => &[
                r#""data_processing_options":["LDU"],"data_processing_options_country":0,"data_processing_options_state":0"#,
            ],
            "meta" => &[r#""opt_out":true"#, r#""data_processing_options":["LDU"]"#],
            "tiktok" => &[r#""limited_data_use":true"#],
            "snapchat" if gpc => &[r#""data_processing_options":["LDU"]"#],
            "snapchat" => &[r#""opt_out":true"#, r#""data_processing_options":["LDU"]"#],
            "pinterest" if gpc => &[r#""opt_out_type":"LDP""#],
            "pinterest" => &[r#""opt_out":true"#, r#""opt_out_type":"LDP""#],
            "reddit" => &[r#""data_processing_options":{"modes":["LDU"]}"#],
            "microsoft" => &[r#""adStorageConsent":"D""#],
            "openai" => &[r#""opt_out":true"#],
            "google_data_manager" if objection == "ad_personalization" => {
                &[r#""consent":{"adPersonalization":"CONSENT_DENIED"}"#]
            }
            "google_data_manager" => {
                &[r#""consent":{"adUserData":"CONSENT_DENIED","adPersonalization":"CONSENT_DENIED"}"#]
            }
            "ga4" if objection == "ad_personalization" => &[r#""consent":{"ad_personalization":"DENIED"}"#],
            "ga4" => &[r#""consent":{"ad_user_data":"DENIED","ad_personalization":"DENIED"}"#],
            "webhook" => &[r#""consent":{"#],
            other => panic!("{other} must not be sent to, or the test must know how it is told"),
        }
    }

    fn build(dialect: &dyn Dialect, event: OutboundEvent) -> Built {
        dialect.build(&settings(dialect.kind()), &[event], NOW)
    }

    #[test]
    fn denied_consent_never_leaves_in_full() {
        let policies = [
            ConsentPolicy::default(),
            policy(WhenDenied::Withhold, WhenGpc::Withhold),
            policy(WhenDenied::Limited, WhenGpc::Limited),
        ];
        for dialect in KINDS {
            let kind = dialect.kind();
            for (objection, consent) in objections() {
                for policy in policies {
                    match leaving(*dialect, &settings(kind), policy, &with(&consent), Europe::Unsaid) {
                        Leaving::InFull => panic!("{kind} {objection} {policy:?} leaves in full"),
                        Leaving::Withheld { why } => assert!(!why.is_empty()),
                        Leaving::Limited { event, why } => {
                            assert!(why.contains("limited use"), "{why}");
                            let built = build(*dialect, *event);
                            let sent = String::from_utf8(built.request.unwrap().body).unwrap();
                            for mark in marks(kind, objection) {
                                assert!(sent.contains(mark), "{kind} {objection}: {sent}");
                            }
                        }
                    }
                }
            }
        }
    }

    /// Line G6: who is in Europe and was not asked is not sent to Google, and the reason says so.
    #[test]
    fn g6_google_gets_no_event_of_europe_that_nobody_was_asked_about() {
        let said = |word: &str| Consent { ad_user_data: Choice::from_word(word), ..Consent::default() };
        let silent = Consent::default();
        let gdpr = |flag: &str| Consent { gdpr: Some(flag.into()), ..Consent::default() };
        let german: &[(&str, serde_json::Value)] = &[("/user/country", serde_json::json!("de"))];
        let (nowhere, unsaid): (&[(&str, serde_json::Value)], _) = (&[], Europe::Unsaid);
        for (changes, europe, consent, withheld) in [
            (nowhere, Europe::of("DE"), silent.clone(), true),
            (nowhere, Europe::of("GB"), silent.clone(), true),
            (german, unsaid, silent.clone(), true),
            (german, Europe::Outside, silent.clone(), true),
            // Nobody can say any more where they are.
            (nowhere, Europe::Unknown, silent.clone(), true),
            (nowhere, unsaid, gdpr("1"), true),
            (nowhere, Europe::of("US"), silent.clone(), false),
            (nowhere, Europe::of(""), silent.clone(), false),
            (nowhere, unsaid, silent.clone(), false),
            (nowhere, Europe::Inside, said("granted"), false),
            (nowhere, Europe::Unknown, said("granted"), false),
            // What was denied is told, as Google asks for it.
            (nowhere, Europe::Inside, said("denied"), false),
            (nowhere, Europe::Inside, gdpr("0"), false),
        ] {
            let event = OutboundEvent { consent: consent.clone(), ..event(changes) };
            for kind in ["google_data_manager", "ga4"] {
                let dialect = crate::catalog::by_kind(kind).unwrap();
                let left = leaving(dialect, &settings(kind), ConsentPolicy::default(), &event, europe);
                match &left {
                    Leaving::Withheld { why } => {
                        assert!(withheld && why.contains("nothing says whether ad_user_data"), "{why}");
                    }
                    _ => assert!(!withheld, "{kind} {europe:?} {consent:?}: {left:?}"),
                }
                // Who wants it told as a denial has it told, never sent in full.
                let policy = policy(WhenDenied::Limited, WhenGpc::Limited);
                let left = leaving(dialect, &settings(kind), policy, &event, europe);
                if let (true, Leaving::Limited { event, .. }) = (withheld, &left) {
                    let sent = build(dialect, event.as_ref().clone()).request.unwrap().body;
                    let sent = String::from_utf8(sent).unwrap();
                    assert!(sent.contains("DENIED") && !sent.contains("GRANTED"), "{sent}");
                } else {
                    assert!(!withheld, "{kind} {europe:?} {consent:?}: {left:?}");
                }
            }
        }
        // Who vouches for all visitors has decided it; Meta's terms do not ask.
        let vouched = of_kind("google_data_manager", &[("consent", "granted")]);
        let google = crate::catalog::by_kind("google_data_manager").unwrap();
        let usual = ConsentPolicy::default();
        assert_eq!(leaving(google, &vouched, usual, &event(&[]), Europe::Inside), Leaving::InFull);
        let meta = crate::catalog::by_kind("meta").unwrap();
        assert_eq!(leaving(meta, &settings("meta"), usual, &event(&[]), Europe::Inside), Leaving::InFull);
    }

    #[test]
    fn what_follows_by_default() {
        for dialect in KINDS {
            let kind = dialect.kind();
            let of = |consent: &Consent, policy| match leaving(
                *dialect,
                &settings(kind),
                policy,
                &with(consent),
                Europe::Unsaid,
            ) {
                Leaving::InFull => "in full",
                Leaving::Limited { .. } => "limited",
                Leaving::Withheld { .. } => "withheld",
            };
            let [(_, denied), .., (_, gpc)] = objections();
            let expected = match kind {
                "google_data_manager" | "ga4" | "microsoft" | "webhook" => ("limited", "limited"),
                "linkedin" | "x" | "postback" => ("withheld", "withheld"),
                _ => ("withheld", "limited"),
            };
            let usual = ConsentPolicy::default();
            assert_eq!((of(&denied, usual), of(&gpc, usual)), expected, "{kind}");
            // What cannot be told is never sent, whatever the policy wishes.
            let limited = policy(WhenDenied::Limited, WhenGpc::Limited);
            let told = if matches!(kind, "linkedin" | "x" | "postback") { "withheld" } else { "limited" };
            assert_eq!((of(&denied, limited), of(&gpc, limited)), (told, told), "{kind}");
            assert_eq!(of(&gpc, policy(WhenDenied::Withhold, WhenGpc::Ignore)), "in full", "{kind}");
            let granted = Consent { ad_user_data: Some(Choice::Granted), ..Consent::default() };
            assert_eq!(
                (of(&granted, usual), of(&Consent::default(), usual)),
                ("in full", "in full"),
                "{kind}"
            );
        }
    }

    #[test]
    fn a_partner_is_sent_to_if_its_call_hands_the_objection_on() {
        let postback = crate::catalog::by_kind("postback").unwrap();
        for (url, objection, sent) in [
            ("https://a.example/?c={click_id}&gpc={gpc}", "gpc", true),
            ("https://a.example/?c={click_id}&gpc={gpc}", "ad_user_data", false),
            ("https://a.example/?c={click_id}&u={ad_user_data}", "ad_user_data", true),
            ("https://a.example/?gdpr={gdpr}&gdpr_consent={gdpr_consent}", "tcf", true),
            ("https://a.example/?gdpr={gdpr}", "tcf", false),
            // A macro without a value tells nothing: without a string it is told that the GDPR applies.
            ("https://a.example/?gdpr_consent={gdpr_consent}", "gdpr alone", false),
            ("https://a.example/?gdpr_consent={gdpr_consent|default:none}", "gdpr alone", false),
            ("https://a.example/?gdpr={gdpr|map:0=0,*=}", "gdpr alone", false),
            ("https://a.example/?gdpr={gdpr}&gdpr_consent={gdpr_consent}", "gdpr alone", true),
            ("https://a.example/?u={ad_user_data|map:granted=1,denied=0}", "ad_user_data", true),
            ("https://a.example/?u={ad_user_data|map:granted=1,*=}", "ad_user_data", false),
        ] {
            let (_, consent) = objections().into_iter().find(|(name, _)| *name == objection).unwrap();
            let settings = crate::sample::settings("secret", &[("url", url)]);
            let limited = policy(WhenDenied::Limited, WhenGpc::Limited);
            let mut event = with(&consent);
            event.consent.put_into(&mut event.origin.params);
            let left = leaving(postback, &settings, limited, &event, Europe::Unsaid);
            assert_eq!(matches!(left, Leaving::Limited { .. }), sent, "{url} {objection}");
            if let Leaving::Limited { event, .. } = left {
                let call = postback.build(&settings, &[*event], NOW).request.unwrap().url;
                let told = ["gpc=1", "u=denied", "u=0", "gdpr_consent=CPmangled", "gdpr=1"]
                    .iter()
                    .any(|told| call.contains(told));
                assert!(told, "{call}");
            }
        }
    }

    #[test]
    fn a_partner_is_told_of_limits_only_by_what_leaves_with_the_call() {
        let postback = crate::catalog::by_kind("postback").unwrap();
        let limited = OutboundEvent { data_processing: Some(DataProcessing::limited()), ..event(&[]) };
        let told = "https://a.example/?ldu={click.data_processing_options}";
        let mapped = "https://a.example/?ldu={click.data_processing_options|map:LDU=1,*=0}";
        let hidden = "https://a.example/?ldu={click.data_processing_options|map:LDU=,*=0}";
        for (url, parameter, sent) in [
            (told, Some("LDU"), Some("https://a.example/?ldu=LDU")),
            (mapped, Some("LDU"), Some("https://a.example/?ldu=1")),
            (hidden, Some("LDU"), None),
            // The server event says it, and the click does not: no macro has it.
            (told, Some("all"), None),
            (told, None, None),
            ("https://a.example/?c={click_id}", Some("LDU"), None),
        ] {
            let mut event = limited.clone();
            let parameter = parameter.map(|word| ("data_processing_options".to_owned(), word.into()));
            event.origin.params.extend(parameter);
            let settings = crate::sample::settings("secret", &[("url", url)]);
            let built = postback.build(&settings, &[event], NOW);
            assert_eq!(built.request.map(|request| request.url).as_deref(), sent, "{url}");
            let reason = built.left_out.first().map(|left| left.reason);
            assert_eq!(reason, sent.is_none().then_some(Reason::ConsentDenied), "{url}");
        }
    }

    #[test]
    fn what_a_sender_says_itself_keeps_its_own_place() {
        let limits = DataProcessing { options: vec!["LDU".into()], country: Some(1), state: Some(1000) };
        let own = OutboundEvent { data_processing: Some(limits.clone()), ..with(&objections()[4].1) };
        for dialect in KINDS.iter().filter(|dialect| dialect.told().limits) {
            let left =
                leaving(*dialect, &settings(dialect.kind()), ConsentPolicy::default(), &own, Europe::Unsaid);
            let Leaving::Limited { event, .. } = left else { panic!("{}", dialect.kind()) };
            assert_eq!(event.data_processing, Some(limits.clone()), "{}", dialect.kind());
        }
    }

    #[test]
    fn a_senders_own_marks_are_told_or_keep_the_event() {
        let limits =
            Some(DataProcessing { options: vec!["LDU".into()], country: Some(1), state: Some(1000) });
        let limited = OutboundEvent { data_processing: limits, ..event(&[]) };
        let opted_out = OutboundEvent { opt_out: Some(true), ..event(&[]) };
        let unlimited = ["linkedin", "x", "microsoft", "openai", "postback"];
        let unmarked = ["linkedin", "x", "tiktok", "reddit", "postback"];
        for dialect in KINDS {
            let kind = dialect.kind();
            let sent = |event: &OutboundEvent| {
                let built = build(*dialect, event.clone());
                let body = built.request.map(|request| (request.url, request.body));
                body.ok_or_else(|| built.left_out[0].reason)
            };
            let plain = sent(&event(&[])).unwrap();
            for (marked, left_out) in [(&limited, unlimited), (&opted_out, unmarked)] {
                match sent(marked) {
                    // That it is marked is the visitor's wish, and that is the reason.
                    Err(reason) => assert_eq!(reason, Reason::ConsentDenied, "{kind}"),
                    Ok(told) => assert_ne!(told, plain, "{kind} is told nothing"),
                }
                assert_eq!(sent(marked).is_err(), left_out.contains(&kind), "{kind}");
            }
        }
    }
}
