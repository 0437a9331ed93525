//! Every example's cases, which also run natively beside it, against a real host.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
};

use tests::{Client, Host, Outside, Socket, token};
use tidegate_sdk::{
    Close, Frame,
    testing::cases::{self, CaseRequest, CaseResponse, CaseUser, Driver, Open, Opened, Received},
};
use tokio::runtime::Handle;
use tokio_tungstenite::tungstenite::Message;

/// Runs cases over real sockets, from a thread that may block.
struct Sockets {
    host: std::net::SocketAddr,
    runtime: Handle,
    open: HashMap<String, Socket>,
}

/// The header field that signs a user in, on a host whose settings have the secret of the tests.
fn bearer(user: Option<&CaseUser>) -> Option<String> {
    user.map(|user| format!("Bearer {}", token(&user.id, &user.claims.clone().into())))
}

impl Driver for Sockets {
    fn request(&mut self, request: &CaseRequest) -> Result<CaseResponse, String> {
        let mut headers: Vec<_> =
            request.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let bearer = bearer(request.user.as_ref());
        headers.extend(bearer.as_deref().map(|token| ("authorization", token)));
        let (method, path) = (&request.method, &request.path);
        let client = Client::new(self.host);
        let reply =
            self.runtime.block_on(client.request(method, path, &headers, request.body.clone()));
        let header = |(name, value): (&hyper::header::HeaderName, &hyper::header::HeaderValue)| {
            (name.to_string(), value.to_str().unwrap().to_owned())
        };
        Ok(CaseResponse {
            status: reply.status,
            headers: reply.headers.iter().map(header).collect(),
            body: reply.body.to_vec(),
        })
    }

    fn open(&mut self, name: &str, open: &Open) -> Result<Opened, String> {
        let offered = open.subprotocols.join(", ");
        let mut headers: Vec<_> =
            open.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let bearer = bearer(open.user.as_ref());
        headers.extend(bearer.as_deref().map(|token| ("authorization", token)));
        if !offered.is_empty() {
            headers.push(("sec-websocket-protocol", &offered));
        }
        match self.runtime.block_on(Socket::try_open(self.host, &open.path, &headers)) {
            Err(denied) => Ok(Opened::Denied(denied.status().as_u16())),
            Ok(socket) => {
                let chosen = socket.response.headers().get("sec-websocket-protocol");
                let subprotocol = chosen.map(|value| value.to_str().unwrap().to_owned());
                self.open.insert(name.to_owned(), socket);
                Ok(Opened::Accepted { subprotocol })
            }
        }
    }

    fn send(&mut self, name: &str, frame: Frame) -> Result<(), String> {
        let socket = self.open.get_mut(name).ok_or("not open")?;
        match frame {
            Frame::Text(text) => self.runtime.block_on(socket.send(text)),
            Frame::Binary(bytes) => self.runtime.block_on(socket.send_bytes(bytes)),
        }
        Ok(())
    }

    fn receive(&mut self, name: &str) -> Result<Received, String> {
        let socket = self.open.get_mut(name).ok_or("not open")?;
        match self.runtime.block_on(socket.next()) {
            Some(Message::Text(text)) => Ok(Received::Frame(Frame::text(text.as_str()))),
            Some(Message::Binary(bytes)) => Ok(Received::Frame(Frame::binary(bytes.to_vec()))),
            Some(Message::Close(Some(close))) => {
                Ok(Received::Close(Close::new(close.code.into(), close.reason.as_str())))
            }
            other => Err(format!("{other:?}")),
        }
    }

    fn close(&mut self, name: &str, code: u16) -> Result<(), String> {
        let socket = self.open.remove(name).ok_or("not open")?;
        self.runtime.block_on(socket.close(code));
        Ok(())
    }

    fn reset(&mut self) {
        self.open.clear();
    }
}

/// The examples, by the folders there are.
fn examples() -> Vec<(String, PathBuf)> {
    let mut found: Vec<_> = fs::read_dir(tests::root().join("examples"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.join("cases.json").exists())
        .map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), path))
        .collect();
    found.sort();
    found
}

/// The settings that an example has for its demo, with a server of the test in the place of the demo's.
fn settings(path: &Path, outside: &Outside) -> String {
    let file = path.join("tidegate.toml");
    let text = if file.exists() { fs::read_to_string(file).unwrap() } else { String::new() };
    text.replace("127.0.0.1:8025", &outside.address.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cases_of_every_example_hold_on_the_host() {
    let examples = examples();
    let names: Vec<_> = examples.iter().map(|(name, _)| name.as_str()).collect();
    for expected in [
        "account", "auction", "chat", "cursors", "echo", "hello", "home", "jobs", "live",
        "longpoll", "members", "notify", "ticker", "trouble", "units",
    ] {
        assert!(names.contains(&expected), "{names:?}");
    }
    let outside = Outside::start().await;
    for (name, path) in &examples {
        let host = Host::builder().example(name).section(&settings(path, &outside));
        let host = host.start().await;
        hold(&host, name, &path.join("cases.json")).await;
        host.stop().await;
    }
}

/// Runs the cases of a file against a host.
pub(crate) async fn hold(host: &Host, name: &str, cases: &Path) {
    let json = fs::read_to_string(cases).unwrap();
    let mut driver =
        Sockets { host: host.address(), runtime: Handle::current(), open: HashMap::new() };
    let outcome = tokio::task::spawn_blocking(move || cases::run(&json, &mut driver)).await;
    if let Err(error) = outcome.unwrap() {
        panic!("{name}: {error}");
    }
}

#[test]
fn every_example_has_a_page_that_explains_it() {
    for (name, path) in examples() {
        let text = fs::read_to_string(path.join("README.md")).unwrap();
        assert!(text.starts_with("# "), "{name}");
    }
}

#[test]
fn examples_that_serve_the_javascript_client_have_all_its_files() {
    let root = tests::root();
    let entries = fs::read_dir(root.join("clients/js/src")).unwrap();
    let files: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".js"))
        .collect();
    for serving in ["client-files/src/lib.rs", "javascript/chat/files.js"] {
        let text = fs::read_to_string(root.join("examples").join(serving)).unwrap();
        for file in &files {
            assert!(text.contains(&format!("\"{file}\"")), "{serving} does not serve {file}");
        }
    }
}
