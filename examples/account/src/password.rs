//! Passwords, hashed with Argon2id.

use argon2::{
    Algorithm, Argon2, Params, PasswordHash, PasswordHasher as _, PasswordVerifier as _, Version,
    password_hash::{SaltString, rand_core::OsRng},
};
use tidegate_sdk::{Error, Result};

/// The shortest password, in bytes.
const BYTES_MIN: usize = 8;
/// The longest one: a hash takes longer for more.
const BYTES_MAX: usize = 256;

/// What a hash costs: 19 MiB of memory, passed over twice, one lane. It is what OWASP asks for at least, and fits
/// into the limits that a run has by default.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// The hash of nothing that anybody knows. It is looked at where there is no such user, so that this takes as long
/// as a wrong password.
const OF_NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$\
                         AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

pub fn is_long_enough(password: &str) -> bool {
    (BYTES_MIN..=BYTES_MAX).contains(&password.len())
}

fn argon2() -> Result<Argon2<'static>> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None);
    let params = params.map_err(|error| Error::failed(error.to_string()))?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

/// Hashes a password with a salt of its own.
pub fn hash(password: &str) -> Result<String> {
    let salt = SaltString::generate(&mut OsRng);
    let hash = argon2()?.hash_password(password.as_bytes(), &salt);
    Ok(hash.map_err(|error| Error::failed(error.to_string()))?.to_string())
}

/// Whether it is the password of a hash. Without one it is not, after the same time.
pub fn is_right(password: &str, hash: Option<&str>) -> bool {
    // A password that nobody can have costs as much as any other.
    let end = password.floor_char_boundary(BYTES_MAX);
    let (password, rest) = password.split_at_checked(end).unwrap_or_default();
    let Ok(parsed) = PasswordHash::new(hash.unwrap_or(OF_NOBODY)) else { return false };
    let verified = Argon2::default().verify_password(password.as_bytes(), &parsed).is_ok();
    verified && hash.is_some() && rest.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_right_for_its_own_hash_alone() {
        let first = hash("high tide").unwrap();
        assert_ne!(first, hash("high tide").unwrap(), "each has a salt of its own");
        assert!(first.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{first}");
        assert!(is_right("high tide", Some(&first)));
        for wrong in ["", "low tide", "high tide ", &"high tide".repeat(100)] {
            assert!(!is_right(wrong, Some(&first)), "{wrong}");
        }
        assert!(!is_right("high tide", None));
        assert!(!is_right("high tide", Some("no hash")));
    }

    #[test]
    fn nobody_is_looked_at_like_somebody() {
        let nobody = PasswordHash::new(OF_NOBODY).unwrap();
        let somebody = hash("high tide").unwrap();
        let somebody = PasswordHash::new(&somebody).unwrap();
        assert_eq!(nobody.algorithm, somebody.algorithm);
        assert_eq!(nobody.params, somebody.params);
        let length = |hash: &PasswordHash<'_>| hash.hash.map(|hash| hash.len());
        assert_eq!(length(&nobody), length(&somebody));
    }
}
