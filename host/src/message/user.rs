//! Users of connections.

use std::{collections::BTreeMap, fmt, sync::Arc};

use super::Content;

/// The longest id of a user, in bytes.
pub const USER_ID_BYTES_MAX: usize = 256;
/// The most that the claims of a user may take as MessagePack, in bytes.
pub const CLAIMS_BYTES_MAX: usize = 4 * 1024;

/// Claims that say something of a token, and not of its user (RFC 7519, section 4.1).
const OF_TOKEN: [&str; 4] = ["exp", "iat", "jti", "nbf"];

/// A user, as an interface server found out.
#[derive(Clone, PartialEq, Eq)]
pub struct User {
    id: Arc<str>,
    claims: Content,
    expires: Option<u64>,
}

/// Which rule a user breaks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UserError {
    /// The id is empty, too long, or has control characters.
    #[error("the id of a user has 1 to {USER_ID_BYTES_MAX} bytes and no control characters")]
    Id,
    /// The claims are too large.
    #[error("the claims take {bytes} bytes as MessagePack; at most {CLAIMS_BYTES_MAX} are taken")]
    ClaimsBytes {
        /// The bytes found.
        bytes: usize,
    },
}

impl User {
    /// Checks what is known of a user. `expires` is in seconds since 1970.
    pub fn new(id: &str, claims: Content, expires: Option<u64>) -> Result<Self, UserError> {
        Self::check_id(id)?;
        let bytes = claims.as_bytes().len();
        if bytes > CLAIMS_BYTES_MAX {
            return Err(UserError::ClaimsBytes { bytes });
        }
        Ok(Self { id: id.into(), claims, expires })
    }

    /// Checks the form of an id.
    pub fn check_id(id: &str) -> Result<(), UserError> {
        let is_valid =
            (1..=USER_ID_BYTES_MAX).contains(&id.len()) && !id.chars().any(char::is_control);
        if is_valid { Ok(()) } else { Err(UserError::Id) }
    }

    /// The id: the same for each connection of the user.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The claims, a map.
    pub const fn claims(&self) -> &Content {
        &self.claims
    }

    /// Whether another token of the same user, or the same one, says the same of it: all claims are alike but those that
    /// are about the token.
    pub fn may_do_the_same_as(&self, other: &Self) -> bool {
        let of_user = |user: &Self| -> BTreeMap<String, Vec<u8>> {
            let entries = user.claims.entries().filter(|(name, _)| !OF_TOKEN.contains(name));
            entries.map(|(name, value)| (name.to_owned(), value.to_vec())).collect()
        };
        self.id == other.id && of_user(self) == of_user(other)
    }

    /// When it is no longer known that this is the user, in seconds since 1970. None: always.
    pub const fn expires(&self) -> Option<u64> {
        self.expires
    }

    /// The bytes that it takes in a message.
    pub fn len(&self) -> usize {
        self.id.len() + self.claims.as_bytes().len()
    }

    /// Whether it takes none, which no user does.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Claims are personal: they are not shown.
impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("User").field("id", &self.id).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn claims(bytes: usize) -> Content {
        // {"a": "..."} with a text of 16 bits of length.
        let text = "x".repeat(bytes - 6);
        Content::from_json(json!({ "a": text }).as_object().unwrap()).unwrap()
    }

    #[test]
    fn ids_and_claims_have_bounds() {
        assert_eq!(claims(CLAIMS_BYTES_MAX).as_bytes().len(), CLAIMS_BYTES_MAX);
        let empty = || Content::from_json(&serde_json::Map::new()).unwrap();
        for (id, is_valid) in [
            ("ada", true),
            ("", false),
            ("a\nb", false),
            (&"x".repeat(USER_ID_BYTES_MAX), true),
            (&"x".repeat(USER_ID_BYTES_MAX + 1), false),
        ] {
            assert_eq!(User::new(id, empty(), None).is_ok(), is_valid, "{id:?}");
        }
        assert!(User::new("ada", claims(CLAIMS_BYTES_MAX), None).is_ok());
        let error = User::new("ada", claims(CLAIMS_BYTES_MAX + 1), None).unwrap_err();
        assert_eq!(error, UserError::ClaimsBytes { bytes: CLAIMS_BYTES_MAX + 1 });
    }

    #[test]
    fn a_fresh_token_of_the_same_user_with_the_same_claims_says_the_same() {
        let user = |id: &str, claims: serde_json::Value| {
            let claims = Content::from_json(claims.as_object().unwrap()).unwrap();
            User::new(id, claims, None).unwrap()
        };
        let before = user("ada", json!({ "role": "admin", "exp": 1, "iat": 0, "jti": "a" }));
        for (id, claims, is_same) in [
            ("ada", json!({ "exp": 9, "role": "admin", "nbf": 1 }), true),
            ("ada", json!({ "role": "user", "exp": 1 }), false),
            ("ada", json!({ "exp": 1 }), false),
            ("ada", json!({ "role": "admin", "more": true }), false),
            ("bob", json!({ "role": "admin" }), false),
        ] {
            let now = user(id, claims);
            assert_eq!(now.may_do_the_same_as(&before), is_same, "{id} {:?}", now.claims);
        }
    }

    #[test]
    fn claims_are_not_shown() {
        let user = User::new("ada", claims(100), None).unwrap();
        assert_eq!(format!("{user:?}"), "User { id: \"ada\", .. }");
    }
}
