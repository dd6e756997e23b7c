//! From a host to an open connection: look up, vet every address, connect to a vetted one, agree on TLS.
//!
//! Names and literals go the same way, and what was vetted is what is connected to: the name is not looked up again.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use crosstally_core::address;
use crosstally_core::reason::Reason;
use http::Uri;
use hyper_util::rt::TokioIo;
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::capped::{Cap, Capped};
use super::own::Own;
use super::resolve::Resolver;

/// How long one address may take before the next is tried.
const ADDRESS_WAIT: Duration = Duration::from_millis(2_500);
/// Addresses that are tried.
const ADDRESSES_TRIED: usize = 6;

/// Opens connections.
#[derive(Clone)]
pub(super) struct Connector {
    resolver: Resolver,
    tls: TlsConnector,
    cap: Cap,
    own: Own,
}

/// Why there is no connection. Fit for people's eyes: it names a host at most.
#[derive(Debug, thiserror::Error)]
#[error("{detail}")]
pub(super) struct ConnectError {
    pub(super) reason: Reason,
    pub(super) detail: String,
}

/// Bytes in both directions.
pub(super) trait Io: hyper::rt::Read + hyper::rt::Write {}

impl<T: hyper::rt::Read + hyper::rt::Write> Io for T {}

/// An open connection, with or without TLS.
pub(super) type Stream = Box<dyn Io + Send + Unpin>;

/// The TLS settings for these roots: our own choice of provider, no client certificate, HTTP/1.1 only.
pub(super) fn tls(roots: RootCertStore) -> Result<TlsConnector, tokio_rustls::rustls::Error> {
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
}

impl Connector {
    pub(super) const fn new(resolver: Resolver, tls: TlsConnector, cap: Cap, own: Own) -> Self {
        Self { resolver, tls, cap, own }
    }

    /// Opens a connection to a URL's host, which may be a private one if that is allowed.
    pub(super) async fn connect(&self, uri: &Uri, allow_private: bool) -> Result<Stream, ConnectError> {
        let host = uri.host().unwrap_or_default();
        let secure = uri.scheme() == Some(&http::uri::Scheme::HTTPS);
        let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
        if !allow_private && address::is_this_machine(host) {
            return Err(not_public(host, "this machine"));
        }
        let found = self.resolver.addresses(host).await;
        let addresses = found.map_err(|problem| unreachable(host, &problem))?;
        if !allow_private {
            vet(host, &addresses)?;
        }
        if addresses.iter().any(|&address| self.own.is_address(address, port)) {
            return Err(is_own(host));
        }
        let plain = open(&addresses, port).await.map_err(|problem| unreachable(host, &problem))?;
        if let (Ok(local), Ok(peer)) = (plain.local_addr(), plain.peer_addr())
            && self.own.is_loop(local, peer)
        {
            return Err(is_own(host));
        }
        if !secure {
            return Ok(Box::new(Capped::new(TokioIo::new(plain), self.cap.clone())));
        }
        let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned())
            .map_err(|_| unreachable(host, "the host has no name that a certificate could state"))?;
        let stream =
            self.tls.connect(name, plain).await.map_err(|error| unreachable(host, &tls_problem(&error)))?;
        Ok(Box::new(Capped::new(TokioIo::new(stream), self.cap.clone())))
    }
}

/// Every address must be a public one: whoever answers for the name could otherwise choose between them.
fn vet(host: &str, addresses: &[IpAddr]) -> Result<(), ConnectError> {
    match addresses.iter().find_map(|&address| address::forbidden(address)) {
        None => Ok(()),
        Some(range) => Err(not_public(host, range)),
    }
}

fn not_public(host: &str, range: &str) -> ConnectError {
    ConnectError {
        reason: Reason::AddressForbidden,
        detail: format!("{host}: an address of this host is not a public one ({range})"),
    }
}

fn is_own(host: &str) -> ConnectError {
    ConnectError { reason: Reason::OwnAddress, detail: own(host) }
}

/// What is told of a call to this server itself.
pub(super) fn own(host: &str) -> String {
    format!("{host}: it leads back to this server itself")
}

#[expect(clippy::disallowed_methods, reason = "this is the one door, and the addresses are vetted")]
async fn open(addresses: &[IpAddr], port: u16) -> Result<TcpStream, String> {
    let mut problem = "no address".to_owned();
    for &address in addresses.iter().take(ADDRESSES_TRIED) {
        match timeout(ADDRESS_WAIT, TcpStream::connect(SocketAddr::new(address, port))).await {
            Ok(Ok(stream)) => {
                // Only a matter of speed: a socket that refuses it works all the same.
                drop(stream.set_nodelay(true));
                return Ok(stream);
            }
            Ok(Err(error)) => problem = format!("port {port}: {}", error.kind()),
            Err(_) => problem = format!("port {port}: no connection in time"),
        }
    }
    Err(problem)
}

fn tls_problem(error: &io::Error) -> String {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<tokio_rustls::rustls::Error>());
    match inner {
        Some(problem) => format!("TLS: {problem}"),
        None => format!("TLS: {}", error.kind()),
    }
}

fn unreachable(host: &str, problem: &str) -> ConnectError {
    ConnectError { reason: Reason::DestUnreachable, detail: format!("{host}: {problem}") }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn one_private_address_among_public_ones_is_enough() {
        let vetted = |texts: &[&str]| {
            let addresses: Vec<IpAddr> = texts.iter().map(|text| text.parse().unwrap()).collect();
            vet("a.example", &addresses).map_err(|error| error.reason)
        };
        assert_eq!(vetted(&["8.8.8.8", "2606:4700::1111"]), Ok(()));
        assert_eq!(vetted(&["8.8.8.8", "10.0.0.1"]), Err(Reason::AddressForbidden));
        assert_eq!(vetted(&["8.8.8.8", "fd00::1"]), Err(Reason::AddressForbidden));
    }
}
