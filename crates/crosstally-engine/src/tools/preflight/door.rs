//! The way to this installation's own doors: past the guard that keeps deliveries from them, and nowhere else.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crosstally_core::address::plain_host;
use crosstally_destinations::dialect::{Request, Response};
use tokio::sync::watch;
use url::Url;

use super::{At, TOTAL, Wanted};
use crate::Engine;
use crate::http_out::{HttpOut, SendError, SendOptions};
use crate::snapshot::Snapshot;
use crate::tools::CallError;

/// Where the door is if nobody says so.
const USUAL: &str = "http://127.0.0.1:8080";
/// How long one call may take.
const CALL_MS: u64 = 5_000;
/// Bytes of an answer that are read.
const READ_BYTES_MAX: usize = 256 * 1024;

/// Where this process's own tracking door is, and who runs it.
#[derive(Debug, Default)]
pub struct Door {
    pub(super) at: At,
    is_command: AtomicBool,
    closing: watch::Sender<bool>,
    limit: OnceLock<Duration>,
    browser: OnceLock<PathBuf>,
}

impl Door {
    /// Says that this process is a command of whoever may read the data directory anyway: it may go through any address.
    pub fn is_of_a_command(&self) {
        self.is_command.store(true, Ordering::Relaxed);
    }

    /// Says with which program this command opens pages.
    pub fn opens_pages_with(&self, program: PathBuf) {
        self.browser.get_or_init(|| program);
    }

    /// Says how long a run may take here, where it is less than usual.
    pub fn flies_within(&self, limit: Duration) {
        self.limit.get_or_init(|| limit);
    }

    pub(super) fn limit(&self) -> Duration {
        self.limit.get().map_or(TOTAL, |limit| (*limit).min(TOTAL))
    }

    /// Says that this process takes no more calls.
    pub fn closes(&self) {
        self.closing.send_replace(true);
    }

    pub(crate) fn is_closing(&self) -> bool {
        *self.closing.borrow()
    }

    /// Waits until it takes no more calls.
    pub(super) async fn closed(&self) {
        let mut closing = self.closing.subscribe();
        // It ends when the door itself is gone, at the latest.
        drop(closing.wait_for(|is_closing| *is_closing).await);
    }

    pub(super) fn browser(&self) -> Option<&PathBuf> {
        self.browser.get()
    }
}

/// The address that visitors and partners call.
pub(super) struct Base {
    /// Without a slash at its end.
    pub(super) url: String,
    client: HttpOut,
    trusted: bool,
}

impl Base {
    /// The door that was asked for, else this process's own.
    pub(super) fn of(engine: &Engine, wanted: &Wanted, snapshot: &Snapshot) -> Result<Self, CallError> {
        let unable = |problem: &str| CallError::Unreadable(problem.to_owned());
        let is_command = engine.door.is_command.load(Ordering::Relaxed);
        let (url, trusted) = match (&wanted.base, engine.door.at.get()) {
            (Some(base), own) => {
                let url = Url::parse(base).map_err(|_| unable("`base` is no URL"))?;
                let host = url.host().map(|host| plain_host(&host.to_owned())).unwrap_or_default();
                let is_public = snapshot.config.workspace.public_hosts.contains(&host);
                let is_own = own.is_some_and(|own| reached(*own) == base.trim_end_matches('/'));
                (
                    base.trim_end_matches('/').to_owned(),
                    is_command || is_public || is_own || wanted.allow_private,
                )
            }
            (None, Some(own)) => (reached(*own), true),
            (None, None) if is_command => (USUAL.to_owned(), true),
            (None, None) => {
                return Err(unable("this node has no tracking door; name the address of one with `base`"));
            }
        };
        // A client of its own: the other one refuses this server's own addresses, as deliveries must.
        let client = if trusted {
            HttpOut::new().map_err(|_| unable("the client cannot be made"))?
        } else {
            engine.http_out.clone()
        };
        Ok(Self { url, client, trusted })
    }

    /// Calls the door.
    pub(super) async fn send(&self, request: &Request) -> Result<Response, SendError> {
        let options =
            SendOptions { deadline_ms: CALL_MS, allow_private: self.trusted, read_bytes_max: READ_BYTES_MAX };
        self.client.send(request, options).await
    }

    /// Asks for a page of the door.
    pub(super) async fn get(
        &self,
        path: &str,
        headers: Vec<(String, String)>,
    ) -> Result<Response, SendError> {
        self.send(&request("GET", format!("{}{path}", self.url), headers, Vec::new())).await
    }

    /// Whether a URL leads to this door.
    pub(super) fn is_own(&self, url: &str) -> bool {
        url.strip_prefix(&self.url).is_some_and(|rest| rest.starts_with('/'))
    }
}

/// A request without secrets to mask.
pub(super) fn request(
    method: &'static str,
    url: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
) -> Request {
    Request { method, url: url.into(), headers, body, body_shown: Vec::new(), secrets: Vec::new() }
}

/// How a listener is reached from its own machine.
fn reached(address: SocketAddr) -> String {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    format!("http://{}", SocketAddr::new(ip, address.port()))
}
