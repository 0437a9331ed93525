//! Keeps the keys of tokens that come from a URL.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;

use super::StartError;
use crate::{
    auth::{Auth, FetchedSet, KeyFetcher},
    capability::outside::{Client, Clients, DocumentUrl},
    shutdown::Drain,
};

/// How long a fetch may take.
const FETCH_TIMEOUT: Duration = Duration::from_secs(10);
/// The largest set, in bytes: sixteen keys with long certificate chains are smaller.
const SET_BYTES_MAX: usize = 256 * 1024;

/// Fetches one set.
struct Fetcher {
    client: Client,
    from: DocumentUrl,
}

#[async_trait]
impl KeyFetcher for Fetcher {
    async fn fetch(&self) -> Result<FetchedSet, String> {
        let document = self.client.document(&self.from).await.map_err(|error| error.to_string())?;
        Ok(FetchedSet { body: document.body, max_age: document.max_age })
    }
}

/// Fetches the keys that come from URLs until the tasks are stopped.
pub(super) fn keep(auth: &Arc<Auth>, clients: &Clients, tasks: &Drain) -> Result<(), StartError> {
    for (section, of) in auth.urls() {
        let from = DocumentUrl::new(&of.url, &of.grants)?;
        let client = clients.alone(&from.grant(FETCH_TIMEOUT, SET_BYTES_MAX))?;
        let keeping = Arc::clone(auth).keep_fetched(section, Fetcher { client, from });
        tasks.spawn_until_stopped("keys of tokens", keeping);
    }
    Ok(())
}
