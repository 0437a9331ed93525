//! The contract does not change by accident.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

/// The version whose files stand in `wit/` itself. What each later version adds has a folder there.
const FIRST: &str = "0.1.0";

/// The folders of `wit/`, by version.
fn folders() -> BTreeMap<String, PathBuf> {
    let root = tests::root().join("wit");
    let mut found = BTreeMap::from([(FIRST.to_owned(), root.clone())]);
    for entry in fs::read_dir(root).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            let version = path.file_name().unwrap().to_str().unwrap().to_owned();
            assert!(found.insert(version, path).is_none(), "{FIRST} has no folder");
        }
    }
    found
}

/// The files of a folder, in order.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "wit"))
        .collect();
    files.sort();
    files
}

/// The text of a folder without comments and with single spaces, file by file.
fn contract(folder: &Path) -> String {
    let mut text = String::new();
    for file in files(folder) {
        writeln!(text, "// {}", file.file_name().unwrap().display()).unwrap();
        for line in fs::read_to_string(&file).unwrap().lines() {
            let code = line.split("//").next().unwrap().trim_end();
            if !code.is_empty() {
                writeln!(text, "{code}").unwrap();
            }
        }
    }
    text
}

/// The published text of a version.
fn golden(version: &str) -> PathBuf {
    tests::root().join(format!("tests/golden/channels-{version}.wit"))
}

#[test]
fn the_contract_is_the_published_one() {
    for (version, folder) in folders() {
        let expected = fs::read_to_string(golden(&version)).unwrap_or_default();
        let found = contract(&folder);
        assert!(
            found == expected,
            "{} is not tests/golden/channels-{version}.wit. Modules that are deployed speak the \
             published contract: nothing in it changes, and what is new is an interface of its own. \
             It goes into the folder of the next version, or of the latest one if that is not \
             released, and its text into the golden file:\n{found}",
            folder.display()
        );
    }
    let published: BTreeSet<String> = fs::read_dir(tests::root().join("tests/golden"))
        .unwrap()
        .filter_map(|entry| {
            let name = entry.unwrap().file_name().into_string().unwrap();
            Some(name.strip_prefix("channels-")?.strip_suffix(".wit")?.to_owned())
        })
        .collect();
    assert_eq!(published, folders().into_keys().collect(), "no version is taken back");
}

#[test]
fn each_file_of_the_contract_is_of_the_version_of_its_folder() {
    for (version, folder) in folders() {
        let package = format!("package tidegate:channels@{version};");
        for file in files(&folder) {
            let text = fs::read_to_string(&file).unwrap();
            assert!(text.lines().any(|line| line == package), "{}: {package}", file.display());
        }
    }
}

#[test]
fn every_item_of_the_contract_is_documented() {
    for path in folders().values().flat_map(|folder| files(folder)) {
        let text = fs::read_to_string(&path).unwrap();
        let mut documented = false;
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            let exempt = line.is_empty()
                || line.starts_with('}')
                || ["package ", "use ", "import ", "export "].iter().any(|p| line.starts_with(p));
            if line.starts_with("///") {
                documented = true;
            } else if !exempt {
                assert!(documented, "{}:{}: {line}", path.display(), number + 1);
                documented = false;
            } else if !line.starts_with("package ") {
                documented = false;
            }
        }
    }
}
