//! Files that are replaced as a whole: a reader meets the old content or the new one, also after a power loss.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

/// Replaces a file by what a function writes, for its owner alone. With an error the old file stays.
pub(crate) fn replace(
    path: &Path,
    write: impl FnOnce(&mut File) -> io::Result<()>,
) -> io::Result<()> {
    let beside = path.with_extension(format!("{}.tmp", std::process::id()));
    let written = (|| {
        let mut options = File::options();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
        write(&mut file)?;
        file.sync_all()?;
        fs::rename(&beside, path)?;
        sync_directory(path)
    })();
    if written.is_err() {
        // The error that matters is the first one.
        drop(fs::remove_file(&beside));
    }
    written
}

/// Removes a file for good. False if there is none.
pub(crate) fn remove(path: &Path) -> io::Result<bool> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        removed => removed.and_then(|()| sync_directory(path)).map(|()| true),
    }
}

fn sync_directory(of: &Path) -> io::Result<()> {
    File::open(of.parent().unwrap_or_else(|| Path::new(".")))?.sync_all()
}
