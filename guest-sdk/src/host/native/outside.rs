//! As `interface outside` of the contract; documented there.

use super::call;

/// A request, and what becomes of its result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    pub method: String,
    pub url: String,
    pub headers: Vec<(String, Vec<u8>)>,
    pub body: Vec<u8>,
    pub then: String,
    pub value: Vec<u8>,
    pub timeout: Option<u32>,
    pub retries: u32,
}

/// Why a call did nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FetchError {
    Invalid(String),
    Forbidden(String),
}

/// What a test host does with the requests of a consumer.
pub(crate) trait OutsideHost {
    fn fetch(&mut self, request: &Request) -> Result<(), FetchError>;
}

pub(crate) fn fetch(request: &Request) -> Result<(), FetchError> {
    call(|host| host.fetch(request))
}
