//! A process that dies at any point, a full disk, damaged files.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::SystemTime,
};

use super::*;
use crate::registry::{Written, store::Kept};

/// Where the next change stops, and how.
#[derive(Debug, Default)]
pub(super) struct Dies {
    plan: Mutex<Option<(usize, Death)>>,
    dead: AtomicBool,
}

#[derive(Clone, Copy, Debug)]
enum Death {
    /// The process is killed: it does nothing any more.
    Killed,
    /// The disk is full: it goes on with that.
    Full,
}

impl Dies {
    pub(super) fn step(&self) -> io::Result<()> {
        let mut plan = self.plan.lock().unwrap();
        let death = match &mut *plan {
            _ if self.is_dead() => Death::Killed,
            None => return Ok(()),
            Some((0, death)) => *death,
            Some((left, _)) => {
                *left -= 1;
                return Ok(());
            }
        };
        *plan = None;
        match death {
            Death::Killed => {
                self.dead.store(true, Ordering::Relaxed);
                Err(io::Error::other("killed"))
            }
            Death::Full => Err(io::Error::from(io::ErrorKind::StorageFull)),
        }
    }

    pub(super) fn is_dead(&self) -> bool {
        self.dead.load(Ordering::Relaxed)
    }
}

fn name() -> ModuleName {
    ModuleName::parse("chat").unwrap()
}

/// The state after so many versions, and the file of the last one.
fn state(versions: u64) -> (Manifest, Vec<u8>) {
    let wasm = |version: u64| format!("code of version {version}").into_bytes();
    let kept = |version| Kept {
        version,
        digest: digest(&wasm(version)),
        bytes: 1,
        deployed_at: SystemTime::UNIX_EPOCH,
        deployed_by: "ann".to_owned(),
        note: None,
        source: None,
        signed_by: None,
    };
    let manifest = Manifest {
        id: String::new(),
        revision: versions,
        activation: versions,
        active: versions,
        active_since: None,
        previous: versions.checked_sub(1).filter(|&it| it > 0),
        probation: false,
        rolled_back: None,
        last: versions,
        versions: (1..=versions).map(kept).collect(),
        settings: Written::default(),
    };
    (manifest, wasm(versions))
}

fn commit(store: &DirectoryStore, version: u64) -> Result<(), StoreError> {
    let (manifest, wasm) = state(version);
    store.commit_one(&name(), &manifest, Some(&wasm)).map_err(named)
}

/// The module as a process finds it that starts now, with whole files.
fn found(root: &Path) -> Option<u64> {
    let store = DirectoryStore::open(root).unwrap();
    let stored = store.load_all().unwrap().pop()?;
    assert_eq!(stored.fault, None);
    let manifest = stored.manifest?;
    for kept in &manifest.versions {
        read_wasm(&store.of(&name()).join(format!("{}.wasm", kept.digest)), &kept.digest).unwrap();
    }
    Some(manifest.active)
}

#[test]
fn a_process_that_is_killed_at_any_step_leaves_the_state_before_or_after() {
    let mut outcomes = Vec::new();
    for step in 0.. {
        let directory = tempfile::tempdir().unwrap();
        let store = DirectoryStore::open(directory.path()).unwrap();
        commit(&store, 1).unwrap();
        *store.dies.plan.lock().unwrap() = Some((step, Death::Killed));
        let done = commit(&store, 2);
        let active = found(directory.path()).unwrap();
        assert!(active == 2 || active == 1 && done.is_err(), "step {step}: {active}");
        outcomes.push(active);
        // Who comes next can go on.
        commit(&DirectoryStore::open(directory.path()).unwrap(), active + 1).unwrap();
        assert_eq!(found(directory.path()), Some(active + 1), "step {step}");
        if store.dies.plan.lock().unwrap().is_some() {
            break;
        }
    }
    assert!(outcomes.len() > 10, "{outcomes:?}");
    assert!(outcomes.is_sorted(), "{outcomes:?}");
}

