//! Which settings can be.

use serde_json::json;

use super::*;

fn config(algorithms: &[Algorithm], keys: &GivenKeys) -> Result<AuthConfig, AuthError> {
    let expected = Expected { audience: Some(vec!["app".to_owned()]), ..Expected::default() };
    AuthConfig::new(algorithms.to_vec(), keys, expected, Places::default())
}

fn secret(bytes: usize) -> GivenKeys {
    GivenKeys { secret: Some(GivenSecret(vec![b's'; bytes])), ..GivenKeys::default() }
}

fn pem(text: &str) -> GivenKeys {
    GivenKeys { public_keys: vec![text.to_owned()], ..GivenKeys::default() }
}

fn jwks(keys: &serde_json::Value) -> GivenKeys {
    let text = json!({ "keys": keys }).to_string().into_bytes();
    GivenKeys { jwks: Some(text), ..GivenKeys::default() }
}

#[test]
fn each_setting_that_would_let_others_in_is_refused_with_the_fix() {
    use Algorithm::{EdDsa, Es256, Hs256, Hs512, Rs256};
    let signer = Signer::new();
    let both = GivenKeys { public_keys: vec![signer.pem(EdDsa)], ..secret(64) };
    let private =
        "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIA==\n-----END PRIVATE KEY-----\n";
    for (algorithms, keys, rule) in [
        (&[][..], secret(32), "name those that your tokens have"),
        (&[Hs256], GivenKeys::default(), "there is no key"),
        (&[Hs256], secret(0), "has 0 bytes, and HS256 needs 32"),
        (&[Hs256], secret(31), "has 31 bytes, and HS256 needs 32"),
        (&[Hs256, Hs512], secret(63), "HS512 needs 64"),
        (&[Hs256, Rs256], secret(64), "a public key could be used as a shared secret"),
        (&[EdDsa], secret(64), "`secret` is for HS256"),
        (&[EdDsa], both.clone(), "`secret` is for HS256"),
        (&[Hs256], both, "`secret` is for HS256"),
        (&[Hs256], pem(&signer.pem(EdDsa)), "`secret` is for HS256"),
        (&[Es256], pem(&signer.pem(EdDsa)), "none of its keys is for ES256"),
        (&[EdDsa], pem(""), "there is no public key"),
        (&[EdDsa], pem("secret"), "there is no public key"),
        (&[EdDsa], pem(private), "has a private key"),
        (
            &[EdDsa],
            pem("-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n"),
            "BEGIN PUBLIC KEY",
        ),
        (
            &[EdDsa],
            pem("-----BEGIN PUBLIC KEY-----\nMAA=\n-----END PUBLIC KEY-----\n"),
            "there is no public key",
        ),
        (&[Es256], pem(include_str!("p521.pub.pem")), "neither RSA, P-256"),
        (&[Rs256], pem(include_str!("rsa1024.pub.pem")), "has 1024 bits"),
        (&[EdDsa], jwks(&json!([])), "none of its keys is for EdDSA"),
        (&[EdDsa], jwks(&json!({})), "is not a JWK Set"),
        (&[EdDsa], jwks(&json!([{ "kty": "oct", "k": "c2VjcmV0" }])), "shared secret"),
        (
            &[EdDsa],
            jwks(&json!([{ "kty": "OKP", "crv": "Ed25519", "x": "AA", "d": "AA" }])),
            "private key",
        ),
        (&[EdDsa], jwks(&json!([{ "kty": "OKP", "crv": "Ed25519", "x": "AA" }])), "neither RSA"),
        (
            &[EdDsa],
            jwks(&json!([{ "kty": "OKP", "crv": "Ed25519", "x": "A=" }])),
            "`x` of a key is not Base64url",
        ),
        (
            &[EdDsa],
            jwks(&json!([{ "kty": "OKP", "crv": "X25519", "x": "AA" }])),
            "none of its keys",
        ),
        (
            &[Es256],
            jwks(&json!([{ "kty": "EC", "crv": "P-256", "x": "AA", "y": "AA" }])),
            "wrong length",
        ),
        (
            &[Es256],
            jwks(&json!([{ "kty": "EC", "crv": "secp256k1", "x": "AA", "y": "AA" }])),
            "none of its keys",
        ),
        (&[Rs256], jwks(&json!([{ "kty": "RSA", "n": "AQAB", "e": "AQAB" }])), "has 17 bits"),
        (&[EdDsa], jwks(&vec![signer.jwks()[0].clone(); 17].into()), "has 17 keys; at most 16"),
    ] {
        let error = config(algorithms, &keys).unwrap_err().to_string();
        assert!(error.contains(rule), "{rule}: {error}");
    }
}

#[test]
fn public_keys_need_an_audience_or_a_word_that_there_is_none() {
    let signer = Signer::new();
    let new = |algorithm, audience| {
        let expected = Expected { audience, ..Expected::default() };
        AuthConfig::new(vec![algorithm], &signer.keys(algorithm), expected, Places::default())
    };
    assert_eq!(new(Algorithm::EdDsa, None).unwrap_err(), AuthError::AudienceMissing);
    assert!(new(Algorithm::EdDsa, Some(Vec::new())).is_ok());
    assert!(new(Algorithm::Hs256, None).is_ok());
}

#[test]
fn a_key_of_a_set_is_chosen_by_its_id_and_verifies_what_it_is_for() {
    use Algorithm::{EdDsa, Es256, Ps256, Rs256};
    let signer = Signer::new();
    let encryption = json!({ "kty": "RSA", "use": "enc", "kid": "enc", "n": "AQAB", "e": "AQAB" });
    let mut keys = signer.jwks().to_vec();
    keys.push(encryption);
    let config = config(&[EdDsa, Es256, Rs256, Ps256], &jwks(&keys.into())).unwrap();
    let auth = Auth::new(vec![config]);
    let payload = format!(r#"{{"sub":"ada","exp":{},"aud":"app"}}"#, NOW + 1);
    for (algorithm, id_of_key, expected) in [
        (EdDsa, Some("ed"), Ok("ada")),
        (EdDsa, None, Ok("ada")),
        (EdDsa, Some("ec"), Err(TokenError::Key)),
        (EdDsa, Some("unknown"), Err(TokenError::Key)),
        (EdDsa, Some(""), Err(TokenError::Key)),
        (Es256, Some("ec"), Ok("ada")),
        (Rs256, Some("rsa"), Ok("ada")),
        // The set says that the key is for RS256 alone.
        (Ps256, Some("rsa"), Err(TokenError::Key)),
        (Rs256, Some("enc"), Err(TokenError::Key)),
    ] {
        let mut header = json!({ "alg": algorithm.name() });
        if let Some(id) = id_of_key {
            header["kid"] = id.into();
        }
        let token = signer.token(algorithm, &header.to_string(), &payload);
        let found = id(auth.user(&token, Place::Field, now()));
        assert_eq!(found.as_deref(), expected.as_ref().copied(), "{header}");
    }
}
