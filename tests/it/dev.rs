//! `tidegate dev`, as README shows it: edit, save, and the open connection has the new behaviour.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use tests::{Client, Develop, Process, Socket, compiling, example, lock, must, run};
use tokio::io::{AsyncBufReadExt as _, BufReader};

use crate::TIDEGATE;

/// A crate of the WebSocket template. Its name is that of no other test: they share a directory that
/// cargo writes to.
pub(crate) async fn crate_named(directory: &Path, name: &str) -> PathBuf {
    let made = run(TIDEGATE, directory, &["new", name]).await;
    assert!(made.status.success(), "{made:?}");
    let path = directory.join(name);
    lock(&path);
    path
}

/// Edits the sources as somebody does who replaces a text and saves.
pub(crate) fn edit(path: &Path, from: &str, to: &str) {
    let file = path.join("src/lib.rs");
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.contains(from), "no {from:?} in {text}");
    fs::write(file, text.replace(from, to)).unwrap();
}

/// It ends well at a signal, and its sockets are told.
async fn stops(dev: Develop, signal: &str, mut socket: Socket) {
    let told = async {
        let (code, _) = socket.closed().await;
        drop(socket);
        code
    };
    let (status, code) = tokio::join!(dev.stop(signal), told);
    assert_eq!((status, code), (Some(0), 1001));
}

