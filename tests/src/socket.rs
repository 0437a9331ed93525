//! A WebSocket client.

use std::net::SocketAddr;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{
        Error, Message,
        client::IntoClientRequest,
        http::{HeaderName, HeaderValue, Response},
        protocol::{CloseFrame, frame::coding::CloseCode},
    },
};

use crate::must;

/// An open WebSocket.
#[derive(Debug)]
pub struct Socket {
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
    /// The response that opened it.
    pub response: Response<Option<Vec<u8>>>,
}

impl Socket {
    /// Opens a WebSocket that must be let in.
    pub async fn open(address: SocketAddr, path: &str) -> Self {
        Self::try_open(address, path, &[]).await.unwrap()
    }

    /// Opens a WebSocket with header fields, or gives the response that denied it.
    pub async fn try_open(
        address: SocketAddr,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Result<Self, Response<Option<Vec<u8>>>> {
        match Self::connect(address, path, headers).await {
            Ok(socket) => Ok(socket),
            Err(Error::Http(response)) => Err(*response),
            Err(error) => panic!("{path}: {error}"),
        }
    }

    /// Opens a WebSocket, unless the server is gone, goes meanwhile or lets nobody in now.
    pub async fn open_if_served(address: SocketAddr, path: &str) -> Option<Self> {
        Self::open_if_let_in(address, path, &[]).await
    }

    /// The same with header fields.
    pub async fn open_if_let_in(
        address: SocketAddr,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Option<Self> {
        Self::connect(address, path, headers).await.ok()
    }

    async fn connect(
        address: SocketAddr,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Result<Self, Error> {
        let mut request = format!("ws://{address}{path}").into_client_request().unwrap();
        for (name, value) in headers {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            request.headers_mut().append(name, HeaderValue::from_str(value).unwrap());
        }
        let (stream, response) = must("an answer to the handshake", connect_async(request)).await?;
        Ok(Self { stream, response })
    }

    /// Sends a text message.
    pub async fn send(&mut self, text: impl Into<String>) {
        must("room to send", self.stream.send(Message::Text(text.into().into()))).await.unwrap();
    }

    /// Sends a text message, unless the server has closed: whether it was sent.
    pub async fn try_send(&mut self, text: impl Into<String>) -> bool {
        must("room to send", self.stream.send(Message::Text(text.into().into()))).await.is_ok()
    }

    /// Sends a binary message.
    pub async fn send_bytes(&mut self, bytes: impl Into<Bytes>) {
        must("room to send", self.stream.send(Message::Binary(bytes.into()))).await.unwrap();
    }

    /// Queues a text message without waiting for the socket to take it.
    pub async fn feed(&mut self, text: impl Into<String>) {
        must("room to send", self.stream.feed(Message::Text(text.into().into()))).await.unwrap();
    }

    /// Writes what was queued.
    pub async fn flush(&mut self) {
        must("room to send", self.stream.flush()).await.unwrap();
    }

    /// The next message, whatever it is; none when the connection broke.
    pub async fn next(&mut self) -> Option<Message> {
        must("a message", self.stream.next()).await?.ok()
    }

    /// The next message, however long it takes; none when the connection broke.
    pub async fn wait(&mut self) -> Option<Message> {
        self.stream.next().await?.ok()
    }

    /// The next message, which must be text.
    pub async fn text(&mut self) -> String {
        match self.next().await {
            Some(Message::Text(text)) => text.as_str().to_owned(),
            other => panic!("expected a text, got {other:?}"),
        }
    }

    /// The next message, which must be binary.
    pub async fn bytes(&mut self) -> Bytes {
        match self.next().await {
            Some(Message::Binary(bytes)) => bytes,
            other => panic!("expected bytes, got {other:?}"),
        }
    }

    /// Waits for the server's close frame, past other messages: code and reason.
    pub async fn closed(&mut self) -> (u16, String) {
        loop {
            match self.next().await {
                Some(Message::Close(Some(close))) => {
                    return (close.code.into(), close.reason.as_str().to_owned());
                }
                Some(_) => {}
                None => panic!("the connection ended without a close frame"),
            }
        }
    }

    /// Closes with a code and waits for the server's answer.
    pub async fn close(mut self, code: u16) {
        let frame = CloseFrame { code: CloseCode::from(code), reason: "".into() };
        must("room to close", self.stream.close(Some(frame))).await.unwrap();
        while must("the end", self.stream.next()).await.is_some() {}
    }
}
