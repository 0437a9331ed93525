//! Sessions of connections.

use std::fmt;

/// The close code of a socket whose token has expired, or whose session is over: to RFC 6455 it is private.
pub const SIGNED_OUT: u16 = 4401;
/// The reason of a close for the latter.
pub const SESSION_ENDED: &str = "the session has ended";

/// The name of a session's record: SHA-256 of the id, which the browser alone has.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionKey(pub [u8; 32]);

/// A session that is open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Where its record is.
    pub key: SessionKey,
    /// Names what modules keep for it; stays the same when the session gets another id.
    pub data: SessionData,
    /// When it ends in any case, in seconds since 1970.
    pub expires: u64,
}

/// Names what modules keep for a session: 128 random bits. Who knows them cannot get into the session.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionData(pub [u8; 16]);

/// What an interface server found when it looked for the session of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionLookup {
    /// There is none.
    None,
    /// There is one.
    Found(Session),
}

impl SessionLookup {
    /// The session, if there is one.
    pub const fn session(&self) -> Option<&Session> {
        match self {
            Self::None => None,
            Self::Found(session) => Some(session),
        }
    }
}

impl SessionKey {
    /// Reads 64 hexadecimal digits in lower case.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = data_encoding::HEXLOWER.decode(text.as_bytes()).ok()?;
        Some(Self(bytes.try_into().ok()?))
    }
}

/// 64 hexadecimal digits.
impl fmt::Display for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl SessionData {
    /// A name that no other session has.
    pub fn random() -> Self {
        Self(rand::random())
    }
}

/// 32 hexadecimal digits.
impl fmt::Display for SessionData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for SessionData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_reads_back_and_nothing_else_does() {
        let key = SessionKey(std::array::from_fn(|at| u8::try_from(at * 7).unwrap_or(9)));
        assert_eq!(SessionKey::parse(&key.to_string()), Some(key));
        let text = key.to_string();
        let (one, two) = (text.get(1..).unwrap(), text.get(2..).unwrap());
        for wrong in ["", one, two, &text.to_uppercase(), &format!("{text}00")] {
            assert_eq!(SessionKey::parse(wrong), None, "{wrong}");
        }
    }
}
