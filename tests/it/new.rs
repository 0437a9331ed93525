//! `tidegate new` and `tidegate build`: what they make compiles as made, passes its tests and serves.

use std::{fs, path::Path, process::Output};

use serde::Deserialize;
use tests::{Client, Process, Socket, compiling, lock, native, run};
use tokio::process::Command;

use crate::TIDEGATE;

async fn output(mut command: Command) -> Output {
    command.kill_on_drop(true).output().await.unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// What is read of what `build --json` prints.
#[derive(Deserialize)]
struct Built {
    file: String,
    bytes: u64,
}

/// Makes a crate, runs its tests, builds it and serves it.
async fn generated(directory: &Path, name: &str, template: &str) -> Process {
    let made = run(TIDEGATE, directory, &["new", name, "--template", template]).await;
    assert!(made.status.success(), "{}", text(&made.stderr));
    assert!(text(&made.stdout).contains("tidegate dev"), "it says what is next");
    let path = directory.join(name);
    lock(&path);
    let tested = output(native(&path, "cargo", &["test"])).await;
    assert!(tested.status.success(), "{}{}", text(&tested.stdout), text(&tested.stderr));
    assert!(!text(&tested.stderr).contains("warning"), "{}", text(&tested.stderr));
    let built = output(compiling(&path, TIDEGATE, &["build", "--json"])).await;
    assert!(built.status.success(), "{}", text(&built.stderr));
    let Built { file, bytes } = serde_json::from_slice(&built.stdout).unwrap();
    assert_eq!(bytes, fs::metadata(&file).unwrap().len());
    Process::serve(TIDEGATE, &["--module", &format!("{name}={file}")]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_http_template_compiles_passes_its_test_and_answers() {
    let directory = tempfile::tempdir().unwrap();
    let host = generated(directory.path(), "new-http", "http").await;
    let client = Client::new(host.address);
    assert_eq!(client.get("/new-http/Ada").await.text(), "Hello, Ada!\n");
    let json = [("content-type", "application/json")];
    let reply = client.request("POST", "/new-http", &json, r#"{"name":"Ada"}"#).await;
    assert_eq!(reply.text(), r#"{"text":"Hello, Ada!"}"#);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_websocket_template_compiles_passes_its_test_and_answers() {
    let directory = tempfile::tempdir().unwrap();
    let host = generated(directory.path(), "new-websocket", "websocket").await;
    let page = Client::new(host.address).get("/new-websocket").await;
    assert!(page.text().contains("<title>new-websocket</title>"), "{}", page.text());
    let mut socket = Socket::open(host.address, "/new-websocket/socket").await;
    socket.send("ahoy").await;
    assert_eq!(socket.text().await, "1: you said ahoy");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_channel_template_compiles_passes_its_test_and_answers() {
    let directory = tempfile::tempdir().unwrap();
    let host = generated(directory.path(), "new-channel", "channel").await;
    let json = [("content-type", "application/json")];
    let client = Client::new(host.address);
    let reply = client.request("POST", "/new-channel", &json, r#"{"text":"high water"}"#).await;
    assert_eq!((reply.status, reply.text()), (202, "it will be done\n"));
}

/// Runs a command that must fail: its status, and what it says.
async fn refused(command: Command) -> (i32, String) {
    let output = output(command).await;
    assert!(output.stdout.is_empty(), "nothing is printed as if it had been done");
    (output.status.code().unwrap(), text(&output.stderr).to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_there_and_what_is_no_name_are_refused_and_nothing_is_made() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    fs::create_dir(path.join("tide")).unwrap();
    for (arguments, status, expected) in [
        (&["new", "tide"][..], 9, "tide is there already"),
        (&["new", "other", "--path", "tide"], 9, "tide is there already"),
        (&["new", "Tide"], 2, "'T' at byte 0 is not one of a-z 0-9 -"),
        (&["new", "../tide"], 2, "is not one of a-z 0-9 -"),
        (&["new", "fn"], 2, "try fn-module"),
        (&["new", "tide-2", "--template", "https"], 2, "'http'"),
    ] {
        let (code, said) = refused(native(path, TIDEGATE, arguments)).await;
        assert_eq!(code, status, "{said}");
        assert!(said.contains(expected), "{said}");
    }
    assert_eq!(fs::read_dir(path).unwrap().count(), 1);
    assert_eq!(fs::read_dir(path.join("tide")).unwrap().count(), 0);
}

/// Writes a workspace whose members are crates without code.
fn workspace(path: &Path, members: &[(&str, &str)]) {
    let names: Vec<_> = members.iter().map(|(name, _)| *name).collect();
    fs::write(path.join("Cargo.toml"), format!("[workspace]\nmembers = {names:?}\n")).unwrap();
    for (name, lib) in members {
        let directory = path.join(name);
        fs::create_dir_all(directory.join("src")).unwrap();
        fs::write(directory.join("src/lib.rs"), "pub fn nothing() {}\n").unwrap();
        let manifest = format!("[package]\nname = {name:?}\nedition = \"2024\"\n[lib]\n{lib}\n");
        fs::write(directory.join("Cargo.toml"), manifest).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workspace_with_several_modules_says_which_to_name() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let module = "crate-type = [\"cdylib\"]";
    workspace(path, &[("ebb", module), ("flow", module), ("plain", "")]);
    let build = async |at: &Path, more: &[&str]| {
        refused(native(at, TIDEGATE, &[&["build"], more].concat())).await
    };
    let (status, said) = build(path, &[]).await;
    assert_eq!(status, 9);
    assert!(said.contains("ebb, flow make modules; name one with --package"), "{said}");
    let (_, said) = build(&path.join("plain"), &[]).await;
    assert!(said.contains("ebb, flow make modules"), "{said}");
    let (_, said) = build(path, &["--package", "plain"]).await;
    assert!(said.contains("no crate with the name plain makes a module; there is ebb"), "{said}");
    // In the directory of one of them it is that one; nothing comes of an argument that cargo lacks.
    let wrong = ["--", "--no-such-flag"];
    let (status, said) =
        refused(compiling(&path.join("flow/src"), TIDEGATE, &[&["build"][..], &wrong].concat()))
            .await;
    assert_eq!(status, 9);
    assert!(said.contains("no-such-flag") && said.contains("flow does not compile"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_crate_and_what_makes_no_module_are_named() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let (status, said) = refused(native(path, TIDEGATE, &["build"])).await;
    assert_eq!(status, 9);
    assert!(said.contains("could not find `Cargo.toml`"), "{said}");
    let (status, said) = refused(native(path, TIDEGATE, &["build", "--path", "nowhere"])).await;
    assert_eq!(status, 9);
    assert!(said.contains("nowhere: there is no such directory"), "{said}");
    workspace(path, &[("plain", "")]);
    let (status, said) = refused(native(path, TIDEGATE, &["build"])).await;
    assert_eq!(status, 9);
    assert!(said.contains("crate-type = [\"cdylib\"]"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_target_is_told_with_the_command_that_adds_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    workspace(path, &[("tide", "crate-type = [\"cdylib\"]")]);
    // A rustc without any library; the first as if it were rustup's.
    for (sysroot, expected) in [
        ("/home/ann/.rustup/toolchains/stable", "run `rustup target add wasm32-wasip2`"),
        ("/usr", "is not rustup's: install the standard library that goes with it"),
    ] {
        let rustc = path.join("rustc");
        let script = format!(
            "#!/bin/sh\ncase $* in *sysroot*) echo {sysroot} ;; *libdir*) echo {sysroot}/none ;; \
             *) echo rustc 1.95.0 ;; esac\n"
        );
        fs::write(&rustc, script).unwrap();
        let mut executable = fs::metadata(&rustc).unwrap().permissions();
        std::os::unix::fs::PermissionsExt::set_mode(&mut executable, 0o755);
        fs::set_permissions(&rustc, executable).unwrap();
        let mut command = native(path, TIDEGATE, &["build"]);
        command.env("RUSTC", &rustc);
        let (status, said) = refused(command).await;
        assert_eq!(status, 6);
        assert!(said.contains("rustc 1.95.0 has no standard library for wasm32-wasip2"), "{said}");
        assert!(said.contains(expected), "{said}");
    }
    let mut command = native(path, TIDEGATE, &["build"]);
    command.env("RUSTC", path.join("nowhere"));
    let (status, said) = refused(command).await;
    assert_eq!(status, 6);
    assert!(said.contains("install Rust"), "{said}");
}
