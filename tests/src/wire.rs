//! A TCP connection over which a test says what no client would.

use std::net::SocketAddr;

use bytes::Bytes;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::must;

/// An open TCP connection.
#[derive(Debug)]
pub struct Wire {
    stream: TcpStream,
}

/// A response as it came.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The header fields as they stand there, without the end of the last line.
    pub head: String,
    /// The body.
    pub body: Bytes,
}

impl Answer {
    /// The first value of a header field, whose name is given in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let fields = self.head.lines().filter_map(|line| line.split_once(':'));
        let mut named = fields.filter(|(field, _)| field.eq_ignore_ascii_case(name));
        named.next().map(|(_, value)| value.trim())
    }
}

impl Wire {
    /// Connects.
    pub async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream }
    }

    /// Sends bytes. An error means that the other side has closed, as is its right.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) -> std::io::Result<()> {
        must("room to send", self.stream.write_all(bytes.as_ref())).await
    }

    /// Says that nothing more will be sent; nothing where the other side has closed.
    pub async fn finish(&mut self) {
        drop(self.stream.shutdown().await);
    }

    /// The bytes that are there next; none at the end, however it came.
    pub async fn read(&mut self) -> Bytes {
        let mut buffer = vec![0; 64 * 1024];
        let count = must("bytes, or the end", self.stream.read(&mut buffer)).await.unwrap_or(0);
        buffer.truncate(count);
        buffer.into()
    }

    /// Reads until the other side closes.
    pub async fn rest(&mut self) -> Bytes {
        let mut all = Vec::new();
        loop {
            match self.read().await {
                part if part.is_empty() => return all.into(),
                part => all.extend(part),
            }
        }
    }

    /// Reads until a text has come, and returns all up to its end.
    pub async fn until(&mut self, text: &str) -> Bytes {
        let mut all = Vec::new();
        loop {
            let found = all.windows(text.len()).any(|part| part == text.as_bytes());
            if found {
                return all.into();
            }
            let part = self.read().await;
            assert!(!part.is_empty(), "{text:?} did not come: {:?}", Bytes::from(all));
            all.extend(part);
        }
    }
}

/// The responses that stand in bytes one after the other, none of them to `HEAD`. What follows a
/// status 101 is its body.
pub fn answers(mut bytes: &[u8]) -> Vec<Answer> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let shown = || Bytes::copy_from_slice(bytes);
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
        let end = end.unwrap_or_else(|| panic!("no whole response: {:?}", shown()));
        let (head, rest) = bytes.split_at(end);
        let head = std::str::from_utf8(head).unwrap();
        let (line, head) = head.split_once("\r\n").unwrap_or((head, ""));
        let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status: u16 = status.unwrap_or_else(|| panic!("no status: {:?}", shown()));
        let mut answer = Answer { status, head: head.to_owned(), body: Bytes::new() };
        bytes = rest.split_at(4).1;
        let length = match answer.header("content-length") {
            Some(length) => length.parse().unwrap(),
            None if status == 101 => bytes.len(),
            None => 0,
        };
        assert!(length <= bytes.len(), "a body ends early: {answer:?} {bytes:?}");
        let (body, rest) = bytes.split_at(length);
        answer.body = Bytes::copy_from_slice(body);
        bytes = rest;
        found.push(answer);
    }
    found
}
