//! Text from clients, checked once.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The name of a room: 1 to 32 of `a-z 0-9 -`. It is part of a group's name, so it has its letters.
pub(crate) struct Room(String);

impl Room {
    pub(crate) fn group(&self) -> String {
        format!("room.{}", self.0)
    }
}

impl FromStr for Room {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if (1..=32).contains(&text.len()) && text.bytes().all(fits) {
            Ok(Self(text.to_owned()))
        } else {
            Err("A room has 1 to 32 of a-z, 0-9 and -.")
        }
    }
}

/// The name of a person.
#[derive(Serialize, Deserialize)]
pub(crate) struct Name(String);

impl FromStr for Name {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match visible(text, 32) {
            Ok(name) => Ok(Self(name)),
            Err(Wrong::Empty) => Err("Please say your name."),
            Err(Wrong::Long) => Err("A name has at most 32 characters."),
        }
    }
}

/// What a client calls its connection: 1 to 36 of `a-z 0-9 -`, as in a UUID.
#[derive(Serialize, Deserialize)]
pub(crate) struct ConnectionId(String);

impl FromStr for ConnectionId {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if (1..=36).contains(&text.len()) && text.bytes().all(fits) {
            Ok(Self(text.to_owned()))
        } else {
            Err("An id has 1 to 36 of a-z, 0-9 and -.")
        }
    }
}

/// One line of a conversation.
#[derive(Serialize)]
pub(crate) struct Line(String);

impl FromStr for Line {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match visible(text, 2000) {
            Ok(line) => Ok(Self(line)),
            Err(Wrong::Empty) => Err("That line was empty."),
            Err(Wrong::Long) => Err("A line has at most 2000 characters."),
        }
    }
}

enum Wrong {
    Empty,
    Long,
}

/// The text without control characters and white space around it.
fn visible(text: &str, limit: usize) -> Result<String, Wrong> {
    let text: String = text.trim().chars().filter(|c| !c.is_control()).collect();
    if text.is_empty() {
        Err(Wrong::Empty)
    } else if text.chars().count() > limit {
        Err(Wrong::Long)
    } else {
        Ok(text)
    }
}
