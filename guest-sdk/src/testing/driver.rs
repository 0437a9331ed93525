//! Runs cases on the test host.

use std::time::Duration;

use super::cases::{CaseRequest, CaseResponse, Driver, Open, Opened, Received};
use super::{TestHost, TestSocket};
use crate::Frame;

/// How long a client waits for the response to a request that is on hold.
const PATIENCE: Duration = Duration::from_secs(30);

impl TestHost {
    fn socket(&self, name: &str) -> Result<&TestSocket, String> {
        self.sockets.get(name).ok_or_else(|| format!("there is no connection {name:?}"))
    }
}

impl Driver for TestHost {
    fn request(&mut self, request: &CaseRequest) -> Result<CaseResponse, String> {
        let mut test = TestHost::request(self, &request.method, &request.path);
        for (name, value) in &request.headers {
            test = test.header(name, value.as_str());
        }
        if let Some(user) = &request.user {
            test = test.signed_in_with(&user.id, &user.claims);
        }
        let response = test.body(request.body.clone()).send();
        if response.is_pending() {
            self.advance(PATIENCE);
        }
        if response.is_pending() {
            return Err(format!("the request is on hold for more than {PATIENCE:?}"));
        }
        Ok(CaseResponse {
            status: response.status(),
            headers: response.headers(),
            body: response.bytes(),
        })
    }

    fn open(&mut self, name: &str, open: &Open) -> Result<Opened, String> {
        let mut test = self.websocket(&open.path);
        for (name, value) in &open.headers {
            test = test.header(name, value.as_str());
        }
        for subprotocol in &open.subprotocols {
            test = test.subprotocol(subprotocol);
        }
        if let Some(user) = &open.user {
            test = test.signed_in_with(&user.id, &user.claims);
        }
        match test.connect() {
            Err(denied) => Ok(Opened::Denied(denied.status)),
            Ok(socket) => {
                let subprotocol = socket.subprotocol();
                self.sockets.insert(name.to_owned(), socket);
                Ok(Opened::Accepted { subprotocol })
            }
        }
    }

    fn send(&mut self, name: &str, frame: Frame) -> Result<(), String> {
        let socket = self.socket(name)?;
        if let Some(close) = socket.closed() {
            return Err(format!("{name:?} is closed: {close:?}"));
        }
        socket.send(frame);
        Ok(())
    }

    fn receive(&mut self, name: &str) -> Result<Received, String> {
        let socket = self.socket(name)?;
        // A client waits, as long as it takes for what is to come later.
        for _ in 0..PATIENCE.as_secs() {
            if socket.has_frames() || socket.closed().is_some() {
                break;
            }
            self.advance(Duration::from_secs(1));
        }
        match (socket.receive(), socket.closed()) {
            (Some(frame), _) => Ok(Received::Frame(frame)),
            (None, Some(close)) => Ok(Received::Close(close)),
            (None, None) => Err("nothing comes".to_owned()),
        }
    }

    fn close(&mut self, name: &str, code: u16) -> Result<(), String> {
        self.socket(name)?.close(code);
        Ok(())
    }

    fn reset(&mut self) {
        self.sockets.clear();
    }
}
