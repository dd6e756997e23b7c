//! The tools: a request in, an answer out, the run kept so that it can be looked up and made again. The same answer comes
//! out of a command and of the API, as both ask here.

use crosstally_core::ids::{ClickIdKey, RunId};
use crosstally_core::time::Timestamp;
use crosstally_core::tools::click_extract::{self, Known};
use crosstally_core::tools::{shown, utm};
use crosstally_store::{StoreError, ToolRun};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::Engine;
use crate::http_out::HttpOut;
use crate::keys::Keys;

pub mod journeys;
pub mod postback_send;
pub mod preflight;
pub mod redirect_check;

/// Runs that are kept of each tool: a cheap one that is run often pushes out no run of another.
const RUNS_KEPT: u32 = 1_000;
/// Bytes of a request or an answer that are kept of a run.
const KEPT_BYTES_MAX: usize = 128 * 1024;

/// The tools that are run here.
pub const TOOLS: &[&str] = &[
    "click_extract",
    "utm_build",
    "redirect_check",
    "postback_send",
    PREFLIGHT_RUN,
    PREFLIGHT_CHECKLIST,
    JOURNEYS_REVIEW,
];
/// The pre-flight of a campaign.
pub const PREFLIGHT_RUN: &str = "preflight_run";
/// Its checklist.
pub const PREFLIGHT_CHECKLIST: &str = "preflight_checklist";
/// The review of a month's real journeys.
pub const JOURNEYS_REVIEW: &str = "journeys_review";
/// The tools that a destination is tried with.
pub const CAPI_VALIDATE: &str = "capi_validate";
/// See [`CAPI_VALIDATE`].
pub const CAPI_SEND_TEST: &str = "capi_send_test";

/// What a click id is looked for in.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClickExtract {
    /// A URL, a query, cookies, or a bare value.
    pub text: String,
}

/// Links to build.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UtmBuild {
    /// What each is built of.
    pub rows: Vec<utm::Wanted>,
}

/// One call of a tool.
#[derive(Debug, Clone)]
pub enum Call {
    /// Look for click ids.
    ClickExtract(ClickExtract),
    /// Build links.
    UtmBuild(UtmBuild),
    /// Follow redirects.
    RedirectCheck(redirect_check::Wanted),
    /// Send a postback.
    PostbackSend(Box<postback_send::Wanted>),
    /// Fly a campaign before anybody pays for it.
    Preflight(Box<preflight::Wanted>),
    /// Go through its checklist.
    Checklist(Box<preflight::Wanted>),
    /// Tell real journeys of a month.
    Journeys(journeys::Wanted),
}

/// Why a tool was not run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// No tool has this name.
    #[error("no tool is called `{0}`")]
    UnknownTool(String),
    /// The request cannot be read.
    #[error("{0}")]
    Unreadable(String),
    /// What it is about is not there.
    #[error("{0}")]
    Missing(String),
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Unable {
    /// It cannot be asked like this.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Call {
    /// Reads a request.
    ///
    /// # Errors
    /// See [`CallError`].
    pub fn read(tool: &str, request: &Value) -> Result<Self, CallError> {
        match tool {
            "click_extract" => read(request).map(Self::ClickExtract),
            "utm_build" => {
                let wanted: UtmBuild = read(request)?;
                match wanted.rows.len() {
                    1..=utm::ROWS_MAX => Ok(Self::UtmBuild(wanted)),
                    0 => Err(CallError::Unreadable("`rows` is empty; give at least one link".into())),
                    many => {
                        let problem = format!("{many} links; build at most {} at once", utm::ROWS_MAX);
                        Err(CallError::Unreadable(problem))
                    }
                }
            }
            "redirect_check" => read(request).map(Self::RedirectCheck),
            "postback_send" => {
                let wanted: postback_send::Wanted = read(request)?;
                wanted.check()?;
                Ok(Self::PostbackSend(Box::new(wanted)))
            }
            PREFLIGHT_RUN | PREFLIGHT_CHECKLIST => {
                let wanted: preflight::Wanted = read(request)?;
                wanted.check()?;
                let wanted = Box::new(wanted);
                Ok(if tool == PREFLIGHT_RUN { Self::Preflight(wanted) } else { Self::Checklist(wanted) })
            }
            JOURNEYS_REVIEW => {
                let wanted: journeys::Wanted = read(request)?;
                wanted.check()?;
                Ok(Self::Journeys(wanted))
            }
            other => Err(CallError::UnknownTool(other.to_owned())),
        }
    }

    /// Whether it asks for addresses that are not on the public internet.
    #[must_use]
    pub fn allows_private(&self) -> bool {
        match self {
            Self::RedirectCheck(wanted) => wanted.allow_private,
            Self::PostbackSend(wanted) => wanted.allow_private,
            Self::Preflight(wanted) | Self::Checklist(wanted) => wanted.allow_private,
            Self::ClickExtract(_) | Self::UtmBuild(_) | Self::Journeys(_) => false,
        }
    }

    /// What a token must allow for it.
    #[must_use]
    pub fn scope(&self) -> &'static str {
        match self {
            _ if self.allows_private() => "admin",
            // Whoever names the door is shown the partner's token and the mark of a test.
            Self::Preflight(wanted) | Self::Checklist(wanted) if wanted.base.is_some() => "admin",
            Self::RedirectCheck(_) | Self::PostbackSend(_) | Self::Preflight(_) | Self::Checklist(_) => {
                "deliveries:write"
            }
            Self::ClickExtract(_) | Self::UtmBuild(_) | Self::Journeys(_) => "read",
        }
    }
}

