//! Misbehaviour on request: which call meets which fault. How a fault looks on the wire is `misbehave`'s and the
//! platforms' business.

mod kind;

#[cfg(test)]
mod tests;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::chance::Dice;
use crate::platform::Platform;
use crate::problem::Problem;

pub(crate) use self::kind::{End, Kind, Raw};

/// Faults waiting at the same time.
const FAULTS_MAX: usize = 100;

/// What all kinds share.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Common {
    times: Option<u64>,
    dataset: Option<String>,
    platform: Option<String>,
    probability: Option<u8>,
    seed: Option<u64>,
}

/// One posted fault.
#[derive(Debug)]
struct Fault {
    id: u64,
    /// As posted, to show it again.
    posted: Map<String, Value>,
    kind: Kind,
    dataset: Option<String>,
    platform: Option<Platform>,
    remaining: Option<u64>,
    chance: Option<(u8, Dice)>,
    hits: u64,
}

/// The fault that a call has met.
#[derive(Clone, Debug)]
pub(crate) struct Met {
    pub(crate) id: String,
    pub(crate) kind: Kind,
}

/// The call that looks for its fault.
pub(crate) struct Call<'a> {
    pub(crate) platform: Platform,
    pub(crate) dataset: &'a str,
    /// Whether the body has been read: some faults strike before, all others after.
    pub(crate) body_read: bool,
    /// Whether an event of the call has this text under this key.
    pub(crate) holds: &'a dyn Fn(&str, &str) -> bool,
}

/// All posted faults, oldest first.
#[derive(Default)]
pub(crate) struct Faults {
    list: Vec<Fault>,
    last_id: u64,
}

impl Faults {
    /// Adds one fault or an array of them: all or none. Answers what was added.
    pub(crate) fn post(&mut self, posted: Value) -> Result<Value, Problem> {
        let posted = match posted {
            Value::Array(many) => many,
            one => vec![one],
        };
        let mut new = Vec::new();
        for fault in posted {
            let id = self.last_id + 1 + new.len() as u64;
            new.push(Fault::parse(fault, id)?);
        }
        if self.list.len() + new.len() > FAULTS_MAX {
            self.list.retain(|fault| fault.remaining != Some(0));
        }
        if self.list.len() + new.len() > FAULTS_MAX {
            return Err(Problem::bad_request(
                "Too many faults",
                format!("At most {FAULTS_MAX} faults wait at once. Delete some first."),
            ));
        }
        self.last_id += new.len() as u64;
        let shown = new.iter().map(Fault::to_json).collect::<Vec<_>>();
        self.list.append(&mut new);
        Ok(json!({ "data": shown }))
    }

    pub(crate) fn to_json(&self) -> Value {
        json!({ "data": self.list.iter().map(Fault::to_json).collect::<Vec<_>>() })
    }

    /// Removes one fault; false if there is none with this id.
    pub(crate) fn remove(&mut self, id: &str) -> bool {
        let before = self.list.len();
        self.list.retain(|fault| fault.name() != id);
        self.list.len() < before
    }

    pub(crate) fn clear(&mut self) {
        self.list.clear();
    }

    /// The first fault that fits the call, used up by one.
    pub(crate) fn meet(&mut self, call: &Call<'_>) -> Option<Met> {
        let fault = self.list.iter_mut().filter(|fault| fault.fits(call)).find_map(Fault::struck)?;
        fault.hits += 1;
        if let Some(remaining) = fault.remaining.as_mut() {
            *remaining -= 1;
        }
        Some(Met { id: fault.name(), kind: fault.kind.clone() })
    }
}

impl Fault {
    fn parse(posted: Value, id: u64) -> Result<Self, Problem> {
        let Value::Object(posted) = posted else {
            return Err(kind::unknown("A fault is a JSON object with a \"kind\"."));
        };
        let mut own = posted.clone();
        let mut shared = Map::new();
        for key in kind::COMMON_KEYS {
            if let Some(value) = own.shift_remove(*key) {
                shared.insert((*key).to_owned(), value);
            }
        }
        let common = Common::deserialize(Value::Object(shared))
            .map_err(|error| kind::unknown(format!("A common key is wrong: {error}.")))?;
        let kind = Kind::parse(own)?;
        if common.times == Some(0) || !matches!(common.probability, None | Some(1..=100)) {
            return Err(kind::unknown("times is 1 or more, probability is 1 to 100 percent."));
        }
        let platform = common.platform.as_deref().map(|name| {
            Platform::from_name(name)
                .ok_or_else(|| kind::unknown(format!("There is no platform called {name:?} here.")))
        });
        Ok(Self {
            id,
            posted,
            kind,
            dataset: common.dataset,
            platform: platform.transpose()?,
            remaining: common.times,
            chance: common.probability.map(|percent| (percent, Dice::new(common.seed.unwrap_or(id)))),
            hits: 0,
        })
    }

    fn name(&self) -> String {
        format!("f{}", self.id)
    }

    fn fits(&self, call: &Call<'_>) -> bool {
        self.remaining != Some(0)
            && self.platform.is_none_or(|platform| platform == call.platform)
            && self.dataset.as_deref().is_none_or(|dataset| dataset == call.dataset)
            && self.kind.waits_for_body() == call.body_read
            && self.kind.wanted_text().is_none_or(|(key, text)| (call.holds)(key, text))
    }

    /// Draws the fault's chance. Only calls that fit draw, so a seed gives the same hits whatever else is going on.
    fn struck(&mut self) -> Option<&mut Self> {
        let strikes = match &mut self.chance {
            Some((percent, dice)) => dice.falls_within(*percent),
            None => true,
        };
        strikes.then_some(self)
    }

    fn to_json(&self) -> Value {
        let mut shown = Map::new();
        shown.insert("id".to_owned(), self.name().into());
        shown.extend(self.posted.clone());
        shown.insert("hits".to_owned(), self.hits.into());
        shown.insert("remaining".to_owned(), json!(self.remaining));
        Value::Object(shown)
    }
}
