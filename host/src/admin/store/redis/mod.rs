//! Tokens and idempotency keys in Redis, for all processes of a layer. All keys are in partition 0.

mod scripts;

use std::{collections::HashMap, sync::Arc, time::Duration};

use async_trait::async_trait;

use self::scripts::Scripts;
use super::{Added, AdminStore, AdminStoreError, Kept, StoredToken, TOKENS_MAX, UsedToken};
use crate::{
    admin::access::TokenName,
    redis::{Link, Redis, RedisFailure, Script, ScriptInvocation},
};

/// Tokens and idempotency keys in Redis.
#[derive(Debug)]
pub struct RedisAdminStore {
    link: Arc<Link>,
    scripts: Scripts,
    /// Keeps the connection open.
    _redis: Redis,
}

impl RedisAdminStore {
    /// Keeps it over connections that are open.
    pub fn new(redis: &Redis) -> Result<Self, RedisFailure> {
        let link = redis.links().first().cloned();
        let link = link.ok_or_else(|| RedisFailure::Refused("there is no partition".to_owned()))?;
        Ok(Self { link, scripts: Scripts::new(""), _redis: redis.clone() })
    }

    fn call<'a>(&self, script: &'a Script) -> ScriptInvocation<'a> {
        script.key(&self.link.keys.base)
    }
}

impl From<RedisFailure> for AdminStoreError {
    fn from(failure: RedisFailure) -> Self {
        match failure {
            RedisFailure::OutOfMemory { .. } => Self::NoMemory(failure),
            RedisFailure::Refused(_) => Self::Refused(failure),
            _ => Self::Away(failure),
        }
    }
}

#[async_trait]
impl AdminStore for RedisAdminStore {
    async fn tokens(&self) -> Result<Vec<UsedToken>, AdminStoreError> {
        let call = self.call(&self.scripts.admin_tokens);
        let (tokens, used): (HashMap<String, Vec<u8>>, HashMap<String, u64>) =
            self.link.call(&call).await?;
        let read = |(name, text): (String, Vec<u8>)| {
            let used_at = used.get(&name).copied();
            UsedToken::read(&name, serde_json::from_slice(&text), used_at)
        };
        Ok(tokens.into_iter().filter_map(read).collect())
    }

    async fn add(&self, name: &TokenName, token: &StoredToken) -> Result<Added, AdminStoreError> {
        let text = serde_json::to_vec(token).expect("a token is JSON");
        let mut call = self.call(&self.scripts.admin_token_add);
        call.arg(name.as_str()).arg(text).arg(TOKENS_MAX);
        let outcome: String = self.link.call(&call).await?;
        Ok(match outcome.as_str() {
            "ok" => Added::Yes,
            "taken" => Added::NameIsTaken,
            _ => Added::TooMany,
        })
    }

    async fn revoke(&self, name: &TokenName) -> Result<bool, AdminStoreError> {
        let mut call = self.call(&self.scripts.admin_token_revoke);
        call.arg(name.as_str());
        Ok(self.link.call::<u8>(&call).await? == 1)
    }

    async fn used(&self, name: &TokenName, used_at: u64) -> Result<(), AdminStoreError> {
        let mut call = self.call(&self.scripts.admin_token_used);
        call.arg(name.as_str()).arg(used_at);
        Ok(self.link.call::<u8>(&call).await.map(drop)?)
    }

    async fn begin(&self, key: &str, request: &str) -> Result<Kept, AdminStoreError> {
        let mut call = self.call(&self.scripts.admin_once_begin);
        call.arg(key).arg(request).arg(millis(super::ONCE_KEPT));
        let kept: Vec<u8> = self.link.call(&call).await?;
        Ok(Kept::read(&kept, request))
    }

    async fn answered(
        &self,
        key: &str,
        request: &str,
        answer: &[u8],
    ) -> Result<(), AdminStoreError> {
        let mut call = self.call(&self.scripts.admin_once_end);
        call.arg(key).arg([request.as_bytes(), answer].concat()).arg(millis(super::ONCE_KEPT));
        Ok(self.link.call::<u8>(&call).await.map(drop)?)
    }

    async fn forget(&self, key: &str) -> Result<(), AdminStoreError> {
        let mut call = self.call(&self.scripts.admin_once_end);
        call.arg(key).arg("").arg(0);
        Ok(self.link.call::<u8>(&call).await.map(drop)?)
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
