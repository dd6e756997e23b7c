//! A partner's server: takes every call, answers at once, and counts; or notes which call came when as well. Or one that
//! takes the connection and says nothing.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::stopwatch::Stopwatch;

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
        Self::serve(|stream, calls| {
            answer(stream, |_| {
                calls.fetch_add(1, Ordering::Relaxed);
            });
        })
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

    /// One that answers and notes when each call came, by this watch and the call's first line.
    pub(crate) fn start_noting(watch: Stopwatch) -> Result<(Self, Arrivals)> {
        let arrivals = Arrivals::default();
        let noted = arrivals.clone();
        let receiver = Self::serve(move |stream, calls| {
            answer(stream, |line| {
                noted.lock().insert(String::from_utf8_lossy(line.trim_ascii()).into_owned(), watch.elapsed());
                calls.fetch_add(1, Ordering::Relaxed);
            });
        })?;
        Ok((receiver, arrivals))
    }

    fn serve(each: impl Fn(TcpStream, &AtomicU64) + Clone + Send + 'static) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).context("no free loopback port")?;
        let (address, calls) = (listener.local_addr()?, Arc::new(AtomicU64::new(0)));
        let counted = Arc::clone(&calls);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (counted, each) = (Arc::clone(&counted), each.clone());
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

/// When calls came, by their first lines.
#[derive(Debug, Clone, Default)]
pub(crate) struct Arrivals(Arc<Mutex<HashMap<String, Duration>>>);

impl Arrivals {
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Duration>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When the call with this first line came, if it has.
    pub(crate) fn of(&self, line: &str) -> Option<Duration> {
        self.lock().get(line).copied()
    }
}

/// Calls without a body, one after the other.
fn answer(stream: TcpStream, note: impl Fn(&[u8])) {
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let mut stream = BufReader::new(stream);
    let (mut first, mut line) = (Vec::new(), Vec::new());
    loop {
        line.clear();
        match stream.read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) if line == b"\r\n" => {
                note(&first);
                first.clear();
                if stream.get_mut().write_all(ANSWER).is_err() {
                    return;
                }
            }
            Ok(_) if first.is_empty() => first.clone_from(&line),
            Ok(_) => {}
        }
    }
}
