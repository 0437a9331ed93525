//! Keys that verify signatures.

use std::fmt;

use data_encoding::BASE64URL_NOPAD;
use ring::{
    digest, hmac,
    signature::{RsaPublicKeyComponents, UnparsedPublicKey},
};
use x509_parser::{
    oid_registry::{
        OID_EC_P256, OID_KEY_TYPE_EC_PUBLIC_KEY, OID_NIST_EC_P384, OID_PKCS1_RSAENCRYPTION,
        OID_SIG_ED25519,
    },
    prelude::{FromDer as _, Pem, SubjectPublicKeyInfo},
    public_key::PublicKey,
};

use super::algorithm::{Algorithm, KeyKind};

/// The lengths of an RSA modulus that are verified, in bits.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2_048..=8_192;

/// Why a text or a file is not a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// A secret is too short for an algorithm.
    #[error(
        "the secret has {bytes} bytes, and {} needs {min} at least; make one with `openssl rand -base64 {min}`",
        .algorithm.name()
    )]
    WeakSecret {
        /// The bytes found.
        bytes: usize,
        /// The bytes needed.
        min: usize,
        /// The algorithm.
        algorithm: Algorithm,
    },
    /// There is no public key in a text.
    #[error(
        "there is no public key in it; give PEM that begins with -----BEGIN PUBLIC KEY-----, as `openssl pkey -in key.pem -pubout` writes it"
    )]
    NotPem,
    /// The text has a private key.
    #[error(
        "it has a private key, which only the signer has; give the public one: `openssl pkey -in key.pem -pubout`"
    )]
    Private,
    /// No algorithm is for the kind of key.
    #[error("a key is neither RSA, P-256, P-384 nor Ed25519, and no other is verified")]
    Kind,
    /// An RSA key is too short or too long.
    #[error("an RSA key has {0} bits; from 2048 to 8192 are verified")]
    RsaBits(usize),
    /// The file is not a JWK Set.
    #[error(
        "it is not a JWK Set: {0}; give JSON such as {{\"keys\": [{{\"kty\": \"OKP\", ...}}]}} (RFC 7517)"
    )]
    NotJwks(String),
    /// The set has a key that signer and verifier share.
    #[error(
        "it has a shared secret (\"kty\": \"oct\"), which is never beside public keys; give it as `secret` of another section"
    )]
    SharedInJwks,
    /// There is no key that an algorithm of the settings is for.
    #[error("none of its keys is for {0}; give a key of that kind, or name other algorithms")]
    NoneFits(String),
    /// There are too many keys.
    #[error("it has {0} keys; at most {max} are taken", max = super::KEYS_MAX)]
    TooMany(usize),
}

/// The part of a key that verifies.
#[derive(Clone, PartialEq, Eq)]
enum Material {
    Secret(Vec<u8>),
    Rsa { n: Vec<u8>, e: Vec<u8> },
    Other(Vec<u8>),
}

/// A key.
#[derive(Clone, PartialEq, Eq)]
pub struct Key {
    /// Its id, where a JWK Set gives one.
    pub(super) id: Option<String>,
    /// The one algorithm that it is for, where a JWK Set says so.
    pub(super) only: Option<Algorithm>,
    kind: KeyKind,
    material: Material,
}

/// Also a public key says more than a log should hold.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key")
            .field("id", &self.id)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

impl Key {
    /// Checks a secret, which must be long enough for each of the algorithms.
    pub fn secret(bytes: &[u8], algorithms: &[Algorithm]) -> Result<Self, KeyError> {
        for &algorithm in algorithms {
            let (bytes, min) = (bytes.len(), algorithm.secret_bytes_min());
            if bytes < min {
                return Err(KeyError::WeakSecret { bytes, min, algorithm });
            }
        }
        let (kind, material) = (KeyKind::Secret, Material::Secret(bytes.to_vec()));
        Ok(Self { id: None, only: None, kind, material })
    }

    /// Reads all public keys of a text in PEM.
    pub fn from_pem(text: &str) -> Result<Vec<Self>, KeyError> {
        let mut keys = Vec::new();
        for block in Pem::iter_from_buffer(text.as_bytes()) {
            let block = block.map_err(|_| KeyError::NotPem)?;
            match block.label.as_str() {
                "PUBLIC KEY" => keys.push(Self::from_der(&block.contents)?),
                label if label.ends_with("PRIVATE KEY") => return Err(KeyError::Private),
                _ => return Err(KeyError::NotPem),
            }
        }
        if keys.is_empty() { Err(KeyError::NotPem) } else { Ok(keys) }
    }

