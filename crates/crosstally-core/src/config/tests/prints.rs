//! What is printed reads back as the same configuration.

use ipnet::IpNet;
use proptest::prelude::*;

use super::*;
use crate::browser::Site;
use crate::condition::Condition;
use crate::consent::ConsentPolicy;
use crate::contract::{Contract, Meaning, Range, Terms};
use crate::fields::FIELDS;
use crate::fraud::{Fraud, Often, Ranges};
use crate::ledger::Status;
use crate::postback::signature::{SCHEMES, Scheme};
use crate::redirect::Redirect;
use crate::retention::Retention;
use crate::rotation::Sticky;
use crate::secret::Secret;
use crate::target::Target;

mod rotations;

use rotations::{lead, rotations};

#[test]
fn the_canonical_document() {
    let printed = print(&good(FULL)).unwrap();
    let expected = include_str!("fixtures/canonical.toml");
    assert_eq!(printed, expected);
    assert_eq!(good(&printed), good(FULL));
    assert_eq!(print(&good(&printed)).unwrap(), printed);
    assert_eq!(
        print(&Config::empty()).unwrap(),
        "[workspace]\nbase_currency = \"USD\"\ntimezone = \"UTC\"\n"
    );
}

const WITH_LITERALS: &str = r#"
[[partner]]
slug = "acme"
auth = { token = "hunter2", hmac = "hunter3" }

[[destination]]
slug = "meta-main"
kind = "meta"
dataset_id = "1"
access_token = "hunter4"

[[destination]]
slug = "net"
kind = "postback"
url = "https://net.example/?c={click_id}"
secret = { env = "KEY" }
"#;

#[test]
fn plain_secrets_are_sealed_before_they_are_printed() {
    let mut config = good(WITH_LITERALS);
    let refused = print(&config).unwrap_err();
    assert_eq!(refused.record, "partner/acme/auth.token");
    assert!(!refused.to_string().contains("hunter2"));

    let mut sealed = Vec::new();
    config.seal(&mut |record, secret| {
        sealed.push((record.to_owned(), secret.expose().to_owned()));
        format!("sealed-{}", sealed.len())
    });
    let expected = [
        ("partner/acme/auth.token", "hunter2"),
        ("partner/acme/auth.hmac", "hunter3"),
        ("destination/meta-main/access_token", "hunter4"),
    ];
    let expected = expected.map(|(record, secret)| (record.to_owned(), secret.to_owned()));
    assert_eq!(sealed, expected);

    let records: Vec<(String, SecretRef)> =
        secrets(&config).into_iter().map(|(record, reference)| (record, reference.clone())).collect();
    let sealed = |number: usize| SecretRef::Sealed(format!("sealed-{number}"));
    assert_eq!(
        records,
        [
            ("partner/acme/auth.token".to_owned(), sealed(1)),
            ("partner/acme/auth.hmac".to_owned(), sealed(2)),
            ("destination/meta-main/access_token".to_owned(), sealed(3)),
            ("destination/net/secret".to_owned(), SecretRef::Env("KEY".to_owned())),
        ]
    );
    let printed = print(&config).unwrap();
    assert!(!printed.contains("hunter"), "{printed}");
    assert!(printed.contains("access_token = { sealed = \"sealed-3\" }"), "{printed}");
    assert_eq!(good(&printed), config);
    // Sealing again finds nothing to seal.
    config.seal(&mut |record, _| panic!("{record} is sealed already"));
}

fn slug() -> impl Strategy<Value = String> {
    "[a-z0-9_-]{1,64}"
}

/// A text that may stand in a setting: anything but control characters and mere space.
fn text() -> impl Strategy<Value = String> {
    "[\\PC\\n\\t\"'\\\\]{0,30}[^\\s\\pC]"
}

/// A text on one line without space at its ends.
fn name() -> impl Strategy<Value = String> {
    "[^\\s\\pC]([^\\pC]{0,20}[^\\s\\pC])?"
}

