//! The listeners: accept, cap, serve, drain.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crosstally_engine::metrics::{Metrics, Name};
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};

use crate::answer::Answer;
use crate::router;
use crate::state::{DoorOptions, State};

/// Connections that one listener serves at once.
const CONNECTIONS_MAX: usize = 16_384;
/// How long a request's head may take, and how long a kept connection may stay idle.
const HEAD_WAIT: Duration = Duration::from_secs(15);
/// Bytes of a request's head.
const HEAD_BYTES_MAX: usize = 128 * 1024;
/// Headers of a request.
const HEADERS_MAX: usize = 128;
/// How long requests in flight may take to end when the server stops.
const DRAIN_WAIT: Duration = Duration::from_secs(8);
const BACKLOG: i32 = 4096;

/// Where to listen.
#[derive(Debug, Clone)]
pub struct Doors {
    /// The tracking listener, for the public; `None` if this node does not collect.
    pub tracking: Option<SocketAddr>,
    /// The admin listener, private; `None` if this node has no API.
    pub admin: Option<SocketAddr>,
}

/// Bound listeners that have not begun to serve.
#[derive(Debug)]
pub struct Listening {
    tracking: Option<TcpListener>,
    admin: Option<TcpListener>,
}

impl Listening {
    /// Binds the listeners.
    ///
    /// # Errors
    /// The address that could not be bound, and why.
    pub fn bind(doors: &Doors) -> io::Result<Self> {
        Ok(Self {
            tracking: doors.tracking.map(listen).transpose()?,
            admin: doors.admin.map(listen).transpose()?,
        })
    }

    /// The tracking listener's address, with the port that was really given.
    #[must_use]
    pub fn tracking(&self) -> Option<SocketAddr> {
        self.tracking.as_ref().and_then(|listener| listener.local_addr().ok())
    }

    /// The admin listener's address.
    #[must_use]
    pub fn admin(&self) -> Option<SocketAddr> {
        self.admin.as_ref().and_then(|listener| listener.local_addr().ok())
    }

    /// All addresses at which this server can be reached.
    pub fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        self.tracking().into_iter().chain(self.admin())
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let named =
        |error: io::Error| io::Error::new(error.kind(), format!("cannot listen on {address}: {error}"));
    let socket = socket2::Socket::new(socket2::Domain::for_address(address), socket2::Type::STREAM, None)
        .map_err(named)?;
    socket.set_reuse_address(true).map_err(named)?;
    socket.set_nonblocking(true).map_err(named)?;
    socket.bind(&address.into()).map_err(named)?;
    socket.listen(BACKLOG).map_err(named)?;
    TcpListener::from_std(socket.into()).map_err(named)
}

/// Serves both listeners until the server stops, then lets requests in flight end.
pub async fn serve(listening: Listening, state: State, stop: watch::Receiver<bool>) {
    let admin_router = router::admin(state.clone());
    let tracking = async {
        if let Some(listener) = listening.tracking {
            let door = Door::new("tracking", &state);
            let state = Arc::new(state.clone());
            accept(listener, door, stop.clone(), move |request, peer| {
                let state = Arc::clone(&state);
                async move { router::tracking(&state, request, peer).await }
            })
            .await;
        }
    };
    let admin = async {
        if let Some(listener) = listening.admin {
            accept(listener, Door::new("admin", &state), stop.clone(), move |request, _| {
                router::admin_call(admin_router.clone(), request)
            })
            .await;
        }
    };
    tokio::join!(tracking, admin);
}

/// A listener's name, its seats, and where it counts.
#[derive(Clone)]
struct Door {
    name: &'static str,
    seats: Seats,
    metrics: Metrics,
}

impl Door {
    fn new(name: &'static str, state: &State) -> Self {
        Self { name, seats: Seats::of(&state.options), metrics: state.engine.metrics.clone() }
    }

