//! Reads paths, and the lists of them that campaigns have.

use super::campaign::Known;
use super::document::{Item, Section, Text, shown};
use super::findings::Findings;
use super::offer::known;
use super::slugs::Slugs;
use crate::device;
use crate::expression::Expression;
use crate::limits::PARAM_NAME_BYTES_MAX;
use crate::nearest::nearest;
use crate::rotation::{Kind, Member, Path};
use crate::rule::{self, Pair, Rule, TEXTS, VARIABLES};

/// The most that one weight may be.
const WEIGHT_MAX: i64 = 1_000_000;
/// The most landers and offers of one path, and paths of one campaign.
const MEMBERS_MAX: usize = 100;

pub(super) fn path(
    section: &Section<'_>,
    slug: String,
    landers: &Slugs,
    offers: &Slugs,
    found: &mut Findings<'_>,
) -> Option<Path> {
    section.refuse_unknown(["slug", "when", "condition", "landers", "offers", "redirect"], found);
    let pairs = section.table("when", "{ country = [\"DE\"] }", found).map(|when| pairs(&when, found));
    let condition = section.text("condition", found).and_then(|text| condition(&text, found));
    let redirect = section.word("redirect", found);
    let mut members = members(section, ("landers", "lander", Kind::Lander), landers, found);
    members.extend(self::members(section, ("offers", "offer", Kind::Offer), offers, found));
    let named = section.item("landers").is_some() || section.item("offers").is_some();
    if !named {
        let fix = "add offers = { \"an-offer\" = 1 } or landers = { \"a-lander\" = 1 }";
        found.problem(&section.spot, "the path leads nowhere", fix);
    } else if members.len() > MEMBERS_MAX {
        let problem = format!("the path has more than {MEMBERS_MAX} landers and offers");
        found.problem(&section.spot, problem, format!("keep to {MEMBERS_MAX}"));
    } else if !members.is_empty() && members.iter().all(|member| member.weight == 0) {
        found.problem(
            &section.spot,
            "all weights of the path are 0",
            "give one of them a weight of 1 or more",
        );
    }
    let rule = Rule { pairs: pairs.unwrap_or_default(), condition };
    Some(Path { slug, rule, members, redirect })
}

fn members(
    section: &Section<'_>,
    (key, singular, kind): (&str, &str, Kind),
    slugs: &Slugs,
    found: &mut Findings<'_>,
) -> Vec<Member> {
    let Some(table) = section.table(key, &format!("{{ \"a-{singular}\" = 1 }}"), found) else {
        return Vec::new();
    };
    let mut members = Vec::new();
    for (spot, item) in table.items() {
        known(slugs, singular, &item.key, &spot, found);
        let Some(number) = item.integer(found) else { continue };
        match u32::try_from(number).ok().filter(|_| number <= WEIGHT_MAX) {
            Some(weight) => members.push(Member { kind, slug: item.key, weight }),
            None => {
                let problem = format!("a weight is not between 0 and {WEIGHT_MAX}");
                found.problem(&item.spot, problem, "write a whole number such as 50");
            }
        }
    }
    members.sort_by(|a, b| a.slug.cmp(&b.slug));
    members
}

fn condition(text: &Text<'_>, found: &mut Findings<'_>) -> Option<Expression> {
    const EXAMPLE: &str = "write it like \"country == 'DE' && device == 'mobile'\"";
    match Expression::compile(text.text, VARIABLES) {
        Ok(expression) => Some(expression),
        Err(problem) => {
            let (sentence, rest) = problem.split_once("; ").unwrap_or((&problem, ""));
            let name = sentence.split('`').nth(1).unwrap_or("");
            let near = nearest(name, VARIABLES.iter().map(|(known, _)| *known));
            let fix = match near {
                Some(near) => format!("did you mean `{near}`?"),
                None if rest.is_empty() => EXAMPLE.to_owned(),
                None => format!("use what is known; {rest}"),
            };
            found.problem(&text.spot, sentence, fix);
            None
        }
    }
}

fn pairs(when: &Section<'_>, found: &mut Findings<'_>) -> Vec<Pair> {
    let mut pairs = Vec::new();
    for (spot, item) in when.items() {
        let key = item.key.clone();
        if let Some(name) = TEXTS.iter().copied().find(|known| *known == key) {
            let Some((not, values)) = values(item, found) else { continue };
            check_words(name, &values, when, found);
            pairs.push(Pair::Text { name, not, values });
        } else if key == "hour" {
            let texts: Vec<Text<'_>> = texts(item, found);
            let mut bits = 0;
            for text in &texts {
                match rule::hours(text.text) {
                    Some(hours) => bits |= hours,
                    None => {
                        let problem = format!("{} is not an hour or a span of hours", shown(text.text));
                        found.problem(&text.spot, problem, "write \"8-20\" for eight to before twenty");
                    }
                }
            }
            pairs.push(Pair::Hours(texts.iter().map(|text| text.text.to_owned()).collect(), bits));
        } else if key == "returning" {
            pairs.extend(item.flag(found).map(Pair::Returning));
        } else if key == "param" {
            let Some(table) = item.into_table("{ sub1 = [\"a\"] }", found) else { continue };
            for (_, item) in table.items() {
                pairs.extend(param(item, found));
            }
        } else if is_sub(&key) {
            pairs.extend(param(item, found));
        } else {
            let names = TEXTS.iter().copied().chain(["hour", "returning", "param"]);
            let fix = match nearest(&key, names.clone()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("write param.{key} for a parameter of the click, or {}", listed(names)),
            };
            found.problem(&spot, format!("{} is not known in `when`", shown(&key)), fix);
        }
    }
    pairs.sort_by_key(place);
    pairs
}

