//! Documents in order: what they mean.

use super::*;
use crate::contract::{Meaning, Terms};
use crate::ledger::Status;

/// The sample of the documentation, as it stands there.
const SAMPLE: &str = r#"
[workspace]
base_currency = "USD"
timezone = "UTC"

[[source]]                       # where clicks come from
slug = "facebook"
preset = "meta"                  # parameter names and macros of the source

[[campaign]]
slug = "summer"
source = "facebook"
target = "https://lander.example/p?cid={click_id}&s={sub1}"
cost_model = { kind = "cpc", amount = "0.25", currency = "USD" }
test = false

[[partner]]                      # who sends postbacks
slug = "acme"
preset = "generic"
currency = "USD"
value = "payout"                 # or "revenue"
params = { click_id = "aff_sub", transaction_id = "order", payout = "sum" }
statuses = { "1" = "approved", "2" = "hold", "3" = "rejected" }
duplicates = "update"
auth = { token = { env = "ACME_TOKEN" }, hmac = { env = "ACME_SECRET" }, allow = ["203.0.113.0/24"] }

[[destination]]
slug = "meta-main"
kind = "meta"
dataset_id = "1234567890"
access_token = { env = "META_TOKEN" }
test_event_code = "TEST123"      # optional
endpoint = "http://127.0.0.1:9100"
allow_private = true

[[goal]]
slug = "purchase"
role = "learning_signal"
when = "status == 'approved' && value > 0"   # CEL over the conversion, its click and its fields
event_name = "Purchase"
send_to = ["meta-main"]
delay = "0s"                     # hold window before sending
event_id = "shared"
send_value = "value"             # or "payout" | "revenue" | "none"
"#;

fn env(name: &str) -> SecretRef {
    SecretRef::Env(name.to_owned())
}

#[test]
fn the_sample_reads_without_a_word() {
    assert_eq!(warned(SAMPLE), Vec::<String>::new());
    let config = good(SAMPLE);
    let usd = "USD".parse().unwrap();
    let campaign = config.campaign("summer").unwrap();
    assert_eq!(campaign.cost_model, Some(CostModel::Cpc(Money { minor: 25, currency: usd })));
    assert_eq!((campaign.source.as_str(), campaign.test), ("facebook", false));
    let partner = config.partner("acme").unwrap();
    let contract = &partner.contract;
    assert_eq!(contract.params("payout"), ["sum"]);
    assert_eq!(contract.meaning("3"), Some(Meaning::Status(Status::Rejected)));
    assert_eq!(
        (contract.missing_status(), contract.duplicates(None)),
        (Status::Approved, DuplicateMode::Update)
    );
    assert_eq!(partner.auth.token, Some(env("ACME_TOKEN")));
    assert_eq!(partner.auth.hmac, Some(env("ACME_SECRET")));
    assert_eq!(partner.auth.allow, ["203.0.113.0/24".parse().unwrap()]);
    let destination = config.destination("meta-main").unwrap();
    assert!(destination.allow_private);
    assert_eq!(destination.settings["dataset_id"], Setting::Text("1234567890".into()));
    assert_eq!(destination.settings["access_token"], Setting::Secret(env("META_TOKEN")));
    let [goal] = config.goals.as_slice() else { panic!("one goal") };
    assert_eq!((goal.role, goal.delay_ms), (Role::LearningSignal, 0));
    assert_eq!((goal.event_id, goal.send_value), (EventIdMode::Shared, SendValue::Value));
    assert_eq!(goal.send_to, ["meta-main"]);
}

#[test]
fn a_private_endpoint_without_leave_is_the_one_problem() {
    let told = shown(&bad(&SAMPLE.replace("allow_private = true", "")));
    let expected = "test.toml:33:12: `endpoint` leads to this machine or a private network
  fix: add allow_private = true to the destination if that is meant
  path: destination[meta-main].endpoint";
    assert_eq!(told, expected);
}

