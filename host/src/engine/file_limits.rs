//! What a file has, counted before anything is compiled: what is too much costs a look, not a
//! compiler's minutes.

mod instances;

use wasmparser::{Encoding, Parser, Payload};

use super::{
    LoadError,
    ceilings::{CORE_INSTANCES, MEMORIES, MEMORY_CEILING, TABLE_ELEMENTS, TABLES},
    check, contract,
};

/// Bytes of a page of memory.
const PAGE: u64 = 64 * 1024;

/// What a file may have. The pool's shape limits memories and tables besides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileLimits {
    /// Bytes of the file.
    pub bytes: usize,
    /// Functions with a body, in all modules.
    pub functions: usize,
    /// Bytes that are copied into memory at the start.
    pub data_bytes: usize,
    /// Core modules in it.
    pub modules: usize,
    /// How deep components stand in components.
    pub nesting: usize,
    /// Routes that it may declare.
    pub routes: usize,
}

impl Default for FileLimits {
    fn default() -> Self {
        Self {
            bytes: 64 * 1024 * 1024,
            functions: 50_000,
            data_bytes: 32 * 1024 * 1024,
            modules: 128,
            nesting: 8,
            routes: 1_000,
        }
    }
}

#[derive(Default)]
struct Found<'a> {
    instances: instances::Counter,
    functions: usize,
    data_bytes: usize,
    modules: usize,
    memories: usize,
    tables: usize,
    depth: usize,
    /// Whether the outermost is a component.
    component: bool,
    exports: Vec<&'a str>,
}

/// Counts what is in a file, and looks at the imports and exports of a component.
pub(super) fn inspect(wasm: &[u8], limits: &FileLimits) -> Result<(), LoadError> {
    let beyond = |what, found: u64, limit: u64, setting| {
        if found <= limit {
            return Ok(());
        }
        Err(LoadError::TooMany { what, found, limit, setting })
    };
    let too_many = |what, found: usize, limit: usize, setting| {
        beyond(what, found as u64, limit as u64, setting)
    };
    too_many("bytes", wasm.len(), limits.bytes, "upload.bytes")?;
    let mut found = Found::default();
    for payload in Parser::new(0).parse_all(wasm) {
        let payload = payload.map_err(|error| LoadError::invalid(&error.to_string()))?;
        found.look_at(&payload).map_err(|error| match error {
            Wrong::Rule(error) => error,
            Wrong::Broken(error) => LoadError::invalid(&error.to_string()),
        })?;
        too_many("functions", found.functions, limits.functions, "upload.functions")?;
        too_many("bytes of data", found.data_bytes, limits.data_bytes, "upload.data_bytes")?;
        too_many("core modules", found.modules, limits.modules, "upload.modules")?;
        too_many("levels of nesting", found.depth, limits.nesting, "upload.nesting")?;
        too_many("memories", found.memories, MEMORIES as usize, "")?;
        too_many("tables", found.tables, TABLES as usize, "")?;
        let needs = found.instances.needs();
        beyond("core instances", needs.core_instances, CORE_INSTANCES.into(), "")?;
        beyond("memories", needs.memories, MEMORIES.into(), "")?;
        beyond("tables", needs.tables, TABLES.into(), "")?;
    }
    if found.component {
        contract::exports(&found.exports)?;
    }
    Ok(())
}

enum Wrong {
    Rule(LoadError),
    Broken(wasmparser::BinaryReaderError),
}

impl From<wasmparser::BinaryReaderError> for Wrong {
    fn from(error: wasmparser::BinaryReaderError) -> Self {
        Self::Broken(error)
    }
}

impl From<LoadError> for Wrong {
    fn from(error: LoadError) -> Self {
        Self::Rule(error)
    }
}

impl<'a> Found<'a> {
    fn look_at(&mut self, payload: &Payload<'a>) -> Result<(), Wrong> {
        self.instances.look_at(payload)?;
        match payload {
            Payload::Version { encoding, .. } => {
                self.depth += 1;
                if self.depth == 1 {
                    self.component = *encoding == Encoding::Component;
                }
                self.modules += usize::from(*encoding == Encoding::Module);
            }
            Payload::End(_) => self.depth = self.depth.saturating_sub(1),
            Payload::FunctionSection(section) => self.functions += section.count() as usize,
            Payload::DataSection(section) => {
                for data in section.clone() {
                    self.data_bytes += data?.data.len();
                }
            }
            Payload::MemorySection(section) => {
                for memory in section.clone() {
                    self.memory(memory?.initial)?;
                }
            }
            Payload::TableSection(section) => {
                for table in section.clone() {
                    self.table(table?.ty.initial)?;
                }
            }
            Payload::ComponentImportSection(section) if self.depth == 1 => {
                for import in section.clone() {
                    check::import(import?.name.name)?;
                }
            }
            Payload::ComponentExportSection(section) if self.depth == 1 => {
                for export in section.clone() {
                    self.exports.push(export?.name.name);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn memory(&mut self, pages: u64) -> Result<(), LoadError> {
        self.memories += 1;
        let (bytes, limit) = (pages.saturating_mul(PAGE), MEMORY_CEILING as u64);
        if bytes > limit {
            return Err(LoadError::InitialMemory { bytes, limit });
        }
        Ok(())
    }

    fn table(&mut self, found: u64) -> Result<(), LoadError> {
        self.tables += 1;
        let limit = TABLE_ELEMENTS as u64;
        if found > limit {
            let what = "elements in a table at its start";
            return Err(LoadError::TooMany { what, found, limit, setting: "" });
        }
        Ok(())
    }
}
