use super::*;

fn of_click(query: &[(&str, &str)], gpc: bool) -> Consent {
    Consent::of_click(query.iter().copied(), gpc)
}

/// A core segment with these purposes allowed.
fn tcf(purposes: &[usize]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut bits = vec![false; 240];
    bits[4] = true;
    for purpose in purposes {
        bits[152 + purpose - 1] = true;
    }
    let sextets =
        bits.chunks(6).map(|six| six.iter().fold(0_usize, |value, bit| value << 1 | usize::from(*bit)));
    sextets.map(|sextet| char::from(ALPHABET[sextet])).collect::<String>() + ".YAAAAAAAAAA"
}

#[test]
fn strings_are_kept_byte_for_byte_and_what_is_malformed_is_absent() {
    let string = tcf(&[1, 3, 4, 7]);
    let kept = of_click(
        &[("GDPR", "1"), ("gdpr_consent", &string), ("gpp", "DBABMA~CPXxRfAPXx"), ("gpp_sid", "2,6")],
        false,
    );
    let said: Vec<_> = kept.macros().collect();
    assert_eq!(
        said,
        [("gdpr", "1"), ("gdpr_consent", string.as_str()), ("gpp", "DBABMA~CPXxRfAPXx"), ("gpp_sid", "2,6")]
    );
    for (name, value) in [
        ("gdpr", "yes"),
        ("gdpr", "{gdpr}"),
        ("gdpr_consent", "CP x"),
        ("gdpr_consent", "${GDPR_CONSENT_755}"),
        ("gpp", "DB<script>"),
        ("gpp_sid", "two"),
        ("ad_user_data", "{consent}"),
        ("ad_user_data", "unspecified"),
    ] {
        assert!(of_click(&[(name, value)], false).is_silent(), "{name}={value}");
    }
    let bad = [("gdpr", "yes"), ("gdpr_consent", "CP x"), ("gpp", "{gpp}"), ("gpp_sid", ""), ("sub1", "x y")];
    let counted: Vec<_> = malformed(bad.into_iter()).collect();
    assert_eq!(counted, ["gdpr", "gdpr_consent"], "what nobody filled in is not malformed");
    let mended = [("gdpr_consent", "CP x"), ("gdpr_consent[]", string.as_str())];
    assert_eq!(malformed(mended.into_iter()).count(), 0, "a sound one came too");
    let long = "a".repeat(STRING_BYTES_MAX + 1);
    assert!(of_click(&[("gdpr_consent", &long)], false).is_silent());
}

#[test]
fn objections() {
    let all = tcf(&[1, 3, 4, 7]);
    let measure = tcf(&[1, 7]);
    let nothing = tcf(&[]);
    for (query, gpc, expected) in [
        (vec![], false, vec![]),
        (vec![], true, vec![Objection::Gpc]),
        (vec![("ad_user_data", "DENIED")], false, vec![Objection::AdUserData]),
        // A denial counts wherever it stands among repeats, and in any case of its name.
        (vec![("ad_user_data", ""), ("ad_user_data", "denied")], false, vec![Objection::AdUserData]),
        (vec![("ad_user_data", "{consent}"), ("ad_user_data", "denied")], false, vec![Objection::AdUserData]),
        (vec![("ad_user_data", "granted"), ("Ad_User_Data", "denied")], false, vec![Objection::AdUserData]),
        (vec![("ad_user_data", "denied"), ("ad_user_data", "granted")], false, vec![Objection::AdUserData]),
        (vec![("ad_user_data", "undefined"), ("AD_USER_DATA", "denied")], false, vec![Objection::AdUserData]),
        // A denial that is hard to read is one, and what nobody can read never allows anything.
        (vec![("ad_user_data", " denied ")], false, vec![Objection::AdUserData]),
        (vec![("ad_user_data", "\"Denied\"")], false, vec![Objection::AdUserData]),
        (vec![("ad_user_data[]", "denied")], false, vec![Objection::AdUserData]),
        (
            vec![("ad_user_data[0]", "granted"), ("ad_user_data[1]", "denied")],
            false,
            vec![Objection::AdUserData],
        ),
        (vec![("ad_user_data", "granted"), ("ad_user_data[]", "no")], false, vec![Objection::AdUserData]),
        (vec![("ad_user_data", "granted,denied")], false, vec![Objection::AdUserData]),
        (vec![("ad_user_data", "perhaps")], false, vec![Objection::AdUserData]),
        (vec![("ad_personalization", "%64enied")], false, vec![Objection::AdPersonalization]),
        (vec![("ad_user_data", " granted ")], false, vec![]),
        (vec![("gdpr[]", " 1 ")], false, vec![Objection::Tcf]),
        (
            vec![("ad_personalization", "granted"), ("ad_personalization", "denied")],
            false,
            vec![Objection::AdPersonalization],
        ),
        (
            vec![("gdpr", ""), ("gdpr", "${GDPR}"), ("GDPR", "yes"), ("gdpr", "1")],
            false,
            vec![Objection::Tcf],
        ),
        (vec![("gdpr", "0"), ("gdpr", "1")], false, vec![Objection::Tcf]),
        (
            vec![("gdpr_consent", "${GDPR_CONSENT_755}"), ("gdpr_consent", nothing.as_str())],
            false,
            vec![Objection::Tcf],
        ),
        (vec![("ad_personalization", "denied")], true, vec![Objection::AdPersonalization, Objection::Gpc]),
        (vec![("ad_user_data", "granted"), ("ad_personalization", "granted")], false, vec![]),
        (vec![("gdpr", "1"), ("gdpr_consent", all.as_str())], false, vec![]),
        (vec![("gdpr", "1"), ("gdpr_consent", measure.as_str())], false, vec![Objection::Tcf]),
        (vec![("gdpr_consent", nothing.as_str())], false, vec![Objection::Tcf]),
        // Where the law does not apply, the string says nothing.
        (vec![("gdpr", "0"), ("gdpr_consent", nothing.as_str())], false, vec![]),
        // Where it applies, silence is no consent; a mangled string is silence.
        (vec![("gdpr", "1")], false, vec![Objection::Tcf]),
        (vec![("gdpr", "1"), ("gdpr_consent", "%%")], false, vec![Objection::Tcf]),
        (vec![("gdpr", "1"), ("ad_user_data", "granted")], false, vec![]),
        // A word does not make good what the string denies.
        (
            vec![("gdpr", "1"), ("gdpr_consent", nothing.as_str()), ("ad_user_data", "granted")],
            false,
            vec![Objection::Tcf],
        ),
    ] {
        assert_eq!(of_click(&query, gpc).objections(), expected, "{query:?} {gpc}");
    }
}

