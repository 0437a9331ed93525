//! The proposals of WebAssembly that this host has, and the check that a file needs no others.
//!
//! Wasmtime is built without garbage collection and threads. Its compiler should not meet code that
//! needs them: versions before 48.0.9 have advisories for such builds.

use wasmparser::{Validator, WasmFeatures};

use super::LoadError;

/// What the host has: WebAssembly 2.0 and what compilers of C, Rust, Python and JavaScript use besides.
const HOST_FEATURES: WasmFeatures = WasmFeatures::WASM2
    .union(WasmFeatures::EXTENDED_CONST)
    .union(WasmFeatures::MULTI_MEMORY)
    .union(WasmFeatures::RELAXED_SIMD)
    .union(WasmFeatures::TAIL_CALL)
    .union(WasmFeatures::COMPONENT_MODEL)
    // What needs a garbage collector, such as `externref`, is part of each named version.
    .difference(WasmFeatures::GC_TYPES);

/// Turns off what wasmtime has by default and [`HOST_FEATURES`] has not. Features that its build is
/// without are off already.
pub(super) fn configure(config: &mut wasmtime::Config) {
    use wasmtime::WasmFeatures;
    config
        .wasm_memory64(false)
        .wasm_features(WasmFeatures::GC.union(WasmFeatures::FUNCTION_REFERENCES), false);
}

/// Validates a whole component, before a compiler sees any of it.
pub(super) fn check(component: &[u8]) -> Result<(), LoadError> {
    let validated = Validator::new_with_features(HOST_FEATURES).validate_all(component);
    validated.map(drop).map_err(|error| match error.missing_wasm_feature() {
        Some(missing) => LoadError::feature(name(missing), &error.to_string()),
        None => LoadError::invalid(&error.to_string()),
    })
}

/// A feature as an author knows it, and how to do without it.
const fn name(missing: WasmFeatures) -> &'static str {
    const GARBAGE_COLLECTION: WasmFeatures = WasmFeatures::GC
        .union(WasmFeatures::GC_TYPES)
        .union(WasmFeatures::FUNCTION_REFERENCES)
        .union(WasmFeatures::CM_GC);
    const EXCEPTIONS: WasmFeatures =
        WasmFeatures::EXCEPTIONS.union(WasmFeatures::LEGACY_EXCEPTIONS);
    const THREADS: WasmFeatures = WasmFeatures::THREADS
        .union(WasmFeatures::SHARED_EVERYTHING_THREADS)
        .union(WasmFeatures::CM_THREADING);
    const MEMORY64: WasmFeatures = WasmFeatures::MEMORY64.union(WasmFeatures::CM64);
    const ASYNC: WasmFeatures = WasmFeatures::CM_ASYNC
        .union(WasmFeatures::CM_ASYNC_STACKFUL)
        .union(WasmFeatures::CM_MORE_ASYNC_BUILTINS)
        .union(WasmFeatures::CM_ERROR_CONTEXT);
    if missing.intersects(ASYNC) {
        "the asynchronous component model of WASI 0.3; build it without, for WASI 0.2 \
         (componentize-qjs: --disable-async; jco: --backend-qjs-disable-async)"
    } else if missing.intersects(GARBAGE_COLLECTION) {
        "garbage-collected or typed references; build it without"
    } else if missing.intersects(THREADS) {
        "threads, shared memories or atomics; build it without, for one thread"
    } else if missing.intersects(EXCEPTIONS) {
        "exceptions; build it without (clang: -fno-wasm-exceptions; Rust: panic = \"abort\")"
    } else if missing.intersects(MEMORY64) {
        "memories of 64 bits; build it for wasm32"
    } else {
        "a proposal that is not part of WebAssembly 2.0; build it without"
    }
}

