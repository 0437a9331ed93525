//! The floors of `host/src`: a module knows lower floors only, and a library is named where it
//! belongs.

use std::{
    collections::{BTreeMap, BTreeSet},
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
    ("whole_file", 0),
    ("auth", 1),
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
    ("wasmtime_wasi_http", &["engine"]),
    ("reqwest", &["capability", "telemetry"]),
    ("rustls_native_certs", &["capability", "telemetry"]),
    ("opentelemetry", &["telemetry"]),
    ("opentelemetry_http", &["telemetry"]),
    ("opentelemetry_otlp", &["telemetry"]),
    ("opentelemetry_sdk", &["telemetry"]),
    ("wasmparser", &["engine"]),
    ("wit_component", &["engine"]),
    ("hyper", &["interface", "admin"]),
    ("tokio_tungstenite", &["interface"]),
    ("deadpool", &["redis"]),
    ("deadpool_redis", &["redis"]),
    ("prometheus_client", &["telemetry", "interface"]),
    ("redb", &["capability"]),
    ("quick_cache", &["auth"]),
    ("flate2", &["auth"]),
    ("ring", &["auth", "capability", "cli", "interface", "telemetry"]),
    ("minisign", &["cli", "registry"]),
    ("oci_client", &["cli"]),
    ("docker_credential", &["cli"]),
    ("croner", &["capability"]),
    ("jiff", &["auth", "capability"]),
    // The OpenAPI document is made of the types where they are declared.
    ("utoipa", &["admin", "registry", "routing"]),
    ("rustix", &["engine", "telemetry", "worker", "cli"]),
    ("anyhow", &["cli"]),
    ("clap", &["cli", "main"]),
    ("clap_complete", &["cli"]),
    ("clap_mangen", &["cli"]),
    ("sd_notify", &["cli"]),
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
            let is_word =
                |at: usize| !text[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
            let path = format!("{library}::");
            let named = text.match_indices(&path).any(|(at, _)| is_word(at));
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

/// Files of one room that import each other. This list only gets shorter: a change that would add a pair
/// moves the items that both need into a file of their own.
const CIRCLES: &[(&str, &str)] = &[
    ("engine/convert", "engine/instance"),
    ("engine/fault", "engine/limits"),
    ("engine/instance", "engine/program"),
    ("engine/program", "engine/routes"),
];

/// The modules of the crate, by path such as `engine/limits`: what each has without its tests.
fn modules(root: &Path) -> BTreeMap<String, String> {
    let mut files = Vec::new();
    sources(root, &mut files);
    let module = |path: &PathBuf| {
        let relative = path.strip_prefix(root).unwrap().with_extension("");
        let name = relative.to_str().unwrap();
        let name = name.strip_suffix("/mod").unwrap_or(name).to_owned();
        let text = fs::read_to_string(path).unwrap();
        let code = text.split("#[cfg(test)]\nmod ").next().unwrap();
        let code = code.lines().map(|line| line.split("//").next().unwrap());
        (name, code.collect::<Vec<_>>().join("\n"))
    };
    files.iter().map(module).collect()
}

/// The paths that a tree of imports names, as `{a::{b, c}, d}` names `a::b`, `a::c` and `d`.
fn expand(prefix: &str, tree: &str, into: &mut Vec<String>) {
    let (mut depth, mut part) = (0, String::new());
    for c in tree.chars().chain([',']) {
        match c {
            ',' if depth == 0 => {
                let path = part.trim();
                match path.split_once('{') {
                    Some((head, rest)) => {
                        let inner = rest.rsplit_once('}').map_or(rest, |(inner, _)| inner);
                        expand(&format!("{prefix}{}", head.trim()), inner, into);
                    }
                    None if path.is_empty() => {}
                    None => {
                        let name = path.split(" as ").next().unwrap();
                        into.push(format!("{prefix}{}", name.trim()));
                    }
                }
                part.clear();
            }
            _ => {
                depth += i32::from(c == '{') - i32::from(c == '}');
                part.push(c);
            }
        }
    }
}

/// The paths that a file imports. What it hands on with `pub use` is not for itself.
fn imports(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    for statement in code.split(';') {
        let Some(at) = statement.rfind("use ") else { continue };
        let before = statement[..at].trim_end();
        if before.is_empty() || before.ends_with(['}', ']', '{']) {
            expand("", &statement[at + "use ".len()..], &mut found);
        }
    }
    found
}

/// The file that a path leads to, past names that a room hands on.
fn target(modules: &BTreeMap<String, String>, from: &str, path: &str) -> Option<String> {
    let mut names = path.split("::").peekable();
    let mut place: Vec<&str> = from.split('/').collect();
    match *names.peek()? {
        "crate" => place.clear(),
        "super" => {}
        "self" => {}
        _ => return None,
    }
    while let Some(name) = names.next_if(|name| ["crate", "super", "self"].contains(name)) {
        if name == "super" {
            place.pop();
        }
    }
    while let Some(name) = names.peek() {
        let deeper = [place.as_slice(), &[name]].concat();
        if !modules.contains_key(&deeper.join("/")) {
            break;
        }
        place = deeper;
        names.next();
    }
    let place = place.join("/");
    let handed_on = names.next().and_then(|name| handed_on(modules, &place, name));
    Some(handed_on.unwrap_or(place))
}

/// The file below a room whose name the room hands on.
fn handed_on(modules: &BTreeMap<String, String>, room: &str, name: &str) -> Option<String> {
    let mut paths = Vec::new();
    for statement in modules.get(room)?.split(';') {
        let Some(at) = statement.rfind("use ") else { continue };
        if statement[..at].trim_end().rsplit('\n').next().unwrap_or("").trim().starts_with("pub") {
            expand("", &statement[at + "use ".len()..], &mut paths);
        }
    }
    let path = paths.iter().find(|path| path.rsplit("::").next() == Some(name))?;
    let file = format!("{room}/{}", path.trim_start_matches("self::").split("::").next()?);
    modules.contains_key(&file).then_some(file)
}

#[test]
fn no_two_files_of_a_room_import_each_other_but_those_that_are_listed() {
    let modules = modules(&tests::root().join("host/src"));
    let room = |module: &str| module.split('/').next().unwrap().to_owned();
    let mut edges = BTreeSet::new();
    for (from, code) in &modules {
        for path in imports(code) {
            let Some(to) = target(&modules, from, &path) else { continue };
            if to != *from && room(&to) == room(from) && modules.contains_key(&to) {
                edges.insert((from.clone(), to));
            }
        }
    }
    let back = |(a, b): &&(String, String)| a < b && edges.contains(&(b.clone(), a.clone()));
    let circles: BTreeSet<_> =
        edges.iter().filter(back).map(|(a, b)| (a.as_str(), b.as_str())).collect();
    let listed = BTreeSet::from_iter(CIRCLES.iter().copied());
    let added: Vec<_> = circles.difference(&listed).collect();
    assert!(added.is_empty(), "these import each other: {added:?}");
    let undone: Vec<_> = listed.difference(&circles).collect();
    assert!(undone.is_empty(), "these do not any more, take them off the list: {undone:?}");
}

#[test]
fn imports_are_followed_through_trees_and_rooms() {
    let modules = BTreeMap::from([
        ("a".to_owned(), "mod b;\nmod c;\npub use b::{Kept, Name};\n".to_owned()),
        ("a/b".to_owned(), "use super::{c::{self, Other}, d};\nuse crate::x;\n".to_owned()),
        ("a/c".to_owned(), "use std::fmt;\nuse super::Name;\n".to_owned()),
    ]);
    let of = |from: &str| {
        let paths = imports(&modules[from]);
        paths.iter().filter_map(|path| target(&modules, from, path)).collect::<Vec<_>>()
    };
    assert_eq!(of("a/b"), ["a/c", "a/c", "a", ""]);
    assert_eq!(of("a/c"), ["a/b"]);
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
