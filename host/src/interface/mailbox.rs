//! What waits for one connection: bounded in bytes that the client has not taken yet.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

use crate::message::{Done, Reply};

/// Something for a connection.
#[derive(Clone, Debug)]
pub(super) enum Mail {
    /// Replies of the invocation that serves an event of the connection.
    Answer { order: u64, replies: Vec<Reply> },
    /// What somebody sent to the connection's channel or to a group.
    Message {
        replies: Arc<[Reply]>,
        /// Such a message neither accepts nor denies a handshake.
        from_group: bool,
    },
    /// An event is over.
    Done { order: u64, done: Done },
    /// More waits than may: what came here was dropped.
    Overflow,
    /// The interface server stops.
    Drain,
}

impl Mail {
    fn len(&self) -> usize {
        match self {
            Self::Answer { replies, .. } => replies.iter().map(Reply::cost).sum(),
            Self::Message { replies, .. } => replies.iter().map(Reply::cost).sum(),
            Self::Done { .. } | Self::Overflow | Self::Drain => 0,
        }
    }
}

/// The bounded queue of one connection.
#[derive(Debug)]
pub(super) struct Mailbox {
    limit: usize,
    waiting: Mutex<Waiting>,
    arrived: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    mail: VecDeque<Mail>,
    /// Bytes in `mail` and those that the connection took but has not written.
    unsent: usize,
    overflowed: bool,
}

impl Mailbox {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, waiting: Mutex::default(), arrived: Notify::new() }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds mail. False if it was dropped for want of room; marks always fit.
    pub(super) fn put(&self, mail: Mail) -> bool {
        let bytes = mail.len();
        let mut waiting = self.waiting();
        let fits = bytes == 0 || (!waiting.overflowed && waiting.unsent + bytes <= self.limit);
        if fits {
            waiting.unsent += bytes;
            waiting.mail.push_back(mail);
        } else if !waiting.overflowed {
            waiting.overflowed = true;
            waiting.mail.push_back(Mail::Overflow);
        }
        drop(waiting);
        self.arrived.notify_one();
        fits
    }

    #[cfg(test)]
    pub(super) fn is_waiting(&self) -> bool {
        !self.waiting().mail.is_empty()
    }

    /// The next mail. Dropping the future loses nothing.
    pub(super) async fn take(&self) -> Mail {
        loop {
            if let Some(mail) = self.try_take() {
                return mail;
            }
            self.arrived.notified().await;
        }
    }

    fn try_take(&self) -> Option<Mail> {
        let mut waiting = self.waiting();
        let mail = waiting.mail.pop_front();
        if waiting.mail.is_empty() {
            // An idle connection keeps no memory here.
            waiting.mail = VecDeque::new();
        }
        if let Some(Mail::Overflow) = mail {
            waiting.overflowed = false;
        }
        mail
    }

    /// Bytes have gone to the client, or will never go.
    pub(super) fn written(&self, bytes: usize) {
        let mut waiting = self.waiting();
        waiting.unsent = waiting.unsent.saturating_sub(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Frame;

    fn text(bytes: usize) -> Mail {
        let reply = Reply::Send(Frame::Text("x".repeat(bytes)));
        Mail::Message { replies: [reply].into(), from_group: true }
    }

    #[tokio::test]
    async fn what_is_beyond_the_limit_is_dropped_and_told_in_its_place() {
        let mailbox = Mailbox::new(100);
        assert!(mailbox.put(text(20)));
        assert!(!mailbox.put(text(0)), "also an empty frame takes room");
        assert!(mailbox.put(Mail::Drain), "marks always fit");
        assert!(matches!(mailbox.take().await, Mail::Message { .. }));
        assert!(matches!(mailbox.take().await, Mail::Overflow));
        assert!(matches!(mailbox.take().await, Mail::Drain));
    }

    #[tokio::test]
    async fn taken_bytes_count_until_they_are_written() {
        let mailbox = Mailbox::new(100);
        assert!(mailbox.put(text(36)));
        mailbox.take().await;
        assert!(!mailbox.put(text(1)));
        assert!(matches!(mailbox.take().await, Mail::Overflow));
        mailbox.written(100);
        assert!(mailbox.put(text(36)));
    }
}
