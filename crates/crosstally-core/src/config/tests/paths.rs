//! Offers, landers, paths and the campaigns that have them.

use super::*;
use crate::redirect::Redirect;
use crate::rotation::{Kind, Sticky};
use crate::rule::Pair;

/// Two offers, one of them with a cap, a lander, and three paths.
const ROTATION: &str = r#"
[[source]]
slug = "pops"
preset = "generic"
cost = { currency = "EUR", per = "mille" }

[[offer]]
slug = "acme-de"
target = "https://shop.example/de?c={click_id}&s={sub1}"
cap = { daily = 100, total = 5000, overflow = "acme" }

[[offer]]
slug = "acme"
target = "https://shop.example/?c={click_id}"
redirect = "307"

[[lander]]
slug = "quiz"
target = "https://quiz.example/?c={click_id}"

[[path]]
slug = "german-phones"
when = { country = ["DE", "AT"], device = "mobile", hour = "8-20", sub1 = ["!bot", "!test"], param.zone = "7" }
landers = { quiz = 70 }
offers = { acme-de = 30 }
redirect = "js"

[[path]]
slug = "again"
condition = "returning && day != 'sun'"
offers = { acme = 1 }

[[path]]
slug = "rest"
offers = { acme = 1 }

[[campaign]]
slug = "summer"
source = "pops"
paths = ["german-phones", "again", "rest"]
redirect = "meta"
sticky = "cookie"
"#;

#[test]
fn a_rotation_reads_as_it_is_written() {
    assert_eq!(warned(ROTATION), Vec::<String>::new());
    let config = good(ROTATION);
    let cost = config.sources[0].cost.as_ref().unwrap();
    assert_eq!((cost.param.as_str(), cost.currency.code()), ("cost", "EUR"));
    let cap = config.offers[0].cap.as_ref().unwrap();
    assert_eq!((cap.daily, cap.total, cap.overflow.as_str()), (Some(100), Some(5_000), "acme"));
    assert_eq!(config.offers[1].redirect, Redirect::Temporary);
    let path = &config.paths[0];
    let members: Vec<_> =
        path.members.iter().map(|member| (member.kind, member.slug.as_str(), member.weight)).collect();
    assert_eq!(members, [(Kind::Lander, "quiz", 70), (Kind::Offer, "acme-de", 30)]);
    assert_eq!(path.redirect, Some(Redirect::Script));
    assert_eq!(path.rule.pairs.len(), 5, "{:?}", path.rule.pairs);
    let none_of = |pair: &&Pair| matches!(pair, Pair::Param { name, not: true, values } if name == "sub1" && values.len() == 2);
    assert!(path.rule.pairs.iter().any(|pair| none_of(&pair)), "{:?}", path.rule.pairs);
    let needs = path.rule.needs();
    assert!(needs.place && needs.device && !needs.returning);
    let campaign = config.campaign("summer").unwrap();
    assert_eq!((campaign.redirect, campaign.sticky), (Redirect::Meta, Sticky::Cookie));
    assert_eq!(campaign.leads, Leads::Paths(["german-phones", "again", "rest"].map(str::to_owned).to_vec()));
    let again = good(&print(&config).unwrap());
    assert_eq!(again, config);
}

#[test]
fn a_plan_sees_a_weight_an_order_and_a_cap() {
    let old = good(ROTATION);
    for (from, to, told) in [
        ("quiz = 70", "quiz = 60", "path german-phones"),
        ("\"german-phones\", \"again\"", "\"again\", \"german-phones\"", "campaign summer"),
        ("daily = 100", "daily = 90", "offer acme-de"),
        ("\"!bot\", \"!test\"", "\"bot\", \"test\"", "path german-phones"),
    ] {
        let changes = plan(&old, &good(&ROTATION.replace(from, to)));
        let what: Vec<&str> = changes.iter().map(|change| change.what.as_str()).collect();
        assert_eq!(what, [told], "{to}");
    }
}

/// The rotation with one place written another way is refused for this.
fn refused(from: &str, to: &str, problem: &str) {
    assert!(ROTATION.contains(from), "{from}");
    let problems = bad(&ROTATION.replacen(from, to, 1));
    assert!(problems.iter().any(|found| found.problem.contains(problem)), "{to}: {}", shown(&problems));
}

#[test]
fn what_could_leave_a_visitor_nowhere_is_refused() {
    for (paths, problem) in [
        ("[\"german-phones\", \"again\"]", "the last path `again` is not for all"),
        ("[\"german-phones\", \"rest\", \"again\"]", "the path `rest` is for all"),
        ("[\"again\", \"again\", \"rest\"]", "the path `again` is never taken"),
        ("[\"agaim\", \"rest\"]", "there is no path `agaim`"),
        ("[]", "`paths` is empty"),
    ] {
        refused("[\"german-phones\", \"again\", \"rest\"]", paths, problem);
    }
    for (members, problem) in [
        ("", "the path leads nowhere"),
        ("offers = { acme = 0 }", "all weights of the path are 0"),
        ("offers = { acme = -1 }", "a weight is not between"),
        ("landers = { quizz = 1 }", "there is no lander `quizz`"),
    ] {
        refused("offers = { acme = 1 }", members, problem);
    }
    let target = "slug = \"summer\"\ntarget = \"https://a.example/{click_id}\"";
    refused("slug = \"summer\"", target, "either `target` or `paths`");
}

#[test]
fn caps_that_lead_nowhere_or_hold_nothing_are_refused() {
    for (cap, problem) in [
        ("daily = 100, overflow = \"acme-de\"", "does not end at an offer without a cap"),
        ("daily = 100, overflow = \"other\"", "there is no offer `other`"),
        ("overflow = \"acme\"", "`cap` has neither `daily` nor `total`"),
        ("daily = -1, overflow = \"acme\"", "`daily` is not between"),
    ] {
        refused("daily = 100, total = 5000, overflow = \"acme\"", cap, problem);
    }
}

#[test]
fn words_that_no_visitor_can_match_are_refused() {
    for (key, written, problem) in [
        ("redirect = \"js\"", "redirect = \"301\"", "`301` is not a value of `redirect`"),
        ("device = \"mobile\"", "device = \"phone\"", "`device` is never `phone`"),
        ("[\"DE\", \"AT\"]", "\"Germany\"", "`country` is never `Germany`"),
        ("hour = \"8-20\"", "hour = \"8-8\"", "`8-8` is not an hour"),
        ("\"!test\"", "\"test\"", "what it is and what it is not stand in one list"),
        ("country = ", "countri = ", "`countri` is not known in `when`"),
        ("returning &&", "retuning &&", "uses `retuning`"),
        ("shop.example/?c=", "{sub1}.example/?c=", "has a macro in its host"),
    ] {
        refused(key, written, problem);
    }
}

#[test]
fn a_campaign_with_one_target_draws_nothing() {
    let document = "[[campaign]]\nslug = \"a\"\ntarget = \"https://a.example/?c={click_id}\"\n";
    assert!(good(document).campaigns[0].target().is_some());
    let sticky = format!("{document}sticky = \"cookie\"\n");
    assert!(bad(&sticky)[0].problem.contains("of no use"));
    let redirected = good(&format!("{document}redirect = \"no_referrer\"\n"));
    assert_eq!(redirected.campaigns[0].redirect, Redirect::NoReferrer);
}
