//! A running server, asked over its admin API.

use anyhow::{Context, Result, bail};
use crosstally_destinations::dialect::Request;
use crosstally_engine::http_out::{HttpOut, SendOptions};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::cli::At;
use crate::exit::{self, Code};
use crate::{local, settings};

/// How long a command waits for the server: longer than the slowest tool, which calls twice for half a minute.
const DEADLINE_MS: u64 = 75_000;
/// Bytes of an answer that are read.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Where a command works.
pub(crate) enum Where {
    /// On a data directory or database.
    Here(settings::Ground),
    /// On a running server.
    There(Box<Remote>),
}

/// A running server.
pub(crate) struct Remote {
    url: String,
    token: String,
    client: HttpOut,
}

/// Decides where a command works.
pub(crate) fn find(at: &At) -> Result<Where> {
    let server = at.server().map_err(|problem| exit::with(Code::Usage, problem))?;
    let Some(url) = server else { return Ok(Where::Here(settings::ground(&at.place)?)) };
    let Some(token) = &at.token else {
        return Err(exit::with(
            Code::Usage,
            "--url needs --token; make one with `crosstally token create` on the server",
        ));
    };
    if url::Url::parse(url).is_ok_and(|url| !url.username().is_empty() || url.password().is_some()) {
        return Err(exit::with(
            Code::Usage,
            "--url must not hold a name or a password; --token is who you are",
        ));
    }
    let client = HttpOut::new().context("the client cannot be made")?;
    Ok(Where::There(Box::new(Remote {
        url: url.trim_end_matches('/').to_owned(),
        token: token.clone(),
        client,
    })))
}

/// Runs a command on its data directory, which must be one: a slip in its name must not look like an empty installation.
pub(crate) async fn here<T>(
    ground: &settings::Ground,
    work: impl AsyncFnOnce(&crosstally_engine::Engine) -> Result<T>,
) -> Result<T> {
    if local::is_missing(ground) {
        let problem = format!(
            "{} is no data directory of crosstally; name the right one with --data, or make it with `crosstally serve`",
            ground.data.display()
        );
        return Err(exit::with(Code::NotFound, problem));
    }
    local::with_engine(ground, work).await
}

/// Runs a command that may be the first one on its data directory.
pub(crate) async fn here_or_new<T>(
    ground: &settings::Ground,
    work: impl AsyncFnOnce(&crosstally_engine::Engine) -> Result<T>,
) -> Result<T> {
    local::with_engine(ground, work).await
}

impl Remote {
    /// Asks for JSON.
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        let body = self.call("GET", path, "", Vec::new()).await?;
        serde_json::from_slice(&body).context("the server's answer is not what this version expects")
    }

    /// Asks for text.
    pub(crate) async fn get_text(&self, path: &str) -> Result<String> {
        Ok(String::from_utf8_lossy(&self.call("GET", path, "", Vec::new()).await?).into_owned())
    }

    /// Sends a document or JSON.
    pub(crate) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        content_type: &str,
        body: Vec<u8>,
    ) -> Result<T> {
        let body = self.call("POST", path, content_type, body).await?;
        serde_json::from_slice(&body).context("the server's answer is not what this version expects")
    }

    /// Removes something.
    pub(crate) async fn delete(&self, path: &str) -> Result<()> {
        self.call("DELETE", path, "", Vec::new()).await.map(drop)
    }

    async fn call(
        &self,
        method: &'static str,
        path: &str,
        content_type: &str,
        body: Vec<u8>,
    ) -> Result<Vec<u8>> {
        let mut headers = vec![("authorization".to_owned(), format!("Bearer {}", self.token))];
        if !content_type.is_empty() {
            headers.push(("content-type".to_owned(), content_type.to_owned()));
        }
        let request = Request {
            method,
            url: format!("{}{path}", self.url).into(),
            headers,
            body_shown: Vec::new(),
            body,
            secrets: Vec::new(),
        };
        let options =
            SendOptions { deadline_ms: DEADLINE_MS, allow_private: true, read_bytes_max: ANSWER_BYTES_MAX };
        let answer = match self.client.send(&request, options).await {
            Ok(answer) => answer,
            Err(error) => bail!("{} cannot be asked: {}", self.url, error.detail),
        };
        if (200..300).contains(&answer.status) {
            return Ok(answer.body);
        }
        Err(problem(answer.status, &answer.body))
    }
}

fn problem(status: u16, body: &[u8]) -> anyhow::Error {
    let problem: Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |name: &str| problem.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut message = match (text("detail"), text("code")) {
        (detail, _) if detail.is_empty() => format!("the server answered {status}"),
        (detail, code) => format!("{detail} ({code})"),
    };
    for error in problem.get("errors").and_then(Value::as_array).into_iter().flatten() {
        let part = |name: &str| error.get(name).and_then(Value::as_str).unwrap_or_default();
        message.push_str(&format!("\n{}: {}\n  fix: {}", part("at"), part("problem"), part("fix")));
    }
    if status == 401 {
        message = format!(
            "the server takes no such token ({})\n  fix: name one of its own with --token or CROSSTALLY_TOKEN; `crosstally token create` makes one where its data lie",
            text("code")
        );
    }
    match status {
        401 | 403 => exit::with(Code::Auth, message),
        404 => exit::with(Code::NotFound, message),
        400 if text("code") == "invalid_config" => exit::with(Code::CheckFailed, message),
        // What it was asked for cannot be read: as if it had been asked on a data directory.
        400 if text("code") == "bad_request" => exit::with(Code::Usage, message),
        _ => anyhow::anyhow!(message),
    }
}

/// A path with those parameters of a query that are given.
pub(crate) fn query(path: &str, values: &[(&str, &Option<String>)]) -> String {
    let given = values.iter().filter_map(|(name, value)| Some((name, value.as_deref()?)));
    let pairs: Vec<String> = given.map(|(name, value)| format!("{name}={}", escaped(value))).collect();
    if pairs.is_empty() { path.to_owned() } else { format!("{path}?{}", pairs.join("&")) }
}

/// A value that can stand in a URL's path or query.
pub(crate) fn escaped(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Who types a command has no headers to set.
    #[test]
    fn a_token_that_is_not_taken_is_told_in_the_words_of_the_command() {
        let error =
            problem(401, br#"{"code": "not_signed_in", "detail": "Show a good token as `Authorization`."}"#);
        let said = error.to_string();
        assert!(
            said.contains("--token") && said.contains("not_signed_in") && !said.contains("Authorization"),
            "{said}"
        );
    }

    /// A script cannot tell otherwise whether it asked wrongly or the server failed.
    #[test]
    fn a_servers_refusal_has_the_exit_code_of_the_same_refusal_here() {
        let code = |status, code| {
            let error = problem(status, format!("{{\"code\": \"{code}\", \"detail\": \"no\"}}").as_bytes());
            exit::code_of(&error)
        };
        for (status, word, expected) in [
            (400, "bad_request", Some(Code::Usage)),
            (400, "invalid_config", Some(Code::CheckFailed)),
            (401, "not_signed_in", Some(Code::Auth)),
            (403, "forbidden", Some(Code::Auth)),
            (404, "not_found", Some(Code::NotFound)),
            (409, "conflict", None),
            (500, "internal", None),
        ] {
            assert_eq!(code(status, word), expected, "{status} {word}");
        }
    }
}
