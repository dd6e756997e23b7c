//! The configuration: checked, planned, applied in one transaction, exported, picked up by every node.

use std::collections::BTreeMap;
use std::sync::Arc;

use crosstally_core::config::{
    self, CatalogField, Change, Config, FieldType, MacroUse, Problem, Setting, Warning,
};
use crosstally_core::time::Timestamp;
use crosstally_destinations::catalog::{self, KINDS};
use crosstally_destinations::dialect;
use crosstally_store::{Applied, StoreError};

use crate::Engine;
use crate::replay::impact::Impact;
use crate::secrets;
use crate::snapshot::Snapshot;

/// Why a configuration was not applied.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// It has mistakes; nothing was changed.
    #[error("the configuration has {} problem(s)", .0.len())]
    Invalid(Vec<Problem>),
    /// Somebody else applied another one since it was planned; nothing was changed.
    #[error("version {current} was applied meanwhile; plan again")]
    Stale {
        /// The version in force.
        current: i64,
    },
    /// The store did not take it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The configuration in force cannot be read.
    #[error("the configuration in force cannot be read: {0}")]
    Corrupt(String),
}

/// What a configuration would change.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The version it was planned against.
    pub base: i64,
    /// The changes; none if it says what is in force already.
    pub changes: Vec<Change>,
    /// What is allowed but unwise.
    pub warnings: Vec<Warning>,
    /// What the changed contracts would make of the calls of the last days.
    pub impacts: Vec<Impact>,
    /// What the new and changed destinations with templates would call for a sample event.
    pub examples: Vec<Example>,
}

/// What applying changed.
#[derive(Debug, Clone)]
pub struct AppliedConfig {
    /// The version in force now.
    pub version: i64,
    /// What changed.
    pub plan: Plan,
}

/// The destinations' catalogue, as the configuration's reader asks for it.
#[derive(Debug, Clone, Copy)]
pub struct DestinationCatalog;

impl config::Catalog for DestinationCatalog {
    fn kinds(&self) -> Vec<&str> {
        KINDS.iter().map(|dialect| dialect.kind()).collect()
    }

    fn fields(&self, kind: &str) -> Option<Vec<CatalogField>> {
        let dialect = catalog::by_kind(kind)?;
        Some(
            dialect
                .fields()
                .iter()
                .map(|field| CatalogField {
                    name: field.name,
                    field_type: field_type(field.field_type),
                    required: field.required,
                    help: field.help,
                })
                .collect(),
        )
    }

    fn check(&self, kind: &str, settings: &BTreeMap<String, Setting>) -> Vec<(String, String)> {
        catalog::by_kind(kind).map_or_else(Vec::new, |dialect| {
            dialect.check(settings).into_iter().map(|found| (found.setting, found.problem)).collect()
        })
    }

    fn max_age_ms(
        &self,
        kind: &str,
        settings: &BTreeMap<String, Setting>,
        action_source: &str,
    ) -> Option<i64> {
        catalog::by_kind(kind).map(|dialect| dialect.max_age_ms(settings, action_source))
    }

    fn macros(&self, kind: &str, settings: &BTreeMap<String, Setting>) -> Vec<MacroUse> {
        catalog::by_kind(kind).map_or_else(Vec::new, |dialect| dialect.macros(settings))
    }
}

/// What one destination would call for a sample event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Example {
    /// The destination.
    pub destination: String,
    /// The method, empty if nothing would be sent.
    pub method: &'static str,
    /// The URL, secrets masked.
    pub url: String,
    /// The headers, secrets masked.
    pub headers: Vec<(String, String)>,
    /// The body, secrets masked.
    pub body: String,
    /// Why the sample would not be sent.
    pub not_sent: Option<String>,
}

/// The sample calls of all destinations that have templates.
#[must_use]
pub fn examples(config: &Config) -> Vec<Example> {
    let destinations = config.destinations.iter();
    destinations
        .filter_map(|destination| {
            let request = catalog::by_kind(&destination.kind)?.example(&destination.settings)?;
            let destination = destination.slug.clone();
            Some(match request {
                Ok(request) => Example {
                    destination,
                    method: request.method,
                    url: request.url_shown(),
                    headers: request
                        .headers
                        .iter()
                        .map(|(name, value)| (name.clone(), request.masked(value)))
                        .collect(),
                    body: String::from_utf8_lossy(&request.body_shown).into_owned(),
                    not_sent: None,
                },
                Err(why) => Example {
                    destination,
                    method: "",
                    url: String::new(),
                    headers: Vec::new(),
                    body: String::new(),
                    not_sent: Some(why),
                },
            })
        })
        .collect()
}

