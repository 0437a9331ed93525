//! Core modules for wasip1, which become components.

use serde_json::json;
use tests::Host;
use wasm_encoder::{
    CodeSection, ConstExpr, DataSection, EntityType, ExportKind, ExportSection, Function,
    FunctionSection, ImportSection, Instruction as I, MemorySection, MemoryType, Module,
    TypeSection, ValType::I32,
};

use crate::{TIDEGATE, guests::embed_types};

/// Where the list of routes stands in memory, and what it is: one consumer `work` of the channel `jobs`.
const LIST: i32 = 8;
const ROUTES: [(u32, &[u8]); 4] = [
    (8, &[16, 0, 0, 0, 1, 0, 0, 0]),
    (16, &[100, 0, 0, 0, 4, 0, 0, 0]),
    // A trigger of the third kind.
    (24, &[2, 0, 0, 0, 104, 0, 0, 0, 4, 0, 0, 0]),
    (100, b"workjobs"),
];

/// What a compiler for wasip1 makes: a module that asks for random bytes before it says its routes.
pub(crate) fn core_module() -> Vec<u8> {
    let mut types = TypeSection::new();
    types.ty().function([I32, I32], [I32]);
    types.ty().function([], [I32]);
    types.ty().function([I32], [I32]);
    types.ty().function([I32; 4], [I32]);
    let mut imports = ImportSection::new();
    imports.import("wasi_snapshot_preview1", "random_get", EntityType::Function(0));
    let mut functions = FunctionSection::new();
    for kind in 1..=3 {
        functions.function(kind);
    }
    let mut memory = MemorySection::new();
    memory.memory(MemoryType {
        minimum: 1,
        maximum: None,
        memory64: false,
        shared: false,
        page_size_log2: None,
    });
    let mut exports = ExportSection::new();
    exports.export("memory", ExportKind::Memory, 0);
    for (name, function) in [
        ("tidegate:channels/consumer@0.1.0#routes", 1),
        ("tidegate:channels/consumer@0.1.0#handle", 2),
        ("cabi_realloc", 3),
    ] {
        exports.export(name, ExportKind::Func, function);
    }
    let mut code = CodeSection::new();
    let ask = [I::I32Const(200), I::I32Const(8), I::Call(0), I::Drop, I::I32Const(LIST)];
    let page = [I::I32Const(1), I::MemoryGrow(0), I::I32Const(16), I::I32Shl];
    for body in [&ask[..], &[I::Unreachable], &page] {
        let mut function = Function::new([]);
        for instruction in body {
            function.instruction(instruction);
        }
        function.instruction(&I::End);
        code.function(&function);
    }
    let mut data = DataSection::new();
    for (at, bytes) in ROUTES {
        let at = i32::try_from(at).unwrap();
        data.active(0, &ConstExpr::i32_const(at), bytes.iter().copied());
    }
    let mut module = Module::new();
    module.section(&types).section(&imports).section(&functions).section(&memory);
    module.section(&exports).section(&code).section(&data);
    let mut wasm = module.finish();
    embed_types(&mut wasm);
    wasm
}

#[tokio::test(flavor = "multi_thread")]
async fn a_core_module_for_wasip1_becomes_a_component_and_is_served() {
    let compiled = tempfile::tempdir().unwrap();
    let setting = format!("compiled_dir = {:?}", compiled.path().display().to_string());
    let host = Host::builder().set(&setting).compiler(TIDEGATE).start().await;
    let deployed = host.admin().done("PUT", "modules/old", core_module()).await;
    assert_eq!(
        deployed["routes"],
        json!([{
            "module": "old", "consumer": "work", "trigger": "channel", "channel": "jobs",
            "guards": [],
        }])
    );
    host.stop().await;
}
