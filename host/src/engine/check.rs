//! Whether a file is a module, checked as early as possible and named as plainly.

use wasmtime::component::Component;

use super::{Engine, Fault, pool::MEMORY_CEILING};
use crate::message::NameError;
use crate::routing::{GuardError, PatternError};

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
/// The magic number that wasm files begin with.
const MAGIC: &[u8] = b"\0asm";
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
        "it is compiled code (.cwasm), which is never accepted; give the .wasm file it was made from"
    )]
    Precompiled,
    /// The file is a core module.
    #[error("it is a core module, not a component; build it with `--target wasm32-wasip2`")]
    CoreModule,
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
    /// An import is not granted.
    #[error(
        "it imports {0}, which is not granted; a module may import tidegate:channels@0.1.0 and wasi:*@0.2, remove what needs the rest"
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

/// Looks at the first bytes.
pub(super) fn bytes(wasm: &[u8]) -> Result<(), LoadError> {
    if wasmtime::Engine::detect_precompiled(wasm).is_some() {
        return Err(LoadError::Precompiled);
    }
    let Some(rest) = wasm.strip_prefix(MAGIC) else { return Err(LoadError::NotWasm) };
    match rest.get(..4) {
        Some(COMPONENT) => Ok(()),
        Some(CORE_MODULE) => Err(LoadError::CoreModule),
        _ => Err(LoadError::NotWasm),
    }
}

/// Looks at what a component imports, exports and needs.
pub(super) fn component(engine: &Engine, component: &Component) -> Result<(), LoadError> {
    let of = component.component_type();
    for (name, _) in of.imports(&engine.wasmtime) {
        if !is_granted(name) {
            return Err(LoadError::ForbiddenImport(name.to_owned()));
        }
    }
    let exports: Vec<&str> = of.exports(&engine.wasmtime).map(|(name, _)| name).collect();
    if !exports.contains(&EXPORT) {
        let found = if exports.is_empty() { "nothing".into() } else { exports.join(", ") };
        return Err(LoadError::MissingExport { found });
    }
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
    let wasi = |rest: &str| rest.rsplit_once('@').is_some_and(|(_, v)| v.starts_with("0.2."));
    IMPORTS.contains(&import) || import.strip_prefix("wasi:").is_some_and(wasi)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bytes_tell_what_a_file_is() {
        assert_eq!(bytes(b""), Err(LoadError::NotWasm));
        assert_eq!(bytes(b"#!/bin/sh"), Err(LoadError::NotWasm));
        assert_eq!(bytes(b"\0asm"), Err(LoadError::NotWasm));
        assert_eq!(bytes(b"\0asm\x01\0\0\0"), Err(LoadError::CoreModule));
        assert_eq!(bytes(b"\0asm\x0d\0\x01\0"), Ok(()));
    }

    #[test]
    fn only_the_contract_and_wasi_0_2_are_granted() {
        assert!(is_granted("wasi:io/streams@0.2.6"));
        assert!(is_granted("tidegate:channels/layer@0.1.0"));
        for import in ["wasi:http/types@0.3.0", "wasi:io/streams", "acme:db/sql@0.2.0", "env"] {
            assert!(!is_granted(import), "{import}");
        }
    }
}
