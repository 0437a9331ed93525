//! Tokens in a file of the data directory, and idempotency keys in memory: for a process without Redis.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::{
    Added, AdminStore, AdminStoreError, Kept, ONCE_KEPT, StoredToken, TOKENS_MAX, UsedToken,
};
use crate::{admin::access::TokenName, whole_file};

/// The file of the tokens in the data directory.
const FILE: &str = "admin-tokens.json";
/// Idempotency keys that are remembered at most.
const KEYS_MAX: usize = 10_000;

/// The content of the file.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Contents {
    /// Each is read by itself, so that one that cannot be read does not take the others with it.
    tokens: BTreeMap<String, serde_json::Value>,
    /// When they were last used.
    #[serde(default)]
    used: BTreeMap<String, u64>,
}

#[derive(Debug)]
struct Remembered {
    value: Vec<u8>,
    until: Instant,
}

/// Tokens and idempotency keys of one process.
#[derive(Debug)]
pub struct DirectoryAdminStore {
    file: Arc<Tokens>,
    keys: Mutex<HashMap<String, Remembered>>,
}

/// The file of the tokens.
#[derive(Debug)]
struct Tokens {
    path: PathBuf,
    /// One change after the other.
    changing: Mutex<()>,
}

impl DirectoryAdminStore {
    /// Keeps it in a data directory, which is there.
    pub fn new(data_dir: &Path) -> Self {
        let file = Tokens { path: data_dir.join(FILE), changing: Mutex::default() };
        Self { file: Arc::new(file), keys: Mutex::default() }
    }

    async fn on_file<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Tokens) -> Result<T, AdminStoreError> + Send + 'static,
    ) -> Result<T, AdminStoreError> {
        let (file, path) = (Arc::clone(&self.file), self.file.path.clone());
        let worked = tokio::task::spawn_blocking(move || work(&file)).await;
        worked.unwrap_or_else(|error| {
            Err(AdminStoreError::Io { path, source: io::Error::other(error) })
        })
    }

    /// Does something with the keys that are not forgotten.
    fn on_keys<T>(&self, work: impl FnOnce(&mut HashMap<String, Remembered>) -> T) -> T {
        work(&mut self.keys.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Tokens {
    fn read(&self) -> Result<Contents, AdminStoreError> {
        match fs::read(&self.path) {
            Ok(text) => serde_json::from_slice(&text).map_err(|error| AdminStoreError::Damaged {
                path: self.path.clone(),
                what: error.to_string(),
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Contents::default()),
            Err(source) => Err(AdminStoreError::Io { path: self.path.clone(), source }),
        }
    }

    /// Changes the file as a whole: it has the state before or after. `change` says whether there is anything to
    /// write.
    fn change<T>(
        &self,
        change: impl FnOnce(&mut Contents) -> (T, bool),
    ) -> Result<T, AdminStoreError> {
        let _turn = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut contents = self.read()?;
        let (outcome, has_changed) = change(&mut contents);
        if has_changed {
            let text = serde_json::to_vec_pretty(&contents).expect("tokens are JSON");
            let failed = |source| AdminStoreError::Io { path: self.path.clone(), source };
            whole_file::replace(&self.path, |file| file.write_all(&text)).map_err(failed)?;
        }
        Ok(outcome)
    }
}

#[async_trait]
impl AdminStore for DirectoryAdminStore {
    async fn tokens(&self) -> Result<Vec<UsedToken>, AdminStoreError> {
        let Contents { tokens, used } = self.on_file(Tokens::read).await?;
        let read = |(name, token): (String, serde_json::Value)| {
            let used_at = used.get(&name).copied();
            UsedToken::read(&name, serde_json::from_value(token), used_at)
        };
        Ok(tokens.into_iter().filter_map(read).collect())
    }

    async fn add(&self, name: &TokenName, token: &StoredToken) -> Result<Added, AdminStoreError> {
        let (name, token) = (name.to_string(), serde_json::to_value(token));
        let token = token.expect("a token is JSON");
        let add = move |contents: &mut Contents| {
            if contents.tokens.contains_key(&name) {
                return (Added::NameIsTaken, false);
            }
            if contents.tokens.len() >= TOKENS_MAX {
                return (Added::TooMany, false);
            }
            contents.tokens.insert(name, token);
            (Added::Yes, true)
        };
        self.on_file(|file| file.change(add)).await
    }

    async fn revoke(&self, name: &TokenName) -> Result<bool, AdminStoreError> {
        let name = name.to_string();
        let revoke = move |contents: &mut Contents| {
            contents.used.remove(&name);
            let was_there = contents.tokens.remove(&name).is_some();
            (was_there, was_there)
        };
        self.on_file(|file| file.change(revoke)).await
    }

    async fn used(&self, name: &TokenName, used_at: u64) -> Result<(), AdminStoreError> {
        let name = name.to_string();
        let note = move |contents: &mut Contents| {
            let is_there = contents.tokens.contains_key(&name);
            if is_there {
                contents.used.insert(name, used_at);
            }
            ((), is_there)
        };
        self.on_file(|file| file.change(note)).await
    }

    async fn begin(&self, key: &str, request: &str) -> Result<Kept, AdminStoreError> {
        let now = Instant::now();
        self.on_keys(|keys| {
            if let Some(known) = keys.get(key).filter(|it| it.until > now) {
                return Ok(Kept::read(&known.value, request));
            }
            if keys.len() >= KEYS_MAX {
                keys.retain(|_, remembered| remembered.until > now);
            }
            if keys.len() >= KEYS_MAX {
                return Err(AdminStoreError::TooManyKeys { limit: KEYS_MAX });
            }
            let value = request.as_bytes().to_vec();
            keys.insert(key.to_owned(), Remembered { value, until: now + ONCE_KEPT });
            Ok(Kept::New)
        })
    }

    async fn answered(
        &self,
        key: &str,
        request: &str,
        answer: &[u8],
    ) -> Result<(), AdminStoreError> {
        let value = [request.as_bytes(), answer].concat();
        let remembered = Remembered { value, until: Instant::now() + ONCE_KEPT };
        // The key is there since the request began, so that it takes no more room.
        self.on_keys(|keys| drop(keys.insert(key.to_owned(), remembered)));
        Ok(())
    }

    async fn forget(&self, key: &str) -> Result<(), AdminStoreError> {
        self.on_keys(|keys| drop(keys.remove(key)));
        Ok(())
    }
}
