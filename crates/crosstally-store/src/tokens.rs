//! API tokens. Only their hashes are stored.

use crosstally_core::ids::TokenId;
use crosstally_core::time::Timestamp;

use crate::{Store, StoreError, TokenRecord, on};

impl Store {
    /// Adds a token.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn create_token(&self, token: TokenRecord) -> Result<(), StoreError> {
        on!(self, create_token(token))
    }

    /// All tokens, oldest first.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn list_tokens(&self) -> Result<Vec<TokenRecord>, StoreError> {
        on!(self, list_tokens())
    }

    /// The token with this hash, revoked or not.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn token_by_hash(&self, hash: String) -> Result<Option<TokenRecord>, StoreError> {
        on!(self, token_by_hash(hash))
    }

    /// Revokes a token; `false` if there is none of this id that was still good.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn revoke_token(&self, id: TokenId, now: Timestamp) -> Result<bool, StoreError> {
        on!(self, revoke_token(id, now))
    }
}