fn secret() -> impl Strategy<Value = SecretRef> {
    prop_oneof![
        "[A-Z_][A-Z0-9_]{0,20}".prop_map(SecretRef::Env),
        "/[a-z/. \"\\\\]{0,20}[a-z]".prop_map(SecretRef::File),
        "[A-Za-z0-9_.=-]{1,40}".prop_map(SecretRef::Sealed),
    ]
}

fn one_of<W: Word + std::fmt::Debug>() -> impl Strategy<Value = W> {
    prop::sample::select(W::ALL)
}

fn currency() -> impl Strategy<Value = Currency> {
    prop::sample::select(vec!["USD", "EUR", "JPY", "KWD"]).prop_map(|code| code.parse().unwrap())
}

fn workspace() -> impl Strategy<Value = Workspace> {
    let zones = prop::sample::select(vec!["UTC", "Europe/Berlin", "America/New_York", "Asia/Tokyo"]);
    let regions = prop::sample::select(vec![None, Some("US"), Some("DE")]);
    let hosts = prop::sample::subsequence(vec!["track.example", "xn--bcher-kva.example", "8.8.8.8"], 0..=3);
    (currency(), zones, regions, any::<bool>(), consent_policy(), hosts).prop_map(
        |(base_currency, zone, region, keep_contact, consent_policy, hosts)| Workspace {
            base_currency,
            timezone: zone.to_owned(),
            default_region: region.map(str::to_owned),
            keep_contact,
            consent_policy,
            public_hosts: hosts.into_iter().map(str::to_owned).collect(),
        },
    )
}

fn consent_policy() -> impl Strategy<Value = ConsentPolicy> {
    (prop::option::of(one_of()), prop::option::of(one_of()))
        .prop_map(|(when_denied, gpc)| ConsentPolicy { when_denied, gpc })
}

fn retention() -> impl Strategy<Value = Retention> {
    let span = || prop::option::of((2..=3650_i64).prop_map(|days| days * 86_400_000));
    (span(), span(), span()).prop_map(|(ip, user_agent, raw)| Retention { ip, user_agent, raw })
}

fn fraud() -> impl Strategy<Value = Fraud> {
    let often = |longest: i64| {
        let spans = 1_000..=longest;
        prop::option::of(
            (0..=1_000_u32, spans).prop_map(|(more_than, within_ms)| Often { more_than, within_ms }),
        )
    };
    let v4 = (any::<u32>(), 0..=32_u8).prop_map(|(bits, length)| {
        IpNet::new(std::net::Ipv4Addr::from(bits).into(), length).unwrap().trunc()
    });
    let v6 = (any::<u64>(), 1..=128_u8).prop_map(|(bits, length)| {
        let address = std::net::Ipv6Addr::from(0x2000_u128 << 112 | u128::from(bits));
        IpNet::new(address.into(), length).unwrap().trunc()
    });
    let ranges = prop::collection::vec(prop_oneof![v4, v6], 0..6);
    (often(90 * 86_400_000), often(90 * 86_400_000), often(3_600_000), ranges).prop_map(
        |(repeated_contact, repeated_address, click_flood, ranges)| Fraud {
            repeated_contact,
            repeated_address,
            click_flood,
            bots: ranges.len() % 2 == 1,
            data_centre_networks: (0..u32::try_from(ranges.len()).unwrap() / 3).collect(),
            data_centres: Ranges::new(&ranges),
        },
    )
}

fn campaigns(sources: Vec<String>) -> impl Strategy<Value = Vec<Campaign>> {
    let sources: Vec<String> = sources.into_iter().chain([String::new()]).collect();
    let targets = "https://[a-z]{1,10}\\.example/[a-z{}_]{0,10}\\?[a-z=&{}_]{0,20}";
    let cost = prop::option::of(
        (0..=1_000_000_i64, currency()).prop_map(|(minor, currency)| Money { minor, currency }),
    );
    let campaign = (prop::sample::select(sources), targets, cost, any::<bool>());
    prop::collection::btree_map(slug(), campaign, 0..4).prop_map(|campaigns| {
        let make = |(slug, (source, target, cost, test)): (String, (String, String, Option<Money>, bool))| {
            Campaign {
                slug,
                source,
                leads: Leads::Target(Target::parse(&target).unwrap()),
                redirect: Redirect::default(),
                sticky: Sticky::default(),
                cost_model: cost.map(CostModel::Cpc),
                test,
                sites: if test { vec![Site::parse("*.shop.example").unwrap()] } else { Vec::new() },
            }
        };
        campaigns.into_iter().map(make).collect()
    })
}

