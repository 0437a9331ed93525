//! Requests to a registry.

use std::{
    env,
    fs::File,
    io::{self, ErrorKind},
    net::IpAddr,
    path::PathBuf,
    time::Duration,
};

use docker_credential::{CredentialRetrievalError, DockerCredential, get_credential_from_reader};
use http::HeaderValue;
use oci_client::{
    Client, RegistryOperation,
    client::{ClientConfig, ClientProtocol},
    secrets::RegistryAuth,
};

use super::{
    error::{RegistryError, foreign},
    reference::Place,
};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a registry may be silent.
const READ_TIMEOUT: Duration = Duration::from_secs(30);
/// How long all of a push or a pull may take.
pub(super) const WHOLE_TIMEOUT: Duration = Duration::from_secs(600);

/// A registry, and who asks it.
pub(super) struct Registry {
    pub(super) client: Client,
    pub(super) auth: RegistryAuth,
}

impl Registry {
    pub(super) fn of(place: &Place) -> Result<Self, RegistryError> {
        // The client of the library takes the provider of the process. Somebody may have set it before.
        drop(tokio_rustls::rustls::crypto::ring::default_provider().install_default());
        let registry = place.registry();
        let protocol =
            if is_loopback(registry) { ClientProtocol::Http } else { ClientProtocol::Https };
        let config = ClientConfig {
            protocol,
            // A list of images for several machines is no module.
            platform_resolver: None,
            connect_timeout: Some(CONNECT_TIMEOUT),
            read_timeout: Some(READ_TIMEOUT),
            user_agent: concat!("tidegate/", env!("CARGO_PKG_VERSION")),
            http_proxy: variable(&["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"]),
            https_proxy: variable(&["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]),
            no_proxy: Some(match variable(&["no_proxy", "NO_PROXY"]) {
                Some(more) => format!("{LOOPBACK},{more}"),
                None => LOOPBACK.to_owned(),
            }),
            ..ClientConfig::default()
        };
        let auth = credentials(registry)?;
        let client = Client::try_from(config)
            .map_err(|error| RegistryError::of(place, has_user(&auth), error))?;
        Ok(Self { client, auth })
    }

    /// Logs in, if the registry asks for that, so that the requests after it have a token.
    ///
    /// The library would do so by itself, keep an error of it to itself, and put whatever the token is into a header
    /// field.
    pub(super) async fn log_in(
        &self,
        place: &Place,
        operation: RegistryOperation,
    ) -> Result<(), RegistryError> {
        let asked = self.client.auth(place.reference(), &self.auth, operation).await;
        let token = asked.map_err(|error| RegistryError::of(place, self.has_user(), error))?;
        if token.is_some_and(|token| HeaderValue::try_from(token).is_err()) {
            let reason = "its token has characters that no header field has";
            return Err(RegistryError::other(place, reason));
        }
        Ok(())
    }

    /// Whether a user and a password are sent.
    pub(super) fn has_user(&self) -> bool {
        has_user(&self.auth)
    }
}

fn has_user(auth: &RegistryAuth) -> bool {
    *auth != RegistryAuth::Anonymous
}

/// Hosts for which no proxy is asked: requests to this machine have no TLS, and are not for others.
const LOOPBACK: &str = "localhost,127.0.0.0/8,::1";

/// The first of some variables that has a value.
fn variable(names: &[&str]) -> Option<String> {
    names.iter().filter_map(|name| env::var(name).ok()).find(|value| !value.is_empty())
}

/// Whether a registry is on this machine, where there is no TLS.
fn is_loopback(registry: &str) -> bool {
    let host = registry.rsplit_once(':').map_or(registry, |(host, _)| host);
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// The user and the password that `docker login` or `podman login` has kept.
fn credentials(registry: &str) -> Result<RegistryAuth, RegistryError> {
    for file in login_files() {
        let wrong = |reason: String| RegistryError::Credentials {
            registry: registry.to_owned(),
            file: file.clone(),
            reason,
        };
        let opened = match File::open(&file) {
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            opened => opened.map_err(|error| wrong(error.to_string()))?,
        };
        let text = io::read_to_string(opened).map_err(|error| wrong(error.to_string()))?;
        match credential(&text, registry) {
            Ok(DockerCredential::UsernamePassword(user, password)) => {
                return Ok(RegistryAuth::Basic(user, password));
            }
            Ok(DockerCredential::IdentityToken(_)) => {
                let reason = "it has an identity token, with which this cannot log in; log in with a password \
                              or an access token";
                return Err(wrong(reason.to_owned()));
            }
            Err(CredentialRetrievalError::NoCredentialConfigured) => {}
            // The words of the protocol of helpers for that there are none.
            Err(CredentialRetrievalError::HelperFailure { stdout, .. })
                if stdout.contains("credentials not found") => {}
            Err(error) => return Err(wrong(foreign(&error.to_string()))),
        }
    }
    Ok(RegistryAuth::Anonymous)
}

/// The name by which `docker login` keeps the user of the one registry that has another one.
const DOCKER_HUB_LOGIN: &str = "https://index.docker.io/v1/";

/// Reads a credential of a file of logins.
fn credential(text: &str, registry: &str) -> Result<DockerCredential, CredentialRetrievalError> {
    let of = |name| get_credential_from_reader(text.as_bytes(), name);
    if matches!(registry, "docker.io" | "index.docker.io")
        && let Ok(found) = of(DOCKER_HUB_LOGIN)
    {
        return Ok(found);
    }
    of(registry)
}

/// The files of `docker login` and `podman login`.
fn login_files() -> impl Iterator<Item = PathBuf> {
    let directory = |name: &str| env::var_os(name).map(PathBuf::from);
    let home = |below: &str| directory("HOME").map(|home| home.join(below));
    let docker = directory("DOCKER_CONFIG").or_else(|| home(".docker"));
    let podman = directory("XDG_RUNTIME_DIR").into_iter().chain(home(".config"));
    let podman = podman.map(|directory| directory.join("containers/auth.json"));
    docker
        .map(|directory| directory.join("config.json"))
        .into_iter()
        .chain(directory("REGISTRY_AUTH_FILE"))
        .chain(podman.collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_registry_on_this_machine_is_asked_without_tls() {
        for here in ["localhost", "localhost:5000", "127.0.0.1:5000", "127.1.2.3", "[::1]:5000"] {
            assert!(is_loopback(here), "{here}");
        }
        for elsewhere in ["ghcr.io", "10.0.0.1:5000", "localhost.example:80", "[fe80::1]:5000"] {
            assert!(!is_loopback(elsewhere), "{elsewhere}");
        }
    }
}
