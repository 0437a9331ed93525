//! A server outside, which answers as the path of a request says.

use std::{
    io::Write as _,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
};

use flate2::{Compression, write::GzEncoder};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpListener,
    sync::Notify,
    task::JoinHandle,
};
use tokio_rustls::TlsAcceptor;

use crate::{Asked, Certificate, background};

/// What the tasks of connections share.
#[derive(Debug, Default)]
struct Shared {
    asked: Mutex<Vec<Asked>>,
    came: Notify,
    released: Notify,
}

/// A server that answers by path:
///
/// - `/ok` with its request line, `/echo` with the body, `/gzip` with a compressed text, `/fields` with its header;
/// - `/status/NNN` with the status, `/busy/N` with 503 the first N times;
/// - `/to?URL` with a redirect there, `/again/N` with N redirects to itself;
/// - `/never` not at all, `/stalls` with half of its body, `/drip` with a byte at a time;
/// - `/cut` with half of its body and the end, `/closes` with the end, `/http09` and `/field` with what is not HTTP;
/// - `/large` with bytes without end;
/// - `/hold` when the test releases it.
///
/// Stopped when dropped.
#[derive(Debug)]
pub struct Outside {
    /// Where it listens.
    pub address: SocketAddr,
    shared: Arc<Shared>,
    serving: JoinHandle<()>,
}

impl Outside {
    /// Serves HTTP on a free port of the loopback.
    pub async fn start() -> Self {
        Self::serve(Ipv4Addr::LOCALHOST, None).await
    }

    /// Serves HTTPS at an address.
    pub async fn secure(address: Ipv4Addr, certificate: &Certificate) -> Self {
        Self::serve(address, Some(certificate.acceptor())).await
    }

    async fn serve(address: Ipv4Addr, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind((address, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared::default());
        let of = Arc::clone(&shared);
        let serving = background(async move {
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                let (of, tls) = (Arc::clone(&of), tls.clone());
                drop(background(async move {
                    match tls {
                        None => converse(&of, socket).await,
                        // A client may refuse the certificate.
                        Some(tls) => {
                            let Ok(socket) = tls.accept(socket).await else { return };
                            converse(&of, socket).await
                        }
                    }
                }));
            }
        });
        Self { address, shared, serving }
    }

    /// The URL of a path, by address.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The requests that came so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.shared.asked.lock().unwrap().clone()
    }

    /// How often a path was asked for.
    pub fn count(&self, path: &str) -> usize {
        count(&self.shared, path)
    }

    /// Waits until a path was asked for so often.
    pub async fn until(&self, path: &str, times: usize) {
        let waited = async {
            loop {
                let came = self.shared.came.notified();
                if self.count(path) >= times {
                    return;
                }
                came.await;
            }
        };
        crate::must("the request", waited).await;
    }

    /// Answers those who wait for `/hold` now.
    pub fn release(&self) {
        self.shared.released.notify_waiters();
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

fn count(shared: &Shared, path: &str) -> usize {
    let asked = shared.asked.lock().unwrap();
    asked
        .iter()
        .filter(|asked| asked.line.split_once(' ').is_some_and(|(_, it)| it == path))
        .count()
}

async fn read(socket: &mut (impl AsyncRead + Unpin)) -> Option<Asked> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end;
        }
        if socket.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let mut body = bytes.split_off(end + 4);
    let head = String::from_utf8_lossy(&bytes).trim_end().to_owned();
    let (line, fields) = head.split_once("\r\n").unwrap_or((&head, ""));
    let line = line.rsplit_once(' ')?.0.to_owned();
    let head = fields.to_ascii_lowercase();
    let length = head.lines().find_map(|field| field.strip_prefix("content-length: "));
    let length = length.map_or(0, |length| length.trim().parse().unwrap());
    while body.len() < length {
        if socket.read_buf(&mut body).await.ok()? == 0 {
            return None;
        }
    }
    Some(Asked { line, head, body })
}

fn response(status: u16, fields: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 {status} It\r\ncontent-length: {}\r\n{fields}\r\n", body.len());
    [head.as_bytes(), body].concat()
}

async fn converse(shared: &Shared, mut socket: impl AsyncRead + AsyncWrite + Unpin) {
    while let Some(asked) = read(&mut socket).await {
        let path = asked.line.split_once(' ').unwrap().1.to_owned();
        let released = shared.released.notified();
        shared.asked.lock().unwrap().push(asked.clone());
        let before = count(shared, &path);
        shared.came.notify_waiters();
        let text = "content-type: text/plain\r\n";
        let name = path.trim_start_matches('/');
        let (first, rest) = name.split_once(['/', '?']).unwrap_or((name, ""));
        let (bytes, ends) = match first {
            "echo" => (response(200, text, &asked.body), false),
            "fields" => (response(200, text, asked.head.as_bytes()), false),
            "gzip" => {
                let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
                gzip.write_all(b"unpacked").unwrap();
                let fields = "content-encoding: gzip\r\ncontent-type: text/plain\r\n";
                (response(200, fields, &gzip.finish().unwrap()), false)
            }
            "status" => (response(rest.parse().unwrap(), text, b"as asked"), false),
            "busy" if before <= rest.parse().unwrap() => (response(503, text, b"busy"), false),
            "to" => (response(302, &format!("location: {rest}\r\n"), b""), false),
            "again" if rest != "0" => {
                let left = rest.parse::<u32>().unwrap() - 1;
                (response(307, &format!("location: /again/{left}\r\n"), b""), false)
            }
            "never" => return std::future::pending().await,
            "hold" => {
                released.await;
                (response(200, text, b"released"), false)
            }
            "stalls" | "drip" => {
                let head = b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\nhalf";
                drop(socket.write_all(head).await);
                return drip(&mut socket, first == "drip").await;
            }
            "cut" => (b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf".to_vec(), true),
            "closes" => return,
            "http09" => (b"<p>no head</p>".to_vec(), true),
            "field" => (b"HTTP/1.1 200 OK\r\nnot a field\r\n\r\n".to_vec(), true),
            "large" => {
                let head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
                drop(socket.write_all(head).await);
                let chunk = [&b"10000\r\n"[..], &[b'x'; 0x1_0000], b"\r\n"].concat();
                while socket.write_all(&chunk).await.is_ok() {}
                return;
            }
            _ => (response(200, text, asked.line.as_bytes()), false),
        };
        if socket.write_all(&bytes).await.is_err() || ends {
            return drop(socket.shutdown().await);
        }
    }
}

/// Sends a byte now and then, or nothing, until the client has left.
async fn drip(socket: &mut (impl AsyncRead + AsyncWrite + Unpin), drips: bool) {
    let mut buffer = [0; 16];
    loop {
        let mut ticks = tokio::time::interval(std::time::Duration::from_millis(20));
        ticks.tick().await;
        tokio::select! {
            read = socket.read(&mut buffer) => {
                if !matches!(read, Ok(1..)) {
                    return;
                }
            }
            _ = ticks.tick(), if drips => drop(socket.write_all(b".").await),
        }
    }
}
