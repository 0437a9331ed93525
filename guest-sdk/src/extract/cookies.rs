//! Cookies of a request.

use cookie::Cookie;

use super::FromRequest;
use crate::{Context, Request, Result, Scope};

/// The cookies that came with a request, values percent-decoded. [`Response::cookie`] sets them.
///
/// What is no cookie is left out: a browser also sends what others set for the same domain. Of two
/// with one name the first counts, which has the longer path.
///
/// [`Response::cookie`]: crate::Response::cookie
///
/// ```
/// use tidegate_sdk::{Cookies, Response, export, http, testing::TestHost};
///
/// #[http("GET /greeting")]
/// fn greeting(cookies: &Cookies) -> String {
///     format!("Hello, {}!", cookies.get("name").unwrap_or("stranger"))
/// }
///
/// #[http("PUT /name/{name}")]
/// fn set(name: String) -> Response {
///     Response::new(204).cookie(("name", name))
/// }
///
/// export! { greeting, set }
///
/// let host = TestHost::new(consumers());
/// let set = host.request("PUT", "/name/J%C3%BCrgen").send().header("set-cookie").unwrap();
/// assert_eq!(set, "name=J%C3%BCrgen; HttpOnly; SameSite=Lax; Secure; Path=/");
/// let back = "other=1; name=J%C3%BCrgen";
/// assert_eq!(host.request("GET", "/greeting").header("cookie", back).send().text(), "Hello, Jürgen!");
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cookies(Vec<(String, String)>);

impl Cookies {
    /// The cookies of a connection, such as those of a handshake in
    /// [`connect`](crate::Websocket::connect).
    #[must_use]
    pub fn of(scope: &Scope) -> Self {
        let fields = scope.headers().filter(|(name, _)| *name == "cookie");
        let cookies = fields
            // A byte that is not UTF-8 costs the cookie that has it, and no other.
            .flat_map(|(_, value)| value.split(|byte| *byte == b';'))
            .filter_map(|cookie| std::str::from_utf8(cookie).ok())
            .flat_map(Cookie::split_parse_encoded)
            .filter_map(|cookie| cookie.ok())
            .map(|cookie| (cookie.name().to_owned(), cookie.value().to_owned()));
        Self(cookies.collect())
    }

    /// The value of a cookie.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// All names and values, in the order sent.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

impl FromRequest for Cookies {
    fn from_request(request: &Request, _: &mut Context) -> Result<Self> {
        Ok(Self::of(request))
    }
}
