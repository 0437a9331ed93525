//! The admin API: what is deployed, and how that is changed.

mod changes;
mod connections;
mod data;
pub(crate) mod dead_letters;
mod messages;
pub(crate) mod open_connections;
mod openapi;
mod page;
mod records;
mod refusals;
mod restarts;
mod settings;
pub(crate) mod tokens;
pub(crate) mod wasip1;

use std::path::PathBuf;

use serde_json::Value;
use tests::{Admin, guest};

/// All that a deployment of a module `v` could have changed.
pub(crate) async fn state(api: &Admin) -> Value {
    let mut all = Vec::new();
    for path in ["modules", "modules/v", "routes", "nodes"] {
        all.push(api.done("GET", path, "").await);
    }
    // A client that was answered may not have left yet.
    let nodes = all.last_mut().and_then(|it| it.get_mut("nodes")).and_then(Value::as_array_mut);
    for node in nodes.into_iter().flatten().filter_map(Value::as_object_mut) {
        node.remove("connections").expect("a node says how many connections it has");
    }
    Value::Array(all)
}

/// Version `number` of a guest that says its number, as a file of its own.
pub(crate) fn versioned(name: &str, number: u32) -> Vec<u8> {
    let mut wasm = std::fs::read(guest(name)).unwrap();
    let marker = b"version=00000001";
    let at = wasm.windows(marker.len()).position(|bytes| bytes == marker).unwrap();
    let digits = format!("{number:08}");
    let places = wasm.iter_mut().skip(at + marker.len() - digits.len());
    places.zip(digits.bytes()).for_each(|(place, digit)| *place = digit);
    wasm
}

/// The same, written down.
pub(crate) fn written(directory: &std::path::Path, name: &str, number: u32) -> PathBuf {
    let path = directory.join(format!("{name}-{number}.wasm"));
    std::fs::write(&path, versioned(name, number)).unwrap();
    path
}
