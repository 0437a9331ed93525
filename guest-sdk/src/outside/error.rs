//! Why a request is not made.

use std::fmt;

use crate::host::outside;

/// Why the host refused a request. Trying again gives the same answer.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum FetchError {
    /// The request breaks a rule; the text says which.
    Invalid(String),
    /// The module may not reach the server, or not use the channel; the text says which setting grants it.
    Forbidden(String),
}

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Invalid(text) | Self::Forbidden(text)) = self;
        f.write_str(text)
    }
}

impl std::error::Error for FetchError {}

impl From<outside::FetchError> for FetchError {
    fn from(error: outside::FetchError) -> Self {
        match error {
            outside::FetchError::Invalid(text) => Self::Invalid(text),
            outside::FetchError::Forbidden(text) => Self::Forbidden(text),
        }
    }
}