fn read<T: DeserializeOwned>(request: &Value) -> Result<T, CallError> {
    // The words of the reader may quote what it read; a name of a field is all that is told.
    serde_json::from_value(request.clone())
        .map_err(|error| CallError::Unreadable(format!("the request: {error}")))
}

/// What a tool works with. Without an engine, as on a machine that has no data, some of it is missing.
#[derive(Debug, Clone, Copy)]
pub struct Bench<'a> {
    /// The only way out.
    pub http_out: &'a HttpOut,
    /// The installation's key of click ids.
    pub click_id_key: Option<&'a ClickIdKey>,
    /// The installation's keys, by which visits to its own links are marked as tests.
    pub keys: Option<&'a Keys>,
    /// The present time.
    pub now: Timestamp,
    /// A number that is used once.
    pub nonce: [u8; 12],
}

/// What a tool found.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// Whether nothing is wrong.
    pub passed: bool,
    /// The answer, masked; links that were built are whole, as they are their asker's own text.
    pub told: Map<String, Value>,
}

impl Answer {
    fn new(passed: bool, told: &Value) -> Self {
        Self::whole(passed, shown::masked(told))
    }

    fn whole(passed: bool, told: Value) -> Self {
        let mut all = Map::new();
        all.insert("ok".to_owned(), Value::from(passed));
        if let Value::Object(told) = told {
            all.extend(told);
        }
        Self { passed, told: all }
    }

    /// The answer as it goes out, with the run's id.
    #[must_use]
    pub fn shown(&self, run: Option<RunId>) -> Value {
        let mut all = Map::new();
        all.insert("run".to_owned(), run.map_or(Value::Null, |id| Value::from(id.to_string())));
        all.extend(self.told.clone());
        Value::Object(all)
    }
}

impl Bench<'_> {
    /// Runs a tool. Nothing is kept.
    pub async fn run(&self, call: &Call) -> Answer {
        match call {
            Call::ClickExtract(wanted) => {
                let known = Known { key: self.click_id_key, now: self.now };
                let found = click_extract::extract(&wanted.text, known);
                Answer::new(found.is_sound(), &json!(found))
            }
            Call::UtmBuild(wanted) => {
                let links: Vec<utm::Link> = wanted.rows.iter().map(utm::build).collect();
                // They go into ads as they are. What is kept of the run is masked all the same.
                Answer::whole(links.iter().all(utm::Link::is_good), json!({ "links": links }))
            }
            Call::RedirectCheck(wanted) => {
                let report = redirect_check::check(self, wanted).await;
                Answer::new(report.problems.is_empty(), &json!(report))
            }
            Call::PostbackSend(wanted) => {
                let report = postback_send::send(self, wanted).await;
                Answer::new(report.problems.is_empty(), &json!(report))
            }
            Call::Preflight(_) | Call::Checklist(_) => {
                let problem = "a pre-flight needs the data directory, or a running server";
                Answer::new(false, &json!({ "problems": [problem] }))
            }
            Call::Journeys(_) => {
                let problem = "journeys need the data directory, or a running server";
                Answer::new(false, &json!({ "problems": [problem] }))
            }
        }
    }
}

