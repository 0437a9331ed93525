//! The place of a module in a registry.

use std::{fmt, str::FromStr};

use oci_client::Reference;

const SCHEME: &str = "oci://";

/// `oci://HOST/NAME:TAG` or `oci://HOST/NAME@DIGEST`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place(Box<Reference>);

impl Place {
    /// Whether a text is meant to be one.
    pub(crate) fn is_meant(text: &str) -> bool {
        text.starts_with(SCHEME)
    }

    pub(super) fn reference(&self) -> &Reference {
        &self.0
    }

    /// The host, with its port.
    pub(super) fn registry(&self) -> &str {
        self.0.registry()
    }

    /// The same name with a digest in place of a tag, which stands for the same bytes for good.
    pub(super) fn at(&self, digest: &str) -> Self {
        let (registry, repository) = (self.0.registry(), self.0.repository());
        Self(
            Reference::with_digest(registry.to_owned(), repository.to_owned(), digest.to_owned())
                .into(),
        )
    }
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let rule = "write oci://HOST/NAME:TAG or oci://HOST/NAME@sha256:DIGEST";
        let rest =
            text.strip_prefix(SCHEME).ok_or_else(|| format!("it has no {SCHEME}; {rule}"))?;
        // Without a host most tools ask one that is built in.
        let host = rest.split_once('/').map(|(host, _)| host);
        if host.is_none_or(|it| it != "localhost" && !it.contains(['.', ':'])) {
            return Err(format!("it names no registry; {rule}"));
        }
        let reference: Reference = rest.parse().map_err(|error| format!("{error}; {rule}"))?;
        Ok(Self(reference.into()))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}{}", self.0.whole())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_has_a_registry_and_a_name() {
        let digest = format!("sha256:{}", "0a".repeat(32));
        for (text, shown) in [
            ("oci://ghcr.io/ada/chat:1.2", "oci://ghcr.io/ada/chat:1.2"),
            ("oci://localhost:5000/chat", "oci://localhost:5000/chat:latest"),
            ("oci://localhost/chat:a", "oci://localhost/chat:a"),
            (
                &format!("oci://127.0.0.1:5000/a/b@{digest}"),
                &format!("oci://127.0.0.1:5000/a/b@{digest}"),
            ),
        ] {
            let place: Place = text.parse().unwrap();
            assert_eq!(place.to_string(), shown);
        }
        for wrong in [
            "",
            "chat.wasm",
            "oci://",
            "oci://chat",
            "oci://ada/chat:1",
            "oci://ghcr.io",
            "oci://ghcr.io/",
            "oci://ghcr.io/Chat",
            "oci://ghcr.io/chat:",
            "oci://ghcr.io/chat@sha256:12",
            "https://ghcr.io/chat",
            "oci://ghcr.io/chat:1 2",
        ] {
            assert!(wrong.parse::<Place>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_digest_takes_the_place_of_a_tag() {
        let place: Place = "oci://ghcr.io/ada/chat:1.2".parse().unwrap();
        let digest = format!("sha256:{}", "0a".repeat(32));
        assert_eq!(place.at(&digest).to_string(), format!("oci://ghcr.io/ada/chat@{digest}"));
    }
}
