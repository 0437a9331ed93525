//! Files that are made to keep the host busy. Each is refused with numbers, and others are served.

use tests::{Host, guest};
use wasm_encoder::{
    CodeSection, ConstExpr, DataSection, Function, FunctionSection, Instruction, MemorySection,
    MemoryType, Module, RefType, TableSection, TableType, TypeSection,
};

use crate::TIDEGATE;

/// A module that would be taken, with a section of a component behind it.
fn with_section(id: u8, content: &[u8]) -> Vec<u8> {
    let mut wasm = std::fs::read(guest("scope")).unwrap();
    wasm.push(id);
    let mut length = content.len();
    loop {
        let byte = u8::try_from(length & 0x7f).unwrap();
        length >>= 7;
        wasm.push(if length > 0 { byte | 0x80 } else { byte });
        if length == 0 {
            break;
        }
    }
    wasm.extend(content);
    wasm
}

fn with_core_module(module: Module) -> Vec<u8> {
    with_section(1, &module.finish())
}

/// So many functions, each with so many instructions.
fn functions(count: u32, instructions: u32) -> Vec<u8> {
    let (mut types, mut functions, mut code) =
        (TypeSection::new(), FunctionSection::new(), CodeSection::new());
    types.ty().function([], [wasm_encoder::ValType::I64]);
    let mut body = Function::new([(1, wasm_encoder::ValType::I64)]);
    body.instruction(&Instruction::LocalGet(0));
    for at in 0..instructions {
        body.instruction(&Instruction::I64Const(i64::from(at) * 7 + 1));
        body.instruction(if at % 3 == 0 { &Instruction::I64Mul } else { &Instruction::I64Xor });
        body.instruction(&Instruction::LocalTee(0));
    }
    body.instruction(&Instruction::End);
    for _ in 0..count {
        functions.function(0);
        code.function(&body);
    }
    let mut module = Module::new();
    module.section(&types).section(&functions).section(&code);
    with_core_module(module)
}

fn memory(pages: u64) -> MemorySection {
    let mut section = MemorySection::new();
    section.memory(memory_type(pages));
    section
}

const fn memory_type(pages: u64) -> MemoryType {
    MemoryType {
        minimum: pages,
        maximum: None,
        memory64: false,
        shared: false,
        page_size_log2: None,
    }
}

fn data(bytes: usize) -> Vec<u8> {
    let mut section = DataSection::new();
    section.active(0, &ConstExpr::i32_const(0), vec![7; bytes]);
    let mut module = Module::new();
    module.section(&memory(1_000)).section(&section);
    with_core_module(module)
}

fn tables(count: u32, elements: u64) -> Vec<u8> {
    let mut section = TableSection::new();
    for _ in 0..count {
        section.table(TableType {
            element_type: RefType::FUNCREF,
            minimum: elements,
            maximum: None,
            table64: false,
            shared: false,
        });
    }
    let mut module = Module::new();
    module.section(&section);
    with_core_module(module)
}

fn nested(depth: usize) -> Vec<u8> {
    let mut inner = b"\0asm\x0d\0\x01\0".to_vec();
    for _ in 1..depth {
        let mut outer = wasm_encoder::Component::new();
        outer.section(&wasm_encoder::RawSection { id: 4, data: &inner });
        inner = outer.finish();
    }
    with_section(4, &inner)
}

