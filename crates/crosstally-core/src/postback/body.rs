//! Step: what a body is, and its rows. A form is one row; a JSON array and newline-delimited JSON are many, each judged
//! by itself.

use crate::contract::Encoding;
use crate::limits;
use crate::params::{Param, Params};
use crate::postback::parse::printable;
use crate::postback::{Inbound, json};
use crate::reason::Reason;
use crate::verdict::Stop;

/// One row of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The row as it came, if the body has several.
    pub raw: Option<Vec<u8>>,
    /// Its parameters behind those of the query, or why it cannot be read.
    pub params: Result<Params, Stop>,
}

/// What a body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Media {
    /// Nothing.
    None,
    /// `a=1&b=2`.
    Form,
    /// One JSON value.
    Json,
    /// A JSON value per line.
    JsonLines,
    /// Parts with names; the door hands them in as [`Inbound::parts`].
    Multipart,
}

/// What the body is, by its type and, where senders state a wrong one, by how it begins.
///
/// # Errors
/// A type that is not read here.
pub fn media(content_type: &str, body: &[u8]) -> Result<Media, Stop> {
    if body.is_empty() {
        return Ok(Media::None);
    }
    let kind = content_type.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
    let begins = body.iter().find(|byte| !byte.is_ascii_whitespace());
    let looks_json = begins.is_some_and(|byte| matches!(byte, b'{' | b'['));
    match kind.as_str() {
        "application/x-ndjson" | "application/ndjson" | "application/jsonl" | "application/x-jsonlines" => {
            Ok(Media::JsonLines)
        }
        "multipart/form-data" => Ok(Media::Multipart),
        json if json == "application/json" || json == "text/json" || json.ends_with("+json") => {
            Ok(Media::Json)
        }
        // A form without a type, or JSON under a form's, is what old senders post.
        "" | "application/x-www-form-urlencoded" | "text/plain" => {
            Ok(if looks_json { Media::Json } else { Media::Form })
        }
        other => Err(Stop::refused(
            Reason::UnsupportedMediaType,
            format!("the body is {}; send a form, JSON, or use the query string", printable(other)),
        )),
    }
}

/// Reads query and body into rows; never none.
///
/// # Errors
/// Limits, and bodies in a format that is not read here.
pub fn rows(inbound: &Inbound, encoding: Encoding) -> Result<Vec<Row>, Stop> {
    if inbound.query.len() > limits::QUERY_BYTES_MAX {
        return Err(Stop::refused(
            Reason::QueryTooLarge,
            format!("the limit is {} bytes", limits::QUERY_BYTES_MAX),
        ));
    }
    let mut query = Params::read(&inbound.query, encoding).map_err(over)?;
    let one = |params| Ok(vec![Row { raw: None, params: Ok(params) }]);
    match media(&inbound.content_type, &inbound.body)? {
        Media::None => one(query),
        Media::Form => {
            query.read_more(&inbound.body, encoding).map_err(over)?;
            one(query)
        }
        Media::Multipart => {
            for (name, value) in &inbound.parts {
                query.push_checked(name, value).map_err(over)?;
            }
            one(query)
        }
        Media::Json => json_rows(&inbound.body, &query),
        Media::JsonLines => line_rows(&inbound.body, &query),
    }
}

fn over(reason: Reason) -> Stop {
    let detail = format!(
        "the limits are {} parameters, {} bytes each",
        limits::PARAMS_MAX,
        limits::PARAM_VALUE_BYTES_MAX
    );
    Stop::refused(reason, detail)
}

fn json_rows(body: &[u8], query: &Params) -> Result<Vec<Row>, Stop> {
    let begins = body.iter().find(|byte| !byte.is_ascii_whitespace());
    if begins != Some(&b'[') {
        return Ok(vec![Row { raw: None, params: Ok(json_params(body, query)?) }]);
    }
    let items = json::items(body)?;
    if items.is_empty() {
        return Err(Stop::refused(Reason::BodyUnreadable, "the array is empty"));
    }
    let items: Vec<&[u8]> = items.iter().map(String::as_bytes).collect();
    list(&items, query)
}

