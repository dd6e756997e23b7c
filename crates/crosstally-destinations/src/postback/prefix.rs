//! The beginning of a JSON text that was cut off, as far as its values are whole.

use serde_json::Value;

/// What ends a list that was still open, and names in an object that was that more may follow. No JSON that comes from
/// outside is mistaken for it to anybody's harm: at most something counts as not seen.
pub(super) const OPEN: &str = "\0open";

/// How often a beginning is made shorter until it can be read.
const SHORTER_MAX: usize = 8;

/// What the beginning of an object or a list holds: all of it where it is whole, whatever follows; else everything before the
/// last comma ahead of where it breaks, whatever is open marked and closed behind it. `None` if that is nothing, or no JSON.
pub(super) fn read(begun: &[u8]) -> Option<Value> {
    let mut part = begun;
    for _ in 0..SHORTER_MAX {
        match serde_json::Deserializer::from_slice(part).into_iter::<Value>().next()? {
            Ok(whole) => return Some(whole),
            Err(error) if error.is_eof() => {}
            Err(error) => part = part.get(..place(part, &error))?,
        }
        part = before_last_comma(part)?;
        if let Some(read) = closed(part) {
            return Some(read);
        }
    }
    None
}

/// Whether a text begins as an object or a list does; words in brackets are neither.
pub(super) fn is_begun(text: &[u8]) -> bool {
    let Some((first, rest)) = text.trim_ascii_start().split_first() else { return false };
    let rest = rest.trim_ascii_start();
    match (first, rest.first()) {
        (b'{', _) | (b'[', None) => true,
        (b'[', Some(next)) => {
            let words = [&b"true"[..], b"false", b"null"];
            matches!(next, b'"' | b'{' | b'[' | b']' | b'-' | b'0'..=b'9')
                || words.iter().any(|word| rest.starts_with(word) || word.starts_with(rest))
        }
        _ => false,
    }
}

/// Where the sign stands that a text cannot be read over.
fn place(text: &[u8], error: &serde_json::Error) -> usize {
    let lines = text.split_inclusive(|byte| *byte == b'\n').take(error.line().saturating_sub(1));
    lines.map(<[u8]>::len).sum::<usize>() + error.column().saturating_sub(1)
}

/// What stands before a comma is whole; of what follows the last one nobody knows.
fn before_last_comma(text: &[u8]) -> Option<&[u8]> {
    let mut last = None;
    walk(text, |at, byte| {
        if byte == b',' {
            last = Some(at);
        }
    });
    text.get(..last?)
}

/// What values hold of which some are still open.
fn closed(whole: &[u8]) -> Option<Value> {
    let mut open = Vec::new();
    walk(whole, |_, byte| match byte {
        b'{' => open.push(r#","\u0000open":"\u0000open"}"#),
        b'[' => open.push(r#","\u0000open"]"#),
        b'}' | b']' => _ = open.pop(),
        _ => {}
    });
    open.reverse();
    serde_json::from_slice(&[whole, open.concat().as_bytes()].concat()).ok()
}

/// Shows every byte that stands outside of a text, and where.
fn walk(json: &[u8], mut see: impl FnMut(usize, u8)) {
    let (mut is_text, mut is_escaped) = (false, false);
    for (at, byte) in json.iter().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_text => is_escaped = true,
            b'"' => is_text = !is_text,
            _ if is_text => {}
            _ => see(at, *byte),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_whole_is_read() {
        for (begun, held) in [
            (r#"{"status":"error","rows":[1,2,{"a":"#, Some(json!({"status": "error", "rows": [1, 2]}))),
            (r#"{"a":"x,\"}]","b":{"c":1},"d":tr"#, Some(json!({"a": "x,\"}]", "b": {"c": 1}}))),
            (r#"[{"a":1},{"a":2"#, Some(json!([{"a": 1}]))),
            (r#"{"code":12"#, None),
            ("[", None),
            ("", None),
            ("{\"a\":1}}},", Some(json!({"a": 1}))),
            (r#"{"a":1} <br>, and more"#, Some(json!({"a": 1}))),
            (r#"{"a":1,"b":"x "y", z","c":2}"#, Some(json!({"a": 1}))),
            ("{\"a\":[1,\n2],\n\"b\":NaN,\"c\":2}", Some(json!({"a": [1, 2]}))),
            ("{\"a\":1,\"b\":\"x\ty\",\"c\":2}", Some(json!({"a": 1}))),
            ("[ERROR] no, never", None),
            ("{a,b", None),
        ] {
            assert_eq!(read(begun.as_bytes()).map(unmarked), held, "{begun}");
        }
        let open = json!({"a": [1, {"b": 2, OPEN: OPEN}, OPEN], OPEN: OPEN});
        assert_eq!(read(br#"{"a":[1,{"b":2,"c"#), Some(open), "what is open is marked");
        assert_eq!(read(br#"{"a":[1,{"b":2}],"c"#), Some(json!({"a": [1, {"b": 2}], OPEN: OPEN})));
        assert_eq!(read(&[b"[".repeat(60_000), b"1,".to_vec()].concat()), None);
    }

    #[test]
    fn what_cannot_be_json_is_not_begun() {
        for (text, expected) in [
            (r#" {"a"#, true),
            ("{}", true),
            ("{", true),
            ("[", true),
            ("[tru", true),
            ("[null]", true),
            ("[-1]", true),
            ("[ERROR] no", false),
            ("[notice]", false),
            ("{a:1}", true),
            ("ok", false),
            ("", false),
        ] {
            assert_eq!(is_begun(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn wherever_it_is_cut_nothing_is_made_up() {
        let whole = json!({"a": {"b": [1, "x\u{e9},\"}", {"c": null}], "d": "\\"}, "e": [[], {}], "f": -1.5});
        let text = whole.to_string();
        let is_part = |part: &Value| holds(&whole, part);
        for end in 0..text.len() {
            assert!(
                read(&text.as_bytes()[..end]).map(unmarked).is_none_or(|part| is_part(&part)),
                "cut at {end}"
            );
        }
    }

    fn unmarked(value: Value) -> Value {
        match value {
            Value::Object(fields) => fields
                .into_iter()
                .filter(|(key, _)| key != OPEN)
                .map(|(key, value)| (key, unmarked(value)))
                .collect(),
            Value::Array(items) => items.into_iter().filter(|item| item != OPEN).map(unmarked).collect(),
            plain => plain,
        }
    }

    fn holds(whole: &Value, part: &Value) -> bool {
        match (whole, part) {
            (Value::Object(whole), Value::Object(part)) => {
                part.iter().all(|(key, part)| whole.get(key).is_some_and(|whole| holds(whole, part)))
            }
            (Value::Array(whole), Value::Array(part)) => {
                part.len() <= whole.len() && whole.iter().zip(part).all(|(whole, part)| holds(whole, part))
            }
            _ => whole == part,
        }
    }
}
