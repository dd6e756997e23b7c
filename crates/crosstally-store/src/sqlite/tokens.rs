//! API tokens, by their hashes.

use crosstally_core::ids::TokenId;
use crosstally_core::time::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use super::{Sqlite, rows};
use crate::{StoreError, TokenRecord, WORKSPACE};

const INSERT: &str = "INSERT INTO tokens (id, workspace, name, scopes, hash, created_at, revoked_at)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";

impl Sqlite {
    pub(crate) async fn create_token(&self, token: TokenRecord) -> Result<(), StoreError> {
        let work = move |connection: &Connection| {
            connection.prepare_cached(INSERT)?.execute(params![
                token.id.as_bytes(),
                WORKSPACE,
                token.name,
                rows::to_json(&token.scopes)?,
                token.hash,
                token.created_at.as_millis(),
                token.revoked_at.map(Timestamp::as_millis),
            ])?;
            Ok(())
        };
        self.engine.write(1, work).await
    }

    pub(crate) async fn list_tokens(&self) -> Result<Vec<TokenRecord>, StoreError> {
        let work = |connection: &Connection| {
            let ask = format!("SELECT {} FROM tokens WHERE workspace = ?1 ORDER BY id", rows::TOKEN);
            let mut ask = connection.prepare_cached(&ask)?;
            let tokens = ask.query_map([WORKSPACE], rows::token)?;
            Ok(tokens.collect::<rusqlite::Result<_>>()?)
        };
        self.engine.read(work).await
    }

    pub(crate) async fn token_by_hash(&self, hash: String) -> Result<Option<TokenRecord>, StoreError> {
        let work = move |connection: &Connection| {
            let ask = format!("SELECT {} FROM tokens WHERE hash = ?1", rows::TOKEN);
            Ok(connection.prepare_cached(&ask)?.query_row([hash], rows::token).optional()?)
        };
        self.engine.read(work).await
    }

    pub(crate) async fn revoke_token(&self, id: TokenId, now: Timestamp) -> Result<bool, StoreError> {
        let work = move |connection: &Connection| {
            let revoke = "UPDATE tokens SET revoked_at = ?2 WHERE id = ?1 AND revoked_at IS NULL";
            Ok(connection.prepare_cached(revoke)?.execute(params![id.as_bytes(), now.as_millis()])? == 1)
        };
        self.engine.write(1, work).await
    }
}
