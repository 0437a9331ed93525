//! Cargo, as `tidegate build` and `tidegate dev` use it: which crate is meant, what it is compiled
//! with, and the file that comes of it.

mod compile;
mod dep_info;
mod metadata;
mod toolchain;

use std::{io, path::PathBuf, process::ExitStatus};

pub(super) use self::{
    compile::compile,
    dep_info::inputs,
    metadata::{Crate, Sources, find, sources},
    toolchain::{Target, Toolchain, cargo_program, version_of},
};

/// A crate cannot be found or compiled.
#[derive(Debug, thiserror::Error)]
pub(super) enum CargoError {
    /// There is no cargo.
    #[error("cannot run {program}: {source}; install Rust (https://rustup.rs), or set CARGO")]
    NoCargo {
        /// The program that was tried.
        program: String,
        /// Why.
        source: io::Error,
    },
    /// There is no rustc.
    #[error("cannot run {program}: {reason}; install Rust (https://rustup.rs), or set RUSTC")]
    NoRust {
        /// The program that was tried.
        program: String,
        /// Why.
        reason: String,
    },
    /// Rust cannot compile to WebAssembly.
    #[error("{rust} has no standard library for wasm32-wasip2 or wasm32-wasip1; {fix}")]
    NoTarget {
        /// Its version.
        rust: String,
        /// The fix.
        fix: String,
    },
    /// Cargo does not find a crate, or cannot read it.
    #[error("{path}: {said}")]
    NoCrate {
        /// Where it was looked for.
        path: PathBuf,
        /// The message of cargo.
        said: String,
    },
    /// No crate makes a module.
    #[error(
        "{path}: no crate here makes a module; a module is a library with crate-type = [\"cdylib\"] \
         under [lib] in its Cargo.toml, as `tidegate new` makes one"
    )]
    NoModule {
        /// The workspace.
        path: PathBuf,
    },
    /// Several crates make modules.
    #[error("{path}: {names} make modules; name one with --package")]
    Several {
        /// The workspace.
        path: PathBuf,
        /// Their names.
        names: String,
    },
    /// No crate has that name.
    #[error("{path}: no crate with the name {name} makes a module; {others}")]
    NoSuchCrate {
        /// The workspace.
        path: PathBuf,
        /// The name that was asked for.
        name: String,
        /// The names that there are.
        others: String,
    },
    /// It does not compile. Cargo has said why.
    #[error("{name} does not compile ({status}); cargo says above what is wrong")]
    Failed {
        /// The crate.
        name: String,
        /// How cargo ended.
        status: ExitStatus,
    },
    /// It compiles, but to nothing.
    #[error("cargo ended well, but made no .wasm file of {name}; is its crate-type \"cdylib\"?")]
    NoFile {
        /// The crate.
        name: String,
    },
}

impl CargoError {
    /// Whether the machine lacks something, and the crate may be right.
    pub(super) const fn is_of_machine(&self) -> bool {
        matches!(self, Self::NoCargo { .. } | Self::NoRust { .. } | Self::NoTarget { .. })
    }
}
