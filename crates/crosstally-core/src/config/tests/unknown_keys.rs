//! A key that is not known is a problem at every level, with its place and the key that was meant.

use super::*;

/// Levels: the document around a misspelt key, whose place is `@`; the level's path; its keys.
pub(super) const LEVELS: &[(&str, &str, &[&str])] = &[
    (
        "[workspace]\n@ = 1\n",
        "workspace",
        &["base_currency", "timezone", "default_region", "keep_contact", "consent_policy", "public_hosts"],
    ),
    (
        "[fraud]\n@ = 1\n",
        "fraud",
        &[
            "repeated_contact",
            "repeated_address",
            "click_flood",
            "data_centres",
            "bots",
            "data_centre_networks",
        ],
    ),
    ("[fraud]\nclick_flood = { @ = 1 }\n", "fraud.click_flood", &["more_than", "within"]),
    ("[[source]]\nslug = \"a\"\n@ = 1\n", "source[a]", &["preset", "cost"]),
    ("[[source]]\nslug = \"a\"\ncost = { @ = 1 }\n", "source[a].cost", &["param", "currency", "per"]),
    ("[[offer]]\nslug = \"a\"\n@ = 1\n", "offer[a]", &["target", "cap", "redirect"]),
    ("[[offer]]\nslug = \"a\"\ncap = { @ = 1 }\n", "offer[a].cap", &["daily", "total", "overflow"]),
    ("[[lander]]\nslug = \"a\"\n@ = 1\n", "lander[a]", &["target"]),
    ("[[path]]\nslug = \"a\"\n@ = 1\n", "path[a]", &["when", "condition", "landers", "offers", "redirect"]),
    (
        "[[campaign]]\nslug = \"a\"\n@ = 1\n",
        "campaign[a]",
        &["source", "target", "paths", "redirect", "sticky", "cost_model", "test"],
    ),
    (
        "[[campaign]]\nslug = \"a\"\ncost_model = { kind = \"cpc\", amount = \"1\", @ = 1 }\n",
        "campaign[a].cost_model",
        &["kind", "amount", "currency"],
    ),
    (
        "[[partner]]\nslug = \"a\"\n@ = 1\n",
        "partner[a]",
        &[
            "preset",
            "currency",
            "value",
            "params",
            "statuses",
            "status_with",
            "test_when",
            "missing_status",
            "duplicates",
            "auth",
        ],
    ),
    (
        "[[partner]]\nslug = \"a\"\nparams = { @ = \"x\" }\n",
        "partner[a].params",
        &[
            "click_id",
            "transaction_id",
            "status",
            "payout",
            "revenue",
            "currency",
            "event_time",
            "external_id",
        ],
    ),
    (
        "[[partner]]\nslug = \"a\"\nauth = { @ = 1 }\n",
        "partner[a].auth",
        &["token", "token_in", "hmac", "secret", "old_secret", "scheme", "allow"],
    ),
    (
        "[[partner]]\nslug = \"a\"\nauth = { token = { @ = \"X\" } }\n",
        "partner[a].auth.token",
        &["env", "file", "sealed"],
    ),
    (
        "[[destination]]\nslug = \"a\"\nkind = \"meta\"\n@ = 1\n",
        "destination[a]",
        &[
            "slug",
            "kind",
            "allow_private",
            "consent_policy",
            "in_order",
            "rate",
            "dataset_id",
            "access_token",
            "test_event_code",
            "endpoint",
        ],
    ),
    (
        "[[destination]]\nslug = \"a\"\nkind = \"meta\"\naccess_token = { @ = \"X\" }\n",
        "destination[a].access_token",
        &["env", "file", "sealed"],
    ),
    (
        "[[goal]]\nslug = \"a\"\n@ = 1\n",
        "goal[a]",
        &[
            "role",
            "when",
            "event_name",
            "send_to",
            "delay",
            "event_id",
            "send_value",
            "value_at",
            "expected",
            "action_source",
        ],
    ),
];

#[test]
fn at_every_level() {
    for (around, level, keys) in LEVELS {
        for key in *keys {
            let typo = format!("{key}x");
            let problems = bad(&around.replace('@', &typo));
            let path = format!("{level}.{typo}");
            let found: Vec<&Problem> = problems.iter().filter(|problem| problem.path == path).collect();
            let [found] = found.as_slice() else { panic!("{path}: {}", shown(&problems)) };
            assert!(found.problem.starts_with(&format!("`{typo}` is not a ")), "{found}");
            assert_eq!(found.fix, format!("did you mean `{key}`?"), "{path}");
            let line = around.split('@').next().unwrap().matches('\n').count() + 1;
            assert_eq!(found.line, line, "{path}");
        }
    }
}

#[test]
fn at_the_top() {
    for section in crate::config::read::sections() {
        let problems = bad(&format!("[{section}s]\n"));
        assert_eq!(problems.len(), 1);
        assert_eq!(problems[0].problem, format!("`{section}s` is not a section"));
        assert_eq!(problems[0].fix, format!("did you mean `{section}`?"));
    }
}

#[test]
fn a_key_that_is_like_no_other_is_told_what_there_is() {
    let problem = &bad("[[source]]\nslug = \"a\"\ncolour = 1\n")[0];
    assert_eq!(
        problem.to_string(),
        "test.toml:3:1: `colour` is not a key of source\n  fix: use one of `slug`, `preset`, `cost`"
    );
    // Signs that a terminal would act on are written out.
    let problem = &bad("\"\\u001b[31mred\" = 1\n")[0];
    assert_eq!(problem.problem, "`\\u001B[31mred` is not a section");
}
