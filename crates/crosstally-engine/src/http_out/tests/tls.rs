//! TLS: only a certificate for this host, in time, signed by a root that is trusted, will do.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls_pki_types::PrivateKeyDer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

use super::peer::Peer;
use super::*;

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn trusting(authority: &Authority) -> HttpOut {
    let mut roots = RootCertStore::empty();
    roots.add(authority.der().clone()).unwrap();
    HttpOut::with_tls(connect::tls(roots).unwrap())
}

/// A server under a certificate for this name that ended in this year.
async fn server(authority: &Authority, name: &str, until_year: i32) -> Peer {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.not_before = rcgen::date_time_ymd(2000, 1, 1);
    params.not_after = rcgen::date_time_ymd(until_year, 1, 1);
    let certificate = params.signed_by(&key, authority).unwrap();
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        )
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    Peer::start(move |peer| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(mut stream) = acceptor.accept(peer.0).await else { return };
            let mut head = [0; 1024];
            let read = stream.read(&mut head).await.unwrap_or(0);
            if read > 0 {
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nsecure").await.unwrap();
                drop(stream.read(&mut head).await);
            }
        }
    })
    .await
}

async fn call(door: &HttpOut, peer: &Peer) -> Result<Response, SendError> {
    door.send(&peer::get(&format!("https://localhost:{}/?token=s3cret", peer.address.port())), PRIVATE).await
}

#[tokio::test]
async fn only_the_right_certificate_opens_the_door() {
    let (known, stranger) = (authority(), authority());
    let door = trusting(&known);
    let good = server(&known, "localhost", 2100).await;
    assert_eq!(call(&door, &good).await.unwrap().body, b"secure");
    for (bad, problem) in [
        (server(&stranger, "localhost", 2100).await, "a stranger's"),
        (server(&known, "other.example", 2100).await, "another host's"),
        (server(&known, "localhost", 2020).await, "an old one"),
    ] {
        let error = call(&door, &bad).await.expect_err(problem);
        assert_eq!(error.reason, Reason::DestUnreachable, "{problem}: {error}");
        assert!(error.detail.contains("TLS") && !error.detail.contains("s3cret"), "{problem}: {error}");
        bad.all_closed().await;
    }
    assert_eq!(
        call(&self::door(), &good).await.unwrap_err().reason,
        Reason::DestUnreachable,
        "the public roots"
    );
}

#[tokio::test]
async fn no_tls_at_all() {
    let plain = Peer::start(async |mut peer| {
        peer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
        peer.wait_for_close().await;
    })
    .await;
    let error = call(&door(), &plain).await.unwrap_err();
    assert_eq!(error.reason, Reason::DestUnreachable, "{error}");
    let silent = Peer::start(async |mut peer| peer.wait_for_close().await).await;
    let url = format!("https://localhost:{}/", silent.address.port());
    let short = SendOptions { deadline_ms: 300, ..PRIVATE };
    assert_eq!(door().send(&peer::get(&url), short).await.unwrap_err().reason, Reason::DestTimeout);
    silent.all_closed().await;
}
