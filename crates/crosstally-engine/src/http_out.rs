//! The only door for outbound HTTP. Everything that leaves this program for a destination passes here.
//!
//! The peer is not trusted: one deadline spans the lookup, the connection, TLS, the request and the whole answer; the
//! answer's head and body are cut at a cap, and so is all that comes before them; redirects are not followed; proxies named in the environment are not used;
//! nothing is decompressed; a host that has any address outside the public internet is not called unless the
//! destination says so, and this server itself not even then. It knows nothing about events, retries or the store.

mod capped;
mod connect;
mod connection;
mod own;
mod pool;
mod resolve;
mod target;
#[cfg(test)]
pub(crate) mod tests;

use std::error::Error as StdError;
use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crosstally_core::limits::RESPONSE_READ_BYTES;
use crosstally_core::reason::Reason;
use crosstally_destinations::dialect::{Request, Response};
use http::Uri;
use http::header::{self, HeaderValue};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::RootCertStore;

use capped::{Cap, TooLong};
use connect::Connector;
use connection::{Connection, Failed, Ready};
use own::Own;
use pool::{Place, Pool};
use resolve::Resolver;

/// The longest deadline that anybody may ask for.
const DEADLINE_MS_MAX: u64 = 75_000;
/// Header lines of an answer.
const HEADERS_MAX: usize = 100;
/// Bytes of an answer's head.
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// The outbound client. Cheap to clone; clones share their open connections.
#[derive(Clone)]
pub struct HttpOut {
    connector: Connector,
    pool: Pool,
    cap: Cap,
    own: Own,
}

impl fmt::Debug for HttpOut {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("HttpOut(..)")
    }
}

/// How to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SendOptions {
    /// When the whole exchange must be over, in milliseconds from its start; 75,000 at most.
    pub deadline_ms: u64,
    /// Whether the address may be a private one.
    pub allow_private: bool,
    /// How many bytes of the answer's body are read; the rest is left and the connection closed.
    pub read_bytes_max: usize,
}

impl Default for SendOptions {
    fn default() -> Self {
        Self { deadline_ms: 10_000, allow_private: false, read_bytes_max: RESPONSE_READ_BYTES }
    }
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}: {detail}")]
pub struct SendError {
    /// The reason code.
    pub reason: Reason,
    /// What happened, in words that hold no query, header or body.
    pub detail: String,
    /// Whether the request may have reached the other side all the same.
    pub may_have_arrived: bool,
}

impl SendError {
    fn new(reason: Reason, detail: impl Into<String>) -> Self {
        let never_sent = matches!(
            reason,
            Reason::AddressForbidden | Reason::OwnAddress | Reason::DestMisconfigured | Reason::DestRejected
        );
        Self { reason, detail: detail.into(), may_have_arrived: !never_sent }
    }

    fn unsent(reason: Reason, detail: impl Into<String>) -> Self {
        Self { may_have_arrived: false, ..Self::new(reason, detail) }
    }
}

impl HttpOut {
    /// Makes the client, with the public trust roots that are built in.
    ///
    /// # Errors
    /// The TLS library refuses its own settings.
    pub fn new() -> Result<Self, tokio_rustls::rustls::Error> {
        let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        connect::tls(roots).map(|tls| Self::over(tls, &Resolver::default()))
    }

    #[cfg(test)]
    fn with_tls(tls: TlsConnector) -> Self {
        Self::over(tls, &Resolver::default())
    }

    /// A client with its resolver at hand, so that a test can be the name server.
    #[cfg(test)]
    fn with_resolver() -> Result<(Self, Resolver), tokio_rustls::rustls::Error> {
        let resolver = Resolver::default();
        let tls = connect::tls(RootCertStore::empty())?;
        Ok((Self::over(tls, &resolver), resolver))
    }

    fn over(tls: TlsConnector, resolver: &Resolver) -> Self {
        let (cap, own) = (Cap::default(), Own::default());
        let connector = Connector::new(resolver.clone(), tls, cap.clone(), own.clone());
        Self { connector, pool: Pool::default(), cap, own }
    }

    /// Says where this server's own listeners are: no call goes there, also none that may go to private addresses.
    pub fn listens_at(&self, doors: impl IntoIterator<Item = SocketAddr>) {
        self.own.set_doors(doors.into_iter().collect());
    }

    /// Says under which hosts this server is reached: no call goes there. In the spelling of
    /// [`crosstally_core::address::plain_host`].
    pub(crate) fn is_reached_under(&self, hosts: &[String]) {
        self.own.set_hosts(hosts.to_vec());
    }

    /// Sends a request and reads the answer, whatever its status.
    ///
    /// # Errors
    /// See [`SendError`].
    pub async fn send(&self, request: &Request, options: SendOptions) -> Result<Response, SendError> {
        self.exchange(request, options, false).await
    }

    /// The same as a visitor does: links of this server's own are visited under its public hosts, as others are. All else
    /// there is refused as ever, and so is every address at which it listens.
    ///
    /// # Errors
    /// See [`SendError`].
    pub(crate) async fn visit(&self, request: &Request, options: SendOptions) -> Result<Response, SendError> {
        self.exchange(request, options, true).await
    }

