//! Holds the scripts of some folders to a page of the documentation.

use std::{collections::BTreeSet, fs, path::PathBuf};

/// A page with the tables "Scripts" and "Keys".
pub(crate) struct Documented {
    pub(crate) page: &'static str,
    /// The folders of the scripts, below `src`.
    pub(crate) folders: &'static [&'static str],
}

impl Documented {
    fn scripts(&self) -> Vec<(String, String)> {
        let sources = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src");
        let files = self.folders.iter().flat_map(|it| fs::read_dir(sources.join(it)).unwrap());
        let files = files.map(|entry| entry.unwrap().path());
        let named = |file: PathBuf| {
            let name = file.file_stem().unwrap().to_str().unwrap().to_owned();
            (name, fs::read_to_string(file).unwrap())
        };
        files.map(named).collect()
    }

    /// The first column of the table below a heading, between backticks.
    fn rows(&self, heading: &str) -> BTreeSet<String> {
        let (_, section) = self.page.split_once(&format!("\n### {heading}\n")).unwrap();
        let section = section.split("\n### ").next().unwrap();
        let cells = section.lines().filter_map(|line| line.strip_prefix("| `"));
        cells.map(|cell| cell.split('`').next().unwrap().to_owned()).collect()
    }

    /// The table has each script and no other.
    pub(crate) fn assert_has_every_script(&self) {
        let named = self.scripts().into_iter().map(|(name, _)| name);
        assert_eq!(self.rows("Scripts"), named.filter(|name| name != "prelude").collect());
    }

    /// The table has each key that scripts use and no other. Returns them.
    pub(crate) fn assert_has_every_key(&self) -> BTreeSet<String> {
        let scripts = self.scripts();
        let in_use = scripts.iter().flat_map(|(_, text)| between(text, "base .. '", '\''));
        let in_use: BTreeSet<_> = in_use.map(|key| key.trim_end_matches(':').to_owned()).collect();
        let documented = self.rows("Keys").into_iter().map(|key| {
            let name = key.trim_end_matches(|c: char| c.is_ascii_uppercase());
            name.trim_end_matches(':').to_owned()
        });
        assert_eq!(documented.collect::<BTreeSet<_>>(), in_use);
        in_use
    }

    /// A user with these commands can run every script.
    pub(crate) fn assert_may_be_run_with(&self, allowed: &BTreeSet<&str>) {
        for (name, text) in self.scripts() {
            for call in ["redis.call('", "redis.pcall('"] {
                for command in between(&text, call, '\'') {
                    let command = command.to_ascii_lowercase();
                    assert!(allowed.contains(&*command), "{name}.lua calls {command}");
                }
            }
        }
    }
}

/// Each part of a text between two others.
pub(crate) fn between<'a>(text: &'a str, from: &'a str, to: char) -> impl Iterator<Item = &'a str> {
    text.split(from).skip(1).filter_map(move |rest| rest.split(to).next())
}

/// The commands that the line of a page that begins so allows.
pub(crate) fn allowed(page: &'static str, start: &str) -> BTreeSet<&'static str> {
    let line = page.lines().find(|line| line.starts_with(start)).unwrap();
    line.split(' ').filter_map(|rule| rule.strip_prefix('+')).collect()
}
