//! Names, and what may be drawn.

use std::hash::{DefaultHasher, Hasher as _};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

const NAME_CHARS_MAX: usize = 24;
const KEY_BYTES_MAX: usize = 36;
const STROKE_POINTS: std::ops::RangeInclusive<usize> = 2..=64;

/// A board. The name is the path, so it has letters, digits and dashes only.
pub(crate) struct Board(String);

impl Board {
    pub(crate) fn group(&self) -> String {
        format!("board.{}", self.0)
    }
}

impl FromStr for Board {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if (1..=32).contains(&text.len()) && text.bytes().all(fits) {
            return Ok(Self(text.to_owned()));
        }
        Err("A board has 1 to 32 of a-z 0-9 -.")
    }
}

/// The key of a browser, the same in each of its windows.
#[derive(Serialize, Deserialize)]
pub(crate) struct Key(String);

impl Key {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// A colour that stays the same.
    pub(crate) fn hue(&self) -> u16 {
        let mut hasher = DefaultHasher::new();
        hasher.write(self.0.as_bytes());
        u16::try_from(hasher.finish() % 360).unwrap_or_default()
    }
}

impl FromStr for Key {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fits = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
        if (1..=KEY_BYTES_MAX).contains(&text.len()) && text.bytes().all(fits) {
            return Ok(Self(text.to_owned()));
        }
        Err("A key has 1 to 36 of a-z A-Z 0-9 -.")
    }
}

/// The name of a person.
#[derive(Serialize)]
pub(crate) struct Name(String);

impl FromStr for Name {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        if text.is_empty() {
            return Err("Please say your name.");
        }
        if text.chars().count() > NAME_CHARS_MAX || text.chars().any(char::is_control) {
            return Err("A name has at most 24 letters.");
        }
        Ok(Self(text.to_owned()))
    }
}

/// A place on the board, in thousandths of its width and height.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(try_from = "(u16, u16)")]
pub(crate) struct Point(u16, u16);

impl TryFrom<(u16, u16)> for Point {
    type Error = &'static str;

    fn try_from((x, y): (u16, u16)) -> Result<Self, Self::Error> {
        if x <= 1_000 && y <= 1_000 { Ok(Self(x, y)) } else { Err("a place is from 0 to 1000") }
    }
}

/// A part of a line.
#[derive(Serialize, Deserialize)]
pub(crate) struct Stroke(Vec<Point>);

impl Stroke {
    pub(crate) fn is_valid(&self) -> bool {
        STROKE_POINTS.contains(&self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_keys_have_bounds() {
        assert!("blue-board-2".parse::<Board>().is_ok());
        assert!("Blue".parse::<Board>().is_err() && "".parse::<Board>().is_err());
        assert!("8f14e45f-ceea".parse::<Key>().is_ok() && "a b".parse::<Key>().is_err());
        assert!(" Ada ".parse::<Name>().is_ok() && "  ".parse::<Name>().is_err());
        let key: Key = "ada".parse().unwrap();
        assert!(key.hue() < 360);
    }
}
