//! What members that see positions are sent: their messages with positions, and from where on they get all.
//!
//! A WebSocket gets each message in an envelope, a JSON object. To a request its replies come with the
//! position, and `http` puts it where the kind of response has a place for it.

use std::sync::Arc;

use data_encoding::BASE64;
use serde::Serialize;

use super::mailbox::{Mail, Mailbox, SharedReply};
use crate::message::{Frame, GroupName, Position, Reply};

/// What a WebSocket is sent. The first key tells it apart from the messages of applications.
#[derive(Serialize)]
#[serde(rename_all = "lowercase", tag = "tidegate")]
enum Envelope<'a> {
    /// All messages of the group behind this place follow.
    From { group: &'a str, position: String, complete: bool },
    /// A message of the group.
    Message {
        group: &'a str,
        position: String,
        #[serde(flatten)]
        content: Content<'a>,
    },
}

#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Content<'a> {
    Text(&'a str),
    Base64(String),
}

impl Envelope<'_> {
    fn frame(&self) -> Frame {
        Frame::Text(serde_json::to_string(self).expect("texts and a bool can be JSON"))
    }
}

/// Mail for some connections, made once for each protocol that is among them.
pub(super) struct Numbered {
    group: GroupName,
    position: Position,
    replies: Vec<Reply>,
    of_sockets: Option<Arc<[SharedReply]>>,
    of_requests: Option<Arc<[SharedReply]>>,
}

impl Numbered {
    pub(super) fn new(group: GroupName, position: Position, replies: Vec<Reply>) -> Self {
        Self { group, position, replies, of_sockets: None, of_requests: None }
    }

    /// The mail for a mailbox.
    pub(super) fn mail(&mut self, mailbox: &Mailbox) -> Mail {
        let (group, position, replies) = (&self.group, self.position, &self.replies);
        let replies = match mailbox.is_of_socket() {
            true => self.of_sockets.get_or_insert_with(|| {
                replies.iter().map(|reply| enveloped(group, position, reply.clone())).collect()
            }),
            false => self.of_requests.get_or_insert_with(|| {
                let numbered = |reply: &Reply| SharedReply::Numbered(position, reply.clone());
                replies.iter().map(numbered).collect()
            }),
        };
        Mail::Message { replies: Arc::clone(replies), from_group: true }
    }
}

fn enveloped(group: &GroupName, position: Position, reply: Reply) -> SharedReply {
    let Reply::Send(frame) = &reply else { return reply.into() };
    let content = match frame {
        Frame::Text(text) => Content::Text(text),
        Frame::Binary(bytes) => Content::Base64(BASE64.encode(bytes)),
    };
    let position = position.to_string();
    Reply::Send(Envelope::Message { group: group.as_str(), position, content }.frame()).into()
}

/// The mail that says from where on a connection gets all messages of a group.
pub(super) fn from(
    mailbox: &Mailbox,
    group: &GroupName,
    position: Position,
    is_complete: bool,
) -> Mail {
    let reply = if mailbox.is_of_socket() {
        let (group, position) = (group.as_str(), position.to_string());
        Reply::Send(Envelope::From { group, position, complete: is_complete }.frame()).into()
    } else {
        SharedReply::From { group: group.clone(), position, is_complete }
    };
    Mail::Message { replies: [reply].into(), from_group: true }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::message::Epoch;

    #[test]
    fn a_socket_gets_envelopes_that_begin_with_what_they_are() {
        let group = GroupName::parse("chat.room").unwrap();
        let position = Position { epoch: Epoch::random(), offset: 7 };
        let text = |content| {
            let position = position.to_string();
            let Frame::Text(text) =
                (Envelope::Message { group: group.as_str(), position, content }).frame()
            else {
                panic!("envelopes are text")
            };
            text
        };
        assert_eq!(
            text(Content::Text("a \"quoted\" line")),
            format!(
                r#"{{"tidegate":"message","group":"chat.room","position":"{position}","text":"a \"quoted\" line"}}"#
            )
        );
        let bytes = Bytes::from_static(b"\xff\x00");
        assert_eq!(
            text(Content::Base64(BASE64.encode(&bytes))),
            format!(
                r#"{{"tidegate":"message","group":"chat.room","position":"{position}","base64":"/wA="}}"#
            )
        );
        let from =
            Envelope::From { group: "chat.room", position: position.to_string(), complete: false };
        let expected = format!(
            r#"{{"tidegate":"from","group":"chat.room","position":"{position}","complete":false}}"#
        );
        assert_eq!(from.frame(), Frame::Text(expected));
    }
}
