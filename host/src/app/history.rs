//! Carries histories of groups over a restart of a process that is alone.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{capability::store::Store, layer::ChannelLayer, whole_file};

/// The file of the process before cannot be removed. A later process would believe it.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot remove {path}, which has the histories of the process before: {source}; remove it by hand"
)]
pub struct HistoryStays {
    path: PathBuf,
    source: io::Error,
}

/// The histories of a process, and the file in which it leaves them.
#[derive(Debug)]
pub(super) struct History {
    layer: Arc<dyn ChannelLayer>,
    file: PathBuf,
    /// A successor waits for its lock, so that it looks for the file when that is there.
    data: Arc<dyn Store>,
}

impl History {
    /// Takes up what the process before has left. What cannot be read is lost, and clients are told of a gap. The file is
    /// removed in any case, over Redis too: a later process would take it for all that was sent. An error is that it
    /// cannot be removed.
    pub(super) async fn take_up(
        layer: &Arc<dyn ChannelLayer>,
        data: &Arc<dyn Store>,
        data_dir: &Path,
    ) -> Result<Self, HistoryStays> {
        let (layer, data, file) = (Arc::clone(layer), Arc::clone(data), data_dir.join("history"));
        let (taker, from) = (Arc::clone(&layer), file.clone());
        let taken = on_a_thread(move || {
            let read = fs::read(&from);
            if !whole_file::remove(&from)? {
                return Ok(Ok(0));
            }
            Ok(read.and_then(|bytes| taker.take_up_histories(&bytes)))
        });
        let unmovable = |source| HistoryStays { path: file.clone(), source };
        match taken.await.map_err(unmovable)? {
            Ok(0) => {}
            Ok(groups) => tracing::info!(groups, "histories of the process before are taken up"),
            Err(error) => tracing::warn!(
                %error, file = %file.display(),
                "the histories of the process before cannot be read, and are lost: clients are told of a gap"
            ),
        }
        Ok(Self { layer, file, data })
    }

    /// Leaves them to the next process. Nobody sends any more.
    pub(super) async fn leave(self) {
        let (layer, file) = (Arc::clone(&self.layer), self.file.clone());
        match on_a_thread(move || layer.leave_histories(&file)).await {
            Ok(0) => {}
            Ok(groups) => tracing::info!(groups, "histories are left to the next process"),
            Err(error) => tracing::warn!(
                %error, file = %self.file.display(),
                "the histories of groups cannot be kept, and are lost: clients are told of a gap"
            ),
        }
        drop(self.data);
    }
}

async fn on_a_thread<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(io::Error::other(error)))
}
