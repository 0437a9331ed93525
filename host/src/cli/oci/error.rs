//! Why a module does not come from a registry, or go there.

use std::path::PathBuf;

use oci_client::errors::{OciDistributionError, OciErrorCode};

use super::reference::Place;
use crate::cli::output::plain;

/// Why a module does not come from a registry, or go there. Nothing is deployed or written then.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RegistryError {
    /// Nobody answers, or not in time.
    #[error(
        "{place}: the registry does not answer: {reason}; look at its address and at the network"
    )]
    Away {
        /// The place.
        place: Place,
        /// Why.
        reason: String,
    },
    /// The registry lets nobody in without other credentials.
    #[error(
        "{place}: the registry refuses {}; log in with `docker login {registry}` or `podman login {registry}`, \
         whose file this reads", if *.has_credentials { "the user and password" } else { "somebody without a user" }
    )]
    Unauthorized {
        /// The place.
        place: Place,
        /// The host of the registry.
        registry: String,
        /// Whether a user and a password were sent.
        has_credentials: bool,
    },
    /// The file with the credentials is no use.
    #[error("the credentials for {registry} in {} cannot be read: {reason}", .file.display())]
    Credentials {
        /// The host of the registry.
        registry: String,
        /// The file.
        file: PathBuf,
        /// Why.
        reason: String,
    },
    /// Nothing is there.
    #[error("{place}: the registry has no module of this name and tag; look at both")]
    Missing {
        /// The place.
        place: Place,
    },
    /// The registry takes nothing below this name.
    #[error(
        "{place}: the registry has no such repository; some want it made before something is pushed to it"
    )]
    NoRepository {
        /// The place.
        place: Place,
    },
    /// The server that the registry asks for tokens does not give one.
    #[error(
        "{place}: the server that logs in for the registry gives {} no token: {reason}; log in with \
         `docker login {registry}`, if that is not what is wrong", if *.has_credentials { "this user" } else { "nobody" }
    )]
    NoToken {
        /// The place.
        place: Place,
        /// The host of the registry.
        registry: String,
        /// Whether a user and a password were sent.
        has_credentials: bool,
        /// Its words.
        reason: String,
    },
    /// There is something else.
    #[error("{place}: it is no module: {reason}")]
    Kind {
        /// The place.
        place: Place,
        /// The kind that it is of.
        reason: String,
    },
    /// The bytes are not those that the digest names.
    #[error("{place}: the registry sends other bytes than their digest names: {reason}")]
    Digest {
        /// The place.
        place: Place,
        /// Both digests.
        reason: String,
    },
    /// It is too large.
    #[error("{place}: the file has more than {most} bytes (upload.bytes)")]
    TooLarge {
        /// The place.
        place: Place,
        /// The limit.
        most: u64,
    },
    /// The registry answers with an error, or with what it should not.
    #[error("{place}: the registry answers: {reason}")]
    Other {
        /// The place.
        place: Place,
        /// Its words.
        reason: String,
    },
}

impl RegistryError {
    /// An answer of the registry, in its words.
    pub(super) fn other(place: &Place, reason: &str) -> Self {
        Self::Other { place: place.clone(), reason: foreign(reason) }
    }

    /// Tells what went wrong at a place. `has_credentials`: whether a user and a password were sent.
    pub(super) fn of(place: &Place, has_credentials: bool, error: OciDistributionError) -> Self {
        use OciDistributionError as E;
        let place = place.clone();
        match error {
            E::UnauthorizedError { .. } | E::ServerError { code: 401 | 403, .. } => {
                let registry = place.registry().to_owned();
                Self::Unauthorized { place, registry, has_credentials }
            }
            E::AuthenticationFailure(reason) => {
                let (registry, reason) = (place.registry().to_owned(), foreign(&reason));
                Self::NoToken { place, registry, has_credentials, reason }
            }
            E::ImageManifestNotFoundError(_) | E::ServerError { code: 404, .. } => {
                Self::Missing { place }
            }
            E::RegistryError { envelope, .. } => {
                let has = |codes: &[OciErrorCode]| {
                    envelope.errors.iter().any(|error| codes.contains(&error.code))
                };
                if has(&[OciErrorCode::Unauthorized, OciErrorCode::Denied]) {
                    let registry = place.registry().to_owned();
                    Self::Unauthorized { place, registry, has_credentials }
                } else if has(&[
                    OciErrorCode::ManifestUnknown,
                    OciErrorCode::NameUnknown,
                    OciErrorCode::BlobUnknown,
                    OciErrorCode::NotFound,
                ]) {
                    Self::Missing { place }
                } else {
                    Self::other(&place, &envelope.to_string())
                }
            }
            E::DigestError(error) => Self::Digest { place, reason: foreign(&error.to_string()) },
            E::ImageIndexParsingNoPlatformResolverError => Self::Kind {
                place,
                reason: "it is a list of images for several machines".to_owned(),
            },
            E::RequestError(error) if error.is_redirect() => {
                Self::Other { place, reason: "it redirects without end".to_owned() }
            }
            E::RequestError(error) => Self::Away { place, reason: chain(&error) },
            other => Self::other(&place, &chain(&other)),
        }
    }
}

/// The most characters of a registry's words that are said.
const WORDS_MAX: usize = 500;

/// Words of a registry, or of a program that keeps passwords: in one line that changes nothing on a terminal, and not all
/// of many.
pub(super) fn foreign(words: &str) -> String {
    let words = words.trim();
    let said: String = words.chars().take(WORDS_MAX).collect();
    let cut = if said.len() < words.len() { " …" } else { "" };
    plain(&said) + cut
}

/// An error with its causes.
pub(super) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).fold(String::new(), |said, cause| {
        match (said.is_empty(), said.contains(&cause)) {
            (true, _) => cause,
            (false, true) => said,
            (false, false) => format!("{said}: {cause}"),
        }
    })
}
