//! Opening the file: what stands there must be a store that this release can read and write.

use std::{
    fs, io,
    os::unix::fs::DirBuilderExt as _,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
};

use redb::{Database, DatabaseError, ReadableDatabase as _, StorageError};

use super::{
    clock::Clock,
    lock::{Lock, Refused},
    tables::{ALARMS, EXPIRY, META, NOTES, TIMER_KEYS, TIMERS, USAGE, VALUES, WAITING},
};

/// The format of the rows. A release reads its own and earlier ones.
const FORMAT: u32 = 1;
/// The largest file that is read as a whole at the start. A larger one is after a crash only, since a start
/// would take long; what is damaged in it is found when it is read, if at all.
const CHECKED_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Memory for pages of the file.
const CACHE_BYTES: usize = 32 * 1024 * 1024;

const FILE: &str = "store.redb";
const LOCK: &str = "store.lock";

/// A store that cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another process has it.
    #[error(
        "the store in {directory} is in use{}: one process holds a store. Stop that process, or set \
         another data directory", by(*pid)
    )]
    InUse {
        /// The directory.
        directory: PathBuf,
        /// The process, if it has said its number.
        pid: Option<u32>,
    },
    /// The directory or a file cannot be written.
    #[error(
        "the store at {path} cannot be written ({error}). Give the user of this process the right to \
         write there, or set another data directory"
    )]
    ReadOnly {
        /// The directory or file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// There is no room.
    #[error("the disk of the store at {path} is full ({error}). Make room there")]
    Full {
        /// The directory or file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// A later release wrote it.
    #[error(
        "the store at {path} has format {found}, and this release knows formats up to {FORMAT}. Run the \
         release that wrote it, or import an export of it"
    )]
    NewerFormat {
        /// The file.
        path: PathBuf,
        /// The format found.
        found: u32,
    },
    /// The file is not what it was when it was written.
    #[error(
        "the store at {path} is damaged: {what}. Restore the file, or move it away and import an export"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The damage.
        what: String,
    },
    /// Something else.
    #[error("the store at {path} cannot be opened: {error}")]
    Io {
        /// The directory or file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
}

fn by(pid: Option<u32>) -> String {
    pid.map(|pid| format!(" by process {pid}")).unwrap_or_default()
}

impl OpenError {
    fn of_io(path: &Path, error: io::Error) -> Self {
        let path = path.to_owned();
        match error.kind() {
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                Self::ReadOnly { path, error }
            }
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full { path, error },
            io::ErrorKind::InvalidData => {
                Self::Damaged { path, what: format!("it is not a database ({error})") }
            }
            io::ErrorKind::UnexpectedEof => {
                Self::Damaged { path, what: "its end is missing".to_owned() }
            }
            _ => Self::Io { path, error },
        }
    }

    fn of_redb(path: &Path, error: redb::Error) -> Self {
        match error {
            redb::Error::Io(error) => Self::of_io(path, error),
            error => Self::Damaged { path: path.to_owned(), what: error.to_string() },
        }
    }
}

/// An opened store and what keeps it this process's own.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) database: Database,
    /// Dropped after the database.
    pub(super) lock: Lock,
}

/// Opens the store of a directory, and makes both if they are missing: for their owner only.
pub(super) fn open(directory: &Path, clock: &Clock) -> Result<Opened, OpenError> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(directory);
    made.map_err(|error| OpenError::of_io(directory, error))?;
    let lock_path = directory.join(LOCK);
    let lock = Lock::take(&lock_path).map_err(|refused| match refused {
        Refused::Held(pid) => OpenError::InUse { directory: directory.to_owned(), pid },
        Refused::Io(error) => OpenError::of_io(&lock_path, error),
    })?;
    let path = directory.join(FILE);
    let database = match fs::metadata(&path) {
        Ok(facts) if facts.len() == 0 => {
            return Err(OpenError::Damaged { path, what: "it is empty".to_owned() });
        }
        Ok(_) => open_file(&path, clock)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => make_file(&path, clock)?,
        Err(error) => return Err(OpenError::of_io(&path, error)),
    };
    Ok(Opened { database, lock })
}

