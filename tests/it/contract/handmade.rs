//! Core modules for wasip1, made by hand of a WIT that is written for the test.

use std::{borrow::Cow, fs, path::Path};

use wasm_encoder::{
    BlockType, CodeSection, ConstExpr, DataSection, EntityType, ExportKind, ExportSection,
    Function, FunctionSection, ImportSection, Instruction as I, MemorySection, MemoryType, Module,
    TypeSection, ValType::I32,
};
use wit_component::{StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// Where the list of routes stands in memory, and what it is: one consumer `work` of the channel
/// `jobs`.
const ROUTES: i32 = 8;
const ROUTES_DATA: [(u32, &[u8]); 4] = [
    (8, &[16, 0, 0, 0, 1, 0, 0, 0]),
    (16, &[100, 0, 0, 0, 4, 0, 0, 0]),
    // A trigger of the third kind.
    (24, &[2, 0, 0, 0, 104, 0, 0, 0, 4, 0, 0, 0]),
    (100, b"workjobs"),
];
/// Where the list of bytes stands that `declare` returns.
const DECLARED: i32 = 200;
const DECLARED_BYTES: u32 = 4096;
/// The function that calls what is imported, which nobody calls.
const CALLS: &str = "calls";
/// Pages of memory: more than declarations may have.
const PAGES: u64 = 64;

/// What `declare` does.
pub(super) enum Declare {
    /// Returns bytes.
    Bytes(Vec<u8>),
    /// Returns so many bytes of nothing.
    Zeros(u32),
    /// Never returns.
    Loop,
    /// Ends with a trap.
    Trap,
}

/// A module to be made. It always has one consumer, `work`.
pub(super) struct Handmade {
    /// The version of the contract that `consumer` is of.
    pub(super) version: &'static str,
    /// Other packages of WIT.
    pub(super) packages: Vec<Cow<'static, str>>,
    /// What the world has besides, as lines of WIT: `import` and `export`.
    pub(super) world: Vec<&'static str>,
    /// Functions that it imports, as module, name, and how many numbers each takes. They have no
    /// results.
    pub(super) imports: Vec<(&'static str, &'static str, usize)>,
    /// Functions without parameters and results that it exports.
    pub(super) exports: Vec<&'static str>,
    /// What it declares.
    pub(super) declare: Option<Declare>,
    /// The names under which the core module exports the function that does so.
    pub(super) declared_as: Vec<&'static str>,
}

impl Default for Handmade {
    fn default() -> Self {
        Self {
            version: "0.1.0",
            packages: Vec::new(),
            world: Vec::new(),
            imports: Vec::new(),
            exports: Vec::new(),
            declare: None,
            declared_as: Vec::new(),
        }
    }
}

/// A module that declares something, against version 0.1.1.
pub(super) fn declaring(declare: Declare) -> Handmade {
    Handmade {
        packages: vec![wit("wit/0.1.1", "0.1.1", "0.1.1").into()],
        world: vec!["export tidegate:channels/declarations@0.1.1;"],
        declare: Some(declare),
        declared_as: vec!["tidegate:channels/declarations@0.1.1#declare"],
        ..Handmade::default()
    }
}

/// What stands in a folder of WIT, as one file of another version.
pub(super) fn wit(folder: &str, from: &str, to: &str) -> String {
    let package = |version: &str| format!("package tidegate:channels@{version};");
    let mut text = package(to);
    for entry in fs::read_dir(tests::root().join(folder)).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "wit") {
            let file = fs::read_to_string(path).unwrap();
            // What documents the package cannot stand in the middle of a file.
            text.push_str(file.split_once(&package(from)).unwrap().1);
        }
    }
    text
}

impl Handmade {
    /// Makes the core module, of which the host makes a component.
    pub(super) fn build(&self) -> Vec<u8> {
        let mut wasm = self.core();
        let directory = tempfile::tempdir().unwrap();
        self.write_wit(directory.path());
        let mut resolve = Resolve::default();
        let (package, _) = resolve.push_dir(directory.path()).unwrap();
        let world = resolve.select_world(&[package], Some("handmade")).unwrap();
        embed_component_metadata(&mut wasm, &resolve, world, StringEncoding::UTF8, false).unwrap();
        wasm
    }

