//! An HTTP client: one connection for each request, so that leaving is a thing a test can do.

use std::{error::Error, net::SocketAddr};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, body::Incoming};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, task::JoinHandle};

use crate::{background, must};

/// Sends requests to one address.
#[derive(Clone, Copy, Debug)]
pub struct Client {
    address: SocketAddr,
}

/// A whole response.
#[derive(Debug)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// The header fields.
    pub headers: hyper::HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Reply {
    /// The body as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// A header field as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

/// A response whose body is read part by part. Dropping it leaves.
#[derive(Debug)]
pub struct Streaming {
    /// Status and header fields.
    pub response: Response<Incoming>,
    connection: JoinHandle<()>,
}

impl Streaming {
    /// The next part of the body; none at its end.
    pub async fn part(&mut self) -> Option<Result<Bytes, hyper::Error>> {
        let frame = must("a part of the body", self.response.body_mut().frame()).await?;
        Some(frame.map(|frame| frame.into_data().unwrap_or_default()))
    }
}

impl Drop for Streaming {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

impl Client {
    /// A client of an address.
    pub const fn new(address: SocketAddr) -> Self {
        Self { address }
    }

    /// The response to a `GET`.
    pub async fn get(&self, path: &str) -> Reply {
        self.request("GET", path, &[], "").await
    }

    /// The response to a request.
    pub async fn request(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Reply {
        let mut streaming = self.start(method, path, headers, body).await;
        let body = must("a whole body", streaming.response.body_mut().collect()).await;
        let body = body.unwrap().to_bytes();
        let head = &streaming.response;
        Reply { status: head.status().as_u16(), headers: head.headers().clone(), body }
    }

    /// The response to a request, as soon as its head is there.
    pub async fn start(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Streaming {
        let started = self.try_start(method, path, headers, body).await;
        started.unwrap()
    }

    /// The response to a request of a server that may go away.
    pub async fn try_request(&self, method: &str, path: &str) -> Option<Reply> {
        self.try_whole(method, path, &[], Bytes::new()).await
    }

    /// The response to a `POST` of JSON to a server that may go away.
    pub async fn try_post(&self, path: &str, json: String) -> Option<Reply> {
        let headers = [("content-type", "application/json")];
        self.try_whole("POST", path, &headers, json.into()).await
    }

    async fn try_whole(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> Option<Reply> {
        let mut streaming = self.try_start(method, path, headers, body).await.ok()?;
        let body = must("a body", streaming.response.body_mut().collect()).await.ok()?.to_bytes();
        let head = &streaming.response;
        Some(Reply { status: head.status().as_u16(), headers: head.headers().clone(), body })
    }

    async fn try_start(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Result<Streaming, Box<dyn Error + Send + Sync>> {
        let socket = TcpStream::connect(self.address).await?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(socket)).await?;
        let connection = background(async move { drop(connection.await) });
        let mut request = Request::builder().method(method).uri(path);
        if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            request = request.header("host", self.address.to_string());
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body.into()))?;
        let response = must("a response", sender.send_request(request)).await?;
        Ok(Streaming { response, connection })
    }
}
