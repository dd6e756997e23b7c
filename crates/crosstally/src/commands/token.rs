//! `crosstally token create|list|revoke`.

use anyhow::Result;
use crosstally_core::ids::TokenId;
use crosstally_engine::Engine;
use crosstally_engine::access::{SCOPES, is_token_name};
use crosstally_http::api::tokens::TokenOut;
use serde::Deserialize;

use crate::cli::{At, Token};
use crate::exit::{self, Code};
use crate::remote::{self, Where};
use crate::show;

#[derive(Deserialize)]
struct Page {
    data: Vec<TokenOut>,
}

/// Runs one of the token commands.
pub(crate) async fn run(command: Token, json: bool) -> Result<()> {
    match command {
        Token::Create { name, scopes, at } => {
            let made = create(&name, &scopes, &at).await?;
            if json {
                return show::json(&made);
            }
            eprintln!("{} `{}` ({}); it is shown this once:", made.id, made.name, made.scopes.join(", "));
            show::text(&format!("{}\n", made.token.unwrap_or_default()))
        }
        Token::List { at } => {
            let tokens = match remote::find(&at)? {
                Where::Here(ground) => {
                    remote::here(&ground, async |engine| {
                        Ok(engine.store.list_tokens().await?.iter().map(TokenOut::from).collect())
                    })
                    .await?
                }
                Where::There(server) => server.get::<Page>("/api/v1/tokens").await?.data,
            };
            list(&tokens, json)
        }
        Token::Revoke { id, at } => {
            revoke(&id, &at).await?;
            if json {
                return show::json(&serde_json::json!({ "id": id, "revoked": true }));
            }
            eprintln!("{id} is revoked");
            Ok(())
        }
    }
}

async fn create(name: &str, scopes: &[String], at: &At) -> Result<TokenOut> {
    if !is_token_name(name) {
        return Err(exit::with(Code::Usage, "--name must have 1 to 64 characters that can be printed"));
    }
    if let Some(unknown) = scopes.iter().find(|scope| !SCOPES.contains(&scope.as_str())) {
        let known = SCOPES.join(", ");
        return Err(exit::with(Code::Usage, format!("scope `{unknown}` is not known; known are {known}")));
    }
    match remote::find(at)? {
        Where::Here(ground) => {
            remote::here_or_new(&ground, async |engine| {
                let new = engine.create_token(name, scopes).await?;
                Ok(TokenOut { token: Some(new.token), ..TokenOut::from(&new.record) })
            })
            .await
        }
        Where::There(server) => {
            let body = serde_json::json!({ "name": name, "scopes": scopes }).to_string().into_bytes();
            server.post("/api/v1/tokens", "application/json", body).await
        }
    }
}

fn list(tokens: &[TokenOut], json: bool) -> Result<()> {
    if json {
        return show::json(&tokens);
    }
    let rows = tokens.iter().map(|token| {
        let state = if token.revoked_at.is_some() { "revoked" } else { "good" };
        vec![
            token.id.clone(),
            token.name.clone(),
            state.into(),
            token.scopes.join(","),
            token.created_at.clone(),
        ]
    });
    show::table(&["id", "name", "state", "scopes", "created"], rows)
}

async fn revoke(id: &str, at: &At) -> Result<()> {
    match remote::find(at)? {
        Where::Here(ground) => {
            let token: TokenId =
                id.parse().map_err(|_| exit::with(Code::Usage, format!("`{id}` is not a token's id")))?;
            let revoke =
                async |engine: &Engine| Ok(engine.store.revoke_token(token, engine.clock.now()).await?);
            if remote::here(&ground, revoke).await? {
                Ok(())
            } else {
                Err(exit::with(Code::NotFound, format!("no good token has the id {id}")))
            }
        }
        Where::There(server) => server.delete(&format!("/api/v1/tokens/{}", remote::escaped(id))).await,
    }
}