#[test]
fn every_key_is_read() {
    let config = good(FULL);
    let workspace = &config.workspace;
    assert_eq!(workspace.base_currency.code(), "EUR");
    assert_eq!(workspace.timezone, "Europe/Berlin");
    assert_eq!(workspace.default_region.as_deref(), Some("DE"));
    // An amount without a currency is in the workspace's.
    let Some(CostModel::Cpc(cost)) = config.campaign("winter_2").unwrap().cost_model else {
        panic!("a cost")
    };
    assert_eq!(cost.to_string(), "1.00 EUR");
    assert!(config.campaign("winter_2").unwrap().test);
    let partner = config.partner("acme").unwrap();
    let contract = &partner.contract;
    assert_eq!(contract.value(), ValueOf::Revenue);
    assert_eq!(contract.meaning("Declined"), Some(Meaning::Status(Status::Rejected)));
    assert_eq!((contract.missing_status(), contract.duplicates(None)), (Status::Hold, DuplicateMode::Ignore));
    assert_eq!(partner.auth.hmac, Some(SecretRef::File("/run/secrets/acme".into())));
    let allow: Vec<String> = partner.auth.allow.iter().map(ToString::to_string).collect();
    assert_eq!(allow, ["203.0.113.0/24", "2001:db8::1/128"]);
    let net = &config.destination("net").unwrap().settings;
    assert_eq!(net["timeout_s"], Setting::Integer(10));
    assert_eq!(net["strict"], Setting::Flag(true));
    assert_eq!(net["events"], Setting::List(vec!["a".into(), "b".into()]));
    let headers = [("X B", "two \"quoted\""), ("X-A", "1")];
    let headers = headers.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    assert_eq!(net["headers"], Setting::Map(headers));
    let goal = &config.goals[0];
    assert_eq!(goal.delay_ms, 48 * 3_600_000);
    assert_eq!((goal.event_id, goal.send_value), (EventIdMode::Own, SendValue::Payout));
    assert_eq!(goal.action_source.as_deref(), Some("website"));
}

#[test]
fn what_is_not_said_has_its_default() {
    assert_eq!(good(""), Config::empty());
    assert_eq!(good("[workspace]\n"), Config::empty());
    let config = good(FULL);
    let plain = config.partner("plain").unwrap();
    let contract = &plain.contract;
    assert_eq!(plain.own, Terms::default());
    assert_eq!(
        (plain.preset.as_str(), contract.currency(), contract.value()),
        ("generic", None, ValueOf::Payout)
    );
    assert_eq!(
        (contract.missing_status(), contract.duplicates(None)),
        (Status::Approved, DuplicateMode::Update)
    );
    assert_eq!(plain.auth, Auth::default());
    let seen = config.goals.iter().find(|goal| goal.slug == "seen").unwrap();
    // A fact that is only counted is named by its slug.
    assert_eq!((seen.event_name.as_str(), seen.send_to.len()), ("seen", 0));
    assert_eq!((seen.event_id, seen.send_value), (EventIdMode::Shared, SendValue::Value));
}

#[test]
fn spellings_that_mean_the_same_are_one() {
    let config =
        good("[workspace]\nbase_currency = \"eur\"\ntimezone = \"europe/berlin\"\ndefault_region = \"de\"\n");
    let same =
        "[workspace]\nbase_currency = \"EUR\"\ntimezone = \"Europe/Berlin\"\ndefault_region = \"DE\"\n";
    assert_eq!(config, good(same));
    assert_eq!(good(&format!("\u{feff}{FULL}")), good(FULL));
    assert_eq!(good(&FULL.replace('\n', "\r\n")), good(FULL));
}

#[test]
fn columns_do_not_count_the_mark_of_byte_order() {
    let problem = &bad("\u{feff}colour = 1")[0];
    assert_eq!((problem.line, problem.column), (1, 1));
}

