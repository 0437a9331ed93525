//! Hears of changes in directories from the system.

use std::{collections::BTreeSet, path::PathBuf, time::Duration};

use notify::{
    ErrorKind, Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _, event::ModifyKind,
};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

/// Editors write a file in several steps: a change is over after this much silence,
const QUIET_DELAY: Duration = Duration::from_millis(50);
/// or after this long.
const CHANGE_TIMEOUT: Duration = Duration::from_secs(1);

/// Counts changes in directories. `inputs` finds out which files have changed.
pub(super) struct Changes {
    watcher: RecommendedWatcher,
    /// Counts them.
    changed: watch::Receiver<u64>,
}

impl Changes {
    /// Of no directory yet.
    pub(super) fn new() -> notify::Result<Self> {
        let (tell, changed) = watch::channel(0);
        let watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            // After an error something may have been missed.
            if event.map_or(true, |event| is_change(&event)) {
                tell.send_modify(|count| *count += 1);
            }
        })?;
        Ok(Self { watcher, changed })
    }

    /// Watches directories, the first ones with all that is below. To be called in each round: a
    /// directory may be new, or gone and made again.
    pub(super) fn watch(
        &mut self,
        deep: &BTreeSet<PathBuf>,
        flat: &BTreeSet<PathBuf>,
    ) -> notify::Result<()> {
        let flat = flat.iter().map(|path| (path, RecursiveMode::NonRecursive));
        let deep = deep.iter().map(|path| (path, RecursiveMode::Recursive));
        for (path, mode) in flat.chain(deep) {
            match self.watcher.watch(path, mode) {
                // It is not there, or went while it was looked at: the next round sees what is there.
                Err(error) if matches!(error.kind, ErrorKind::PathNotFound) => {}
                other => other?,
            }
        }
        Ok(())
    }

    /// Resolves when something has changed since the last time and then nothing more.
    pub(super) async fn next(&mut self) {
        // The sender lives as long as the watcher.
        drop(self.changed.changed().await);
        let latest = Instant::now() + CHANGE_TIMEOUT;
        while Instant::now() < latest {
            tokio::select! {
                _ = self.changed.changed() => {}
                () = sleep_until(latest.min(Instant::now() + QUIET_DELAY)) => return,
            }
        }
    }
}

fn is_change(event: &Event) -> bool {
    let is_change = match event.kind {
        EventKind::Access(_) | EventKind::Modify(ModifyKind::Metadata(_)) => false,
        EventKind::Any
        | EventKind::Create(_)
        | EventKind::Modify(_)
        | EventKind::Remove(_)
        | EventKind::Other => true,
    };
    event.need_rescan() || is_change
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// A directory with `src` in it, both watched.
    fn watched() -> (tempfile::TempDir, Changes) {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("src")).unwrap();
        fs::write(directory.path().join("src/lib.rs"), "a").unwrap();
        let mut changes = Changes::new().unwrap();
        look_again(&mut changes, directory.path());
        (directory, changes)
    }

    fn look_again(changes: &mut Changes, path: &std::path::Path) {
        let deep = ["src", "pages"].map(|name| path.join(name));
        changes.watch(&deep.into(), &BTreeSet::from([path.to_owned()])).unwrap();
    }

    async fn hears(changes: &mut Changes) {
        tokio::time::timeout(Duration::from_secs(20), changes.next()).await.unwrap();
    }

    #[tokio::test]
    async fn an_edited_a_renamed_and_a_new_file_are_heard_of() {
        let (directory, mut changes) = watched();
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
        let (directory, mut changes) = watched();
        let made = directory.path().join("pages");
        fs::create_dir(&made).unwrap();
        hears(&mut changes).await;
        look_again(&mut changes, directory.path());
        fs::write(made.join("page.html"), "").unwrap();
        hears(&mut changes).await;
    }

    #[tokio::test]
    async fn a_directory_that_went_and_came_again_is_watched_from_the_next_round_on() {
        let (directory, mut changes) = watched();
        let path = directory.path();
        fs::remove_dir_all(path.join("src")).unwrap();
        hears(&mut changes).await;
        look_again(&mut changes, path);
        fs::create_dir(path.join("src")).unwrap();
        hears(&mut changes).await;
        look_again(&mut changes, path);
        fs::write(path.join("src/lib.rs"), "").unwrap();
        hears(&mut changes).await;
    }

    #[tokio::test]
    async fn reading_is_not_a_change() {
        let (directory, mut changes) = watched();
        let source = directory.path().join("src/lib.rs");
        // As a compiler does. Events come in order: the next one is the first that counts.
        fs::read(&source).unwrap();
        fs::remove_file(&source).unwrap();
        hears(&mut changes).await;
        assert_eq!(*changes.changed.borrow(), 1);
    }
}
