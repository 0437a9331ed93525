//! What happens when something fails, with real processes. `docs/faults.md` has a row for each test.

mod clients;
mod entries;
mod failover;
mod network;
mod processes;
mod servers;

use std::{fmt::Write as _, time::Duration};

use tests::{Client, Process, RedisServer, root};

use super::{MODULES, Site, metric};

/// Leases of a second, commands of half a second, and events that are lost after five seconds.
impl<R> Site<R> {
    pub(super) fn quick(self) -> Self {
        self.quick_with_lease("1s")
    }

    fn quick_with_lease(self, lease: &str) -> Self {
        let mut text =
            format!("[layer]\nlease = '{lease}'\ntimeout = '500ms'\n[limits]\ndeadline = '1s'\n");
        for module in &self.modules {
            let name = module.split('=').next().unwrap();
            write!(text, "[modules.{name}]\nevent_expiry = '1s'\n").unwrap();
        }
        self.set(&text);
        self
    }
}

/// Waits for what `docs/faults.md` says comes within so many seconds.
async fn within<T>(seconds: u64, what: &str, happen: impl Future<Output = T>) -> T {
    let happened = tokio::time::timeout(Duration::from_secs(seconds), happen).await;
    happened.unwrap_or_else(|_| panic!("{what}: not within {seconds} s"))
}

/// What `/readyz` says.
async fn readiness(process: &Process) -> (u16, String) {
    let reply = Client::new(process.admin).get("/readyz").await;
    (reply.status, reply.text().to_owned())
}

pub(super) async fn until_ready(processes: &[&Process]) {
    for process in processes {
        within(7, "it is ready", async { while readiness(process).await.0 != 200 {} }).await;
    }
}

/// What it says when it is not ready any more.
async fn until_red(process: &Process) -> String {
    within(5, "it is not ready", async {
        loop {
            if let (503, why) = readiness(process).await {
                return why;
            }
        }
    })
    .await
}

/// Whether it is red at one of the next two probes.
async fn is_red_within_two_probes(process: &Process) -> bool {
    readiness(process).await.0 == 503 || readiness(process).await.0 == 503
}

/// Ends processes in order, interface servers first, and looks what they leave in Redis.
async fn assert_ends_clean(servers: &[&RedisServer], processes: Vec<Process>) {
    for process in processes {
        process.signal("TERM").await;
        assert_eq!(process.wait().await, Some(0));
    }
    for server in servers {
        for key in server.keys() {
            // How the keys are laid out, who read what, and what groups remember, for a while.
            let kind = key.rsplit("}:").next().unwrap().split(':').next().unwrap();
            if MODULES.contains(&kind) {
                continue;
            }
            let of_layout = ["epoch", "layout", "reader", "readers", "turn", "wake"];
            let of_histories = ["history", "position", "remembered"];
            assert!(of_layout.contains(&kind) || of_histories.contains(&kind), "{key}");
            assert_ne!(server.run(&["TTL", &key]), "-1", "{key}");
        }
    }
}

#[test]
fn every_fault_is_documented() {
    let folder = root().join("tests/it/redis/faults");
    let described = std::fs::read_to_string(root().join("docs/faults.md")).unwrap();
    for entry in std::fs::read_dir(folder).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        let tests = text.split("#[tokio::test(flavor = \"multi_thread\")]\nasync fn ").skip(1);
        for name in tests.map(|test| test.split('(').next().unwrap()) {
            assert!(described.contains(&format!("`{name}`")), "docs/faults.md has no `{name}`");
        }
    }
}
