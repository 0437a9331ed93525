//! Requests to servers elsewhere, which the host makes after the run.

mod error;
mod fetch;
mod fetched;

pub use error::FetchError;
pub use fetch::Fetch;
pub use fetched::{Answer, FetchFailure, Fetched};
