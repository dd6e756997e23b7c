//! The page that people read: what happened, sentence by sentence, and each record as a table. It is made of the records and
//! of nothing else, has no script, and every text in it is escaped.

use serde_json::Value;

const STYLE: &str = "body{font:15px/1.5 sans-serif;max-width:60em;margin:2em auto;padding:0 1em;color:#222}\
    table{border-collapse:collapse;margin:.3em 0}td,th{border:1px solid #ccc;padding:.15em .5em;text-align:left;\
    vertical-align:top;overflow-wrap:anywhere}th{font-weight:normal;color:#666;white-space:nowrap}\
    h2{margin:1.6em 0 .2em;font-size:1.1em}li{margin:.2em 0}";

/// The page.
pub(super) fn page(records: &[Value]) -> String {
    let mut out = String::from(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n\
        <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
        <title>Evidence</title>\n<style>",
    );
    out.push_str(STYLE);
    out.push_str("</style></head><body>\n<h1>Evidence</h1>\n");
    if let Some(body) = records.first().and_then(|record| record.get("body")) {
        out.push_str(&format!(
            "<p>Made on {} by {}. Left out: {}</p>\n\
            <p>Signed with the key {}. Whoever gave you this file publishes that key; with it, <code>crosstally verify FILE \
            --key KEY</code> tells whether a single byte was changed since. This page shows what one side recorded; it proves \
            that the record was not altered after it was made, not that the other side did the same.</p>\n",
            word(body, "made_at"), word(body, "made_by"), word(body, "left_out"), word(body, "key"),
        ));
    }
    out.push_str("<h2>What happened</h2>\n<ol>\n");
    for record in records.iter().skip(1) {
        if let Some(sentence) = sentence(record) {
            out.push_str(&format!("<li>{sentence}</li>\n"));
        }
    }
    out.push_str("</ol>\n");
    for record in records {
        let number = record.get("n").map(Value::to_string).unwrap_or_default();
        out.push_str(&format!("<h2>Record {}: {}</h2>\n", escaped(&number), word(record, "kind")));
        cell(record.get("body").unwrap_or(&Value::Null), &mut out);
        out.push('\n');
    }
    out.push_str("</body></html>");
    out
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // What turns writing around or hides would make the page say something else than the record.
            '\u{ad}'
            | '\u{61c}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}' => out.push('\u{fffd}'),
            c if c.is_control() && c != '\n' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

fn word(value: &Value, name: &str) -> String {
    match value.get(name) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => escaped(text),
        Some(other) => escaped(&other.to_string()),
    }
}

fn cell(value: &Value, out: &mut String) {
    match value {
        Value::Object(map) => {
            out.push_str("<table>");
            let filled = map.iter().filter(|(_, value)| !is_nothing(value));
            for (name, value) in filled {
                out.push_str(&format!("<tr><th>{}</th><td>", escaped(name)));
                cell(value, out);
                out.push_str("</td></tr>");
            }
            out.push_str("</table>");
        }
        Value::Array(list) => {
            out.push_str("<ul>");
            for value in list {
                out.push_str("<li>");
                cell(value, out);
                out.push_str("</li>");
            }
            out.push_str("</ul>");
        }
        Value::String(text) => out.push_str(&escaped(text)),
        other => out.push_str(&escaped(&other.to_string())),
    }
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    }
}

fn sentence(record: &Value) -> Option<String> {
    let body = record.get("body")?;
    let of = |name: &str| word(body, name);
    let sentence = match record.get("kind")?.as_str()? {
        "click" => format!(
            "{}: a visitor clicked on the campaign {}, got the click id {} and was sent to {}.",
            of("at"),
            of("campaign"),
            of("id"),
            of("sent_to")
        ),
        "call" => {
            let meaning = match of("meaning") {
                meaning if meaning.is_empty() => String::new(),
                meaning => format!(" ({meaning})"),
            };
            let from = match of("sent_by") {
                sender if sender.is_empty() => String::new(),
                sender => format!(" from {sender}"),
            };
            format!(
                "{}: {} called by {}{from}; the call was {}{meaning} and has the receipt {}.",
                of("received_at"),
                of("partner"),
                of("method"),
                of("result"),
                of("id")
            )
        }
        "movement" => format!(
            "{}: movement {} of {} made its status {}; confirmed {} {}, pending {} {}.",
            of("booked_at"),
            of("number"),
            of("conversion"),
            of("status_now"),
            of("confirmed_change"),
            of("currency"),
            of("pending_change"),
            of("currency")
        ),
        "event" => format!(
            "{}: the goal {} was met; the event {} with the id {} was made.",
            of("made_at"),
            of("goal"),
            of("event_name"),
            of("event_id")
        ),
        "attempt" => {
            let answer = match of("status") {
                status if status.is_empty() => "there was no answer".to_owned(),
                status => format!("the answer was {status}"),
            };
            format!("{}: sent to {}; {answer}, which is: {}.", of("sent_at"), of("url"), of("outcome"))
        }
        _ => return None,
    };
    Some(sentence)
}
