//! The facts of a connection.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use crate::host::types;

/// The facts of a connection. They do not change while it is open.
///
/// ```
/// use tidegate_sdk::{Request, export, http, testing::TestHost};
///
/// #[http("GET /{language}/search")]
/// fn search(request: &Request) -> String {
///     let scope = request; // a request derefs to it
///     let agent = scope.header("User-Agent").unwrap_or("nobody");
///     let words: Vec<_> = scope.query_pairs().map(|(key, value)| format!("{key}={value}")).collect();
///     format!("{agent}: {} in {:?}", words.join(","), scope.param("language"))
/// }
///
/// export! { search }
///
/// let host = TestHost::new(consumers());
/// let response = host.request("GET", "/en/search?q=sea+salt&q=50%25&all").header("user-agent", "me").send();
/// assert_eq!(response.text(), r#"me: q=sea salt,q=50%,all= in Some("en")"#);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope(pub(crate) types::Scope, Option<String>);

impl Scope {
    pub(crate) fn new(facts: types::Scope) -> Self {
        let cookie = facts.headers.iter().find(|header| header.name == "cookie");
        let cookie = cookie.and_then(|header| text_cookies(&header.value));
        Self(facts, cookie)
    }

    /// The connection's own channel: what is sent there goes to the client. Whoever is handed the
    /// name may answer.
    #[must_use]
    pub fn reply_channel(&self) -> &str {
        &self.0.reply_channel
    }

    /// `http`, `https`, `ws` or `wss`.
    #[must_use]
    pub fn scheme(&self) -> &str {
        &self.0.scheme
    }

    /// `1.0`, `1.1` or `2`.
    #[must_use]
    pub fn http_version(&self) -> &str {
        &self.0.http_version
    }

    /// The method in upper case. `GET` for a WebSocket.
    #[must_use]
    pub fn method(&self) -> &str {
        &self.0.method
    }

    /// The path, percent-decoded.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.0.path
    }

    /// The path as the client wrote it.
    #[must_use]
    pub fn raw_path(&self) -> &str {
        &self.0.raw_path
    }

    /// What stood after the question mark, undecoded. Empty without one.
    #[must_use]
    pub fn query_string(&self) -> &str {
        &self.0.query_string
    }

    /// The first value of a key in the query, percent-decoded. `""` for a key without value.
    #[must_use]
    pub fn query(&self, key: &str) -> Option<String> {
        query_pairs(&self.0.query_string).find(|(name, _)| name == key).map(|(_, value)| value)
    }

    /// All pairs of the query in order, percent-decoded.
    pub fn query_pairs(&self) -> impl Iterator<Item = (String, String)> {
        query_pairs(&self.0.query_string)
    }

    /// What `{name}` in the route's path stood for, percent-decoded.
    #[must_use]
    pub fn param(&self, name: &str) -> Option<&str> {
        param(&self.0.path_params, name)
    }

    /// The first header field of that name, if its value is UTF-8. The case of `name` does not
    /// matter. Of `cookie` only the cookies that are not UTF-8 are missing: others set for the same
    /// domain.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        if let Some(cookies) = self.1.as_deref().filter(|_| name.eq_ignore_ascii_case("cookie")) {
            return Some(cookies);
        }
        self.headers()
            .find(|(field, _)| field.eq_ignore_ascii_case(name))
            .and_then(|(_, value)| std::str::from_utf8(value).ok())
    }

    /// All header fields in the order sent, names in lower case.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.0.headers.iter().map(|header| (header.name.as_str(), header.value.as_slice()))
    }

    /// The address and port of the client.
    #[must_use]
    pub fn client(&self) -> (&str, u16) {
        (&self.0.client.host, self.0.client.port)
    }

    /// The address and port of the server.
    #[must_use]
    pub fn server(&self) -> (&str, u16) {
        (&self.0.server.host, self.0.server.port)
    }

    /// Where the application is mounted. Empty at the root.
    #[must_use]
    pub fn root_path(&self) -> &str {
        &self.0.root_path
    }

    /// The subprotocols that a WebSocket client offers, best first.
    #[must_use]
    pub fn subprotocols(&self) -> &[String] {
        &self.0.subprotocols
    }
}

pub(crate) fn param<'a>(params: &'a [types::PathParam], name: &str) -> Option<&'a str> {
    params.iter().find(|param| param.name == name).map(|param| param.value.as_str())
}

/// The cookies of a field that are UTF-8; none if all are.
fn text_cookies(field: &[u8]) -> Option<String> {
    if std::str::from_utf8(field).is_ok() {
        return None;
    }
    let cookies = field.split(|byte| *byte == b';').filter_map(|it| std::str::from_utf8(it).ok());
    Some(cookies.map(str::trim).collect::<Vec<_>>().join("; "))
}

fn query_pairs(query: &str) -> impl Iterator<Item = (String, String)> {
    query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decode(name), decode(value))
    })
}

/// Decodes a form-encoded piece. What is no UTF-8 becomes U+FFFD.
fn decode(text: &str) -> String {
    let text = if text.contains('+') { Cow::Owned(text.replace('+', " ")) } else { text.into() };
    percent_decode_str(&text).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_that_is_not_utf_8_costs_its_own_cookie_only() {
        assert_eq!(text_cookies("a=1; b=ü".as_bytes()), None);
        for (field, left) in [
            (&b"session=abc; other=J\xfcrgen"[..], "session=abc"),
            (b"other=J\xfcrgen; session=abc;c=3", "session=abc; c=3"),
            (b"\xff", ""),
        ] {
            assert_eq!(text_cookies(field).as_deref(), Some(left));
        }
    }
}
