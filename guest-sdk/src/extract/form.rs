//! Queries and forms, which are encoded alike.

use serde::de::DeserializeOwned;

use super::{FromRequest, check_type};
use crate::{Context, Error, Request, Result, Scope};

/// The query, read as `T`: a struct with a field for each key, or a map. A key that is there several
/// times is a `Vec`; one that may be missing is an `Option`, or has a serde default.
///
/// A query that does not read as `T` is answered with status 400 and a text that says what is wrong
/// where. To read a value of the query without a struct, there is [`Scope::query`].
///
/// ```
/// use serde::Deserialize;
/// use tidegate_sdk::{Query, export, http, testing::TestHost};
///
/// #[derive(Deserialize)]
/// struct Search {
///     q: String,
///     #[serde(default)]
///     tag: Vec<String>,
///     page: Option<u32>,
/// }
///
/// #[http("GET /search")]
/// fn search(Query(search): Query<Search>) -> String {
///     format!("{} in {:?}, page {}", search.q, search.tag, search.page.unwrap_or(1))
/// }
///
/// export! { search }
///
/// let host = TestHost::new(consumers());
/// let found = host.get("/search?q=blue+whale&tag=sea&tag=big&page=2");
/// assert_eq!(found.text(), r#"blue whale in ["sea", "big"], page 2"#);
/// let wrong = host.get("/search?q=whale&page=two");
/// assert_eq!((wrong.status(), wrong.text().as_str()), (400, "query: page: invalid digit found in string\n"));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned> Query<T> {
    /// Reads the query of a connection, such as that of a handshake in
    /// [`connect`](crate::Websocket::connect).
    ///
    /// # Errors
    /// When the query does not read as `T`.
    pub fn of(scope: &Scope) -> Result<Self> {
        read("query", scope.query_string().as_bytes()).map(Self)
    }
}

impl<T: DeserializeOwned> FromRequest for Query<T> {
    fn from_request(request: &Request, _: &mut Context) -> Result<Self> {
        Self::of(request)
    }
}

/// A body that an HTML form sent, read as `T` by the rules of [`Query`].
///
/// Another content type than `application/x-www-form-urlencoded` is answered with status 415, a body
/// that does not read as `T` with status 400. Forms with files are [`Multipart`](crate::Multipart).
///
/// ```
/// use serde::Deserialize;
/// use tidegate_sdk::{Form, export, http, testing::TestHost};
///
/// #[derive(Deserialize)]
/// struct Visitor {
///     name: String,
///     age: u8,
/// }
///
/// #[http("POST /book")]
/// fn sign(Form(visitor): Form<Visitor>) -> String {
///     format!("{}, {}", visitor.name, visitor.age)
/// }
///
/// export! { sign }
///
/// let host = TestHost::new(consumers());
/// let post = |body: &str| {
///     let form = host.request("POST", "/book").header("content-type", "application/x-www-form-urlencoded");
///     form.body(body).send()
/// };
/// assert_eq!(post("name=Ada+L.&age=36").text(), "Ada L., 36");
/// assert_eq!(post("name=Ada").text(), "body: missing field `age`\n");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Form<T>(pub T);

impl<T: DeserializeOwned> FromRequest for Form<T> {
    fn from_request(request: &Request, _: &mut Context) -> Result<Self> {
        const TYPE: &str = "application/x-www-form-urlencoded";
        check_type(request, TYPE, |essence| essence == TYPE)?;
        read("body", request.body()).map(Self)
    }
}

fn read<T: DeserializeOwned>(what: &str, encoded: &[u8]) -> Result<T> {
    let pairs = serde_html_form::Deserializer::from_bytes(encoded);
    serde_path_to_error::deserialize(pairs).map_err(|error| {
        let path = error.path();
        // Without a field it is a dot.
        let at = if path.iter().len() == 0 { String::new() } else { format!("{path}: ") };
        Error::bad_request(format!("{what}: {at}{}\n", error.inner()))
    })
}
