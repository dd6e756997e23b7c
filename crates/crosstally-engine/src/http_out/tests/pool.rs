//! Connections that are used again, and those that must not be.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::Notify;
use tokio::task::consume_budget;
use tokio::time::timeout;

use super::super::pool::KEPT_MAX;
use super::peer::{Peer, get, post, whole};
use super::{PRIVATE, Reason, SendOptions, door};

/// Answers each request with what the test says, until the other side hangs up.
async fn answering(answer: &[u8]) -> Peer {
    let answer = answer.to_vec();
    Peer::start(move |mut peer| {
        let answer = answer.clone();
        async move { while !peer.read_request().await.is_empty() && peer.write(&answer).await {} }
    })
    .await
}

/// Takes one request on each connection, says all of this and tells that it has; then it waits for the other side to hang up.
async fn telling(pieces: &[Vec<u8>]) -> (Peer, Arc<Notify>) {
    let told = Arc::new(Notify::new());
    let (telling, pieces) = (Arc::clone(&told), pieces.to_vec());
    let peer = Peer::start(move |mut peer| {
        let (telling, pieces) = (Arc::clone(&telling), pieces.clone());
        async move {
            peer.read_request().await;
            for piece in pieces {
                peer.write(&piece).await;
            }
            telling.notify_one();
            peer.wait_for_close().await;
        }
    })
    .await;
    (peer, told)
}

#[tokio::test]
async fn as_many_as_are_needed_at_once_are_used_again() {
    let peer = answering(&whole("ok")).await;
    let (door, request) = (door(), get(&peer.url("/")));
    for _ in 0..5 {
        for answer in join_all((0..20).map(|_| door.send(&request, PRIVATE))).await {
            assert_eq!(answer.unwrap().body, b"ok");
        }
    }
    assert_eq!(peer.connections(), 20);
}

/// Else whoever answers one call could write the answer to the next, which may be another destination's at the same host.
#[tokio::test]
async fn an_answer_that_nobody_asked_for_is_never_taken_for_the_next() {
    let (first, planted) = (whole("first"), whole("planted"));
    for pieces in [vec![[&first[..], &planted].concat()], vec![first.clone(), planted.clone()]] {
        let (peer, planted) = telling(&pieces).await;
        let (door, request) = (door(), get(&peer.url("/")));
        for call in 1..=3 {
            assert_eq!(door.send(&request, PRIVATE).await.unwrap().body, b"first", "call {call}");
            planted.notified().await;
            // Until the system has told of it.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(peer.connections(), 3, "in {} pieces", pieces.len());
    }
}

#[tokio::test]
async fn what_a_peer_closes_or_leaves_half_read_is_not_used_again() {
    for answer in [
        &b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok"[..],
        b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok",
        b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n",
        &whole(&"a".repeat(200_000)),
    ] {
        let peer = answering(answer).await;
        let (door, request) = (door(), get(&peer.url("/")));
        for _ in 0..3 {
            door.send(&request, PRIVATE).await.unwrap();
            peer.all_closed().await;
        }
        assert_eq!(peer.connections(), 3, "{:?}", String::from_utf8_lossy(&answer[..30]));
    }
}

#[tokio::test]
async fn what_nobody_uses_any_more_is_closed() {
    let peer = answering(&whole("ok")).await;
    let door = door();
    for _ in 0..2 {
        let request = get(&peer.url("/"));
        for answer in join_all((0..10).map(|_| door.send(&request, PRIVATE))).await {
            answer.unwrap();
        }
        peer.all_closed().await;
    }
    assert_eq!(peer.connections(), 20);
}

/// Each is an open file, however many places there are.
#[tokio::test]
async fn no_more_are_kept_than_in_all_may_be() {
    let (door, mut peers) = (door(), Vec::new());
    for _ in 0..KEPT_MAX / 20 + 1 {
        peers.push(answering(&whole("ok")).await);
    }
    let twenty = async |peer: &Peer| {
        let request = get(&peer.url("/"));
        for answer in join_all((0..20).map(|_| door.send(&request, PRIVATE))).await {
            answer.unwrap();
        }
    };
    for peer in &peers {
        twenty(peer).await;
    }
    let last = &peers[peers.len() - 1];
    twenty(last).await;
    assert_eq!(last.connections(), 40);
}

/// A call that is given up takes its connection along, and leaves nothing running.
#[tokio::test]
async fn who_does_not_wait_for_the_answer_hangs_up() {
    let (peer, read) = telling(&[]).await;
    let (door, request) = (door(), get(&peer.url("/")));
    tokio::select! {
        answer = door.send(&request, PRIVATE) => panic!("{answer:?}"),
        () = read.notified() => {}
    }
    peer.all_closed().await;
    assert_eq!(peer.connections(), 1);
}

/// Many calls share one task and the share of time that the runtime gives it. Wherever that ends, an answer that came is not lost:
/// a call whose answer is lost is made again.
#[tokio::test]
async fn no_answer_is_lost_when_a_busy_task_has_to_wait_its_turn() {
    for answer in [
        &b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok"[..],
        b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok",
        &[whole("ok"), whole("planted")].concat(),
    ] {
        let peer = answering(answer).await;
        for used_up in 0..128 {
            let (door, request) = (door(), get(&peer.url("/")));
            let mut call = pin!(door.send(&request, PRIVATE));
            let answer = poll_fn(|context| {
                for _ in 0..used_up {
                    let _ready = pin!(consume_budget()).poll(context);
                }
                call.as_mut().poll(context)
            });
            assert_eq!(answer.await.unwrap().body, b"ok", "{used_up} of the share used up");
        }
    }
}

/// What a peer says counts until something has gone out, and not only until something was tried.
#[tokio::test]
async fn a_peer_that_takes_nothing_cannot_talk_for_as_long_as_it_is_written_to() {
    let peer = Peer::start(async |mut peer| {
        // Little at a time, so that each piece is followed by another try to write.
        while peer.write("HTTP/1.1 100 Continue\r\n\r\n".repeat(500).as_bytes()).await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    let long = SendOptions { deadline_ms: 20_000, ..PRIVATE };
    let error = door().send(&post(&peer.url("/"), &vec![b'x'; 32 << 20]), long).await.unwrap_err();
    assert_eq!(error.reason, Reason::DestUnreadable, "{error}");
}

#[expect(clippy::disallowed_methods, reason = "these connections only fill a queue")]
#[tokio::test]
async fn what_never_left_is_told_as_such() {
    // What connects beyond a full backlog hangs.
    let listening = TcpSocket::new_v4().unwrap();
    listening.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = listening.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut waiting = Vec::new();
    while let Ok(stream) = timeout(Duration::from_millis(300), TcpStream::connect(address)).await {
        waiting.push(stream.unwrap());
        assert!(waiting.len() < 64, "a backlog that never fills");
    }
    let short = SendOptions { deadline_ms: 300, ..PRIVATE };
    let error = door().send(&get(&format!("http://{address}/")), short).await.unwrap_err();
    assert_eq!((error.reason, error.may_have_arrived), (Reason::DestTimeout, false), "{error}");
    assert_eq!(error.detail, "no connection within 300 ms");
    // One that is taken and not answered may have arrived.
    let peer = Peer::start(async |mut peer| peer.wait_for_close().await).await;
    let error = door().send(&get(&peer.url("/")), short).await.unwrap_err();
    assert_eq!((error.reason, error.may_have_arrived), (Reason::DestTimeout, true), "{error}");
}
