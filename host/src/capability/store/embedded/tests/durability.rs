//! What was acknowledged is there, whatever ends the process or fails on the disk.

use std::{
    env,
    fs::File,
    io::{self, BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use futures_util::future::join_all;
use redb::{StorageBackend, backends::FileBackend};

use super::{
    super::{clock::Clock, core::Core, open::open_database},
    open,
};
use crate::{
    capability::store::{
        CommitError, EmbeddedStore, Key, OpenError, Quota, RunOutcome, Store, StoreError,
        Transaction, Value,
    },
    message::ModuleName,
};

/// Where the child process keeps its store.
const DIRECTORY: &str = "TIDEGATE_TEST_STORE";

fn module() -> ModuleName {
    ModuleName::parse("auction").unwrap()
}

fn key(number: usize) -> Key {
    Key::parse(&format!("k:{number}")).unwrap()
}

fn setting(store: &Arc<dyn Store>, number: usize) -> Transaction {
    let mut run = Transaction::new(Arc::clone(store), module());
    run.set(key(number), Value::of_integer(1), None).unwrap();
    run.add(Key::parse("sum").unwrap(), 1).unwrap();
    run
}

/// Runs in a process of its own, which the test beside it starts and kills; does nothing otherwise.
#[tokio::test(flavor = "multi_thread")]
async fn child_that_commits_until_it_is_killed() {
    let Some(directory) = env::var_os(DIRECTORY) else { return };
    let store: Arc<dyn Store> = Arc::new(open(Path::new(&directory)));
    for round in 0.. {
        join_all((0..8).map(async |writer| {
            let number = round * 8 + writer;
            let commit = setting(&store, number).take(Quota::NONE);
            store.commit(&module(), commit).await.unwrap();
            let mut output = io::stdout().lock();
            writeln!(output, "acknowledged {number}").unwrap();
            output.flush().unwrap();
        }))
        .await;
    }
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_kill_9() {
    let directory = tempfile::tempdir().unwrap();
    let child = format!("{}::child_that_commits_until_it_is_killed", module_path!());
    let (_, child) = child.split_once("::").unwrap();
    let mut process = Command::new(env::current_exe().unwrap())
        .args([child, "--exact", "--nocapture"])
        .env(DIRECTORY, directory.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut acknowledged = Vec::new();
    for line in BufReader::new(process.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        let Some((_, number)) = line.split_once("acknowledged ") else { continue };
        acknowledged.push(number.parse().unwrap());
        if acknowledged.len() == 400 {
            // The rest of what it says is read until its end.
            process.kill().unwrap();
        }
    }
    process.wait().unwrap();
    assert!(acknowledged.len() >= 400);
    let store: Arc<dyn Store> = Arc::new(open(directory.path()));
    for number in &acknowledged {
        let mut run = Transaction::new(Arc::clone(&store), module());
        assert!(run.get(&key(*number)).await.unwrap().is_some(), "{number} was acknowledged");
    }
    // No commit is there by half.
    let usage = store.usage(&module()).await.unwrap();
    let mut run = Transaction::new(Arc::clone(&store), module());
    let sum = run.get(&Key::parse("sum").unwrap()).await.unwrap();
    assert_eq!(sum, Some(Value::of_integer((usage.keys - 1).try_into().unwrap())));
    assert_eq!(usage.number, usage.keys - 1);
}

/// A file whose syncs fail when they are told to.
#[derive(Debug)]
struct Failing {
    file: FileBackend,
    syncs: Arc<AtomicBool>,
    /// Of writes.
    fails_with: Option<io::ErrorKind>,
}

impl StorageBackend for Failing {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        match self.syncs.load(Ordering::Relaxed) {
            true => self.file.sync_data(),
            false => Err(io::Error::other("the disk is gone")),
        }
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        match self.fails_with {
            Some(kind) => Err(kind.into()),
            None => self.file.write(offset, data),
        }
    }
}

fn failing(path: &Path, fails_with: Option<io::ErrorKind>) -> (Failing, Arc<AtomicBool>) {
    let file = File::options().read(true).write(true).create(true).truncate(false).open(path);
    let file = FileBackend::new(file.unwrap()).unwrap();
    let syncs = Arc::new(AtomicBool::new(true));
    (Failing { file, syncs: Arc::clone(&syncs), fails_with }, syncs)
}

#[tokio::test]
async fn a_sync_that_fails_stops_writing_until_the_store_is_opened_again() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.redb");
    let (backend, syncs) = failing(&path, None);
    let clock = Clock::default();
    let database = open_database(&path, &clock, backend).unwrap();
    let store = EmbeddedStore::start(Core { database, clock, _lock: None }, &path).unwrap();
    let store: Arc<dyn Store> = Arc::new(store);
    store.commit(&module(), setting(&store, 1).take(Quota::NONE)).await.unwrap();
    syncs.store(false, Ordering::Relaxed);
    let unknown = setting(&store, 2).take(Quota::NONE);
    let run = unknown.run;
    let refused = store.commit(&module(), unknown).await;
    let Err(CommitError::Unknown { reason }) = refused else { panic!("{refused:?}") };
    assert!(reason.contains("the disk is gone"), "{reason}");
    syncs.store(true, Ordering::Relaxed);
    let refused = store.commit(&module(), setting(&store, 3).take(Quota::NONE)).await;
    let Err(CommitError::Store(StoreError::Stopped { .. })) = refused else {
        panic!("{refused:?}")
    };
    assert!(store.outcome(&module(), run).await.is_err());
    drop(store);
    let store: Arc<dyn Store> = Arc::new(open(directory.path()));
    let outcome = store.outcome(&module(), run).await.unwrap();
    let mut reader = Transaction::new(Arc::clone(&store), module());
    assert!(reader.get(&key(1)).await.unwrap().is_some());
    let is_there = reader.get(&key(2)).await.unwrap().is_some();
    assert_eq!(is_there, matches!(outcome, RunOutcome::Committed { number: 2 }), "{outcome:?}");
    store.commit(&module(), setting(&store, 3).take(Quota::NONE)).await.unwrap();
}

#[test]
fn a_disk_that_is_full_or_cannot_be_written_is_refused_at_the_start() {
    let directory = tempfile::tempdir().unwrap();
    let refused = |kind: io::ErrorKind| {
        let path = directory.path().join(kind.to_string());
        let (backend, _) = failing(&path, Some(kind));
        open_database(&path, &Clock::default(), backend).unwrap_err()
    };
    let full = refused(io::ErrorKind::StorageFull);
    assert!(matches!(full, OpenError::Full { .. }), "{full:?}");
    assert!(full.to_string().contains("Make room"));
    let read_only = refused(io::ErrorKind::ReadOnlyFilesystem);
    assert!(matches!(read_only, OpenError::ReadOnly { .. }), "{read_only:?}");
}
