//! Offers, landers and paths of any kind.

use proptest::prelude::*;

use super::one_of;
use crate::config::{Campaign, Leads};
use crate::expression::Expression;
use crate::offer::{Cap, Lander, Offer};
use crate::redirect::Redirect;
use crate::rotation::{Kind, Member, Path, Sticky};
use crate::rule::{Pair, Rule};
use crate::target::Target;

/// What campaigns lead to besides one target: offers, landers, paths, and lists of paths that a campaign may have.
pub(super) type Rotations = (Vec<Offer>, Vec<Lander>, Vec<Path>, Vec<(Vec<String>, Redirect, Sticky)>);

fn pairs() -> impl Strategy<Value = Vec<Pair>> {
    let values = || prop::collection::vec("[a-z0-9=\"é]{1,6}", 1..3);
    let text = (prop::sample::select(vec!["city", "isp", "language", "region"]), any::<bool>(), values());
    let param = ("[a-z. ]{1,6}", any::<bool>(), values());
    let hour = prop::option::of(prop::sample::select(vec!["8-20", "22-6", "0", "7"]));
    (prop::option::of(any::<bool>()), hour, prop::option::of(text), prop::option::of(param)).prop_map(
        |(returning, hour, text, param)| {
            let mut pairs = Vec::new();
            pairs.extend(returning.map(Pair::Returning));
            pairs.extend(
                hour.map(|hour| Pair::Hours(vec![hour.to_owned()], crate::rule::hours(hour).unwrap())),
            );
            pairs.extend(text.map(|(name, not, values)| Pair::Text { name, not, values }));
            pairs.extend(param.map(|(name, not, values)| Pair::Param { name, not, values }));
            pairs
        },
    )
}

pub(super) fn rotations() -> impl Strategy<Value = Rotations> {
    let cap = prop::option::of((prop::option::of(0..1_000_u64), 0..9_u64));
    let path = (pairs(), prop::option::of(0..20_i64), 0..50_u32, 1..50_u32, prop::option::of(one_of()));
    let ways = (one_of(), one_of());
    (cap, prop::collection::vec(path, 0..3), ways).prop_map(|(cap, made, (redirect, sticky))| {
        let target = |host: &str| Target::parse(&format!("https://{host}.example/?c={{click_id}}")).unwrap();
        let cap = cap.map(|(daily, total)| Cap { daily, total: Some(total), overflow: "last".to_owned() });
        let offer = |slug: &str, cap| Offer { slug: slug.into(), target: target("shop"), cap, redirect };
        let offers = vec![offer("first", cap), offer("last", None)];
        let landers = vec![Lander { slug: "quiz".into(), target: target("quiz") }];
        let member = |kind, slug: &str, weight| Member { kind, slug: slug.to_owned(), weight };
        let mut paths: Vec<Path> = made
            .into_iter()
            .enumerate()
            .map(|(at, (pairs, hour, lander, offer, redirect))| {
                // A number keeps the rules apart.
                let text = format!("hour != {} && param.n != '{at}'", hour.unwrap_or(99));
                let condition = Some(Expression::compile(&text, crate::rule::VARIABLES).unwrap());
                let members = vec![member(Kind::Lander, "quiz", lander), member(Kind::Offer, "first", offer)];
                Path { slug: format!("p{at}"), rule: Rule { pairs, condition }, members, redirect }
            })
            .collect();
        let members = vec![member(Kind::Offer, "last", 1)];
        paths.push(Path { slug: "rest".into(), rule: Rule::default(), members, redirect: None });
        let list = paths.iter().map(|path| path.slug.clone()).collect();
        (offers, landers, paths, vec![(list, redirect, sticky)])
    })
}

/// Gives every second campaign paths.
pub(super) fn lead(campaigns: &mut [Campaign], ways: &[(Vec<String>, Redirect, Sticky)]) {
    for (campaign, (paths, redirect, sticky)) in
        campaigns.iter_mut().skip(1).step_by(2).zip(ways.iter().cycle())
    {
        campaign.leads = Leads::Paths(paths.clone());
        (campaign.redirect, campaign.sticky) = (*redirect, *sticky);
    }
}
