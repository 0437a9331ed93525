//! The command line: what is wrong, where, the rule and the fix; an exit status from the table;
//! nothing half-started.

use std::{net::TcpListener, path::Path, process::Output};

use tests::{example, guest, run};
use tokio::io::{AsyncBufReadExt as _, BufReader};

use crate::TIDEGATE;

async fn tidegate(directory: &Path, arguments: &[&str]) -> Output {
    run(TIDEGATE, directory, arguments).await
}

fn told(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Runs a command that must fail: its status and the one line that it says.
async fn refused(directory: &Path, arguments: &[&str]) -> (i32, String) {
    let output = tidegate(directory, arguments).await;
    let text = told(&output);
    let line = text.lines().find(|line| line.starts_with("error: "));
    let line = line.unwrap_or_else(|| panic!("no error in {text:?}")).to_owned();
    assert!(output.stdout.is_empty(), "nothing is printed as if it had started");
    (output.status.code().unwrap(), line)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_no_module_is_refused_with_status_4_and_the_fix() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let core = b"\0asm\x01\0\0\0";
    let component = b"\0asm\x0d\0\x01\0";
    // A component that imports something that is not granted, by hand: an import section with an
    // empty instance type.
    let mut importing = component.to_vec();
    importing.extend(b"\x07\x03\x01\x42\x00");
    let name = b"acme:db/sql@1.0.0";
    let import_section_len = 1 + 1 + 1 + name.len() + 2;
    importing.extend([0x0a, u8::try_from(import_section_len).unwrap(), 0x01, 0x00]);
    importing.push(u8::try_from(name.len()).unwrap());
    importing.extend(name);
    importing.extend([0x05, 0x00]);
    for (file, bytes) in [
        ("text.wasm", &b"hello"[..]),
        ("empty.wasm", b""),
        ("core.wasm", core),
        ("bare.wasm", component),
        ("broken.wasm", b"\0asm\x0d\0\x01\0\xff\xff"),
        ("importing.wasm", &importing),
    ] {
        std::fs::write(path.join(file), bytes).unwrap();
    }
    let table = [
        ("text.wasm", "it is not WebAssembly: it does not begin with \\0asm; give the .wasm file"),
        ("empty.wasm", "it is not WebAssembly"),
        ("core.wasm", "it does not export tidegate:channels/consumer@0.1.0 (it exports: nothing)"),
        ("bare.wasm", "it does not export tidegate:channels/consumer@0.1.0 (it exports: nothing)"),
        ("broken.wasm", "it is not a valid component"),
        (
            "importing.wasm",
            "it imports acme:db/sql@1.0.0, which modules cannot have: a module may import",
        ),
        ("missing.wasm", "cannot read missing.wasm"),
    ];
    for (file, expected) in table {
        for command in ["serve", "routes", "check"] {
            let module = format!("m={file}");
            let mut arguments = vec![command, "--module", &module];
            if command == "serve" {
                arguments.extend(["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]);
            }
            let (status, line) = refused(path, &arguments).await;
            assert!(line.contains(expected), "{command} {file}: {line}");
            assert!(line.contains("module m"), "{line}");
            assert_eq!(status, 4, "{command} {file}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_route_that_is_taken_names_both_modules() {
    let directory = tempfile::tempdir().unwrap();
    let one = format!("one={}", example("hello").display());
    let two = format!("two={}", example("hello").display());
    let (status, line) =
        refused(directory.path(), &["check", "--module", &one, "--module", &two]).await;
    assert_eq!(status, 4);
    assert!(line.contains("of module two") && line.contains("taken by module one"), "{line}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_without_end_at_its_start_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let module = format!("m={}", guest("spin-at-start").display());
    let (status, line) = refused(directory.path(), &["check", "--module", &module]).await;
    assert_eq!(status, 4);
    assert!(line.contains("look for a loop without end"), "{line}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_low_limit_on_open_files_is_raised_as_far_as_may_be() {
    let (data, place) = (tempfile::tempdir().unwrap(), "127.0.0.1:0");
    let mut child = tokio::process::Command::new("sh")
        .args(["-c", "ulimit -Sn 64 && exec \"$0\" \"$@\"", TIDEGATE, "serve", "--listen", place])
        .args(["--admin", place, "--data-dir", data.path().to_str().unwrap()])
        .stdout(std::process::Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    tests::must("it serves", lines.next_line()).await.unwrap().unwrap();
    let limits = format!("/proc/{}/limits", child.id().unwrap());
    let limits = std::fs::read_to_string(limits).unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    let [soft, hard, ..] =
        line["Max open files".len()..].split_whitespace().collect::<Vec<_>>()[..]
    else {
        panic!("{line}")
    };
    assert!(soft == hard && soft != "64", "{line}");
    child.kill().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_in_use_is_named_with_status_5() {
    let directory = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for (listen, admin) in [(address.as_str(), "127.0.0.1:0"), ("127.0.0.1:0", &address)] {
        let (status, line) =
            refused(directory.path(), &["serve", "--listen", listen, "--admin", admin]).await;
        assert_eq!(status, 5);
        assert!(line.contains(&format!("{address}: Address already in use")), "{line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_setting_is_named_with_status_3() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let with = async |text: &str| {
        std::fs::write(path.join("tidegate.toml"), text).unwrap();
        refused(path, &["check"]).await
    };
    let (status, line) = with("[limits]\nfule = 1\n").await;
    assert_eq!(status, 3);
    assert_eq!(
        line,
        "error: tidegate.toml line 2: there is no setting `fule`; did you mean `fuel`?"
    );
    let (status, line) = with("[limits]\nfuel = 0\n").await;
    assert_eq!((status, line.contains("limits.fuel: 0 lets nothing pass")), (3, true), "{line}");
    let (status, _) = with("= broken").await;
    assert_eq!(status, 3);
    let (status, line) = refused(path, &["check", "--config", "nowhere.toml"]).await;
    assert_eq!(status, 3);
    assert!(line.contains("nowhere.toml: cannot be read"), "{line}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_command_line_has_status_2() {
    let directory = tempfile::tempdir().unwrap();
    for arguments in [&["serv"][..], &["serve", "--slot", "3"], &["serve", "--module", "x"]] {
        let (status, line) = refused(directory.path(), arguments).await;
        assert_eq!(status, 2, "{line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_exit_statuses_of_the_help_are_those_of_the_documentation() {
    let documented = std::fs::read_to_string(tests::root().join("docs/cli.md")).unwrap();
    let help = tidegate(Path::new("."), &["--help"]).await;
    let help = String::from_utf8(help.stdout).unwrap();
    let (_, table) = help.split_once("Exit statuses:\n").unwrap();
    let told: Vec<_> = table.lines().filter_map(|line| line.trim().split_once("  ")).collect();
    assert_eq!(told.len(), 12, "{table}");
    for (status, meaning) in told {
        let meaning = meaning.split(" (").next().unwrap();
        let row = format!("\n| {status} | {meaning}");
        assert!(documented.contains(&row), "docs/cli.md has no {row:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn routes_lists_what_modules_declare_and_check_counts_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let chat = format!("chat={}", example("chat").display());
    let pipeline = format!("pipeline={}", guest("pipeline").display());
    let modules = ["--module", &chat, "--module", &pipeline];
    let output = tidegate(path, &[&["routes"][..], &modules].concat()).await;
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0));
    let words: Vec<Vec<&str>> =
        text.lines().map(|line| line.split_whitespace().collect()).collect();
    assert!(words.contains(&vec!["WEBSOCKET", "/chat/{room}", "chat", "Chat"]), "{text}");
    assert!(words.contains(&vec!["POST", "/once", "pipeline", "once"]), "{text}");
    assert!(words.contains(&vec!["CHANNEL", "pipeline.work"]), "{text}");
    let output = tidegate(path, &[&["check"][..], &modules].concat()).await;
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.starts_with("settings are valid; 2 modules, "), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_of_a_file_are_in_force_and_port_0_is_printed_as_the_real_one() {
    let directory = tempfile::tempdir().unwrap();
    let settings = directory.path().join("settings.toml");
    let file = example("hello").display().to_string();
    std::fs::write(&settings, format!("slots = 3\n[modules.hello]\nfile = {file:?}\n")).unwrap();
    let settings = settings.display().to_string();
    let host = tests::Process::serve(TIDEGATE, &["--config", &settings]).await;
    assert_ne!(host.address.port(), 0);
    let reply = tests::Client::new(host.address).get("/hello/ann").await;
    assert_eq!(reply.text(), "Hello, ann!\n");
    let metrics = tests::Client::new(host.admin).get("/metrics").await;
    assert!(metrics.text().contains("tidegate_slots 3"), "{}", metrics.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn check_refuses_what_serve_could_not_open() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    std::fs::write(path.join("plain"), "").unwrap();
    std::fs::write(path.join("empty.pem"), "").unwrap();
    let encrypted =
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMII=\n-----END ENCRYPTED PRIVATE KEY-----\n";
    std::fs::write(path.join("encrypted.pem"), encrypted).unwrap();
    let other_directory = tempfile::tempdir().unwrap();
    let files = |directory: &Path| {
        tests::Certificate::new().write(directory);
        tests::Certificate::files(directory)
    };
    let ((certificate, key), (_, other_key)) = (files(path), files(other_directory.path()));
    let (certificate, key) = (certificate.as_path(), key.as_path());
    let with = async |listen: &str, tls: &str| {
        let text = format!("listen = {listen:?}\nadmin = '127.0.0.1:0'\n{tls}");
        std::fs::write(path.join("tidegate.toml"), text).unwrap();
        tidegate(path, &["check"]).await
    };
    let tls = |certificate: &Path, key: &Path| {
        format!("[tls]\ncertificate = {certificate:?}\nkey = {key:?}\n")
    };
    let none = Path::new("none.pem");
    for (listen, tls, status, expected) in [
        ("https://127.0.0.1:0", tls(none, none), 3, "cannot read none.pem"),
        ("https://127.0.0.1:0", tls(Path::new("empty.pem"), key), 3, "has no certificate"),
        ("https://127.0.0.1:0", tls(certificate, Path::new("encrypted.pem")), 3, "is encrypted"),
        ("https://127.0.0.1:0", tls(certificate, &other_key), 3, "does not fit"),
        ("192.0.2.1:8000", String::new(), 5, "cannot listen on http://192.0.2.1:8000"),
        ("unix:nowhere/socket", String::new(), 5, "there is no directory nowhere"),
        ("unix:plain", String::new(), 5, "a file that is not a socket is there"),
        ("127.0.0.1:0", "log = 'a=b=c'".to_owned(), 3, "log: "),
    ] {
        let output = with(listen, &tls).await;
        let told = told(&output);
        assert_eq!(output.status.code(), Some(status), "{listen} {tls}: {told}");
        assert!(told.contains(expected), "{listen} {tls}: {told}");
    }
    // As an editor of Windows writes it.
    let marked = path.join("marked.pem");
    let text = std::fs::read_to_string(certificate).unwrap();
    std::fs::write(&marked, format!("\u{feff}{text}")).unwrap();
    // A host that serves has the port.
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = format!("https://{}", taken.local_addr().unwrap());
    let output = with(&listen, &tls(&marked, key)).await;
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
}

#[tokio::test(flavor = "multi_thread")]
async fn help_lists_the_flags_that_a_command_takes_with_its_own_defaults() {
    let directory = tempfile::tempdir().unwrap();
    let help = async |command: &str| {
        let output = tidegate(directory.path(), &[command, "--help"]).await;
        String::from_utf8(output.stdout).unwrap().split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let worker = help("worker").await;
    for absent in ["--listen", "--no-worker", "127.0.0.1:8001", "default: tidegate-data"] {
        assert!(!worker.contains(absent), "{absent}: {worker}");
    }
    for there in ["--admin", "127.0.0.1:8002", "tidegate-worker-data", "--only-channels"] {
        assert!(worker.contains(there), "{there}: {worker}");
    }
    let routes = help("routes").await;
    for absent in ["--listen", "--no-worker", "--slots", "--admin"] {
        assert!(!routes.contains(absent), "{absent}: {routes}");
    }
    let serve = help("serve").await;
    for there in ["health, metrics and the admin API", "modules, the admin token and compiled code"]
    {
        assert!(serve.contains(there), "{there}: {serve}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_variables_of_a_kubernetes_service_with_the_same_name_stop_no_command() {
    let variables = [
        ("TIDEGATE_SERVICE_HOST", "10.0.0.1"),
        ("TIDEGATE_SERVICE_PORT", "8000"),
        ("TIDEGATE_PORT", "tcp://10.0.0.1:8000"),
        ("TIDEGATE_PORT_8000_TCP", "tcp://10.0.0.1:8000"),
        ("TIDEGATE_PORT_8000_TCP_PROTO", "tcp"),
        ("TIDEGATE_PORT_8000_TCP_PORT", "8000"),
        ("TIDEGATE_PORT_8000_TCP_ADDR", "10.0.0.1"),
    ];
    let address = "127.0.0.1:0".parse().unwrap();
    let host = tests::Process::serve_with(address, TIDEGATE, &[], &variables).await;
    assert_eq!(tests::Client::new(host.admin).get("/readyz").await.status, 200);
}
