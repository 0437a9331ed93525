//! Certificates of a test's own, and an HTTP/2 client with and without TLS.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::{Request, Response, body::Incoming, client::conn::http2, ext::Protocol};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use tokio::net::TcpStream;
use tokio_rustls::{
    TlsAcceptor, TlsConnector,
    client::TlsStream,
    rustls::{
        ClientConfig, RootCertStore, ServerConfig,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer},
    },
};
use tokio_tungstenite::{WebSocketStream, tungstenite::protocol::Role};

use crate::{background, must};

/// A certificate for `localhost` and 127.0.0.1, signed by itself, and its key.
#[derive(Debug)]
pub struct Certificate {
    der: CertificateDer<'static>,
    pem: String,
    key: KeyPair,
}

impl Certificate {
    /// One that is valid.
    pub fn new() -> Self {
        Self::until(2100)
    }

    /// One that is valid until the beginning of a year.
    pub fn until(year: i32) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params =
            CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
        params.not_before = date_time_ymd(1999, 1, 1);
        params.not_after = date_time_ymd(year, 1, 1);
        let certificate = params.self_signed(&key).unwrap();
        Self { der: certificate.der().clone(), pem: certificate.pem(), key }
    }

    /// Writes `cert.pem` and `key.pem`, and returns the section of the settings that names them.
    pub fn write(&self, directory: &Path) -> String {
        let (certificate, key) = Self::files(directory);
        std::fs::write(&certificate, &self.pem).unwrap();
        std::fs::write(&key, self.key.serialize_pem()).unwrap();
        format!("[tls]\ncertificate = {certificate:?}\nkey = {key:?}")
    }

    /// The certificate in PEM form.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// Serves with it, HTTP/1.1 alone.
    pub fn acceptor(&self) -> TlsAcceptor {
        self.acceptor_of(&[])
    }

    /// Serves with it what one of the protocols speaks; without any, what a client speaks that asks for none.
    pub(crate) fn acceptor_of(&self, protocols: &[&str]) -> TlsAcceptor {
        let key = PrivateKeyDer::try_from(self.key.serialize_der()).unwrap();
        let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let builder = builder.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
        let mut config = builder.with_single_cert(vec![self.der.clone()], key).unwrap();
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        TlsAcceptor::from(Arc::new(config))
    }

    /// Where they are written.
    pub fn files(directory: &Path) -> (PathBuf, PathBuf) {
        (directory.join("cert.pem"), directory.join("key.pem"))
    }

    /// A connection to a server that has this certificate, with one of the protocols.
    pub async fn connect(
        &self,
        address: SocketAddr,
        protocols: &[&str],
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        roots.add(self.der.clone()).unwrap();
        let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        let socket = TcpStream::connect(address).await.unwrap();
        let connector = TlsConnector::from(Arc::new(config));
        let name = "localhost".try_into().unwrap();
        must("an answer to the TLS handshake", connector.connect(name, socket)).await
    }
}

impl Default for Certificate {
    fn default() -> Self {
        Self::new()
    }
}

/// An HTTP/2 connection.
#[derive(Clone, Debug)]
pub struct Http2 {
    sender: http2::SendRequest<Empty<Bytes>>,
    scheme: &'static str,
}

impl Http2 {
    /// Connects without TLS, with prior knowledge.
    pub async fn connect(address: SocketAddr) -> Self {
        Self::over(TokioIo::new(TcpStream::connect(address).await.unwrap()), "http").await
    }

    /// Connects over TLS.
    pub async fn connect_tls(address: SocketAddr, certificate: &Certificate) -> Self {
        let stream = certificate.connect(address, &["h2", "http/1.1"]).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        Self::over(TokioIo::new(stream), "https").await
    }

    async fn over<I>(io: I, scheme: &'static str) -> Self
    where
        I: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
    {
        let (sender, connection) = http2::handshake(TokioExecutor::new(), io).await.unwrap();
        background(connection);
        Self { sender, scheme }
    }

    /// The response to a `GET`, whose body is not read yet.
    pub async fn start(&self, path: &str) -> hyper::Result<Response<Incoming>> {
        let uri = format!("{}://localhost{path}", self.scheme);
        let request = Request::get(uri).body(Empty::new()).unwrap();
        must("a response", self.sender.clone().send_request(request)).await
    }

    /// Status and body of the response to a `GET`.
    pub async fn get(&self, path: &str) -> (u16, String) {
        self.get_with(path, &[]).await
    }

    /// Status and body of the response to a `GET` with header fields.
    pub async fn get_with(&self, path: &str, fields: &[(&str, &str)]) -> (u16, String) {
        let mut request = Request::get(format!("{}://localhost{path}", self.scheme));
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let request = request.body(Empty::new()).unwrap();
        let response = self.sender.clone().send_request(request);
        let response = must("a response", response).await.unwrap();
        let status = response.status().as_u16();
        let body = must("a whole body", response.into_body().collect()).await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    /// Opens a WebSocket as RFC 8441 says, or gives the status.
    pub async fn websocket(
        &self,
        path: &str,
    ) -> Result<WebSocketStream<TokioIo<hyper::upgrade::Upgraded>>, u16> {
        let request = Request::connect(format!("{}://localhost{path}", self.scheme))
            .extension(Protocol::from_static("websocket"))
            .header("sec-websocket-version", "13")
            .body(Empty::new())
            .unwrap();
        let response = must("a response", self.sender.clone().send_request(request)).await.unwrap();
        if response.status() != 200 {
            return Err(response.status().as_u16());
        }
        let stream = must("the stream", hyper::upgrade::on(response)).await.unwrap();
        Ok(WebSocketStream::from_raw_socket(TokioIo::new(stream), Role::Client, None).await)
    }

    /// Resolves when the connection is over.
    pub async fn closed(&mut self) {
        must("the connection ends", async {
            while self.sender.ready().await.is_ok() {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
}
