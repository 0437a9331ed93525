//! `docs/store.md` names all keys and scripts that there are, and no others.

use std::{collections::BTreeSet, fs, path::PathBuf};

const DOCUMENT: &str = include_str!("../../../../../../docs/store.md");
const LAYER: &str = include_str!("../../../../../../docs/redis.md");

fn scripts() -> Vec<(String, String)> {
    let folder =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/capability/store/redis/scripts");
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let named = |file: PathBuf| {
        let name = file.file_stem().unwrap().to_str().unwrap().to_owned();
        (name, fs::read_to_string(file).unwrap())
    };
    files.map(named).collect()
}

/// What stands in the first column of the table below a heading, between backticks.
fn rows(heading: &str) -> BTreeSet<String> {
    let (_, section) = DOCUMENT.split_once(&format!("\n### {heading}\n")).unwrap();
    let section = section.split("\n### ").next().unwrap();
    let cells = section.lines().filter_map(|line| line.strip_prefix("| `"));
    cells.map(|cell| cell.split('`').next().unwrap().to_owned()).collect()
}

fn between<'a>(text: &'a str, from: &'a str, to: char) -> impl Iterator<Item = &'a str> {
    text.split(from).skip(1).filter_map(move |rest| rest.split(to).next())
}

#[test]
fn every_script_is_documented() {
    let named = scripts().into_iter().map(|(name, _)| name).filter(|name| name != "prelude");
    assert_eq!(rows("Scripts"), named.collect());
}

#[test]
fn every_key_is_documented() {
    let in_use: BTreeSet<_> = scripts()
        .iter()
        .flat_map(|(_, text)| between(text, "base .. '", '\''))
        .map(|key| key.trim_end_matches(':').to_owned())
        .collect();
    let documented = rows("Keys").into_iter().map(|key| {
        let name = key.trim_end_matches(|c: char| c.is_ascii_uppercase());
        name.trim_end_matches(':').to_owned()
    });
    assert_eq!(documented.collect::<BTreeSet<_>>(), in_use);
}

/// Otherwise a user of the documented ACL cannot run the script.
#[test]
fn every_command_of_scripts_is_in_the_documented_acl() {
    let rules = |document: &'static str, start: &str| {
        let line = document.lines().find(|line| line.starts_with(start)).unwrap();
        line.split(' ').filter_map(|rule| rule.strip_prefix('+')).collect::<BTreeSet<_>>()
    };
    let mut allowed = rules(LAYER, "ACL SETUSER tidegate on");
    allowed.extend(rules(DOCUMENT, "ACL SETUSER tidegate +"));
    for (name, text) in scripts() {
        for call in ["redis.call('", "redis.pcall('"] {
            for command in between(&text, call, '\'') {
                let command = command.to_ascii_lowercase();
                assert!(allowed.contains(&*command), "{name}.lua calls {command}");
            }
        }
    }
}
