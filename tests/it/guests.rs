//! Guests without an SDK: the module in C of `docs/guests.md`, as it stands there.

use std::{fs, path::Path, process::Command};

use tests::{Host, root};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// What stands in the page after `before`, in a block of such a language.
fn block<'a>(page: &'a str, before: &str, language: &str) -> &'a str {
    let (_, rest) = page.split_once(before).unwrap();
    let (_, rest) = rest.split_once(&format!("```{language}\n")).unwrap();
    rest.split_once("\n```").unwrap().0
}

/// Writes the types of the contract into a core module, as `wasm-tools component embed` does.
pub(crate) fn embed_types(wasm: &mut Vec<u8>) {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(root().join("wit")).unwrap();
    let world = resolve.select_world(&[package], Some("module")).unwrap();
    embed_component_metadata(wasm, &resolve, world, StringEncoding::UTF8, false).unwrap();
}

/// Compiles the C of the page with the command of the page, and writes the types of the contract into the file.
fn compile(directory: &Path) -> Vec<u8> {
    let page = fs::read_to_string(root().join("docs/guests.md")).unwrap();
    fs::write(directory.join("hello.c"), block(&page, "## In C, by hand", "c")).unwrap();
    let mut words = block(&page, "<!-- compile -->", "sh").split_ascii_whitespace();
    let done = Command::new(words.next().unwrap()).args(words).current_dir(directory).output();
    let done = done.expect("`scripts/setup tests` installs clang and lld");
    assert!(done.status.success(), "{done:?}");
    let mut wasm = fs::read(directory.join("hello.core.wasm")).unwrap();
    embed_types(&mut wasm);
    wasm
}

#[tokio::test(flavor = "multi_thread")]
async fn a_module_in_c_without_an_sdk_is_served_as_a_core_module_and_as_a_component() {
    let directory = tempfile::tempdir().unwrap();
    let core = compile(directory.path());
    let mut encoder = ComponentEncoder::default();
    let component = encoder.module(&core).unwrap().validate(true).encode().unwrap();
    for (name, wasm) in [("core", core), ("component", component)] {
        let file = directory.path().join(format!("{name}.wasm"));
        fs::write(&file, wasm).unwrap();
        // Instances run again, so what they do with their memory shows.
        let host = Host::builder().module("hello", &file).with("reuse = 100").start().await;
        for guest in ["Ada", "J%C3%BCrgen", &"x".repeat(2_000)] {
            for _ in 0..3 {
                let reply = host.get(&format!("/hello/{guest}")).await;
                assert_eq!(reply.status, 200, "{name}");
                assert_eq!(reply.header("content-type"), Some("text/plain; charset=utf-8"));
                let expected = match guest {
                    "J%C3%BCrgen" => "Hello, J\u{fc}rgen!\n".to_owned(),
                    // What the buffer of the guest has room for.
                    guest => format!("Hello, {}!\n", &guest[..guest.len().min(503)]),
                };
                assert_eq!(reply.text(), expected, "{name}");
            }
        }
        assert_eq!(host.get("/hello").await.status, 404);
        host.stop().await;
    }
}
