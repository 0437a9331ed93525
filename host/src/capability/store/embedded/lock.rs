//! One process holds a store: a lock on a file that has the number of the process.

use std::{
    fs::{File, TryLockError},
    io::{self, Read as _, Seek as _, Write as _},
    path::Path,
    process,
};

/// A lock that lasts until it is dropped, or the process ends.
#[derive(Debug)]
pub(super) struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing the file is not enough while a process that was just forked has it, too.
        drop(self.0.unlock());
    }
}

/// Why there is no lock.
#[derive(Debug)]
pub(super) enum Refused {
    /// Another process has it, which may have said its number.
    Held(Option<u32>),
    /// The file cannot be made or written.
    Io(io::Error),
}

impl Lock {
    /// Takes the lock, or says who has it.
    pub(super) fn take(path: &Path) -> Result<Self, Refused> {
        let file = File::options().read(true).write(true).create(true).truncate(false).open(path);
        let mut file = file.map_err(Refused::Io)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                let read = file.read_to_string(&mut holder);
                return Err(Refused::Held(read.ok().and_then(|_| holder.trim().parse().ok())));
            }
            Err(TryLockError::Error(error)) => return Err(Refused::Io(error)),
        }
        let write = |file: &mut File| {
            file.set_len(0)?;
            file.rewind()?;
            writeln!(file, "{}", process::id())
        };
        write(&mut file).map_err(Refused::Io)?;
        Ok(Self(file))
    }
}