    /// A connection that ended before a request was read or answered: nobody had the time to write a receipt.
    fn broken(&self, error: &hyper::Error) {
        let reason = if error.is_parse_too_large() {
            "too_large"
        } else if error.is_parse() {
            "unreadable"
        } else if error.is_timeout() {
            "timeout"
        } else {
            "broke_off"
        };
        self.metrics.count(Name::ConnectionsBroken, &[("door", self.name), ("reason", reason)], 1);
        tracing::debug!(door = self.name, reason, error = %error, "a connection ended early");
    }
}

async fn accept<H, F>(listener: TcpListener, door: Door, mut stop: watch::Receiver<bool>, handle: H)
where
    H: Fn(Request<Incoming>, IpAddr) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Answer> + Send + 'static,
{
    let permits = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let graceful = GracefulShutdown::new();
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        // One buffer for head and body: our answers are small, and copying them costs less than a list of pieces.
        .writev(false)
        .header_read_timeout(HEAD_WAIT)
        .max_buf_size(HEAD_BYTES_MAX)
        .max_headers(HEADERS_MAX);
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let permit = tokio::select! {
            permit = Arc::clone(&permits).acquire_owned() => permit.expect("the semaphore is never closed"),
            () = stopped(&mut stop) => break,
        };
        let (stream, peer) = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of descriptors, or a connection that broke at once: neither ends the listener.
                    tracing::warn!(error = %error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    continue;
                }
            },
            () = stopped(&mut stop) => break,
        };
        while connections.try_join_next().is_some() {}
        // Whoever holds this many already gets no more; the connection is closed without a word.
        let Some(seat) = door.seats.take(peer.ip()) else { continue };
        let connection = connection(stream, peer.ip(), &builder, &graceful, handle.clone());
        let door = door.clone();
        connections.spawn(async move {
            if let Err(error) = connection.await {
                door.broken(&error);
            }
            drop((permit, seat));
        });
    }
    drop(listener);
    if tokio::time::timeout(DRAIN_WAIT, graceful.shutdown()).await.is_err() {
        tracing::warn!("some requests did not end in time and were cut off");
    }
    // A postback whose sender has gone may still be on its way into the store.
    connections.abort_all();
}

/// How many connections each address has.
#[derive(Debug, Clone)]
struct Seats {
    taken: Arc<Mutex<HashMap<IpAddr, usize>>>,
    options: Arc<DoorOptions>,
}

/// One connection of an address; given back when it ends.
#[derive(Debug)]
struct Seat {
    taken: Arc<Mutex<HashMap<IpAddr, usize>>>,
    of: IpAddr,
}

impl Seats {
    fn of(options: &Arc<DoorOptions>) -> Self {
        Self { taken: Arc::default(), options: Arc::clone(options) }
    }

    /// A seat; `None` if the address has as many as it may have.
    fn take(&self, peer: IpAddr) -> Option<Seat> {
        let of = peer.to_canonical();
        let most = match self.options.trusted_proxies.iter().any(|range| range.contains(&of)) {
            true => CONNECTIONS_MAX,
            false => self.options.connections_of_one,
        };
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let count = taken.entry(of).or_default();
        if *count >= most {
            return None;
        }
        *count += 1;
        Some(Seat { taken: Arc::clone(&self.taken), of })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = taken.get_mut(&self.of) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.of);
            }
        }
    }
}

async fn stopped(stop: &mut watch::Receiver<bool>) {
    // A sender that has gone away means the same as being told to stop.
    drop(stop.wait_for(|stopped| *stopped).await);
}

fn connection<H, F>(
    stream: TcpStream,
    peer: IpAddr,
    builder: &http1::Builder,
    graceful: &GracefulShutdown,
    handle: H,
) -> impl Future<Output = hyper::Result<()>> + Send + 'static
where
    H: Fn(Request<Incoming>, IpAddr) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Answer> + Send + 'static,
{
    // Answers are small and whole: nothing is gained by waiting for more.
    drop(stream.set_nodelay(true));
    let service = service_fn(move |request| {
        let answer = handle(request, peer);
        async move { Ok::<_, std::convert::Infallible>(answer.await) }
    });
    graceful.watch(builder.serve_connection(TokioIo::new(stream), service))
}
