//! Why a file is not taken as a module.

use std::time::Duration;

use super::{ContractError, DeclarationError, Fault, ImportRule, contract::LATEST, log};
use crate::message::NameError;
use crate::routing::{GuardError, PatternError};

/// Why a file is not taken as a module. Each names the rule and the fix.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The file is something else.
    #[error(
        "it is not WebAssembly: it does not begin with \\0asm; give the .wasm file that `tidegate build` makes and names"
    )]
    NotWasm,
    /// The file is compiled code.
    #[error(
        "it is compiled code (.cwasm or another ELF file), which is never accepted; give the .wasm file it was made from"
    )]
    Precompiled,
    /// The file is a core module that no component can be made of.
    #[error(
        "it is a core module, and making a component of it failed: {0}; in Rust, build a consumer with `tidegate_sdk::export! {{ ... }}` for wasm32-wasip2 or wasm32-wasip1; elsewhere, link the metadata that wit-bindgen writes"
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
    /// Compiling took too much processor time.
    #[error(
        "compiling it takes more than {limit:?} of processor time; make it smaller, or raise upload.compile_time"
    )]
    CompileTime {
        /// The processor time allowed.
        limit: Duration,
    },
    /// Compiling did not get its processor time.
    #[error(
        "it is not compiled after {waited:?} by the clock, so the machine is too busy for it: upload.compile_time gives it {limit:?} of processor time; try again, or compile it where there is less to do and keep data_dir"
    )]
    CompileStalled {
        /// The processor time allowed.
        limit: Duration,
        /// The time by the clock.
        waited: Duration,
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
    /// The host has no room for an instance, or cannot load the code.
    #[error("it is compiled, and its code cannot be loaded: {0}")]
    Unloadable(String),
    /// The file does not validate or compile.
    #[error("it is not a valid component: {0}")]
    Invalid(String),
    /// It needs a feature of WebAssembly that the host does not have.
    #[error("this host does not have what it needs: {feature} [{reason}]")]
    Feature {
        /// The feature, and the fix.
        feature: String,
        /// Where it was met.
        reason: String,
    },
    /// It does not fit the contract.
    #[error("{0}")]
    Contract(#[from] ContractError),
    /// An import is not granted.
    #[error("it imports {name}, which modules cannot have: {rule}")]
    ForbiddenImport {
        /// The import.
        name: String,
        /// Why.
        rule: ImportRule,
    },
    /// It makes requests itself, and may reach no server.
    #[error(
        "it imports wasi:http/outgoing-handler, and no server is granted to it; name those that it may reach, as in modules.NAME.grants.http = [\"api.example.com\"], or remove what needs it; an engine that imports it unasked has a switch (jco: `-d http fetch-event`)"
    )]
    HttpNotGranted,
    /// An interface that it imports is not as the host has it.
    #[error(
        "its imports do not fit this host: {0}; build it against tidegate:channels as it was published, up to {LATEST}, and WASI 0.2"
    )]
    Imports(String),
    /// What it exports is not as the contract says.
    #[error(
        "its exports do not fit this host: {0}; build it against tidegate:channels as it was published, up to {LATEST}"
    )]
    Exports(String),
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
    /// It declares histories that are larger than the module may have in all.
    #[error(
        "it declares {bytes} bytes of history for each group {pattern}, and all groups of the module may have \
         {limit} together; declare less, or raise modules.NAME.history.bytes"
    )]
    HistoryTooLarge {
        /// The groups.
        pattern: String,
        /// The bytes declared.
        bytes: usize,
        /// The bytes allowed.
        limit: usize,
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
    /// Asking for its declarations failed.
    #[error("its declarations could not be read: {0}")]
    Declare(Fault),
    /// Its declarations break a rule.
    #[error("{0}")]
    Declarations(DeclarationError),
    /// It asks who somebody is, and the host does not know.
    #[error(
        "its consumer {consumer} asks for a user, and this host checks no tokens and keeps no sessions; add a section such as [auth.web] with algorithms = [\"EdDSA\"] and public_keys = {{ file = \"public.pem\" }}, or [sessions], to tidegate.toml"
    )]
    NoAuth {
        /// The consumer.
        consumer: String,
    },
    /// It has no consumers.
    #[error(
        "it declares no consumers; list them: `export! {{ ... }}` in Rust, `Consumer = export(...)` in Python, `export default app({{ ... }})` in JavaScript"
    )]
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

    pub(super) fn feature(feature: &str, reason: &str) -> Self {
        Self::Feature { feature: feature.to_owned(), reason: log::one_line(reason) }
    }

    pub(super) fn unloadable(reason: &str) -> Self {
        Self::Unloadable(log::one_line(reason))
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
                "core instances" => "too-many-instances",
                "levels of nesting" => "too-deep",
                "memories" => "too-many-memories",
                "tables" => "too-many-tables",
                "routes" => "too-many-routes",
                _ => "too-large-table",
            },
            Self::InitialMemory { .. } => "too-much-memory",
            Self::CompileTime { .. } | Self::CompileStalled { .. } => "compile-time",
            Self::CompileMemory { .. } => "compile-memory",
            Self::Compiler(_) => "compiler",
            Self::Unloadable(_) => "too-large-instance",
            Self::Feature { .. } => "feature",
            Self::Contract(error) => error.code(),
            Self::Exports(_) => "exports",
            Self::Declare(_) | Self::Declarations(_) | Self::HistoryTooLarge { .. } => {
                "declarations"
            }
            Self::NoAuth { .. } => "auth",
            Self::ForbiddenImport { .. } | Self::HttpNotGranted | Self::Imports(_) => "imports",
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
            Self::HistoryTooLarge { bytes, limit, .. } => Some((*bytes as u64, *limit as u64)),
            _ => None,
        }
    }
}
