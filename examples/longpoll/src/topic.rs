//! What a poll waits for.

use std::str::FromStr;

/// A name of 1 to 32 of `a-z 0-9 -`. It is part of a group's name, so it has its letters.
pub(crate) struct Topic(String);

impl Topic {
    pub(crate) fn group(&self) -> String {
        format!("topic.{}", self.0)
    }
}

impl FromStr for Topic {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if (1..=32).contains(&text.len()) && text.bytes().all(fits) {
            Ok(Self(text.to_owned()))
        } else {
            Err("A topic has 1 to 32 of a-z, 0-9 and -.")
        }
    }
}
