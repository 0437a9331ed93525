//! What is wrong with a setting.

/// A setting that cannot be: where it stands, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {problem}")]
pub struct ConfigError {
    place: String,
    problem: String,
}

impl ConfigError {
    /// Says where and what.
    pub fn new(place: &str, problem: &str) -> Self {
        Self { place: place.to_owned(), problem: problem.to_owned() }
    }
}

/// A checked value, or what is wrong with it.
pub(crate) type Checked<T> = Result<T, ConfigError>;
