//! Peers that no sender should trust: `/hostile/{kind}` takes any method and answers as badly as the kind says, for ever
//! and everybody. Keeps nothing and judges nothing.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{StatusCode, header};
use serde_json::{Map, Value};

use crate::faults::End;
use crate::misbehave::{self, Takeover, Wire};
use crate::problem::Problem;

/// Every kind, and what the sender meets.
pub(crate) const KINDS: &[(&str, &str)] = &[
    ("ok", "200 and OK, to compare"),
    ("silent", "no answer, ever"),
    ("closes", "the connection closed without an answer"),
    ("reset_before", "the connection reset without an answer"),
    ("reset_after_ok", "a 200, half its body, then a reset"),
    ("drip_head", "a head without end, a byte each 200 ms"),
    ("drip_body", "a 200, then its body, a byte each 200 ms"),
    ("endless_body", "a 200 whose body never ends"),
    ("endless_interim", "103 without end"),
    ("many_headers", "a 200 with 100,000 header lines"),
    ("long_header", "a header line without end"),
    ("short_body", "a body shorter than its content-length, then the end"),
    ("two_lengths", "two content-lengths that differ"),
    ("bad_chunk", "a chunk whose length is no number"),
    ("gzip_bomb", "a 200 of 60 KiB that unpack to 9 MiB"),
    ("not_http", "the greeting of another protocol"),
    ("redirect_private", "302 to an address of a private network"),
    ("redirect_loop", "307 to itself"),
    ("error_text", "a 200 that says that nothing was taken"),
    ("no_content_body", "204, and a body all the same"),
    ("throttled", "429 until in three thousand years"),
    ("gone", "410"),
    ("unavailable", "503"),
];

// Made once: whoever is measured beside them should not wait for them to be made.
static MANY_HEADERS: LazyLock<Bytes> = LazyLock::new(|| {
    let lines: String = (0..100_000).map(|number| format!("x-{number}: 1\r\n")).collect();
    format!("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n{lines}\r\nOK").into()
});
static GZIP_BOMB: LazyLock<Bytes> = LazyLock::new(|| {
    let packed = bomb(60 * 1024);
    let head =
        format!("HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\n\r\n", packed.len());
    [head.as_bytes(), &packed].concat().into()
});

/// `GET /hostile`
pub(crate) async fn index() -> Response {
    let kinds: Map<String, Value> =
        KINDS.iter().map(|(kind, meets)| (format!("/hostile/{kind}"), (*meets).into())).collect();
    axum::Json(kinds).into_response()
}

/// `/hostile/{kind}`
pub(crate) async fn play(Path(kind): Path<String>) -> Result<Response, Problem> {
    answer(&kind)
        .ok_or_else(|| Problem::bad_request("No such kind", "GET /hostile lists what there is.".to_owned()))
}

fn answer(kind: &str) -> Option<Response> {
    let said = |status: StatusCode, text: &'static str| (status, text).into_response();
    let with = |mut response: Response, name, value: &str| {
        misbehave::set(&mut response, name, value);
        response
    };
    Some(match kind {
        "ok" => said(StatusCode::OK, "OK"),
        "error_text" => said(StatusCode::OK, "error: unknown click"),
        "gone" => said(StatusCode::GONE, "this offer has ended"),
        "unavailable" => said(StatusCode::SERVICE_UNAVAILABLE, "later"),
        "throttled" => with(said(StatusCode::TOO_MANY_REQUESTS, "later"), header::RETRY_AFTER, "99999999999"),
        "redirect_private" => {
            with(said(StatusCode::FOUND, ""), header::LOCATION, "http://169.254.169.254/latest/meta-data/")
        }
        "redirect_loop" => {
            with(said(StatusCode::TEMPORARY_REDIRECT, ""), header::LOCATION, "/hostile/redirect_loop")
        }
        "closes" => misbehave::takeover(Takeover::Close),
        "reset_before" => misbehave::takeover(Takeover::Reset),
        other => misbehave::takeover(Takeover::Wire(wire(other)?)),
    })
}

fn wire(kind: &str) -> Option<Wire> {
    let once = |first: &'static [u8], end| Wire { first: Bytes::from_static(first), end, ..Wire::default() };
    let endless = |first: &'static str, then: Bytes, ms_per_byte| Wire {
        first: Bytes::from_static(first.as_bytes()),
        then,
        repeat: 0,
        ms_per_byte,
        end: End::Close,
    };
    Some(match kind {
        "silent" => once(b"", End::Hang),
        "reset_after_ok" => once(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nOK", End::Reset),
        "short_body" => once(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nOK", End::Close),
        "two_lengths" => {
            once(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nOK", End::Hang)
        }
        "bad_chunk" => {
            once(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nOK\r\n0\r\n\r\n", End::Hang)
        }
        "not_http" => once(b"SSH-2.0-OpenSSH_9.2\r\n", End::Hang),
        "no_content_body" => once(b"HTTP/1.1 204 No Content\r\ncontent-length: 2\r\n\r\nOK", End::Hang),
        "drip_head" => endless("HTTP/1.1 200 OK\r\nx-long: ", Bytes::from_static(b"a"), 200),
        "drip_body" => {
            endless("HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n", Bytes::from_static(b"a"), 200)
        }
        "endless_body" => endless("HTTP/1.1 200 OK\r\n\r\n", Bytes::from(vec![b'a'; 0x4000]), 0),
        "endless_interim" => {
            endless("", Bytes::from(b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n".repeat(100)), 0)
        }
        "long_header" => endless("HTTP/1.1 200 OK\r\nx-long: ", Bytes::from(vec![b'a'; 0x4000]), 0),
        "many_headers" => Wire { first: MANY_HEADERS.clone(), ..Wire::default() },
        "gzip_bomb" => Wire { first: GZIP_BOMB.clone(), end: End::Hang, ..Wire::default() },
        _ => return None,
    })
}

/// About this many bytes of gzip that say "the same zero again, 258 times" as often as fits: each eighth of 13 bytes
/// unpacks to 258.
fn bomb(bytes: usize) -> Vec<u8> {
    // A gzip head without a name; then one block of fixed codes: the literal 0, and from there on repetitions.
    let mut out = vec![0x1f, 0x8b, 0x08, 0, 0, 0, 0, 0, 0, 0xff];
    let (mut held, mut bits) = (0_u32, 0_u32);
    // The last block, fixed codes: 1, 10. The literal 0 is 00110000, the length 258 is 11000101, the distance 1 is 00000;
    // fields go in from the lowest bit, codes from their highest.
    let head = [(0b011, 3), (0b0000_1100, 8)];
    let again = [(0b1010_0011, 8), (0, 5)];
    for (value, width) in head.into_iter().chain(again.into_iter().cycle()) {
        held |= value << bits;
        bits += width;
        while bits >= 8 {
            out.extend_from_slice(&held.to_le_bytes()[..1]);
            held >>= 8;
            bits -= 8;
        }
        if out.len() >= bytes {
            break;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_that_is_listed_is_played_and_no_other() {
        for (kind, _) in KINDS {
            assert!(answer(kind).is_some(), "{kind}");
        }
        assert!(answer("nice").is_none());
    }
}
