//! The certificate of the TLS listeners, which can change while they serve.

use std::{
    fs::Metadata,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use arc_swap::ArcSwap;
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        self, ServerConfig,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, pem, pem::PemObject as _},
        server::{ClientHello, ResolvesServerCert},
        sign::CertifiedKey,
    },
};
use x509_parser::parse_x509_certificate;

/// Where certificate and key are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsConfig {
    /// A PEM file with the certificate, and behind it those that lead to its authority.
    pub certificate: PathBuf,
    /// A PEM file with the private key, in the form of PKCS #8, PKCS #1 or SEC 1.
    pub key: PathBuf,
}

impl TlsConfig {
    /// Checks that both files can be used.
    pub fn check(&self) -> Result<(), TlsError> {
        read(self).map(drop)
    }
}

/// A certificate or key that cannot be used. One that is in use stays in use.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file cannot be read, or is no PEM file.
    #[error("tls: cannot read {file}: {source}")]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// Why.
        source: pem::Error,
    },
    /// There is no certificate.
    #[error("tls: {file} has no certificate (a block that begins with BEGIN CERTIFICATE)")]
    NoCertificate {
        /// The file.
        file: PathBuf,
    },
    /// There is no key.
    #[error("tls: {file} has no private key (a block that begins with BEGIN PRIVATE KEY)")]
    NoKey {
        /// The file.
        file: PathBuf,
    },
    /// The key needs a passphrase.
    #[error(
        "tls: the key in {file} is encrypted, and nobody is there to give its passphrase; \
         write it without one, as `openssl pkey -in {file} -out NEW-FILE` does, and let only this \
         process read it"
    )]
    Encrypted {
        /// The file.
        file: PathBuf,
    },
    /// The key is of a kind that is not supported.
    #[error(
        "tls: the key in {file} cannot be used: {source}; the kinds that can are RSA of 2,048 bits \
         or more, ECDSA on P-256 or P-384, and Ed25519"
    )]
    UnsupportedKey {
        /// The file.
        file: PathBuf,
        /// What the library says.
        source: rustls::Error,
    },
    /// The certificate is no X.509 certificate.
    #[error("tls: the certificate in {file} cannot be read: {reason}")]
    Malformed {
        /// The file.
        file: PathBuf,
        /// Why.
        reason: String,
    },
    /// The certificate is not valid now.
    #[error("tls: the certificate in {file} is valid from {from} to {to} only; get a new one")]
    NotValidNow {
        /// The file.
        file: PathBuf,
        /// The first moment.
        from: String,
        /// The last moment.
        to: String,
    },
    /// Certificate and key do not fit together.
    #[error("tls: the key in {key} does not fit the certificate in {certificate}: {source}")]
    Mismatch {
        /// The file of the certificate.
        certificate: PathBuf,
        /// The file of the key.
        key: PathBuf,
        /// What the library says.
        source: rustls::Error,
    },
}

/// The certificate in use.
#[derive(Debug)]
pub(in crate::interface) struct Certificates {
    config: TlsConfig,
    current: ArcSwap<CertifiedKey>,
    /// What the files looked like when they were read.
    seen: Mutex<[Stamp; 2]>,
}

/// What changes when a file is written or replaced.
type Stamp = Option<(SystemTime, u64, u64)>;

impl Certificates {
    pub(in crate::interface) fn load(config: TlsConfig) -> Result<Arc<Self>, TlsError> {
        let seen = stamps(&config);
        let current = ArcSwap::from_pointee(read(&config)?);
        Ok(Arc::new(Self { config, current, seen: Mutex::new(seen) }))
    }

    /// Reads the files again. What cannot be used changes nothing.
    pub(in crate::interface) fn reload(&self) -> Result<(), TlsError> {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = stamps(&self.config);
        self.current.store(Arc::new(read(&self.config)?));
        Ok(())
    }

