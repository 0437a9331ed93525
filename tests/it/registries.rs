//! Modules in OCI registries, and signed ones.

use std::{
    convert::Infallible,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Output,
};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, Response, body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};
use tempfile::TempDir;
use tests::{ImageRegistry, Process, Socket, background, guest, program};
use tokio::{net::TcpListener, process::Command};

use crate::TIDEGATE;

const CONFIG: &str = "application/vnd.wasm.config.v0+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// A directory in which commands run, with the login of nobody.
struct Desk(TempDir);

impl Desk {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A copy of a test guest.
    fn copy(&self, name: &str) -> PathBuf {
        let copy = self.path(&format!("{name}.wasm"));
        std::fs::copy(guest(name), &copy).unwrap();
        copy
    }

    async fn run(&self, program: impl AsRef<Path>, arguments: &[&str]) -> Output {
        self.run_with(&[], program, arguments).await
    }

    async fn run_with(
        &self,
        variables: &[(&str, &str)],
        program: impl AsRef<Path>,
        arguments: &[&str],
    ) -> Output {
        let mut command = Command::new(program.as_ref());
        command.args(arguments).current_dir(self.0.path()).env_remove("TIDEGATE_TOKEN");
        // What the tester is logged in to is no matter of tests.
        command.env("DOCKER_CONFIG", self.0.path()).env("HOME", self.0.path());
        command.env_remove("XDG_RUNTIME_DIR").env_remove("REGISTRY_AUTH_FILE");
        command.envs(variables.iter().copied());
        command.kill_on_drop(true).output().await.unwrap()
    }

    /// Status and output of a command of Tidegate; with a failure, what it says is wrong.
    async fn tidegate(&self, arguments: &[&str]) -> (i32, String) {
        self.tidegate_with(&[], arguments).await
    }

    /// The same with variables.
    async fn tidegate_with(&self, variables: &[(&str, &str)], arguments: &[&str]) -> (i32, String) {
        let output = self.run_with(variables, TIDEGATE, arguments).await;
        let status = output.status.code().unwrap();
        let told = if status == 0 { output.stdout } else { output.stderr };
        (status, String::from_utf8(told).unwrap().trim_end().to_owned())
    }
}

/// A host that commands of a desk ask.
struct Asked {
    host: Process,
    flags: [String; 4],
}

impl Asked {
    async fn serve(desk: &Desk, settings: &str) -> Self {
        let (file, data) = (desk.path("host.toml"), desk.path("data").display().to_string());
        std::fs::write(&file, settings).unwrap();
        let file = file.display().to_string();
        let host = Process::serve(TIDEGATE, &["--config", &file, "--data-dir", &data]).await;
        let admin = format!("http://{}", host.admin);
        Self { host, flags: ["--admin".to_owned(), admin, "--data-dir".to_owned(), data] }
    }

    async fn tidegate(&self, desk: &Desk, arguments: &[&str]) -> (i32, String) {
        let flags: Vec<_> = self.flags.iter().map(String::as_str).collect();
        desk.tidegate(&[arguments, &flags].concat()).await
    }

    async fn stop(self) {
        self.host.signal("TERM").await;
        assert_eq!(self.host.wait().await, Some(0));
    }

