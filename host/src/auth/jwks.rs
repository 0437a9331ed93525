//! JWK Sets (RFC 7517).

use serde::Deserialize;

use super::{
    KEYS_MAX,
    algorithm::{Algorithm, KeyKind},
    key::{Key, KeyError, decode},
};

/// A set of keys, as far as it is read. What else it says is left aside (RFC 7517, section 5).
#[derive(Deserialize)]
struct Set {
    keys: Vec<Jwk>,
}

#[derive(Deserialize)]
struct Jwk {
    kty: String,
    #[serde(rename = "use")]
    used_for: Option<String>,
    key_ops: Option<Vec<String>>,
    alg: Option<String>,
    kid: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
    /// Private.
    d: Option<serde::de::IgnoredAny>,
    /// Shared.
    k: Option<serde::de::IgnoredAny>,
}

/// Reads the keys that verify signatures. Keys for encryption, and of kinds that no algorithm here is for, are
/// left out.
pub(super) fn read(text: &[u8]) -> Result<Vec<Key>, KeyError> {
    let set: Set =
        serde_json::from_slice(text).map_err(|error| KeyError::NotJwks(error.to_string()))?;
    if set.keys.len() > KEYS_MAX {
        return Err(KeyError::TooMany(set.keys.len()));
    }
    let mut keys = Vec::new();
    for jwk in set.keys {
        if jwk.k.is_some() || jwk.kty == "oct" {
            return Err(KeyError::SharedInJwks);
        }
        if jwk.d.is_some() {
            return Err(KeyError::Private);
        }
        keys.extend(key(jwk)?);
    }
    Ok(keys)
}

fn key(jwk: Jwk) -> Result<Option<Key>, KeyError> {
    let is_for_signatures = jwk.used_for.is_none_or(|it| it == "sig")
        && jwk.key_ops.is_none_or(|it| it.iter().any(|op| op == "verify"));
    let only = match jwk.alg.as_deref().map(Algorithm::of) {
        // An algorithm that is not verified here.
        Some(None) => return Ok(None),
        other => other.flatten(),
    };
    if !is_for_signatures {
        return Ok(None);
    }
    let bytes = |name: &str, text: &Option<String>| {
        let decoded = text.as_ref().and_then(|text| decode(text.as_bytes()));
        decoded.ok_or_else(|| KeyError::NotJwks(format!("`{name}` of a key is not Base64url")))
    };
    let point = |kind, size: usize| {
        let (x, y) = (bytes("x", &jwk.x)?, bytes("y", &jwk.y)?);
        if x.len() != size || y.len() != size {
            return Err(KeyError::NotJwks("`x` or `y` of a key has a wrong length".to_owned()));
        }
        Key::other(kind, [&[4], &x[..], &y[..]].concat())
    };
    let mut key = match (jwk.kty.as_str(), jwk.crv.as_deref()) {
        ("RSA", _) => Key::rsa(&bytes("n", &jwk.n)?, &bytes("e", &jwk.e)?)?,
        ("EC", Some("P-256")) => point(KeyKind::P256, 32)?,
        ("EC", Some("P-384")) => point(KeyKind::P384, 48)?,
        ("OKP", Some("Ed25519")) => Key::other(KeyKind::Ed25519, bytes("x", &jwk.x)?)?,
        _ => return Ok(None),
    };
    (key.id, key.only) = (jwk.kid, only);
    Ok(Some(key))
}
