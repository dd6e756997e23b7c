//! A connection that brings no more than a cap for each request. What is read of a body has its own cap, but a peer can say
//! much before there is one: interim answers without end would keep a core busy until the deadline.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use hyper::rt::{Read, ReadBuf, ReadBufCursor, Write};

/// Bytes of an answer beside its body: interim answers, the head, what frames the body.
const BESIDE_BODY_BYTES_MAX: usize = 192 * 1024;

/// What a peer may say to one request. Calls of one client share their connections, so that the longest body that any of
/// them reads counts.
#[derive(Debug, Clone, Default)]
pub(super) struct Cap(Arc<AtomicUsize>);

impl Cap {
    /// A call reads this much of a body.
    pub(super) fn for_body(&self, bytes: usize) {
        self.0.fetch_max(bytes.saturating_add(BESIDE_BODY_BYTES_MAX), Ordering::Relaxed);
    }
}

/// The peer said more than that.
#[derive(Debug, thiserror::Error)]
#[error("it is longer than any that is read")]
pub(super) struct TooLong;

/// Counts what comes in since something last went out.
pub(super) struct Capped<T> {
    inner: T,
    cap: Cap,
    said: usize,
}

impl<T> Capped<T> {
    pub(super) const fn new(inner: T, cap: Cap) -> Self {
        Self { inner, cap, said: 0 }
    }

    /// Only what has gone out counts: a peer that takes nothing could otherwise talk for as long as it is written to.
    fn has_written(&mut self, written: &io::Result<usize>) {
        if written.as_ref().is_ok_and(|&bytes| bytes > 0) {
            self.said = 0;
        }
    }
}

impl<T: Read + Unpin> Read for Capped<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        mut out: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        if self.said > self.cap.0.load(Ordering::Relaxed) {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, TooLong)));
        }
        let mut piece = [const { MaybeUninit::uninit() }; 16 * 1024];
        let room = out.remaining().min(piece.len());
        let mut read = ReadBuf::uninit(&mut piece[..room]);
        ready!(Pin::new(&mut self.inner).poll_read(context, read.unfilled()))?;
        self.said += read.filled().len();
        out.put_slice(read.filled());
        Poll::Ready(Ok(()))
    }
}

impl<T: Write + Unpin> Write for Capped<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.inner).poll_write(context, bytes));
        self.has_written(&written);
        Poll::Ready(written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.inner).poll_write_vectored(context, slices));
        self.has_written(&written);
        Poll::Ready(written)
    }
}
