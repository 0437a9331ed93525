//! Tells inputs that people write while a build goes on from those that each build writes itself.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

/// A file that so many builds in a row have written, without others, is written by the builds. People save a file
/// during one build, or two.
const BUILDS_IN_A_ROW: u32 = 4;

/// The inputs that were written during builds.
#[derive(Debug, Default)]
pub(super) struct Writes {
    /// How many builds in a row have each file written.
    in_a_row: BTreeMap<PathBuf, u32>,
    /// Files that each build writes: they do not cause another one.
    by_builds: BTreeSet<PathBuf>,
}

/// The consequence of the inputs that were written during a build.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing.
    Done,
    /// The compiler may have missed them: another build.
    BuildAgain,
    /// Each build writes these files. From now on they cause no other build.
    ByBuilds(BTreeSet<PathBuf>),
}

impl Writes {
    /// Takes the inputs that were written during a build.
    pub(super) fn during_build(&mut self, mut written: BTreeSet<PathBuf>) -> Verdict {
        written.retain(|path| !self.by_builds.contains(path));
        let before = std::mem::take(&mut self.in_a_row);
        let count = |path: &PathBuf| before.get(path).map_or(1, |times| times + 1);
        self.in_a_row = written.iter().map(|path| (path.clone(), count(path))).collect();
        if written.is_empty() {
            return Verdict::Done;
        }
        if self.in_a_row.values().any(|times| *times < BUILDS_IN_A_ROW) {
            return Verdict::BuildAgain;
        }
        self.by_builds.extend(written.iter().cloned());
        self.in_a_row.clear();
        Verdict::ByBuilds(written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(names: &[&str]) -> BTreeSet<PathBuf> {
        names.iter().map(PathBuf::from).collect()
    }

    #[test]
    fn who_saves_during_builds_gets_each_change_built() {
        let mut writes = Writes::default();
        for _ in 0..10 {
            for _ in 1..BUILDS_IN_A_ROW {
                assert_eq!(writes.during_build(files(&["app.py"])), Verdict::BuildAgain);
            }
            assert_eq!(writes.during_build(files(&[])), Verdict::Done);
        }
    }

    #[test]
    fn a_file_that_each_build_writes_causes_a_few_more_and_then_none() {
        let mut writes = Writes::default();
        for _ in 1..BUILDS_IN_A_ROW {
            assert_eq!(writes.during_build(files(&["generated.rs"])), Verdict::BuildAgain);
        }
        let generated = files(&["generated.rs"]);
        assert_eq!(writes.during_build(generated.clone()), Verdict::ByBuilds(generated));
        assert_eq!(writes.during_build(files(&["generated.rs"])), Verdict::Done);
        // What somebody saves meanwhile is not lost among them.
        assert_eq!(writes.during_build(files(&["app.py", "generated.rs"])), Verdict::BuildAgain);
        assert_eq!(writes.during_build(files(&["generated.rs"])), Verdict::Done);
    }

    #[test]
    fn another_file_among_those_of_builds_is_a_reason_to_build() {
        let mut writes = Writes::default();
        for _ in 1..BUILDS_IN_A_ROW {
            writes.during_build(files(&["generated.rs"]));
        }
        assert_eq!(writes.during_build(files(&["app.py", "generated.rs"])), Verdict::BuildAgain);
        let generated = files(&["generated.rs"]);
        assert_eq!(writes.during_build(generated.clone()), Verdict::ByBuilds(generated));
    }
}