#[cfg(test)]
mod tests {
    use wasm_encoder::{
        CodeSection, Component, FieldType, Function, FunctionSection, HeapType, Instruction,
        MemorySection, MemoryType, Module, ModuleSection, RefType, StorageType, TableSection,
        TableType, TagKind, TagSection, TagType, TypeSection, ValType,
    };

    use super::*;

    fn component(module: &Module) -> Vec<u8> {
        let mut component = Component::new();
        component.section(&ModuleSection(module));
        component.finish()
    }

    fn memory(memory64: bool, shared: bool) -> Module {
        let mut memories = MemorySection::new();
        let (minimum, maximum) = (1, Some(1));
        memories.memory(MemoryType { minimum, maximum, memory64, shared, page_size_log2: None });
        let mut module = Module::new();
        module.section(&memories);
        module
    }

    /// A module with one function without parameters and results.
    fn function(instructions: &[Instruction<'_>]) -> Module {
        let (mut types, mut functions, mut code) =
            (TypeSection::new(), FunctionSection::new(), CodeSection::new());
        types.ty().function([], []);
        functions.function(0);
        let mut body = Function::new([]);
        for instruction in instructions {
            body.instruction(instruction);
        }
        body.instruction(&Instruction::End);
        code.function(&body);
        let mut module = Module::new();
        module.section(&types).section(&functions).section(&code);
        module
    }

    fn table(element_type: RefType) -> Module {
        let mut tables = TableSection::new();
        let (minimum, maximum) = (1, None);
        tables.table(TableType { element_type, minimum, maximum, table64: false, shared: false });
        let mut module = Module::new();
        module.section(&tables);
        module
    }

    fn structure() -> Module {
        let mut types = TypeSection::new();
        types
            .ty()
            .struct_([FieldType { element_type: StorageType::Val(ValType::I32), mutable: true }]);
        let mut module = Module::new();
        module.section(&types);
        module
    }

    fn tag() -> Module {
        let (mut types, mut tags) = (TypeSection::new(), TagSection::new());
        types.ty().function([], []);
        tags.tag(TagType { kind: TagKind::Exception, func_type_idx: 0 });
        let mut module = Module::new();
        module.section(&types).section(&tags);
        module
    }

    #[test]
    fn what_needs_a_feature_that_the_host_is_without_is_named() {
        let nonnull = RefType { nullable: false, heap_type: HeapType::FUNC };
        let call = [Instruction::RefNull(HeapType::Concrete(0)), Instruction::CallRef(0)];
        for (module, feature) in [
            (memory(false, true), "threads"),
            (function(&[Instruction::AtomicFence]), "threads"),
            (memory(true, false), "memories of 64 bits"),
            (structure(), "garbage-collected"),
            (table(RefType::EXTERNREF), "garbage-collected"),
            (table(nonnull), "garbage-collected"),
            (function(&call), "garbage-collected"),
            (tag(), "exceptions"),
        ] {
            let error = check(&component(&module)).expect_err(feature);
            assert_eq!(error.code(), "feature", "{error}");
            assert!(error.to_string().contains(feature), "{error}");
        }
    }

    #[test]
    fn what_compilers_use_by_default_passes() {
        assert_eq!(check(&component(&memory(false, false))), Ok(()));
        assert_eq!(check(&component(&table(RefType::FUNCREF))), Ok(()));
        assert_eq!(check(&component(&function(&[Instruction::ReturnCall(0)]))), Ok(()));
    }

    #[test]
    fn wasmtime_has_no_more_features_than_the_check_lets_pass() {
        let mut config = wasmtime::Config::new();
        configure(&mut config);
        let engine = wasmtime::Engine::new(&config).unwrap();
        for module in [
            memory(false, true),
            memory(true, false),
            structure(),
            table(RefType::EXTERNREF),
            table(RefType { nullable: false, heap_type: HeapType::FUNC }),
            tag(),
            function(&[Instruction::AtomicFence]),
        ] {
            assert!(wasmtime::Module::validate(&engine, &module.finish()).is_err());
        }
    }
}
