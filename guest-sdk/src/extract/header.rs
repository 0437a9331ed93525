//! Header fields as types.

use headers::HeaderValue;

use super::FromRequest;
use crate::{Context, Error, Request, Result, Scope};

/// A header field that has a type in the crate [`headers`](crate::headers): `Authorization<Bearer>`,
/// `IfNoneMatch`, `Range` and so on, or a type of your own that implements its trait.
///
/// A field that is missing or malformed is answered with status 400 and a text that names it; for one
/// that may be missing take an `Option<Header<T>>`. Any field as text: [`Scope::header`].
///
/// ```
/// use tidegate_sdk::headers::{ETag, IfNoneMatch};
/// use tidegate_sdk::{Header, Response, export, http, testing::TestHost};
///
/// #[http("GET /tide")]
/// fn tide(known: Option<Header<IfNoneMatch>>) -> Response {
///     let tag: ETag = "\"high\"".parse().expect("a quoted text");
///     match known {
///         Some(Header(known)) if !known.precondition_passes(&tag) => Response::new(304),
///         _ => Response::text("high\n").typed_header(&tag),
///     }
/// }
///
/// export! { tide }
///
/// let host = TestHost::new(consumers());
/// let tag = host.get("/tide").header("etag").unwrap();
/// let again = host.request("GET", "/tide").header("if-none-match", tag).send();
/// assert_eq!(again.status(), 304);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header<T>(pub T);

impl<T: headers::Header> Header<T> {
    /// Reads the field of a connection, such as that of a handshake in
    /// [`connect`](crate::Websocket::connect). None if it is missing.
    ///
    /// # Errors
    /// When it is malformed.
    pub fn of(scope: &Scope) -> Result<Option<Self>> {
        let name = T::name().as_str();
        let malformed = || Error::bad_request(format!("header `{name}`: malformed\n"));
        let values: Vec<HeaderValue> = (scope.headers())
            .filter(|(field, _)| *field == name)
            .map(|(_, value)| HeaderValue::from_bytes(value))
            .collect::<Result<_, _>>()
            .map_err(|_| malformed())?;
        if values.is_empty() {
            return Ok(None);
        }
        match T::decode(&mut values.iter()) {
            Ok(value) => Ok(Some(Self(value))),
            Err(_) => Err(malformed()),
        }
    }
}

impl<T: headers::Header> FromRequest for Header<T> {
    fn from_request(request: &Request, _: &mut Context) -> Result<Self> {
        let missing = || Error::bad_request(format!("header `{}`: missing\n", T::name()));
        Self::of(request)?.ok_or_else(missing)
    }
}

impl<T: headers::Header> FromRequest for Option<Header<T>> {
    fn from_request(request: &Request, _: &mut Context) -> Result<Self> {
        Header::of(request)
    }
}
