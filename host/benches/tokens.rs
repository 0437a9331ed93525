//! A token at first sight, by algorithm, and one that was seen before.

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on stops")]

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use data_encoding::{BASE64, BASE64URL_NOPAD};
use ring::{
    hmac,
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _},
};
use tidegate::auth::{
    Algorithm, Auth, AuthConfig, Expected, GivenKeys, GivenSecret, Place, Places,
};

/// The start of a public key in DER.
const ED25519: &[u8] = b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00";
const P256: &[u8] =
    b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00";
const SECRET: &[u8] = &[b's'; 32];
const NOW: Duration = Duration::from_secs(1_800_000_000);

fn token(algorithm: Algorithm, sign: impl Fn(&[u8]) -> Vec<u8>) -> String {
    let encode = |bytes: &[u8]| BASE64URL_NOPAD.encode(bytes);
    let header = format!(r#"{{"alg":"{}","typ":"JWT"}}"#, algorithm.name());
    let claims = r#"{"sub":"ada","exp":1800000600,"iat":1800000000,"aud":"app","iss":"https://login.example","name":"Ada","role":["admin","reader"]}"#;
    let signed = format!("{}.{}", encode(header.as_bytes()), encode(claims.as_bytes()));
    format!("{signed}.{}", encode(&sign(signed.as_bytes())))
}

fn public(prefix: &[u8], key: &[u8]) -> GivenKeys {
    let der = BASE64.encode(&[prefix, key].concat());
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{der}\n-----END PUBLIC KEY-----\n");
    GivenKeys { public_keys: vec![pem], ..GivenKeys::default() }
}

fn tokens(c: &mut Criterion) {
    let random = SystemRandom::new();
    let pair = Ed25519KeyPair::generate_pkcs8(&random).unwrap();
    let ed25519 = Ed25519KeyPair::from_pkcs8(pair.as_ref()).unwrap();
    let of = &ECDSA_P256_SHA256_FIXED_SIGNING;
    let pair = EcdsaKeyPair::generate_pkcs8(of, &random).unwrap();
    let p256 = EcdsaKeyPair::from_pkcs8(of, pair.as_ref(), &random).unwrap();
    let shared = hmac::Key::new(hmac::HMAC_SHA256, SECRET);
    let secret = Some(GivenSecret(SECRET.to_vec()));
    let cases = [
        (
            Algorithm::Hs256,
            GivenKeys { secret, ..GivenKeys::default() },
            token(Algorithm::Hs256, |text| hmac::sign(&shared, text).as_ref().to_vec()),
        ),
        (
            Algorithm::EdDsa,
            public(ED25519, ed25519.public_key().as_ref()),
            token(Algorithm::EdDsa, |text| ed25519.sign(text).as_ref().to_vec()),
        ),
        (
            Algorithm::Es256,
            public(P256, p256.public_key().as_ref()),
            token(Algorithm::Es256, |text| p256.sign(&random, text).unwrap().as_ref().to_vec()),
        ),
    ];
    let now: SystemTime = UNIX_EPOCH + NOW;
    let mut group = c.benchmark_group("a token");
    for (algorithm, keys, token) in cases {
        let audience = Some(vec!["app".to_owned()]);
        let expected = Expected { audience, ..Expected::default() };
        let config = AuthConfig::new(vec![algorithm], &keys, expected, Places::default()).unwrap();
        group.bench_function(format!("{} at first sight", algorithm.name()), |b| {
            let fresh = || Auth::new(vec![config.clone()]);
            let check = |auth: Auth| {
                let user = auth.user(&token, Place::Field, now).unwrap().user;
                (auth, user)
            };
            b.iter_batched(fresh, check, BatchSize::PerIteration);
        });
        let auth = Auth::new(vec![config.clone()]);
        auth.user(&token, Place::Field, now).unwrap();
        group.bench_function(format!("{} seen before", algorithm.name()), |b| {
            b.iter(|| auth.user(&token, Place::Field, now).unwrap().user);
        });
    }
    group.finish();
}

criterion_group!(benches, tokens);
criterion_main!(benches);
