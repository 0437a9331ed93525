//! Dep-info: cargo's own list of the files that something was made of.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

/// The inputs of a file that cargo has made, of all crates that are directories: their sources, what
/// they include, and what build scripts name with `cargo::rerun-if-changed`. None if cargo has not
/// written the list.
pub(in crate::cli) fn inputs(made: &Path) -> Option<BTreeSet<PathBuf>> {
    let text = std::fs::read_to_string(made.with_extension("d")).ok()?;
    Some(parse(&text))
}

/// Reads lines `MADE: INPUT INPUT`, where a space within a name has a backslash before it.
fn parse(text: &str) -> BTreeSet<PathBuf> {
    let mut inputs = BTreeSet::new();
    for line in text.lines() {
        let Some((_, list)) = line.split_once(": ") else { continue };
        let mut name = String::new();
        let mut characters = list.chars().peekable();
        while let Some(character) = characters.next() {
            match character {
                '\\' if characters.peek() == Some(&' ') => {
                    characters.next();
                    name.push(' ');
                }
                ' ' => {
                    inputs.insert(PathBuf::from(std::mem::take(&mut name)));
                }
                other => name.push(other),
            }
        }
        inputs.insert(PathBuf::from(name));
    }
    inputs.remove(Path::new(""));
    inputs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_have_spaces_and_backslashes() {
        let text = "/t/a b/x.wasm: /t/a\\ b/src/lib.rs /t/a\\ b/page.html /t/c\\d.rs\n";
        let expected = ["/t/a b/src/lib.rs", "/t/a b/page.html", "/t/c\\d.rs"];
        assert_eq!(parse(text), expected.map(PathBuf::from).into());
        assert_eq!(parse("/t/x.wasm: \n"), BTreeSet::new());
        assert_eq!(parse(""), BTreeSet::new());
    }
}
