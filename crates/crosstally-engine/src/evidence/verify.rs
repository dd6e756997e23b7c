//! Checking a pack, on any machine and without asking anybody.

use ring::signature::{ED25519, UnparsedPublicKey};
use serde::Serialize;
use serde_json::Value;

use super::{pack, page};
use crate::keys::{from_hex, hex_of};

/// What a pack proves, if all is well with it.
const PROVES: &[&str] = &[
    "the file is, to the byte, what the holder of the key signed",
    "its records stand in the order in which they were written, and none was put in or taken out since",
    "the page that people read says what the records say",
];
/// What no pack proves.
const DOES_NOT: &[&str] = &[
    "that what was recorded is what happened at the other side: it is the record of one side",
    "that nothing else was recorded: a pack tells of what was asked for",
    "that the clock was right which the times come from",
    "whose key it is: compare it with the one that the other side publishes",
];

/// Whether the key is the one that was expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyIs {
    /// Yes.
    Expected,
    /// No: somebody else signed.
    Another,
    /// Nobody said which one is expected.
    NotCompared,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verified {
    /// Whether nothing is wrong.
    pub ok: bool,
    /// What is wrong.
    pub problems: Vec<String>,
    /// Who signed.
    pub key: String,
    /// The same, short.
    pub fingerprint: String,
    /// Whether that is the key that was expected.
    pub key_is: KeyIs,
    /// When it says that it was made.
    pub made_at: String,
    /// What it was asked for.
    pub asked: Value,
    /// How many records it has.
    pub records: usize,
    /// What it proves; nothing unless all is well.
    pub proves: Vec<&'static str>,
    /// What it does not prove.
    pub does_not_prove: Vec<&'static str>,
}

/// A key's short name: the beginning of its hash, in groups.
#[must_use]
pub fn fingerprint(key: &str) -> String {
    let hash = pack::hash(key.as_bytes());
    let groups: Vec<&str> = (0..4).filter_map(|at| hash.get(at * 4..at * 4 + 4)).collect();
    groups.join("-")
}

struct Signature<'f> {
    signed: &'f str,
    key: String,
    records: usize,
    head: String,
    digest: String,
    signature: String,
}

/// Checks a file against the key that is expected, if one is.
#[must_use]
pub fn verify(file: &[u8], expected: Option<&str>) -> Verified {
    let mut verified = Verified {
        ok: false,
        problems: Vec::new(),
        key: String::new(),
        fingerprint: String::new(),
        key_is: KeyIs::NotCompared,
        made_at: String::new(),
        asked: Value::Null,
        records: 0,
        proves: Vec::new(),
        does_not_prove: DOES_NOT.to_vec(),
    };
    match read(file) {
        Ok(signature) => check(&signature, expected, &mut verified),
        Err(problem) => verified.problems.push(problem),
    }
    verified.ok = verified.problems.is_empty();
    if verified.ok {
        verified.proves = PROVES.to_vec();
    }
    verified
}

fn read(file: &[u8]) -> Result<Signature<'_>, String> {
    let text = std::str::from_utf8(file).map_err(|_| "the file is not text: it was damaged".to_owned())?;
    let at =
        text.rfind(pack::SIGNATURE).ok_or("the file is no evidence pack, or its signature was cut off")?;
    let (signed, block) = text.split_at(at);
    let broken = || "the signature's block was changed".to_owned();
    let line = block
        .strip_prefix(pack::SIGNATURE)
        .and_then(|rest| rest.strip_suffix(pack::END))
        .ok_or_else(broken)?;
    let fields: Value = serde_json::from_str(line).map_err(|_| broken())?;
    let word = |name: &str, bytes: usize| -> Result<String, String> {
        let word = fields.get(name).and_then(Value::as_str).ok_or_else(broken)?;
        let read = from_hex(word).filter(|read| read.len() == bytes).ok_or_else(broken)?;
        // Upper case would be a second way to write the same.
        if hex_of(read) == word { Ok(word.to_owned()) } else { Err(broken()) }
    };
    let records = fields.get("records").and_then(Value::as_u64).ok_or_else(broken)?;
    let found = Signature {
        signed,
        key: word("key", 32)?,
        records: usize::try_from(records).map_err(|_| broken())?,
        head: word("head", 32)?,
        digest: word("digest", 32)?,
        signature: word("signature", 64)?,
    };
    let again = pack::block(&found.key, found.records, &found.head, &found.digest, &found.signature);
    if again == block { Ok(found) } else { Err(broken()) }
}

fn check(found: &Signature<'_>, expected: Option<&str>, verified: &mut Verified) {
    verified.key.clone_from(&found.key);
    verified.fingerprint = fingerprint(&found.key);
    let problems = &mut verified.problems;
    if pack::hash(found.signed.as_bytes()) != found.digest {
        problems.push("the file was changed after it was signed: its hash is another one".to_owned());
    }
    let key = from_hex(&found.key).unwrap_or_default();
    let signature = from_hex(&found.signature).unwrap_or_default();
    let message = pack::message(&found.digest);
    if UnparsedPublicKey::new(&ED25519, key).verify(&message, &signature).is_err() {
        problems.push("the signature is not one of the key that it names".to_owned());
    }
    if let Some(expected) = expected.map(|key| key.trim().to_ascii_lowercase()) {
        let same = expected == found.key || expected == verified.fingerprint;
        verified.key_is = if same { KeyIs::Expected } else { KeyIs::Another };
        if !same {
            let problem = format!("signed by another key than the one expected: by {}", verified.fingerprint);
            problems.push(problem);
        }
    }
    match chain(found) {
        Ok(records) => {
            let body = records.first().and_then(|record| record.get("body")).cloned().unwrap_or_default();
            let text = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
            if text("key") != found.key {
                let problem = "signed again: its first record names another key than the signature";
                problems.push(problem.to_owned());
            }
            verified.made_at = text("made_at");
            verified.asked = body.get("asked").cloned().unwrap_or_default();
            verified.records = records.len();
            let shown = found.signed.split_once(pack::RECORDS).map(|(page, _)| page);
            if shown != Some(page::page(&records).as_str()) {
                let problem = "the page does not say what the records say (or another version wrote it)";
                problems.push(problem.to_owned());
            }
        }
        Err(problem) => problems.push(problem),
    }
}

/// The records, if each follows the one before.
fn chain(found: &Signature<'_>) -> Result<Vec<Value>, String> {
    let (_, lines) = found.signed.split_once(pack::RECORDS).ok_or("the records are missing")?;
    let lines = lines.strip_suffix(pack::END).ok_or("the end of the records is missing")?;
    let mut records = Vec::new();
    let mut head = pack::NOTHING.to_owned();
    for (number, line) in lines.split('\n').enumerate() {
        let broken = || format!("the chain breaks at record {number}");
        let record: Value = serde_json::from_str(line).map_err(|_| broken())?;
        let follows = record.get("prev").and_then(Value::as_str) == Some(head.as_str())
            && record.get("n").and_then(Value::as_u64) == u64::try_from(number).ok();
        if !follows {
            return Err(broken());
        }
        head = pack::hash(line.as_bytes());
        records.push(record);
    }
    if head != found.head || records.len() != found.records {
        return Err("records are missing at the end, or were added".to_owned());
    }
    Ok(records)
}
