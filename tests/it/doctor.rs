//! `tidegate doctor` says what is missing and what to do, and leaves nothing behind.

use std::{
    collections::HashMap, fs, net::TcpListener, os::unix::fs::PermissionsExt as _, path::Path,
};

use serde::Deserialize;
use tests::{Process, native};

use crate::TIDEGATE;

#[derive(Debug, Deserialize)]
struct Check {
    name: String,
    level: String,
    found: String,
    fix: Option<String>,
}

/// What it finds, by name, and its exit status. The admin port is one where nobody is.
async fn doctor(
    directory: &Path,
    arguments: &[&str],
    variables: &[(&str, &str)],
) -> (HashMap<String, Check>, i32) {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let mut all = vec!["doctor", "--json"];
    all.extend(arguments);
    if !arguments.contains(&"--admin") {
        all.extend(["--admin", &nobody]);
    }
    if !arguments.contains(&"--listen") {
        all.extend(["--listen", "127.0.0.1:0"]);
    }
    let mut command = native(directory, TIDEGATE, &all);
    command.envs(variables.iter().copied()).kill_on_drop(true);
    let output = command.output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let checks: Vec<Check> = serde_json::from_slice(&output.stdout).expect(&said);
    let by_name = checks.into_iter().map(|check| (check.name.clone(), check)).collect();
    (by_name, output.status.code().unwrap())
}

fn assert_check(checks: &HashMap<String, Check>, name: &str, level: &str, found: &str, fix: &str) {
    let check = checks.get(name).unwrap_or_else(|| panic!("no {name} in {checks:?}"));
    assert_eq!(check.level, level, "{check:?}");
    assert!(check.found.contains(found), "{check:?}");
    assert_eq!(check.fix.is_none(), level == "ok", "{check:?}");
    assert!(check.fix.as_deref().unwrap_or_default().contains(fix), "{check:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_can_serve_is_told_so_and_nothing_is_made() {
    let directory = tempfile::tempdir().unwrap();
    let (checks, status) = doctor(directory.path(), &["serve"], &[]).await;
    for (name, found) in [
        ("clock", "20"),
        ("settings", "0 modules"),
        ("pool", "instances for"),
        ("data directory", "made at the first start"),
        ("admin token", "none yet"),
        ("host", "none serves"),
        ("listen", "127.0.0.1:0 is free"),
        ("admin port", "is free"),
    ] {
        assert_check(&checks, name, "ok", found, "");
    }
    assert_eq!(status, 0, "{checks:?}");
    assert!(!checks.contains_key("rustc"), "only serving was asked for");
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_keeps_a_host_from_serving_has_a_fix_and_status_6() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let data = path.join("data");
    fs::create_dir(&data).unwrap();
    let token = data.join("admin-token");
    fs::write(&token, "secret").unwrap();
    fs::set_permissions(&token, fs::Permissions::from_mode(0o644)).unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = taken.local_addr().unwrap().to_string();
    let arguments = ["serve", "--data-dir", data.to_str().unwrap(), "--listen", &listen];
    let (checks, status) = doctor(path, &arguments, &[]).await;
    assert_eq!(status, 6);
    assert_check(&checks, "admin token", "fail", "mode 644", "chmod 600");
    assert_check(&checks, "listen", "fail", "Address already in use", "--listen");
    fs::write(path.join("file"), "").unwrap();
    let (checks, status) = doctor(path, &["serve", "--data-dir", "file/data"], &[]).await;
    assert_eq!(status, 6);
    assert_check(&checks, "data directory", "fail", "cannot write in file", "--data-dir");
    let (checks, status) = doctor(path, &["serve"], &[("TIDEGATE_SLOTS", "0")]).await;
    assert_eq!(status, 6);
    assert_check(&checks, "settings", "fail", "slots: 0 lets nothing pass", "docs/settings.md");
}

#[tokio::test(flavor = "multi_thread")]
async fn ports_that_a_host_of_this_machine_holds_are_no_fault() {
    let directory = tempfile::tempdir().unwrap();
    let host = Process::serve(TIDEGATE, &[]).await;
    let (listen, admin) = (host.address.to_string(), host.admin.to_string());
    let arguments = ["serve", "--listen", &listen, "--admin", &admin];
    let (checks, status) = doctor(directory.path(), &arguments, &[]).await;
    assert_eq!(status, 0, "{checks:?}");
    assert_check(&checks, "listen", "ok", "a host serves here", "");
    assert_check(&checks, "host", "warn", "there is no token for it here", "--data-dir");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_building_lacks_is_told_with_what_to_install() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let (checks, status) = doctor(path, &["build"], &[("RUSTC", "/nowhere/rustc")]).await;
    assert_eq!(status, 6);
    assert_check(&checks, "rustc", "fail", "/nowhere/rustc", "rustup");
    assert_check(&checks, "sdk", "ok", "guest-sdk", "");
    let linker = ("CARGO_TARGET_WASM32_WASIP2_LINKER", "/nowhere/ld");
    // So that it takes the target as there.
    let build_std = ("CARGO_UNSTABLE_BUILD_STD", "std");
    let (checks, status) = doctor(path, &["build"], &[linker, build_std]).await;
    assert_eq!(status, 6);
    assert_check(&checks, "wasm linker", "fail", "/nowhere/ld is not a program", "unset it");
    // One that has the library of the older target only.
    let rustc = path.join("rustc");
    let script = format!(
        "#!/bin/sh\ncase $* in *libdir*wasip1) echo {0} ;; *libdir*) echo {0}/none ;; *sysroot*) echo / ;; \
         *) echo rustc 1.94.0 ;; esac\n",
        path.display()
    );
    fs::write(&rustc, script).unwrap();
    fs::set_permissions(&rustc, fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(path.join("libstd-0.rlib"), "").unwrap();
    let (checks, _) = doctor(path, &["build"], &[("RUSTC", rustc.to_str().unwrap())]).await;
    assert_check(&checks, "target", "ok", "wasm32-wasip1: the host makes a component of it", "");
    assert_check(&checks, "rustc", "fail", "rustc 1.94.0", "1.95 or later");
    let (checks, _) = doctor(path, &["build"], &[("CARGO", "/nowhere/cargo")]).await;
    assert_check(&checks, "cargo", "fail", "cannot run /nowhere/cargo", "CARGO");
}
