//! A small HTTP/1.1 client over one kept-alive loopback connection: enough to ask our own program and its sandbox.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

/// The longest body that is read.
const BODY_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// How long a read or write may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// One connection.
pub(crate) struct Connection {
    address: SocketAddr,
    stream: BufReader<TcpStream>,
}

/// One answer.
pub(crate) struct Answer {
    /// Its status.
    pub(crate) status: u16,
    /// The header `Location`, if any.
    pub(crate) location: Option<String>,
    /// Its body.
    pub(crate) body: Vec<u8>,
}

impl Connection {
    /// Connects.
    #[expect(clippy::disallowed_methods, reason = "this tool asks the program that it measures")]
    pub(crate) fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).with_context(|| format!("nobody listens on {address}"))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        Ok(Self { address, stream: BufReader::new(stream) })
    }

    /// Asks with no body.
    pub(crate) fn get(&mut self, path: &str) -> Result<Answer> {
        self.call("GET", path, &[])
    }

    /// Asks with no body, with an API token.
    pub(crate) fn get_as(&mut self, path: &str, token: &str) -> Result<Answer> {
        self.send("GET", path, &format!("Authorization: Bearer {token}\r\n"), &[])
    }

    /// Asks; a body is JSON.
    pub(crate) fn call(&mut self, method: &str, path: &str, body: &[u8]) -> Result<Answer> {
        self.send(method, path, "", body)
    }

    fn send(&mut self, method: &str, path: &str, header: &str, body: &[u8]) -> Result<Answer> {
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) bench\r\n\
             {header}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            self.address,
            body.len()
        );
        let mut request = head.into_bytes();
        request.extend_from_slice(body);
        self.stream.get_mut().write_all(&request)?;
        self.answer().with_context(|| format!("no whole answer to {method} {path}"))
    }

    fn answer(&mut self) -> Result<Answer> {
        let status_line = self.line()?;
        let status = status_line.split(' ').nth(1).and_then(|code| code.parse().ok());
        let status = status.with_context(|| format!("not a status line: {status_line:?}"))?;
        let mut length = 0_u64;
        let mut location = None;
        loop {
            let line = self.line()?;
            if line.is_empty() {
                break;
            }
            let Some((name, value)) = line.split_once(':') else { continue };
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.trim().parse().context("not a length")?,
                "location" => location = Some(value.trim().to_owned()),
                "transfer-encoding" => bail!("a chunked answer, which nothing of ours sends"),
                _ => {}
            }
        }
        if length > BODY_BYTES_MAX {
            bail!("an answer of {length} bytes");
        }
        let mut body = Vec::new();
        let read = (&mut self.stream).take(length).read_to_end(&mut body)?;
        if u64::try_from(read)? < length {
            bail!("the answer ends early");
        }
        Ok(Answer { status, location, body })
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 {
            bail!("the connection was closed");
        }
        Ok(line.trim_end().to_owned())
    }
}

/// Asks once over a connection of its own.
pub(crate) fn ask(address: SocketAddr, method: &str, path: &str) -> Result<Answer> {
    Connection::open(address)?.call(method, path, &[])
}