/// Makes a file and moves it to its place when it is whole.
fn make_file(path: &Path, clock: &Clock) -> Result<Database, OpenError> {
    let unfinished = path.with_extension("redb.new");
    let refused = |error| OpenError::of_io(path, error);
    match fs::remove_file(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(refused(error)),
        _ => {}
    }
    let database = open_file(&unfinished, clock)?;
    fs::rename(&unfinished, path).map_err(refused)?;
    let directory = path.parent().unwrap_or(path);
    fs::File::open(directory).and_then(|directory| directory.sync_all()).map_err(refused)?;
    Ok(database)
}

fn open_file(path: &Path, clock: &Clock) -> Result<Database, OpenError> {
    let file = fs::File::options().read(true).write(true).create(true).truncate(false).open(path);
    let file = file.map_err(|error| OpenError::of_io(path, error))?;
    // The library panics at some damage.
    let opened = catch_unwind(AssertUnwindSafe(|| {
        let backend = redb::backends::FileBackend::new(file);
        open_database(path, clock, backend.map_err(|error| from_database(path, error))?)
    }));
    opened.unwrap_or_else(|_| {
        let what = "its structure cannot be read".to_owned();
        Err(OpenError::Damaged { path: path.to_owned(), what })
    })
}

fn from_database(path: &Path, error: DatabaseError) -> OpenError {
    match error {
        DatabaseError::Storage(StorageError::Io(error)) => OpenError::of_io(path, error),
        DatabaseError::DatabaseAlreadyOpen => {
            OpenError::InUse { directory: path.to_owned(), pid: None }
        }
        error => OpenError::Damaged { path: path.to_owned(), what: error.to_string() },
    }
}

/// Opens the database behind a backend, checks its format, and writes to it once: a disk that is full or
/// cannot be written shows at the start.
pub(super) fn open_database(
    path: &Path,
    clock: &Clock,
    backend: impl redb::StorageBackend,
) -> Result<Database, OpenError> {
    let bytes = backend.len().map_err(|error| OpenError::of_io(path, error))?;
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE_BYTES).set_check_integrity_on_open(bytes <= CHECKED_BYTES_MAX);
    let database =
        builder.create_with_backend(backend).map_err(|error| from_database(path, error))?;
    let refused = |error: redb::Error| OpenError::of_redb(path, error);
    let format = format_of(&database).map_err(refused)?;
    match format {
        Format::New | Format::Known => {}
        Format::Newer(found) => {
            return Err(OpenError::NewerFormat { path: path.to_owned(), found });
        }
        Format::Foreign => {
            let what = "it is not a store of Tidegate".to_owned();
            return Err(OpenError::Damaged { path: path.to_owned(), what });
        }
    }
    first_write(&database, clock).map_err(refused)?;
    Ok(database)
}

enum Format {
    New,
    Known,
    Newer(u32),
    Foreign,
}

fn format_of(database: &Database) -> Result<Format, redb::Error> {
    let transaction = database.begin_read()?;
    let meta = match transaction.open_table(META) {
        Ok(meta) => meta,
        Err(redb::TableError::TableDoesNotExist(_)) => {
            let is_empty = transaction.list_tables()?.next().is_none();
            return Ok(if is_empty { Format::New } else { Format::Foreign });
        }
        Err(error) => return Err(error.into()),
    };
    let format = meta.get(&b"format"[..])?.map(|format| format.value().to_vec());
    let format = format.and_then(|format| format.try_into().ok()).map(u32::from_be_bytes);
    Ok(match format {
        Some(0) | None => Format::Foreign,
        Some(..=FORMAT) => Format::Known,
        Some(found) => Format::Newer(found),
    })
}

fn first_write(database: &Database, clock: &Clock) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    {
        let mut meta = transaction.open_table(META)?;
        meta.insert(&b"format"[..], &FORMAT.to_be_bytes()[..])?;
        meta.insert(&b"opened"[..], &clock.now().0.to_be_bytes()[..])?;
        for table in [VALUES, EXPIRY, USAGE, NOTES, WAITING, TIMERS, TIMER_KEYS, ALARMS] {
            transaction.open_table(table)?;
        }
    }
    transaction.commit()?;
    Ok(())
}