#[test]
fn the_two_choices_follow_from_words_and_strings() {
    let measure = tcf(&[1, 7]);
    let of = |query: &[(&str, &str)]| {
        let consent = of_click(query, false);
        (consent.user_data(), consent.personalization())
    };
    let (granted, denied) = (Some(Choice::Granted), Some(Choice::Denied));
    assert_eq!(of(&[]), (None, None));
    assert_eq!(of(&[("gdpr", "1"), ("gdpr_consent", &measure)]), (granted, denied));
    assert_eq!(of(&[("ad_user_data", "denied")]), (denied, denied));
    assert_eq!(of(&[("ad_user_data", "granted")]), (granted, None));
    assert_eq!(of(&[("gdpr", "1")]), (denied, denied));
}

#[test]
fn what_a_server_event_says_goes_before_the_click() {
    let click = of_click(&[("gdpr", "1"), ("gdpr_consent", "CPxx"), ("ad_user_data", "denied")], true);
    let event = Consent { ad_user_data: Some(Choice::Granted), gdpr: Some("0".into()), ..Consent::default() };
    let both = event.or(click);
    assert!(both.gpc, "a browser's wish stays");
    assert_eq!(both.ad_user_data, Some(Choice::Granted));
    assert_eq!((both.gdpr.as_deref(), both.gdpr_consent), (Some("0"), None), "no string of the other's");
}

#[test]
fn limits_of_use_are_read_from_a_click() {
    let of = |query: &[(&str, &str)]| data_processing_of_click(query.iter().copied());
    let ldu = |country, state| Some(DataProcessing { options: vec!["LDU".into()], country, state });
    assert_eq!(of(&[]), None);
    assert_eq!(of(&[("data_processing_options", "LDU")]), ldu(Some(0), Some(0)));
    let full = [
        ("data_processing_options", "LDU"),
        ("data_processing_options_country", "1"),
        ("data_processing_options_state", "1000"),
    ];
    assert_eq!(of(&full), ldu(Some(1), Some(1000)));
    assert_eq!(of(&[("data_processing_options", "")]), Some(DataProcessing::default()));
    assert_eq!(of(&[("data_processing_options", "all")]), None);
    // In any case of the names, and wherever it stands among repeats.
    let other_case = full.map(|(name, value)| (name.to_ascii_uppercase(), value));
    let other_case = other_case.each_ref().map(|(name, value)| (name.as_str(), *value));
    assert_eq!(of(&other_case), ldu(Some(1), Some(1000)));
    assert_eq!(of(&[("Data_Processing_Options", "LDU")]), ldu(Some(0), Some(0)));
    for first in ["", "{ldu}", "all"] {
        let repeated = [("data_processing_options", first), ("data_processing_options", "ldu")];
        assert_eq!(of(&repeated), ldu(Some(0), Some(0)), "{first}");
    }
    let unfilled = [("data_processing_options_state", "{state}"), ("data_processing_options_state", "1000")];
    assert_eq!(of(&[&full[..2], &unfilled].concat()), ldu(Some(1), Some(1000)));
}

#[test]
fn a_clicks_own_parameters_never_pose_as_consent() {
    let mut params: Map<String, Value> = Map::new();
    for (name, value) in [("GPC", "1"), ("gdpr", "maybe"), ("sub1", "x")] {
        params.insert(name.into(), value.into());
    }
    of_click(&[("ad_user_data", "denied")], false).put_into(&mut params);
    let mut left: Vec<_> =
        params.iter().map(|(name, value)| (name.as_str(), value.as_str().unwrap_or_default())).collect();
    left.sort_unstable();
    assert_eq!(left, [("ad_user_data", "denied"), ("sub1", "x")]);
}
