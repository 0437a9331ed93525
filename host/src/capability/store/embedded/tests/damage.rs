//! A file that is not what it was when it was written.

use std::{fs, path::Path, sync::Arc};

use redb::{Database, TableDefinition};

use super::{super::tables::META, open};
use crate::{
    capability::store::{EmbeddedStore, Key, OpenError, Prefix, Quota, Store, Transaction, Value},
    message::ModuleName,
};

const KEYS: usize = 300;
/// A prime, so that all places within rows and pages are met.
const STRIDE: usize = 907;

fn module() -> ModuleName {
    ModuleName::parse("auction").unwrap()
}

fn contents(number: usize) -> Value {
    let bytes = number.to_string().repeat(20).into_bytes();
    Value::of_bytes(bytes.into(), 1).unwrap()
}

async fn fill(directory: &Path) {
    let store: Arc<dyn Store> = Arc::new(open(directory));
    let mut run = Transaction::new(Arc::clone(&store), module());
    for number in 0..KEYS {
        run.set(Key::parse(&format!("{number:03}")).unwrap(), contents(number), None).unwrap();
    }
    store.commit(&module(), run.take(Quota::NONE)).await.unwrap();
}

#[tokio::test]
async fn damage_at_any_byte_is_refused_at_the_start_or_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    fill(directory.path()).await;
    let file = directory.path().join("store.redb");
    let whole = fs::read(&file).unwrap();
    let mut refused = 0;
    for at in (0..400).step_by(3).chain((400..whole.len()).step_by(STRIDE)) {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x55;
        fs::write(&file, &damaged).unwrap();
        match EmbeddedStore::open(directory.path()) {
            Err(OpenError::Damaged { .. }) => refused += 1,
            Err(error) => panic!("byte {at}: {error}"),
            Ok(store) => {
                let store: Arc<dyn Store> = Arc::new(store);
                let mut run = Transaction::new(Arc::clone(&store), module());
                let all = Prefix::parse("").unwrap();
                let listed = run.list(&all, None, 1_000).await.unwrap();
                assert_eq!(listed.entries.len(), KEYS, "byte {at}");
                for (number, (_, value)) in listed.entries.into_iter().enumerate() {
                    assert_eq!(value, contents(number), "byte {at}");
                }
            }
        }
    }
    assert!(refused > 0);
    for bytes in [0, 1, 100, 5_000, whole.len() - 1] {
        fs::write(&file, &whole[..bytes]).unwrap();
        let error = EmbeddedStore::open(directory.path()).unwrap_err();
        assert!(matches!(error, OpenError::Damaged { .. }), "{bytes} bytes: {error}");
    }
    fs::remove_file(&file).unwrap();
    // The process ended while it made the file.
    fs::write(directory.path().join("store.redb.new"), b"half of a file").unwrap();
    drop(open(directory.path()));
    fs::write(&file, b"something else".repeat(10_000)).unwrap();
    let error = EmbeddedStore::open(directory.path()).unwrap_err();
    assert!(error.to_string().contains("damaged: it is not a database"), "{error}");
}

fn change(file: &Path, changes: impl FnOnce(&redb::WriteTransaction)) {
    let database = Database::create(file).unwrap();
    let transaction = database.begin_write().unwrap();
    changes(&transaction);
    transaction.commit().unwrap();
}

#[tokio::test]
async fn a_newer_format_and_a_foreign_file_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("store.redb");
    fill(directory.path()).await;
    change(&file, |transaction| {
        let mut meta = transaction.open_table(META).unwrap();
        meta.insert(&b"format"[..], &2_u32.to_be_bytes()[..]).unwrap();
    });
    let refused = EmbeddedStore::open(directory.path()).unwrap_err();
    assert!(matches!(refused, OpenError::NewerFormat { found: 2, .. }), "{refused}");
    fs::remove_file(&file).unwrap();
    change(&file, |transaction| {
        let table: TableDefinition<'_, u64, u64> = TableDefinition::new("another program's");
        transaction.open_table(table).unwrap();
    });
    let refused = EmbeddedStore::open(directory.path()).unwrap_err();
    assert!(refused.to_string().contains("not a store of Tidegate"), "{refused}");
}
