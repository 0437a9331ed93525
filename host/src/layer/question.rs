//! Questions of one process to the interface server of another, such as which connections it has.

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;

use super::LayerError;

/// Answers questions about the connections of a node.
#[async_trait]
pub trait Respondent: fmt::Debug + Send + Sync + 'static {
    /// Answers a question; layer and asker do not look into either. A layer calls it in a task of its own. Dropping the
    /// future leaves the question without an answer.
    async fn respond(&self, question: Bytes) -> Bytes;
}

/// Why a question has no answer. A change that was asked for may be made all the same, but for [`Self::Gone`] and
/// [`Self::Full`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unanswered {
    /// Nobody answers for the node: it is gone, or serves no connections.
    #[error("it is gone, or serves no connections")]
    Gone,
    /// Its inbox is full.
    #[error("its inbox is full")]
    Full,
    /// It did not answer in time.
    #[error("it did not answer in time")]
    TimedOut,
    /// The layer failed.
    #[error(transparent)]
    Layer(#[from] LayerError),
}
