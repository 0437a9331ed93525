//! Why a session is not changed.

use std::fmt;

use crate::StoreError;
use crate::host::sessions;

/// Why nothing was done with a session.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SessionError {
    /// The call breaks a rule; the text says which. Trying again gives the same answer.
    Invalid(String),
    /// There is no session here, and none can begin; the text says why. Trying again gives the same answer.
    NoSession(String),
    /// The module may not do this; the text says what grants it. Trying again gives the same answer.
    Forbidden(String),
    /// The sessions cannot be read now; the text says why.
    Unavailable(String),
    /// The store does not give or take the data of the session.
    Store(StoreError),
}

impl fmt::Display for SessionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid(text)
            | Self::NoSession(text)
            | Self::Forbidden(text)
            | Self::Unavailable(text) => f.write_str(text),
            Self::Store(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for SessionError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Store(error) => Some(error),
            _ => None,
        }
    }
}

impl From<StoreError> for SessionError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<sessions::SessionError> for SessionError {
    fn from(error: sessions::SessionError) -> Self {
        use sessions::SessionError as E;
        match error {
            E::Invalid(text) => Self::Invalid(text),
            E::NoSession(text) => Self::NoSession(text),
            E::Forbidden(text) => Self::Forbidden(text),
            E::Unavailable(text) => Self::Unavailable(text),
        }
    }
}