fn auth() -> impl Strategy<Value = Auth> {
    let ranges =
        prop::sample::subsequence(vec!["10.0.0.0/8", "203.0.113.7/32", "2001:db8::/32", "0.0.0.0/0"], 0..4);
    let (one, places) =
        (|| prop::option::of(secret()), prop::sample::subsequence(TokenPlace::ALL.to_vec(), 1..=2));
    let signed = (one(), one(), prop::option::of(one_of::<Scheme>()), any::<bool>());
    (one(), prop::option::of(places), signed, ranges).prop_map(|(token, token_in, signed, allow)| Auth {
        token_in: token_in.filter(|_| token.is_some()),
        token,
        // Either the short form or the long one; what goes with a secret needs one.
        hmac: signed.0.clone().filter(|_| signed.3),
        secret: signed.0.clone().filter(|_| !signed.3),
        old_secret: signed.1.filter(|_| signed.0.is_some()),
        scheme: signed.2.filter(|_| signed.0.is_some() && !signed.3),
        allow: allow.into_iter().map(|range| range.parse().unwrap()).collect(),
    })
}

fn params() -> impl Strategy<Value = BTreeMap<String, Vec<String>>> {
    let fields: Vec<&str> = FIELDS.iter().map(|field| field.name).collect();
    let fields = prop::sample::subsequence(fields, 0..8);
    (fields, "[a-z \"=.é]{0,8}", 1..4_usize).prop_map(|(fields, tail, names)| {
        // Numbers first keep the names apart.
        let named = |at: usize| (0..names).map(|name| format!("{at}_{name}{tail}x")).collect();
        fields.into_iter().enumerate().map(|(at, field)| (field.to_owned(), named(at))).collect()
    })
}

fn some<W: Word + std::fmt::Debug>() -> impl Strategy<Value = Option<W>> {
    prop::option::of(one_of::<W>())
}

/// The terms by which calls are read.
fn reading() -> impl Strategy<Value = Terms> {
    let word = name()
        .prop_map(|word| word.to_lowercase())
        .prop_filter("settled", |word| word.to_lowercase() == *word && word.trim() == word && word != "*");
    let meaning =
        prop_oneof![one_of::<Status>().prop_map(Meaning::Status), Just(Meaning::Ignore), Just(Meaning::Ask)];
    let numbers = (some(), some(), some(), some(), some(), prop::option::of(currency()), some());
    let statuses = prop::collection::btree_map(word, meaning, 0..4);
    let status_with = prop::option::of(prop::collection::vec("[a-z.]{1,8}x", 0..3));
    let test_when = prop::collection::btree_map("[a-z.]{1,8}x", "[a-z0-9]{1,8}", 0..3);
    let code = currency().prop_map(|currency| currency.code().to_owned());
    let minor_digits = prop::collection::btree_map(code, 0..=4_u32, 0..3);
    (numbers, params(), statuses, some(), status_with, test_when, minor_digits).prop_map(
        |(numbers, params, statuses, missing_status, status_with, test_when, minor_digits)| {
            let (amounts, decimal, thousands, rounding, encoding, currency, value) = numbers;
            Terms {
                params,
                statuses,
                status_with,
                test_when,
                missing_status,
                currency,
                value,
                amounts,
                minor_digits,
                decimal,
                thousands,
                rounding,
                encoding,
                ..Terms::default()
            }
        },
    )
}