/// The same of those that are new or changed.
fn changed_examples(old: &Config, new: &Config) -> Vec<Example> {
    let changed =
        |example: &Example| old.destination(&example.destination) != new.destination(&example.destination);
    examples(new).into_iter().filter(changed).collect()
}

const fn field_type(from: dialect::FieldType) -> FieldType {
    match from {
        dialect::FieldType::Text => FieldType::Text,
        dialect::FieldType::Integer => FieldType::Integer,
        dialect::FieldType::Flag => FieldType::Flag,
        dialect::FieldType::Secret => FieldType::Secret,
        dialect::FieldType::Url => FieldType::Url,
        dialect::FieldType::UrlTemplate => FieldType::UrlTemplate,
        dialect::FieldType::Map => FieldType::Map,
        dialect::FieldType::List => FieldType::List,
    }
}

/// Reads and checks a document without touching anything.
///
/// # Errors
/// Every problem, with file, line and fix.
pub fn check_config(document: &str, file: &str) -> Result<(Config, Vec<Warning>), Vec<Problem>> {
    config::read(document, file, &DestinationCatalog)
}

/// The same on a thread that may take its time: a document of megabytes keeps a thread busy for seconds, and redirects
/// must not wait for it.
///
/// # Errors
/// [`ApplyError::Invalid`] with every problem, with file, line and fix.
pub async fn check_config_apart(document: &str, file: &str) -> Result<(Config, Vec<Warning>), ApplyError> {
    let (document, file) = (document.to_owned(), file.to_owned());
    tokio::task::spawn_blocking(move || check_config(&document, &file))
        .await
        .map_err(|_| ApplyError::Corrupt("the reading of the document broke off".into()))?
        .map_err(ApplyError::Invalid)
}

impl Engine {
    /// What a document would change.
    ///
    /// # Errors
    /// See [`ApplyError`].
    pub async fn plan_config(&self, document: &str, file: &str) -> Result<Plan, ApplyError> {
        let (new, warnings) = check_config_apart(document, file).await?;
        let (base, _, old) = self.stored_config().await?;
        let new = self.comparable(&old, new);
        let changes = config::plan(&old, &new);
        let examples = changed_examples(&old, &new);
        let impacts = self.impacts(base, old, new).await?;
        Ok(Plan { base, changes, warnings, impacts, examples })
    }

    /// What the contracts that change would make of the calls of the last days.
    async fn impacts(&self, base: i64, old: Config, new: Config) -> Result<Vec<Impact>, ApplyError> {
        let changed: Vec<String> = old
            .partners
            .iter()
            .filter(|before| new.partner(&before.slug).is_some_and(|after| after.contract != before.contract))
            .map(|partner| partner.slug.clone())
            .collect();
        if changed.is_empty() {
            return Ok(Vec::new());
        }
        // No file is read: the document may be anybody's, and calls that were booked are judged without secrets.
        let files = &self.snapshot.load().secret_files;
        let ready = |version, config| {
            Snapshot::with_files(version, config, (self.secret_source.as_ref(), files.clone()), &self.keys)
        };
        let (old, new) = (ready(base, old), ready(base, new));
        let mut impacts = Vec::new();
        for partner in changed {
            impacts.push(self.impact(&partner, &old, &new).await?);
        }
        Ok(impacts)
    }

    /// Applies a document in one transaction. With a base, only if that is still the version in force.
    ///
    /// # Errors
    /// See [`ApplyError`].
    pub async fn apply_config(
        &self,
        document: &str,
        file: &str,
        base: Option<i64>,
        author: &str,
    ) -> Result<AppliedConfig, ApplyError> {
        let (new, warnings) = check_config_apart(document, file).await?;
        let (current, _, old) = self.stored_config().await?;
        let base = base.unwrap_or(current);
        let mut new = self.comparable(&old, new);
        let examples = changed_examples(&old, &new);
        let plan = Plan { base, changes: config::plan(&old, &new), warnings, impacts: Vec::new(), examples };
        if base == current && plan.changes.is_empty() && current > 0 {
            return Ok(AppliedConfig { version: current, plan });
        }
        new.seal(&mut |record, secret| self.keys.seal(record, secret.expose()));
        let printed = config::print(&new).map_err(|problem| ApplyError::Corrupt(problem.to_string()))?;
        match self.store.apply_config(base, printed, self.clock.now(), author.to_owned()).await? {
            Applied::Applied(version) => {
                self.refresh_config().await?;
                Ok(AppliedConfig { version, plan })
            }
            Applied::Stale { current } => Err(ApplyError::Stale { current }),
        }
    }

