//! Why the store refused a call.

use std::fmt;

use crate::host::store;

/// Why a call of the [`Store`](crate::Store) did nothing, or read nothing that the code understands.
///
/// As every error it is a fault where `?` passes it on: then nothing that the run wrote takes effect.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreError {
    /// The call breaks a rule; the text says which. Trying again gives the same answer.
    Invalid(String),
    /// The keys belong to another module; the text says which setting grants them.
    Forbidden(String),
    /// The store does not answer. Trying again later may work.
    Unavailable(String),
    /// A newer version of the module wrote the value, as after a rollback.
    NewerSchema {
        /// The key.
        key: String,
        /// The schema number of the value.
        found: u32,
        /// The highest number that this version reads.
        known: u32,
    },
    /// The value is not one of the type that the code asked for.
    Unreadable {
        /// The key.
        key: String,
        /// How it differs.
        problem: String,
    },
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid(text) | Self::Forbidden(text) | Self::Unavailable(text) => {
                f.write_str(text)
            }
            Self::NewerSchema { key, found, known } => write!(
                f,
                "newer-schema: {key:?} has schema {found}, and this version of the module reads up to \
                 {known}. Deploy the version that wrote it, or delete the key"
            ),
            Self::Unreadable { key, problem } => write!(f, "{key:?}: {problem}"),
        }
    }
}

impl std::error::Error for StoreError {}

impl From<store::StoreError> for StoreError {
    fn from(error: store::StoreError) -> Self {
        match error {
            store::StoreError::Invalid(text) => Self::Invalid(text),
            store::StoreError::Forbidden(text) => Self::Forbidden(text),
            store::StoreError::Unavailable(text) => Self::Unavailable(text),
        }
    }
}