/// The terms by which calls are judged and answered.
fn judging() -> impl Strategy<Value = Terms> {
    let fields: Vec<String> = FIELDS.iter().map(|field| field.name.to_owned()).collect();
    let lists = (
        prop::option::of(prop::collection::vec(currency(), 0..3)),
        prop::option::of(prop::sample::subsequence(fields, 0..3)),
        prop::option::of(prop::sample::subsequence(Status::ALL.to_vec(), 0..5)),
        prop::option::of(prop::collection::vec(name(), 0..3)),
    );
    let bound = || prop::option::of(prop::sample::select(vec!["0", "0.10", "500", "12.345"]));
    let range = (bound(), bound())
        .prop_map(|(min, max)| Range { min: min.map(str::to_owned), max: max.map(str::to_owned) });
    let field = prop::sample::select(vec!["payout", "revenue"]).prop_map(str::to_owned);
    let ranges = prop::collection::btree_map(field, range, 0..3);
    let modes =
        (some(), prop::collection::btree_map("[a-c]{1,4}", one_of(), 0..3), some(), some(), some(), some());
    let answers = (some(), prop::option::of(name()), prop::option::of(prop::sample::select(SCHEMES)), some());
    let times = (prop::option::of(1..315_360_000_000_i64), prop::option::of(any::<bool>()));
    (lists, ranges, modes, answers, times).prop_map(|(lists, ranges, modes, answers, times)| {
        let (currencies, required, allowed, volatile) = lists;
        let (duplicates, duplicates_of, transaction_scope, negative, reversal, fx) = modes;
        let (answer, answer_text, signature, missing_status) = answers;
        let (max_delay_ms, late_approvals) = times;
        Terms {
            currencies,
            required,
            volatile,
            allowed,
            ranges,
            max_delay_ms,
            late_approvals,
            negative,
            reversal,
            duplicates,
            duplicates_of,
            transaction_scope,
            fx,
            answer,
            answer_text,
            signature: signature.map(str::to_owned),
            missing_status,
            ..Terms::default()
        }
    })
}

fn partners() -> impl Strategy<Value = Vec<Partner>> {
    let preset = prop::sample::select(vec!["generic", "affise", "stripe"]);
    let partner = (preset, reading(), judging(), auth(), prop::option::of(rate()));
    prop::collection::btree_map(slug(), partner, 0..4).prop_map(|partners| {
        partners
            .into_iter()
            .map(|(slug, (preset, reading, judging, auth, rate))| {
                let own = reading.over(&judging);
                Partner {
                    slug,
                    preset: preset.to_owned(),
                    contract: Contract::new(&own, &crate::config::preset::named(preset).unwrap().terms),
                    own,
                    auth,
                    rate,
                    drop_in: None,
                }
            })
            .collect()
    })
}

fn destinations() -> impl Strategy<Value = Vec<Destination>> {
    let meta = ("[0-9]{1,20}", secret(), prop::option::of(text())).prop_map(|(dataset, token, code)| {
        let mut settings = BTreeMap::from([
            ("dataset_id".to_owned(), Setting::Text(dataset)),
            ("access_token".to_owned(), Setting::Secret(token)),
        ]);
        settings.extend(code.map(|code| ("test_event_code".to_owned(), Setting::Text(code))));
        ("meta", settings)
    });
    let headers = prop::collection::btree_map("[\\PC\"\\\\]{0,10}", text(), 0..3);
    let events = prop::collection::vec(text(), 0..3);
    let postback =
        (headers, events, 1..i64::MAX, any::<bool>()).prop_map(|(headers, events, timeout, strict)| {
            let settings = BTreeMap::from([
                ("url".to_owned(), Setting::Text("https://net.example/?c={click_id}".to_owned())),
                ("headers".to_owned(), Setting::Map(headers)),
                ("events".to_owned(), Setting::List(events)),
                ("timeout_s".to_owned(), Setting::Integer(timeout)),
                ("strict".to_owned(), Setting::Flag(strict)),
            ]);
            ("postback", settings)
        });
    let kinds = prop_oneof![meta, postback];
    prop::collection::btree_map(
        slug(),
        (kinds, any::<bool>(), consent_policy(), any::<bool>(), prop::option::of(rate())),
        0..4,
    )
    .prop_map(|destinations| {
        destinations
            .into_iter()
            .map(|(slug, ((kind, settings), allow_private, consent_policy, in_order, rate))| Destination {
                in_order,
                rate,
                slug,
                kind: kind.to_owned(),
                allow_private,
                consent_policy,
                settings,
            })
            .collect()
    })
}

