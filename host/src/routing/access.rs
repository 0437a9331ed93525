//! Demands of routes on users.

use std::fmt;

use serde_json::Value;

use crate::message::User;

/// The demands of a route on the user of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// Whether a connection without a user is refused.
    pub is_required: bool,
    /// Rules of claims, all of which must hold.
    pub claims: Vec<ClaimRule>,
}

/// The rule of one claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimRule {
    /// The name.
    pub name: String,
    /// The values, one of which the claim must be, or have if it is a list.
    pub values: Vec<ClaimValue>,
}

/// A value that a claim can be asked for. Values of different types are different.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClaimValue {
    /// A text.
    Text(String),
    /// An integer.
    Integer(i64),
    /// True or false.
    Bool(bool),
}

/// Why a consumer is not run for a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessDenied {
    /// There is no user: 401.
    NoUser,
    /// The claims of the user are others: 403.
    Claims,
}

impl Access {
    /// Whether the consumer may run for a user.
    pub fn check(&self, user: Option<&User>) -> Result<(), AccessDenied> {
        let Some(user) = user else {
            // What claims are asked for asks for a user.
            let is_open = !self.is_required && self.claims.is_empty();
            return if is_open { Ok(()) } else { Err(AccessDenied::NoUser) };
        };
        let holds = self.claims.iter().all(|rule| rule.holds(user));
        if holds { Ok(()) } else { Err(AccessDenied::Claims) }
    }
}

impl ClaimRule {
    fn holds(&self, user: &User) -> bool {
        let claim = user.claims().entries().find(|(name, _)| *name == self.name);
        let Some(claim) = claim.and_then(|(_, value)| rmp_serde::from_slice::<Value>(value).ok())
        else {
            return false;
        };
        let is_one = |claim: &Value| self.values.iter().any(|value| value.is(claim));
        match &claim {
            Value::Array(claims) => claims.iter().any(is_one),
            claim => is_one(claim),
        }
    }
}

impl ClaimValue {
    fn is(&self, claim: &Value) -> bool {
        match (self, claim) {
            (Self::Text(text), Value::String(claim)) => text == claim,
            (Self::Integer(number), Value::Number(claim)) => claim.as_i64() == Some(*number),
            (Self::Bool(value), Value::Bool(claim)) => value == claim,
            _ => false,
        }
    }
}

/// ` user`, ` user=optional`, ` role="admin"|"owner"`: each with a space before it.
impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_required { " user" } else { " user=optional" })?;
        for ClaimRule { name, values } in &self.claims {
            write!(f, " {name}=")?;
            for (place, value) in values.iter().enumerate() {
                f.write_str(if place == 0 { "" } else { "|" })?;
                match value {
                    ClaimValue::Text(text) => write!(f, "{text:?}")?,
                    ClaimValue::Integer(number) => write!(f, "{number}")?,
                    ClaimValue::Bool(value) => write!(f, "{value}")?,
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::message::Content;

    fn user(claims: &Value) -> User {
        let claims = Content::from_json(claims.as_object().unwrap()).unwrap();
        User::new("ada", claims, None).unwrap()
    }

    fn access(claims: Vec<(&str, Vec<ClaimValue>)>) -> Access {
        let rule = |(name, values): (&str, _)| ClaimRule { name: name.to_owned(), values };
        Access { is_required: true, claims: claims.into_iter().map(rule).collect() }
    }

    #[test]
    fn without_a_user_only_an_optional_one_passes() {
        let optional = Access { is_required: false, claims: Vec::new() };
        assert_eq!(optional.check(None), Ok(()));
        assert_eq!(optional.check(Some(&user(&json!({})))), Ok(()));
        assert_eq!(access(Vec::new()).check(None), Err(AccessDenied::NoUser));
        let admin = access(vec![("role", vec![ClaimValue::Text("admin".into())])]);
        let lax = Access { is_required: false, ..admin };
        assert_eq!(lax.check(None), Err(AccessDenied::NoUser), "claims ask for a user");
    }

    #[test]
    fn a_claim_is_one_of_the_values_or_a_list_with_one_and_types_differ() {
        let text = |text: &str| ClaimValue::Text(text.to_owned());
        let role = || access(vec![("role", vec![text("admin"), text("owner")])]);
        let level = || access(vec![("level", vec![ClaimValue::Integer(1)])]);
        let both =
            || access(vec![("role", vec![text("a")]), ("is_staff", vec![ClaimValue::Bool(true)])]);
        for (access, claims, passes) in [
            (role(), json!({ "role": "admin" }), true),
            (role(), json!({ "role": ["reader", "owner"] }), true),
            (role(), json!({ "role": [] }), false),
            (role(), json!({ "role": [["admin"]] }), false),
            (role(), json!({ "role": "administrator" }), false),
            (role(), json!({ "role": { "admin": true } }), false),
            (role(), json!({ "Role": "admin" }), false),
            (role(), json!({ "role": null }), false),
            (role(), json!({}), false),
            (level(), json!({ "level": 1 }), true),
            (level(), json!({ "level": "1" }), false),
            (level(), json!({ "level": 1.5 }), false),
            (level(), json!({ "level": true }), false),
            (both(), json!({ "role": "a", "is_staff": true }), true),
            (both(), json!({ "role": "a" }), false),
            (both(), json!({ "role": "a", "is_staff": "true" }), false),
        ] {
            let expected = if passes { Ok(()) } else { Err(AccessDenied::Claims) };
            assert_eq!(access.check(Some(&user(&claims))), expected, "{access} {claims}");
        }
    }

    #[test]
    fn it_is_shown_as_guards_are() {
        let admin =
            access(vec![("role", vec![ClaimValue::Text("admin".into()), ClaimValue::Integer(2)])]);
        assert_eq!(admin.to_string(), " user role=\"admin\"|2");
        assert_eq!(Access { is_required: false, claims: vec![] }.to_string(), " user=optional");
    }
}
