//! The accept loop: hyper around the routes, with limits, and with faults that leave HTTP altogether.
//!
//! The listener and the end come from outside. Knows no platform and no fault's meaning.

use std::convert::Infallible;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tower::ServiceExt;

use crate::faults::End;
use crate::misbehave::{Takeover, Wire};
use crate::router::router;
use crate::state::Sandbox;

/// Connections at the same time; further ones wait in the listener's backlog.
const CONNECTIONS_MAX: usize = 4096;
/// A request's head must be here by then, and the next one too on a kept connection.
const HEAD_WITHIN: Duration = Duration::from_secs(60);
/// Calls under way may end when the sandbox stops; those that a fault holds up are cut.
const DRAIN_WITHIN: Duration = Duration::from_secs(1);
/// After an accept that failed for want of file handles.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Why the sandbox stopped by itself.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The listener is broken.
    #[error("the sandbox cannot accept connections any more")]
    Accept(#[source] io::Error),
}

/// Serves the sandbox on `listener` until `shutdown` is over, then lets calls under way end, for a second.
///
/// # Errors
/// If the listener itself is broken; troubles of single connections end only those.
pub async fn serve(
    listener: TcpListener,
    sandbox: Sandbox,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), ServeError> {
    let routes = router(sandbox.clone());
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let (stop, stopping) = watch::channel(false);
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        while connections.try_join_next().is_some() {}
        let accepted = tokio::select! {
            biased;
            () = &mut shutdown => break,
            accepted = accept(&listener, &places) => accepted?,
        };
        let (stream, place) = accepted;
        let (routes, stopping, open) = (routes.clone(), stopping.clone(), sandbox.connected());
        connections.spawn(async move {
            connection(stream, routes, stopping).await;
            drop((place, open));
        });
    }
    stop.send_replace(true);
    let drained = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(DRAIN_WITHIN, drained).await.is_err() {
        connections.shutdown().await;
    }
    Ok(())
}

async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> Result<(TcpStream, tokio::sync::OwnedSemaphorePermit), ServeError> {
    let place = Arc::clone(places).acquire_owned().await.expect("the semaphore is never closed");
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return Ok((stream, place)),
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) if is_for_want_of_handles(&error) => tokio::time::sleep(ACCEPT_PAUSE).await,
            Err(error) => return Err(ServeError::Accept(error)),
        }
    }
}

fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

/// EMFILE, ENFILE, ENOBUFS, ENOMEM: passing troubles of the whole machine.
fn is_for_want_of_handles(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(12 | 23 | 24 | 105))
}

/// Ends a connection's HTTP so that the socket can be had back.
#[derive(Debug)]
struct LeaveHttp;

impl fmt::Display for LeaveHttp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a fault took the connection over")
    }
}

impl std::error::Error for LeaveHttp {}

/// Serves one connection to its end.
async fn connection(stream: TcpStream, routes: Router, mut stopping: watch::Receiver<bool>) {
    // Answers are small and wait for nothing; a failure only costs delay.
    drop(stream.set_nodelay(true));
    let takeover = Arc::new(Mutex::new(None));
    let asked = Arc::clone(&takeover);
    let service = hyper::service::service_fn(move |request: http::Request<Incoming>| {
        let (routes, asked) = (routes.clone(), Arc::clone(&asked));
        Box::pin(async move {
            let Ok::<Response, Infallible>(mut response) = routes.oneshot(request.map(Body::new)).await;
            match response.extensions_mut().remove::<Takeover>() {
                None => Ok(response),
                Some(how) => {
                    *asked.lock().unwrap_or_else(PoisonError::into_inner) = Some(how);
                    Err(LeaveHttp)
                }
            }
        })
    });
    let mut http = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .serve_connection(TokioIo::new(stream), service);
    let mut told = false;
    let mut stop = Box::pin(async move { stopping.wait_for(|stop| *stop).await.is_ok() });
    let ended = poll_fn(|context| {
        if !told && stop.as_mut().poll(context).is_ready() {
            told = true;
            Pin::new(&mut http).graceful_shutdown();
        }
        http.poll_without_shutdown(context)
    })
    .await;
    let mut stream = http.into_parts().io.into_inner();
    let how = takeover.lock().unwrap_or_else(PoisonError::into_inner).take();
    // The other side may be gone already; then there is nobody to tell.
    drop(match (how, ended) {
        (Some(how), _) => take_over(&mut stream, how).await,
        (None, Ok(())) => stream.shutdown().await,
        (None, Err(_)) => Ok(()),
    });
}

/// What a fault does to a connection outside HTTP.
async fn take_over(stream: &mut TcpStream, how: Takeover) -> io::Result<()> {
    let end = match how {
        Takeover::Close => End::Close,
        Takeover::Reset => End::Reset,
        Takeover::Wire(wire) => {
            write_wire(stream, &wire).await?;
            wire.end
        }
    };
    match end {
        End::Close => stream.shutdown().await,
        End::Reset => stream.set_zero_linger(),
        End::Hang => until_left(stream).await,
    }
}

async fn write_wire(stream: &mut TcpStream, wire: &Wire) -> io::Result<()> {
    stream.write_all(&wire.first).await?;
    let mut written = 0;
    while !wire.then.is_empty() && (wire.repeat == 0 || written < wire.repeat) {
        if wire.ms_per_byte == 0 {
            stream.write_all(&wire.then).await?;
        } else {
            for byte in &wire.then {
                stream.write_all(&[*byte]).await?;
                tokio::time::sleep(Duration::from_millis(wire.ms_per_byte)).await;
            }
        }
        written += 1;
    }
    stream.flush().await
}

/// Waits until the other side closes, throwing away what it still sends.
async fn until_left(stream: &mut TcpStream) -> io::Result<()> {
    let mut waste = [0; 1024];
    loop {
        stream.readable().await?;
        match stream.try_read(&mut waste) {
            Ok(0) => return Ok(()),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}
