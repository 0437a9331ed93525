//! The recipes of `docs/recipes.md` compile as they stand there, and do what their text says.

use std::{fs, path::Path};

/// Sections that are not tried. Signed cookies need features of `sha2` that would change how wasmtime is built.
const UNTRIED: &[&str] = &["A signed cookie"];

/// The program of each recipe: its sections, the rest of the module, and a test of it.
const PROGRAMS: &[(&str, &[&str], &str, &str)] = &[
    (
        "snapshot",
        &["Files with a lock", "A snapshot"],
        "tidegate_sdk::export! { Watch, publish }",
        r#"
        let host = TestHost::new(recipe::consumers()).directory("/data", data);
        let publish = |text: &str| host.request("POST", "/levels").json(&text).send().text();
        assert_eq!(publish("low"), "published\n");
        let page = host.websocket("/levels").connect().unwrap();
        page.send("hello");
        page.expect_json(&json!({ "all": [{ "number": 1, "text": "low" }] }));
        assert_eq!(publish("high"), "published\n");
        page.expect_json(&json!({ "one": { "number": 2, "text": "high" } }));
        assert!(!data.join("levels.lock").exists());
        "#,
    ),
    (
        "presence",
        &["Presence"],
        "",
        r#"
        let _ = data;
        let host = TestHost::new(recipe::consumers());
        let ann = host.websocket("/here/ann").connect().unwrap();
        let list: serde_json::Value = ann.receive_json();
        assert_eq!(list["presence"]["members"], json!({ "ann": { "name": "ann" } }));
        let bob = host.websocket("/here/bob").connect().unwrap();
        bob.close(1000);
        assert_eq!(host.members("here"), ["ann", "bob"]);
        host.advance(Duration::from_secs(10));
        assert_eq!(host.members("here"), ["ann"]);
        "#,
    ),
    (
        "bridge",
        &["A bridge"],
        r#"#[http("POST /charge")]
        fn charge(cx: &mut Context) -> Result<String> {
            ask(cx, "charge 5")
        }
        tidegate_sdk::export! { charge, next, done }"#,
        r#"
        let host = TestHost::new(recipe::consumers()).secret("BRIDGE_TOKEN", "t");
        let host = host.directory("/data", data);
        let as_bridge = |method: &str, path: &str| {
            host.request(method, path).header("authorization", "Bearer t").send()
        };
        assert_eq!(host.get("/bridge").status(), 401);
        let held = as_bridge("GET", "/bridge");
        assert!(held.is_pending());
        let id = host.request("POST", "/charge").send().text();
        assert_eq!(held.status(), 204, "it asks again");
        let work = as_bridge("GET", "/bridge");
        assert_eq!((work.text().as_str(), work.header("x-work-id")), ("charge 5", Some(id.clone())));
        assert_eq!(as_bridge("POST", &format!("/bridge/{id}")).status(), 204);
        let held = as_bridge("GET", "/bridge");
        assert!(held.is_pending(), "nothing is left");
        host.advance(Duration::from_secs(25));
        assert_eq!(held.status(), 204);
        "#,
    ),
];

/// The Rust of a section.
fn code<'a>(document: &'a str, section: &str) -> &'a str {
    let heading = format!("\n## {section}\n");
    let (_, rest) = document.split_once(&heading).unwrap_or_else(|| panic!("no {section:?}"));
    let (_, rest) = rest.split_once("\n```rust\n").expect("a block begins");
    rest.split_once("\n```\n").expect("the block ends").0
}

/// The last section and the rest are the module `recipe`; earlier ones are modules that it uses.
fn program(document: &str, sections: &[&str], rest: &str, test: &str) -> String {
    let (last, earlier) = sections.split_last().expect("a program has a section");
    let modules: String = earlier
        .iter()
        .enumerate()
        .map(|(at, section)| {
            let code = code(document, section).replace("\nfn ", "\npub fn ");
            format!("mod part_{at} {{\n{code}\n}}\n")
        })
        .collect();
    let uses: String = (0..earlier.len()).map(|at| format!("use crate::part_{at}::*;\n")).collect();
    let recipe = code(document, last);
    format!(
        "#![allow(dead_code, unused_imports)]\n{modules}mod recipe {{\n{uses}{recipe}\n{rest}\n}}\n\
         use std::{{path::Path, time::Duration}};\n\
         use tidegate_sdk::testing::{{TestHost, json}};\n\
         fn test(data: &Path) {{\n{test}\n}}\n\
         fn main() {{\n\
             let data = tempfile::tempdir().unwrap();\n\
             test(data.path());\n\
         }}\n"
    )
}

#[test]
fn each_recipe_compiles_as_it_stands_and_does_what_it_says() {
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/recipes.md");
    let document = fs::read_to_string(document).unwrap();
    let tried: usize = PROGRAMS.iter().map(|(_, sections, ..)| sections.len()).sum();
    let blocks = document.matches("\n```rust\n").count();
    assert_eq!(blocks, tried + UNTRIED.len(), "each block is in a program");
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("recipes");
    fs::create_dir_all(&directory).unwrap();
    let cases = trybuild::TestCases::new();
    for (name, sections, rest, test) in PROGRAMS {
        let path = directory.join(format!("{name}.rs"));
        fs::write(&path, program(&document, sections, rest, test)).unwrap();
        cases.pass(path);
    }
}
