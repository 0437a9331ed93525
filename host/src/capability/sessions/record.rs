//! What is kept of a session.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{
    capability::store::{StoreError, Value},
    message::{Blob, Content, Session, SessionData, SessionKey, User},
};

/// The longest label of a browser, in bytes.
pub(super) const AGENT_BYTES_MAX: usize = 256;

/// What is kept of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The user; none before somebody signs in.
    pub user: Option<Identity>,
    /// Names what modules keep for the session.
    pub data: SessionData,
    /// When it began, in seconds since 1970.
    pub created: u64,
    /// When it was last seen to be used. Written at most once a minute.
    pub used: u64,
    /// When it ends in any case.
    pub expires: u64,
    /// Where its user signed in from.
    pub origin: SignInOrigin,
}

/// Who is signed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The id of the user.
    pub id: String,
    /// The claims.
    pub claims: Content,
}

/// Where a session began.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SignInOrigin {
    /// The address of the client.
    pub address: String,
    /// What the browser calls itself, up to 256 bytes.
    pub agent: String,
}

/// A record as it stands in the store. `docs/store.md` describes it.
#[derive(Debug, Serialize, Deserialize)]
struct Stored {
    #[serde(skip_serializing_if = "Option::is_none", default)]
    user: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    claims: Option<Blob>,
    data: Blob,
    created: u64,
    used: u64,
    expires: u64,
    #[serde(default)]
    address: String,
    #[serde(default)]
    agent: String,
}

impl Record {
    /// The session that it is of.
    pub(super) const fn session(&self, key: SessionKey) -> Session {
        Session { key, data: self.data, expires: self.expires }
    }

    /// The user that consumers see.
    pub(super) fn user(&self) -> Result<Option<User>, StoreError> {
        let Some(Identity { id, claims }) = &self.user else { return Ok(None) };
        let user = User::new(id, claims.clone(), Some(self.expires));
        user.map(Some).map_err(|error| damaged(&error))
    }

    /// Writes it as it stands in the store.
    pub(super) fn seal(&self) -> Result<Value, StoreError> {
        let stored = Stored {
            user: self.user.as_ref().map(|user| user.id.clone()),
            claims: self.user.as_ref().map(|user| Blob(user.claims.as_bytes().clone())),
            data: Blob(Bytes::copy_from_slice(&self.data.0)),
            created: self.created,
            used: self.used,
            expires: self.expires,
            address: self.origin.address.clone(),
            agent: self.origin.agent.clone(),
        };
        let bytes = rmp_serde::to_vec_named(&stored).map_err(|error| damaged(&error))?;
        Value::of_bytes(bytes.into(), 0).map_err(|error| damaged(&error))
    }

    /// Reads what stands in the store.
    pub(super) fn open(bytes: &[u8]) -> Result<Self, StoreError> {
        let stored: Stored = rmp_serde::from_slice(bytes).map_err(|error| damaged(&error))?;
        let user = match (stored.user, stored.claims) {
            (Some(id), Some(Blob(claims))) => {
                let claims = Content::parse(claims).map_err(|error| damaged(&error))?;
                Some(Identity { id, claims })
            }
            (None, None) => None,
            _ => return Err(damaged(&"it has a user without claims, or claims without a user")),
        };
        let wrong = |_| damaged(&"`data` does not have 16 bytes");
        Ok(Self {
            user,
            data: SessionData(stored.data.0[..].try_into().map_err(wrong)?),
            created: stored.created,
            used: stored.used,
            expires: stored.expires,
            origin: SignInOrigin { address: stored.address, agent: stored.agent },
        })
    }
}

/// Nobody is signed out because a record cannot be read: the store is to be mended.
pub(super) fn damaged(problem: &dyn std::fmt::Display) -> StoreError {
    StoreError::Damaged { what: format!("the record of a session: {problem}") }
}

impl SignInOrigin {
    /// Cuts what the browser says of itself.
    pub fn new(address: String, agent: &str) -> Self {
        let end = agent.floor_char_boundary(AGENT_BYTES_MAX);
        let agent = agent.get(..end).unwrap_or_default();
        Self { address, agent: agent.chars().filter(|c| !c.is_control()).collect() }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn record(user: Option<Identity>) -> Record {
        let origin = SignInOrigin::new("192.0.2.1".to_owned(), "Firefox\n");
        let data = SessionData([7; 16]);
        Record { user, data, created: 1, used: 2, expires: 3, origin }
    }

    fn bytes(value: &Value) -> Bytes {
        let crate::capability::store::Data::Bytes(bytes) = &value.data else { panic!("bytes") };
        bytes.clone()
    }

    #[test]
    fn a_record_reads_back_with_and_without_a_user() {
        let claims = Content::from_json(json!({ "role": "owner" }).as_object().unwrap()).unwrap();
        for user in [None, Some(Identity { id: "ada".to_owned(), claims })] {
            let record = record(user);
            assert_eq!(record.origin.agent, "Firefox");
            assert_eq!(Record::open(&bytes(&record.seal().unwrap())), Ok(record));
        }
    }

    #[test]
    fn a_later_release_may_add_fields_and_what_is_no_record_is_damage() {
        let later = json!({
            "data": "0123456789abcdef", "created": 1, "used": 2, "expires": 3, "new": { "a": [1] }
        });
        let later = rmp_serde::to_vec_named(&later).unwrap();
        assert_eq!(Record::open(&later).unwrap().data, SessionData(*b"0123456789abcdef"));
        for damaged in [
            json!({}),
            json!([]),
            json!({ "data": "short", "created": 1, "used": 2, "expires": 3 }),
            json!({ "data": "0123456789abcdef", "created": "1", "used": 2, "expires": 3 }),
            json!({ "data": "0123456789abcdef", "created": 1, "used": 2, "expires": -3 }),
            json!({ "data": "0123456789abcdef", "created": 1, "used": 2, "expires": 3, "user": "a" }),
        ] {
            let bytes = rmp_serde::to_vec_named(&damaged).unwrap();
            let refused = Record::open(&bytes);
            assert!(matches!(refused, Err(StoreError::Damaged { .. })), "{damaged}: {refused:?}");
        }
    }

    #[test]
    fn a_label_is_cut_between_characters() {
        let origin = SignInOrigin::new(String::new(), &"ü".repeat(200));
        assert_eq!(origin.agent, "ü".repeat(128));
        let odd = SignInOrigin::new(String::new(), &format!("a{}", "ü".repeat(200)));
        assert_eq!(odd.agent.len(), 255);
    }
}
