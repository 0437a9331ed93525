//! Crates that tests make with `tidegate new`, compiled with what `make` found for guests.

use std::path::{Path, PathBuf};

use tokio::process::Command;

use crate::root;

/// A directory below the one that cargo builds into.
fn built_in(name: &str) -> PathBuf {
    let target = std::env::var("CARGO_TARGET_DIR").unwrap_or_else(|_| "target".into());
    root().join(target).join(name)
}

/// Puts the versions of dependencies into a crate that the examples were built with, and which are on
/// this machine already.
pub fn lock(directory: &Path) {
    std::fs::copy(root().join("examples/Cargo.lock"), directory.join("Cargo.lock")).unwrap();
}

/// A command that compiles for WebAssembly, in a directory. It shares what was compiled of
/// dependencies with the examples.
pub fn compiling(directory: &Path, program: &str, arguments: &[&str]) -> Command {
    let script = format!(
        "set -eu; env=$({}/scripts/guest-env); eval \"$env\"; \
         unset RUSTFLAGS CARGO_ENCODED_RUSTFLAGS; exec \"$@\"",
        root().display(),
    );
    let mut command = Command::new("bash");
    command.args(["-c", &script, "bash", program]).args(arguments).current_dir(directory);
    command.env("CARGO_TARGET_DIR", built_in("guests")).env("CARGO_NET_OFFLINE", "true");
    command
}

/// A command that compiles for this machine, in a directory. It shares what was compiled of
/// dependencies with the tests of the examples.
pub fn native(directory: &Path, program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(directory);
    command.env("CARGO_TARGET_DIR", built_in("examples-native")).env("CARGO_NET_OFFLINE", "true");
    command
}
