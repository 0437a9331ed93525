//! The id that follows one event wherever it leads.

use std::{fmt, str::FromStr};

/// 128 random bits, written as 32 hexadecimal digits: the shape of a trace id of W3C Trace Context.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct CorrelationId(pub(super) u128);

/// A text that is no such id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an id has 32 hexadecimal digits, with or without the hyphens of a UUID")]
pub struct CorrelationIdError;

impl CorrelationId {
    /// A new id.
    pub fn random() -> Self {
        Self(rand::random())
    }

    /// Its bytes, in the order of its digits.
    pub const fn to_bytes(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }
}

impl FromStr for CorrelationId {
    type Err = CorrelationIdError;

    fn from_str(text: &str) -> Result<Self, CorrelationIdError> {
        let digits: String = text.chars().filter(|&c| c != '-').collect();
        let is_whole = digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = u128::from_str_radix(&digits, 16).ok().filter(|_| is_whole);
        number.map(Self).ok_or(CorrelationIdError)
    }
}

impl fmt::Display for CorrelationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for CorrelationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back_and_a_uuid_is_one() {
        let id = CorrelationId::random();
        assert_eq!(id.to_string().parse(), Ok(id));
        let uuid: CorrelationId = "0123ABCD-0123-abcd-0123-0123456789ab".parse().unwrap();
        assert_eq!(uuid.to_string(), "0123abcd0123abcd01230123456789ab");
    }

    #[test]
    fn what_is_no_id_is_refused() {
        for text in ["", "1", "+123456789abcdef0123456789abcdef0", &"a".repeat(33), &"g".repeat(32)]
        {
            assert_eq!(text.parse::<CorrelationId>(), Err(CorrelationIdError), "{text}");
        }
    }
}
