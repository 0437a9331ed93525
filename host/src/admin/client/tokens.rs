//! Requests about named tokens.

use bytes::Bytes;
use hyper::Method;
use serde::{Deserialize, Serialize};

use super::{ANSWER_TIMEOUT, AdminClient, AskError};
use crate::admin::{Role, TokenName};

/// A token to make.
#[derive(Clone, Debug, Serialize)]
pub struct NewToken {
    /// Its name.
    pub name: String,
    /// The rights of its holder.
    pub role: Role,
    /// The modules that it is limited to; none: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub modules: Option<Vec<String>>,
    /// How long it lives; none: until it is revoked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl: Option<String>,
}

/// A named token, without its text.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TokenOf {
    /// Its name.
    pub name: Option<String>,
    /// The rights of its holder: a later host may have more roles.
    pub role: String,
    /// The modules that it is limited to; none: all.
    pub modules: Option<Vec<String>>,
    /// When it was made.
    pub created_at: Option<String>,
    /// The name of the one who made it.
    pub created_by: Option<String>,
    /// When it ends by itself.
    pub expires_at: Option<String>,
    /// The hour of its last use.
    pub used_at: Option<String>,
}

/// A token that was made.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct MadeToken {
    /// The token.
    #[serde(flatten)]
    pub token: TokenOf,
    /// Its text, which the host does not show again.
    pub secret: String,
}

#[derive(Debug, Deserialize)]
struct TokenList {
    tokens: Vec<TokenOf>,
}

impl AdminClient {
    /// Makes a named token.
    pub async fn create_token(&self, token: &NewToken) -> Result<MadeToken, AskError> {
        let body = serde_json::to_vec(token).expect("a token is JSON");
        self.answer(Method::POST, "/api/v1/tokens", body.into(), ANSWER_TIMEOUT).await
    }

    /// All named tokens, by name.
    pub async fn tokens(&self) -> Result<Vec<TokenOf>, AskError> {
        let list: TokenList = self.get("/api/v1/tokens").await?;
        Ok(list.tokens)
    }

    /// Revokes a named token.
    pub async fn revoke_token(&self, name: &TokenName) -> Result<(), AskError> {
        let path = format!("/api/v1/tokens/{name}");
        drop(self.send(Method::DELETE, &path, Bytes::new(), ANSWER_TIMEOUT).await?);
        Ok(())
    }
}
