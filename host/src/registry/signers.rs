//! Whose files may become versions: signatures in the form of minisign.

use std::{fmt, io::Cursor};

use minisign::{PublicKey, SignatureBox};
use serde::{Deserialize, Serialize};

use crate::message::ModuleName;

/// The most bytes of a signature. minisign itself reads comments of at most 1,024 and 8,192 bytes.
pub(crate) const SIGNATURE_BYTES_MAX: usize = 10 * 1024;

/// The id of a key: 16 hexadecimal digits, as minisign prints it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KeyId(String);

impl KeyId {
    fn of(number: &[u8]) -> Self {
        // The number is little-endian, and minisign prints it as a number.
        Self(number.iter().rev().map(|byte| format!("{byte:02X}")).collect())
    }

    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a file may not become a version.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// There is no signature.
    #[error(
        "it is not signed, and this host takes only files that {signers} signed ([upload] signers); \
         sign it with `tidegate sign` or `minisign -S`, and deploy it with its .minisig file beside it"
    )]
    Unsigned {
        /// The keys that count.
        signers: String,
    },
    /// The signature cannot be read.
    #[error(
        "its signature cannot be read: {0}; give the whole .minisig file that `tidegate sign` or \
         `minisign -S` has written"
    )]
    Form(String),
    /// The signature is of minisign's old form, which signs the file and not its hash.
    #[error(
        "its signature is of minisign's old form (`minisign -S -l`), which is not taken; sign it without -l"
    )]
    Old,
    /// The signature is by a key that does not count.
    #[error("the key {key} signed it, and this host takes only files that {signers} signed")]
    Stranger {
        /// The key of the signature.
        key: KeyId,
        /// The keys that count.
        signers: String,
    },
    /// The signature is that of another file.
    #[error(
        "its signature by the key {0} is not that of this file: the file was changed after it was signed, \
         or the signature belongs to another one; sign it again"
    )]
    Other(KeyId),
}

impl SignatureError {
    /// The code of the problem that the admin API answers with.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Unsigned { .. } => "unsigned",
            Self::Form(_) | Self::Old => "signature-form",
            Self::Stranger { .. } => "signer",
            Self::Other(_) => "signature",
        }
    }
}

/// The keys whose signatures count. Without any a file needs no signature.
#[derive(Clone, Debug, Default)]
pub struct Signers {
    keys: Vec<PublicKey>,
    /// A module whose files need none.
    exempt: Option<ModuleName>,
}

impl Signers {
    /// Reads public keys: the second line of the .pub files of minisign.
    ///
    /// An error is the first key that is none.
    pub fn parse(keys: &[String]) -> Result<Self, &str> {
        let parsed = keys.iter().map(|key| PublicKey::from_base64(key.trim()).map_err(|_| &**key));
        parsed.collect::<Result<_, _>>().map(|keys| Self { keys, exempt: None })
    }

    /// Whether files need a signature.
    pub const fn count(&self) -> bool {
        !self.keys.is_empty()
    }

    /// Takes files of one module without a signature: its developer has not signed them yet.
    #[must_use]
    pub fn except(self, module: ModuleName) -> Self {
        Self { exempt: Some(module), ..self }
    }

    fn count_for(&self, module: &ModuleName) -> bool {
        self.count() && self.exempt.as_ref() != Some(module)
    }

    /// Checks the signature of a file, a whole .minisig. Returns the key that signed it, where signatures count.
    pub(super) fn check(
        &self,
        module: &ModuleName,
        file: &[u8],
        signature: Option<&str>,
    ) -> Result<Option<KeyId>, SignatureError> {
        if !self.count_for(module) {
            return Ok(None);
        }
        let signature = signature.ok_or_else(|| self.unsigned())?;
        let signature = SignatureBox::from_string(signature)
            .map_err(|error| SignatureError::Form(error.to_string()))?;
        let key = KeyId::of(signature.keynum());
        if !signature.is_prehashed() {
            return Err(SignatureError::Old);
        }
        let mut named = self.keys.iter().filter(|it| it.keynum() == signature.keynum()).peekable();
        if named.peek().is_none() {
            return Err(SignatureError::Stranger { key, signers: self.names() });
        }
        let is_of_file = |by: &PublicKey| {
            minisign::verify(by, &signature, Cursor::new(file), true, false, false).is_ok()
        };
        if named.any(is_of_file) { Ok(Some(key)) } else { Err(SignatureError::Other(key)) }
    }

    /// Checks the signer of a version that was deployed before.
    pub(super) fn check_kept(
        &self,
        module: &ModuleName,
        signed_by: Option<&KeyId>,
    ) -> Result<(), SignatureError> {
        let counts = |key: &KeyId| self.keys.iter().any(|it| KeyId::of(it.keynum()) == *key);
        match signed_by {
            _ if !self.count_for(module) => Ok(()),
            Some(key) if counts(key) => Ok(()),
            Some(key) => Err(SignatureError::Stranger { key: key.clone(), signers: self.names() }),
            None => Err(self.unsigned()),
        }
    }

