//! What `make dist` makes: the package for Debian, the archive for others, and the units of systemd.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    process::{Command, Output},
};

use tempfile::TempDir;

use crate::TIDEGATE;

/// Files that come into being with the user of the service, and stay.
const OF_USERS: [&str; 6] =
    ["etc/.pwd.lock", "etc/group", "etc/gshadow", "etc/passwd", "etc/shadow", "etc/subuid"];

fn text(output: &Output) -> String {
    let all = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    String::from_utf8_lossy(&all).into_owned()
}

/// Runs a program that must succeed, and returns what it printed.
fn succeeds(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let said = text(&output);
    assert!(output.status.success(), "{command:?}: {said}");
    said
}

/// Packs the host under test.
fn packed() -> Option<TempDir> {
    for tool in ["dpkg-deb", "dpkg-shlibdeps", "lintian"] {
        tests::program(tool)?;
    }
    let directory = tempfile::tempdir().unwrap();
    let mut dist = Command::new(tests::root().join("scripts/dist"));
    dist.args(["--binary", TIDEGATE, "--out"]).arg(directory.path());
    // The host under test is large, and nobody keeps the packages.
    dist.env("DPKG_DEB_COMPRESSOR_TYPE", "gzip").env("DPKG_DEB_COMPRESSOR_LEVEL", "1");
    dist.env("DIST_GZIP", "--fast").env("CARGO_NET_OFFLINE", "true");
    succeeds(&mut dist);
    Some(directory)
}

fn file_with_end(directory: &Path, end: &str) -> PathBuf {
    let files = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let found: Vec<_> = files.filter(|path| path.to_str().unwrap().ends_with(end)).collect();
    let [file] = found.as_slice() else { panic!("{found:?}") };
    file.clone()
}

/// A file system in which nothing is installed, with `/lib` as Debian has it.
fn empty_system() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    for path in ["etc", "usr/lib", "var/lib/dpkg/info", "var/lib/dpkg/updates"] {
        fs::create_dir_all(root.join(path)).unwrap();
    }
    symlink("usr/lib", root.join("lib")).unwrap();
    fs::write(root.join("var/lib/dpkg/status"), "").unwrap();
    directory
}

/// Runs dpkg on that file system. Packages that ours depends on are those of this machine.
fn dpkg(root: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new("dpkg");
    command.arg("--root").arg(root).args([
        "--force-script-chrootless",
        "--force-depends",
        "--log=/dev/null",
    ]);
    succeeds(command.args(arguments))
}

/// The files below a directory, but those of dpkg itself.
fn files(root: &Path) -> Vec<String> {
    let mut command = Command::new("find");
    command.args([
        ".",
        "-path",
        "./var/lib/dpkg",
        "-prune",
        "-o",
        "(",
        "-type",
        "f",
        "-o",
        "-type",
        "l",
        ")",
    ]);
    let found = succeeds(command.args(["-printf", "%P\n"]).current_dir(root));
    let mut files: Vec<_> = found.lines().map(str::to_owned).collect();
    files.sort();
    files
}

