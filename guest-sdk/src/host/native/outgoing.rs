//! Requests that a run waits for: natively a test answers them.

use super::outside::Request;

/// A server's answer: status, header fields, body.
pub(crate) type Answered = (u16, Vec<(String, Vec<u8>)>, Vec<u8>);
/// Why there is none: a word, and a text for people.
pub(crate) type Failed = (&'static str, String);

/// What a test host does with the requests that a consumer waits for.
pub(crate) trait OutgoingHost {
    #[cfg_attr(not(feature = "outgoing"), expect(dead_code, reason = "only `fetch_now` calls it"))]
    fn fetch_now(&mut self, request: &Request) -> Result<Answered, Failed>;
}

#[cfg(feature = "outgoing")]
pub(crate) fn send(request: &Request) -> Result<Answered, Failed> {
    super::call(|host| host.fetch_now(request))
}
