//! What a request is turned into before anything is sent: one URL parser's reading of it, a port that speaks HTTP, and
//! headers that do not meddle with the connection.

use bytes::Bytes;
use crosstally_core::reason::Reason;
use crosstally_core::secret::Secret;
use crosstally_destinations::call_url::CallUrl;
use crosstally_destinations::dialect::Request;
use http::header::{self, HeaderName, HeaderValue};
use http::{Method, Uri};
use http_body_util::Full;

use super::SendError;

/// Bytes of a URL that are sent. Longer ones come from what somebody passed through a macro.
const URL_BYTES_MAX: usize = 32 * 1024;

// Ports that speak something else: what browsers refuse (WHATWG Fetch, "bad port"), and the usual databases, queues and
// control doors that a forged request could reach.
const REFUSED_PORTS: &[u16] = &[
    1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102, 103, 104,
    109, 110, 111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427, 445, 465, 512, 513, 514,
    515, 526, 530, 531, 532, 540, 548, 554, 556, 563, 587, 601, 636, 873, 989, 990, 993, 995, 1433, 1521,
    1719, 1720, 1723, 2049, 2181, 2375, 2376, 2379, 2380, 3306, 3389, 3659, 4045, 4190, 5060, 5061, 5432,
    5672, 5900, 6000, 6379, 6443, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 9042, 9092, 9200, 9300,
    10080, 10250, 11211, 27017,
];

// These belong to the connection, which is the client's own business.
const CONNECTION_HEADERS: &[HeaderName] = &[
    header::HOST,
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::CONNECTION,
    header::UPGRADE,
    header::EXPECT,
    header::TE,
    header::TRAILER,
    header::PROXY_AUTHORIZATION,
];

/// Reads a request's URL, method and headers.
pub(super) fn prepare(
    request: &Request,
    allow_private: bool,
) -> Result<http::Request<Full<Bytes>>, SendError> {
    let uri = uri(&request.url, allow_private)?;
    let method = Method::from_bytes(request.method.as_bytes())
        .map_err(|_| unusable("the method is not one of HTTP"))?;
    let mut ready = http::Request::new(Full::new(Bytes::from(request.body.clone())));
    *ready.method_mut() = method;
    *ready.uri_mut() = uri;
    let headers = ready.headers_mut();
    for (name, value) in &request.headers {
        let name = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| unusable("a header's name is not one of HTTP"))?;
        if CONNECTION_HEADERS.contains(&name) {
            return Err(unusable(format!("the header {name} cannot be set")));
        }
        let mut value =
            HeaderValue::from_bytes(value.as_bytes()).map_err(|_| impossible(&name, value, request))?;
        value.set_sensitive(true);
        headers.append(name, value);
    }
    headers.entry(header::USER_AGENT).or_insert(HeaderValue::from_static("crosstally"));
    Ok(ready)
}

/// A value may come from what somebody passed through a macro: one event's fault. What a token makes impossible is that for
/// every event, until there is another token.
fn impossible(name: &HeaderName, value: &str, request: &Request) -> SendError {
    let by_secret = request
        .secrets
        .iter()
        .map(Secret::expose)
        .any(|secret| HeaderValue::from_bytes(secret.as_bytes()).is_err() && value.contains(secret));
    if by_secret {
        let detail =
            "has a secret in it that no header can carry, such as one with a line break; set it anew";
        return unusable(format!("the header {name} {detail}"));
    }
    SendError::new(Reason::DestRejected, format!("the header {name} has an impossible value"))
}

