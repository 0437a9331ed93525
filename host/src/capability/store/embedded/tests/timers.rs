//! Timers of a file: what they cost, what of them lasts, and files that have none.

use std::{
    fs::File,
    io,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use redb::{Database, ReadableDatabase as _, StorageBackend, backends::FileBackend};

use super::{
    super::{
        clock::Clock,
        core::Core,
        tables::{ALARMS, EXPIRY, META, NOTES, TIMER_KEYS, TIMERS, USAGE, VALUES, WAITING},
    },
    EmbeddedStore, open,
};
use crate::{
    capability::store::{Due, DueTime, Key, Parcel, Quota, Store, Transaction, Usage},
    message::ModuleName,
};

fn module() -> ModuleName {
    ModuleName::parse("auction").unwrap()
}

fn key(text: &str) -> Key {
    Key::parse(text).unwrap()
}

async fn set_timers(store: &Arc<dyn Store>, keys: &[String]) {
    let mut run = Transaction::new(Arc::clone(store), module());
    let due = DueTime::after_millis(1_000_000).unwrap();
    for name in keys {
        let parcel = Parcel { target: "mail".to_owned(), payload: Bytes::from(vec![7; 64]) };
        run.set_timer(Some(key(name)), due, parcel).unwrap();
    }
    store.commit(&module(), run.take(Quota::NONE)).await.unwrap();
}

/// Counts what is read.
#[derive(Debug)]
struct Counting(FileBackend, Arc<AtomicUsize>);

impl StorageBackend for Counting {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write(offset, data)
    }
}

/// Opens a file without a cache, and counts what is read of it.
fn counting(path: &Path) -> (EmbeddedStore, Arc<AtomicUsize>) {
    let file = File::options().read(true).write(true).open(path).unwrap();
    let reads = Arc::default();
    let backend = Counting(FileBackend::new(file).unwrap(), Arc::clone(&reads));
    let database = Database::builder().set_cache_size(0).create_with_backend(backend).unwrap();
    let core = Core { database, clock: Clock::default(), _lock: None };
    (EmbeddedStore::start(core, path).unwrap(), reads)
}

#[tokio::test]
async fn what_it_costs_to_ask_for_what_is_due_does_not_grow_with_the_timers() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.redb");
    let mut costs = Vec::new();
    for step in 0..5 {
        let store: Arc<dyn Store> = Arc::new(open(directory.path()));
        let keys: Vec<_> = (0..2_000).map(|number| format!("{step}:{number}")).collect();
        set_timers(&store, &keys).await;
        drop(store);
        let (store, reads) = counting(&path);
        let before = reads.load(Ordering::Relaxed);
        let due = store.due(100).await.unwrap();
        assert!(due.modules.is_empty() && due.next.unwrap() > Duration::from_secs(900));
        costs.push(reads.load(Ordering::Relaxed) - before);
        assert_eq!(store.usage(&module()).await.unwrap().timers, 2_000 * (step + 1));
    }
    // Pages: the root, the table's, and the row's.
    assert!(costs.iter().all(|cost| (1..=8).contains(cost)), "{costs:?}");
    assert!(costs.first() >= costs.last(), "{costs:?}");
}

#[tokio::test]
async fn timers_are_there_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let store: Arc<dyn Store> = Arc::new(open(directory.path()));
    set_timers(&store, &["a".to_owned(), "b".to_owned()]).await;
    let mut run = Transaction::new(Arc::clone(&store), module());
    run.cancel_timer(key("a")).unwrap();
    store.commit(&module(), run.take(Quota::NONE)).await.unwrap();
    drop((run, store));
    let store = open(directory.path());
    store.core.clock.ahead.store(2_000_000_000, Ordering::Relaxed);
    let due = store.due(100).await.unwrap();
    assert_eq!(due, Due { modules: vec![module()], next: None });
    assert_eq!(store.waiting(&module(), None, 10).await.unwrap().len(), 1);
    // Nothing of them is left.
    let transaction = store.core.database.begin_read().unwrap();
    for table in [TIMERS, TIMER_KEYS, ALARMS] {
        assert!(
            redb::ReadableTableMetadata::is_empty(&transaction.open_table(table).unwrap()).unwrap()
        );
    }
}

#[tokio::test]
async fn a_file_without_timers_gets_the_tables() {
    let directory = tempfile::tempdir().unwrap();
    let file = Database::create(directory.path().join("store.redb")).unwrap();
    let transaction = file.begin_write().unwrap();
    for table in [VALUES, EXPIRY, NOTES, WAITING] {
        transaction.open_table(table).unwrap();
    }
    {
        let mut meta = transaction.open_table(META).unwrap();
        meta.insert(&b"format"[..], &1_u32.to_be_bytes()[..]).unwrap();
        let usage = [7_u64, 0, 0, 0].map(u64::to_be_bytes).concat();
        let mut usages = transaction.open_table(USAGE).unwrap();
        usages.insert(&b"auction"[..], &*usage).unwrap();
    }
    transaction.commit().unwrap();
    drop(file);
    let store: Arc<dyn Store> = Arc::new(open(directory.path()));
    let usage = Usage { number: 7, ..Usage::default() };
    assert_eq!(store.usage(&module()).await.unwrap(), usage);
    assert_eq!(store.due(100).await.unwrap(), Due::default());
    set_timers(&store, &["a".to_owned()]).await;
    let usage = Usage { number: 8, timers: 1, ..Usage::default() };
    assert_eq!(store.usage(&module()).await.unwrap(), usage);
}
