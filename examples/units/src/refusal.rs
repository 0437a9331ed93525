//! What is wrong with a request, and how it is answered.

use tidegate_sdk::{IntoReply, Problem, Reply, Result};

pub(crate) enum Refusal {
    /// Too many digits.
    Digits,
    NoFile,
    NoNumber {
        line: usize,
    },
}

impl IntoReply for Refusal {
    fn into_reply(self) -> Result<Reply> {
        match self {
            Self::Digits => Problem::new(422, "At most 9 digits"),
            Self::NoFile => Problem::new(422, "The form has no part `file` with text"),
            Self::NoNumber { line } => Problem::new(422, "That is no number").with("line", &line),
        }
        .into_reply()
    }
}