fn line_rows(body: &[u8], query: &Params) -> Result<Vec<Row>, Stop> {
    let lines: Vec<&[u8]> =
        body.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty()).collect();
    if lines.is_empty() {
        return Err(Stop::refused(Reason::BodyUnreadable, "there is no line"));
    }
    list(&lines, query)
}

/// The rows of a list. Each repeats the query, in memory and in its receipt, so that it can be read again by itself; what
/// they come to together has a limit, which is kept before they are made.
fn list(rows: &[&[u8]], query: &Params) -> Result<Vec<Row>, Stop> {
    if rows.len() > limits::ROWS_MAX {
        let detail = format!("{} rows; the limit is {}", rows.len(), limits::ROWS_MAX);
        return Err(Stop::refused(Reason::BodyTooLarge, detail));
    }
    let bound = |bytes: usize| {
        if bytes <= limits::LIST_BYTES_MAX {
            return Ok(bytes);
        }
        let detail = format!(
            "{} rows with this query and these keys come to more than {} bytes; send shorter lists",
            rows.len(),
            limits::LIST_BYTES_MAX
        );
        Err(Stop::refused(Reason::BodyTooLarge, detail))
    };
    let of_query = query.iter().map(|param| size_of::<Param>() + param.name.len() + param.value.len());
    let mut bytes = bound(rows.len() * of_query.sum::<usize>())?;
    let mut read = Vec::with_capacity(rows.len());
    for raw in rows {
        let params = json_params(raw, query);
        let own = params.iter().flat_map(|params| params.iter().skip(query.len()));
        bytes = bound(bytes + own.map(|param| param.name.len()).sum::<usize>())?;
        read.push(Row { raw: Some(raw.to_vec()), params });
    }
    Ok(read)
}

fn json_params(raw: &[u8], query: &Params) -> Result<Params, Stop> {
    let mut params = query.clone();
    json::flatten(raw, &mut params)?;
    Ok(params)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn read(query: &str, body: String, content_type: &str) -> Result<Vec<Row>, Stop> {
        let inbound = Inbound {
            query: query.into(),
            body: body.into_bytes(),
            content_type: content_type.into(),
            ..Inbound::default()
        };
        rows(&inbound, Encoding::Once)
    }

    fn array(rows: usize) -> String {
        format!("[{}]", vec!["{\"z\":1}"; rows].join(","))
    }

    #[test]
    fn d6_a_list_does_not_multiply_its_query_without_bound() {
        let many: Vec<String> = (0..500).map(|n| format!("k{n}={}", "v".repeat(100))).collect();
        let many = many.join("&");
        let long = format!("a={}", "v".repeat(8_000));
        for query in [&many, &long] {
            assert_eq!(
                read(query, array(1_000), "application/json").unwrap_err().reason,
                Reason::BodyTooLarge
            );
            let lines = "{\"z\":1}\n".repeat(1_000);
            assert_eq!(read(query, lines, "application/x-ndjson").unwrap_err().reason, Reason::BodyTooLarge);
            assert_eq!(read(query, array(20), "application/json").unwrap().len(), 20);
        }
        let honest = format!("token={}&source=crm&campaign=summer", "t".repeat(256));
        let rows = read(&honest, array(1_000), "application/json").unwrap();
        assert_eq!(rows.len(), 1_000);
        assert_eq!(rows[999].params.as_ref().unwrap().get("source"), Some("crm"));
    }

    #[test]
    fn d6_a_list_does_not_multiply_its_keys_without_bound() {
        let row = format!("{{\"{}\":[{}1]}}", "k".repeat(950), "1,".repeat(900));
        let list = |rows: usize| format!("[{}]", vec![row.as_str(); rows].join(","));
        assert_eq!(read("", list(90), "application/json").unwrap_err().reason, Reason::BodyTooLarge);
        assert_eq!(read("", list(3), "application/json").unwrap().len(), 3);
    }
}
