//! Frames on their way to the client.

use std::{
    collections::VecDeque,
    future::poll_fn,
    pin::Pin,
    task::{Poll, ready},
};

use bytes::Bytes;
use futures_util::Sink;
use tokio_tungstenite::tungstenite::{
    self, Message,
    protocol::{CloseFrame, frame::coding::CloseCode},
};

use crate::message::{Close, Frame};

/// Written out before more is taken, so that a client that keeps up is given credit for it.
const FLUSH_AT: usize = 16 * 1024;

/// Frames in order, and how many bytes of the mailbox they stand for.
#[derive(Debug, Default)]
pub(super) struct Outbound {
    frames: VecDeque<(Message, usize)>,
    /// Given to the socket, not flushed yet.
    buffered: usize,
    needs_flush: bool,
}

impl Outbound {
    pub(super) fn push(&mut self, frame: Frame, cost: usize) {
        let message = match frame {
            Frame::Text(text) => Message::Text(text.into()),
            Frame::Binary(bytes) => Message::Binary(bytes),
        };
        self.frames.push_back((message, cost));
    }

    /// Asks the client for a sign of life.
    pub(super) fn push_ping(&mut self) {
        self.frames.push_back((Message::Ping(Bytes::new()), 0));
    }

    pub(super) fn push_close(&mut self, close: &Close) {
        let frame =
            CloseFrame { code: CloseCode::from(close.code), reason: close.reason.clone().into() };
        self.frames.push_back((Message::Close(Some(frame)), 0));
    }

    /// Frames that will not be sent.
    pub(super) fn clear(&mut self) {
        self.frames.clear();
    }

    pub(super) fn is_idle(&self) -> bool {
        self.frames.is_empty() && !self.needs_flush
    }

    /// Writes until all or much is out; returns the bytes that are. Dropping the future loses nothing.
    pub(super) async fn write<S>(&mut self, sink: &mut S) -> Result<usize, tungstenite::Error>
    where
        S: Sink<Message, Error = tungstenite::Error> + Unpin,
    {
        poll_fn(|context| {
            let mut sink = Pin::new(&mut *sink);
            while !self.frames.is_empty() && self.buffered < FLUSH_AT {
                ready!(sink.as_mut().poll_ready(context))?;
                if let Some((message, cost)) = self.frames.pop_front() {
                    sink.as_mut().start_send(message)?;
                    self.buffered += cost;
                    self.needs_flush = true;
                }
            }
            ready!(sink.poll_flush(context))?;
            self.needs_flush = false;
            Poll::Ready(Ok(std::mem::take(&mut self.buffered)))
        })
        .await
    }
}