fn rate() -> impl Strategy<Value = Rate> {
    (1..=1_000_000_u32, 1..=1_000_u32).prop_map(|(per_second, burst)| Rate { per_second, burst })
}

fn expected() -> impl Strategy<Value = Expected> {
    (1..=365_i64, 1..=10_000_u32, any::<bool>(), one_of()).prop_map(
        |(days, at_least, by_campaign, otherwise)| Expected {
            within_ms: days * 86_400_000,
            at_least,
            by_campaign,
            otherwise,
        },
    )
}

fn goals(destinations: Vec<String>) -> impl Strategy<Value = Vec<Goal>> {
    let conditions = prop::sample::select(vec![
        "true",
        "status == 'approved' && value > 0",
        "event == \"a\\n\"\n|| attributed",
    ]);
    let send_to = prop::sample::subsequence(destinations.clone(), 0..=destinations.len());
    let sources = prop::sample::select(vec![None, Some("website"), Some("system_generated")]);
    let goal = (
        one_of::<Role>(),
        conditions,
        name(),
        send_to,
        prop_oneof![0..=31_536_000_000_i64, (0..=365_i64).prop_map(|days| days * 86_400_000)],
        one_of::<EventIdMode>(),
        one_of::<SendValue>(),
        (sources, one_of::<ValueAt>(), prop::option::of(expected())),
    );
    prop::collection::btree_map(slug(), goal, 0..4).prop_map(|goals| {
        goals
            .into_iter()
            .enumerate()
            .map(|(at, (slug, (role, when, event, send_to, delay_ms, event_id, send_value, last)))| Goal {
                slug,
                role,
                when: Condition::compile(when).unwrap(),
                // A number keeps facts and signals apart.
                event_name: format!("{at}{event}"),
                send_to,
                delay_ms,
                event_id,
                send_value,
                action_source: last.0.map(str::to_owned),
                value_at: last.1,
                expected: last.2,
            })
            .collect()
    })
}

fn config() -> impl Strategy<Value = Config> {
    let sources = prop::collection::btree_set(slug(), 0..4);
    ((workspace(), retention()), fraud(), sources, partners(), destinations()).prop_flat_map(
        |((workspace, retention), fraud, sources, partners, destinations)| {
            let slugs =
                destinations.iter().map(|destination: &Destination| destination.slug.clone()).collect();
            let sources: Vec<String> = sources.into_iter().collect();
            let made = (campaigns(sources.clone()), goals(slugs), rotations());
            made.prop_map(move |(mut campaigns, goals, (offers, landers, paths, ways))| Config {
                workspace: workspace.clone(),
                fraud: fraud.clone(),
                retention,
                sources: sources
                    .iter()
                    .map(|slug| Source { slug: slug.clone(), preset: "meta".to_owned(), cost: None })
                    .collect(),
                offers,
                landers,
                paths,
                campaigns: {
                    lead(&mut campaigns, &ways);
                    campaigns
                },
                partners: partners.clone(),
                destinations: destinations.clone(),
                goals,
                preflights: Vec::new(),
            })
        },
    )
}

proptest! {
    #[test]
    fn printing_and_reading_is_exact(config in config()) {
        let printed = print(&config).unwrap();
        let back = read(&printed, "printed.toml", &Shelf).map_err(|problems| TestCaseError::fail(shown(&problems)))?.0;
        prop_assert!(plan(&config, &back).is_empty());
        prop_assert_eq!(&back, &config);
        prop_assert_eq!(print(&back).unwrap(), printed);
    }

    #[test]
    fn a_plan_is_empty_only_if_nothing_differs(old in config(), new in config()) {
        prop_assert_eq!(plan(&old, &new).is_empty(), old == new);
    }
}

#[test]
fn a_plain_secret_in_a_setting_is_refused_too() {
    let mut config = good(FULL);
    let key = Setting::Secret(SecretRef::Literal(Secret::new("hunter2")));
    config.destinations[1].settings.insert("secret".to_owned(), key);
    assert_eq!(print(&config).unwrap_err().record, "destination/net/secret");
}
