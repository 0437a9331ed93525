//! Whether a file is a module, checked as early as possible and named as plainly.

use std::time::Duration;

use wasmtime::component::Component;

use super::{Engine, Fault, log, pool::MEMORY_CEILING};
use crate::message::NameError;
use crate::routing::{GuardError, PatternError};

/// What all interfaces of the contract begin with, whatever its version.
const CONTRACT: &str = "tidegate:channels/";
/// The version of the contract that this host speaks.
const VERSION: &str = "0.1.0";
/// What a component must export.
const EXPORT: &str = "tidegate:channels/consumer@0.1.0";
/// What of the contract it may import.
const IMPORTS: [&str; 5] = [
    "tidegate:channels/types@0.1.0",
    "tidegate:channels/layer@0.1.0",
    "tidegate:channels/reply@0.1.0",
    "tidegate:channels/connection@0.1.0",
    "tidegate:channels/log@0.1.0",
];
/// The packages of WASI that the host has.
const WASI: [&str; 6] = ["cli", "clocks", "filesystem", "io", "random", "sockets"];
/// The magic number that wasm files begin with.
const MAGIC: &[u8] = b"\0asm";
/// What native programs begin with, and what wasmtime compiles.
const ELF: &[u8] = b"\x7fELF";
/// Version and layer of a component, and of a core module.
const COMPONENT: &[u8] = &[0x0d, 0, 1, 0];
const CORE_MODULE: &[u8] = &[1, 0, 0, 0];

/// Why a file is not taken as a module. Each names the rule and the fix.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The file is something else.
    #[error(
        "it is not WebAssembly: it does not begin with \\0asm; give the .wasm file that `cargo build --target wasm32-wasip2` made"
    )]
    NotWasm,
    /// The file is compiled code.
    #[error(
        "it is compiled code (.cwasm or another ELF file), which is never accepted; give the .wasm file it was made from"
    )]
    Precompiled,
    /// The file is a core module that no component can be made of.
    #[error(
        "it is a core module and no component can be made of it: {0}; build a consumer with `tidegate_sdk::export! {{ ... }}` for wasm32-wasip2 or wasm32-wasip1"
    )]
    CoreModule(String),
    /// It has too much of something.
    #[error("it has {found} {what}; at most {limit} are taken{}", raise(.setting))]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many it has.
        found: u64,
        /// How many it may have.
        limit: u64,
        /// The setting that allows more; empty if none does.
        setting: &'static str,
    },
    /// Compiling took too long.
    #[error("it is not compiled after {limit:?}; make it smaller, or raise upload.compile_time")]
    CompileTime {
        /// The time allowed.
        limit: Duration,
    },
    /// Compiling took too much memory.
    #[error(
        "compiling it takes more than {limit} bytes; make it smaller, or raise upload.compile_memory"
    )]
    CompileMemory {
        /// The bytes allowed.
        limit: usize,
    },
    /// The compiler failed.
    #[error("the compiler failed on it: {0}")]
    Compiler(String),
    /// The file does not validate or compile.
    #[error("it is not a valid component: {0}")]
    Invalid(String),
    /// The contract's export is missing.
    #[error(
        "it does not export {EXPORT} (it exports: {found}); end the crate with `tidegate_sdk::export! {{ ... }}` and set crate-type = [\"cdylib\"]"
    )]
    MissingExport {
        /// What it exports instead.
        found: String,
    },
    /// It was built against another version of the contract.
    #[error(
        "it was built against tidegate:channels@{found}, and this host speaks tidegate:channels@{VERSION}; build it with a tidegate-sdk for {VERSION}, or deploy it to a host that speaks {found}"
    )]
    OtherContract {
        /// The version that it was built against.
        found: String,
    },
    /// An import is not granted.
    #[error(
        "it imports {0}, which is not granted; a module may import tidegate:channels@{VERSION}, and of wasi@0.2 {wasi}; remove what needs the rest", wasi = WASI.join(", ")
    )]
    ForbiddenImport(String),
    /// It needs more memory at its start than the pool has for one instance.
    #[error(
        "it needs {bytes} bytes of memory at its start; the host has at most {limit} for an instance"
    )]
    InitialMemory {
        /// Bytes needed.
        bytes: u64,
        /// Bytes there are.
        limit: u64,
    },
    /// Asking for its consumers failed.
    #[error("its routes could not be read: {0}")]
    Routes(Fault),
    /// Its routes are too large together.
    #[error("its routes have more than {limit} bytes together; declare fewer")]
    RouteBytes {
        /// The bytes allowed.
        limit: usize,
    },
    /// It has no consumers.
    #[error("it declares no consumers; name them in `export! {{ ... }}`")]
    NoConsumers,
    /// A consumer's name breaks a rule.
    #[error("the consumer name {name:?} is not valid: {error}")]
    ConsumerName {
        /// The name.
        name: String,
        /// The rule.
        error: NameError,
    },
    /// A route's path breaks a rule.
    #[error("the path {path:?} of consumer {consumer} is malformed: {error}")]
    Path {
        /// The consumer.
        consumer: String,
        /// The path.
        path: String,
        /// The rule.
        error: PatternError,
    },
    /// A route's guard breaks a rule.
    #[error("a guard of consumer {consumer}: {error}")]
    Guard {
        /// The consumer.
        consumer: String,
        /// The rule.
        error: GuardError,
    },
    /// A route's method is none.
    #[error(
        "{method:?} of consumer {consumer} is no HTTP method; methods are upper-case words such as GET"
    )]
    Method {
        /// The consumer.
        consumer: String,
        /// The method.
        method: String,
    },
    /// A route has no method.
    #[error("consumer {0} names no HTTP method; name at least one")]
    NoMethods(String),
    /// A channel's name breaks a rule.
    #[error("the channel {channel:?} of consumer {consumer} is not valid: {reason}")]
    Channel {
        /// The consumer.
        consumer: String,
        /// The channel.
        channel: String,
        /// The rule.
        reason: String,
    },
}

