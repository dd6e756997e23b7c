//! Clients that have nothing to do but to send the calls of the partner row: what the machine can do at best.

use std::net::SocketAddr;
use std::thread;

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tokio::task::JoinSet;

use super::http::Connection;
use super::receiver::Receiver;
use crate::stopwatch::Stopwatch;

/// As many calls as the program has under way to one partner.
const CONNECTIONS: u64 = 128;
/// The longest answer that is read.
const ANSWER_BYTES_MAX: usize = 1_024;

/// Calls per second of a loop over the HTTP library that the program uses too.
pub(crate) fn client(calls: u64) -> Result<u64> {
    over(CONNECTIONS, calls)
}

/// The same over one connection: each call waits for the answer to the one before.
pub(crate) fn one_by_one(calls: u64) -> Result<u64> {
    over(1, calls)
}

fn over(connections: u64, calls: u64) -> Result<u64> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    measure(|address| runtime.block_on(call_all(address, connections, calls)))
}

#[expect(clippy::disallowed_methods, reason = "this tool measures what a bare client can do")]
async fn call_all(address: SocketAddr, connections: u64, calls: u64) -> Result<()> {
    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
    let mut senders = JoinSet::new();
    for sender in 0..connections {
        let client = client.clone();
        senders.spawn(async move {
            for number in 0..calls.div_ceil(connections) {
                let answer = client.get(format!("http://{address}{}", path(sender, number)).parse()?).await?;
                let status = answer.status();
                let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await;
                if status != 200 || body.is_err() {
                    bail!("the receiver said {status}");
                }
            }
            Ok(())
        });
    }
    while let Some(sender) = senders.join_next().await {
        sender.context("a sending task panicked")??;
    }
    Ok(())
}

/// Calls per second of threads that write into sockets: no library, no scheduler, no safety.
pub(crate) fn sockets(calls: u64) -> Result<u64> {
    measure(|address| {
        let senders: Vec<_> = (0..CONNECTIONS)
            .map(|sender| thread::spawn(move || write_all(address, sender, calls.div_ceil(CONNECTIONS))))
            .collect();
        for sender in senders {
            sender.join().map_err(|_| anyhow::anyhow!("a sending thread panicked"))??;
        }
        Ok(())
    })
}

fn write_all(address: SocketAddr, sender: u64, calls: u64) -> Result<()> {
    let mut connection = Connection::open(address)?;
    for number in 0..calls {
        let answer = connection.get(&path(sender, number))?;
        if answer.status != 200 {
            bail!("the receiver said {}", answer.status);
        }
    }
    Ok(())
}

fn path(sender: u64, number: u64) -> String {
    format!("/pb?cid=01jabcdefghjkmnpqrstvwxy{sender}&tid={number}&sum=12.34&cur=USD")
}

fn measure(send: impl FnOnce(SocketAddr) -> Result<()>) -> Result<u64> {
    let receiver = Receiver::start()?;
    let watch = Stopwatch::start();
    send(receiver.address)?;
    let milliseconds = u64::try_from(watch.elapsed().as_millis())?.max(1);
    Ok(receiver.calls() * 1_000 / milliseconds)
}