fn uri(url: &CallUrl, allow_private: bool) -> Result<Uri, SendError> {
    let mut url = url.read().map_err(|problem| unusable(format!("the URL cannot be read: {problem}")))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(unusable("the URL is not one of http or https"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(unusable("the URL carries a user name; send it in a header"));
    }
    let port = url.port_or_known_default().unwrap_or(0);
    if port == 0 || (!allow_private && REFUSED_PORTS.contains(&port)) {
        return Err(SendError::new(
            Reason::AddressForbidden,
            format!("port {port} is not one that speaks HTTP"),
        ));
    }
    if url.fragment().is_some() {
        url.to_mut().set_fragment(None);
    }
    if url.as_str().len() > URL_BYTES_MAX {
        return Err(SendError::new(
            Reason::DestRejected,
            format!("the URL is longer than {URL_BYTES_MAX} bytes"),
        ));
    }
    let uri: Uri = url.as_str().parse().map_err(|_| unusable("the URL has an impossible host"))?;
    // Two parsers must not see two hosts.
    if uri.host() != url.host_str() || uri.port_u16() != url.port() {
        return Err(unusable("the URL's host can be read in two ways"));
    }
    Ok(uri)
}

fn unusable(detail: impl Into<String>) -> SendError {
    SendError::new(Reason::DestMisconfigured, detail)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn request(url: &str) -> Request {
        Request {
            method: "POST",
            url: url.into(),
            headers: Vec::new(),
            body: b"{}".to_vec(),
            body_shown: Vec::new(),
            secrets: Vec::new(),
        }
    }

    fn reason(url: &str) -> Option<Reason> {
        prepare(&request(url), false).err().map(|error| error.reason)
    }

    #[test]
    fn one_reading_of_every_url_or_none() {
        use Reason::{AddressForbidden, DestMisconfigured, DestRejected};
        let long = format!("https://a.example/?x={}", "y".repeat(40_000));
        for (url, expected) in [
            ("https://graph.example/v1/events?a=b", None),
            ("http://a.example:8080/", None),
            ("https://a.example./", None),
            ("https://b\u{fc}cher.example/", None),
            ("file:///etc/passwd", Some(DestMisconfigured)),
            ("gopher://a.example/", Some(DestMisconfigured)),
            ("data:text/plain,x", Some(DestMisconfigured)),
            ("//a.example/", Some(DestMisconfigured)),
            ("https://", Some(DestMisconfigured)),
            ("https://user@a.example/", Some(DestMisconfigured)),
            ("https://user:secret@a.example/", Some(DestMisconfigured)),
            ("https://a b.example/", Some(DestMisconfigured)),
            ("https://a.example:65536/", Some(DestMisconfigured)),
            ("https://a.example:0/", Some(AddressForbidden)),
            ("https://a.example:22/", Some(AddressForbidden)),
            ("http://a.example:25/", Some(AddressForbidden)),
            ("http://a.example:6379/", Some(AddressForbidden)),
            (&long, Some(DestRejected)),
        ] {
            assert_eq!(reason(url), expected, "{url}");
        }
        assert!(prepare(&request("http://a.example:6379/"), true).is_ok());
        assert!(prepare(&request("http://a.example:0/"), true).is_err());
    }

    #[test]
    fn what_parsers_disagree_about_becomes_what_one_of_them_says() {
        for (url, host) in [
            ("https://a.example\\@evil.example/", "a.example"),
            ("https://a.example#@evil.example/", "a.example"),
            ("https://a.exa\tmple/", "a.example"),
            ("http://2130706433/", "127.0.0.1"),
            ("http://0x7f.1/", "127.0.0.1"),
            ("http://0177.0.0.1/", "127.0.0.1"),
            ("http://\u{ff11}27.0.0.1/", "127.0.0.1"),
            ("http://[::ffff:127.0.0.1]/", "[::ffff:7f00:1]"),
        ] {
            let ready = prepare(&request(url), false).unwrap();
            assert_eq!(ready.uri().host(), Some(host), "{url}");
        }
        assert_eq!(reason("http://[fe80::1%25eth0]/"), Some(Reason::DestMisconfigured));
    }

    #[test]
    fn headers_cannot_break_out_or_meddle_with_the_connection() {
        let with = |name: &str, value: &str| {
            let mut request = request("https://a.example/");
            request.headers.push((name.into(), value.into()));
            prepare(&request, false)
        };
        let split = with("x-a", "1\r\nx-b: 2").unwrap_err();
        assert_eq!(split.reason, Reason::DestRejected);
        assert!(!split.detail.contains("x-b"), "{}", split.detail);
        assert!(with("x-a", "h\u{e9}").is_ok());
        for (name, value) in [
            ("x a", "1"),
            ("Host", "evil.example"),
            ("content-length", "3"),
            ("Transfer-Encoding", "chunked"),
        ] {
            let error = with(name, value).unwrap_err();
            assert_eq!(error.reason, Reason::DestMisconfigured, "{name}");
        }
        // A token that can stand in no header is every event's trouble, whatever stands beside it.
        for (secret, value, reason) in [
            ("s3c\nret", "Bearer s3c\nret", Reason::DestMisconfigured),
            ("s3c\nret", "Bearer s3cret\n", Reason::DestRejected),
            ("s3cret", "Bearer s3cret\n", Reason::DestRejected),
            ("", "\n", Reason::DestRejected),
        ] {
            let mut request = request("https://a.example/");
            request.headers.push(("authorization".into(), value.into()));
            request.secrets.push(Secret::new(secret));
            let error = prepare(&request, false).unwrap_err();
            assert_eq!(error.reason, reason, "{value:?}");
            assert!(!error.detail.contains("s3c"), "{}", error.detail);
        }
        let ready = with("authorization", "Bearer s3cret").unwrap();
        assert!(!format!("{:?}", ready.headers()).contains("s3cret"));
    }

    #[test]
    fn no_error_repeats_the_query() {
        for url in [
            "https://user@a.example/?token=s3cret",
            "ftp://a.example/?token=s3cret",
            "https:// /?token=s3cret",
        ] {
            let error = prepare(&request(url), false).unwrap_err();
            assert!(!error.detail.contains("s3cret"), "{}", error.detail);
        }
    }
}