/// The end of a message about too much.
fn raise(setting: &str) -> String {
    if setting.is_empty() { String::new() } else { format!(" ({setting})") }
}

impl LoadError {
    /// The file is not valid, for a reason that may have names of its making in it.
    pub(super) fn invalid(reason: &str) -> Self {
        Self::Invalid(log::one_line(reason))
    }

    /// The word for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotWasm => "not-wasm",
            Self::Precompiled => "compiled-code",
            Self::CoreModule(_) => "core-module",
            Self::Invalid(_) => "invalid",
            Self::TooMany { what, .. } => match *what {
                "bytes" => "too-large",
                "functions" => "too-many-functions",
                "bytes of data" => "too-much-data",
                "core modules" => "too-many-modules",
                "levels of nesting" => "too-deep",
                "memories" => "too-many-memories",
                "tables" => "too-many-tables",
                "routes" => "too-many-routes",
                _ => "too-large-table",
            },
            Self::InitialMemory { .. } => "too-much-memory",
            Self::CompileTime { .. } => "compile-time",
            Self::CompileMemory { .. } => "compile-memory",
            Self::Compiler(_) => "compiler",
            Self::MissingExport { .. } => "exports",
            Self::OtherContract { .. } => "contract",
            Self::ForbiddenImport(_) => "imports",
            Self::RouteBytes { .. } => "too-many-routes",
            Self::Routes(_)
            | Self::NoConsumers
            | Self::ConsumerName { .. }
            | Self::Path { .. }
            | Self::Guard { .. }
            | Self::Method { .. }
            | Self::NoMethods(_)
            | Self::Channel { .. } => "routes",
        }
    }

    /// What was found and what is allowed, where it is about too much.
    pub const fn numbers(&self) -> Option<(u64, u64)> {
        match self {
            Self::TooMany { found, limit, .. } => Some((*found, *limit)),
            Self::InitialMemory { bytes, limit } => Some((*bytes, *limit)),
            _ => None,
        }
    }
}

/// What a file can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// What the host runs.
    Component,
    /// What a component can be made of.
    CoreModule,
}