/// The order in which pairs are written and asked: what costs nothing first.
fn place(pair: &Pair) -> (usize, String) {
    match pair {
        Pair::Returning(_) => (0, String::new()),
        Pair::Hours(..) => (1, String::new()),
        Pair::Text { name, .. } => (2, (*name).to_owned()),
        Pair::Param { name, .. } => (3, name.clone()),
    }
}

fn listed<'n>(names: impl Iterator<Item = &'n str>) -> String {
    names.collect::<Vec<_>>().join(", ")
}

/// `sub1` to `sub30`.
fn is_sub(key: &str) -> bool {
    key.strip_prefix("sub").is_some_and(|n| {
        n.len() <= 2 && !n.starts_with('0') && n.parse::<u8>().is_ok_and(|n| (1..=30).contains(&n))
    })
}

fn param(item: Item<'_>, found: &mut Findings<'_>) -> Option<Pair> {
    let name = item.key.clone();
    if name.is_empty() || name.len() > PARAM_NAME_BYTES_MAX {
        let problem = format!("a parameter's name has 1 to {PARAM_NAME_BYTES_MAX} bytes");
        found.problem(&item.spot, problem, "write the name as click links have it");
        return None;
    }
    let (not, values) = values(item, found)?;
    Some(Pair::Param { name, not, values })
}

/// A text, or a list of them.
fn texts<'t>(item: Item<'t>, found: &mut Findings<'_>) -> Vec<Text<'t>> {
    if item.is_list() { item.list(found) } else { item.into_text(found).into_iter().collect() }
}

/// What a fact may be, or, with `!` before each, what it may not be.
fn values(item: Item<'_>, found: &mut Findings<'_>) -> Option<(bool, Vec<String>)> {
    let spot = item.spot.clone();
    let texts = texts(item, found);
    let not = texts.first()?.text.starts_with('!');
    if texts.iter().any(|text| text.text.starts_with('!') != not) {
        let fix = "write `!` before all of them or before none";
        found.problem(&spot, "what it is and what it is not stand in one list", fix);
        return None;
    }
    let bare = |text: &Text<'_>| text.text.strip_prefix('!').unwrap_or(text.text).to_owned();
    Some((not, texts.iter().map(bare).collect()))
}

/// Values that a fact can never have would make a path that nobody takes.
fn check_words(name: &str, values: &[String], when: &Section<'_>, found: &mut Findings<'_>) {
    let words: Vec<&str> = match name {
        "device" => device::KINDS.to_vec(),
        "os" => device::SYSTEMS.to_vec(),
        "browser" => device::BROWSERS.to_vec(),
        "day" => crate::visit::DAYS.to_vec(),
        _ => Vec::new(),
    };
    for value in values {
        let lower = value.to_ascii_lowercase();
        let two_letters = value.len() == 2 && value.bytes().all(|b| b.is_ascii_alphabetic());
        let fix = match name {
            "country" if !two_letters => "use two letters of ISO 3166 such as \"DE\"".to_owned(),
            "asn" if value.parse::<u32>().is_err() => "write the network's number, \"16509\"".to_owned(),
            _ if !words.is_empty() && !words.contains(&lower.as_str()) => found.meant(&lower, words.clone()),
            _ => continue,
        };
        found.problem(&when.spot_of(name), format!("`{name}` is never {}", shown(value)), fix);
    }
}

/// The paths of a campaign: the last is for all, and every one before it can be reached.
pub(super) fn leads(
    item: Item<'_>,
    section: &Section<'_>,
    known_here: &Known<'_>,
    found: &mut Findings<'_>,
) -> Option<Vec<String>> {
    if section.item("target").is_some() {
        let problem = "a campaign has either `target` or `paths`";
        found.problem(&section.spot_of("target"), problem, "remove one of them");
    }
    let spot = item.spot.clone();
    let texts = item.list_of_at_most(MEMBERS_MAX, found);
    let mut before: Vec<&Path> = Vec::new();
    for (at, text) in texts.iter().enumerate() {
        known(known_here.paths, "path", text.text, &text.spot, found);
        let Some(path) = known_here.rules.get(text.text).copied() else { continue };
        let is_last = at + 1 == texts.len();
        if is_last && !path.rule.is_for_all() {
            let problem =
                format!("the last path {} is not for all, so that some visitors had none", shown(text.text));
            found.problem(&text.spot, problem, "add a path without `when` and `condition` at the end");
        } else if !is_last && path.rule.is_for_all() {
            let problem =
                format!("the path {} is for all, so that none behind it is ever taken", shown(text.text));
            found.problem(&text.spot, problem, "move it to the end");
        } else if let Some(same) = before.iter().find(|other| other.rule == path.rule) {
            let problem =
                format!("the path {} is never taken: {} says the same", shown(text.text), shown(&same.slug));
            found.problem(&text.spot, problem, "remove one of them, or let them differ");
        }
        before.push(path);
    }
    if texts.is_empty() {
        found.problem(&spot, "`paths` is empty", "name a path: paths = [\"rest\"]");
        return None;
    }
    Some(texts.iter().map(|text| text.text.to_owned()).collect())
}
