//! Each rule of `docs/users.md` as a row, and each algorithm against each other one.

use super::{signer::encode, *};

type Expected<'a> = Result<&'a str, TokenError>;

/// Checks a payload that is signed well.
fn check(auth: &Auth, signer: &Signer, payload: &str) -> Result<String, TokenError> {
    let token = signer.token(Algorithm::Hs256, r#"{"alg":"HS256","typ":"JWT"}"#, payload);
    id(auth.user(&token, Place::Field, now()))
}

/// The claims that count, with one that is another one; none is left out.
fn with(name: &str, value: Option<&str>) -> String {
    let mut claims = vec![
        ("sub", r#""ada""#.to_owned()),
        ("exp", (NOW + 600).to_string()),
        ("aud", r#""app""#.to_owned()),
        ("iss", r#""https://login.example""#.to_owned()),
    ];
    claims.retain(|(known, _)| *known != name);
    claims.extend(value.map(|value| (name, value.to_owned())));
    let members: Vec<_> = claims.iter().map(|(name, value)| format!("{name:?}:{value}")).collect();
    format!("{{{}}}", members.join(","))
}

#[test]
fn each_algorithm_counts_where_it_is_named_and_nowhere_else() {
    let signer = Signer::new();
    for configured in Algorithm::ALL {
        let auth = auth(&signer, configured, 0);
        for used in Algorithm::ALL {
            let header = format!(r#"{{"alg":"{}"}}"#, used.name());
            let token = signer.token(used, &header, &good());
            let expected = if used == configured { Ok("ada") } else { Err(TokenError::Algorithm) };
            let found = id(auth.user(&token, Place::Field, now()));
            assert_eq!(found.as_deref(), expected.as_ref().copied(), "{configured:?} {used:?}");
        }
    }
}

#[test]
fn a_header_that_lies_about_the_algorithm_does_not_verify() {
    let signer = Signer::new();
    for configured in Algorithm::ALL {
        let auth = auth(&signer, configured, 0);
        let header = format!(r#"{{"alg":"{}"}}"#, configured.name());
        for used in Algorithm::ALL.into_iter().filter(|used| *used != configured) {
            let token = signer.token(used, &header, &good());
            let found = id(auth.user(&token, Place::Field, now()));
            assert_eq!(found, Err(TokenError::Signature), "{configured:?} signed by {used:?}");
        }
    }
}

#[test]
fn nothing_that_is_changed_after_signing_counts() {
    let signer = Signer::new();
    for algorithm in Algorithm::ALL {
        let auth = auth(&signer, algorithm, 0);
        let header = format!(r#"{{"alg":"{}"}}"#, algorithm.name());
        let token = signer.token(algorithm, &header, &good());
        let parts: Vec<_> = token.split('.').collect();
        let other_payload = encode(good().replace("ada", "bob"));
        let other_header = encode(format!("{header} "));
        let signature = key::decode(parts[2].as_bytes()).unwrap();
        let cut = encode(&signature[..signature.len() - 1]);
        let other_key = Signer::new().token(algorithm, &header, &good());
        for (token, expected) in [
            (format!("{}.{other_payload}.{}", parts[0], parts[2]), TokenError::Signature),
            (format!("{other_header}.{}.{}", parts[1], parts[2]), TokenError::Signature),
            (format!("{}.{}.{cut}", parts[0], parts[1]), TokenError::Signature),
            (format!("{}.{}.", parts[0], parts[1]), TokenError::Signature),
            (format!("{}.{}.{}", parts[0], parts[1], encode([0; 64])), TokenError::Signature),
        ] {
            assert_eq!(
                id(auth.user(&token, Place::Field, now())),
                Err(expected),
                "{algorithm:?} {token}"
            );
        }
        // Secret and RSA key are the same in all tests.
        if matches!(algorithm, Algorithm::Es256 | Algorithm::Es384 | Algorithm::EdDsa) {
            assert_eq!(id(auth.user(&other_key, Place::Field, now())), Err(TokenError::Signature));
        }
    }
}

#[test]
fn each_rule_of_times_has_its_answer() {
    let signer = Signer::new();
    let (exact, lax) = (auth(&signer, Algorithm::Hs256, 0), auth(&signer, Algorithm::Hs256, 30));
    let at = |offset: i64| (i64::try_from(NOW).unwrap() + offset).to_string();
    let (now, next, before) = (at(0), at(1), at(-1));
    let fraction = format!("{now}.25");
    let (ahead, far, late, later) = (at(30), at(31), at(-29), at(-30));
    let text = format!("\"{next}\"");
    for (auth, name, value, expected) in [
        (&exact, "exp", None, Err(TokenError::ExpiryMissing)),
        (&exact, "exp", Some(&*now), Err(TokenError::Expired)),
        (&exact, "exp", Some(&*next), Ok("ada")),
        (&exact, "exp", Some(&*before), Err(TokenError::Expired)),
        (&exact, "exp", Some(&*fraction), Ok("ada")),
        (&exact, "exp", Some("1.8e9"), Err(TokenError::Expired)),
        (&exact, "exp", Some("1.9e9"), Ok("ada")),
        (&exact, "exp", Some("1e300"), Ok("ada")),
        (&exact, "exp", Some("-1"), Err(TokenError::Expired)),
        (&exact, "exp", Some("0"), Err(TokenError::Expired)),
        (&exact, "exp", Some(&*text), Err(TokenError::Number)),
        (&exact, "exp", Some("null"), Err(TokenError::Number)),
        (&exact, "exp", Some("true"), Err(TokenError::Number)),
        (&exact, "exp", Some("[1900000000]"), Err(TokenError::Number)),
        (&exact, "exp", Some("{}"), Err(TokenError::Number)),
        (&exact, "exp", Some("18446744073709551615"), Err(TokenError::Number)),
        (&exact, "exp", Some("9223372036854775807"), Ok("ada")),
        (&exact, "exp", Some("1e999"), Err(TokenError::Form)),
        (&exact, "exp", Some("NaN"), Err(TokenError::Form)),
        (&lax, "exp", Some(&*late), Ok("ada")),
        (&lax, "exp", Some(&*later), Err(TokenError::Expired)),
        (&exact, "nbf", None, Ok("ada")),
        (&exact, "nbf", Some(&*now), Ok("ada")),
        (&exact, "nbf", Some(&*next), Err(TokenError::NotYet)),
        (&exact, "nbf", Some(&*fraction), Err(TokenError::NotYet)),
        (&exact, "nbf", Some(&*before), Ok("ada")),
        (&exact, "nbf", Some(&*text), Err(TokenError::Number)),
        (&exact, "nbf", Some("null"), Err(TokenError::Number)),
        (&lax, "nbf", Some(&*ahead), Ok("ada")),
        (&lax, "nbf", Some(&*far), Err(TokenError::NotYet)),
        (&exact, "iat", None, Ok("ada")),
        (&exact, "iat", Some(&*now), Ok("ada")),
        (&exact, "iat", Some(&*next), Err(TokenError::IssuedAhead)),
        (&exact, "iat", Some("0"), Ok("ada")),
        (&exact, "iat", Some(&*text), Err(TokenError::Number)),
        (&exact, "iat", Some("{}"), Err(TokenError::Number)),
        (&lax, "iat", Some(&*ahead), Ok("ada")),
        (&lax, "iat", Some(&*far), Err(TokenError::IssuedAhead)),
    ] {
        let found = check(auth, &signer, &with(name, value));
        assert_eq!(found.as_deref(), expected.as_ref().copied(), "{name} {value:?}");
    }
}

#[test]
fn each_rule_of_names_has_its_answer() {
    let signer = Signer::new();
    let auth = auth(&signer, Algorithm::Hs256, 0);
    let (longest, too_long) = ("x".repeat(256), "x".repeat(257));
    let quoted = |text: &str| format!("\"{text}\"");
    let (longest_json, too_long) = (quoted(&longest), quoted(&too_long));
    let (audience, issuer, subject): (Expected<'_>, Expected<'_>, Expected<'_>) =
        (Err(TokenError::Audience), Err(TokenError::Issuer), Err(TokenError::Subject));
    for (name, value, expected) in [
        ("aud", Some(r#""app""#), Ok("ada")),
        ("aud", Some(r#""other""#), Ok("ada")),
        ("aud", Some(r#"["x","app"]"#), Ok("ada")),
        ("aud", Some(r#"["x"]"#), audience),
        ("aud", Some("[]"), audience),
        ("aud", Some(r#""App""#), audience),
        ("aud", Some(r#""app ""#), audience),
        ("aud", Some(r#"["app",1]"#), audience),
        ("aud", Some(r#"[["app"]]"#), audience),
        ("aud", Some("1"), audience),
        ("aud", Some("null"), audience),
        ("aud", Some(r#"{"app":true}"#), audience),
        ("aud", None, audience),
        ("iss", Some(r#""https://login.example""#), Ok("ada")),
        ("iss", Some(r#""https://login.example/""#), issuer),
        ("iss", Some(r#"["https://login.example"]"#), issuer),
        ("iss", Some("null"), issuer),
        ("iss", None, issuer),
        ("sub", Some(r#""42""#), Ok("42")),
        ("sub", Some(r#""\u00e4""#), Ok("ä")),
        ("sub", Some(&*longest_json), Ok(&*longest)),
        ("sub", Some(&*too_long), subject),
        ("sub", Some(r#""""#), subject),
        ("sub", Some(r#""a\nb""#), subject),
        ("sub", Some(r#""a\u0000""#), subject),
        ("sub", Some("42"), subject),
        ("sub", Some("null"), subject),
        ("sub", Some(r#"["ada"]"#), subject),
        ("sub", None, subject),
        ("role", Some(r#""admin""#), Ok("ada")),
        ("role", Some("18446744073709551615"), Err(TokenError::Number)),
        ("role", Some(r#"{"a":1,"a":2}"#), Err(TokenError::Duplicate)),
        ("Sub", Some(r#""bob""#), Ok("ada")),
    ] {
        let found = check(&auth, &signer, &with(name, value));
        assert_eq!(found.as_deref(), expected.as_ref().copied(), "{name} {value:?}");
    }
}

#[test]
fn an_audience_that_nobody_asks_for_is_refused_and_an_issuer_is_not() {
    let signer = Signer::new();
    let keys = signer.keys(Algorithm::Hs256);
    let config = AuthConfig::new(
        vec![Algorithm::Hs256],
        &keys,
        super::Expected::default(),
        Places::default(),
    );
    let auth = Auth::new(vec![config.unwrap()]);
    for (name, value, expected) in [
        ("aud", None, Ok("ada")),
        ("aud", Some(r#""app""#), Err(TokenError::Audience)),
        ("aud", Some("[]"), Err(TokenError::Audience)),
        ("aud", Some("null"), Err(TokenError::Audience)),
    ] {
        let found = check(&auth, &signer, &with(name, value));
        assert_eq!(found.as_deref(), expected.as_ref().copied(), "{name} {value:?}");
    }
    let anybody = format!(r#"{{"sub":"ada","exp":{},"iss":7}}"#, NOW + 1);
    assert_eq!(check(&auth, &signer, &anybody).as_deref(), Ok("ada"));
}

/// Compares the answers to tokens; none stands for one that counts.
fn check_all(auth: &Auth, cases: impl IntoIterator<Item = (String, Option<TokenError>)>) {
    for (token, expected) in cases {
        let found = id(auth.user(&token, Place::Field, now()));
        let expected = expected.map_or(Ok("ada"), Err);
        assert_eq!(found.as_deref(), expected.as_ref().copied(), "{token:.120}");
    }
}

#[test]
fn each_rule_of_the_form_has_its_answer() {
    let signer = Signer::new();
    let auth = auth(&signer, Algorithm::Hs256, 0);
    let raw = |header: &str, payload: &str| {
        let text = format!("{header}.{payload}");
        format!("{text}.{}", encode(signer.sign(Algorithm::Hs256, &text)))
    };
    let form = TokenError::Form;
    let good = signer.token(Algorithm::Hs256, r#"{"alg":"HS256"}"#, &good());
    let parts: Vec<_> = good.split('.').collect();
    // The last letter of a signature of 32 bytes has two bits that mean nothing.
    let mut loose = good.clone();
    let last = loose.pop().unwrap();
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    loose.push(alphabet.chars().nth(alphabet.find(last).unwrap() + 1).unwrap());
    let cases = [
        (good.clone(), None),
        (String::new(), Some(form)),
        (".".to_owned(), Some(form)),
        ("..".to_owned(), Some(form)),
        ("a.b.c".to_owned(), Some(form)),
        (format!("{}.{}", parts[0], parts[1]), Some(form)),
        (format!("{good}.{}", parts[2]), Some(form)),
        (format!("{good}."), Some(form)),
        (format!("{good}="), Some(form)),
        (format!("{good} "), Some(form)),
        (format!(" {good}"), Some(form)),
        (format!("{good}\n"), Some(form)),
        (good.replace('.', ".\n"), Some(form)),
        (loose, Some(form)),
        (format!(".{}.{}", parts[1], parts[2]), Some(form)),
        (format!("{}..{}", parts[0], parts[2]), Some(form)),
        (raw(&format!("{}=", encode("{\"alg\":\"HS256\" }")), parts[1]), Some(form)),
        (raw(parts[0], &data_encoding::BASE64.encode(br#"{"sub":"\u00ff??>>"}"#)), Some(form)),
        (raw(parts[0], &encode([0xff, 0xfe])), Some(form)),
        ("x".repeat(TOKEN_BYTES_MAX + 1), Some(TokenError::Size)),
        ("x".repeat(TOKEN_BYTES_MAX), Some(form)),
        (good.to_uppercase(), Some(form)),
    ];
    check_all(&auth, cases);
}

#[test]
fn each_rule_of_the_header_has_its_answer() {
    let signer = Signer::new();
    let auth = auth(&signer, Algorithm::Hs256, 0);
    let claims = good();
    let signed = |header: &str, payload: &str| signer.token(Algorithm::Hs256, header, payload);
    let (form, algorithm) = (TokenError::Form, TokenError::Algorithm);
    let none = format!("{}.{}.", encode(r#"{"alg":"none"}"#), encode(&claims));
    let cases = [
        (signed("[]", &claims), Some(form)),
        (signed("", &claims), Some(form)),
        (signed("{}", &claims), Some(algorithm)),
        (none.clone(), Some(algorithm)),
        (none.replace(&encode(r#"{"alg":"none"}"#), &encode(r#"{"alg":"None"}"#)), Some(algorithm)),
        (signed(r#"{"alg":"none"}"#, &claims), Some(algorithm)),
        (signed(r#"{"alg":""}"#, &claims), Some(algorithm)),
        (signed(r#"{"alg":"hs256"}"#, &claims), Some(algorithm)),
        (signed(r#"{"alg":"HS256 "}"#, &claims), Some(algorithm)),
        (signed(r#"{"alg":["HS256"]}"#, &claims), Some(algorithm)),
        (signed(r#"{"alg":null}"#, &claims), Some(algorithm)),
        (signed(r#"{"Alg":"HS256"}"#, &claims), Some(algorithm)),
        (signed(r#"{"alg":"HS256","alg":"HS256"}"#, &claims), Some(TokenError::Duplicate)),
        (signed(r#"{"alg":"none","alg":"HS256"}"#, &claims), Some(TokenError::Duplicate)),
        (signed(r#"{"alg":"HS256","crit":["exp"]}"#, &claims), Some(TokenError::Critical)),
        (signed(r#"{"alg":"HS256","crit":[]}"#, &claims), Some(TokenError::Critical)),
        (
            signed(r#"{"alg":"HS256","crit":["b64"],"b64":false}"#, &claims),
            Some(TokenError::Critical),
        ),
        (signed(r#"{"alg":"HS256","kid":1}"#, &claims), Some(form)),
        (signed(r#"{"alg":"HS256","kid":"any"}"#, &claims), None),
        (signed(r#"{"alg":"HS256","typ":"at+jwt"}"#, &claims), None),
        (
            signed(
                r#"{"alg":"HS256","jku":"https://evil.example/keys","x5u":"https://evil.example"}"#,
                &claims,
            ),
            None,
        ),
    ];
    check_all(&auth, cases);
}

#[test]
fn each_rule_of_the_payload_has_its_answer() {
    let signer = Signer::new();
    let auth = auth(&signer, Algorithm::Hs256, 0);
    let (head, claims, form) = (r#"{"alg":"HS256"}"#, good(), TokenError::Form);
    let signed = |header: &str, payload: &str| signer.token(Algorithm::Hs256, header, payload);
    let big = |bytes: usize| claims.replace("admin", &"x".repeat(bytes));
    let cases = [
        (signed(head, "[]"), Some(form)),
        (signed(head, "\"ada\""), Some(form)),
        (signed(head, "{"), Some(form)),
        (signed(head, "{} {}"), Some(form)),
        (
            signed(head, &claims.replace("\"sub\"", "\"sub\":\"eve\",\"sub\"")),
            Some(TokenError::Duplicate),
        ),
        (
            signed(head, &claims.replace("\"sub\"", "\"\\u0073ub\":\"eve\",\"sub\"")),
            Some(TokenError::Duplicate),
        ),
        (signed(head, &claims.replace("\"admin\"", &"[".repeat(40))), Some(form)),
        (
            signed(
                head,
                &claims.replace("\"admin\"", &format!("{}{}", "[".repeat(40), "]".repeat(40))),
            ),
            Some(form),
        ),
        (signed(head, &big(3_900)), None),
        (signed(head, &big(4_100)), Some(TokenError::ClaimsSize)),
        (signed(head, &big(7_000)), Some(TokenError::Size)),
    ];
    check_all(&auth, cases);
}

#[test]
fn a_key_in_the_header_is_not_believed() {
    let (signer, other) = (Signer::new(), Signer::new());
    let auth = auth(&signer, Algorithm::EdDsa, 0);
    let jwk = &other.jwks()[0];
    let header = format!(r#"{{"alg":"EdDSA","jwk":{jwk}}}"#);
    let token = other.token(Algorithm::EdDsa, &header, &good());
    assert_eq!(id(auth.user(&token, Place::Field, now())), Err(TokenError::Signature));
}

#[test]
fn a_public_key_is_no_secret() {
    // The attack of 2015: a token is signed with the public key as if it was a shared secret.
    let signer = Signer::new();
    let auth = auth(&signer, Algorithm::Rs256, 0);
    let text = format!("{}.{}", encode(r#"{"alg":"HS256"}"#), encode(good()));
    let key =
        ring::hmac::Key::new(ring::hmac::HMAC_SHA256, signer.pem(Algorithm::Rs256).as_bytes());
    let token = format!("{text}.{}", encode(ring::hmac::sign(&key, text.as_bytes())));
    assert_eq!(id(auth.user(&token, Place::Field, now())), Err(TokenError::Algorithm));
}
