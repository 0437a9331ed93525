//! The conformance suite on a file, and what is the file's own.

mod damage;
mod durability;
mod locks;
mod timers;

use std::{
    path::Path,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use async_trait::async_trait;
use tempfile::TempDir;

use super::{Core, EmbeddedStore};
use crate::capability::store::conformance::{Clock, Subject, conformance_cases, one_test_each};

/// Moves the clock of a store on. Keeps its directory.
struct Shifted(Arc<Core>, #[expect(dead_code, reason = "held, not used")] TempDir);

#[async_trait]
impl Clock for Shifted {
    async fn advance(&self, span: Duration) {
        let micros = u64::try_from(span.as_micros()).unwrap();
        self.0.clock.ahead.fetch_add(micros, Ordering::Relaxed);
    }
}

fn open(directory: &Path) -> EmbeddedStore {
    EmbeddedStore::open(directory).unwrap()
}

async fn subject() -> Subject {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_owned();
    let store = tokio::task::spawn_blocking(move || open(&path)).await.unwrap();
    let clock = Box::new(Shifted(Arc::clone(&store.core), directory));
    Subject { store: Arc::new(store), clock }
}

conformance_cases!(one_test_each![tokio::test(flavor = "multi_thread"); subject()]);