    /// Whether the files look otherwise than when they were last read.
    pub(in crate::interface) fn have_changed(&self) -> bool {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) != stamps(&self.config)
    }

    /// Speaks TLS 1.2 and 1.3, and lets the client choose between HTTP/2 and HTTP/1.1.
    pub(in crate::interface) fn acceptor(self: &Arc<Self>) -> TlsAcceptor {
        let provider = Arc::new(ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider has suites for the default versions")
            .with_no_client_auth()
            .with_cert_resolver(Arc::<Self>::clone(self));
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        TlsAcceptor::from(Arc::new(config))
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.load_full())
    }
}

fn stamps(config: &TlsConfig) -> [Stamp; 2] {
    use std::os::unix::fs::MetadataExt as _;
    let stamp = |file: Metadata| Some((file.modified().ok()?, file.ino(), file.len()));
    [&config.certificate, &config.key].map(|path| std::fs::metadata(path).ok().and_then(stamp))
}

/// Marks of an encrypted key: in PKCS #8, and in the older forms of OpenSSL.
const ENCRYPTED: [&[u8]; 2] = [b"BEGIN ENCRYPTED PRIVATE KEY", b"Proc-Type: 4,ENCRYPTED"];
/// Editors of some systems put it before the first line.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

fn read(config: &TlsConfig) -> Result<CertifiedKey, TlsError> {
    let TlsConfig { certificate, key: key_file } = config;
    let chain = CertificateDer::pem_slice_iter(&contents(certificate)?)
        .collect::<Result<Vec<_>, _>>()
        .map_err(unreadable(certificate))?;
    let first =
        chain.first().ok_or_else(|| TlsError::NoCertificate { file: certificate.clone() })?;
    check_validity(certificate, first)?;
    let key = read_key(key_file)?;
    CertifiedKey::from_der(chain, key, &ring::default_provider()).map_err(|source| match source {
        rustls::Error::InconsistentKeys(_) => {
            TlsError::Mismatch { certificate: certificate.clone(), key: key_file.clone(), source }
        }
        source => TlsError::UnsupportedKey { file: key_file.clone(), source },
    })
}

fn read_key(file: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let text = contents(file)?;
    let has = |mark: &&[u8]| text.windows(mark.len()).any(|part| part == *mark);
    if ENCRYPTED.iter().any(has) {
        return Err(TlsError::Encrypted { file: file.to_owned() });
    }
    PrivateKeyDer::from_pem_slice(&text).map_err(|error| match error {
        pem::Error::NoItemsFound => TlsError::NoKey { file: file.to_owned() },
        error => unreadable(file)(error),
    })
}

/// Returns what a file has behind a byte order mark.
fn contents(file: &Path) -> Result<Vec<u8>, TlsError> {
    let bytes = std::fs::read(file).map_err(pem::Error::Io).map_err(unreadable(file))?;
    Ok(bytes.strip_prefix(BYTE_ORDER_MARK).map(<[u8]>::to_vec).unwrap_or(bytes))
}

fn unreadable(file: &Path) -> impl FnOnce(pem::Error) -> TlsError {
    let file = file.to_owned();
    |source| TlsError::Unreadable { file, source }
}

/// Clients would refuse it; better to hear of it here.
fn check_validity(file: &Path, certificate: &CertificateDer<'_>) -> Result<(), TlsError> {
    let (_, certificate) = parse_x509_certificate(certificate).map_err(|error| {
        TlsError::Malformed { file: file.to_owned(), reason: error.to_string() }
    })?;
    let validity = certificate.validity();
    if validity.is_valid() {
        return Ok(());
    }
    Err(TlsError::NotValidNow {
        file: file.to_owned(),
        from: validity.not_before.to_string(),
        to: validity.not_after.to_string(),
    })
}

/// Reads the files again when they have changed, for ever.
pub(in crate::interface) async fn watch(
    certificates: Arc<Certificates>,
    every: std::time::Duration,
) {
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if certificates.have_changed() {
            report(certificates.reload());
        }
    }
}

/// Says how a reload ended.
pub(in crate::interface) fn report(reloaded: Result<(), TlsError>) {
    match reloaded {
        Ok(()) => tracing::info!("the certificate was read again and is in use"),
        Err(error) => tracing::error!(%error, "the certificate in use stays in use"),
    }
}
