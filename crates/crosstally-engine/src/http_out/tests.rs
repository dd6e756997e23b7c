#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod hostile;
pub(crate) mod peer;
mod pool;
mod tls;

use crosstally_core::reason::Reason;

use super::*;
use peer::{Peer, get, post, whole};

const PRIVATE: SendOptions =
    SendOptions { deadline_ms: 5_000, allow_private: true, read_bytes_max: RESPONSE_READ_BYTES };

fn door() -> HttpOut {
    HttpOut::new().unwrap()
}

#[tokio::test]
async fn a_request_arrives_as_it_was_built() {
    let peer = Peer::start(async |mut peer| {
        let head = peer.read_request().await;
        peer.write(b"HTTP/1.1 201 Created\r\nX-Trace: abc\r\ncontent-length: 2\r\n\r\nok").await;
        peer.read_request().await;
        peer.write(&whole(&format!("second on one connection\n{head}"))).await;
        peer.wait_for_close().await;
    })
    .await;
    let door = door();
    let mut request = post(&peer.url("/v1/events?a=b"), b"{\"data\":[]}");
    request.headers.push(("authorization".into(), "Bearer t".into()));
    let first = door.send(&request, PRIVATE).await.unwrap();
    assert_eq!((first.status, first.body.as_slice(), first.body_cut), (201, b"ok".as_slice(), false));
    assert_eq!(first.header("x-trace"), Some("abc"));
    let second = door.send(&get(&peer.url("/")), PRIVATE).await.unwrap();
    let text = String::from_utf8(second.body).unwrap();
    assert!(text.starts_with("second on one connection\nPOST /v1/events?a=b HTTP/1.1\r\n"), "{text}");
    for line in [
        &format!("host: {}", peer.address),
        "content-length: 11",
        "authorization: Bearer t",
        "user-agent: crosstally",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
    assert!(!text.contains("accept-encoding") && text.ends_with("{\"data\":[]}"), "{text}");
    assert_eq!(peer.connections(), 1);
}

#[tokio::test]
async fn a_strict_call_opens_no_socket_to_a_private_address_however_it_is_spelt() {
    let peer = Peer::start(async |mut peer| {
        peer.read_request().await;
        peer.write(&whole("private")).await;
        peer.wait_for_close().await;
    })
    .await;
    let door = door();
    // An open connection in the pool of private calls must not help a strict one.
    door.send(&get(&peer.url("/")), PRIVATE).await.unwrap();
    let port = peer.address.port();
    for host in [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "127.0.0.1.",
        "\u{ff11}27.0.0.1",
        "localhost",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[64:ff9b:1::7f00:1]",
        "[2002:7f00:1::]",
        "[2001:0:7f00:1::]",
        "0.0.0.0",
        "0",
    ] {
        let request = get(&format!("http://{host}:{port}/?token=s3cret"));
        let error = door.send(&request, SendOptions::default()).await.unwrap_err();
        assert_eq!(error.reason, Reason::AddressForbidden, "{host}: {error}");
        assert!(!error.to_string().contains("s3cret"), "{error}");
    }
    assert_eq!(peer.connections(), 1);
}

/// Line A4: one private address among those of a name is enough; line A5: what was vetted is what is connected to, so the
/// answer of a second look-up could not help.
#[tokio::test]
async fn a4_one_private_address_is_enough() {
    let peer = Peer::start(async |_| {}).await;
    let port = peer.address.port();
    let own = peer.address.ip();
    let public: std::net::IpAddr = "192.88.98.1".parse().unwrap();
    let six: std::net::IpAddr = "2606:4700::1111".parse().unwrap();
    let loopback: std::net::IpAddr = "::1".parse().unwrap();
    for addresses in
        [&[public, own][..], &[own, public], &[six, own], &[public, loopback], &[six, public, own]]
    {
        let (door, resolver) = HttpOut::with_resolver().unwrap();
        resolver.plant("mixed.example", addresses);
        let request = get(&format!("http://mixed.example:{port}/?token=s3cret"));
        let error = door.send(&request, SendOptions::default()).await.unwrap_err();
        assert_eq!(error.reason, Reason::AddressForbidden, "{addresses:?}: {error}");
    }
    assert_eq!(peer.connections(), 0);
}

#[tokio::test]
async fn nobody_there_is_unreachable() {
    let peer = Peer::start(async |_| {}).await;
    let url = peer.url("/?token=s3cret");
    peer.stop().await;
    for url in [url.as_str(), "http://nobody.invalid/?token=s3cret"] {
        let error = door().send(&get(url), PRIVATE).await.unwrap_err();
        assert_eq!(error.reason, Reason::DestUnreachable, "{error}");
        assert!(!error.to_string().contains("s3cret"), "{error}");
    }
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_is_not_followed() {
    let elsewhere = Peer::start(async |_| {}).await;
    let location = elsewhere.url("/latest/meta-data");
    let redirect = format!("HTTP/1.1 302 Found\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n");
    let peer = Peer::start(move |mut peer| {
        let redirect = redirect.clone();
        async move {
            peer.read_request().await;
            peer.write(redirect.as_bytes()).await;
            peer.wait_for_close().await;
        }
    })
    .await;
    let answer = door().send(&get(&peer.url("/")), PRIVATE).await.unwrap();
    assert_eq!(answer.status, 302);
    assert_eq!(elsewhere.connections(), 0);
}

#[tokio::test]
async fn a_connection_that_the_server_closed_while_idle_is_not_used_again() {
    let peer = Peer::start(async |mut peer| {
        peer.read_request().await;
        peer.write(&whole("once")).await;
    })
    .await;
    let door = door();
    for _ in 0..5 {
        assert_eq!(door.send(&post(&peer.url("/"), b"x"), PRIVATE).await.unwrap().body, b"once");
        peer.all_closed().await;
    }
    assert_eq!(peer.connections(), 5);
}

/// Line A12: a listener for all addresses is reached by those of every interface too. That this is one of them shows only in the
/// connection itself, which ends without a word.
#[tokio::test]
async fn a12_a_connection_that_comes_back_carries_nothing() {
    use std::io::Read as _;
    use std::net::{IpAddr, Ipv4Addr, UdpSocket};

    let any = std::net::TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
    let at = any.local_addr().unwrap();
    // No packet leaves; the system only says from where it would.
    let outside = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
    let interface = outside.connect((Ipv4Addr::new(192, 88, 98, 1), 9)).and_then(|()| outside.local_addr());
    let interface = interface.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |address| address.ip());
    let door = door();
    door.listens_at([at]);
    let error = door.send(&get(&format!("http://{interface}:{}/", at.port())), PRIVATE).await.unwrap_err();
    assert_eq!((error.reason, error.may_have_arrived), (Reason::OwnAddress, false), "{interface}: {error}");
    any.set_nonblocking(true).unwrap();
    if let Ok((mut stream, _)) = any.accept() {
        stream.set_nonblocking(false).unwrap();
        let mut got = Vec::new();
        stream.read_to_end(&mut got).unwrap();
        assert!(got.is_empty(), "{got:?}");
    }
    // Without a listener of ours there, it is any other server of a private network.
    door.listens_at([]);
    let options = SendOptions { deadline_ms: 50, ..PRIVATE };
    let error = door.send(&get(&format!("http://{interface}:{}/", at.port())), options).await.unwrap_err();
    assert_eq!(error.reason, Reason::DestTimeout);
}
