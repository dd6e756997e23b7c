//! What a sender is told, in the form that its contract asks for.

use crosstally_core::contract::AnswerMode;
use crosstally_core::reason::Reason;
use crosstally_core::verdict::Verdict;
use crosstally_engine::postback::{PostbackOut, Received};
use http::StatusCode;
use serde::Serialize;

use crate::answer::{Answer, json, text};
use crate::problem;

/// What became of one row.
#[derive(Debug, Serialize)]
struct RowAnswer<'a> {
    result: &'static str,
    code: Option<&'static str>,
    receipt: Option<String>,
    conversion: Option<String>,
    #[serde(skip_serializing_if = "str::is_empty")]
    detail: &'a str,
}

/// What became of every row, in their order.
#[derive(Debug, Serialize)]
struct RowsAnswer<'a> {
    results: Vec<RowAnswer<'a>>,
}

/// The answer to a call.
pub(in crate::collect) fn tell(received: &Received) -> Answer {
    // Whoever is not booked is never told that all is well, whatever the contract says: only a retry can help.
    if let Some(lost) = received.rows.iter().find(|row| row.must_come_again()) {
        return tell_one(lost);
    }
    match (received.answer, received.rows.as_slice()) {
        (AnswerMode::Plain | AnswerMode::PlainAlways200, rows) => plain(received, rows),
        (AnswerMode::Json, [row]) if !received.is_list => tell_one(row),
        (AnswerMode::Always200, [row]) if !received.is_list => json(StatusCode::OK, &row_answer(row, true)),
        (AnswerMode::Json | AnswerMode::Always200, rows) => {
            let results = rows.iter().map(|row| row_answer(row, true)).collect();
            json(StatusCode::OK, &RowsAnswer { results })
        }
    }
}

/// The answer to a call of one row.
pub(in crate::collect) fn tell_one(row: &PostbackOut) -> Answer {
    if row.verdict == Verdict::Refused {
        return problem::refusal(row.reason.unwrap_or(Reason::StoreUnavailable), &row.detail, row.receipt);
    }
    json(StatusCode::OK, &row_answer(row, false))
}

/// The answer to many rows.
pub(in crate::collect) fn tell_rows(status: StatusCode, rows: &[PostbackOut]) -> Answer {
    let results = rows.iter().map(|row| row_answer(row, true)).collect();
    json(status, &RowsAnswer { results })
}

fn row_answer(row: &PostbackOut, with_refusals: bool) -> RowAnswer<'_> {
    let is_told = with_refusals && row.verdict == Verdict::Refused;
    RowAnswer {
        result: row.verdict.as_str(),
        code: row.reason.map(Reason::code),
        receipt: row.receipt.map(|id| id.to_string()),
        conversion: row.conversion.map(|id| id.to_string()),
        detail: if is_told { &row.detail } else { "" },
    }
}

/// One line: the contract's text, or what was wrong.
fn plain(received: &Received, rows: &[PostbackOut]) -> Answer {
    let Some(refused) = rows.iter().find(|row| row.verdict == Verdict::Refused) else {
        return text(StatusCode::OK, received.answer_text.clone());
    };
    let reason = refused.reason.unwrap_or(Reason::StoreUnavailable);
    let status = if received.answer == AnswerMode::PlainAlways200 {
        StatusCode::OK
    } else {
        problem::status_of(reason)
    };
    let receipt = refused.receipt.map(|id| format!(" {id}")).unwrap_or_default();
    text(status, format!("ERROR {}{receipt}: {}", reason.code(), refused.detail))
}
