//! Modules that were compiled against version 0.1.0 of the contract, and run for ever.

use std::path::PathBuf;

use tests::Host;

use super::built_against;
use crate::examples;

/// The examples of commit 1afa517, compiled then: `NAME.wasm`, with its cases of that time in
/// `NAME.json`.
const MODULES: [&str; 8] = ["chat", "echo", "hello", "home", "jobs", "longpoll", "ticker", "units"];

fn golden(file: &str) -> PathBuf {
    tests::root().join("tests/golden/modules-0.1.0").join(file)
}

#[tokio::test(flavor = "multi_thread")]
async fn modules_of_the_first_version_are_served_with_the_cases_of_their_time() {
    for name in MODULES {
        let host = Host::builder().module(name, &golden(&format!("{name}.wasm"))).start().await;
        examples::hold(&host, name, &golden(&format!("{name}.json"))).await;
        host.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_modules_are_served_if_they_name_a_later_release_and_use_nothing_of_it() {
    let directory = tempfile::tempdir().unwrap();
    for name in MODULES {
        let wasm = std::fs::read(golden(&format!("{name}.wasm"))).unwrap();
        let later = directory.path().join(format!("{name}.wasm"));
        std::fs::write(&later, built_against(wasm, "0.1.9")).unwrap();
        let host = Host::builder().module(name, &later).start().await;
        examples::hold(&host, name, &golden(&format!("{name}.json"))).await;
        host.stop().await;
    }
}
