//! Changes of source files, as the system tells of them.

use std::{
    collections::BTreeSet,
    ffi::OsStr,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use notify::{
    ErrorKind, Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _, event::ModifyKind,
};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

/// Editors write a file in several steps: a change is over after this much silence,
const QUIET: Duration = Duration::from_millis(50);
/// or after this long.
const LONGEST: Duration = Duration::from_secs(1);
/// Directories that are no sources of a crate, wherever they are.
const NO_SOURCES: [&str; 3] = [".git", ".hg", "node_modules"];
/// A file that says of its directory that it can be made again: cargo's output has it.
const CACHE: &str = "CACHEDIR.TAG";

/// Hears of changes in directories.
pub(super) struct Changes {
    watcher: RecommendedWatcher,
    outputs: Arc<RwLock<BTreeSet<PathBuf>>>,
    /// Counts them.
    changed: watch::Receiver<u64>,
}

impl Changes {
    /// Of no directory yet.
    pub(super) fn new() -> notify::Result<Self> {
        let (tell, changed) = watch::channel(0);
        let outputs = Arc::new(RwLock::new(BTreeSet::new()));
        let own = Arc::clone(&outputs);
        let watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            let own = own.read().unwrap_or_else(PoisonError::into_inner);
            // After an error something may have been missed.
            if event.map_or(true, |event| matters(&event, &own)) {
                tell.send_modify(|count| *count += 1);
            }
        })?;
        Ok(Self { watcher, outputs, changed })
    }

    /// Watches these directories and those below, but not where something is written that is made of
    /// them. To be called in each round: a directory may be new, or gone and made again.
    pub(super) fn watch(
        &mut self,
        sources: &BTreeSet<PathBuf>,
        outputs: BTreeSet<PathBuf>,
    ) -> notify::Result<()> {
        for source in sources {
            self.add(source, RecursiveMode::NonRecursive)?;
            let Ok(entries) = std::fs::read_dir(source) else { continue };
            for directory in entries.filter_map(Result::ok).map(|entry| entry.path()) {
                if directory.is_dir() && !is_output(&directory, &outputs) {
                    self.add(&directory, RecursiveMode::Recursive)?;
                }
            }
        }
        *self.outputs.write().unwrap_or_else(PoisonError::into_inner) = outputs;
        Ok(())
    }

    fn add(&mut self, directory: &Path, mode: RecursiveMode) -> notify::Result<()> {
        match self.watcher.watch(directory, mode) {
            // It went while it was looked at; that is a change, and the next round sees what is there.
            Err(error) if matches!(error.kind, ErrorKind::PathNotFound) => Ok(()),
            other => other,
        }
    }

    /// Forgets what has changed so far.
    pub(super) fn forget(&mut self) {
        self.changed.mark_unchanged();
    }

    /// Resolves when something has changed and then nothing more.
    pub(super) async fn next(&mut self) {
        // The sender lives as long as the watcher.
        drop(self.changed.changed().await);
        let latest = Instant::now() + LONGEST;
        while Instant::now() < latest {
            tokio::select! {
                _ = self.changed.changed() => {}
                () = sleep_until(latest.min(Instant::now() + QUIET)) => return,
            }
        }
    }
}

fn matters(event: &Event, outputs: &BTreeSet<PathBuf>) -> bool {
    let is_change = match event.kind {
        EventKind::Access(_) | EventKind::Modify(ModifyKind::Metadata(_)) => false,
        EventKind::Any
        | EventKind::Create(_)
        | EventKind::Modify(_)
        | EventKind::Remove(_)
        | EventKind::Other => true,
    };
    let of_source = |path: &PathBuf| !is_scratch(path) && !is_output(path, outputs);
    event.need_rescan() || (is_change && event.paths.iter().any(of_source))
}

/// Whether it is a file that an editor keeps beside what is edited.
fn is_scratch(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().as_encoded_bytes();
    // Vim tries with it whether it may write.
    name.starts_with(b".") || name.ends_with(b"~") || name == b"4913"
}

