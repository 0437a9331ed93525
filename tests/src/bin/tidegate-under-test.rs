//! The binary as users run it, built where the integration tests can find it. It compiles files more slowly
//! where a test asks for that.

use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

use clap::Parser as _;
use tidegate::{cli, engine::COMPILE_COMMAND};

/// A variable of a process's environment: how much longer it takes to compile a file, in milliseconds.
const COMPILE_DELAY: &str = "UNDER_TEST_COMPILE_DELAY_MS";

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    if std::env::args().nth(1).is_some_and(|command| command == COMPILE_COMMAND) {
        delay_compilation();
    }
    cli::run(cli).into()
}

/// The child that compiles has an empty environment, so that of its parent is read.
fn delay_compilation() {
    let parent = std::os::unix::process::parent_id();
    let environment = std::fs::read(format!("/proc/{parent}/environ")).unwrap_or_default();
    let found = String::from_utf8_lossy(&environment)
        .split('\0')
        .find_map(|variable| variable.strip_prefix(COMPILE_DELAY)?.strip_prefix('=')?.parse().ok());
    let until = Instant::now() + Duration::from_millis(found.unwrap_or(0));
    while let Some(left) = until.checked_duration_since(Instant::now()).filter(|it| !it.is_zero()) {
        std::thread::park_timeout(left);
    }
}