    fn write_wit(&self, directory: &Path) {
        let contract = wit("wit", "0.1.0", self.version);
        let packages = [contract.into()].into_iter().chain(self.packages.iter().cloned());
        let deps = directory.join("deps");
        for (number, text) in packages.enumerate() {
            let folder = deps.join(number.to_string());
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("package.wit"), text.as_bytes()).unwrap();
        }
        let world = self.world.join("\n");
        let version = self.version;
        let text = format!(
            "package test:handmade;\nworld handmade {{\n\
             include tidegate:channels/module@{version};\n{world}\n}}\n"
        );
        fs::write(directory.join("handmade.wit"), text).unwrap();
    }

    fn core(&self) -> Vec<u8> {
        let mut types = TypeSection::new();
        types.ty().function([], [I32]);
        types.ty().function([I32], [I32]);
        types.ty().function([I32; 4], [I32]);
        types.ty().function([], []);
        let (gives, handles, allocates, plain) = (0, 1, 2, 3);
        let mut imports = ImportSection::new();
        let mut calls = Vec::new();
        for ((module, name, takes), at) in self.imports.iter().zip(0..) {
            types.ty().function(std::iter::repeat_n(I32, *takes), []);
            imports.import(module, name, EntityType::Function(plain + 1 + at));
            calls.extend(std::iter::repeat_n(I::I32Const(0), *takes));
            calls.push(I::Call(at));
        }
        let consumer = format!("tidegate:channels/consumer@{}", self.version);
        let mut all: Vec<(String, u32, Vec<I<'_>>)> = vec![
            (format!("{consumer}#routes"), gives, vec![I::I32Const(ROUTES)]),
            (format!("{consumer}#handle"), handles, vec![I::Unreachable]),
            ("cabi_realloc".into(), allocates, vec![I::Unreachable]),
        ];
        all.extend(self.exports.iter().map(|name| ((*name).to_owned(), plain, Vec::new())));
        let declare = match &self.declare {
            None | Some(Declare::Bytes(_) | Declare::Zeros(_)) => vec![I::I32Const(DECLARED)],
            Some(Declare::Loop) => {
                vec![I::Loop(BlockType::Empty), I::Br(0), I::End, I::Unreachable]
            }
            Some(Declare::Trap) => vec![I::Unreachable],
        };
        all.extend(
            self.declared_as.iter().map(|name| ((*name).to_owned(), gives, declare.clone())),
        );
        all.push((CALLS.into(), plain, calls));
        self.encode(&types, &imports, &all)
    }

    fn encode(
        &self,
        types: &TypeSection,
        imports: &ImportSection,
        all: &[(String, u32, Vec<I<'_>>)],
    ) -> Vec<u8> {
        let (mut functions, mut code) = (FunctionSection::new(), CodeSection::new());
        let mut exports = ExportSection::new();
        exports.export("memory", ExportKind::Memory, 0);
        for ((name, kind, body), at) in all.iter().zip(imports.len()..) {
            functions.function(*kind);
            if name != CALLS {
                exports.export(name, ExportKind::Func, at);
            }
            let mut function = Function::new([]);
            for instruction in body {
                function.instruction(instruction);
            }
            function.instruction(&I::End);
            code.function(&function);
        }
        let mut memories = MemorySection::new();
        memories.memory(MemoryType {
            minimum: PAGES,
            maximum: None,
            memory64: false,
            shared: false,
            page_size_log2: None,
        });
        let mut module = Module::new();
        module.section(types).section(imports).section(&functions).section(&memories);
        module.section(&exports).section(&code).section(&self.data());
        module.finish()
    }

    fn data(&self) -> DataSection {
        let mut data = DataSection::new();
        let mut put = |at: u32, bytes: &[u8]| {
            let at = ConstExpr::i32_const(i32::try_from(at).unwrap());
            data.active(0, &at, bytes.iter().copied());
        };
        ROUTES_DATA.iter().for_each(|(at, bytes)| put(*at, bytes));
        let (bytes, length) = match &self.declare {
            Some(Declare::Bytes(bytes)) => (&bytes[..], u32::try_from(bytes.len()).unwrap()),
            Some(Declare::Zeros(length)) => (&[][..], *length),
            _ => (&[][..], 0),
        };
        put(DECLARED.unsigned_abs(), &DECLARED_BYTES.to_le_bytes());
        put(DECLARED.unsigned_abs() + 4, &length.to_le_bytes());
        put(DECLARED_BYTES, bytes);
        data
    }
}