    /// The last version of a module, as its history has it.
    async fn last(&self, module: &str) -> Value {
        let details = self.host.api().module(module).await;
        details.get("history").and_then(Value::as_array).unwrap().last().unwrap().clone()
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn sha256(bytes: &[u8]) -> String {
    let digest = digest(&SHA256, bytes);
    let digits: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{digits}")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_module_goes_through_a_registry_and_its_digest_stands_in_the_history() {
    let Some(registry) = ImageRegistry::start() else { return };
    let desk = Desk::new();
    let (one, two) = (desk.copy("counter"), desk.copy("counter-2"));
    let place = format!("oci://{}/ada/counter:1", registry.address);
    let (status, first) = desk.tidegate(&["push", text(&one), &place]).await;
    assert_eq!(status, 0, "{first}");
    assert!(
        first.starts_with(&format!("oci://{}/ada/counter@sha256:", registry.address)),
        "{first}"
    );

    let asked = Asked::serve(&desk, "").await;
    let (status, said) =
        asked.tidegate(&desk, &["deploy", "counter", &place, "--note", "begins"]).await;
    assert!(status == 0 && said.starts_with("counter 1 ("), "{said}");
    let last = asked.last("counter").await;
    assert_eq!((&last["source"], &last["note"]), (&json!(first), &json!("begins")));
    assert_eq!(last["signed_by"], Value::Null);
    assert_eq!(
        format!("sha256:{}", last["digest"].as_str().unwrap()),
        sha256(&std::fs::read(&one).unwrap())
    );

    // A tag moves, and a digest does not.
    let (_, second) = desk.tidegate(&["push", text(&two), &place]).await;
    assert_ne!(first, second);
    let (_, said) = asked.tidegate(&desk, &["deploy", "counter", &place]).await;
    assert!(said.starts_with("counter 1 → 2 ("), "{said}");
    assert_eq!(asked.last("counter").await["source"], second);
    let (_, said) = asked.tidegate(&desk, &["deploy", "counter", &first]).await;
    assert!(said.starts_with("counter 2 → 3 ("), "{said}");
    let (_, said) = asked.tidegate(&desk, &["modules", "counter"]).await;
    assert!(said.contains(&format!("begins · {first}")), "{said}");

    let pulled = desk.path("pulled.wasm");
    let (status, said) = desk.tidegate(&["pull", &first, text(&pulled)]).await;
    assert_eq!((status, said), (0, first));
    assert_eq!(std::fs::read(&pulled).unwrap(), std::fs::read(&one).unwrap());
    assert!(!desk.path("pulled.wasm.minisig").exists());
    let (status, said) = desk.tidegate(&["pull", &format!("{place}0"), text(&pulled)]).await;
    assert!(status == 4 && said.contains("no module of this name and tag"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn other_tools_read_the_layout() {
    let (Some(registry), Some(skopeo)) = (ImageRegistry::start(), program("skopeo")) else {
        return;
    };
    let desk = Desk::new();
    let file = desk.copy("counter");
    let wasm = std::fs::read(&file).unwrap();
    let place = format!("{}/counter:1", registry.address);
    let (status, pushed) = desk.tidegate(&["push", text(&file), &format!("oci://{place}")]).await;
    assert_eq!(status, 0, "{pushed}");
    let image = format!("docker://{place}");
    let manifest = desk.run(&skopeo, &["inspect", "--tls-verify=false", "--raw", &image]).await;
    assert!(pushed.ends_with(&sha256(&manifest.stdout)), "{pushed}");
    let manifest: Value = serde_json::from_slice(&manifest.stdout).unwrap();
    assert_eq!(manifest["config"]["mediaType"], CONFIG);
    let [layer] = manifest["layers"].as_array().unwrap().as_slice() else { panic!("{manifest}") };
    let expected =
        json!({"mediaType": "application/wasm", "digest": sha256(&wasm), "size": wasm.len()});
    assert_eq!(layer, &expected);
    let inspect = ["inspect", "--tls-verify=false", "--raw", "--config", &image];
    let config = desk.run(&skopeo, &inspect).await;
    let config: Value = serde_json::from_slice(&config.stdout).unwrap();
    assert_eq!((&config["architecture"], &config["os"]), (&json!("wasm"), &json!("wasip2")));
    assert_eq!(config["layerDigests"], json!([sha256(&wasm)]));
    let names = |of: &str| config["component"][of].as_array().unwrap().clone();
    let has =
        |of: &str, name: &str| names(of).iter().any(|it| it.as_str().unwrap().starts_with(name));
    assert!(has("exports", "tidegate:channels/consumer@"), "{config}");
    assert!(has("imports", "tidegate:channels/"), "{config}");
    // Copied by another tool it is the same module.
    let copy = desk.path("copy");
    let copied = desk
        .run(&skopeo, &["copy", "--src-tls-verify=false", &image, &format!("dir:{}", text(&copy))])
        .await;
    assert!(copied.status.success(), "{copied:?}");
    let back = format!("docker://{}/other:2", registry.address);
    let copied = desk
        .run(&skopeo, &["copy", "--dest-tls-verify=false", &format!("dir:{}", text(&copy)), &back])
        .await;
    assert!(copied.status.success(), "{copied:?}");
    let (status, said) = desk.tidegate(&["pull", &back.replace("docker:", "oci:"), "b.wasm"]).await;
    assert_eq!(status, 0, "{said}");
    assert_eq!(std::fs::read(desk.path("b.wasm")).unwrap(), wasm);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_is_asked_as_the_user_who_is_logged_in() {
    let Some(registry) = ImageRegistry::with_password("of the tide") else { return };
    let desk = Desk::new();
    let file = desk.copy("counter");
    let place = format!("oci://{}/counter:1", registry.address);
    let push = ["push", text(&file), &place];
    let (status, said) = desk.tidegate(&push).await;
    assert!(status == 8 && said.contains("somebody without a user"), "{said}");
    assert!(said.contains(&format!("docker login {}", registry.address)), "{said}");
    let login = |password: &str| {
        let auth = data_encoding::BASE64.encode(format!("ada:{password}").as_bytes());
        let login = json!({"auths": {registry.address.to_string(): {"auth": auth}}});
        std::fs::write(desk.path("config.json"), login.to_string()).unwrap();
    };
    login("wrong");
    let (status, said) = desk.tidegate(&push).await;
    assert!(status == 8 && said.contains("refuses the user and password"), "{said}");
    assert!(!said.contains("wrong"), "{said}");
    login("of the tide");
    assert_eq!(desk.tidegate(&push).await.0, 0);
    assert_eq!(desk.tidegate(&["pull", &place, "pulled.wasm"]).await.0, 0);
    std::fs::write(desk.path("config.json"), "{").unwrap();
    let (status, said) = desk.tidegate(&push).await;
    assert!(status == 8 && said.contains("cannot be read"), "{said}");
}

/// An answer by path: status, header fields, body.
type Answers = fn(&str, SocketAddr) -> (u16, Vec<(&'static str, String)>, Bytes);

/// A registry that answers as the test says.
async fn lying(answers: Answers) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    background(async move {
        loop {
            let (socket, _) = listener.accept().await.unwrap();
            let service = service_fn(move |request: Request<Incoming>| async move {
                let (status, fields, body) = answers(request.uri().path(), address);
                let mut response = Response::builder().status(status);
                for (name, value) in fields {
                    response = response.header(name, value);
                }
                Ok::<_, Infallible>(response.body(Full::new(body)).unwrap())
            });
            let served = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(socket), service);
            background(async move { drop(served.await) });
        }
    });
    address
}

/// The manifest of a file, as a registry sends it.
fn manifest(
    config: &str,
    layers: &[(&str, &[u8], usize)],
) -> (u16, Vec<(&'static str, String)>, Bytes) {
    let layers: Vec<_> = layers
        .iter()
        .map(
            |(kind, bytes, size)| json!({"mediaType": kind, "digest": sha256(bytes), "size": size}),
        )
        .collect();
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {"mediaType": config, "digest": sha256(b"{}"), "size": 2},
        "layers": layers,
    });
    let body = Bytes::from(manifest.to_string());
    (
        200,
        vec![("content-type", MANIFEST.to_owned()), ("docker-content-digest", sha256(&body))],
        body,
    )
}

/// An answer of a registry that has its tokens from elsewhere, or of that place.
fn asked_for_token(
    path: &str,
    address: SocketAddr,
    (status, token): (u16, Value),
) -> (u16, Vec<(&'static str, String)>, Bytes) {
    if path == "/token" {
        return (status, Vec::new(), Bytes::from(token.to_string()));
    }
    let challenge = format!("Bearer realm=\"http://{address}/token\",service=\"tests\"");
    (401, vec![("www-authenticate", challenge)], Bytes::new())
}

/// A manifest of a module with other members than usual, and nothing else.
fn only_manifest(path: &str, members: &Value) -> (u16, Vec<(&'static str, String)>, Bytes) {
    if !path.contains("/manifests/") {
        return (404, Vec::new(), Bytes::new());
    }
    let mut manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {"mediaType": CONFIG, "digest": sha256(b"{}"), "size": 2},
    });
    manifest.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    let body = Bytes::from(manifest.to_string());
    let fields =
        vec![("content-type", MANIFEST.to_owned()), ("docker-content-digest", sha256(&body))];
    (200, fields, body)
}

fn with_layer(
    path: &str,
    named: &[u8],
    size: usize,
    sent: &'static [u8],
) -> (u16, Vec<(&'static str, String)>, Bytes) {
    if path.contains("/manifests/") {
        return manifest(CONFIG, &[("application/wasm", named, size)]);
    }
    (200, Vec::new(), Bytes::from_static(sent))
}

/// Has commands ask registries that lie, and sees that each is told apart and that nothing is written or deployed.
async fn are_told_apart(cases: &[(Answers, i32, &str)]) -> (Desk, Asked) {
    let desk = Desk::new();
    let asked = Asked::serve(&desk, "upload.bytes = '1MB'").await;
    // Commands in this directory have the limit of the host.
    std::fs::copy(desk.path("host.toml"), desk.path("tidegate.toml")).unwrap();
    for &(answers, exit, expected) in cases {
        let address = lying(answers).await;
        let place = format!("oci://{address}/a/module:1");
        for command in [&["pull", &place, "pulled.wasm"][..], &["deploy", "counter", &place]] {
            let (status, said) = match command {
                ["deploy", ..] => asked.tidegate(&desk, command).await,
                _ => desk.tidegate(command).await,
            };
            assert!(status == exit && said.contains(expected), "{expected}: {status} {said}");
            assert!(said.contains(&format!("oci://{address}/a/module")), "{said}");
            let is_plain = said.chars().all(|c| !c.is_control() || c == '\n');
            assert!(is_plain && said.len() < 5_000, "{said:?}");
            assert!(!said.lines().any(|line| line.starts_with("error: forged")), "{said}");
        }
        assert!(!desk.path("pulled.wasm").exists(), "{expected}");
    }
    let modules = asked.host.api().done("GET", "modules", "").await;
    assert_eq!(modules.get("modules"), Some(&json!([])));
    (desk, asked)
}

#[tokio::test(flavor = "multi_thread")]
async fn each_lie_of_a_registry_is_told_apart_and_changes_nothing() {
    let cases: [(Answers, i32, &str); 10] = [
        (
            |path, _| with_layer(path, b"a file", 6, b"a lie!"),
            4,
            "other bytes than their digest names",
        ),
        (|path, _| with_layer(path, b"a file", 6, b"a file, and more"), 4, "other bytes"),
        (|path, _| with_layer(path, b"a file", 2_000_000, b"a file"), 4, "more than 1000000 bytes"),
        (|path, _| with_layer(path, &[7; 6], 6, &[7; 1_500_000]), 4, "more than 1000000 bytes"),
        (
            |_, _| {
                manifest(
                    "application/vnd.oci.image.config.v1+json",
                    &[("application/wasm", b"a", 1)],
                )
            },
            4,
            "its config has the media type",
        ),
        (|_, _| manifest(CONFIG, &[]), 4, "it has 0 layers"),
        (|_, _| manifest(CONFIG, &[("text/plain", b"a", 1)]), 4, "its layer has the media type"),
        (
            |_, address| {
                (307, vec![("location", format!("http://{address}/v2/again"))], Bytes::new())
            },
            7,
            "redirects without end",
        ),
        (|_, _| (500, Vec::new(), Bytes::from_static(b"out of order")), 7, "the registry answers"),
        (
            |path, _| match path.contains("/manifests/") {
                true => {
                    let (status, mut fields, body) =
                        manifest(CONFIG, &[("application/wasm", b"a", 1)]);
                    fields[1].1 = sha256(b"another manifest");
                    (status, fields, body)
                }
                false => (404, Vec::new(), Bytes::new()),
            },
            4,
            "other bytes",
        ),
    ];
    let (desk, _asked) = are_told_apart(&cases).await;
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let (status, said) = desk.tidegate(&["pull", &format!("oci://{gone}/a:1"), "p.wasm"]).await;
    assert!(status == 7 && said.contains("does not answer"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn words_of_a_registry_change_no_terminal_and_lead_nowhere_else() {
    let cases: [(Answers, i32, &str); 7] = [
        (
            |_, _| {
                let words = "\u{1b}[2J\u{1b}[31mowned\r\nerror: forged";
                (500, Vec::new(), Bytes::from(words.repeat(1_000)))
            },
            7,
            "\\u{1b}[31mowned",
        ),
        (
            |_, _| {
                let errors =
                    json!({"errors": [{"code": "UNKNOWN", "message": "\u{9b}31m\nforged"}]});
                (400, Vec::new(), Bytes::from(errors.to_string()))
            },
            7,
            "the registry answers",
        ),
        (
            |path, address| asked_for_token(path, address, (200, json!({"token": "a\nb"}))),
            7,
            "its token has characters",
        ),
        (
            |path, address| asked_for_token(path, address, (200, json!(["no token"]))),
            7,
            "the registry answers",
        ),
        (
            |path, address| asked_for_token(path, address, (500, json!("\u{1b}[2J out of order"))),
            8,
            "gives nobody no token: \"\\u001b[2J out of order\"",
        ),
        (
            |path, _| {
                let layer = json!({
                    "mediaType": "application/wasm", "digest": sha256(b"a"), "size": 1,
                    "urls": ["http://127.0.0.1:1/layer"],
                });
                only_manifest(path, &json!({"layers": [layer]}))
            },
            4,
            "its layer says that it is elsewhere",
        ),
        (
            |path, _| {
                let layer =
                    json!({"mediaType": "application/wasm", "digest": sha256(b"a"), "size": 1});
                let annotations = json!({"dev.tidegate.minisig": "s".repeat(20_000)});
                only_manifest(path, &json!({"layers": [layer], "annotations": annotations}))
            },
            4,
            "its signature has 20000 bytes",
        ),
    ];
    are_told_apart(&cases).await;
}

/// Files with signatures, and the line of settings that names their signer.
async fn key(desk: &Desk, name: &str) -> String {
    let (status, said) = desk.tidegate(&["signing-key", name, "--no-password"]).await;
    assert_eq!(status, 0, "{said}");
    let signers = said.lines().last().unwrap();
    assert!(said.contains("[upload]") && signers.starts_with("signers = [\"RW"), "{said}");
    signers.to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_with_signers_takes_their_files_alone() {
    let desk = Desk::new();
    let (one, two) = (desk.copy("counter"), desk.copy("counter-2"));
    let signers = key(&desk, "ops.key").await;
    key(&desk, "other.key").await;
    let before = Asked::serve(&desk, "").await;
    let (status, said) = before.tidegate(&desk, &["deploy", "counter", text(&one)]).await;
    assert_eq!(status, 0, "{said}");
    before.stop().await;

    let asked = Asked::serve(&desk, &format!("[upload]\n{signers}")).await;
    // The version that was active before there were signers stays so.
    let mut socket = Socket::open(asked.host.address, "/count").await;
    socket.send("a").await;
    assert!(socket.text().await.starts_with("1:a:1"));
    let deploy = async |more: &[&str]| {
        asked.tidegate(&desk, &[&["deploy", "counter", text(&two)], more].concat()).await
    };
    let sign = async |key: &str, file: &Path| {
        let (status, said) = desk.tidegate(&["sign", text(file), "--key", key]).await;
        assert_eq!(status, 0, "{said}");
        PathBuf::from(said)
    };
    let (status, said) = deploy(&[]).await;
    assert!(
        status == 4 && said.contains("it is not signed") && said.contains("tidegate sign"),
        "{said}"
    );
    let beside = sign("other.key", &two).await;
    assert_eq!(beside, desk.path("counter-2.wasm.minisig"));
    let (status, said) = deploy(&[]).await;
    assert!(status == 4 && said.contains("takes only files that"), "{said}");
    let of_another = sign("ops.key", &one).await;
    let (status, said) = deploy(&["--signature", text(&of_another)]).await;
    assert!(status == 4 && said.contains("not that of this file"), "{said}");
    std::fs::write(&beside, "untrusted").unwrap();
    let (status, said) = deploy(&[]).await;
    assert!(status == 4 && said.contains("cannot be read"), "{said}");
    let (status, said) = deploy(&["--signature", "nowhere"]).await;
    assert!(status != 0 && said.contains("cannot read the signature nowhere"), "{said}");
    sign("ops.key", &two).await;
    let (status, said) = deploy(&[]).await;
    assert!(status == 0 && said.starts_with("counter 1 → 2 ("), "{said}");
    let signer = asked.last("counter").await["signed_by"].as_str().unwrap().to_owned();
    assert!(signer.len() == 16 && signer.bytes().all(|it| it.is_ascii_hexdigit()), "{signer}");
    let public = std::fs::read_to_string(desk.path("ops.key.pub")).unwrap();
    assert!(public.contains(&signer), "{public}");

    // The version before has no signature, so that nobody brings it back.
    let (status, said) = asked.tidegate(&desk, &["rollback", "counter"]).await;
    assert!(status == 4 && said.contains("version 1 of module counter is not activated"), "{said}");
    let (status, said) = asked.tidegate(&desk, &["deploy", "counter", text(&one)]).await;
    assert!(status == 0 && said.starts_with("counter 2 → 3 ("), "{said}");
    let (status, said) = asked.tidegate(&desk, &["rollback", "counter"]).await;
    assert!(status == 0 && said.starts_with("counter 3 → 2 ("), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_without_a_signature_is_deployed_again_with_one() {
    let desk = Desk::new();
    let one = desk.copy("counter");
    let signers = key(&desk, "ops.key").await;
    let before = Asked::serve(&desk, "").await;
    before.tidegate(&desk, &["deploy", "counter", text(&one)]).await;
    before.stop().await;
    let asked = Asked::serve(&desk, &format!("[upload]\n{signers}")).await;
    desk.tidegate(&["sign", text(&one), "--key", "ops.key"]).await;
    let (_, said) = asked.tidegate(&desk, &["deploy", "counter", text(&one)]).await;
    assert!(said.starts_with("counter 1 → 2 ("), "{said}");
    let (_, said) = asked.tidegate(&desk, &["deploy", "counter", text(&one)]).await;
    assert!(said.contains("is up to date"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn minisign_and_tidegate_read_the_signatures_of_each_other() {
    let Some(minisign) = program("minisign") else { return };
    let desk = Desk::new();
    let file = desk.copy("counter");
    let signers = key(&desk, "ops.key").await;
    let asked = Asked::serve(&desk, &format!("[upload]\n{signers}")).await;
    desk.tidegate(&["sign", text(&file), "--key", "ops.key", "--comment", "counter 1.2"]).await;
    let read = desk.run(&minisign, &["-V", "-p", "ops.key.pub", "-m", text(&file)]).await;
    assert!(read.status.success(), "{read:?}");
    assert!(
        String::from_utf8_lossy(&read.stdout).contains("Trusted comment: counter 1.2"),
        "{read:?}"
    );
    for (name, form, exit) in [("its", &["-H"][..], 0), ("old", &["-l"], 4)] {
        let signature = desk.path(name);
        let sign = ["-S", "-W", "-s", "ops.key", "-m", text(&file), "-x", text(&signature)];
        let signed = desk.run(&minisign, &[&sign, form].concat()).await;
        assert!(signed.status.success(), "{signed:?}");
        let deploy = ["deploy", "counter", text(&file), "--signature", text(&signature)];
        let (status, said) = asked.tidegate(&desk, &deploy).await;
        assert_eq!(status, exit, "{name}: {said}");
        assert!(exit == 0 || said.contains("minisign's old form"), "{said}");
    }
    // A key of minisign with a password, which a file gives.
    std::fs::write(desk.path("password"), "of the tide\n").unwrap();
    let (status, said) =
        desk.tidegate(&["signing-key", "locked.key", "--password-file", "password"]).await;
    assert_eq!(status, 0, "{said}");
    let sign = ["sign", text(&file), "--key", "locked.key"];
    let (status, said) =
        desk.tidegate(&[&sign[..], &["--password-file", "password"]].concat()).await;
    assert_eq!(status, 0, "{said}");
    let read = desk.run(&minisign, &["-V", "-p", "locked.key.pub", "-m", text(&file)]).await;
    assert!(read.status.success(), "{read:?}");
    std::fs::write(desk.path("password"), "wrong").unwrap();
    let (status, said) =
        desk.tidegate(&[&sign[..], &["--password-file", "password"]].concat()).await;
    assert!(status != 0 && said.contains("the password is not that of the key"), "{said}");
    let (status, said) = desk.tidegate(&sign).await;
    assert!(status != 0 && said.contains("there is no terminal"), "{said}");
    let (status, said) = desk.tidegate(&["sign", text(&file), "--key", "ops.key.pub"]).await;
    assert!(status != 0 && said.contains("no key to sign with"), "{said}");
    let (status, said) = desk.tidegate(&["signing-key", "ops.key", "--no-password"]).await;
    assert!(status != 0 && said.contains("there is a file ops.key already"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signature_goes_through_a_registry_with_its_file() {
    let Some(registry) = ImageRegistry::start() else { return };
    let desk = Desk::new();
    let file = desk.copy("counter");
    let signers = key(&desk, "ops.key").await;
    let asked = Asked::serve(&desk, &format!("[upload]\n{signers}")).await;
    let place = format!("oci://{}/counter:1", registry.address);
    assert_eq!(desk.tidegate(&["push", text(&file), &place]).await.0, 0);
    let (status, said) = asked.tidegate(&desk, &["deploy", "counter", &place]).await;
    assert!(status == 4 && said.contains("it is not signed"), "{said}");
    desk.tidegate(&["sign", text(&file), "--key", "ops.key"]).await;
    assert_eq!(desk.tidegate(&["push", text(&file), &place]).await.0, 0);
    let (status, said) = asked.tidegate(&desk, &["deploy", "counter", &place]).await;
    assert!(status == 0 && said.starts_with("counter 1 ("), "{said}");
    assert!(asked.last("counter").await["signed_by"].is_string());
    desk.tidegate(&["pull", &place, "pulled.wasm"]).await;
    let [pushed, pulled] = ["counter.wasm.minisig", "pulled.wasm.minisig"]
        .map(|name| std::fs::read_to_string(desk.path(name)).unwrap());
    assert_eq!(pushed, pulled);
    // A signature of what was there before does not stay beside another file.
    std::fs::remove_file(desk.path("counter.wasm.minisig")).unwrap();
    assert_eq!(desk.tidegate(&["push", text(&file), &place]).await.0, 0);
    assert_eq!(desk.tidegate(&["pull", &place, "pulled.wasm"]).await.0, 0);
    assert!(!desk.path("pulled.wasm.minisig").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn no_proxy_hears_what_is_said_to_a_registry_on_this_machine() {
    let Some(registry) = ImageRegistry::start() else { return };
    let (desk, proxy) = (Desk::new(), lying(|_, _| (200, Vec::new(), Bytes::new())).await);
    let file = desk.copy("counter");
    let proxy = format!("http://{proxy}");
    for name in ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"] {
        let variables = [(name, &*proxy), ("no_proxy", "other.example")];
        let place = format!("oci://{}/counter:{name}", registry.address);
        let pushed = desk.tidegate_with(&variables, &["push", text(&file), &place]).await;
        assert_eq!(pushed.0, 0, "{}", pushed.1);
        let pulled = desk.tidegate_with(&variables, &["pull", &place, "pulled.wasm"]).await;
        assert_eq!(pulled, pushed);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_keeps_logins_is_asked_by_the_name_that_docker_login_uses() {
    let desk = Desk::new();
    let helper = desk.path("docker-credential-tide");
    std::fs::write(
        &helper,
        "#!/bin/sh\nread -r name\necho \"$name\" >> asked\necho 'credentials not found'\nexit 1\n",
    )
    .unwrap();
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&helper, executable).unwrap();
    std::fs::write(desk.path("config.json"), json!({"credsStore": "tide"}).to_string()).unwrap();
    let path = format!("{}:{}", desk.0.path().display(), std::env::var("PATH").unwrap());
    // The registry itself is not reached.
    let variables = [("PATH", &*path), ("https_proxy", "http://127.0.0.1:1")];
    let (status, said) =
        desk.tidegate_with(&variables, &["pull", "oci://docker.io/ada/chat:1", "a.wasm"]).await;
    assert!(status == 7 && said.contains("does not answer"), "{said}");
    let asked = std::fs::read_to_string(desk.path("asked")).unwrap();
    assert_eq!(asked, "https://index.docker.io/v1/\ndocker.io\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_version_without_a_signature_does_not_stand_in_for_one_that_is_damaged() {
    let desk = Desk::new();
    let (one, two) = (desk.copy("counter"), desk.copy("counter-2"));
    let signers = format!("[upload]\n{}", key(&desk, "ops.key").await);
    let before = Asked::serve(&desk, "").await;
    before.tidegate(&desk, &["deploy", "counter", text(&one)]).await;
    before.stop().await;
    let asked = Asked::serve(&desk, &signers).await;
    desk.tidegate(&["sign", text(&two), "--key", "ops.key"]).await;
    // It is not watched, so that nothing needs the version before it.
    let (api, wasm) = (asked.host.api(), std::fs::read(&two).unwrap());
    let signature = std::fs::read(desk.path("counter-2.wasm.minisig")).unwrap();
    let signature = data_encoding::BASE64.encode(&signature);
    let authorization = api.authorization();
    let fields = [("authorization", &*authorization), ("x-tidegate-signature", &signature)];
    let at = "/api/v1/modules/counter?probation=off";
    let reply = api.client().request("PUT", at, &fields, wasm).await;
    assert_eq!(reply.status, 201, "{}", reply.text());
    asked.stop().await;
    damage(&desk.path("data"), &std::fs::read(&two).unwrap());

    let asked = Asked::serve(&desk, &signers).await;
    let refused = Socket::try_open(asked.host.address, "/count", &[]).await.unwrap_err();
    assert_eq!(refused.status().as_u16(), 403, "it is no route of this host");
    let module = asked.host.api().module("counter").await;
    let fault = module["fault"].as_str().unwrap();
    assert!(fault.contains("version 1 cannot be served: it is not signed"), "{fault}");
    asked.stop().await;
    // Without signers it does.
    let asked = Asked::serve(&desk, "").await;
    let mut socket = Socket::open(asked.host.address, "/count").await;
    socket.send("a").await;
    assert!(socket.text().await.starts_with("1:a:1"));
    drop(socket);
    asked.stop().await;
}

/// Empties the file below a directory that has these bytes.
fn damage(directory: &Path, bytes: &[u8]) {
    let mut directories = vec![directory.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
            } else if std::fs::read(&path).unwrap() == bytes {
                return std::fs::write(&path, "").unwrap();
            }
        }
    }
    panic!("no file has these bytes");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_developed_is_not_given_to_hosts_that_ask_for_signatures() {
    let desk = Desk::new();
    let signers = key(&desk, "ops.key").await;
    let made = desk.tidegate(&["new", "tide"]).await;
    assert_eq!(made.0, 0, "{}", made.1);
    let settings = format!("[upload]\n{signers}\n[layer]\nurl = \"redis://127.0.0.1:1\"\n");
    std::fs::write(desk.path("shared.toml"), settings).unwrap();
    let (status, said) = desk.tidegate(&["dev", "--path", "tide", "--config", "shared.toml"]).await;
    assert!(status != 0 && said.contains("the other hosts of this layer"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signer_that_is_no_key_ends_the_start() {
    let desk = Desk::new();
    std::fs::write(desk.path("tidegate.toml"), "[upload]\nsigners = [\"RWQ\"]").unwrap();
    let (status, said) = desk.tidegate(&["check"]).await;
    assert!(status == 3 && said.contains("upload.signers: \"RWQ\" is no public key"), "{said}");
    // A variable that is empty takes no check away.
    let empty = [("TIDEGATE_UPLOAD_SIGNERS", "")];
    let (status, said) = desk.tidegate_with(&empty, &["check"]).await;
    assert!(status == 3 && said.contains("TIDEGATE_UPLOAD_SIGNERS: it is empty"), "{said}");
    std::fs::write(desk.path("tidegate.toml"), "[upload]\nsigners = []").unwrap();
    let (status, said) = desk.tidegate(&["check"]).await;
    assert!(status == 3 && said.contains("upload.signers: it names no key"), "{said}");
}
