//! Bodies: reading those of requests up to a cap, and response bodies that are made while they are sent, which are
//! listings and the slow and the endless ones of faults.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::Sleep;

/// Why a body could not be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReadError {
    /// It has more bytes than the cap.
    TooLarge,
    /// It ended before its end.
    BrokenOff,
    /// It is compressed.
    Encoded,
    /// It did not come in time.
    TooSlow,
}

/// A body that takes longer is given up.
const WITHIN: Duration = Duration::from_secs(60);

/// The body of a request, as platforms take them: not compressed, whole and in time.
pub(crate) async fn receive(
    headers: &HeaderMap,
    body: axum::body::Body,
    bytes_max: usize,
) -> Result<Bytes, ReadError> {
    let encoding = headers.get(header::CONTENT_ENCODING);
    if encoding.is_some_and(|encoding| encoding != "identity") {
        return Err(ReadError::Encoded);
    }
    tokio::time::timeout(WITHIN, read(body, bytes_max)).await.unwrap_or(Err(ReadError::TooSlow))
}

/// The whole body, if it has no more than `bytes_max` bytes. A longer one is never cut.
#[expect(clippy::disallowed_methods, reason = "this is the one place, and it reads through Limited")]
pub(crate) async fn read(body: axum::body::Body, bytes_max: usize) -> Result<Bytes, ReadError> {
    match Limited::new(body, bytes_max).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(ReadError::TooLarge),
        Err(_) => Err(ReadError::BrokenOff),
    }
}

/// A body of many pieces, each made only when the last one has left: a long listing never stands in memory twice.
pub(crate) struct Pieces<F> {
    next: F,
}

impl<F: FnMut() -> Option<Vec<u8>> + Unpin> Pieces<F> {
    /// `next` gives the pieces in order, and `None` at the end.
    pub(crate) const fn new(next: F) -> Self {
        Self { next }
    }
}

impl<F: FnMut() -> Option<Vec<u8>> + Unpin> Body for Pieces<F> {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready((self.next)().map(|piece| Ok(Frame::data(Bytes::from(piece)))))
    }
}

/// A body that leaves byte by byte, with its true length in the head.
pub(crate) struct Drip {
    rest: VecDeque<u8>,
    every: Duration,
    pause: Option<Pin<Box<Sleep>>>,
}

impl Drip {
    pub(crate) fn new(bytes: &[u8], every: Duration) -> Self {
        Self { rest: bytes.iter().copied().collect(), every, pause: None }
    }
}

impl Body for Drip {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(pause) = self.pause.as_mut() {
            ready!(pause.as_mut().poll(context));
        }
        let Some(byte) = self.rest.pop_front() else { return Poll::Ready(None) };
        self.pause = Some(Box::pin(tokio::time::sleep(self.every)));
        Poll::Ready(Some(Ok(Frame::data(Bytes::copy_from_slice(&[byte])))))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.len() as u64)
    }
}

/// A body that never ends; it is made only as fast as the other side reads.
pub(crate) struct Endless {
    chunk: Bytes,
}

impl Endless {
    pub(crate) fn new() -> Self {
        Self { chunk: Bytes::from(vec![b' '; 64 * 1024]) }
    }
}

impl Body for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(Some(Ok(Frame::data(self.chunk.clone()))))
    }
}
