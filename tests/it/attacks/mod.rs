//! Attacks by who writes modules: what is uploaded, and what runs. Others are served meanwhile.

mod bombs;
mod files;
mod guests;
mod residue;

use serde_json::Value;
use tests::{Admin, Host, HostBuilder};

use crate::api::{state, versioned};

/// A host that serves a neighbour and a module `v`, in whose place attacks are uploaded.
struct Scene {
    host: Host,
    api: Admin,
    before: Value,
}

impl Scene {
    async fn start(builder: HostBuilder) -> Self {
        let host = builder.example("hello").start().await;
        let api = host.admin();
        api.done("PUT", "modules/v", versioned("versioned", 1)).await;
        let before = state(&api).await;
        Self { host, api, before }
    }

    /// Uploads a file, and gets what the host says to it. The neighbour is served meanwhile.
    async fn upload(&self, file: Vec<u8>) -> Value {
        let upload = self.api.ask("PUT", "modules/v", file);
        let (reply, neighbour) = tokio::join!(upload, self.host.get("/hello/neighbour"));
        assert_eq!(neighbour.status, 200);
        serde_json::from_slice(&reply.body).unwrap()
    }

    /// Uploads a file that must be refused with a code: what the host says. Nothing has changed.
    async fn refused(&self, file: Vec<u8>, code: &str) -> Value {
        let problem = self.upload(file).await;
        let said = |field: &str| problem.get(field).cloned().unwrap_or_default();
        assert_eq!((said("status"), said("code")), (422.into(), code.into()), "{problem}");
        self.unchanged(code).await;
        self.host.instances_left(0).await;
        problem
    }

    /// After an attack all is as it was before.
    async fn unchanged(&self, attack: &str) {
        assert_eq!(state(&self.api).await, self.before, "{attack}");
        assert_eq!(self.host.get("/version").await.text(), "1", "{attack}");
        assert_eq!(self.host.get("/hello/neighbour").await.status, 200, "{attack}");
    }
}