fn memories(count: u32, pages: u64) -> Vec<u8> {
    let mut section = memory(pages);
    for _ in 1..count {
        section.memory(memory_type(pages));
    }
    let mut module = Module::new();
    module.section(&section);
    with_core_module(module)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_with_too_much_of_anything_is_refused_with_the_number_before_it_is_compiled() {
    let host = Host::builder().example("hello").compiler(TIDEGATE).start().await;
    let api = host.admin();
    let modules = (0..70).fold(std::fs::read(guest("scope")).unwrap(), |mut wasm, _| {
        wasm.extend([1, 8]);
        wasm.extend(Module::new().finish());
        wasm
    });
    for (file, code, found, limit) in [
        (functions(100_000, 0), "too-many-functions", 100_000, 50_000),
        (data(50 << 20), "too-much-data", 50 << 20, 32 << 20),
        (tables(1, 10_000_000), "too-large-table", 10_000_000, 100_000),
        (tables(1_000, 1), "too-many-tables", 1_000, 16),
        (nested(20), "too-deep", 9, 8),
        (modules, "too-many-modules", 65, 64),
        (memories(1, 10_000), "too-much-memory", 655_360_000, 268_435_456),
        (memories(10, 1), "too-many-memories", 10, 4),
    ] {
        let reply = api.ask("PUT", "modules/bomb", file).await;
        let problem: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
        assert_eq!((reply.status, problem["code"].as_str()), (422, Some(code)), "{problem}");
        assert!(problem["found"].as_u64().unwrap() >= found, "{problem}");
        assert_eq!(problem["limit"], limit, "{problem}");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(&limit.to_string()), "{detail}");
        assert_eq!(host.get("/hello/neighbour").await.status, 200);
    }
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_takes_a_compiler_too_long_is_stopped_and_others_are_served() {
    let host = Host::builder()
        .example("hello")
        .compiler(TIDEGATE)
        .section("[upload]\ncompile_time = '500ms'")
        .start()
        .await;
    let api = host.admin();
    let bomb = functions(20_000, 300);
    let (refused, reply) =
        tokio::join!(api.refused("PUT", "modules/bomb", bomb), host.get("/hello/neighbour"));
    assert_eq!(reply.status, 200);
    let (status, code, detail) = refused;
    assert_eq!((status, &*code), (422, "compile-time"), "{detail}");
    assert!(detail.contains("500ms") && detail.contains("upload.compile_time"), "{detail}");
    host.until("the compiler is gone", |_| children() == 0).await;
    host.stop().await;
}

/// Processes that run as compilers of this one.
fn children() -> usize {
    let own = std::process::id().to_string();
    let parent = |status: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix("PPid:"));
        line.is_some_and(|parent| parent.trim() == own)
    };
    std::fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| std::fs::read_to_string(entry.unwrap().path().join("status")).ok())
        .filter(|status| parent(status) && !status.contains("State:\tZ"))
        .count()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_takes_a_compiler_too_much_memory_is_refused() {
    let host = Host::builder()
        .compiler(TIDEGATE)
        .section("[upload]\ncompile_memory = '150MiB'")
        .start()
        .await;
    let (status, code, detail) =
        host.admin().refused("PUT", "modules/bomb", functions(20_000, 300)).await;
    assert_eq!((status, &*code), (422, "compile-memory"), "{detail}");
    assert!(detail.contains("upload.compile_memory"), "{detail}");
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn routes_without_end_are_refused_and_leave_nothing_behind() {
    let host = Host::builder()
        .example("hello")
        .section("[modules.m.limits]\nmemory = '256MiB'\nfuel = 100_000_000_000\ndeadline = '60s'")
        .section("[upload]\nroutes = 5")
        .start()
        .await;
    let api = host.admin();
    for (module, name, code, reason) in [
        ("m", "many-routes", "too-many-routes", "more than 1048576 bytes"),
        ("m", "routed", "too-many-routes", "it has 11 routes; at most 5 are taken (upload.routes)"),
        ("l", "routes-loop", "routes", "look for a loop without end"),
    ] {
        let wasm = std::fs::read(guest(name)).unwrap();
        let path = format!("modules/{module}");
        let (refused, reply) =
            tokio::join!(api.refused("PUT", &path, wasm), host.get("/hello/neighbour"));
        assert_eq!(reply.status, 200);
        let (status, word, detail) = refused;
        assert_eq!((status, &*word), (422, code), "{name}: {detail}");
        assert!(detail.contains(reason), "{name}: {detail}");
        assert_eq!(host.live_instances(), 0);
    }
    host.stop().await;
}
