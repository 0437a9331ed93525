//! The id that follows one event wherever it leads.

use std::fmt;

/// 128 random bits, written as 32 hexadecimal digits: the shape of a trace id of W3C Trace Context.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct CorrelationId(u128);

impl CorrelationId {
    /// A new id.
    pub fn random() -> Self {
        Self(rand::random())
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
