//! Peers that mean harm or are broken: the call ends in time, in bounded memory, with the right reason, and hangs up.

use std::time::{Duration, Instant};

use tokio::runtime::Handle;

use super::peer::{Conversation, Peer, post};
use super::*;

const SHORT: SendOptions = SendOptions { deadline_ms: 400, ..PRIVATE };

/// Calls the peer under a short deadline, and checks that the call ended in time and that the client hung up.
#[expect(
    clippy::disallowed_methods,
    reason = "whether a real call ends in time is measured by the real clock"
)]
async fn call<F, B>(behave: B) -> Result<Response, SendError>
where
    F: Future<Output = ()> + Send + 'static,
    B: Fn(Conversation) -> F + Send + Sync + 'static,
{
    let peer = Peer::start(behave).await;
    let tasks = Handle::current().metrics();
    let before = tasks.num_alive_tasks();
    let started = Instant::now();
    let out = door().send(&post(&peer.url("/?token=s3cret"), b"x=1"), SHORT).await;
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
    peer.all_closed().await;
    // The client's door is gone, and so is everything that ran for it.
    let left = async {
        while tasks.num_alive_tasks() > before {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), left).await.expect("no task is left behind");
    if let Err(error) = &out {
        assert!(!error.to_string().contains("s3cret"), "{error}");
    }
    out
}

/// Answers every call with these bytes, and hangs up.
async fn answered(bytes: &[u8]) -> Result<Response, SendError> {
    let bytes = bytes.to_vec();
    call(move |mut peer| {
        let bytes = bytes.clone();
        async move {
            peer.read_request().await;
            peer.write(&bytes).await;
        }
    })
    .await
}

fn reason(out: Result<Response, SendError>) -> Reason {
    out.expect_err("an error").reason
}

#[tokio::test]
async fn a_peer_that_never_answers() {
    let out = call(async |mut peer| peer.wait_for_close().await).await;
    assert_eq!(reason(out), Reason::DestTimeout);
}

#[tokio::test]
async fn a_head_byte_by_byte() {
    let out = call(async |mut peer| {
        peer.read_request().await;
        for byte in b"HTTP/1.1 200 OK\r\nx-long: ".iter().chain(std::iter::repeat(&b'a')) {
            tokio::time::sleep(Duration::from_millis(20)).await;
            if !peer.write(&[*byte]).await {
                return;
            }
        }
    })
    .await;
    assert_eq!(reason(out), Reason::DestTimeout);
}

