//! What lies beneath a directory, however links lead: one that leads out of it leads nowhere.

use std::{
    fs, io,
    path::{Path, PathBuf},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::SystemTime,
};

use cap_primitives::fs::{FollowSymlinks, Metadata, OpenOptions, open, stat};
use tokio::{
    io::{AsyncRead, AsyncSeek, ReadBuf},
    task::spawn_blocking,
};
use tower_http::services::fs as served;

type Opening<'a, T> = Pin<Box<dyn Future<Output = io::Result<T>> + Send + 'a>>;

/// A directory, whose files are named relative to it.
#[derive(Clone, Debug)]
pub(super) struct Directory(Arc<Path>);

/// A file beneath a directory.
#[derive(Debug)]
pub(super) struct OpenFile(tokio::fs::File);

/// What is known of a file.
#[derive(Debug)]
pub(super) struct Facts(Metadata);

impl Directory {
    pub(super) fn new(directory: &Path) -> Self {
        Self(directory.into())
    }

    fn look<T: Send + 'static>(
        &self,
        path: PathBuf,
        look: impl FnOnce(&fs::File, &Path) -> io::Result<T> + Send + 'static,
    ) -> Opening<'static, T> {
        let directory = Arc::clone(&self.0);
        Box::pin(async move {
            let looking = move || look(&fs::File::open(directory)?, &path);
            let found = spawn_blocking(looking).await.map_err(io::Error::other)?;
            // Nobody learns what is there that he may not have, nor which link leads to itself.
            found.map_err(|error| match error.raw_os_error() {
                Some(libc::ELOOP) => io::ErrorKind::NotFound.into(),
                _ if error.kind() == io::ErrorKind::PermissionDenied => {
                    io::ErrorKind::NotFound.into()
                }
                _ => error,
            })
        })
    }
}

impl served::Backend for Directory {
    type File = OpenFile;
    type Metadata = Facts;
    type OpenFuture = Opening<'static, OpenFile>;
    type MetadataFuture = Opening<'static, Facts>;

    fn open(&self, path: PathBuf) -> Self::OpenFuture {
        self.look(path, |directory, path| {
            // A pipe would be waited for.
            if !stat(directory, path, FollowSymlinks::Yes)?.is_file() {
                return Err(io::ErrorKind::NotFound.into());
            }
            let file = open(directory, path, OpenOptions::new().read(true))?;
            Ok(OpenFile(file.into()))
        })
    }

    fn metadata(&self, path: PathBuf) -> Self::MetadataFuture {
        self.look(path, |directory, path| stat(directory, path, FollowSymlinks::Yes).map(Facts))
    }
}

impl served::File for OpenFile {
    type Metadata = Facts;
    type MetadataFuture<'a> = Opening<'a, Facts>;

    fn metadata(&self) -> Self::MetadataFuture<'_> {
        Box::pin(async { Ok(Facts(Metadata::from_just_metadata(self.0.metadata().await?))) })
    }
}

impl served::Metadata for Facts {
    fn is_dir(&self) -> bool {
        self.0.is_dir()
    }

    fn modified(&self) -> io::Result<SystemTime> {
        self.0.modified().map(cap_primitives::time::SystemTime::into_std)
    }

    fn len(&self) -> u64 {
        self.0.len()
    }
}

impl AsyncRead for OpenFile {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl AsyncSeek for OpenFile {
    fn start_seek(mut self: Pin<&mut Self>, position: io::SeekFrom) -> io::Result<()> {
        Pin::new(&mut self.0).start_seek(position)
    }

    fn poll_complete(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<u64>> {
        Pin::new(&mut self.0).poll_complete(context)
    }
}
