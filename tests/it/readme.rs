//! What the README prints compiles as printed, and answers.

use std::{fs, path::Path};

use tests::{Client, Process, root, run};

use crate::TIDEGATE;

/// The block of code after a marker.
fn block(readme: &str, file: &str) -> String {
    let marker = format!("<!-- first-consumer: {file} -->\n```");
    let (_, rest) = readme.split_once(&marker).unwrap_or_else(|| panic!("no {file} in README.md"));
    let (_, code) = rest.split_once('\n').unwrap();
    let (code, _) = code.split_once("\n```").unwrap();
    format!("{code}\n")
}

/// Builds a crate as the README says, with what `make` found to compile guests with.
async fn build(directory: &Path) {
    let target = std::env::var("CARGO_TARGET_DIR").unwrap_or_else(|_| "target".into());
    let target = root().join(target).join("guests");
    let root = root();
    let script = format!(
        "set -eu; env=$({root}/scripts/guest-env); eval \"$env\"; \
         export CARGO_TARGET_DIR={target}; unset RUSTFLAGS CARGO_ENCODED_RUSTFLAGS; \
         cargo build --offline --release --target wasm32-wasip2 >&2; \
         mkdir -p target/wasm32-wasip2/release; \
         cp {target}/wasm32-wasip2/release/hello.wasm target/wasm32-wasip2/release/",
        root = root.display(),
        target = target.display(),
    );
    let output = run("bash", directory, &["-c", &script]).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_consumer_compiles_as_printed_and_answers() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let directory = tempfile::tempdir().unwrap();
    // The README's paths: a crate beside the checkout.
    std::os::unix::fs::symlink(root(), directory.path().join("tidegate")).unwrap();
    let hello = directory.path().join("hello");
    fs::create_dir_all(hello.join("src")).unwrap();
    for file in ["Cargo.toml", "src/lib.rs"] {
        fs::write(hello.join(file), block(&readme, file)).unwrap();
    }
    // The versions that the examples were built with are on this machine already.
    fs::copy(root().join("examples/Cargo.lock"), hello.join("Cargo.lock")).unwrap();
    build(&hello).await;
    let module = format!("hello={}/target/wasm32-wasip2/release/hello.wasm", hello.display());
    let host = Process::serve(TIDEGATE, &["--module", &module]).await;
    let reply = Client::new(host.address).get("/hello/Ada").await;
    assert_eq!(reply.text(), "Hello, Ada!\n");
    assert!(readme.contains("It prints `Hello, Ada!`"));
}
