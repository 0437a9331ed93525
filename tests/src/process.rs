//! The host as a process of its own, as users run it.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Output, Stdio},
};

use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
};

use crate::{Admin, compiled_dir, must};

/// A host that runs as a process. Killed when dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    /// Where it serves.
    pub address: SocketAddr,
    /// Where else it serves.
    pub others: Vec<SocketAddr>,
    /// Where it answers about health.
    pub admin: SocketAddr,
    data: PathBuf,
    _own: TempDir,
    _lines: Lines<BufReader<ChildStdout>>,
}

fn command(binary: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(binary);
    // What the tester's shell sets must not change a test.
    let is_ours = |name: &str| name.starts_with("TIDEGATE_") || name.starts_with("OTEL_");
    for (name, _) in std::env::vars().filter(|(name, _)| is_ours(name)) {
        command.env_remove(name);
    }
    // A load balancer is what only the tests of the pause have.
    command.env("TIDEGATE_DRAIN_DELAY", "0s");
    command.env("TIDEGATE_COMPILED_DIR", compiled_dir());
    command.args(arguments).kill_on_drop(true).stdin(Stdio::null());
    command
}

/// Runs a command to its end, in a directory.
pub async fn run(binary: &str, directory: &Path, arguments: &[&str]) -> Output {
    // Not within the usual patience: it may be a compiler.
    command(binary, arguments).current_dir(directory).output().await.unwrap()
}

impl Process {
    /// Starts `worker` and waits until it works. Its address is that of its admin listener.
    pub async fn worker(binary: &str, arguments: &[&str]) -> Self {
        Self::serve(binary, &[&["worker"], arguments].concat()).await
    }

    /// Starts `serve` on free ports and waits for the addresses that it prints.
    pub async fn serve(binary: &str, arguments: &[&str]) -> Self {
        Self::serve_at("127.0.0.1:0".parse().unwrap(), binary, arguments).await
    }

    /// The same, but serves at an address, as a host does that comes back.
    pub async fn serve_at(address: SocketAddr, binary: &str, arguments: &[&str]) -> Self {
        Self::serve_with(address, binary, arguments, &[]).await
    }

    /// The same, with variables of the environment.
    pub async fn serve_with(
        address: SocketAddr,
        binary: &str,
        arguments: &[&str],
        variables: &[(&str, &str)],
    ) -> Self {
        Self::start(address, binary, arguments, variables, Stdio::inherit()).await
    }

    /// Serves on free ports, and writes its log to a file.
    pub async fn serve_logged(log: &Path, binary: &str, arguments: &[&str]) -> Self {
        let log = std::fs::File::create(log).unwrap();
        Self::start("127.0.0.1:0".parse().unwrap(), binary, arguments, &[], log.into()).await
    }

    /// Serves on free ports with a log that goes elsewhere. The program may be a script that ends by
    /// running the host.
    pub async fn serve_into(log: Stdio, program: &str, arguments: &[&str]) -> Self {
        Self::serve_with_log(log, program, arguments, &[]).await
    }

    /// Serves on free ports, with variables of the environment and a log that goes elsewhere.
    pub async fn serve_with_log(
        log: Stdio,
        program: &str,
        arguments: &[&str],
        variables: &[(&str, &str)],
    ) -> Self {
        Self::start("127.0.0.1:0".parse().unwrap(), program, arguments, variables, log).await
    }

    async fn start(
        address: SocketAddr,
        binary: &str,
        arguments: &[&str],
        variables: &[(&str, &str)],
        log: Stdio,
    ) -> Self {
        let own = tempfile::tempdir().unwrap();
        let named = arguments.iter().skip_while(|&&argument| argument != "--data-dir").nth(1);
        let data = named.map_or(own.path(), Path::new).to_owned();
        let (listen, made) = (address.to_string(), own.path().display().to_string());
        // A worker listens nowhere, and reads the same flags otherwise.
        let (command_name, arguments) = match arguments {
            ["worker", rest @ ..] => ("worker", rest),
            _ => ("serve", arguments),
        };
        let mut all = vec![command_name, "--admin", "127.0.0.1:0"];
        if command_name == "serve" {
            all.extend(["--listen", &listen]);
        }
        if named.is_none() {
            all.extend(["--data-dir", &made]);
        }
        all.extend(arguments);
        let mut command = command(binary, &all);
        command.envs(variables.iter().copied());
        let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut others = Vec::new();
        let admin = loop {
            let line = must("an address", lines.next_line()).await.unwrap().unwrap();
            let address = line.rsplit("//").next().unwrap().parse().unwrap();
            if line.starts_with("admin") {
                break address;
            }
            others.push(address);
        };
        let address = if others.is_empty() { admin } else { others.remove(0) };
        Self { child, address, others, admin, data, _own: own, _lines: lines }
    }

    /// A client of its admin API.
    pub fn api(&self) -> Admin {
        Admin::new(self.admin, &self.data)
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id().expect("the process runs")
    }

    /// Sends it a signal by name, such as `TERM`.
    pub async fn signal(&self, name: &str) {
        let pid = self.pid().to_string();
        let status = Command::new("kill").args(["-s", name, &pid]).status().await.unwrap();
        assert!(status.success());
    }

    /// Waits for its end: the exit status, none if a signal ended it.
    pub async fn wait(mut self) -> Option<i32> {
        must("the process ends", self.child.wait()).await.unwrap().code()
    }

    /// The memory that it has, in bytes.
    pub fn memory(&self) -> u64 {
        self.status("VmRSS:")
    }

    /// The most memory it has had, in bytes.
    pub fn peak_memory(&self) -> u64 {
        self.status("VmHWM:")
    }

    fn status(&self, name: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        let kib: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
        kib * 1024
    }

    /// Whether it has child processes now, as while it compiles.
    pub fn has_children(&self) -> bool {
        let mut threads = std::fs::read_dir(format!("/proc/{}/task", self.pid())).unwrap();
        let children = |thread: std::io::Result<std::fs::DirEntry>| {
            // A thread may end meanwhile.
            std::fs::read_to_string(thread.unwrap().path().join("children")).unwrap_or_default()
        };
        threads.any(|thread| !children(thread).is_empty())
    }

    /// Forgets the peak, so that the next one is that of what follows.
    pub fn reset_peak_memory(&self) {
        std::fs::write(format!("/proc/{}/clear_refs", self.pid()), "5").unwrap();
    }
}