    /// The configuration in force as a document, secrets sealed.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn export_config(&self) -> Result<(i64, String), ApplyError> {
        let (version, _, config) = self.stored_config().await?;
        let printed = config::print(&config).map_err(|problem| ApplyError::Corrupt(problem.to_string()))?;
        Ok((version, printed))
    }

    /// Takes up the configuration in force, if it or a file of its secrets is another than the one in use. Returns its version.
    ///
    /// # Errors
    /// See [`ApplyError`]; the one in use stays.
    pub async fn refresh_config(&self) -> Result<i64, ApplyError> {
        let in_use = self.snapshot.load();
        let version = self.store.config_version().await?;
        let is_same = version == in_use.version;
        let before = &in_use.secret_files;
        let read = async |paths: &[String]| {
            self.secret_files.read(paths.to_vec(), &self.secret_source, self.clock.as_ref()).await
        };
        let now = if is_same { Some(read(&secrets::paths(&in_use.config)).await) } else { None };
        if let Some(now) = &now {
            self.secret_files.tell_gone(now, before);
        }
        if is_same && !now.is_some_and(|files| files.are_others(before)) {
            return Ok(version);
        }
        let (version, applied_at, config) = self.stored_config().await?;
        let paths = secrets::paths(&config);
        let files = read(&paths).await.or_before(before, &paths);
        let source = (self.secret_source.as_ref(), files);
        let mut snapshot = Snapshot::with_files(version, config, source, &self.keys);
        snapshot.applied_at = applied_at;
        for ready in snapshot.destinations() {
            for name in &ready.missing_secrets {
                tracing::warn!(
                    destination = ready.config.slug,
                    setting = name,
                    "a secret is not set on this node"
                );
            }
        }
        let in_force = self.take_up(snapshot, in_use.version);
        if in_force != version {
            return Ok(in_force);
        }
        if is_same {
            tracing::info!(version, "files of secrets have changed and were read again");
        } else {
            tracing::info!(version, "configuration taken up");
        }
        for ready in self.snapshot.load().destinations() {
            self.wakeups.wake(&ready.config.slug);
        }
        Ok(version)
    }

    /// Makes it the one in force, unless a later one than the one before has become that: files are read for a while. Returns the
    /// version in force.
    fn take_up(&self, snapshot: Snapshot, before: i64) -> i64 {
        let snapshot = Arc::new(snapshot);
        // A database that was put back to an earlier day has an earlier version.
        self.snapshot.rcu(|in_use| match in_use.version != before && in_use.version > snapshot.version {
            true => Arc::clone(in_use),
            false => Arc::clone(&snapshot),
        });
        // Somebody else may take up a later one right now: the last word is of that.
        loop {
            let in_force = self.snapshot.load_full();
            self.http_out.is_reached_under(&in_force.config.workspace.public_hosts);
            let version = u32::try_from(in_force.version).unwrap_or(u32::MAX);
            self.metrics.set(crate::metrics::Name::ConfigVersion, &[], version);
            if self.snapshot.load().version == in_force.version {
                return in_force.version;
            }
        }
    }

    async fn stored_config(&self) -> Result<(i64, Timestamp, Config), ApplyError> {
        let Some(record) = self.store.current_config().await? else {
            return Ok((0, Timestamp::from_millis(0), Config::empty()));
        };
        match check_config_apart(&record.document, "the configuration in force").await {
            Ok((config, _)) => Ok((record.version, record.applied_at, config)),
            Err(ApplyError::Invalid(problems)) => {
                Err(ApplyError::Corrupt(problems.first().map(ToString::to_string).unwrap_or_default()))
            }
            Err(other) => Err(other),
        }
    }

    /// A literal secret that equals the sealed one in force takes over its sealed form, so that applying the same document
    /// twice changes nothing.
    fn comparable(&self, old: &Config, mut new: Config) -> Config {
        use crosstally_core::config::SecretRef;
        let known: BTreeMap<String, String> = config::secrets(old)
            .into_iter()
            .filter_map(|(record, reference)| match reference {
                SecretRef::Sealed(sealed) => Some((record, sealed.clone())),
                SecretRef::Env(_) | SecretRef::File(_) | SecretRef::Literal(_) => None,
            })
            .collect();
        new.seal(&mut |record, secret| match known.get(record) {
            Some(sealed) if self.keys.unseal(record, sealed).is_some_and(|open| secret.matches(&open)) => {
                sealed.clone()
            }
            _ => self.keys.seal(record, secret.expose()),
        });
        new
    }
}

#[cfg(test)]
mod tests;
