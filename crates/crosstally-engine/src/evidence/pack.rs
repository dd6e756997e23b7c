//! The file: a page for people, the records behind it, and the signature over both.
//!
//! Each record is one line of JSON that names the hash of the line before it. The signature covers every byte before its
//! own block, and its block has one way of being written: whatever is changed in the file is noticed.

use ring::signature::{Ed25519KeyPair, KeyPair as _};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::page;
use crate::keys::hex_of;

/// What opens the records' block and the signature's. No escaped text holds a `<`.
pub(super) const RECORDS: &str = "\n<!-- crosstally evidence 1\n";
pub(super) const SIGNATURE: &str = "<!-- crosstally signature 1\n";
pub(super) const END: &str = "\n-->\n";
/// What the first record names as the one before.
pub(super) const NOTHING: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// A record before it is put into the chain.
#[derive(Debug, Clone)]
pub(super) struct Record {
    pub(super) kind: &'static str,
    pub(super) body: Value,
}

pub(super) fn hash(bytes: &[u8]) -> String {
    hex_of(Sha256::digest(bytes))
}

/// What is signed.
pub(super) fn message(digest: &str) -> Vec<u8> {
    format!("crosstally evidence 1\n{digest}\n").into_bytes()
}

/// JSON that ends no comment and begins no tag.
fn line(value: &Value) -> String {
    value.to_string().replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")
}

/// The block of the signature, as it alone is written.
pub(super) fn block(key: &str, records: usize, head: &str, digest: &str, signature: &str) -> String {
    let fields =
        json!({ "key": key, "records": records, "head": head, "digest": digest, "signature": signature });
    format!("{SIGNATURE}{fields}{END}")
}

/// The whole file.
pub(super) fn file(records: &[Record], pair: &Ed25519KeyPair) -> String {
    let mut lines = Vec::with_capacity(records.len());
    let mut head = NOTHING.to_owned();
    for (number, record) in records.iter().enumerate() {
        let whole = json!({ "n": number, "prev": head, "kind": record.kind, "body": record.body });
        let text = line(&whole);
        head = hash(text.as_bytes());
        lines.push(text);
    }
    let values: Vec<Value> = lines.iter().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let signed = format!("{}{RECORDS}{}{END}", page::page(&values), lines.join("\n"));
    let digest = hash(signed.as_bytes());
    let signature = hex_of(pair.sign(&message(&digest)).as_ref().iter().copied());
    let key = hex_of(pair.public_key().as_ref().iter().copied());
    format!("{signed}{}", block(&key, records.len(), &head, &digest, &signature))
}