/// Whether it is, or is below, what is made of sources and no source itself.
fn is_output(path: &Path, outputs: &BTreeSet<PathBuf>) -> bool {
    let named = |name: &OsStr| NO_SOURCES.iter().any(|no_source| name == *no_source);
    path.ancestors().any(|part| outputs.contains(part))
        || path.components().any(|part| named(part.as_os_str()))
        || path.join(CACHE).is_file()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// Directories `src`, `target` and `data`, of which the first is watched.
    fn directories() -> (tempfile::TempDir, Changes) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        for name in ["src", "target", "data", ".git"] {
            fs::create_dir(path.join(name)).unwrap();
        }
        fs::write(path.join("src/lib.rs"), "a").unwrap();
        fs::write(path.join("target").join(CACHE), "").unwrap();
        let mut changes = Changes::new().unwrap();
        let outputs = BTreeSet::from([path.join("data")]);
        changes.watch(&BTreeSet::from([path.to_owned()]), outputs).unwrap();
        (directory, changes)
    }

    async fn hears(changes: &mut Changes) {
        tokio::time::timeout(Duration::from_secs(20), changes.next()).await.unwrap();
    }

    #[tokio::test]
    async fn an_edited_a_renamed_and_a_new_file_are_heard_of() {
        let (directory, mut changes) = directories();
        let path = directory.path();
        let source = path.join("src/lib.rs");
        fs::write(&source, "b").unwrap();
        hears(&mut changes).await;
        // As editors do that write beside and rename.
        fs::write(path.join("src/.lib.rs.swp"), "c").unwrap();
        fs::rename(path.join("src/.lib.rs.swp"), &source).unwrap();
        hears(&mut changes).await;
        fs::write(path.join("Cargo.toml"), "").unwrap();
        hears(&mut changes).await;
        fs::create_dir_all(path.join("src/deep")).unwrap();
        hears(&mut changes).await;
        fs::remove_file(&source).unwrap();
        hears(&mut changes).await;
    }

    #[tokio::test]
    async fn a_directory_that_is_new_beside_the_others_is_watched_from_the_next_round_on() {
        let (directory, mut changes) = directories();
        let path = directory.path();
        let made = path.join("pages");
        fs::create_dir(&made).unwrap();
        hears(&mut changes).await;
        changes.watch(&BTreeSet::from([path.to_owned()]), BTreeSet::new()).unwrap();
        fs::write(made.join("page.html"), "").unwrap();
        hears(&mut changes).await;
    }

    #[tokio::test]
    async fn a_directory_that_went_and_came_again_is_watched_from_the_next_round_on() {
        let (directory, mut changes) = directories();
        let path = directory.path();
        let sources = BTreeSet::from([path.to_owned()]);
        fs::remove_dir_all(path.join("src")).unwrap();
        hears(&mut changes).await;
        changes.watch(&sources, BTreeSet::new()).unwrap();
        fs::create_dir(path.join("src")).unwrap();
        hears(&mut changes).await;
        changes.watch(&sources, BTreeSet::new()).unwrap();
        fs::write(path.join("src/lib.rs"), "").unwrap();
        hears(&mut changes).await;
    }

    #[tokio::test]
    async fn what_is_written_by_the_build_by_git_and_by_editors_is_not_heard_of() {
        let (directory, mut changes) = directories();
        let path = directory.path();
        for file in ["target/a", "data/a", ".git/a", "src/lib.rs~", "src/.lib.rs.swp", "src/4913"] {
            fs::write(path.join(file), "").unwrap();
        }
        // Reading is no change, as a compiler does.
        fs::read(path.join("src/lib.rs")).unwrap();
        // Events come in order: this one is the first that counts, and it is one.
        fs::remove_file(path.join("src/lib.rs")).unwrap();
        hears(&mut changes).await;
        assert_eq!(*changes.changed.borrow(), 1);
    }

    #[test]
    fn what_matters_is_told_by_the_path() {
        let outputs = BTreeSet::from([PathBuf::from("/tide/target")]);
        let event = |path: &str| {
            Event::new(EventKind::Create(notify::event::CreateKind::File)).add_path(path.into())
        };
        for path in ["/tide/src/lib.rs", "/tide/Cargo.toml", "/tide/target.rs"] {
            assert!(matters(&event(path), &outputs), "{path}");
        }
        for path in [
            "/tide/target/debug/a",
            "/tide/.git/index",
            "/tide/node_modules/a/b.js",
            "/tide/src/.#lib.rs",
            "/tide/src/lib.rs~",
        ] {
            assert!(!matters(&event(path), &outputs), "{path}");
        }
        let read = Event::new(EventKind::Access(notify::event::AccessKind::Any));
        assert!(!matters(&read.add_path("/tide/src/lib.rs".into()), &outputs));
    }
}
