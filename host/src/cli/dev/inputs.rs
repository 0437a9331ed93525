//! The inputs of a build and their content: whether a build would have another result.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsStr,
    fs,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    path::{Path, PathBuf},
    time::SystemTime,
};

/// Directories that have no sources of a project, wherever they are.
const NO_SOURCES: [&str; 4] = [".git", ".hg", "__pycache__", "node_modules"];
/// Files that mark a directory as disposable, as cargo's output, or as an environment of Python.
const MARKS: [&str; 2] = ["CACHEDIR.TAG", "pyvenv.cfg"];
/// The largest file that is hashed. Larger ones are compared by size and time.
const HASHED_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Files and directories that a build reads.
#[derive(Clone, Debug, Default)]
pub(super) struct Inputs {
    /// Files, and directories with everything below.
    pub(super) paths: BTreeSet<PathBuf>,
    /// Directories without inputs, except for files that are named: those that builds and modules write, and those
    /// that are served.
    pub(super) excluded: BTreeSet<PathBuf>,
}

/// The content of a file, for comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Print {
    content: u64,
    modified: Option<SystemTime>,
}

/// The content of each input at one moment.
#[derive(Clone, Debug, Default)]
pub(super) struct Snapshot(BTreeMap<PathBuf, Option<Print>>);

impl Inputs {
    /// Looks at each input.
    pub(super) fn snapshot(&self) -> Snapshot {
        let mut prints = BTreeMap::new();
        for path in &self.paths {
            self.add(path, &mut prints);
        }
        Snapshot(prints)
    }

    fn add(&self, path: &Path, prints: &mut BTreeMap<PathBuf, Option<Print>>) {
        let Ok(entries) = fs::read_dir(path) else {
            prints.insert(path.to_owned(), print(path));
            return;
        };
        for entry in entries.filter_map(Result::ok) {
            let (path, kind) = (entry.path(), entry.file_type());
            if self.is_none(&path) {
                continue;
            }
            // A link may lead to a directory above it.
            if kind.is_ok_and(|kind| kind.is_dir()) {
                self.add(&path, prints);
            } else if path.is_file() {
                prints.insert(path.clone(), print(&path));
            }
        }
    }

    /// Whether something in a directory is certainly not an input.
    fn is_none(&self, path: &Path) -> bool {
        let name = path.file_name().unwrap_or_default();
        self.excluded.contains(path)
            || NO_SOURCES.iter().any(|none| name == OsStr::new(none))
            || is_scratch(name)
            || MARKS.iter().any(|mark| path.join(mark).is_file())
    }

    /// The directories whose changes have to be heard of, those at the front with all below.
    pub(super) fn watched(&self) -> (BTreeSet<PathBuf>, BTreeSet<PathBuf>) {
        let (mut deep, mut flat) = (BTreeSet::new(), BTreeSet::new());
        for path in &self.paths {
            flat.extend(path.parent().map(Path::to_owned));
            let Ok(entries) = fs::read_dir(path) else { continue };
            flat.insert(path.clone());
            let within = entries.filter_map(Result::ok).map(|entry| entry.path());
            deep.extend(within.filter(|path| path.is_dir() && !self.is_none(path)));
        }
        (deep, flat)
    }
}

impl Snapshot {
    /// Inputs with another content than in a later snapshot.
    pub(super) fn changed(&self, later: &Self) -> BTreeSet<PathBuf> {
        self.differing(later, |print| print.content)
    }

    /// Inputs that were written before a later snapshot, which may know more of them than this one: of
    /// those, the ones that were written since a moment.
    pub(super) fn written_since(&self, moment: SystemTime, later: &Self) -> BTreeSet<PathBuf> {
        let mut written = self.differing(later, |print| (print.content, print.modified));
        written.retain(|path| match (self.0.get(path), later.0.get(path)) {
            (Some(_), Some(_)) => true,
            (None, Some(Some(print))) => print.modified.is_some_and(|at| at >= moment),
            _ => false,
        });
        written
    }

    fn differing<T: PartialEq>(&self, later: &Self, of: impl Fn(Print) -> T) -> BTreeSet<PathBuf> {
        let seen =
            |snapshot: &Self, path: &PathBuf| snapshot.0.get(path).copied().flatten().map(&of);
        let paths = self.0.keys().chain(later.0.keys());
        paths.filter(|path| seen(self, path) != seen(later, path)).cloned().collect()
    }
}

fn print(path: &Path) -> Option<Print> {
    let metadata = fs::metadata(path).ok()?;
    let modified = metadata.modified().ok();
    let mut hasher = DefaultHasher::new();
    metadata.len().hash(&mut hasher);
    if metadata.len() <= HASHED_BYTES_MAX {
        // One that went while it was looked at is read again after its event.
        fs::read(path).ok()?.hash(&mut hasher);
    } else {
        modified.hash(&mut hasher);
    }
    Some(Print { content: hasher.finish(), modified })
}

