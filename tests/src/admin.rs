//! A client of the admin API.

use std::{net::SocketAddr, path::Path};

use bytes::Bytes;
use serde_json::Value;

use crate::{Client, Reply};

/// Asks a host over its admin API.
#[derive(Clone, Debug)]
pub struct Admin {
    address: SocketAddr,
    token: String,
}

impl Admin {
    /// Asks with the token of a data directory.
    pub fn new(address: SocketAddr, data_dir: &Path) -> Self {
        let token = std::fs::read_to_string(data_dir.join("admin-token")).unwrap();
        Self { address, token: token.trim().to_owned() }
    }

    /// The same with another token.
    #[must_use]
    pub fn with(&self, token: &str) -> Self {
        Self { address: self.address, token: token.to_owned() }
    }

    /// The token.
    pub fn secret(&self) -> &str {
        &self.token
    }

    /// A client of the listener, without the token.
    pub const fn client(&self) -> Client {
        Client::new(self.address)
    }

    /// The header field that lets in.
    pub fn authorization(&self) -> String {
        format!("Bearer {}", self.token)
    }

    /// The response to a request below `/api/v1/`.
    pub async fn ask(&self, method: &str, path: &str, body: impl Into<Bytes>) -> Reply {
        let headers = [("authorization", &*self.authorization()), ("x-tidegate-user", "tester")];
        self.client().request(method, &format!("/api/v1/{path}"), &headers, body).await
    }

    /// What a request that must succeed is answered with.
    pub async fn done(&self, method: &str, path: &str, body: impl Into<Bytes>) -> Value {
        let reply = self.ask(method, path, body).await;
        assert!(reply.status < 300, "{method} {path}: {} {}", reply.status, reply.text());
        serde_json::from_slice(&reply.body).unwrap_or(Value::Null)
    }

    /// Status and code of a request that must be refused, and what it is told.
    pub async fn refused(
        &self,
        method: &str,
        path: &str,
        body: impl Into<Bytes>,
    ) -> (u16, String, String) {
        let reply = self.ask(method, path, body).await;
        let kind = reply.header("content-type");
        assert_eq!(kind, Some("application/problem+json"), "{method} {path}: {}", reply.text());
        let problem: Value = serde_json::from_slice(&reply.body).unwrap();
        assert_eq!(problem.get("status"), Some(&Value::from(reply.status)));
        let text = |field: &str| problem.get(field).unwrap().as_str().unwrap().to_owned();
        (reply.status, text("code"), text("detail"))
    }

    /// Deploys a file: what the host says.
    pub async fn deploy(&self, module: &str, file: &Path) -> Value {
        self.done("PUT", &format!("modules/{module}"), std::fs::read(file).unwrap()).await
    }

    /// One module.
    pub async fn module(&self, module: &str) -> Value {
        self.done("GET", &format!("modules/{module}"), "").await
    }
}
