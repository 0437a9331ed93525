//! What a client says of a connection that it had before.

use std::fmt;

use data_encoding::HEXLOWER;
use subtle::ConstantTimeEq as _;

use crate::message::LocalName;

/// The entry of `sec-websocket-protocol` of a client that may come back; `ENTRY.TOKEN.COUNT` is that of one that has.
const ENTRY: &str = "tidegate.resume";
/// Hexadecimal digits of each half of a token.
const HALF_DIGITS: usize = 32;

/// Whether an entry of `sec-websocket-protocol` says that its client may come back, or has.
pub(in crate::interface) fn is_offer(entry: &str) -> bool {
    entry.strip_prefix(ENTRY).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// What a client offers that may come back.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Offer {
    /// It has no connection yet, or none that it can name.
    Begin,
    /// It has come back.
    Again(Claim),
}

impl Offer {
    /// The first of the entries; none of a client that does not come back.
    pub(super) fn of(entries: &[String]) -> Option<Self> {
        let entry = entries.iter().find(|entry| is_offer(entry))?;
        let claim = entry.strip_prefix(ENTRY).and_then(|rest| Claim::read(rest.strip_prefix('.')?));
        Some(claim.map_or(Self::Begin, Self::Again))
    }
}

/// A connection that a client says was its own.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Claim {
    pub(super) local: LocalName,
    pub(super) secret: Secret,
    /// The messages that the client has got.
    pub(super) received: u64,
}

impl Claim {
    /// Reads `TOKEN.COUNT`.
    fn read(text: &str) -> Option<Self> {
        let (token, count) = text.split_once('.')?;
        let (local, secret) = token.split_at_checked(HALF_DIGITS)?;
        let received =
            count.bytes().all(|byte| byte.is_ascii_digit()).then(|| count.parse().ok())?;
        let secret = HEXLOWER.decode(secret.as_bytes()).ok()?;
        Some(Self {
            local: LocalName::parse_random(local)?,
            secret: Secret(secret.try_into().ok()?),
            received: received?,
        })
    }
}

/// Proves whose connection it is.
#[derive(Clone, Copy)]
pub(super) struct Secret([u8; HALF_DIGITS / 2]);

impl Secret {
    pub(super) fn random() -> Self {
        Self(rand::random())
    }

    pub(super) fn digits(&self) -> String {
        HEXLOWER.encode(&self.0)
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offer_names_a_connection_or_begins_one() {
        let local = LocalName::random();
        let digits = "0123456789abcdef0123456789abcdef";
        let of = |entries: &[String]| Offer::of(entries);
        let again = [String::from("chat"), format!("{ENTRY}.{local}{digits}.17")];
        let Some(Offer::Again(claim)) = of(&again) else { panic!("a claim") };
        assert_eq!((claim.local, claim.received), (local.clone(), 17));
        assert_eq!(of(&["chat".to_owned(), "tidegate.resumed".to_owned()]), None);
        for broken in [
            String::new(),
            ".".to_owned(),
            format!(".{local}{digits}"),
            format!(".{local}{digits}."),
            format!(".{local}{digits}.-1"),
            format!(".{local}{digits}.+1"),
            format!(".{local}{digits}.18446744073709551616"),
            format!(".{local}.1"),
            format!(".{local}{digits}ff.1"),
            format!(".{digits}é.1"),
        ] {
            let entry = format!("{ENTRY}{broken}");
            assert!(is_offer(&entry), "hidden from consumers: {entry}");
            assert_eq!(of(std::slice::from_ref(&entry)), Some(Offer::Begin), "{entry}");
        }
    }
}
