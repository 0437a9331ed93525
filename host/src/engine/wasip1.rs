//! Makes components of core modules that were built for wasip1.

use std::borrow::Cow;

use wasi_preview1_component_adapter_provider::{
    WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER,
    WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER,
};
use wasmparser::{Parser, Payload};
use wit_component::ComponentEncoder;

use super::{
    LoadError,
    check::{self, Kind},
    log,
};

/// The component that a file is or that it is made into. Made anew each time: it is quick, and what is
/// kept is what was uploaded.
pub(super) fn component(wasm: &[u8]) -> Result<Cow<'_, [u8]>, LoadError> {
    match check::kind(wasm)? {
        Kind::Component => Ok(Cow::Borrowed(wasm)),
        Kind::CoreModule => {
            // A program has another adapter than a library.
            let adapter = if exports(wasm, "_start") {
                WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER
            } else {
                WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER
            };
            ComponentEncoder::default()
                .module(wasm)
                .and_then(|encoder| encoder.adapter(WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, adapter))
                .and_then(|encoder| encoder.encode())
                .map(Cow::Owned)
                .map_err(|error| LoadError::CoreModule(log::one_line(&format!("{error:#}"))))
        }
    }
}

fn exports(wasm: &[u8], name: &str) -> bool {
    Parser::new(0).parse_all(wasm).any(|payload| match payload {
        Ok(Payload::ExportSection(section)) => {
            section.into_iter().flatten().any(|export| export.name == name)
        }
        _ => false,
    })
}