    fn unsigned(&self) -> SignatureError {
        SignatureError::Unsigned { signers: self.names() }
    }

    fn names(&self) -> String {
        let names: Vec<_> = self.keys.iter().map(|key| KeyId::of(key.keynum()).0).collect();
        names.join(" or ")
    }
}

#[cfg(test)]
mod tests {
    use minisign::KeyPair;
    use proptest::prelude::*;

    use super::*;

    const FILE: &[u8] = b"a module";

    fn module() -> ModuleName {
        ModuleName::parse("chat").unwrap()
    }

    fn pair() -> KeyPair {
        KeyPair::generate_unencrypted_keypair().unwrap()
    }

    fn signature(by: &KeyPair, file: &[u8]) -> String {
        minisign::sign(None, &by.sk, Cursor::new(file), None, None).unwrap().into_string()
    }

    fn signers(pairs: &[&KeyPair]) -> Signers {
        let keys: Vec<_> = pairs.iter().map(|pair| pair.pk.to_base64()).collect();
        Signers::parse(&keys).unwrap()
    }

    #[test]
    fn a_file_is_let_in_with_the_signature_of_a_signer() {
        let (one, other) = (pair(), pair());
        let both = signers(&[&one, &other]);
        for by in [&one, &other] {
            let key = KeyId::of(by.pk.keynum());
            assert_eq!(
                both.check(&module(), FILE, Some(&signature(by, FILE))),
                Ok(Some(key.clone()))
            );
            assert_eq!(both.check_kept(&module(), Some(&key)), Ok(()));
        }
        let printed = one.pk.to_box().unwrap().to_string();
        assert!(printed.contains(KeyId::of(one.pk.keynum()).as_str()), "{printed}");
    }

    #[test]
    fn without_signers_no_signature_is_looked_at() {
        let none = Signers::default();
        for given in [None, Some("no signature")] {
            assert_eq!(none.check(&module(), FILE, given), Ok(None));
        }
        assert_eq!(none.check_kept(&module(), None), Ok(()));
    }

    #[test]
    fn one_module_may_need_none_and_the_others_do() {
        let signers = signers(&[&pair()]).except(module());
        assert_eq!(signers.check(&module(), FILE, None), Ok(None));
        assert_eq!(signers.check_kept(&module(), None), Ok(()));
        let other = ModuleName::parse("chats").unwrap();
        assert_eq!(signers.check(&other, FILE, None).unwrap_err().code(), "unsigned");
        assert_eq!(signers.check_kept(&other, None).unwrap_err().code(), "unsigned");
        assert_eq!(Signers::default().except(module()).check(&other, FILE, None), Ok(None));
    }

    #[test]
    fn each_wrong_signature_is_refused_by_its_name() {
        let (one, stranger) = (pair(), pair());
        let only = signers(&[&one]);
        let code = |given: Option<&str>| only.check(&module(), FILE, given).unwrap_err().code();
        assert_eq!(code(None), "unsigned");
        assert_eq!(code(Some(&signature(&stranger, FILE))), "signer");
        assert_eq!(code(Some(&signature(&one, b"another module"))), "signature");
        for text in ["", "a\nb\nc\nd", "untrusted comment: x\n\u{e9}\ntrusted comment: y\nz"] {
            assert_eq!(code(Some(text)), "signature-form", "{text:?}");
        }
        let signed = signature(&one, FILE);
        assert_eq!(code(Some(&signed.replace("timestamp:", "timestamp: "))), "signature");
        // A key of another pair with the number of a signer.
        let mut forged = stranger.sk.to_bytes();
        let number = 2 + 2 + 2 + 32 + 8 + 8;
        forged[number..number + 8].copy_from_slice(one.pk.keynum());
        let forged = minisign::SecretKey::from_bytes(&forged).unwrap();
        let forged = minisign::sign(None, &forged, Cursor::new(FILE), None, None).unwrap();
        assert_eq!(code(Some(&forged.into_string())), "signature");
        assert_eq!(only.check_kept(&module(), None).unwrap_err().code(), "unsigned");
        let gone = KeyId::of(stranger.pk.keynum());
        assert_eq!(only.check_kept(&module(), Some(&gone)).unwrap_err().code(), "signer");
    }

    #[test]
    fn a_key_that_is_none_is_named() {
        let good = pair().pk.to_base64();
        for wrong in ["", "RWQ", "not a key", good.get(1..).unwrap()] {
            assert_eq!(Signers::parse(&[good.clone(), wrong.to_owned()]).unwrap_err(), wrong);
        }
    }

    proptest! {
        #[test]
        fn no_text_is_taken_for_a_signature_and_none_panics(text in ".{0,200}", line in "[A-Za-z0-9+/=]{0,120}") {
            let only = signers(&[&pair()]);
            prop_assert!(only.check(&module(), FILE, Some(&text)).is_err());
            let shaped = format!("untrusted comment: x\n{line}\ntrusted comment: y\n{line}\n");
            prop_assert!(only.check(&module(), FILE, Some(&shaped)).is_err());
        }
    }
}
