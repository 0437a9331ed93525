//! Signs tokens, well and badly.

use data_encoding::BASE64URL_NOPAD;
use ring::{
    hmac,
    rand::SystemRandom,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair,
        Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512,
        RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512, RsaEncoding, RsaKeyPair,
    },
};

use crate::auth::{Algorithm, GivenKeys, GivenSecret};

/// As long as the longest hash.
pub(super) const SECRET: &[u8] = &[b's'; 64];
/// The bytes before those of a public key in DER.
const ED25519_PREFIX: &[u8] = b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00";
const P256_PREFIX: &[u8] =
    b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00";
const P384_PREFIX: &[u8] =
    b"\x30\x76\x30\x10\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x05\x2b\x81\x04\x00\x22\x03\x62\x00";

/// One key of each kind.
pub(super) struct Signer {
    random: SystemRandom,
    rsa: RsaKeyPair,
    p256: EcdsaKeyPair,
    p384: EcdsaKeyPair,
    ed25519: Ed25519KeyPair,
}

impl Signer {
    pub(super) fn new() -> Self {
        let random = SystemRandom::new();
        let p256 = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let p384 = &ECDSA_P384_SHA384_FIXED_SIGNING;
        let fresh = |of| {
            let pair = EcdsaKeyPair::generate_pkcs8(of, &random).unwrap();
            EcdsaKeyPair::from_pkcs8(of, pair.as_ref(), &random).unwrap()
        };
        let pair = Ed25519KeyPair::generate_pkcs8(&random).unwrap();
        Self {
            rsa: RsaKeyPair::from_der(include_bytes!("rsa.der")).unwrap(),
            p256: fresh(p256),
            p384: fresh(p384),
            ed25519: Ed25519KeyPair::from_pkcs8(pair.as_ref()).unwrap(),
            random,
        }
    }

    /// The signature of a text.
    pub(super) fn sign(&self, algorithm: Algorithm, text: &str) -> Vec<u8> {
        use Algorithm as A;
        let text = text.as_bytes();
        let rsa: &dyn RsaEncoding = match algorithm {
            A::Hs256 | A::Hs384 | A::Hs512 => {
                let key = hmac::Key::new(algorithm.hmac().unwrap(), SECRET);
                return hmac::sign(&key, text).as_ref().to_vec();
            }
            A::Es256 => return self.p256.sign(&self.random, text).unwrap().as_ref().to_vec(),
            A::Es384 => return self.p384.sign(&self.random, text).unwrap().as_ref().to_vec(),
            A::EdDsa => return self.ed25519.sign(text).as_ref().to_vec(),
            A::Rs256 => &RSA_PKCS1_SHA256,
            A::Rs384 => &RSA_PKCS1_SHA384,
            A::Rs512 => &RSA_PKCS1_SHA512,
            A::Ps256 => &RSA_PSS_SHA256,
            A::Ps384 => &RSA_PSS_SHA384,
            A::Ps512 => &RSA_PSS_SHA512,
        };
        let mut signature = vec![0; self.rsa.public().modulus_len()];
        self.rsa.sign(rsa, &self.random, text, &mut signature).unwrap();
        signature
    }

    /// A token with such a header and payload.
    pub(super) fn token(&self, algorithm: Algorithm, header: &str, payload: &str) -> String {
        let signed = format!("{}.{}", encode(header), encode(payload));
        let signature = self.sign(algorithm, &signed);
        format!("{signed}.{}", encode(signature))
    }

    /// The key that verifies an algorithm, as settings give it.
    pub(super) fn keys(&self, algorithm: Algorithm) -> GivenKeys {
        if algorithm.is_symmetric() {
            let secret = Some(GivenSecret(SECRET.to_vec()));
            return GivenKeys { secret, ..GivenKeys::default() };
        }
        GivenKeys { public_keys: vec![self.pem(algorithm)], ..GivenKeys::default() }
    }

    /// The public key in PEM.
    pub(super) fn pem(&self, algorithm: Algorithm) -> String {
        match algorithm {
            Algorithm::Es256 => pem(P256_PREFIX, self.p256.public_key().as_ref()),
            Algorithm::Es384 => pem(P384_PREFIX, self.p384.public_key().as_ref()),
            Algorithm::EdDsa => pem(ED25519_PREFIX, self.ed25519.public_key().as_ref()),
            _ => include_str!("rsa.pub.pem").to_owned(),
        }
    }

    /// The public keys as members of a JWK Set: Ed25519, P-256, RSA.
    pub(super) fn jwks(&self) -> [serde_json::Value; 3] {
        let (_, point) = self.p256.public_key().as_ref().split_at(1);
        let (x, y) = point.split_at(32);
        let rsa = self.rsa.public();
        let components = ring::rsa::PublicKeyComponents::<Vec<u8>>::from(rsa);
        let ed25519 = self.ed25519.public_key().as_ref();
        [
            serde_json::json!({ "kty": "OKP", "crv": "Ed25519", "kid": "ed", "x": encode(ed25519) }),
            serde_json::json!({ "kty": "EC", "crv": "P-256", "kid": "ec", "x": encode(x), "y": encode(y) }),
            serde_json::json!({
                "kty": "RSA", "kid": "rsa", "alg": "RS256", "use": "sig",
                "n": encode(components.n), "e": encode(components.e),
            }),
        ]
    }
}

pub(super) fn encode(bytes: impl AsRef<[u8]>) -> String {
    BASE64URL_NOPAD.encode(bytes.as_ref())
}

fn pem(prefix: &[u8], key: &[u8]) -> String {
    let der = data_encoding::BASE64.encode(&[prefix, key].concat());
    format!("-----BEGIN PUBLIC KEY-----\n{der}\n-----END PUBLIC KEY-----\n")
}
