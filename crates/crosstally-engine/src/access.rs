//! API tokens: made, shown once, checked by hash.

use crosstally_core::ids::TokenId;
use crosstally_store::{StoreError, TokenRecord};
use sha2::{Digest, Sha256};

use crate::Engine;
use crate::keys::hex_of;

/// What a token may do. `admin` may do everything.
pub const SCOPES: &[&str] =
    &["admin", "read", "config:write", "deliveries:write", "receipts:write", "events:write"];

/// How every token begins, so that scanners can spot a leaked one.
pub const TOKEN_PREFIX: &str = "ct_";

/// A token that has just been made.
#[derive(Debug, Clone)]
pub struct NewToken {
    /// What is stored.
    pub record: TokenRecord,
    /// The token itself; it is never shown again.
    pub token: String,
}

/// Whether a caller may go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Allowed {
    /// Yes: the token's name.
    Yes(String),
    /// No token was shown, or it is unknown or revoked.
    NotSignedIn,
    /// The token is good, but not for this.
    Forbidden,
}

/// Whether a token may have this name: 1 to 64 characters that can be printed.
#[must_use]
pub fn is_token_name(name: &str) -> bool {
    !name.trim().is_empty() && name.chars().count() <= 64 && !name.chars().any(char::is_control)
}

impl Engine {
    /// Makes a token.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn create_token(&self, name: &str, scopes: &[String]) -> Result<NewToken, StoreError> {
        let now = self.clock.now();
        let secret: [u8; 24] = self.random.bytes();
        let token = format!("{TOKEN_PREFIX}{}", hex_of(secret));
        let record = TokenRecord {
            id: TokenId::new(now, self.random.bytes()),
            name: name.to_owned(),
            scopes: scopes.to_vec(),
            hash: hash(&token),
            created_at: now,
            revoked_at: None,
        };
        self.store.create_token(record.clone()).await?;
        Ok(NewToken { record, token })
    }

    /// Checks a caller's token against a scope.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn check_token(&self, token: Option<&str>, scope: &str) -> Result<Allowed, StoreError> {
        let Some(token) = token.filter(|token| token.starts_with(TOKEN_PREFIX) && token.len() <= 128) else {
            return Ok(Allowed::NotSignedIn);
        };
        let Some(record) = self.store.token_by_hash(hash(token)).await? else {
            return Ok(Allowed::NotSignedIn);
        };
        if record.revoked_at.is_some() {
            return Ok(Allowed::NotSignedIn);
        }
        let may = record.scopes.iter().any(|held| held == "admin" || held == scope);
        Ok(if may { Allowed::Yes(record.name) } else { Allowed::Forbidden })
    }
}

fn hash(token: &str) -> String {
    // A token is 192 random bits: a fast hash is enough, nobody can guess through it.
    hex_of(Sha256::digest(token.as_bytes()))
}
