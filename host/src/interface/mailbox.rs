//! What waits for one connection: bounded in bytes that the client has not taken yet.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use super::{
    encoded::EncodedFrame,
    unsent::{Kept, Unsent},
};
use crate::message::{Close, Done, Gap, GroupName, Position, Reply};

/// Bytes of answers that one run may flush for a WebSocket before its client has taken the first; what
/// a run sends without a flush fits as a whole.
const FLUSHED_ANSWERS: usize = 8 * 1024 * 1024;
/// Mails that a connection keeps room for while none waits.
const KEPT_MAILS: usize = 4;

/// Something for a connection.
#[derive(Clone, Debug)]
pub(super) enum Mail {
    /// Replies of the invocation that serves an event of the connection.
    Answer { order: u64, replies: Vec<Reply> },
    /// What somebody sent to the connection's channel or to a group.
    Message {
        replies: Arc<[SharedReply]>,
        /// Such a message neither accepts nor denies a handshake.
        from_group: bool,
    },
    /// An event is over.
    Done { order: u64, done: Done },
    /// More waits than may: what came here was dropped.
    Overflow,
    /// Messages to groups may be missing. Who is no member of any may have an event in flight that made
    /// it one.
    Missed { gap: Gap, is_member: bool },
    /// An operator closes the connection.
    Closed(Close),
    /// The interface server stops.
    Drain,
}

/// A reply that goes to several connections.
#[derive(Clone, Debug)]
pub(super) enum SharedReply {
    /// A WebSocket message, encoded once for all of them.
    Frame(EncodedFrame),
    /// Anything else.
    Other(Reply),
    /// One for a request that sees positions, and the place behind it.
    Numbered(Position, Reply),
    /// From where on a request gets all messages of a group.
    From { group: GroupName, position: Position, is_complete: bool },
}

/// What it takes to say from where on a request gets all messages of a group.
const FROM_BYTES: usize = 256;

impl From<Reply> for SharedReply {
    fn from(reply: Reply) -> Self {
        match reply {
            Reply::Send(frame) => Self::Frame(EncodedFrame::new(frame)),
            other => Self::Other(other),
        }
    }
}

impl SharedReply {
    /// Bytes that this adds to what waits for the client.
    pub(super) fn cost(&self) -> usize {
        match self {
            Self::Frame(frame) => frame.cost(),
            Self::Other(reply) | Self::Numbered(_, reply) => reply.cost(),
            Self::From { .. } => FROM_BYTES,
        }
    }
}

impl Mail {
    fn len(&self) -> usize {
        match self {
            Self::Answer { replies, .. } => replies.iter().map(Reply::cost).sum(),
            Self::Message { replies, .. } => replies.iter().map(SharedReply::cost).sum(),
            Self::Done { .. }
            | Self::Missed { .. }
            | Self::Overflow
            | Self::Closed(_)
            | Self::Drain => 0,
        }
    }
}

/// The bounded queue of one connection.
#[derive(Debug)]
pub(super) struct Mailbox {
    limit: usize,
    /// Shared with other requests of the same HTTP/2 connection.
    shared: Option<Arc<Unsent>>,
    /// Whether the answer to an event fits whenever what waits is within the limit. Then a connection
    /// sends its next event only once that is so again.
    takes_answers: bool,
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    mail: VecDeque<Mail>,
    /// Bytes in `mail` and those that the connection took but has not written.
    unsent: usize,
    /// Bytes of answers among them that are beyond the limit. They leave the room of other mail alone.
    beyond: usize,
    overflowed: bool,
    /// The task that waits for mail, if it does.
    reader: Option<Waker>,
    /// The task that waits until all mail is taken, if it does.
    sender: Option<Waker>,
}

/// The outcome of a delivery to a mailbox.
#[derive(Debug)]
#[must_use = "a reader that is not woken does not see its mail"]
pub(super) struct Delivered {
    /// False if the mail was dropped, since too much waits.
    pub(super) fits: bool,
    /// The reader, if it waits.
    pub(super) reader: Option<Waker>,
}

impl Delivered {
    /// Wakes the reader. Returns whether the mail fitted.
    pub(super) fn wake(self) -> bool {
        if let Some(reader) = self.reader {
            reader.wake();
        }
        self.fits
    }
}

impl Mailbox {
    /// The mailbox of a WebSocket.
    pub(super) fn of_socket(limit: usize) -> Self {
        Self { limit, shared: None, takes_answers: true, waiting: Mutex::default() }
    }

    /// The mailbox of a request.
    pub(super) fn of_request(limit: usize, shared: Option<Arc<Unsent>>) -> Self {
        Self { limit, shared, takes_answers: false, waiting: Mutex::default() }
    }

