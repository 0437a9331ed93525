//! The floors of `host/src`: a module knows lower floors only, and a library is named where it
//! belongs.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Folder or file of `host/src`, its floor, and modules of its own floor that it may know.
const FLOORS: &[(&str, u8)] = &[
    ("message", 0),
    ("outage", 0),
    ("redis", 0),
    ("setting", 0),
    ("shutdown", 0),
    ("telemetry", 0),
    ("capability", 1),
    ("layer", 1),
    ("routing", 1),
    ("engine", 2),
    ("registry", 3),
    ("interface", 4),
    ("worker", 4),
    ("admin", 5),
    ("config", 6),
    ("app", 7),
    ("cli", 8),
];

/// Libraries, and the only modules that may name them.
const LIBRARIES: &[(&str, &[&str])] = &[
    ("wasmtime", &["engine"]),
    ("wasmtime_wasi", &["engine"]),
    ("wasmparser", &["engine"]),
    ("wit_component", &["engine"]),
    ("hyper", &["interface", "admin"]),
    ("tokio_tungstenite", &["interface"]),
    ("deadpool", &["redis"]),
    ("deadpool_redis", &["redis"]),
    ("anyhow", &["cli"]),
    ("clap", &["cli", "main"]),
    ("toml", &["config", "cli"]),
];

/// Modules that do no I/O and know no runtime.
const PURE: &[&str] = &["message", "routing"];

const LONGEST_FILE: usize = 800;

fn sources(directory: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push(path);
        }
    }
}

fn floor(module: &str) -> Option<u8> {
    FLOORS.iter().find(|(name, _)| *name == module).map(|(_, floor)| *floor)
}

/// The modules of the crate that a line names, also within `crate::{a::..., b}` over many lines.
fn crate_modules(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices("crate::") {
        let line = text[..at].matches('\n').count() + 1;
        let rest = &text[at + "crate::".len()..];
        if let Some(list) = rest.strip_prefix('{') {
            let mut depth = 0;
            let mut word = String::new();
            for c in list.chars() {
                match c {
                    '{' => depth += 1,
                    '}' if depth == 0 => break,
                    '}' => depth -= 1,
                    _ => {}
                }
                if depth == 0 && (c.is_alphanumeric() || c == '_') {
                    word.push(c);
                } else if !word.is_empty() {
                    found.push((line, std::mem::take(&mut word)));
                }
            }
            found.extend((!word.is_empty()).then_some((line, word)));
        } else {
            let word: String =
                rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            found.push((line, word));
        }
    }
    found
}

#[test]
fn a_module_knows_lower_floors_only() {
    let root = tests::root().join("host/src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    let mut wrong = Vec::new();
    for path in files {
        let relative = path.strip_prefix(&root).unwrap();
        let shown = relative.display();
        let first = relative.iter().next().unwrap().to_str().unwrap();
        let module = first.strip_suffix(".rs").unwrap_or(first);
        let text = fs::read_to_string(&path).unwrap();
        if !text.starts_with("//!") {
            wrong.push(format!("{shown}: begins with what it is for (//!)"));
        }
        if text.lines().count() > LONGEST_FILE {
            wrong.push(format!("{shown}: more than {LONGEST_FILE} lines; divide it"));
        }
        for (library, allowed) in LIBRARIES {
            let named = text.contains(&format!("{library}::"));
            if named && !allowed.contains(&module) {
                wrong.push(format!("{shown}: names {library}; only {allowed:?} may"));
            }
        }
        if PURE.contains(&module) && text.contains("tokio::") {
            wrong.push(format!("{shown}: names tokio; {module} does no I/O"));
        }
        if text.contains("tokio::spawn(") {
            wrong.push(format!("{shown}: spawns; only Drain does"));
        }
        let Some(own) = floor(module) else {
            let known = ["lib", "main"].contains(&module);
            if !known {
                wrong.push(format!("{shown}: has no floor; give it one in tests/it/floors.rs"));
            }
            continue;
        };
        for (line, named) in crate_modules(&text) {
            let Some(other) = floor(&named) else { continue };
            if named != module && other >= own && (own > 0 || other > 0) {
                wrong.push(format!(
                    "{shown}:{line}: {module} [{own}] knows {named} [{other}]: move the type down"
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_scan_finds_names_in_lists_and_alone() {
    let text =
        "use crate::{\n    layer::{A, B},\n    message::C,\n};\nfn f() { crate::worker::g() }";
    let found = crate_modules(text);
    let names: Vec<_> = found.iter().map(|(_, name)| name.as_str()).collect();
    for name in ["layer", "message", "worker"] {
        assert!(names.contains(&name), "{names:?}");
    }
}

#[test]
fn host_and_sdk_do_not_know_each_other() {
    let manifest = |path: &str| fs::read_to_string(tests::root().join(path)).unwrap();
    assert!(!manifest("host/Cargo.toml").contains("tidegate-sdk"));
    let sdk = manifest("guest-sdk/Cargo.toml");
    assert!(
        !sdk.lines().any(|line| line.starts_with("tidegate =") || line.starts_with("tidegate."))
    );
}
