//! Forms of prose that are not written any more, each with what to write instead. What there still is
//! of them is counted by folder, and no count may grow.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// A form, and its replacement.
const FORMS: &[(&str, &str)] = &[
    ("in force", "active, activated"),
    ("put in force", "activated"),
    ("is told of", "is notified of, hears of"),
    ("taken for", "mistaken for, counted as"),
    ("for want of", "without, since it lacks"),
    ("comes again", "is redelivered"),
    ("come again", "are redelivered"),
];

/// How many there are in prose: in the lines of a Markdown file that are no code, and in the public
/// documentation of Rust (`///` and `//!`). Lower a count when you mend one.
const COUNTS: &[(&str, usize)] = &[
    ("README.md", 0),
    ("CONTRIBUTING.md", 0),
    ("THREATS.md", 0),
    ("ARCHITECTURE.md", 4),
    ("docs", 0),
    ("clients/js/README.md", 0),
    ("clients/python/README.md", 0),
    ("sdk/javascript/README.md", 0),
    ("sdk/python/README.md", 0),
    ("guest-sdk/src", 2),
    ("host/src/admin", 0),
    ("host/src/app.rs", 0),
    ("host/src/capability", 0),
    ("host/src/cli", 0),
    ("host/src/config", 0),
    ("host/src/engine", 0),
    ("host/src/interface", 1),
    ("host/src/message", 1),
    ("host/src/redis", 0),
    ("host/src/registry", 0),
    ("host/src/routing", 0),
    ("host/src/setting", 0),
    ("host/src/telemetry", 0),
    ("host/src/telemetry.rs", 0),
    ("host/src/worker", 0),
];

/// Forms of documentation that name neither the thing nor the agent, and their replacement.
const NAMELESS: &[(&str, &str)] = &[
    ("/// What ", "a noun, or a verb in the third person"),
    ("//! What ", "a noun, or a verb in the third person"),
    ("/// Who ", "the agent: a client, a worker, an operator"),
    ("//! Who ", "the agent: a client, a worker, an operator"),
    ("hoever ", "the agent: a client, a worker, an operator"),
    ("is no such", "does not exist, is not a valid NOUN"),
];

/// How many of them there are, likewise. Folders that are not listed are not mended yet.
const NAMELESS_COUNTS: &[(&str, usize)] = &[
    ("host/src/admin", 0),
    ("host/src/app.rs", 0),
    ("host/src/cli", 0),
    ("host/src/layer/redis", 0),
    ("host/src/redis", 0),
    ("host/src/registry", 0),
    ("host/src/worker", 1),
];

fn files(place: &Path, into: &mut Vec<PathBuf>) {
    if place.is_dir() {
        fs::read_dir(place).unwrap().for_each(|entry| files(&entry.unwrap().path(), into));
    } else if place.extension().is_some_and(|it| it == "md" || it == "rs") {
        into.push(place.to_owned());
    }
}

/// The lines of prose, with their numbers.
fn prose(path: &Path) -> Vec<(usize, String)> {
    let text = fs::read_to_string(path).unwrap();
    let is_rust = path.extension().is_some_and(|it| it == "rs");
    let (mut is_code, mut found) = (false, Vec::new());
    for (at, line) in text.lines().enumerate() {
        let line = line.trim_start();
        if !is_rust && line.starts_with("```") {
            is_code = !is_code;
        }
        let is_prose =
            if is_rust { line.starts_with("///") || line.starts_with("//!") } else { !is_code };
        if is_prose {
            found.push((at + 1, line.to_owned()));
        }
    }
    found
}

#[test]
fn forms_that_are_not_written_any_more_do_not_come_back() {
    let mut wrong = beyond(FORMS, COUNTS);
    wrong.extend(beyond(NAMELESS, NAMELESS_COUNTS));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The places that have more of the forms than they may.
fn beyond(forms: &[(&str, &str)], counts: &[(&str, usize)]) -> Vec<String> {
    let root = tests::root();
    let mut wrong = Vec::new();
    for (place, allowed) in counts {
        let mut paths = Vec::new();
        files(&root.join(place), &mut paths);
        let mut found = Vec::new();
        for path in &paths {
            for (at, line) in prose(path) {
                // Two forms of one place are one.
                let form = forms.iter().find(|(form, _)| line.contains(form));
                let Some((form, instead)) = form else { continue };
                let shown = path.strip_prefix(&root).unwrap().display();
                found.push(format!("{shown}:{at}: \"{form}\"; write \"{instead}\""));
            }
        }
        if found.len() > *allowed {
            let (count, list) = (found.len(), found.join("\n"));
            wrong.push(format!("{place} has {count} of at most {allowed}:\n{list}"));
        }
    }
    wrong
}
