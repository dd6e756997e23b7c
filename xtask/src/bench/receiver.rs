//! A partner's server: takes every call, answers at once, and counts. Or one that takes the connection and says nothing.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use anyhow::{Context as _, Result};

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nOK";

/// A running receiver; its threads end with this program.
pub(crate) struct Receiver {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    calls: Arc<AtomicU64>,
}

impl Receiver {
    /// One that answers.
    pub(crate) fn start() -> Result<Self> {
        Self::serve(answer)
    }

    /// One that never does.
    pub(crate) fn start_silent() -> Result<Self> {
        Self::serve(|stream, _| {
            let mut stream = BufReader::new(stream);
            let mut line = String::new();
            while stream.read_line(&mut line).is_ok_and(|read| read > 0) {
                line.clear();
            }
        })
    }

    fn serve(each: fn(TcpStream, &AtomicU64)) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).context("no free loopback port")?;
        let (address, calls) = (listener.local_addr()?, Arc::new(AtomicU64::new(0)));
        let counted = Arc::clone(&calls);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let counted = Arc::clone(&counted);
                thread::spawn(move || each(stream, &counted));
            }
        });
        Ok(Self { address, calls })
    }

    /// How many calls were answered.
    pub(crate) fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }
}

/// Calls without a body, one after the other.
fn answer(stream: TcpStream, calls: &AtomicU64) {
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let mut stream = BufReader::new(stream);
    let mut line = Vec::new();
    loop {
        line.clear();
        match stream.read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) if line == b"\r\n" => {
                calls.fetch_add(1, Ordering::Relaxed);
                if stream.get_mut().write_all(ANSWER).is_err() {
                    return;
                }
            }
            Ok(_) => {}
        }
    }
}
