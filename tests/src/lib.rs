//! The harness of the integration tests: a host in this process or as a process of its own, and
//! clients over real sockets.

#![expect(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "a test that cannot go on panics, with the place where it stopped"
)]

mod admin;
mod browser;
mod client;
mod collector;
mod crates;
mod develop;
mod fault_proxy;
pub mod frames;
pub mod history;
mod host;
mod outside;
mod process;
mod redis;
mod registry;
mod slots;
mod socket;
mod stub;
mod tls;
mod tokens;
mod wire;

use std::{
    future::Future,
    path::{Path, PathBuf},
    time::Duration,
};

pub use admin::Admin;
pub use browser::{Browser, Driver, ENTER, ESCAPE};
pub use client::{Client, Reply, Streaming};
pub use collector::{Collector, Got, Taking, attribute, hexadecimal, nanoseconds};
pub use crates::{compiling, lock, native};
pub use develop::Develop;
pub use fault_proxy::{FaultProxy, Network};
pub use host::{Host, HostBuilder};
pub use outside::Outside;
pub use process::{Process, run};
pub use redis::{RedisCluster, RedisSentinel, RedisServer, sentinel};
pub use registry::ImageRegistry;
pub use slots::Slots;
pub use socket::Socket;
pub use stub::{Asked, Stub};
pub use tls::{Certificate, Http2};
pub use tokens::{
    Issuer, OTHER_SECRET, SECRET, auth_section, django_session, sealed, session_cookie,
    sessions_section, token, token_for,
};
pub use wire::{Answer, Wire, answers};

/// After so long something that must happen did not. Sentinel on a machine without time to spare does nothing for 30 s.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits for what must happen. On the heap: futures of whole conversations are large.
pub fn must<T>(what: &str, happen: impl Future<Output = T>) -> impl Future<Output = T> {
    let happen = Box::pin(happen);
    async move {
        match tokio::time::timeout(PATIENCE, happen).await {
            Ok(value) => value,
            Err(_) => panic!("waited {PATIENCE:?} in vain: {what}"),
        }
    }
}

/// Runs something beside the test.
#[expect(clippy::disallowed_methods, reason = "a test has no drain, and ends with its runtime")]
pub fn background<T: Send + 'static>(
    task: impl Future<Output = T> + Send + 'static,
) -> tokio::task::JoinHandle<T> {
    tokio::spawn(task)
}

/// Drops what runs beside the test, with its connections. It must not be done by itself.
pub async fn give_up<T>(task: tokio::task::JoinHandle<T>) {
    task.abort();
    // Until then it may still go on.
    assert!(must("it is dropped", task).await.is_err(), "it was done");
}

/// The same code as another file, for deployments: a custom section with a number is behind it.
pub fn numbered(file: &Path, number: u32) -> Vec<u8> {
    let mut wasm = std::fs::read(file).unwrap();
    wasm.extend([0, 6, 1, b'n']);
    wasm.extend(number.to_le_bytes());
    wasm
}

/// How long a checker goes on: some seconds, or `TIDEGATE_CHECK_SECONDS`, as `make check-hour` says.
pub fn check_span() -> Duration {
    let seconds = std::env::var("TIDEGATE_CHECK_SECONDS").ok();
    Duration::from_secs(seconds.map_or(15, |seconds| seconds.parse().unwrap()))
}

/// Allows this process as many descriptors as it may have, for tests with many connections: both ends
/// of each are here.
pub fn raise_descriptor_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
}

/// The project's directory.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The file of an example, which `make examples` builds.
pub fn example(name: &str) -> PathBuf {
    built(&format!("target/examples/{name}.wasm"))
}

/// The file of a test guest, which `make examples` builds, too.
pub fn guest(name: &str) -> PathBuf {
    built(&format!("target/test-guests/{name}.wasm"))
}

fn built(path: &str) -> PathBuf {
    let file = root().join(path);
    assert!(file.exists(), "{path} is missing: run `make examples`");
    file
}

/// A Python program that `scripts/setup` installs. None where it is not to be had, which is right only
/// outside of CI.
pub fn python_tool(name: &str) -> Option<PathBuf> {
    let target = std::env::var("CARGO_TARGET_DIR").unwrap_or_else(|_| "target".to_owned());
    let file = root().join(target).join(name).join("bin").join(name);
    if file.exists() {
        return Some(file);
    }
    let is_ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
    assert!(!is_ci, "{name} is missing: `scripts/setup tests` installs it or says how");
    None
}

/// A Python with the packages of the programs in `examples`, from where `scripts/setup` puts it. None where it is not
/// to be had, which is right only outside of CI.
pub fn python() -> Option<PathBuf> {
    let target = std::env::var("CARGO_TARGET_DIR").unwrap_or_else(|_| "target".to_owned());
    let file = root().join(target).join("python-peers/bin/python");
    if file.exists() {
        return Some(file);
    }
    let is_ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
    assert!(!is_ci, "the packages of Python are missing: `scripts/setup tests` installs them");
    None
}

/// `promtool`, from where `scripts/setup` puts it. None where it is not to be had, which is right only outside of CI.
pub fn promtool() -> Option<PathBuf> {
    let target = std::env::var("CARGO_TARGET_DIR").unwrap_or_else(|_| "target".to_owned());
    let file = root().join(target).join("promtool/promtool");
    program(if file.exists() { &file } else { Path::new("promtool") })
}

/// A program that `scripts/setup` installs. None where it is not to be had, which is right only outside of CI.
pub fn program(name: impl AsRef<Path>) -> Option<PathBuf> {
    let name = name.as_ref();
    let path = std::env::var_os("PATH").unwrap_or_default();
    // A path as it is, and a name in the directories of PATH.
    let found =
        std::env::split_paths(&path).map(|directory| directory.join(name)).find(|it| it.is_file());
    let is_ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
    assert!(
        found.is_some() || !is_ci,
        "{name:?} is missing: `scripts/setup tests` installs it or says how"
    );
    found
}

/// Where compiled code of guests is kept between tests.
pub fn compiled_dir() -> PathBuf {
    root().join("target/test-data/compiled")
}
