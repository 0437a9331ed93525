//! What an HTTP consumer can take as a parameter, besides what the path captures.

use serde::de::DeserializeOwned;

use crate::{Context, Error, Json, Request, Response, Result};

#[cfg(feature = "cookies")]
mod cookies;
#[cfg(feature = "form")]
mod form;
#[cfg(feature = "headers")]
mod header;
#[cfg(feature = "multipart")]
mod multipart;
#[cfg(feature = "webhook")]
mod webhook;

#[cfg(feature = "cookies")]
pub use cookies::Cookies;
#[cfg(feature = "form")]
pub use form::{Form, Query};
#[cfg(feature = "headers")]
pub use header::Header;
#[cfg(feature = "multipart")]
pub use multipart::{Multipart, Part};
#[cfg(feature = "webhook")]
pub use webhook::{SignatureScheme, Signed, Webhook};

/// A type that an HTTP consumer can take as a parameter.
///
/// The error answers the request, and the consumer is not run: use [`Error::response`] and its kin,
/// or a [`Problem`](crate::Problem). A consumer that wants to answer by itself takes a
/// [`Result`] of the type.
///
/// ```
/// use tidegate_sdk::testing::TestHost;
/// use tidegate_sdk::{Context, FromRequest, Problem, Request, Result, export, http};
///
/// struct Token(String);
///
/// impl FromRequest for Token {
///     fn from_request(request: &Request, cx: &mut Context) -> Result<Self> {
///         match request.header("x-token") {
///             Some(token) => Ok(Self(token.to_owned())),
///             None => {
///                 cx.info("somebody came without a token");
///                 Err(Problem::new(401, "A token is needed").into())
///             }
///         }
///     }
/// }
///
/// #[http("GET /mine")]
/// fn mine(token: Token) -> String {
///     format!("the things of {}", token.0)
/// }
///
/// #[http("GET /all")]
/// fn all(token: Result<Token>) -> &'static str {
///     if token.is_ok() { "yours and others'" } else { "others'" }
/// }
///
/// export! { mine, all }
///
/// let host = TestHost::new(consumers());
/// assert_eq!(host.request("GET", "/mine").header("x-token", "7").send().text(), "the things of 7");
/// assert_eq!(host.get("/mine").status(), 401);
/// assert_eq!(host.get("/all").text(), "others'");
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be taken from a request",
    label = "neither in the path nor `FromRequest`",
    note = "a parameter with the name of one in the path is read from there; any other is \
            `&mut Context`, `Request`, `Query<T>`, `Json<T>`, `Form<T>`, `Multipart`, `Header<T>`, \
            `Cookies`, or a type of your own that implements `FromRequest`"
)]
pub trait FromRequest: Sized {
    /// Takes it from the request.
    ///
    /// # Errors
    /// When the request has no such thing.
    fn from_request(request: &Request, cx: &mut Context) -> Result<Self>;
}

/// Nothing is read, as in `Signed<W>`.
impl FromRequest for () {
    fn from_request(_: &Request, _: &mut Context) -> Result<Self> {
        Ok(())
    }
}

/// The error is for the consumer to answer.
impl<T: FromRequest> FromRequest for Result<T> {
    fn from_request(request: &Request, cx: &mut Context) -> Result<Self> {
        Ok(T::from_request(request, cx))
    }
}

/// The body as JSON. Another content type than `application/json`, or one that ends with `+json`, is
/// answered with status 415: a page of another site can send those without asking the server first.
/// [`Request::json`] does not look at it. A body that does not read as `T` is answered with status
/// 400.
impl<T: DeserializeOwned> FromRequest for Json<T> {
    fn from_request(request: &Request, _: &mut Context) -> Result<Self> {
        let is_json = |essence: &str| {
            essence == "application/json"
                || (essence.starts_with("application/") && essence.ends_with("+json"))
        };
        check_type(request, "application/json", is_json)?;
        request.json().map(Json)
    }
}

/// Answers with status 415 unless the content type is as expected.
fn check_type(request: &Request, expected: &str, fits: impl FnOnce(&str) -> bool) -> Result<()> {
    let content_type = request.header("content-type");
    let essence = content_type.and_then(|text| text.split(';').next()).unwrap_or_default();
    if fits(&essence.trim().to_ascii_lowercase()) {
        return Ok(());
    }
    let found = match content_type {
        Some(found) => format!("is `{found}`"),
        None => "is missing".to_owned(),
    };
    let text = format!("header `content-type`: {found}, expected `{expected}`\n");
    Err(Error::response(Response::text(text).status(415)))
}
