//! Speaks HTTP with the collector.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use opentelemetry_http::{HttpClient, HttpError, ResponseBodyTooLarge};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto::ring};

/// Bytes of an answer that are read: it says at most how much was refused.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
const USER_AGENT: &str = concat!("tidegate/", env!("CARGO_PKG_VERSION"));

/// The client of requests to servers outside, without the guard of modules: an operator names the collector.
#[derive(Debug)]
pub(super) struct Client(reqwest::Client);

impl Client {
    pub(super) fn new(is_secure: bool, timeout: Duration) -> reqwest::Result<Self> {
        // Reading the authorities of the system takes a while.
        let roots = if is_secure { system_roots() } else { RootCertStore::empty() };
        let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("ring has what TLS 1.2 and 1.3 need")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .retry(reqwest::retry::never())
            .user_agent(USER_AGENT)
            .timeout(timeout)
            .build()?;
        Ok(Self(client))
    }
}

fn system_roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    let (_, ignored) =
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    tracing::debug!(authorities = roots.len(), ignored, "TLS to the collector");
    roots
}

#[async_trait]
impl HttpClient for Client {
    async fn send_bytes(
        &self,
        request: http::Request<Bytes>,
    ) -> Result<http::Response<Bytes>, HttpError> {
        let request = reqwest::Request::try_from(request)?;
        let mut response = self.0.execute(request).await.map_err(told)?;
        let mut body = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(told)? {
            if body.len() + chunk.len() > ANSWER_BYTES_MAX {
                return Err(ResponseBodyTooLarge::new().into());
            }
            body.extend_from_slice(&chunk);
        }
        let mut answer = http::Response::new(body.freeze());
        *answer.status_mut() = response.status();
        *answer.headers_mut() = std::mem::take(response.headers_mut());
        Ok(answer)
    }
}

/// Logs an error, of which the exporter says no more than that there is one.
fn told(error: reqwest::Error) -> reqwest::Error {
    let error = error.without_url();
    tracing::debug!(?error, "a request to the collector failed");
    error
}