    /// The link of this server's own that a URL is, under one of its public hosts: whether a click link, and which.
    pub(crate) fn own_link<'u>(&self, url: &'u url::Url) -> Option<(bool, &'u str)> {
        self.own.is_host(url.host_str()?).then(|| own::link_at(url.path())).flatten()
    }

    async fn exchange(
        &self,
        request: &Request,
        options: SendOptions,
        visits: bool,
    ) -> Result<Response, SendError> {
        let ready = target::prepare(request, options.allow_private)?;
        let host = ready.uri().host().unwrap_or_default();
        let is_link = visits && request.method == "GET" && own::link_at(ready.uri().path()).is_some();
        if !is_link && self.own.is_host(host) {
            return Err(SendError::new(Reason::OwnAddress, connect::own(host)));
        }
        let deadline_ms = options.deadline_ms.min(DEADLINE_MS_MAX);
        self.cap.for_body(options.read_bytes_max);
        let may_have_left = AtomicBool::new(false);
        let exchange = self.exchange_at(ready, options, &may_have_left);
        tokio::time::timeout(Duration::from_millis(deadline_ms), exchange).await.unwrap_or_else(|_| {
            let may_have_arrived = may_have_left.load(Ordering::Relaxed);
            let missing = if may_have_arrived { "complete answer" } else { "connection" };
            let detail = format!("no {missing} within {deadline_ms} ms");
            Err(SendError { may_have_arrived, ..SendError::new(Reason::DestTimeout, detail) })
        })
    }

    /// Over a free connection if there is one, else over a new one.
    async fn exchange_at(
        &self,
        mut request: Ready,
        options: SendOptions,
        may_have_left: &AtomicBool,
    ) -> Result<Response, SendError> {
        let place = Place::of(request.uri(), options.allow_private);
        let uri = request.uri().clone();
        addressed(&mut request)?;
        while let Some(mut connection) = self.pool.take(&place) {
            if connection.is_free() {
                may_have_left.store(true, Ordering::Relaxed);
                match self.exchange_over(connection, &place, request, options).await {
                    Err(Failed::Unsent(unsent)) => request = *unsent,
                    answered => return answered.unwrap_or_else(|failed| Err(no_answer(failed))),
                }
                may_have_left.store(false, Ordering::Relaxed);
            }
        }
        let stream = self.connector.connect(&uri, options.allow_private).await;
        let stream = stream.map_err(|error| SendError::unsent(error.reason, error.detail))?;
        let connection = Connection::over(stream).await;
        let connection =
            connection.map_err(|error| SendError { may_have_arrived: false, ..broken_off(&error) })?;
        may_have_left.store(true, Ordering::Relaxed);
        let answered = self.exchange_over(connection, &place, request, options).await;
        answered.unwrap_or_else(|failed| Err(no_answer(failed)))
    }

    async fn exchange_over(
        &self,
        mut connection: Connection,
        place: &Place,
        request: Ready,
        options: SendOptions,
    ) -> Result<Result<Response, SendError>, Failed> {
        let answered =
            connection.exchange(request, async |answer| read(answer, options.read_bytes_max).await).await?;
        if connection.is_free() {
            self.pool.put(place.clone(), connection);
        }
        Ok(answered)
    }
}

/// What a server is asked for; the connection to it is made for the rest.
fn addressed(ready: &mut Ready) -> Result<(), SendError> {
    let unusable = || SendError::new(Reason::DestMisconfigured, "the URL has an impossible host");
    let uri = std::mem::take(ready.uri_mut());
    let authority = uri.authority().ok_or_else(unusable)?;
    let host = HeaderValue::from_str(authority.as_str()).map_err(|_| unusable())?;
    ready.headers_mut().insert(header::HOST, host);
    *ready.uri_mut() = uri.into_parts().path_and_query.map_or_else(Uri::default, Uri::from);
    Ok(())
}

async fn read(answer: http::Response<Incoming>, bytes_max: usize) -> Result<Response, SendError> {
    let (head, mut incoming) = answer.into_parts();
    let mut response = Response {
        status: head.status.as_u16(),
        headers: head
            .headers
            .iter()
            .map(|(name, value)| {
                (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
            })
            .collect(),
        body: Vec::new(),
        body_cut: false,
    };
    while let Some(frame) = incoming.frame().await {
        let frame = frame.map_err(|error| broken_off(&error))?;
        let Some(data) = frame.data_ref() else { continue };
        let room = bytes_max - response.body.len();
        response.body.extend_from_slice(data.get(..room).unwrap_or(data));
        if data.len() > room {
            // Leaving the rest unread closes the connection.
            response.body_cut = true;
            break;
        }
    }
    Ok(response)
}

fn no_answer(failed: Failed) -> SendError {
    match failed {
        Failed::Broken(error) => broken_off(&error),
        Failed::Unsent(_) => {
            SendError::unsent(Reason::DestUnreachable, "the connection closed before the request left")
        }
        Failed::Ended => {
            SendError::new(Reason::DestUnreachable, "the connection closed before the answer came")
        }
    }
}

fn broken_off(error: &hyper::Error) -> SendError {
    if error.is_parse() {
        return SendError::new(Reason::DestUnreadable, format!("the answer is not HTTP: {error}"));
    }
    let io = error.source().and_then(|cause| cause.downcast_ref::<std::io::Error>());
    let problem = match io {
        Some(io) if io.get_ref().is_some_and(<dyn StdError + Send + Sync>::is::<TooLong>) => {
            return SendError::new(Reason::DestUnreadable, format!("the answer is not read: {TooLong}"));
        }
        // A body whose chunks cannot be read is reported as an error of the connection.
        Some(io)
            if matches!(io.kind(), std::io::ErrorKind::InvalidInput | std::io::ErrorKind::InvalidData) =>
        {
            return SendError::new(
                Reason::DestUnreadable,
                format!("the answer's body is not HTTP: {}", io.kind()),
            );
        }
        Some(io) => io.kind().to_string(),
        None => error.to_string(),
    };
    SendError::new(
        Reason::DestUnreachable,
        format!("the connection broke before the answer was complete: {problem}"),
    )
}
