//! Files that are made to keep a host busy. Each would be taken but for what is wrong with it.

use tests::guest;
use wasm_encoder::{
    CodeSection, ComponentSection as _, ComponentTypeSection, ConstExpr, DataSection, Function,
    FunctionSection, InstanceSection, Instruction, MemorySection, MemoryType, Module, ModuleArg,
    ModuleSection, RefType, TableSection, TableType, TypeSection, ValType,
};

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
pub(super) fn functions(count: u32, instructions: u32) -> Vec<u8> {
    functions_and(count, instructions, None)
}

/// The same, and one that begins with another instruction.
pub(super) fn functions_and(
    count: u32,
    instructions: u32,
    last: Option<&Instruction<'_>>,
) -> Vec<u8> {
    let (mut types, mut functions, mut code) =
        (TypeSection::new(), FunctionSection::new(), CodeSection::new());
    types.ty().function([], [ValType::I64]);
    let mut body = Function::new([(1, ValType::I64)]);
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
    if let Some(instruction) = last {
        let mut body = Function::new([]);
        body.instruction(instruction);
        body.instruction(&Instruction::I64Const(0)).instruction(&Instruction::End);
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

pub(super) fn data(bytes: usize) -> Vec<u8> {
    let mut section = DataSection::new();
    section.active(0, &ConstExpr::i32_const(0), vec![7; bytes]);
    let mut module = Module::new();
    module.section(&memory(1_000)).section(&section);
    with_core_module(module)
}

pub(super) fn tables(count: u32, elements: u64) -> Vec<u8> {
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

pub(super) fn nested(depth: usize) -> Vec<u8> {
    let mut inner = b"\0asm\x0d\0\x01\0".to_vec();
    for _ in 1..depth {
        let mut outer = wasm_encoder::Component::new();
        outer.section(&wasm_encoder::RawSection { id: 4, data: &inner });
        inner = outer.finish();
    }
    with_section(4, &inner)
}

pub(super) fn memories(count: u32, pages: u64) -> Vec<u8> {
    let mut section = memory(pages);
    for _ in 1..count {
        section.memory(memory_type(pages));
    }
    let mut module = Module::new();
    module.section(&section);
    with_core_module(module)
}

/// So many core modules.
pub(super) fn modules(count: usize) -> Vec<u8> {
    (0..count).fold(std::fs::read(guest("scope")).unwrap(), |mut wasm, _| {
        wasm.extend([1, 8]);
        wasm.extend(Module::new().finish());
        wasm
    })
}

/// So many more instances of one core module, which is empty.
pub(super) fn instances(count: u32) -> Vec<u8> {
    let mut wasm = std::fs::read(guest("scope")).unwrap();
    let index = core_modules(&wasm);
    ModuleSection(&Module::new()).append_to_component(&mut wasm);
    let mut instances = InstanceSection::new();
    for _ in 0..count {
        instances.instantiate(index, std::iter::empty::<(&str, ModuleArg)>());
    }
    instances.append_to_component(&mut wasm);
    wasm
}

/// The core modules of a component, those in components within not among them.
fn core_modules(wasm: &[u8]) -> u32 {
    let (mut rest, mut found) = (wasm.split_at(8).1, 0);
    while let [id, behind @ ..] = rest {
        found += u32::from(*id == 1);
        let bytes = behind.iter().position(|byte| byte & 0x80 == 0).unwrap() + 1;
        let (length, behind) = behind.split_at(bytes);
        let digits = length.iter().rev().map(|byte| usize::from(byte & 0x7f));
        rest = behind.split_at(digits.fold(0, |sum, digit| (sum << 7) | digit)).1;
    }
    found
}

/// So many functions of one type and body.
fn alike(count: u32, body: &Function) -> Vec<u8> {
    let (mut types, mut functions, mut code) =
        (TypeSection::new(), FunctionSection::new(), CodeSection::new());
    types.ty().function([ValType::I32], []);
    for _ in 0..count {
        functions.function(0);
        code.function(body);
    }
    let mut module = Module::new();
    module.section(&types).section(&functions).section(&code);
    with_core_module(module)
}

/// Blocks in blocks.
pub(super) fn blocks(depth: usize) -> Vec<u8> {
    let mut body = Function::new([]);
    for _ in 0..depth {
        body.instruction(&Instruction::Block(wasm_encoder::BlockType::Empty));
    }
    for _ in 0..=depth {
        body.instruction(&Instruction::End);
    }
    alike(1, &body)
}

/// Functions with so many local variables each.
pub(super) fn locals(functions: u32, locals: u32) -> Vec<u8> {
    let mut body = Function::new([(locals, ValType::I64)]);
    body.instruction(&Instruction::End);
    alike(functions, &body)
}

/// Functions that jump to one of so many places each.
pub(super) fn jumps(functions: u32, targets: usize) -> Vec<u8> {
    let mut body = Function::new([]);
    body.instruction(&Instruction::LocalGet(0));
    body.instruction(&Instruction::BrTable(vec![0; targets].into(), 0));
    body.instruction(&Instruction::End);
    alike(functions, &body)
}

/// A list of lists of lists.
pub(super) fn lists(depth: u32) -> Vec<u8> {
    let mut types = ComponentTypeSection::new();
    types.defined_type().primitive(wasm_encoder::PrimitiveValType::U8);
    for inner in 0..depth {
        types.defined_type().list(wasm_encoder::ComponentValType::Type(inner));
    }
    component(&types)
}

/// Types of components that declare a type of a component each.
pub(super) fn types(depth: usize) -> Vec<u8> {
    const DECLARES_A_TYPE: [u8; 3] = [0x41, 1, 1];
    let mut types = vec![1];
    types.extend(DECLARES_A_TYPE.repeat(depth));
    types.extend([0x41, 0]);
    component(&wasm_encoder::RawSection { id: 7, data: &types })
}

/// A component that would be taken but for what is in it.
fn component(section: &impl wasm_encoder::ComponentSection) -> Vec<u8> {
    let mut inner = wasm_encoder::Component::new();
    inner.section(section);
    with_section(4, &inner.finish())
}
