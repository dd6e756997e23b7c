//! A page on a port of its own, as a shop's or a lander's: sound, or with a fault that was planted.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use anyhow::Result;
use crosstally_testkit::client;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// What is wrong with the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    /// It leads on and lower-cases the query.
    LowerCases,
    /// It leads on and drops the click id.
    DropsClick,
    /// It leads on with everything.
    Redirects,
    /// It has another pixel.
    OtherPixel,
    /// It reports each visitor's sale twice.
    FiresTwice,
    /// No fault: it has the script, and tells a sale.
    Tells,
    /// It has neither pixel nor script.
    Bare,
    /// It takes the call and never answers.
    Hangs,
    /// It is gone.
    Gone,
}

/// The page.
pub(crate) struct Shop {
    pub(crate) address: SocketAddr,
    state: Arc<Mutex<State>>,
}

#[derive(Clone, Copy)]
struct State {
    fault: Fault,
    tracking: Option<SocketAddr>,
}

impl Shop {
    #[expect(clippy::disallowed_methods, reason = "a test's server runs on a task of its own")]
    pub(crate) async fn open() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let state = Arc::new(Mutex::new(State { fault: Fault::None, tracking: None }));
        let shared = Arc::clone(&state);
        tokio::task::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let shared = Arc::clone(&shared);
                // Browsers open connections that they do not use.
                tokio::task::spawn(async move {
                    let mut head = vec![0; 16_384];
                    let Ok(read) = stream.read(&mut head).await else { return };
                    let text = String::from_utf8_lossy(&head[..read]).into_owned();
                    let path = text.split(' ').nth(1).unwrap_or_default().to_owned();
                    let now = *shared.lock().unwrap();
                    drop(stream.write_all(serve(&path, address, now).await.as_bytes()).await);
                    drop(stream.shutdown().await);
                });
            }
        });
        Ok(Self { address, state })
    }

    pub(crate) fn plant(&self, fault: Fault) {
        self.state.lock().unwrap().fault = fault;
    }

    pub(crate) fn reports_to(&self, tracking: SocketAddr) {
        self.state.lock().unwrap().tracking = Some(tracking);
    }
}

fn answer(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n{headers}\r\n{body}", body.len())
}

async fn serve(path: &str, own: SocketAddr, now: State) -> String {
    let (page, query) = path.split_once('?').unwrap_or((path, ""));
    let to = |query: &str| answer("302 Found", &format!("location: http://{own}/end?{query}\r\n"), "");
    match (page, now.fault) {
        ("/p", Fault::LowerCases) => return to(&query.to_lowercase()),
        ("/p", Fault::Redirects) => return to(query),
        ("/p", Fault::DropsClick) => {
            let kept: Vec<&str> = query.split('&').filter(|pair| !pair.starts_with("cid=")).collect();
            return to(&kept.join("&"));
        }
        ("/p", Fault::Hangs) => std::future::pending().await,
        ("/p", Fault::Gone) => return answer("404 Not Found", "", "gone"),
        ("/p", Fault::FiresTwice) => {
            let click = query.split('&').find_map(|pair| pair.strip_prefix("cid=")).unwrap_or_default();
            if let Some(tracking) = now.tracking {
                let call = format!("/postback/acme?token=acme-secret&click_id={click}&tid=own-1&payout=9.99");
                for _ in 0..2 {
                    drop(client::get(tracking, &call).await);
                }
            }
        }
        _ => {}
    }
    let pixel = if now.fault == Fault::OtherPixel { "999" } else { "1234567890" };
    let script = match (now.fault, now.tracking) {
        (Fault::Tells, Some(tracking)) => format!(
            "<script src='http://{tracking}/t.js' data-campaign='summer'></script>\
             <script>crosstally.track('Purchase', {{value: '12.34', currency: 'USD'}})</script>"
        ),
        _ => String::new(),
    };
    if now.fault == Fault::Bare {
        return answer("200 OK", "content-type: text/html\r\n", "<p>a page</p>");
    }
    let page = format!("<script>function fbq() {{}}\nfbq('init', '{pixel}')</script>{script}");
    answer("200 OK", "content-type: text/html\r\n", &page)
}
