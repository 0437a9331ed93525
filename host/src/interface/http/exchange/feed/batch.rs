//! Messages that go to a reader together.

use super::{
    super::{Happening, Reply},
    items,
};
use crate::message::{GroupName, Page, Position};

/// The most messages of an event, where several have come.
const MESSAGES_MAX: usize = 100;

/// The place behind some messages, and what they have for clients.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) items: Vec<String>,
    pub(super) end: Position,
    pub(super) is_up_to_date: bool,
    /// The bytes that they took in the mailbox.
    pub(super) cost: usize,
    /// Whether the reader has to ask anew: its connection was closed, or it has missed messages behind these.
    pub(super) is_last: bool,
}

impl Batch {
    fn empty(end: Position, is_up_to_date: bool) -> Self {
        Self { items: Vec::new(), end, is_up_to_date, cost: 0, is_last: false }
    }

    /// Those of a page of a history.
    pub(super) fn of(page: &Page) -> Self {
        let mut batch = Self::empty(page.end(), !page.has_more());
        for message in &page.messages {
            items::add_content(&message.content, &mut batch.items);
        }
        batch
    }
}

/// What becomes of a happening.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// It goes to the reader, or has no bytes.
    Taken,
    /// Its bytes need not wait any more.
    Read(usize),
    /// It is for nobody here.
    Misfit(usize),
    /// The reader has to ask anew.
    Over,
    /// Too much waits for the reader.
    Overflow,
    /// The process stops.
    Stopping,
}

/// Gathers the messages of a group behind a place.
#[derive(Debug)]
pub(super) struct Gathering<'a> {
    group: &'a GroupName,
    end: Position,
    batch: Option<Batch>,
}

impl<'a> Gathering<'a> {
    pub(super) const fn new(group: &'a GroupName, from: Position) -> Self {
        Self { group, end: from, batch: None }
    }

    /// Whether there is nothing yet, so that the reader waits.
    pub(super) const fn is_empty(&self) -> bool {
        self.batch.is_none()
    }

    pub(super) fn is_full(&self) -> bool {
        self.batch.as_ref().is_some_and(|batch| batch.items.len() >= MESSAGES_MAX)
    }

    /// Looks at what happens next.
    pub(super) fn hear(&mut self, happening: Happening) -> Heard {
        match happening {
            // A consumer may have joined another group, or this one before its history was read.
            Happening::Numbered(at, reply)
                if at.epoch != self.end.epoch || at.offset <= self.end.offset =>
            {
                Heard::Misfit(reply.cost())
            }
            Happening::Numbered(at, reply) => {
                let batch = self.batch.get_or_insert_with(|| Batch::empty(at, true));
                items::add_reply(&reply, &mut batch.items);
                (batch.end, self.end) = (at, at);
                batch.cost += reply.cost();
                Heard::Taken
            }
            Happening::From(standing) if standing.is_complete || standing.group != *self.group => {
                Heard::Read(standing.cost)
            }
            Happening::From(_)
            | Happening::Reply(Reply::Close(_))
            | Happening::Closed(_)
            | Happening::Missed => Heard::Over,
            Happening::Reply(other) => Heard::Misfit(other.cost()),
            Happening::Frame(frame) => Heard::Misfit(frame.cost()),
            Happening::Done(_) | Happening::Lost => Heard::Taken,
            // The reader gets what there is, and meets it again.
            Happening::Overflow | Happening::Drain if self.batch.is_some() => Heard::Over,
            Happening::Overflow => Heard::Overflow,
            Happening::Drain => Heard::Stopping,
        }
    }

    /// What was gathered. None: nothing.
    pub(super) fn finish(self, is_last: bool) -> Option<Batch> {
        self.batch.map(|batch| Batch { is_last, ..batch })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        interface::conversation::Standing,
        message::{Close, Epoch, Frame},
    };

    fn group() -> GroupName {
        GroupName::parse("chat.room").unwrap()
    }

    fn at(offset: u64) -> Position {
        Position { epoch: "00000000000000ff".parse().unwrap(), offset }
    }

    fn said(position: Position) -> Happening {
        Happening::Numbered(position, Reply::Send(Frame::Text(position.offset.to_string())))
    }

    fn from(group: &str, is_complete: bool) -> Happening {
        let group = GroupName::parse(group).unwrap();
        Happening::From(Standing { group, position: at(9), is_complete, cost: 70 })
    }

    #[test]
    fn nothing_behind_a_gap_a_close_or_a_stop_goes_to_the_reader() {
        let closed = || Close::new(1000, "");
        for end in [
            from("chat.room", false),
            Happening::Missed,
            Happening::Closed(closed()),
            Happening::Reply(Reply::Close(closed())),
            Happening::Overflow,
            Happening::Drain,
        ] {
            let (group, shown) = (group(), format!("{end:?}"));
            let mut gathering = Gathering::new(&group, at(4));
            assert_eq!(gathering.hear(said(at(5))), Heard::Taken);
            assert_eq!(gathering.hear(end), Heard::Over, "{shown}");
            let batch = gathering.finish(true).unwrap();
            assert!(batch.is_last && batch.items == ["5"] && batch.end == at(5), "{shown}");
        }
        let group = group();
        let mut empty = Gathering::new(&group, at(4));
        assert_eq!(empty.hear(Happening::Drain), Heard::Stopping);
        assert_eq!(empty.hear(Happening::Overflow), Heard::Overflow);
        assert_eq!(empty.hear(from("chat.room", false)), Heard::Over);
        assert!(empty.finish(true).is_none());
    }

    #[test]
    fn only_messages_of_the_group_behind_the_place_count_and_each_once() {
        let group = group();
        let mut gathering = Gathering::new(&group, at(4));
        let other = Position { epoch: Epoch::random(), offset: 9 };
        for (happening, is_taken) in [
            (said(at(3)), false),
            (said(at(4)), false),
            (said(other), false),
            (said(at(5)), true),
            (said(at(5)), false),
            (said(at(6)), true),
        ] {
            assert_eq!(gathering.hear(happening) == Heard::Taken, is_taken);
        }
        assert_eq!(gathering.hear(from("chat.room", true)), Heard::Read(70));
        assert_eq!(gathering.hear(from("chat.other", false)), Heard::Read(70));
        let batch = gathering.finish(false).unwrap();
        assert_eq!(
            (batch.items, batch.end, batch.is_last),
            (vec!["5".into(), "6".into()], at(6), false)
        );
    }
}