    /// Reads a `SubjectPublicKeyInfo` (RFC 5280, section 4.1.2.7).
    fn from_der(der: &[u8]) -> Result<Self, KeyError> {
        let (_, info) = SubjectPublicKeyInfo::from_der(der).map_err(|_| KeyError::NotPem)?;
        let of = &info.algorithm;
        let point = info.subject_public_key.data.to_vec();
        if of.algorithm == OID_PKCS1_RSAENCRYPTION {
            let Ok(PublicKey::RSA(rsa)) = info.parsed() else { return Err(KeyError::Kind) };
            return Self::rsa(rsa.modulus, rsa.exponent);
        }
        let kind = if of.algorithm == OID_SIG_ED25519 {
            KeyKind::Ed25519
        } else if of.algorithm == OID_KEY_TYPE_EC_PUBLIC_KEY {
            let curve = of.parameters.as_ref().and_then(|it| it.as_oid().ok());
            match curve {
                Some(curve) if curve == OID_EC_P256 => KeyKind::P256,
                Some(curve) if curve == OID_NIST_EC_P384 => KeyKind::P384,
                _ => return Err(KeyError::Kind),
            }
        } else {
            return Err(KeyError::Kind);
        };
        Self::other(kind, point)
    }

    pub(super) fn rsa(n: &[u8], e: &[u8]) -> Result<Self, KeyError> {
        let significant = |bytes: &[u8]| -> Vec<u8> {
            bytes.iter().copied().skip_while(|byte| *byte == 0).collect()
        };
        let (n, e) = (significant(n), significant(e));
        let bits = n.len() * 8 - n.first().map_or(0, |byte| byte.leading_zeros() as usize);
        if !RSA_BITS.contains(&bits) {
            return Err(KeyError::RsaBits(bits));
        }
        Ok(Self { id: None, only: None, kind: KeyKind::Rsa, material: Material::Rsa { n, e } })
    }

    /// A key of an elliptic curve: for P-256 and P-384 the point, not compressed.
    pub(super) fn other(kind: KeyKind, point: Vec<u8>) -> Result<Self, KeyError> {
        let bytes = match kind {
            KeyKind::P256 => 65,
            KeyKind::P384 => 97,
            _ => 32,
        };
        if point.len() != bytes {
            return Err(KeyError::Kind);
        }
        Ok(Self { id: None, only: None, kind, material: Material::Other(point) })
    }

    /// Whether it may verify a token with such a header.
    pub(super) fn fits(&self, algorithm: Algorithm, id: Option<&str>) -> bool {
        let same_id = match (&self.id, id) {
            (Some(own), Some(named)) => own == named,
            _ => true,
        };
        same_id && self.kind == algorithm.kind() && self.only.is_none_or(|only| only == algorithm)
    }

    /// Whether a signature of a text is by this key.
    pub(super) fn verifies(&self, algorithm: Algorithm, text: &[u8], signature: &[u8]) -> bool {
        match &self.material {
            Material::Secret(secret) => algorithm.hmac().is_some_and(|of| {
                // In constant time.
                hmac::verify(&hmac::Key::new(of, secret), text, signature).is_ok()
            }),
            Material::Rsa { n, e } => algorithm.rsa().is_some_and(|parameters| {
                RsaPublicKeyComponents { n, e }.verify(parameters, text, signature).is_ok()
            }),
            Material::Other(point) => algorithm.other().is_some_and(|of| {
                UnparsedPublicKey::new(of, point).verify(text, signature).is_ok()
            }),
        }
    }
}

/// The digest by which a token is remembered.
pub(super) fn digest(token: &str) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest::digest(&digest::SHA256, token.as_bytes()).as_ref());
    bytes
}

/// Base64 as RFC 7515, section 2, has it: no padding, no line breaks, and no bits left over.
pub(super) fn decode(text: &[u8]) -> Option<Vec<u8>> {
    BASE64URL_NOPAD.decode(text).ok()
}
