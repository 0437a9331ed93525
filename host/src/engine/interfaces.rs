//! The names of the interfaces of a file, for who wants to know without loading it.

use serde::Serialize;
use wasmparser::{Encoding, Parser, Payload};

/// Levels of components in components are not looked into.
const OUTERMOST: usize = 0;

/// The names that a component imports and exports.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct Interfaces {
    /// For others to call.
    exports: Vec<String>,
    /// From others.
    imports: Vec<String>,
}

impl Interfaces {
    /// Reads the names in a file. An error says why it is no component.
    pub fn of(wasm: &[u8]) -> Result<Self, String> {
        let mut found = Self::default();
        let mut depth = OUTERMOST;
        let said = |error: wasmparser::BinaryReaderError| error.to_string();
        for payload in Parser::new(0).parse_all(wasm) {
            match payload.map_err(said)? {
                Payload::Version { encoding: Encoding::Module, .. } if depth == OUTERMOST => {
                    return Err("it is a core module, and no component".to_owned());
                }
                Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
                Payload::End(_) => depth = depth.saturating_sub(1),
                Payload::ComponentImportSection(section) if depth == OUTERMOST => {
                    for import in section {
                        found.imports.push(import.map_err(said)?.name.name.to_owned());
                    }
                }
                Payload::ComponentExportSection(section) if depth == OUTERMOST => {
                    for export in section {
                        found.exports.push(export.map_err(said)?.name.name.to_owned());
                    }
                }
                _ => {}
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_components_have_interfaces() {
        let core = b"\0asm\x01\0\0\0";
        let component = b"\0asm\x0d\0\x01\0";
        assert!(Interfaces::of(core).unwrap_err().contains("core module"));
        assert_eq!(Interfaces::of(component), Ok(Interfaces::default()));
        assert!(Interfaces::of(b"no wasm").is_err());
    }
}