/// Whether it is a file that an editor keeps beside what is edited.
fn is_scratch(name: &OsStr) -> bool {
    let name = name.as_encoded_bytes();
    // Vim tries with it whether it may write.
    name.starts_with(b".") || name.ends_with(b"~") || name == b"4913"
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A crate with a page, a directory that its module writes, and outputs.
    fn crate_with_data() -> (tempfile::TempDir, Inputs) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().to_owned();
        for name in ["src/deep", "target", "data", ".git", "node_modules", "venv"] {
            fs::create_dir_all(path.join(name)).unwrap();
        }
        fs::write(path.join("target/CACHEDIR.TAG"), "").unwrap();
        fs::write(path.join("venv/pyvenv.cfg"), "").unwrap();
        fs::write(path.join("src/lib.rs"), "a").unwrap();
        let excluded = BTreeSet::from([path.join("data")]);
        (directory, Inputs { paths: BTreeSet::from([path]), excluded })
    }

    fn names(changed: &BTreeSet<PathBuf>) -> Vec<&str> {
        changed.iter().map(|path| path.file_name().unwrap().to_str().unwrap()).collect()
    }

    #[test]
    fn of_a_directory_everything_counts_but_what_builds_modules_and_editors_write() {
        let (directory, inputs) = crate_with_data();
        let path = directory.path();
        let before = inputs.snapshot();
        for file in [
            "target/a",
            "data/a",
            ".git/a",
            "node_modules/a",
            "venv/a",
            "src/lib.rs~",
            "src/.lib.rs.swp",
        ] {
            fs::write(path.join(file), "x").unwrap();
        }
        assert_eq!(names(&before.changed(&inputs.snapshot())), Vec::<&str>::new());
        fs::write(path.join("src/lib.rs"), "b").unwrap();
        fs::write(path.join("src/deep/new.rs"), "c").unwrap();
        fs::write(path.join("page.html"), "d").unwrap();
        let changed = before.changed(&inputs.snapshot());
        assert_eq!(names(&changed), ["page.html", "new.rs", "lib.rs"]);
    }

    #[test]
    fn only_named_files_count_where_files_are_named_and_the_same_content_is_no_change() {
        let (directory, _) = crate_with_data();
        let path = directory.path();
        fs::write(path.join("data/included.txt"), "in").unwrap();
        let paths = ["src/lib.rs", "data/included.txt", "build.rs"].map(|name| path.join(name));
        let inputs = Inputs { paths: paths.into(), excluded: BTreeSet::from([path.join("data")]) };
        let before = inputs.snapshot();
        fs::write(path.join("src/lib.rs"), "a").unwrap();
        fs::write(path.join("src/other.rs"), "b").unwrap();
        fs::write(path.join("data/written"), "c").unwrap();
        assert_eq!(names(&before.changed(&inputs.snapshot())), Vec::<&str>::new());
        fs::write(path.join("build.rs"), "").unwrap();
        fs::write(path.join("data/included.txt"), "out").unwrap();
        assert_eq!(names(&before.changed(&inputs.snapshot())), ["build.rs", "included.txt"]);
        let before = inputs.snapshot();
        fs::remove_file(path.join("src/lib.rs")).unwrap();
        assert_eq!(names(&before.changed(&inputs.snapshot())), ["lib.rs"]);
    }

    #[test]
    fn what_was_written_during_a_build_is_told_also_of_inputs_that_are_new() {
        let (directory, _) = crate_with_data();
        let file = directory.path().join("src/lib.rs");
        let known =
            Inputs { paths: BTreeSet::from([file.clone()]), ..Inputs::default() }.snapshot();
        let written = fs::metadata(&file).unwrap().modified().unwrap();
        let later = written + std::time::Duration::from_secs(1);
        let nothing = Snapshot::default();
        assert_eq!(names(&nothing.written_since(written, &known)), ["lib.rs"]);
        assert_eq!(names(&nothing.written_since(later, &known)), Vec::<&str>::new());
        assert_eq!(names(&known.written_since(written, &nothing)), Vec::<&str>::new());
        // Changed and changed back: a compiler may have read what was there between.
        let file = fs::File::options().write(true).open(&file).unwrap();
        file.set_modified(later).unwrap();
        let inputs = Inputs { paths: known.0.keys().cloned().collect(), ..Inputs::default() };
        assert_eq!(names(&known.written_since(written, &inputs.snapshot())), ["lib.rs"]);
        assert_eq!(names(&known.changed(&inputs.snapshot())), Vec::<&str>::new());
    }

    #[test]
    fn a_link_to_the_directory_above_is_not_followed() {
        let (directory, inputs) = crate_with_data();
        std::os::unix::fs::symlink(directory.path(), directory.path().join("src/up")).unwrap();
        assert_eq!(inputs.snapshot().0.len(), 1);
    }
}
