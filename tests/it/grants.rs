//! What a module may besides what every module may.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use serde_json::json;
use tests::Host;

/// Two directories, one with a way out.
fn directories(root: &Path) -> (String, String) {
    let (read, write) = (root.join("in"), root.join("out"));
    for directory in [&read, &write] {
        fs::create_dir(directory).unwrap();
    }
    fs::write(read.join("note"), "a note").unwrap();
    fs::write(root.join("secret"), "not for you").unwrap();
    std::os::unix::fs::symlink(root.join("secret"), read.join("way-out")).unwrap();
    (read.display().to_string(), write.display().to_string())
}

/// What the guest says of one thing.
async fn came(host: &Host, what: &str) -> String {
    let reply = host.get("/use").await;
    let start = format!("{what}: ");
    let line = reply.text().lines().find_map(|line| line.strip_prefix(&start));
    line.unwrap_or_else(|| panic!("{what}: {}", reply.text())).to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_grant_there_is_nothing_and_the_setting_is_named() {
    let host = Host::builder().guest("granted").start().await;
    let channel = came(&host, "channel").await;
    let line = "modules.granted.grants.channels = [\"others.work\"]";
    assert!(channel.contains(line), "{channel}");
    let group = came(&host, "group").await;
    assert!(group.contains("modules.granted.grants.groups = [\"others.all\"]"), "{group}");
    for what in ["MODE", "KEY", "read", "outside", "above", "change", "write"] {
        let told = came(&host, what).await;
        assert!(!["done", "a note", "not for you"].contains(&&*told), "{what}: {told}");
    }
    assert_eq!(host.sends_refused("granted"), 18);
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_granted_is_there_and_no_more() {
    let root = tempfile::tempdir().unwrap();
    let (read, write) = directories(root.path());
    let host = Host::builder()
        .guest("granted")
        .with("[modules.granted.grants]\nchannels = ['others.work']\ngroups = ['others.*']")
        .with(&format!("read = {{ '/in' = {read:?} }}\nwrite = {{ '/out' = {write:?} }}"))
        .with("environment = { MODE = 'test' }\nsecrets = { KEY = 'hush' }")
        .start()
        .await;
    for (what, expected) in [
        ("MODE", "test"),
        ("KEY", "hush"),
        ("read", "a note"),
        ("write", "done"),
        ("channel", "done"),
        ("group", "done"),
    ] {
        assert_eq!(came(&host, what).await, expected, "{what}");
    }
    for what in ["outside", "above", "change"] {
        let told = came(&host, what).await;
        assert!(told != "done" && told != "not for you", "{what}: {told}");
    }
    assert_eq!(fs::read_to_string(format!("{write}/note")).unwrap(), "written");
    assert_eq!(fs::read_to_string(format!("{read}/note")).unwrap(), "a note");
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_kept_and_never_shown() {
    let directory = tempfile::tempdir().unwrap();
    let host = Host::builder().data_dir(directory.path()).guest("granted").start().await;
    let api = host.admin();
    let path = "modules/granted/settings";
    let settings = json!({"grants": {"secrets": {"KEY": "hush"}}}).to_string();
    let shown = json!({"grants": {"secrets": {"KEY": null}}});
    assert_eq!(api.done("PUT", path, settings).await, shown);
    assert_eq!(api.done("GET", path, "").await, shown);
    assert_eq!(api.module("granted").await["settings"], shown);
    assert_eq!(came(&host, "KEY").await, "hush");
    let more = json!({"reuse": 2, "grants": {"secrets": {"KEY": null}}}).to_string();
    api.done("PUT", path, more).await;
    let unknown = json!({"grants": {"secrets": {"OTHER": null}}}).to_string();
    let (status, _, detail) = api.refused("PUT", path, unknown).await;
    assert_eq!(status, 422);
    assert!(detail.contains("OTHER has no value, and none is kept"), "{detail}");
    let version = format!("{:?}", host.version("granted"));
    assert!(version.contains("KEY") && !version.contains("hush"), "{version}");
    host.stop().await;
    let modules = directory.path().join("modules");
    assert_eq!(fs::metadata(&modules).unwrap().permissions().mode() & 0o077, 0);
    let host = Host::builder().data_dir(directory.path()).start().await;
    assert_eq!(came(&host, "KEY").await, "hush", "kept over a restart");
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_that_cannot_be_is_refused() {
    let host = Host::builder().guest("granted").start().await;
    let api = host.admin();
    for (grants, reason) in [
        (json!({"read": {"/in": "/nowhere"}}), "/nowhere is not a directory"),
        (json!({"write": {"in": "/tmp"}}), "not an absolute path"),
        (json!({"channels": ["http.request.x"]}), "granted to nobody"),
        (json!({"channels": ["a b"]}), "is not one of"),
        (json!({"groups": ["oth*"]}), "behind a dot"),
        (json!({"environment": {"A=B": "c"}}), "is not the name of a variable"),
        (json!({"network": true}), "there is no setting `network`"),
    ] {
        let body = json!({"grants": grants}).to_string();
        let (status, code, detail) = api.refused("PUT", "modules/granted/settings", body).await;
        assert_eq!((status, &*code), (422, "settings"), "{detail}");
        assert!(detail.contains(reason), "{detail}");
    }
    host.stop().await;
}
