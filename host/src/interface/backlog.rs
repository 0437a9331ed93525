//! Connections that wait for a full channel: first in, first out per channel, and only the head of a
//! line tries again.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::time::{Instant, timeout_at};

use crate::{
    layer::{ChannelLayer, SendError},
    message::{ChannelName, Message},
};

/// Who has the lock is the head; tokio's mutex is fair.
type Line = Arc<tokio::sync::Mutex<()>>;

/// The lines of all full channels. A channel without one has room as far as is known.
#[derive(Debug, Default)]
pub(super) struct Lines(Mutex<HashMap<ChannelName, Line>>);

impl Lines {
    fn lines(&self) -> MutexGuard<'_, HashMap<ChannelName, Line>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends at once, unless others wait already or the channel is full: then the message comes back.
    pub(super) async fn try_send(
        &self,
        layer: &dyn ChannelLayer,
        channel: &ChannelName,
        message: Message,
    ) -> Result<Option<Message>, SendError> {
        if self.lines().contains_key(channel) {
            return Ok(Some(message));
        }
        match layer.send(channel, message.clone()).await {
            Ok(()) => Ok(None),
            Err(SendError::ChannelFull(_)) => Ok(Some(message)),
            Err(error) => Err(error),
        }
    }

    /// Waits for its turn and for room, at the longest until a moment.
    pub(super) async fn send(
        &self,
        layer: &dyn ChannelLayer,
        channel: &ChannelName,
        message: Message,
        until: Option<Instant>,
    ) -> Result<(), SendError> {
        let line = Arc::clone(self.lines().entry(channel.clone()).or_default());
        let _leave = Leave { lines: self, channel };
        let full = || SendError::ChannelFull(channel.clone());
        let wait = async {
            let _head = line.lock().await;
            loop {
                match layer.send(channel, message.clone()).await {
                    Err(SendError::ChannelFull(_)) => layer.room(channel).await,
                    other => return other,
                }
            }
        };
        match until {
            None => wait.await,
            Some(until) => timeout_at(until, wait).await.unwrap_or_else(|_| Err(full())),
        }
    }
}

/// The last to leave takes the line away.
struct Leave<'a> {
    lines: &'a Lines,
    channel: &'a ChannelName,
}

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        let mut lines = self.lines.lines();
        // The map and the leaver's own handle are two.
        if lines.get(self.channel).is_some_and(|line| Arc::strong_count(line) <= 2) {
            lines.remove(self.channel);
        }
    }
}