#[tokio::test]
async fn a_body_byte_by_byte() {
    let out = call(async |mut peer| {
        peer.read_request().await;
        peer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n").await;
        while peer.write(b"a").await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    assert_eq!(reason(out), Reason::DestTimeout);
}

#[tokio::test]
async fn a_body_without_end_is_cut_and_left() {
    for head in ["transfer-encoding: chunked\r\n\r\n", "\r\n", "content-length: 1000000000\r\n\r\n"] {
        let out = call(move |mut peer| async move {
            peer.read_request().await;
            peer.write(format!("HTTP/1.1 200 OK\r\n{head}").as_bytes()).await;
            let piece = if head.starts_with("transfer") {
                format!("4000\r\n{}\r\n", "a".repeat(0x4000))
            } else {
                "a".repeat(0x4000)
            };
            while peer.write(piece.as_bytes()).await {}
        })
        .await
        .unwrap();
        assert_eq!((out.status, out.body.len(), out.body_cut), (200, RESPONSE_READ_BYTES, true), "{head:?}");
    }
}

#[tokio::test]
async fn interim_answers_without_end() {
    for interim in ["HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n"] {
        let out = call(move |mut peer| async move {
            peer.read_request().await;
            while peer.write(interim.repeat(100).as_bytes()).await {}
        })
        .await;
        // Not at the deadline: until then it would keep a core busy.
        assert_eq!(reason(out), Reason::DestUnreadable);
    }
}

/// The command line asks for lists of many megabytes, through the same door.
#[tokio::test]
async fn a_long_body_is_read_by_who_asks_for_it() {
    let long = "a".repeat(3_000_000);
    let bytes = super::peer::whole(&long);
    let peer = Peer::start(move |mut peer| {
        let bytes = bytes.clone();
        async move {
            peer.read_request().await;
            peer.write(&bytes).await;
        }
    })
    .await;
    let patient = SendOptions { read_bytes_max: 4_000_000, ..PRIVATE };
    let out = door().send(&post(&peer.url("/"), b""), patient).await.unwrap();
    assert_eq!((out.body.len(), out.body_cut), (3_000_000, false));
}

/// A name server that hangs: the call ends at its deadline, calls to other names go on, and the name is looked up once
/// however many wait for it.
#[tokio::test]
async fn a_name_server_that_hangs() {
    let (door, resolver) = HttpOut::with_resolver().unwrap();
    let lookup = resolver.plant_hanging("slow.example");
    let slow = post("http://slow.example/?token=s3cret", b"");
    let calls = (0..20).map(|_| door.send(&slow, SHORT));
    let peer = Peer::start(async |mut peer| {
        peer.read_request().await;
        peer.write(&super::peer::whole("ok")).await;
    })
    .await;
    let other = post(&peer.url("/"), b"");
    let (hanging, other) = tokio::join!(futures_util::future::join_all(calls), door.send(&other, PRIVATE));
    assert_eq!(other.unwrap().body, b"ok");
    for out in hanging {
        let error = out.unwrap_err();
        assert_eq!(error.reason, Reason::DestTimeout);
        assert!(!error.to_string().contains("s3cret"), "{error}");
    }
    drop(lookup);
}

#[tokio::test]
async fn heads_over_the_cap() {
    let many: String = (0..100_000).map(|number| format!("x-{number}: 1\r\n")).collect();
    assert_eq!(
        reason(answered(format!("HTTP/1.1 200 OK\r\n{many}\r\n").as_bytes()).await),
        Reason::DestUnreadable
    );
    let out = call(async |mut peer| {
        peer.read_request().await;
        peer.write(b"HTTP/1.1 200 OK\r\nx-long: ").await;
        while peer.write(&[b'a'; 0x4000]).await {}
    })
    .await;
    assert_eq!(reason(out), Reason::DestUnreadable);
}

#[tokio::test]
async fn answers_that_are_not_http() {
    for bytes in [
        b"\x00\x01\x02\x03 garbage\r\n\r\n".as_slice(),
        b"<html>not http</html>\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"HTTP/9.9 200 OK\r\n\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nbad header\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nabc\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
    ] {
        assert_eq!(reason(answered(bytes).await), Reason::DestUnreadable, "{}", bytes.escape_ascii());
    }
}

#[tokio::test]
async fn answers_that_are_cut_off() {
    for bytes in [
        b"".as_slice(),
        b"HTTP/1.1 20",
        b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nab",
    ] {
        assert_eq!(reason(answered(bytes).await), Reason::DestUnreachable, "{}", bytes.escape_ascii());
    }
    let reset = call(async |mut peer| {
        peer.read_request().await;
        peer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc").await;
        // No lingering: the kernel sends a reset in place of an orderly end.
        peer.0.set_zero_linger().unwrap();
    })
    .await;
    assert_eq!(reason(reset), Reason::DestUnreachable);
}

#[tokio::test]
async fn compressed_answers_stay_as_they_came() {
    // The first bytes of a gzip stream; what they would unpack to is nobody's business here.
    let packed = [0x1f, 0x8b, 0x08, 0, 0, 0, 0, 0, 0, 3, 0xed, 0xc1, 1, 1];
    let mut bytes = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 14\r\n\r\n".to_vec();
    bytes.extend_from_slice(&packed);
    assert_eq!(answered(&bytes).await.unwrap().body, packed);
}

#[tokio::test]
async fn header_values_that_are_not_text_are_readable_all_the_same() {
    let answer = answered(b"HTTP/1.1 200 OK\r\nx-a: \xff\xfe\r\ncontent-length: 0\r\n\r\n").await.unwrap();
    assert_eq!(answer.header("x-a"), Some("\u{fffd}\u{fffd}"));
}

#[tokio::test]
async fn random_bytes_never_do_worse_than_an_error() {
    let random = crate::random::Random::seeded(7);
    for round in 0_usize..60 {
        let noise: [u8; 96] = random.bytes();
        let mut bytes = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nx: y\r\n\r\n3\r\nabc\r\n".to_vec();
        bytes.truncate(round);
        bytes.extend_from_slice(&noise);
        if let Err(error) = answered(&bytes).await {
            assert!(
                matches!(
                    error.reason,
                    Reason::DestUnreadable | Reason::DestUnreachable | Reason::DestTimeout
                ),
                "{error}"
            );
        }
    }
}