/// A run that is to be made again.
#[derive(Debug, Clone, PartialEq)]
pub enum Again {
    /// This was asked.
    Request(String, Value),
    /// It held what is not kept: a contact value.
    NotKept,
    /// No run has this id.
    Unknown,
}

impl Engine {
    /// What the tools work with here.
    #[must_use]
    pub fn bench(&self) -> Bench<'_> {
        Bench {
            http_out: &self.http_out,
            click_id_key: Some(&self.click_id_key),
            keys: Some(&self.keys),
            now: self.clock.now(),
            nonce: self.random.bytes(),
        }
    }

    /// Runs a tool and keeps the run.
    ///
    /// # Errors
    /// See [`Unable`].
    pub async fn run_tool(
        &self,
        tool: &str,
        request: &Value,
        call: &Call,
        author: &str,
    ) -> Result<Value, Unable> {
        self.run_tool_telling(tool, request, call, author, |_| {}).await
    }

    /// The same; of a pre-flight each hop is told when it is done.
    ///
    /// # Errors
    /// See [`Unable`].
    pub async fn run_tool_telling(
        &self,
        tool: &str,
        request: &Value,
        call: &Call,
        author: &str,
        told_hop: impl Fn(&preflight::HopOut) + Send,
    ) -> Result<Value, Unable> {
        let answer = match call {
            Call::Preflight(wanted) => self.preflight(wanted, told_hop).await?,
            Call::Checklist(wanted) => self.preflight_checklist(wanted).await?,
            Call::Journeys(wanted) => self.review_journeys(wanted).await?,
            other => self.bench().run(other).await,
        };
        let told = Value::Object(answer.told.clone());
        let run = self.keep_run(tool, request, &told, answer.passed, author).await?;
        Ok(answer.shown(Some(run)))
    }

    /// Keeps a run: what is shown of it masked, and what was asked sealed, unless it holds contact values that this
    /// workspace does not keep.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn keep_run(
        &self,
        tool: &str,
        request: &Value,
        answer: &Value,
        passed: bool,
        author: &str,
    ) -> Result<RunId, StoreError> {
        let at = self.clock.now();
        let id = RunId::new(at, self.random.bytes());
        let may_keep = self.snapshot.load().config.workspace.keep_contact || !shown::has_contact(request);
        let whole = request.to_string();
        let sealed = if may_keep && whole.len() <= KEPT_BYTES_MAX {
            self.keys.seal_bytes(&record(id), whole.as_bytes())
        } else {
            Vec::new()
        };
        let run = ToolRun {
            id,
            at,
            tool: tool.to_owned(),
            author: author.to_owned(),
            passed,
            request: kept(&shown::masked(request)),
            answer: kept(&shown::masked(answer)),
            sealed,
        };
        self.store.add_tool_run(run, RUNS_KEPT).await?;
        Ok(id)
    }

    /// What was asked in a run.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn asked_in(&self, id: RunId) -> Result<Again, StoreError> {
        let Some(run) = self.store.tool_run(id).await? else { return Ok(Again::Unknown) };
        let whole = self.keys.unseal_bytes(&record(id), &run.sealed);
        let request = whole.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        Ok(request.map_or(Again::NotKept, |request| Again::Request(run.tool, request)))
    }
}

pub(crate) fn record(id: RunId) -> String {
    format!("tool_run/{id}")
}

/// What is too long is left out as a whole: half a document is none.
fn kept(value: &Value) -> String {
    let text = value.to_string();
    if text.len() <= KEPT_BYTES_MAX { text } else { json!({ "left_out_bytes": text.len() }).to_string() }
}
