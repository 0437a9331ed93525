//! `docs/redis.md` names all keys and scripts that there are, and no others.

use std::collections::BTreeSet;

use crate::redis::documented::{Documented, allowed, between};

const DOCUMENT: &str = include_str!("../../../../../docs/redis.md");
const DOCUMENTED: Documented = Documented {
    page: DOCUMENT,
    folders: &["layer/redis/scripts", "registry/store/redis/scripts", "admin/store/redis/scripts"],
};

#[test]
fn every_script_is_documented() {
    DOCUMENTED.assert_has_every_script();
}

#[test]
fn every_key_is_documented() {
    let in_use = DOCUMENTED.assert_has_every_key();
    // The keys that are not left to scripts are among them.
    for key in between(include_str!("../../../redis/scripts.rs"), "\"{}", ':') {
        assert!(in_use.contains(key), "{key}");
    }
}

/// Otherwise a user of the documented ACL cannot run the script.
#[test]
fn every_command_of_scripts_is_in_the_documented_acl() {
    DOCUMENTED.assert_may_be_run_with(&allowed(DOCUMENT, "ACL SETUSER"));
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
