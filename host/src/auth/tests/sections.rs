//! Several sections: which one a token is for, and which may be beside each other.

use super::*;

/// What a section of a test has.
struct Given {
    name: &'static str,
    issuer: Option<&'static str>,
    algorithms: Vec<Algorithm>,
    prefix: &'static str,
    places: Places,
}

fn given(name: &'static str, algorithm: Algorithm, prefix: &'static str) -> Given {
    let (issuer, places) = (Some(name), Places::default());
    Given { name, issuer, algorithms: vec![algorithm], prefix, places }
}

impl Given {
    fn config(self, signer: &Signer) -> AuthConfig {
        let expected = Expected {
            issuer: self.issuer.map(str::to_owned),
            audience: Some(vec!["app".to_owned()]),
            leeway: Duration::ZERO,
        };
        let keys = signer.keys(self.algorithms[0]);
        AuthConfig::new(self.algorithms, &keys, expected, self.places)
            .unwrap()
            .named(self.name)
            .with_user_prefix(self.prefix.to_owned())
            .unwrap()
    }
}

fn claims(subject: &str, issuer: &str) -> String {
    format!(r#"{{"sub":{subject},"exp":{},"aud":"app"{issuer}}}"#, NOW + 600)
}

/// Two shops and the staff, each with a signer of its own, and one shop that changes its algorithm.
struct Stage {
    auth: Auth,
    signers: [Signer; 4],
}

impl Stage {
    fn new() -> Self {
        use Algorithm::{EdDsa, Es256, Hs256};
        let signers = [Signer::new(), Signer::new(), Signer::new(), Signer::new()];
        let [staff, shop, old_shop, other] = &signers;
        let cookie = Places { cookie: Some("id".to_owned()), query: None };
        let sections = vec![
            given("staff", EdDsa, "").config(staff),
            Given { places: cookie, ..given("shop", EdDsa, "shop:") }.config(shop),
            Given { name: "old-shop", ..given("shop", Hs256, "shop:") }.config(old_shop),
            given("other", Es256, "shop:other:").config(other),
        ];
        assert_eq!(check_together(&sections), Ok(()));
        Self { auth: Auth::new(sections), signers }
    }

    fn token(&self, signer: usize, algorithm: Algorithm, claims: &str) -> String {
        let header = format!(r#"{{"alg":"{}"}}"#, algorithm.name());
        self.signers[signer].token(algorithm, &header, claims)
    }
}

#[test]
fn a_token_is_for_the_section_of_its_issuer_and_its_algorithm() {
    use Algorithm::{EdDsa, Es256, Hs256, Rs256};
    let stage = Stage::new();
    let of = |issuer: &str| claims(r#""ada""#, &format!(r#","iss":"{issuer}""#));
    let named = |id: &str| claims(&format!("{id:?}"), r#","iss":"staff""#);
    for (signer, algorithm, claims, expected) in [
        (0, EdDsa, of("staff"), Ok(("ada", "staff"))),
        (1, EdDsa, of("shop"), Ok(("shop:ada", "shop"))),
        (2, Hs256, of("shop"), Ok(("shop:ada", "old-shop"))),
        (3, Es256, of("other"), Ok(("shop:other:ada", "other"))),
        // Nobody signs for another issuer.
        (1, EdDsa, of("staff"), Err(TokenError::Signature)),
        (0, EdDsa, of("shop"), Err(TokenError::Signature)),
        (1, Es256, of("other"), Err(TokenError::Signature)),
        // Nor with an algorithm of another section.
        (2, Hs256, of("staff"), Err(TokenError::Algorithm)),
        (3, Es256, of("shop"), Err(TokenError::Algorithm)),
        (0, Rs256, of("staff"), Err(TokenError::Algorithm)),
        (0, EdDsa, of("nobody"), Err(TokenError::Issuer)),
        (0, EdDsa, of("Staff"), Err(TokenError::Issuer)),
        (0, EdDsa, claims(r#""ada""#, ""), Err(TokenError::Issuer)),
        (0, EdDsa, claims(r#""ada""#, r#","iss":null"#), Err(TokenError::Issuer)),
        (0, EdDsa, claims(r#""ada""#, r#","iss":["staff"]"#), Err(TokenError::Issuer)),
        (
            0,
            EdDsa,
            claims(r#""ada""#, r#","iss":"staff","iss":"shop""#),
            Err(TokenError::Duplicate),
        ),
        // An id that looks like one of another section is nobody's.
        (0, EdDsa, named("shop:ada"), Err(TokenError::ForeignId)),
        (0, EdDsa, named("shop:"), Err(TokenError::ForeignId)),
        (0, EdDsa, named("shopkeeper"), Ok(("shopkeeper", "staff"))),
        (1, EdDsa, claims(r#""other:ada""#, r#","iss":"shop""#), Err(TokenError::ForeignId)),
        (0, EdDsa, claims("7", r#","iss":"staff""#), Err(TokenError::Subject)),
        (0, EdDsa, claims(r#""""#, r#","iss":"staff""#), Err(TokenError::Subject)),
    ] {
        let token = stage.token(signer, algorithm, &claims);
        // At first sight and, if it counts, remembered.
        for _ in 0..2 {
            let found = stage.auth.user(&token, Place::Field, now());
            let found = found.map(|known| (known.user.id().to_owned(), known.section));
            let expected = expected.map(|(id, section)| (id.to_owned(), section));
            assert_eq!(found, expected, "{signer} {algorithm:?} {claims}");
        }
    }
}

#[test]
fn a_subject_is_not_empty_behind_a_prefix() {
    let stage = Stage::new();
    let token = stage.token(1, Algorithm::EdDsa, &claims(r#""""#, r#","iss":"shop""#));
    let found = id(stage.auth.user(&token, Place::Field, now()));
    assert_eq!(found, Err(TokenError::Subject));
    let long = "a".repeat(crate::message::USER_ID_BYTES_MAX - 4);
    let subject = format!("{long:?}");
    let token = stage.token(1, Algorithm::EdDsa, &claims(&subject, r#","iss":"shop""#));
    let found = id(stage.auth.user(&token, Place::Field, now()));
    assert_eq!(found, Err(TokenError::Subject), "the id is too long with its prefix");
}

#[test]
fn a_section_takes_tokens_from_its_own_places_alone() {
    let stage = Stage::new();
    assert_eq!(stage.auth.places().cookie.as_deref(), Some("id"));
    let staff = stage.token(0, Algorithm::EdDsa, &claims(r#""ada""#, r#","iss":"staff""#));
    let shop = stage.token(1, Algorithm::EdDsa, &claims(r#""ada""#, r#","iss":"shop""#));
    for _ in 0..2 {
        let found = |token, place| id(stage.auth.user(token, place, now()));
        assert_eq!(found(&shop, Place::Cookie).as_deref(), Ok("shop:ada"));
        assert_eq!(found(&staff, Place::Cookie), Err(TokenError::Place));
        assert_eq!(found(&shop, Place::Query), Err(TokenError::Place));
        assert_eq!(found(&staff, Place::Field).as_deref(), Ok("ada"));
    }
}

#[test]
fn sections_of_which_a_token_or_an_id_is_not_clear_are_refused_with_the_fix() {
    use Algorithm::{EdDsa, Es256, Rs256};
    let signer = Signer::new();
    let place = |cookie: Option<&str>, query: Option<&str>| Places {
        cookie: cookie.map(str::to_owned),
        query: query.map(str::to_owned),
    };
    let named = |name, given: Given| Given { name, ..given };
    for (first, second, rule) in [
        (given("a", EdDsa, ""), given("b", EdDsa, "b:"), ""),
        (given("a", EdDsa, ""), named("b", given("a", Rs256, "")), ""),
        (
            given("a", EdDsa, ""),
            Given { issuer: None, ..given("b", Rs256, "b:") },
            "b: `issuer` is missing",
        ),
        (
            Given { issuer: None, ..given("a", EdDsa, "") },
            given("b", Rs256, "b:"),
            "a: `issuer` is missing",
        ),
        (given("a", EdDsa, ""), given("b", Rs256, ""), "`auth.a` has another issuer"),
        (given("a", EdDsa, "x:"), given("b", Rs256, "x:"), "a `user_prefix` of its own"),
        (given("a", EdDsa, ""), named("b", given("a", Rs256, "b:")), "the same `user_prefix`"),
        (
            Given { algorithms: vec![EdDsa, Es256], ..given("a", EdDsa, "") },
            named("b", given("a", Es256, "")),
            "`auth.a` is for ES256 of this issuer, too",
        ),
        (
            Given { places: place(Some("x"), None), ..given("a", EdDsa, "") },
            Given { places: place(Some("x"), Some("q")), ..given("b", EdDsa, "b:") },
            "",
        ),
        (
            Given { places: place(Some("x"), None), ..given("a", EdDsa, "") },
            Given { places: place(Some("y"), None), ..given("b", EdDsa, "b:") },
            "`auth.a` has another `cookie`",
        ),
        (
            Given { places: place(None, Some("x")), ..given("a", EdDsa, "") },
            Given { places: place(None, Some("y")), ..given("b", EdDsa, "b:") },
            "`auth.a` has another `query`",
        ),
    ] {
        let sections = [first.config(&signer), second.config(&signer)];
        let found = check_together(&sections);
        let found = found.map_err(|(name, error)| format!("{name}: {error}"));
        assert!(
            found.as_ref().map_or_else(|it| it.contains(rule), |()| rule.is_empty()),
            "{found:?} {rule}"
        );
    }
    let section = given("a", EdDsa, "").config(&signer);
    for prefix in ["x".repeat(PREFIX_BYTES_MAX + 1), "a\n".to_owned()] {
        let found = section.clone().with_user_prefix(prefix).map(drop);
        assert_eq!(found, Err(AuthError::Prefix));
    }
}