#[test]
fn what_is_allowed_but_unwise_is_said_with_its_line() {
    let document = r#"
[[campaign]]
slug = "a"
target = "https://a.example/p?x=1"

[[partner]]
slug = "acme"
auth = { token = "hunter2", allow = [] }

[[destination]]
slug = "meta-main"
kind = "meta"
dataset_id = "1"
access_token = "hunter3"
endpoint = "http://graph.example"

[[goal]]
slug = "one"
role = "learning_signal"
when = "true"
event_name = "Purchase"
send_to = ["meta-main"]

[[goal]]
slug = "two"
role = "learning_signal"
when = "true"
event_name = "Purchase"
send_to = ["meta-main"]

[[goal]]
slug = "three"
role = "learning_signal"
when = "true"
event_name = "Lead"
"#;
    let expected = [
        "test.toml:4:10: warning: `target` does not pass the click id on, so that no postback can name the click\n  \
         fix: append &cid={click_id}",
        "test.toml:8:18: warning: `token` is a secret and stands in the document\n  \
         fix: write token = { env = \"ACME_TOKEN\" } and set the variable where the server runs",
        "test.toml:8:37: warning: `allow` is empty, which lets every address in\n  \
         fix: name the partner's addresses, or remove `allow`",
        "test.toml:14:16: warning: `access_token` is a secret and stands in the document\n  \
         fix: write access_token = { env = \"META_MAIN_ACCESS_TOKEN\" } and set the variable where the server runs",
        "test.toml:15:12: warning: `endpoint` is not encrypted on its way\n  \
         fix: use https:// if the other side has it",
        "test.toml:28:14: warning: goals `one` and `two` send `Purchase` to `meta-main` with one event id: the platform \
         keeps the first and drops the other\n  \
         fix: set event_id = \"own\" on one of them, or give it an event_name of its own",
        "test.toml:31:1: warning: a learning signal without `send_to` teaches nobody\n  \
         fix: add send_to = [\"a-destination\"], or make it a funnel_fact",
    ];
    assert_eq!(warned(document), expected);
    // An id of its own settles it.
    let apart = document.replacen("slug = \"two\"", "slug = \"two\"\nevent_id = \"own\"", 1);
    assert_eq!(warned(&apart).len(), expected.len() - 1);
}

#[test]
fn secrets_in_urls_and_headers_are_shown_where_they_belong() {
    let document = r#"
[[destination]]
slug = "net"
kind = "postback"
url = "https://net.example/?token=hunter2&c={click_id}"
headers = { Authorization = "Bearer hunter3", X-Api-Key = "{secret}", Accept = "*/*" }
"#;
    let expected = [
        "test.toml:5:7: warning: parameter `token` has a secret that stands in the document\n  \
         fix: write {secret} in its place and set secret = { env = \"NET_SECRET\" }",
        "test.toml:6:29: warning: `Authorization` has a secret that stands in the document\n  \
         fix: write {secret} in its place and set secret = { env = \"NET_SECRET\" }",
    ];
    assert_eq!(warned(document), expected);
    let settled = document.replace("hunter2", "{secret}").replace("hunter3", "{secret}");
    assert_eq!(warned(&settled), Vec::<String>::new());
}

#[test]
fn a_fact_and_a_signal_may_share_a_name_at_different_destinations() {
    let with_fact = |destination: &str| {
        format!(
            "{SAMPLE}
[[destination]]
slug = \"net\"
kind = \"postback\"
url = \"https://net.example/?c={{click_id}}\"

[[goal]]
slug = \"fact\"
role = \"funnel_fact\"
when = \"true\"
event_name = \"Purchase\"
send_to = [\"{destination}\"]
"
        )
    };
    assert_eq!(good(&with_fact("net")).goals.len(), 2);
    assert_eq!(bad(&with_fact("meta-main"))[0].path, "goal[fact].event_name");
}
