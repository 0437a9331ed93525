//! An admin listener that answers what a test says, for what a real one does seldom.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use crate::{background, must};

/// A request that came.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The request line without the version, such as `GET /path?query`.
    pub line: String,
    /// The header fields, in lower case.
    pub head: String,
    /// The body.
    pub body: Vec<u8>,
}

/// Answers each request on a connection of its own. Stopped when dropped.
#[derive(Debug)]
pub struct Stub {
    /// Where it listens.
    pub address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    serving: JoinHandle<()>,
}

impl Stub {
    /// Answers with a status and a JSON body, or with server-sent events if it begins with `event:`,
    /// after which the connection ends.
    pub async fn start(mut answer: impl FnMut(&Asked) -> (u16, String) + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&asked);
        let serving = background(async move {
            loop {
                let (mut socket, _) = listener.accept().await.unwrap();
                // Whoever only looks whether somebody listens says nothing.
                let Some(request) = read(&mut socket).await else { continue };
                let (status, body) = answer(&request);
                kept.lock().unwrap().push(request);
                let kind = match body.starts_with("event:") {
                    true => "text/event-stream",
                    false => "application/json",
                };
                let head = format!(
                    "HTTP/1.1 {status} Stub\r\ncontent-type: {kind}\r\nconnection: close\r\n\r\n"
                );
                // The client may have left.
                drop(socket.write_all((head + &body).as_bytes()).await);
            }
        });
        Self { address, asked, serving }
    }

    /// The requests so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

impl Drop for Stub {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn read(socket: &mut TcpStream) -> Option<Asked> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, _)) = text.split_once("\r\n\r\n") {
            let lower = head.to_lowercase();
            let length = lower.lines().find_map(|line| line.strip_prefix("content-length: "));
            let length: usize = length.map_or(0, |length| length.parse().unwrap());
            let begins = head.len() + 4;
            if bytes.len() >= begins + length {
                let line = head.lines().next().unwrap().trim_end_matches(" HTTP/1.1").to_owned();
                return Some(Asked { line, head: lower, body: bytes.split_off(begins) });
            }
        }
        let count = must("a request", socket.read_buf(&mut bytes)).await.ok()?;
        if count == 0 {
            return None;
        }
    }
}