#[test]
fn the_package_for_debian_installs_what_works_and_leaves_nothing() {
    let Some(packed) = packed() else { return };
    let package = file_with_end(packed.path(), ".deb");
    let package = package.to_str().unwrap();
    let lintian = ["--allow-root", "--fail-on", "error,warning", package];
    succeeds(Command::new("lintian").args(lintian));
    let system = empty_system();
    let root = system.path();
    dpkg(root, &["--install", package]);

    let version = |program: &Path| succeeds(Command::new(program).arg("--version"));
    assert_eq!(version(&root.join("usr/bin/tidegate")), version(Path::new(TIDEGATE)));
    assert!(fs::read_to_string(root.join("etc/passwd")).unwrap().contains("tidegate:"));
    let installed = files(root);
    for file in [
        "etc/systemd/system/multi-user.target.wants/tidegate.service",
        "etc/systemd/system/sockets.target.wants/tidegate.socket",
        "usr/share/bash-completion/completions/tidegate",
        "usr/share/doc/tidegate/operations.md",
        "usr/share/man/man1/tidegate.1.gz",
        "usr/share/man/man1/tidegate-deploy.1.gz",
    ] {
        assert!(installed.iter().any(|it| it == file), "{file} is not in {installed:?}");
    }
    let secrets = fs::metadata(root.join("etc/default/tidegate")).unwrap();
    assert_eq!(secrets.permissions().mode() & 0o777, 0o600);
    let settings = root.join("etc/tidegate/tidegate.toml");
    let mut check = Command::new(TIDEGATE);
    check.arg("check").arg("--config").arg(&settings);
    let data = tempfile::tempdir().unwrap();
    let checked =
        succeeds(check.env("TIDEGATE_DATA_DIR", data.path()).env("TIDEGATE_ADMIN", "127.0.0.1:0"));
    assert!(checked.contains("settings are valid"), "{checked}");

    // An upgrade keeps what an administrator has changed: a setting, and a unit that is disabled.
    fs::write(&settings, "listen = \"127.0.0.1:0\"\n").unwrap();
    let link = root.join("etc/systemd/system/multi-user.target.wants/tidegate.service");
    fs::remove_file(&link).unwrap();
    dpkg(root, &["--force-confold", "--install", package]);
    assert_eq!(fs::read_to_string(&settings).unwrap(), "listen = \"127.0.0.1:0\"\n");
    assert!(!link.is_symlink(), "it is not enabled again");

    fs::create_dir_all(root.join("var/lib/tidegate/modules")).unwrap();
    fs::write(root.join("var/lib/tidegate/admin-token"), "secret").unwrap();
    dpkg(root, &["--remove", "tidegate"]);
    assert!(settings.exists() && root.join("var/lib/tidegate/admin-token").exists());
    assert!(!root.join("usr/bin/tidegate").exists());
    dpkg(root, &["--purge", "tidegate"]);
    let left = files(root);
    let left: Vec<_> = left.iter().filter(|file| !OF_USERS.contains(&file.as_str())).collect();
    assert_eq!(left, ["lib"]);
}

#[test]
fn the_same_sources_give_the_same_packages() {
    let (Some(first), Some(second)) = (packed(), packed()) else { return };
    let sums = |packed: &TempDir| fs::read_to_string(packed.path().join("SHA256SUMS")).unwrap();
    assert_eq!(sums(&first), sums(&second));
    assert_eq!(sums(&first).lines().count(), 2);
    let sha256sum = ["--check", "--strict", "SHA256SUMS"];
    succeeds(Command::new("sha256sum").args(sha256sum).current_dir(first.path()));
    let archive = file_with_end(first.path(), ".tar.gz");
    let listed = succeeds(Command::new("tar").args(["--list", "--file"]).arg(archive));
    for file in [
        "bin/tidegate",
        "share/man/tidegate.1",
        "share/doc/LICENSE-MIT",
        "share/doc/third-party.txt",
    ] {
        assert!(listed.lines().any(|line| line.ends_with(file)), "{file} is not in {listed}");
    }
}

#[test]
fn the_units_are_valid_and_give_the_process_no_more_than_it_needs() {
    if tests::program("systemd-analyze").is_none() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let units = ["tidegate.service", "tidegate.socket"].map(|name| {
        let text = fs::read_to_string(tests::root().join("packaging/systemd").join(name)).unwrap();
        let path = directory.path().join(name);
        // The program is not where the package puts it.
        fs::write(&path, text.replace("/usr/bin/tidegate", TIDEGATE)).unwrap();
        path
    });
    let verified =
        succeeds(Command::new("systemd-analyze").args(["verify", "--man=no"]).args(&units));
    assert_eq!(verified, "", "no warning either");
    let [service, _] = &units;
    // Of 10 at most 2.
    let confined = ["security", "--offline=true", "--threshold=20"];
    succeeds(Command::new("systemd-analyze").args(confined).arg(service));
    let text = fs::read_to_string(service).unwrap();
    assert!(!text.lines().any(|line| line.starts_with("MemoryDenyWriteExecute=")), "it compiles");
}

#[test]
fn a_shell_completes_commands_and_flags() {
    let complete = |words: &[&str]| {
        let script = "source <(\"$0\" completions bash); COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1)); \
                      _tidegate tidegate \"${@: -1}\" \"${@: -2:1}\"; printf '%s\\n' \"${COMPREPLY[@]}\"";
        let mut bash = Command::new("bash");
        let said = succeeds(bash.args(["-c", script, TIDEGATE]).args(words));
        said.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(complete(&["tidegate", "dep"]), ["deploy"]);
    assert_eq!(complete(&["tidegate", "man"]), [""], "a hidden command");
    assert_eq!(complete(&["tidegate", "worker", "--only"]), ["--only-channels"]);
    for shell in ["fish", "zsh"] {
        let script = succeeds(Command::new(TIDEGATE).args(["completions", shell]));
        assert!(script.contains("deploy") && !script.contains("man-pages"), "{script}");
    }
}
