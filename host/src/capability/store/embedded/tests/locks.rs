//! One process at a time.

use std::{fs, process, time::Duration};

use super::{super::OpenError, open};
use crate::capability::store::{EmbeddedStore, Store as _};

#[test]
fn a_second_process_is_refused_with_the_number_of_the_first() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let refused = EmbeddedStore::open(directory.path()).unwrap_err();
    let OpenError::InUse { pid, .. } = &refused else { panic!("{refused}") };
    assert_eq!(*pid, Some(process::id()));
    assert!(refused.to_string().contains(&format!("in use by process {}", process::id())));
    drop(store);
    drop(open(directory.path()));
}

#[tokio::test]
async fn a_successor_waits_for_the_lock_and_then_gives_up() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let refused = EmbeddedStore::open_after(directory.path(), Duration::from_millis(50)).await;
    assert!(matches!(refused, Err(OpenError::InUse { .. })), "{refused:?}");
    let path = directory.path().to_owned();
    let successor =
        async move { EmbeddedStore::open_after(&path, Duration::from_secs(60)).await.unwrap() };
    tokio::pin!(successor);
    assert!(tokio::time::timeout(Duration::from_millis(50), successor.as_mut()).await.is_err());
    drop(store);
    assert!(successor.await.modules().await.unwrap().is_empty());
}

#[test]
fn a_store_is_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;

    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("a/store");
    drop(open(&directory));
    assert_eq!(fs::metadata(&directory).unwrap().permissions().mode() & 0o777, 0o700);
}
