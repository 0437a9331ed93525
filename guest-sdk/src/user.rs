//! The user of a connection.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::de::DeserializeOwned;

use crate::host::users;
use crate::{Context, Error, FromRequest, Request, Response, Result, payload};

/// The user of a connection, as the host found out before the consumer ran.
///
/// A consumer of HTTP takes it as a parameter; one of WebSockets, and any other, asks
/// [`Context::user`]. There is a user only where [`#[user]`](macro@crate::user) or
/// [`#[claims]`](macro@crate::claims) stands before the consumer in [`export!`](crate::export).
///
/// ```
/// use serde::Deserialize;
/// use tidegate_sdk::testing::{TestHost, json};
/// use tidegate_sdk::{Result, User, export, http};
///
/// #[derive(Deserialize)]
/// struct Claims {
///     name: String,
/// }
///
/// #[http("GET /me")]
/// fn me(user: User) -> Result<String> {
///     let Claims { name } = user.claims()?;
///     Ok(format!("{name} ({})", user.id()))
/// }
///
/// #[http("GET /")]
/// fn home(user: Option<User>) -> String {
///     match user {
///         Some(user) => format!("Welcome back, {}!", user.id()),
///         None => "Welcome!".to_owned(),
///     }
/// }
///
/// export! { #[user] me, #[user(optional)] home }
///
/// let host = TestHost::new(consumers());
/// let me = host.request("GET", "/me").signed_in_with("ada", &json!({ "name": "Ada" }));
/// assert_eq!(me.send().text(), "Ada (ada)");
/// assert_eq!(host.get("/me").status(), 401);
/// assert_eq!(host.get("/").text(), "Welcome!");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User(users::User);

impl User {
    pub(crate) fn current() -> Option<Self> {
        users::current().map(Self)
    }

    /// The id: `sub` of a token. It is the same for each connection of the user.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.0.id
    }

    /// Reads the claims, a map.
    ///
    /// # Errors
    /// When they do not read as `T`. Returned by a consumer, it is a fault.
    pub fn claims<T: DeserializeOwned>(&self) -> Result<T> {
        payload::decode(&self.0.claims).map_err(|error| {
            let type_name = std::any::type_name::<T>();
            Error::failed(format!("the claims do not read as `{type_name}`: {error}"))
        })
    }

    /// When it is no longer known that this is the user. None: always.
    #[must_use]
    pub fn expires(&self) -> Option<SystemTime> {
        self.0.expires.and_then(|seconds| UNIX_EPOCH.checked_add(Duration::from_secs(seconds)))
    }
}

/// Without a user it answers with status 401.
impl FromRequest for User {
    fn from_request(_: &Request, cx: &mut Context) -> Result<Self> {
        cx.user().cloned().ok_or_else(|| {
            let response = Response::text("sign in first\n").status(401);
            Error::response(response.header("www-authenticate", "Bearer"))
        })
    }
}

impl FromRequest for Option<User> {
    fn from_request(_: &Request, cx: &mut Context) -> Result<Self> {
        Ok(cx.user().cloned())
    }
}
