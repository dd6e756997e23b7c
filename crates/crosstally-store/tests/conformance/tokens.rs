//! API tokens.

use crosstally_core::ids::TokenId;
use crosstally_store::{StoreError, TokenRecord};

use crate::build::{self, NASTY};
use crate::stage::Stage;

fn token(ms: i64, hash: &str) -> TokenRecord {
    TokenRecord {
        id: TokenId::from_bytes(*build::receipt_id(ms).as_bytes()),
        name: "ci".into(),
        scopes: vec!["config:write".into(), "trace:read".into()],
        hash: hash.into(),
        created_at: build::at(ms),
        revoked_at: None,
    }
}

pub(crate) async fn a_token_comes_back_as_it_was(stage: &Stage) {
    let store = stage.open().await;
    assert_eq!(store.list_tokens().await.unwrap(), []);
    let mut expected = Vec::new();
    for (ms, text) in (0_i64..).zip(NASTY) {
        let mut token = token(ms, &format!("hash {text}"));
        token.name = (*text).into();
        token.scopes = vec![(*text).into(); 3];
        token.revoked_at = (ms == 2).then(|| build::at(7));
        store.create_token(token.clone()).await.unwrap();
        assert_eq!(store.token_by_hash(token.hash.clone()).await.unwrap().as_ref(), Some(&token));
        expected.push(token);
    }
    let mut bare = token(50, "bare");
    bare.scopes.clear();
    store.create_token(bare.clone()).await.unwrap();
    expected.push(bare);
    assert_eq!(store.list_tokens().await.unwrap(), expected);
    assert_eq!(store.token_by_hash("hash".into()).await.unwrap(), None);
}

pub(crate) async fn a_token_is_revoked_once(stage: &Stage) {
    let store = stage.open().await;
    let (token, other) = (token(0, "one"), token(1, "two"));
    store.create_token(token.clone()).await.unwrap();
    store.create_token(other.clone()).await.unwrap();
    assert!(store.revoke_token(token.id, build::at(5)).await.unwrap());
    assert!(!store.revoke_token(token.id, build::at(6)).await.unwrap());
    assert!(!store.revoke_token(TokenId::from_bytes([0; 16]), build::at(6)).await.unwrap());
    let revoked = TokenRecord { revoked_at: Some(build::at(5)), ..token };
    assert_eq!(store.list_tokens().await.unwrap(), [revoked, other]);
}

pub(crate) async fn a_hash_is_taken_once(stage: &Stage) {
    let store = stage.open().await;
    let first = token(0, "same");
    store.create_token(first.clone()).await.unwrap();
    let answer = store.create_token(token(1, "same")).await;
    assert!(matches!(answer, Err(StoreError::Corrupt(_))), "{answer:?}");
    assert_eq!(store.list_tokens().await.unwrap(), [first]);
}
