//! What a group remembers: positions in its history, pages of it, and the rules of how much is kept.

use std::{fmt, str::FromStr, time::Duration};

use super::{Content, GroupName, GroupPattern, ModuleName};

/// The highest offset: what every language with numbers of 64 bits in binary floating point can count.
const OFFSET_MAX: u64 = (1 << 53) - 1;
/// Digits of an epoch.
const EPOCH_DIGITS: usize = 16;
/// Digits of the highest offset.
const OFFSET_DIGITS_MAX: usize = 16;

/// One uninterrupted numbering of a group's messages. Random, so that a store that goes back in time never
/// gives an epoch another meaning.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Epoch(u64);

impl Epoch {
    /// A new epoch.
    pub fn random() -> Self {
        Self(rand::random())
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Epoch {
    type Err = PositionError;

    fn from_str(text: &str) -> Result<Self, PositionError> {
        let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        let is_epoch = text.len() == EPOCH_DIGITS && text.bytes().all(is_digit);
        let number = u64::from_str_radix(text, 16).ok().filter(|_| is_epoch);
        number.map(Self).ok_or(PositionError)
    }
}

/// A place in the history of a group: behind the message with this offset, which counts from 1. Offset 0 is
/// before all messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Position {
    /// The numbering.
    pub epoch: Epoch,
    /// The messages before this place.
    pub offset: u64,
}

/// A text that is no position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a position has 16 hexadecimal digits, `-` and a number")]
pub struct PositionError;

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.epoch, self.offset)
    }
}

impl FromStr for Position {
    type Err = PositionError;

    fn from_str(text: &str) -> Result<Self, PositionError> {
        let (epoch, digits) = text.split_once('-').ok_or(PositionError)?;
        // One text for each position.
        let is_number = (1..=OFFSET_DIGITS_MAX).contains(&digits.len())
            && digits.bytes().all(|byte| byte.is_ascii_digit())
            && (digits == "0" || !digits.starts_with('0'));
        let offset = digits.parse().ok().filter(|offset| is_number && *offset <= OFFSET_MAX);
        Ok(Self { epoch: epoch.parse()?, offset: offset.ok_or(PositionError)? })
    }
}

/// Where a reader of a history was, as it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// It was nowhere before.
    Nothing,
    /// Before the first message that is kept, whichever that is.
    Start,
    /// Behind this position.
    Position(Position),
    /// At a place that no history has.
    Unknown,
}

impl After {
    /// Reads what a client says. A text that is no position is a place that no history has.
    pub fn said(text: Option<&str>) -> Self {
        match text.map(str::parse) {
            None => Self::Nothing,
            Some(Ok(position)) => Self::Position(position),
            Some(Err(PositionError)) => Self::Unknown,
        }
    }
}

/// From where on a connection gets the messages of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    /// Its last position.
    pub after: After,
    /// How many of the latest messages it gets where it has no position, or what came after that is gone.
    pub latest: usize,
}

/// A message of a history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remembered {
    /// Its number in the epoch.
    pub offset: u64,
    /// The message.
    pub content: Content,
}

/// A part of a history, oldest first and without holes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The place before the first message.
    pub from: Position,
    /// The messages.
    pub messages: Vec<Remembered>,
    /// Whether nothing is missing behind the position that was asked for.
    pub is_complete: bool,
    /// The offset of the group's last message.
    pub last: u64,
}

impl Page {
    /// The place behind the last message of the page.
    pub fn end(&self) -> Position {
        let offset = self.messages.last().map_or(self.from.offset, |message| message.offset);
        Position { offset, ..self.from }
    }

    /// Whether the history goes on behind the page.
    pub fn has_more(&self) -> bool {
        self.end().offset < self.last
    }
}

/// How much of a group is kept. What is beyond any of the three is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HistoryRule {
    /// The latest messages that are kept.
    pub messages: usize,
    /// How long a message is kept.
    pub age: Duration,
    /// Bytes of all messages that are kept.
    pub bytes: usize,
}

/// What all histories of a module may take together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HistoryBounds {
    /// Groups that are remembered. Beyond, the one that was sent to longest ago is forgotten.
    pub groups: usize,
    /// Bytes of all their messages, likewise.
    pub bytes: usize,
}

impl Default for HistoryBounds {
    fn default() -> Self {
        Self { groups: 10_000, bytes: 64 * 1024 * 1024 }
    }
}

/// Which groups of a module are remembered, and how much of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModuleHistories {
    /// What all of them may take.
    pub bounds: HistoryBounds,
    /// The more exact pattern first.
    rules: Vec<(GroupPattern, HistoryRule)>,
}

impl ModuleHistories {
    /// The histories of a module. Of patterns that match a group the most exact one counts.
    pub fn new(
        rules: impl IntoIterator<Item = (GroupPattern, HistoryRule)>,
        bounds: HistoryBounds,
    ) -> Self {
        let mut rules: Vec<_> = rules.into_iter().collect();
        rules.sort_by_key(|(pattern, _)| std::cmp::Reverse(pattern.exactness()));
        Self { bounds, rules }
    }

    /// How much is kept of a group of the module; none if it is not remembered.
    pub fn rule(&self, module: &ModuleName, group: &GroupName) -> Option<HistoryRule> {
        let name = group.within(module)?;
        let fits = |(pattern, _): &&(GroupPattern, HistoryRule)| pattern.matches(name);
        self.rules.iter().find(fits).map(|(_, rule)| *rule)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_reads_back_and_has_one_text() {
        let position = Position { epoch: Epoch::random(), offset: OFFSET_MAX };
        assert_eq!(position.to_string().parse(), Ok(position));
        let epoch = position.epoch;
        for offset in ["0", "1", "10", "9007199254740991"] {
            assert!(format!("{epoch}-{offset}").parse::<Position>().is_ok(), "{offset}");
        }
        for offset in
            ["", "-1", "+1", "01", "00", " 1", "1 ", "1.0", "1e3", "9007199254740992", "\u{0661}"]
        {
            let text = format!("{epoch}-{offset}");
            assert_eq!(text.parse::<Position>(), Err(PositionError), "{text:?}");
        }
        for text in
            ["", "-", "-1", "5", "0123456789abcde-1", "0123456789ABCDEF-1", "+123456789abcdef-1"]
        {
            assert_eq!(text.parse::<Position>(), Err(PositionError), "{text:?}");
            assert_eq!(After::said(Some(text)), After::Unknown);
        }
    }

    #[test]
    fn the_most_exact_pattern_counts_and_groups_of_others_are_not_remembered() {
        let rule = |messages| HistoryRule { messages, age: Duration::from_secs(1), bytes: 1 };
        let rules = ["*", "room.*", "room.red", "room.blue.*"];
        let rules = rules.iter().enumerate().map(|(at, it)| (it.parse().unwrap(), rule(at)));
        let histories = ModuleHistories::new(rules, HistoryBounds::default());
        let chat = ModuleName::parse("chat").unwrap();
        let of = |group: &str| {
            let group = GroupName::parse(group).unwrap();
            histories.rule(&chat, &group).map(|rule| rule.messages)
        };
        assert_eq!(of("chat.other"), Some(0));
        assert_eq!(of("chat.room.green"), Some(1));
        assert_eq!(of("chat.room.red"), Some(2));
        assert_eq!(of("chat.room.red.1"), Some(1));
        assert_eq!(of("chat.room.blue.x"), Some(3));
        for other in ["chat", "chatter.room.red", "news.room.red", "room.red"] {
            assert_eq!(of(other), None, "{other}");
        }
    }
}
