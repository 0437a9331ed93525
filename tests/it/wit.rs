//! The contract does not change by accident.

use std::{fmt::Write as _, fs};

/// The text of wit/ without comments and with single spaces, file by file.
fn contract() -> String {
    let mut files: Vec<_> = fs::read_dir(tests::root().join("wit"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "wit"))
        .collect();
    files.sort();
    let mut text = String::new();
    for file in files {
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

#[test]
fn the_contract_is_the_published_one() {
    let golden = tests::root().join("tests/golden/channels-0.1.0.wit");
    let expected = fs::read_to_string(&golden).unwrap();
    assert!(
        contract() == expected,
        "wit/ is not tests/golden/channels-0.1.0.wit any more. Modules that are deployed speak the \
         published contract: give a change a new version, or, before the release, copy this to the \
         golden file:\n{}",
        contract()
    );
}

#[test]
fn every_item_of_the_contract_is_documented() {
    for entry in fs::read_dir(tests::root().join("wit")).unwrap() {
        let path = entry.unwrap().path();
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
