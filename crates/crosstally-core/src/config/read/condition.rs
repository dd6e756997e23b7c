//! Reads a goal's condition: compiles it, and tries it on a conversion in every status, so that one which says neither
//! yes nor no is found here and not when the first money comes in.

use super::document::Text;
use super::findings::Findings;
use crate::condition::{Condition, Subject, VARIABLES};
use crate::config::Config;
use crate::conversion::{Conversion, DedupeKey};
use crate::identity::Contact;
use crate::ids::ConversionId;
use crate::ledger::{Amounts, Balance, Status};
use crate::nearest::nearest;
use crate::reason::Reason;
use crate::time::Timestamp;

/// What a condition says that gives something else; the same sentence as [`Condition::holds`] uses.
const NOT_YES_OR_NO: &str = "the condition does not give true or false";
const EXAMPLE: &str = "write it like \"status == 'approved' && value > 0\": == compares, && and || join";

pub(super) fn read(text: &Text<'_>, found: &mut Findings<'_>) -> Option<Condition> {
    match Condition::compile(text.text) {
        Ok(condition) if says_yes_or_no(&condition) => Some(condition),
        Ok(_) => {
            found.problem(&text.spot, NOT_YES_OR_NO, EXAMPLE);
            None
        }
        Err(problem) => {
            // The compiler's sentence: what is wrong, then, after a semicolon, what is known.
            let (sentence, known) = problem.split_once("; ").unwrap_or((&problem, ""));
            found.problem(&text.spot, without_jargon(sentence), fix(sentence, known));
            None
        }
    }
}

fn fix(sentence: &str, known: &str) -> String {
    let name = sentence.split('`').nth(1).unwrap_or("");
    if sentence.contains(" uses ") && Reason::LABELS.iter().any(|label| label.code() == name) {
        return format!("write the label in quotes: '{name}' in labels");
    }
    let labels = Reason::LABELS.iter().map(|label| label.code());
    if let Some(near) = nearest(name, VARIABLES.iter().map(|(known, _)| *known).chain(labels)) {
        return format!("did you mean `{near}`?");
    }
    if sentence.contains("error at: '=") {
        return "write == to compare".to_owned();
    }
    if sentence.contains("Recursion limit") {
        return "nest fewer brackets".to_owned();
    }
    if sentence.contains("longer than") {
        return "shorten it, or make two goals of it".to_owned();
    }
    if known.is_empty() { EXAMPLE.to_owned() } else { format!("use what is known; {known}") }
}

/// The parser's message with its place in words, and without the list of all tokens that could stand there.
fn without_jargon(sentence: &str) -> String {
    if sentence.contains("Recursion limit") {
        return "the condition is nested too deeply".to_owned();
    }
    let Some((start, rest)) = sentence.split_once(": ERROR: <input>:") else { return sentence.to_owned() };
    let mut parts = rest.splitn(3, ':');
    let (Some(line), Some(column), Some(message)) = (parts.next(), parts.next(), parts.next()) else {
        return sentence.to_owned();
    };
    let message = message.trim().trim_start_matches("Syntax error: ");
    let message = message.split(" expecting ").next().unwrap_or(message).replace("'<EOF>'", "end");
    let place = if line == "1" {
        format!("character {column}")
    } else {
        format!("its line {line}, character {column}")
    };
    format!("{start} at {place}: {message}")
}

/// Whether the condition gives true or false wherever it gives anything. That it fails on a conversion without any
/// fields says nothing: the fields are missing, not the sense.
fn says_yes_or_no(condition: &Condition) -> bool {
    // Loops within loops could take for ever; they are left to the first conversion.
    const LOOPS: [&str; 5] = [".map(", ".filter(", ".all(", ".exists(", ".exists_one("];
    if LOOPS.iter().any(|name| condition.text().contains(name)) {
        return true;
    }
    Status::ALL.into_iter().all(|status| {
        let conversion = sample(status);
        let subject = Subject { conversion: &conversion, fields: &[], click_params: &[], labels: &[] };
        condition.holds(&subject).map_or_else(|problem| problem != NOT_YES_OR_NO, |_| true)
    })
}

pub(in crate::config) fn sample(status: Status) -> Conversion {
    Conversion {
        id: ConversionId::from_bytes([0; 16]),
        key: DedupeKey { partner: String::new(), key: String::new() },
        transaction_id: None,
        event: None,
        click: None,
        campaign: String::new(),
        source: String::new(),
        status,
        currency: Config::empty().workspace.base_currency,
        amounts: Amounts { payout: Some(100), revenue: Some(100), value: Some(100) },
        balance: Balance::default(),
        fx: None,
        base: Balance::default(),
        movements: 1,
        event_time: Timestamp::default(),
        created_at: Timestamp::default(),
        updated_at: Timestamp::default(),
        event_id: None,
        external_id: None,
        contact: Contact::default(),
        goals_met: Vec::new(),
        labels: Vec::new(),
    }
}