/// Looks at the first bytes.
pub(super) fn kind(wasm: &[u8]) -> Result<Kind, LoadError> {
    if wasm.starts_with(ELF) {
        return Err(LoadError::Precompiled);
    }
    let Some(rest) = wasm.strip_prefix(MAGIC) else { return Err(LoadError::NotWasm) };
    match rest.get(..4) {
        Some(COMPONENT) => Ok(Kind::Component),
        Some(CORE_MODULE) => Ok(Kind::CoreModule),
        _ => Err(LoadError::NotWasm),
    }
}

/// Looks at the name of an import.
pub(super) fn import(name: &str) -> Result<(), LoadError> {
    of_contract(name)?;
    if is_granted(name) { Ok(()) } else { Err(LoadError::ForbiddenImport(log::one_line(name))) }
}

/// Looks at the version of an interface of the contract. What has another name may have any.
fn of_contract(name: &str) -> Result<(), LoadError> {
    let version = name.strip_prefix(CONTRACT).and_then(|rest| rest.split_once('@'));
    match version {
        Some((_, found)) if found != VERSION => {
            Err(LoadError::OtherContract { found: log::one_line(found) })
        }
        _ => Ok(()),
    }
}

/// Looks at the names of all exports.
pub(super) fn exports(names: &[&str]) -> Result<(), LoadError> {
    if names.contains(&EXPORT) {
        return Ok(());
    }
    names.iter().try_for_each(|name| of_contract(name))?;
    let found = if names.is_empty() { "nothing".into() } else { log::one_line(&names.join(", ")) };
    Err(LoadError::MissingExport { found })
}

/// Looks at what a component imports, exports and needs.
pub(super) fn component(engine: &Engine, component: &Component) -> Result<(), LoadError> {
    let of = component.component_type();
    of.imports(&engine.wasmtime).try_for_each(|(name, _)| import(name))?;
    exports(&of.exports(&engine.wasmtime).map(|(name, _)| name).collect::<Vec<_>>())?;
    let limit = MEMORY_CEILING as u64;
    let needed = component.resources_required().and_then(|needs| needs.max_initial_memory_size);
    match needed {
        Some(bytes) if engine.is_pooled() && bytes > limit => {
            Err(LoadError::InitialMemory { bytes, limit })
        }
        _ => Ok(()),
    }
}

fn is_granted(import: &str) -> bool {
    let wasi = |rest: &str| {
        let package = rest.split_once('/').map(|(package, _)| package);
        package.is_some_and(|package| WASI.contains(&package))
            && rest.rsplit_once('@').is_some_and(|(_, version)| version.starts_with("0.2."))
    };
    IMPORTS.contains(&import) || import.strip_prefix("wasi:").is_some_and(wasi)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bytes_tell_what_a_file_is() {
        assert_eq!(kind(b""), Err(LoadError::NotWasm));
        assert_eq!(kind(b"#!/bin/sh"), Err(LoadError::NotWasm));
        assert_eq!(kind(b"\0asm"), Err(LoadError::NotWasm));
        assert_eq!(kind(b"\x7fELF\x02\x01\x01"), Err(LoadError::Precompiled));
        assert_eq!(kind(b"\0asm\x01\0\0\0"), Ok(Kind::CoreModule));
        assert_eq!(kind(b"\0asm\x0d\0\x01\0"), Ok(Kind::Component));
    }

    #[test]
    fn only_the_contract_and_wasi_0_2_are_granted() {
        assert!(is_granted("wasi:io/streams@0.2.6"));
        assert!(is_granted("tidegate:channels/layer@0.1.0"));
        for import in [
            "wasi:http/types@0.2.0",
            "wasi:io/streams@0.3.0",
            "wasi:io/streams",
            "wasi:io@0.2.0",
            "acme:db/sql@0.2.0",
            "env",
        ] {
            assert!(!is_granted(import), "{import}");
        }
    }

    #[test]
    fn names_of_a_files_making_stand_in_one_line() {
        for error in [
            import("a\nb\u{1b}[2J").unwrap_err(),
            exports(&["a\nb\u{1b}[2J"]).unwrap_err(),
            import("tidegate:channels/x@a\nb\u{1b}[2J").unwrap_err(),
            LoadError::invalid("a\nb\u{1b}[2J"),
        ] {
            let text = error.to_string();
            assert!(text.contains(r"a\nb\u{1b}[2J"), "{text}");
        }
    }
}
