//! Whether a file is a module, checked as early as possible and named as plainly.

use wasmtime::component::Component;

use super::{Engine, LoadError, ceilings::MEMORY_CEILING, contract, imports, log};

/// The magic number that wasm files begin with.
const MAGIC: &[u8] = b"\0asm";
/// What native programs begin with, and what wasmtime compiles.
const ELF: &[u8] = b"\x7fELF";
/// Version and layer of a component, and of a core module.
const COMPONENT: &[u8] = &[0x0d, 0, 1, 0];
const CORE_MODULE: &[u8] = &[1, 0, 0, 0];

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
    if contract::import(name)? {
        return Ok(());
    }
    match imports::refused(name) {
        None => Ok(()),
        Some(rule) => Err(LoadError::ForbiddenImport { name: log::one_line(name), rule }),
    }
}

/// Looks at what a component imports, exports and needs.
pub(super) fn component(engine: &Engine, component: &Component) -> Result<(), LoadError> {
    let of = component.component_type();
    of.imports(&engine.wasmtime).try_for_each(|(name, _)| import(name))?;
    contract::exports(&of.exports(&engine.wasmtime).map(|(name, _)| name).collect::<Vec<_>>())?;
    let limit = MEMORY_CEILING as u64;
    let needed = component.resources_required().and_then(|needs| needs.max_initial_memory_size);
    match needed {
        Some(bytes) if engine.is_pooled() && bytes > limit => {
            Err(LoadError::InitialMemory { bytes, limit })
        }
        _ => Ok(()),
    }
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
    fn names_of_a_files_making_stand_in_one_line() {
        for error in [
            import("a\nb\u{1b}[2J").unwrap_err(),
            contract::exports(&["a\nb\u{1b}[2J"]).unwrap_err().into(),
            import("tidegate:channels/x@a\nb\u{1b}[2J").unwrap_err(),
            LoadError::invalid("a\nb\u{1b}[2J"),
        ] {
            let text = error.to_string();
            assert!(text.contains(r"a\nb\u{1b}[2J"), "{text}");
        }
    }
}
