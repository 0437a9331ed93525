//! Runs `cases.json` natively. The host's tests run the same file against the compiled module.

use std::{fs, path::Path};

use tidegate_sdk::testing::{TestHost, cases};

#[test]
fn cases_hold_natively() {
    let mut host = TestHost::new(home::consumers()).named("home");
    if let Err(error) = cases::run(include_str!("../cases.json"), &mut host) {
        panic!("{error}");
    }
    assert_eq!(host.faults(), []);
    assert_eq!(host.drops(), Vec::<String>::new());
}

#[test]
fn every_example_is_on_the_page() {
    let page = include_str!("../src/page.html");
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut found = 0;
    for entry in fs::read_dir(examples).expect("the folder of the examples can be read") {
        let entry = entry.expect("its entries can be read");
        let name = entry.file_name().into_string().expect("names of examples are ASCII");
        // A crate that the examples share compiles to no module.
        let manifest = fs::read_to_string(entry.path().join("Cargo.toml")).unwrap_or_default();
        if name != "home" && manifest.contains("\"cdylib\"") {
            assert!(page.contains(&format!("<li id=\"{name}\">")), "{name} is not on the page");
            found += 1;
        }
    }
    assert!(found > 0, "no example was found");
}
