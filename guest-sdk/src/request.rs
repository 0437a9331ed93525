//! An HTTP request.

use std::rc::Rc;

use serde::de::DeserializeOwned;

use crate::{Error, Result, Scope};

/// An HTTP request. Derefs to [`Scope`], which has path, query and header fields.
///
/// A consumer takes it by value or by reference, or not at all.
///
/// ```
/// use tidegate_sdk::{Request, Response, Result, export, http, testing::TestHost};
///
/// #[http("GET /search")]
/// fn search(request: &Request) -> Response {
///     let words = request.query("q").unwrap_or_default();
///     Response::text(format!("nothing found for {words}"))
/// }
///
/// export! { search }
///
/// let host = TestHost::new(consumers());
/// assert_eq!(host.get("/search?q=blue+whale").text(), "nothing found for blue whale");
/// ```
#[derive(Debug, Clone)]
pub struct Request {
    pub(crate) scope: Rc<Scope>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    /// The body.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// The body, for keeps.
    #[must_use]
    pub fn into_body(self) -> Vec<u8> {
        self.body
    }

    /// The body as text. The error answers with status 400.
    ///
    /// # Errors
    /// When the body is not UTF-8.
    pub fn text(&self) -> Result<&str> {
        std::str::from_utf8(&self.body)
            .map_err(|error| Error::bad_request(format!("body: {error}\n")))
    }

    /// Reads the body as JSON. The error answers with status 400 and says what is wrong where.
    ///
    /// # Errors
    /// When the body does not read as `T`.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_slice(&self.body)
            .map_err(|error| Error::bad_request(format!("body: {error}\n")))
    }
}

impl std::ops::Deref for Request {
    type Target = Scope;

    fn deref(&self) -> &Scope {
        &self.scope
    }
}