    /// Whether it is that of a WebSocket.
    pub(super) const fn is_of_socket(&self) -> bool {
        self.takes_answers
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds mail and wakes the reader. False if it was dropped, since too much waits; marks always fit.
    pub(super) fn put(&self, mail: Mail) -> bool {
        self.deliver(mail).wake()
    }

    /// Adds mail. The caller wakes the reader, which lets it deliver more before that.
    pub(super) fn deliver(&self, mail: Mail) -> Delivered {
        let mut waiting = self.waiting();
        let fits = self.add(&mut waiting, mail);
        Delivered { fits, reader: waiting.reader.take() }
    }

    /// Adds the replies to an event and its mark, for which the reader is woken once.
    pub(super) fn deliver_answer(
        &self,
        order: u64,
        replies: Vec<Reply>,
        done: Option<Done>,
    ) -> Delivered {
        let mut waiting = self.waiting();
        let fits = replies.is_empty() || self.add(&mut waiting, Mail::Answer { order, replies });
        if let Some(done) = done {
            self.add(&mut waiting, Mail::Done { order, done });
        }
        Delivered { fits, reader: waiting.reader.take() }
    }

    fn add(&self, waiting: &mut Waiting, mail: Mail) -> bool {
        let bytes = mail.len();
        let is_answer = self.takes_answers && matches!(mail, Mail::Answer { .. });
        let room = if is_answer { FLUSHED_ANSWERS } else { waiting.beyond };
        let has_room = waiting.unsent + bytes <= self.limit + room
            || (is_answer && waiting.unsent <= self.limit);
        let fits = bytes == 0
            || (!waiting.overflowed
                && has_room
                && self.shared.as_ref().is_none_or(|shared| shared.add(bytes)));
        if fits {
            waiting.unsent += bytes;
            if is_answer {
                waiting.beyond += bytes;
            }
            waiting.mail.push_back(mail);
        } else if !waiting.overflowed {
            waiting.overflowed = true;
            waiting.mail.push_back(Mail::Overflow);
        }
        fits
    }

    #[cfg(test)]
    pub(super) fn is_waiting(&self) -> bool {
        !self.waiting().mail.is_empty()
    }

    /// Polls for the next mail. One task at a time waits for it.
    pub(super) fn poll_take(&self, context: &mut Context<'_>) -> Poll<Mail> {
        let mut waiting = self.waiting();
        let Some(mail) = waiting.mail.pop_front() else {
            let reader = context.waker();
            if !waiting.reader.as_ref().is_some_and(|waker| waker.will_wake(reader)) {
                waiting.reader = Some(reader.clone());
            }
            return Poll::Pending;
        };
        if waiting.mail.is_empty() && waiting.mail.capacity() > KEPT_MAILS {
            // An idle connection keeps little memory here.
            waiting.mail = VecDeque::new();
        }
        if let Mail::Overflow = mail {
            waiting.overflowed = false;
        }
        let is_empty = waiting.mail.is_empty();
        let sender = waiting.sender.take_if(|_| is_empty);
        drop(waiting);
        if let Some(sender) = sender {
            sender.wake();
        }
        Poll::Ready(mail)
    }

    /// Waits until all mail is taken. One task at a time waits for it.
    pub(super) fn poll_taken(&self, context: &mut Context<'_>) -> Poll<()> {
        let mut waiting = self.waiting();
        if waiting.mail.is_empty() {
            return Poll::Ready(());
        }
        waiting.sender = Some(context.waker().clone());
        Poll::Pending
    }

    /// Bytes have gone to the client, or will never go.
    pub(super) fn written(&self, bytes: usize) {
        self.waiting().remove(bytes);
        if let Some(shared) = &self.shared {
            shared.remove(bytes);
        }
    }

    /// Whether more waits than other mail may add.
    pub(super) fn is_beyond(&self) -> bool {
        self.waiting().unsent > self.limit
    }

    /// Bytes that wait.
    pub(super) fn unsent(&self) -> usize {
        self.waiting().unsent
    }

    /// Counts bytes that leave with a body and were in no mailbox. None: nothing is shared. An error: there is no room.
    pub(super) fn charge(&self, bytes: usize) -> Result<Option<Kept>, NoRoom> {
        let Some(unsent) = &self.shared else { return Ok(None) };
        match unsent.add(bytes) {
            true => Ok(Some(Kept { unsent: Arc::clone(unsent), bytes })),
            false => Err(NoRoom),
        }
    }

    /// Hands over the count of bytes that leave with a body; none where nothing is shared.
    pub(super) fn keep(&self, bytes: usize) -> Option<Kept> {
        let mut waiting = self.waiting();
        let bytes = bytes.min(waiting.unsent);
        waiting.remove(bytes);
        self.shared.as_ref().map(|unsent| Kept { unsent: Arc::clone(unsent), bytes })
    }
}

/// Too much waits for the client already.
#[derive(Clone, Copy, Debug)]
pub(super) struct NoRoom;

impl Waiting {
    fn remove(&mut self, bytes: usize) {
        self.unsent = self.unsent.saturating_sub(bytes);
        self.beyond = self.beyond.min(self.unsent);
    }
}

impl Drop for Mailbox {
    fn drop(&mut self) {
        if let Some(shared) = &self.shared {
            shared.remove(self.unsent());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use futures_util::FutureExt as _;

    use super::*;
    use crate::message::Frame;

    fn text(bytes: usize) -> Mail {
        let reply = Reply::Send(Frame::Text("x".repeat(bytes)));
        Mail::Message { replies: [reply.into()].into(), from_group: true }
    }

    async fn take(mailbox: &Mailbox) -> Mail {
        poll_fn(|context| mailbox.poll_take(context)).await
    }

    #[tokio::test]
    async fn what_is_beyond_the_limit_is_dropped_and_told_in_its_place() {
        let mailbox = Mailbox::of_socket(100);
        assert!(mailbox.put(text(20)));
        assert!(!mailbox.put(text(0)), "also an empty frame takes room");
        assert!(mailbox.put(Mail::Drain), "marks always fit");
        assert!(matches!(take(&mailbox).await, Mail::Message { .. }));
        assert!(matches!(take(&mailbox).await, Mail::Overflow));
        assert!(matches!(take(&mailbox).await, Mail::Drain));
    }

    #[tokio::test]
    async fn a_reader_that_waits_is_to_be_woken_once_for_all_of_its_mail() {
        let mailbox = Mailbox::of_socket(1_000);
        assert!(mailbox.deliver(text(1)).reader.is_none(), "nobody waits");
        take(&mailbox).await;
        let context = &mut Context::from_waker(Waker::noop());
        assert!(mailbox.poll_take(context).is_pending());
        assert!(mailbox.deliver(text(1)).reader.is_some());
        assert!(mailbox.deliver(text(1)).reader.is_none(), "it is awake");
        assert!(mailbox.poll_take(context).is_ready() && mailbox.poll_take(context).is_ready());
        assert!(mailbox.poll_take(context).is_pending());
    }

    #[tokio::test]
    async fn a_sender_that_waits_is_woken_when_the_last_mail_is_taken() {
        let mailbox = Mailbox::of_socket(1_000);
        let mut taken = Box::pin(poll_fn(|context| mailbox.poll_taken(context)));
        assert!(taken.as_mut().now_or_never().is_some(), "there is none");
        assert!(mailbox.put(text(1)) && mailbox.put(text(1)));
        let mut taken = Box::pin(poll_fn(|context| mailbox.poll_taken(context)));
        assert!(taken.as_mut().now_or_never().is_none());
        take(&mailbox).await;
        assert!(taken.as_mut().now_or_never().is_none(), "one is left");
        let (_, ()) = tokio::join!(take(&mailbox), taken);
    }

    #[tokio::test]
    async fn taken_bytes_count_until_they_are_written() {
        let mailbox = Mailbox::of_socket(100);
        assert!(mailbox.put(text(36)));
        take(&mailbox).await;
        assert!(!mailbox.put(text(1)));
        assert!(matches!(take(&mailbox).await, Mail::Overflow));
        mailbox.written(100);
        assert!(mailbox.put(text(36)));
    }

    #[tokio::test]
    async fn an_answer_fits_where_less_waits_than_may_and_leaves_room_for_messages() {
        let answer = |bytes: usize| {
            let replies = vec![Reply::Send(Frame::Text("x".repeat(bytes)))];
            Mail::Answer { order: 0, replies }
        };
        let cost = answer(1_000).len();
        let mailbox = Mailbox::of_socket(100);
        assert!(mailbox.put(answer(1_000)) && mailbox.is_beyond());
        assert!(mailbox.put(text(20)), "a message has the room it always had");
        assert!(!mailbox.put(text(20)));
        for _ in 0..3 {
            take(&mailbox).await;
        }
        mailbox.written(cost);
        assert!(!mailbox.is_beyond());
        assert!(mailbox.put(answer(1_000)));
        assert!(mailbox.put(answer(1_000)), "a run may flush more than once");
        let request = Mailbox::of_request(100, None);
        assert!(!request.put(answer(1_000)), "a response is bounded as a whole");
    }

    #[tokio::test]
    async fn requests_share_a_limit_until_their_bytes_have_left() {
        let unsent = Unsent::new(200);
        let [one, two] = [(); 2].map(|()| Mailbox::of_request(1_000, Some(Arc::clone(&unsent))));
        assert!(one.put(text(60)) && !two.put(text(60)));
        let bytes = one.unsent();
        let kept = one.keep(bytes);
        drop(one);
        take(&two).await;
        assert!(!two.put(text(60)), "the body still waits");
        take(&two).await;
        drop(kept);
        assert!(two.put(text(60)));
        drop(two);
        assert!(unsent.add(200), "what nobody will read is forgotten");
    }
}
