//! Directories of the host.

use std::path::PathBuf;

/// Directories that a module sees, each under a name of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Directories(Vec<Directory>);

/// A directory that a module sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directory {
    /// The path that the module knows.
    pub guest: String,
    /// The path on the host.
    pub host: PathBuf,
    /// Whether the module may change its contents.
    pub write: bool,
}

impl Directories {
    /// Grants a directory, in the place of one that the module knows by the same path.
    pub fn grant(&mut self, directory: Directory) {
        self.0.retain(|known| known.guest != directory.guest);
        self.0.push(directory);
    }

    /// Whether there is one in which the module may change something.
    pub fn are_writable(&self) -> bool {
        self.0.iter().any(|directory| directory.write)
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns each directory, in the order of the grants.
    pub fn iter(&self) -> impl Iterator<Item = &Directory> {
        self.0.iter()
    }
}