/// From the compiler's end to the new answer.
const LIVE: Duration = Duration::from_secs(2);

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_is_live_on_the_open_socket_within_two_seconds_after_it_is_compiled() {
    let directory = tempfile::tempdir().unwrap();
    let path = crate_named(directory.path(), "dev-edit").await;
    let mut dev = Develop::start(TIDEGATE, &path).await;
    dev.says("dev-edit 1 (").await;
    let page = dev.says("GET").await;
    assert!(page.contains(&format!("http://{}/dev-edit", dev.address)), "{page}");
    let mut socket = Socket::open(dev.address, "/dev-edit/socket").await;
    socket.send("ahoy").await;
    assert_eq!(socket.text().await, "1: you said ahoy");
    dev.says("websocket.receive.dev-edit: ok").await;
    edit(&path, "you said", "you wrote");
    let line = dev.says("dev-edit 1 → 2 (").await;
    let compiled = dev.compiled();
    socket.send("ahoy").await;
    assert_eq!(socket.text().await, "2: you wrote ahoy", "{line}");
    let took = compiled.elapsed();
    assert!(took <= LIVE, "it took {took:?} from the compiler's end; {line}");
    stops(dev, "INT", socket).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_that_fails_is_told_and_the_version_before_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let path = crate_named(directory.path(), "dev-mistake").await;
    let settings =
        format!("[modules.hello]\nfile = {:?}\n", example("hello").display().to_string());
    fs::write(path.join("tidegate.toml"), settings).unwrap();
    let mut dev = Develop::start(TIDEGATE, &path).await;
    dev.says("dev-mistake 1 (").await;
    let mut socket = Socket::open(dev.address, "/dev-mistake/socket").await;
    edit(&path, "socket.send(", "socket.sned(");
    dev.says("dev-mistake does not compile").await;
    dev.says("version 1 (").await;
    socket.send("ahoy").await;
    assert_eq!(socket.text().await, "1: you said ahoy");
    edit(&path, "socket.sned(", "socket.send(");
    dev.says("is this one").await;
    // It compiles, and the host refuses it: another module has that route.
    edit(&path, "GET /dev-mistake\"", "POST /hello\"");
    dev.says("module hello").await;
    dev.says("version 1 (").await;
    socket.send("ahoy").await;
    assert_eq!(socket.text().await, "2: you said ahoy");
    // A manifest that cannot be read.
    let manifest = path.join("Cargo.toml");
    let good = fs::read_to_string(&manifest).unwrap();
    fs::write(&manifest, "[package").unwrap();
    dev.says("unclosed table").await;
    dev.says("version 1 (").await;
    fs::write(&manifest, good).unwrap();
    edit(&path, "POST /hello\"", "GET /dev-mistake\"");
    edit(&path, "you said", "you wrote");
    dev.says("dev-mistake 1 → 2 (").await;
    socket.send("ahoy").await;
    assert_eq!(socket.text().await, "3: you wrote ahoy");
    stops(dev, "TERM", socket).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_during_a_build_ends_the_compiler_too() {
    let directory = tempfile::tempdir().unwrap();
    let path = crate_named(directory.path(), "dev-stopped").await;
    // A build that does not end by itself.
    let script =
        "fn main() { std::fs::write(\"runs\", \"\").unwrap(); loop { std::thread::park() } }";
    fs::write(path.join("build.rs"), script).unwrap();
    let dev = Develop::start(TIDEGATE, &path).await;
    must("the build has begun", async {
        while !path.join("runs").exists() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let cargo = dev.cargo().await;
    assert_eq!(dev.stop("INT").await, Some(0));
    must("the compiler ends", async {
        while Path::new(&format!("/proc/{cargo}")).exists() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_runs_already_is_used_if_it_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let path = crate_named(directory.path(), "dev-there").await;
    let data = directory.path().join("data");
    let host = Process::serve(TIDEGATE, &["--data-dir", data.to_str().unwrap()]).await;
    let admin = host.admin.to_string();
    let arguments = ["dev", "--admin", &admin, "--data-dir", data.to_str().unwrap()];
    let mut command = compiling(&path, TIDEGATE, &[&arguments[..], &["--name", "there"]].concat());
    let mut dev = command.stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    let mut lines = BufReader::new(dev.stdout.take().unwrap()).lines();
    let line = lines.next_line().await.unwrap().unwrap();
    assert!(line.starts_with("there 1 ("), "{line}");
    assert_eq!(Client::new(host.address).get("/dev-there").await.status, 200);
    dev.kill().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn until_the_first_version_clients_are_told_to_wait_and_what_panics_is_not_hidden() {
    let directory = tempfile::tempdir().unwrap();
    let path = crate_named(directory.path(), "dev-first").await;
    let mut dev = Develop::start(TIDEGATE, &path).await;
    let client = Client::new(dev.address);
    let early = client.get("/dev-first").await;
    assert_eq!((early.status, early.header("retry-after")), (503, Some("1")), "{}", early.text());
    assert!(early.text().contains("dev-first is being compiled"), "{}", early.text());
    let handshake = Socket::try_open(dev.address, "/dev-first/socket", &[]).await;
    assert_eq!(handshake.unwrap_err().status().as_u16(), 503);
    dev.says("dev-first 1 (").await;
    dev.says("  WEBSOCKET ws://").await;
    assert_eq!(client.get("/dev-first").await.status, 200);
    assert_eq!(client.get("/elsewhere").await.status, 404);
    // The version that was saved answers, however it fails: none before it does in its place.
    edit(&path, "socket.send(", "assert!(text.is_empty(), \"on purpose\");\n        socket.send(");
    dev.says("dev-first 1 → 2 (").await;
    let mut socket = Socket::open(dev.address, "/dev-first/socket").await;
    socket.send("ahoy").await;
    let (code, _) = socket.closed().await;
    assert_eq!(code, 1011);
    let line = dev.says(": trap, ").await;
    assert!(line.contains("dev-first@2"), "{line}");
    // Settings are read at the start only, and `dev` says so.
    fs::write(path.join("tidegate.toml"), "[limits]\nfuel = 5000000\n").unwrap();
    dev.says("tidegate.toml has changed: limits").await;
    fs::write(path.join("tidegate.toml"), "[limits]\nfule = 5\n").unwrap();
    dev.says("there is no setting `fule`").await;
    assert_eq!(dev.stop("INT").await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_script_that_writes_sources_and_a_module_that_writes_files_start_no_builds() {
    let directory = tempfile::tempdir().unwrap();
    let path = crate_named(directory.path(), "dev-written").await;
    fs::create_dir(path.join("data")).unwrap();
    let settings = "[modules.dev-written.grants]\nwrite = { '/data' = 'data' }\n";
    fs::write(path.join("tidegate.toml"), settings).unwrap();
    // Another text with each build, without a word of what it reads.
    let script = "fn main() {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        std::fs::write(\"src/generated.rs\", format!(\"// {}\", now.as_nanos())).unwrap();
    }";
    fs::write(path.join("build.rs"), script).unwrap();
    edit(&path, "use tidegate_sdk", "mod generated;\n\nuse tidegate_sdk");
    let mut dev = Develop::start(TIDEGATE, &path).await;
    dev.says("dev-written 1 (").await;
    let warning = dev.says("warning: each build changes").await;
    assert!(warning.contains("src/generated.rs"), "{warning}");
    dev.has_built(4).await;
    for number in 0..20 {
        fs::write(path.join("data/written"), number.to_string()).unwrap();
    }
    edit(&path, "you said", "you wrote");
    dev.says("dev-written 1 → 2 (").await;
    dev.has_built(5).await;
    assert_eq!(dev.stop("INT").await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_in_use_names_the_flag_for_another() {
    let directory = tempfile::tempdir().unwrap();
    let path = crate_named(directory.path(), "dev-second").await;
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let mut command = compiling(&path, TIDEGATE, &["dev", "--listen", &address]);
    let output = command.env("TIDEGATE_ADMIN", "127.0.0.1:0").output().await.unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(5), "{told}");
    assert!(told.contains("another place with --listen") && told.contains(&address), "{told}");
}
