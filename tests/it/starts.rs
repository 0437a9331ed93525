//! The start of a process: it loads stored modules, and compiles new files.

use std::{collections::BTreeMap, num::NonZeroUsize, sync::Arc, thread::available_parallelism};

use tests::Process;
use tidegate::{
    engine::{Compiler, Engine, FileLimits},
    registry::{Deployments, Loader, ModuleSettings, store::DirectoryStore},
    shutdown::Drain,
};
use tokio::runtime::Handle;

use crate::TIDEGATE;

const MODULES: [&str; 4] = ["echo", "hello", "home", "longpoll"];

fn flags() -> Vec<String> {
    let flag = |name: &&str| format!("--module={name}={}", tests::example(name).display());
    MODULES.iter().map(flag).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn stored_modules_are_put_in_force_with_one_table_of_routes() {
    let data = tempfile::tempdir().unwrap();
    let flags = flags();
    let mut arguments = vec!["--data-dir", data.path().to_str().unwrap()];
    arguments.extend(flags.iter().map(String::as_str));
    let host = Process::serve(TIDEGATE, &arguments).await;
    host.signal("TERM").await;
    assert_eq!(host.wait().await, Some(0));
    let engine = Engine::new(1, Arc::default()).unwrap();
    let compiled = tests::compiled_dir();
    let loader = Loader::new(engine, &compiled, Compiler::default(), FileLimits::default());
    let store = Arc::new(DirectoryStore::open(&data.path().join("modules")).unwrap());
    let (written, defaults) = (BTreeMap::new(), ModuleSettings::default());
    let drain = Drain::new(Handle::current());
    let opened = Deployments::open(loader.unwrap(), store, written, defaults, &drain).await;
    let registry = Arc::clone(opened.unwrap().registry());
    assert_eq!(registry.snapshot().versions().count(), MODULES.len());
    // Each change makes a table of the routes of all modules.
    assert_eq!(*registry.changes().borrow(), 1);
    drain.stop();
    drain.finished().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_are_not_compiled_are_compiled_side_by_side_and_the_log_says_so() {
    let (compiled, log) = (tempfile::tempdir().unwrap(), tempfile::NamedTempFile::new().unwrap());
    let flags = flags();
    let flags: Vec<_> = flags.iter().map(String::as_str).collect();
    let variables =
        [("TIDEGATE_LOG", "info"), ("TIDEGATE_COMPILED_DIR", compiled.path().to_str().unwrap())];
    let into = log.reopen().unwrap().into();
    let host = Process::serve_with_log(into, TIDEGATE, &flags, &variables).await;
    host.signal("TERM").await;
    assert_eq!(host.wait().await, Some(0));
    let lines = std::fs::read_to_string(log.path()).unwrap();
    let (mut under_way, mut most, mut begun): (usize, usize, usize) = (0, 0, 0);
    for line in lines.lines() {
        if line.contains(": compiling module=") {
            (under_way, begun) = (under_way + 1, begun + 1);
        } else if line.contains(": compiled module=") {
            under_way -= 1;
        }
        most = most.max(under_way);
    }
    assert_eq!((begun, under_way), (MODULES.len(), 0), "{lines}");
    let cores = available_parallelism().map_or(1, NonZeroUsize::get);
    assert!(most >= cores.min(2), "one after the other: {lines}");
}
