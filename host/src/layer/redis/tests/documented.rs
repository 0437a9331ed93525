//! `docs/redis.md` names all keys and scripts that there are, and no others.

use std::{collections::BTreeSet, fs, path::PathBuf};

const DOCUMENT: &str = include_str!("../../../../../docs/redis.md");

fn scripts() -> Vec<(String, String)> {
    let sources = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src");
    let folders = ["layer/redis/scripts", "registry/store/redis/scripts"];
    let files = folders.into_iter().flat_map(|folder| fs::read_dir(sources.join(folder)).unwrap());
    let files = files.map(|entry| entry.unwrap().path());
    let named = |file: PathBuf| {
        let name = file.file_stem().unwrap().to_str().unwrap().to_owned();
        (name, fs::read_to_string(file).unwrap())
    };
    files.map(named).collect()
}

/// The first column of the table below a heading, between backticks.
fn rows(heading: &str) -> BTreeSet<String> {
    let (_, section) = DOCUMENT.split_once(&format!("\n### {heading}\n")).unwrap();
    let section = section.split("\n### ").next().unwrap();
    let cells = section.lines().filter_map(|line| line.strip_prefix("| `"));
    cells.map(|cell| cell.split('`').next().unwrap().to_owned()).collect()
}

/// Each part of a text between two others.
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
    // The keys that are not left to scripts are among them.
    for key in between(include_str!("../../../redis/scripts.rs"), "\"{}", ':') {
        assert!(in_use.contains(key), "{key}");
    }
}

/// Otherwise a user of the documented ACL cannot run the script.
#[test]
fn every_command_of_scripts_is_in_the_documented_acl() {
    let user = DOCUMENT.lines().find(|line| line.starts_with("ACL SETUSER")).unwrap();
    let allowed: BTreeSet<_> = user.split(' ').filter_map(|rule| rule.strip_prefix('+')).collect();
    for (name, text) in scripts() {
        for call in ["redis.call('", "redis.pcall('"] {
            for command in between(&text, call, '\'') {
                let command = command.to_ascii_lowercase();
                assert!(allowed.contains(&*command), "{name}.lua calls {command}");
            }
        }
    }
}

#[test]
fn every_field_is_documented() {
    fn fields(value: &rmpv::Value, found: &mut BTreeSet<String>) {
        match value {
            rmpv::Value::Map(entries) => {
                for (name, value) in entries {
                    found.insert(name.as_str().unwrap().to_owned());
                    if let (Some("type" | "outcome"), Some(value)) = (name.as_str(), value.as_str())
                    {
                        found.insert(value.to_owned());
                    }
                    fields(value, found);
                }
            }
            rmpv::Value::Array(values) => values.iter().for_each(|value| fields(value, found)),
            _ => {}
        }
    }
    let mut found = BTreeSet::new();
    for line in include_str!("../wire/golden.txt").lines().filter(|line| !line.starts_with('#')) {
        let (name, hex) = line.rsplit_once(": ").unwrap();
        let bytes = hex
            .as_bytes()
            .chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap());
        let header = if name.starts_with("channel") { 18 } else { 1 };
        let map: Vec<u8> = bytes.skip(header).collect();
        fields(&rmpv::decode::read_value(&mut &map[..]).unwrap(), &mut found);
    }
    // Names that the entries themselves have: a parameter of a path, of a message.
    for given in ["name", "n"] {
        found.remove(given);
    }
    let missing: Vec<_> =
        found.iter().filter(|name| !DOCUMENT.contains(&format!("`{name}`"))).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
