//! Why a token is refused, and why settings are.

use super::key::KeyError;

/// Why a token is refused. The client is not told which it is; a counter and the log are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// It is too long.
    #[error("the token has more than {max} bytes", max = super::token::TOKEN_BYTES_MAX)]
    Size,
    /// Its section does not take tokens from where it was found.
    #[error(
        "its section of `auth` takes no token from there; `cookie` and `query` are settings of each section"
    )]
    Place,
    /// It is not a signed token.
    #[error("it is not three parts in Base64url, of which two are JSON objects")]
    Form,
    /// A name is there twice in an object.
    #[error("a name is there twice")]
    Duplicate,
    /// The header marks something as critical.
    #[error("its header has `crit`, and nothing critical is understood")]
    Critical,
    /// The algorithm is not one of the settings.
    #[error("its algorithm is not one of `algorithms`")]
    Algorithm,
    /// No key is for it.
    #[error("no key is for its `kid` and its algorithm")]
    Key,
    /// The keys could not be fetched yet, so that nobody knows whether it counts.
    #[error("the keys of its issuer could not be fetched yet")]
    KeysAway,
    /// The signature is of none of the keys.
    #[error("its signature is of none of the keys")]
    Signature,
    /// It has no `exp`.
    #[error("it has no `exp`")]
    ExpiryMissing,
    /// It has expired.
    #[error("it has expired")]
    Expired,
    /// It is not valid yet.
    #[error("its `nbf` is ahead by more than the leeway")]
    NotYet,
    /// It comes from the future.
    #[error("its `iat` is ahead by more than the leeway: the clocks of signer and host differ")]
    IssuedAhead,
    /// A number is none, or too large.
    #[error("`exp`, `nbf` or `iat` is not a number, or a number is beyond 64 bits with sign")]
    Number,
    /// The issuer is another one.
    #[error("its `iss` is not `issuer`, or that of no section")]
    Issuer,
    /// It is for somebody else.
    #[error("its `aud` has none of `audience`")]
    Audience,
    /// It does not say who it is about.
    #[error("its `sub` is not a text of 1 to {max} bytes", max = crate::message::USER_ID_BYTES_MAX)]
    Subject,
    /// It is for a user of another issuer.
    #[error("its `sub` begins like the ids of another section of `auth`")]
    ForeignId,
    /// The claims are too large.
    #[error("its claims have more than {max} bytes as MessagePack", max = crate::message::CLAIMS_BYTES_MAX)]
    ClaimsSize,
}

impl TokenError {
    /// The label of the counter.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Size => "size",
            Self::Place => "place",
            Self::Form => "form",
            Self::Duplicate => "duplicate",
            Self::Critical => "critical",
            Self::Algorithm => "algorithm",
            Self::Key => "key",
            Self::KeysAway => "keys_away",
            Self::Signature => "signature",
            Self::ExpiryMissing => "exp_missing",
            Self::Expired => "expired",
            Self::NotYet => "not_yet",
            Self::IssuedAhead => "issued_ahead",
            Self::Number => "number",
            Self::Issuer => "issuer",
            Self::Audience => "audience",
            Self::Subject => "subject",
            Self::ForeignId => "foreign_id",
            Self::ClaimsSize => "claims_size",
        }
    }
}

/// Why settings cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuthError {
    /// No algorithm is named.
    #[error("`algorithms` names none; name those that your tokens have, such as [\"EdDSA\"]")]
    NoAlgorithm,
    /// Algorithms with a shared secret are beside others.
    #[error(
        "`algorithms` has {0}: a public key could be used as a shared secret; make a section for each"
    )]
    Mixed(String),
    /// There is no key.
    #[error(
        "there is no key; give `secret` for HS256, HS384 and HS512, `public_keys`, `jwks` or `jwks_url` for the others"
    )]
    NoKey,
    /// The keys are of the other family.
    #[error(
        "`secret` is for HS256, HS384 and HS512, `public_keys`, `jwks` and `jwks_url` for the others; `algorithms` has {0}"
    )]
    OtherFamily(String),
    /// Public keys are shared by all whom the issuer makes tokens for.
    #[error(
        "`audience` is missing: the issuer may sign tokens for others, too; name yours, or write audience = [] if its tokens have no `aud`"
    )]
    AudienceMissing,
    /// A section among others does not say whose tokens it is for.
    #[error("`issuer` is missing: sections are told apart by the `iss` of their tokens")]
    IssuerMissing,
    /// Two sections are for the same tokens.
    #[error(
        "`auth.{0}` is for {1} of this issuer, too; a section has all keys of an algorithm, so put them into one"
    )]
    Twice(String, &'static str),
    /// Users of two issuers would have the same ids.
    #[error(
        "`auth.{0}` has another issuer, whose users can have the same ids; give each section a `user_prefix` of its own, such as \"shop-\""
    )]
    SharedIds(String),
    /// Users of one issuer would have two ids.
    #[error(
        "`auth.{0}` has the same issuer, so that its users are the same ones; give both the same `user_prefix`"
    )]
    SplitIds(String),
    /// Two sections look in two places of a kind.
    #[error("`auth.{0}` has another `{1}`; sections that have one have the same")]
    OtherPlace(String, &'static str),
    /// Two sections are for sessions of Django.
    #[error("`auth.{0}` has `django_secrets`, too; sessions of one site are taken")]
    TwoSites(String),
    /// Sessions of Django are to be taken, and no secret is given.
    #[error(
        "`django_secrets` is missing: the SECRET_KEY of the site, and its SECRET_KEY_FALLBACKS"
    )]
    DjangoSecretMissing,
    /// A secret of a Django site is too short.
    #[error(
        "a secret of `django_secrets` has {0} bytes, and {min} at least are taken; give the SECRET_KEY of the site",
        min = super::DJANGO_SECRET_BYTES_MIN
    )]
    DjangoSecretWeak(usize),
    /// The beginning of ids is too long, or has characters that ids do not have.
    #[error("`user_prefix` is a text of at most {max} bytes without control characters", max = super::PREFIX_BYTES_MAX)]
    Prefix,
    /// A key cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
}
