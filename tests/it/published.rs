//! The crates as they are published: whole, and enough for a project that is made outside of a checkout.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Value, json};

use crate::TIDEGATE;

/// Runs a program that must succeed, and returns its standard output.
fn succeeds(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

/// The files that cargo puts into the package of a crate.
fn packed(name: &str) -> Vec<String> {
    let mut package = Command::new("cargo");
    package
        .args(["package", "--list", "--allow-dirty", "--package", name])
        .current_dir(tests::root());
    succeeds(&mut package).lines().map(str::to_owned).collect()
}

/// The files that a crate has, links followed.
fn files(directory: &Path) -> Vec<String> {
    let found = succeeds(
        Command::new("find")
            .args(["-L", ".", "-type", "f", "-printf", "%P\\n"])
            .current_dir(directory),
    );
    found.lines().map(str::to_owned).collect()
}

#[test]
fn the_packages_of_the_crates_have_all_their_files() {
    for (name, directory) in [
        ("tidegate", "host"),
        ("tidegate-sdk", "guest-sdk"),
        ("tidegate-sdk-macros", "guest-sdk/macros"),
    ] {
        let packed = packed(name);
        // A package in a package is one of its own.
        let own = files(&tests::root().join(directory));
        let own = own.iter().filter(|file| !file.starts_with("macros/"));
        let missing: Vec<_> = own.filter(|file| !packed.contains(file)).collect();
        assert!(missing.is_empty(), "{name}: {missing:?}");
        for file in ["LICENSE-APACHE", "LICENSE-MIT", "src/lib.rs"] {
            assert!(packed.iter().any(|it| it == file), "{name}: {file} is not in {packed:?}");
        }
        let manifest =
            fs::read_to_string(tests::root().join(directory).join("Cargo.toml")).unwrap();
        assert!(!manifest.contains("publish"), "{name} is published");
    }
}

#[test]
fn no_source_of_a_crate_includes_a_file_beyond_it() {
    for directory in ["host", "guest-sdk", "guest-sdk/macros"] {
        let root = tests::root().join(directory);
        for file in
            files(&root).iter().filter(|file| file.starts_with("src/") && file.ends_with(".rs"))
        {
            let text = fs::read_to_string(root.join(file)).unwrap();
            // The documents that tests read are in a checkout only.
            if file.contains("/tests/") {
                continue;
            }
            let depth = Path::new(file).components().count() - 1;
            for included in text.split("include_str!(\"").skip(1) {
                let path = included.split('"').next().unwrap();
                let up = path.split('/').filter(|part| *part == "..").count();
                assert!(up <= depth, "{file} includes {path}, which its package has not");
            }
        }
    }
}

/// Makes a registry in a directory: the SDK as it is published, and what it and the templates depend on.
fn registry(work: &Path) -> PathBuf {
    let (registry, packages) = (work.join("registry"), work.join("packages"));
    let dependent = work.join("dependent");
    fs::create_dir_all(dependent.join("src")).unwrap();
    fs::write(dependent.join("src/lib.rs"), "").unwrap();
    let manifest = format!(
        "[package]\nname = \"dependent\"\nedition = \"2024\"\n[workspace]\n[dependencies]\n\
         tidegate-sdk = {{ path = {:?} }}\nserde = {{ version = \"1\", features = [\"derive\"] }}\n",
        tests::root().join("guest-sdk")
    );
    fs::write(dependent.join("Cargo.toml"), manifest).unwrap();
    tests::lock(&dependent);
    // Libraries for other systems may have to be fetched.
    let mut vendor = Command::new("cargo");
    vendor.args(["vendor", "--versioned-dirs"]).arg(&registry).current_dir(&dependent);
    succeeds(&mut vendor);

    let (sdk, macros) = ("tidegate-sdk", "tidegate-sdk-macros");
    let mut package = Command::new("cargo");
    package.args([
        "package",
        "--no-verify",
        "--allow-dirty",
        "--package",
        sdk,
        "--package",
        macros,
    ]);
    package.arg("--target-dir").arg(&packages).current_dir(tests::root());
    succeeds(&mut package);
    for archive in fs::read_dir(packages.join("package")).unwrap() {
        let archive = archive.unwrap().path();
        if archive.extension().is_none_or(|it| it != "crate") {
            continue;
        }
        let mut unpack = Command::new("tar");
        unpack.arg("--extract").arg("--file").arg(&archive).arg("--directory").arg(&registry);
        succeeds(&mut unpack);
        let sum = succeeds(Command::new("sha256sum").arg(&archive));
        let sums = json!({ "files": {}, "package": sum.split(' ').next() });
        let place = registry.join(archive.file_stem().unwrap());
        fs::write(place.join(".cargo-checksum.json"), sums.to_string()).unwrap();
    }
    registry
}

#[test]
fn a_project_that_is_made_outside_of_a_checkout_finds_all_it_needs_in_a_registry() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    // The checkout in which the host was built is hidden from it, as it is elsewhere.
    let hidden = tests::root().join("guest-sdk");
    let script = format!("mount -t tmpfs none {} && exec \"$0\" \"$@\"", hidden.display());
    let mut new = Command::new("unshare");
    new.args(["--map-root-user", "--mount", "sh", "-c", &script, TIDEGATE]);
    succeeds(new.args(["new", "tide", "--template", "http"]).current_dir(path));
    let project = path.join("tide");
    let manifest = fs::read_to_string(project.join("Cargo.toml")).unwrap();
    assert!(manifest.lines().any(|line| line.starts_with("tidegate-sdk = \"0.")), "{manifest}");

    let registry = registry(path);
    let settings = project.join(".cargo");
    fs::create_dir(&settings).unwrap();
    let source = format!(
        "[source.crates-io]\nreplace-with = \"local\"\n[source.local]\ndirectory = {registry:?}\n"
    );
    fs::write(settings.join("config.toml"), source).unwrap();
    let mut resolve = Command::new("cargo");
    resolve.args(["metadata", "--format-version", "1", "--offline"]).current_dir(&project);
    let graph: Value = serde_json::from_str(&succeeds(&mut resolve)).unwrap();
    let packages = graph["packages"].as_array().unwrap();
    for name in ["tidegate-sdk", "tidegate-sdk-macros"] {
        let package = packages.iter().find(|package| package["name"] == name).unwrap();
        assert!(package["source"].as_str().unwrap().starts_with("registry+"), "{package}");
        let manifest = Path::new(package["manifest_path"].as_str().unwrap());
        assert!(manifest.starts_with(&registry), "{manifest:?}");
    }
    // The contract, which it compiles, is in it.
    let contract = registry.join(format!("tidegate-sdk-{}/wit/world.wit", version(packages)));
    assert!(contract.is_file(), "{contract:?}");
}

/// The version of the SDK among packages.
fn version(packages: &[Value]) -> &str {
    let package = packages.iter().find(|package| package["name"] == "tidegate-sdk").unwrap();
    package["version"].as_str().unwrap()
}
