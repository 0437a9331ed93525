//! `tidegate dev`, as a developer has it running.

use std::{
    net::SocketAddr,
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncBufReadExt as _, BufReader, Lines},
    process::{Child, ChildStdout},
    sync::watch,
};

use crate::{background, compiling, must};

/// How long a compiler may take, on a machine where others compile, too.
const COMPILING: Duration = Duration::from_secs(200);

/// A host that builds and deploys a crate. Killed when dropped.
#[derive(Debug)]
pub struct Develop {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    finished: watch::Receiver<(usize, Option<Instant>)>,
    /// Where it serves.
    pub address: SocketAddr,
    /// Where it is asked.
    pub admin: SocketAddr,
}

impl Develop {
    /// Starts it in a directory, on free ports, and waits for them.
    #[expect(clippy::print_stderr, reason = "for whoever looks at a test that failed")]
    pub async fn start(binary: &str, directory: &Path) -> Self {
        let mut command = compiling(directory, binary, &["dev"]);
        for name in ["TIDEGATE_LISTEN", "TIDEGATE_ADMIN"] {
            command.env(name, "127.0.0.1:0");
        }
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut errors = BufReader::new(child.stderr.take().unwrap()).lines();
        let (told, finished) = watch::channel((0, None));
        background(async move {
            while let Ok(Some(line)) = errors.next_line().await {
                eprintln!("{line}");
                if line.contains("Finished") {
                    told.send_modify(|(builds, last)| {
                        *builds += 1;
                        *last = Some(Instant::now());
                    });
                }
            }
        });
        let mut addresses = Vec::new();
        for what in ["serving http://", "admin   http://"] {
            let line = must("an address", lines.next_line()).await.unwrap().expect(what);
            addresses.push(line.strip_prefix(what).expect(&line).parse().unwrap());
        }
        let (address, admin) = (addresses.remove(0), addresses.remove(0));
        Self { child, lines, finished, address, admin }
    }

    /// Waits for a line with a text in it.
    pub async fn says(&mut self, text: &str) -> String {
        let mut before = Vec::new();
        loop {
            let next = tokio::time::timeout(COMPILING, self.lines.next_line()).await;
            match next {
                Ok(Ok(Some(line))) if line.contains(text) => return line,
                Ok(Ok(Some(line))) => before.push(line),
                other => panic!("{text:?} is not said: {before:?}, then {other:?}"),
            }
        }
    }

    /// Waits until it runs cargo: the process id of that.
    pub async fn cargo(&self) -> u32 {
        let pid = self.child.id().expect("it runs");
        let tasks = format!("/proc/{pid}/task");
        must("it runs cargo", async {
            loop {
                // A child is that of the thread that started it.
                for task in std::fs::read_dir(&tasks).unwrap().filter_map(Result::ok) {
                    let children = std::fs::read_to_string(task.path().join("children"));
                    for child in children.unwrap_or_default().split_whitespace() {
                        let name = std::fs::read_to_string(format!("/proc/{child}/comm"));
                        if name.unwrap_or_default().trim() == "cargo" {
                            return child.parse().unwrap();
                        }
                    }
                }
                tokio::task::yield_now().await;
            }
        })
        .await
    }

    /// When cargo finished last.
    pub fn compiled(&self) -> Instant {
        self.finished.borrow().1.expect("cargo has finished")
    }

    /// Waits until cargo has finished so often. More often is a mistake.
    pub async fn has_built(&mut self, times: usize) {
        let finished = must("builds", self.finished.wait_for(|(builds, _)| *builds >= times)).await;
        assert_eq!(finished.unwrap().0, times);
    }

    /// Sends it a signal by name, such as `INT`, and waits for its end: the exit status.
    pub async fn stop(mut self, signal: &str) -> Option<i32> {
        let pid = self.child.id().expect("it runs").to_string();
        let sent = tokio::process::Command::new("kill").args(["-s", signal, &pid]).status().await;
        assert!(sent.unwrap().success());
        must("it ends", self.child.wait()).await.unwrap().code()
    }
}
