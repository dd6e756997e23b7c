//! One HTTP/1 connection and what is said over it. It is read and written by whoever waits for the answer: where hundreds of
//! calls are under way, a task for each connection beside that of its call takes more time than the calls.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use tokio::task::unconstrained;

use super::connect::Stream;
use super::{HEAD_BYTES_MAX, HEADERS_MAX};

/// A request that is ready to leave.
pub(super) type Ready = http::Request<Full<Bytes>>;

/// What reads and writes; nothing once that has ended.
type Driver = Option<Pin<Box<http1::Connection<Stream, Full<Bytes>>>>>;

/// An open connection.
pub(super) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    driver: Driver,
}

/// Why there is no answer.
pub(super) enum Failed {
    /// Nothing of the request has left: it may go over another connection.
    Unsent(Box<Ready>),
    /// The connection broke.
    Broken(hyper::Error),
    /// The connection ended without a word about this request, which may have left.
    Ended,
}

impl Connection {
    pub(super) async fn over(stream: Stream) -> Result<Self, hyper::Error> {
        let mut settings = http1::Builder::new();
        settings.max_headers(HEADERS_MAX).max_buf_size(HEAD_BYTES_MAX);
        let (sender, driver) = settings.handshake(stream).await?;
        Ok(Self { sender, driver: Some(Box::pin(driver)) })
    }

    /// Whether the next request may go over it: the last answer has come to its end, and nothing is known of the peer having
    /// hung up or said anything since. The library looks once more before it lets a request leave.
    pub(super) fn is_free(&mut self) -> bool {
        // Nobody waits for it: the next exchange looks again before it waits.
        drive(&mut self.driver, &mut Context::from_waker(Waker::noop()));
        self.driver.is_some() && self.sender.is_ready()
    }

    /// Sends a request and reads the answer.
    pub(super) async fn exchange<T>(
        &mut self,
        request: Ready,
        read: impl AsyncFnOnce(http::Response<Incoming>) -> T,
    ) -> Result<T, Failed> {
        let answer = self.sender.try_send_request(request);
        let exchange = async {
            match answer.await {
                Ok(answer) => Ok(read(answer).await),
                Err(mut error) => Err(match error.take_message() {
                    Some(request) => Failed::Unsent(Box::new(request)),
                    None => Failed::Broken(error.into_error()),
                }),
            }
        };
        // Else a busy task's share could be used up just when the answer is there and the connection at its end.
        let mut exchange = pin!(unconstrained(exchange));
        let driver = &mut self.driver;
        poll_fn(|context| {
            if let Poll::Ready(done) = exchange.as_mut().poll(context) {
                return Poll::Ready(done);
            }
            drive(driver, context);
            match exchange.as_mut().poll(context) {
                Poll::Pending if driver.is_none() => Poll::Ready(Err(Failed::Ended)),
                done_or_not => done_or_not,
            }
        })
        .await
    }
}

/// Reads and writes what can be. What it fails over is told to whoever waits for the answer.
fn drive(driver: &mut Driver, context: &mut Context<'_>) {
    if driver.as_mut().is_some_and(|driver| driver.as_mut().poll(context).is_ready()) {
        *driver = None;
    }
}
