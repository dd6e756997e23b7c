//! `crosstally journeys`: real journeys of a month, for people one step under the other.

use anyhow::Result;
use crosstally_core::journeys::span_words;
use serde_json::{Map, Value, json};

use super::tools::{list, run as run_tool, text, told_where, verdict};
use crate::cli::Journeys;
use crate::show;

/// Runs one of the journeys commands.
pub(crate) async fn execute(command: Journeys, json: bool) -> Result<()> {
    let Journeys::Review(wanted) = command;
    let mut request = Map::new();
    for (name, value) in [("partner", &wanted.partner), ("month", &wanted.month)] {
        request.extend(value.as_ref().map(|value| (name.to_owned(), json!(value))));
    }
    let answer = run_tool("journeys_review", &Value::Object(request), &wanted.at).await?;
    if json {
        show::json(&answer)?;
    } else {
        show::text(&page(&answer))?;
        told_where(&answer)?;
    }
    verdict(&answer, "the journeys cannot be told")
}

fn page(answer: &Value) -> String {
    let mut page = String::new();
    for problem in list(answer, "problems").iter().filter_map(Value::as_str) {
        page.push_str(&format!("{}\n", show::clean(problem)));
    }
    let month = text(answer, "month");
    if !month.is_empty() {
        let (begins, ends) = (text(answer, "begins"), text(answer, "ends"));
        page.push_str(&format!("{month}, {} ({begins} to {ends})\n", text(answer, "timezone")));
    }
    if !month.is_empty() && list(answer, "reviews").is_empty() {
        page.push_str("no call of a partner booked anything\n");
    }
    for review in list(answer, "reviews") {
        one_review(&mut page, review);
    }
    let left: Vec<String> =
        list(answer, "left_out").iter().filter_map(Value::as_str).map(show::clean).collect();
    if !left.is_empty() {
        page.push_str(&format!("\nnot told; ask for each with --partner: {}\n", left.join(", ")));
    }
    page
}

fn one_review(page: &mut String, review: &Value) {
    let decisions = review.get("decisions").cloned().unwrap_or_default();
    let count = |name: &str| text(&decisions, name);
    page.push_str(&format!(
        "\n{}: {} calls; {} approved, {} rejected, {} reversed\n",
        text(review, "partner"),
        text(review, "calls"),
        count("approved"),
        count("rejected"),
        count("reversed")
    ));
    for note in list(review, "notes").iter().filter_map(Value::as_str) {
        page.push_str(&format!("  {}\n", show::clean(note)));
    }
    for journey in list(review, "journeys") {
        one_journey(page, journey);
    }
    for missing in list(review, "missing") {
        page.push_str(&format!("\n  {}: none. {}\n", words(&text(missing, "kind")), text(missing, "why")));
    }
}

fn one_journey(page: &mut String, journey: &Value) {
    let (kind, became) = (text(journey, "kind"), text(journey, "became"));
    let reversed = if became == "reversed" { " (reversed)" } else { "" };
    page.push_str(&format!("\n  {}{reversed}: {}\n", words(&kind), text(journey, "conversion")));
    let mut line = |name: &str, rest: &str| page.push_str(&format!("    {name:<10}{}\n", rest.trim_end()));
    line("picked", &text(journey, "why_this_one"));
    let times = journey.get("times").cloned().unwrap_or_default();
    let span = |name: &str| times.get(name).and_then(Value::as_i64).map(span_words);
    match journey.get("click").filter(|click| click.is_object()) {
        Some(click) => {
            let (campaign, source) = (text(click, "campaign"), text(click, "source"));
            line("click", &format!("{}  {}  {campaign}, {source}", text(click, "at"), text(click, "id")));
        }
        None => line("click", "none: its calls name no click of ours"),
    }
    for step in list(journey, "steps") {
        line("step", &format!("{}  to {}", text(step, "at"), text(step, "offer")));
    }
    for event in list(journey, "told_by_browser") {
        line("browser", &format!("{}  {}", text(event, "at"), text(event, "event_name")));
    }
    for call in list(journey, "calls") {
        let said = format!("`{}` is {}", text(call, "status_word"), text(call, "status"));
        let money = format!("{} {}", text(call, "payout"), text(call, "currency"));
        let (at, receipt, verdict) = (text(call, "at"), text(call, "receipt"), with_code(call, "verdict"));
        line("call", &format!("{at}  {receipt}  {verdict}: {said}  {money}"));
    }
    for movement in list(journey, "movements") {
        let minor = |name: &str| text(movement, name);
        let moved = format!(
            "confirmed {} pending {}",
            minor("confirmed_change_minor"),
            minor("pending_change_minor")
        );
        let (number, status, currency) = (minor("number"), minor("status"), minor("currency"));
        line("movement", &format!("{}  {number} {status}: {moved} (minor units of {currency})", minor("at")));
    }
    for sent in list(journey, "sent") {
        let (to, event, stands) =
            (text(sent, "destination"), text(sent, "event_name"), with_code(sent, "stands"));
        let status = text(sent, "status");
        let answer = if status.is_empty() { String::new() } else { format!(", answered {status}") };
        line("sent", &format!("{}  {event} to {to}: {stands}{answer}", text(sent, "sent_at")));
    }
    if let Some(span) = span("click_to_first_call_ms") {
        line("took", &format!("{span} from the click to the first call"));
    }
    if let Some(span) = span("first_call_to_decision_ms") {
        line("took", &format!("{span} from the first call to the deciding one"));
    }
    let open = journey.get("open").cloned().unwrap_or_default();
    line("open", &format!("{}; {}", text(&open, "trace"), text(&open, "evidence")));
}

/// A word of a row, and its reason code where there is one.
fn with_code(row: &Value, name: &str) -> String {
    let (word, code) = (text(row, name), text(row, "code"));
    if code.is_empty() || code == word { word } else { format!("{word} ({code})") }
}

fn words(kind: &str) -> &'static str {
    match kind {
        "approved" => "one approved",
        "rejected" => "one rejected",
        "late_approval" => "one late approval",
        _ => "another",
    }
}