#[test]
fn the_first_deployment_that_is_killed_leaves_nothing_or_all_of_it() {
    for step in 0..12 {
        let directory = tempfile::tempdir().unwrap();
        let store = DirectoryStore::open(directory.path()).unwrap();
        *store.dies.plan.lock().unwrap() = Some((step, Death::Killed));
        drop(commit(&store, 1));
        assert!(matches!(found(directory.path()), None | Some(1)), "step {step}");
    }
}

#[test]
fn a_full_disk_changes_nothing_and_is_said() {
    for step in 0..12 {
        let directory = tempfile::tempdir().unwrap();
        let store = DirectoryStore::open(directory.path()).unwrap();
        commit(&store, 1).unwrap();
        let before = fs::read_dir(store.of(&name())).unwrap().count();
        *store.dies.plan.lock().unwrap() = Some((step, Death::Full));
        match commit(&store, 2) {
            Ok(()) => assert_eq!(found(directory.path()), Some(2), "step {step}"),
            Err(error) => {
                assert!(matches!(error, StoreError::Full(_)), "step {step}: {error}");
                assert_eq!(found(directory.path()), Some(1), "step {step}");
                commit(&store, 2).unwrap();
                let left = fs::read_dir(store.of(&name())).unwrap().count();
                assert!(left <= before + 2, "step {step}: files are left over");
            }
        }
    }
}

#[test]
fn a_damaged_manifest_is_said_and_the_state_before_is_served() {
    let directory = tempfile::tempdir().unwrap();
    let store = DirectoryStore::open(directory.path()).unwrap();
    for version in 1..=2 {
        commit(&store, version).unwrap();
    }
    let path = store.of(&name()).join(MANIFEST);
    let whole = fs::read_to_string(&path).unwrap();
    let torn = whole.get(..whole.len() / 2).unwrap().to_owned();
    let changed = whole.replace("\"active\": 2", "\"active\": 1");
    assert_ne!(whole, changed);
    for damaged in [torn, changed, String::new(), "{}".to_owned()] {
        fs::write(&path, &damaged).unwrap();
        let stored = store.load_all().unwrap().pop().unwrap();
        assert_eq!(stored.manifest.unwrap().active, 1, "{damaged}");
        let fault = stored.fault.unwrap();
        assert!(fault.contains("module.json is damaged") && fault.contains("before"), "{fault}");
    }
    fs::remove_file(store.of(&name()).join(BEFORE)).unwrap();
    let stored = store.load_all().unwrap().pop().unwrap();
    assert!(stored.manifest.is_none() && stored.fault.unwrap().contains("deploy the module again"));
}

#[test]
fn a_file_that_is_not_what_was_stored_is_not_served() {
    let directory = tempfile::tempdir().unwrap();
    let store = DirectoryStore::open(directory.path()).unwrap();
    commit(&store, 1).unwrap();
    let digest = state(1).0.versions[0].digest.clone();
    let path = store.of(&name()).join(format!("{digest}.wasm"));
    fs::write(&path, "other code").unwrap();
    let error = read_wasm(&path, &digest).unwrap_err().to_string();
    assert!(error.contains("damaged") && error.contains("deploy it again"), "{error}");
    fs::remove_file(&path).unwrap();
    assert!(read_wasm(&path, &digest).unwrap_err().to_string().contains("missing"));
}

#[test]
fn of_two_who_change_a_module_at_once_one_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let store = DirectoryStore::open(directory.path()).unwrap();
    commit(&store, 1).unwrap();
    commit(&store, 2).unwrap();
    assert!(matches!(commit(&store, 2).unwrap_err(), StoreError::Changed { .. }));
    assert_eq!(found(directory.path()), Some(2));
}

#[test]
fn a_deleted_module_leaves_no_files() {
    let directory = tempfile::tempdir().unwrap();
    let store = DirectoryStore::open(directory.path()).unwrap();
    commit(&store, 1).unwrap();
    store.delete_one(&name()).unwrap();
    assert_eq!(found(directory.path()), None);
    let left = fs::read_dir(directory.path()).unwrap().map(|it| it.unwrap().file_name());
    assert_eq!(left.collect::<Vec<_>>(), [LOCK]);
    store.delete_one(&name()).unwrap();
}
