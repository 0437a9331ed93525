//! Checks for building: cargo, Rust, a target, linkers, the SDK.

use std::{
    env,
    ffi::OsStr,
    path::{Path, PathBuf},
};

use super::{Check, Checks, Part};
use crate::cli::{
    cargo::{Target, Toolchain, cargo_program, version_of},
    templates::Language,
};

const INSTALL: &str = "install Rust with rustup (https://rustup.rs)";
/// The oldest Rust that the SDK compiles with.
const OLDEST: &str = env!("CARGO_PKG_RUST_VERSION");

pub(super) fn checks(directory: &Path) -> Vec<Check> {
    let mut checks = Checks::new(Part::Build);
    match version_of(&cargo_program(), directory) {
        Ok(version) => checks.ok("cargo", version),
        Err(reason) => checks.fail("cargo", reason, format!("{INSTALL}, or set CARGO")),
    }
    match Toolchain::find(directory) {
        Ok(toolchain) => of_rust(&mut checks, &toolchain),
        Err(error) => {
            checks.fail("rustc", error.to_string(), format!("{INSTALL}, or set RUSTC"));
        }
    }
    match program("cc") {
        Some(path) => checks.ok("linker", path.display().to_string()),
        None => checks.fail(
            "linker",
            "there is no cc, which Rust needs for macros, build scripts and tests",
            "install a C compiler (on Debian `apt-get install gcc libc6-dev`)",
        ),
    }
    checks.ok("sdk", Language::Rust.sdk());
    checks.checks
}

fn of_rust(checks: &mut Checks, toolchain: &Toolchain) {
    let version = &toolchain.version;
    if is_older(version, OLDEST) {
        let fix = format!("the SDK needs Rust {OLDEST} or later: run `rustup update`");
        checks.fail("rustc", version, fix);
    } else {
        checks.ok("rustc", version);
    }
    match toolchain.target() {
        Ok(Target::Wasip2) => {
            checks.ok("target", Target::Wasip2.triple());
            wasm_linker(checks, toolchain);
        }
        Ok(Target::Wasip1) => {
            let found = format!("{}: the host makes a component of it", Target::Wasip1.triple());
            checks.ok("target", found);
        }
        Err(_) => checks.fail(
            "target",
            "neither wasm32-wasip2 nor wasm32-wasip1 has a standard library",
            toolchain.fix(),
        ),
    }
}

/// Checks for the linker of components. Rust brings it along, or a variable of cargo names it.
fn wasm_linker(checks: &mut Checks, toolchain: &Toolchain) {
    let told = env::var_os("CARGO_TARGET_WASM32_WASIP2_LINKER");
    let found = match &told {
        Some(told) => program(told),
        None => toolchain.linker().or_else(|| program("wasm-component-ld")),
    };
    match (found, told) {
        (Some(path), _) => checks.ok("wasm linker", path.display().to_string()),
        (None, Some(told)) => checks.fail(
            "wasm linker",
            format!("{} is not a program", told.display()),
            "set CARGO_TARGET_WASM32_WASIP2_LINKER to wasm-component-ld, or unset it",
        ),
        (None, None) => checks.fail(
            "wasm linker",
            "there is no wasm-component-ld beside this rustc or on the PATH",
            "install this Rust again, or run `cargo install wasm-component-ld`",
        ),
    }
}

/// Whether a version as rustc prints it is before another. One that cannot be parsed counts as new.
fn is_older(printed: &str, than: &str) -> bool {
    let numbers = |text: &str| -> Option<(u32, u32)> {
        let mut parts = text.split('.');
        Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
    };
    let printed = printed.split(' ').nth(1).and_then(numbers);
    matches!((printed, numbers(than)), (Some(printed), Some(than)) if printed < than)
}

/// A program by its path, or on the `PATH`.
fn program(name: impl AsRef<OsStr>) -> Option<PathBuf> {
    let name = Path::new(name.as_ref());
    if name.components().count() > 1 {
        return name.is_file().then(|| name.to_owned());
    }
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|directory| directory.join(name)).find(|file| file.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_number() {
        assert!(is_older("rustc 1.94.1 (abc 2026-01-01)", "1.95"));
        assert!(!is_older("rustc 1.95.0 (abc 2026-01-01)", "1.95"));
        assert!(!is_older("rustc 1.100.0-nightly", "1.95"));
        assert!(!is_older("rustc of ann", "1.95"));
    }
}
