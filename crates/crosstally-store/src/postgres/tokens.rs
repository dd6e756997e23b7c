//! API tokens, by their hashes.

use crosstally_core::ids::TokenId;
use crosstally_core::time::Timestamp;

use super::rows::{Id, Text};
use super::transact::Value;
use super::{Postgres, rows};
use crate::{StoreError, TokenRecord, WORKSPACE};

const INSERT: &str = "INSERT INTO tokens (workspace, id, name, scopes, hash, created_at, revoked_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7)";
const REVOKE: &str =
    "UPDATE tokens SET revoked_at = $3 WHERE workspace = $1 AND id = $2 AND revoked_at IS NULL
    RETURNING 1";

impl Postgres {
    pub(crate) async fn create_token(&self, token: TokenRecord) -> Result<(), StoreError> {
        let values: [&Value<'_>; 7] = [
            &WORKSPACE,
            &Id::from(token.id),
            &Text(&token.name),
            &rows::to_json(&token.scopes)?,
            &Text(&token.hash),
            &token.created_at.as_millis(),
            &token.revoked_at.map(Timestamp::as_millis),
        ];
        let written = self.engine.write(INSERT, &values);
        written.await.map(drop)
    }

    pub(crate) async fn list_tokens(&self) -> Result<Vec<TokenRecord>, StoreError> {
        let ask = format!("SELECT {} FROM tokens WHERE workspace = $1 ORDER BY id", rows::TOKEN);
        self.engine.read(&ask, &[&WORKSPACE]).await?.iter().map(rows::token).collect()
    }

    pub(crate) async fn token_by_hash(&self, hash: String) -> Result<Option<TokenRecord>, StoreError> {
        let ask = format!("SELECT {} FROM tokens WHERE workspace = $1 AND hash = $2", rows::TOKEN);
        self.engine.read(&ask, &[&WORKSPACE, &Text(&hash)]).await?.first().map(rows::token).transpose()
    }

    pub(crate) async fn revoke_token(&self, id: TokenId, now: Timestamp) -> Result<bool, StoreError> {
        let values: [&Value<'_>; 3] = [&WORKSPACE, &Id::from(id), &now.as_millis()];
        Ok(!self.engine.write(REVOKE, &values).await?.is_empty())
    }
}
