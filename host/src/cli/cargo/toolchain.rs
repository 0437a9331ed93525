//! Finds the Rust in use, and its targets.
//!
//! `CARGO`, `RUSTC` and cargo's own variables hold, so that it works in the environment that
//! `scripts/guest-env` prints, too.

use std::{
    env,
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::CargoError;

/// A target that modules are compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) enum Target {
    /// A component comes out.
    Wasip2,
    /// A core module comes out, of which the host makes a component.
    Wasip1,
}

impl Target {
    /// How Rust names it.
    pub(in crate::cli) const fn triple(self) -> &'static str {
        match self {
            Self::Wasip2 => "wasm32-wasip2",
            Self::Wasip1 => "wasm32-wasip1",
        }
    }
}

/// The cargo that is run.
pub(in crate::cli) fn cargo_program() -> OsString {
    env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

/// The Rust that a directory is compiled with: rustup chooses it by directory.
#[derive(Debug)]
pub(in crate::cli) struct Toolchain {
    program: OsString,
    directory: PathBuf,
    /// Such as `rustc 1.95.0 (59807616e 2026-04-14)`.
    pub(in crate::cli) version: String,
    sysroot: PathBuf,
}

impl Toolchain {
    /// Asks rustc what it is.
    pub(in crate::cli) fn find(directory: &Path) -> Result<Self, CargoError> {
        let program = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        let ask = |arguments: &[&str]| {
            ask(&program, directory, arguments).map_err(|reason| {
                let program = program.display().to_string();
                CargoError::NoRust { program, reason }
            })
        };
        let version = ask(&["--version"])?;
        let sysroot = ask(&["--print", "sysroot"])?.into();
        Ok(Self { program, directory: directory.to_owned(), version, sysroot })
    }

    /// Whether it can compile for a target.
    pub(in crate::cli) fn has(&self, target: Target) -> bool {
        let arguments = ["--print", "target-libdir", "--target", target.triple()];
        let Ok(library) = ask(&self.program, &self.directory, &arguments) else { return false };
        // Cargo was told to compile the standard library itself; Rust knows the target.
        if env::var_os("CARGO_UNSTABLE_BUILD_STD").is_some_and(|parts| !parts.is_empty()) {
            return true;
        }
        let Ok(files) = std::fs::read_dir(library) else { return false };
        files.filter_map(Result::ok).any(|file| {
            let name = file.file_name();
            let name = name.as_encoded_bytes();
            name.starts_with(b"libstd-") && name.ends_with(b".rlib")
        })
    }

    /// The target to compile for, the one that needs no work after it first.
    pub(in crate::cli) fn target(&self) -> Result<Target, CargoError> {
        [Target::Wasip2, Target::Wasip1]
            .into_iter()
            .find(|target| self.has(*target))
            .ok_or_else(|| CargoError::NoTarget { rust: self.version.clone(), fix: self.fix() })
    }

    /// Returns the command that installs a target.
    pub(in crate::cli) fn fix(&self) -> String {
        let add = "rustup target add wasm32-wasip2";
        if self.is_of_rustup() {
            return format!("run `{add}`");
        }
        let in_use = self.program.display();
        format!(
            "{in_use} is not rustup's: install the standard library that goes with it from where it \
             came from (on Debian `apt-get install rustc-web rust-web-src wasi-libc`, then `eval \
             \"$(scripts/guest-env)\"` in Tidegate's checkout), or take rustup's Rust and run `{add}`"
        )
    }

    /// Returns the linker of components, if it came with this Rust.
    pub(in crate::cli) fn linker(&self) -> Option<PathBuf> {
        let host = ask(&self.program, &self.directory, &["--print", "host-tuple"]).ok()?;
        let path = self.sysroot.join("lib/rustlib").join(host).join("bin/wasm-component-ld");
        path.is_file().then_some(path)
    }

    fn is_of_rustup(&self) -> bool {
        // Toolchains stand in a directory of this name, wherever RUSTUP_HOME is.
        let kept_in = self.sysroot.parent().and_then(Path::file_name);
        kept_in == Some(OsStr::new("toolchains"))
    }
}

/// Returns the version that a program prints, or why it prints none.
pub(in crate::cli) fn version_of(program: &OsStr, directory: &Path) -> Result<String, String> {
    ask(program, directory, &["--version"])
        .map_err(|reason| format!("cannot run {}: {reason}", program.display()))
}

/// Returns the output of a program, without the end of the line.
fn ask(program: &OsStr, directory: &Path, arguments: &[&str]) -> Result<String, String> {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(directory)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| error.to_string())?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    match output.status.success() {
        true => Ok(text(&output.stdout)),
        false => Err(text(&output.stderr)),
    }
}
